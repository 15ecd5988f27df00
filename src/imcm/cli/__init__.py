"""
The command line: a few lines over the library for each command.

Reading commands open the ledger read-only; only `demo`, `import` and `backup` create a file.
Exit status: 0 done, 1 refused or wrong input (one line on standard error says what to do),
2 wrong usage.
"""

from __future__ import annotations

import itertools
import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import attrs
import typer
from rich.markup import escape
from rich.table import Table

from imcm.cli.audit import audit_app
from imcm.cli.common import (
    AsJson,
    AsOf,
    KnownAt,
    LedgerPath,
    Zone,
    entry_dict,
    err,
    fail,
    known_at_of,
    moment,
    named,
    one_line,
    opened,
    out,
    print_json,
    progress_bar,
    window_of,
)
from imcm.domain import change, incident
from imcm.domain.lifecycle import Answer
from imcm.domain.recorded import CHANGE, INCIDENT
from imcm.errors import ImcmError, InvalidValue, UnknownIdError
from imcm.follower import KeptFacts
from imcm.interchange import csv_files, jsonl
from imcm.ledger import Ledger, LedgerReader
from imcm.projections.anomalies import anomalies
from imcm.projections.compare import Comparison, compare
from imcm.projections.dora import dora_report, side_by_side
from imcm.projections.facts import Facts
from imcm.projections.failures import change_failure_rate
from imcm.projections.figure import SECONDS, SHAPE, SHARE, Definition, Figure, shown, zone
from imcm.projections.restore import (
    TimeToAcknowledge,
    TimeToMitigate,
    time_to_acknowledge,
    time_to_mitigate,
    time_to_restore,
)
from imcm.projections.timeline import Entry, timeline
from imcm.story import StoryClock, tell
from imcm.telling import told_entry, told_moment

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, rich_markup_mode=None)
import_app = typer.Typer(no_args_is_help=True, help="Bring history in.")
export_app = typer.Typer(no_args_is_help=True, help="Write the log out.")
app.add_typer(import_app, name="import")
app.add_typer(export_app, name="export")
app.add_typer(audit_app, name="audit")

# --- demo -----------------------------------------------------------------------------------------


