"""Run one tool, the same way for every surface: structure, authorise, run, audit; every failure is an MspError."""

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn

from attrs import evolve

from msp_core.correlation import CURRENT
from msp_core.errors import (
    ApprovalRequired,
    InvalidParameters,
    MspError,
    PermissionDenied,
    RateLimited,
    StoreError,
    SystemFailure,
    TimedOut,
)
from msp_core.protocols import Call, Guard, Outcome
from msp_core.records import Effect, Tool
from msp_core.schema import structured
from msp_core.secrets import mask, mask_data
from msp_core.structure import plain

if TYPE_CHECKING:
    from msp_core.context import Context

log = logging.getLogger(__name__)

_REFUSALS = (ApprovalRequired, InvalidParameters, PermissionDenied, RateLimited)


async def invoke(tool: Tool, arguments: Mapping[str, Any], ctx: "Context") -> Any:
    """Run a tool and return its result; raise an MspError and nothing else (but let a cancellation through)."""
    token = CURRENT.set(ctx.correlation_id)
    started = time.perf_counter()
    ctx.call = call = call_of(tool, arguments, ctx)
    guard: Guard | None = None
    log.debug("%s started", tool.name)
    try:
        guard = await _guard(tool, ctx)
        _require_scope(tool, ctx)
        function = ctx.toolkit.registry.load(tool.run)
        try:
            values = structured(tool, function, arguments, ctx.toolkit.registry, ctx.surface)
        except InvalidParameters:
            await _count(guard, call)
            raise
        if guard is not None:
            grant = await guard.authorise(call)
            if grant is not None:
                ctx.scope = grant.scope
                ctx.read_only = ctx.read_only or grant.read_only
        result = await _run(tool, function, values, ctx)
    except MspError as error:
        await _audit(
            guard, call, "refused" if isinstance(error, _REFUSALS) else "failed", started, error
        )
        raise
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # panics of compiled extensions are no Exception
        if isinstance(error, asyncio.CancelledError) and _is_cancelled():
            await _audit(guard, call, "cancelled", started, None)
            raise
        log.error("%s failed: %s", tool.name, type(error).__name__)
        log.debug("%s failed", tool.name, exc_info=True)
        failure = SystemFailure(
            f"{tool.name} failed unexpectedly: {type(error).__name__}: {mask(str(error))[:300]}",
            suggestion=f"The log has the details under {ctx.correlation_id}; run again with --verbose to see them.",
            correlation_id=ctx.correlation_id,
            plugin=ctx.toolkit.registry.plugin_of(tool),
        )
        await _audit(guard, call, "failed", started, failure)
        raise failure from error
    else:
        await _audit(guard, call, "planned" if ctx.dry_run else "ok", started, None)
        return result
    finally:
        CURRENT.reset(token)


def _is_cancelled() -> bool:
    """Tell whether somebody cancels this task; a cancelled future that a tool awaits is the tool's own failure."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def call_of(tool: Tool, arguments: Mapping[str, Any], ctx: "Context") -> Call:
    """Describe a call as the guard sees it, secrets masked."""
    given = plain(arguments)
    return Call(
        tool=tool.name,
        effect=tool.effect,
        surface=ctx.surface,
        actor=ctx.actor,
        scope=ctx.scope,
        correlation_id=ctx.correlation_id,
        started_at=ctx.now(),
        dry_run=ctx.dry_run,
        arguments=mask_data(given),
        plan=ctx.plan,
        digest=_digest(given) if tool.effect >= Effect.CHANGE else "",
    )


def _digest(arguments: Any) -> str:
    text = json.dumps(arguments, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


async def refuse(
    tool: Tool, arguments: Mapping[str, Any], ctx: "Context", error: MspError
) -> NoReturn:
    """Note in the audit trail a call that a surface refuses before it is one, and raise its error."""
    guard, call = await ctx.toolkit.guard(), call_of(tool, arguments, ctx)
    try:
        await _count(guard, call)
    except RateLimited as limited:
        error = limited
    await _audit(guard, call, "refused", time.perf_counter(), error)
    raise error


async def _count(guard: Guard | None, call: Call) -> None:
    """Raise RateLimited where there were too many calls, those that can only be refused among them."""
    if guard is not None:
        with suppress(PermissionDenied):
            await guard.authorise(evolve(call, dry_run=True))


async def _guard(tool: Tool, ctx: "Context") -> Guard | None:
    """Return who decides about this call; nobody about the kernel's tools that only look or set up.

    They must work when the database, and with it the guard, is what is broken.
    """
    registry = ctx.toolkit.registry
    if tool.effect <= Effect.RECORD and registry.is_kernels(registry.plugin_of(tool)):
        return None
    return await ctx.toolkit.guard(required=tool.effect >= Effect.CHANGE and not ctx.dry_run)


def _require_scope(tool: Tool, ctx: "Context") -> None:
    if ctx.scope.tools is not None and tool.name not in ctx.scope.tools:
        message = f"{ctx.actor.id} may not use {tool.name}."
        raise PermissionDenied(
            message, suggestion="Ask for a scope that includes it.", tool=tool.name
        )
    limit = min(ctx.scope.max_effect, Effect.RECORD if ctx.read_only else Effect.DESTROY)
    if tool.effect > limit and not (ctx.dry_run and tool.effect <= ctx.scope.max_effect):
        message = f"{tool.name} may {tool.effect.name.lower()}, and {ctx.actor.id} may only {limit.name.lower()} here."
        raise PermissionDenied(
            message, suggestion="Use --dry-run, or ask for a wider scope.", tool=tool.name
        )


async def _run(tool: Tool, function: Any, values: dict[str, Any], ctx: "Context") -> Any:
    if tool.timeout is None:
        return await function(ctx, **values)
    try:
        async with asyncio.timeout(tool.timeout.total_seconds()) as ctx.deadline:
            return await function(ctx, **values)
    except TimeoutError:
        message = f"{tool.name} did not finish within {tool.timeout.total_seconds():g} s."
        raise TimedOut(message, suggestion="Narrow the call, or try again later.") from None


async def _audit(
    guard: Guard | None, call: Call, status: str, started: float, error: MspError | None
) -> None:
    elapsed_ms = (time.perf_counter() - started) * 1000
    log.info("%s %s in %.0f ms", call.tool, status, elapsed_ms)
    if guard is None:
        return
    outcome = Outcome(
        status=status,
        duration_ms=elapsed_ms,
        error_code=error.code if error else "",
        message=mask(error.message) if error else "",
    )
    try:
        await guard.record(call, outcome)
    except MspError as failure:
        if error is not None and error.message == failure.message:
            return  # the call failed for want of the same thing, and says so
        # The work is done; its trail is not. That must be no success, nor hide the first error.
        log.error("the audit row of %s could not be written: %s", call.tool, failure.message)
        if error is None:
            raise StoreError(
                f"{call.tool} ran, but could not be noted in the audit trail: {failure.message}",
                suggestion=failure.suggestion,
                **failure.details,
            ) from failure
