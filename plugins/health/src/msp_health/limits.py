"""Limits of checks: one place that merges built-in, configuration, tier, client, device and call.

A layer is a mapping. It may hold a table per check (`disk = {critical_percent = 97}`), the same dotted
(`disk.critical_percent`), or the short form `<check>_<unit>` (`disk_percent = 85`), which is the check's warning level
`warning_<unit>`. The short form moves the critical level along. It stays where an earlier layer stated it, if that is
above; else, for percentages, it leaves the same share of the room up to 100 % as the built-in levels do (built-in 85
and 95 leave a third: a warning at 70 makes critical 90), and for other units it keeps its built-in distance.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from difflib import get_close_matches
from typing import Any

import attrs
from attrs import frozen

from msp_core.v1 import (
    Client,
    ConfigError,
    InvalidParameters,
    Tier,
    Unstructurable,
    structure,
)
from msp_health.catalog import CheckSpec

PREFIX = "health."
DEVICES = "devices."
CHECKS_KEY = "health.checks"


@frozen
class Short:
    """The short form of a threshold: the warning level in one unit."""

    unit: str
    value: Any


@frozen(kw_only=True)
class Layer:
    """Values of one place, by check: pairs of a limit's name (or a Short) and the value, in order."""

    name: str
    values: Mapping[str, tuple[tuple[str | Short, Any], ...]]
    ignored: tuple[str, ...] = ()
    """What belongs to no installed check, said for people."""


@frozen(kw_only=True)
class LimitsProblem:
    """Why the limits of a check cannot be used for a client or device."""

    reason: str


def names_of(limits: type) -> tuple[str, ...]:
    """Return the names of a check's limits."""
    return tuple(attribute.name for attribute in attrs.fields(limits) if attribute.init)


def parse_layer(
    name: str, raw: Mapping[str, Any], checks: Sequence[CheckSpec], *, strict: bool = True
) -> Layer:
    """Read a mapping into a layer; raise InvalidParameters for a check or limit that does not exist.

    Without `strict` what belongs to no installed check is only noted: settings outlive a plugin.
    """
    values: dict[str, list[tuple[str | Short, Any]]] = {}
    ignored: list[str] = []
    for key, value in raw.items():
        check, entries = _entries(key, value, checks)
        if check is not None:
            values.setdefault(check.id, []).extend(entries)
        elif strict:
            raise unknown_limit(name, key, checks)
        else:
            error = unknown_limit(name, key, checks)
            ignored.append(f"{error.message} {error.suggestion}")
    merged = {check: tuple(pairs) for check, pairs in values.items()}
    return Layer(name=name, values=merged, ignored=tuple(ignored))


def _entries(
    key: str, value: Any, checks: Sequence[CheckSpec]
) -> tuple[CheckSpec | None, list[tuple[str | Short, Any]]]:
    head, dot, rest = key.partition(".")
    for check in checks:
        words = (check.id, *check.aliases)
        if dot and head in words:
            return check, [(rest, value)]
        if key in words and isinstance(value, Mapping):
            return check, [(str(limit), item) for limit, item in value.items()]
        for word in words:
            stem = word.replace("-", "_") + "_"
            unit = key.removeprefix(stem)
            if key.startswith(stem) and _is_short(check, unit):
                return check, [(Short(unit, value), value)]
    if len(checks) == 1 and checks[0].limits is not None and key in names_of(checks[0].limits):
        return checks[0], [(key, value)]
    return None, []


def _is_short(check: CheckSpec, unit: str) -> bool:
    return check.limits is None or f"warning_{unit}" in names_of(check.limits)


