"""The verdict on one planned check. Pure: facts, limits and what was recorded before go in, an outcome comes out."""

import json
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

from attrs import define

from msp_core.v1 import Metric, Status, Verdict
from msp_health.facts import FactBook, Known
from msp_health.latest import Latest, previous_of
from msp_health.planner import Row

MESSAGE_LIMIT = 500
_STATUS = {status: status for status in Status}  # finds a status by itself and by its word
_CONTROL = dict.fromkeys((*range(32), 127), " ")
_encode = json.JSONEncoder(separators=(",", ":"), sort_keys=True, allow_nan=False).encode


@define(eq=False)  # frozen would double what making one costs, and there is one for each row
class Outcome:
    """What one planned check came to; `data` and `metrics` are JSON text, None for nothing."""

    row: Row
    before: Latest | None
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
    before: Latest | None,
    why: Callable[[Row, tuple[type, ...]], str],
) -> Outcome:
    """Return the outcome of a row; whatever a check does, there is exactly one."""
    if row.settled is not None:
        status, reason = row.settled
        return Outcome(row, before, status, clean(reason))
    facts: list[Known] = []
    second_best: tuple[type, ...] | None = None
    for need in row.check.needs:
        known = book.get(row, need)
        if known is None:
            reason = book.stale_reason(row, need) or why(row, need)
            return Outcome(row, before, Status.UNKNOWN, clean(reason))
        facts.append(known)
        if type(known.observation.fact) is not need[0]:
            second_best = need
    outcome = _evaluate(row, facts, before)
    if second_best is not None and outcome.status is Status.UNKNOWN:
        # What was read instead did not help; people want to know why the fact itself is not there.
        outcome.message = clean(f"{outcome.message} ({why(row, second_best)})")
    return outcome


def _evaluate(row: Row, facts: list[Known], before: Latest | None) -> Outcome:
    check = row.check
    assert check.evaluate is not None  # without behaviour a check is broken, and its rows settled
    previous = previous_of(before)
    more = {"device": row.subject.device} if check.knows_device else {}
    values = [known.observation.fact for known in facts]
    try:
        verdict = check.evaluate(*values, limits=row.limits, previous=previous, **more)
        if not isinstance(verdict, Verdict):
            return _failed(row, before, f"returned {type(verdict).__name__}, not a Verdict")
        metrics, value = _metrics(verdict.metrics)
        outcome = Outcome(
            row,
            before,
            _STATUS[verdict.status],
            clean(verdict.message),
            _data(verdict.data) if verdict.data else None,
            metrics,
            value,
        )
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin's failure is a row, never a crash
        return _failed(row, before, f"raised {type(error).__name__}: {error}")
    if facts:
        outcome.source = facts[0].source_key
        outcome.observed_at = facts[0].observation.observed_at
    return outcome


def _failed(row: Row, before: Latest | None, what: str) -> Outcome:
    message = f"plugin {row.check.plugin} (check {row.check.id}) {what}"
    return Outcome(row, before, Status.ERROR, clean(message))


def _metrics(metrics: tuple[Metric, ...]) -> tuple[str | None, float | None]:
    # Written by hand: making an encoder for each row takes longer than judging it
    texts, main = [], None
    for metric in metrics:
        value = float(metric.value)
        if not math.isfinite(value):
            continue
        head, tail = _frame(metric.name, metric.unit, metric.warning, metric.critical)
        texts.append(f"{head}{value!r}{tail}")
        if main is None:
            main = value
    return (f"[{','.join(texts)}]" if texts else None), main


@lru_cache(maxsize=4096)
def _frame(name: str, unit: str, warning: float | None, critical: float | None) -> tuple[str, str]:
    """Return what stands around a metric's value; it is the same for most rows of a check."""
    return f"[{json.dumps(name)},", f",{json.dumps(unit)},{_number(warning)},{_number(critical)}]"


def _data(data: Mapping[str, Any]) -> str:
    """Write what a check wants to remember; mostly a few words, and the same for most rows."""
    for value in data.values():
        if type(value) is not str:
            return _encode(dict(data))
    return _words(tuple(data.items()))


@lru_cache(maxsize=4096)
def _words(items: tuple[tuple[str, str], ...]) -> str:
    return _encode(dict(items))


def _number(value: float | None) -> str:
    return "null" if value is None or not math.isfinite(value) else repr(float(value))


def clean(text: str) -> str:
    """Make text from devices, vendors and plugins one harmless line of limited length."""
    line = text if text.isprintable() else " ".join(text.translate(_CONTROL).split())
    return line if len(line) <= MESSAGE_LIMIT else line[: MESSAGE_LIMIT - 1] + "…"
