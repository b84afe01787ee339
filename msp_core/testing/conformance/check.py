"""Cases of health checks: pure, total, and never OK about what is not known."""

import inspect
import json
import math
import typing
from collections.abc import Iterator
from typing import Any

import attrs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from msp_core.checks import AnyOf, Check, Previous
from msp_core.results import Verdict
from msp_core.status import Status
from msp_core.structure import plain
from msp_core.testing.conformance.plugin import PluginConformance, _assert_documented
from msp_core.testing.nouns import fake_device
from msp_core.testing.strategies import facts_of, stored_values

_SETTINGS = settings(
    max_examples=30,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


class CheckConformance(PluginConformance):
    """What every health check must do, for whatever facts it is given."""

    def test_there_is_a_check(self) -> None:
        """The plugin offers a check."""
        assert self._checks(), "the plugin offers no check"

    def test_limits_have_defaults_and_texts(self) -> None:
        """A check works without configuration, and each limit is explained."""
        for _, _, limits in self._loaded_checks():
            limits()
            _assert_documented(limits)

    def test_evaluate_takes_its_needs(self) -> None:
        """`evaluate` takes one positional argument per need, then `limits` and `previous` by keyword."""
        for check, evaluate, _ in self._loaded_checks():
            assert not inspect.iscoroutinefunction(evaluate), f"{check.evaluate} is async"
            parameters = inspect.signature(evaluate).parameters.values()
            by_place = [
                one
                for one in parameters
                if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
            ]
            assert len(by_place) == len(check.needs), (
                f"{check.evaluate} takes {len(by_place)} facts, and {check.id} needs {len(check.needs)}"
            )
            named = {one.name for one in parameters if one.kind is one.KEYWORD_ONLY}
            assert {"limits", "previous"} <= named, (
                f"{check.evaluate} takes limits and previous by keyword"
            )

    def test_any_facts_give_a_verdict(self) -> None:
        """Whatever the facts, a verdict comes: a status, one line for people, finite metrics, JSON data."""
        for check, facts, judge in self._judged():
            self._always(
                facts, lambda given, check=check, judge=judge: _assert_sound(check, judge(given))
            )

    def test_the_same_facts_give_the_same_verdict(self) -> None:
        """A check is pure: no clock, no chance, no memory."""

        def same(given: Any, judge: Any) -> None:
            assert judge(given) == judge(given)

        for _, facts, judge in self._judged():
            self._always(facts, lambda given, judge=judge: same(given, judge))

    def test_facts_stay_as_they_are(self) -> None:
        """A check does not alter what it is given."""

        def untouched(given: Any, judge: Any) -> None:
            before = repr(given)
            judge(given)
            assert repr(given) == before

        for _, facts, judge in self._judged():
            self._always(facts, lambda given, judge=judge: untouched(given, judge))

    def test_nothing_known_is_never_ok(self) -> None:
        """Facts that say nothing give UNKNOWN, or at least not OK."""
        for check, evaluate, limits in self._loaded_checks():
            facts = [_silent(kind) for kind in self._kinds(check)]
            if any(one is None for one in facts):
                continue
            verdict = evaluate(*facts, **_keywords(evaluate, limits()))
            assert verdict.status is not Status.OK, f"{check.id}: {facts} is OK: {verdict.message}"

    def test_rubbish_from_before_is_survived(self) -> None:
        """`previous.data` may be that of an older version, or of anything."""
        for check, evaluate, limits in self._loaded_checks():
            both = st.tuples(
                self._facts(check), st.dictionaries(st.text(max_size=8), stored_values, max_size=3)
            )

            def judge(
                given: Any, evaluate: Any = evaluate, limits: Any = limits, check: Any = check
            ) -> None:
                facts, data = given
                previous = Previous(status=Status.CRITICAL, data=data)
                verdict = evaluate(*facts, **_keywords(evaluate, limits(), previous))
                _assert_sound(check, verdict)

            self._always(both, judge)

    def test_its_own_verdict_can_be_previous(self) -> None:
        """What a verdict leaves in `data` can be read back after a trip through JSON."""
        for check, evaluate, limits in self._loaded_checks():

            def again(
                facts: Any, evaluate: Any = evaluate, limits: Any = limits, check: Any = check
            ) -> None:
                first = evaluate(*facts, **_keywords(evaluate, limits()))
                data = json.loads(json.dumps(plain(first.data)))
                previous = Previous(status=first.status, data=data)
                _assert_sound(check, evaluate(*facts, **_keywords(evaluate, limits(), previous)))

            self._always(self._facts(check), again)

    def test_requests_ask_for_what_is_needed(self) -> None:
        """`requests` is pure and returns requests for fact kinds the check needs; `applies` gives a reason or None."""
        registry = self._loaded()
        for check in self._checks():
            limits = registry.load(check.limits)()
            if check.requests:
                ask = registry.load(check.requests)
                asked = list(ask(limits, fake_device()))
                assert asked == list(ask(limits, fake_device()))
                known = {getattr(kind, "fact_id", "") for kind in self._kinds(check)}
                assert {one.fact_id for one in asked} <= known
            if check.applies:
                reason = registry.load(check.applies)(fake_device())
                assert reason is None or (isinstance(reason, str) and reason)

    def _checks(self) -> list[Check]:
        return [one for one in self._records() if isinstance(one, Check)]

    def _loaded_checks(self) -> Iterator[tuple[Check, Any, Any]]:
        registry = self._loaded()
        for check in self._checks():
            yield check, registry.load(check.evaluate), registry.load(check.limits)

    def _judged(self) -> Iterator[tuple[Check, st.SearchStrategy[Any], Any]]:
        for check, evaluate, limits in self._loaded_checks():

            def judge(facts: Any, evaluate: Any = evaluate, limits: Any = limits) -> Any:
                return evaluate(*facts, **_keywords(evaluate, limits()))

            yield check, self._facts(check), judge

    def _kinds(self, check: Check) -> list[Any]:
        return [self._alternatives(need)[0] for need in check.needs]

    def _alternatives(self, need: Any) -> list[Any]:
        kinds = need.facts if isinstance(need, AnyOf) else (need,)
        registry = self._loaded()
        return [registry.load(one) if isinstance(one, str) else one for one in kinds]

    def _facts(self, check: Check) -> st.SearchStrategy[Any]:
        return st.tuples(
            *(
                st.one_of(*(facts_of(kind) for kind in self._alternatives(need)))
                for need in check.needs
            )
        )

    def _always(self, values: st.SearchStrategy[Any], claim: Any) -> None:
        @_SETTINGS
        @given(values)
        def hold(given: Any) -> None:
            claim(given)

        hold()


def _keywords(evaluate: Any, limits: Any, previous: Any = None) -> dict[str, Any]:
    names = inspect.signature(evaluate).parameters
    given = {"limits": limits, "previous": previous}
    return {**given, "device": fake_device()} if "device" in names else given


def _silent(kind: Any) -> Any:
    """Return a fact of which every field that may be None is, and every collection is empty; None if that cannot be."""
    hints = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for field in attrs.fields(kind):
        hint = hints[field.name]
        if type(None) in typing.get_args(hint):
            values[field.alias] = None
        elif typing.get_origin(hint) in (tuple, frozenset):
            values[field.alias] = typing.get_origin(hint)()
        elif field.default is attrs.NOTHING:
            return None
    return kind(**values)


def _assert_sound(check: Check, verdict: Any) -> None:
    assert isinstance(verdict, Verdict), (
        f"{check.evaluate} returned {type(verdict).__name__}, not a Verdict"
    )
    assert isinstance(verdict.status, Status), f"status {verdict.status!r} is no Status"
    assert verdict.message.strip(), "the verdict says nothing"
    assert "\n" not in verdict.message, "the message has more than one line"
    names = [one.name for one in verdict.metrics]
    assert len(set(names)) == len(names), f"metrics of one name: {names}"
    for metric in verdict.metrics:
        assert math.isfinite(metric.value), f"metric {metric.name} is {metric.value}"
    json.dumps(plain(verdict.data), allow_nan=False)
