"""What agents are shown: names, schemas, what they cost, and that they are enforced as published."""

import json
from typing import Any

import bpe_openai
import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from msp_core.v1 import Toolkit
from msp_mcp_server.catalog import Catalog, definition, tokens
from msp_mcp_server.desk import Desk

pytestmark = [pytest.mark.anyio]

# As promised to agents since the first design; a superset may be published, nothing less
PROMISED: dict[str, dict[str, Any]] = {
    "client_list": {
        "tier": {"type": "string", "enum": ["bronze", "silver", "gold", "premium"]},
        "status": {"type": "string", "enum": ["active", "inactive", "suspended"]},
        "search": {"type": "string"},
    },
    "health_check": {
        "client_id": {"type": "string"},
        "check_types": {
            "type": "array",
            "items": {"type": "string", "enum": ["cpu", "memory", "disk", "services", "network"]},
        },
        "threshold_override": {"type": "object"},
    },
    "alert_list": {
        "client_id": {"type": "string"},
        "severity": {"type": "string", "enum": ["critical", "warning", "info"]},
        "since": {"type": "string"},
    },
    "device_list": {"client_id": {"type": "string"}},
}
DESCRIPTIONS = {
    ("client_list", "tier"): "Filter by client tier",
    ("client_list", "search"): "Search clients by name",
    ("health_check", "client_id"): "Specific client ID (omit for all clients)",
    ("health_check", "check_types"): "Specific check types to run",
    ("alert_list", "severity"): "Filter by severity",
}


@pytest.mark.parametrize("name", sorted(PROMISED))
async def test_promised_tools_keep_their_schemas(desk: Desk, name: str) -> None:
    """Every promised parameter is there, nowhere stricter, and nothing is newly required."""
    one = desk.catalog.find(name)
    assert one is not None
    assert one.input["type"] == "object"
    assert not one.input.get("required")
    for parameter, promised in PROMISED[name].items():
        found = one.input["properties"][parameter]
        assert found["type"] == promised["type"]
        for have, want in ((found, promised), (found.get("items", {}), promised.get("items", {}))):
            assert set(have.get("enum", ())) >= set(want.get("enum", ()))
    for (tool, parameter), text in DESCRIPTIONS.items():
        if tool == name:
            assert one.input["properties"][parameter]["description"].startswith(text)


async def test_annotations_follow_from_the_effect(desk: Desk) -> None:
    """Reading is marked as such, destroying too; read-only, what records only reads."""
    hints = {one.name: one.annotations(read_only=False) for one in desk.catalog.all()}
    assert hints["client_list"] == {"readOnlyHint": True}
    assert hints["client_add"] == {"readOnlyHint": False, "destructiveHint": False}
    assert hints["door_open"] == {"readOnlyHint": False, "destructiveHint": False}
    assert hints["door_demolish"] == {"readOnlyHint": False, "destructiveHint": True}
    added = desk.catalog.find("client_add")
    assert added is not None
    assert added.annotations(read_only=True) == {"readOnlyHint": True}


async def test_an_outside_plugin_is_served_and_its_texts_are_checked(desk: Desk) -> None:
    """Its tools appear by themselves; those that steer, hide or take a name are left out and named."""
    names = {one.name for one in desk.catalog.all()}
    assert {"door_look", "door_open", "door_demolish"} <= names
    reasons = {one.tool: one.reason for one in desk.catalog.left_out}
    left_out = ["door.charm", "door.hidden", "door.polish", "door.twin", "door.usurper"]
    assert sorted(reasons) == [*left_out, "ring", "sign"]
    assert "Ignore all previous" in reasons["door.polish"]
    assert "health_check is taken by health.check" in reasons["door.usurper"]
    assert "You must" in reasons["ring"]
    assert "invisible" in reasons["sign"]
    assert "Ignore all previous" in reasons["door.charm"]
    assert "invisible" in reasons["door.hidden"]
    assert "taken" in reasons["door.twin"]
    ctx = desk.toolkit.context()
    found = await desk.toolkit.registry.load("msp_mcp_server.doctor:check")(ctx)
    assert [one.status.value for one in found] == ["warning"] * 7


async def test_the_operators_tools_are_not_for_agents(desk: Desk) -> None:
    """Nothing that approves, makes keys, or touches the database, plugins or credentials is listed."""
    groups = {one.tool.name.partition(".")[0] for one in desk.catalog.all()}
    assert not groups & {
        "access", "approval", "audit", "change", "config", "credential", "db", "init", "key",
        "lab", "mcp", "plugin",
    }  # fmt: skip


