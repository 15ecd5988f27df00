"""
A file as rows: delimiters, encodings, headers, cells.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
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
from imcm.files import checked_path
from imcm.interchange.csv_contract import REQUIRED, TABLES, CsvOptions
from imcm.interchange.mapping import LABEL, OF_OTHER, Problem, duration
from imcm.plain import excerpt

T = TypeVar("T")


# --- a file as rows -------------------------------------------------------------------------------

_BOM: Final = b"\xef\xbb\xbf"
_FOREIGN: Final = (b"\xff\xfe", b"\xfe\xff")
_OTHER_SEPARATORS: Final = (";", "\t", "|")


def _refused(path: Path, line: int, why: str) -> ImportRefusedError:
    return ImportRefusedError(f"{path}:{line}: {why}; nothing was recorded")


def _cells(path: Path) -> Iterator[tuple[int, list[str], bytes]]:
    """Yield (first line, cells, raw bytes) of each row that is not blank, the header included."""
    raw: list[bytes] = []

    def lines() -> Iterator[str]:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if number == 1 and line.startswith(_FOREIGN):
                    raise _refused(path, 1, "it is UTF-16; save it as UTF-8")
                if b"\0" in line:
                    raise _refused(path, number, "it holds a NUL byte, so it is no CSV text")
                content = line.removeprefix(_BOM) if number == 1 else line
                try:
                    text = content.decode()
                except UnicodeDecodeError as error:
                    found = content[error.start : error.start + 1].hex()
                    why = f"byte 0x{found} is not UTF-8; save the file as UTF-8"
                    raise _refused(path, number, why) from None
                raw.append(content)
                yield text

    begin = 1
    reader = csv.reader(lines(), strict=True)
    try:
        for cells in reader:
            if cells:
                yield begin, [cell.strip() for cell in cells], b"".join(raw).rstrip(b"\r\n")
            begin = reader.line_num + 1
            raw.clear()
    except csv.Error as error:
        why = (
            "a quote is opened here and never closed"
            if "unexpected end" in str(error) or "field limit" in str(error)
            else f"it is no CSV: {error}"
        )
        raise _refused(path, begin, why) from None
    except OSError as error:
        raise ImportRefusedError(f"{path} can't be read: {error.strerror}") from None


@attrs.frozen(kw_only=True)
class Header:
    """Where in a row each column stands."""

    ours: Mapping[str, int]
    labels: Mapping[str, int]
    theirs: tuple[str, ...]


def _header(path: Path, table: str, line: int, cells: Sequence[str], options: CsvOptions) -> Header:
    renamed = options.translation.columns.get(table, {})
    if len(cells) == 1:
        other = next((mark for mark in _OTHER_SEPARATORS if mark in cells[0]), None)
        if other is not None:
            raise _refused(
                path, line, f"its columns are separated by {other!r}; save it with commas"
            )
    times = Counter(cells)
    for theirs, targets in renamed.items():
        if targets and theirs not in times:
            why = f"the mapping names a column {theirs!r}; the file has {_shown(cells)}"
            raise _refused(path, line, why)
    ours: dict[str, int] = {}
    labels: dict[str, int] = {}
    for place, theirs in enumerate(cells):
        if not theirs:
            raise _refused(path, line, f"column {place + 1} has no name")
        if times[theirs] > 1 and not renamed.get(theirs, (theirs,)):
            raise _refused(path, line, f"the column {excerpt(theirs)!r} is there twice")
        # What the mapping leaves out stands for nothing.
        for target in renamed.get(theirs, (_default(table, theirs),)):
            into = labels if target.startswith(LABEL) else ours
            name = target.removeprefix(LABEL)
            if name in into or times[theirs] > 1:
                why = f"is there twice, or stands for {excerpt(name)}, as another one does"
                raise _refused(path, line, f"the column {excerpt(theirs)!r} {why}")
            into[name] = place
            try:
                if into is labels:
                    checked_id("label", name)
                elif name.startswith(MARK):
                    checked_milestone("milestone", name.removeprefix(MARK))
            except InvalidValue as error:
                why = f"the column {excerpt(theirs)!r} can't be a {error.name}: {error.allowed}"
                raise _refused(path, line, why) from None
    missing = [name for name in REQUIRED[table] if name not in ours]
    if missing:
        why = (
            f"there is no column {missing[0]!r}; the first row must be the header, and it is "
            f"{_shown(cells)}"
        )
        raise _refused(path, line, why)
    return Header(ours=ours, labels=dict(sorted(labels.items())), theirs=tuple(cells))


def _default(table: str, theirs: str) -> str:
    """Return what a column stands for that no mapping renames: what nobody knows is a label."""
    if theirs.casefold() in TABLES[table] and theirs.casefold() != A_MARK:
        return theirs.casefold()
    if theirs.startswith(MARK) and theirs != MARK and A_MARK in TABLES[table]:
        return theirs
    return LABEL + theirs


def _shown(cells: Sequence[str]) -> str:
    """Return what stands in a row, for an error: a little of it, since it may be any file."""
    return excerpt(", ".join(cells))


class Row:
    """One row under its header: gives values by our names, and gathers what is wrong with them."""

    def __init__(
        self, path: Path, header: Header, line: int, cells: Sequence[str], options: CsvOptions
    ) -> None:
        self.line = line
        self.cells = cells
        self.problems: list[Problem] = []
        self._path = path
        self.header = header
        self.options = options
        self._places = header.ours
        self.fits = len(cells) == len(header.theirs)
        if not self.fits:
            more = "an unquoted comma?" if len(cells) > len(header.theirs) else "cut off?"
            self.wrong(
                "", f"it has {len(cells)} cells where the header has {len(header.theirs)}; {more}"
            )

    def raw(self, name: str) -> str:
        """Return what stands in our column *name*, untouched; "" where there is no such column."""
        place = self._places.get(name)
        return "" if place is None else self.cells[place]

    def text(self, name: str) -> str:
        """Return what it means to us; "" for absent."""
        return self.options.translation.value(name, self.raw(name))

    def wrong(self, name: str, why: str) -> None:
        """Note what is wrong with one column, or with the row."""
        place = self._places.get(name)
        self.problems.append(
            Problem(
                file=str(self._path),
                line=self.line,
                column=name if place is None else self.header.theirs[place],
                value="" if place is None else self.cells[place],
                why=why,
            )
        )

    def get(self, name: str, read: Callable[[str, str], T]) -> T | None:
        """Return the value of one column; None where it is absent or wrong."""
        # Most columns are absent from most files, and this runs for each column of each row.
        text = self.text(name) if name in self._places else ""
        if not text:
            return None
        try:
            return read(name, text)
        except InvalidValue as error:
            self.wrong(name, error.allowed)
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

    def words(self, name: str) -> str | None:
        """Return free text."""
        return self.get(name, checked_words)

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
        """Return texts with `;` between, each once."""
        return self._several(name, lambda part: part)

    def references(self, name: str) -> tuple[str, ...]:
        """Return ids with the prefixes of their sources, `;` between."""
        return self._several(name, lambda part: self._referred(name, part))

    def _several(self, name: str, form: Callable[[str], str]) -> tuple[str, ...]:
        def read(_: str, text: str) -> tuple[str, ...]:
            told = (self.options.translation.value(name, part) for part in text.split(";"))
            return checked_services([form(part) for part in told if part])

        return self.get(name, read) or ()

    def duration(self, name: str) -> int | None:
        """Return a duration in microseconds."""
        unit = self.options.translation.units.get(name)
        return self.get(name, lambda n, text: duration(n, text, unit))

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


def table_of(given: str | Path, table: str, options: CsvOptions) -> Iterator[tuple[Row, bytes]]:
    path = checked_path(table, given)
    if not isinstance(options, CsvOptions):
        raise InvalidValue("options", options, "give what csv_options returns")
    try:
        there, readable = path.exists(), path.is_file()
    except OSError as error:  # a name too long, for one
        raise ImportRefusedError(f"{path} can't be read: {error.strerror}") from None
    if not there:
        raise ImportRefusedError(f"there is no file {path}; nothing was recorded")
    if not readable:
        raise ImportRefusedError(f"{path} is not a file; give a CSV file")
    rows = _cells(path)
    first = next(rows, None)
    if first is None:
        raise ImportRefusedError(f"{path} is empty; its first row must be the header")
    header = _header(path, table, first[0], first[1], options)
    for line, cells, raw in rows:
        yield Row(path, header, line, cells, options), raw
