"""
A table as rows of our contract: what its columns stand for, and its cells as values.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Final, TypeVar

import attrs

from imcm.domain.vocabulary import (
    A_MARK,
    MARK,
    Moment,
    checked_id,
    checked_milestone,
    checked_services,
    checked_words,
    known_id,
)
from imcm.errors import ImportRefusedError, InvalidValue
from imcm.interchange.csv_contract import (
    CHANGE_MOMENTS,
    CLOSED,
    INCIDENT_MOMENTS,
    OF_LOGS,
    REQUIRED,
    SEVERAL,
    TABLES,
    CsvOptions,
)
from imcm.interchange.made_columns import LINE, PAIRS, Made
from imcm.interchange.mapping import LABEL, OF_OTHER, Problem, Translation, duration
from imcm.interchange.tables import Table, TableRow, read_table
from imcm.plain import excerpt

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class Header:
    """
    Where in a row each column stands.

    Attributes:
        ours: Places of columns of the contract; *labels*, of those that are labels.
        theirs: What the table calls its columns; those that are made stand behind them.
        as_written: No mapping changes values: cells mean what they say.
        made: Columns that are made of several: the name of each, and the places of its parts.
        numbers: Places of columns whose cells all are numbers by their type, but for what means
            that there is nothing.
        mixed: Places of columns in which such numbers stand beside other texts.
    """

    ours: Mapping[str, int]
    labels: Mapping[str, int]
    theirs: tuple[str, ...]
    as_written: bool = False
    made: tuple[tuple[str, Made, tuple[int, ...]], ...] = ()
    numbers: frozenset[int] = frozenset()
    mixed: frozenset[int] = frozenset()


def header_of(table: Table, kind: str, options: CsvOptions) -> Header:
    """
    Return what the columns of a table stand for.

    Args:
        table: The table.
        kind: Which of `TABLES` it is.
        options: How it is read.

    Raises:
        ImportRefusedError: It has not the columns that it needs, or two stand for the same.
    """
    by = options.translation
    names = table.columns
    place_of = _Places(table, kind)
    renamed = {
        place_of(theirs, needed=bool(targets) and not by.optional): targets
        for theirs, targets in by.columns.get(kind, {}).items()
    }
    parts = {
        name: tuple(
            _LINE if part == LINE else place_of(part, needed=not by.optional) for part in how.of
        )
        for name, how in by.made.get(kind, {}).items()
    }
    made = {name: how for name, how in by.made.get(kind, {}).items() if _can_be(how, parts[name])}
    used = {place for places in parts.values() for place in places}
    ours: dict[str, int] = {}
    labels: dict[str, int] = {}
    columns = [
        # What the mapping leaves out stands for nothing, and so does what others are made of.
        (theirs, renamed.get(place, () if place in used else (_default(kind, theirs, by),)))
        for place, theirs in enumerate(names)
    ]
    columns += [(f"{name} (made)", (name,)) for name in made]
    for place, (theirs, targets) in enumerate(columns):
        for target in targets:
            into = labels if target.startswith(LABEL) else ours
            name = target.removeprefix(LABEL)
            if name in into:
                why = f"stands for {excerpt(name)}, as another one does"
                raise _refused(table, f"the column {excerpt(theirs)!r} {why}")
            if theirs in table.again and into is ours and name not in SEVERAL:
                why = f"is there twice, and {excerpt(name)} has one value; rename one of them, or "
                why += f'keep it as a label ("{LABEL}<name>")'
                raise _refused(table, f"the column {excerpt(theirs)!r} {why}")
            into[name] = place
            wrong = why_no_target(target)
            if wrong is not None:
                raise _refused(table, f"the column {excerpt(theirs)!r} {wrong}")
    missing = [name for name in REQUIRED[kind] if name not in ours]
    if missing:
        raise _refused(
            table,
            f"there is no column {missing[0]!r}; the first row must be the header, and it is "
            f"{_shown(names)}{_near(missing[0], names)}{_elsewhere(table, kind)}",
        )
    return Header(
        ours=ours,
        labels=dict(sorted(labels.items())),
        theirs=tuple(theirs for theirs, _ in columns),
        as_written=not by.values and not by.absent,
        made=tuple((name, how, parts[name]) for name, how in made.items()),
        numbers=frozenset(
            place
            for place, name in enumerate(names)
            if name in table.numbers or table.mixed.get(name, _OTHER) <= by.absent
        ),
        mixed=frozenset(place for place, name in enumerate(names) if name in table.mixed),
    )


_LINE: Final = -2
"""Where a part of a made column stands that is the line of the row; _NOWHERE: there is none."""
_NOWHERE: Final = -1


def _can_be(how: Made, places: tuple[int, ...]) -> bool:
    """Say whether a column can be made where some of those that it is made of may be missing."""
    if how.how in PAIRS:
        return _NOWHERE not in places
    return not places or any(at != _NOWHERE for at in places)


class _Places:
    """Where the columns stand that a mapping names: as they are written, or in another case."""

    def __init__(self, table: Table, kind: str) -> None:
        self._table = table
        self._kind = kind
        self._written = {name: place for place, name in enumerate(table.columns)}
        self._folded: dict[str, list[int]] = {}
        for name, place in self._written.items():
            self._folded.setdefault(name.casefold(), []).append(place)

    def __call__(self, theirs: str, *, needed: bool = True) -> int:
        """Return the place of a column; of one that need not be there, perhaps _NOWHERE."""
        place = self._written.get(theirs)
        if place is not None:
            return place
        near = self._folded.get(theirs.casefold(), [])
        if len(near) == 1:
            return near[0]
        if not needed:
            return _NOWHERE
        why = f"has {_shown(self._written)}{_near(theirs, self._written)}"
        if near:
            why = "has it more than once, in other cases"
        why += _elsewhere(self._table, self._kind)
        raise _refused(self._table, f"the mapping names a column {theirs!r}; the file {why}")


def _elsewhere(table: Table, kind: str) -> str:
    """Return a hint at a header that stands in another row or sheet; "" where none is likely."""
    hints: list[str] = []
    if " sheets: " in table.said:
        hints.append(f"it is {table.said}; name another sheet with sheet = under [{kind}]")
    if any(map(_UNNAMED.fullmatch, table.columns)):
        hints.append(f"say where the header stands, as header = 3 under [{kind}]")
    return "".join(f"; {hint}" for hint in hints)


_UNNAMED: Final = re.compile(r"column \d+")
"""How a column is called of which the header says nothing."""


def _refused(table: Table, why: str) -> ImportRefusedError:
    return ImportRefusedError(f"{table.name}: {why}; nothing was recorded")


def _default(table: str, theirs: str, by: Translation) -> str:
    """Return what a column stands for that no mapping renames: what nobody knows is a label."""
    if table not in by.logs and theirs.casefold() in OF_LOGS:
        return LABEL + theirs
    return target_of(table, theirs)


def target_of(table: str, name: str) -> str:
    """Return what a name stands for in a table: one of ours, a milestone, else a label."""
    if name.casefold() in TABLES[table] and name.casefold() != A_MARK:
        return name.casefold()
    if name.startswith(MARK) and name != MARK and A_MARK in TABLES[table]:
        return name
    return name if name.startswith(LABEL) else LABEL + name


def why_no_target(target: str) -> str | None:
    """Return why something can't be the name of a label or a milestone; None where it can."""
    try:
        if target.startswith(LABEL):
            checked_id("label", target.removeprefix(LABEL))
        elif target.startswith(MARK):
            checked_milestone("milestone", target.removeprefix(MARK))
    except InvalidValue as error:
        return f"can't be a {error.name}: {error.allowed}"
    return None


