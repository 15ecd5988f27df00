"""
Commands that receive webhooks, and look at what could not be read of them.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from imcm.cli.common import AsJson, LedgerPath, complain, print_json, say, show
from imcm.errors import MissingExtraError
from imcm.interchange.dead_letters import DeadLetters
from imcm.ledger.recording import Ledger

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
letters_app = typer.Typer(
    no_args_is_help=True, help="Look at deliveries that could not be read.", rich_markup_mode=None
)
app.add_typer(letters_app, name="dead-letters")

LettersFile = Annotated[Path, typer.Argument(help="The file that the settings name.")]


@app.command("receive")
def receive(
    ledger: LedgerPath,
    config: Annotated[Path, typer.Option(help="TOML file: who sends, by which secrets.")],
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen at.", min=0, max=65535)] = 8787,
    check: Annotated[
        bool, typer.Option("--check", help="Check the settings and variables, and end.")
    ] = False,
) -> None:
    """Receive webhooks and record what they say; put it behind what ends TLS."""
    from imcm.interchange.receiver import receiver
    from imcm.interchange.receiver_files import read_receiver

    settings = read_receiver(config)
    if check:
        for path, source in settings.sources.items():
            how = source.signatures.name
            say(f"/{path}: {source.format.name} by {how}, in the ledger as {source.name}")
        return
    try:
        import uvicorn
    except ImportError:
        raise MissingExtraError("receiving webhooks", "receiver") from None
    logging.basicConfig(level=logging.INFO, format="%(levelname)s: %(message)s")
    with Ledger(ledger) as book:
        uvicorn.run(
            receiver(book, **settings.as_arguments()),
            host=host,
            port=port,
            log_level="info",
            access_log=False,
            server_header=False,
            limit_concurrency=1_000,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=20,
        )


@letters_app.command("list")
def list_letters(file: LettersFile, as_json: AsJson = False) -> None:
    """List what could not be read: when it came, from whom, and why; no bodies."""
    letters = DeadLetters(file)
    found = list(letters)
    if as_json:
        rows = [{k: v for k, v in each.as_dict().items() if "body" not in k} for each in found]
        print_json({"letters": rows, "torn": letters.torn})
        return
    columns = ("id", "received", "source", "bytes", "reason")
    show(
        columns,
        [
            (each.id, f"{each.received_at:%Y-%m-%d %H:%M:%SZ}", each.source, len(each.body),
             each.reason)
            for each in found
        ],
        right={"bytes"},
        whole={"id"},
    )  # fmt: skip
    if not file.exists():
        say(f"there is no file {file}: nothing was kept in it")
    if letters.torn:
        say(f"{letters.torn} lines were cut off, and tell no delivery")


@letters_app.command("show")
def show_letter(
    file: LettersFile, id: Annotated[str, typer.Argument(help="The id of the delivery.")]
) -> None:
    """Print one delivery as JSON, with its body."""
    print_json(DeadLetters(file).find(id).as_dict())


@letters_app.command("take-out")
def take_out(
    file: LettersFile, id: Annotated[str, typer.Argument(help="The id of the delivery.")]
) -> None:
    """Take one delivery out of the file, with its body."""
    letter = DeadLetters(file).take_out(id)
    say(f"{letter.id} of {letter.source}, {len(letter.body):,} bytes, was taken out")


@letters_app.command("read-again")
def read_again(
    file: LettersFile,
    ledger: LedgerPath,
    config: Annotated[Path, typer.Option(help="TOML file: who sends, and how it is read.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be; change nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Read all of them once more, after options or versions changed; take out what can be read."""
    from imcm.interchange.receiver import read_again as again
    from imcm.interchange.receiver_files import read_receiver

    sources = read_receiver(config).sources
    with Ledger(ledger) as book:
        done = again(book, DeadLetters(file), sources, dry_run=dry_run)
    if as_json:
        print_json({**done._asdict(), "dry_run": dry_run})
    else:
        would = "could be" if dry_run else "were"
        say(f"{len(done.read):,} {would} read, {done.events:,} events; {len(done.left):,} stay")
        for id_, why in done.left:
            complain(f"{id_}: {why}")
    if done.left:
        raise typer.Exit(1)


@letters_app.command("end-old")
def end_old(
    file: LettersFile, days: Annotated[int, typer.Option(help="Keep those of so many days.", min=1)]
) -> None:
    """Take out what came longer ago than so many days."""
    ended = DeadLetters(file, keep_days=days).end_old(datetime.now(UTC))
    say(f"{ended:,} were taken out")
