"""What checks have in common when they put a verdict together."""

from msp_core.facts import ConditionFacts, ConditionKind
from msp_core.results import Verdict
from msp_core.status import Severity, Status


def monitor_verdict(
    conditions: ConditionFacts, kind: ConditionKind, *, monitor: str, measure: str
) -> Verdict:
    """Judge by the console's own monitors of one kind, where nothing is measured.

    What is triggered is a problem. Silence is OK only where such a monitor is known to exist. `monitor` and `measure`
    name them for people: `CPU monitor`, `CPU use`.
    """
    active = [item for item in conditions.active if item.kind is kind]
    if active:
        critical = any(item.severity is Severity.CRITICAL for item in active)
        said = [
            printable(item.message, 160) or f"the console's {monitor} is triggered"
            for item in active[:3]
        ]
        return Verdict(Status.CRITICAL if critical else Status.WARNING, "; ".join(said))
    if kind in conditions.monitored:
        return Verdict(Status.OK, f"the console's {monitor} is quiet")
    reason = f"the console neither reports {measure} nor is known to monitor it"
    return Verdict(Status.UNKNOWN, reason)


def printable(text: str, most: int) -> str:
    """Return text that a device or vendor made up as one printable line of limited length."""
    if not text.isprintable():
        line = " ".join(text.split())
        text = "".join([character for character in line if character.isprintable()])
    return text.strip()[:most]
