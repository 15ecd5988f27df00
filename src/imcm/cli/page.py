"""
The command that writes a page: figures, pictures and tables as one HTML file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imcm.cli.boards import opened_views
from imcm.cli.common import (
    AsOf,
    KnownAt,
    LedgerPath,
    NoViews,
    PeriodEnd,
    PeriodStart,
    PeriodText,
    ViewsFile,
    Zone,
    known_at_of,
    moment,
    number_of,
    open_period_of,
    say,
    standard_output,
)
from imcm.ledger.reading import LedgerReader

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command("page")
def page(
    out: Annotated[str, typer.Argument(help="File to write; - is standard output.")],
    ledger: LedgerPath,
    start: PeriodStart = None,
    end: PeriodEnd = None,
    window: PeriodText = None,
    service: Annotated[str | None, typer.Option(help="Only this service.")] = None,
    incident: Annotated[
        str | None, typer.Option(help="The page of this incident, with all that is linked to it.")
    ] = None,
    bucket: Annotated[
        str | None, typer.Option(help="Periods: day, week, month, quarter, year, or days.")
    ] = None,
    as_of: AsOf = None,
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

    period = open_period_of(window, start, end, tz)
    others = (period, service, bucket, as_of)
    if incident is not None and any(other is not None for other in others):
        raise typer.BadParameter("--incident goes without a period, --service, --bucket, --as-of")
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
            as_of=moment("--as-of", as_of, tz),
            views=kept,
        )
    if out == "-":
        standard_output().write(made.html.encode())
        return
    made.write(Path(out))
    say(f"{made.title}: written to {out}")
