"""
Views: what stands now, current, kept in one derived file for figures, boards and other tools.

    with imcm.Ledger("ledger.db") as ledger, imcm.views(ledger, "ledger.views") as views:
        for incident in views.incidents():
            print(incident.severity, incident.id, incident.title, incident.commander)
        print(imcm.change_failure_rate(views.facts()).value)

Every question first applies what was recorded since, by whatever process, so the answer is what a
replay of the log would give. The file is derived: it can be deleted at any time.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, Self, TypeVar

import attrs

from imcm.codec.rows import StoredEvent
from imcm.documents.shown import checked_most, html_of
from imcm.domain import change as changes_
from imcm.domain.change import Change
from imcm.domain.change_events import ChangeStatus, Template
from imcm.domain.incident_events import IncidentStatus
from imcm.domain.lifecycle import Answer
from imcm.domain.policy import DEFAULT_POLICY, Policy, checked_policy
from imcm.domain.policy.context import Context
from imcm.domain.recorded import CHANGE, INCIDENT, checked_known_at, stream_of
from imcm.domain.vocabulary import (
    PRODUCTION,
    Authority,
    Severity,
    Window,
    checked_flag,
    checked_function,
    checked_id,
    checked_text,
    checked_time,
    checked_window,
    checked_words,
    earliest,
    folded,
    is_among,
    known_id,
    midpoint,
    optional_known_id,
    time_after,
)
from imcm.errors import InvalidValue, UnreadEventError
from imcm.gc_pause import gc_paused
from imcm.ledger import LedgerReader
from imcm.ledger.around import timeline_of
from imcm.ledger.lean import TAKEN_AT_ONCE, Lean
from imcm.ledger.rules import Rules, submitted_under
from imcm.ledger.store import LOCK_WAIT_SECONDS
from imcm.ledger.streams import state_of_rows
from imcm.projections.boards.assembly import view_of_stream
from imcm.projections.boards.live import Deployed, live_version
from imcm.projections.boards.views import (
    ActionItem,
    Approval,
    ChangeView,
    IncidentView,
    LiveVersion,
    Match,
    Ready,
)
from imcm.projections.facts.fold import Facts
from imcm.projections.figures.excerpt import one_of
from imcm.projections.figures.failures import FailedBy, failures
from imcm.projections.figures.units import utc
from imcm.projections.figures.windows import Period
from imcm.projections.histories.timeline import Timeline
from imcm.readmodel.asking import FOLDED, Where, members_of, paging, table_at
from imcm.readmodel.boards import (
    ACTIONS,
    CHANGES,
    INCIDENTS,
    SCHEMA,
    TABLES,
    WORDED,
    BoardsModel,
    put_rows,
    searchable,
)
from imcm.readmodel.columns import damaged, stored_moment, unsealed
from imcm.readmodel.facts import FactsModel
from imcm.readmodel.follower import BATCHES, IN_MEMORY, Follower, caught_up

if TYPE_CHECKING:
    from imcm.documents.structure import Document
    from imcm.domain.policy.conflicts import Conflict, Planned

__all__ = ["Page", "Views", "views"]

T = TypeVar("T")
Member = TypeVar("Member")


class Page(tuple[T, ...], Generic[T]):
    """
    Some rows of a board, in its order.

    Attributes:
        total: How many there are in all, on this page and on others.
        position: Up to which position of the log they were asked for.
    """

    total: int
    position: int

    @staticmethod
    def of(rows: Iterable[Member], *, total: int, position: int) -> Page[Member]:
        """Return a page of these rows."""
        page = Page(rows)
        page.total, page.position = total, position
        return page

    def __repr__(self) -> str:
        """Return in one line how many rows there are here, and in all."""
        return f"<page of {len(self):,} of {self.total:,} rows, log position {self.position:,}>"

    def document(self, *, most: int | None = None) -> Document:
        """Return it as a document; see `imcm.documents`. *most* rows; None for all of the page."""
        from imcm.projections.boards.display import page_document

        return page_document(self, total=self.total, most=checked_most(most))

    def _repr_html_(self) -> str:
        """Return the first rows for a notebook, and how many more there are."""
        return html_of(self)


class _Model:
    """Facts with their columns, and the rows of boards: what is kept, in one file."""

    def __init__(self, ledger: LedgerReader) -> None:
        self.facts = FactsModel(ledger)
        self.boards = BoardsModel(ledger)
        self.name = f"views 4 {SCHEMA} {self.facts.name}"
        self._unread: Mapping[str, int] = {}

    def forget(self) -> None:
        self.facts.forget()
        self.boards.forget()

    def create(self, connection: sqlite3.Connection) -> None:
        self.facts.create(connection)
        self.boards.create(connection)
        self.boards.forget()

    def resume(self, connection: sqlite3.Connection, position: int) -> None:
        if self.facts.fold.position != position:
            self.boards.forget()  # somebody else applied events in between
        self.facts.resume(connection, position)
        self._unread = self.facts.fold.cursor.unread

    def apply(self, connection: sqlite3.Connection, rows: Sequence[StoredEvent]) -> None:
        for begin in range(0, len(rows), TAKEN_AT_ONCE):
            events = list(_LEAN.taken(rows[begin : begin + TAKEN_AT_ONCE]))
            self.facts.apply(events)
            self.boards.apply(events)

    def save(self, connection: sqlite3.Connection, *, more: bool) -> None:
        changed = self.facts.save(connection, more=more)
        unread = self.facts.fold.cursor.unread != self._unread
        self.boards.save(connection, changed, unread=unread)


_LEAN: Final = Lean(WORDED)

CACHE_KIB: Final = 32 * 1024
"""At most so much of the file is held in memory: what many rows are put into is written once."""

_MATCHED: Final = ("id", "title", "status", "services")
_OPEN: Final = '"is_open"'
_CURRENT: Final = f'NOT "is_ended" AND "status" <> \'{ChangeStatus.NOTHING.value}\''
_INCIDENT_ORDERS: Final[Mapping[str, str]] = {
    "severity": '"severity" IS NULL, "severity", "detected_at" IS NULL, "detected_at"',
    "oldest": '"detected_at" IS NULL, "detected_at"',
    "newest": '"detected_at" DESC',
    "recent": '"last_position" DESC',
    "id": '"id"',
}
_CHANGE_ORDERS: Final[Mapping[str, str]] = {
    "window": '"window_start" IS NULL, "window_start", "planned_at"',
    "oldest": '"planned_at" IS NULL, "planned_at"',
    "newest": '"planned_at" DESC',
    "recent": '"last_position" DESC',
    "id": '"id"',
}
_ACTION_ORDERS: Final[Mapping[str, str]] = {
    "due": '"due" IS NULL, "due"',
    "oldest": '"added_at" IS NULL, "added_at"',
    "newest": '"added_at" DESC',
    "incident": '"incident"',
}
_WAITS_SINCE: Final = (
    'CASE "status" WHEN \'submitted\' THEN "submitted_at" '
    'ELSE coalesce("ended_at", "deployed_at", "started_at") END'
)
_ACTION_STATUSES: Final = ("open", "overdue", "done", "dropped", "all")


def _planned(view: ChangeView, running_at: datetime | None = None) -> Planned:
    """Return what a change occupies; what goes in does so until it is over, at least now."""
    from imcm.domain.policy.conflicts import Planned

    window = view.window
    if running_at is not None and view.status is ChangeStatus.IMPLEMENTING:
        started = earliest(view.started_at) if view.started_at is not None else running_at
        ends = max(running_at + _INSTANT, window.end if window is not None else running_at)
        window = Window(start=min(started, ends - _INSTANT), end=ends)
    assert window is not None  # or it would not have been found by it
    return Planned(id=view.id, window=window, services=view.services, environment=view.environment)


def _may_fade(policy: Any) -> bool:
    """Say whether votes lapse under a policy. Any: one, or None, or the event that adopted it."""
    text: str | None = getattr(policy, "text", None)
    if text is not None:
        return '"valid_for"' in text
    return policy is not None and policy.valid_for is not None


_WAITS_FOR_VOTES: Final = (ChangeStatus.SUBMITTED, ChangeStatus.APPROVED)


_PLANNED: Final = frozenset(
    {ChangeStatus.SUBMITTED, ChangeStatus.APPROVED, ChangeStatus.IMPLEMENTING}
)


_FOUR_WEEKS: Final = timedelta(weeks=4)
_INSTANT: Final = timedelta(microseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _folded(person: object) -> str | None:
    return folded(person) if isinstance(person, str) else None


def _answer(
    step: str,
    state: Change,
    by: str,
    at: datetime,
    policy: Policy,
    also: Policy | None,
    capacity: Authority,
) -> Answer:
    """Return whether somebody may vote or rule in a capacity."""
    answers = changes_.next_steps(state, by=by, at=at, authority=capacity, policy=policy, also=also)
    return next(answer for answer in answers if answer.step == step)


_UNAPPROVED: Final = ("outstanding", "approved afterwards", "refused afterwards")


class Views:
    """
    What stands now: facts for figures, boards, and tables for other tools. Made by `views`.

    It may be used by several threads, which take turns. Each answer is current: what was recorded
    before the question, by any process, is in it.
    """

    def __init__(
        self,
        ledger: LedgerReader,
        path: str | Path = IN_MEMORY,
        *,
        clock: Callable[[], datetime] | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> None:
        self._ledger = ledger
        self._path = path
        self._model = _Model(ledger)
        self._clock = None if clock is None else checked_function("clock", clock)
        self._follower = Follower(path, ledger, self._model, progress=progress, batches=BATCHES)
        self._lock = threading.RLock()
        self._cut = -1, -1
        self._current = 0
        with self._follower.errors():
            self._follower.connection.create_function(FOLDED, 1, _folded, deterministic=True)
            # Words that were taken out of the log are not to be found in free pages of this file.
            self._follower.connection.execute("PRAGMA secure_delete = ON")
            self._follower.connection.execute(f"PRAGMA cache_size = -{CACHE_KIB:d}")

    def __repr__(self) -> str:
        """Return what it is, of which ledger, and how far it has read; nothing is read for it."""
        return f"<Views of ledger {self._ledger.ledger_id}, log position {self.position:,}>"

    # --- being current ----------------------------------------------------------------------------

    def catch_up(self, *, patience: float = LOCK_WAIT_SECONDS) -> int:
        """
        Apply what was recorded since, and return how many events that were.

        Every question does this first. Words that were taken out of the log are gone from the file
        when it returns, unless somebody is reading the file just then.

        Args:
            patience: How many seconds to wait for another process that holds the file, since it
                applies events just then.

        Raises:
            StoreError: The ledger or the file can't be read or written, or another process holds
                the file for longer than that.
        """
        with self._lock:
            try:
                with gc_paused():
                    applied = self._follower.catch_up(patience=patience)
                if self._model.boards.erases:
                    self._erase()
            except BaseException:
                self._model.forget()
                raise
            return applied

    def _resume(self) -> None:
        """Read the facts that are kept; catching up with nothing new leaves them where they are."""
        try:
            with self._follower.snapshot() as position:
                self._model.resume(self._follower.connection, position)
        except BaseException:
            self._model.forget()
            raise

    def _erase(self) -> None:
        """Leave nothing of words that were taken out in what is written ahead, or was asked for."""
        self._let_go_of_cut()
        with self._follower.errors():
            run = self._follower.connection.execute
            run("PRAGMA busy_timeout = 1000")
            try:
                [busy, *_] = run("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                run("PRAGMA busy_timeout = 100")
        self._model.boards.erases = bool(busy)  # where somebody reads it, the next question tries

    @property
    def position(self) -> int:
        """The log position up to which everything is applied; 0 where nothing is yet."""
        with self._lock:
            return self._follower.position

    @property
    def rebuilt(self) -> int:
        """How many times this object had to make everything again from nothing."""
        return self._follower.rebuilt

    def run(self, *, every: float = 1.0, stop: threading.Event | None = None) -> Iterator[int]:
        """
        Catch up again and again, without end; yield how many events were applied each time.

        The first time it yields at once, so that a board can be drawn.

        Args:
            every: Seconds to wait before looking again when there was nothing new. In PostgreSQL an
                append wakes it, and it looks by itself after a minute, or after *every* if longer.
            stop: Set it, from any thread, to end the iteration.
        """
        first = True
        for applied in caught_up(self._ledger, lambda: self.catch_up(patience=0), every, stop):
            if applied or first:
                first = False
                yield applied

    # --- facts ------------------------------------------------------------------------------------

    def facts(self) -> Facts:
        """
        Return the facts as they stand: what figures are computed from, as `ledger.facts()` does.

        Raises:
            StoreError: The ledger or the file can't be read or written.
        """
        with self._lock:
            self.catch_up()
            with gc_paused():
                self._resume()
                facts = self._model.facts.fold.facts()
            if not facts.events:
                return facts
            mark = self._ledger.mark_at(facts.log_position, events=facts.events)
            return attrs.evolve(facts, mark=mark)

    def follow(self, *, every: float = 1.0, stop: threading.Event | None = None) -> Iterator[Facts]:
        """Yield the facts now, and again whenever something was recorded; see `run`."""
        for _ in self.run(every=every, stop=stop):
            yield self.facts()

    # --- boards -----------------------------------------------------------------------------------

    def incidents(
        self,
        *,
        status: str | IncidentStatus | Iterable[IncidentStatus] = "open",
        severity: Severity | Iterable[Severity] | None = None,
        service: str | None = None,
        labels: Mapping[str, str] | None = None,
        person: str | None = None,
        commander: str | None = None,
        on_hold: bool | None = None,
        order: Literal["severity", "oldest", "newest", "recent", "id"] = "severity",
        limit: int | None = None,
        offset: int = 0,
        known_at: int | datetime | None = None,
    ) -> Page[IncidentView]:
        """
        Return incidents, the open ones unless asked otherwise.

        Args:
            status: "open" (detected, triaged, mitigating, mitigated), "all", or one or several
                statuses. What was only recorded by mistake, and voided, is in none.
            severity: One or several of them.
            service: Only those that hit this service; *labels*: only those with all of these.
            person: Only those in which this person holds a role; *commander*: leads.
            on_hold: Only those that wait for somebody else, or only those that don't.
            order: "severity" (the worst first, of each the oldest), "oldest" or "newest" by
                detection, "recent" (that of which something was recorded last), "id".
            limit, offset: At most so many, after so many; `total` says how many there are.
            known_at: As far as was known at a position of the log, or at a time; see `facts`.

        Raises:
            InvalidValue: An argument is none of what is allowed.
            StoreError: The ledger or the file can't be read or written.
        """
        where = Where()
        if is_among(status, {"open"}):
            where.add(_OPEN)
        elif is_among(status, {"all"}):
            where.add('"status" <> ?', IncidentStatus.NOTHING.value)
        else:
            where.one_of("status", members_of("status", status, IncidentStatus, "open", "all"))
        if severity is not None:
            where.one_of("severity", members_of("severity", severity, Severity))
        where.named(service, labels)
        if person is not None:
            given = folded(checked_words("person", person))
            where.add('instr(char(10) || "people" || char(10), ?)', f"\n{given}\n")
        where.person("commander", commander, "commander")
        where.holds(on_hold)
        with self._asked(known_at) as at:
            return self._page(
                "incident", INCIDENTS, where, _INCIDENT_ORDERS, order, limit, offset, at
            )

    def changes(
        self,
        *,
        status: str | ChangeStatus | Iterable[ChangeStatus] = "current",
        service: str | None = None,
        labels: Mapping[str, str] | None = None,
        person: str | None = None,
        on_hold: bool | None = None,
        unauthorised: bool | None = None,
        unapproved: bool = False,
        order: Literal["window", "oldest", "newest", "recent", "id"] = "oldest",
        limit: int | None = None,
        offset: int = 0,
        known_at: int | datetime | None = None,
    ) -> Page[ChangeView]:
        """
        Return changes, those that are not over unless asked otherwise.

        Args:
            status: "current" (neither closed nor cancelled), "deploying" (work in production goes
                on), "all", or one or several statuses.
            person: Only those that this person planned or asked for.
            unapproved: Only those that went into production without an approval, whether the
                ruling on them is outstanding or was given.
            unauthorised: Only those of which a guard would have said no to what was done (True),
                or no guard would have (False).
            order: "window" (planned first), "oldest" or "newest" by planning, "recent", "id".
            service, labels, on_hold, limit, offset, known_at: As for `incidents`.

        Raises:
            InvalidValue: An argument is none of what is allowed.
            StoreError: The ledger or the file can't be read or written.
        """
        where = Where()
        if is_among(status, {"current"}):
            where.add(_CURRENT)
        elif is_among(status, {"deploying"}):
            where.add('"status" = ?', ChangeStatus.IMPLEMENTING.value)
        elif is_among(status, {"all"}):
            where.add('"status" <> ?', ChangeStatus.NOTHING.value)
        else:
            words = ("current", "deploying", "all")
            where.one_of("status", members_of("status", status, ChangeStatus, *words))
        where.named(service, labels)
        where.person("person", person, "requested_by", "planned_by")
        where.holds(on_hold)
        checked_flag("unapproved", unapproved)
        if unapproved:
            where.add('"authorisation" IN (?, ?, ?)', *_UNAPPROVED)
        if unauthorised is not None:
            if not isinstance(unauthorised, bool):
                raise InvalidValue("unauthorised", unauthorised, "True, False or None")
            where.add(f'"unauthorised" {"<>" if unauthorised else "="} ?', "[]")
        with self._asked(known_at) as at:
            return self._page("change", CHANGES, where, _CHANGE_ORDERS, order, limit, offset, at)

    def actions(
        self,
        *,
        status: Literal["open", "overdue", "done", "dropped", "all"] = "open",
        owner: str | None = None,
        incident: str | None = None,
        service: str | None = None,
        today: date | None = None,
        order: Literal["due", "oldest", "newest", "incident"] = "due",
        limit: int | None = None,
        offset: int = 0,
        known_at: int | datetime | None = None,
    ) -> Page[ActionItem]:
        """
        Return the action items of reviews, the open ones unless asked otherwise.

        Args:
            status: "open", "overdue" (open, and the day by which it was due is over), "done",
                "dropped" or "all".
            owner: Only this person's; *incident*: only those of this incident; *service*: only
                those of incidents that hit it.
            today: The day "overdue" is told by; by default that of what was known: of *known_at*
                where that is a time, of the event at it where it is a position, else of the clock;
                in UTC.
            order: "due" (the most urgent first), "oldest", "newest" or "incident".
            limit, offset, known_at: As for `incidents`.
        """
        where = Where()
        if not is_among(status, _ACTION_STATUSES):
            raise InvalidValue("status", status, one_of(status, _ACTION_STATUSES))
        if status == "overdue":
            given = self._day(known_at) if today is None else today
            if not isinstance(given, date) or isinstance(given, datetime):
                raise InvalidValue("today", today, "a date, such as date(2026, 3, 20)")
            where.add('"status" = ? AND "due" < ?', "open", given.isoformat())
        elif status != "all":
            where.add('"status" = ?', status)
        where.person("owner", owner, "owner")
        if incident is not None:
            where.add('"incident" = ?', known_id("incident", incident))
        if service is not None:
            where.add(
                '"incident" IN (SELECT i."id" FROM {incident} AS i, json_each(i."services") AS s '
                "WHERE s.value = ?)",
                checked_words("service", service),
            )
        with self._asked(known_at) as at:
            return self._page("action", ACTIONS, where, _ACTION_ORDERS, order, limit, offset, at)

    def approvals(
        self,
        *,
        by: str | None = None,
        policy: Policy | None = None,
        service: str | None = None,
        limit: int | None = None,
        offset: int = 0,
        known_at: int | datetime | None = None,
    ) -> Page[Approval]:
        """
        Return the changes that wait for a vote, and those that wait for a ruling afterwards.

        Those that have waited longest come first. What is approved waits again where too few of its
        votes count any more.

        Args:
            by: Whose turn is asked for: of each, whether that person may give it, and what says no.
            policy: The rules by which that is told; by default those in force then.
            service, limit, offset, known_at: As for `incidents`.
        """
        by = optional_known_id("by", by)
        rules = self._ledger.rules(known_at=known_at)
        if policy is not None:
            rules = Rules(policy=checked_policy(policy))  # by these alone
        where = Where()
        statuses = [ChangeStatus.SUBMITTED.value, ChangeStatus.APPROVED.value]
        where.add('("status" IN (?, ?) OR "authorisation" = ?)', *statuses, "outstanding")
        where.named(service, None)
        waits = {
            "since": f"{_WAITS_SINCE} IS NULL, {_WAITS_SINCE}",
        }
        limit, offset = paging(limit, offset)
        with self._asked(known_at) as at:
            page = self._page("change", CHANGES, where, waits, "since", None, 0, at)
            upto = self._upto(at)

            @cache  # both that follow ask for what may lapse
            def state_of(change_id: str) -> Change:
                return self._state_at(change_id, upto)

            waiting = [view for view in page if self._waits(view, rules, state_of)]
            some = waiting[offset : None if limit < 0 else offset + limit]
            approvals = [self._approval(view, by, rules, state_of) for view in some]
        return Page[Approval].of(approvals, total=len(waiting), position=page.position)

    def _waits(self, view: ChangeView, rules: Rules, state_of: Callable[[str], Change]) -> bool:
        """Say whether a change waits for somebody, as what is approved does for lapsed votes."""
        if view.status is not ChangeStatus.APPROVED or view.authorisation == "outstanding":
            return True
        policies = [*rules.policies, rules.policy]
        fading = any(vote.valid_until is not None for vote in view.votes)
        if not fading and all(_may_fade(policy) is False for policy in policies):
            return False
        try:
            state = state_of(view.id)
        except UnreadEventError:
            return False
        policy, also = rules.policy or DEFAULT_POLICY, submitted_under(state, rules)
        until = changes_.votes_until(state, policy=policy, also=also)
        return until is not None and until <= self._now()

    def _approval(
        self,
        view: ChangeView,
        by: str | None,
        rules: Rules,
        state_of: Callable[[str], Change],
    ) -> Approval:
        waits_for = "approval" if view.status in _WAITS_FOR_VOTES else "ruling"
        since = view.submitted_at
        if waits_for == "ruling":
            since = view.ended_at or view.deployed_at or view.started_at
        policy, due = rules.policy or DEFAULT_POLICY, None
        began = view.started_at or view.deployed_at
        if waits_for == "ruling" and policy.ruling_due is not None and began is not None:
            due = time_after(utc(began), policy.ruling_due)
        approval = Approval(change=view, waits_for=waits_for, since=since, due=due)
        try:
            state = state_of(view.id)
        except UnreadEventError as error:
            no = None if by is None else False
            return attrs.evolve(approval, possible=no, guard="unread", why=str(error))
        now, also = self._now(), submitted_under(state, rules)
        if waits_for == "approval":
            ends = [earliest(v.valid_until) for v in view.votes if v.valid_until is not None]
            to_come = [end for end in ends if end > now]
            approval = attrs.evolve(
                approval,
                missing=changes_.votes_missing(state, now, policy=policy, also=also),
                counting=len(view.votes) - len(ends) + len(to_come),
                votes_until=min(to_come, default=None),
            )
        if by is None:
            return approval
        step = "approve" if waits_for == "approval" else "approve_retroactively"
        answers = {
            capacity: _answer(step, state, by, now, policy, also, capacity)
            for capacity in Authority
        }
        may = tuple(c for c, answer in answers.items() if answer.possible is not False)
        # A peer may be told best why nobody may: what keeps a person from it whoever they are.
        answer = answers[may[0] if may else Authority.PEER]
        return attrs.evolve(
            approval,
            possible=bool(may),
            capacities=may,
            guard=answer.guard,
            why=answer.why,
        )

    def ready(
        self,
        *,
        at: datetime | None = None,
        by: str | None = None,
        service: str | None = None,
        labels: Mapping[str, str] | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> Page[Ready]:
        """
        Return what may go out now, and of what is approved and may not, every reason.

        That is: the changes that are approved, and emergencies that are put up, those first whose
        votes lapse first, then in the order of their windows. Conflicts are asked about where the
        policy in force refuses them.

        Args:
            at: Not now but at this aware time.
            by: Who would start them; without that, nobody is asked whether they may.
            service, labels, limit, offset: As for `incidents`.

        Raises:
            UnreadEventError: A change holds an event that this version can't read.
        """
        moment = self._now() if at is None else checked_time("at", at)
        where = Where()
        words = ChangeStatus.APPROVED.value, ChangeStatus.SUBMITTED.value, "emergency"
        where.add('("status" = ? OR ("status" = ? AND "type" = ?))', *words)
        where.named(service, labels)
        by = optional_known_id("by", by)
        with self._asked(None) as known:
            orders = _CHANGE_ORDERS
            page = self._page("change", CHANGES, where, orders, "window", limit, offset, known)
        rules = self._ledger.rules(known_at=page.position)
        ready = [self._ready(view, rules, moment, by, page.position) for view in page]
        last = datetime.max.replace(tzinfo=UTC)
        ready.sort(key=lambda each: each.votes_until or last)
        return Page[Ready].of(ready, total=page.total, position=page.position)

    def _ready(
        self, view: ChangeView, rules: Rules, at: datetime, by: str | None, upto: int
    ) -> Ready:
        state, policy = self._state_at(view.id, upto), rules.policy or DEFAULT_POLICY
        also = submitted_under(state, rules)
        context, odd = None, None
        if policy.refuse_conflicts or (also is not None and also.refuse_conflicts):
            try:
                context = self.context(view.id, at=at)
            except InvalidValue as wrong:  # an id that only a damaged log has: the rest is listed
                odd = str(wrong)
        refusals = changes_.start_refusals(
            state, by=by, at=at, policy=policy, also=also, context=context
        )
        if odd is not None:
            refusals = (*refusals, changes_.Refusal("conflicts", odd))
        until = changes_.votes_until(state, policy=policy, also=also)
        opens = changes_.opens_at(state, at, refusals=refusals, policy=policy, also=also)
        return Ready(change=view, refusals=refusals, opens_at=opens, votes_until=until)

    def calendar(
        self,
        start: datetime,
        end: datetime,
        *,
        service: str | None = None,
        labels: Mapping[str, str] | None = None,
        known_at: int | datetime | None = None,
    ) -> Page[ChangeView]:
        """
        Return the changes whose window meets [*start*, *end*), in the order of their beginning.

        Those that were cancelled are not there.

        Args:
            start, end: Aware times; *end* is later, and not in it.
            service, labels, known_at: As for `incidents`.

        Raises:
            NaiveTimeError: A time without a zone.
            InvalidValue: *end* is not after *start*.
        """
        start, end = checked_time("start", start), checked_time("end", end)
        if utc(end) <= utc(start):
            raise InvalidValue("end", end, f"a time after the start, {start}")
        where = Where()
        where.add(
            '"window_start" < ? AND "window_end" > ?', stored_moment(end), stored_moment(start)
        )
        where.add('"status" <> ?', ChangeStatus.CANCELLED.value)
        where.named(service, labels)
        with self._asked(known_at) as at:
            return self._page("change", CHANGES, where, _CHANGE_ORDERS, "window", None, 0, at)

    def conflicts(
        self,
        start: datetime,
        end: datetime,
        *,
        service: str | None = None,
        known_at: int | datetime | None = None,
    ) -> tuple[Conflict, ...]:
        """
        Return which changes are in each other's way in [*start*, *end*), each two once.

        That is: those put up, approved or going in whose windows overlap, on the same services or
        on related ones, by the dependencies in force then.

        Args:
            start, end, service, known_at: As for `calendar`; of a conflict, one change at least
                touches the service.

        Raises:
            As `calendar`.
        """
        from imcm.domain.policy.conflicts import conflicts

        page = self.calendar(start, end, known_at=known_at)
        planned = [_planned(view) for view in page if view.window and view.status in _PLANNED]
        related = self._ledger.rules(known_at=known_at).dependencies
        found = conflicts(planned, related)
        if service is None:
            return found
        name = folded(checked_id("service", service))
        touched = {each.id for each in planned if name in map(folded, each.services)}
        return tuple(each for each in found if not touched.isdisjoint((each.first, each.second)))

    def next_free(
        self,
        id: str,
        duration: timedelta,
        *,
        after: datetime | None = None,
        until: datetime | None = None,
        step: timedelta | None = timedelta(minutes=15),
    ) -> Window | None:
        """
        Return the first window in which a change may be scheduled; None where there is none.

        It meets no freeze that is about the change and is not overridden, lies in a maintenance
        window where any is about it and inside the window that it was put up for, and conflicts
        with nothing that is approved or going in.

        Args:
            id: The change.
            duration: How long it takes.
            after: Not before this aware time; by default now.
            until: It ends by this aware time; by default four weeks after *after*.
            step: It begins a whole number of these after *after*, which is rounded up to one of
                UTC; None for any time.

        Raises:
            UnknownIdError: There is no such change.
            InvalidValue: An argument can't be right.
        """
        from imcm.domain.policy.conflicts import checked_duration, next_free

        step = None if step is None else checked_duration("step", step)
        first = self._now() if after is None else checked_time("after", after)
        last = first + _FOUR_WEEKS if until is None else checked_time("until", until)
        state, upto = self._state_of(id)
        if state.window is not None:
            first, last = max(first, state.window.start), min(last, state.window.end)
        if step is not None:
            since = utc(first) - _EPOCH
            first = _EPOCH + -(-since // step) * step
        if last <= first:
            return None
        rules = self._ledger.rules(known_at=upto)
        policy = rules.policy or DEFAULT_POLICY
        overridden = {
            freeze.name: [
                Window(start=each.since, end=each.until)
                for each in state.overridden.get(freeze.name, ())
                if freeze.may_override(each.by)
            ]
            for freeze in policy.freezes
        }
        return next_free(
            duration,
            content=changes_.content_of(state),
            after=first,
            until=last,
            planned=self._in_the_way(id, first, last),
            dependencies=rules.dependencies,
            freezes=policy.freezes,
            maintenance=policy.maintenance,
            overridden=overridden,
            step=step,
        )

    def context(
        self,
        id: str,
        *,
        window: Window | None = None,
        at: datetime | None = None,
        template: Template | None = None,
    ) -> Context:
        """
        Return what a step of a change has to be given of other streams, at one log position.

            ledger.record("CHG-7", change.start, by="ci", at=now, context=views.context("CHG-7"))

        Conflicts are with changes that are approved, or that go in; templates fail as deployments
        do in the change failure rate.

        Args:
            id: The change.
            window: The window to schedule it for; by default the one that it has. Where it has
                none, conflicts are those at one instant.
            at: That instant, and the end of the time in which a template's failures count; by
                default now.
            template: By which it is to be submitted: how many changes by one of that name, of any
                version, failed within the time that the policy in force says.

        Raises:
            UnknownIdError: There is no such change.
            InvalidValue: An argument can't be right.
        """
        from imcm.domain.policy.conflicts import Planned, conflicts_of

        if template is not None and not isinstance(template, Template):
            raise InvalidValue("template", template, "give Template(name=..., version=..., ...)")
        moment = self._now() if at is None else checked_time("at", at)
        state, upto = self._state_of(id)
        rules = self._ledger.rules(known_at=upto)
        asked = checked_window("window", window) or state.scheduled or state.window
        during = asked or Window(start=moment, end=moment + _INSTANT)
        mine = Planned(id=id, window=during, services=state.services, environment=state.environment)
        others = self._in_the_way(id, during.start, during.end)
        met = conflicts_of(mine, others, rules.dependencies)
        return Context(
            position=upto,
            change=id,
            content=state.content,
            window=asked,
            conflicts=[each.first if each.second == id else each.second for each in met],
            template="" if template is None else template.name,
            template_failures=(
                None if template is None else self._failures_by(template, rules.policy, moment)
            ),
        )

    def _state_of(self, id: str) -> tuple[Change, int]:
        """Return a change as steps know it, and the position up to which it was read."""
        stream = stream_of(CHANGE, known_id("id", id))
        with self._known(None) as at:
            upto = self._upto(at)
        state = self._state_at(id, upto)
        if not state.past:
            raise self._ledger.unknown(stream)
        return state, upto

    def _state_at(self, id: str, upto: int) -> Change:
        """Return a change as steps know it, of what was recorded up to a position."""
        rows = self._ledger.rows_of(stream_of(CHANGE, id))
        known = [row for row in rows if row.position <= upto]
        state: Change = state_of_rows(CHANGE, known, words=False)
        return state

    def _in_the_way(self, id: str, start: datetime, end: datetime) -> list[Planned]:
        """Return what is approved or goes in between two times, but for one change."""
        going, approved = ChangeStatus.IMPLEMENTING.value, ChangeStatus.APPROVED.value
        where = Where()
        where.add(
            '(("window_start" < ? AND "window_end" > ? AND "status" = ?) OR "status" = ?)',
            stored_moment(end), stored_moment(start), approved, going,
        )  # fmt: skip
        where.add('"id" <> ?', id)
        with self._asked(None) as at:
            page = self._page("change", CHANGES, where, _CHANGE_ORDERS, "window", None, 0, at)
        return [_planned(view, running_at=start) for view in page]

    def _failures_by(self, template: Template, policy: Policy | None, at: datetime) -> int:
        approved = policy and policy.template(template.name, template.version)
        since = at - approved.within if approved else _EPOCH
        where = Where()
        where.add('"template" = ?', checked_text("template.name", template.name))
        with self._asked(None) as known:
            page = self._page("change", CHANGES, where, _CHANGE_ORDERS, "oldest", None, 0, known)
        ids = {view.id for view in page}
        if not ids:
            return 0
        classified = failures(self.facts(), FailedBy(environments="*"))
        deployed = classified.deployments
        return sum(
            deployed.change(index).id in ids and utc(midpoint(deployed.moment(index))) >= utc(since)
            for index in classified.failed.indices
        )

    def live(
        self,
        *,
        service: str | None = None,
        environment: str | None = None,
        at: datetime | None = None,
        known_at: int | datetime | None = None,
    ) -> Page[LiveVersion]:
        """
        Return which version of each service is live at a time, and how it came there.

        A roll back brings back what was live before. Where nothing of a service was ever deployed,
        or all of it was rolled back, the service is not there.

        Args:
            service: Only this one.
            environment: Production by default: what names none, or one of its usual names.
            at: The time asked for; by default now.
            known_at: As for `incidents`.
        """
        moment = self._now() if at is None else checked_time("at", at)
        where = Where()
        where.add('"deployed_at" IS NOT NULL')
        where.named(service, None)
        wanted = PRODUCTION
        if environment is not None:
            wanted = frozenset({checked_words("environment", environment).casefold()})
        with self._asked(known_at) as cut:
            statement = (
                f"SELECT * FROM {table_at('change', cut)} {where.text(cut)} "
                'ORDER BY "first_position"'
            )
            deployed: dict[str, list[Deployed]] = {}
            field = CHANGES.field
            for values in self._rows(statement, where.values):
                env = field(values, "environment")
                named = None if env is None else env.casefold()
                if named not in wanted and not (environment is named is None):
                    continue
                row = Deployed(
                    change=values[0],
                    environment=env,
                    version=field(values, "deployed_version"),
                    deployed_at=field(values, "deployed_at"),
                    rolled_back_at=field(values, "rolled_back_at"),
                    status=field(values, "status"),
                    percent=field(values, "percent"),
                )
                for name in field(values, "services"):
                    if service is None or name == service:
                        deployed.setdefault(name, []).append(row)
            found = [
                version
                for name in sorted(deployed)
                if (version := live_version(name, deployed[name], utc(moment))) is not None
            ]
            return Page[LiveVersion].of(found, total=len(found), position=self._upto(cut))

    def search(
        self,
        text: str,
        *,
        limit: int | None = 50,
        offset: int = 0,
        known_at: int | datetime | None = None,
    ) -> Page[Match]:
        """
        Return incidents and changes in which all words of a text are found, in any case.

        Looked through are ids, titles, services, label values, people, action items, references,
        versions, commits, causes and the last update. An id that is the text comes first, then
        what is open, then that of which something was recorded last.

        Args:
            text: One or several words; parts of words are found, too.
            limit, offset, known_at: As for `incidents`.
        """
        words = searchable(checked_words("text", text)).split()
        if not words:
            raise InvalidValue("text", text, "at least one word")
        where = Where()
        for word in words:
            where.add('instr("searched", ?)', word)
        limit, offset = paging(limit, offset)
        with self._asked(known_at) as at:
            parts = [
                f'SELECT \'{kind}\' AS kind, "id", "last_position", "searched", '
                f'{open_} AS "current" FROM {table_at(kind, at)} {where.text(at)}'
                for kind, open_ in ((INCIDENT, '"is_open"'), (CHANGE, _CURRENT))
            ]
            both = " UNION ALL ".join(parts)
            values = where.values * 2
            [(total,)] = self._select(f"SELECT count(*) FROM ({both})", values)
            rows = self._select(
                f'SELECT kind, "id" FROM ({both}) ORDER BY instr("searched", ?) = 1 DESC, '
                '"current" DESC, "last_position" DESC LIMIT ? OFFSET ?',
                [*values, f"{searchable(text).strip()}\n", limit, offset],
            )
            found: dict[tuple[str, str], Match] = {}
            for kind, columns in ((INCIDENT, INCIDENTS), (CHANGE, CHANGES)):
                wanted = [id_ for one, id_ in rows if one == kind]
                for row in self._of_ids(kind, "id", wanted, at):
                    told = {name: columns.field(row, name) for name in _MATCHED}
                    found[kind, row[0]] = Match(kind=kind, **told)
            if len(found) != len(rows):
                raise damaged("rows are missing", self._path)
            matches = [found[kind, id_] for kind, id_ in rows]
            return Page[Match].of(matches, total=total, position=self._upto(at))

    def incident(self, id: str, *, known_at: int | datetime | None = None) -> IncidentView:
        """
        Return everything that stands of one incident, words included.

        Raises:
            UnknownIdError: There is none with this id, or it was not known by then.
        """
        view = self._one(INCIDENT, id, known_at)
        assert isinstance(view, IncidentView)
        return view

    def change(self, id: str, *, known_at: int | datetime | None = None) -> ChangeView:
        """Return everything that stands of one change. Raises as `incident` does."""
        view = self._one(CHANGE, id, known_at)
        assert isinstance(view, ChangeView)
        return view

    def rules(self, *, known_at: int | datetime | None = None) -> Rules:
        """Return the rules in force, or those that were; see `ledger.rules`."""
        return self._ledger.rules(known_at=known_at)

    def services(self) -> tuple[str, ...]:
        """Return the names of all services that an incident or a change has, in their order."""
        named = " UNION ".join(
            f'SELECT item.value FROM {kind} JOIN json_each({kind}."services") AS item'
            for kind in (INCIDENT, CHANGE)
        )
        with self._known(None):
            return tuple(sorted(name for (name,) in self._select(named, ())))

    def timeline(
        self,
        id: str,
        *,
        window: Period | str | None = None,
        linked: bool = True,
        as_of: datetime | None = None,
        known_at: int | datetime | None = None,
    ) -> Timeline:
        """
        Return what happened to one incident or change, in order of time.

        As `ledger.timeline` says it, without looking through the log for what names it.

        Args:
            id: Its id, with its kind in front where there is an incident and a change of that id.
            linked: Whether those that it names, or that name it, are told, too.
            window, as_of, known_at: See `imcm.timeline`.

        Raises:
            UnknownIdError: There is none with this id, or it was not known by then.
            NaiveTimeError: A time without a zone.
        """
        stream = self._ledger.stream_of(id)
        with self._known(known_at) as at:
            upto = self._upto(at)
            rows = self._select("SELECT stream FROM named WHERE name = ?", [stream])
        names = [name for (name,) in rows] if linked else None
        return timeline_of(
            self._ledger, stream, upto=upto, naming=names, window=window, as_of=as_of
        )

    def _one(
        self, kind: str, id: str, known_at: int | datetime | None
    ) -> IncidentView | ChangeView:
        stream = stream_of(kind, known_id("id", id))
        with self._known(known_at) as at:
            events = self._ledger.events_of([stream], upto=self._upto(at))
        if not events:
            raise self._ledger.unknown(stream)
        return view_of_stream(events)

    # --- asking -----------------------------------------------------------------------------------

    def _now(self) -> datetime:
        return self._ledger.now() if self._clock is None else checked_time("clock", self._clock())

    def _day(self, known_at: int | datetime | None) -> date:
        """Return the day in UTC on which something was known."""
        moment = checked_known_at(known_at)
        if isinstance(moment, int):
            rows = self._ledger.replay(after=moment - 1, upto=moment, words=False)
            moment = next((recorded.recorded_at for recorded in rows), None)
        return utc(moment or self._now()).date()

    def _upto(self, at: int | None) -> int:
        return self._current if at is None else at

    @contextmanager
    def _known(self, known_at: int | datetime | None) -> Generator[int | None]:
        """Be current; give the position of what was known then, None where it is all."""
        known_at = checked_known_at(known_at)
        with self._lock:
            self.catch_up()
            with self._follower.snapshot() as self._current:
                at = None if known_at is None else self._position_at(known_at)
                yield None if at is None or at >= self._current else at

    @contextmanager
    def _asked(self, known_at: int | datetime | None) -> Generator[int | None]:
        """Be current, and prepare the rows of what was known then; give what `_known` gives."""
        with self._known(known_at) as at:
            try:
                if at is not None:
                    self._prepare(at)
                yield at
            except BaseException:
                self._cut = -1, -1  # what was prepared is undone with the rest
                raise

    def _position_at(self, known_at: int | datetime) -> int:
        if isinstance(known_at, int):
            return known_at
        if self._model.facts.clock_back(self._follower.connection, self._current):
            return self._ledger.position_at(known_at)
        # Stamps never go back, so the last event up to a time is found by halves.
        low, high = 0, self._current
        while low < high:
            middle = (low + high + 1) // 2
            recorded = next(self._ledger.replay(after=middle - 1, words=False), None)
            if recorded is None or recorded.recorded_at > known_at:
                high = middle - 1
            else:
                low = max(middle, min(recorded.position, high))
        return low

    def _prepare(self, at: int) -> None:
        """Make the rows of what was touched since a position, as they were then."""
        if self._cut == (at, self._current):
            return
        self._let_go_of_cut()
        connection = self._follower.connection
        with self._follower.errors():
            for name, columns in TABLES.items():
                connection.execute(f"CREATE TEMP TABLE cut_{name} ({columns})")
            streams = [
                stream_of(kind, id_)
                for kind in (INCIDENT, CHANGE)
                for (id_,) in connection.execute(
                    f'SELECT "id" FROM main.{kind} '
                    'WHERE "last_position" > ? AND "first_position" <= ?',
                    (at, at),
                )
            ]
            with gc_paused():
                reread = self._model.boards.reread(dict.fromkeys(streams, at))
                put_rows(connection, reread, prefix="cut_")
            for kind in (INCIDENT, CHANGE):
                connection.execute(
                    f"CREATE TEMP VIEW at_{kind} AS SELECT * FROM main.{kind} "
                    f'WHERE "last_position" <= {at:d} UNION ALL SELECT * FROM temp.cut_{kind}'
                )
            connection.execute(
                "CREATE TEMP VIEW at_action AS SELECT * FROM main.action WHERE incident IN "
                f'(SELECT "id" FROM main.incident WHERE "last_position" <= {at:d}) '
                "UNION ALL SELECT * FROM temp.cut_action"
            )
        self._cut = at, self._current

    def _let_go_of_cut(self) -> None:
        self._cut = -1, -1
        run = self._follower.connection.execute
        with self._follower.errors():
            for kind in TABLES:
                run(f"DROP VIEW IF EXISTS temp.at_{kind}")
                run(f"DROP TABLE IF EXISTS temp.cut_{kind}")

    def _select(self, statement: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        return self._follower.connection.execute(statement, values).fetchall()

    def _rows(self, statement: str, values: Sequence[object]) -> Iterator[Sequence[Any]]:
        """Yield whole rows of a table, as they were sealed."""
        try:
            yield from map(unsealed, self._select(statement, values))
        except ValueError as error:
            raise damaged(error, self._path) from None

    def _page(
        self,
        table: str,
        columns: Any,
        where: Where,
        orders: Mapping[str, str],
        order: str,
        limit: int | None,
        offset: int,
        at: int | None,
    ) -> Page[Any]:
        """Return the rows of one board. Any: of which class they are, its columns say."""
        if not is_among(order, orders):
            raise InvalidValue("order", order, one_of(order, orders))
        limit, offset = paging(limit, offset)
        from_ = f"FROM {table_at(table, at)} {where.text(at)}"
        tie = '"incident", "number"' if table == "action" else '"id"'
        statement = f"SELECT * {from_} ORDER BY {orders[order]}, {tie} LIMIT ? OFFSET ?"
        rows = list(self._rows(statement, [*where.values, limit, offset]))
        total = len(rows) + offset
        if offset or len(rows) == limit:
            [(total,)] = self._select(f"SELECT count(*) {from_}", where.values)
        views = self._read(table, columns, rows, at)
        return Page[Any].of(views, total=total, position=self._upto(at))

    def _read(
        self, table: str, columns: Any, rows: Sequence[Sequence[Any]], at: int | None
    ) -> list[Any]:
        if table == "change":
            return [columns.read(row) for row in rows]
        incidents = rows
        if table == "action":
            ids = list(dict.fromkeys(row[0] for row in rows))
            incidents = list(self._of_ids("incident", "id", ids, at))
            if len(incidents) != len(ids):
                raise damaged("rows are missing", self._path)
        services = {row[0]: INCIDENTS.field(row, "services") for row in incidents}
        if table == "action":
            return [columns.read(row, services=services[row[0]]) for row in rows]
        actions: dict[str, list[ActionItem]] = {}
        for row in self._of_ids("action", "incident", list(services), at):
            actions.setdefault(row[0], []).append(ACTIONS.read(row, services=services[row[0]]))
        for items in actions.values():
            items.sort(key=lambda action: action.number)
        return [columns.read(row, actions=tuple(actions.get(row[0], ()))) for row in rows]

    def _of_ids(
        self, table: str, column: str, ids: Sequence[str], at: int | None
    ) -> Iterator[Sequence[Any]]:
        for begin in range(0, len(ids), 500):
            some = ids[begin : begin + 500]
            marks = ", ".join("?" * len(some))
            yield from self._rows(
                f'SELECT * FROM {table_at(table, at)} WHERE "{column}" IN ({marks})', some
            )

    def close(self) -> None:
        """Let go of the file."""
        self._follower.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()


def views(
    ledger: LedgerReader,
    path: str | Path | None = None,
    *,
    clock: Callable[[], datetime] | None = None,
    progress: Callable[[int], object] | None = None,
) -> Views:
    """
    Return what stands now of a ledger: facts for figures, boards, and tables for other tools.

    Args:
        ledger: A ledger, or a reader of one; it is only read.
        path: The file to keep it in, so that the next process need not read the log again; made
            where it is not there, with the rights of its owner alone. Never the ledger's own.
            Default: in memory, for as long as this object lives.
        clock: Gives the time now, for what is overdue; by default the ledger's.
        progress: Is told, batch by batch, how many events were applied since it began to catch up.

    Raises:
        StoreError: The file can't be opened, or is another database.
    """
    return Views(ledger, IN_MEMORY if path is None else path, clock=clock, progress=progress)
