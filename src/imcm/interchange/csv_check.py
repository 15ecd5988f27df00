"""
What an import finds: problems, rows that say the same, merges that can't be; and its report.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import islice
from typing import Final

import attrs

from imcm.errors import ImcmError, UnknownIdError
from imcm.interchange.mapping import BLANK, Problem
from imcm.interchange.toml_files import toml_text
from imcm.ledger.recording import Ledger
from imcm.plain import excerpt

__all__ = [
    "PROBLEMS_KEPT",
    "ImportReport",
    "Outside",
]

PROBLEMS_KEPT: Final = 1_000
"""How many problems a report names; the others are only counted."""

NAMED_IN_MESSAGE: Final = 5
_KINDS_NAMED: Final = 10
_KIND: Final = 60
_VALUES: Final = re.compile(r"\d+|'[^']*'")
"""What of a reason may be another one in each row."""

_LONGEST_VALUE: Final = 200


@attrs.frozen(kw_only=True)
class Outside:
    """
    A value that is none of a closed list, and that no mapping names.

    Attributes:
        column: Our column.
        value: What stands there, in the case in which it came first, cut after 200 characters.
        rows: How many rows have it.
        table: Which of the tables: "incidents" or "changes".
        allowed: What a mapping can make of it there.
    """

    column: str
    value: str
    rows: int
    table: str
    allowed: tuple[str, ...]


def rows_in_words(rows: int) -> str:
    """Return how many rows, in words."""
    return "1 row" if rows == 1 else f"{rows:,} rows"


PASTED: Final = 30
"""So many lines to paste stand in a message; the report has them all."""


def paste_lines(outside: Sequence[Outside]) -> list[str]:
    """Return lines for a mapping, in which each "?" is to be filled in; none for no values."""
    if not outside:
        return []
    lines = [
        f"{len(outside):,} value(s) need a mapping: paste these lines into it, under the heading "
        f'where that is there already, and fill in each "{BLANK}":'
    ]
    tables: dict[str, set[str]] = {}
    for each in outside:
        tables.setdefault(each.column, set()).add(each.table)
    before = ""
    for each in outside[:PASTED]:
        own = f"{each.table}." if len(tables[each.column]) > 1 else ""
        heading = f"[{own}values.{each.column}]"
        if heading != before:
            before = heading
            lines.append(f'{heading}  # one of {", ".join(each.allowed)}; or "" for absent')
        rows = rows_in_words(each.rows)
        shown = excerpt(each.value, _LONGEST_VALUE - 1)
        if shown == each.value:
            lines.append(f"{toml_text(shown)} = {toml_text(BLANK)}  # {rows}")
        else:  # it is cut, or it looks like a key: no line can name it
            lines.append(f"# {toml_text(shown)}: {rows}")
    if len(outside) > PASTED:
        lines.append(f"# and {len(outside) - PASTED:,} more")
    return lines


@attrs.frozen(kw_only=True)
class ImportReport:
    """
    What an import did, or would do.

    Attributes:
        histories: Incidents and changes that were taken.
        events: Events recorded: 0 where everything stood there already.
        rows_read: Rows of all files, headers and blank lines apart.
        rows_imported: Those whose content now stands in the ledger, equal repeats included.
        rows_refused: The others.
        problems: Why, in the order of the files; at most 1,000 are named.
        problems_found: How many there are.
        named: How many other incidents and changes the rows name: as causes, fixes, repairs, ...
        unknown_named: Those of them that are not in the ledger, in the order of their ids.
        new: How many of the histories were not there before.
        known: Of how many nothing new was said.
        corrected: How many of the events correct what was said before; *taken_back*, how many say
            that something of it is not so.
        superseded: How many values were older than what stands, by `updated_at`.
        withdrawn: Incidents and changes that a complete file does not have any more; *reinstated*,
            those that it has again.
        dry_run: Nothing was recorded.
        said: What was found out about each file: its delimiter and encoding.
        outside: Values outside of closed lists that no mapping names, each once, the most frequent
            first in each column; at most 1,000.
    """

    histories: int
    events: int
    rows_read: int
    rows_imported: int
    rows_refused: int
    problems: tuple[Problem, ...]
    problems_found: int
    named: int = 0
    unknown_named: tuple[str, ...] = ()
    new: int = 0
    known: int = 0
    corrected: int = 0
    taken_back: int = 0
    superseded: int = 0
    withdrawn: int = 0
    reinstated: int = 0
    dry_run: bool = False
    said: tuple[str, ...] = ()
    outside: tuple[Outside, ...] = ()

    def __repr__(self) -> str:
        """Return the counts in one line; what the problems are is in `problems`."""
        return (
            f"<ImportReport: {self.rows_imported:,} of {self.rows_read:,} rows imported, "
            f"{self.histories:,} histories, {self.events:,} events, "
            f"{self.problems_found:,} problems>"
        )


class Problems:
    """The problems of all files, counted; the first of them are kept."""

    def __init__(self) -> None:
        self.found = 0
        self._kept: list[Problem] = []
        self._files: dict[str, int] = {}
        self._kinds: dict[tuple[str, str], list[Problem]] = {}
        self._outside: Counter[tuple[str, str, str]] = Counter()
        self._written: dict[tuple[str, str, str], str] = {}
        self._allowed: dict[tuple[str, str], tuple[str, ...]] = {}

    def note(self, problem: Problem) -> None:
        """Count one problem, and keep it while they are few."""
        self.found += 1
        self._files.setdefault(problem.file, len(self._files))
        if len(self._kept) < PROBLEMS_KEPT:
            self._kept.append(problem)
        kind = problem.column, _VALUES.sub("", problem.why)[:_KIND]
        some = self._kinds.get(kind)
        if some is None and len(self._kinds) < PROBLEMS_KEPT:
            some = self._kinds[kind] = []
        if some is not None and len(some) < NAMED_IN_MESSAGE:
            some.append(problem)

    def note_outside(self, table: str, column: str, value: str, allowed: tuple[str, ...]) -> None:
        """Count a value of a closed list's column that is no word of ours, whatever its case."""
        value = value.strip()[:_LONGEST_VALUE]
        key = table, column, value.casefold()
        if key in self._outside or len(self._outside) < PROBLEMS_KEPT:
            self._outside[key] += 1
            self._written.setdefault(key, value)
            self._allowed[table, column] = allowed

    def named(self) -> list[Problem]:
        """
        Return the few that a message names: one of each kind, then more of them up to five.

        A kind is one column and one reason; of the kinds, the first ten.
        """
        kinds = [*self._kinds.values()][:_KINDS_NAMED]
        chosen = [some[0] for some in kinds]
        rest = self._in_order(problem for some in kinds for problem in some[1:])
        return self._in_order([*chosen, *rest[: max(0, NAMED_IN_MESSAGE - len(chosen))]])

    def outside(self) -> tuple[Outside, ...]:
        """Return the values outside of closed lists, each once, with how many rows have it."""
        by_column = sorted(
            self._outside.items(),
            key=lambda each: (each[0][1], each[0][0], -each[1], self._written[each[0]]),
        )
        return tuple(
            Outside(
                column=key[1],
                value=self._written[key],
                rows=rows,
                table=key[0],
                allowed=self._allowed[key[:2]],
            )
            for key, rows in by_column
        )

    def of_file(self, file: str) -> None:
        """Begin with a file: its problems stand behind those of files before it."""
        self._files.setdefault(file, len(self._files))

    def kept(self) -> tuple[Problem, ...]:
        """Return those that are kept, in the order of the files and their lines."""
        return tuple(self._in_order(self._kept))

    def _in_order(self, problems: Iterable[Problem]) -> list[Problem]:
        return sorted(problems, key=lambda each: (self._files[each.file], each.line))


