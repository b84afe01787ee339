"""Entry points are read as importlib-metadata reads them."""

from pathlib import Path

from importlib_metadata import distributions

from msp_core.discovery import GROUP, discover

POINTS = f"""\
# made by hand
[console_scripts]
acme = acme.cli:main

[{GROUP}]
; not this one = acme.off
acme = acme.plugin

[ {GROUP}.other ]
acme-more = acme.more
"""


def _install(site: Path, name: str, points: bytes, metadata: bytes | None = None) -> Path:
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "entry_points.txt").write_bytes(points)
    header = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nSummary: Made here.\n".encode()
    (info / "METADATA").write_bytes(header if metadata is None else metadata)
    return info


def test_the_points_of_every_environment_are_those_of_importlib_metadata():
    """What is found in the environment of the tests is what the library finds."""
    theirs = {
        (point.name, point.value.partition(":")[0], one.metadata["Name"], one.version)
        for one in distributions()
        for point in one.entry_points
        if point.group == GROUP
    }
    found, _ = discover()
    assert {(one.id, one.module, one.distribution, one.version) for one in found} == theirs


def test_comments_and_other_groups_are_passed_over(tmp_path):
    """Only the lines of our group are plugins."""
    _install(tmp_path, "acme", POINTS.encode())
    found, failures = discover(path=[str(tmp_path), str(tmp_path / "not-there")])
    assert [(one.id, one.module, one.version, one.summary) for one in found] == [
        ("acme", "acme.plugin", "1.0", "Made here.")
    ]
    assert (found[0].location, failures) == (str(tmp_path), ())


def test_extras_and_objects_are_no_part_of_the_module(tmp_path):
    """`module:object [extra]` names a module."""
    _install(tmp_path, "acme", f"[{GROUP}]\nacme=acme.plugin : hooks [fast]\n".encode())
    assert discover(path=[str(tmp_path)])[0][0].module == "acme.plugin"


def test_an_earlier_place_wins_and_rubbish_stops_nothing(tmp_path):
    """Of two installations of one distribution imports take the first; what cannot be read is passed over."""
    for place in ("first", "second"):
        _install(tmp_path / place, "acme", f"[{GROUP}]\nacme = acme.{place}\n".encode())
    _install(tmp_path / "first", "torn", b"\xff\xfe[" + GROUP.encode() + b"]\n\xff = \xff\n")
    (tmp_path / "first" / "file-1.0.dist-info").write_text("")
    (tmp_path / "archive.zip").write_bytes(b"PK")
    places = [str(tmp_path / name) for name in ("archive.zip", "first", "second")]
    found, _ = discover(path=places)
    assert [one.module for one in found if one.id == "acme"] == ["acme.first"]
