"""
The command that writes a page: figures, pictures and tables as one HTML file.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from imcm.cli.boards import opened_views
from imcm.cli.common import (
    KnownAt,
    LedgerPath,
    NoViews,
    ViewsFile,
    Zone,
    known_at_of,
    moment,
    number_of,
    say,
    standard_output,
    window_of,
)
from imcm.ledger.reading import LedgerReader

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


def _period(
    text: str | None, start: str | None, end: str | None, tz: str
) -> str | tuple[datetime | None, datetime | None] | None:
    """Return a period given in words, by its two ends, or by one of them."""
    if text is not None:
        if start is not None or end is not None:
            raise typer.BadParameter("--window goes without --from and --to")
        return text
    if start is not None and end is not None:
        return window_of(start, end, tz)
    if start is None and end is None:
        return None
    return moment("--from", start, tz), moment("--to", end, tz)


@app.command("page")
def page(
    out: Annotated[str, typer.Argument(help="File to write; - is standard output.")],
    ledger: LedgerPath,
    start: Annotated[str | None, typer.Option("--from", help="First moment.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="First moment after the period.")] = None,
    window: Annotated[
        str | None, typer.Option(help='The period in words: 2026-Q1, 2026-03, "last quarter", ...')
    ] = None,
    service: Annotated[str | None, typer.Option(help="Only this service.")] = None,
    incident: Annotated[
        str | None, typer.Option(help="The page of this incident, with all that is linked to it.")
    ] = None,
    bucket: Annotated[
        str | None, typer.Option(help="Periods: day, week, month, quarter, year, or days.")
    ] = None,
    known_at: KnownAt = None,
    tz: Zone = "UTC",
    preset: Annotated[str, typer.Option(help="As which tool counts: dora, devlake, ...")] = "dora",
    year: Annotated[int, typer.Option(help="Performance bands of this report year.")] = 2024,
    limit: Annotated[int, typer.Option(help="At most so many rows of each table.")] = 200,
    views: ViewsFile = None,
    no_views: NoViews = False,
) -> None:
    """Write one HTML file, without network, of a period, a service or an incident."""
    from imcm.page import html_page

    period = _period(window, start, end, tz)
    if incident is not None and (period is not None or service is not None or bucket is not None):
        raise typer.BadParameter("--incident goes without a period, --service and --bucket")
    days = None if bucket is None else number_of(bucket)
    with (
        LedgerReader(ledger) as book,
        opened_views(book, ledger, views, no_views) as kept,
    ):
        made = html_page(
            book,
            window=period,
            service=service,
            incident=incident,
            time_zone=tz,
            bucket_by=bucket if days is None else days,
            preset=preset,
            year=year,
            limit=limit,
            known_at=known_at_of(known_at, tz, book),
            views=kept,
        )
    if out == "-":
        standard_output().write(made.html.encode())
        return
    made.write(Path(out))
    say(f"{made.title}: written to {out}")
