"""
Commands that ask what stands now: lists of incidents, changes, actions, approvals, what is live.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from imcm.cli.common import (
    AsJson,
    KnownAt,
    LedgerPath,
    NoViews,
    ShownIn,
    ViewsFile,
    Zone,
    flush,
    in_zone,
    known_at_of,
    later,
    moment,
    named,
    named_values,
    opened,
    print_json,
    print_timeline,
    progress_bar,
    say,
    show,
)
from imcm.domain.change_events import ChangeStatus
from imcm.domain.vocabulary import Authority, Moment, Window
from imcm.errors import InvalidValue, StoreError
from imcm.ledger import LedgerReader
from imcm.projections.boards.views import ChangeView, IncidentView
from imcm.projections.facts.fold import Facts
from imcm.projections.figures.units import SECONDS, SHAPE, shown
from imcm.readmodel.views import Page, Views, views

if TYPE_CHECKING:
    from imcm.projections.histories.timeline import Timeline
from imcm.wording import moment_text

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
list_app = typer.Typer(no_args_is_help=True, help="List what stands now: boards for every day.")
app.add_typer(list_app, name="list")

WORTH: Final = 20_000
"""From so many events on, what was read is kept for the next command."""


def cached(ledger_id: str) -> Path:
    """Return where what was read of a ledger is kept for this user, where nothing else is named."""
    from platformdirs import user_cache_path

    name = ledger_id.rpartition("/")[2]
    if not name.isalnum():
        raise InvalidValue("ledger_id", ledger_id, "an id as ledgers here have")
    return user_cache_path("imcm", appauthor=False) / f"{name}.views"


def beside(ledger: Path) -> Path:
    """Return where whoever records may keep it beside the ledger."""
    return ledger.with_name(ledger.name + ".views")


def facts_now(book: LedgerReader, ledger: Path, file: Path | None, no_views: bool) -> Facts:
    """Return the facts as they stand: from what is kept, or from the log where nothing is."""
    place = _place_of(book, ledger, file, no_views)
    if place is None:
        return book.facts()
    with _opened(book, place, file) as kept:
        return kept.facts()


def _place_of(book: LedgerReader, ledger: Path, file: Path | None, no_views: bool) -> Path | None:
    """
    Return which file a command uses; None where it reads the log.

    Where none is named, it is the one beside the ledger, or the one in this user's cache, which is
    made where reading the log takes long.
    """
    if no_views and file is not None:
        raise typer.BadParameter("--views goes without --no-views")
    if no_views or file is not None:
        return file
    kept = _kept(book, ledger)
    if kept is not None or book.position_at() < WORTH:
        return kept
    try:
        kept = cached(book.ledger_id)
        kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, InvalidValue):
        return None
    return kept


def _kept(book: LedgerReader, ledger: Path) -> Path | None:
    """Return the file that is there already: beside the ledger, or in this user's cache."""
    own = beside(ledger)
    if own.is_file() and os.access(own, os.W_OK) and os.access(own.parent, os.W_OK):
        return own
    try:
        kept = cached(book.ledger_id)
        return kept if kept.is_file() else None
    except (OSError, InvalidValue):
        return None


def timeline_now(
    book: LedgerReader, ledger: Path, id: str, file: Path | None, no_views: bool, **asked: Any
) -> Timeline:
    """
    Return the timeline of one id: by what is kept of the ledger where that is, else by the log.

    Args:
        asked: What `LedgerReader.timeline` takes besides. Any: it and `Views.timeline` check it.
    """
    place = file or (None if no_views else _kept(book, ledger))
    if no_views and file is not None:
        raise typer.BadParameter("--views goes without --no-views")
    if place is None:
        return book.timeline(id, **asked)
    with progress_bar("reading") as progress:
        try:
            made = _current(book, place, progress)
        except StoreError:
            if file is not None:
                raise
            return book.timeline(id, **asked)  # the log can be read without it
    with made:
        return made.timeline(id, **asked)