def _shown(cells: Iterable[str]) -> str:
    """
    Return the names of columns, for an error, up to 300 characters.

    Each is cut, and where there is only one it is cut short: it may be any file.
    """
    names = [*cells]
    longest = _NAME if len(names) > 1 else _NAME // 2
    whole = ", ".join(names)
    if excerpt(whole, len(whole)) != whole:
        return excerpt(whole)  # it looks like a key
    return excerpt(", ".join(excerpt(name, longest) for name in names), _NAMES)


_NAME: Final = 40
_NAMES: Final = 300


def _near(name: str, names: Iterable[str]) -> str:
    """Return a hint at a column that is called almost so; "" where none is."""
    by_name = {each.casefold(): each for each in names if len(each) <= _NAME}
    near = difflib.get_close_matches(name.casefold(), by_name, n=1, cutoff=0.7)
    return f"; near: {by_name[near[0]]!r}" if near else ""


_MOMENTS: Final = frozenset({*INCIDENT_MOMENTS, *CHANGE_MOMENTS, "updated_at", "reviewed_at"})


class Row:
    """One row under its header: gives values by our names, and gathers what is wrong with them."""

    __slots__ = (
        *("_file", "_places", "cells", "fits", "header", "line", "options"),
        *("outside", "problems"),
    )

    def __init__(self, file: str, header: Header, row: TableRow, options: CsvOptions) -> None:
        self.line = row.line
        self.cells = row.cells
        self.problems: list[Problem] = []
        self.outside: list[tuple[str, str]] = []  # our column, what stands there: no word of ours
        self.header = header
        self.options = options
        self.fits = not row.wrong
        self._file = file
        self._places = header.ours
        if row.wrong:
            self.wrong("", row.wrong)

    def raw(self, name: str) -> str:
        """Return what stands in our column *name*, untouched; "" where there is no such column."""
        place = self._places.get(name)
        return "" if place is None else self.cells[place]

    def text(self, name: str) -> str:
        """Return what it means to us; "" for absent."""
        place = self._places.get(name)
        text = "" if place is None else self.cells[place]
        if not text or self.header.as_written:
            return text
        return self.options.translation.value(name, text)

    def wrong(self, name: str, why: str) -> None:
        """Note what is wrong with one column, or with the row."""
        place = self._places.get(name)
        self.problems.append(
            Problem(
                file=self._file,
                line=self.line,
                column=name if place is None else self.header.theirs[place],
                value="" if place is None else self.cells[place],
                why=why,
            )
        )

    def get(self, name: str, read: Callable[[str, str], T]) -> T | None:
        """Return the value of one column; None where it is absent or wrong."""
        text = self.text(name)
        if not text:
            return None
        try:
            return read(name, text)
        except InvalidValue as error:
            wordy = name in _MOMENTS and not any(map(str.isdigit, text))
            hint = '; where it means "not yet", list it under absent in the mapping' * wordy
            self.wrong(name, error.allowed + hint)
            if name in CLOSED:
                self.outside.append((name, self.raw(name)))
            return None

    def moment(self, name: str) -> Moment | None:
        """Return a moment, which may be uncertain."""
        return self.get(name, self.options.times.moment)

    def moments(self, name: str) -> list[Moment]:
        """Return moments, `;` between; those that never came are left out."""

        def read(_: str, text: str) -> list[Moment]:
            parts = (part.strip() for part in text.split(";"))
            told = (self.options.times.moment(name, part) for part in parts if part)
            return [at for at in told if at is not None]

        return self.get(name, read) or []

    def reference(self, name: str) -> str | None:
        """Return an id with the prefix of its source."""
        return self.get(name, self._known)

    def _known(self, name: str, text: str) -> str:
        return known_id(name, self._referred(name, text))

    def _referred(self, name: str, text: str) -> str:
        """Return the id in the ledger: of the tool that is named, else that of the file."""
        options = self.options
        if not options.source or name == "id":
            return options.prefix + text
        of_other = OF_OTHER.fullmatch(text)
        if of_other is not None:  # "github:42"
            return f"{of_other['source']}/{of_other['id']}"
        return f"{options.translation.refs.get(name, options.source)}/{text}"

    def several(self, name: str) -> tuple[str, ...]:
        """Return texts with `;` between, or what the mapping says, each once."""
        return self._several(name, lambda part: part)

    def references(self, name: str) -> tuple[str, ...]:
        """Return ids with the prefixes of their sources, between as `several`."""
        return self._several(name, lambda part: self._referred(name, part))

    def _several(self, name: str, form: Callable[[str], str]) -> tuple[str, ...]:
        def read(_: str, text: str) -> tuple[str, ...]:
            by = self.options.translation
            for other in by.separators[1:]:
                text = text.replace(other, by.separators[0])
            told = (by.value(name, part) for part in text.split(by.separators[0]))
            return checked_services([form(part) for part in told if part])

        return self.get(name, read) or ()

    def duration(self, name: str) -> int | None:
        """Return a duration in microseconds."""
        by = self.options.translation
        unit = by.units.get(name)
        # A number by its type was written by us, with a point.
        place = self._places.get(name)
        decimal = "." if place in self.header.numbers else by.decimal
        if decimal == "," and place in self.header.mixed:
            # A number by its type has a point, and a text may have one between thousands.
            return self.get(name, lambda n, text: _of_mixed(n, text, unit))
        return self.get(name, lambda n, text: duration(n, text, unit, decimal))

    def labels(self) -> dict[str, str | None]:
        """
        Return what stands in the columns that are labels, by the column's name.

        One whose cell is empty is not there; None, where the mapping says that empty removes.
        """
        labels: dict[str, str | None] = {}
        translation = self.options.translation
        for name, place in self.header.labels.items():
            text = self.cells[place]
            if not text or text in translation.absent:
                if translation.empty_removes:
                    labels[name] = None
            else:
                try:
                    labels[name] = checked_words(name, text)
                except InvalidValue as error:
                    self.wrong(name, error.allowed)
        return labels

    def marks(self) -> Iterator[tuple[str, Moment]]:
        """Yield the milestones of the team's own that have a moment, by their names."""
        for column in self._places:
            if column.startswith(MARK):
                at = self.moment(column)
                if at is not None:
                    yield column.removeprefix(MARK), at


