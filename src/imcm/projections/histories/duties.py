"""
Duties: of every change that went in, who did what, and whether the rules held. For audits.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from io import StringIO
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import attrs

from imcm.documents.shown import Shown, checked_most
from imcm.domain import change_events as changes
from imcm.domain.policy import Content, Policy
from imcm.domain.recorded import (
    CHANGE,
    Recorded,
    RulesAdopted,
    Unread,
    kind_and_id,
    known,
)
from imcm.domain.recorded import (
    INCIDENT as INCIDENT_STREAM,
)
from imcm.domain.vocabulary import (
    ChangeType,
    Moment,
    Window,
    earliest,
    folded,
    latest,
    midpoint,
    time_after,
)
from imcm.plain import cell, joined, plain, quoted
from imcm.projections.facts.instants import instant
from imcm.projections.figures.bounds import instants
from imcm.projections.figures.days import day_of, midnight
from imcm.projections.figures.deployments import Deployments
from imcm.projections.figures.excerpt import excerpt
from imcm.projections.figures.jsonable import jsonable
from imcm.projections.figures.units import SECONDS, SHAPE, shown, zone
from imcm.projections.figures.windows import Relative, last_days
from imcm.projections.histories.decisions import (
    Decision,
    DecisionTrail,
    Ruling,
    entered,
    trail_of,
    uncorrected_moment,
)

if TYPE_CHECKING:
    from imcm.documents.structure import Document

__all__ = ["Check", "Duties", "Duty", "duties"]

WINDOW: Final = "it kept the window that was approved"
CONTENT: Final = "what went in is what was approved"
FREEZE: Final = "it went in during no freeze, or that was overridden"
IN_TIME: Final = "what went in without approval was ruled on in time"
TOLD_IN_TIME: Final = "nothing that would have refused it came between its start and its record"
STEWARD: Final = "no steward voted under rules that they adopted after it was submitted"
BAKED: Final = "the records of its rollout steps lie as far apart as the policy asks"
INCIDENT: Final = "the incident that an emergency ends is known"

_NO_TIME: Final = datetime.min.replace(tzinfo=UTC)
_WORST_FIRST: Final = (Ruling.BROKEN, Ruling.UNKNOWN, Ruling.HELD, Ruling.NOTHING)


@attrs.frozen(kw_only=True)
class Check:
    """
    Whether one rule held for one change.

    Attributes:
        rule: The rule, as a sentence.
        ruling: What the log says.
        reason: What makes it so.
        positions: Log positions of the events that show it.
    """

    rule: str
    ruling: Ruling
    reason: str
    positions: tuple[int, ...] = ()

    def __str__(self) -> str:
        """Return it in one line, with the positions of what shows it."""
        where = f" (position {', '.join(map(str, self.positions))})" if self.positions else ""
        return f"{self.ruling.value}: {self.rule}: {self.reason}{where}"


@attrs.frozen(kw_only=True)
class Duty:
    """
    Who did what on one change that went in, and which rules held.

    Attributes:
        change: Its id.
        type: Of which type it is; None where nobody says.
        went_in_at: When it first went into production.
        requested_by, planned_by, submitted_by, implemented_by: Who did what; see `DecisionTrail`.
        approved_by: Whose approval counts, each with its capacity where that is not a peer's:
            "mia (cab)".
        window: The approved window, the scheduled one where there is one; None where it has none.
        freezes: What was said of freezes when it started, and who overrode them.
        policies: The policies that decisions on it named, in their order: "strict 2026-11".
        checks: Whether each rule held.
    """

    change: str
    type: ChangeType | None
    went_in_at: Moment | None
    requested_by: str | None = None
    planned_by: tuple[str, ...] = ()
    submitted_by: tuple[str, ...] = ()
    approved_by: tuple[str, ...] = ()
    implemented_by: tuple[str, ...] = ()
    window: Window | None = None
    freezes: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()

    @property
    def exceptions(self) -> tuple[Check, ...]:
        """The rules that were broken."""
        return tuple(check for check in self.checks if check.ruling is Ruling.BROKEN)

    @property
    def unknown(self) -> tuple[Check, ...]:
        """The rules of which the log does not say whether they held."""
        return tuple(check for check in self.checks if check.ruling is Ruling.UNKNOWN)

    @property
    def ruling(self) -> Ruling:
        """The worst of all checks."""
        rulings = {check.ruling for check in self.checks}
        return next(ruling for ruling in _WORST_FIRST if ruling in rulings)

    def row(self) -> dict[str, str]:
        """Return it as a row of a table: text by the name of its column."""
        window = self.window
        columns = {
            "change": self.change,
            "type": "" if self.type is None else self.type.value,
            "went in at": _text(self.went_in_at),
            "ruling": self.ruling.value,
            "requested by": "" if self.requested_by is None else quoted(self.requested_by),
            "planned by": ", ".join(map(quoted, self.planned_by)),
            "submitted by": ", ".join(map(quoted, self.submitted_by)),
            "approved by": ", ".join(self.approved_by),
            "implemented by": ", ".join(map(quoted, self.implemented_by)),
            "window": "" if window is None else f"{_text(window.start)} to {_text(window.end)}",
            "freezes": "; ".join(self.freezes),
            "policies": ", ".join(self.policies),
        }
        columns |= {check.rule: check.ruling.value for check in self.checks}
        shown = self.exceptions or self.unknown or self.checks
        positions = sorted({at for check in shown for at in check.positions})
        return {
            **columns,
            "exceptions": _reasons(self.exceptions),
            "not said": _reasons(self.unknown),
            "events": ", ".join(map(str, positions)),
        }

    def lines(self) -> tuple[str, ...]:
        """Return it in lines: how it stands, then each rule that was broken or can't be told."""
        approved = f"approved by {', '.join(self.approved_by) or 'nobody'}"
        head = f"{quoted(self.change)} ({'unknown' if self.type is None else self.type.value})"
        listed = (*self.exceptions, *self.unknown)
        return (
            plain(f"{self.ruling.value}: {head}, {approved}"),
            *(plain(f"  {check}") for check in listed),
        )

    def __str__(self) -> str:
        """Return what `lines` does, one below the other."""
        return joined(self.lines())


