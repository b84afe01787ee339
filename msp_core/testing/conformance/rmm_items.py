"""Cases about items that are not as they should be: the bad one is set aside and named, all others stay."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from msp_core.errors import VendorError
from msp_core.testing.conformance.rig import Rig
from msp_core.vendor import Quarantined


def _each(change: Callable[[dict[str, Any]], object]) -> Callable[[list[Any]], None]:
    def spoil(items: list[Any]) -> None:
        for item in items:
            change(item)

    return spoil


class ItemCases:
    """Devices of a vendor that changed its mind."""

    async def _with_a_bad_item(self, rig: Rig, bad: Callable[[dict[str, Any]], Any]) -> None:
        """Put a bad item in front of each page's devices: it must be quarantined, and nothing be lost."""

        def spoil(items: list[Any]) -> None:
            if items:
                items.insert(0, bad(dict(items[0])))

        rig.spoil_devices(spoil)
        found = await rig.everything()
        rig.assert_complete([one for one in found if not isinstance(one, Quarantined)])
        quarantined = [one for one in found if isinstance(one, Quarantined)]
        assert quarantined, "the bad item vanished without a word"
        for one in quarantined:
            assert one.reason, "it does not say why"
            assert len(one.reason) < 500, "it repeats the item"

    async def test_a_text_among_the_devices(self, rig: Rig) -> None:
        """An item that is no object is quarantined."""
        await self._with_a_bad_item(rig, lambda _: "### not an object ###")

    async def test_null_among_the_devices(self, rig: Rig) -> None:
        """An item that is null is quarantined."""
        await self._with_a_bad_item(rig, lambda _: None)

    async def test_a_list_among_the_devices(self, rig: Rig) -> None:
        """An item that is a list is quarantined."""
        await self._with_a_bad_item(rig, lambda _: [1, 2])

    async def test_a_device_without_id(self, rig: Rig) -> None:
        """A device that nobody can name again is quarantined, not given a made-up id."""
        own = rig.backend.fields.ids[0]
        await self._with_a_bad_item(rig, lambda item: {k: v for k, v in item.items() if k != own})

    async def test_a_device_with_a_null_id(self, rig: Rig) -> None:
        """`null` is no id, and "None" neither."""
        await self._with_a_bad_item(rig, lambda item: {**item, rig.backend.fields.ids[0]: None})

    async def test_a_device_with_an_object_for_an_id(self, rig: Rig) -> None:
        """An object is no id."""
        await self._with_a_bad_item(rig, lambda item: {**item, rig.backend.fields.ids[0]: {"x": 1}})

    async def test_nothing_but_bad_items(self, rig: Rig) -> None:
        """A list of rubbish gives a list of what was set aside, or an error."""

        def spoil(items: list[Any]) -> None:
            items[:] = ["rubbish"] * len(items)

        hits = rig.spoil_devices(spoil)
        try:
            found = await rig.everything()
        except VendorError:
            return  # without a single id it may not know where to go on
        assert all(isinstance(one, Quarantined) for one in found)
        assert len(found) >= hits[0]

    async def test_ids_may_change_their_type(self, rig: Rig) -> None:
        """17 and "17" are the same id."""
        before = {one.name: one.external_id for one in await rig.devices()}

        def other(item: dict[str, Any]) -> None:
            for name in rig.backend.fields.ids:
                value = item.get(name)
                if isinstance(value, int):
                    item[name] = str(value)
                elif isinstance(value, str) and value.isdigit():
                    item[name] = int(value)

        rig.spoil_devices(_each(other))
        assert {one.name: one.external_id for one in await rig.devices()} == before

    async def test_unknown_fields_are_ignored(self, rig: Rig) -> None:
        """A vendor may add fields."""
        rig.spoil_devices(_each(lambda item: item.update(brandNewField={"deep": [1, {"x": None}]})))
        rig.assert_complete(await rig.devices())

    async def test_unknown_words_survive(self, rig: Rig) -> None:
        """A word nobody knows yet costs neither the device nor the list."""
        words = rig.backend.fields.words
        rig.spoil_devices(_each(lambda item: item.update(dict.fromkeys(words, "BRAND_NEW_WORD"))))
        rig.assert_complete(await rig.devices())

    async def test_words_of_another_type_do_not_stop_the_list(self, rig: Rig) -> None:
        """A number or an object where a word should be costs one device at the most."""
        words = rig.backend.fields.words

        def spoil(items: list[Any]) -> None:
            for item, value in zip(items, (7, {"name": "x"}, ["a"]), strict=False):
                item.update(dict.fromkeys(words, value))

        rig.spoil_devices(spoil)
        await self._all_accounted_for(rig)

    async def test_fields_left_out(self, rig: Rig) -> None:
        """A device with nothing but ids and a name is a device."""
        keep = {*rig.backend.fields.ids, rig.backend.fields.name}

        def strip(item: dict[str, Any]) -> None:
            for name in set(item) - keep:
                del item[name]

        rig.spoil_devices(_each(strip))
        found = await rig.devices()
        rig.assert_complete(found)
        assert all(one.last_seen is None for one in found), "a time was made up"

    async def test_null_fields_do_not_stop_the_list(self, rig: Rig) -> None:
        """null in every field but ids and name says nothing."""
        keep = {*rig.backend.fields.ids, rig.backend.fields.name}
        rig.spoil_devices(_each(lambda item: item.update(dict.fromkeys(set(item) - keep))))
        rig.assert_complete(await rig.devices())

    async def test_nonsense_for_a_time(self, rig: Rig) -> None:
        """What is no time becomes None or quarantines its device; nothing breaks."""
        nonsense: tuple[Any, ...] = (
            "not a time",
            -1,
            1e300,
            {},
            "0001-01-01T00:00:00",
            "9999-12-31T23:59:59Z",
            True,
        )

        def spoil(items: list[Any]) -> None:
            for place, item in enumerate(items):
                item.update(
                    dict.fromkeys(rig.backend.fields.times, nonsense[place % len(nonsense)])
                )

        rig.spoil_devices(spoil)
        await self._all_accounted_for(rig)

    async def test_times_without_a_zone_are_aware(self, rig: Rig) -> None:
        """A time written without a zone is UTC or nothing, never naive."""
        times = dict.fromkeys(rig.backend.fields.times, "2026-01-15T08:30:00")
        rig.spoil_devices(_each(lambda item: item.update(times)))
        await self._all_accounted_for(rig)

    async def test_times_of_other_zones(self, rig: Rig) -> None:
        """A time with an offset is the same moment in UTC."""
        times = dict.fromkeys(rig.backend.fields.times, "2026-01-15T08:30:00+05:30")
        rig.spoil_devices(_each(lambda item: item.update(times)))
        for one in await self._all_accounted_for(rig):
            assert one.last_seen is None or (one.last_seen.hour, one.last_seen.minute) == (3, 0)

    async def test_names_are_kept_as_they_are(self, rig: Rig) -> None:
        """Names come in every script."""
        name = rig.backend.fields.name
        rig.spoil_devices(_each(lambda item: item.update({name: f"Zürich 日本 {item[name]}"})))
        found = await rig.devices()
        assert {one.name for one in found} == {
            f"Zürich 日本 {known}" for known in rig.backend.truth().devices
        }

    async def test_huge_and_nasty_names_do_not_stop_the_list(self, rig: Rig) -> None:
        """A name of 100 000 characters, or of control characters, costs no other device."""
        nasty = ("x" * 100_000, "\x1b[31mred\x00\r\n", "'; drop table clients; --")

        def spoil(items: list[Any]) -> None:
            for item, value in zip(items, nasty, strict=False):
                item[rig.backend.fields.name] = value

        rig.spoil_devices(spoil)
        found = await rig.everything()
        assert len(found) == len(rig.backend.truth().devices)

    async def _all_accounted_for(self, rig: Rig) -> list[Any]:
        found = await rig.everything()
        assert len(found) == len(rig.backend.truth().devices), (
            f"{len(found)} read or quarantined of {len(rig.backend.truth().devices)}"
        )
        kept = [one for one in found if not isinstance(one, Quarantined)]
        for one in kept:
            if one.last_seen is not None:
                assert one.last_seen.utcoffset() == timedelta(0), f"{one.name}: {one.last_seen!r}"
        return kept