class Survey:
    """
    What is known of the rows of one file.

    It keeps a number per row and no row: the line by id, with a hash of the cells beside it.
    """

    def __init__(self, file: str) -> None:
        self.file = file
        self.rows = 0
        self.refused: set[str] = set()
        self._seen: dict[str, int] = {}
        self._repeats: Counter[str] = Counter()

    def repeats(self, key: str, line: int, cells: tuple[str, ...]) -> int | None:
        """Note a row; return None for a new key, 0 for an equal row, else the differing line."""
        digest = hash(cells) & _HASH
        packed = self._seen.setdefault(key, line << 64 | digest)
        if packed == line << 64 | digest:
            return None
        if packed & _HASH != digest:
            return packed >> 64
        self._repeats[key] += 1
        return 0

    def knows(self, key: str) -> bool:
        """Say whether a row has this key, good or bad."""
        return key in self._seen

    def holds(self, key: str) -> bool:
        """Say whether a good row has this key."""
        return key in self._seen and key not in self.refused

    def line(self, key: str) -> int:
        """Return the line of the first row with this key."""
        return self._seen[key] >> 64

    @property
    def good(self) -> int:
        """How many rows are good, equal repeats included."""
        keys = len(self._seen.keys() - self.refused) if self.refused else len(self._seen)
        return keys + sum(n for key, n in self._repeats.items() if key not in self.refused)

    def wrong(self, key: str, column: str, value: str, why: str) -> Problem:
        """Refuse the rows of a key, and return the problem that is the reason."""
        self.refused.add(key)
        return Problem(file=self.file, line=self.line(key), column=column, value=value, why=why)


