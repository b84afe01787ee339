"""What the types of the section `health_checks` cannot say: do its thresholds belong to checks, and do they fit?"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from msp_core.v1 import Adapter, InvalidParameters, Problem, Registry
from msp_health.catalog import CheckSpec, install_line_of, load_checks
from msp_health.limits import Layer, merge, parse_layer, stated
from msp_health.settings import HealthSettings


def check(
    settings: HealthSettings,
    registry: Registry,
    adapters: Mapping[str, Adapter | None],  # noqa: ARG001, thresholds name none
) -> Iterable[Problem]:
    """Name every threshold that no check has, and every value that is none.

    One that a known check would have, were it installed, is let pass; `health check` mentions it.
    """
    checks, path = load_checks(registry), "health_checks.thresholds"
    everywhere = parse_layer(path, settings.thresholds, checks, strict=False)
    wrong: set[str] = set()
    yield from _layer(path, settings.thresholds, checks, (everywhere,), wrong)
    for tier, values in settings.tiers.items():
        path = f"health_checks.tiers.{tier}"
        layers = (everywhere, parse_layer(path, values, checks, strict=False))
        yield from _layer(path, values, checks, layers, set(wrong))


def _layer(
    path: str,
    values: Mapping[str, Any],
    checks: Sequence[CheckSpec],
    layers: Sequence[Layer],
    wrong: set[str],
) -> Iterable[Problem]:
    """Judge the values of one place, the last of the layers; the checks in `wrong` are reported already."""
    keys: dict[str, str] = {}
    for key, value in values.items():
        try:
            own = parse_layer(path, {key: value}, checks)
        except InvalidParameters as error:
            if not install_line_of(key, checks):
                yield Problem(
                    f"{path}.{key}", "no installed check has this limit", error.suggestion
                )
            continue
        for one in checks:
            if one.id in own.values:
                keys.setdefault(one.id, key)
                yield from _judged(one, (own,), stated, f"{path}.{key}", wrong)
    for one in checks:
        if one.id in keys and one.id not in wrong:
            yield from _judged(one, layers, merge, f"{path}.{keys[one.id]}", wrong)


def _judged(
    check: CheckSpec,
    layers: Sequence[Layer],
    judge: Callable[[CheckSpec, Sequence[Layer]], Any],
    path: str,
    wrong: set[str],
) -> Iterable[Problem]:
    try:
        judge(check, layers)
    except InvalidParameters as error:
        wrong.add(check.id)
        reason = error.message.removeprefix(f"{layers[-1].name}: ")
        yield Problem(path, reason, error.suggestion)
