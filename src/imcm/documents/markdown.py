"""
Documents as Markdown, for a ticket, a wiki or a repository.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from imcm.documents.structure import (
    Cell,
    Document,
    Heading,
    Items,
    Paragraph,
    Table,
    Word,
    cell_text,
)
from imcm.errors import InvalidValue
from imcm.plain import plain


def markdown_of(document: Document) -> str:
    """Return a document as Markdown with tables: text is text, and nothing of it is markup."""
    blocks = [f"# {markdown_text(document.title)}"]
    for block in document.blocks:
        match block:
            case Heading():
                blocks.append(f"{'#' * block.level} {markdown_text(block.text)}")
            case Paragraph():
                blocks.append(_line(block.text))
            case Items():
                blocks.append("\n".join(f"- {_line(text)}" for text in block.texts))
            case Table():
                blocks.append("\n".join(_table(block)))
    return "\n\n".join(blocks) + "\n"


def _table(table: Table) -> Iterator[str]:
    if not table.rows:
        yield f"{markdown_text(table.title)}: none"
        return
    if table.title:
        yield f"**{markdown_text(table.title)}**"
        yield ""
    yield f"| {' | '.join(markdown_text(column.head) for column in table.columns)} |"
    rules = ("---:" if column.kind == "number" else "---" for column in table.columns)
    yield f"|{'|'.join(rules)}|"
    for row in table.rows:
        yield f"| {' | '.join(map(_cell, row))} |"
    if table.more:
        yield ""
        yield f"... and {table.more:,} more"


def _cell(cell: Cell) -> str:
    text = markdown_text(cell_text(cell))
    return f"~~{text}~~" if isinstance(cell, Word) and cell.tone == "struck" and text else text


def _line(text: str) -> str:
    """Return text that begins a line: what would be a list or a rule there is none."""
    shown = markdown_text(text).strip()
    return _BEGINS.sub(lambda sign: f"{sign[1]}\\{sign[2]}", shown, count=1)


_BEGINS: Final = re.compile(r"^(\d{0,9})([-+.)=])(?=\s|$|[-=])")


def markdown_text(text: str) -> str:
    """
    Return *text* so that Markdown shows it as it is, on one line, also in a cell of a table.

    What a terminal would obey or hide is written out, as `imcm.plain.plain` does; every sign that
    Markdown could take for its own has a backslash in front. Sites make links of @name and #7
    whatever stands before them, so these two signs stand as code.

    Args:
        text: What it is.
    """
    if not isinstance(text, str):
        raise InvalidValue("text", text, "give text")
    return _SIGNS.sub(_as_text, plain(text))


# A colon makes a link of a bare address or an emoji, a dot behind www a link, a dollar sign a
# formula, braces a template.
_SIGNS: Final = re.compile(r"([@#]+)|[\\`*_{}\[\]<>|~&:^$]|(?<=www)\.", re.IGNORECASE)


def _as_text(sign: re.Match[str]) -> str:
    # Several at once are one piece of code: two pieces side by side would not be told apart.
    return f"`{sign[0]}`" if sign[1] else f"\\{sign[0]}"
