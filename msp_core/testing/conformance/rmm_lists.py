"""Cases about what an RMM adapter lists: all of it, each thing once, true, for the clients asked for."""

import asyncio
from datetime import timedelta
from typing import Any

from msp_core import protocols
from msp_core.protocols import Probes
from msp_core.secrets import SecretRef
from msp_core.testing.conformance.rig import INSTANCE, Rig, make
from msp_core.vendor import Quarantined, VendorAlert

_CAPABILITIES = ("ListsClients", "ListsDevices", "ReadsAlerts", "RunsCommands", "DeploysAgents")


class ListCases:
    """Listing and the adapter's record."""

    async def test_probe_says_a_line_for_people(self, rig: Rig) -> None:
        """`probe` makes a call and returns one line."""
        said = await rig.adapter.probe(rig.ctx)
        assert isinstance(said, str), "probe returns text"
        assert said.strip(), "probe says nothing"
        assert "\n" not in said, "probe says more than one line"
        rig.assert_no_secret(said, "probe")

    async def test_probe_is_cheap(self, rig: Rig) -> None:
        """`probe` asks at most 3 times besides logging in, and once at least."""
        rig.need_http()
        await rig.adapter.probe(rig.ctx)
        assert 1 <= len(rig.data_requests()) <= 3, f"probe asked {len(rig.data_requests())} times"

    async def test_building_the_adapter_sends_nothing(self, rig: Rig) -> None:
        """The factory does no I/O; the first request belongs to the first call."""
        assert rig.vendor.requests == []

    async def test_what_it_offers_is_what_it_implements(self, rig: Rig) -> None:
        """`offers` of the record names exactly the Protocols the adapter has the methods of."""
        assert isinstance(rig.adapter, Probes), "every adapter has probe and aclose"
        for name in _CAPABILITIES:
            protocol = getattr(protocols, name)
            has, says = isinstance(rig.adapter, protocol), protocol in rig.record.offers
            assert has == says, f"{name}: offered {says}, implemented {has}"

    async def test_credentials_are_settings(self, rig: Rig) -> None:
        """Credentials of the record are fields of the settings, secret ones typed `SecretRef | None`."""
        import typing

        hints = typing.get_type_hints(rig.toolkit.registry.load(rig.record.settings))
        for credential in rig.record.credentials:
            assert credential.name in hints, f"{credential.name} is no field of the settings"
        for name in rig.backend.secrets:
            assert name in {one.name for one in rig.record.credentials}, f"{name} is not declared"
            assert SecretRef in typing.get_args(hints[name]), f"{name} is not SecretRef | None"

    async def test_every_client_is_listed_once(self, rig: Rig) -> None:
        """The clients are those of the vendor."""
        rig.need("list_clients")
        found = await rig.all_of(rig.adapter.list_clients(rig.ctx))
        assert sorted(one.name for one in found) == sorted(rig.backend.truth().clients)

    async def test_every_site_belongs_to_a_listed_client(self, rig: Rig) -> None:
        """The sites are those of the vendor, each at a client that is listed."""
        rig.need("list_clients")
        clients = {one.external_id for one in await rig.all_of(rig.adapter.list_clients(rig.ctx))}
        sites = await rig.all_of(rig.adapter.list_sites(rig.ctx))
        assert {one.name for one in sites} == set(rig.backend.truth().sites)
        assert {one.client_external_id for one in sites} <= clients

    async def test_every_device_is_listed_once(self, rig: Rig) -> None:
        """All devices, over many pages, none twice, none quarantined."""
        found = await rig.everything()
        assert not [one for one in found if isinstance(one, Quarantined)], (
            "sound devices quarantined"
        )
        rig.assert_complete(found)

    async def test_devices_belong_to_their_clients(self, rig: Rig) -> None:
        """Each device names the client it belongs to, by the id the client is listed under."""
        rig.need("list_clients", "list_devices")
        names = {
            one.external_id: one.name for one in await rig.all_of(rig.adapter.list_clients(rig.ctx))
        }
        truth = rig.backend.truth().devices
        for one in await rig.devices():
            assert names.get(one.client_external_id) == truth[one.name].client, one.name

    async def test_ids_are_text(self, rig: Rig) -> None:
        """External ids are non-empty text and differ."""
        ids = [one.external_id for one in await rig.devices()]
        assert all(type(one) is str for one in ids), "an id is no text"
        assert all(ids), "an id is empty"
        assert len(set(ids)) == len(ids)

    async def test_online_is_true(self, rig: Rig) -> None:
        """`online` is what the vendor says, None where it says nothing."""
        truth = rig.backend.truth().devices
        for one in await rig.devices():
            if truth[one.name].online is not None:
                assert one.online == truth[one.name].online, one.name

    async def test_times_are_aware(self, rig: Rig) -> None:
        """`last_seen` has a time zone, and it is UTC."""
        for one in await rig.devices():
            if one.last_seen is not None:
                assert one.last_seen.utcoffset() == timedelta(0), f"{one.name}: {one.last_seen}"

    async def test_times_are_true(self, rig: Rig) -> None:
        """`last_seen` is the vendor's moment, whatever zone it writes it in; a second may be lost."""
        truth = rig.backend.truth().devices
        for one in await rig.devices():
            real = truth[one.name].last_seen
            if real is not None:
                assert one.last_seen is not None, f"{one.name}: no time"
                assert abs(one.last_seen - real) < timedelta(seconds=1), (
                    f"{one.name}: {one.last_seen} instead of {real}"
                )

    async def test_devices_of_one_client(self, rig: Rig) -> None:
        """Only the devices of the client asked for come, and all of them."""
        everything = await rig.devices()
        client = everything[-1].client_external_id
        found = await rig.devices([client])
        wanted = {one.external_id for one in everything if one.client_external_id == client}
        assert {one.external_id for one in found} == wanted
        assert len(found) == len(wanted)

    async def test_devices_of_two_clients(self, rig: Rig) -> None:
        """Several clients are asked for at once."""
        everything = await rig.devices()
        clients = sorted({one.client_external_id for one in everything})[:2]
        found = await rig.devices(clients)
        wanted = {one.external_id for one in everything if one.client_external_id in clients}
        assert {one.external_id for one in found} == wanted

    async def test_devices_of_no_client_are_none(self, rig: Rig) -> None:
        """An empty list of clients means none, not all, and asks nobody."""
        assert await rig.everything([]) == []
        assert rig.vendor.requests == []

    async def test_a_client_that_does_not_exist_has_no_devices(self, rig: Rig) -> None:
        """An unknown client gives nothing, not everything."""
        assert await rig.devices(["987654321"]) == []

    async def test_hostile_client_ids_are_harmless(self, rig: Rig) -> None:
        """An id that is no id selects nothing and does not change the path asked."""
        for hostile in ("../../admin", "1 or 1=1", "%2e%2e", "1)#"):
            assert await rig.devices([hostile]) == [], hostile
        asked = [one.path for one in rig.data_requests()]
        assert not [path for path in asked if "admin" in path or "%2e" in path.lower()], asked

    async def test_listing_twice_gives_the_same(self, rig: Rig) -> None:
        """Nothing is kept from one listing that spoils the next."""
        assert {one.external_id for one in await rig.devices()} == {
            one.external_id for one in await rig.devices()
        }

    async def test_listings_at_the_same_time_do_not_mix(self, rig: Rig) -> None:
        """Three listings at once each see everything."""
        for found in await asyncio.gather(*(rig.devices() for _ in range(3))):
            rig.assert_complete(found)

    async def test_a_listing_may_be_left_early(self, rig: Rig) -> None:
        """Who stops reading after the first device causes no further requests and no error."""
        rig.need("list_devices")
        stream = rig.adapter.list_devices(rig.ctx)
        await anext(stream)
        await stream.aclose()
        asked = len(rig.vendor.requests)
        await asyncio.sleep(0.02)
        assert len(rig.vendor.requests) == asked
        rig.assert_complete(await rig.devices())

    async def test_instances_share_nothing(self, rig: Rig, tmp_path: Any) -> None:
        """A second instance asks its own address with its own credentials."""
        rig.need_http()
        await rig.devices()
        before = len(rig.vendor.requests)
        from msp_core.testing.vendor import Reply, Vendor

        async with (
            Vendor(lambda _: Reply(status=503)) as other,
            make(rig.plugin, rig.record.id, rig.backend, tmp_path / "other", other.url) as toolkit,
        ):
            adapter = await toolkit.adapter(INSTANCE)
            try:
                found = [one async for one in adapter.list_devices(toolkit.context())]
            except Exception:
                found = []
            assert found == [], "it shows another instance's devices"
            assert other.requests, "it never asked its own address"
        assert len(rig.vendor.requests) == before, "it asked the other instance's address"


