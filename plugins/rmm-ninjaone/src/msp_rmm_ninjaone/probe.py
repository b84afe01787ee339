"""CPU and memory by a fixed read-only command, for clients that allow probes: NinjaOne's API has neither."""

import asyncio
import re
from collections.abc import AsyncIterator

from attrs import frozen

from msp_core.v1 import (
    Context,
    CpuFacts,
    Effect,
    FactQuery,
    MemoryFacts,
    Missing,
    MspError,
    Observation,
    OsFamily,
    Target,
)
from msp_rmm_ninjaone.adapter import NinjaOne

TIMEOUT_S = 90.0


@frozen
class Line:
    """A command line and the shell that understands it."""

    shell: str
    text: str


CPU_LINES = {
    OsFamily.WINDOWS: Line(
        "powershell",
        "(Get-CimInstance Win32_Processor | Measure-Object -Property LoadPercentage -Average).Average",
    ),
    # busy share of all processors over one second, from the kernel's counters (idle and iowait are idle)
    OsFamily.LINUX: Line(
        "sh",
        "(head -n 1 /proc/stat; sleep 1; head -n 1 /proc/stat) | awk "
        "'{i=$5+$6;t=0;for(n=2;n<=9;n++)t+=$n;if(NR==2&&t>T)printf \"%.1f\\n\",100*(1-(i-I)/(t-T));I=i;T=t}'",
    ),
}
MEMORY_LINES = {
    OsFamily.WINDOWS: Line(
        "powershell",
        "Get-CimInstance Win32_OperatingSystem | ForEach-Object "
        "{ '{0} {1}' -f $_.TotalVisibleMemorySize, $_.FreePhysicalMemory }",
    ),
    OsFamily.LINUX: Line(
        "sh", "awk '/^MemTotal:/{t=$2}/^MemAvailable:/{a=$2}END{print t, a}' /proc/meminfo"
    ),
}


async def probe(
    ctx: Context, adapter: NinjaOne, query: FactQuery
) -> AsyncIterator[Observation | Missing]:
    """Run the lines on each device, several devices at a time; about five requests per device and fact."""
    del ctx
    slots = asyncio.Semaphore(adapter.settings.concurrency)
    kinds = [kind for kind in (CpuFacts, MemoryFacts) if kind in query.facts]

    async def one(target: Target) -> list[Observation | Missing]:
        async with slots:
            return [await _read(adapter, target, kind) for kind in kinds]

    tasks = [asyncio.create_task(one(target)) for target in query.targets]
    try:
        for done in asyncio.as_completed(tasks):
            for said in await done:
                yield said
    finally:
        for task in tasks:
            task.cancel()


async def _read(
    adapter: NinjaOne, target: Target, kind: type[CpuFacts | MemoryFacts]
) -> Observation | Missing:
    source = f"{adapter.instance}:ninjaone.probe"
    reason = ""
    line = (CPU_LINES if kind is CpuFacts else MEMORY_LINES).get(target.device.os)
    if line is None:
        reason = f"There is no probe for {target.device.os.value} devices."
    else:
        try:
            outcome = await adapter.scripts.run(
                target, line.text, shell=line.shell, timeout_s=TIMEOUT_S, effect=Effect.PROBE
            )
        except MspError as error:
            reason = error.message
        else:
            fact = cpu(outcome.output) if kind is CpuFacts else memory(outcome.output)
            if outcome.timed_out:
                reason = f"The probe did not end within {TIMEOUT_S:.0f} s."
            elif outcome.exit_code != 0:
                reason = f"The probe failed ({outcome.result.lower() or 'no result'})."
            elif fact is None:
                reason = "The probe's output could not be read."
            else:
                return Observation(
                    device_id=target.device.id,
                    fact=fact,
                    source=source,
                    observed_at=adapter.now(),
                    vantage="device",
                )
    return Missing(device_id=target.device.id, fact_id=kind.fact_id, source=source, reason=reason)


def cpu(output: str) -> CpuFacts | None:
    """Read the CPU line's output: one percentage, alone on its last line."""
    match = re.fullmatch(r"(\d{1,3}(?:[.,]\d{1,6})?)", _last_line(output))
    if match is None:
        return None
    percent = float(match[1].replace(",", "."))
    return CpuFacts(used_percent=percent) if percent <= 100 else None


def memory(output: str) -> MemoryFacts | None:
    """Read the memory line's output: total and available KiB on its last line."""
    match = re.fullmatch(r"(\d{1,15}) (\d{1,15})", _last_line(output))
    if match is None:
        return None
    total, available = int(match[1]) * 1024, int(match[2]) * 1024
    if not total > 0 or available > total:
        return None
    return MemoryFacts(total_bytes=total, available_bytes=available)


def _last_line(output: str) -> str:
    lines = output.strip().splitlines()
    return lines[-1].strip() if lines else ""