def _reasons(checks: Iterable[Check]) -> str:
    return "; ".join(f"{check.rule}: {check.reason}" for check in checks)


def _text(moment: Moment | None) -> str:
    if moment is None:
        return ""
    first, last = earliest(moment), latest(moment)
    return first.isoformat() if first == last else f"{first.isoformat()}/{last.isoformat()}"


@attrs.frozen(kw_only=True, repr=False)
class Duties(Shown):
    """
    Every change that went in within a period, exceptions first: what an auditor samples.

    Attributes:
        window: The period; None for all time.
        rows: One for each change: those with a broken rule, then those of which the log does not
            say, then the rest; each in order of time.
        not_in: How many changes did not go into production, or not within the period.
        log_position: How far the log was read.
    """

    window: tuple[datetime, datetime] | None
    rows: tuple[Duty, ...]
    not_in: int = 0
    log_position: int = 0

    def document(self, *, most: int | None = None) -> Document:
        """Return it as a document; see `imcm.documents`. *most* rows a table; None for all."""
        from imcm.projections.histories.display import (
            duties_document,  # which knows this class, too
        )

        return duties_document(self, most=checked_most(most))

    @property
    def exceptions(self) -> tuple[Duty, ...]:
        """The changes for which a rule was broken."""
        return tuple(row for row in self.rows if row.exceptions)

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Return how many changes each rule held for, was broken for, and so on."""
        counts: dict[str, Counter[str]] = {}
        for row in self.rows:
            for check in row.checks:
                counts.setdefault(check.rule, Counter())[check.ruling.value] += 1
        return {rule: dict(of) for rule, of in counts.items()}

    def table(self) -> tuple[dict[str, str], ...]:
        """Return it as rows of text, all with the same columns, for a table or a CSV file."""
        return tuple(row.row() for row in self.rows)

    def to_csv(self) -> str:
        """
        Return `table` as CSV, comma and quotes as RFC 4180 has them.

        A cell that a spreadsheet would take for a formula begins with an apostrophe.
        """
        text = StringIO(newline="")
        rows = self.table()
        columns = list(rows[0]) if rows else ["change"]
        writer = csv.writer(text)
        writer.writerow(columns)
        writer.writerows([cell(row[column]) for column in columns] for row in rows)
        return text.getvalue()

    def __repr__(self) -> str:
        """Return in one line how many changes there are, and how many exceptions."""
        return f"<{self._head()}>"

    def _head(self) -> str:
        unknown = sum(row.ruling is Ruling.UNKNOWN for row in self.rows)
        return (
            f"duties: {len(self.rows):,} changes went in; {len(self.exceptions):,} with a broken "
            f"rule, and {unknown:,} more of which the log does not say whether all held"
        )

    def __str__(self) -> str:
        """Return what `explain` does."""
        return self.explain()

    def explain(self) -> str:
        """Return the counts of every rule, and the exceptions, as text."""
        since = "of all time" if self.window is None else " to ".join(map(_text, self.window))
        lines = [f"{self._head()} ({since}; log position {self.log_position:,})"]
        for rule, of in self.counts().items():
            counts = ", ".join(
                f"{of[each.value]:,} {each.value}" for each in Ruling if each.value in of
            )
            lines.append(f"  {rule}: {counts}")
        unknown = [row for row in self.rows if row.ruling is Ruling.UNKNOWN]
        for title, rows in (("exceptions", self.exceptions), ("the log does not say", unknown)):
            if rows:
                lines.append(f"  {title}:")
                lines += excerpt(
                    rows,
                    lambda row: tuple(f"    {line}" for line in row.lines()),
                    indent="    ",
                    what="more changes",
                )
        return joined(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return {
            "shape": SHAPE,
            "window": jsonable(self.window),
            "rows": [{**jsonable(row), "ruling": row.ruling.value} for row in self.rows],
            "counts": jsonable(self.counts()),
            "not_in": self.not_in,
            "log_position": self.log_position,
        }


def duties(
    log: Iterable[Recorded],
    *,
    window: Any = None,
    time_zone: str = "UTC",
    known_at: int | datetime | None = None,
) -> Duties:
    """
    Return who did what on every change that went in within a period, and which rules held.

    The log alone is asked: what followed from a step is carried in its event. Only when a ruling
    was due is read from the policy that had been adopted when it went in.

    Args:
        log: The whole log, as `ledger.replay()` gives it.
        window: Only changes that first went in then; in the forms that figures take. Any: one of
            several.
        time_zone: The zone that a window in words is meant in.
        known_at: A position or a time: what became known later is left out.

    Raises:
        InvalidValue: An argument can't be right.
    """
    definition = Deployments(window=window, time_zone=time_zone)
    streams: dict[str, list[Recorded]] = {}
    adopted: list[_Adopted] = []
    incidents: set[str] = set()
    position, newest = 0, None
    for recorded in known(log, known_at):
        position = recorded.position
        newest = recorded.recorded_at if newest is None else max(newest, recorded.recorded_at)
        kind, id = kind_and_id(recorded.stream)
        if kind == CHANGE:
            streams.setdefault(recorded.stream, []).append(recorded)
        elif kind == INCIDENT_STREAM:
            incidents.add(id)
        elif isinstance(recorded.event, RulesAdopted) and recorded.event.kind == "policy":
            adopted.append(_Adopted(recorded.position, recorded.event))
    period = definition.window
    if isinstance(period, Relative) and newest is not None:
        home = zone(time_zone)
        days = last_days(period.unit, day_of(newest, home), definition.week_starts)
        period = midnight(days[0], home), midnight(days[1], home)
        definition = attrs.evolve(definition, window=period)
    rows: list[Duty] = []
    for stream in streams.values():
        trail = trail_of(stream, known_at=known_at, log_position=position)
        stands = _standing(trail)
        # A start that was voided is a question, and no reason to leave a change out.
        voided = (each for each in trail.decisions if entered(each))
        entry = next((each for each in stands if entered(each)), None) or next(voided, None)
        if entry is None:
            continue
        told_at_first, _ = uncorrected_moment(entry, trail.decisions)
        if not (_inside(entry.at, definition) or _inside(told_at_first, definition)):
            continue
        rows.append(_duty(trail, stands, entry, adopted, incidents, newest))
    rows.sort(key=_order)
    return Duties(
        window=period, rows=tuple(rows), not_in=len(streams) - len(rows), log_position=position
    )


@attrs.frozen
class _Adopted:
    """A policy that was adopted, and where in the log."""

    position: int
    event: RulesAdopted


@lru_cache(maxsize=64)
def _policy_of(text: str) -> Policy | None:
    """Return a policy as it was adopted; None where this version can't read it."""
    try:
        return Policy.from_dict(json.loads(text))
    except (ValueError, RecursionError):
        return None


