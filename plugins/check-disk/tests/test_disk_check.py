"""The disk check: share, size, inodes, read-only remounts, recovery of each volume, nonsense."""

import itertools
import math

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from msp_check_disk.check import evaluate
from msp_check_disk.limits import DiskLimits, MountLimits
from msp_check_disk.plugin import msp_checks
from msp_core.v1 import DiskFacts, Previous, Status, Verdict, Volume

GB = 10**9
LIMITS = DiskLimits()


def volume(total_gb: float, used_percent: float, mount: str = "C:", **more: object) -> Volume:
    total = round(total_gb * GB)
    return Volume(
        mount=mount, total_bytes=total, free_bytes=round(total * (1 - used_percent / 100)), **more
    )


def judge(*volumes: Volume, limits: DiskLimits = LIMITS, after: Verdict | None = None) -> Verdict:
    previous = after and Previous(status=after.status, data=after.data)
    return evaluate(DiskFacts(volumes=volumes), limits=limits, previous=previous)


def test_disk_record_names_what_exists() -> None:
    """The record is valid, answers to disk-space as well, and its references resolve."""
    (check,) = msp_checks()
    assert (check.id, check.aliases, check.limits, check.evaluate) == (
        "disk",
        ("disk-space",),
        f"{DiskLimits.__module__}:{DiskLimits.__name__}",
        f"{evaluate.__module__}:{evaluate.__name__}",
    )


@pytest.mark.parametrize(
    ("total_gb", "used", "status"),
    [
        (40, 84.9, "ok"),
        (40, 85, "warning"),
        (40, 92, "warning"),
        (40, 95, "critical"),
        (4000, 92, "ok"),  # 320 GB free
        (4000, 96, "warning"),  # 160 GB free
        (4000, 98, "critical"),  # 80 GB free
        (40_000, 99.9, "critical"),  # 40 GB free
    ],
)
def test_disk_levels_know_the_size(total_gb: float, used: float, status: str) -> None:
    """A percentage counts only while little is left in gigabytes."""
    assert judge(volume(total_gb, used)).status == status


def test_disk_absolute_limits_count_on_any_volume() -> None:
    """Little left in gigabytes is a problem at any percentage."""
    limits = evolve(LIMITS, warning_free_gb=10, critical_free_gb=5)
    assert judge(volume(20, 40), limits=limits).status is Status.OK
    assert judge(volume(20, 60), limits=limits).status is Status.WARNING
    assert judge(volume(20, 76), limits=limits).message.endswith("(critical below 5 GB free)")


def test_disk_message_is_what_people_need() -> None:
    """A problem names the volume, the use, what is left and the limit."""
    limits = evolve(LIMITS, critical_percent=90)
    facts = Volume(mount="C:", total_bytes=256 * GB, free_bytes=18 * GB)
    message = judge(facts, volume(100, 10, "D:"), limits=limits).message
    assert message == "C: 93.0 % used, 18.0 GB free of 256 GB (critical at 90 %)"
    assert judge(volume(100, 10, "D:"), volume(100, 20)).message.startswith(
        "2 volumes, fullest: C:"
    )


def test_disk_many_problems_make_a_short_message() -> None:
    """The worst three volumes are told, the rest counted; data and metrics hold all."""
    verdict = judge(*(volume(10, 99, f"/d{number}") for number in range(50)))
    assert verdict.message.endswith("and 47 more")
    assert len(verdict.data["volumes"]) == 50


@given(
    st.floats(0.01, 1e6), *[st.floats(0, 100)] * 4,
    st.sampled_from(["ok", "warning", "critical", "unknown", None, 3]),
)  # fmt: skip
def test_disk_worse_facts_never_look_better(
    total_gb: float, used: float, more: float, inodes: float, more_inodes: float, before: object
) -> None:
    """With the same past, a fuller volume never gets a better status, at any size."""
    limits = evolve(LIMITS, warning_free_gb=30, critical_free_gb=10)
    previous = Verdict(Status.OK, "", data={"volumes": {"C:": {"space": before, "inodes": before}}})

    def at(used: float, inodes: float) -> Status:
        free = int(10**6 * (1 - inodes / 100))
        item = volume(total_gb, used, inodes_total=10**6, inodes_free=free)
        return judge(item, limits=limits, after=previous).status

    worse = at(max(used, more), max(inodes, more_inodes))
    assert at(min(used, more), min(inodes, more_inodes)).rank <= worse.rank


NONSENSE = st.sampled_from([None, -1, math.nan, math.inf, 2**71, 10**5000, "40 GB", True])


@given(NONSENSE, st.one_of(NONSENSE, st.just(5 * GB)))
def test_disk_nonsense_is_unknown(total: object, free: object) -> None:
    """Sizes no volume has are UNKNOWN, beside a fine volume too, and the past is kept."""
    before = judge(volume(40, 99))
    verdict = judge(
        Volume(mount="C:", total_bytes=total, free_bytes=free), volume(50, 1, "D:"), after=before
    )
    assert verdict.status is Status.UNKNOWN
    assert verdict.data["volumes"]["C:"]["space"] == "critical"


