"""
Tables whose rows are states over time: what each row says that the one before did not say.

    id,updated_at,status,severity
    INC-7,2026-03-02T09:00Z,open,P3
    INC-7,2026-03-02T09:40Z,open,P1
    INC-7,2026-03-02T11:15Z,resolved,P1

A row is either all that stood at its time, or one field and what it became (`field` and `value`).
Rows of one id are put in the order of their times; those of one time stay in the order of the
table, whichever of the two directions that has. A status that follows another one is something
that happened; so is another severity. Everything else stands since the row from which on it is
told as it is told last.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from sys import intern
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

import attrs

from imcm.domain.recorded import INCIDENT
from imcm.domain.vocabulary import Severity
from imcm.errors import InvalidValue
from imcm.interchange.csv_contract import (
    HOLDS,
    INCIDENT_STATUSES,
    LOG_STATUSES,
    OPEN,
    STATUSES,
    CsvOptions,
)
from imcm.interchange.csv_statements import Reading, id_of, word
from imcm.interchange.csv_table import Row, Rows
from imcm.interchange.mapping import LABEL, member
from imcm.interchange.statements import Happening, Statement
from imcm.interchange.tables import TableRow

if TYPE_CHECKING:
    from hashlib import _Hash

_OF_STORY: Final = frozenset({"id", "updated_at", "status", "severity", "field", "value"})
"""Columns that the story itself reads, row by row; the others are read as they are told last."""


class State(NamedTuple):
    """One row, as much of it as is told: when, on which line, and the cells by their places."""

    at: datetime
    line: int
    cells: tuple[str, ...]


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
    hashed: _Hash

    @property
    def sha256(self) -> str:
        """Hash of the whole story, in hexadecimal."""
        return self.hashed.hexdigest()


class Log:
    """The rows of a table as stories, by id."""

    def __init__(self, rows: Rows, table: str, options: CsvOptions) -> None:
        self.table = table
        self.header = rows.header
        self.options = options
        self.kind: Literal["incident", "change"] = "incident" if table == "incidents" else "change"
        # What the story reads by itself is no fact of a single row.
        ours = self.header.ours
        self._last = attrs.evolve(
            self.header, ours={name: at for name, at in ours.items() if name not in _OF_STORY}
        )
        self.reading = Reading(table, self._last, options, by=self.header)
        self._rows = rows
        self._field = self.header.ours.get("field")
        self._into = {name.casefold(): at for name, at in ours.items()}
        self._into |= {f"{LABEL}{name}".casefold(): at for name, at in self.header.labels.items()}
        self._falls = self._rises = 0

    def stories(self, note: Callable[[Row, str | None], object]) -> Iterator[Story]:
        """
        Yield the stories, in the order in which they begin in the table.

        Args:
            note: Called with each row, also one with problems, and the id it is of or None.
        """
        stories: dict[str, Story] = {}
        hashed = hashlib.sha256(self.reading.by)
        times: dict[str, datetime | None] = {}
        before: datetime | None = None
        for row, raw in self._rows:
            id_ = id_of(row, self.options)
            text = row.text("updated_at")
            if text not in times:
                times[text] = row.get("updated_at", self.options.times.time)
            at = times[text]
            if at is None and not row.problems:
                row.wrong("updated_at", "it is empty, and a row of a log needs its time")
            note(row, id_)
            if id_ is None or at is None or row.problems:
                continue
            if before is not None:
                self._falls += at < before
                self._rises += at > before
            before = at
            story = stories.get(id_)
            if story is None:
                story = stories[id_] = Story(id_, row.raw("id"), [], hashed.copy())
            story.hashed.update(b"\n" + raw)
            story.states.append(State(at, row.line, tuple(map(intern, row.cells))))
        yield from stories.values()

    # --- a story as statements

    def statements(self, story: Story) -> tuple[list[Statement], Row]:
        """Return what a story says, row by row; and its last row, with what is wrong with it."""
        states = self._states(story)
        last = self._row(states[-1])
        said = self.reading.statement(last, story.sha256, of_log=story.raw)
        if said is None:
            return [], last
        facts: dict[datetime, dict[str, Any]] = {}
        for name, value in self._each(said.facts):
            since = self._since(states, name)
            of_then = facts.setdefault(since, {})
            if isinstance(name, tuple):
                of_then.setdefault(name[0], {})[name[1]] = value
            else:
                of_then[name] = value
        happened: dict[datetime, list[Happening]] = {}
        words: dict[datetime, str] = {}
        self._statuses(states, last, happened, words, facts)
        self._severities(states, last, happened, facts)
        if self.kind == INCIDENT and "detected_at" not in said.facts:
            facts.setdefault(states[0].at, {})["detected_at"] = states[0].at
        for at, each in happened.items():
            facts.setdefault(at, {})
            each.sort(key=lambda one: one.what == "severity")
        return [
            Statement(
                kind=self.kind,
                id=story.raw,
                facts=facts[at],
                happened=tuple(happened.get(at, ())),
                said_at=at,
                status=words.get(at, ""),
                sha256=story.sha256,
                in_order=True,
            )
            for at in sorted(facts)
        ], last

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
        return sorted(reversed(states) if turned else states, key=lambda state: state.at)

    def _carried(self, states: Sequence[State]) -> list[State]:
        """Return rows of one field each as all that stood after each of them."""
        field, value = self.header.ours["field"], self.header.ours.get("value")
        carried: list[State] = []
        stands: list[str] = [""] * len(self.header.theirs)
        for state in states:
            name = self.options.translation.value("field", state.cells[field])
            place = self._into.get(name.casefold(), self._into.get(f"{LABEL}{name}".casefold()))
            for at, cell in enumerate(state.cells):
                if cell and at not in {field, value}:
                    stands[at] = cell
            if place is not None and value is not None:
                stands[place] = state.cells[value]
            carried.append(state._replace(cells=tuple(stands)))
        return carried

    def _each(self, facts: Mapping[str, Any]) -> Iterator[tuple[str | tuple[str, str], Any]]:
        for name, value in facts.items():
            if name in {"labels", "marks"}:
                yield from (((name, key), each) for key, each in value.items())
            else:
                yield name, value

    def _since(self, states: Sequence[State], name: str | tuple[str, str]) -> datetime:
        """Return since which row a fact is told as it is told last."""
        if isinstance(name, tuple):
            label = name[0] == "labels"
            columns = [name[1]] if label else [f"mark:{name[1]}"]
            places = [(self.header.labels if label else self.header.ours)[each] for each in columns]
        else:
            columns = self.reading.columns_of(name)
            places = [self.header.ours[each] for each in columns]
            label = False
        final = self.options.translation.final
        if any((LABEL + each if label else each) in final for each in columns):
            return states[-1].at
        last = states[-1].cells
        since = states[-1].at
        for state in reversed(states):
            if any(state.cells[at] != last[at] for at in places):
                break
            since = state.at
        return since

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
    ) -> None:
        allowed = INCIDENT_STATUSES if self.kind == INCIDENT else LOG_STATUSES
        before = ""
        for (at, *_), meant, text in self._told(states, "status"):
            words[at] = text
            try:
                status = word(allowed, "status", meant)
            except InvalidValue as error:
                row.wrong("status", f"{text!r}: {error.allowed}")
                row.outside.append(("status", text))
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

    def _severities(
        self,
        states: Sequence[State],
        row: Row,
        happened: dict[datetime, list[Happening]],
        facts: dict[datetime, dict[str, Any]],
    ) -> None:
        named = self.header.ours.get("severity_name")
        before: Severity | None = None
        for state, meant, text in self._told(states, "severity"):
            at = state.at
            try:
                severity = member("severity", meant, Severity)
            except InvalidValue as error:
                row.wrong("severity", f"{text!r}: {error.allowed}")
                row.outside.append(("severity", text))
                return
            name = None if named is None else state.cells[named] or None
            if before is None:
                facts.setdefault(at, {})["severity"] = severity
                if name is not None:
                    facts[at]["severity_name"] = name
            elif severity != before:
                happened.setdefault(at, []).append(Happening("severity", at, None, severity, name))
            before = severity


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