def _in_force(adopted: Sequence[_Adopted], position: int) -> Policy | None:
    """Return the policy in force before a position; None where none was, or it can't be read."""
    before = [each for each in adopted if each.position < position]
    return _policy_of(before[-1].event.text) if before else None


def _inside(at: Moment | None, definition: Deployments) -> bool:
    if definition.window is None:
        return True
    span = instants(definition.window, definition.bounds)
    return at is not None and span.start <= instant(midpoint(at)) < span.stop


def _order(row: Duty) -> tuple[int, datetime, str]:
    at = _NO_TIME if row.went_in_at is None else midpoint(row.went_in_at)
    return _WORST_FIRST.index(row.ruling), at, row.change


def _standing(trail: DecisionTrail) -> list[Decision]:
    return [decision for decision in trail.decisions if decision.voided_by is None]


def _duty(
    trail: DecisionTrail,
    stands: Sequence[Decision],
    entry: Decision,
    adopted: Sequence[_Adopted],
    incidents: Container[str],
    newest: datetime | None,
) -> Duty:
    planned = [each.event for each in stands if hasattr(each.event, "type")]
    type_ = getattr(planned[-1], "type", None) if planned else None
    window = _window(stands, entry)
    named = (each.policy for each in stands if each.policy is not None)
    checks = [
        *(Check(rule=f.question.value, ruling=f.verdict, reason=f.reason, positions=f.positions)
          for f in trail.findings),
        _kept_window(stands, entry, window),
        _as_approved(stands, entry),
        _outside_freezes(stands, entry, adopted),
        _in_time(stands, adopted, newest),
        _recorded_in_time(stands, entry, window, adopted),
        _baked(stands, entry, adopted),
        _names_incident(stands, type_, incidents),
        _stewards(stands, adopted),
    ]  # fmt: skip
    return Duty(
        change=trail.change,
        type=type_,
        went_in_at=entry.at,
        requested_by=trail.requested_by,
        planned_by=trail.planned_by,
        submitted_by=trail.submitted_by,
        approved_by=tuple(_approvers(trail)),
        implemented_by=trail.implemented_by,
        window=window,
        freezes=tuple(_freezes(stands, entry)),
        policies=tuple(dict.fromkeys(f"{each.name} {each.version}" for each in named)),
        checks=tuple(checks),
    )


