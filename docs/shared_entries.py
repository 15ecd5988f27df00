"""
How mkdocstrings reads docstrings of this house: an entry may be for several arguments.

    by, at: As of every step.

is one entry here; readers of Google's style know one name for each, so each gets its own.
"""

from __future__ import annotations

import re
from typing import Any, Final

from griffe import Extension, Object

_ENTRY: Final = re.compile(r"^( +)(\*?\w+(?:, \*?\w+)+): (.*)$", re.MULTILINE)


class SharedEntries(Extension):
    """Gives each argument of a shared entry an entry of its own."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Change the docstring of one class or function."""
        if obj.docstring is not None:
            obj.docstring.value = _ENTRY.sub(_separated, obj.docstring.value)


def _separated(entry: re.Match[str]) -> str:
    blanks, names, text = entry.groups()
    first, *others = names.split(", ")
    same = [f"{blanks}{name}: As {first}." for name in others]
    # What goes on over several lines belongs to the first; the others stand before it.
    return "\n".join([*same, f"{blanks}{first}: {text}"])
