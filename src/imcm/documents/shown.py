"""
How a result comes by a document: what knows of documents is loaded when somebody looks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from imcm.errors import InvalidValue

if TYPE_CHECKING:
    from imcm.documents.structure import Document

FIRST_ROWS: Final = 20
"""How many rows of a table a notebook shows."""


def checked_most(most: object) -> int | None:
    """
    Return how many rows a table may have; None for all.

    Raises:
        InvalidValue: It is no number of rows.
    """
    if most is None:
        return None
    if type(most) is not int or most < 0:
        raise InvalidValue("most", most, "a whole number of rows, 0 or more, or None for all")
    return most


class HasDocument(Protocol):
    """What can be shown as a document."""

    def document(self, *, most: int | None = None) -> Document:
        """
        Return it as a document.

        Args:
            most: How many rows a table has at most; None for all.

        Raises:
            InvalidValue: *most* is no number of rows.
        """
        ...


def html_of(result: HasDocument) -> str:
    """Return a result for a notebook: the first rows of its tables, and how many more there are."""
    from imcm.documents.html import html_fragment

    return html_fragment(result.document(most=FIRST_ROWS))


class Shown:
    """
    A result that notebooks show as a small table: whoever has `document` has `_repr_html_`.
    """

    __slots__ = ()

    def _repr_html_(self: HasDocument) -> str:
        """Return it for a notebook: the first rows, and how many more there are."""
        return html_of(self)
