"""Records of health checks, and of the sources of the facts they judge."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from attrs import field, frozen, validators

from msp_core.data import Data
from msp_core.records import is_id, is_ref, is_tuple

if TYPE_CHECKING:
    from msp_core.model import Device


@frozen(init=False, eq=False, repr=False)
class AnyOf(Data):
    """A need that several fact kinds can serve, best first."""

    facts: tuple[type | str, ...]

    def __init__(self, *facts: type | str) -> None:
        self.__attrs_init__(facts)


def _device() -> type:
    from msp_core.model import Device

    return Device


@frozen(kw_only=True, eq=False, repr=False)
class Check(Data):
    """A health check: the facts it needs, its limits, and a pure function that judges.

    `evaluate` names `def evaluate(*facts, limits, previous) -> Verdict`: one positional argument per need, in
    order, then `limits` (an instance of the class `limits` names) and `previous` (`Previous | None`) by keyword.
    A function that also names the keyword `device` gets the device. It does no I/O. `requests` names
    `def requests(limits, device) -> Sequence[FactRequest]` for facts that must be asked for by name. A need is a fact
    class, a reference `module:Class` for a plugin's own kind, or `AnyOf(...)`. `applies` names
    `def applies(device) -> str | None`: a reason to skip a device. Facts older than `max_age` give UNKNOWN.
    """

    id: str = field(validator=is_id)
    title: str
    needs: tuple["type | str | AnyOf", ...] = field(validator=is_tuple)
    limits: str = field(validator=is_ref)
    evaluate: str = field(validator=is_ref)
    aliases: tuple[str, ...] = ()
    subject: type = field(factory=_device)
    requests: str | None = field(default=None, validator=validators.optional(is_ref))
    applies: str | None = field(default=None, validator=validators.optional(is_ref))
    max_age: timedelta | None = None
    summary: str = ""


@frozen(kw_only=True, eq=False, repr=False)
class Previous(Data):
    """What was recorded for the same device and check before; used for recovery levels."""

    status: "Any"
    data: Mapping[str, Any]


class Granularity(StrEnum):
    """How much one read of a source answers: the whole instance, one client, or one device."""

    FLEET = "fleet"
    CLIENT = "client"
    DEVICE = "device"


class Mode(StrEnum):
    """How fresh a source is: measured now, the vendor's last inventory, or a probe command run on the device."""

    LIVE = "live"
    STORED = "stored"
    PROBE = "probe"


@frozen(eq=False, repr=False)
class Target(Data):
    """One device to read, and its id in the adapter instance that is asked (`None` for the toolkit's own vantage)."""

    device: "Device"
    external_id: str | None


@frozen(kw_only=True, eq=False, repr=False)
class FactQuery(Data):
    """What a source is asked: these kinds, about these devices.

    `client_external_ids` are the clients of all targets in this instance, for vendors that filter by client.
    `requests` holds the named requests of each device id. `facts` are the classes wanted; others may be left out.
    """

    facts: frozenset[type]
    targets: Sequence[Target]
    client_external_ids: tuple[str, ...] = ()
    requests: Mapping[str, tuple[Any, ...]] = field(factory=dict)


@frozen(kw_only=True, eq=False, repr=False)
class Source(Data):
    """Facts that an adapter kind can read.

    `read` names `async def read(ctx, adapter, query: FactQuery) -> AsyncIterator[Observation | Missing | Quarantined]`,
    an async generator. It yields each device's observations as they arrive and need not answer for every target:
    silence becomes UNKNOWN. `adapter` is the adapter kind it belongs to, or None for one that reads from where the
    toolkit runs (`adapter` argument None then). A PROBE source runs only for clients that opted in.
    """

    id: str = field(validator=is_id)
    facts: tuple[type | str, ...] = field(validator=is_tuple)
    read: str = field(validator=is_ref)
    adapter: str | None = None
    granularity: Granularity = Granularity.DEVICE
    mode: Mode = Mode.LIVE
