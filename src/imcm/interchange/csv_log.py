"""
Tables whose rows are states over time: what each row says that the one before did not say.

    id,updated_at,status,severity
    INC-7,2026-03-02T09:00Z,open,P3
    INC-7,2026-03-02T09:40Z,open,P1
    INC-7,2026-03-02T11:15Z,resolved,P1

A row is either all that stood at its time, or one field and what it became (`field` and `value`).
Rows of one id are put in the order of their times; those of one time stay in the order of the
table, whichever of the two directions that has. A table in which hardly a row is out of order is
left in its own. A status that follows another one is something
that happened; so is another severity. Everything else stands since the row from which on it is
told as it is told last.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from sys import intern
from typing import Any, Final, Literal, NamedTuple

import attrs

from imcm.domain.recorded import INCIDENT
from imcm.domain.vocabulary import Severity, earliest
from imcm.errors import InvalidValue
from imcm.interchange.csv_contract import (
    HOLDS,
    INCIDENT_STATUSES,
    LOG_STATUSES,
    OPEN,
    STATUSES,
    CsvOptions,
)
from imcm.interchange.csv_statements import Reading, id_of, read_by, word
from imcm.interchange.csv_table import Header, Row, Rows, target_of, why_no_target
from imcm.interchange.deciding import Pair, Past
from imcm.interchange.mapping import LABEL, Problem, member
from imcm.interchange.statements import Happening, Statement, checked_before
from imcm.interchange.tables import TableRow

_OF_STORY: Final = frozenset({"id", "updated_at", "status", "severity", "field", "value"})
"""Columns that the story itself reads, row by row; the others are read as they are told last."""


_RARE: Final = 100
"""Where one row in so many, or fewer, is out of order, its clock is wrong and not its place."""


class State(NamedTuple):
    """
    One row, as much of it as is told.

    Attributes:
        at: When; *line*, on which line it begins.
        cells: Its cells, by the places of the header.
        into: Of a row of one field, the place of the column that it speaks of.
    """

    at: datetime
    line: int
    cells: tuple[str, ...]
    into: int | None = None


@attrs.define
class Story:
    """
    The rows of one incident or change.

    Attributes:
        id: Its id in the ledger; *raw*, as the table has it.
        states: Its rows, in the order of the table.
        hashed: Hash of what they were read by and of all of them.
    """

    id: str
    raw: str
    states: list[State]
    hashed: Any  # what hashlib makes; its class has no public name

    @property
    def sha256(self) -> str:
        """Hash of the whole story, in hexadecimal."""
        digest: str = self.hashed.hexdigest()
        return digest


class Log:
    """
    The rows of a table as stories, by id.

    Attributes:
        table: "incidents" or "changes"; *kind*, of what their stories are.
        header: Its columns; where rows tell one field each, with those that they speak of.
        reading: How a last row is read.
    """

    def __init__(self, rows: Rows, table: str, options: CsvOptions) -> None:
        self.table = table
        self.options = options
        self.kind: Literal["incident", "change"] = "incident" if table == "incidents" else "change"
        self._rows = rows
        self._by = read_by(table, rows.header, options)
        self._falls = self._rises = 0
        header = rows.header
        # Of a row only what something is read of is kept: an export has dozens of columns.
        used = sorted({*header.ours.values(), *header.labels.values()})
        self._used = tuple(used)
        self._under(
            attrs.evolve(
                header,
                ours={name: used.index(at) for name, at in header.ours.items()},
                labels={name: used.index(at) for name, at in header.labels.items()},
                theirs=tuple(header.theirs[at] for at in used),
            )
        )
        self._field = self.header.ours.get("field")

    def _under(self, header: Header) -> None:
        """Read under a header."""
        self.header = header
        # What the story reads by itself is no fact of a single row.
        ours = {name: at for name, at in header.ours.items() if name not in _OF_STORY}
        self._last = attrs.evolve(header, ours=ours)
        final = self.options.translation.final
        places = {**header.ours, **{LABEL + name: at for name, at in header.labels.items()}}
        # Only what a fact is read of: a column of which nothing is made changes nothing.
        self._story = {*range(len(header.theirs))} - {*ours.values(), *header.labels.values()}
        self._not_yet = self._story | {at for name, at in places.items() if name in final}
        self.reading = Reading(self.table, self._last, self.options)

    def stories(self, note: Callable[[Row, str | None], object]) -> Iterator[Story]:
        """
        Yield the stories, in the order in which they begin in the table.

        Args:
            note: Called with each row, also one with problems, and the id it is of or None.
        """
        stories: dict[str, Story] = {}
        hashed = hashlib.sha256(self._by)
        header = self.header
        ours, labels, theirs = dict(header.ours), dict(header.labels), [*header.theirs]
        used, time = self._used, self.options.times.time
        for row, raw in self._rows:
            id_ = id_of(row, self.options)
            at = row.get("updated_at", time)
            if at is None and not row.problems:
                row.wrong("updated_at", "it is empty, and a row of a log needs its time")
            into = None if self._field is None else self._spoken_of(row, ours, labels, theirs)
            note(row, id_)
            if id_ is None or at is None or row.problems:
                continue
            story = stories.get(id_)
            if story is None:
                story = stories[id_] = Story(id_, row.raw("id"), [], hashed.copy())
            else:
                before = story.states[-1].at
                self._falls += at < before
                self._rises += at > before
            story.hashed.update(b"\n" + raw)
            cells = row.cells
            kept = tuple([intern(cells[place]) for place in used])
            story.states.append(State(at, row.line, kept, into))
        if self._field is not None:
            labels = dict(sorted(labels.items()))
            self._under(attrs.evolve(header, ours=ours, labels=labels, theirs=tuple(theirs)))
        yield from stories.values()

    def _spoken_of(
        self, row: Row, ours: dict[str, int], labels: dict[str, int], theirs: list[str]
    ) -> int | None:
        """Return the place of the column that a row of one field speaks of, perhaps a new one."""
        name = row.text("field")
        if not name:
            return None
        target = target_of(self.table, name)
        into = labels if target.startswith(LABEL) else ours
        key = target.removeprefix(LABEL)
        if key not in into:
            if (why := why_no_target(target)) is not None:
                row.wrong("field", why)
                return None
            into[key] = len(theirs)
            theirs.append(name)
        return into[key]

    # --- a story as statements

    def statements(self, story: Story, there: Sequence[Pair]) -> tuple[list[Statement], Row]:
        """
        Return what a story says, row by row; and its last row, with what is wrong with any.

        Args:
            there: What its stream holds: a log that begins later than the story goes on from it.
        """
        states = self._states(story)
        last = self._row(states[-1])
        past = Past(self.kind, there, self.options.name) if there else None
        facts = self._facts(states, last)
        happened: dict[datetime, list[Happening]] = {}
        words: dict[datetime, str] = {}
        self._statuses(states, last, happened, words, facts, past)
        self._severities(states, last, happened, facts, past)
        begun = self._begun(states[0].at, facts, past)
        if last.problems:
            return [], last
        for at in happened:
            facts.setdefault(at, {})
        sha256 = story.sha256
        first = [] if begun is None else [
            checked_before(
                kind=self.kind, id=story.raw, facts={"detected_at": begun}, sha256=sha256,
                in_order=True,
            )
        ]  # fmt: skip
        return [
            *first,
            *(
                checked_before(
                    in_order=True,
                    kind=self.kind,
                    id=story.raw,
                    facts=facts[at],
                    happened=tuple(happened.get(at, ())),
                    said_at=at,
                    status=words.get(at, ""),
                    sha256=sha256,
                )
                for at in dict.fromkeys(state.at for state in states)
                if at in facts
            ),
        ], last

    def _begun(
        self, at: datetime, facts: Mapping[datetime, dict[str, Any]], past: Past | None
    ) -> datetime | None:
        """
        Tell since when it is known of, where no column says it: since its first row.

        Of what is there already it is returned, where this is earlier: no time of its own goes with
        it, since the row that says so is older than what stands.
        """
        if self.kind != INCIDENT or any("detected_at" in each for each in facts.values()):
            return None
        if past is None:
            facts[at]["detected_at"] = at
            return None
        known = past.word("detected_at")
        return at if known is None or at < earliest(known) else None

    def _facts(self, states: Sequence[State], last: Row) -> dict[datetime, dict[str, Any]]:
        """Return what each row says that none before it said, by its time; note what is wrong."""
        facts: dict[datetime, dict[str, Any]] = {states[0].at: {}}
        told: dict[str, Any] = {}
        before: tuple[str, ...] | None = None
        end = len(states) - 1
        for place, state in enumerate(states):
            cells = self._known_then(state, at_end=place == end)
            if cells == before:
                continue
            before = cells
            row = last if place == end else self._row(state._replace(cells=cells))
            said = self.reading.statement(row, "", of_log=self.table)
            if said is None:
                last.problems[:] = row.problems
                break
            new = facts.setdefault(state.at, {})
            for name, value in said.facts.items():
                if name in {"labels", "marks"}:
                    was = told.setdefault(name, {})
                    changed = {key: each for key, each in value.items() if was.get(key) != each}
                    was |= changed
                    if changed:
                        new[name] = {**new.get(name, {}), **changed}
                elif told.get(name) != value:
                    new[name] = told[name] = value
        return facts

    def _known_then(self, state: State, *, at_end: bool) -> tuple[str, ...]:
        """Return the cells of which facts are read; of what is known at the end, only there."""
        cells = list(state.cells)
        for place in self._story if at_end else self._not_yet:
            cells[place] = ""
        return tuple(cells)

    def last(self, story: Story) -> Row:
        """Return the last row of a story."""
        return self._row(self._states(story)[-1])

    def _row(self, state: State) -> Row:
        row = TableRow(state.line, list(state.cells), b"")
        return Row(self._rows.table.name, self._last, row, self.options)

    def _states(self, story: Story) -> list[State]:
        states = self._in_order(story.states)
        return states if self._field is None else self._carried(states)

    def _in_order(self, states: Sequence[State]) -> list[State]:
        turned = self._falls > self._rises  # newest first, also among those of one time
        ordered = [*reversed(states)] if turned else [*states]
        if min(self._falls, self._rises) * _RARE > max(self._falls, self._rises):
            ordered.sort(key=lambda state: state.at)
        return ordered

    def _carried(self, states: Sequence[State]) -> list[State]:
        """Return rows of one field each as all that stood after each of them."""
        value = self.header.ours.get("value")
        carried: list[State] = []
        stands: list[str] = [""] * len(self.header.theirs)
        for state in states:
            for at, cell in enumerate(state.cells):
                if cell:
                    stands[at] = cell
            if state.into is not None:
                stands[state.into] = "" if value is None else state.cells[value]
            carried.append(state._replace(cells=tuple(stands)))
        return carried

    def _told(self, states: Sequence[State], column: str) -> Iterator[tuple[State, str, str]]:
        """Yield where a column became another one, what it means to us, and how it is written."""
        place = self.header.ours.get(column)
        before = ""
        for state in states if place is not None else ():
            text = state.cells[place or 0]
            if not text or text == before:
                continue
            before = text
            meant = self.options.translation.value(column, text)
            if meant:
                yield state, meant, text

    def _statuses(
        self,
        states: Sequence[State],
        row: Row,
        happened: dict[datetime, list[Happening]],
        words: dict[datetime, str],
        facts: dict[datetime, dict[str, Any]],
        past: Past | None,
    ) -> None:
        allowed = INCIDENT_STATUSES if self.kind == INCIDENT else LOG_STATUSES
        before = "" if past is None else _status_at(past, states[0].at)
        for state, meant, text in self._told(states, "status"):
            at = state.at
            words[at] = text
            try:
                status = word(allowed, "status", meant)
            except InvalidValue as error:
                self._outside(row, state, "status", text, error)
                return
            if status == before:
                continue
            each = happened.setdefault(at, [])
            if self.kind == INCIDENT:
                each += _of_incident(before, status, at)
            else:
                what = "deployed" if status == "successful" else status
                each += [] if what in {"open", "not_deployed"} else [Happening(what, at)]
                if status in STATUSES:
                    facts.setdefault(at, {})["status"] = status
            before = status

    def _outside(self, row: Row, state: State, column: str, text: str, error: InvalidValue) -> None:
        """Note a word that is none of ours, where it stands."""
        theirs = self.header.theirs[self.header.ours[column]]
        file = self._rows.table.name
        row.problems.append(
            Problem(file=file, line=state.line, column=theirs, value=text, why=error.allowed)
        )
        row.outside.append((column, text))

    def _severities(
        self,
        states: Sequence[State],
        row: Row,
        happened: dict[datetime, list[Happening]],
        facts: dict[datetime, dict[str, Any]],
        past: Past | None,
    ) -> None:
        named = self.header.ours.get("severity_name")
        before = None if past is None else _severity_at(past, states[0].at)
        for state, meant, text in self._told(states, "severity"):
            at = state.at
            try:
                severity = member("severity", meant, Severity)
            except InvalidValue as error:
                self._outside(row, state, "severity", text, error)
                return
            name = None if named is None else state.cells[named] or None
            if before is None and past is None:
                facts.setdefault(at, {})["severity"] = severity
                if name is not None:
                    facts[at]["severity_name"] = name
            elif severity != before:
                happened.setdefault(at, []).append(Happening("severity", at, None, severity, name))
            before = severity


def _status_at(past: Past, at: datetime) -> str:
    """Return the status that what is known from before a time leaves; "" for nothing known."""
    status = ""
    for _, each in past.happened:
        known: Any = each.at  # a reopening may have none
        if known is None or earliest(known) >= at or each.what == "severity":
            continue
        if each.what in {"reopened", "released"}:
            status = "open"
        else:
            status = each.what if each.value is None else f"{each.what}:{each.value.value}"
    return status


def _severity_at(past: Past, at: datetime) -> Severity | None:
    """Return the severity that is known from before a time; None for none."""
    base = past.triaged
    severity: Any = None
    if base is not None and base.order.said_at is not None and base.order.said_at <= at:
        severity = base.first.value
    for _, each in past.happened:
        if isinstance(each.value, Severity) and earliest(each.at) < at:
            severity = each.value
    return severity if isinstance(severity, Severity) else None


def _of_incident(before: str, now: str, at: datetime) -> Iterator[Happening]:
    """Yield what happened where one status follows another one."""
    if before in HOLDS:
        yield Happening("released", at)
    if before not in {"", *OPEN} and (before, now) != ("resolved", "closed"):
        yield Happening("reopened", at)
    if now in HOLDS:
        yield Happening("held", at, None, HOLDS[now])
    elif now != "open":
        yield Happening(now, at)
