"""The other side of an MCP server: starts one, calls it, and tells what that took."""

import json
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.timing import child_environment

HELLO = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "benchmark", "version": "1"},
}
MODERN = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": HELLO["clientInfo"],
    "io.modelcontextprotocol/clientCapabilities": {},
}


class Peer:
    """A server in a process of its own."""

    def __init__(
        self, command: Sequence[str | Path], cwd: Path, env: Mapping[str, str], *, pipes: bool
    ) -> None:
        self.number = 0
        self.process = subprocess.Popen(
            [str(word) for word in command],
            cwd=cwd,
            env=child_environment(env),
            stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
            stdout=subprocess.PIPE if pipes else subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def cpu_s(self) -> float:
        """Return the processor time of all its threads so far."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        if not tasks.exists():
            return time.perf_counter()
        return sum(int((one / "schedstat").read_text().split()[0]) for one in tasks.iterdir()) / 1e9

    def call(self, method: str, params: Mapping[str, Any]) -> Any:
        """Send a request and return its result; RuntimeError for an error."""
        self.number += 1
        request = {"jsonrpc": "2.0", "id": self.number, "method": method, "params": params}
        answer = self.exchange(json.dumps(request).encode(), request)
        if "result" not in answer or answer["result"].get("isError"):
            message = f"{method} failed: {answer}"
            raise RuntimeError(message)
        return answer["result"]

    def tool(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """Call a tool."""
        return self.call("tools/call", {"name": name, "arguments": arguments})

    def exchange(self, data: bytes, request: Mapping[str, Any]) -> Any:
        """Send a request and return the whole answer."""
        raise NotImplementedError

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


class Pipes(Peer):
    """One that speaks over its standard streams, with a handshake."""

    def __init__(self, command: Sequence[str | Path], cwd: Path, env: Mapping[str, str]) -> None:
        super().__init__(command, cwd, env, pipes=True)
        self.call("initialize", HELLO)
        self._write(b'{"jsonrpc": "2.0", "method": "notifications/initialized"}')

    def exchange(self, data: bytes, request: Mapping[str, Any]) -> Any:
        """Write a line, and read lines until the one that answers it."""
        self._write(data)
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            answer = json.loads(line)
            if answer.get("id") == request["id"]:
                return answer
        message = "the server hung up"
        raise RuntimeError(message)

    def _write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data + b"\n")
        self.process.stdin.flush()


class Http(Peer):
    """One that speaks over HTTP, without a session, on one connection that is kept."""

    def __init__(
        self,
        command: Sequence[str | Path],
        cwd: Path,
        env: Mapping[str, str],
        port: int,
        key: str = "",
    ) -> None:
        super().__init__(command, cwd, env, pipes=False)
        self._key = f"authorization: Bearer {key}\r\n" if key else ""
        self._host = f"127.0.0.1:{port}"
        self._connection = _connected(port)
        self._file = self._connection.makefile("rb")

    def call(self, method: str, params: Mapping[str, Any]) -> Any:
        """Send a request, which says itself what a handshake would."""
        return super().call(method, {**params, "_meta": MODERN})

    def exchange(self, data: bytes, request: Mapping[str, Any]) -> Any:
        """Post a request and read the answer."""
        name = request["params"].get("name", "")
        head = (
            f"POST /mcp HTTP/1.1\r\nhost: {self._host}\r\n{self._key}content-type: application/json\r\n"
            "accept: application/json, text/event-stream\r\nmcp-protocol-version: 2026-07-28\r\n"
            f"mcp-method: {request['method']}\r\n"
            + (f"mcp-name: {name}\r\n" if name else "")
            + f"content-length: {len(data)}\r\n\r\n"
        )
        self._connection.sendall(head.encode() + data)
        status = self._file.readline()
        length = 0
        while (line := self._file.readline().strip()) != b"":
            title, _, value = line.partition(b":")
            if title.lower() == b"content-length":
                length = int(value)
        body = self._file.read(length)
        if not status.startswith(b"HTTP/1.1 200"):
            message = f"{status!r}: {body!r}"
            raise RuntimeError(message)
        return json.loads(body)

    def close(self) -> None:
        """End it."""
        self._file.close()
        self._connection.close()
        super().close()


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _connected(port: int) -> socket.socket:
    give_up = time.monotonic() + 30
    while True:
        try:
            made = socket.create_connection(("127.0.0.1", port), timeout=60)
        except OSError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.05)
        else:
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return made
