"""A wrong threshold is an error of the configuration, before anything starts."""

from pathlib import Path
from typing import Any

import pytest

from msp_core.testing import make_toolkit
from msp_core.v1 import ConfigError

PLUGINS = {"health": "msp_health.plugin", "check-disk": "msp_check_disk.plugin"}


def configured(folder: Path, **section: Any) -> None:
    """Check a configuration with this section."""
    make_toolkit(folder, plugins=PLUGINS, config={"health_checks": section})


@pytest.mark.parametrize(
    ("section", "path", "says"),
    [
        ({"thresholds": {"disk_percnt": 80}}, "thresholds.disk_percnt", "disk_percent"),
        ({"thresholds": {"disk.critical_percnt": 80}}, "disk.critical_percnt", "no limit"),
        ({"thresholds": {"disk": {"warning_percent": "x"}}}, "thresholds.disk", "warning_percent"),
        ({"thresholds": {"disk_percent": 850}}, "thresholds.disk_percent", "850"),
        ({"thresholds": {"nonsense": 1}}, "thresholds.nonsense", "no installed check"),
        ({"tiers": {"gold": {"disk_percnt": 80}}}, "tiers.gold.disk_percnt", "no installed check"),
        ({"tiers": {"golden": {}}}, "tiers", "golden"),
        ({"schedule": "at noon"}, "schedule", "five fields"),
        (
            {"thresholds": {"disk_percent": 80, "disk.critical_percnt": 90}},
            "thresholds.disk.critical_percnt",
            "Did you mean 'disk.critical_percent'",
        ),
        (
            {"thresholds": {"disk_percent": 97}, "tiers": {"gold": {"disk.critical_percent": 90}}},
            "tiers.gold.disk.critical_percent",
            "critical_percent (90) is below warning_percent (97)",
        ),
    ],
)
def test_a_wrong_one_is_named(tmp_path: Path, section: Any, path: str, says: str) -> None:
    """With its path, and the nearest that exists where there is one."""
    with pytest.raises(ConfigError) as caught:
        configured(tmp_path, **section)
    assert path in caught.value.message
    assert says in caught.value.message


def test_a_threshold_of_a_known_check_may_wait_for_its_plugin(tmp_path: Path) -> None:
    """The usual configuration names cpu and memory also where those checks are not installed."""
    configured(tmp_path, thresholds={"cpu_percent": 85, "memory_percent": 90, "disk_percent": 85})


@pytest.mark.parametrize(
    "section",
    [
        {"thresholds": {"disk_percent": 60, "disk": {"critical_percent": 75}}},
        {"thresholds": {"disk.warning_percent": 40, "disk.critical_percent": 50}},
        {"thresholds": {"disk.critical_percent": 50, "disk.warning_percent": 40}},
        {"thresholds": {"disk_percent": 60}, "tiers": {"gold": {"disk.critical_percent": 75}}},
    ],
)
def test_thresholds_are_judged_together(tmp_path: Path, section: Any) -> None:
    """One that fits only with another one, of the same place or of all tiers, is right."""
    configured(tmp_path, **section)
