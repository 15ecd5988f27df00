"""
The command that tells a story through the library: the demo.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from imcm.cli.common import (
    AsJson,
    Format,
    fail,
    print_document,
    print_json,
    print_timeline,
    say,
)
from imcm.demo import NO_EXCEPTIONS, StoryClock, tell
from imcm.ledger.recording import Ledger
from imcm.projections.figures.failures import change_failure_rate
from imcm.projections.figures.restore import time_to_mitigate, time_to_restore
from imcm.projections.histories.anomalies import anomalies
from imcm.projections.histories.overrides import freeze_overrides
from imcm.projections.histories.timeline import timeline
from imcm.projections.reports.display import figures_document
from imcm.projections.reports.what_if import what_if

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command()
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
        log = tuple(book.replay())
        entries = timeline(log, incident="INC-204")
        known = book.facts()
    tried = what_if(log, NO_EXCEPTIONS)
    overrides = freeze_overrides(log)
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
                "timeline": [entry.as_dict() for entry in entries],
                "figures": [figure.as_dict() for figure in figures],
                "overrides": [override.as_dict() for override in overrides],
                "what_if": tried.as_dict(),
            }
        )
        return
    say("A Friday evening, and what came after it", "")
    for refusal in refusals:
        say(f"refused, as asked for: {refusal}", "")
    print_timeline(entries)
    say("")
    named = (
        "restored, from the first failed payment",
        "restored, from detection",
        "mitigated, from detection",
        "change failure rate",
    )
    print_document(figures_document(figures, title="Figures", names=named), Format.TEXT)
    for odd in anomalies(known):
        say("", f"to be looked at: {odd.kind} {odd.id}: {odd.oddity.value} ({odd.detail})")
    say("", *overrides, "", *tried.explain().splitlines())
    where = "" if ledger is None else f" The ledger is {ledger}."
    say("", f"{len(entries)} events, each kept as it was told.{where}")