def test_disk_nothing_to_judge_is_unknown() -> None:
    """No volumes, only ignored ones, a size of 0, more free than there is: never OK."""
    assert judge().status is Status.UNKNOWN
    limits = evolve(LIMITS, ignore_mounts=("c*",))
    assert judge(volume(10, 99), limits=limits).status is Status.UNKNOWN
    assert judge(Volume(mount="C:", total_bytes=0, free_bytes=0)).status is Status.UNKNOWN
    assert judge(Volume(mount="C:", total_bytes=5, free_bytes=6)).status is Status.UNKNOWN


def test_disk_images_are_not_judged() -> None:
    """A snap's squashfs is full by nature and never alarms."""
    snap = volume(0.1, 100, "/snap/core", filesystem="squashfs", read_only=True)
    verdict = judge(snap, volume(100, 10, "/"))
    assert verdict.status is Status.OK
    assert "/snap/core" not in verdict.data["volumes"]


def test_disk_inodes_run_out() -> None:
    """Used-up inodes are a problem on a half empty volume; file systems without inodes are left alone."""
    full = volume(100, 50, "/", inodes_total=1000, inodes_free=20)
    assert judge(full).status is Status.CRITICAL
    assert "98.0 % of inodes used (critical at 95 %)" in judge(full).message
    assert judge(volume(100, 50, inodes_total=0, inodes_free=0)).status is Status.OK
    assert judge(volume(100, 50, inodes_total=5, inodes_free=9)).status is Status.UNKNOWN


def test_disk_read_only_remount_is_critical_until_writable() -> None:
    """Writable once and read-only now is critical and stays so; read-only all along is meant to be."""
    sealed = judge(volume(100, 10, "/", read_only=True))
    assert sealed.status is Status.OK
    assert judge(volume(100, 10, "/", read_only=True), after=sealed).status is Status.OK
    verdict = judge(volume(100, 10, "/", read_only=False))
    for _ in range(3):
        verdict = judge(volume(100, 10, "/", read_only=True), after=verdict)
        assert verdict.status is Status.CRITICAL
        assert verdict.message.endswith("; turned read-only")
    not_said = judge(volume(100, 10, "/"), after=verdict)
    assert judge(volume(100, 10, "/", read_only=True), after=not_said).status is Status.CRITICAL
    allowed = evolve(LIMITS, read_only_mounts=("/",))
    assert (
        judge(volume(100, 10, "/", read_only=True), after=verdict, limits=allowed).status
        is Status.OK
    )
    assert judge(volume(100, 10, "/", read_only=False), after=verdict).status is Status.OK


def test_disk_each_volume_recovers_by_itself() -> None:
    """One volume on its way down keeps its state while another on the same value never had it."""
    first = judge(volume(40, 96, "C:"), volume(40, 50, "D:"))
    second = judge(volume(40, 92, "C:"), volume(40, 92, "D:"), after=first)
    assert {m: v["space"] for m, v in second.data["volumes"].items()} == {
        "C:": "critical",
        "D:": "warning",
    }
    third = judge(volume(40, 82, "C:"), volume(40, 80, "D:"), after=second)
    assert {m: v["space"] for m, v in third.data["volumes"].items()} == {
        "C:": "warning",
        "D:": "ok",
    }


@given(st.lists(st.floats(194, 209), min_size=2, max_size=20))
def test_disk_large_volume_does_not_flap_around_enough(free: list[float]) -> None:
    """Free space that wobbles a little around "enough" changes the status at most once."""
    verdict, seen = None, []
    for gigabytes in free:
        item = Volume(mount="D:", total_bytes=8000 * GB, free_bytes=round(gigabytes * GB))
        verdict = judge(item, after=verdict)
        seen.append(verdict.status)
    assert sum(a is not b for a, b in itertools.pairwise(seen)) <= 1


def test_disk_limits_of_one_mount() -> None:
    """A volume with its own limits is judged by them, in any case of its letter."""
    limits = evolve(LIMITS, mounts={"d:": MountLimits(warning_percent=97, critical_percent=99)})
    assert judge(volume(40, 96, "C:"), limits=limits).status is Status.CRITICAL
    assert judge(volume(40, 96, "D:"), limits=limits).status is Status.OK


@pytest.mark.parametrize(
    "wrong",
    [
        {"warning_percent": 99},
        {"critical_percent": -5},
        {"critical_enough_free_gb": 900},
        {"warning_free_gb": 5, "critical_free_gb": 6},
        {"mounts": {"C:": MountLimits(critical_percent=10)}},
    ],
)
def test_disk_limits_that_contradict_are_refused(wrong: dict) -> None:
    """Limits in the wrong order are a ValueError that names the field."""
    with pytest.raises(ValueError, match=r"percent|free_gb"):
        DiskLimits(**wrong)


@given(st.text(max_size=500))
def test_disk_mount_names_are_made_printable(mount: str) -> None:
    """A volume may have any name; the message stays printable and short."""
    verdict = judge(volume(40, 99, mount))
    assert verdict.status is Status.CRITICAL
    assert verdict.message.isprintable()
    assert len(verdict.message) < 200
