"""
Documents: headings, paragraphs, lists and tables, apart from how they are shown.

What a result says is put together once, as a `Document`; `rendered` gives it as plain text,
Markdown, HTML, CSV, JSON or an Excel workbook. Text in it may come from anybody, so every renderer
makes it inert: no tag, no link, no escape sequence, no formula. Nothing here reads a clock, a
locale or the machine's zone: the same document is the same bytes, wherever it is made.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from imcm.documents.formats import FORMATS, rendered
    from imcm.documents.html import html_fragment, html_page
    from imcm.documents.markdown import markdown_text
    from imcm.documents.shown import Shown
    from imcm.documents.structure import (
        Block,
        Cell,
        Column,
        Document,
        Heading,
        Items,
        Paragraph,
        Table,
        Word,
    )
    from imcm.documents.text import plain_text

__all__ = [
    "FORMATS",
    "Block",
    "Cell",
    "Column",
    "Document",
    "Heading",
    "Items",
    "Paragraph",
    "Shown",
    "Table",
    "Word",
    "html_fragment",
    "html_page",
    "markdown_text",
    "plain_text",
    "rendered",
]

_HOMES: Final = {
    "FORMATS": "formats",
    "Shown": "shown",
    "html_fragment": "html",
    "html_page": "html",
    "markdown_text": "markdown",
    "plain_text": "text",
    "rendered": "formats",
}
"""In which module a name is, where it is not `structure`."""


if not TYPE_CHECKING:  # results are documents to few who compute them: a renderer is loaded late

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module 'imcm.documents' has no attribute {name!r}")
        home = _HOMES.get(name, "structure")
        return getattr(import_module(f"imcm.documents.{home}"), name)
