"""
Commands about one thing, or a period: the timeline, and what can be done next.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from imcm.cli.common import (
    AsFormat,
    AsJson,
    AsJsonFormat,
    AsOf,
    Format,
    KnownAt,
    LedgerPath,
    NoViews,
    PeriodEnd,
    PeriodStart,
    ShownIn,
    ViewsFile,
    Zone,
    format_of,
    in_zone,
    kinds_of,
    known_at_of,
    moment,
    named,
    print_document,
    print_json,
    print_timeline,
    say,
    show,
    window_of,
)
from imcm.domain.lifecycle import Answer
from imcm.domain.recorded import stream_of
from imcm.domain.vocabulary import Authority
from imcm.ledger.reading import LedgerReader

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


# --- reading --------------------------------------------------------------------------------------


@app.command("timeline")
def show_timeline(
    ledger: LedgerPath,
    id: Annotated[str | None, typer.Argument(help="An incident or a change.")] = None,
    service: Annotated[str | None, typer.Option(help="Only this service.")] = None,
    start: PeriodStart = None,
    end: PeriodEnd = None,
    as_of: AsOf = None,
    known_at: KnownAt = None,
    tz: ShownIn = None,
    views: ViewsFile = None,
    no_views: NoViews = False,
    format: AsFormat = Format.TEXT,
    as_json: AsJsonFormat = False,
) -> None:
    """Show what happened when: of one incident or change, of a service, or of a period."""
    format = format_of(format, as_json)
    with LedgerReader(ledger) as book:
        asked: dict[str, Any] = {
            "window": window_of(start, end, tz),
            "as_of": moment("--as-of", as_of, tz),
            "known_at": known_at_of(known_at, tz, book),
        }
        if id is not None and service is None:
            from imcm.cli.boards import timeline_now

            entries = timeline_now(book, ledger, id, views, no_views, **asked)
        else:
            from imcm.projections.histories.timeline import timeline

            asked |= {"service": service, **named(book, id)}
            entries = timeline(book.replay(), **asked)
    entries = in_zone(entries, tz)
    if format is Format.JSON:
        print_json([entry.as_dict() for entry in entries])
    elif format is not Format.TEXT:
        from imcm.projections.histories.display import timeline_document

        whose = " of ".join(filter(None, ("timeline", id or service)))
        print_document(timeline_document(entries, title=whose), format)
    elif entries:
        print_timeline(entries)
    else:
        say("nothing happened there")


@app.command("next")
def next_(
    id: Annotated[str, typer.Argument(help="An incident or a change.")],
    ledger: LedgerPath,
    by: Annotated[str | None, typer.Option(help="Who would do it.")] = None,
    at: Annotated[str | None, typer.Option(help="When it would be done; now if absent.")] = None,
    authority: Annotated[
        Authority | None, typer.Option(help="In which capacity a vote would be given.")
    ] = None,
    tz: Zone = "UTC",
    as_json: AsJson = False,
) -> None:
    """Say which steps are possible now, and which guard refuses each other one and why."""
    when = moment("--at", at, tz) or datetime.now(UTC)
    with LedgerReader(ledger) as book:
        answers_by_kind: dict[str, tuple[Answer, ...]] = {}
        kinds = kinds_of(book, id)
        for kind in kinds:
            stream = stream_of(kind, id)
            answers_by_kind[kind] = book.next_steps(stream, by=by, at=when, authority=authority)
    if as_json:
        print_json(
            {
                kind: [
                    {
                        "step": answer.step,
                        "possible": answer.possible,
                        "guard": answer.guard,
                        "why": answer.why,
                        "needs": list(answer.needs),
                        "records": list(answer.records),
                        "status": answer.status,
                    }
                    for answer in answers
                ]
                for kind, answers in answers_by_kind.items()
            }
        )
        return
    marks = {True: "yes", False: "no", None: "depends"}
    for kind, answers in answers_by_kind.items():
        say(f"{kind} {id}")
        ordered = sorted(
            answers, key=lambda answer: (answer.possible is False, answer.possible is None)
        )
        rows = [
            (answer.step, marks[answer.possible], _outlook(answer), answer.why)
            for answer in ordered
        ]
        show(("step", "possible", "then", "why not"), rows)


def _outlook(answer: Answer) -> str:
    """Return what a step needs, or what it would change, or which guard says no to it."""
    if answer.possible is False:
        return answer.guard
    needs = f"give {', '.join(answer.needs)}" if answer.needs else ""
    after = f"it is {answer.status}" if answer.status is not None else ""
    return needs or after or answer.guard
