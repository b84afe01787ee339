"""Cases about trouble on the wire: it is mended or is an error, never a short list."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from msp_core.errors import (
    AuthenticationFailed,
    CredentialError,
    MspError,
    PermissionDenied,
    RateLimited,
    VendorError,
    VendorRefused,
    VendorUnavailable,
)
from msp_core.testing.conformance.rig import INSTANCE, Rig, make
from msp_core.testing.vendor import Reply, Request, Vendor

_HTML = Reply(
    body=b"<!DOCTYPE html><html><body>Please sign in</body></html>",
    headers={"content-type": "text/html"},
)


async def _cut(_: Request, call: Callable[[], Awaitable[Reply]]) -> Reply:
    whole = await call()
    return Reply(status=whole.status, body=whole.encoded(), headers=whole.headers, cut=True)


class PagingCases:
    """Pages that are not as they should be."""

    async def test_the_list_takes_several_pages(self, rig: Rig) -> None:
        """The backend's fleet is larger than a page, else the cases on paging prove nothing."""
        hits = rig.spoil_devices(lambda _: None)
        await rig.devices()
        assert len([one for one in hits if one]) >= 3, f"pages of devices: {hits}"

    async def test_a_page_that_repeats_ends(self, rig: Rig) -> None:
        """A vendor that gives the first page for ever causes an error or an end, and no device twice."""
        first: list[Reply] = []

        async def repeat(request: Request, call: Callable[[], Awaitable[Reply]]) -> Reply:
            reply = await call()
            if rig.backend.devices_in(request, reply.read()) is None:
                return reply
            first.append(reply)
            return first[0]

        rig.spoil(repeat)
        try:
            found = await rig.devices()
        except MspError:
            return
        ids = [one.external_id for one in found]
        assert len(set(ids)) == len(ids), "devices come twice"
        rig.assert_complete(found)

    async def test_an_item_on_two_pages_comes_once(self, rig: Rig) -> None:
        """A device that moves to the next page while we read is listed once."""
        last: list[Any] = []

        def overlap(items: list[Any]) -> None:
            before, last[:] = list(last), items[-1:]
            if items:
                items[:0] = before

        rig.spoil_devices(overlap)
        rig.assert_complete(await rig.devices())

    async def test_no_devices_at_all(self, rig: Rig) -> None:
        """An empty list is an empty list."""
        rig.spoil_devices(lambda items: items.clear())
        assert await rig.everything() == []

    async def test_a_failure_on_a_later_page_is_mended(self, rig: Rig) -> None:
        """One 503 in the middle costs a retry, not a device."""
        rig.spoil(Reply(status=503), after=2, times=1)
        rig.assert_complete(await rig.devices())

    async def test_a_later_page_that_keeps_failing_is_an_error(self, rig: Rig) -> None:
        """A list that cannot be read to its end is never passed off as complete."""
        rig.spoil(Reply(status=500), after=1)
        await rig.fails(VendorError)

    async def test_a_later_page_that_is_refused_is_an_error(self, rig: Rig) -> None:
        """A 404 for the second page does not mean that there is none."""
        rig.spoil(Reply(status=404, data={}), after=1)
        await rig.fails(VendorError)

    async def test_a_later_page_of_another_shape_is_an_error(self, rig: Rig) -> None:
        """A page that is no list is not the end of the list."""
        rig.spoil(Reply(data="maintenance"), after=1)
        await rig.fails(VendorError)

    async def test_a_connection_cut_in_a_later_page_loses_nothing(self, rig: Rig) -> None:
        """An answer that breaks off half-way is asked for again."""
        rig.spoil(_cut, after=1, times=1)
        rig.assert_complete(await rig.devices())


