"""
The kit for tests: what it accepts, what it says when a test fails, and what it draws.
"""

import sys
from collections.abc import Sequence
from functools import partial, wraps

import pytest
from hypothesis import find, settings
from hypothesis import given as drawn
from hypothesis import strategies as st

from domain.examples import at, detected, mitigated, planned, resolved, submitted, triaged
from imcm.domain import change, incident
from imcm.domain.change import Change
from imcm.domain.change_events import ChangeEvent
from imcm.domain.incident import Incident
from imcm.domain.incident_events import IncidentEvent, IncidentResolved
from imcm.domain.vocabulary import Between, ChangeType, earliest, latest
from imcm.errors import InvalidValue, MissingExtraError, StepRefused
from imcm.testing import change_steps, given, incident_steps, moments

INCIDENT = incident.fold([detected(), triaged()])
CHANGE = change.fold([planned(), submitted()])


def resolve_on_weekdays(state: Incident, *, by: str, day: str) -> tuple[IncidentEvent, ...]:
    """A rule of somebody's own."""
    if day == "Sunday":
        raise StepRefused("resolve_on_weekdays", "a weekday", "come back on Monday")
    return incident.resolve(state, by=by, at=at(4))


def nothing_to_do(state: "Change", *, other: "Unimported" = None) -> Sequence[ChangeEvent]:  # noqa: F821
    """A rule whose other annotations only a type checker can look up."""
    return list(state.past[:0])


def failing(ask, *arguments, **more):
    with pytest.raises(AssertionError) as failed:
        ask(*arguments, **more)
    return str(failed.value)


class TestGivenWhenThen:
    def test_takes_rules_of_your_own(self):
        given(detected()).when(resolve_on_weekdays, by="ann", day="Monday").then(resolved())
        given(detected()).when(resolve_on_weekdays, by="ann", day="Sunday").then_refused(
            guard="a weekday"
        )

    def test_a_new_stream_without_events(self):
        given().when(incident.detect, by="ann", at=at(0), title="payments down").then(detected())
        given().when(nothing_to_do).then_nothing()

    def test_looks_through_a_wrapper(self):
        @wraps(incident.resolve)
        def wrapped(*args, **arguments):
            return incident.resolve(*args, **arguments)

        given(detected()).when(wrapped, by="ann", at=at(4)).then(resolved())

    def test_other_errors_are_not_answers(self):
        with pytest.raises(TypeError, match="unexpected"):
            given(detected()).when(incident.resolve, by="ann", at=at(4), whim="yes")

    @pytest.mark.parametrize(
        "step",
        [lambda state: (), len, partial(incident.resolve, by="ann"), lambda: ()],
        ids=["no annotation", "built in", "partial", "no parameter"],
    )
    def test_a_step_must_say_whose_it_is(self, step):
        with pytest.raises(InvalidValue, match="step: "):
            given().when(step)

    def test_an_annotation_of_another_kind_is_no_state(self):
        def step(state: int) -> tuple[()]:
            return ()

        with pytest.raises(InvalidValue, match="Incident or Change"):
            given().when(step)

    @pytest.mark.parametrize(
        ("event", "step", "kind"),
        [(planned(), incident.resolve, "incident"), (detected(), change.submit, "change")],
    )
    def test_events_of_the_other_aggregate_are_refused(self, event, step, kind):
        with pytest.raises(InvalidValue, match=f"events of one {kind}"):
            given(event).when(step, by="ann", at=at(4))


