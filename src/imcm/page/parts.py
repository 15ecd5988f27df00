"""
What a page is made of: tables, figures, pictures, sections, and what all of them are made from.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import attrs

from imcm.domain.vocabulary import Between, Moment
from imcm.ledger.reading import LedgerReader
from imcm.page.charts import Shape
from imcm.projections.boards.views import IncidentView
from imcm.projections.facts.fold import ChangeFacts, Facts, IncidentFacts
from imcm.projections.figures.units import (
    instant_of,
    minute,
)
from imcm.readmodel.views import Views

__all__ = [
    "Asked",
    "Card",
    "Cell",
    "Column",
    "Contents",
    "Known",
    "Period",
    "Picture",
    "Row",
    "Section",
    "Table",
]

Period = tuple[datetime, datetime]

Row = IncidentFacts | ChangeFacts
"""What stands of an incident or a change."""

NEVER: Final = 1 << 60
"""Times in the columns of facts that are further from 1970 are none that anybody knows."""


class Column(NamedTuple):
    """A column of a table: its head, and whether it holds numbers, times or durations."""

    name: str
    is_number: bool = False


class Cell(NamedTuple):
    """What a cell says, and by what it is sorted where that is not what it says."""

    text: str
    value: float | None = None


@attrs.frozen(kw_only=True)
class Table:
    """
    A table that can be sorted and filtered.

    Attributes:
        id: Of its place in the page.
        caption: What it shows.
        columns: Its columns; the first one names the row.
        rows: Its rows.
        total: How many there are, those left out of the page included.
        elsewhere: Where the others are; "" where all are here.
    """

    id: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: int
    elsewhere: str = ""


@attrs.frozen(kw_only=True)
class Card:
    """
    A figure: its number and how sure it is, and beneath it how it was made.

    Attributes:
        id: Of its place in the page.
        name: What it is.
        value: For a person; "undefined" where there is none.
        interval: Confidence bounds in words; "" where there are none.
        basis: Of how many it is, or why it is undefined.
        band: The performance band with what its interval reaches; "" where there is none.
        lines: The explanation.
    """

    id: str
    name: str
    value: str
    interval: str
    basis: str
    band: str
    lines: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Picture:
    """
    A drawing, what it says in words, and its data as a table.

    Attributes:
        id: Of its place in the page.
        title: What it shows.
        says: How it is read.
        drawings: SVG by how wide it is.
        table: The numbers that are drawn.
    """

    id: str
    title: str
    says: str
    drawings: Mapping[Shape, str]
    table: Table


@attrs.frozen(kw_only=True)
class Section:
    """A part of a page under a heading of its own."""

    id: str
    title: str
    words: tuple[str, ...] = ()
    about: tuple[tuple[str, str], ...] = ()
    cards: tuple[Card, ...] = ()
    pictures: tuple[Picture, ...] = ()
    tables: tuple[Table, ...] = ()


@attrs.frozen(kw_only=True)
class Contents:
    """
    A page.

    Attributes:
        title: What it is about.
        about: Names and values that say of which log it was made.
        sections: Its parts, in their order.
    """

    title: str
    about: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]


@attrs.frozen(kw_only=True)
class Asked:
    """
    What a page was asked to show: see `imcm.html_page`, which has the same arguments.

    Any: the definitions of figures check them.
    """

    window: Any = None
    service: str | None = None
    incident: str | None = None
    time_zone: str = "UTC"
    bucket_by: Any = None
    preset: Any = "dora"
    year: int | None = 2024
    limit: int = 200
    as_of: datetime | None = None


@attrs.frozen(kw_only=True)
class Known:
    """
    What a page is made from, all of it at one position of one log.

    Attributes:
        asked: What it shows.
        ledger, facts, views: Of the same log.
        home: The zone in which it tells times.
    """

    asked: Asked
    ledger: LedgerReader
    facts: Facts
    views: Views
    home: ZoneInfo

    @property
    def position(self) -> int:
        """How far the log was read."""
        return self.facts.log_position

    @property
    def services(self) -> tuple[str, ...] | None:
        """The services that figures are of; None for all."""
        return None if self.asked.service is None else (self.asked.service,)

    def when(self, moment: Moment | None) -> Cell:
        """Return a moment as a cell, empty where nobody knows it."""
        if moment is None:
            return Cell("")
        seconds = instant_of(moment) / 1_000_000
        if isinstance(moment, Between):
            ends = (minute(end, self.home) for end in (moment.earliest, moment.latest))
            return Cell(" to ".join(ends), seconds)
        return Cell(minute_text(moment, self.home), seconds)


def minute_text(moment: datetime, home: ZoneInfo) -> str:
    """Return a time as the clocks of a zone show it, to the minute."""
    text = minute(moment, home)
    return f"{text} 00:00" if len(text) == len("2026-03-06") else text


def severity_text(view: IncidentView) -> str:
    """Return the rank of an incident, with the team's own name for it where that is another."""
    if view.severity is None:
        return ""
    rank = view.severity.value
    return rank if view.severity_name in {None, rank} else f"{rank} {view.severity_name}"


def name_text(name: object) -> str:
    """Return a name out of a closed list as a person writes it."""
    return str(name).replace("_", " ")
