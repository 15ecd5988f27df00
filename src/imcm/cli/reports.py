"""
The command that computes figures: the report.
"""

from __future__ import annotations

import json
import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Final
from zoneinfo import ZoneInfo

import attrs
import typer

from imcm.cli.boards import facts_now
from imcm.cli.common import (
    AsJson,
    AsOf,
    KnownAt,
    LedgerPath,
    NoViews,
    ViewsFile,
    Zone,
    json_lines,
    known_at_of,
    moment,
    named_values,
    number_of,
    print_json,
    say,
    show,
    window_of,
)
from imcm.errors import InvalidValue
from imcm.ledger.reading import LedgerReader
from imcm.plain import quoted
from imcm.projections.facts.fold import Facts
from imcm.projections.figures.days import day_of
from imcm.projections.figures.definition import GROUPS, Definition
from imcm.projections.figures.figure import Figure
from imcm.projections.figures.restore import (
    TimeToAcknowledge,
    TimeToMitigate,
    time_to_acknowledge,
    time_to_mitigate,
)
from imcm.projections.figures.units import SECONDS, SHAPE, SHARE, shown, zone
from imcm.projections.reports.dora import dora_report, side_by_side

if TYPE_CHECKING:
    from imcm.projections.reports.compare import Comparison

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_BINS: Final = 12


def _distribution(figure: Figure) -> str:
    """Return a small histogram of durations on a log scale, or a bar for a share."""
    if figure.unit == SHARE and figure.value is not None:
        full = round(min(figure.value, 1.0) * _BINS)
        return "█" * full + "░" * (_BINS - full)
    if figure.unit != SECONDS:
        return ""
    values = figure.values()
    first = bisect_right(values, 0)
    if len(values) - first < 2:
        return ""
    low, high = math.log(values[first]), math.log(values[-1])

    def bin_of(value: float) -> int:
        offset = 0.0 if high == low else (math.log(value) - low) / (high - low) * _BINS
        return min(int(offset), _BINS - 1)

    # The values rise, so each bin is one stretch of them.
    edges = [bisect_left(values, number, lo=first, key=bin_of) for number in range(_BINS)]
    counts = [end - start for start, end in pairwise([*edges, len(values)])]
    top = max(counts)
    return "".join(" " if not c else _BLOCKS[math.ceil(c / top * 8) - 1] for c in counts)


def print_figures(
    figures: Iterable[Figure],
    notes: tuple[str, ...] = (),
    bands: Mapping[str, tuple[str, ...]] | None = None,
) -> None:
    """
    Print figures as a table, each with its groups and periods.

    Args:
        notes: What stands behind the name of each.
        bands: The performance levels of figures by their names.
    """
    figures = list(figures)
    parted = any(f.groups or f.buckets for f in figures)
    part_of = ("group, period",) if parted else ()
    columns = ("figure", *part_of, "value", "n", "interval", "short to long", "left out")
    rows: list[list[str]] = []
    for number, figure in enumerate(figures):
        note = notes[number] if number < len(notes) else ""
        level = "/".join((bands or {}).get(figure.name, ()))
        name = f"{figure.name}{f' ({note})' if note else ''}{f' [{level}]' if level else ''}"
        for label, part in _parts(figure):
            cells = [name, label] if parted else [name]
            cells += [_value(part), f"{part.n:,}", _interval(part), _distribution(part), _out(part)]
            rows.append(cells)
            name = ""
    show(columns, rows, right=("n",))


def _parts(figure: Figure) -> Iterator[tuple[str, Figure]]:
    """Yield the figure, its periods, its groups, and their periods, each with its name."""
    yield ("all" if figure.groups or figure.buckets else ""), figure
    home = zone(figure.time_zone)
    for bucket in figure.buckets:
        yield f"from {_day(bucket, home)}", bucket
    for group in figure.groups:
        yield str(group.group), group
        for bucket in group.buckets:
            yield f"{group.group} from {_day(bucket, home)}", bucket


def _day(figure: Figure, home: ZoneInfo) -> str:
    return "" if figure.window is None else f"{day_of(figure.window[0], home)}"


