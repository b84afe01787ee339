"""One tool, every surface: arguments, errors, the door for changes, the guard."""

import asyncio
import sys
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import pytest
from attrs import define, field

from msp_core.errors import (
    ApprovalRequired,
    Conflict,
    InvalidParameters,
    MspError,
    PermissionDenied,
    PluginError,
    SystemFailure,
    TimedOut,
    UnknownPlugin,
)
from msp_core.output import Format, render
from msp_core.records import Service
from msp_core.testing import make_toolkit
from msp_core.toolkit import GUARD, Toolkit
from msp_core.v1 import (
    Actor,
    Call,
    Change,
    Context,
    Doc,
    Effect,
    Outcome,
    Param,
    Planned,
    Scope,
    Surface,
    Tier,
    Tool,
    check_door,
    correlation_id,
    hookimpl,
)

pytestmark = pytest.mark.anyio


@define
class Known:
    """What the journal of these tests knows of a key."""

    state: str = "new"
    result: Any = None


@define
class GuardDouble:
    """A guard that remembers what it was asked."""

    calls: list[tuple[Call, Outcome]] = field(factory=list)
    changes: dict[str, Known] = field(factory=dict)
    refuse: MspError | None = None

    async def authorise(self, call: Call) -> None:
        if self.refuse is not None:
            raise self.refuse

    async def record(self, call: Call, outcome: Outcome) -> None:
        self.calls.append((call, outcome))

    async def begin_change(self, call: Call, change: Change) -> Known:
        known = self.changes.setdefault(change.key, Known("in-flight"))
        return known if known.state != "in-flight" or change.key in self.died else Known()

    died: set[str] = field(factory=set)

    async def finish_change(self, change: Change, *, ok: bool, result: Any) -> None:
        self.changes[change.key] = Known("done" if ok else "failed", result)


class Service1:
    """A service type."""


class Service2:
    """Another."""


def plugin(
    tools: Mapping[str, tuple[Callable[..., Any], Effect]], *, guard: GuardDouble | None = None
) -> types.ModuleType:
    """Return a plugin module with these tools."""
    module = types.ModuleType(f"kernel_double_{id(tools)}")

    def msp_tools() -> Iterable[Tool]:
        for name, (function, effect) in tools.items():
            setattr(module, name, function)
            yield Tool(
                name=f"double.{name}", run=f"{module.__name__}:{name}", summary=name, effect=effect,
                timeout=timedelta(seconds=0.2) if name == "slow" else None,
            )  # fmt: skip

    def msp_services() -> Iterable[Service]:
        if guard is not None:
            yield Service(type=GUARD, factory=f"{module.__name__}:make_guard")
        yield Service(type=f"{__name__}:Service1", factory=f"{module.__name__}:make_1")
        yield Service(type=f"{__name__}:Service2", factory=f"{module.__name__}:make_2")

    async def make_1(toolkit: Toolkit) -> Service1:
        await asyncio.sleep(0.01)
        made.append(1)
        return Service1()

    async def make_2(toolkit: Toolkit) -> Service2:
        await toolkit.get(Service2)
        return Service2()

    made: list[int] = []
    vars(module).update(
        msp_tools=hookimpl(msp_tools), msp_services=hookimpl(msp_services), make_guard=lambda _: guard,
        make_1=make_1, make_2=make_2, made=made,
    )  # fmt: skip
    sys.modules[module.__name__] = module
    return module


def toolkit(
    tmp_path: Path, guard: GuardDouble | None = None, **tools: tuple[Callable[..., Any], Effect]
) -> Toolkit:
    """Return a toolkit with one plugin of these tools."""
    return make_toolkit(tmp_path, plugins={"double": plugin(tools, guard=guard)})


async def echo(
    ctx: Context,
    number: Annotated[int, Doc("A number."), Param(arg=True)],
    *,
    tier: Tier | None = None,
    words: Sequence[str] = (),
    since: datetime | None = None,
    span: timedelta | None = None,
    flag: bool = False,
    more: Mapping[str, Any] | None = None,
    ratio: float = 1.0,
) -> dict[str, Any]:
    """Say what came in."""
    return {k: v for k, v in locals().items() if k != "ctx"}


