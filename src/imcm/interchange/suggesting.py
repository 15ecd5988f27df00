"""
A first mapping for a table, from its header and its values.

    print(suggest_mapping("export.csv"))

What is a guess says so beside it, and what nobody can know is left as a blank: "?", which no
mapping may hold, so that it can't be forgotten.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeAlias

from imcm.domain.vocabulary import A_MARK, MARK, checked_id, checked_milestone
from imcm.errors import ImportRefusedError, InvalidValue
from imcm.interchange.csv_check import rows_in_words
from imcm.interchange.csv_contract import (
    CHANGE_MOMENTS,
    CLOSED,
    INCIDENT_MOMENTS,
    INCIDENT_STATUSES,
    REQUIRED,
    SEVERAL,
    STATUSES,
    TABLES,
    CsvOptions,
    words_for,
)
from imcm.interchange.csv_table import Header, header_of
from imcm.interchange.guesses import COLUMNS, WORDS
from imcm.interchange.made_columns import LINE, Made
from imcm.interchange.mapping import BLANK, DURATIONS, ELSE, LABEL, Translation, read_mapping
from imcm.interchange.ready_mappings import ready_mapping, ready_mappings
from imcm.interchange.tables import Table, read_table
from imcm.interchange.time_shapes import Found, Times
from imcm.interchange.toml_files import toml_text
from imcm.plain import excerpt

__all__ = ["TableName", "suggest_mapping"]

TableName: TypeAlias = Literal["incidents", "changes", "commits"]

_MOMENTS: Final[Mapping[str, frozenset[str]]] = {
    "incidents": frozenset({*INCIDENT_MOMENTS, "reopened_at", "reviewed_at", "updated_at"}),
    "changes": frozenset({*CHANGE_MOMENTS, "planned_start", "planned_end", "updated_at"}),
    "commits": frozenset({"authored_at", "committed_at", "opened_at", "merged_at"}),
}
_ABSENT: Final = frozenset({"-", "--", "n/a", "na", "null", "none", "nil", "\\n", "(null)", "nan"})
_LISTED: Final = 50
"""So many values of a column are written as lines."""
_COUNTED: Final = 1_000
"""So many values of a column are told apart."""
_LONGEST: Final = 200
_SHOWN: Final = 40
_RECOGNISED: Final = 4
"""So many columns of a ready mapping a table has, to be taken for an export of that tool; at least
one of them is called as that tool alone calls it."""
_ZONE: Final = "Europe/Berlin"
_NUMBER: Final = re.compile(r"\d{1,12}(?:[.,]\d{1,12}){0,4}", re.ASCII)
_EITHER: Final = re.compile(r"[1-9]\d{0,2}[.,]\d{3}", re.ASCII)
"""A number that may be a fraction, or thousands."""
_EXACT: Final = re.compile(r"\d{1,3}(?:([.,])\d{3})+(?!\1)([.,])\d+", re.ASCII)
"""A number that shows by which sign thousands are parted, and which stands before the fraction."""
_SEVERAL: Final = re.compile(r"\s*([,|\n])\s*|\s+([/+&])\s+")
"""What may stand between several services in one cell."""
_STARTS: Final[Mapping[str, frozenset[str]]] = {
    "incidents": frozenset({"detected_at", "declared_at", "impact_started_at"}),
    "changes": frozenset({"deployed_at"}),
    "commits": frozenset({"committed_at", "authored_at"}),
}
"""Moments without one of which figures leave a row out."""
_NEVER: Final = 5
"""So many words in columns of times are taken for what means that there is none yet."""
_NEARLY: Final = 10
"""Of so many values of a column of times, one may be none."""
_IDS: Final = 100_000
"""Of so many ids it is looked whether they come again."""
_UNIT_IN_NAME: Final = (
    ("minutes", re.compile(r"\b(?:min|mins|minute|minutes|minuten)\b")),
    ("hours", re.compile(r"\b(?:h|hr|hrs|hour|hours|std|stunden)\b")),
    ("seconds", re.compile(r"\b(?:s|sec|secs|second|seconds|sek|sekunden)\b")),
    ("days", re.compile(r"\b(?:d|day|days|tage)\b")),
)


def suggest_mapping(
    given: object,
    *,
    table: TableName | None = None,
    sheet: str | None = None,
    header: int | None = None,
) -> str:
    """
    Return a first mapping for a table, as the text of a TOML file with comments.

    Where the header is that of a tool's export for which a mapping ships, it is that mapping, with
    lines for what differs. Else columns are guessed by their names, formats of times by trying them
    against all values, and what stands in columns of closed lists is written as lines: a guess says
    so, and "?" is a blank. `import_csv` takes the mapping once the blanks are filled in; times
    without an offset need a zone besides, which is never guessed.

    The same table gives the same text.

    Args:
        given: The table: whatever `imcm.interchange.tables.read_table` takes. All of it is read.
        table: What its rows are: "incidents", "changes", "commits"; None finds out by its columns.
        sheet: The sheet of a workbook; without it the first visible one that is not empty.
        header: The line of a CSV text, or the row of a sheet, in which the header stands, from 1;
            without it the first that is not blank. Both are written into the mapping.

    Raises:
        ImportRefusedError: The table can't be read.
        InvalidValue: There is no such table or sheet, or it is given as something that is none.
    """
    if table is not None and (not isinstance(table, str) or table not in TABLES):
        raise InvalidValue("table", table, f"one of {', '.join(TABLES)}")
    read = read_table(given, name=table or "table", sheet=sheet, header=header)
    basis = (_ready_for(read, table) or _guessed(read, table))._replace(sheet=sheet, first=header)
    seen = _Seen(read, basis)
    return "\n".join(_as_ready(basis, seen) if basis.ready else _as_guess(basis, seen)) + "\n"


# --- what the columns stand for -------------------------------------------------------------------


class _Basis(NamedTuple):
    """
    What columns are taken for.

    Attributes:
        table: What the rows are.
        ready: The name of the ready mapping that is recognised, or "".
        translation: The mapping so far; *header*, what the columns are by it.
        columns: Of guesses: each column, and what it is guessed to be.
        kept: Why some columns have a line of their own though nothing is guessed of them.
        missing: Columns that every row needs and that none is.
        sheet: The sheet that was asked for.
        first: The row of the header that was asked for.
    """

    table: str
    ready: str
    translation: Translation
    header: Header
    columns: Mapping[str, tuple[str, ...]] = {}
    kept: Mapping[str, str] = {}
    missing: tuple[str, ...] = ()
    sheet: str | None = None
    first: int | None = None


def _ready_for(read: Table, table: str | None) -> _Basis | None:
    """Return the ready mapping that takes most columns, where it takes enough of them."""
    best: tuple[int, _Basis] | None = None
    for name in ready_mappings():
        whole = read_mapping(name, tables=TABLES, closed=CLOSED)
        for kind in TABLES if table is None else [table]:
            named = _named_by(whole, kind)
            has = [each for each in read.columns if each.casefold() in named]
            own = [each for each in has if each.casefold() not in COLUMNS[kind]]
            if len(has) < _RECOGNISED or not own or (best and len(has) <= best[0]):
                continue
            by = whole.of(kind)
            try:
                header = header_of(read, kind, CsvOptions(translation=by))
            except ImportRefusedError:
                continue
            if _MOMENTS[kind] & header.ours.keys():
                best = len(has), _Basis(kind, name, by, header)
    return None if best is None else best[1]


def _named_by(by: Translation, table: str) -> set[str]:
    """Return the columns that a mapping takes for something, case-folded."""
    named = {theirs.casefold() for theirs, ours in by.columns.get(table, {}).items() if ours}
    for made in by.made.get(table, {}).values():
        named |= {each.casefold() for each in made.of}
    return named


_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def _spaced(name: str) -> str:
    """Return a name as words in small letters, a blank between: "Created_At", "createdAt"."""
    words = re.sub(r"[\W_]+", " ", _CAMEL.sub(" ", name))
    return words.strip().casefold()


def _guessed(read: Table, table: str | None) -> _Basis:
    """Return what columns are by their names; of the tables, the one with most that are known."""
    tries = [_guess(read, each) for each in (TABLES if table is None else [table])]
    return max(tries, key=_known)


def _known(basis: _Basis) -> int:
    """Return how many columns stand for one of ours, less those that are missing."""
    return len(basis.header.ours) - 2 * len(basis.missing)


def _own(read: Table, table: str) -> set[str]:
    """Return the names of ours that columns have already."""
    own = {name.casefold() for name in read.columns} & {*TABLES[table]}
    return own - {A_MARK, "field", "value"}


def _guess(read: Table, table: str) -> _Basis:
    columns: dict[str, tuple[str, ...]] = {}
    kept: dict[str, str] = {}
    taken = {*_own(read, table)}
    seen: set[str] = set()
    for name in read.columns:
        folded = name.casefold()
        target = folded if folded in taken else None
        again = name in read.again
        if name != name.strip() or not name.strip():
            continue  # a mapping can't name it
        if target is not None and (target in seen or (again and target not in SEVERAL)):
            kept[name] = "it is there more than once"
            columns[name] = (LABEL + name,)
            continue
        if target is not None:
            seen.add(target)
            continue
        guess = COLUMNS[table].get(_spaced(name))
        if guess is not None and guess not in taken and (not again or guess in SEVERAL):
            taken.add(guess)
            seen.add(guess)
            columns[name] = (guess,)
            if guess == "severity" and "severity_name" not in taken:
                taken.add("severity_name")
                columns[name] = ("severity", "severity_name")
        elif not _can_stay(name, table):
            kept[name] = "no label can be called so"
            columns[name] = ()
    missing = tuple(each for each in REQUIRED[table] if each not in seen)
    made = {each: Made(how="join", of=(LINE,)) for each in missing}
    by = Translation(columns={table: columns}, made={table: made})
    header = header_of(read, table, CsvOptions(translation=by))
    return _Basis(table, "", by, header, columns, kept, missing)


def _can_stay(name: str, table: str) -> bool:
    """Say whether a column can be what it is where nothing is said of it."""
    try:
        if name.startswith(MARK) and name != MARK and A_MARK in TABLES[table]:
            checked_milestone("milestone", name.removeprefix(MARK))
        else:
            checked_id("label", name.removeprefix(LABEL))
    except InvalidValue:
        return False
    return not name.startswith(LABEL)


# --- what stands in them --------------------------------------------------------------------------


class _Seen:
    """What stands in the rows of a table: times, words of closed lists, numbers without a unit."""

    def __init__(self, read: Table, basis: _Basis) -> None:
        self.name, self.said = read.name, read.said
        self.rows = 0
        self.wrong_rows = 0
        self.columns = read.columns
        self.times: dict[str, Times] = {}
        self.all_times = Times()
        self.words: dict[str, Counter[str]] = {}
        self.more: set[str] = set()
        self.absent: Counter[str] = Counter()
        self.wordy: dict[str, Counter[str]] = {}  # words among times, by their column
        self.decimal: set[str] = set()
        self.between: Counter[str] = Counter()  # what may stand between several services
        self.bare: Counter[str] = Counter()
        self.either: Counter[str] = Counter()
        self.again = 0  # rows whose id was there before, with other values
        self.moves = ""  # the column whose time is another one in nearly each of them
        self.timed: dict[str, Found] = {}  # columns of times that no name tells
        self._written: dict[tuple[str, str], str] = {}
        self._basis = basis
        places = _places(basis.header, len(read.columns))
        moments = {at for name in _MOMENTS[basis.table] for at in places.get(name, ())}
        self.times = {read.columns[at]: Times() for at in sorted(moments)}
        closed = {name: places[name] for name in CLOSED if name in places}
        durations = {name: places[name] for name in DURATIONS if name in places}
        services = places.get("service", ())
        rest = _Unnamed(read, _open_labels(read, basis))
        repeats = _Repeats(() if basis.ready else places.get("id", ()), {*moments, *rest.times})
        for row in read.each():
            self.rows += 1
            if row.wrong:
                self.wrong_rows += 1
                continue
            for at in moments:
                self._time(read.columns[at], row.cells[at])
            for name, parts in closed.items():
                self._word(name, next((row.cells[at] for at in parts if row.cells[at]), ""))
            for name, parts in durations.items():
                text = next((row.cells[at] for at in parts if row.cells[at]), "")
                if text and not self._is_absent(text) and _NUMBER.fullmatch(text):
                    self.bare[name] += 1
                    typed = all(read.columns[at] in read.numbers for at in parts)
                    self.either[name] += not typed and _EITHER.fullmatch(text) is not None
                    exact = None if typed else _EXACT.fullmatch(text)
                    self.decimal |= set() if exact is None else {exact[2]}
            for at in services:
                told = _SEVERAL.search(row.cells[at])
                if told is not None:
                    self.between[told[1] or told[2]] += 1
            rest.take(row.cells)
            repeats.take(row.cells)
        self.timed = rest.found()
        self.again, moving = repeats.found({*moments, *map(read.columns.index, self.timed)})
        updated = places.get("updated_at", ())
        if moving is not None and (not updated or moving in updated):
            name = read.columns[moving]
            self.moves = "" if name in basis.kept or name in read.again else name
        lacks_start = not _STARTS[basis.table] & basis.header.ours.keys() and not self.moves
        wanted = [name for name in self.timed if lacks_start or name == self.moves]
        for name in wanted:
            self.times[name] = Times()
            self._again(read, name)

    def _again(self, read: Table, name: str) -> None:
        """Take the times of a column that only its values tell."""
        at = read.columns.index(name)
        for row in read.each():
            if not row.wrong:
                self._time(name, row.cells[at])

    def _is_absent(self, text: str) -> bool:
        if text in self._basis.translation.absent:
            return True
        if text.casefold() not in _ABSENT:
            return False
        self.absent[text] += 1
        return True

    def _time(self, column: str, cell: str) -> None:
        for text in filter(None, map(str.strip, cell.split(";"))):
            if self._is_absent(text):
                continue
            self.times[column].add(text)
            self.all_times.add(text)
            words = self.wordy.setdefault(column, Counter())
            if not any(map(str.isdigit, text)) and len(words) < _COUNTED:
                words[text] += 1

    def never(self) -> Counter[str]:
        """Return words that come again among times: they may mean that there is none yet."""
        words = sum(self.wordy.values(), Counter[str]())
        return Counter({text: count for text, count in words.most_common(_NEVER) if count > 1})

    def _word(self, name: str, cell: str) -> None:
        if not cell or self._is_absent(cell):
            return
        meant = self._basis.translation.value(name, cell).casefold()
        if meant in {"", *allowed(self._table, name)}:
            return
        words = self.words.setdefault(name, Counter())
        folded = cell.strip().casefold()
        if folded not in words and len(words) >= _COUNTED:
            self.more.add(name)
            return
        words[folded] += 1
        self._written.setdefault((name, folded), cell.strip())

    @property
    def _table(self) -> str:
        return self._basis.table

    def words_of(self, name: str) -> list[tuple[str, int]]:
        """Return the values that are none of a closed list, the most frequent first."""
        words = self.words.get(name, Counter[str]()).items()
        return [
            (self._written[name, folded], rows)
            for folded, rows in sorted(words, key=lambda each: (-each[1], each[0]))
        ]


def _open_labels(read: Table, basis: _Basis) -> Iterator[int]:
    """Yield where the columns are of which a guess could say something, and none does."""
    for at in () if basis.ready else basis.header.labels.values():
        name = read.columns[at] if at < len(read.columns) else ""
        if name and name == name.strip() and name not in {*basis.columns, *read.again}:
            yield at


class _Unnamed:
    """Columns whose names tell nothing: which of them hold times, or nearly only times."""

    def __init__(self, read: Table, places: Iterable[int]) -> None:
        self._columns = read.columns
        self.times = {at: Times() for at in places if at < len(read.columns)}
        self._tried: Counter[int] = Counter()
        self._wrong: Counter[int] = Counter()

    def take(self, cells: Sequence[str]) -> None:
        for at in [*self.times]:
            text = cells[at]
            if not text or text.casefold() in _ABSENT:
                continue
            self._tried[at] += 1
            self._wrong[at] += not self.times[at].add(text)
            if self._wrong[at] > 1 and self._wrong[at] * _NEARLY > self._tried[at] + _NEARLY:
                del self.times[at]  # so that texts cost nothing any more

    def found(self) -> dict[str, Found]:
        """Return them, in order; bare numbers are no times by themselves."""
        return {
            self._columns[at]: found
            for at, times in self.times.items()
            if self._tried[at] and self._wrong[at] * _NEARLY <= self._tried[at]
            if not _EPOCHS.intersection((found := times.found()).formats)
        }


_EPOCHS: Final = frozenset({"epoch seconds", "epoch milliseconds"})


class _Repeats:
    """Ids that come again, and which times are others then."""

    def __init__(self, ids: Sequence[int], times: Iterable[int]) -> None:
        self._id = ids[0] if len(ids) == 1 else None
        self._times = sorted(times)
        self._last: dict[str, tuple[str, ...]] = {}
        self._moved: Counter[int] = Counter()
        self._again = 0

    def take(self, cells: Sequence[str]) -> None:
        if self._id is None or not cells[self._id]:
            return
        id_, now = cells[self._id], tuple([cells[at] for at in self._times])
        before = self._last.get(id_)
        if before is None and len(self._last) >= _IDS:
            return
        self._last[id_] = now
        if before is None or before == now:
            return
        self._again += 1
        for at, was, new in zip(self._times, before, now, strict=True):
            self._moved[at] += bool(new) and was != new

    def found(self, times: Collection[int]) -> tuple[int, int | None]:
        """Return how many rows have an id again, and the time that moves in nearly all of them."""
        moving = [at for at in self._times if at in times]
        at = max(moving, key=lambda each: self._moved[each], default=None)
        if at is None or not self._again or (self._again - self._moved[at]) * _NEARLY > self._again:
            return self._again, None
        return self._again, at


def allowed(table: str, column: str) -> tuple[str, ...]:
    """Return what a column of a closed list can be in one table, case-folded."""
    if column == "status":
        return INCIDENT_STATUSES if table == "incidents" else STATUSES
    return tuple(word.casefold() for word in CLOSED[column])


def _places(header: Header, columns: int) -> dict[str, tuple[int, ...]]:
    """Return where in the table what stands for each of our columns is; nothing is made anew."""
    made = {
        name: tuple(at for at in parts if at >= 0)
        for name, how, parts in header.made
        if how.how in {"first", "join"}
    }
    return {name: (at,) if at < columns else made.get(name, ()) for name, at in header.ours.items()}


# --- as text --------------------------------------------------------------------------------------


def _q(text: str) -> str:
    """Return a text of the table in quotes for a comment, cut where it is long."""
    return toml_text(excerpt(text, _SHOWN))


def _head(basis: _Basis, seen: _Seen) -> Iterator[str]:
    name = toml_text(Path(seen.name).name[:_LONGEST])
    what = f"{basis.table}: {name}, {rows_in_words(seen.rows)}"
    said = f" ({toml_text(seen.said)[1:-1]})" if seen.said else ""
    yield f"# A first mapping for {what}{said}."
    yield f'# What is a guess says so. Each "{BLANK}" is a blank: no mapping with one is taken.'
    if seen.wrong_rows:
        yield f"# {rows_in_words(seen.wrong_rows)} do not fit the header, and are not looked at."
    if basis.sheet is None and " sheets: " in seen.said:
        yield "# Another sheet is looked at with --sheet, or sheet= in Python."


def _where(basis: _Basis) -> Iterator[str]:
    """Yield the settings that say where the table stands, as they were asked for."""
    if basis.sheet is not None:
        yield f"sheet = {toml_text(basis.sheet)}"
    if basis.first is not None:
        yield f"header = {basis.first}"


def _zone(basis: _Basis, found: Found) -> Iterator[str]:
    if found.naive and basis.translation.tz is None:
        yield (
            f'# tz = "{_ZONE}"  # times without an offset: {found.naive:,}; say whose clock '
            "it was, here or by --tz"
        )


def _formats(basis: _Basis, found: Found) -> Iterator[str]:
    for pair in found.unsure:
        ways = " or ".join(map(toml_text, pair))
        yield f"# Which is the day, which the month? No value shows it, or they contradict: {ways}."
    if not _needs_formats(basis, found):
        return
    formats = [*dict.fromkeys((*basis.translation.time_formats, *found.formats))]
    if found.unsure:
        yield f"time_formats = {_list((*formats, BLANK))}  # and the one that is right"
    else:
        yield f"time_formats = {_list(formats)}  # tried against all values"


def _needs_formats(basis: _Basis, found: Found) -> bool:
    return bool({*found.formats} - {*basis.translation.time_formats} or found.unsure)


def _absent(basis: _Basis, seen: _Seen) -> Iterator[str]:
    texts = seen.absent + seen.never()
    if texts and not basis.translation.absent:
        yield f"absent = {_list(sorted(texts))}  # a guess; cells that have one: {texts.total():,}"


def _separators(seen: _Seen) -> Iterator[str]:
    for sign, rows in seen.between.most_common(1):
        yield (
            f"# separators = {_list([';', sign])}  # in {rows_in_words(rows)} a service has "
            f"{_q(sign)}: several of them?"
        )


def _unread(seen: _Seen) -> Iterator[str]:
    never = seen.never()
    for column, times in seen.times.items():
        found = times.found()
        words = seen.wordy.get(column, Counter[str]())
        wrongs = found.wrongs - sum(count for text, count in words.items() if text in never)
        if not wrongs:
            continue
        some = ", ".join(_q(text) for text in found.wrong if text not in never)
        why = "a date without a time is refused" if found.dates == wrongs else "no time"
        all_of = found.read + wrongs
        yield f"# {_q(column)}: {wrongs:,} of {all_of:,} can't be read ({why}): {some}"


def _as_guess(basis: _Basis, seen: _Seen) -> Iterator[str]:
    table, found = basis.table, seen.all_times.found()
    yield from _head(basis, seen)
    yield from _unread(seen)
    yield ""
    yield from _zone(basis, found)
    yield from _formats(basis, found)
    yield from _absent(basis, seen)
    either = sum(seen.either.values())
    if len(seen.decimal) == 1:
        sign = next(iter(seen.decimal))
        yield f"decimal = {toml_text(sign)}  # a guess: numbers are written so"
    elif either or seen.decimal:
        yield (
            f'decimal = "{BLANK}"  # numbers as "2.880" in {rows_in_words(either)}: which sign '
            'stands before the fraction, "," or "."?'
        )
    yield from _separators(seen)
    yield from _units(basis, seen)
    yield ""
    own_settings = [*_where(basis)]
    if seen.moves:
        own_settings.append(
            f'kind = "log"  # a guess: {rows_in_words(seen.again)} with an id that was there '
            f"before, and another {_q(seen.moves)}: states over time"
        )
    if own_settings:
        yield from (f"[{table}]", *own_settings, "")
    yield f"[{table}.columns]"
    own = sorted(_own_of(basis, seen.columns))
    if own:
        yield f"# Called as ours are: {', '.join(own)}."
    for name in seen.columns:
        yield from _column(basis, seen, name)
    labels = [
        name
        for name in basis.header.labels
        if name not in basis.columns and name not in seen.timed and name != seen.moves
    ]
    if table != "commits" and labels:
        some = ", ".join(_q(name) for name in labels[:_LISTED])
        more = ", ..." if len(labels) > _LISTED else ""
        yield f"# Kept as labels: {some}{more}."
    for name in basis.missing:
        yield (
            f"# No column looks like {name!r}, and every row needs one: write it as "
            f'"<column>" = "{name}"'
        )
    moments = {*INCIDENT_MOMENTS} & basis.header.ours.keys()
    if table == "incidents" and not moments and not seen.moves:
        names = ", ".join(INCIDENT_MOMENTS)
        yield (
            "# No column looks like a moment by its name, and one is needed: "
            f'"<column>" = one of {names}'
        )
    for column in CLOSED:
        if column in seen.words:
            yield ""
            yield f"[{table}.values.{column}]  # {_one_of(table, column, log=bool(seen.moves))}"
            yield from _words(basis, seen, column)


def _own_of(basis: _Basis, columns: Sequence[str]) -> Iterator[str]:
    for name in columns:
        if name not in basis.columns and name.casefold() in basis.header.ours:
            yield name.casefold()


def _column(basis: _Basis, seen: _Seen, name: str) -> Iterator[str]:
    if name == seen.moves and name not in _places_of(basis, seen, "updated_at"):
        yield f'{toml_text(name)} = "updated_at"  # a guess: its time moves with the rows of an id'
        return
    if name in seen.timed:
        found = seen.timed[name]
        how = f" as {_list(found.formats)}" if found.formats else ""
        all_of = found.read + found.wrongs
        one_of = ", ".join(sorted(_MOMENTS[basis.table]))
        what = f"times{how} in {found.read:,} of {rows_in_words(all_of)}"
        if name in seen.times:
            yield f'{toml_text(name)} = "{BLANK}"  # {what}: one of {one_of}; or "" to leave it out'
        else:
            yield f"# {toml_text(name)}: {what}; kept as a label, or it is one of {one_of}"
        return
    targets = basis.columns.get(name)
    if targets is None:
        return
    stands = toml_text(targets[0]) if len(targets) == 1 else _list(targets)
    stands = '""' if not targets else stands
    why = basis.kept.get(name, "a guess by its name")
    yield f"{toml_text(name)} = {stands}  # {why}"


def _places_of(basis: _Basis, seen: _Seen, column: str) -> list[str]:
    """Return what the table calls one of our columns."""
    places = _places(basis.header, len(seen.columns)).get(column, ())
    return [seen.columns[at] for at in places]


def _list(texts: Iterable[str]) -> str:
    return f"[{', '.join(map(toml_text, texts))}]"


def _units(basis: _Basis, seen: _Seen) -> Iterator[str]:
    needed = [name for name in DURATIONS if seen.bare[name]]
    if not needed:
        return
    yield ""
    yield "[units]"
    for name in needed:
        column = seen.columns[_places(basis.header, len(seen.columns))[name][0]]
        unit = next((u for u, pattern in _UNIT_IN_NAME if pattern.search(_spaced(column))), None)
        why = "a guess by its name" if unit else "minutes, seconds, hours or days?"
        rows = rows_in_words(seen.bare[name])
        yield f"{name} = {toml_text(unit or BLANK)}  # {_q(column)}, numbers alone in {rows}: {why}"


def _one_of(table: str, column: str, *, log: bool = False) -> str:
    return f'one of {", ".join(words_for(table, column, log=log))}; or "" for absent'


def _words(basis: _Basis, seen: _Seen, column: str) -> Iterator[str]:
    words = seen.words_of(column)
    written: set[str] = set()
    for value, rows in words[:_LISTED]:
        key = toml_text(value)
        if value == ELSE or len(value) > _LONGEST or key in written:
            yield f"# {_q(value)}: {rows_in_words(rows)}; it can't be named here"
            continue
        written.add(key)
        guess = WORDS.get(column, {}).get(_spaced(value)) or _ranked(column, value)
        if guess is not None and guess.casefold() not in {"", *allowed(basis.table, column)}:
            guess = None
        why = "" if guess is None else "; a guess"
        meant = BLANK if guess is None else guess
        yield f"{key} = {toml_text(meant)}  # {rows_in_words(rows)}{why}"
    if len(words) > _LISTED or column in seen.more:
        yield f'# and more: is it a closed list at all? Everything else: "{ELSE}" = ""'


_RANKED: Final = re.compile(r"(?:p|prio|priority|sev|severity|s)?\s*([1-5])\s*[-–:. ]\s*\D+")


def _ranked(column: str, value: str) -> str | None:
    """Return the severity of a word that begins with its rank: "1 - crit"."""
    found = _RANKED.fullmatch(value.strip().casefold()) if column == "severity" else None
    return None if found is None else f"P{min(int(found[1]), 4)}"


def _as_ready(basis: _Basis, seen: _Seen) -> Iterator[str]:
    """Yield a ready mapping, with what differs: a comment before it, lines where they belong."""
    found = seen.all_times.found()
    yield from _head(basis, seen)
    yield f"# It looks like an export that --mapping {basis.ready} takes; this is that mapping."
    yield from _unread(seen)
    yield from _zone(basis, found)
    yield from _formats(basis, found)
    yield from _absent(basis, seen)
    yield from _separators(seen)
    yield "#"
    lines = _without_formats(ready_mapping(basis.ready).splitlines(), basis, found)
    added = {column: list(_words(basis, seen, column)) for column in CLOSED if column in seen.words}
    where = [*_where(basis)]
    for line in lines:
        if where and line.startswith(f"[{basis.table}."):
            yield from (f"[{basis.table}]", *where, "")
            where = []
        yield line
        for column in [*added]:
            if line == f"[{basis.table}.values.{column}]":
                yield from _of_table(basis, column, added.pop(column))
    for column, more in added.items():
        yield ""
        yield f"[{basis.table}.values.{column}]"
        yield from _of_table(basis, column, more)


def _without_formats(lines: Iterable[str], basis: _Basis, found: Found) -> Iterator[str]:
    """Yield the lines of a ready mapping, its formats left out where others stand above."""
    needed = _needs_formats(basis, found)
    inside = False
    for line in lines:
        inside = inside or (needed and line.startswith("time_formats = ["))
        if not inside:
            yield line
        inside = inside and not line.endswith("]")


def _of_table(basis: _Basis, column: str, lines: Iterable[str]) -> Iterator[str]:
    yield f"# Not known to this mapping; {_one_of(basis.table, column)}:"
    yield from lines
