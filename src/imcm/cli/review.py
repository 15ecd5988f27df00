"""
The command that drafts a post-incident review.
"""

from __future__ import annotations

from typing import Annotated

import typer

from imcm.cli.common import (
    AsFormat,
    AsJsonFormat,
    Format,
    KnownAt,
    LedgerPath,
    NewDocument,
    format_of,
    known_at_of,
    write_document,
)
from imcm.ledger.reading import LedgerReader

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command("review")
def review(
    id: Annotated[str, typer.Argument(help="An incident.")],
    ledger: LedgerPath,
    names: Annotated[
        bool, typer.Option("--names", help="Name people; else they stand by their part in it.")
    ] = False,
    known_at: KnownAt = None,
    out: NewDocument = None,
    format: AsFormat = Format.TEXT,
    as_json: AsJsonFormat = False,
) -> None:
    """Draft a post-incident review from the log; what that does not say is left open."""
    from imcm.interchange.exports.review import incident_review

    format = format_of(format, as_json)
    with LedgerReader(ledger) as book:
        made = incident_review(book, id, names=names, known_at=known_at_of(known_at, "UTC", book))
    write_document(made, format, out)
