"""
The risk of a change: what speaks against it, each with its evidence, and how likely it is to fail.

    risk_of(ledger.facts(), "CHG-7", rules=RiskRules(large_batch=20)).explain()

Flags are rules a team chooses; the score is an estimated probability. The two are apart: no flag
adds points, since nobody knows how many.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Self

import attrs

from imcm.domain.change import Change
from imcm.domain.policy.freezes import Weekly
from imcm.domain.policy.tables import made, tables
from imcm.domain.recorded import Recorded
from imcm.domain.vocabulary import (
    ChangeType,
    Kind,
    checked_id,
    checked_member,
    checked_number,
    is_list,
    is_mapping,
    is_number,
    optional_time,
)
from imcm.errors import InvalidValue
from imcm.gc_pause import gc_paused
from imcm.plain import joined
from imcm.projections.facts.fold import ChangeFacts, Facts
from imcm.projections.facts.instants import MICROSECOND, instant, moment_of
from imcm.projections.figures.excerpt import excerpt, named, near, one_of
from imcm.projections.figures.function import facts_of
from imcm.projections.figures.jsonable import jsonable
from imcm.projections.figures.units import SECONDS, SHAPE, SHARE, minute, shown, utc, zone
from imcm.projections.reports.failure_history import FACTORS, NEVER, FailureHistory
from imcm.projections.reports.failure_model import (
    HALF_LIFE,
    FailureModel,
    FailureRate,
    bounds_shown,
    definition_of,
    trained_model,
)
from imcm.projections.reports.proposed import ProposedChange, proposed

__all__ = [
    "FLAGS",
    "Evidence",
    "Flag",
    "NotJudged",
    "ProposedChange",
    "RiskAssessment",
    "RiskRules",
    "risk_of",
]

FLAGS: Final = (
    "late_week",
    "no_rollback_plan",
    "no_monitoring",
    "no_tests",
    "all_at_once",
    "large_batch",
    "recent_failure",
    "first_of_kind",
    "outside_hours",
)
"""All flags there are, in the order in which they are shown."""

WEEK: Final = timedelta(days=7)


# --- rules ----------------------------------------------------------------------------------------


def _stretches(name: str, value: object) -> tuple[Weekly, ...]:
    given: list[object] = list(value) if is_list(value) else [value]
    for each in given:
        if not isinstance(each, Weekly):
            allowed = 'a list of Weekly(start="Fri 12:00", end="Sun 24:00", time_zone=...)'
            raise InvalidValue(name, each, allowed)
    return tuple(each for each in given if isinstance(each, Weekly))


def _late_week(value: object) -> tuple[Weekly, ...]:
    return _stretches("late_week", value)


def _owner_hours(value: object) -> Mapping[str, tuple[Weekly, ...]]:
    if not is_mapping(value):
        raise InvalidValue("owner_hours", value, 'a mapping such as {"pay": [Weekly(...)]}')
    hours = {
        checked_id("owner_hours", service): _stretches(f"owner_hours.{service}", each)
        for service, each in value.items()
    }
    for service, each in hours.items():
        if not each:
            raise InvalidValue(f"owner_hours.{service}", each, "at least one stretch of a week")
    return MappingProxyType(dict(sorted(hours.items())))


def _recent(value: object) -> timedelta:
    given = value
    if is_number(value) and 0 < value <= timedelta.max.total_seconds() / 2:
        given = timedelta(seconds=value)
    if not isinstance(given, timedelta) or not timedelta(0) < given < timedelta.max:
        raise InvalidValue("recent", value, "seconds or timedelta, more than none")
    return given


def _types(value: object) -> tuple[ChangeType, ...]:
    if not is_list(value):
        raise InvalidValue("plans_of", value, f"a list of {', '.join(ChangeType)}")
    return tuple(dict.fromkeys(checked_member("plans_of", each, ChangeType) for each in value))


def _flags(value: object) -> tuple[str, ...]:
    given: list[object] = list(value) if is_list(value) else [value]
    for name in given:
        if not isinstance(name, str) or name not in FLAGS:
            raise InvalidValue("flags", name, one_of(name, FLAGS))
    return tuple(name for name in FLAGS if name in given)


_PLANNED: Final = (ChangeType.NORMAL, ChangeType.EMERGENCY, ChangeType.OBSERVED)


@attrs.frozen(kw_only=True)
class RiskRules:
    """
    When a flag is raised.

    Attributes:
        flags: Those that are judged; see `FLAGS`.
        late_week: The stretches of a week that are late: Friday noon to the end of Sunday, in UTC.
        large_batch: From how many commits on a batch is large.
        recent: How long a failure on the same service is recent.
        owner_hours: By the name of a service, when its owners are there.
        plans_of: Types of changes that are asked for plans; a standard one has its template.

    Raises:
        InvalidValue: One of them is not as described.
    """

    flags: tuple[str, ...] = attrs.field(default=FLAGS, converter=_flags)
    late_week: tuple[Weekly, ...] = attrs.field(
        default=(Weekly(start="Fri 12:00", end="Sun 24:00"),), converter=_late_week
    )
    large_batch: int = 10
    recent: timedelta = attrs.field(default=WEEK, converter=_recent)
    owner_hours: Mapping[str, tuple[Weekly, ...]] = attrs.field(
        factory=dict[str, tuple[Weekly, ...]], converter=_owner_hours
    )
    plans_of: tuple[ChangeType, ...] = attrs.field(default=_PLANNED, converter=_types)

    def __attrs_post_init__(self) -> None:
        if checked_number("large_batch", self.large_batch) < 1:
            raise InvalidValue("large_batch", self.large_batch, "at least one commit")

    def __hash__(self) -> int:
        """Hash what most rules differ in."""
        return hash((self.flags, self.late_week, self.large_batch, self.recent))

    def as_dict(self) -> dict[str, Any]:
        """Return them as plain values for JSON and TOML; `from_dict` reads them back."""
        return {
            "flags": list(self.flags),
            "late_week": [attrs.asdict(each) for each in self.late_week],
            "large_batch": self.large_batch,
            "recent": self.recent.total_seconds(),
            "owner_hours": {
                service: [attrs.asdict(each) for each in hours]
                for service, hours in self.owner_hours.items()
            },
            "plans_of": [each.value for each in self.plans_of],
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """
        Return the rules that a mapping tells, as a TOML file of them does.

        Raises:
            InvalidValue: A part is unknown or not as described.
        """
        if not is_mapping(plain):
            raise InvalidValue("risk", plain, "a mapping, as as_dict gives it")
        given = dict(plain)
        if "late_week" in given:
            given["late_week"] = _weekly("late_week", given["late_week"])
        if "owner_hours" in given:
            hours = given["owner_hours"]
            if not is_mapping(hours):
                raise InvalidValue("risk.owner_hours", hours, "a table for each service")
            given["owner_hours"] = {
                service: _weekly(f"owner_hours.{service}", each) for service, each in hours.items()
            }
        return made(cls, "risk", given)


def _weekly(name: str, value: object) -> list[Weekly]:
    return [made(Weekly, f"risk.{name}", each) for each in tables(f"risk.{name}", value)]


# --- what comes out -------------------------------------------------------------------------------


class Evidence(NamedTuple):
    """
    What in the log shows it.

    Attributes:
        kind, id: "change" or "incident" with its id, or "rule" with its name among `RiskRules`.
        positions: Log positions of the events that the change or incident is made from; empty of
            a rule and of a change that is not recorded.
        what: It shows, in words.
    """

    kind: str
    id: str
    positions: tuple[int, ...]
    what: str


class Flag(NamedTuple):
    """
    One thing that speaks against a change.

    Attributes:
        name: Which of `FLAGS`.
        why: In words.
        evidence: What in the log shows it, and which rule asks.
    """

    name: str
    why: str
    evidence: tuple[Evidence, ...]


class NotJudged(NamedTuple):
    """A flag that could not be judged, and why: nobody knows what it asks."""

    name: str
    why: str


@attrs.frozen(kw_only=True, repr=False)
class RiskAssessment:
    """
    What speaks against a change, and how likely it is to fail.

    Attributes:
        id: Of the change; None where it is not recorded.
        at: When it goes in, or went in.
        flags: Those that are raised, in the order of `FLAGS`.
        not_judged: Those of which nobody knows.
        estimate: How likely it is to fail, with what moved it.
        rules: When flags are raised.
    """

    id: str | None
    at: datetime
    flags: tuple[Flag, ...]
    not_judged: tuple[NotJudged, ...]
    estimate: FailureRate
    rules: RiskRules

    @property
    def score(self) -> float | None:
        """The estimated probability that it fails, a share; None where nothing is known."""
        return self.estimate.rate

    @property
    def raised(self) -> frozenset[str]:
        """The names of the flags that are raised."""
        return frozenset(flag.name for flag in self.flags)

    def __repr__(self) -> str:
        """Return the flags and the score in one line."""
        name = self.id or "a change to come"
        flags = ", ".join(flag.name for flag in self.flags) or "no flags"
        score = "undefined" if self.score is None else f"{shown(self.score, SHARE)} may fail"
        return f"risk of {name}: {flags}; {score} {bounds_shown(self.estimate.interval)}".rstrip()

    def explain(self) -> str:
        """Return for a person each flag with its evidence, and where the score comes from."""
        lines = [repr(self), f"  at {minute(self.at, zone('UTC'))} UTC"]
        for flag in self.flags:
            lines.append(f"  {flag.name}: {flag.why}")
            lines += excerpt(flag.evidence, _evidence_lines, indent="    ")
        lines += [f"  {each.name} not judged: {each.why}" for each in self.not_judged]
        lines += [f"  {line}" for line in self.estimate.explain().splitlines()]
        return joined(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON; the keys are always there."""
        return {
            "shape": SHAPE,
            "id": self.id,
            "at": self.at.isoformat(),
            "score": self.score,
            "flags": jsonable(self.flags),
            "not_judged": jsonable(self.not_judged),
            "estimate": self.estimate.as_dict(),
            "rules": self.rules.as_dict(),
        }


