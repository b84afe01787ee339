"""An adapter, built by the kernel from its plugin, in front of a faulty vendor, with everything it does on record."""

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import Factory, define

from msp_core.adapters import Adapter
from msp_core.checks import FactQuery, Target
from msp_core.context import Context
from msp_core.errors import MspError
from msp_core.model import Device
from msp_core.testing.clock import FixedClock
from msp_core.testing.conformance.backend import RmmBackend
from msp_core.testing.subject import toolkit_for
from msp_core.testing.vendor import FaultyVendor, Reply, Request
from msp_core.toolkit import Toolkit
from msp_core.vendor import Quarantined, VendorDevice

INSTANCE = "subject"
PATIENCE_S = 20.0
"""How long anything may take before it counts as never ending."""
MOST_REQUESTS = 400
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


class Records(logging.Handler):
    """Keeps every log record as text, at every level."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record with its traceback."""
        self.lines.append(logging.Formatter().format(record))


@define(kw_only=True)
class Rig:
    """What the cases work with."""

    plugin: str
    record: Adapter
    backend: RmmBackend
    vendor: FaultyVendor
    toolkit: Toolkit
    adapter: Any
    ctx: Context
    log: Records
    waits: list[float] = Factory(list)

    @property
    def speaks_http(self) -> bool:
        """Tell whether there is a wire to make trouble on."""
        return bool(self.backend.url_field)

    def need_http(self) -> None:
        """Skip a case that is about the wire."""
        if not self.speaks_http:
            pytest.skip("this adapter speaks no HTTP")

    def need(self, *methods: str) -> None:
        """Skip a case about something the adapter does not offer."""
        for method in methods:
            if not hasattr(self.adapter, method):
                pytest.skip(f"this adapter does not offer {method}")

    def data(self, request: Request) -> bool:
        """Tell whether a request is not about logging in."""
        return not self.backend.is_login(request)

    def data_requests(self) -> list[Request]:
        """Return what was asked so far, logins left out."""
        return [one for one in self.vendor.requests if self.data(one)]

    def alters(self, request: Request) -> bool:
        """Tell whether a request is one for data that does not only read."""
        return self.data(request) and request.method not in _READING

    def writes(self) -> list[Request]:
        """Return what was sent so far that does not only read."""
        return [one for one in self.vendor.requests if self.alters(one)]

    def assert_only_read(self) -> None:
        """Fail when something was sent that does not only read."""
        sent = [f"{one.method} {one.path}" for one in self.writes()]
        assert not sent, f"sent, and that is no reading: {', '.join(sent[:5])}"

    def logins(self) -> int:
        """Return how many logins came."""
        return len(self.vendor.requests) - len(self.data_requests())

    def spoil(
        self,
        spoil: Any,
        *,
        after: int = 0,
        times: int | None = None,
        on: Callable[[Request], bool] | None = None,
    ) -> None:
        """Make trouble on requests for data, or on those that `on` picks."""
        self.need_http()
        self.vendor.fault(spoil, after=after, times=times, on=on or self.data)

    def spoil_devices(self, change: Callable[[list[Any]], None], **options: Any) -> list[int]:
        """Let `change` alter the list of devices of each answer in place; return a list that counts how often."""
        hits: list[int] = []

        async def spoil(request: Request, call: Callable[[], Awaitable[Reply]]) -> Reply:
            reply = await call()
            body = reply.read()
            items = self.backend.devices_in(request, body) if reply.status == 200 else None
            if items is None:
                return reply
            hits.append(len(items))
            change(items)
            return Reply(data=body, headers=reply.headers)

        self.spoil(spoil, **options)
        return hits

    async def all_of(self, stream: Any) -> list[Any]:
        """Read a stream to its end, and fail when it has none."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                found = []
                async for one in stream:
                    found.append(one)
                    assert len(found) < 100_000, "the list never ends"
                    assert len(self.vendor.requests) < MOST_REQUESTS, "it asks without end"
                return found
        except TimeoutError:
            message = f"no end after {PATIENCE_S:g} s and {len(self.vendor.requests)} requests"
            raise AssertionError(message) from None

    async def devices(self, clients: Sequence[str] | None = None) -> list[VendorDevice]:
        """Return the devices that could be read."""
        found = await self.everything(clients)
        return [one for one in found if not isinstance(one, Quarantined)]

    async def everything(self, clients: Sequence[str] | None = None) -> list[Any]:
        """Return what `list_devices` yields, quarantined items included."""
        self.need("list_devices")
        return await self.all_of(self.adapter.list_devices(self.ctx, clients))

    def assert_complete(self, devices: Sequence[VendorDevice], *, but: int = 0) -> None:
        """Fail unless these are all devices, each once; `but` of them may be missing."""
        names = [one.name for one in devices]
        truth = self.backend.truth().devices
        twice = sorted({name for name in names if names.count(name) > 1})
        assert not twice, f"listed twice: {twice[:5]}"
        strange = sorted(set(names) - set(truth))
        assert not strange, f"the vendor has no such devices: {strange[:5]}"
        missing = sorted(set(truth) - set(names))
        assert len(missing) <= but, f"{len(missing)} of {len(truth)} are missing: {missing[:5]}"

    async def fails(self, *errors: type[MspError]) -> MspError:
        """List the devices, which must fail with one of these errors, and say what to do; return the error."""
        try:
            found = await self.everything()
        except errors or (MspError,) as error:  # noqa: B030 - a tuple of them
            assert error.message.strip(), "the error has no message"
            self.assert_no_secret(f"{error.message} {error.suggestion} {error.details}", "an error")
            return error
        except MspError as error:
            wanted = ", ".join(one.__name__ for one in errors)
            message = f"raised {type(error).__name__} ({error.message}) instead of {wanted}"
            raise AssertionError(message) from error
        except Exception as error:
            message = f"raised {type(error).__name__} instead of an MspError: {error}"
            raise AssertionError(message) from error
        message = f"the trouble passed as success: {len(found)} devices, no error"
        raise AssertionError(message)

    def assert_no_secret(self, text: str, where: str) -> None:
        """Fail when a text shows a credential; one that ends in `_id` merely says who asks."""
        for name, value in self.backend.secrets.items():
            assert name.endswith("_id") or value not in text, f"{where} shows the credential {name}"

    def query(self, devices: Sequence[VendorDevice], facts: Sequence[type]) -> FactQuery:
        """Ask for facts of some devices."""
        return FactQuery(
            facts=frozenset(facts),
            targets=tuple(map(target, devices)),
            client_external_ids=tuple(sorted({one.client_external_id for one in devices})),
        )


def target(device: VendorDevice) -> Target:
    """Return a console's device as one of ours."""
    ours = Device(id=f"c/{device.external_id}", client_id="c", name=device.name, os=device.os)
    return Target(ours, device.external_id)