class AlertCases:
    """Reading alerts."""

    async def _alerts(self, rig: Rig, *arguments: Any) -> list[VendorAlert]:
        rig.need("read_alerts")
        found = await rig.all_of(rig.adapter.read_alerts(rig.ctx, *arguments))
        assert not [one for one in found if isinstance(one, Quarantined)], (
            "sound alerts quarantined"
        )
        return found

    async def test_every_alert_is_read_once(self, rig: Rig) -> None:
        """The open alerts are those of the vendor, at the right devices."""
        found = await self._alerts(rig)
        names = {one.external_id: one.name for one in await rig.devices()}
        counts: dict[str, int] = {}
        for one in found:
            name = names.get(one.device_external_id or "", "?")
            counts[name] = counts.get(name, 0) + 1
        assert counts == dict(rig.backend.truth().alerts)
        assert len({one.external_id for one in found}) == len(found)

    async def test_alerts_of_one_client(self, rig: Rig) -> None:
        """Only the alerts of the client asked for come."""
        everything = await self._alerts(rig)
        clients = {one.external_id: one.client_external_id for one in await rig.devices()}
        chosen = sorted(set(clients.values()))[0]
        found = await self._alerts(rig, [chosen])
        wanted = {
            one.external_id
            for one in everything
            if clients.get(one.device_external_id or "") == chosen
        }
        assert {one.external_id for one in found} == wanted

    async def test_alerts_of_no_client_are_none(self, rig: Rig) -> None:
        """An empty list of clients means none, not all."""
        assert await self._alerts(rig, []) == []

    async def test_old_alerts_are_left_out(self, rig: Rig) -> None:
        """`since` leaves out what was opened before, and keeps what was opened at that very moment."""
        everything = await self._alerts(rig)
        dated = sorted(one.opened_at for one in everything if one.opened_at)
        if dated:
            found = await self._alerts(rig, None, dated[-1])
            assert all(one.opened_at is None or one.opened_at >= dated[-1] for one in found)
            assert any(one.opened_at == dated[-1] for one in found)

    async def test_alert_times_are_aware(self, rig: Rig) -> None:
        """`opened_at` is UTC."""
        for one in await self._alerts(rig):
            assert one.opened_at is None or one.opened_at.utcoffset() == timedelta(0)
