"""Sorting devices so that no console waits for another, and so that memory holds a part at a time."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msp_health.catalog import CheckSpec
from msp_health.planner import Subject


def lanes(subjects: Sequence[Subject], chunk_devices: int) -> Iterator[Iterable[list[Subject]]]:
    """Sort devices into lanes that share no adapter instance set, each in chunks of whole order.

    Lanes run side by side, so that clients of one console never wait for another console. All lanes together hold about
    one chunk of devices at a time.
    """
    instances: dict[str, set[str]] = {}
    for subject in subjects:
        instances.setdefault(subject.device.client_id, set()).update(subject.links)
    by_lane: dict[frozenset[str], list[Subject]] = {}
    for subject in subjects:
        lane = frozenset(instances[subject.device.client_id])
        by_lane.setdefault(lane, []).append(subject)
    for members in by_lane.values():
        size = max(1, chunk_devices * len(members) // len(subjects))
        yield _chunks(members, size)


def _chunks(members: list[Subject], size: int) -> Iterator[list[Subject]]:
    for start in range(0, len(members), size):
        yield members[start : start + size]


def by_checks(
    chunk: Sequence[Subject], checks_of: Mapping[str, tuple[CheckSpec, ...]]
) -> Iterator[tuple[tuple[CheckSpec, ...], list[Subject]]]:
    """Yield the devices of a chunk by the checks their clients have."""
    groups: dict[tuple[CheckSpec, ...], list[Subject]] = {}
    for subject in chunk:
        groups.setdefault(checks_of[subject.device.client_id], []).append(subject)
    yield from groups.items()
