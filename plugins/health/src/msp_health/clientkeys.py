"""What may stand under `health.` and `probes.` in a client's own settings."""

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from msp_core.v1 import Client, Context, InvalidParameters, Toolkit
from msp_health.catalog import CheckSpec, install_line_of, load_checks, select_listed
from msp_health.limits import (
    CHECKS_KEY,
    PREFIX,
    LimitsBook,
    names_of,
    parse_layer,
    split_config,
    unknown_limit,
)
from msp_health.settings import HealthSettings
from msp_health.sweep import PROBES_KEY

_NEAR = 0.75
"""How alike a first word must be to be taken for ours misspelt: another plugin may have settings of its own."""


def create(toolkit: Toolkit) -> "ClientKeys":
    """Build the service of a toolkit."""
    return ClientKeys(toolkit)


class ClientKeys:
    """See `msp_clients.api.KnowsSettings`."""

    def __init__(self, toolkit: Toolkit) -> None:
        self._checks = load_checks(toolkit.registry)

    async def check_settings(
        self, ctx: Context, client: Client, settings: Mapping[str, Any], new: Collection[str]
    ) -> tuple[str, ...]:
        """Refuse limits that no check has, values that are none, and limits that do not fit together."""
        warnings: list[str] = []
        touched: list[tuple[CheckSpec, str]] = []
        for key in new:
            if key == PROBES_KEY:
                if not isinstance(settings[key], bool):
                    raise InvalidParameters(
                        f"{key} is true or false, not {settings[key]!r}.",
                        suggestion=f"--set {key}=true",
                        key=key,
                    )
            elif key == CHECKS_KEY:
                select_listed(self._checks, settings[key])
            elif key.startswith(PREFIX):
                warnings += self._limit(client, key, settings[key], touched)
            else:
                warnings.append(_stranger(key))
        if touched:
            limits = self._book(ctx).for_client(client, settings)
            for check, device in touched:
                limits.require(check, f"{client.id}/{device}")
        return tuple(warnings)

    def _limit(
        self, client: Client, key: str, value: Any, touched: list[tuple[CheckSpec, str]]
    ) -> Iterator[str]:
        """Note which check and device a limit is of; yield a warning where that check is known and not installed."""
        own, by_device = split_config({key: value})
        device, limits = next(iter(by_device.items()), ("", own))
        (limit,) = limits
        where, prefix = f"settings of client {client.id}", key.removesuffix(limit)
        try:
            layer = parse_layer(where, limits, self._checks)
        except InvalidParameters:
            line = install_line_of(limit, self._checks)
            if not line:
                raise unknown_limit(where, limit, self._checks, prefix) from None
            yield f"{key} has no effect: no installed check has this limit. Run: {line}"
            return
        for check in self._checks:
            for name, _ in layer.values.get(check.id, ()):
                if isinstance(name, str) and check.limits and name not in names_of(check.limits):
                    raise unknown_limit(where, f"{check.id}.{name}", self._checks, prefix)
                touched.append((check, device))

    def _book(self, ctx: Context) -> LimitsBook:
        configured = ctx.settings(HealthSettings)
        return LimitsBook(
            self._checks, thresholds=configured.thresholds, tiers=configured.tiers, call={}
        )


def _stranger(key: str) -> str:
    """Refuse what is ours misspelt; of all else say that nothing here reads it."""
    ours = (PREFIX.rstrip("."), PROBES_KEY.partition(".")[0])
    head, _, rest = key.partition(".")
    near = get_close_matches(head, ours, n=1, cutoff=_NEAR)
    if near:
        meant = PROBES_KEY if near[0] == ours[1] else f"{near[0]}.{rest or 'disk_percent'}"
        raise InvalidParameters(
            f"No plugin in use reads {key!r}.",
            suggestion=f"Did you mean {meant!r}?",
            key=key,
        )
    return f"{key} is kept, but no plugin in use is known to read it."