class LoginCases:
    """Logins and tokens."""

    async def test_a_token_that_expires_between_pages_is_renewed(self, rig: Rig) -> None:
        """After a 401 in the middle of a list it logs in again and goes on where it was."""
        rig.need_http()
        asked: list[int] = []

        async def expire(_: Request, call: Callable[[], Awaitable[Reply]]) -> Reply:
            asked.append(1)
            if len(asked) == 2:
                rig.backend.expire()
            return await call()

        rig.spoil(expire)
        rig.assert_complete(await rig.devices())

    async def test_a_token_that_expired_meanwhile_is_renewed(self, rig: Rig) -> None:
        """A token that ran out between two listings is noticed."""
        rig.need_http()
        await rig.devices()
        rig.backend.expire()
        rig.assert_complete(await rig.devices())

    async def test_many_callers_share_one_login(self, rig: Rig) -> None:
        """Six listings that start at once log in once (or never, with a fixed key)."""
        rig.need_http()
        await asyncio.gather(*(rig.devices() for _ in range(6)))
        assert rig.logins() <= 1, f"{rig.logins()} logins"

    async def test_many_callers_share_one_renewal(self, rig: Rig) -> None:
        """When a token runs out under six callers there is one new login, two at the most."""
        rig.need_http()
        await rig.devices()
        before = rig.logins()
        rig.backend.expire()
        await asyncio.gather(*(rig.devices() for _ in range(6)))
        assert rig.logins() - before <= 2, f"{rig.logins() - before} logins"

    async def test_credentials_that_are_always_refused(self, rig: Rig) -> None:
        """401 whatever it does ends in AuthenticationFailed after a few requests."""
        rig.spoil(Reply(status=401, data={}))
        await rig.fails(AuthenticationFailed)
        assert len(rig.vendor.requests) <= 8, f"it asked {len(rig.vendor.requests)} times"

    async def test_a_login_that_is_refused(self, rig: Rig) -> None:
        """A login that answers 401 is AuthenticationFailed."""
        rig.spoil(Reply(status=401, data={"error": "invalid_client"}), on=lambda _: True)
        await rig.fails(AuthenticationFailed)

    async def test_wrong_credentials(self, rig: Rig, tmp_path: Any) -> None:
        """The vendor itself refuses credentials it does not know; the error says which instance."""
        rig.need_http()
        wrong = dict.fromkeys(rig.backend.secrets, "000000-wrong")
        async with make(
            rig.plugin, rig.record.id, rig.backend, tmp_path / "wrong", rig.vendor.url, wrong
        ) as toolkit:
            adapter = await toolkit.adapter(INSTANCE)
            try:
                await adapter.probe(toolkit.context())
            except (AuthenticationFailed, CredentialError) as error:
                assert "000000-wrong" not in f"{error.message}{error.suggestion}{error.details}"
                return
        raise AssertionError("wrong credentials pass the probe")

    async def test_missing_credentials(self, rig: Rig, tmp_path: Any) -> None:
        """Without credentials the probe says which one is missing, and sends no guess."""
        if not rig.backend.secrets:
            return
        async with make(
            rig.plugin, rig.record.id, rig.backend, tmp_path / "none", rig.vendor.url, {}
        ) as toolkit:
            try:
                adapter = await toolkit.adapter(INSTANCE)
                await adapter.probe(toolkit.context())
            except CredentialError as error:
                assert INSTANCE in error.message + error.suggestion
                return
        raise AssertionError("it works without credentials")

    async def test_a_login_that_fails(self, rig: Rig) -> None:
        """A login server that is down is the vendor's failure, not that of the credentials."""
        await self._spoiled_login(rig, Reply(status=500), VendorUnavailable)

    async def test_a_login_that_answers_a_web_page(self, rig: Rig) -> None:
        """A web page instead of a token is an error that says so."""
        await self._spoiled_login(rig, _HTML, VendorError, AuthenticationFailed)

    async def test_a_login_without_a_token(self, rig: Rig) -> None:
        """An answer without a token is an error, not the token None."""
        await self._spoiled_login(rig, Reply(data={}), VendorError, AuthenticationFailed)
        assert rig.data_requests() == [], "it went on without a token"

    async def _spoiled_login(self, rig: Rig, spoil: Any, *errors: type[MspError]) -> None:
        rig.need_http()
        if getattr(rig.backend, "fixed_key", False):
            pytest.skip("this vendor has no login")
        rig.spoil(spoil, on=rig.backend.is_login)
        try:
            await rig.fails(*errors)
        except AssertionError as error:
            if rig.logins():
                raise
            message = (
                "is_login of the backend knows no request as a login; "
                "where the key goes with every request, give the backend fixed_key = True"
            )
            raise AssertionError(message) from error