def _approvers(trail: DecisionTrail) -> Iterator[str]:
    capacities: dict[str, str] = {}
    for decision in trail.decisions:
        if decision.counts and decision.authority is not None:
            capacities.setdefault(folded(decision.by), decision.authority.value)
    for person in trail.approved_by:
        capacity = capacities.get(folded(person), "peer")
        yield quoted(person) if capacity == "peer" else f"{quoted(person)} ({capacity})"


def _window(stands: Iterable[Decision], entry: Decision) -> Window | None:
    """Return the window that stood when it went in: the scheduled one, else the planned one."""
    window: Window | None = None
    for event in (each.event for each in stands if each.position < entry.position):
        if isinstance(
            event, (changes.ChangePlanned, changes.ChangeRevised, changes.ChangeScheduled)
        ):
            window = event.window
    return window


def _marked(stands: Iterable[Decision], guard: str) -> tuple[int, ...]:
    return tuple(each.position for each in stands if each.unauthorised == guard)


def _check(rule: str, ruling: Ruling, reason: str, *positions: int) -> Check:
    return Check(rule=rule, ruling=ruling, reason=reason, positions=tuple(positions))


def _kept_window(stands: Sequence[Decision], entry: Decision, window: Window | None) -> Check:
    marked = _marked(stands, "inside the window")
    if marked:
        return _check(WINDOW, Ruling.BROKEN, "it was outside of it", *marked)
    if window is None:
        return _check(WINDOW, Ruling.NOTHING, "it has no window", entry.position)
    said = f"approved for {_text(window.start)} to {_text(window.end)}"
    if entry.at is None or (entry.imported and not _lived(stands)):
        return _check(WINDOW, Ruling.UNKNOWN, f"{said}; only a source says when", entry.position)
    if entry.outstanding:
        reason = f"planned for {_text(window.start)} to {_text(window.end)}, and not approved"
        return _check(WINDOW, Ruling.NOTHING, reason, entry.position)
    inside = latest(entry.at) >= window.start and earliest(entry.at) < window.end
    reason = f"{said}; it went in at {_text(entry.at)}"
    if not inside:
        return _check(WINDOW, Ruling.BROKEN, reason, entry.position)
    over = next(
        (each for each in stands if isinstance(each.event, changes.ChangeCompleted)
         and each.corrected_by and each.at is not None and earliest(each.at) > window.end),
        None,
    )  # fmt: skip
    if over is not None:  # one that was told so at once carries the guard
        reason = f"{said}; its end was corrected to {_text(over.at)}"
        return _check(WINDOW, Ruling.BROKEN, reason, over.position, *over.corrected_by)
    return _check(WINDOW, Ruling.HELD, reason, entry.position)


