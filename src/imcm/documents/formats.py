"""
Which forms a document can have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from imcm.documents.data import csv_of, json_of
from imcm.documents.html import html_page
from imcm.documents.markdown import markdown_of
from imcm.documents.structure import Document, narrowed
from imcm.documents.text import plain_text
from imcm.documents.workbook import workbook_of
from imcm.errors import InvalidValue

FORMATS: Final = ("text", "md", "html", "csv", "json", "xlsx")
"""Names of the forms that a document can have."""


SUFFIXES: Final[Mapping[str, str]] = {
    ".txt": "text",
    ".md": "md",
    ".html": "html",
    ".csv": "csv",
    ".json": "json",
    ".xlsx": "xlsx",
}
"""How files of each form end."""


def rendered(document: Document, format: str, *, wide: bool = True) -> bytes:
    """
    Return a document in one of the `FORMATS`, as the bytes of a file.

    The same document is the same bytes in every zone, locale and process.

    Args:
        document: What is shown.
        format: "text", "md", "html", "csv", "json" or "xlsx".
        wide: Whether Markdown and HTML have the columns that a terminal shows only when asked;
            CSV, JSON and workbooks have all.

    Raises:
        InvalidValue: There is no such format, or it is no document.
        MissingExtraError: A workbook is asked for, and xlsxwriter is not installed.
    """
    if not isinstance(document, Document):
        raise InvalidValue("document", document, "a Document, such as figure.document()")
    match format:
        case "text":
            text = plain_text(document)
        case "md":
            text = markdown_of(document if wide else narrowed(document))
        case "html":
            text = html_page(document if wide else narrowed(document))
        case "csv":
            text = csv_of(document)
        case "json":
            text = json_of(document)
        case "xlsx":
            return workbook_of(document)
        case _:
            raise InvalidValue("format", format, f"one of {', '.join(FORMATS)}")
    # Half of a surrogate pair is no text in UTF-8; `plain` writes it out, JSON escapes it.
    return text.encode()
