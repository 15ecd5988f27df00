"""
The arguments of a tool, made from the signature and the docstring of a function.
"""

from __future__ import annotations

import copy
import re
import types
import typing
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import Enum
from inspect import Parameter, signature
from typing import Annotated, Any, Final, Union, cast, get_args, get_origin

import msgspec

from imcm.docstrings import Docstring
from imcm.errors import InvalidValue

# Any: functions of any signature, and values that are plain JSON.
Function = typing.Callable[..., Any]

_LISTS: Final = (Iterable, Sequence, Collection)


def arguments_of(
    name: str,
    function: Function,
    *,
    meanings: Sequence[Docstring],
    hidden: Collection[str],
    optional: Collection[str] = (),
    more: Mapping[str, tuple[Any, str]] | None = None,
) -> type[msgspec.Struct]:
    """
    Return a class that holds the arguments of a tool, and refuses others.

    Args:
        name: The tool's.
        function: What it calls; its first parameter, the state or the session, is no argument.
        meanings: Docstrings that say what arguments mean, the nearest first.
        hidden: Arguments that whoever calls the tool does not give.
        optional: Those that the function needs and the tool can do without.
        more: Arguments of the tool alone, each with its type and its meaning; they are required,
            but for those in *optional*.
    """
    hints = typing.get_type_hints(function)
    fields: list[tuple[str, Any, Any]] = []
    required: list[tuple[str, Any]] = []
    for argument, (type_, meaning) in (more or {}).items():
        if argument in optional:
            fields.append((argument, _described(type_ | None, meaning), None))
        else:
            required.append((argument, _described(type_, meaning)))
    for parameter in list(signature(function).parameters.values())[1:]:
        if parameter.name in hidden:
            continue
        type_ = _as_json(hints[parameter.name])
        meaning = next(filter(None, (doc.meaning(parameter.name) for doc in meanings)), "")
        if parameter.default is not Parameter.empty:
            fields.append((parameter.name, _described(type_, meaning), parameter.default))
        elif parameter.name in optional:
            fields.append((parameter.name, _described(type_ | None, meaning), None))
        else:
            required.append((parameter.name, _described(type_, meaning)))
    return msgspec.defstruct(
        name, [*required, *fields], forbid_unknown_fields=True, kw_only=True, frozen=True
    )


def _described(type_: Any, meaning: str) -> Any:
    return Annotated[type_, msgspec.Meta(description=meaning)] if meaning else type_


def _as_json(hint: Any) -> Any:
    """Return the type of what stands in JSON for values of a type."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        members = tuple(dict.fromkeys(_as_json(member) for member in inner))
        if str in members:  # of which a name of a closed list is one
            members = tuple(m for m in members if not _is_enum(m))
        union = members[0]
        for member in members[1:]:
            union = union | member
        return union
    if origin in _LISTS:
        return list[_as_json(inner[0])]  # type: ignore[misc]  # a type made at run time
    if origin is Mapping:
        return dict[inner[0], _as_json(inner[1])]  # type: ignore[misc,valid-type]
    return hint


def _is_enum(type_: Any) -> bool:
    return isinstance(type_, type) and issubclass(type_, Enum)


def schema_of(arguments: type[msgspec.Struct]) -> dict[str, Any]:
    """
    Return the JSON Schema of a tool's arguments: an object, with what it names beside it.

    What each argument means stands in it; of what stands beside it, the names of its parts do, in
    few words: an agent reads the schemas of all tools before it calls one.
    """
    made = msgspec.json.schema(arguments)
    parts: dict[str, Any] = made.get("$defs", {})
    for part in parts.values():
        for extra in ("title", "description"):
            part.pop(extra, None)
    top: dict[str, Any] = parts.pop(made["$ref"].rpartition("/")[2])
    return {**top, "$defs": parts} if parts else top


def read_arguments(arguments: type[msgspec.Struct], given: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the arguments of a call as values, those that were given and no others.

    Raises:
        InvalidValue: One is missing, is none of the tool's, or is of another type.
    """
    names = [field.name for field in msgspec.structs.fields(arguments)]
    for name in given:
        if name not in names:
            raise InvalidValue(name, given[name], f"this tool takes {', '.join(names)}")
    read = _converted(arguments, given)
    for name in names:
        at = getattr(read, name)
        if isinstance(at, datetime) and at.utcoffset() is None:
            raise InvalidValue(name, given[name], A_TIME)
    return {name: getattr(read, name) for name in names if given.get(name) is not None}


A_TIME: Final = "a time in ISO 8601 with its offset, as 2026-03-02T09:00:00Z"
_NO_TIME: Final = "Invalid RFC3339 encoded datetime"
_AT: Final = re.compile(r" - at `\$\.(\w+)(?:\.(\w+))?`$")
_MINUTES: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d)(Z|[+-]\d\d:?\d\d)?", re.ASCII)


def _converted(arguments: type[msgspec.Struct], given: Mapping[str, Any]) -> Any:
    """
    Return the arguments of a call as their types; a time may end with its minutes.

    Raises:
        InvalidValue: One can't be read.
    """
    told = copy.deepcopy(dict(given))
    while True:
        try:
            return msgspec.convert(told, arguments)
        except msgspec.ValidationError as wrong:
            if not _with_seconds(told, str(wrong)):
                raise _refused(arguments, given, str(wrong)) from None


def _with_seconds(told: dict[str, Any], why: str) -> bool:
    """Give the time of which an error speaks its seconds, if that is what it lacks."""
    where = _AT.search(why) if why.startswith(_NO_TIME) else None
    if where is None:
        return False
    inner = told if where[2] is None else told.get(where[1])
    if not isinstance(inner, dict):
        return False
    holder = cast("dict[str, object]", inner)
    key = where[2] or where[1]
    text = holder.get(key)
    found = _MINUTES.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return False
    holder[key] = f"{found[1]}:00{found[2] or ''}"
    return True


_ABSENT: Final = re.compile(r"missing required field `(\w+)`$")
_WHERE: Final = re.compile(r" - at `(?:key in )?\$\.?(\w+)")


def _refused(arguments: type[msgspec.Struct], given: Mapping[str, Any], why: str) -> InvalidValue:
    """Return what is wrong with a call: the argument, what was given, and what is allowed."""
    schema = schema_of(arguments)
    absent, where = _ABSENT.search(why), _WHERE.search(why)
    name = where[1] if where else absent[1] if absent else ""
    if name not in schema["properties"]:
        return InvalidValue("arguments", given, why)
    said = schema["properties"][name]
    choices = list(dict.fromkeys(_choices(said, schema.get("$defs", {}))))
    allowed = "it is required" if name not in given else why.partition(" - at ")[0]
    if why.startswith(_NO_TIME):
        allowed = A_TIME
    if choices:
        some = f"one of {', '.join(map(str, choices))}"
        allowed = some if name in given else f"{allowed}: {some}"
    elif name not in given and said.get("description"):
        allowed += f": {said['description']}"
    return InvalidValue(name, given.get(name), allowed)


def _choices(schema: Mapping[str, Any], parts: Mapping[str, Any]) -> Iterator[object]:
    """Yield the values of the closed lists that an argument, or each item of it, takes."""
    yield from schema.get("enum", ())
    if "const" in schema:
        yield schema["const"]
    if "$ref" in schema:
        yield from _choices(parts[schema["$ref"].rpartition("/")[2]], parts)
    for inner in schema.get("anyOf", ()):
        yield from _choices(inner, parts)
    if isinstance(schema.get("items"), dict):
        yield from _choices(schema["items"], parts)