def _as_approved(stands: Sequence[Decision], entry: Decision) -> Check:
    marked = [
        each.position
        for each in stands
        if isinstance(each.event, changes.ContentCorrectedAfterApproval)
    ]
    if marked:
        return _check(CONTENT, Ruling.BROKEN, "content was corrected after its approval", *marked)
    if entry.imported:
        return _check(CONTENT, Ruling.UNKNOWN, "imported history does not say", entry.position)
    votes = [each.position for each in stands if each.counts and each.position < entry.position]
    if entry.outstanding or not votes:
        return _check(CONTENT, Ruling.NOTHING, "no content was approved by votes", entry.position)
    return _check(CONTENT, Ruling.HELD, "the votes are for the content that went in", *votes)


_IN_FREEZE: Final = "in the freeze "


def _freezes(stands: Iterable[Decision], entry: Decision) -> Iterator[str]:
    if entry.policy is not None:
        for part in entry.policy.said.split("; "):
            if part.startswith(_IN_FREEZE):
                yield part
    for decision in stands:
        event = decision.event
        if isinstance(event, changes.FreezeOverridden):
            why = f": {event.why}" if event.why else ""
            yield f"{quoted(event.freeze)} overridden by {decision.by}{why}"


def _corrected_into(
    stands: Sequence[Decision], entry: Decision, adopted: Sequence[_Adopted]
) -> str:
    """Return into which freezes, not overridden, a correction moved the start; "" into none."""
    if not entry.corrected_by or entry.at is None:
        return ""
    return _freezes_met(_content(stands, entry), stands, entry, adopted) or ""