def unknown_limit(
    name: str, key: str, checks: Sequence[CheckSpec], prefix: str = ""
) -> InvalidParameters:
    """Say that no check has this limit; `prefix` is what stands in front of limits there."""
    known: list[str] = []
    for check in checks:
        fields = names_of(check.limits) if check.limits else ()
        known += [f"{check.id}.{limit}" for limit in fields]
        known += [
            f"{check.id.replace('-', '_')}_{limit.removeprefix('warning_')}"
            for limit in fields
            if limit.startswith("warning_")
        ]
    near = get_close_matches(key, known, n=1)
    hint = f"Did you mean {prefix + near[0]!r}? " if near else ""
    return InvalidParameters(
        f"{name}: {key!r} is no limit of an installed check.",
        suggestion=f"{hint}`health checks` lists checks and their limits.",
        key=prefix + key,
    )


def merge(check: CheckSpec, layers: Sequence[Layer]) -> Any:
    """Return the limits of a check after all layers, least specific first; raise InvalidParameters naming the layer."""
    if check.limits is None:
        return None
    values = stated(check, layers)
    try:
        return check.limits(**values)
    except (ValueError, TypeError) as error:
        names = [layer.name for layer in layers if layer.values.get(check.id)]
        last = names[-1] if names else "built-in limits"
        message = f"{last}: the limits of check {check.id!r} do not fit together: {error}"
        raise InvalidParameters(message, check_type=check.id) from None


def stated(check: CheckSpec, layers: Iterable[Layer]) -> dict[str, Any]:
    """Return what the layers say of a check's limits, typed; raise InvalidParameters naming the layer."""
    if check.limits is None:
        return {}
    builtin = check.limits()
    fields = {a.name: a for a in attrs.fields(attrs.resolve_types(check.limits)) if a.init}
    chosen: dict[str, Any] = {}
    derived: set[str] = set()
    for layer in layers:
        for key, value in layer.values.get(check.id, ()):
            if isinstance(key, Short):
                given = {name: chosen[name] for name in chosen if name not in derived}
                expanded = _expand(check, builtin, key, given, fields, layer.name)
                chosen.update(expanded)
                derived.update(name for name in expanded if name.startswith("critical_"))
            elif key in fields:
                derived.discard(key)
                chosen[key] = structure_field(fields[key].type, value, _path(layer, check, key))
            else:
                raise unknown_limit(layer.name, f"{check.id}.{key}", (check,))
    return chosen


def structure_field(kind: Any, value: Any, path: str) -> Any:
    """Turn a plain value into a limit's type; raise InvalidParameters that names the path and the reason."""
    try:
        return structure(value, kind, path)
    except Unstructurable as error:
        raise InvalidParameters(str(error), key=path) from None


def _path(layer: Layer, check: CheckSpec, key: str) -> str:
    return f"{layer.name}: {check.id}.{key}"


def _expand(
    check: CheckSpec,
    builtin: Any,
    short: Short,
    stated: Mapping[str, Any],
    fields: Mapping[str, Any],
    layer: str,
) -> dict[str, Any]:
    warning, critical = f"warning_{short.unit}", f"critical_{short.unit}"
    path = f"{layer}: {check.id.replace('-', '_')}_{short.unit}"
    level = structure_field(fields[warning].type, short.value, path)
    result = {warning: level}
    if critical not in fields or not isinstance(level, (int, float)):
        return result
    if stated.get(critical) is not None and stated[critical] > level:
        return result
    before, after = getattr(builtin, warning), getattr(builtin, critical)
    if before is None or after is None:
        return result
    if short.unit == "percent" and before < 100:
        result[critical] = round(100 - (100 - level) * (100 - after) / (100 - before), 2)
    else:
        result[critical] = level + after - before
    return result


class ClientLimits:
    """The limits of one client's devices, each merged once."""

    def __init__(self, layers: Sequence[Layer], devices: Mapping[str, Layer]) -> None:
        self._layers = tuple(layers)
        self._devices = devices
        self._merged: dict[tuple[str, str], Any] = {}

    def get(self, check: CheckSpec, device_id: str) -> Any:
        """Return the limits, or a LimitsProblem."""
        slug = device_id.rpartition("/")[2]
        own = self._devices.get(slug)
        key = (check.id, slug if own is not None and check.id in own.values else "")
        if key not in self._merged:
            # a call's layer, the last one, has precedence over the device's
            layers = (*self._layers[:-1], *([own] if own and key[1] else ()), self._layers[-1])
            try:
                self._merged[key] = merge(check, layers)
            except InvalidParameters as error:
                self._merged[key] = LimitsProblem(reason=error.message)
        return self._merged[key]

    def require(self, check: CheckSpec, device_id: str) -> None:
        """Raise InvalidParameters where the limits cannot be used."""
        found = self.get(check, device_id)
        if isinstance(found, LimitsProblem):
            raise InvalidParameters(
                found.reason,
                suggestion="`health checks` lists checks and their limits.",
                check_type=check.id,
            )


