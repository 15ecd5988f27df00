"""
Docstrings taken apart: the text, and the named entries of its sections.

Figures make the help of their functions of those of their definitions, and `docs/reference.md` is
written from the same parts.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from functools import cache
from inspect import cleandoc
from typing import Final, NamedTuple

ENTRIES: Final = ("Args", "Attributes", "Raises")
"""Sections of named entries."""

_SECTION: Final = re.compile(rf"^({'|'.join(ENTRIES)}|Returns|Yields):$", re.MULTILINE)

WIDTH: Final = 88
"""How wide help is told: `help()` puts some blanks in front."""


class Docstring(NamedTuple):
    """
    What a docstring says.

    Attributes:
        paragraphs: The text before the sections, paragraph by paragraph, each in one line;
            examples stay as they are, with blanks in front.
        args: What each argument or attribute means, by the names an entry is for.
        raises: What each error says, by its name or names.
        returns: What comes back; "" where nothing is said of it.
    """

    paragraphs: tuple[str, ...] = ()
    args: Mapping[tuple[str, ...], str] = {}
    raises: Mapping[tuple[str, ...], str] = {}
    returns: str = ""

    def meaning(self, name: str) -> str:
        """Return what an argument means; "" where no word is said of it."""
        for names, text in self.args.items():
            if name in names:
                return text
        for names, text in self.args.items():
            if f"*{name}*" in text:  # its entry is that of another one
                return f"see `{', '.join(names)}`"
        return ""


@cache
def parsed(text: str | None) -> Docstring:
    """Return what a docstring says; nothing where there is none, as with `python -OO`."""
    before, *sections = _SECTION.split(cleandoc(text or ""))
    told = dict(zip(sections[::2], map(textwrap.dedent, sections[1::2]), strict=True))
    return Docstring(
        paragraphs=tuple(map(_in_one_line, _paragraphs(before))),
        args={**_entries(told.get("Args", "")), **_entries(told.get("Attributes", ""))},
        raises=_entries(told.get("Raises", "")),
        returns=" ".join((told.get("Returns") or told.get("Yields") or "").split()),
    )


def _paragraphs(text: str) -> list[str]:
    return [part.rstrip() for part in re.split(r"\n\s*\n", text.strip("\n")) if part.strip()]


def _in_one_line(paragraph: str) -> str:
    """Return a paragraph as one line; an example, or a list, line by line."""
    if paragraph.startswith(("    ", "- ")):
        return paragraph
    return " ".join(paragraph.split())


def _entries(section: str) -> dict[tuple[str, ...], str]:
    """Return the entries of a section; each begins with its names, and goes on with blanks."""
    found: list[str] = []
    for line in section.strip("\n").splitlines():
        if line.startswith(" ") or not line:
            found[-1] += f" {line.strip()}"
        else:
            found.append(line)
    told = (entry.partition(": ") for entry in found)
    return {tuple(names.split(", ")): " ".join(text.split()) for names, _, text in told}


def written(doc: Docstring) -> str:
    """Return what a docstring says, as `help()` shows it."""
    lines = ["\n".join(_filled(one)) for one in doc.paragraphs]
    for title, entries in (("Args", doc.args), ("Raises", doc.raises)):
        if entries:
            told = [_entry(names, text) for names, text in entries.items()]
            lines.append("\n".join([f"{title}:", *told]))
    return "\n\n".join(lines)


def _filled(paragraph: str) -> list[str]:
    return [paragraph] if "\n" in paragraph else textwrap.wrap(paragraph, WIDTH)


@cache
def _entry(names: tuple[str, ...], text: str) -> str:
    line = f"{', '.join(names)}: {text}"
    return textwrap.fill(line, WIDTH, initial_indent=" " * 4, subsequent_indent=" " * 8)
