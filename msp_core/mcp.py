"""Records of what only agents see: resources they read and prompts their people choose."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Protocol
from urllib.parse import unquote

from attrs import field, frozen, validators

from msp_core.data import Data
from msp_core.display import Display
from msp_core.records import Effect, Surface, Tool, is_id, is_ref

_VARIABLE = re.compile(r"\{([a-z][a-z0-9_]*)\}")

_TIMEOUT = timedelta(seconds=60)


def _is_uri(_instance: object, _attribute: Any, value: Any) -> None:
    if not isinstance(value, str) or not re.fullmatch(r"[a-z][a-z0-9+.-]*://[\w{}/.~-]+", value):
        message = f"uri={value!r} is not a URI like 'msp://clients/{{id}}'"
        raise ValueError(message)


@frozen(kw_only=True, eq=False, repr=False)
class McpResource(Data):
    """A document an agent can read by its URI, such as `msp://clients/{id}`.

    `run` names `async def run(ctx: Context, id: str) -> result`: one text parameter for each `{name}` of the URI. The
    result is text, bytes or anything a tool may return (given as JSON). It runs like a tool that only reads:
    authorised, audited, inside the caller's scope. `complete` names
    `async def complete(ctx: Context, argument: str, value: str) -> Sequence[str]`: what a `{name}` may be that begins
    like `value`, best first.
    """

    name: str = field(validator=is_id)
    uri: str = field(validator=_is_uri)
    run: str = field(validator=is_ref)
    title: str = field(validator=validators.min_len(1))
    summary: str = field(validator=validators.min_len(1))
    mime_type: str = "application/json"
    complete: str | None = field(default=None, validator=validators.optional(is_ref))

    @property
    def id(self) -> str:
        """The name."""
        return self.name

    @property
    def variables(self) -> tuple[str, ...]:
        """The names in braces."""
        return tuple(_VARIABLE.findall(self.uri))

    @property
    def tool(self) -> Tool:
        """The tool that reading it is."""
        return Tool(
            name=f"resource.{self.name}",
            run=self.run,
            summary=self.summary,
            effect=Effect.READ,
            surfaces=frozenset({Surface.MCP}),
            timeout=_TIMEOUT,
        )

    def match(self, uri: str) -> dict[str, str] | None:
        """Return the variables of a URI of this shape, decoded, None for any other; a value holds no slash."""
        parts = _VARIABLE.split(self.uri)
        pattern = "".join(
            f"(?P<{part}>[^/?#\\s]{{1,200}})" if number % 2 else re.escape(part)
            for number, part in enumerate(parts)
        )
        found = re.fullmatch(pattern, uri)
        if found is None:
            return None
        try:
            values = {
                name: unquote(text, errors="strict") for name, text in found.groupdict().items()
            }
        except UnicodeDecodeError:
            return None
        plain = all(text.isprintable() and not set(text) & set("/\\") for text in values.values())
        return values if plain else None


@frozen(kw_only=True, eq=False, repr=False)
class McpPrompt(Data):
    """A task a person can choose in an agent's menu, such as the morning briefing.

    `run` names `async def run(ctx: Context, *, tier: Annotated[str | None, Doc("...")] = None) -> str`: the text the
    agent is given, or a list of JSON messages in the protocol's shape. Parameters are text; their texts are shown.
    Those with choices complete by themselves; `complete` is for others, as in a resource.
    """

    name: str = field(validator=validators.matches_re(r"[a-z][a-z0-9_-]*"))
    run: str = field(validator=is_ref)
    title: str = field(validator=validators.min_len(1))
    summary: str = field(validator=validators.min_len(1))
    complete: str | None = field(default=None, validator=validators.optional(is_ref))

    @property
    def id(self) -> str:
        """The name."""
        return self.name

    @property
    def tool(self) -> Tool:
        """The tool that asking for it is."""
        return Tool(
            name="prompt." + self.name.replace("_", "-"),
            run=self.run,
            summary=self.summary,
            effect=Effect.READ,
            surfaces=frozenset({Surface.MCP}),
            timeout=_TIMEOUT,
        )


def completion(one: McpResource | McpPrompt) -> Tool | None:
    """Return the tool that completing its arguments is; None where it completes none."""
    if one.complete is None:
        return None
    return Tool(
        name="complete." + one.name.replace("_", "-"),
        run=one.complete,
        summary=f"Complete what {one.name} takes",
        effect=Effect.READ,
        surfaces=frozenset({Surface.MCP}),
        timeout=_TIMEOUT,
    )


def _in_words(result: "McpResult") -> str:
    """Return what people read where no agent shows the rest."""
    return "\n".join(
        str(block.get("text") or f"({block.get('type')} {block.get('mimeType', '')}".strip() + ")")
        for block in result.content
    )


@frozen(kw_only=True, eq=False, repr=False)
class McpResult(Data):
    """What a tool gives an agent beside data: pictures, sound, documents, as content blocks of the protocol.

    `McpResult(content=({"type": "image", "data": <base64>, "mimeType": "image/png"},))`. Texts in it are masked and
    cleaned like any other. Other surfaces show its texts.
    """

    content: tuple[Mapping[str, Any], ...]

    DISPLAY: ClassVar[Display] = Display(summary=_in_words)


@frozen(kw_only=True, eq=False, repr=False)
class AgentRequest(Data):
    """One thing asked of an agent in the protocol's own words, such as `sampling/createMessage` or `roots/list`."""

    method: str
    params: Mapping[str, Any] = field(factory=dict)


class McpAgent(Protocol):
    """The agent behind a call over MCP (`ctx.agent`), for what only agents can do; people are asked by `ctx.ask`."""

    def can(self, method: str) -> bool:
        """Tell whether the agent said that it answers this request."""
        ...

    async def request(
        self, requests: Mapping[str, AgentRequest]
    ) -> Mapping[str, Mapping[str, Any]]:
        """Put requests to the agent, all at once where its protocol can; return its results by the same keys.

        Raise NotSupported where it did not say that it answers one of them. What it returns is untrusted.
        """
        ...
