"""
Views as rows of SQL tables and back: one column for each field, by the type of the field.

A moment is text in UTC with microseconds, which sorts as time does; an uncertain one is its two
bounds, with a slash between them. What is a text, a number or a day is one; all else is JSON. A
value that is the field's default is NULL where it is JSON, so that most rows are short.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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

from imcm.domain.vocabulary import Between
from imcm.errors import StoreError

__all__ = ["Column", "Columns", "damaged", "moment_of", "moment_text", "sealed", "unsealed"]

V = TypeVar("V")


def moment_text(moment: datetime | Between | None) -> str | None:
    """Return a moment as it is stored: in UTC, or the two bounds of an uncertain one."""
    if isinstance(moment, Between):
        return f"{moment_text(moment.earliest)}/{moment_text(moment.latest)}"
    if moment is None:
        return None
    try:
        moment = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    except OverflowError:  # in the first or the last hours there are
        return moment.isoformat(timespec="microseconds")
    return moment.isoformat(timespec="microseconds")[:_TO_MICROSECONDS] + "Z"


_TO_MICROSECONDS: Final = len("2026-03-06T18:00:00.000000")


def moment_of(text: str | None) -> Any:
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
    """

    name: str
    type: str
    write: Callable[[Any], Any] | None
    read: Callable[[Any], Any] | None


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


def _column(attribute: Any, hint: Any) -> Column:
    """Return the column of a field. Any: a field is of any type."""
    name = attribute.name
    choices = get_args(hint) if get_origin(hint) in {Union, UnionType} else (hint,)
    types = set(choices) - {NoneType}
    if types <= {datetime, Between}:
        return Column(name, "TEXT", moment_text, moment_of)
    [kind] = types if len(types) == 1 else [None]
    if kind is bool:
        return Column(name, "INTEGER", int, bool)
    if kind is float:
        return Column(name, "REAL", float, None)
    if kind in {int, str}:
        return Column(name, {int: "INTEGER", str: "TEXT"}[kind], None, None)
    if kind is date:
        return Column(name, "TEXT", _day_text, _day)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return Column(name, "TEXT", _member_text, _member(kind))
    return _json(name, hint, _default(attribute))


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


def _json(name: str, hint: Any, default: Any) -> Column:
    decode = msgspec.json.Decoder(hint).decode

    def write(value: Any) -> str | None:
        if value is default or value == default:
            return None
        return _encode(value).decode()

    def read(text: str | None) -> Any:
        return default if text is None else decode(text)

    return Column(name, "TEXT", write, read)


class Columns(Generic[V]):
    """
    The columns of a class of views.

    Args:
        cls: An attrs class.
        without: Fields that are stored elsewhere.
    """

    def __init__(self, cls: type[V], without: frozenset[str] = frozenset()) -> None:
        made: Any = cls
        hints = get_type_hints(cls)
        self.cls: Callable[..., V] = made
        self.columns = tuple(
            _column(field, hints[field.name])
            for field in attrs.fields(made)
            if field.name not in without
        )
        self.names = tuple(column.name for column in self.columns)
        self._values: Callable[[V], tuple[Any, ...]] = attrgetter(*self.names)
        self._writes = tuple(
            (index, column.write)
            for index, column in enumerate(self.columns)
            if column.write is not None
        )
        self._reads = tuple((column.name, column.read) for column in self.columns)

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
            fields: Mapping[str, Any] = {
                name: value if read is None else read(value)
                for (name, read), value in zip(self._reads, values, strict=False)
            }
            return self.cls(**fields, **more)
        except (
            *(msgspec.MsgspecError, UnicodeDecodeError, ValueError, TypeError),
            *(LookupError, OverflowError, AttributeError),
        ) as error:
            raise damaged(error) from error
