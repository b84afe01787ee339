"""What is installed: checks with their behaviour loaded, and the sources of each adapter instance."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from difflib import get_close_matches
from inspect import signature
from typing import Any

from attrs import field, frozen

from msp_core.v1 import (
    Adapter,
    AnyOf,
    Check,
    Device,
    Granularity,
    InvalidParameters,
    Mode,
    Registry,
    Role,
    Source,
    Toolkit,
    install_line,
)

log = logging.getLogger(__name__)

VANTAGE = "toolkit"
"""Stands for the instance of sources that read from where the toolkit runs."""


@frozen(kw_only=True, eq=False)
class CheckSpec:
    """An installed check, ready to run. `broken` says why it is not; its rows are ERROR then."""

    id: str
    title: str
    plugin: str
    aliases: tuple[str, ...] = ()
    needs: tuple[tuple[type, ...], ...] = ()
    """For each need the fact kinds that serve it, best first."""
    limits: type | None = None
    evaluate: Callable[..., Any] | None = None
    knows_device: bool = False
    """True when the function names the keyword `device`."""
    requests: Callable[..., Sequence[Any]] | None = None
    applies: Callable[..., str | None] | None = None
    max_age: timedelta | None = None
    broken: str = ""


@frozen(kw_only=True, eq=False)
class SourceSpec:
    """One source of one adapter instance."""

    id: str
    instance: str
    plugin: str
    facts: tuple[type, ...]
    read: str
    granularity: Granularity = Granularity.DEVICE
    mode: Mode = Mode.LIVE
    role: Role | None = None
    key: str = field(init=False)
    """`instance:source`; noted with every fact, so there is one text of it."""

    @key.default
    def _key(self) -> str:
        return f"{self.instance}:{self.id}"

    @property
    def vantage(self) -> bool:
        """Tell whether it reads from where the toolkit runs, without an adapter."""
        return self.instance == VANTAGE


@frozen(kw_only=True)
class Catalog:
    """The checks of a run and everything that can read facts for them."""

    checks: tuple[CheckSpec, ...]
    sources: tuple[SourceSpec, ...] = ()
    lacks: Mapping[str, Mapping[type, str]] = field(factory=dict)
    """Instance -> fact kind -> why the vendor does not offer it."""


def fact_id(kind: type) -> str:
    """Return the id of a fact kind."""
    return str(getattr(kind, "fact_id", kind.__name__))


def by_word(checks: Iterable[CheckSpec]) -> dict[str, CheckSpec]:
    """Return the checks by whatever they are called: id and aliases."""
    return {word: check for check in checks for word in (check.id, *check.aliases)}


def select(checks: Sequence[CheckSpec], words: Sequence[str]) -> tuple[CheckSpec, ...]:
    """Return the checks of these ids or aliases, all for none; raise InvalidParameters for an unknown one."""
    if not words:
        return tuple(checks)
    known = by_word(checks)
    chosen: set[str] = set()
    for word in words:
        check = known.get(word.strip().lower())
        if check is None:
            raise unknown_check(word, {name: one.id for name, one in known.items()})
        chosen.add(check.id)
    return tuple(check for check in checks if check.id in chosen)


def select_listed(checks: Sequence[CheckSpec], listed: object) -> tuple[CheckSpec, ...]:
    """Return the checks that a client's own list names; raise InvalidParameters for what is no such list."""
    if not isinstance(listed, (list, tuple)) or not listed:
        raise InvalidParameters(
            f"{listed!r} is no list of checks.",
            suggestion=f'Such as ["disk"]; the checks are: {", ".join(by_word(checks)) or "none"}.',
        )
    return select(checks, [str(word) for word in listed])


def install_line_of(limit: str, checks: Iterable[CheckSpec]) -> str:
    """Return the line that installs the check a limit would be of; empty where it is here, or nothing known has it."""
    head = limit.partition(".")[0]
    words = {word.replace("_", "-") for word in (head, head.rpartition("_")[0])}
    if words.intersection(by_word(checks)):
        return ""
    return next(filter(None, map(install_line, sorted(words))), "")


