"""
Views as rows of SQL tables and back: one column for each field, by the type of the field.

A moment is text in UTC with microseconds, which sorts as time does; an uncertain one is its two
bounds, with a slash between them. What is a text, a number or a day is one. What has parts, such as
a window, is a column for each of them; all else is JSON, in which moments are written alike, and
an uncertain one is an object. A value that is the field's default is NULL where it is JSON, so that
most rows are short.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from enum import Enum
from operator import attrgetter
from types import NoneType, UnionType
from typing import (
    Any,
    Final,
    Generic,
    NamedTuple,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)
from zlib import crc32

import attrs
import msgspec

from imcm.codec.encoding import stamp, to_json
from imcm.domain.vocabulary import NOTHING_TOLD, Between
from imcm.errors import StoreError

__all__ = [
    "MALFORMED",
    "Column",
    "Columns",
    "damaged",
    "read_moment",
    "seal",
    "stored_moment",
    "unsealed",
]

V = TypeVar("V")

MALFORMED: Final = (
    msgspec.MsgspecError,
    UnicodeDecodeError,
    ValueError,
    TypeError,
    LookupError,
    OverflowError,
    AttributeError,
)
"""What is raised where values are read back that are not as they were written."""


def stored_moment(moment: datetime | Between | None) -> str | None:
    """Return a moment as it is stored: in UTC, or the two bounds of an uncertain one."""
    if moment is None:
        return None
    if isinstance(moment, Between):
        return f"{stored_moment(moment.earliest)}/{stored_moment(moment.latest)}"
    try:
        return stamp(moment)
    except OverflowError:  # in the first or the last hours there are
        return moment.isoformat(timespec="microseconds")


def read_moment(text: str | None) -> Any:
    """Return the moment that a text stands for. Any: a time, or one that is uncertain."""
    if text is None:
        return None
    first, slash, last = text.partition("/")
    if slash:
        return Between(earliest=datetime.fromisoformat(first), latest=datetime.fromisoformat(last))
    return datetime.fromisoformat(first)


class Column(NamedTuple):
    """
    How one field is stored.

    Attributes:
        name, type: Of the column, in SQL.
        write: From values of the field to those of the column, of many rows at once; None where
            they are stored as they are.
        read: From the value of the column back; None likewise.
        holds: What values it has, in words.
        field: The field it is, or is a part of.
    """

    name: str
    type: str
    write: Write | None
    read: Callable[[Any], Any] | None
    holds: str
    field: str


Write = Callable[[Sequence[Any]], Sequence[Any]]
"""From the values of a field of many rows to those of its column. Any: a field is of any type."""


_pack: Final = msgspec.msgpack.Encoder().encode


def seal(values: Sequence[Any]) -> int:
    """
    Return the checksum of the values of a row, which stands behind them.

    A bit of a disk goes bad: what is read then may be in every form right, and another answer.
    """
    return crc32(_pack(values))


def unsealed(row: Sequence[Any]) -> Sequence[Any]:
    """
    Return the values of a row that was sealed.

    Raises:
        ValueError: They are not what was sealed.
    """
    *values, told = row
    if seal(values) != told:
        raise ValueError("a checksum does not fit")
    return values


def damaged(why: object, path: object = "the file") -> StoreError:
    """Return the error that says of a view that can't be read what to do."""
    return StoreError(
        f"a view can't be read ({why}): {path} is damaged; it is derived: delete it, "
        "and it is made again"
    )


_encode: Final = msgspec.json.Encoder(order="deterministic").encode


def _default(attribute: Any) -> Any:
    default: Any = attribute.default
    return default.factory() if isinstance(default, attrs.Factory) else default  # type: ignore[arg-type]


def _column(name: str, field: str, hint: Any, default: Any) -> Column:
    """Return the column of a field. Any: a field is of any type."""
    choices = get_args(hint) if get_origin(hint) in {Union, UnionType} else (hint,)
    types = set(choices) - {NoneType}
    if types <= {datetime, Between}:
        holds = "moment" if Between in types else "time"
        return Column(name, "TEXT", _stored_moments, read_moment, holds, field)
    [kind] = types if len(types) == 1 else [None]
    if kind is bool:
        return Column(name, "INTEGER", _unless_none(int), _flag, "0 or 1", field)
    if kind in _PLAIN:
        type_, holds = _PLAIN[kind]
        # What was given as a whole number comes back as SQLite keeps it.
        return Column(
            name, type_, _unless_none(float) if kind is float else None, None, holds, field
        )
    if kind is date:
        return Column(name, "TEXT", _unless_none(date.isoformat), _day, "day", field)
    if isinstance(kind, type) and issubclass(kind, Enum):
        holds = ", ".join(f"`{member.value}`" for member in kind)
        return Column(name, "TEXT", _member_texts, _member(kind), holds, field)
    holds = "JSON object" if get_origin(kind) is Mapping else "JSON list"
    return Column(name, "TEXT", *_json(hint, default), holds, field)


