"""Collect what code under test reports, and insist that nothing escapes the test's attention."""

from collections.abc import AsyncIterable, Callable, Iterable
from difflib import get_close_matches
from typing import Any

from msp_core.facts import Missing, Observation
from msp_core.results import Verdict


class ResultSink:
    """Holds verdicts, observations and other results until a test has asserted each of them."""

    def __init__(self, results: Iterable[Any] = ()) -> None:
        self.results: list[Any] = list(results)
        self._seen: set[int] = set()

    def add(self, result: Any) -> Any:
        """Take one result and return it."""
        self.results.append(result)
        return result

    async def take(self, stream: AsyncIterable[Any]) -> "ResultSink":
        """Take everything a source yields."""
        async for one in stream:
            self.results.append(one)
        return self

    def one(self, matches: Callable[[Any], bool] | None = None, **fields: Any) -> Any:
        """Return the one result with these fields (or that `matches`) and mark it as asserted."""
        found = [
            position
            for position, result in enumerate(self.results)
            if (matches is None or matches(result))
            and all(getattr(result, name, None) == value for name, value in fields.items())
        ]
        if len(found) != 1:
            shown = "\n".join(f"  {result}" for result in self.results) or "  nothing"
            message = f"{len(found)} results with {fields or 'that'}; there are:\n{shown}"
            raise AssertionError(message)
        self._seen.add(found[0])
        return self.results[found[0]]

    def assert_all_asserted(self) -> None:
        """Fail when a result was never looked at with `one`."""
        left = [one for place, one in enumerate(self.results) if place not in self._seen]
        if left:
            shown = "\n".join(f"  {one}" for one in left)
            message = f"{len(left)} of {len(self.results)} results were never asserted:\n{shown}"
            raise AssertionError(message)

    def assert_only_facts(self, *declared: type) -> None:
        """Fail when a source gave a fact kind that it does not declare."""
        known = {getattr(kind, "fact_id", kind.__name__): kind for kind in declared}
        for one in self.results:
            if isinstance(one, Observation) and not isinstance(one.fact, declared):
                name = type(one.fact).__name__
                message = f"{one.source} gave {name}, and declares {', '.join(known) or 'nothing'}"
                raise AssertionError(message)
            if isinstance(one, Missing) and one.fact_id not in known:
                message = f"{one.source} misses {one.fact_id}, and declares {', '.join(known)}"
                raise AssertionError(message)

    def assert_only_metrics(self, *declared: str) -> None:
        """Fail when a verdict holds a metric that is not among these names, and name the nearest."""
        for verdict in self.results:
            if not isinstance(verdict, Verdict):
                continue
            for metric in verdict.metrics:
                if metric.name in declared:
                    continue
                near = get_close_matches(metric.name, declared, n=1)
                hint = f"; the nearest is {near[0]!r}" if near else ""
                message = f"metric {metric.name!r} is not declared{hint}"
                raise AssertionError(message)
