"""RMM adapters that list wrongly, each with the case that must catch it; other modules add to `BROKEN`."""

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import attrs
import pytest

from msp_core.v1 import OsFamily, Quarantined, VendorDevice, VendorError

Breakage = Callable[[pytest.MonkeyPatch, SimpleNamespace], None]
BROKEN: dict[str, tuple[str, Breakage]] = {}


def caught_by(case: str) -> Callable[[Breakage], Breakage]:
    def register(breakage: Breakage) -> Breakage:
        BROKEN[breakage.__name__] = (f"test_{case}", breakage)
        return breakage

    return register


def _items(patch: pytest.MonkeyPatch, acme: SimpleNamespace, **ways: bool) -> None:
    """Replace the reader of lists by one that is careless in some ways."""

    async def items(http: Any, path: str, size: int) -> Any:
        page = 1
        while True:
            try:
                rows = await http.get_json(path, params={"page": page, "size": size})
            except VendorError:
                if ways.get("swallow"):
                    return
                raise
            if ways.get("null_is_empty"):
                rows = rows or []
            if not rows:
                return
            for row in rows:
                yield row
            if ways.get("first_only"):
                return
            page += 1

    patch.setattr(acme.adapter, "items", items)


def _device(patch: pytest.MonkeyPatch, acme: SimpleNamespace, **changes: Any) -> None:
    """Change what is made of a device's item: field -> function of the item and the right value."""
    real = acme.shapes.device

    def device(item: Any) -> VendorDevice:
        found = real(item)
        new = {name: change(item, getattr(found, name)) for name, change in changes.items()}
        return attrs.evolve(found, **new)

    patch.setattr(acme.shapes, "device", device)


def devices_through(
    patch: pytest.MonkeyPatch, acme: SimpleNamespace, wrap: Callable[..., Any]
) -> None:
    """Put something around the listing of devices: `wrap(self, ctx, ids, real)` is an async generator."""
    real = acme.adapter.Rmm.list_devices

    def list_devices(self: Any, ctx: Any, client_external_ids: Any = None) -> Any:
        return wrap(self, ctx, client_external_ids, real)

    patch.setattr(acme.adapter.Rmm, "list_devices", list_devices)


@caught_by("every_device_is_listed_once")
def reads_the_first_page_only(patch: Any, acme: Any) -> None:
    _items(patch, acme, first_only=True)


@caught_by("a_later_page_that_keeps_failing_is_an_error")
def takes_an_error_for_the_end(patch: Any, acme: Any) -> None:
    _items(patch, acme, swallow=True)


@caught_by("a_later_page_that_is_refused_is_an_error")
def takes_a_refusal_for_the_end(patch: Any, acme: Any) -> None:
    _items(patch, acme, swallow=True)


@caught_by("an_item_on_two_pages_comes_once")
def lists_moving_devices_twice(patch: Any, acme: Any) -> None:
    _items(patch, acme)


@caught_by("a_page_that_repeats_ends")
def reads_repeating_pages_for_ever(patch: Any, acme: Any) -> None:
    _items(patch, acme)


@caught_by("a_web_page_is_an_error")
def takes_a_web_page_for_nothing(patch: Any, acme: Any) -> None:
    _items(patch, acme, swallow=True)


@caught_by("null_is_an_error")
def takes_null_for_nothing(patch: Any, acme: Any) -> None:
    _items(patch, acme, null_is_empty=True)


@caught_by("a_text_among_the_devices")
def drops_bad_items_silently(patch: Any, acme: Any) -> None:
    async def kept(self: Any, ctx: Any, ids: Any, real: Any) -> Any:
        async for one in real(self, ctx, ids):
            if not isinstance(one, Quarantined):
                yield one

    devices_through(patch, acme, kept)


@caught_by("null_among_the_devices")
def stops_at_a_bad_item(patch: Any, acme: Any) -> None:
    async def strict(self: Any, ctx: Any, ids: Any, real: Any) -> Any:
        async for one in real(self, ctx, ids):
            if isinstance(one, Quarantined):
                raise ValueError(one.reason)
            yield one

    devices_through(patch, acme, strict)