def _freezes_met(
    content: Content, stands: Sequence[Decision], entry: Decision, adopted: Sequence[_Adopted]
) -> str | None:
    """Return which freezes it went in during, not overridden; None where no policy says."""
    policy = _in_force(adopted, entry.position)
    if policy is None or entry.at is None:
        return None
    if content.type is ChangeType.EMERGENCY:
        return ""
    overridden = {
        each.event.freeze for each in stands if isinstance(each.event, changes.FreezeOverridden)
    }
    freezes = policy.frozen_at(content, latest(entry.at))
    return ", ".join(quoted(each.name) for each in freezes if each.name not in overridden)


def _outside_freezes(
    stands: Sequence[Decision], entry: Decision, adopted: Sequence[_Adopted]
) -> Check:
    marked = _marked(stands, "freeze")
    if marked:
        return _check(FREEZE, Ruling.BROKEN, "it went in during a freeze", *marked)
    if entry.imported and _lived(stands) and entry.at is not None:
        return _told_of_a_freeze(stands, entry, adopted)
    if entry.imported or isinstance(entry.event, Unread):
        return _check(FREEZE, Ruling.UNKNOWN, "no freeze was asked", entry.position)
    if isinstance(entry.event, changes.ChangeObserved):
        return _observed_in_a_freeze(entry.event, entry, adopted)
    overrides = [
        each.position for each in stands if isinstance(each.event, changes.FreezeOverridden)
    ]
    into = _corrected_into(stands, entry, adopted)
    if into:
        reason = f"its start was corrected into {into}"
        return _check(FREEZE, Ruling.BROKEN, reason, entry.position, *entry.corrected_by)
    freezes = list(_freezes(stands, entry))
    if not freezes:
        return _check(FREEZE, Ruling.HELD, "no freeze held", entry.position)
    return _check(FREEZE, Ruling.HELD, "; ".join(freezes), entry.position, *overrides)


def _lived(stands: Iterable[Decision]) -> bool:
    """Say whether something of a change was recorded here, and not only brought in."""
    return any(not each.imported for each in stands)


def _told_of_a_freeze(
    stands: Sequence[Decision], entry: Decision, adopted: Sequence[_Adopted]
) -> Check:
    """Judge what a source says of a change that lives here, by where it says now that it was."""
    into = _freezes_met(_content(stands, entry), stands, entry, adopted)
    said = "a source says that it was in"
    return _met(into, said, entry.position, *entry.corrected_by)


def _met(into: str | None, said: str, position: int, *corrected: int) -> Check:
    """Judge by the freezes that something went in during; None where no policy says which."""
    if into is None:
        return _check(FREEZE, Ruling.UNKNOWN, "no freeze was asked", position)
    if into:
        return _check(FREEZE, Ruling.BROKEN, f"{said} {into}", position, *corrected)
    return _check(FREEZE, Ruling.HELD, "no freeze held", position)


def _observed_in_a_freeze(
    event: changes.ChangeObserved, entry: Decision, adopted: Sequence[_Adopted]
) -> Check:
    """Judge what was found in production by the policy then in force: nobody asked for it."""
    content = Content(
        kind=event.kind,
        services=event.services,
        environment=event.environment,
        labels=event.labels,
    )
    # No override was for it: nobody knew of it.
    return _met(_freezes_met(content, (), entry, adopted), "it was found in", entry.position)


_LATE: Final = timedelta(hours=1)


