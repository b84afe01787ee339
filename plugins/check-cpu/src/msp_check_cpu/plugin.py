"""The processor check as data."""

from collections.abc import Iterable

from msp_core.v1 import AnyOf, Check, ConditionFacts, CpuFacts, hookimpl


@hookimpl
def msp_checks() -> Iterable[Check]:
    """Offer the check `cpu`."""
    yield Check(
        id="cpu",
        title="CPU",
        summary="Processor use, steal and load against limits.",
        needs=(AnyOf(CpuFacts, ConditionFacts),),
        limits="msp_check_cpu.check:CpuLimits",
        evaluate="msp_check_cpu.check:evaluate",
    )