async def test_arguments_are_structured_as_the_signature_says(tmp_path: Path) -> None:
    """Plain data becomes enums, times and tuples; nothing is guessed."""
    async with toolkit(tmp_path, echo=(echo, Effect.READ)) as made:
        result = await made.call(
            "double.echo",
            {
                "number": 3,
                "tier": "gold",
                "words": ["a"],
                "since": "2026-01-31T08:00:00+01:00",
                "span": "2h30m",
                "ratio": 2,
            },
        )
    assert result["tier"] is Tier.GOLD
    assert result["words"] == ("a",)
    assert result["since"] == datetime(2026, 1, 31, 7, tzinfo=UTC)
    assert result["span"] == timedelta(hours=2.5)
    assert isinstance(result["ratio"], float)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "number: missing"),
        ({"number": "3"}, "number: expected a whole number"),
        ({"number": 1.7}, "number: expected a whole number"),
        ({"number": True}, "number: expected a whole number"),
        ({"number": 1, "tier": "golden"}, "did you mean 'gold'"),
        ({"number": 1, "words": "abc"}, "words: expected a list"),
        ({"number": 1, "words": [1]}, "words[0]: expected text"),
        ({"number": 1, "flag": "false"}, "flag: expected true or false"),
        ({"number": 1, "since": "yesterday"}, "not a time"),
        ({"number": 1, "span": "5 parsecs"}, "not a duration"),
        ({"number": 1, "ratio": float("nan")}, "finite"),
        ({"number": 1, "nubmer": 2}, "unknown parameter"),
    ],
)
async def test_wrong_arguments_name_the_parameter(
    tmp_path: Path, arguments: dict[str, Any], says: str
) -> None:
    """Every problem is in the message, and the code is INVALID_PARAMETERS."""
    async with toolkit(tmp_path, echo=(echo, Effect.READ)) as made:
        with pytest.raises(InvalidParameters) as caught:
            await made.call("double.echo", arguments)
    assert says in caught.value.message


async def test_an_unexpected_failure_is_a_system_error_with_the_correlation_id(
    tmp_path: Path,
) -> None:
    """A tool that raises anything else gives SYSTEM_ERROR, without secrets in the text."""
    from msp_core.secrets import Secret

    async def broken(ctx: Context) -> None:
        """Fail."""
        raise ZeroDivisionError(f"with {Secret('hunter2-canary').reveal()}")

    async with toolkit(tmp_path, broken=(broken, Effect.READ)) as made:
        ctx = made.context()
        with pytest.raises(SystemFailure) as caught:
            await made.call("double.broken", ctx=ctx)
    assert caught.value.details["correlation_id"] == ctx.correlation_id
    assert "hunter2" not in caught.value.message


async def test_a_tool_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    """The record's timeout ends the call with TIMED_OUT."""

    async def slow(ctx: Context) -> None:
        """Sleep."""
        await asyncio.sleep(5)

    async with toolkit(tmp_path, slow=(slow, Effect.READ)) as made:
        with pytest.raises(TimedOut):
            await made.call("double.slow")


async def test_the_correlation_id_reaches_the_code_inside(tmp_path: Path) -> None:
    """It is set for the call and gone afterwards."""

    async def who(ctx: Context) -> str:
        """Tell the id."""
        return correlation_id()

    async with toolkit(tmp_path, who=(who, Effect.READ)) as made:
        ctx = made.context()
        assert await made.call("double.who", ctx=ctx) == ctx.correlation_id
    assert correlation_id() == ""


def changing(log: list[str], **options: Any) -> Callable[..., Any]:
    """Return a tool that changes something through the door and logs it."""

    async def change(ctx: Context) -> Any:
        """Change something."""

        async def apply() -> str:
            check_door(Effect.CHANGE, "POST /things")
            log.append("applied")
            return "made"

        return await ctx.change(
            "thing.create", "thing-1", apply, key="k1", preview="create thing-1", **options
        )

    return change


