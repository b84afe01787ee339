"""Every fault shows what it promises, as often as it promises, and repeatably."""

import asyncio
import contextlib
import time
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from msp_lab import faults
from msp_lab.server import Lab


@pytest.mark.parametrize(
    "text",
    [
        "ninjaone:429",
        "automate:slow,path=/cwa/api/v1/computers*,count=2,seconds=0.5",
        "*:500,probability=0.25,skip=3",
        "ninjaone:429,count=3,seconds=7",
    ],
)
def test_faults_read_as_they_are_written(text: str) -> None:
    """Reading what a fault wrote about itself gives the same fault."""
    assert faults.parse(faults.parse(text).text()) == faults.parse(text)


@given(st.text("ninjaoe:429,=coutpath*. "))
def test_any_text_is_a_fault_or_refused(text: str) -> None:
    """No text fails in another way than with a reason."""
    with contextlib.suppress(ValueError):
        faults.parse(text)


@pytest.mark.parametrize(
    "text",
    ["", "429", "nobody:429", "ninjaone:nope", "ninjaone:429,nope=1", "ninjaone:429,count=x",
     "ninjaone:429,probability=2"],
)  # fmt: skip
def test_bad_faults_say_why(text: str) -> None:
    """A fault that cannot be read is refused with what is allowed."""
    with pytest.raises(ValueError, match=r"\w+"):
        faults.parse(text)


def test_the_same_seed_hits_the_same_requests() -> None:
    """Probability draws from the seed: two runs of one seed agree, a third seed does not."""

    def hits(seed: int) -> list[bool]:
        box = faults.Faults(seed)
        box.add(faults.parse("ninjaone:500,probability=0.3"))
        return [bool(box.due("ninjaone", "/v2/devices", login=False)) for _ in range(200)]

    assert hits(1) == hits(1) != hits(2)
    assert 30 < sum(hits(1)) < 90


def test_skip_and_count_hit_exactly_some() -> None:
    """`skip=2,count=1` hits the third matching request and no other."""
    box = faults.Faults(1)
    box.add(faults.parse("ninjaone:500,path=/v2/dev*,skip=2,count=1"))
    paths = ["/v2/devices", "/v2/alerts", "/v2/devices", "/v2/devices", "/v2/devices"]
    due = [bool(box.due("ninjaone", path, login=False)) for path in paths]
    assert due == [False, False, False, True, False]
    box.clear("automate")
    assert box.listed()[0]["hit"] == 1
    box.clear()
    assert box.listed() == []


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["401", "403", "404", "409", "500", "502", "503", "504"])
async def test_statuses(ninjaone: Any, automate: Any, lab: Lab, kind: str) -> None:
    """A status comes with the vendor's own body, once, and on its path only."""
    lab.control.fault(f"*:{kind},count=1,path=*s")
    assert (await ninjaone.call("GET", "/device/1051"))[0] == 200
    status, body = await ninjaone.call("GET", "/devices")
    assert (status, body["resultCode"]) == (int(kind), "FAILURE")
    assert (await ninjaone.call("GET", "/devices"))[0] == 200
    lab.control.clear_faults()
    lab.control.fault(f"automate:{kind},count=1")
    status, body = await automate.call("GET", "/Clients")
    assert (status, bool(body["code"])) == (int(kind), True)


@pytest.mark.anyio
async def test_rate_limit_says_when_to_retry(ninjaone: Any, lab: Lab) -> None:
    """429 carries Retry-After."""
    lab.control.fault("ninjaone:429,seconds=3,count=1")
    url = f"{ninjaone.url}/devices"
    async with ninjaone.session.get(url, headers=ninjaone.headers) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (429, "3")


@pytest.mark.anyio
async def test_tokens_expire_in_the_middle_of_a_walk(
    ninjaone: Any, automate: Any, lab: Lab
) -> None:
    """After `expire` the old token stays refused, and a login is not hit."""
    lab.control.fault("*:expire,skip=1,count=1")
    assert (await ninjaone.call("GET", "/devices"))[0] == 200
    assert [(await ninjaone.call("GET", "/devices"))[0] for _ in range(2)] == [401, 401]
    assert (await automate.call("GET", "/Clients"))[0] == 200


@pytest.mark.anyio
async def test_broken_transport(ninjaone: Any, lab: Lab) -> None:
    """Reset, truncated, slow and HTML answers look like that to the caller."""
    lab.control.fault("ninjaone:reset")
    with pytest.raises(aiohttp.ClientConnectionError):
        await ninjaone.call("GET", "/devices")
    lab.control.clear_faults()
    lab.control.fault("ninjaone:truncate,count=1")
    with pytest.raises(aiohttp.ClientPayloadError):
        await ninjaone.call("GET", "/devices")
    lab.control.clear_faults()
    lab.control.fault("ninjaone:html,count=1")
    status, text = await ninjaone.call("GET", "/devices")
    assert (status, text[:9]) == (200, "<!DOCTYPE")
    lab.control.clear_faults()
    lab.control.fault("ninjaone:slow,seconds=0.3,count=1")
    began = time.perf_counter()
    await asyncio.gather(*(ninjaone.call("GET", "/device/1051") for _ in range(5)))
    assert 0.3 <= time.perf_counter() - began < 5


@pytest.mark.anyio
async def test_spoilt_contents(ninjaone: Any, automate: Any, lab: Lab) -> None:
    """Malformed items, changed id types and repeated pages leave the rest of the page alone."""
    good = await ninjaone.get("/devices", pageSize=10)
    lab.control.fault("ninjaone:malformed,count=1")
    bad = await ninjaone.get("/devices", pageSize=10)
    assert len(bad) == 10
    assert sum(one != other for one, other in zip(good, bad, strict=True)) == 1
    lab.control.clear_faults()
    lab.control.fault("*:idtypes,count=1")
    assert (await ninjaone.get("/devices", pageSize=1))[0]["id"] == str(good[0]["id"])
    lab.control.clear_faults()
    lab.control.fault("automate:idtypes,count=1")
    assert (await automate.get("/Computers", pagesize=1))[0]["Id"] == 1
    lab.control.clear_faults()
    lab.control.fault("*:repeat")
    assert await ninjaone.get("/devices", pageSize=10, after=good[-1]["id"]) == good
    pages = [await automate.get("/Clients", page=n, pagesize=2) for n in (1, 2)]
    assert pages[0] == pages[1]
    first = await ninjaone.get("/queries/volumes", pageSize=5)
    cursor = first["cursor"]["name"]
    again = await ninjaone.get("/queries/volumes", pageSize=5, cursor=cursor)
    assert again["results"] == first["results"]


@pytest.mark.anyio
async def test_a_vendor_that_is_down_refuses_logins_too(lab: Lab, session: Any) -> None:
    """The pattern `**` takes in the login, the default pattern leaves it alone."""
    url = f"{lab.ninjaone_url}/ws/oauth/token"
    lab.control.fault("ninjaone:503")
    async with session.post(url, data={}) as answer:
        assert answer.status == 400
    lab.control.fault("ninjaone:503,path=**")
    async with session.post(url, data={}) as answer:
        assert answer.status == 503