class FaultCases:
    """Limits and failures."""

    async def test_a_limit_is_waited_for(self, rig: Rig) -> None:
        """429 with Retry-After: it waits at least that long, then goes on."""
        rig.spoil(Reply(status=429, headers={"retry-after": "7"}), after=1, times=1)
        rig.assert_complete(await rig.devices())
        assert max(rig.waits, default=0) >= 7, f"it waited {max(rig.waits, default=0):g} s"

    async def test_a_limit_given_as_a_date(self, rig: Rig) -> None:
        """Retry-After may be a date, held against the answer's own date."""
        headers = {
            "retry-after": "Thu, 15 Jan 2026 09:00:09 GMT",
            "date": "Thu, 15 Jan 2026 09:00:00 GMT",
        }
        rig.spoil(Reply(status=429, headers=headers), times=1)
        rig.assert_complete(await rig.devices())
        assert max(rig.waits, default=0) >= 9, f"it waited {max(rig.waits, default=0):g} s"

    async def test_a_limit_without_a_time(self, rig: Rig) -> None:
        """429 without Retry-After: it waits a while all the same."""
        rig.spoil(Reply(status=429), times=1)
        rig.assert_complete(await rig.devices())
        assert max(rig.waits, default=0) > 0, "it did not wait"

    async def test_a_limit_that_never_ends(self, rig: Rig) -> None:
        """429 for ever ends in RateLimited, after a bounded number of requests."""
        rig.spoil(Reply(status=429, headers={"retry-after": "3600"}))
        await rig.fails(RateLimited)
        assert len(rig.vendor.requests) <= 20, f"it asked {len(rig.vendor.requests)} times"

    async def test_a_short_failure_is_mended(self, rig: Rig) -> None:
        """One 502 costs a retry."""
        rig.spoil(Reply(status=502), times=1)
        rig.assert_complete(await rig.devices())

    async def test_a_lasting_failure_is_an_error(self, rig: Rig) -> None:
        """500 for ever ends in VendorUnavailable, after a bounded number of requests."""
        rig.spoil(Reply(status=500))
        await rig.fails(VendorUnavailable)
        assert len(rig.data_requests()) <= 12, f"it asked {len(rig.data_requests())} times"

    async def test_retries_pause(self, rig: Rig) -> None:
        """It does not hammer a vendor that fails."""
        rig.spoil(Reply(status=503), times=1)
        await rig.devices()
        assert any(wait >= 0.05 for wait in rig.waits), f"waits: {rig.waits}"

    async def test_a_connection_that_breaks_once(self, rig: Rig) -> None:
        """A reset connection is tried again."""
        rig.spoil(Reply(reset=True), times=1)
        rig.assert_complete(await rig.devices())

    async def test_a_connection_that_always_breaks(self, rig: Rig) -> None:
        """A vendor nobody can talk to is VendorUnavailable."""
        rig.spoil(Reply(reset=True))
        await rig.fails(VendorUnavailable)

    async def test_an_answer_that_is_always_cut(self, rig: Rig) -> None:
        """Half an answer is never read as a whole one."""
        rig.spoil(_cut)
        await rig.fails(VendorError)

    async def test_nobody_listens(self, rig: Rig, tmp_path: Any) -> None:
        """A refused connection is VendorUnavailable."""
        rig.need_http()
        async with Vendor(lambda _: Reply()) as gone:
            url = gone.url
        async with make(rig.plugin, rig.record.id, rig.backend, tmp_path / "gone", url) as toolkit:
            adapter = await toolkit.adapter(INSTANCE)
            try:
                await adapter.probe(toolkit.context())
            except VendorUnavailable as error:
                assert error.suggestion, "the error does not say what to do"
                return
        raise AssertionError("the probe passes although nobody listens")

    async def test_an_answer_that_takes_too_long(self, rig: Rig) -> None:
        """After its timeout a request fails; it does not wait for ever."""

        async def slow(_: Request, call: Callable[[], Awaitable[Reply]]) -> Reply:
            await asyncio.Event().wait()
            return await call()

        rig.spoil(slow)
        await rig.fails(VendorUnavailable)

    async def test_a_web_page_is_an_error(self, rig: Rig) -> None:
        """HTML with status 200 is a login page or a proxy, not an empty list."""
        rig.spoil(_HTML)
        await rig.fails(VendorError)

    async def test_broken_json_is_an_error(self, rig: Rig) -> None:
        """What cannot be decoded is an error, and its text is not repeated."""
        rig.spoil(Reply(body=b'[{"id": 1, "na'))
        await rig.fails(VendorError)

    async def test_an_empty_answer_is_an_error(self, rig: Rig) -> None:
        """No body at all is not an empty list."""
        rig.spoil(Reply(body=b""))
        await rig.fails(VendorError)

    async def test_another_shape_is_an_error(self, rig: Rig) -> None:
        """A text or a number where a list should be is an error."""
        rig.spoil(Reply(data=42))
        await rig.fails(VendorError)

    async def test_null_is_an_error(self, rig: Rig) -> None:
        """`null` where a list should be is an error."""
        rig.spoil(Reply(body=b"null"))
        await rig.fails(VendorError)

    async def test_a_refusal_says_so(self, rig: Rig) -> None:
        """403 is the vendor's refusal, with a next step."""
        rig.spoil(Reply(status=403, data={"errorMessage": "no access"}))
        error = await rig.fails(VendorRefused, AuthenticationFailed, PermissionDenied)
        assert error.suggestion, "the error does not say what to do"

    async def test_credentials_do_not_follow_a_redirect(self, rig: Rig) -> None:
        """A redirect to another host gets none of our headers with credentials."""
        rig.need_http()
        async with Vendor(lambda _: Reply(data=[])) as thief:
            await rig.devices()
            rig.spoil(Reply(status=302, headers={"location": f"{thief.url}/steal"}))
            with contextlib.suppress(MspError):
                await rig.devices()
            sent = [one for one in thief.requests if "authorization" in one.headers]
            assert not sent, "the token went to another host"
            for one in thief.requests:
                rig.assert_no_secret(
                    f"{one.target} {one.headers} {one.body!r}", "a request elsewhere"
                )

    async def test_it_works_again_afterwards(self, rig: Rig) -> None:
        """After trouble has passed, the next listing is complete."""
        rig.spoil(Reply(status=404, data={}))
        await rig.fails(VendorError)
        rig.vendor.clear()
        rig.assert_complete(await rig.devices())