_HASH: Final = (1 << 64) - 1


class Merges:
    """
    Merges of incidents that a file tells, until those that can't be are refused.

    Attributes:
        into: For each incident that was merged, into which; in the order of the file.
    """

    def __init__(self, ledger: Ledger, survey: Survey) -> None:
        self.ledger = ledger
        self.survey = survey
        self.into: dict[str, str] = {}
        self._targets: dict[str, tuple[bool, str | None] | ImcmError] = {}
        self._is_new = len(list(islice(ledger.rows(), 2))) < 2  # a ledger begins with its own row

    def refused(self) -> Iterator[Problem]:
        """Refuse merges into what is not there or goes in a circle, until all others hold."""
        survey = self.survey
        merges = {i: into for i, into in self.into.items() if survey.holds(i)}
        sources: dict[str, list[str]] = {}
        for id_, into in merges.items():
            sources.setdefault(into, []).append(id_)
        # All are asked in the order of the file. Where one is refused, those that were merged into
        # it are asked again: in the same round where they come later in the file, else in the next.
        order = {id_: place for place, id_ in enumerate(merges)}
        ids = list(merges)
        circles = self._circles(merges)
        asked = [(0, place) for place in range(len(ids))]
        heapify(asked)
        while asked:
            turn, place = heappop(asked)
            id_ = ids[place]
            why = self._no_merge(id_, merges, circles) if id_ in merges else None
            if why is None:
                continue
            into = merges.pop(id_)
            if id_ in circles and self._into(id_) is None:
                circles[id_].clear()  # it is cut here
            yield survey.wrong(id_, "merged_into", into, why)
            for other in sources.get(id_, ()):
                heappush(asked, (turn + (order[other] < place), order[other]))
        self.into = merges

    def _no_merge(
        self,
        id_: str,
        merges: Mapping[str, str],
        circles: Mapping[str, set[str]],
    ) -> str | None:
        try:
            if not self.survey.holds(merges[id_]) and not self._held(merges[id_])[0]:
                return "there is no such incident to import, nor one in the ledger"
        except ImcmError as error:
            return str(error)
        if id_ in circles.get(id_, ()):
            return "the merges go in a circle, so that no incident goes on for the others"
        return None

    def _circles(self, merges: Mapping[str, str]) -> dict[str, set[str]]:
        """Return, for each incident whose merges lead back to it, all those on the way."""
        circles: dict[str, set[str]] = {}
        been: set[str] = set()
        for id_ in merges:
            way: dict[str, None] = {}
            at: str | None = id_
            while at is not None and at not in been:
                been.add(at)
                way[at] = None
                at = merges[at] if at in merges else self._into(at)
            if at is not None and at in way:
                turning = list(way)
                circle = set(turning[turning.index(at) :])
                circles |= dict.fromkeys(circle, circle)
        return circles

    def _into(self, id_: str) -> str | None:
        """Return what the ledger holds an incident as merged into; None also where it can't say."""
        try:
            return self._held(id_)[1]
        except ImcmError:
            return None  # whoever is merged into that one is refused for it

    def _held(self, id_: str) -> tuple[bool, str | None]:
        """Say whether the ledger holds an incident, and merged into what; it is read once."""
        if id_ not in self._targets:
            try:
                self._targets[id_] = (not self._is_new, None)
                if not self._is_new:
                    self._targets[id_] = (True, self.ledger.incident(id_).merged_into)
            except UnknownIdError:
                self._targets[id_] = (False, None)
            except ImcmError as error:
                self._targets[id_] = error
        found = self._targets[id_]
        if isinstance(found, ImcmError):
            raise found
        return found
