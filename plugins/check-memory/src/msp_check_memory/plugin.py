"""The memory check as data."""

from collections.abc import Iterable

from msp_core.v1 import AnyOf, Check, ConditionFacts, MemoryFacts, hookimpl


@hookimpl
def msp_checks() -> Iterable[Check]:
    """Offer the check `memory`."""
    yield Check(
        id="memory",
        title="Memory",
        summary="Memory that programs can still get, and swap pressure, against limits.",
        needs=(AnyOf(MemoryFacts, ConditionFacts),),
        limits="msp_check_memory.check:MemoryLimits",
        evaluate="msp_check_memory.check:evaluate",
    )