async def test_a_dry_run_lists_the_change_and_alters_nothing(tmp_path: Path) -> None:
    """The result is a placeholder that the rest of a plan can be made with."""
    log: list[str] = []
    async with toolkit(tmp_path, change=(changing(log), Effect.CHANGE)) as made:
        ctx = made.context(dry_run=True)
        result = await made.call("double.change", ctx=ctx)
    assert isinstance(result, Planned)
    assert render(result, Format.TABLE, zone=UTC) == str(result) == "(known after apply)"
    assert [plan.preview for plan in ctx.planned] == ["create thing-1"]
    assert log == []


@pytest.mark.parametrize("effect", [Effect.READ, Effect.PROBE, Effect.RECORD])
async def test_a_tool_changes_no_more_than_it_declares(tmp_path: Path, effect: Effect) -> None:
    """A tool that says it only reads or records does not pass the door for changes."""
    log: list[str] = []
    async with toolkit(tmp_path, change=(changing(log), effect)) as made:
        with pytest.raises(PermissionDenied, match=f"declared.* {effect.name.lower()}"):
            await made.call("double.change")
    assert log == []


class Panic(BaseException):
    """What a compiled extension raises when it panics."""


@pytest.mark.parametrize("raised", [asyncio.CancelledError(), Panic("lost")])
async def test_what_a_tool_raises_ends_its_call_alone(
    tmp_path: Path, raised: BaseException
) -> None:
    """A cancellation nobody asked for, or a panic, is a failure like any other, and recorded as one."""

    async def odd(ctx: Context) -> None:
        """Raise it."""
        raise raised

    guard = GuardDouble()
    async with toolkit(tmp_path, guard, odd=(odd, Effect.READ)) as made:
        with pytest.raises(SystemFailure, match=type(raised).__name__):
            await made.call("double.odd")
    assert [outcome.status for _, outcome in guard.calls] == ["failed"]


async def test_outside_the_door_nothing_can_be_changed() -> None:
    """An adapter that acts without the door is stopped where it declares its effect."""
    with pytest.raises(PermissionDenied):
        check_door(Effect.CHANGE, "POST /things")
    check_door(Effect.READ, "GET /things")


async def test_without_a_guard_only_the_local_user_changes(tmp_path: Path) -> None:
    """A key or a schedule needs somebody who decides about it."""
    log: list[str] = []
    async with toolkit(tmp_path, change=(changing(log), Effect.CHANGE)) as made:
        assert await made.call("double.change") == "made"
        with pytest.raises(PermissionDenied):
            await made.call("double.change", ctx=made.context(actor=Actor(id="key:1", kind="key")))
    assert log == ["applied"]


async def test_read_only_and_scope_stop_a_change(tmp_path: Path) -> None:
    """Neither read-only mode nor a narrow scope lets a CHANGE tool run."""
    log: list[str] = []
    async with toolkit(
        tmp_path, change=(changing(log), Effect.CHANGE), echo=(echo, Effect.READ)
    ) as made:
        for ctx in (
            made.context(read_only=True),
            made.context(scope=Scope(max_effect=Effect.RECORD)),
            made.context(scope=Scope(tools=frozenset({"double.echo"}))),
        ):
            with pytest.raises(PermissionDenied):
                await made.call("double.change", ctx=ctx)
    assert log == []


async def test_a_change_of_another_client_is_not_found(tmp_path: Path) -> None:
    """Outside the scope a client does not exist."""
    log: list[str] = []
    async with toolkit(tmp_path, change=(changing(log, client_id="b"), Effect.CHANGE)) as made:
        with pytest.raises(MspError) as caught:
            await made.call(
                "double.change", ctx=made.context(scope=Scope(clients=frozenset({"a"})))
            )
    assert caught.value.code == "CLIENT_NOT_FOUND"