class TestWhatItSays:
    answered = given(detected()).when(incident.resolve, by="ann", at=at(4))
    refused = given(detected(), resolved()).when(incident.mitigate, by="ann", at=at(5))
    invalid = given(detected()).when(incident.resolve, by="", at=at(4))
    quiet = given(planned()).when(change.release, by="ann", at=at(4))

    def test_both_sides_field_by_field(self):
        text = failing(self.answered.then, IncidentResolved(at=at(5), by="ann"))

        assert text.splitlines() == [
            "resolve should record 1 events and recorded 1",
            "1. IncidentResolved",
            "     ! at: expected 2026-03-02T14:00:00+00:00",
            "           actual   2026-03-02T13:00:00+00:00",
            "       by = 'ann'",
            "       status = <IncidentStatus.RESOLVED: 'resolved'>",
            "       imported = False",
        ]

    def test_another_event(self):
        text = failing(self.answered.then, mitigated(4))

        assert "1. expected:\n     IncidentMitigated\n       at = " in text
        assert "   actual:\n     IncidentResolved\n       at = " in text

    def test_an_event_too_many_and_one_too_few(self):
        too_many = failing(self.answered.then_nothing)
        too_few = failing(self.answered.then, resolved(), mitigated())

        assert "1. expected:\n     nothing\n   actual:\n     IncidentResolved" in too_many
        assert "1. as expected\n     IncidentResolved" in too_few
        assert "2. expected:\n     IncidentMitigated" in too_few
        assert too_few.endswith("actual:\n     nothing")

    def test_no_field_is_ignored(self):
        for event in (resolved(imported=True), resolved(by="bea"), resolved(status="closed")):
            assert " ! " in failing(self.answered.then, event)

    def test_a_refusal_where_events_were_expected(self):
        text = failing(self.refused.then, mitigated(5))

        assert text.startswith("mitigate should record IncidentMitigated, but: mitigate is refused")
        assert "record nothing, but" in failing(self.refused.then_nothing)

    def test_events_where_a_refusal_was_expected(self):
        text = failing(self.answered.then_refused, guard="status")

        assert text.startswith("resolve should be refused by 'status', but it recorded:")
        assert "IncidentResolved" in text
        assert "it recorded nothing" in failing(self.quiet.then_refused, guard="status")

    def test_another_guard(self):
        text = failing(self.refused.then_refused, guard="reviewed")

        assert "should be refused by 'reviewed', but was by 'status': " in text

    def test_an_invalid_argument_where_a_refusal_was_expected(self):
        assert "an id has 1 to" in failing(self.invalid.then_refused, guard="status")

    def test_another_argument(self):
        text = failing(self.invalid.then_invalid, "at")

        assert "should not take its 'at', but did not take 'by': " in text

    def test_events_where_an_invalid_argument_was_expected(self):
        assert "but it recorded:" in failing(self.answered.then_invalid, "at")
        assert "is refused (status)" in failing(self.refused.then_invalid, "at")

    def test_the_error_comes_back_for_its_text(self):
        assert "its status is resolved" in self.refused.then_refused(guard="status").why
        assert "1 to 200" in self.invalid.then_invalid("by").allowed

    def test_a_step_without_a_name_is_shown_as_it_is(self):
        class Rule:
            __annotations__ = incident.resolve.__annotations__
            __globals__ = vars(incident)

            def __call__(self, incident: Incident, **_: object) -> tuple[IncidentEvent, ...]:
                return ()

            def __repr__(self):
                return "<my rule>"

        assert failing(given().when(Rule()).then, detected()).startswith("<my rule> should record")


class TestStrategies:
    first, last = at(-5), at(5)

    @settings(max_examples=100, deadline=None, derandomize=True)
    @drawn(moments(earliest=first, latest=last))
    def test_moments_lie_within_their_bounds(self, moment):
        assert self.first <= earliest(moment) <= latest(moment) <= self.last

    def test_moments_are_uncertain_now_and_then(self):
        assert find(moments(), lambda moment: isinstance(moment, Between)).latest.tzinfo is not None
        assert find(moments(), lambda moment: not isinstance(moment, Between)).tzinfo is not None

    @pytest.mark.parametrize(
        ("module", "steps", "name"),
        [
            *((incident, incident_steps, name) for name in incident.STEPS),
            *((change, change_steps, name) for name in change.STEPS),
        ],
    )
    def test_every_step_of_both_tables_is_drawn_with_arguments_it_takes(self, module, steps, name):
        @settings(max_examples=5, deadline=None, derandomize=True)
        @drawn(steps(only=[name]))
        def check(pair):
            step, arguments = pair
            assert getattr(module, name) is step
            try:
                events = step(module.INITIAL, **arguments)
            except StepRefused as refused:
                events = ()
                assert refused.step == name  # noqa: PT017  # refused or accepted: both are answers
            assert all(isinstance(event, (IncidentEvent, ChangeEvent)) for event in events)

        check()

    @pytest.mark.parametrize(
        ("steps", "state"),
        [
            (partial(incident_steps, incident=INCIDENT), INCIDENT),
            (partial(change_steps, change=CHANGE), CHANGE),
        ],
        ids=["incident", "change"],
    )
    def test_corrections_name_what_stands(self, steps, state):
        @settings(max_examples=20, deadline=None, derandomize=True)
        @drawn(steps(only=["correct"]))
        def check(pair):
            _, arguments = pair
            fact = state.past[arguments["version"] - 1]
            assert getattr(fact, arguments["field"]) == arguments["was"]

        check()

    @settings(max_examples=5, deadline=None, derandomize=True)
    @drawn(change_steps(change=change.fold([planned(type=ChangeType.STANDARD)]), only=["submit"]))
    def test_a_standard_change_comes_with_its_template(self, pair):
        assert "template" in pair[1]

    def test_without_hypothesis_it_says_what_to_install(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "hypothesis", None)

        for strategy in (moments, incident_steps, change_steps):
            with pytest.raises(MissingExtraError, match=r"imcm\[test\]"):
                strategy()

    @settings(max_examples=20, deadline=None, derandomize=True)
    @drawn(st.data())
    def test_steps_drawn_for_a_state_are_mostly_accepted(self, data):
        state = incident.fold([detected(at=at(-24 * 90))])
        step, arguments = data.draw(incident_steps(incident=state, only=["triage", "resolve"]))

        assert len(step(state, **arguments)) == 1
