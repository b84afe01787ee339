"""The exact pins: two lists that say the same, and nothing installable without a pin."""

import tomllib
from pathlib import Path

from scripts import constraints

ROOT = Path(__file__).parents[1]


def test_both_lists_say_the_same() -> None:
    """What uv obeys and what pip is given are one list."""
    assert constraints.exported(ROOT) == constraints.pinned(ROOT)


def test_every_pin_is_exact_and_without_address() -> None:
    """A pin names one version and no registry."""
    pins = constraints.pinned(ROOT)
    assert pins
    assert [pin for pin in pins if "==" not in pin or "://" in pin] == []


def test_every_declared_dependency_is_pinned() -> None:
    """A plugin that adds a dependency runs `make pins` too."""
    assert constraints.unpinned(ROOT) == []


def test_pins_replace_the_ones_that_stand() -> None:
    """Writing pins changes their list and nothing else, and the result is TOML."""
    before = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    pins = ["a==1", "b==2 ; sys_platform == 'win32'"]
    after = constraints.with_pins(before, pins)
    assert tomllib.loads(after)["tool"]["uv"]["constraint-dependencies"] == pins
    assert constraints.with_pins(after, constraints.pinned(ROOT)) == before
    empty = constraints.with_pins(before, [])
    assert constraints.with_pins(empty.replace("= [\n]", "= []"), pins) == after


def test_a_dependency_without_a_pin_is_named(tmp_path: Path) -> None:
    """The check sees plain dependencies, extras and groups of every plugin."""
    plugin = tmp_path / "plugins" / "x"
    plugin.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "msp-core"\ndependencies = ["Known_Thing>=1"]\n'
        '[tool.uv]\nconstraint-dependencies = ["known-thing==1.0"]\n',
        encoding="utf-8",
    )
    (plugin / "pyproject.toml").write_text(
        '[project]\nname = "msp-x"\ndependencies = ["msp-core>=0.1", "one[a]>=1"]\n'
        '[project.optional-dependencies]\ne = ["two<3"]\n[dependency-groups]\ntest = ["three"]\n',
        encoding="utf-8",
    )
    assert constraints.unpinned(tmp_path) == ["one", "three", "two"]