class LimitsBook:
    """Merges limits for the clients of one run.

    Raises ConfigError for what the configuration says wrongly, InvalidParameters for a wrong key in the call's layer.
    """

    def __init__(
        self,
        checks: Sequence[CheckSpec],
        *,
        thresholds: Mapping[str, Any],
        tiers: Mapping[Tier, Mapping[str, Any]],
        call: Mapping[str, Any],
        selected: Sequence[CheckSpec] | None = None,
    ) -> None:
        self._checks = tuple(checks)
        self._config = parse_layer("health_checks.thresholds", thresholds, checks, strict=False)
        self._tiers = {
            tier: parse_layer(f"health_checks.tiers.{tier}", values, checks, strict=False)
            for tier, values in tiers.items()
        }
        self._call = parse_layer("threshold override", call, selected or checks)
        try:
            for layers in ((self._config,), *((self._config, own) for own in self._tiers.values())):
                for check in selected or checks:
                    merge(check, layers)
        except InvalidParameters as error:
            raise ConfigError(error.message, suggestion=error.suggestion, **error.details) from None

    def require_call_fits(
        self, limits: ClientLimits, checks: Sequence[CheckSpec], client_id: str
    ) -> None:
        """Raise InvalidParameters where the call's layer makes limits of this client that do not fit together."""
        for check in checks:
            found = limits.get(check, client_id) if check.id in self._call.values else None
            if isinstance(found, LimitsProblem):
                raise InvalidParameters(f"Client {client_id}: {found.reason}", check_type=check.id)

    @property
    def notes(self) -> tuple[str, ...]:
        """What in the configuration belongs to no installed check."""
        layers = (self._config, *self._tiers.values())
        return tuple(note for layer in layers for note in layer.ignored)

    def for_client(self, client: Client | None, config: Mapping[str, Any]) -> ClientLimits:
        """Return the limits of one client's devices; without a client those of the configuration."""
        layers = [self._config]
        devices: dict[str, Layer] = {}
        if client is not None:
            tier = self._tiers.get(client.tier)
            own, by_device = split_config(config)
            layers += [tier] if tier else []
            layers.append(
                parse_layer(f"settings of client {client.id}", own, self._checks, strict=False)
            )
            devices = {
                slug: parse_layer(
                    f"settings of {client.id}/{slug}", values, self._checks, strict=False
                )
                for slug, values in by_device.items()
            }
        return ClientLimits((*layers, self._call), devices)


def split_config(config: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Take a client's settings apart: limits of the client, and by device; keys lose the `health.` in front."""
    own: dict[str, Any] = {}
    devices: dict[str, dict[str, Any]] = {}
    for key, value in config.items():
        if not key.startswith(PREFIX) or key == CHECKS_KEY:
            continue
        rest = key.removeprefix(PREFIX)
        if rest.startswith(DEVICES):
            slug, _, limit = rest.removeprefix(DEVICES).partition(".")
            devices.setdefault(slug, {})[limit] = value
        else:
            own[rest] = value
    return own, devices


def as_plain(limits: Any) -> Mapping[str, Any]:
    """Return limits as plain data for people and machines."""
    if limits is None:
        return {}
    return {name: _plain(getattr(limits, name)) for name in names_of(type(limits))}


def _plain(value: Any) -> Any:
    if attrs.has(type(value)):
        return as_plain(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, timedelta):
        return str(value)
    return value
