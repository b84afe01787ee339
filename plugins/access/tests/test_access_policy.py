"""Limits of surface and actor: both hold, none widens the other."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msp_access.policy import Policy, policy
from msp_access.settings import AccessSettings, Approval, Level, Limits, Role
from msp_core.v1 import Actor, Call, Effect, PermissionDenied, Scope, Surface

TOOLS = ("client.list", "client.add", "device.exec", "health.check")


def policy_of(settings: AccessSettings, one: Call) -> Policy:
    """Return the policy of a call."""
    return policy(settings, one.surface, one.actor, one.scope, lambda: TOOLS)


def call(
    tool: str = "client.list",
    effect: Effect = Effect.READ,
    *,
    surface: Surface = Surface.CLI,
    actor: str = "local:alice",
    scope: Scope | None = None,
    dry_run: bool = False,
) -> Call:
    return Call(
        tool=tool,
        effect=effect,
        surface=surface,
        actor=Actor(id=actor),
        scope=scope or Scope(),
        correlation_id="c",
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        dry_run=dry_run,
    )


def test_without_settings() -> None:
    """The local user may do everything on the command line; a model's changes need approval."""
    made = policy_of(AccessSettings(), call())
    assert (made.scope, made.read_only, made.approval) == (Scope(), False, Approval.NEVER)
    made.check(call("x", Effect.DESTROY))
    model = policy_of(AccessSettings(), call(surface=Surface.MCP))
    assert (model.approval, model.plan_first) == (Approval.DESTROY, True)
    assert not model.approval.wants(Effect.RECORD)
    assert model.approval.wants(Effect.DESTROY)


@pytest.mark.parametrize(
    ("limits", "allowed"),
    [
        (Limits(role=Role.VIEWER), Effect.RECORD),
        (Limits(role=Role.OPERATOR), Effect.CHANGE),
        (Limits(role=Role.ADMIN), Effect.DESTROY),
        (Limits(max_effect=Level.READ), Effect.READ),
        (Limits(max_effect=Level.RECORD), Effect.RECORD),
        (Limits(read_only=True), Effect.RECORD),
        (Limits(role=Role.ADMIN, max_effect=Level.CHANGE), Effect.CHANGE),
    ],
)
def test_the_most_a_call_may_do(limits: Limits, allowed: Effect) -> None:
    """Every effect up to the limit passes and none above; a viewer's records are not kept."""
    settings = AccessSettings(actors={"local:alice": limits})
    for effect in Effect:
        one = call("health.check", effect)
        made = policy_of(settings, one)
        if effect <= allowed:
            made.check(one)
        else:
            with pytest.raises(PermissionDenied):
                made.check(one)
    assert made.read_only == (limits.read_only or limits.role is Role.VIEWER)
    policy_of(settings, call(actor="local:bob")).check(call("x", Effect.DESTROY))


def test_a_dry_run_may_look_further_only_in_read_only_mode() -> None:
    """Read-only mode lets a change be planned; a smaller scope does not."""
    plan = call("device.exec", Effect.CHANGE, dry_run=True)
    policy_of(AccessSettings(read_only=True), plan).check(plan)
    settings = AccessSettings(actors={"local:alice": Limits(max_effect=Level.RECORD)})
    with pytest.raises(PermissionDenied):
        policy_of(settings, plan).check(plan)


def test_tool_patterns() -> None:
    """`client.*` means every tool of that group and no other."""
    settings = AccessSettings(surfaces={"cli": Limits(tools=("client.*", "health.check"))})
    made = policy_of(settings, call())
    assert made.scope.tools == {"client.list", "client.add", "health.check"}
    with pytest.raises(PermissionDenied):
        made.check(call("device.exec"))


_limits = st.builds(
    Limits,
    role=st.none() | st.sampled_from(Role),
    read_only=st.booleans(),
    clients=st.none() | st.lists(st.sampled_from("abc"), max_size=3).map(tuple),
    tools=st.none() | st.lists(st.sampled_from(["client.*", "*", "device.exec"])).map(tuple),
    max_effect=st.none() | st.sampled_from(Level),
    approval=st.none() | st.sampled_from(Approval),
    max_clients_per_change=st.none() | st.integers(1, 9),
)
_scopes = st.builds(
    Scope,
    clients=st.none() | st.frozensets(st.sampled_from("abc")),
    tools=st.none() | st.frozensets(st.sampled_from(TOOLS)),
    max_effect=st.sampled_from(Effect),
)


@given(_scopes, _limits, _limits)
def test_nothing_widens(scope: Scope, surface: Limits, actor: Limits) -> None:
    """Whatever the settings say, the result is inside the scope asked for and inside both limits."""
    one = call(scope=scope)
    settings = AccessSettings(surfaces={"cli": surface}, actors={"local:alice": actor})
    made = policy_of(settings, one)
    for clients in (scope.clients, surface.clients, actor.clients):
        if clients is not None:
            assert made.scope.clients is not None
            assert made.scope.clients <= frozenset(clients)
    if scope.tools is not None:
        assert made.scope.tools is not None
        assert made.scope.tools <= scope.tools
    assert made.scope.max_effect <= scope.max_effect
    for limits in (surface, actor):
        if limits.max_effect is not None:
            assert made.scope.max_effect <= limits.max_effect.effect
        if limits.read_only or limits.role is Role.VIEWER:
            assert made.read_only
        if limits.approval is not None:
            for effect in (Effect.CHANGE, Effect.DESTROY):
                assert made.approval.wants(effect) or not limits.approval.wants(effect)
        if limits.max_clients_per_change is not None:
            assert made.max_clients is not None
            assert made.max_clients <= limits.max_clients_per_change
