"""A tool's result as agents get it: compact data that fits the output schema, and a short text for people."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from attrs import frozen

from msp_core.v1 import (
    Data,
    Format,
    Listing,
    McpResult,
    MspError,
    Planned,
    Proposal,
    VendorError,
    mask_data,
    plain,
    render,
)
from msp_mcp_server.catalog import LARGEST_PAGE, Offered
from msp_mcp_server.hygiene import (
    UNTRUSTED,
    clean,
    cleaned,
    safe,
    spelled,
    untrusted_fields,
)
from msp_mcp_server.pages import Page
from msp_mcp_server.rows import compact, items_of, lines_of

LONGEST_TEXT = 25_000


@frozen(kw_only=True, eq=False, repr=False)
class Reply(Data):
    """What a call answers with. An error has no data, so that no client holds it against the output schema."""

    text: str
    data: Mapping[str, Any] | None = None
    untrusted: tuple[str, ...] = ()
    failure: MspError | None = None
    content: Sequence[Mapping[str, Any]] = ()
    """Blocks of the protocol, from a tool that made some."""

    @property
    def error(self) -> bool:
        """Tell whether the call failed."""
        return self.failure is not None


def refusal(error: MspError) -> Reply:
    """Return an error in the shape every surface gives; a vendor's may repeat its words."""
    data = {"error": cleaned(mask_data(plain(error.as_dict())))}
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    untrusted = ("error",) if isinstance(error, VendorError) else ()
    return Reply(text=text, untrusted=untrusted, failure=error)


def page_reply(
    one: Offered, page: Page, found: Listing[Any], notes: Sequence[str], zone: ZoneInfo
) -> Reply:
    """Return one page of a list."""
    items = items_of(found.items, page.fields)
    after = page.start + len(items)
    more = bool(items) and after < found.total
    data: dict[str, Any] = {"items": items, "total": found.total, "has_more": more}
    if more:
        data["next_cursor"] = page.cursor(after)
    said = [clean(note) for note in (*found.notes, *notes)]
    if said:
        data["remarks"] = said
    lines = [_heading(one, page, found), *lines_of(found.items, items, page, zone)]
    if more:
        rows = f"Rows {page.start + 1} to {after} of {found.total}"
        said = [f"{rows}; more with cursor {data['next_cursor']}", *said]
    return _reply(one, data, "\n\n".join(lines), said)


def whole_reply(
    one: Offered, result: Any, notes: Sequence[str], zone: ZoneInfo, most: int
) -> Reply:
    """Return a result that is no list; of each list inside it at most so many entries, and how many there are."""
    data = compact(cleaned(mask_data(plain(result))))
    if not isinstance(data, dict):
        data = {} if data is None else {"result": data}
    cut: dict[str, str] = {}
    data = _shortened(data, "", most, cut)
    said = [clean(note) for note in notes]
    if cut:
        data["cut"] = cut
        said.append(_cut_note(one, cut))
    if said:
        data["remarks"] = said
    text = str(mask_data(render(result, Format.TABLE, zone=zone)))
    return _reply(one, data, clean(text), said)


def content_reply(result: McpResult) -> Reply:
    """Return the content a tool made itself: its texts cleaned and masked, its pictures as they are."""
    return Reply(text="", content=[safe(block) for block in result.content])


def plan_reply(one: Offered, proposal: Proposal, planned: Sequence[Planned]) -> Reply:
    """Return the plan of a call that its caller may now make."""
    changes = [spelled(change.preview) for change in planned]
    plan = {
        "id": proposal.id,
        "expires_at": proposal.expires_at.isoformat(timespec="seconds"),
        "changes": changes,
    }
    lines = "\n".join(f"- {change}" for change in changes) or "- nothing that can be told before"
    text = f"Nothing was changed yet. {one.name} would:\n{lines}"
    todo = f'To do it, make the same call with "plan": "{proposal.id}" before {plan["expires_at"]}.'
    return _reply(one, {"plan": plan}, text, [todo])


def _reply(one: Offered, data: dict[str, Any], text: str, said: Sequence[str] = ()) -> Reply:
    """Put a reply together. A text that is too long loses its end; what is said about it comes behind that."""
    untrusted = untrusted_fields(data, one.output)
    parts = [text[:LONGEST_TEXT]]
    if len(text) > LONGEST_TEXT:
        all_of_it = "" if "cut" in data else "; the structured result has all"
        parts.append(f"[{len(text) - LONGEST_TEXT} characters more{all_of_it}.]")
    parts += said
    if untrusted:
        parts.append(UNTRUSTED.format(fields=", ".join(untrusted)))
    return Reply(text="\n\n".join(parts), data=data, untrusted=untrusted)


def _shortened(value: Any, path: str, most: int, cut: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            key: _shortened(item, f"{path}.{key}" if path else key, most, cut)
            for key, item in value.items()
        }
    if isinstance(value, list):
        if len(value) > most:
            cut[path] = f"{most} of {len(value)}"
        return [_shortened(item, path, most, cut) for item in value[:most]]
    return value


def _cut_note(one: Offered, cut: Mapping[str, str]) -> str:
    parts = ", ".join(f"{path} {part}" for path, part in cut.items())
    more = f"; limit gives up to {LARGEST_PAGE}" if "limit" in one.input["properties"] else ""
    return f"The structured result has {parts}{more}."


def _heading(one: Offered, page: Page, found: Listing[Any]) -> str:
    """Say what was found, as in `Found 3 active premium clients:`."""
    words = [
        str(value)
        for name, value in reversed(list(page.arguments.items()))
        if isinstance(value, str) and "enum" in one.input["properties"].get(name, {})
    ]
    group = one.tool.name.partition(".")[0]
    plural = one.tool.name.rpartition(".")[2] if one.tool.name.endswith("s") else f"{group}s"
    noun = group if found.total == 1 and plural == f"{group}s" else plural
    what = " ".join([*words, noun])
    return f"Found {found.total} {what}:" if found.items else f"Found {found.total} {what}."
