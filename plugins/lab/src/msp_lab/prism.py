"""Stoplight Prism between a caller and a simulator: both are held against the vendor's description."""

import asyncio
import os
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from msp_lab.fleet import NINJAONE
from msp_lab.server import HOST, Lab
from msp_lab.specs import write_spec

START_SECONDS = 120.0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def prism_proxy(lab: Lab, vendor: str, *, program: Path, specs: Path) -> AsyncIterator[str]:
    """Yield the address of a proxy that checks every request and answer of one simulator.

    A wrong request is answered 422 (401 without a token where one is due), a wrong answer of the
    simulator 500 with the violations. `program` is the `prism` command, `specs` the folder with
    the vendors' descriptions.
    """
    simulator = lab.ninjaone if vendor == NINJAONE else lab.automate
    upstream = lab.ninjaone_url if vendor == NINJAONE else lab.automate_url
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "spec.json"
        unknown = write_spec(vendor, simulator.router.offered, specs, target)
        if unknown:
            raise LookupError(f"the description of {vendor} lacks: {', '.join(unknown)}")
        port = _free_port()
        arguments = [str(target), upstream, "--errors", "--host", HOST, "--port", str(port)]
        log = Path(folder) / "prism.log"
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                str(program),
                "proxy",
                *arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, "NO_PROXY": "*", "no_proxy": "*"},
            )
        try:
            if not await _answers(process, port):
                said = await asyncio.to_thread(log.read_text)
                raise RuntimeError(f"Prism ended while starting: {said[-2000:]}")
            yield f"http://{HOST}:{port}"
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()


async def _answers(process: asyncio.subprocess.Process, port: int) -> bool:
    async with asyncio.timeout(START_SECONDS):
        while process.returncode is None:
            try:
                _, writer = await asyncio.open_connection(HOST, port)
            except OSError:
                await asyncio.sleep(0.2)
                continue
            writer.close()
            return True
    return False
