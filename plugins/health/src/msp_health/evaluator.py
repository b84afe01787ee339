"""The verdict on one planned check. Pure: facts, limits and what was recorded before go in, an outcome comes out."""

import json
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from attrs import define, evolve

from msp_core.v1 import Metric, Previous, Status, Verdict
from msp_health.facts import FactBook, Known
from msp_health.planner import Row

MESSAGE_LIMIT = 500
_STATUS = {status: status for status in Status}  # finds a status by itself and by its word
_CONTROL = dict.fromkeys((*range(32), 127), " ")
_encode = json.JSONEncoder(separators=(",", ":"), sort_keys=True, allow_nan=False).encode


@define(
    kw_only=True, eq=False
)  # frozen would double what making one costs, and there is one for each row
class Outcome:
    """What one planned check came to; `data` and `metrics` are JSON text, None for nothing."""

    row: Row
    status: Status
    message: str
    data: str | None = None
    metrics: str | None = None
    value: float | None = None
    """The main number, for roll-ups."""
    source: str = ""
    observed_at: datetime | None = None


def judge(
    row: Row,
    book: FactBook,
    previous: Callable[[tuple[str, str]], Previous | None],
    why: Callable[[Row, tuple[type, ...]], str],
) -> Outcome:
    """Return the outcome of a row; whatever a check does, there is exactly one."""
    if row.settled is not None:
        status, reason = row.settled
        return Outcome(row=row, status=status, message=clean(reason))
    facts: list[Known] = []
    second_best: tuple[type, ...] | None = None
    for need in row.check.needs:
        known = book.get(row, need)
        if known is None:
            reason = book.stale_reason(row, need) or why(row, need)
            return Outcome(row=row, status=Status.UNKNOWN, message=clean(reason))
        facts.append(known)
        if not isinstance(known.observation.fact, need[0]):
            second_best = need
    outcome = _evaluate(row, facts, previous(row.key))
    if outcome.status is Status.UNKNOWN and second_best is not None:
        # What was read instead did not help; people want to know why the fact itself is not there.
        message = f"{outcome.message} ({why(row, second_best)})"
        return evolve(outcome, message=clean(message))
    return outcome


def _evaluate(row: Row, facts: list[Known], previous: Previous | None) -> Outcome:
    check = row.check
    assert check.evaluate is not None  # without behaviour a check is broken, and its rows settled
    more = {"device": row.subject.device} if check.knows_device else {}
    values = [known.observation.fact for known in facts]
    try:
        verdict = check.evaluate(*values, limits=row.limits, previous=previous, **more)
        if not isinstance(verdict, Verdict):
            return _failed(row, f"returned {type(verdict).__name__}, not a Verdict")
        data = _data(verdict.data) if verdict.data else None
        metrics, value = _metrics(verdict.metrics)
        first = facts[0] if facts else None
        return Outcome(
            row=row,
            status=_STATUS[verdict.status],
            message=clean(verdict.message),
            data=data,
            metrics=metrics,
            value=value,
            source=first.source_key if first else "",
            observed_at=first.observation.observed_at if first else None,
        )
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's failure is a row, never a crash
        return _failed(row, f"raised {type(error).__name__}: {error}")


def _failed(row: Row, what: str) -> Outcome:
    message = f"plugin {row.check.plugin} (check {row.check.id}) {what}"
    return Outcome(row=row, status=Status.ERROR, message=clean(message))


def _metrics(metrics: tuple[Metric, ...]) -> tuple[str | None, float | None]:
    kept = [metric for metric in metrics if math.isfinite(metric.value)]
    if not kept:
        return None, None
    # Written by hand: making an encoder for each row takes longer than judging it
    texts = []
    for metric in kept:
        before, after = _frame(metric.name, metric.unit, metric.warning, metric.critical)
        texts.append(f"{before}{float(metric.value)!r}{after}")
    return f"[{','.join(texts)}]", float(kept[0].value)


@lru_cache(maxsize=4096)
def _frame(name: str, unit: str, warning: float | None, critical: float | None) -> tuple[str, str]:
    """Return what stands around a metric's value; it is the same for most rows of a check."""
    return f"[{json.dumps(name)},", f",{json.dumps(unit)},{_number(warning)},{_number(critical)}]"


def _data(data: Mapping[str, Any]) -> str:
    """Write what a check wants to remember; mostly a few words, and the same for most rows."""
    items = tuple(data.items())
    if all(type(value) is str for _, value in items):
        return _words(items)
    return _encode(dict(data))


@lru_cache(maxsize=4096)
def _words(items: tuple[tuple[str, str], ...]) -> str:
    return _encode(dict(items))


def _number(value: float | None) -> str:
    return "null" if value is None or not math.isfinite(value) else repr(float(value))


def clean(text: str) -> str:
    """Make text from devices, vendors and plugins one harmless line of limited length."""
    line = text if text.isprintable() else " ".join(text.translate(_CONTROL).split())
    return line if len(line) <= MESSAGE_LIMIT else line[: MESSAGE_LIMIT - 1] + "…"
