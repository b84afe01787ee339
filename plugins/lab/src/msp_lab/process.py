"""A lab in a process of its own: `python -m msp_lab.process`."""

import argparse
import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

import attrs

START_SECONDS = 30.0
LOG_BYTES = 5 * 1024 * 1024


@attrs.frozen(kw_only=True)
class Size:
    """What a lab is made of; the same values give the same lab."""

    clients: int = 12
    devices: int = 300
    seed: int = 1
    latency_ms: float = 0.0
    faults: tuple[str, ...] = ()
    ninjaone_port: int = 0
    automate_port: int = 0
    control_port: int = 0
    start: str = ""
    token_seconds: float = 3600.0

    def arguments(self) -> list[str]:
        found = []
        for field in attrs.fields(Size):
            flag, value = f"--{field.name.replace('_', '-')}", getattr(self, field.name)
            if field.name == "faults":
                for fault in self.faults:
                    found += ["--fault", fault]
            elif value != "":
                found += [flag, str(value)]
        return found


class LabNotStarted(Exception):
    """The lab's process ended or stayed silent; the text says what it printed."""


@attrs.frozen(kw_only=True)
class LabProcess:
    """A lab of another process."""

    pid: int
    ninjaone_url: str
    automate_url: str
    control_url: str

    def ask(self, method: str, path: str, body: object = None, *, timeout: float = 5.0) -> object:
        """Call the control endpoint; raises OSError when it does not answer, ValueError when
        it refuses."""
        data = None if body is None else json.dumps(body).encode()
        url = self.control_url + path
        request = urllib.request.Request(url, data=data, method=method)  # noqa: S310 - always http
        # A proxy in the environment must not be asked for an address of this machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=timeout) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise ValueError(json.loads(error.read()).get("error", str(error))) from None
        return json.loads(text) if text else None

    def answers(self) -> bool:
        """Tell whether this very lab is there (another program may have taken its port)."""
        try:
            state = self.ask("GET", "/state", timeout=10.0)
        except (OSError, ValueError):
            return False
        return isinstance(state, dict) and state.get("pid") == self.pid

    def stop(self, *, seconds: float = 10.0) -> bool:
        """End the process; True when it is gone."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if not alive(self.pid):
                return True
            time.sleep(0.05)
        return False


def alive(pid: int) -> bool:
    """Tell whether a process exists and is more than a zombie."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def start(size: Size, *, log: Path | None = None) -> LabProcess:
    """Start a lab and wait until all its ports answer; raises LabNotStarted.

    With `log` every request is noted in that file.
    """
    arguments = [*size.arguments(), *(["--log", str(log)] if log else [])]
    # A file, not a pipe: nobody reads it later, and a full pipe would stop the lab.
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "msp_lab.process", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
        assert process.stdout is not None
        timer = threading.Timer(START_SECONDS, process.kill)
        timer.start()
        try:
            line = process.stdout.readline()
        finally:
            timer.cancel()
            process.stdout.close()
        try:
            return LabProcess(**json.loads(line))
        except (ValueError, TypeError):
            process.kill()
            process.wait()
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip()
            raise LabNotStarted(said or f"it said nothing for {START_SECONDS:g} s") from None


@contextmanager
def lab_process(size: Size | None = None) -> Iterator[LabProcess]:
    """Run a lab in a process of its own, for benchmarks."""
    lab = start(size or Size())
    try:
        yield lab
    finally:
        lab.stop()


async def serve(size: Size) -> None:
    """Serve until SIGTERM or Ctrl-C; the first line of output tells the addresses as JSON."""
    from msp_lab.server import Lab

    lab = Lab(
        clients=size.clients,
        devices=size.devices,
        seed=size.seed,
        latency_ms=size.latency_ms,
        faults=size.faults,
        start=datetime.fromisoformat(size.start) if size.start else None,
        token_seconds=size.token_seconds,
    )
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, ended.set)
    await lab.start(
        ninjaone_port=size.ninjaone_port,
        automate_port=size.automate_port,
        control_port=size.control_port,
    )
    found = LabProcess(
        pid=os.getpid(),
        ninjaone_url=lab.ninjaone_url,
        automate_url=lab.automate_url,
        control_url=lab.control_url,
    )
    sys.stdout.write(json.dumps(attrs.asdict(found)) + "\n")
    sys.stdout.flush()
    try:
        await ended.wait()
    finally:
        await lab.stop()


def read_arguments(arguments: Sequence[str] | None = None) -> tuple[Size, Path | None]:
    parser = argparse.ArgumentParser(prog="msp_lab", description="Serve a vendor lab.")
    for field in attrs.fields(Size):
        if field.name == "faults":
            parser.add_argument("--fault", action="append", default=[], dest="faults")
        else:
            kind = type(field.default)
            parser.add_argument(
                f"--{field.name.replace('_', '-')}", type=kind, default=field.default
            )
    parser.add_argument("--log", type=Path, help="note every request in this file")
    given = vars(parser.parse_args(arguments))
    log = given.pop("log")
    return Size(**{**given, "faults": tuple(given["faults"])}), log


def _log_requests(file: Path) -> None:
    handler = RotatingFileHandler(file, maxBytes=LOG_BYTES, backupCount=1)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def main() -> int:
    """Run a lab as a program."""
    try:
        size, log = read_arguments()
        if log is not None:
            _log_requests(log)
        asyncio.run(serve(size))
    except (OSError, ValueError) as error:
        sys.stderr.write(f"the lab cannot start: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