def _of_mixed(name: str, text: str, unit: str | None) -> int:
    """Return a duration of a column in which numbers by their type stand beside texts."""
    if "." in text and "," not in text and not text.endswith(".0"):
        allowed = (
            "numbers by their type and texts stand in this column, so nobody can tell whether the "
            "point is before a fraction: make the column one of both"
        )
        raise InvalidValue(name, text, allowed)
    return duration(name, text, unit, ",")


_OTHER: Final = frozenset({""})
"""No text of a cell: what has none of its own is not within what means nothing."""


def _part(row: TableRow, place: int) -> str:
    if place == _LINE:
        return str(row.line)
    return "" if place == _NOWHERE else row.cells[place]


class Rows:
    """
    The rows of a table under its header.

    Attributes:
        table: The table.
        header: What its columns stand for.
        options: How it is read, with the values of its own table.

    Raises:
        ImportRefusedError: It can't be read as a whole.
    """

    def __init__(self, given: object, kind: str, options: CsvOptions) -> None:
        if not isinstance(options, CsvOptions):
            raise InvalidValue("options", options, "give what csv_options returns")
        by = options.translation.of(kind)
        self.options = options = attrs.evolve(options, translation=by)
        self.table = read_table(
            given,
            name=kind,
            encoding=by.encoding,
            delimiter=by.delimiter,
            sheet=by.sheets.get(kind),
            header=by.headers.get(kind),
        )
        self.header = header_of(self.table, kind, options)

    def __iter__(self) -> Iterator[tuple[Row, bytes]]:
        """Yield each row, also one that does not fit the header, with what it was read from."""
        name, header, options = self.table.name, self.header, self.options
        if header.made:
            yield from self._made()
            return
        for row in self.table.each():
            yield Row(name, header, row, options), row.raw

    def _made(self) -> Iterator[tuple[Row, bytes]]:
        """Yield each row with the cells that are made of its others behind them."""
        header, options = self.header, self.options
        absent, time = options.translation.absent, options.times.time
        last: dict[str, tuple[list[str], str]] = {}  # of a log, row after row is made of the same
        for given in self.table.each():
            cells, wrong = [*given.cells], list[tuple[str, str]]()
            for name, how, places in () if given.wrong else header.made:
                parts = [_part(given, at) for at in places]
                made = last.get(name)
                if made is not None and made[0] == parts:
                    cells.append(made[1])
                    continue
                loose = name == "title" or name.startswith(LABEL)
                try:
                    means = partial(options.translation.value, name)
                    cells.append(how.cell(parts, absent, time, loose=loose, means=means))
                    last[name] = parts, cells[-1]
                except InvalidValue as error:
                    cells.append("")
                    wrong.append(
                        (name, f"{error.name}: {excerpt(str(error.value))!r}: {error.allowed}")
                    )
            row = Row(self.table.name, header, given._replace(cells=cells), options)
            for name, why in wrong:
                row.wrong(name, why)
            yield row, given.raw