@contextmanager
def opened_views(
    book: LedgerReader, ledger: Path, file: Path | None, no_views: bool
) -> Generator[Views]:
    """Open what stands now of a ledger, from the file that a command uses."""
    with _opened(book, _place_of(book, ledger, file, no_views), file) as kept:
        yield kept


@contextmanager
def _opened(book: LedgerReader, place: Path | None, file: Path | None) -> Generator[Views]:
    """
    Open what stands now of a ledger.

    What is kept is derived from the log and checked against it; a file that can't be used is not,
    unless it is the one that was named.
    """
    with progress_bar("reading") as progress:
        try:
            made = _current(book, place, progress)
        except StoreError:
            if file is not None or place is None:
                raise
            made = _current(book, None, progress)
    with made:
        yield made


def _current(book: LedgerReader, place: Path | None, progress: Callable[[int], object]) -> Views:
    """Return what stands now, all of it applied: only then it is known that a file can be used."""
    made = views(book, place, progress=progress)
    try:
        made.catch_up()
    except BaseException:
        made.close()
        raise
    return made


_DAY: Final = 24 * 3600


def _age(since: Moment | None, now: datetime) -> str:
    from imcm.projections.figures.units import utc

    if since is None:
        return ""
    seconds = max((now - utc(since)) // timedelta(seconds=1), 0)
    # So much of an age is told as a person would look at.
    seconds -= seconds % (3600 if seconds >= _DAY else 60 if seconds >= 60 else 1)
    return (
        shown(float(seconds), SECONDS)
        .replace(" min", "m")
        .replace(" h", "h")
        .replace(" d", "d")
        .replace(" s", "s")
    )


def _names(names: Sequence[str]) -> str:
    return ", ".join(names)


def _labels(given: list[str] | None) -> dict[str, str] | None:
    return dict(named_values("--label", given, "team=payments")) or None


def _period(window: Window | None) -> str:
    if window is None:
        return ""
    return f"{moment_text(window.start)} to {moment_text(window.end)}"


def _statuses(given: list[str] | None) -> Any:
    """Return one status or several. Any: names that the library checks."""
    if not given:
        return None
    return given[0] if len(given) == 1 else given


Row = tuple[object, ...]
Known = int | datetime | None
"""As far as was known at a position or a time; None means now."""


def _print(
    page: Page[Any],
    columns: Sequence[str],
    row: Callable[[Any], Row],
    what: str,
    whole: Sequence[str] = ("id", "age"),
) -> None:
    if page:
        show(columns, [row(view) for view in page], whole=whole)
    elif not page.total:
        say(f"no {what}")
    if page.total > len(page):
        say(f"{len(page):,} of {page.total:,}; --limit and --offset show others")


def _json(page: Page[Any]) -> None:
    print_json(
        {
            "shape": SHAPE,
            "log_position": page.position,
            "total": page.total,
            "rows": [view.as_dict() for view in page],
        }
    )


def _list(
    ledger: Path,
    file: Path | None,
    no_views: bool,
    *,
    known_at: str | None,
    tz: str | None,
    as_json: bool,
    watch: bool = False,
    service: str | None = None,
    ask: Callable[[Views, Known], Page[Any]],
    draw: Callable[[Page[Any], datetime], None],
) -> None:
    """Print a board, and again whenever something was recorded where that is asked for."""
    if watch and (known_at is not None or as_json):
        raise typer.BadParameter("--watch goes without --known-at and --json")
    with (
        LedgerReader(ledger) as book,
        _opened(book, _place_of(book, ledger, file, no_views), file) as kept,
    ):
        known = known_at_of(known_at, tz, book)
        for first in _turns(kept, watch):
            page = ask(kept, known)
            now = datetime.now(UTC)
            if known is not None:
                now = known if isinstance(known, datetime) else _stamp(book, page.position)
            page = Page[Any].of(
                [in_zone(view, tz) for view in page], total=page.total, position=page.position
            )
            if as_json:
                _json(page)
                continue
            if not first:
                say("", f"--- {moment_text(datetime.now(UTC))}")
            draw(page, now)
            if service is not None and not page.total:
                _say_near(kept, service)
            flush()  # somebody may be waiting at the other end of a pipe


def _say_near(kept: Views, service: str) -> None:
    """Say of a service that nothing names which others there are that look like it."""
    named = kept.services()
    if service not in named:
        near = get_close_matches(service, named, n=3, cutoff=0.6)
        hint = f"; near: {', '.join(near)}" if near else ""
        say(f"nothing in this log names a service {service!r}{hint}")


def _stamp(book: LedgerReader, position: int) -> datetime:
    """Return when the last event was recorded that was known: ages are told by that."""
    for recorded in book.replay(after=position - 1, upto=position, words=False):
        return recorded.recorded_at
    return datetime.now(UTC)


def _turns(kept: Views, watch: bool) -> Iterator[bool]:
    """Yield True once, and False whenever something was recorded after."""
    if not watch:
        yield True
        return
    for number, _ in enumerate(kept.run(stop=threading.Event())):
        yield number == 0


Limit = Annotated[int, typer.Option("--limit", help="At most so many rows.")]
Offset = Annotated[int, typer.Option("--offset", help="After so many rows.")]
Service = Annotated[str | None, typer.Option("--service", help="Only of this service.")]
Label = Annotated[list[str] | None, typer.Option("--label", help="Only with name=value.")]
Watch = Annotated[bool, typer.Option("--watch", help="Again whenever something is recorded.")]


@list_app.command("incidents")
def list_incidents(
    ledger: LedgerPath,
    status: Annotated[
        list[str] | None,
        typer.Option("--status", help='"open" if absent, "all", or a status; may be given again.'),
    ] = None,
    severity: Annotated[
        list[str] | None, typer.Option("--severity", help="Only this one; may be given again.")
    ] = None,
    service: Service = None,
    label: Label = None,
    person: Annotated[str | None, typer.Option(help="Only where this person has a role.")] = None,
    order: Annotated[str, typer.Option(help="severity, oldest, newest, recent, id.")] = "severity",
    limit: Limit = 50,
    offset: Offset = 0,
    known_at: KnownAt = None,
    tz: ShownIn = None,
    views: ViewsFile = None,
    no_views: NoViews = False,
    watch: Watch = False,
    as_json: AsJson = False,
) -> None:
    """List incidents: which are open, how bad, whose, how old."""

    def ask(kept: Views, known: Known) -> Page[Any]:
        given: Any = {"order": order}  # names that the library checks
        return kept.incidents(
            status=_statuses(status) or "open",
            severity=_statuses(severity),
            service=service,
            labels=_labels(label),
            person=person,
            limit=limit,
            offset=offset,
            known_at=known,
            **given,
        )

    def draw(page: Page[Any], now: datetime) -> None:
        def row(view: IncidentView) -> Row:
            severity = view.severity_name or view.severity or ""
            waits = f" ({view.on_hold.value})" if view.on_hold is not None else ""
            told = view.last_update
            return (
                severity, view.id, _age(view.detected_at, now), f"{view.status.value}{waits}",
                view.commander or "", _names(view.services),
                "" if told is None else _age(told.at, now), view.title,
            )  # fmt: skip

        columns = ("sev", "id", "age", "status", "lead", "services", "updated", "title")
        _print(page, columns, row, "incidents")

    _list(
        ledger, views, no_views, known_at=known_at, tz=tz, as_json=as_json, watch=watch,
        service=service, ask=ask, draw=draw,
    )  # fmt: skip


@list_app.command("changes")
def list_changes(
    ledger: LedgerPath,
    status: Annotated[
        list[str] | None,
        typer.Option(
            "--status",
            help='"current" (not over) if absent, "deploying", "all", or a status; may be given '
            "again.",
        ),
    ] = None,
    service: Service = None,
    label: Label = None,
    person: Annotated[
        str | None, typer.Option(help="Only what this person planned or asked for.")
    ] = None,
    unauthorised: Annotated[
        bool, typer.Option("--unauthorised", help="Only what a guard would have said no to.")
    ] = False,
    unapproved: Annotated[
        bool,
        typer.Option("--unapproved", help="Only what went in without approval, emergencies too."),
    ] = False,
    order: Annotated[str, typer.Option(help="window, oldest, newest, recent, id.")] = "oldest",
    limit: Limit = 50,
    offset: Offset = 0,
    known_at: KnownAt = None,
    tz: ShownIn = None,
    views: ViewsFile = None,
    no_views: NoViews = False,
    watch: Watch = False,
    as_json: AsJson = False,
) -> None:
    """List changes: where they stand, what is deploying now and at which percent."""

    def ask(kept: Views, known: Known) -> Page[Any]:
        given: Any = {"order": order}  # names that the library checks
        return kept.changes(
            status=_statuses(status) or ("all" if unauthorised or unapproved else "current"),
            service=service,
            labels=_labels(label),
            person=person,
            unauthorised=True if unauthorised else None,
            unapproved=unapproved,
            limit=limit,
            offset=offset,
            known_at=known,
            **given,
        )

    def draw(page: Page[Any], now: datetime) -> None:
        columns: tuple[str, ...] = ("id", "age", "type", "status", "rollout", "services", "title")
        marked = unauthorised or unapproved
        if marked:
            columns = ("id", "age", "type", "status", "guards", "ruling", "services", "title")
        row = _unauthorised_row if marked else _change_row
        _print(page, columns, lambda view: row(view, now), "changes", ("id", "age", "status"))

    _list(
        ledger, views, no_views, known_at=known_at, tz=tz, as_json=as_json, watch=watch,
        service=service, ask=ask, draw=draw,
    )  # fmt: skip


def _unauthorised_row(view: ChangeView, now: datetime) -> Row:
    return (
        view.id, _age(view.planned_at or view.deployed_at, now), view.type.value,
        view.status.value, ", ".join(view.unauthorised), view.authorisation,
        _names(view.services), view.title,
    )  # fmt: skip


def _change_row(view: ChangeView, now: datetime) -> Row:
    rollout = ""
    if view.percent is not None and view.status is ChangeStatus.IMPLEMENTING:
        paused = " paused" if view.paused else ""
        rollout = f"{view.percent:g} % for {_age(view.percent_since, now)}{paused}"
    if view.on_hold is not None:
        rollout = f"{rollout} on hold ({view.on_hold.value})".lstrip()
    return (
        view.id, _age(view.planned_at or view.deployed_at, now), view.type.value,
        view.status.value, rollout, _names(view.services), view.title,
    )  # fmt: skip


@list_app.command("actions")
def list_actions(
    ledger: LedgerPath,
    status: Annotated[
        str, typer.Option("--status", help="open, overdue, done, dropped, all.")
    ] = "open",
    owner: Annotated[str | None, typer.Option(help="Only this person's.")] = None,
    incident: Annotated[str | None, typer.Option(help="Only of this incident.")] = None,
    service: Service = None,
    order: Annotated[str, typer.Option(help="due, oldest, newest, incident.")] = "due",
    limit: Limit = 50,
    offset: Offset = 0,
    known_at: KnownAt = None,
    tz: ShownIn = None,
    views: ViewsFile = None,
    no_views: NoViews = False,
    as_json: AsJson = False,
) -> None:
    """List the action items of reviews: whose, due when, overdue or not."""

    def ask(kept: Views, known: Known) -> Page[Any]:
        given: Any = {"status": status, "order": order}  # names that the library checks
        return kept.actions(
            owner=owner,
            incident=incident,
            service=service,
            limit=limit,
            offset=offset,
            known_at=known,
            **given,
        )

    def draw(page: Page[Any], now: datetime) -> None:
        def row(item: Any) -> Row:
            late = " overdue" if item.overdue(now.date()) else ""
            due = "" if item.due is None else f"{item.due}"
            name = f"{item.incident} {item.number}"
            return f"{due}{late}", name, item.status, item.owner or "", item.text

        _print(page, ("due", "id", "status", "owner", "what"), row, "action items")

    _list(
        ledger, views, no_views, known_at=known_at, tz=tz, as_json=as_json,
        service=service, ask=ask, draw=draw,
    )  # fmt: skip


def _fraction(votes: int, quorum: int | None) -> str:
    if not quorum:
        return ""
    return f"{votes} of {quorum}" if votes <= quorum else f"{votes}, {quorum} asked"


@list_app.command("approvals")
def list_approvals(
    ledger: LedgerPath,
    by: Annotated[str | None, typer.Option(help="Who would vote: may they, or why not.")] = None,
    service: Service = None,
    limit: Limit = 50,
    offset: Offset = 0,
    known_at: KnownAt = None,
    tz: ShownIn = None,
    views: ViewsFile = None,
    no_views: NoViews = False,
    watch: Watch = False,
    as_json: AsJson = False,
) -> None:
    """List the changes that wait for a vote, or for a ruling after they went in."""

    def ask(kept: Views, known: Known) -> Page[Any]:
        return kept.approvals(by=by, service=service, limit=limit, offset=offset, known_at=known)

    def draw(page: Page[Any], now: datetime) -> None:
        marks = {True: "yes", False: "no", None: ""}

        def row(waiting: Any) -> Row:
            change = waiting.change
            votes = _fraction(waiting.counting, change.quorum)
            until = "" if waiting.votes_until is None else moment_text(waiting.votes_until)
            every = len(waiting.capacities) == len(Authority)
            as_what = "" if every else ", ".join(waiting.capacities)
            may = marks[waiting.possible] if by is not None else ""
            may = f"{may}, as {as_what}" if as_what else may
            why = waiting.why if waiting.possible is not True else ""
            due = "" if waiting.due is None else moment_text(waiting.due)
            overdue = " (overdue)" if waiting.due is not None and waiting.due < now else ""
            return (
                change.id, _age(waiting.since, now), waiting.waits_for, f"{due}{overdue}", votes,
                waiting.missing, until, change.requested_by or change.planned_by or "", may, why,
                change.title,
            )  # fmt: skip

        columns = (
            "id",
            "age",
            "waits for",
            "due",
            "votes",
            "missing",
            "first lapses",
            "asked by",
            "may",
            "why not",
            "title",
        )
        _print(page, columns, row, "changes that wait")

    _list(
        ledger, views, no_views, known_at=known_at, tz=tz, as_json=as_json, watch=watch,
        service=service, ask=ask, draw=draw,
    )  # fmt: skip


@list_app.command("calendar")
def list_calendar(
    ledger: LedgerPath,
    start: Annotated[
        str | None, typer.Option("--from", help="First moment; now if absent.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="First moment after it; a week on if absent.")
    ] = None,
    service: Service = None,
    label: Label = None,
    known_at: KnownAt = None,
    tz: Zone = "UTC",
    ics: Annotated[
        Path | None, typer.Option("--ics", help="Write it as an iCalendar file.")
    ] = None,
    views: ViewsFile = None,
    no_views: NoViews = False,
    as_json: AsJson = False,
) -> None:
    """List what is planned in a period, what of it conflicts, and the freezes in force."""
    first = moment("--from", start, tz) or datetime.now(UTC)
    last = moment("--to", end, tz) or later("--to", first, timedelta(days=7))
    if ics is not None:
        if as_json:
            raise typer.BadParameter("--json and --ics are two forms; ask for one of them")
        asked = {"service": service, "labels": _labels(label)}
        _write_calendar(ics, ledger, views, no_views, first, last, asked, known_at, tz)
        return
    met: dict[str, list[str]] = {}
    freezes: list[tuple[datetime, Row]] = []

    def ask(kept: Views, known: Known) -> Page[Any]:
        page = kept.calendar(first, last, service=service, labels=_labels(label), known_at=known)
        if as_json:
            return page
        for conflict in kept.conflicts(first, last, known_at=known):
            met.setdefault(conflict.first, []).append(conflict.second)
            met.setdefault(conflict.second, []).append(conflict.first)
        policy = kept.rules(known_at=known).policy
        for freeze in () if policy is None else policy.freezes:
            for window in freeze.windows(first, last):
                shown = in_zone(window, tz)
                where = _names(freeze.services) or "all services"
                row = moment_text(shown.start), moment_text(shown.end), freeze.name, where
                freezes.append((window.start, row))
        return page

    def draw(page: Page[Any], now: datetime) -> None:
        def row(view: ChangeView) -> Row:
            window = view.window
            begin, over = (None, None) if window is None else (window.start, window.end)
            return (
                moment_text(begin), moment_text(over), view.id, view.status.value,
                _names(view.services), ", ".join(met.get(view.id, ())), view.title,
            )  # fmt: skip

        columns = ("from", "to", "id", "status", "services", "conflicts with", "title")
        _print(page, columns, row, "changes planned")
        if freezes:
            say("")
            show(("from", "to", "freeze", "of"), [row for _, row in sorted(freezes)])

    _list(
        ledger, views, no_views, known_at=known_at, tz=tz, as_json=as_json,
        service=service, ask=ask, draw=draw,
    )  # fmt: skip


def _write_calendar(
    out: Path,
    ledger: Path,
    views: Path | None,
    no_views: bool,
    first: datetime,
    last: datetime,
    asked: Mapping[str, Any],
    known_at: str | None,
    tz: str,
) -> None:
    from imcm.files import replaced
    from imcm.interchange.calendars import write_calendar

    _refuse_other(out)
    with LedgerReader(ledger) as book, opened_views(book, ledger, views, no_views) as kept:
        known = known_at_of(known_at, tz, book)
        page = kept.calendar(first, last, known_at=known, **asked)
        policy = kept.rules(known_at=known).policy
        freezes = () if policy is None else policy.freezes
        with replaced(out) as file:
            count = write_calendar(
                page, file, at=_stamp(book, page.position), freezes=freezes, since=first, until=last
            )
    say(f"{count:,} entries written to {out}")


def _refuse_other(out: Path) -> None:
    """Refuse to write in the place of a file that is no calendar, such as the ledger itself."""
    if not out.exists():
        return
    begin = b""
    if out.is_file():
        with opened(out) as file:
            begin = file.read(15)
    if begin.upper() != b"BEGIN:VCALENDAR":
        raise InvalidValue("--ics", str(out), "a new file, or a calendar to be replaced")


@list_app.command("ready")
def list_ready(
    ledger: LedgerPath,
    by: Annotated[str | None, typer.Option(help="Who would start them.")] = None,
    at: Annotated[str | None, typer.Option("--at", help="At this time; now if absent.")] = None,
    service: Service = None,
    label: Label = None,
    limit: Limit = 50,
    offset: Offset = 0,
    tz: ShownIn = None,
    views: ViewsFile = None,
    no_views: NoViews = False,
    as_json: AsJson = False,
) -> None:
    """List what is approved: what may go out now, why the rest may not, and when votes lapse."""
    when = moment("--at", at, tz)

    def ask(kept: Views, _: Known) -> Page[Any]:
        return kept.ready(
            at=when, by=by, service=service, labels=_labels(label), limit=limit, offset=offset
        )

    def draw(page: Page[Any], _: datetime) -> None:
        def row(ready: Any) -> Row:
            change = ready.change
            guards = "; ".join(f"{guard}: {why}" for guard, why in ready.refusals)
            opens = "never as it stands" if ready.stuck else ""
            opens = opens if ready.opens_at is None else moment_text(ready.opens_at)
            until = "" if ready.votes_until is None else moment_text(ready.votes_until)
            return (
                change.id, "yes" if ready.may_start else "no", opens, until, _period(change.window),
                _names(change.services), guards, change.title,
            )  # fmt: skip

        columns = (
            "id",
            "may start",
            "opens",
            "votes until",
            "window",
            "services",
            "why not",
            "title",
        )
        _print(page, columns, row, "changes that are approved")

    _list(
        ledger, views, no_views, known_at=None, tz=tz, as_json=as_json,
        service=service, ask=ask, draw=draw,
    )  # fmt: skip


@list_app.command("overrides")
def list_overrides(
    ledger: LedgerPath,
    by: Annotated[str | None, typer.Option(help="Only those of this person.")] = None,
    known_at: KnownAt = None,
    tz: ShownIn = None,
    as_json: AsJson = False,
) -> None:
    """List who overrode which freeze for which change, and why."""
    from imcm.projections.histories.overrides import freeze_overrides

    with LedgerReader(ledger) as book:
        known = known_at_of(known_at, tz, book)
        found = in_zone(freeze_overrides(book.replay(), by=by, known_at=known), tz)
    if as_json:
        plain = [each.as_dict() for each in found]
        print_json({"shape": SHAPE, "total": len(plain), "rows": plain})
    elif not found:
        say("no freeze was overridden")
    else:
        rows = [
            (each.change, each.freeze, each.by, moment_text(each.at), moment_text(each.until),
             "" if each.started_at is None else moment_text(each.started_at), each.why)
            for each in found
        ]  # fmt: skip
        show(("change", "freeze", "by", "at", "until", "started", "why"), rows)


@list_app.command("live")
def list_live(
    ledger: LedgerPath,
    service: Service = None,
    environment: Annotated[str | None, typer.Option(help="Production if absent.")] = None,
    at: Annotated[str | None, typer.Option("--at", help="At this time; now if absent.")] = None,
    known_at: KnownAt = None,
    tz: ShownIn = None,
    views: ViewsFile = None,
    no_views: NoViews = False,
    as_json: AsJson = False,
) -> None:
    """List which version of each service is live, since when, and how it came there."""
    when = moment("--at", at, tz)

    def ask(kept: Views, known: Known) -> Page[Any]:
        return kept.live(service=service, environment=environment, at=when, known_at=known)

    def draw(page: Page[Any], _: datetime) -> None:
        def row(live: Any) -> Row:
            came = live.change
            if live.by_rollback_of is not None:
                came = f"{live.change}, by roll back of {live.by_rollback_of}"
            before = live.replaced_version or live.replaced or ""
            share = "" if live.percent is None else f"{live.percent:g} %"
            return (
                live.service, live.version or "", share, moment_text(live.since), came, before,
            )  # fmt: skip

        columns = ("service", "version", "share", "since", "change", "before it")
        _print(page, columns, row, "deployments")

    _list(
        ledger, views, no_views, known_at=known_at, tz=tz, as_json=as_json,
        service=service, ask=ask, draw=draw,
    )  # fmt: skip


@app.command()
def search(
    text: Annotated[list[str], typer.Argument(help="Words to be found, all of them.")],
    ledger: LedgerPath,
    limit: Limit = 50,
    offset: Offset = 0,
    known_at: KnownAt = None,
    views: ViewsFile = None,
    no_views: NoViews = False,
    as_json: AsJson = False,
) -> None:
    """Find incidents and changes by words, ids, labels or people."""

    def ask(kept: Views, known: Known) -> Page[Any]:
        return kept.search(" ".join(text), limit=limit, offset=offset, known_at=known)

    def draw(page: Page[Any], _: datetime) -> None:
        def row(match: Any) -> Row:
            return match.kind, match.id, match.status, _names(match.services), match.title

        _print(page, ("", "id", "status", "services", "title"), row, "incidents or changes")

    _list(
        ledger, views, no_views, known_at=known_at, tz=None, as_json=as_json,
        ask=ask, draw=draw,
    )  # fmt: skip


@app.command("show")
def show_one(
    id: Annotated[str, typer.Argument(help="An incident or a change.")],
    ledger: LedgerPath,
    known_at: KnownAt = None,
    tz: ShownIn = None,
    views: ViewsFile = None,
    no_views: NoViews = False,
    as_json: AsJson = False,
) -> None:
    """Show everything that stands of one incident or change, and what happened to it."""
    with LedgerReader(ledger) as book:
        [(kind, name)] = named(book, id).items()
        cut = known_at_of(known_at, tz, book)
        from imcm.projections.boards.assembly import view_of_stream

        upto = book.position_at(cut)
        events = book.events_of([f"{kind}:{name}"], upto=upto)
        # Which says if it was not known.
        entries = timeline_now(book, ledger, f"{kind}:{name}", views, no_views, known_at=cut)
        view = in_zone(view_of_stream(events), tz)
        entries = in_zone(entries, tz)
    if as_json:
        print_json(
            {
                "shape": SHAPE,
                kind: view.as_dict(),
                "timeline": [entry.as_dict() for entry in entries],
            }
        )
        return
    _print_view(kind, view)
    say("")
    print_timeline(entries)


def _print_view(kind: str, view: IncidentView | ChangeView) -> None:
    say(f"{kind} {view.id}: {view.title or 'no title'}")
    rows = list(_told(view))
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        say(f"  {name:<{width}}  {value}")


_QUIET: Final = frozenset({"id", "title", "first_position", "last_position", "version", "imported"})


def _told(view: IncidentView | ChangeView) -> Iterator[tuple[str, str]]:
    """Yield what is known of it, each with its name; what nobody said is left out."""
    import attrs

    for field in attrs.fields(type(view)):
        value = getattr(view, field.name)
        if field.name in _QUIET or value is None or value is False or value == 0:
            continue
        if isinstance(value, (str, tuple, Mapping)) and not value:
            continue
        yield field.name.replace("_", " "), _text(field.name, value)
    if isinstance(view, IncidentView) and view.is_open:
        yield "age", _age(view.detected_at, datetime.now(UTC))
    yield (
        "recorded",
        f"{view.version} events, positions {view.first_position} to "
        + (f"{view.last_position}{', imported' if view.imported else ''}"),
    )


def _text(name: str, value: Any) -> str:
    """Return a value of a view for a person. Any: a field is of any type."""
    from imcm.domain.vocabulary import Between, is_list, is_mapping

    if isinstance(value, (datetime, Between)):
        return moment_text(value)
    if is_mapping(value):
        return ", ".join(f"{key} {_text(name, item)}" for key, item in value.items())
    if name == "actions":
        return "; ".join(
            f"{item.number} {item.status}"
            f"{f', due {item.due}' if item.due else ''}{f', {item.owner}' if item.owner else ''}"
            f"{f': {item.text}' if item.text else ''}"
            for item in value
        )
    if name == "roles":
        return ", ".join(f"{held.role.value.replace('_', ' ')} {held.person}" for held in value)
    if name == "votes":
        return ", ".join(
            f"{vote.by}{f' ({vote.authority.value})' if vote.authority else ''}" for vote in value
        )
    if name == "attempts":
        return "; ".join(
            f"{tried.number} {tried.kind.value.replace('_', ' ')}"
            f"{f' by {tried.change}' if tried.change else ''}: "
            f"{tried.result.value if tried.result else 'no result yet'}"
            for tried in value
        )
    if name == "references":
        return "; ".join(f"{item.kind} {item.address}" for item in value)
    if name == "rollout":
        return ", ".join(f"{step.percent:g} % {moment_text(step.at)}" for step in value)
    if name == "commits":
        return ", ".join(commit.id for commit in value)
    if name == "last_update":
        return f"{moment_text(value.at)} {value.by} ({value.audience.value}): {value.text}"
    if name == "window":
        return f"{moment_text(value.start)} to {moment_text(value.end)}"
    if name == "impact":
        from imcm.wording import impact_text

        return impact_text(value)
    if is_list(value):
        return ", ".join(_text(name, item) for item in value)
    return str(getattr(value, "value", value))