@app.command()
@one_line
def demo(
    ledger: Annotated[
        Path | None, typer.Option("--ledger", help="Keep the story in this new file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell a story through the library: a bad Friday evening, and a canary rollout after it."""
    clock = StoryClock()
    if ledger is not None and ledger.exists():
        fail(f"{ledger} exists already; name a new file")
    made = Ledger.in_memory(clock=clock) if ledger is None else Ledger(ledger, clock=clock)
    refusals: list[str] = []
    with made as book:
        tell(book, clock, refusals.append)
        entries = timeline(book.replay(), incident="INC-204")
        known = book.facts()
    figures = [
        time_to_restore(known, start=("impact_started", "detected")),
        time_to_restore(known),
        time_to_mitigate(known),
        change_failure_rate(known),
    ]
    if as_json:
        print_json(
            {
                "refusals": refusals,
                "timeline": [entry_dict(entry) for entry in entries],
                "figures": [figure.as_dict() for figure in figures],
            }
        )
        return
    out.print("[bold]A Friday evening, and what came after it[/bold]\n")
    for refusal in refusals:
        out.print(f"refused, as asked for: {escape(refusal)}\n")
    _print_timeline(entries)
    out.print()
    named = ("from the first failed payment", "from detection", "from detection", "")
    _print_figures(figures, named)
    for odd in anomalies(known):
        out.print(f"\nto be looked at: {odd.kind} {odd.id}: {odd.oddity.value} ({odd.detail})")
    where = "" if ledger is None else f" The ledger is {ledger}."
    out.print(f"\n{len(entries)} events, each kept as it was told.{escape(where)}")


# --- import and export ----------------------------------------------------------------------------


@import_app.command("csv")
@one_line
def import_csv(
    ledger: LedgerPath,
    incidents: Annotated[Path | None, typer.Option(help="CSV file of incidents.")] = None,
    changes: Annotated[Path | None, typer.Option(help="CSV file of changes.")] = None,
    commits: Annotated[Path | None, typer.Option(help="CSV file of commits.")] = None,
    source: Annotated[str | None, typer.Option(help="Name of the tool it comes from.")] = None,
    tz: Annotated[str | None, typer.Option(help="IANA zone of times without an offset.")] = None,
    time_format: Annotated[
        list[str] | None, typer.Option(help="A strptime format; may be given again.")
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(help="TOML file that renames columns and values.")
    ] = None,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Import the good rows, list the bad ones.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Import incidents, changes and commits from CSV files; run it again after a change."""
    if incidents is None and changes is None and commits is None:
        raise typer.BadParameter("give at least one of --incidents, --changes, --commits")
    new = not ledger.exists()
    with Ledger(ledger) as book, progress_bar("importing") as progress:
        try:
            report = csv_files.import_csv(
                book,
                incidents=incidents,
                changes=changes,
                commits=commits,
                source=source,
                tz=tz,
                time_format=time_format,
                mapping=mapping,
                keep_going=keep_going,
                progress=progress,
            )
        except ImcmError:
            if new and len(list(itertools.islice(book.rows(), 2))) == 1:
                book.close()
                _remove_ledger(ledger)  # made a moment ago for this import, and still empty
            raise
    if as_json:
        print_json(attrs.asdict(report))
    else:
        out.print(
            f"{report.rows_imported:,} of {report.rows_read:,} rows imported: "
            f"{report.histories:,} incidents and changes, {report.events:,} new events"
        )
        for problem in report.problems:
            err.print(escape(str(problem)))
        if report.problems_found > len(report.problems):
            err.print(f"... and {report.problems_found - len(report.problems):,} more")
    if report.problems:
        raise typer.Exit(1)


def _remove_ledger(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


@import_app.command("jsonl")
@one_line
def import_jsonl(
    file: Annotated[Path, typer.Argument(help="A log exported as JSONL.")],
    ledger: LedgerPath,
    append: Annotated[
        bool, typer.Option("--append", help="Into a filled ledger, as imported history.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Restore an exported log into a new ledger, or append it to one as imported history."""
    with opened(file) as lines:
        if append:
            with Ledger(ledger) as book:
                count = book.append_rows(jsonl.read(lines))
        else:
            with Ledger.restored(ledger, jsonl.read(lines)) as book:
                count = sum(1 for _ in book.rows())
    if as_json:
        print_json({"events": count})
    else:
        out.print(f"{count:,} events in {escape(str(ledger))}")


@export_app.command("jsonl")
@one_line
def export_jsonl(
    ledger: LedgerPath,
    to: Annotated[
        Path | None, typer.Option(help="File to write; standard output if absent.")
    ] = None,
    words: Annotated[
        bool, typer.Option("--words/--no-words", help="Leave free text and names out.")
    ] = True,
) -> None:
    """Write the log, one recorded event a line, byte for byte as it is stored."""
    with LedgerReader(ledger) as book:
        if to is None:
            jsonl.write(book.rows(), sys.stdout.buffer, words=words)
            return
        if to.exists():
            fail(f"{to} exists already; name a new file")
        with to.open("wb") as file:
            count = jsonl.write(book.rows(), file, words=words)
    out.print(f"{count:,} events written to {escape(str(to))}")


@app.command()
@one_line
def backup(ledger: LedgerPath, to: Annotated[Path, typer.Option(help="The new file.")]) -> None:
    """Copy a ledger, its newest events included, while others may be recording in it."""
    with LedgerReader(ledger) as book:
        book.backup(to)
    out.print(f"copied to {escape(str(to))}")


# --- reading --------------------------------------------------------------------------------------


def _print_timeline(entries: tuple[Entry, ...]) -> None:
    rows = [(told_moment(e.at), e.id, e.by) for e in entries]
    if not out.is_terminal:  # whole lines, for grep and diff
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        for entry, row in zip(entries, rows, strict=True):
            cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
            out.print(escape("  ".join((*cells, told_entry(entry)))))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("when", "id", "who", "what"):
        table.add_column(name, no_wrap=name != "what", overflow="fold")
    for entry, (when, id_, by) in zip(entries, rows, strict=True):
        what = escape(told_entry(entry))
        what = what if entry.voided_by is None else f"[strike]{what}[/strike]"
        table.add_row(when, escape(id_), escape(by), what)
    out.print(table)


@app.command("timeline")
@one_line
def show_timeline(
    ledger: LedgerPath,
    id: Annotated[str | None, typer.Argument(help="An incident or a change.")] = None,
    service: Annotated[str | None, typer.Option(help="Only this service.")] = None,
    start: Annotated[str | None, typer.Option("--from", help="First moment.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="First moment after the period.")] = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    tz: Zone = "UTC",
    as_json: AsJson = False,
) -> None:
    """Show what happened when: of one incident or change, of a service, or of a period."""
    with LedgerReader(ledger) as book:
        one = named(book, id)
        period = window_of(start, end, tz)
        entries = timeline(
            book.replay(),
            **one,  # type: ignore[arg-type]
            service=service,
            window=period,
            as_of=moment("--as-of", as_of, tz),
            known_at=known_at_of(known_at, tz),
        )
    if as_json:
        print_json([entry_dict(entry) for entry in entries])
    elif entries:
        _print_timeline(entries)
    else:
        out.print("nothing happened there")


_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_BINS: Final = 12


def _distribution(figure: Figure) -> str:
    """Return a small histogram of durations on a log scale, or a bar for a share."""
    if figure.unit == SHARE and figure.value is not None:
        full = round(min(figure.value, 1.0) * _BINS)
        return "█" * full + "░" * (_BINS - full)
    if figure.unit != SECONDS:
        return ""
    values = [value for value in figure.values() if value > 0]
    if len(values) < 2:
        return ""
    low, high = math.log(values[0]), math.log(values[-1])
    counts = [0] * _BINS
    for value in values:
        place = 0.0 if high == low else (math.log(value) - low) / (high - low) * _BINS
        counts[min(int(place), _BINS - 1)] += 1
    top = max(counts)
    return "".join(" " if not c else _BLOCKS[math.ceil(c / top * 8) - 1] for c in counts)


def _print_figures(
    figures: Iterable[Figure],
    notes: tuple[str, ...] = (),
    bands: Mapping[str, tuple[str, ...]] | None = None,
) -> None:
    figures = list(figures)
    parted = any(f.groups or f.buckets for f in figures)
    columns = ["figure", "group, period", "value", "n", "interval", "short to long", "left out"]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        if name != "group, period" or parted:
            table.add_column(name, justify="right" if name == "n" else "left")
    for number, figure in enumerate(figures):
        note = notes[number] if number < len(notes) else ""
        level = "/".join((bands or {}).get(figure.name, ()))
        name = f"{figure.name}{f' ({note})' if note else ''}{f' [{level}]' if level else ''}"
        for part, one in _parts(figure):
            cells = [escape(name), escape(part)] if parted else [escape(name)]
            cells += [_value(one), f"{one.n:,}", _interval(one), _distribution(one), _out(one)]
            table.add_row(*cells)
            name = ""
    out.print(table)


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
    return "" if figure.window is None else f"{figure.window[0].astimezone(home):%Y-%m-%d}"


def _value(figure: Figure) -> str:
    value = shown(figure.value, figure.unit)
    return f"{value} ({figure.reason})" if figure.reason else value


def _interval(figure: Figure) -> str:
    found = figure.interval
    if found is None or found.low is None or found.high is None:
        return ""
    return f"{shown(found.low, figure.unit)} to {shown(found.high, figure.unit)}"


def _out(figure: Figure) -> str:
    return escape(", ".join(f"{n} {why}" for why, n in list(figure.why_left_out().items())[:3]))


def _settings(given: list[str] | None) -> dict[str, Any]:
    """Read --set name=value; a value that is JSON is taken as that, else as text."""
    settings: dict[str, Any] = {}
    for text in given or ():
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise InvalidValue("--set", text, "name=value, for example statistic=mean")
        try:
            settings[name] = json.loads(value)
        except json.JSONDecodeError:
            settings[name] = value
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
@one_line
def report(
    ledger: LedgerPath,
    start: Annotated[str | None, typer.Option("--from", help="First moment.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="First moment after the period.")] = None,
    by: Annotated[
        str | None, typer.Option("--by", help="Group by service, severity, ... or label:<name>.")
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
        str | None, typer.Option("--compare", help="An earlier period, FROM/TO, to compare with.")
    ] = None,
    side: Annotated[
        str | None, typer.Option("--side-by-side", help="One metric under every preset, and why.")
    ] = None,
    year: Annotated[int, typer.Option(help="Performance bands of this report year.")] = 2024,
    kept: Annotated[
        Path | None,
        typer.Option(
            help="Keep what is read in this file: the next report reads only what is new."
        ),
    ] = None,
    explain: Annotated[bool, typer.Option("--explain", help="Print each figure in full.")] = False,
    population: Annotated[
        bool, typer.Option("--population", help="With --json: list who was counted and who not.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print the DORA metrics and the times to acknowledge, mitigate and restore, with intervals."""
    if population and not as_json:
        raise typer.BadParameter("--population goes with --json")
    with LedgerReader(ledger) as book:
        if kept is None:
            cut = known_at_of(known_at, tz)
            known = book.facts(as_of=moment("--as-of", as_of, tz), known_at=cut)
        elif as_of is not None or known_at is not None:
            raise typer.BadParameter("--kept is of now; leave out --as-of and --known-at")
        else:
            with (
                progress_bar("reading") as progress,
                KeptFacts(kept, book, progress=progress) as follower,
            ):
                known = follower.facts()
    overrides = _settings(settings)
    common: dict[str, Any] = {
        "window": window_of(start, end, tz),
        "time_zone": tz,
        "group_by": by,
        "bucket_by": int(bucket) if bucket is not None and bucket.isdigit() else bucket,
    }
    if side is not None:
        both = side_by_side(known, metric=side, **common)
        if as_json:
            shape = {**_REPORT, "side_by_side": both.as_dict(population=population)}
            print_json({**shape, **_read(known)})
        else:
            out.print(escape(both.explain()))
        return
    told = dora_report(known, preset=preset, year=year, overrides=overrides, **common)
    figures = [
        time_to_acknowledge(known, **_fitting(TimeToAcknowledge, {**common, **overrides})),
        time_to_mitigate(known, **_fitting(TimeToMitigate, {**common, **overrides})),
        *told.figures.values(),
    ]
    comparisons: list[Comparison] = []
    if compare_to is not None:
        first, sign, last = compare_to.partition("/")
        period = window_of(first, last if sign else None, tz)
        common["window"] = period
        before = dora_report(known, preset=preset, year=year, overrides=overrides, **common)
        for a, b in ((before.restore, told.restore), (before.recovery, told.recovery),
                     (before.change_failure_rate, told.change_failure_rate)):  # fmt: skip
            if a.value is not None and b.value is not None:
                comparisons.append(compare(a, b, tried=3))
    if as_json:
        plain = told.as_dict()
        print_json(
            {
                **_REPORT,
                **{name: plain[name] for name in ("preset", "year", "bands", "notes")},
                "figures": [one.as_dict(population=population) for one in figures],
                "compared": [one.as_dict(population=population) for one in comparisons],
                **_read(known),
            }
        )
        return
    if explain:
        for figure in figures:
            out.print(escape(figure.explain()) + "\n")
    else:
        levels = {told.figures[metric].name: levels for metric, levels in told.bands.items()}
        _print_figures(figures, bands=levels)
    for comparison in comparisons:
        out.print("\n" + escape(comparison.explain()))
    count = f"{len(known.incidents):,} incidents and {len(known.changes):,} changes"
    out.print(f"\n{count} as of {known.as_of}, log position {known.log_position:,}")
    for line in told.notes:
        out.print(escape(line))


@app.command("next")
@one_line
def next_(
    id: Annotated[str, typer.Argument(help="An incident or a change.")],
    ledger: LedgerPath,
    by: Annotated[str | None, typer.Option(help="Who would do it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say which steps are possible now, and which guard refuses each other one and why."""
    with LedgerReader(ledger) as book:
        found: dict[str, tuple[Answer, ...]] = {}
        if book.history(f"{INCIDENT}:{id}"):
            found[INCIDENT] = incident.next_steps(book.incident(id), by=by)
        if book.history(f"{CHANGE}:{id}"):
            found[CHANGE] = change.next_steps(book.change(id), by=by)
    if not found:
        raise UnknownIdError("incident or change", id)
    if as_json:
        print_json(
            {
                kind: [
                    {
                        "step": one.step,
                        "possible": one.possible,
                        "guard": one.guard,
                        "why": one.why,
                    }
                    for one in answers
                ]
                for kind, answers in found.items()
            }
        )
        return
    marks = {True: "yes", False: "no", None: "depends"}
    for kind, answers in found.items():
        table = Table(box=None, pad_edge=False, header_style="bold", title=f"{kind} {escape(id)}")
        for name in ("step", "possible", "guard", "why"):
            table.add_column(name)
        for one in sorted(answers, key=lambda one: (one.possible is False, one.possible is None)):
            table.add_row(one.step, marks[one.possible], one.guard, escape(one.why))
        out.print(table)


def main() -> None:
    """Run the command line."""
    app()