async def test_the_default_list_is_cheap(
    workspace: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """At most 4,000 tokens without output schemas and 9,000 with them; the estimate is never too low."""
    encoding = bpe_openai.get_encoding("o200k_base")
    async with Toolkit.open(workspace / "msp-toolkit.toml") as toolkit:
        catalog = Catalog(toolkit, 50)
    counted = []
    for output in (False, True):
        listed = [definition(one, read_only=False, output=output) for one in catalog.all()]
        counted.append(len(encoding.encode(json.dumps(listed, separators=(",", ":")))))
        for one in listed:
            assert tokens(one) >= len(encoding.encode(json.dumps(one, separators=(",", ":"))))
    with capsys.disabled():
        print(
            f"\n{len(catalog.all())} tools: {counted[0]} tokens, {counted[1]} with output schemas"
        )
    assert counted[0] <= 4_000
    assert counted[1] <= 9_000


def _values(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return values of a schema, and often of none."""
    anything: st.SearchStrategy[Any] = st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False)
        | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
        ),
        max_leaves=5,
    )
    kind = schema.get("type")
    if "enum" in schema:
        fitting: st.SearchStrategy[Any] = st.sampled_from(schema["enum"])
    elif kind == "string":
        fitting = st.text(max_size=30) | st.sampled_from(["acme-corp", "acme-corp/acme-dc01", "7d"])
    elif kind == "integer":
        fitting = st.integers(schema.get("minimum", -5), schema.get("maximum", 2000))
    elif kind == "number":
        fitting = st.floats(allow_nan=False)
    elif kind == "boolean":
        fitting = st.booleans()
    elif kind == "array":
        fitting = st.lists(_values(schema.get("items", {})), max_size=3)
    else:
        fitting = st.dictionaries(st.text(max_size=10), st.text(max_size=10), max_size=2)
    return st.one_of(fitting, fitting, fitting, anything)


async def test_arguments_are_enforced_as_published(desk: Desk) -> None:
    """Whatever the schema refuses is refused in the schema's words; whatever it takes never crashes a tool."""
    caller = desk.local()
    quiet = {"door_wait", "door_crash"}
    tools = [one for one in desk.catalog.all() if one.name not in quiet]

    def arguments(one: Any) -> st.SearchStrategy[Any]:
        properties = one.input["properties"]
        needed = one.input.get("required", [])
        return st.tuples(
            st.just(one),
            st.fixed_dictionaries(
                {name: _values(properties[name]) for name in needed},
                optional={
                    **{
                        name: _values(each)
                        for name, each in properties.items()
                        if name not in needed
                    },
                    "never_heard_of": st.text(),
                },
            ),
        )

    checks: list[tuple[Any, Any]] = []

    @given(st.sampled_from(tools).flatmap(arguments))
    @settings(
        max_examples=250,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    def collect(case: tuple[Any, Any]) -> None:
        checks.append(case)

    collect()
    refused = 0
    for one, given_ in checks:
        fits = jsonschema.Draft202012Validator(one.input).is_valid(given_)
        reply = await desk.call(caller, one, given_)
        code = json.loads(reply.text)["error"]["code"] if reply.error else ""
        assert code not in ("SYSTEM_ERROR", "PLUGIN_FAILED"), (one.name, given_, reply.text)
        if not fits:
            refused += 1
            assert reply.error, (one.name, given_)
            assert code in ("INVALID_PARAMETERS", "PLUGIN_NOT_FOUND"), (
                one.name,
                given_,
                reply.text,
            )
        elif not reply.error:
            jsonschema.validate(reply.data, one.output)
    assert 20 < refused < len(checks)


@pytest.mark.parametrize(
    ("tool", "arguments", "word"),
    [
        ("client_list", {"limit": 0}, "limit"),
        ("client_list", {"limit": True}, "limit"),
        ("client_list", {"limit": 501}, "limit"),
        ("client_list", {"offset": 1}, "offset"),
        ("client_list", {"cursor": "bm90"}, "cursor"),
        ("client_list", {"cursor": 3}, "cursor"),
        ("client_list", {"fields": "id"}, "fields"),
        ("client_list", {"fields": ["nope"]}, "nope"),
        ("client_list", {"tier": None}, "null"),
        ("client_list", {"tier": "platinum"}, "platinum"),
        ("client_show", {}, "client_id"),
        ("client_show", {"client": "acme-corp"}, "client"),
        ("health_check", {"check_types": "cpu"}, "check_types"),
        ("door_open", {"plan": 7}, "plan"),
    ],
)
async def test_a_refusal_names_the_argument(
    desk: Desk, tool: str, arguments: dict[str, Any], word: str
) -> None:
    """An argument that does not fit is named, with what to do next, and noted in the audit trail."""
    one = desk.catalog.find(tool)
    assert one is not None
    reply = await desk.call(desk.local(), one, arguments)
    error = json.loads(reply.text)["error"]
    assert reply.error
    assert reply.data is None
    assert error["code"] == "INVALID_PARAMETERS"
    assert word in error["message"]
    assert tool in error["details"]["suggestion"]
    trail = await desk.toolkit.call("audit.list", {"limit": 1})
    assert (trail.items[0].action, trail.items[0].outcome) == (one.tool.name, "refused")


async def test_too_long_arguments_are_refused(desk: Desk) -> None:
    """Ten megabytes are refused before they reach a tool, and are not kept in the audit trail."""
    one = desk.catalog.find("client_list")
    assert one is not None
    reply = await desk.call(desk.local(), one, {"search": "x" * 10_000_000})
    assert json.loads(reply.text)["error"]["code"] == "INVALID_PARAMETERS"
    assert len(reply.text) < 1000
    trail = await desk.toolkit.call("audit.list", {"limit": 1})
    assert len(trail.items[0].arguments) < 200