def _recorded_in_time(
    stands: Sequence[Decision],
    entry: Decision,
    window: Window | None,
    adopted: Sequence[_Adopted],
) -> Check:
    """
    Judge a start that was recorded more than an hour after it is told to have been.

    Nothing but the word of who told it says that it was before a freeze that began in between, or
    before a vote lapsed, or its window ended. A correction makes it no later than it was told to
    be at first.
    """
    if entry.imported or entry.at is None or isinstance(entry.event, changes.ChangeObserved):
        return _check(TOLD_IN_TIME, Ruling.NOTHING, "nobody started it here", entry.position)
    at_first, corrected = uncorrected_moment(entry, stands)
    recorded = entry.recorded_at
    begun = min(earliest(each) for each in (entry.at, at_first) if each is not None)
    if corrected and earliest(entry.at) > recorded:
        reason = f"corrected to {_text(entry.at)}, after its record, {_text(recorded)}"
        return _check(TOLD_IN_TIME, Ruling.BROKEN, reason, entry.position, *corrected)
    if recorded - begun <= _LATE:
        reason = f"recorded at {_text(recorded)}, within an hour"
        return _check(TOLD_IN_TIME, Ruling.HELD, reason, entry.position)
    between: list[str] = []
    policy = _in_force(adopted, entry.position)
    content = _content(stands, entry)
    if policy is not None and content.type is not ChangeType.EMERGENCY:
        between += [
            f"the freeze {quoted(freeze.name)} began"
            for freeze in policy.freezes
            if freeze.is_about(content) and freeze.met_by(begun, recorded) is not None
        ]
        about = [each for each in policy.maintenance if each.is_about(content)]
        held = any(each.window_at(begun) is not None for each in about)
        if held and not any(each.window_at(recorded) is not None for each in about):
            between.append("its maintenance window ended")
    between += [
        f"the vote of {quoted(vote.by)} lapsed"
        for vote in stands
        if vote.counts and _ended(vote) is not None and begun < (_ended(vote) or begun) <= recorded
    ]
    if window is not None and begun < window.end <= recorded:
        between.append("its window ended")
    if not between:
        reason = f"recorded at {_text(recorded)}; nothing came between"
        return _check(TOLD_IN_TIME, Ruling.HELD, reason, entry.position)
    told_at = _text(entry.at) + (f" ({_text(at_first)} at first)" if corrected else "")
    reason = f"told to be at {told_at}, recorded at {_text(recorded)}: {', '.join(between)}"
    return _check(TOLD_IN_TIME, Ruling.UNKNOWN, reason, entry.position, *corrected)


def _baked(stands: Sequence[Decision], entry: Decision, adopted: Sequence[_Adopted]) -> Check:
    """
    Judge whether a rollout was watched as long as the policy asks, by when steps were recorded.

    By what was told it was: a step that comes too early is refused. Where two records are closer
    than that, nothing but the word of who told them says so.
    """
    steps = [
        (each, each.event.percent)
        for each in stands
        if isinstance(each.event, changes.RolloutAdvanced) and not each.imported
    ]
    asked = False
    content = _content(stands, entry)
    for (before, _), (step, percent) in pairwise(steps):  # before the first nobody has it
        policy = _in_force(adopted, step.position)
        rules = () if policy is None else policy.rollouts
        bake = max((r.bake for r in rules if r.bake and r.is_about(content)), default=None)
        if bake is None:
            continue
        asked = True
        apart = step.recorded_at - before.recorded_at
        if apart < bake:
            shown_apart, asks = (shown(each.total_seconds(), SECONDS) for each in (apart, bake))
            step_is = f"{percent:g} % was recorded {shown_apart} after the step before"
            reason = f"{step_is}; the policy asks for {asks}"
            return _check(BAKED, Ruling.UNKNOWN, reason, before.position, step.position)
    if not asked:
        return _check(BAKED, Ruling.NOTHING, "nothing asked for it, or it was no rollout")
    return _check(BAKED, Ruling.HELD, "all of them were", *(each.position for each, _ in steps))


def _names_incident(
    stands: Sequence[Decision], type_: ChangeType | None, incidents: Container[str]
) -> Check:
    said = [
        (each.event.incident, each.position)
        for each in stands
        if isinstance(each.event, (changes.ChangePlanned, changes.ChangeRevised))
    ]
    if type_ is not ChangeType.EMERGENCY or not said:
        return _check(INCIDENT, Ruling.NOTHING, "it is no emergency")
    named, where = said[-1]
    if named is None:
        return _check(INCIDENT, Ruling.UNKNOWN, "it names none", where)
    if named in incidents:
        return _check(INCIDENT, Ruling.HELD, f"it ends {quoted(named)}", where)
    return _check(INCIDENT, Ruling.UNKNOWN, f"nothing is recorded of {quoted(named)}", where)


