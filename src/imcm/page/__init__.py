"""
A page: one HTML file with the figures, pictures and tables of a period, a service or an incident.

    with LedgerReader("ledger.db") as ledger:
        html_page(ledger, window="2026-Q1").write("q1.html")

It fetches nothing, and lets nothing run but a small script of its own, by its hash: it can be
mailed, attached to a ticket, and opened in ten years. The same log, position and arguments give the
same bytes. docs/page.md says what stands on it.
"""

from __future__ import annotations

from datetime import datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import attrs

from imcm.domain.recorded import checked_known_at
from imcm.domain.vocabulary import checked_text, optional_time
from imcm.errors import InvalidValue
from imcm.interchange.exports.standing_log import checked_reader
from imcm.interchange.exports.targets import Ends, file_to_write
from imcm.projections.figures.units import zone

if TYPE_CHECKING:
    from imcm.ledger.reading import LedgerReader
    from imcm.readmodel.views import Views

__all__ = ["HtmlPage", "WindowGiven", "html_page", "is_page"]

WindowGiven = tuple[datetime | None, datetime | None] | str
"""A period as it can be asked for: see `Definition`."""

MOST_ROWS: Final = 5_000
"""More rows of one table than that make a page that a phone does not open."""


@attrs.frozen(kw_only=True)
class HtmlPage:
    """
    A page, whole: one HTML file that needs no other. Made by `html_page`.

    Attributes:
        title: What it is about.
        html: The file as text, to be written as UTF-8.
        log_position: How far the log was read for it.
    """

    title: str
    html: str
    log_position: int

    def __repr__(self) -> str:
        """Return what it is about, and how large it is."""
        return f"<HtmlPage {self.title!r}, {len(self.html):,} characters>"

    def _repr_html_(self) -> str:
        """Return it as a notebook shows it: in a frame of its own, which reaches nothing else."""
        return (
            f'<iframe srcdoc="{escape(self.html)}" sandbox="allow-scripts" '
            'style="width: 100%; height: 40em; border: 0"></iframe>'
        )

    def write(self, path: str | Path) -> None:
        """
        Write it into a file that is there whole or not at all.

        Args:
            path: The file. Another page that is there is replaced, anything else is not.

        Raises:
            InvalidValue: There is something else already, or the name is that of another kind.
            StoreError: It can't be written.
        """
        suffix = Path(path).suffix.lower() if isinstance(path, (str, Path)) else ""
        if suffix in _OTHERS:
            allowed = "a name that ends in .html; a browser saves the page as PDF"
            raise InvalidValue("path", str(path), allowed)
        with file_to_write(path, "a page of imcm", is_page) as file:
            file.write(self.html.encode())


def html_page(
    ledger: LedgerReader,
    *,
    window: WindowGiven | None = None,
    service: str | None = None,
    incident: str | None = None,
    time_zone: str = "UTC",
    bucket_by: str | int | None = None,
    preset: str = "dora",
    year: int | None = 2024,
    limit: int = 200,
    known_at: int | datetime | None = None,
    as_of: datetime | None = None,
    views: Views | None = None,
) -> HtmlPage:
    """
    Return a page of a period, a service or an incident.

    Args:
        ledger: A ledger, or a reader of one; it is only read.
        window: The period: two times, or text such as "2026-Q1" or "last quarter", as in every
            definition of a figure. None takes all time.
        service: Only what concerns this service.
        incident: The page of this incident instead, with all that is linked to it. It goes without
            *window*, *service*, *bucket_by* and *as_of*.
        time_zone: The IANA zone in which days begin and times are shown.
        bucket_by: By what pictures over time are parted: "day", "week", "month", "quarter",
            "year", or a number of days; None chooses by the length of the period.
        preset: Whose definitions of the figures; see `dora_report`.
        year: The DORA report whose bands are named; None for none.
        limit: At most so many rows of each table, from 1 to 5,000; a table says how many there
            are.
        known_at: As the log was known at a position, or at a time; see `LedgerReader.facts`.
            Default: the whole log.
        as_of: What happened later than this is cut, as in `LedgerReader.facts`: what is open grows
            up to then. Boards, which tell what stands in the log as it is known, are left out.
            Default: the newest stamp that is known.
        views: What stands now, kept by somebody already (`imcm.views`); by default it is read from
            the log.

    Raises:
        UnknownIdError: There is no such incident, or it was not known by then.
        InvalidValue: An argument with a value it cannot have, or a service that nothing names.
        NaiveTimeError: A time without a zone.
        MissingExtraError: What makes the page is not installed.
    """
    from imcm.page.contents import gathered
    from imcm.page.parts import Asked
    from imcm.page.template import rendered
    from imcm.readmodel import views as boards

    ledger = checked_reader(ledger)
    known_at, as_of = checked_known_at(known_at), optional_time("as_of", as_of)
    given: Any = views
    if given is not None and not isinstance(given, boards.Views):
        raise InvalidValue("views", given, "what imcm.views gives, or None")
    asked = Asked(
        window=window,
        service=None if service is None else checked_text("service", service),
        incident=None if incident is None else checked_text("incident", incident),
        time_zone=zone(time_zone).key,
        bucket_by=bucket_by,
        preset=preset,
        year=year,
        limit=_checked_limit(limit),
        as_of=as_of,
    )
    if asked.incident is not None:
        for name, value in (
            *(("window", window), ("service", service), ("bucket_by", bucket_by)),
            ("as_of", as_of),
        ):
            if value is not None:
                raise InvalidValue(name, value, "nothing of it on the page of an incident")
    kept = boards.Views(ledger) if views is None else views
    try:
        now = known_at is None and as_of is None
        facts = kept.facts() if now else ledger.facts(known_at=known_at, as_of=as_of)
        contents = gathered(asked, ledger=ledger, facts=facts, views=kept)
    finally:
        if views is None:
            kept.close()
    html = rendered(contents)
    return HtmlPage(title=contents.title, html=html, log_position=facts.log_position)


def _checked_limit(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_ROWS:
        raise InvalidValue("limit", value, f"a whole number from 1 to {MOST_ROWS:,}")
    return value


_OTHERS: Final = frozenset({".pdf", ".png", ".svg", ".jpg", ".md", ".csv", ".json", ".xlsx"})

_MARK: Final = b"<!doctype html>\n<!-- imcm page -->\n"


def is_page(file: Ends) -> bool:
    """Say whether a file is what `html_page` makes."""
    return file.begin.startswith(_MARK)
