"""What the types of the section `health_checks` cannot say: do its thresholds belong to checks, and do they fit?"""

from collections.abc import Iterable, Mapping
from typing import Any

from msp_core.v1 import Adapter, InvalidParameters, Problem, Registry, install_line
from msp_health.catalog import CheckSpec, load_checks
from msp_health.limits import merge, parse_layer
from msp_health.settings import HealthSettings


def check(
    settings: HealthSettings,
    registry: Registry,
    adapters: Mapping[str, Adapter | None],  # noqa: ARG001, thresholds name none
) -> Iterable[Problem]:
    """Name every threshold that no check has, and every value that is none.

    One that a known check would have, were it installed, is let pass; `health check` mentions it.
    """
    checks = load_checks(registry)
    yield from _layer("health_checks.thresholds", settings.thresholds, checks)
    for tier, values in settings.tiers.items():
        yield from _layer(f"health_checks.tiers.{tier}", values, checks)


def _layer(
    path: str, values: Mapping[str, Any], checks: tuple[CheckSpec, ...]
) -> Iterable[Problem]:
    for key, value in values.items():
        try:
            layer = parse_layer(path, {key: value}, checks)
        except InvalidParameters as error:
            if not _known_elsewhere(key, checks):
                yield Problem(
                    f"{path}.{key}", "no installed check has this limit", error.suggestion
                )
            continue
        for one in checks:
            try:
                merge(one, (layer,))
            except InvalidParameters as error:
                yield Problem(f"{path}.{key}", error.message.removeprefix(f"{path}: "))


def _known_elsewhere(key: str, checks: tuple[CheckSpec, ...]) -> bool:
    head = key.partition(".")[0]
    words = {word.replace("_", "-") for word in (head, head.rpartition("_")[0])}
    installed = {word for one in checks for word in (one.id, *one.aliases)}
    return not words & installed and any(map(install_line, words))
