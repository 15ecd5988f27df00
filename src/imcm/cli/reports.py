"""
The command that computes figures: the report.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import attrs
import typer

from imcm.cli.boards import facts_now
from imcm.cli.common import (
    AsFormat,
    AsJsonFormat,
    AsOf,
    Format,
    KnownAt,
    LedgerPath,
    NoViews,
    PeriodEnd,
    PeriodStart,
    PeriodText,
    ViewsFile,
    Zone,
    format_of,
    json_lines,
    known_at_of,
    moment,
    named_values,
    number_of,
    open_period_of,
    period_of,
    print_document,
    print_json,
    say,
)
from imcm.errors import InvalidValue
from imcm.ledger.reading import LedgerReader
from imcm.plain import quoted
from imcm.projections.facts.fold import Facts
from imcm.projections.facts.instants import FIRST, LAST
from imcm.projections.figures.definition import GROUPS, Definition
from imcm.projections.figures.figure import Figure
from imcm.projections.figures.restore import (
    TimeToAcknowledge,
    TimeToMitigate,
    time_to_acknowledge,
    time_to_mitigate,
)
from imcm.projections.figures.units import SHAPE, zone
from imcm.projections.figures.windows import period_before
from imcm.projections.reports.display import figures_document, levels_of, report_title
from imcm.projections.reports.dora import dora_report, side_by_side

if TYPE_CHECKING:
    from imcm.projections.reports.compare import Comparison

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


def _settings(given: list[str] | None) -> dict[str, Any]:
    """Read --set name=value; a value that is JSON is taken as that, else as text."""
    settings: dict[str, Any] = {}
    for name, value in named_values("--set", given, "statistic=mean"):
        try:
            settings[name] = json.loads(value)
        except json.JSONDecodeError:
            settings[name] = value
        except (ValueError, RecursionError):
            allowed = "a value with fewer digits, and nested less deep"
            raise InvalidValue("--set", f"{name}={value}", allowed) from None
    return settings


def _fitting(cls: type[Definition], settings: Mapping[str, Any]) -> dict[str, Any]:
    names = {attribute.name for attribute in attrs.fields(cls)}
    return {name: value for name, value in settings.items() if name in names}


_REPORT: Final[Mapping[str, Any]] = {
    "shape": SHAPE,
    "preset": None,
    "year": None,
    "figures": [],
    "bands": {},
    "interval_bands": {},
    "compared": [],
    "side_by_side": None,
    "notes": [],
    "as_of": None,
    "log_position": 0,
    "incidents": 0,
    "changes": 0,
}
"""What `report --json` prints always, whatever was asked for."""


def _read(known: Facts) -> dict[str, Any]:
    """Return what a report was made from, for JSON."""
    return {
        "as_of": None if known.as_of is None else known.as_of.isoformat(),
        "log_position": known.log_position,
        "incidents": len(known.incidents),
        "changes": len(known.changes),
    }


@app.command()
def report(
    ledger: LedgerPath,
    start: PeriodStart = None,
    end: PeriodEnd = None,
    window: PeriodText = None,
    last_quarter: Annotated[
        bool, typer.Option("--last-quarter", help='Short for --window "last quarter".')
    ] = False,
    by: Annotated[
        str | None,
        typer.Option("--by", help=f"Group by one of {', '.join(GROUPS)}, or label:<name>."),
    ] = None,
    bucket: Annotated[
        str | None, typer.Option(help="Periods: day, week, month, quarter, year, or days.")
    ] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    tz: Zone = "UTC",
    preset: Annotated[str, typer.Option(help="As which tool counts: dora, devlake, ...")] = "dora",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="An argument of a figure: name=value.")
    ] = None,
    compare_to: Annotated[
        str | None,
        typer.Option("--compare", help="A period to compare with: previous, FROM/TO, or 2025-Q4."),
    ] = None,
    side: Annotated[
        str | None, typer.Option("--side-by-side", help="One metric under every preset, and why.")
    ] = None,
    year: Annotated[int, typer.Option(help="Performance bands of this report year.")] = 2024,
    views: ViewsFile = None,
    no_views: NoViews = False,
    explain: Annotated[bool, typer.Option("--explain", help="Print each figure in full.")] = False,
    population: Annotated[
        bool, typer.Option("--population", help="With --json: list who was counted and who not.")
    ] = False,
    wide: Annotated[
        bool, typer.Option("--wide", help="Print every column in full, however wide.")
    ] = False,
    format: AsFormat = Format.TEXT,
    as_json: AsJsonFormat = False,
) -> None:
    """Print the DORA metrics and the times to acknowledge, mitigate and restore, with intervals."""
    format = format_of(format, as_json)
    as_json = format is Format.JSON
    if population and not as_json:
        raise typer.BadParameter("--population goes with --json")
    if explain and format is not Format.TEXT:
        raise typer.BadParameter("--explain is text: leave out --format")
    if format is Format.CSV and (side is not None or compare_to is not None):
        raise typer.BadParameter("--format csv goes without --side-by-side and --compare")
    if last_quarter:
        if window is not None:
            raise typer.BadParameter("--last-quarter goes without --window")
        window = "last quarter"
    with LedgerReader(ledger) as book:
        if as_of is None and known_at is None:
            known = facts_now(book, ledger, views, no_views)
        elif views is not None:
            raise typer.BadParameter("--views is of now; leave out --as-of and --known-at")
        else:
            cut = known_at_of(known_at, tz, book)
            known = book.facts(as_of=moment("--as-of", as_of, tz), known_at=cut)
    overrides = _settings(settings)
    days = None if bucket is None else number_of(bucket)
    common: dict[str, Any] = {
        "window": open_period_of(window, start, end, tz),
        "time_zone": tz,
        "group_by": by,
        "bucket_by": bucket if days is None else days,
    }
    if side is not None:
        both = side_by_side(known, metric=side, **common)
        if as_json:
            shape = {**_REPORT, "side_by_side": both.as_dict(population=population)}
            print_json({**shape, **_read(known)})
        elif format is Format.TEXT:
            say(*both.explain().splitlines())
        else:
            print_document(both.document(), format)
        return
    dora = dora_report(known, preset=preset, year=year, overrides=overrides, **common)
    figures = [
        time_to_acknowledge(known, **_fitting(TimeToAcknowledge, {**common, **overrides})),
        time_to_mitigate(known, **_fitting(TimeToMitigate, {**common, **overrides})),
        *dora.figures.values(),
    ]
    comparisons: list[Comparison] = []
    not_compared: list[str] = []
    if compare_to is not None:
        from imcm.projections.reports.compare import compare

        common["window"] = _earlier(compare_to, dora.restore, tz)
        before = dora_report(known, preset=preset, year=year, overrides=overrides, **common)
        pairs = [(a, dora.figures[metric]) for metric, a in before.figures.items()]
        defined = [(a, b) for a, b in pairs if a.value is not None and b.value is not None]
        for a, b in pairs:
            if a.value is None or b.value is None:
                when = "in the earlier period" if a.value is None else "now"
                not_compared.append(f"{a.name} is not compared: it is undefined {when}")
        for a, b in defined:
            try:
                comparisons.append(compare(a, b, tried=len(defined)))
            except InvalidValue as error:  # by a preset it may be a mean of groups
                not_compared.append(f"{a.name} is not compared: {error.allowed}")
    if as_json:
        plain = dora.as_dict()
        print_json(
            {
                **_REPORT,
                **{
                    name: plain[name]
                    for name in ("preset", "year", "bands", "interval_bands", "notes")
                },
                "figures": [figure.as_dict(population=population) for figure in figures],
                "compared": [
                    comparison.as_dict(population=population) for comparison in comparisons
                ],
                **_read(known),
            }
        )
        return
    if format is Format.CSV:
        from imcm.interchange.exports.csv_tables import write_figures_csv

        write_figures_csv(figures, json_lines())
        return
    notes = [_count(known), *not_compared, *dora.notes]
    if views is not None:
        kept = f"from what {views} kept: whoever can write that file can change these numbers"
        notes.append(kept)
    notes += [
        f"not read by this version, and in no number: {unread:,} of type {quoted(name)}"
        for name, unread in known.unread.items()
    ]
    if explain:
        for figure in figures:
            say(*figure.explain().splitlines(), "")
        for comparison in comparisons:
            say(*comparison.explain().splitlines(), "")
        say(*notes)
        return
    print_document(
        figures_document(
            [*dora.figures.values(), *figures[:2]],
            title=report_title(dora.deployment_frequency, preset),
            levels=levels_of(dora),
            year=year,
            comparisons=comparisons,
            notes=notes,
        ),
        format,
        wide=wide,
        columns=wide,
    )


def _count(known: Facts) -> str:
    """Return of how many incidents and changes, and how far the log was read."""
    count = f"{len(known.incidents):,} incidents and {len(known.changes):,} changes"
    return f"{count} as of {known.as_of}, log position {known.log_position:,}"


def _earlier(text: str, figure: Figure, tz: str) -> str | tuple[datetime, datetime] | None:
    """Return the period to compare with: the one before that of a figure, or the one named."""
    if text == "previous":
        if figure.window is None or {FIRST, LAST} & {*figure.window}:
            raise typer.BadParameter("--compare previous needs a period with both its ends")
        return period_before(figure.window, zone(tz))
    return period_of(text, None, None, tz)
