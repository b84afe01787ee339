"""Hypothesis strategies: devices, alerts, facts, pages of a vendor's answers, jumps of the clock."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from msp_core.facts import (
    ConnectivityFacts,
    CpuFacts,
    DiskFacts,
    MemoryFacts,
    ServiceFact,
    ServiceFacts,
    ServiceStart,
    ServiceState,
    Volume,
)
from msp_core.model import DeviceKind, OsFamily
from msp_core.status import Severity
from msp_core.vendor import VendorAlert, VendorDevice

_SAYS_NOTHING = st.none()
_MOST_BYTES = 2**60

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3)
    ),
    max_leaves=8,
)
"""Any JSON value, NaN and infinities included, as sloppy vendors send them."""

stored_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3)
    ),
    max_leaves=6,
)
"""Any JSON value as it comes back from our own records: without NaN and infinities."""


def times() -> st.SearchStrategy[datetime]:
    """Aware UTC times of this century, those around a change of daylight saving time among them."""
    changes = [datetime(2026, 3, 29, 0, 59, tzinfo=UTC), datetime(2026, 11, 1, 5, 59, tzinfo=UTC)]
    near = st.builds(
        lambda at, by: at + by,
        st.sampled_from(changes),
        st.timedeltas(min_value=timedelta(minutes=-5), max_value=timedelta(hours=2)),
    )
    span = st.datetimes(datetime(2001, 1, 1), datetime(2099, 1, 1))  # noqa: DTZ001 - made aware below
    return near | span.map(lambda at: at.replace(tzinfo=UTC))


def clock_jumps() -> st.SearchStrategy[timedelta]:
    """What a machine's clock does: creep, stand still, leap, be set back."""
    creep = st.timedeltas(min_value=timedelta(0), max_value=timedelta(minutes=10))
    leap = st.timedeltas(min_value=timedelta(hours=-26), max_value=timedelta(days=400))
    return creep | leap | st.sampled_from([timedelta(0), timedelta(hours=1), timedelta(hours=-1)])


def names() -> st.SearchStrategy[str]:
    """Names as people and vendors write them: every script, quotes, markup, control characters."""
    nasty = [
        "O'Brien & Söhne",
        "<script>",
        "=cmd()",
        "日本 株式会社",
        "a\x1b[31mb",
        "x" * 300,
        "../..",
        "DC01 ",
    ]
    return st.sampled_from(nasty) | st.text(min_size=1, max_size=30)


def ids() -> st.SearchStrategy[str]:
    """A vendor's ids, as text."""
    return st.integers(1, 10**9).map(str)


def devices(*, clients: st.SearchStrategy[str] | None = None) -> st.SearchStrategy[VendorDevice]:
    """Devices as a console knows them, with much left unsaid."""
    return st.builds(
        VendorDevice,
        external_id=ids(),
        client_external_id=clients or ids(),
        name=names(),
        hostname=names(),
        kind=st.sampled_from(DeviceKind),
        os=st.sampled_from(OsFamily),
        online=st.none() | st.booleans(),
        last_seen=_SAYS_NOTHING | times(),
    )


def alerts() -> st.SearchStrategy[VendorAlert]:
    """Alerts as a console knows them."""
    return st.builds(
        VendorAlert,
        external_id=ids(),
        device_external_id=st.none() | ids(),
        message=st.text(max_size=80),
        severity=st.none() | st.sampled_from(Severity),
        opened_at=_SAYS_NOTHING | times(),
    )


def _percent() -> st.SearchStrategy[float | None]:
    return st.none() | st.floats(0, 100)


def volumes() -> st.SearchStrategy[Volume]:
    """Volumes whose free space fits into them, or is not said."""

    def volume(mount: str, total: int | None, share: float | None) -> Volume:
        free = None if total is None or share is None else int(total * share)
        return Volume(mount=mount, total_bytes=total, free_bytes=free)

    mounts = st.sampled_from(["C:", "D:", "/", "/var", "/mnt/a b"])
    return st.builds(
        volume, mounts, st.none() | st.integers(0, _MOST_BYTES), st.none() | st.floats(0, 1)
    )


def _mount(volume: Volume) -> str:
    return volume.mount


def _fact_kinds() -> dict[type, st.SearchStrategy[Any]]:
    services = st.builds(
        ServiceFact,
        name=st.text(min_size=1, max_size=12),
        state=st.sampled_from(ServiceState),
        start=st.sampled_from(ServiceStart),
    )
    whole = st.none() | st.integers(0, _MOST_BYTES)
    disks = st.lists(volumes(), max_size=4, unique_by=_mount).map(tuple)
    return {
        CpuFacts: st.builds(CpuFacts, used_percent=_percent(), steal_percent=_percent()),
        MemoryFacts: st.builds(MemoryFacts, total_bytes=whole, available_bytes=whole),
        DiskFacts: st.builds(DiskFacts, volumes=disks),
        ServiceFacts: st.builds(ServiceFacts, services=st.lists(services, max_size=4).map(tuple)),
        ConnectivityFacts: st.builds(
            ConnectivityFacts,
            online=st.none() | st.booleans(),
            last_seen=_SAYS_NOTHING | times(),
        ),
    }


def facts() -> st.SearchStrategy[object]:
    """Facts of the kernel's own kinds, each field said or not said."""
    return st.one_of(*_fact_kinds().values())


def facts_of(kind: type) -> st.SearchStrategy[Any]:
    """Facts of one kind; of a kind of your own whatever its field types allow."""
    known = _fact_kinds()
    return known[kind] if kind in known else st.from_type(kind)


def pages(
    items: st.SearchStrategy[Any] | None = None, *, size: int = 5
) -> st.SearchStrategy[list[list[Any]]]:
    """Pages of an API's answer: full ones and a last one that may be short, empty or missing."""
    one = items or st.dictionaries(st.text(max_size=8), json_values, max_size=4)
    full = st.lists(st.lists(one, min_size=size, max_size=size), max_size=3)
    last = st.lists(one, max_size=size)
    return st.builds(lambda many, rest: [*many, rest], full, last)
