"""How the trial of single wheels chooses what to install."""

from pathlib import Path

from packaging.requirements import Requirement

from scripts.wheels import Wheel, arguments


def wheel(name: str, *requires: str) -> Wheel:
    return Wheel(
        name=name,
        file=Path("/wheels") / f"{name}.whl",
        source=Path("/src") / name,
        package=name.replace("-", "_"),
        requires=tuple(map(Requirement, requires)),
        test_group=(),
        extras=(),
    )


WHEELS = {
    "msp-core": wheel("msp-core", "attrs>=25", 'pytest ; extra == "testing"'),
    "msp-store": wheel("msp-store", "msp-core>=0.1", "peewee"),
    "msp-lab": wheel("msp-lab", "msp-core>=0.1"),
    "msp-clients": wheel("msp-clients", "msp-store", 'msp-lab ; extra == "demo"'),
}


def test_our_own_names_are_never_asked_from_an_index() -> None:
    """A wheel brings the wheels of this build that it needs, and theirs; the index the others."""
    assert arguments([Requirement("msp-clients"), Requirement("syrupy>=4")], WHEELS) == [
        "msp-clients @ file:///wheels/msp-clients.whl",
        "msp-core @ file:///wheels/msp-core.whl",
        "msp-store @ file:///wheels/msp-store.whl",
        "syrupy>=4",
    ]


def test_extras_are_followed_when_chosen() -> None:
    """An extra adds its requirements, also when the plain name was seen before."""
    wanted = [
        Requirement("msp-clients"),
        Requirement("msp-clients[demo]"),
        Requirement("msp-core"),
    ]
    chosen = arguments([*wanted, Requirement("msp-core[testing]")], WHEELS)
    assert "msp-clients[demo] @ file:///wheels/msp-clients.whl" in chosen
    assert "msp-core[testing] @ file:///wheels/msp-core.whl" in chosen
    assert "msp-lab @ file:///wheels/msp-lab.whl" in chosen
