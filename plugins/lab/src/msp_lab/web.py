"""Requests and answers of the simulators, free of any HTTP library."""

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus

import attrs

JSON = "application/json"


@attrs.define(kw_only=True)
class Call:
    """One request to a simulator; faults may change it before it is answered."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: bytes = b""
    pattern: str = ""
    params: dict[str, str] = attrs.Factory(dict)

    def json(self) -> object:
        """Return the decoded body, None for an empty one; raises ValueError for anything else."""
        return json.loads(self.body) if self.body.strip() else None

    def json_object(self) -> dict[str, object]:
        """Return the decoded body; raise Refusal for what is no JSON object."""
        try:
            value = self.json()
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise Refusal(400, "a JSON object is required")
        return value


@attrs.define(kw_only=True)
class Reply:
    """One answer of a simulator."""

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: dict[str, str] = attrs.Factory(dict)


Handler = Callable[[Call], Reply]


def reply(value: object, status: int = 200) -> Reply:
    """Answer with a value as JSON."""
    return Reply(status=status, body=encode(value))


def encode(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def joined(items: list[bytes]) -> Reply:
    """Answer with a JSON array of items that are encoded already."""
    return Reply(body=b"[" + b",".join(items) + b"]")


class Refusal(Exception):
    """A handler's way to answer with an error; `text` is what the vendor would say."""

    def __init__(self, status: int, text: str = "", code: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.text = text or HTTPStatus(status).phrase
        self.code = code


class Router:
    """Find the handler of a path; the literal segment wins over `{name}`."""

    def __init__(self, *, ignore_case: bool = False) -> None:
        self._ignore_case = ignore_case
        self._root: dict[str, object] = {}
        self.offered: list[tuple[str, str]] = []

    def add(self, method: str, pattern: str, handler: Handler) -> None:
        self.offered.append((method, pattern))
        node = self._root
        names = []
        for segment in pattern.strip("/").split("/"):
            if segment.startswith("{"):
                names.append(segment[1:-1])
                segment = "{}"
            node = node.setdefault(self._fold(segment), {})  # type: ignore[assignment]
        methods: dict[str, tuple[Handler, str, list[str]]] = node.setdefault("", {})  # type: ignore[assignment]
        methods[method] = (handler, pattern, names)

    def _fold(self, segment: str) -> str:
        return segment.lower() if self._ignore_case else segment

    def match(self, call: Call) -> Handler:
        """Return the handler and fill in the call's pattern and path parameters."""
        leaf, values = self._descend(self._root, call.path.strip("/").split("/"))
        if leaf is None:
            raise Refusal(404, "no such resource")
        found = leaf.get(call.method)
        if found is None:
            raise Refusal(405)
        handler, call.pattern, names = found
        call.params = dict(zip(names, values, strict=True))
        return handler

    def _descend(
        self, node: dict[str, object], segments: list[str]
    ) -> tuple[dict[str, tuple[Handler, str, list[str]]] | None, list[str]]:
        if not segments:
            return node.get(""), []  # type: ignore[return-value]
        head, rest = segments[0], segments[1:]
        literal = node.get(self._fold(head)) if head else None
        if isinstance(literal, dict):
            leaf, values = self._descend(literal, rest)
            if leaf is not None:
                return leaf, values
        wild = node.get("{}")
        if isinstance(wild, dict) and head:
            leaf, values = self._descend(wild, rest)
            return leaf, [head, *values]
        return None, []


def whole(text: str | None, default: int, *, low: int = 0, high: int = 2**31 - 1) -> int:
    """Read a whole number of a query string; anything else is the caller's mistake (400)."""
    if text is None:
        return default
    try:
        value = int(text)
    except ValueError:
        raise Refusal(400, f"not a number: {text}") from None
    return max(low, min(high, value))
