"""
How mkdocstrings reads the code of this house.

An entry of a docstring may be for several arguments:

    by, at: As of every step.

Readers of Google's style know one name for each, so each gets an entry of its own. And figures
are functions made of their definitions: they are shown as they are at run time.
"""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from typing import Any, Final

from griffe import (
    Attribute,
    Docstring,
    Extension,
    Function,
    Module,
    Object,
    Parameter,
    ParameterKind,
    Parameters,
)

_ENTRY: Final = re.compile(r"^( +)(\*?\w+(?:, \*?\w+)+): (.*)$", re.MULTILINE)


class SharedEntries(Extension):
    """Gives each argument of a shared entry its own, and figures their arguments."""

    def on_module_members(self, *, mod: Module, **_: Any) -> None:
        """Put the functions that a module of figures makes in the place of its assignments."""
        for name, member in list(mod.members.items()):
            is_made = isinstance(member, Attribute) and str(member.value).startswith(
                "figure_function("
            )
            if is_made:
                mod.set_member(name, _function(mod, name))

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Change the docstring of one class or function."""
        if obj.docstring is not None:
            obj.docstring.value = separated(obj.docstring.value)


def separated(text: str) -> str:
    """Return a docstring in which each argument has an entry of its own."""
    return _ENTRY.sub(_entries, text)


def _entries(entry: re.Match[str]) -> str:
    blanks, names, text = entry.groups()
    first, *others = names.split(", ")
    same = [f"{blanks}{name}: As {first}." for name in others]
    # What goes on over several lines belongs to the first; the others stand before it.
    return "\n".join([*same, f"{blanks}{first}: {text}"])


def _function(mod: Module, name: str) -> Function:
    made = getattr(import_module(mod.path), name)
    signature = inspect.signature(made)
    parameters = [
        Parameter(
            each.name,
            kind=ParameterKind.keyword_only
            if each.kind is each.KEYWORD_ONLY
            else ParameterKind.positional_or_keyword,
            annotation=_written(each.annotation),
            default=None if each.default is each.empty else repr(each.default),
        )
        for each in signature.parameters.values()
    ]
    function = Function(
        name, parameters=Parameters(*parameters), returns=_written(signature.return_annotation)
    )
    function.docstring = Docstring(separated(inspect.getdoc(made) or ""), parent=function)
    return function


def _written(annotation: object) -> str | None:
    if annotation is inspect.Parameter.empty:
        return None
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