def unknown_check(word: str, known: Mapping[str, str]) -> InvalidParameters:
    """Say that no check is called so; `known` are the ids of the installed ones by whatever they are called."""
    installed = ", ".join(dict.fromkeys(known.values())) or "none"
    near = get_close_matches(word.strip().lower(), known, n=1)
    suggestion = f"Installed checks: {installed}."
    if near:
        suggestion = f"Did you mean {near[0]!r}? {suggestion}"
    if line := install_line(word.strip().lower()):
        suggestion = f"{suggestion} A known plugin provides it: {line}"
    return InvalidParameters(
        f"No check of type {word!r} is installed.", suggestion=suggestion, check_type=word
    )


def load_catalog(toolkit: Toolkit) -> Catalog:
    """Load every installed check of devices, and the sources of every configured instance."""
    checks = load_checks(toolkit.registry)
    return Catalog(checks=checks, sources=tuple(_sources(toolkit)), lacks=_lacks(toolkit))


def load_checks(registry: Registry) -> tuple[CheckSpec, ...]:
    """Load every installed check of devices; one that cannot be loaded is there and says so."""
    return tuple(
        _load_check(registry, record)
        for record in registry.records(Check)
        if record.subject is Device
    )


def _load_check(registry: Registry, record: Check) -> CheckSpec:
    plugin = registry.plugin_of(record)

    def load(ref: str | None) -> Any:
        return registry.load(ref) if ref else None

    try:
        evaluate = load(record.evaluate)
        return CheckSpec(
            id=record.id,
            title=record.title,
            plugin=plugin,
            aliases=tuple(record.aliases),
            needs=tuple(_alternatives(registry, need) for need in record.needs),
            limits=load(record.limits),
            evaluate=evaluate,
            knows_device="device" in signature(evaluate).parameters,
            requests=load(record.requests),
            applies=load(record.applies),
            max_age=record.max_age,
        )
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a broken plugin becomes rows that say so
        reason = f"plugin {plugin} cannot be loaded: {type(error).__name__}: {error}"
        return CheckSpec(
            id=record.id, title=record.title, plugin=plugin, aliases=record.aliases, broken=reason
        )


def _alternatives(registry: Registry, need: type | str | AnyOf) -> tuple[type, ...]:
    kinds = need.facts if isinstance(need, AnyOf) else (need,)
    return tuple(_kind(registry, kind) for kind in kinds)


def _kind(registry: Registry, kind: type | str) -> type:
    found = registry.load(kind) if isinstance(kind, str) else kind
    if not isinstance(found, type):
        message = f"{kind!r} is not a class of facts"
        raise TypeError(message)
    return found


def _sources(toolkit: Toolkit) -> Iterable[SourceSpec]:
    records = toolkit.registry.records(Source)
    for record in records:
        plugin = toolkit.registry.plugin_of(record)
        try:
            facts = tuple(_kind(toolkit.registry, kind) for kind in record.facts)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a broken plugin offers nothing
            log.warning("source %s of plugin %s cannot be used: %s", record.id, plugin, error)
            continue
        places: list[tuple[str, Role | None]] = [(VANTAGE, None)]
        if record.adapter is not None:
            places = [
                (instance.name, instance.adapter.role)
                for instance in toolkit.instances()
                if instance.adapter.id == record.adapter
            ]
        for instance, role in places:
            yield SourceSpec(
                id=record.id,
                instance=instance,
                plugin=plugin,
                facts=facts,
                read=record.read,
                granularity=record.granularity,
                mode=record.mode,
                role=role,
            )


def _lacks(toolkit: Toolkit) -> Mapping[str, Mapping[type, str]]:
    return {
        instance.name: {lack.fact: lack.reason for lack in _adapter(instance).lacks}
        for instance in toolkit.instances()
    }


def _adapter(instance: Any) -> Adapter:
    adapter: Adapter = instance.adapter
    return adapter