_PLAIN: Final[Mapping[Any, tuple[str, str]]] = {
    int: ("INTEGER", "whole number"),
    float: ("REAL", "number"),
    str: ("TEXT", "text"),
}


def _only(hint: Any) -> Any:
    """Return the one type of a field that may be None."""
    [kind] = set(get_args(hint)) - {NoneType}
    return kind


def _flag(number: int | None) -> bool | None:
    return None if number is None else bool(number)


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _member_texts(members: Sequence[Any]) -> Sequence[Any]:
    return [None if member is None else member._value_ for member in members]


def _unless_none(write: Callable[[Any], Any]) -> Write:
    return lambda values: [None if value is None else write(value) for value in values]


def _stored_moments(moments: Sequence[datetime | Between | None]) -> Sequence[str | None]:
    """Return what `stored_moment` gives of each; plain times in UTC are written all at once."""
    zones = {moment.tzinfo for moment in moments if isinstance(moment, datetime)}
    if zones != {UTC} or not set(map(type, moments)) <= _PLAIN_TIMES:
        return list(map(stored_moment, moments))
    return [
        text if text is None or len(text) == _LENGTH else f"{text[:-1]}.000000Z"
        for text in _texts_of(to_json(moments))
    ]


_PLAIN_TIMES: Final = frozenset({datetime, NoneType})
_LENGTH: Final = len("2026-03-02T12:00:00.000000Z")
_texts_of: Final = msgspec.json.Decoder(list[str | None]).decode


def _member(kind: type[Enum]) -> Callable[[Any], Any]:
    members: dict[object, Enum | None] = {member.value: member for member in kind}
    members[None] = None

    def read(value: object) -> Enum | None:
        return members[value]

    return read


_ALWAYS: Final = object()
"""The default of what is written whatever it is."""


def _json(hint: Any, default: Any) -> tuple[Write, Callable[[Any], Any]]:
    decode = msgspec.json.Decoder(hint).decode
    told = _told(hint)

    def written(value: Any) -> str | None:
        if value is None or value == default:
            return None
        return _encode(value if told is None else told(value)).decode()

    def write(values: Sequence[Any]) -> Sequence[Any]:
        return [None if value is default else written(value) for value in values]

    def read(text: str | None) -> Any:
        return default if text is None else decode(text)

    return write, read


