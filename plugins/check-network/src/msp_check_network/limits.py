"""Limits of the network check, and the probes they ask for."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any

from attrs import field, frozen

from msp_check_network.address import check_target, dns_server, host
from msp_core.v1 import Device, Doc, ProbeKind, ProbeRequest, Status, not_above, not_below, positive

MOST_SECONDS = 60.0
MOST_PINGS = 20


def _target_fits(probe: "ProbeTarget", _attribute: Any, target: str) -> None:
    check_target(probe.kind, target.replace("{address}", "192.0.2.1").replace("{hostname}", "host"))


def _server_fits(_probe: object, _attribute: Any, server: str) -> None:
    if server:
        dns_server(server)


def _seconds_fit(_probe: object, attribute: Any, value: float) -> None:
    if not 0 < value <= MOST_SECONDS:
        raise ValueError(f"{attribute.name} must be above 0 and at most {MOST_SECONDS:g}")


def _count_fits(_probe: object, attribute: Any, value: int) -> None:
    if not 1 <= value <= MOST_PINGS:
        raise ValueError(f"{attribute.name} must be 1 to {MOST_PINGS}")


def _is_judgement(_limits: object, attribute: Any, value: Status) -> None:
    if value not in (Status.OK, Status.WARNING, Status.CRITICAL):
        raise ValueError(f"{attribute.name} must be ok, warning or critical")


@frozen(kw_only=True)
class ProbeTarget:
    """One probe of a device's network and what its answer must look like."""

    kind: Annotated[ProbeKind, Doc("`ping`, `tcp`, `http`, `dns` or `tls`.")]
    target: Annotated[
        str,
        Doc(
            "Host (ping, dns), host:port (tcp, tls) or URL (http); `{address}` and `{hostname}` stand "
            "for the device's own."
        ),
    ] = field(validator=_target_fits)
    timeout_s: Annotated[float, Doc("Seconds to wait for each answer.")] = field(
        default=5.0, validator=_seconds_fit
    )
    count: Annotated[int, Doc("Echo requests of a ping.")] = field(default=3, validator=_count_fits)
    server: Annotated[str, Doc("DNS server to ask, as an IP address; the system's if empty.")] = (
        field(default="", validator=_server_fits)
    )
    warning_ms: Annotated[float | None, Doc("Milliseconds to the answer that are a warning.")] = (
        field(default=None, validator=positive)
    )
    critical_ms: Annotated[float | None, Doc("Milliseconds that are critical.")] = field(
        default=None, validator=not_below("warning_ms")
    )
    warning_loss_percent: Annotated[float, Doc("Lost echo requests that are a warning.")] = field(
        default=20.0, validator=positive
    )
    critical_loss_percent: Annotated[float, Doc("Lost echo requests that are critical.")] = field(
        default=60.0, validator=not_below("warning_loss_percent")
    )
    warning_days: Annotated[float, Doc("Days left of a certificate that are a warning.")] = field(
        default=21.0, validator=positive
    )
    critical_days: Annotated[float, Doc("Days left of a certificate that are critical.")] = field(
        default=7.0, validator=not_above("warning_days")
    )
    expected_status: Annotated[
        tuple[int, ...], Doc("HTTP status codes that are fine; any below 400 if empty.")
    ] = ()
    expected_addresses: Annotated[
        tuple[str, ...], Doc("Addresses a DNS answer must contain; any answer will do if empty.")
    ] = ()

    @property
    def label(self) -> str:
        """What people call the probe: kind and target."""
        return f"{self.kind} {self.target}"


@frozen(kw_only=True)
class NetworkLimits:
    """Limits of the network check."""

    targets: Annotated[
        tuple[ProbeTarget, ...], Doc("Probes to make; without any, the console's word counts.")
    ] = ()
    server_offline: Annotated[
        Status, Doc("What it is when the agent of a server or unknown machine does not answer.")
    ] = field(default=Status.CRITICAL, validator=_is_judgement)
    workstation_offline: Annotated[
        Status, Doc("What it is when the agent of a workstation or phone does not answer.")
    ] = field(default=Status.OK, validator=_is_judgement)


def requests(limits: NetworkLimits, device: Device) -> Sequence[ProbeRequest]:
    """Turn the targets into probes of one device, in the same order."""
    return tuple(
        ProbeRequest(
            kind=probe.kind,
            target=_filled(probe.target, device),
            timeout=timedelta(seconds=probe.timeout_s),
            count=probe.count,
            server=probe.server,
        )
        for probe in limits.targets
    )


def _filled(target: str, device: Device) -> str:
    """Put the device's own address or name in; what it does not have stays in braces."""
    for place, own in (("{address}", device.addresses[:1]), ("{hostname}", (device.hostname,))):
        if place in target and own and _usable(own[0]):
            # only a v6 address has colons; in a URL or before a port it needs brackets
            bare = target == place or ":" not in own[0]
            target = target.replace(place, own[0] if bare else f"[{own[0]}]")
    return target


def _usable(own: str) -> bool:
    try:
        return bool(host(own))
    except ValueError:
        return False
