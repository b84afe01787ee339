"""What may stand under `health.` and `probes.` in a client's own settings."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from msp_core.v1 import Client, Context, InvalidParameters, Toolkit, install_line
from msp_health.catalog import CheckSpec, load_checks
from msp_health.limits import (
    CHECKS_KEY,
    DEVICES,
    PREFIX,
    LimitsBook,
    LimitsProblem,
    names_of,
    parse_layer,
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
        touched: set[tuple[str, str]] = set()
        for key in new:
            if key == PROBES_KEY:
                if not isinstance(settings[key], bool):
                    raise InvalidParameters(
                        f"{key} is true or false, not {settings[key]!r}.",
                        suggestion=f"--set {key}=true",
                        key=key,
                    )
            elif key == CHECKS_KEY:
                self._check_list(key, settings[key])
            elif key.startswith(PREFIX):
                warnings += self._limit(key, settings[key], touched)
            else:
                warnings.append(self._stranger(key))
        self._fit(ctx, client, settings, touched)
        return tuple(warnings)

    def _limit(self, key: str, value: Any, touched: set[tuple[str, str]]) -> Iterator[str]:
        """Note which check and device a limit is of; yield a warning where that check is known and not installed."""
        rest, device = key.removeprefix(PREFIX), ""
        if rest.startswith(DEVICES):
            device, _, rest = rest.removeprefix(DEVICES).partition(".")
        try:
            layer = parse_layer(key, {rest: value}, self._checks)
        except InvalidParameters:
            line = self._install(rest)
            if not line:
                raise self._unknown(key, rest) from None
            yield f"{key} has no effect: no installed check has this limit. Run: {line}"
            return
        for check in self._checks:
            for name, _ in layer.values.get(check.id, ()):
                if isinstance(name, str) and check.limits and name not in names_of(check.limits):
                    raise self._unknown(key, f"{check.id}.{name}")
                touched.add((check.id, device))

    def _fit(
        self,
        ctx: Context,
        client: Client,
        settings: Mapping[str, Any],
        touched: Collection[tuple[str, str]],
    ) -> None:
        if not touched:
            return
        configured = ctx.settings(HealthSettings)
        book = LimitsBook(
            self._checks, thresholds=configured.thresholds, tiers=configured.tiers, call={}
        )
        limits = book.for_client(client, settings)
        known = {check.id: check for check in self._checks}
        for check_id, device in sorted(touched):
            found = limits.get(known[check_id], f"{client.id}/{device}")
            if isinstance(found, LimitsProblem):
                raise InvalidParameters(
                    found.reason, suggestion=f"See: msp-toolkit health checks {client.id}"
                )

    def _check_list(self, key: str, value: Any) -> None:
        known = {word for check in self._checks for word in (check.id, *check.aliases)}
        if not isinstance(value, list) or not value:
            raise InvalidParameters(
                f"{key} is a list of checks, not {value!r}.",
                suggestion=f"--set '{key}=[\"disk\"]'; the checks are: {', '.join(sorted(known))}",
                key=key,
            )
        for word in value:
            if word not in known:
                raise InvalidParameters(
                    f"{key}: there is no check {word!r}.",
                    suggestion=_did_you_mean(str(word), sorted(known), "The checks are: "),
                    key=key,
                )

    def _unknown(self, key: str, rest: str) -> InvalidParameters:
        start = PREFIX
        if key.startswith(PREFIX + DEVICES):
            start += f"{DEVICES}{key.removeprefix(PREFIX + DEVICES).partition('.')[0]}."
        near = get_close_matches(rest, list(_limits(self._checks)), n=1)
        hint = f"Did you mean {start + near[0]!r}? " if near else ""
        return InvalidParameters(
            f"{key!r} is no limit of an installed check.",
            suggestion=f"{hint}'msp-toolkit health checks' lists checks and their limits.",
            key=key,
        )

    def _install(self, rest: str) -> str:
        """Return the line that installs the check a limit is of; empty for one that nothing else has."""
        head = rest.partition(".")[0]
        words = {word.replace("_", "-") for word in (head, head.rpartition("_")[0])}
        words -= {word for check in self._checks for word in (check.id, *check.aliases)}
        return next((line for word in sorted(words) if (line := install_line(word))), "")

    def _stranger(self, key: str) -> str:
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


def _limits(checks: Sequence[CheckSpec]) -> Iterator[str]:
    for check in checks:
        for name in names_of(check.limits) if check.limits else ():
            yield f"{check.id}.{name}"
            if name.startswith("warning_"):
                yield f"{check.id.replace('-', '_')}_{name.removeprefix('warning_')}"


def _did_you_mean(word: str, known: Sequence[str], otherwise: str) -> str:
    near = get_close_matches(word, known, n=1)
    return f"Did you mean {near[0]!r}?" if near else otherwise + ", ".join(known)
