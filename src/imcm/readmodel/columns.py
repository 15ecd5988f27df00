"""
Views as rows of SQL tables and back: one column for each field, by the type of the field.

A moment is text in UTC with microseconds, which sorts as time does; an uncertain one is its two
bounds, with a slash between them. What is a text, a number or a day is one. What has parts, such as
a window, is a column for each of them; all else is JSON, in which moments are written alike, and
an uncertain one is an object. A value that is the field's default is NULL where it is JSON, so that
most rows are short.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
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

from imcm.codec.encoding import stamp
from imcm.domain.vocabulary import NOTHING_TOLD, Between
from imcm.errors import StoreError

__all__ = [
    "MALFORMED",
    "Column",
    "Columns",
    "damaged",
    "read_moment",
    "sealed",
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
    if isinstance(moment, Between):
        return f"{stored_moment(moment.earliest)}/{stored_moment(moment.latest)}"
    if moment is None:
        return None
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
        write, read: From the value of the field, where there is one, and back; None where it is
            stored as it is.
        holds: What values it has, in words.
        field: The field it is, or is a part of.
    """

    name: str
    type: str
    write: Callable[[Any], Any] | None
    read: Callable[[Any], Any] | None
    holds: str
    field: str


_pack: Final = msgspec.msgpack.Encoder().encode


def sealed(values: list[Any]) -> list[Any]:
    """
    Return the values of a row with their checksum behind them.

    A bit of a disk goes bad: what is read then may be in every form right, and another answer.
    """
    return [*values, crc32(_pack(values))]


def unsealed(row: Sequence[Any]) -> Sequence[Any]:
    """
    Return the values of a row that was sealed.

    Raises:
        ValueError: They are not what was sealed.
    """
    *values, seal = row
    if crc32(_pack(values)) != seal:
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
        return Column(name, "TEXT", stored_moment, read_moment, holds, field)
    [kind] = types if len(types) == 1 else [None]
    if kind is bool:
        return Column(name, "INTEGER", int, _flag, "0 or 1", field)
    if kind in _PLAIN:
        type_, holds = _PLAIN[kind]
        # What was given as a whole number comes back as SQLite keeps it.
        return Column(name, type_, float if kind is float else None, None, holds, field)
    if kind is date:
        return Column(name, "TEXT", _day_text, _day, "day", field)
    if isinstance(kind, type) and issubclass(kind, Enum):
        holds = ", ".join(f"`{member.value}`" for member in kind)
        return Column(name, "TEXT", _member_text, _member(kind), holds, field)
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


def _day_text(day: date) -> str:
    return day.isoformat()


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


_member_text: Final = attrgetter("_value_")


def _member(kind: type[Enum]) -> Callable[[Any], Any]:
    members: dict[object, Enum | None] = {member.value: member for member in kind}
    members[None] = None

    def read(value: object) -> Enum | None:
        return members[value]

    return read


_ALWAYS: Final = object()
"""The default of what is written whatever it is."""


def _json(hint: Any, default: Any) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    decode = msgspec.json.Decoder(hint).decode
    told = _told(hint)

    def write(value: Any) -> str | None:
        if value is default or value == default:
            return None
        return _encode(value if told is None else told(value)).decode()

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
        return _told_moment if found.keys() <= {datetime, Between} else _unless_none(found)
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


def _unless_none(found: Mapping[Any, Callable[[Any], Any]]) -> Callable[[Any], Any]:
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
    if not any(tells.values()):
        return None

    def told(value: Any) -> Any:
        parts = ((name, getattr(value, name), tell) for name, tell in tells.items())
        made = {name: part if tell is None else tell(part) for name, part, tell in parts}
        return list(made.values()) if isinstance(value, tuple) else made

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

    def write(self, value: Any) -> list[Any]:
        if value is None:
            return [None] * len(self.columns)
        parts = [getattr(value, name) for name in self._names]
        return [
            part if part is None or column.write is None else column.write(part)
            for part, column in zip(parts, self.columns, strict=True)
        ]

    def read(self, fields: dict[str, Any]) -> Any:
        """Take the values of its columns out of those of a row, and return what they stand for."""
        parts = [fields.pop(column.name) for column in self.columns]
        if all(part is None or part is _ALWAYS for part in parts):
            return None
        if _ALWAYS in parts:
            raise ValueError(f"{self.field} is not whole")
        return self.kind(**dict(zip(self._names, parts, strict=True)))


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
        self._values: Callable[[V], tuple[Any, ...]] = attrgetter(
            *(column.field for column in plain)
        )
        self._writes = tuple(
            (index, column.write) for index, column in enumerate(plain) if column.write is not None
        )
        parts = self.columns[len(plain) :]
        self._reads = tuple(
            [(column.field, column.read) for column in plain]
            + [(column.name, column.read) for column in parts]
        )

    @property
    def definition(self) -> str:
        """The columns as CREATE TABLE takes them."""
        return ", ".join(f'"{column.name}" {column.type}' for column in self.columns)

    def write(self, view: V) -> list[Any]:
        """Return the values of a view in the order of the columns."""
        values = list(self._values(view))
        for index, write in self._writes:
            value = values[index]
            if value is not None:
                values[index] = write(value)
        for one in self._spread:
            values += one.write(getattr(view, one.field))
        return values

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