def _ended(vote: Decision) -> datetime | None:
    ends: Moment | None = getattr(vote.event, "valid_until", None)
    return None if ends is None else earliest(ends)


def _content(stands: Sequence[Decision], entry: Decision) -> Content:
    """Return the content as it stood when it went in."""
    content = Content()
    for event in (each.event for each in stands if each.position < entry.position):
        if isinstance(event, (changes.ChangePlanned, changes.ChangeRevised)):
            content = content._replace(kind=event.kind, risk=event.risk, services=event.services)
        if isinstance(event, (changes.ChangePlanned, changes.ChangeRescoped)):
            content = content._replace(environment=event.environment, labels=event.labels)
        if isinstance(event, changes.ChangePlanned):
            content = content._replace(type=event.type)
    return content


_RULINGS: Final = (changes.ChangeApprovedRetroactively, changes.RetroactiveApprovalRefused)


def _in_time(
    stands: Sequence[Decision], adopted: Sequence[_Adopted], newest: datetime | None
) -> Check:
    """Judge how long what was outstanding waited, by the policy in force when it became so."""
    opened = next((each for each in stands if each.outstanding and not each.imported), None)
    if opened is None:
        return _check(IN_TIME, Ruling.NOTHING, "nothing went in without approval")
    policy = _in_force(adopted, opened.position)
    ruling = next(
        (each for each in stands if isinstance(each.event, _RULINGS)
         and each.position > opened.position),
        None,
    )  # fmt: skip
    where = (opened.position,) if ruling is None else (opened.position, ruling.position)
    if policy is None or policy.ruling_due is None:
        return _check(IN_TIME, Ruling.NOTHING, "no policy in force said by when", *where)
    due = None if opened.at is None else time_after(earliest(opened.at), policy.ruling_due)
    if due is None:
        return _check(IN_TIME, Ruling.UNKNOWN, "the log does not say when it went in", *where)
    if ruling is None:
        overdue = newest is not None and newest > due
        word = "overdue since" if overdue else "outstanding, due by"
        so_far = Ruling.BROKEN if overdue else Ruling.NOTHING
        return _check(IN_TIME, so_far, f"{word} {_text(due)}", *where)
    # By when it was recorded: nobody can say afterwards that they ruled in time.
    in_time = Ruling.HELD if ruling.recorded_at <= due else Ruling.BROKEN
    return _check(
        IN_TIME, in_time, f"ruled on at {_text(ruling.recorded_at)}, due by {_text(due)}", *where
    )


def _stewards(stands: Sequence[Decision], adopted: Sequence[_Adopted]) -> Check:
    submitted = [
        each.position for each in stands if isinstance(each.event, changes.ChangeSubmitted)
    ]
    votes = [
        each
        for each in stands
        if isinstance(each.event, (changes.ChangeApproved, changes.VoteGiven)) and not each.imported
    ]
    positions: list[int] = []
    names: list[str] = []
    for vote in votes:
        asked = max((at for at in submitted if at < vote.position), default=vote.position)
        for rules in adopted:
            own = folded(rules.event.by) == folded(vote.by)
            if own and asked < rules.position < vote.position:
                positions += [rules.position, vote.position]
                names.append(vote.by)
    if positions:
        who = ", ".join(dict.fromkeys(names))
        return _check(STEWARD, Ruling.BROKEN, f"{who} did", *sorted(set(positions)))
    if not votes:
        return _check(STEWARD, Ruling.NOTHING, "nobody voted here")
    return _check(STEWARD, Ruling.HELD, "nobody who voted did", *(vote.position for vote in votes))
