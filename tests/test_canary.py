"""Secrets stay secret: every credential of a workspace is a canary, and no artefact of its use may hold one."""

import socket
import sys
import threading
import time
from pathlib import Path
from urllib.parse import quote

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from canaries import CANARIES, REACHED, Hostile, Workshop, prepared, vendor, workshop

__all__ = ["prepared", "vendor", "workshop"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

API = """
import asyncio, sys, traceback
from msp_core.toolkit import Toolkit
async def main():
    async with Toolkit.open() as toolkit:
        ninja = await toolkit.adapter("ninja")
        print(repr(ninja), vars(ninja), repr(toolkit.config.data))
        for tool, arguments in (("client.sync", {}), ("credential.check", {}), ("health.check", {}),
                                ("device.exec", {"device": "acme-corp/srv", "command": ["true"]})):
            try:
                print(repr(await toolkit.call(tool, arguments)))
            except Exception as error:
                print(repr(error), str(error), getattr(error, "details", None))
                print(traceback.format_exc())
                print("".join(traceback.TracebackException.from_exception(error, capture_locals=True).format()))
        try:
            async for one in ninja.list_devices(toolkit.context(), None):
                print(one)
        except Exception as error:
            traceback.print_exc()
        from msp_core.v1 import SecretRef
        secret = toolkit.secrets.resolve(SecretRef.parse("env:NINJA_SECRET"))
        print(secret, repr(secret), f"{secret}", [secret], {"a": secret})
asyncio.run(main())
"""


def test_the_search_would_find_them(workshop: Workshop) -> None:
    """The search itself works: it finds a canary that is shown on demand."""
    assert workshop.leaks() == []
    assert workshop.run("credential", "get", "spare/key", "--reveal") == 0
    assert len(workshop.leaks()) > 0


@pytest.mark.parametrize("mode", ["401", "404", "500", "login", "html", "broken", "redirect"])
def test_a_vendor_that_sends_back_what_it_was_told(workshop: Workshop, mode: str) -> None:
    """Whatever a hostile vendor puts into bodies, headers and reasons: nothing of it is shown or kept."""
    Hostile.mode = mode
    workshop.run("--verbose", "client", "sync", "--all", "--create")
    workshop.run("client", "sync", "--all", "--json")
    workshop.run("--verbose", "health", "check", "--all")
    workshop.run("credential", "check", "--json")
    workshop.run("audit", "list", "--json")
    assert workshop.leaks() == []
    if mode != "login":
        assert any(CANARIES["ninja token"] in text for text in Hostile.told["ninja"])
    assert any(CANARIES["automate password"] in text for text in Hostile.told["automate"])


def test_every_other_artefact(workshop: Workshop) -> None:
    """Configuration, doctor, credentials, audit trail, errors of the Python API, logs, database, state."""
    Hostile.mode = "500"
    for words in (
        ("config", "show"),
        ("config", "show", "--json"),
        ("config", "check"),
        ("doctor",),
        ("doctor", "--json"),
        ("credential", "list"),
        ("credential", "list", "--json"),
        ("credential", "get", "spare/key"),
        ("credential", "get", "ninja/client_secret", "--json"),
        ("credential", "migrate", "--from", "env", "--to", "file", "--dry-run"),
        ("--verbose", "credential", "migrate", "--from", "env", "--to", "file", "--yes"),
        ("credential", "rotate-key"),
        ("credential", "delete", "spare/key", "--yes"),
        ("--verbose", "device", "add", "acme-corp", "srv", *REACHED),
        ("--verbose", "device", "exec", "acme-corp/srv", "--via", "shell", "--", "true"),
        ("audit", "list"),
        ("audit", "export", "--output", "trail.jsonl"),
        ("client", "export", "--output", "clients.csv"),
        ("plugin", "list", "--json"),
        ("--set", "adapters.ninja.client_secret=" + CANARIES["stored"], "config", "show"),
        ("--set", "adapters.ninja.client_secret=" + CANARIES["stored"], "client", "list"),
        ("--set", "database.password=" + CANARIES["stored"], "client", "list"),
    ):
        assert workshop.run(*words) != 64, workshop.printed[-1]
    assert workshop.run(program=("-c", API)) == 0, workshop.printed[-1]
    assert workshop.leaks() == []


def test_a_database_that_is_not_there(workshop: Workshop) -> None:
    """A server that refuses or says nothing: its password is in no error, log or answer of doctor."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        for number in (1, port):
            overlay = workshop.folder / "config" / "conf.d" / "database.toml"
            overlay.write_text(
                '[database]\ntype = "postgresql"\nhost = "127.0.0.1"\nusername = "msp"\n'
                f'port = {number}\npassword_env = "DB_PASSWORD"\nbusy_timeout_s = 1\nreconnect_s = 0\n',
                encoding="utf-8",
            )
            if number == port:
                threading.Thread(target=_refuse_postgresql, args=(silent,), daemon=True).start()
            assert workshop.run("--verbose", "client", "list") == 1
            workshop.run("doctor")
            workshop.run("db", "status", "--json")
        secret = quote(CANARIES["database password"], safe="")
        workshop.run("db", "migrate", "--to", f"postgresql://msp:{secret}@127.0.0.1:1/x")
    assert workshop.leaks() == []


def _refuse_postgresql(server: socket.socket) -> None:
    """Ask for a clear-text password and answer with it in the error, as no honest server would."""
    while True:
        try:
            connection, _ = server.accept()
        except OSError:
            return
        with connection:
            said = connection.recv(1000)
            if said[4:8] == b"\x04\xd2\x16\x2f":  # may we speak TLS?
                connection.sendall(b"N")
                said = connection.recv(1000)
            connection.sendall(b"R\x00\x00\x00\x08\x00\x00\x00\x03")
            password = connection.recv(1000)[5:].rstrip(b"\0")
            text = b"SFATAL\0C28P01\0Mwrong password " + password + b"\0\0"
            connection.sendall(b"E" + (len(text) + 4).to_bytes(4, "big") + text)
            time.sleep(0.05)
