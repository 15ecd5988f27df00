"""
Tests of a policy, written beside it: given this change, at this time, it is refused by this guard.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeAlias

import attrs

from imcm.domain import change
from imcm.domain.change import Change
from imcm.domain.change_events import Template
from imcm.domain.lifecycle import parameters
from imcm.domain.policy import Policy, checked_policy
from imcm.domain.policy.context import Context
from imcm.domain.policy.scope import checked_ids
from imcm.domain.policy.tables import made, refuse_others, tables
from imcm.domain.vocabulary import (
    Counts,
    Result,
    Window,
    checked_id,
    checked_member,
    checked_number,
    checked_text,
    checked_time,
    checked_window,
    is_list,
    is_mapping,
    near_hint,
)
from imcm.errors import InvalidValue, StepRefused
from imcm.interchange.toml_files import read_toml

__all__ = ["PolicyTest", "TestOutcome", "read_policy_tests", "run_policy_tests"]

_STEPS: Final = (
    *("submit", "approve", "schedule", "override_freeze", "start", "advance_rollout", "close"),
)
_BEFORE_THE_WORK: Final = ("submit", "approve", "schedule", "override_freeze", "start")
_HOUR: Final = timedelta(hours=1)
_VOTE: Final = ("by", "authority", "at", "why")
_OVERRIDE: Final = ("by", "freeze", "at", "why")
_REFERENCE: Final = ("kind", "address")
_SHARE: Final = ("percent", "at", "by", "canary", "baseline")
_CHECK: Final = ("check", "passed", "at", "by", "evidence")
_TEMPLATE: Final = ("name", "version", "sha256")
_PLAN: Final = {"title": "a change", "risk": "low", "rollback_plan": "take it out again"}


def _conflicts(value: object) -> tuple[str, ...]:
    return checked_ids("conflicts", value, '["CHG-7"]')


def _change(value: object) -> Mapping[str, Any]:
    table = dict(_table("change", value, parameters(change.plan)))
    if is_mapping(table.get("window")):
        table["window"] = made(Window, "change.window", table["window"])
    return table


def _votes(value: object) -> tuple[Mapping[str, Any], ...]:
    votes = tuple(_table("votes", each, _VOTE) for each in tables("votes", value))
    for vote in votes:
        checked_id("votes.by", vote.get("by"))
    return votes


def _template(value: object) -> Mapping[str, Any] | None:
    if value is None:
        return None
    template = _table("template", value, _TEMPLATE)
    for name in ("name", "version"):
        checked_text(f"template.{name}", template.get(name))
    return template


def _override(value: object) -> Mapping[str, Any] | None:
    return None if value is None else _table("override", value, _OVERRIDE)


def _references(value: object) -> tuple[Mapping[str, Any], ...]:
    return tuple(_table("references", each, _REFERENCE) for each in tables("references", value))


def _rollout(value: object) -> tuple[Mapping[str, Any], ...]:
    """Return the shares that were reached, each with the time when it was."""
    shares: list[Mapping[str, Any]] = []
    for each in tables("rollout", value):
        share = dict(_table("rollout", each, _SHARE))
        checked_time("rollout.at", share.get("at"))
        for side in ("canary", "baseline"):
            if side in share:
                share[side] = made(Counts, f"rollout.{side}", share[side])
        shares.append(share)
    return tuple(shares)


def _checks(value: object) -> tuple[Mapping[str, Any], ...]:
    checks = tuple(_table("checks", each, _CHECK) for each in tables("checks", value))
    for check in checks:
        checked_time("checks.at", check.get("at"))
    return checks


def _shares(value: object) -> tuple[float, ...]:
    if not is_list(value):
        raise InvalidValue("rollout_plan", value, "percentages rising to 100")
    return tuple(value)  # the start says what is wrong with one


def _table(name: str, value: object, known: Collection[str]) -> Mapping[str, Any]:
    """Return a table in which there are only keys that are known, and times that can be placed."""
    if not is_mapping(value):
        raise InvalidValue(name, value, "a table")
    table = dict(value)
    refuse_others(name, table, known)
    if table.get("at") is not None:
        _placed(f"{name}.at", table["at"])
    return table


def _placed(name: str, value: object) -> datetime:
    """Return a time that has hours before it."""
    moment = checked_time(name, value)
    if moment.year < 2:
        raise InvalidValue(name, value, "a time in the year 2 or later")
    return moment


@attrs.frozen(kw_only=True)
class PolicyTest:
    """
    One question to a policy, and the answer that is expected.

    Attributes:
        name: What people call it.
        at: When the step is taken; the steps before it are in the hours before.
        change: Arguments of `change.plan`, beside or in the place of a low risk and a rollback
            plan; a window may be a table with `start` and `end`.
        votes: Arguments of `change.approve`: `by`, and `authority` or `why`; `at`, where it
            matters.
        template: `name` and `version` of a standard change's template, and `sha256`.
        override: `freeze` and `by` of an override; `why` and `at`, where it matters.
        window: The window it is scheduled for before it starts.
        references: What it was referred to before it was submitted, each with `kind` and `address`.
        started: When the work began, where a step after the start is asked about; an hour before
            `at`, or before the first share or check, if absent.
        rollout_plan: The percentages it starts with.
        rollout: The shares that were reached: `percent` and `at`, and the counts `canary` and
            `baseline`, each a table with `errors` and `requests`. For the step `advance_rollout`
            the last is the one asked about, at its own time.
        checks: The results of checks while it went on: `check`, `passed` and `at`.
        conflicts: The changes that it conflicts with.
        template_failures: How often its template failed.
        step: The step that is asked about.
        by: Who takes it.
        result: With which result it is closed.
        refused_by: The guard that has to say no; "" where the step has to be allowed.

    Raises:
        InvalidValue: One of them is not as described.
    """

    name: str
    at: datetime
    change: Mapping[str, Any] = attrs.field(factory=dict[str, Any], converter=_change)
    votes: tuple[Mapping[str, Any], ...] = attrs.field(default=(), converter=_votes)
    template: Mapping[str, Any] | None = attrs.field(default=None, converter=_template)
    override: Mapping[str, Any] | None = attrs.field(default=None, converter=_override)
    window: Window | None = None
    references: tuple[Mapping[str, Any], ...] = attrs.field(default=(), converter=_references)
    started: datetime | None = None
    rollout_plan: tuple[float, ...] = attrs.field(default=(), converter=_shares)
    rollout: tuple[Mapping[str, Any], ...] = attrs.field(default=(), converter=_rollout)
    checks: tuple[Mapping[str, Any], ...] = attrs.field(default=(), converter=_checks)
    conflicts: tuple[str, ...] = attrs.field(default=(), converter=_conflicts)
    template_failures: int = 0
    step: str = "start"
    by: str = "starter"
    result: str = "successful"
    refused_by: str = ""

    def __attrs_post_init__(self) -> None:
        checked_id("name", self.name)
        checked_id("by", self.by)
        _placed("at", self.at)
        checked_window("window", self.window)
        if self.started is not None:
            _placed("started", self.started)
        checked_member("result", self.result, Result)
        if checked_number("template_failures", self.template_failures) < 0:
            raise InvalidValue("template_failures", self.template_failures, "0 or more")
        if not isinstance(self.step, str) or self.step not in _STEPS:
            raise InvalidValue("step", self.step, f"one of {', '.join(_STEPS)}")
        if self.step == "advance_rollout" and not self.rollout:
            raise InvalidValue("rollout", [], "the share that is asked about, the last one")
        guards = {guard.name for rule in change.STEPS.values() for guard in rule.guards}
        known = {"", "status", *guards}
        if not isinstance(self.refused_by, str) or self.refused_by not in known:
            hint = near_hint(self.refused_by, known)
            allowed = f'"" or one of {", ".join(sorted(known - {""}))}{hint}'
            raise InvalidValue("refused_by", self.refused_by, allowed)


@attrs.frozen(kw_only=True)
class TestOutcome:
    """
    What a policy answered to a test.

    Attributes:
        test: The test.
        step: The step that was refused, which may be one before that which was asked about; ""
            where all were allowed.
        refused_by: The guard that said no; "" where none did.
        why: Its reason.
    """

    __test__ = False  # it is no class of tests, whatever its name says to those who collect them
    test: PolicyTest
    step: str = ""
    refused_by: str = ""
    why: str = ""

    @property
    def passed(self) -> bool:
        """Whether the answer is the one that was expected."""
        of_this_step = not self.step or self.step == self.test.step
        return self.refused_by == self.test.refused_by and (of_this_step or bool(self.refused_by))

    def __str__(self) -> str:
        """Return it in one line."""
        expected = self.test.refused_by or "allowed"
        answer = f"{self.step} is refused by {self.refused_by}: {self.why}"
        mark = "passed" if self.passed else "FAILED"
        found = answer if self.refused_by else "allowed"
        return f"{mark}  {self.test.name}: expected {expected}; {found}"

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return {
            "name": self.test.name,
            "passed": self.passed,
            "expected": self.test.refused_by,
            "step": self.step,
            "refused_by": self.refused_by,
            "why": self.why,
        }


def read_policy_tests(path: str | Path) -> tuple[PolicyTest, ...]:
    """
    Return the tests that a TOML file holds, each a table `[[tests]]`; see `PolicyTest`.

        [[tests]]
        name = "nothing starts on a Friday evening"
        at = 2026-03-06T17:00:00+00:00
        change = {risk = "high", services = ["payments"]}
        votes = [{by = "bob"}, {by = "mia", authority = "cab"}]
        refused_by = "freeze"

    Args:
        path: The file; it may be that of the policy itself.

    Raises:
        InvalidValue: It can't be read, or holds no tests.
    """
    plain = read_toml("tests", path)
    given = tables("tests", plain.get("tests", ()))
    if not given:
        allowed = "a table [[tests]] for each; where they are in a file of their own, give that one"
        raise InvalidValue("tests", str(path), allowed)
    return tuple(_test(f"tests[{number}]", each) for number, each in enumerate(given, start=1))


def _test(name: str, plain: Mapping[str, Any]) -> PolicyTest:
    given = dict(plain)
    window = given.get("window")
    if window is not None:
        if not is_mapping(window):
            raise InvalidValue(f"{name}.window", window, "a table with start and end")
        given["window"] = made(Window, f"{name}.window", window)
    return made(PolicyTest, name, given)


def run_policy_tests(policy: Policy, tests: Iterable[PolicyTest]) -> tuple[TestOutcome, ...]:
    """
    Return what a policy answers to tests.

    Each is played: the change is planned, submitted, voted on, overridden and scheduled by the
    steps that people take, and then asked about.

    Args:
        policy: The policy.
        tests: See `read_policy_tests`.

    Raises:
        InvalidValue: A test holds what no step takes.
    """
    policy = checked_policy(policy)
    if is_mapping(tests) or not is_list(tests):
        raise InvalidValue("tests", tests, "a list of PolicyTest(...), as read_policy_tests gives")
    return tuple(_played(policy, test) for test in tests)


def _played(policy: Policy, test: PolicyTest) -> TestOutcome:
    if not isinstance(test, PolicyTest):
        raise InvalidValue("tests", test, "a list of PolicyTest(...), as read_policy_tests gives")
    state = change.INITIAL
    for step, arguments in _steps(policy, test):
        if step in {change.submit, change.schedule, change.start}:
            arguments["context"] = _context(test, state, arguments.get("window"))
        try:
            events = step(state, **arguments)
        except StepRefused as refused:
            name = step.__name__
            return TestOutcome(test=test, step=name, refused_by=refused.guard, why=refused.why)
        except InvalidValue as wrong:
            raise _of_test(test, wrong) from None
        for event in events:
            state = change.evolve(state, event)
    return TestOutcome(test=test)


def _of_test(test: PolicyTest, wrong: InvalidValue) -> InvalidValue:
    allowed = str(wrong).partition(" is not allowed; ")[2]
    return InvalidValue(f"tests.{test.name}: {wrong.name}", wrong.value, allowed)


_Step: TypeAlias = tuple[Callable[..., tuple[Any, ...]], dict[str, Any]]


def _steps(policy: Policy, test: PolicyTest) -> Iterator[_Step]:
    """Yield the steps of a test with their arguments, up to the one that is asked about."""
    for step, arguments in _all_steps(policy, test):
        yield step, arguments
        if step.__name__ == test.step not in {"approve", "advance_rollout"}:
            return  # of votes and of shares the last one is asked about


def _all_steps(policy: Policy, test: PolicyTest) -> Iterator[_Step]:
    of = {"policy": policy}
    at = test.at if test.step in _BEFORE_THE_WORK else _started(test)
    votes = [checked_time("votes.at", vote["at"]) for vote in test.votes if "at" in vote]
    begun = min([at - 3 * _HOUR, *votes])
    yield change.plan, {**_PLAN, "by": "requester", "at": begun - 2 * _HOUR, **test.change}
    for reference in test.references:
        yield change.refer, {"by": "requester", "at": begun - 2 * _HOUR, **reference}
    submitting: dict[str, Any] = {"by": "requester", "at": begun - _HOUR, **of}
    if test.step == "submit":
        submitting |= {"by": test.by, "at": at}
    if test.template is not None:
        submitting["template"] = made(Template, "template", {"sha256": "0" * 64, **test.template})
    yield change.submit, submitting
    for number, vote in enumerate(test.votes):
        given = at - 3 * _HOUR + timedelta(minutes=number)
        yield change.approve, {"at": given, **of, **vote}
    if test.step == "approve":
        return
    if test.override is not None:
        asked = {"at": at - _HOUR, "why": "as tested", "freeze": "", "by": ""}
        yield change.override_freeze, {**asked, **of, **test.override}
    if test.window is not None:
        asked = {"by": "requester", "at": at - _HOUR / 2}
        yield change.schedule, {**asked, "window": test.window, **of}
    yield change.start, {"by": test.by, "at": at, "rollout_plan": test.rollout_plan, **of}
    if test.step in _BEFORE_THE_WORK:
        return
    yield from sorted(_while_it_went_on(test, of), key=lambda step: step[1]["at"])
    if test.step == "close":
        yield change.complete, {"by": test.by, "at": test.at}
        yield change.close, {"by": test.by, "at": test.at, "result": test.result, **of}


def _while_it_went_on(test: PolicyTest, of: Mapping[str, Any]) -> Iterator[_Step]:
    for share in test.rollout:
        yield change.advance_rollout, {"by": test.by, **of, **share}
    for check in test.checks:
        yield change.validate, {"by": test.by, **check}


def _started(test: PolicyTest) -> datetime:
    """Return when the work began: as is said, or an hour before what is known of it."""
    if test.started is not None:
        return test.started
    known = [checked_time("at", each["at"]) for each in (*test.rollout, *test.checks)]
    return min([test.at, *known]) - _HOUR


def _context(test: PolicyTest, state: Change, window: Window | None = None) -> Context:
    return Context(
        position=0,
        content=state.content,
        window=window or state.scheduled or state.window,
        conflicts=test.conflicts,
        template_failures=test.template_failures,
    )