@caught_by("a_device_with_a_null_id")
def calls_a_device_none(patch: Any, acme: Any) -> None:
    patch.setattr(acme.shapes, "_text", lambda item, name: str(item.get(name)))


@caught_by("times_are_aware")
def gives_naive_times(patch: Any, acme: Any) -> None:
    _device(patch, acme, last_seen=lambda _, at: at and _Naive.of(at))


class _Naive(datetime):
    """A time without a zone, which cannot be compared by accident."""

    @classmethod
    def of(cls, at: datetime) -> datetime:
        return at.replace(tzinfo=None)


@caught_by("times_are_true")
def drops_the_offset(patch: Any, acme: Any) -> None:
    def read(value: Any) -> Any:
        return datetime.fromisoformat(value).replace(tzinfo=UTC) if value else None

    patch.setattr(acme.shapes, "_time", read)


@caught_by("nonsense_for_a_time")
def breaks_at_nonsense_for_a_time(patch: Any, acme: Any) -> None:
    patch.setattr(acme.shapes, "_time", lambda value: value and datetime.fromtimestamp(value, UTC))


@caught_by("fields_left_out")
def makes_up_a_time(patch: Any, acme: Any) -> None:
    _device(patch, acme, last_seen=lambda _, at: at or datetime.now(UTC))


@caught_by("unknown_words_survive")
def knows_all_systems(patch: Any, acme: Any) -> None:
    _device(patch, acme, os=lambda item, _: OsFamily(item["system"]))


@caught_by("ids_are_text")
def gives_numbers_for_ids(patch: Any, acme: Any) -> None:
    _device(patch, acme, external_id=lambda item, _: item["id"])


@caught_by("ids_may_change_their_type")
def marks_the_type_in_the_id(patch: Any, acme: Any) -> None:
    _device(patch, acme, external_id=lambda item, _: repr(item["id"]))


@caught_by("devices_belong_to_their_clients")
def mixes_up_clients(patch: Any, acme: Any) -> None:
    _device(patch, acme, client_external_id=lambda item, _: str(1 + int(item["client_id"]) % 3))


@caught_by("online_is_true")
def thinks_everything_is_online(patch: Any, acme: Any) -> None:
    _device(patch, acme, online=lambda *_: True)


@caught_by("names_are_kept_as_they_are")
def writes_ascii_names(patch: Any, acme: Any) -> None:
    _device(patch, acme, name=lambda _, name: name.encode("ascii", "replace").decode())


@caught_by("devices_of_no_client_are_none")
def takes_no_clients_for_all(patch: Any, acme: Any) -> None:
    async def falsy(self: Any, ctx: Any, ids: Any, real: Any) -> Any:
        async for one in real(self, ctx, ids or None):
            yield one

    devices_through(patch, acme, falsy)


@caught_by("devices_of_one_client")
def ignores_the_clients_asked_for(patch: Any, acme: Any) -> None:
    async def unfiltered(self: Any, ctx: Any, _: Any, real: Any) -> Any:
        async for one in real(self, ctx, None):
            yield one

    devices_through(patch, acme, unfiltered)


@caught_by("hostile_client_ids_are_harmless")
def puts_client_ids_into_paths(patch: Any, acme: Any) -> None:
    async def by_path(self: Any, ctx: Any, ids: Any, real: Any) -> Any:
        for id in ids or ():
            await self.http.get_json(f"/clients/{id}/devices")
        async for one in real(self, ctx, ids):
            yield one

    devices_through(patch, acme, by_path)


@caught_by("listing_twice_gives_the_same")
def remembers_what_it_listed(patch: Any, acme: Any) -> None:
    async def once(self: Any, ctx: Any, ids: Any, real: Any) -> Any:
        known = self.__dict__.setdefault("known", set())
        async for one in real(self, ctx, ids):
            if one.external_id not in known:
                known.add(one.external_id)
                yield one

    devices_through(patch, acme, once)


@caught_by("instances_share_nothing")
def keeps_devices_for_all_instances(patch: Any, acme: Any) -> None:
    kept: list[Any] = []

    async def cached(self: Any, ctx: Any, ids: Any, real: Any) -> Any:
        if not kept:
            kept.extend([one async for one in real(self, ctx, ids)])
        for one in kept:
            yield one

    devices_through(patch, acme, cached)