async def test_a_guard_hears_every_call_and_refusals_too(tmp_path: Path) -> None:
    """Outcomes: ok, planned, failed, refused; and a done change is not applied twice."""
    guard, log = GuardDouble(), list[str]()
    async with toolkit(
        tmp_path, guard, change=(changing(log), Effect.CHANGE), echo=(echo, Effect.READ)
    ) as made:
        assert await made.call("double.change") == "made"
        assert await made.call("double.change") == "made"
        assert log == ["applied"]
        await made.call("double.change", ctx=made.context(dry_run=True))
        with pytest.raises(InvalidParameters):
            await made.call("double.echo", {"number": "x"})
        guard.refuse = ApprovalRequired("ask somebody", plan="p1")
        with pytest.raises(ApprovalRequired):
            await made.call("double.change")
    assert [outcome.status for _, outcome in guard.calls] == [
        "ok",
        "ok",
        "planned",
        "refused",
        "refused",
    ]
    assert guard.calls[-1][1].error_code == "APPROVAL_REQUIRED"


@pytest.mark.parametrize(
    ("options", "applied"),
    [
        ({}, None),
        ({"idempotent": True}, True),
        ({"find": "absent"}, True),
        ({"find": "there"}, False),
    ],
)
async def test_a_change_left_in_flight_is_repeated_only_when_that_is_safe(
    tmp_path: Path, options: dict[str, Any], applied: bool | None
) -> None:
    """After a crash: find decides, else idempotence, else a person."""
    guard, log = GuardDouble(died={"k1"}), list[str]()
    guard.changes["k1"] = Known("in-flight")
    if "find" in options:
        there = "found it" if options["find"] == "there" else None

        async def find() -> str | None:
            return there

        options = {"find": find}
    async with toolkit(tmp_path, guard, change=(changing(log, **options), Effect.CHANGE)) as made:
        if applied is None:
            with pytest.raises(Conflict):
                await made.call("double.change")
        else:
            assert await made.call("double.change") in ("made", "found it")
    assert log == (["applied"] if applied else [])


async def test_secrets_in_arguments_are_masked_for_the_guard(tmp_path: Path) -> None:
    """The audit trail sees a mask where a key names a secret."""
    guard = GuardDouble()
    async with toolkit(tmp_path, guard, echo=(echo, Effect.READ)) as made:
        await made.call("double.echo", {"number": 1, "more": {"password": "pa55word"}})
    assert "pa55word" not in str(guard.calls)


async def test_a_service_is_built_once_however_many_ask(tmp_path: Path) -> None:
    """Single flight; and a service that needs itself is a named error, not a hang."""
    module = plugin({})
    async with make_toolkit(tmp_path, plugins={"double": module}) as made:
        found = await asyncio.gather(*(made.get(Service1) for _ in range(20)))
        assert len(set(map(id, found))) == 1
        assert module.made == [1]
        with pytest.raises(PluginError, match="needs itself"):
            await made.get(Service2)
        with pytest.raises(UnknownPlugin):
            await made.get(Path)


async def test_two_toolkits_in_one_process_share_nothing(tmp_path: Path) -> None:
    """Each builds its own services."""
    module = plugin({})
    async with (
        make_toolkit(tmp_path, plugins={"double": module}) as one,
        make_toolkit(tmp_path, plugins={"double": module}) as two,
    ):
        assert await one.get(Service1) is not await two.get(Service1)


async def test_an_unknown_tool_says_what_there_is(tmp_path: Path) -> None:
    """The nearest name, and what is installed."""
    async with toolkit(tmp_path, echo=(echo, Effect.READ)) as made:
        with pytest.raises(UnknownPlugin) as caught:
            await made.call("double.ecko")
    assert "Did you mean 'double.echo'" in caught.value.suggestion


async def test_surfaces_are_known_to_the_call(tmp_path: Path) -> None:
    """The guard is told where a call comes from."""
    guard = GuardDouble()
    async with toolkit(tmp_path, guard, echo=(echo, Effect.READ)) as made:
        await made.call("double.echo", {"number": 1}, ctx=made.context(surface=Surface.MCP))
    assert guard.calls[0][0].surface is Surface.MCP