def _evidence_lines(evidence: Evidence) -> Iterator[str]:
    positions = evidence.positions
    where = f" (positions {named(list(map(str, positions)))})" if positions else ""
    yield f"    {evidence.kind} {evidence.id}: {evidence.what}{where}"


# --- how it is judged -----------------------------------------------------------------------------


def risk_of(
    log: Facts | Iterable[Recorded],
    change: str | ChangeFacts | Change | ProposedChange,
    /,
    *,
    at: datetime | None = None,
    rules: RiskRules | None = None,
    model: FailureModel | None = None,
) -> RiskAssessment:
    """
    Return what speaks against a change, and how likely it is to fail.

    A flag is raised where the log, or what the change says of itself, shows it; where nobody knows
    (a plan in imported history, a rollout that has not begun), it is not judged, and said so.
    Nothing from the time at which the change goes in, or later, is used.

    Args:
        log: Facts, or a log such as `ledger.replay()`, which is then read to its end.
        change: The id of a change in the log, its row, its state, or a change to come.
        at: When it goes in; None is when it went in, else the start of its window, else `as_of`.
        rules: When flags are raised; None is `RiskRules()`.
        model: Made by `failure_model` of the same log, where many changes are asked about; None
            makes one with its defaults, of what was known before *at*.

    Raises:
        InvalidValue: There is no such change, or one of them is not as described.
        NaiveTimeError: *at* has no time zone.
    """
    known = facts_of(log)
    if rules is not None and not isinstance(rules, RiskRules):
        raise InvalidValue("rules", rules, "give RiskRules(large_batch=10, ...)")
    if model is not None and not isinstance(model, FailureModel):
        raise InvalidValue("model", model, "give what failure_model(...) returns")
    asked = proposed(_row(known, change) if isinstance(change, str) else change)
    when = optional_time("at", at) or asked.at or known.as_of
    if when is None:
        raise InvalidValue("at", None, "give at=: neither the change nor the log says when")
    if model is None:
        before = when if known.as_of is None else min(when, known.as_of)
        with gc_paused():
            model = trained_model(known, definition_of(), before, FACTORS, HALF_LIFE)
    judged = _Judged(known, asked, when, rules or RiskRules(), model.history)
    flags, not_judged = judged.all()
    return RiskAssessment(
        id=asked.id,
        at=when,
        flags=flags,
        not_judged=not_judged,
        estimate=model.rate_of(asked, at=when),
        rules=judged.rules,
    )


