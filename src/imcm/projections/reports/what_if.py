"""
What if another policy had been in force: which deployments it would have stopped, and what then.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import attrs

from imcm.domain import change as changes
from imcm.domain.change import Refusal
from imcm.domain.change_events import ChangeObserved, ChangeStarted, ChangeStatus
from imcm.domain.policy import Content, Policy, checked_policy
from imcm.domain.recorded import CHANGE, Recorded, checked_log, kind_and_id
from imcm.domain.vocabulary import ChangeType, Moment, midpoint
from imcm.errors import InvalidValue
from imcm.gc_pause import gc_paused
from imcm.projections.facts.fold import ChangeFacts, Facts, facts
from imcm.projections.figures.attribution import causes_of
from imcm.projections.figures.bounds import instants
from imcm.projections.figures.drawing import drawn
from imcm.projections.figures.excerpt import SOME
from imcm.projections.figures.failures import FailedBy, failures
from imcm.projections.figures.function import settled
from imcm.projections.figures.jsonable import jsonable
from imcm.projections.figures.units import SECONDS, SHAPE, SHARE, shown
from imcm.projections.statistics.intervals import Interval, median_interval, wilson

if TYPE_CHECKING:
    from imcm.projections.figures.drawing import Axes

__all__ = ["Judged", "Share", "Versus", "WhatIf", "what_if"]

CAVEAT: Final = (
    "people would have acted otherwise: what may not go in on a Friday goes in on the Monday, "
    "with what waits for that, or as an emergency; this says what the policy meets, and not what "
    "it would have prevented"
)
_TIME: Final = frozenset({"freeze", "maintenance window"})
"""Guards that say no for a time, and not for ever."""


@attrs.frozen(kw_only=True)
class Judged:
    """
    One deployment that the policy would have stopped.

    Attributes:
        change: Its id.
        at: When it began in production.
        refusals: Every guard that would have said no, and why.
        opens: When it might have begun; None where it is not time alone that is missing.
        failed: Whether it failed.
        signs: What says so.
        incidents: The incidents that it caused.
    """

    change: str
    at: datetime
    refusals: tuple[Refusal, ...]
    opens: datetime | None = None
    failed: bool = False
    signs: tuple[str, ...] = ()
    incidents: tuple[str, ...] = ()

    @property
    def guard(self) -> str:
        """The first guard that would have said no."""
        return self.refusals[0].guard

    @property
    def guards(self) -> tuple[str, ...]:
        """All guards that would have said no, each once."""
        return tuple(dict.fromkeys(guard for guard, _ in self.refusals))

    @property
    def delay(self) -> timedelta | None:
        """How much later it might have begun; None where nobody can say."""
        return None if self.opens is None else self.opens - self.at

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return {
            "change": self.change,
            "at": self.at.isoformat(),
            "guards": [{"guard": each.guard, "why": each.why} for each in self.refusals],
            "opens": None if self.opens is None else self.opens.isoformat(),
            "failed": self.failed,
            "signs": list(self.signs),
            "incidents": list(self.incidents),
        }

    def __str__(self) -> str:
        """Return it in one line."""
        then = "" if self.opens is None else f", not before {self.opens:%Y-%m-%d %H:%M %z}"
        how = f"failed ({', '.join(self.signs)})" if self.failed else "went well"
        guards = ", ".join(self.guards)
        return f"{self.change} at {self.at:%Y-%m-%d %H:%M %z}: {guards}{then}; {how}"


class Share(NamedTuple):
    """
    How many of some failed: a share between 0 and 1, with its Wilson interval of 95 %.

    Attributes:
        failed: How many did.
        of: Of how many.
        interval: Of the share; its ends are None where there are none.
    """

    failed: int
    of: int
    interval: Interval

    @property
    def value(self) -> float | None:
        """The share; None of none."""
        return self.failed / self.of if self.of else None

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        ends = {"low": self.interval.low, "high": self.interval.high}
        return {"failed": self.failed, "of": self.of, "value": self.value, **ends}

    def __str__(self) -> str:
        """Return it in words."""
        if not self.of:
            return "none"
        low, high = (shown(end, SHARE) for end in (self.interval.low, self.interval.high))
        return (
            f"{self.failed:,} of {self.of:,} failed, {shown(self.value, SHARE)} ({low} to {high})"
        )


def _no_interval(method: str) -> Interval:
    return Interval(low=None, high=None, level=0.95, method=method)


def _share(failed: int, of: int) -> Share:
    return Share(failed, of, wilson(failed, of) if of else _no_interval("wilson"))


@attrs.frozen(kw_only=True, repr=False)
class WhatIf:
    """
    What a policy would have said of the deployments of a log.

    Attributes:
        window: The deployments of which time; None for all.
        policy, version: The policy that was asked.
        stopped: What it would have stopped or delayed, in order of time.
        passed: How many deployments it would have let in.
        passed_failed: How many of those failed.
        exempt: Emergencies that went in while a freeze held, or outside every window.
        unasked: Changes that were only found in production: no policy was asked of them.
        unjudged: Deployments of which a source told: nobody voted on them here, and whether they
            had plans is not known, so only times were judged.
        as_of: What was known when.
        log_position: How far the log was read.
    """

    policy: str
    version: str
    stopped: tuple[Judged, ...]
    passed: int
    passed_failed: int
    exempt: tuple[str, ...] = ()
    unasked: tuple[str, ...] = ()
    unjudged: int = 0
    window: tuple[datetime, datetime] | None = None
    as_of: datetime | None = None
    log_position: int = 0

    @property
    def deployments(self) -> int:
        """How many deployments were judged."""
        return len(self.stopped) + self.passed

    @property
    def caught(self) -> tuple[Judged, ...]:
        """Those it would have stopped that failed."""
        return tuple(each for each in self.stopped if each.failed)

    @property
    def hit(self) -> tuple[Judged, ...]:
        """Those it would have stopped that went well."""
        return tuple(each for each in self.stopped if not each.failed)

    @property
    def incidents(self) -> tuple[str, ...]:
        """The incidents that were caused by what it would have stopped, each once."""
        ids = (id_ for each in self.stopped for id_ in each.incidents)
        return tuple(dict.fromkeys(ids))

    @property
    def share_of_stopped(self) -> Share:
        """How many of those it would have stopped failed."""
        return _share(len(self.caught), len(self.stopped))

    @property
    def share_of_passed(self) -> Share:
        """How many of those it would have let in failed."""
        return _share(self.passed_failed, self.passed)

    @property
    def difference(self) -> Interval:
        """
        By how much larger the share of failures is among the stopped than among the others.

        Its ends are those of the hybrid score interval (Newcombe 1998, method 10): where 0 lies
        between them, the log does not show that the policy picks out what fails. None without
        deployments on both sides.
        """
        a, b = self.share_of_stopped, self.share_of_passed
        none = _no_interval("newcombe")
        if a.value is None or b.value is None:
            return none
        ends = (a.interval.low, a.interval.high, b.interval.low, b.interval.high)
        low_a, high_a, low_b, high_b = (end if end is not None else math.nan for end in ends)
        between = a.value - b.value
        low = between - math.hypot(a.value - low_a, high_b - b.value)
        high = between + math.hypot(high_a - a.value, b.value - low_b)
        return attrs.evolve(none, low=low, high=high)

    @property
    def by_guard(self) -> Mapping[str, Share]:
        """
        How many each guard would have stopped, and how many of those failed.

        What several guards would have stopped counts for each of them.
        """
        by: dict[str, list[int]] = {}
        for each in self.stopped:
            for guard in each.guards:
                counts = by.setdefault(guard, [0, 0])
                counts[0] += each.failed
                counts[1] += 1
        return {guard: _share(failed, of) for guard, (failed, of) in by.items()}

    @property
    def delays(self) -> tuple[float, ...]:
        """How much later, in seconds, those might have begun that only had to wait; rising."""
        delays = (each.delay for each in self.stopped)
        return tuple(sorted(delay.total_seconds() for delay in delays if delay is not None))

    @property
    def median_delay(self) -> float | None:
        """The median of the delays in seconds; None without any."""
        delays = self.delays
        if not delays:
            return None
        middle = len(delays) // 2
        odd = len(delays) % 2
        return delays[middle] if odd else (delays[middle - 1] + delays[middle]) / 2

    @property
    def added_lead_time(self) -> float | None:
        """Seconds that the delays add to the lead time of a deployment, on average over all."""
        return sum(self.delays) / self.deployments if self.deployments else None

    def versus(self, other: WhatIf) -> Versus:
        """
        Return what two policies say differently of the same log.

        Raises:
            InvalidValue: The other one is of another log.
        """
        if not isinstance(other, WhatIf) or other.log_position != self.log_position:
            raise InvalidValue("other", other, "what another policy says of the same log")
        return Versus(first=self, second=other)

    def __repr__(self) -> str:
        """Return in one line what it would have stopped."""
        return f"<{self._head()}>"

    def _head(self) -> str:
        return (
            f"what if {self.policy} {self.version}: {len(self.stopped):,} of "
            f"{self.deployments:,} deployments stopped or delayed"
        )

    def __str__(self) -> str:
        """Return what `explain` does."""
        return self.explain()

    def explain(self) -> str:
        """Return all of it as text."""
        return "\n".join(self._lines())

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """
        Draw what failed of what it would have stopped, by guard; see `imcm.plots.what_if`.

        Args:
            ax: Axes of matplotlib to draw into; None makes new ones.

        Raises:
            MissingExtraError: The extra `plot` is not installed.
        """
        return drawn(self, ax=ax)

    def _lines(self) -> Iterable[str]:
        yield self._head()
        yield f"  of the stopped:  {self.share_of_stopped}"
        yield f"  of the others:   {self.share_of_passed}"
        between = self.difference
        if between.low is not None and between.high is not None:
            points = f"{between.low * 100:+.1f} to {between.high * 100:+.1f} percentage points"
            shows = "0 is in it: no difference is shown" if _has_zero(between) else "0 is not in it"
            yield f"  difference:      {points} at 95 %, Newcombe; {shows}"
        for guard, share in self.by_guard.items():
            yield f"  by {guard}: {share}"
        if self.incidents:
            yield f"  incidents of the stopped: {_some(self.incidents)}"
        if self.median_delay is not None:
            interval = median_interval(self.delays)
            known = interval.low is not None and interval.high is not None
            ends = [shown(end, SECONDS) for end in (interval.low, interval.high)] if known else []
            within = f" ({' to '.join(ends)})" if ends else ""
            yield (
                f"  delay of the {len(self.delays):,} that had to wait: median "
                f"{shown(self.median_delay, SECONDS)}{within}; "
                f"{shown(self.added_lead_time, SECONDS)} more lead time for a deployment on average"
            )
        never = len(self.stopped) - len(self.delays)
        if never:
            yield f"  {never:,} lacked something else than time"
        if self.exempt:
            yield f"  emergencies, let in: {_some(self.exempt)}"
        if self.unasked:
            yield f"  found in production, so no policy was asked: {_some(self.unasked)}"
        if self.unjudged:
            yield (
                f"  of {self.unjudged:,} only a source told: their times were judged, and neither "
                "votes nor plans"
            )
        yield f"  note: {CAVEAT}"

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        between = self.difference
        return {
            "shape": SHAPE,
            "policy": {"name": self.policy, "version": self.version},
            "deployments": self.deployments,
            "stopped": [each.as_dict() for each in self.stopped],
            "share_of_stopped": self.share_of_stopped.as_dict(),
            "share_of_passed": self.share_of_passed.as_dict(),
            "difference": {"low": between.low, "high": between.high, "method": between.method},
            "by_guard": {guard: share.as_dict() for guard, share in self.by_guard.items()},
            "incidents": list(self.incidents),
            "median_delay_seconds": self.median_delay,
            "added_lead_time_seconds": self.added_lead_time,
            "exempt": list(self.exempt),
            "unasked": list(self.unasked),
            "unjudged": self.unjudged,
            "note": CAVEAT,
            "window": None if self.window is None else [end.isoformat() for end in self.window],
            "as_of": None if self.as_of is None else jsonable(self.as_of),
            "log_position": self.log_position,
        }


def _has_zero(interval: Interval) -> bool:
    low, high = interval.low, interval.high
    return low is None or high is None or low <= 0 <= high


def _some(ids: Sequence[str]) -> str:
    return f"{len(ids):,}: {_named(ids)}"


def _named(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - SOME:,} more" if len(ids) > SOME else ""
    return f"{', '.join(ids[:SOME])}{more}"


@attrs.frozen(kw_only=True)
class Versus:
    """
    Two policies on the same log.

    Attributes:
        first, second: What each would have said.
    """

    first: WhatIf
    second: WhatIf

    @property
    def only_first(self) -> tuple[Judged, ...]:
        """What the first would have stopped, and the second not."""
        return _without(self.first, self.second)

    @property
    def only_second(self) -> tuple[Judged, ...]:
        """What the second would have stopped, and the first not."""
        return _without(self.second, self.first)

    def explain(self) -> str:
        """Return both, and what one stops and the other does not."""
        lines = [self.first.explain(), self.second.explain()]
        for mine, only in ((self.first, self.only_first), (self.second, self.only_second)):
            share = _share(sum(each.failed for each in only), len(only))
            ids = f": {_named([each.change for each in only])}" if only else ""
            lines.append(f"stopped by {mine.policy} {mine.version} alone: {share}{ids}")
        return "\n".join(lines)

    def __str__(self) -> str:
        """Return what `explain` does."""
        return self.explain()

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return {
            "shape": SHAPE,
            "first": self.first.as_dict(),
            "second": self.second.as_dict(),
            "only_first": [each.change for each in self.only_first],
            "only_second": [each.change for each in self.only_second],
        }


def _without(mine: WhatIf, other: WhatIf) -> tuple[Judged, ...]:
    theirs = {each.change for each in other.stopped}
    return tuple(each for each in mine.stopped if each.change not in theirs)


def what_if(
    log: Iterable[Recorded] | Facts,
    policy: Policy,
    *,
    window: Any = None,
    time_zone: str = "UTC",
    as_of: datetime | None = None,
) -> WhatIf:
    """
    Return what a policy would have said of every deployment of a log.

    Each is judged as it stood when it began: by its votes, plans, content and overrides then, at
    its own time. What a source told of is judged by its time alone, and so is all where *log* is
    facts: they hold no votes. Conflicts and the failures of templates are not judged.

    Args:
        log: The whole log, as `ledger.replay()` gives it, or facts.
        policy: The policy to ask.
        window: Only deployments in it; see `change_failure_rate`. Any: in one of several forms.
        time_zone: The zone that a window in words is meant in.
        as_of: What happened later is left out; see `facts`. Not with facts, which have their own.

    Raises:
        InvalidValue: An argument can't be right.
    """
    policy = checked_policy(policy)
    definition = FailedBy(window=window, time_zone=time_zone)
    if isinstance(log, Facts):
        with gc_paused():
            return _judged(log, {}, policy, definition)
    events = tuple(checked_log(log))
    with gc_paused():
        return _judged(facts(events, as_of=as_of), _stories(events), policy, definition)


def _stories(log: Iterable[Recorded]) -> dict[str, list[Any]]:
    """Return the events of each change that something was recorded of here; Any: of all kinds."""
    stories: dict[str, list[Any]] = {}
    lived: set[str] = set()
    for recorded in log:
        kind, id_ = kind_and_id(recorded.stream)
        if kind == CHANGE:
            stories.setdefault(id_, []).append(recorded.event)
            if not getattr(recorded.event, "imported", False):
                lived.add(id_)
    return {id_: stories[id_] for id_ in lived}


def _judged(
    known: Facts, stories: Mapping[str, Sequence[Any]], policy: Policy, definition: FailedBy
) -> WhatIf:
    definition = settled(known, definition)
    classified = failures(known, definition)
    deployed, failed = classified.deployments, classified.failed
    attributed, _ = causes_of(known, definition)
    stopped: list[Judged] = []
    exempt: list[str] = []
    unasked: list[str] = []
    passed = passed_failed = unjudged = 0
    span = slice(None)
    if definition.window is not None:
        ends = instants(definition.window, definition.bounds)
        span = slice(bisect_left(deployed.at, ends.start), bisect_left(deployed.at, ends.stop))
    for index in range(len(deployed))[span]:
        row = deployed.change(index)
        went_wrong = index in failed
        began = _began(row, deployed.moment(index), stories.get(row.id, ()))
        if row.type is ChangeType.OBSERVED or began.observed:
            unasked.append(row.id)
            continue
        unjudged += began.state is None
        refusals, at = _refusals(row, began, policy), midpoint(began.at)
        if row.type is ChangeType.EMERGENCY and _is_closed(_content(row, began), policy, at):
            exempt.append(row.id)
        if not refusals:
            passed, passed_failed = passed + 1, passed_failed + went_wrong
            continue
        waits = all(refusal.guard in _TIME for refusal in refusals)
        stopped.append(
            Judged(
                change=row.id,
                at=at,
                refusals=refusals,
                opens=policy.opens_at(_content(row, began), at) if waits else None,
                failed=went_wrong,
                signs=failed.signs(index) if went_wrong else (),
                incidents=tuple(
                    known.incidents[incident].id
                    for incident in attributed.incidents_of(deployed.change_indices[index])
                ),
            )
        )
    return WhatIf(
        policy=policy.name,
        version=policy.version,
        stopped=tuple(stopped),
        passed=passed,
        passed_failed=passed_failed,
        exempt=tuple(exempt),
        unasked=tuple(unasked),
        unjudged=unjudged,
        window=definition.window,
        as_of=known.as_of,
        log_position=known.log_position,
    )


class _Began(NamedTuple):
    """
    When a change began in production, by whom, and its state then where it lived here.

    Nobody started one that was only found there.
    """

    at: Moment
    by: str | None = None
    state: changes.Change | None = None
    observed: bool = False


def _began(row: ChangeFacts, deployed_at: Moment, story: Sequence[Any]) -> _Began:
    starts = [
        version
        for version, event in enumerate(story)
        if isinstance(event, ChangeStarted) and not event.imported
    ]
    if not starts:
        observed = any(isinstance(event, ChangeObserved) for event in story)
        return _Began(row.started_at or deployed_at, observed=observed)
    begun: ChangeStarted = story[starts[-1]]
    before = changes.fold(story[: starts[-1]])
    return _Began(row.started_at or deployed_at, begun.by, before)


def _content(row: ChangeFacts, began: _Began) -> Content:
    if began.state is not None:
        return changes.content_of(began.state)
    return Content(row.type, row.kind, row.risk, row.services, row.environment, row.labels)


def _refusals(row: ChangeFacts, began: _Began, policy: Policy) -> tuple[Refusal, ...]:
    if began.state is not None:
        refusals = changes.start_refusals(
            began.state, by=began.by, at=began.at, policy=policy, anew=True
        )
        return tuple(each for each in refusals if each.guard not in _NOT_JUDGED)
    state = changes.INITIAL._replace(
        status=ChangeStatus.APPROVED,
        type=row.type,
        kind=row.kind,
        risk=row.risk,
        services=row.services,
        environment=row.environment,
        labels=row.labels,
    )
    refusals = changes.start_refusals(state, at=began.at, policy=policy)
    return tuple(each for each in refusals if each.guard in _TIME)


_NOT_JUDGED: Final = frozenset(
    {
        *("conflicts", "not on hold", "approved"),
        *("inside the window", "not before the first moment"),
    }
)
"""Guards that no policy has a say in, or that need what the log of one change does not hold."""


def _is_closed(content: Content, policy: Policy, at: datetime) -> bool:
    asked = content._replace(type=ChangeType.NORMAL)
    return policy.opens_at(asked, at) != at
