"""A workspace whose credentials are all canaries, and vendors that send back whatever they are told."""

import base64
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote, quote_plus

import pytest

CANARIES: Mapping[str, str] = {
    "ninja id": "cnry-n1nja/Id+7Qx",
    "ninja secret": 'cnry-Zz"n1nja\\s3cret&x=1%',
    "ninja token": "cnry.tok3n-n1nja.Aa",
    "automate password": "cnry päss:w/rd @utomate?",
    "automate id": "cnry-aut0-9f1c-guid",
    "automate token": "cnry.tok3n-aut0.Bb",
    "ssh password": "cnry-sSh;p4ss|word$HOME",
    "database password": "cnry-d4tab@se:/pa ss",
    "file passphrase": "cnry-f1le-passphrase",
    "stored": "cnry-st0red-by-credential-set",
}


MARK = b"cnry"
"""Every canary begins with it, and no other text here has it: a part of a canary is a leak as well."""


def spellings(value: str) -> set[bytes]:
    """Return what of a secret turns up in base64, at any of three offsets; in URLs and JSON it keeps its mark."""
    raw, found = value.encode(), set()
    for before, dependent in ((0, 0), (1, 2), (2, 3)):
        encoded = base64.b64encode(b"\0" * before + raw)
        found.add(encoded[dependent : (before + len(raw)) * 8 // 6])
    return found


class Hostile(BaseHTTPRequestHandler):
    """Takes any login, and then sends back all it was ever told, with every status and in every spelling."""

    told: ClassVar[dict[str, set[str]]] = {"ninja": set(), "automate": set()}
    mode: ClassVar[str] = "500"
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    @property
    def _vendor(self) -> str:
        return "automate" if "/cwa/" in self.path else "ninja"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
        self.told[self._vendor].update([body, *map(str, self.headers.values())])
        if self.mode == "login":
            self._refuse()
        elif "oauth/token" in self.path:
            self._send(200, {"access_token": CANARIES["ninja token"], "expires_in": 3600})
        elif "apitoken" in self.path:
            later = "2099-01-01T00:00:00Z"
            token = {"AccessToken": CANARIES["automate token"], "ExpirationDate": later}
            self._send(200, {**token, "UserId": 1, "IsTwoFactorRequired": False})
        else:
            self._refuse()

    def do_GET(self) -> None:
        self.told[self._vendor].update(map(str, self.headers.values()))
        self._refuse()

    do_DELETE = do_PUT = do_PATCH = do_GET

    def _known(self) -> list[str]:
        """Return the canaries this vendor has been told, token and all."""
        told = " ".join(self.told[self._vendor])
        spelt = (
            (value, (value, quote_plus(value), json.dumps(value)[1:-1]))
            for value in CANARIES.values()
        )
        return [value for value, forms in spelt if any(form in told for form in forms)]

    def _refuse(self) -> None:
        known = self._known()
        everything = [*known, *map(quote, known), *map(quote_plus, known)]
        everything += [base64.b64encode(b"user:" + value.encode()).decode() for value in known]
        text = " ".join([*everything, *map(json.dumps, known)])
        status = int(self.mode) if self.mode.isdigit() else 401
        if self.mode == "html":
            self._send(200, f"<html>{text}</html>", "text/html")
        elif self.mode == "broken":
            self._send(200, '{"error": "' + text)
        elif self.mode == "redirect":
            self._send(302, {}, location=f"http://127.0.0.1:1/{quote(text)}")
        else:
            said = {"error": text, "errorMessage": text, "resultCode": text, "Message": text}
            self._send(status, said)

    def _send(
        self, status: int, body: Any, kind: str = "application/json", location: str = ""
    ) -> None:
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        known = self._known()
        self.send_response(status, " ".join(known).encode("ascii", "replace").decode())
        for number, value in enumerate(known):
            self.send_header(f"X-Echo-{number}", value.encode().decode("latin-1"))
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Retry-After", "1")
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture(scope="module")
def vendor() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hostile)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


REACHED = ("--via", "shell", "--address", "127.0.0.1:1")
"""How a device is reached: over SSH, where nobody listens."""
CONFIG = """
[general]
log_file = "logs/msp.log"
log_format = "json"
log_level = "DEBUG"

[adapters.ninja]
kind = "ninjaone"
api_url = "{url}"
client_id = "env:NINJA_ID"
client_secret = "env:NINJA_SECRET"

[adapters.cwa]
kind = "connectwise-automate"
api_url = "{url}"
username = "api-user"
password = "file:cwa/password"
integration_id = "file:cwa/integration_id"

[adapters.shell]
kind = "ssh"
user = "root"
password_env = "SSH_PASSWORD"
agent = false
"""


class Workshop:
    """A workspace, everything its commands printed, and the place of its files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.printed: list[tuple[str, bytes]] = []
        self.env = {
            "NINJA_ID": CANARIES["ninja id"],
            "NINJA_SECRET": CANARIES["ninja secret"],
            "SSH_PASSWORD": CANARIES["ssh password"],
            "DB_PASSWORD": CANARIES["database password"],
            "MSP_SECRETS_PASSPHRASE": CANARIES["file passphrase"],
        }

    def run(
        self, *words: str, stdin: str = "", program: tuple[str, ...] = ("-m", "msp_core")
    ) -> int:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("MSP_")}
        home = {"HOME": str(self.folder), "XDG_CACHE_HOME": str(self.folder / ".cache")}
        done = subprocess.run(
            [sys.executable, *program, *words],
            cwd=self.folder,
            env={**kept, **home, **self.env},
            input=stdin.encode(),
            capture_output=True,
            timeout=100,
        )
        self.printed += [(f"{words} stdout", done.stdout), (f"{words} stderr", done.stderr)]
        return done.returncode

    def leaks(self) -> list[str]:
        """Name every artefact that holds a canary, and which."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        artefacts = [
            *self.printed,
            *((str(p.relative_to(self.folder)), p.read_bytes()) for p in files),
        ]
        return [
            f"{where}: {name} as {form!r} in {data[max(0, data.find(form) - 60) : data.find(form) + 60]!r}"
            for where, data in artefacts
            for name, forms in (
                ("any", {MARK}),
                *((name, spellings(value)) for name, value in CANARIES.items()),
            )
            for form in forms
            if form in data
        ]


@pytest.fixture
def workshop(prepared: Workshop, tmp_path: Path) -> Workshop:
    for told in Hostile.told.values():
        told.clear()
    made = Workshop(tmp_path / "workspace")
    shutil.copytree(prepared.folder, made.folder)
    made.printed += prepared.printed
    return made


@pytest.fixture(scope="module")
def prepared(vendor: str, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    made = Workshop(tmp_path_factory.mktemp("canary"))
    assert made.run("init", "--no-input") == 0
    overlay = made.folder / "config" / "conf.d" / "all.toml"
    overlay.write_text(CONFIG.format(url=vendor), encoding="utf-8")
    for name in ("automate password", "automate id"):
        key = "cwa/password" if "password" in name else "cwa/integration_id"
        done = made.run(
            "credential", "set", key, "--store", "file", "--stdin", stdin=CANARIES[name]
        )
        assert done == 0, made.printed
    words = ("credential", "set", "spare/key", "--store", "file", "--stdin")
    assert made.run(*words, stdin=CANARIES["stored"]) == 0
    assert made.run("client", "add", "--name", "Acme Corp") == 0
    assert made.run("client", "link", "acme-corp", "ninja", "1") == 0, made.printed[-1]
    assert made.run("client", "link", "acme-corp", "cwa", "1") == 0
    return made
