"""Adapters that are rude, leak or cannot be stopped, each with the case that must catch it."""

import asyncio
import logging
from typing import Any

import attrs
from broken_rmm import caught_by, devices_through

from msp_core.v1 import Effect, VendorError

KEY = "canary-key-51c7"


@caught_by("building_the_adapter_sends_nothing")
def asks_while_it_is_built(patch: Any, acme: Any) -> None:
    real = acme.adapter.create

    async def create(env: Any) -> Any:
        built = await real(env)
        await built.probe(None)
        return built

    patch.setattr(acme.adapter, "create", create)


@caught_by("probe_says_a_line_for_people")
def probes_without_a_word(patch: Any, acme: Any) -> None:
    async def probe(self: Any, ctx: Any) -> None:
        await self.http.get_json("/clients", params={"page": 1, "size": 1})

    patch.setattr(acme.adapter.Rmm, "probe", probe)


@caught_by("probe_is_cheap")
def probes_by_listing_everything(patch: Any, acme: Any) -> None:
    async def probe(self: Any, ctx: Any) -> str:
        return f"{len([one async for one in self.list_devices(ctx)])} devices"

    patch.setattr(acme.adapter.Rmm, "probe", probe)


@caught_by("probe_is_cheap")
def probes_without_asking(patch: Any, acme: Any) -> None:
    async def probe(self: Any, ctx: Any) -> str:
        return "fine"

    patch.setattr(acme.adapter.Rmm, "probe", probe)


@caught_by("what_it_offers_is_what_it_implements")
def does_not_say_what_it_can(patch: Any, acme: Any) -> None:
    patch.setattr(acme.adapter.Rmm, "read_alerts", lambda self, ctx: None, raising=False)


@caught_by("no_secret_in_the_log")
def logs_the_key(patch: Any, acme: Any) -> None:
    async def loud(self: Any, ctx: Any, ids: Any, real: Any) -> Any:
        logging.getLogger("acme").debug("asking with key %s", KEY)
        async for one in real(self, ctx, ids):
            yield one

    devices_through(patch, acme, loud)


@caught_by("no_secret_in_an_address")
def puts_the_key_into_addresses(patch: Any, acme: Any) -> None:
    async def query(self: Any, ctx: Any, ids: Any, real: Any) -> Any:
        await self.http.get("/devices", params={"key": KEY, "page": 99})
        async for one in real(self, ctx, ids):
            yield one

    devices_through(patch, acme, query)


@caught_by("no_secret_in_a_repr")
def shows_the_key_in_its_repr(patch: Any, acme: Any) -> None:
    patch.setattr(acme.adapter.Rmm, "__repr__", lambda self: f"Rmm(key={KEY!r})")


@caught_by("credentials_do_not_follow_a_redirect")
def follows_redirects_by_hand(patch: Any, acme: Any) -> None:
    async def eager(self: Any, ctx: Any, ids: Any, real: Any) -> Any:
        import urllib.request

        def follow() -> str:
            request = urllib.request.Request(
                f"{self.base}/devices", headers={"Authorization": f"Bearer {KEY}"}
            )
            return urllib.request.urlopen(request, timeout=5).url

        await asyncio.to_thread(follow)
        async for one in real(self, ctx, ids):
            yield one

    real_create = acme.adapter.create

    async def create(env: Any) -> Any:
        built = await real_create(env)
        built.base = env.settings.api_url
        return built

    patch.setattr(acme.adapter, "create", create)
    devices_through(patch, acme, eager)
    patch.setattr(acme.simulator.Simulator, "answer", _open_to_all(acme.simulator.Simulator.answer))


def _open_to_all(real: Any) -> Any:
    async def answer(self: Any, request: Any) -> Any:
        headers = {**request.headers, "authorization": f"Bearer t{self.epoch}"}
        query = {"page": "1", "size": "5", **request.query}
        return await real(self, attrs.evolve(request, headers=headers, query=query))

    return answer


@caught_by("nothing_is_printed")
def prints(patch: Any, acme: Any) -> None:
    async def chatty(self: Any, ctx: Any, ids: Any, real: Any) -> Any:
        print("listing devices")
        async for one in real(self, ctx, ids):
            yield one

    devices_through(patch, acme, chatty)


@caught_by("reading_writes_nothing")
def posts_while_it_reads(patch: Any, acme: Any) -> None:
    async def posting(self: Any, ctx: Any, ids: Any, real: Any) -> Any:
        await self.http.request(
            "POST", "/audit?page=1&size=1".partition("?")[0], effect=Effect.READ, json={}
        )
        async for one in real(self, ctx, ids):
            yield one

    devices_through(patch, acme, posting)


@caught_by("a_command_outside_the_door_is_refused")
def runs_commands_unasked(patch: Any, acme: Any) -> None:
    async def run_command(self: Any, ctx: Any, target: Any, command: Any) -> Any:
        return await self.http.request("POST", "/run", effect=Effect.READ, json={})

    patch.setattr(acme.adapter.Rmm, "run_command", run_command, raising=False)


@caught_by("cancelling_stops_at_once")
def cannot_be_cancelled(patch: Any, acme: Any) -> None:
    async def stubborn(self: Any, ctx: Any, ids: Any, real: Any) -> Any:
        try:
            async for one in real(self, ctx, ids):
                yield one
        except asyncio.CancelledError:
            return

    devices_through(patch, acme, stubborn)


@caught_by("a_lasting_failure_is_an_error")
def raises_what_its_library_raises(patch: Any, acme: Any) -> None:
    async def raw(self: Any, ctx: Any, ids: Any, real: Any) -> Any:
        try:
            async for one in real(self, ctx, ids):
                yield one
        except VendorError as error:
            raise RuntimeError(str(error)) from None

    devices_through(patch, acme, raw)


@caught_by("many_callers_share_one_login")
def logs_in_for_every_listing(patch: Any, acme: Any) -> None:
    async def each(self: Any, ctx: Any, ids: Any, real: Any) -> Any:
        await self.http.request("POST", "/login", effect=Effect.READ, json={"key": KEY})
        async for one in real(self, ctx, ids):
            yield one

    devices_through(patch, acme, each)


@caught_by("credentials_that_are_always_refused")
def takes_a_refused_key_for_an_empty_fleet(patch: Any, acme: Any) -> None:
    async def quiet(self: Any, ctx: Any, ids: Any, real: Any) -> Any:
        try:
            async for one in real(self, ctx, ids):
                yield one
        except Exception:
            return

    devices_through(patch, acme, quiet)


@caught_by("a_login_without_a_token")
def goes_on_without_a_token(patch: Any, acme: Any) -> None:
    async def authenticate(self: Any, http: Any) -> Any:
        await http.request("POST", "/login", json={"key": KEY})
        return acme.wire.Token(headers={"Authorization": "Bearer None"})

    patch.setattr(acme.wire.Login, "authenticate", authenticate)