@contextlib.contextmanager
def everything_logged() -> Iterator[Records]:
    """Keep every log record there is meanwhile."""
    log, root = Records(), logging.getLogger()
    level = root.level
    root.addHandler(log)
    root.setLevel(logging.DEBUG)
    try:
        yield log
    finally:
        root.removeHandler(log)
        root.setLevel(level)


@contextlib.asynccontextmanager
async def open_rig(plugin: str, kind: str, backend: RmmBackend, folder: Path) -> AsyncIterator[Rig]:
    """Start the backend and build the adapter."""
    await backend.start()
    waits: list[float] = []
    real_sleep = asyncio.sleep

    async def sleep(delay: float, result: Any = None) -> Any:
        # Waiting is noted, not done: a vendor's pauses would make the cases take minutes
        waits.append(delay)
        return await real_sleep(min(delay, 0.02), result)

    try:
        with pytest.MonkeyPatch.context() as patch, everything_logged() as log:
            patch.setattr(asyncio, "sleep", sleep)
            async with (
                FaultyVendor(backend.answer) as vendor,
                make(plugin, kind, backend, folder, vendor.url) as toolkit,
            ):
                yield Rig(
                    plugin=plugin,
                    record=toolkit.instance(INSTANCE).adapter,
                    backend=backend,
                    vendor=vendor,
                    toolkit=toolkit,
                    adapter=await toolkit.adapter(INSTANCE),
                    ctx=toolkit.context(),
                    log=log,
                    waits=waits,
                )
    finally:
        await backend.stop()


def make(
    plugin: str,
    kind: str,
    backend: RmmBackend,
    folder: Path,
    url: str,
    secrets: dict[str, str] | None = None,
) -> Toolkit:
    """Return a toolkit with one instance of the adapter kind that asks `url`."""
    config = dict(backend.config)
    if backend.url_field:
        config[backend.url_field] = url
    return subject(plugin, kind, folder, config, backend.secrets if secrets is None else secrets)


def subject(
    plugin: str,
    kind: str,
    folder: Path,
    config: Mapping[str, Any],
    secrets: Mapping[str, str],
) -> Toolkit:
    """Return a toolkit with one instance of the adapter kind, its credentials in the environment."""
    env = {f"{INSTANCE}_{name}".upper(): value for name, value in secrets.items()}
    return toolkit_for(
        plugin,
        folder,
        config={"adapters": {INSTANCE: {"kind": kind, **config}}},
        env={"PATH": os.environ.get("PATH", ""), **env},
        clock=FixedClock(),
    )