def _row(facts: Facts, id_: str) -> ChangeFacts:
    row = facts.changes.get(id_)
    if row is None:
        likest = near(id_, facts.changes.ids)
        hint = f"; near it: {', '.join(likest)}" if likest else ""
        raise InvalidValue("change", id_, f"the id of a change in the log{hint}")
    return row


class _Judged:
    """One change on its way to its flags; each method is the flag of its name."""

    def __init__(
        self,
        facts: Facts,
        change: ProposedChange,
        at: datetime,
        rules: RiskRules,
        history: FailureHistory,
    ) -> None:
        self._facts = facts
        self._change = change
        self._at = at
        self._instant = instant(utc(at))
        self.rules = rules
        self._history = history

    def all(self) -> tuple[tuple[Flag, ...], tuple[NotJudged, ...]]:
        """Return the flags that are raised, and those that could not be judged."""
        flags: list[Flag] = []
        not_judged: list[NotJudged] = []
        for name in self.rules.flags:
            said = getattr(self, f"_{name}")()
            if isinstance(said, NotJudged):
                not_judged.append(said)
            elif said is not None:
                flags.append(said)
        return tuple(flags), tuple(not_judged)

    def _itself(self, what: str) -> Evidence:
        """Return what the change says of itself."""
        return Evidence("change", self._change.id or "(to come)", self._change.positions, what)

    def _when(self) -> Evidence:
        return self._itself(f"goes in at {minute(self._at, zone('UTC'))} UTC")

    def _is_in(self, stretches: Iterable[Weekly]) -> Weekly | None:
        """Return the first of some stretches of a week that the time lies in."""
        start = self._at
        try:
            end = start + MICROSECOND
        except OverflowError:
            return None
        return next((each for each in stretches if any(each.windows(start, end))), None)

    def _late_week(self) -> Flag | None:
        late = self._is_in(self.rules.late_week)
        if late is None:
            return None
        rule = Evidence("rule", "late_week", (), str(late))
        return Flag("late_week", f"it goes in late in the week: {late}", (self._when(), rule))

    def _plan(self, name: str, what: str, there: bool | None) -> Flag | NotJudged | None:
        type_ = self._change.type
        if there or type_ not in self.rules.plans_of:
            return None
        if there is None:
            return NotJudged(name, f"nobody knows whether it has a {what}")
        rule = Evidence("rule", "plans_of", (), f"asked of {type_.value} changes")
        return Flag(name, f"it has no {what}", (self._itself(f"has no {what}"), rule))

    def _no_rollback_plan(self) -> Flag | NotJudged | None:
        there = self._change.has_rollback_plan
        return self._plan("no_rollback_plan", "rollback plan", there)

    def _no_monitoring(self) -> Flag | NotJudged | None:
        return self._plan("no_monitoring", "monitoring plan", self._change.has_monitoring_plan)

    def _no_tests(self) -> Flag | NotJudged | None:
        return self._plan("no_tests", "test plan", self._change.has_test_plan)

    def _all_at_once(self) -> Flag | NotJudged | None:
        gradual = self._change.gradual
        if gradual is None:
            return NotJudged("all_at_once", "nobody knows whether it reaches some users first")
        if gradual:
            return None
        evidence = self._itself("no rollout step below 100 %")
        return Flag("all_at_once", "it reaches all users at once", (evidence,))

    def _large_batch(self) -> Flag | NotJudged | None:
        commits, large = self._change.commits, self.rules.large_batch
        if commits is None:
            return NotJudged("large_batch", "nobody knows how many commits it brings")
        if commits < large:
            return None
        why = f"it brings {commits:,} commits; {large:,} are many"
        rule = Evidence("rule", "large_batch", (), f"from {large:,} commits on")
        return Flag("large_batch", why, (self._itself(f"brings {commits:,} commits"), rule))

    def _recent_failure(self) -> Flag | None:
        since = self._instant - self.rules.recent // MICROSECOND
        history, deployed = self._history, self._history.deployed
        failed = {
            index
            for service in self._change.services or ("",)
            for index in history.of(service).failed_between(since, self._instant)
            if deployed.id(index) != self._change.id
        }
        if not failed:
            return None
        newest = sorted(failed, key=lambda index: (-history.failed_at[index], deployed.id(index)))
        evidence = [each for index in newest for each in self._of_failure(index)]
        span = shown(self.rules.recent.total_seconds(), SECONDS)
        evidence.append(Evidence("rule", "recent", (), f"within {span}"))
        subject = "1 change" if len(failed) == 1 else f"{len(failed):,} changes"
        services = named(self._change.services) or "no service"
        why = f"{subject} on {services} failed within the last {span}"
        return Flag("recent_failure", why, tuple(evidence))

    def _of_failure(self, index: int) -> Iterator[Evidence]:
        """Yield what shows that a deployment failed: the change, and the incidents it caused."""
        history = self._history
        row = history.deployed.change(index)
        when = minute(moment_of(history.failed_at[index]), zone("UTC"))
        signs = "; ".join(history.failed.signs(index))
        yield Evidence("change", row.id, row.positions, f"failed, known at {when} UTC: {signs}")
        for at in history.incidents_of(index):
            incident = self._facts.incidents[at]
            yield Evidence("incident", incident.id, incident.positions, f"caused by {row.id}")

    def _first_of_kind(self) -> Flag | NotJudged | None:
        kind, services = self._change.kind, self._change.services
        if kind is None:
            return NotJudged("first_of_kind", "nobody knows of which kind it is")
        if kind is Kind.ROLLBACK:
            return NotJudged("first_of_kind", "a roll back is no deployment of its own")
        history, first = self._history, self._history.first_of_kind
        new = [
            service
            for service in services or ("",)
            if first.get((service, kind), NEVER) >= self._instant
        ]
        if not new:
            return None
        earlier = [bisect_left(history.of(service).at, self._instant) for service in new]
        counts = ", ".join(
            f"0 of {count:,} earlier deployments of {service or 'no service'}"
            for service, count in zip(new, earlier, strict=True)
        )
        why = f"it is the first {kind.value} on {named([name or 'no service' for name in new])}"
        return Flag("first_of_kind", why, (self._itself(f"{kind.value}; before it {counts}"),))

    def _outside_hours(self) -> Flag | NotJudged | None:
        hours = self.rules.owner_hours
        services: Sequence[str] = [name for name in self._change.services if name in hours]
        if not services:
            return NotJudged("outside_hours", "no hours of an owner are given for its services")
        outside = [name for name in services if self._is_in(hours[name]) is None]
        if not outside:
            return None
        rules = [
            Evidence("rule", f"owner_hours.{name}", (), "; ".join(map(str, hours[name])))
            for name in outside
        ]
        why = f"it goes in when the owner of {named(outside)} is not there"
        return Flag("outside_hours", why, (self._when(), *rules))