def _told(hint: Any) -> Callable[[Any], Any] | None:
    """Return what writes the moments in a value as text; None where there can be none in it."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in {Union, UnionType}:
        found = {type_: told for type_ in inner if (told := _told(type_)) is not None}
        if not found:
            return None
        return _told_moment if found.keys() <= {datetime, Between} else _told_unless_none(found)
    if hint in {datetime, Between}:
        return _told_moment
    if origin is tuple:
        return _each(_told(inner[0]))
    if origin is Mapping:
        return _each_value(_told(inner[1]))
    if isinstance(hint, type) and (attrs.has(hint) or hasattr(hint, "_fields")):
        return _parts(hint)
    return None


def _told_moment(moment: datetime | Between | None) -> Any:
    if isinstance(moment, Between):
        return {
            "earliest": stored_moment(moment.earliest),
            "latest": stored_moment(moment.latest),
        }
    return stored_moment(moment)


def _told_unless_none(found: Mapping[Any, Callable[[Any], Any]]) -> Callable[[Any], Any]:
    [told] = found.values()
    return lambda value: None if value is None else told(value)


def _each(told: Callable[[Any], Any] | None) -> Callable[[Any], Any] | None:
    return None if told is None else lambda values: [told(value) for value in values]


def _each_value(told: Callable[[Any], Any] | None) -> Callable[[Any], Any] | None:
    if told is None:
        return None
    return lambda values: {name: told(value) for name, value in values.items()}


def _parts(kind: type) -> Callable[[Any], Any] | None:
    """Return what writes the moments in an object of a class as text."""
    tells = {name: _told(hint) for name, hint in get_type_hints(kind).items()}
    told_parts = [(place, tell) for place, tell in enumerate(tells.values()) if tell is not None]
    if not told_parts:
        return None
    is_list = hasattr(kind, "_fields")

    def told(value: Any) -> Any:
        made = [getattr(value, name) for name in tells]
        for place, tell in told_parts:
            part = made[place]
            if part is not None:
                made[place] = stored_moment(part) if part.__class__ is datetime else tell(part)
        return made if is_list else dict(zip(tells, made, strict=True))

    return told


class _Spread:
    """
    A field whose value has parts, each of which is a column; all are NULL where it is None.

    Args:
        field: Its name.
        kind: The attrs class of its value.
    """

    def __init__(self, field: str, kind: Any) -> None:
        self.field = field
        self.kind = kind
        hints = get_type_hints(kind)
        names = [part.name for part in attrs.fields(kind)]
        self.columns = [
            _column(f"{field}_{name}", f"{field}.{name}", hints[name], _ALWAYS) for name in names
        ]
        self._names = names

    def write(self, values: Sequence[Any]) -> list[Sequence[Any] | None]:
        """Return the columns of the values of the field, each None where it is empty."""
        if _is_empty(values):
            return [None] * len(self.columns)
        return [
            _written(column, [None if value is None else getattr(value, name) for value in values])
            for name, column in zip(self._names, self.columns, strict=True)
        ]

    def read(self, fields: dict[str, Any]) -> Any:
        """Take the values of its columns out of those of a row, and return what they stand for."""
        parts = [fields.pop(column.name) for column in self.columns]
        if all(part is None or part is _ALWAYS for part in parts):
            return None
        if _ALWAYS in parts:
            raise ValueError(f"{self.field} is not whole")
        return self.kind(**dict(zip(self._names, parts, strict=True)))


def _written(column: Column, values: Sequence[Any]) -> Sequence[Any] | None:
    """Return a column of values of a field; None where it is empty, as many are."""
    if _is_empty(values):
        return None
    written = values if column.write is None else column.write(values)
    return None if _is_empty(written) else written


def _is_empty(values: Sequence[Any]) -> bool:
    # Most that are not are seen not to be by the first.
    return values[0] is None and values.count(None) == len(values)


class Columns(Generic[V]):
    """
    The columns of a class of views.

    Args:
        cls: An attrs class.
        without: Fields that are stored elsewhere.
        spread: Fields whose values have parts, each of which is a column; they come last.
        names: Of the columns that have another name than their field.
    """

    def __init__(
        self,
        cls: type[V],
        without: frozenset[str] = frozenset(),
        *,
        spread: tuple[str, ...] = (),
        names: Mapping[str, str] = NOTHING_TOLD,
    ) -> None:
        made: Any = cls
        hints = get_type_hints(cls)
        self.cls: Callable[..., V] = made
        plain = [
            _column(
                names.get(field.name, field.name), field.name, hints[field.name], _default(field)
            )
            for field in attrs.fields(made)
            if field.name not in without and field.name not in spread
        ]
        self._spread = [_Spread(field, _only(hints[field])) for field in spread]
        self.columns = (*plain, *(column for one in self._spread for column in one.columns))
        self.names = tuple(column.name for column in self.columns)
        places = {field.name: place for place, field in enumerate(attrs.fields(made))}
        self.values: Callable[[V], tuple[Any, ...]] = attrgetter(*places)
        self._plain = tuple((places[column.field], column) for column in plain)
        self._spread_at = tuple((places[one.field], one) for one in self._spread)
        parts = self.columns[len(plain) :]
        self._reads = tuple(
            [(column.field, column.read) for column in plain]
            + [(column.name, column.read) for column in parts]
        )

    @property
    def definition(self) -> str:
        """The columns as CREATE TABLE takes them."""
        return ", ".join(f'"{column.name}" {column.type}' for column in self.columns)

    def write(self, views: Iterable[Sequence[Any]]) -> list[Sequence[Any] | None]:
        """
        Return the columns of views, each of which is given as the values of its fields.

        One column after the other: most are of one kind of values throughout, and many are empty.

        Returns:
            The columns in their order, each with a value for each view; None where all are NULL.
        """
        fields = tuple(zip(*views, strict=True))
        written = [_written(column, fields[place]) for place, column in self._plain]
        for place, one in self._spread_at:
            written += one.write(fields[place])
        return written

    def field(self, values: Sequence[Any], name: str) -> Any:
        """Return one field of the view that was stored as these values. Any: of any type."""
        place = self.names.index(name)
        read = self.columns[place].read
        return values[place] if read is None else read(values[place])

    def read(self, values: Sequence[Any], **more: Any) -> V:
        """
        Return the view that was stored as these values; what stands behind them is not of it.

        Raises:
            StoreError: They are none of a view: the file is damaged.
        """
        try:
            fields = {
                name: value if read is None else read(value)
                for (name, read), value in zip(self._reads, values, strict=False)
            }
            for one in self._spread:
                fields[one.field] = one.read(fields)
            return self.cls(**fields, **more)
        except MALFORMED as error:
            raise damaged(error) from error
