"""The running lab: both simulators and the control endpoint over HTTP on the loopback device."""

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from aiohttp import web

from msp_lab import faults
from msp_lab.automate import Automate
from msp_lab.clock import LabClock
from msp_lab.control import Control, ControlApi, Served
from msp_lab.credentials import credentials
from msp_lab.faults import STATUSES, Fault
from msp_lab.fleet import AUTOMATE, NINJAONE, Fleet
from msp_lab.ninjaone import NinjaOne
from msp_lab.web import Call, Refusal, Reply, Router
from msp_lab.world import World

HOST = "127.0.0.1"

logger = logging.getLogger("msp_lab.requests")


class Simulator(Protocol):
    """A vendor: it answers calls and knows how the vendor says no."""

    name: str
    router: Router

    def prepare(self, call: Call) -> None: ...
    def error(self, refusal: Refusal) -> Reply: ...
    def is_login(self, path: str) -> bool: ...
    def revoke_tokens(self) -> None: ...


class Lab:
    """A lab that serves: started and stopped once, driven through `control`."""

    def __init__(
        self,
        *,
        clients: int = 12,
        devices: int = 300,
        seed: int = 1,
        latency_ms: float = 0,
        faults: Sequence[str] = (),
        start: datetime | None = None,
        token_seconds: float = 3600,
    ) -> None:
        self.latency = latency_ms / 1000
        self.world = World(Fleet(clients=clients, devices=devices, seed=seed), LabClock(start))
        self.credentials = credentials(seed)
        self.control = Control(self.world, seed)
        for text in faults:
            self.control.fault(text)
        self.ninjaone = NinjaOne(self.world, token_seconds=token_seconds)
        self.automate = Automate(self.world, token_seconds=token_seconds)
        self._runners: list[web.ServerRunner] = []

    @property
    def ninjaone_url(self) -> str:
        return self.control.urls[NINJAONE]

    @property
    def automate_url(self) -> str:
        """The server's address; its API lies below `/cwa/api/v1`."""
        return self.control.urls[AUTOMATE]

    @property
    def control_url(self) -> str:
        return self.control.urls["control"]

    async def start(
        self, *, ninjaone_port: int = 0, automate_port: int = 0, control_port: int = 0
    ) -> None:
        """Listen on all ports (0: any free one); raises OSError when one is taken."""
        try:
            await self._listen(self.ninjaone, ninjaone_port)
            await self._listen(self.automate, automate_port)
            await self._listen_control(control_port)
        except OSError:
            await self.stop()
            raise

    async def stop(self) -> None:
        for runner in self._runners:
            await runner.cleanup()
        self._runners = []

    async def _open(self, server: web.Server, name: str, port: int) -> None:
        runner = web.ServerRunner(server, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        self._runners.append(runner)
        site = web.TCPSite(runner, HOST, port, backlog=1024)
        await site.start()
        self.control.urls[name] = f"http://{HOST}:{runner.addresses[0][1]}"

    async def _listen(self, simulator: Simulator, port: int) -> None:
        async def serve(request: web.BaseRequest) -> web.StreamResponse:
            return await self._serve(simulator, request)

        await self._open(web.Server(serve), simulator.name, port)

    async def _listen_control(self, port: int) -> None:
        api = ControlApi(self.control)

        async def serve(request: web.BaseRequest) -> web.StreamResponse:
            call = await _call(request)
            try:
                answer = api.router.match(call)(call)
            except Refusal as refusal:
                answer = api.error(refusal)
            return _response(answer)

        await self._open(web.Server(serve), api.name, port)

    async def _serve(self, simulator: Simulator, request: web.BaseRequest) -> web.StreamResponse:
        began = time.perf_counter()
        call = await _call(request)
        simulator.prepare(call)
        due = self.control.faults.due(
            simulator.name, call.path, login=simulator.is_login(call.path)
        )
        answer = self._answer(simulator, call, due)
        delay = self.latency + sum(fault.seconds for fault in due if fault.kind == "slow")
        if delay:
            await asyncio.sleep(delay)
        self.control.note(
            Served(
                vendor=simulator.name,
                method=call.method,
                path=call.path,
                query=_shown(call.query),
                pattern=call.pattern or "(no such path)",
                status=answer.status,
                milliseconds=round((time.perf_counter() - began) * 1000, 1),
                faults=tuple(fault.kind for fault in due),
            )
        )
        if logger.isEnabledFor(logging.INFO):
            logger.info("%s %s %s -> %d", simulator.name, call.method, call.path, answer.status)
        return await _send(request, answer, {fault.kind for fault in due})

    def _answer(self, simulator: Simulator, call: Call, due: Sequence[Fault]) -> Reply:
        try:
            handler = simulator.router.match(call)
            for fault in due:
                if fault.kind in STATUSES:
                    return _refused(simulator, fault)
                if fault.kind == "expire":
                    simulator.revoke_tokens()
                if fault.kind == "repeat":
                    faults.repeat_first_page(call)
            answer = handler(call)
        except Refusal as refusal:
            answer = simulator.error(refusal)
        for fault in due:
            answer = faults.spoil(fault.kind, call, answer)
        return answer


def _refused(simulator: Simulator, fault: Fault) -> Reply:
    answer = simulator.error(Refusal(STATUSES[fault.kind], f"fault of the lab: {fault.kind}"))
    if fault.kind == "429":
        answer.headers["Retry-After"] = f"{fault.seconds:g}"
    return answer


async def _call(request: web.BaseRequest) -> Call:
    query: dict[str, str] = {}
    for name, value in request.query.items():
        query[name] = f"{query[name]},{value}" if name in query else value
    body = await request.read() if request.can_read_body else b""
    return Call(
        method=request.method,
        path=request.path,
        query=query,
        headers=request.headers,
        body=body,
    )


def _shown(query: dict[str, str]) -> str:
    return "&".join(f"{k}={v}" for k, v in query.items() if not k.lower().endswith("token"))


def _response(answer: Reply) -> web.Response:
    if answer.status == 204:
        return web.Response(status=204, headers=answer.headers)
    return web.Response(
        status=answer.status,
        body=answer.body,
        content_type=answer.content_type,
        charset="utf-8" if answer.content_type != "application/octet-stream" else None,
        headers=answer.headers,
    )


async def _send(request: web.BaseRequest, answer: Reply, broken: set[str]) -> web.StreamResponse:
    transport = request.transport
    if "reset" in broken and transport is not None:
        transport.abort()
        return web.Response(status=500)
    if "truncate" in broken and answer.body and transport is not None:
        partial = web.StreamResponse(status=answer.status, headers=answer.headers)
        partial.content_type = answer.content_type
        partial.content_length = len(answer.body)
        await partial.prepare(request)
        await partial.write(answer.body[: len(answer.body) // 2])
        transport.close()
        return partial
    return _response(answer)