def _value(figure: Figure) -> str:
    value = shown(figure.value, figure.unit)
    return f"{value} ({figure.reason})" if figure.reason else value


def _interval(figure: Figure) -> str:
    interval = figure.interval
    if interval is None or interval.low is None or interval.high is None:
        return ""
    return f"{shown(interval.low, figure.unit)} to {shown(interval.high, figure.unit)}"


def _out(figure: Figure) -> str:
    return ", ".join(f"{n} {why}" for why, n in list(figure.why_left_out().items())[:3])


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


def _period(
    text: str | None, start: str | None, end: str | None, tz: str
) -> str | tuple[datetime | None, datetime | None] | None:
    """Return the window of a report: in words, by its two ends, or by one of them."""
    if text is not None:
        if start is not None or end is not None:
            raise typer.BadParameter("--window goes without --from and --to")
        return text
    if start is not None and end is not None:
        return window_of(start, end, tz)
    if start is None and end is None:
        return None
    return moment("--from", start, tz), moment("--to", end, tz)


@app.command()
def report(
    ledger: LedgerPath,
    start: Annotated[str | None, typer.Option("--from", help="First moment.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="First moment after the period.")] = None,
    window: Annotated[
        str | None, typer.Option(help='The period in words: 2026-Q1, 2026-03, "last quarter", ...')
    ] = None,
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
        typer.Option("--compare", help="An earlier period, FROM/TO or 2025-Q4, to compare with."),
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
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the figures as CSV.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the DORA metrics and the times to acknowledge, mitigate and restore, with intervals."""
    if population and not as_json:
        raise typer.BadParameter("--population goes with --json")
    if as_csv and (as_json or explain or side is not None or compare_to is not None):
        others = "--json, --explain, --side-by-side and --compare"
        raise typer.BadParameter(f"--csv goes without {others}")
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
        "window": _period(window, start, end, tz),
        "time_zone": tz,
        "group_by": by,
        "bucket_by": bucket if days is None else days,
    }
    if side is not None:
        both = side_by_side(known, metric=side, **common)
        if as_json:
            shape = {**_REPORT, "side_by_side": both.as_dict(population=population)}
            print_json({**shape, **_read(known)})
        else:
            say(*both.explain().splitlines())
        return
    dora = dora_report(known, preset=preset, year=year, overrides=overrides, **common)
    figures = [
        time_to_acknowledge(known, **_fitting(TimeToAcknowledge, {**common, **overrides})),
        time_to_mitigate(known, **_fitting(TimeToMitigate, {**common, **overrides})),
        *dora.figures.values(),
    ]
    comparisons: list[Comparison] = []
    if compare_to is not None:
        from imcm.projections.reports.compare import compare

        first, sign, last = compare_to.partition("/")
        common["window"] = window_of(first, last, tz) if sign else compare_to
        before = dora_report(known, preset=preset, year=year, overrides=overrides, **common)
        for a, b in ((before.restore, dora.restore), (before.recovery, dora.recovery),
                     (before.change_failure_rate, dora.change_failure_rate)):  # fmt: skip
            if a.value is not None and b.value is not None:
                comparisons.append(compare(a, b, tried=3))
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
    if as_csv:
        from imcm.interchange.exports.csv_tables import write_figures_csv

        write_figures_csv(figures, json_lines())
        return
    if explain:
        for figure in figures:
            say(*figure.explain().splitlines(), "")
    else:
        levels = {dora.figures[metric].name: levels for metric, levels in dora.bands.items()}
        print_figures(figures, bands=levels)
    for comparison in comparisons:
        say("", *comparison.explain().splitlines())
    count = f"{len(known.incidents):,} incidents and {len(known.changes):,} changes"
    say("", f"{count} as of {known.as_of}, log position {known.log_position:,}", *dora.notes)
    if views is not None:
        say(f"from what {views} kept: whoever can write that file can change these numbers")
    for name, unread in known.unread.items():
        say(f"not read by this version, and in no number: {unread:,} of type {quoted(name)}")
