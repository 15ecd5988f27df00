"""
The audit commands: checkpoints, verification, proofs, replay, redaction.

Exit status: 0 what was asked for holds or is done; 1 the log does not match its anchors, a proof
does not hold, or the input was refused; 2 wrong usage.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import attrs
import typer

from imcm import audit, verifier
from imcm.audit import Signer
from imcm.audit.documents import verdict_document
from imcm.cli.common import (
    AsFormat,
    AsJson,
    AsJsonFormat,
    Format,
    KnownAt,
    LedgerPath,
    NewDocument,
    PeriodEnd,
    PeriodStart,
    PeriodText,
    ShownIn,
    Zone,
    complain,
    fail,
    format_of,
    in_zone,
    known_at_of,
    moment,
    named,
    opened,
    period_of,
    print_document,
    print_json,
    progress_bar,
    refuse_device,
    say,
    show,
    window_of,
    write_document,
)
from imcm.codec.rows import EVENT_TYPES, StoredEvent
from imcm.domain.recorded import CHANGE, INCIDENT, RulesAdopted, kind_and_id, stream_of
from imcm.errors import InvalidValue, NotALedgerError, ProofRefusedError, UnknownIdError
from imcm.files import new_file
from imcm.interchange import jsonl
from imcm.ledger.reading import LedgerReader
from imcm.ledger.recording import Ledger
from imcm.ledger.rules import STREAMS, is_as_adopted
from imcm.plain import quoted
from imcm.projections.facts.fold import ChangeFacts, IncidentFacts
from imcm.projections.figures.excerpt import near
from imcm.projections.figures.jsonable import jsonable
from imcm.projections.figures.units import zone
from imcm.projections.histories.anomalies import anomalies as odd_things
from imcm.projections.histories.display import anomalies_document
from imcm.projections.histories.learned import learned
from imcm.projections.histories.timeline import replayed
from imcm.wording import entry_line, moment_text

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
audit_app = typer.Typer(
    no_args_is_help=True,
    help="Checkpoints, proofs and replay, for those who must not take our word for it.",
)
app.add_typer(audit_app, name="audit")

Log = Annotated[
    Path, typer.Option("--ledger", help="A ledger file, or a JSONL export.", envvar="IMCM_LEDGER")
]
Anchors = Annotated[
    Path, typer.Option("--anchors", help="The file of checkpoints, kept away from the ledger.")
]
Keys = Annotated[
    list[str] | None,
    typer.Option("--key", help="A public key (vkey) that must have signed; may be given again."),
]


@contextmanager
def _rows(path: Path) -> Generator[Iterable[StoredEvent]]:
    """Give the rows of a ledger file or of a JSONL export."""
    try:
        reader = LedgerReader(path)
    except NotALedgerError as error:
        if "not an SQLite database" not in str(error):
            raise
        with opened(path) as lines:
            yield jsonl.read(lines)
        return
    with reader:
        yield reader.rows()


def _counted(rows: Iterable[StoredEvent], progress: Any) -> Iterable[StoredEvent]:
    for count, row in enumerate(rows, start=1):
        if count % 10_000 == 0:
            progress(count)
        yield row


def _text(path: Path, *, missing: bool = False) -> str:
    if missing and not path.exists():
        return ""
    with opened(path) as file:
        try:
            return str(file.read().decode())
        except UnicodeDecodeError as error:
            raise InvalidValue("file", str(path), f"text in UTF-8 ({error.reason})") from None


# --- checkpoints and proofs -----------------------------------------------------------------------


@audit_app.command("checkpoint")
def checkpoint(
    ledger: Log,
    anchors: Anchors,
    sign: Annotated[
        Path | None, typer.Option("--sign", help="Private key (PEM) to sign with; see `key`.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name to sign under; the ledger's id if absent.")
    ] = None,
    keys: Keys = None,
) -> None:
    """Prove that the log continues every earlier checkpoint, and append a new one."""
    _anchors(anchors, missing=True)
    known = list(keys or ())
    with _rows(ledger) as rows, progress_bar("reading") as progress:
        signer = None
        if sign is not None:
            refuse_device(sign)
            signer = Signer.from_pem(sign, name=name or _name(ledger))
            # Who signs vouches for what lies before: earlier anchors must be ours as well.
            known = known or [signer.vkey]
        made = audit.append_checkpoint(
            anchors, _counted(rows, progress), at=datetime.now(UTC), signer=signer, keys=known
        )
    signed = "" if signer is None else f", signed by {signer.key.name}"
    say(f"{made.size:,} events{signed}, appended to {anchors}")


def _name(ledger: Path) -> str:
    with _rows(ledger) as rows:
        first = next(iter(rows), None)
    return (first and verifier.origin_of(first)) or "imcm"


@audit_app.command("verify")
def verify(
    ledger: Log,
    anchors: Anchors,
    keys: Keys = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            "--allow", help="An index or a trigger on the table that you know; may be given again."
        ),
    ] = None,
    format: AsFormat = Format.TEXT,
    as_json: AsJsonFormat = False,
) -> None:
    """Compare the log with every checkpoint, and say what can be said where it differs."""
    format = format_of(format, as_json)
    text, _ = _anchors(anchors)
    with progress_bar("verifying") as progress:
        verdict = audit.verify_file(
            ledger, text, keys=keys or (), allow=allow or (), on_progress=progress
        )
    if format is Format.JSON:
        print_json(verdict.as_json())
    elif format is not Format.TEXT:
        print_document(verdict_document(verdict), format)
    else:
        say(*verdict.describe())
    if verdict.outcome != verifier.OK:
        raise typer.Exit(1)


@audit_app.command("prove")
def prove(
    id: Annotated[str, typer.Argument(help="An incident or a change.")],
    ledger: Log,
    anchors: Anchors,
    version: Annotated[int | None, typer.Option(help="Only this event of it.")] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            help="A new file; standard output if absent. Several proofs go to a file each, with "
            "the version behind its name."
        ),
    ] = None,
    words: Annotated[
        bool, typer.Option("--words/--no-words", help="Leave free text out of the proof.")
    ] = True,
) -> None:
    """Write proofs that events are in the log, for somebody who holds the last checkpoint."""
    _, notes = _anchors(anchors)
    if not notes:
        raise InvalidValue("--anchors", str(anchors), "a file with at least one checkpoint")
    proofs: list[dict[str, Any]] = []
    kind, name = kind_and_id(id)
    is_stream = kind in {INCIDENT, CHANGE} and name
    wanted = [id] if is_stream else [stream_of(INCIDENT, id), stream_of(CHANGE, id)]
    for stream in wanted:
        with _rows(ledger) as rows, progress_bar("reading") as progress:
            try:
                proofs += audit.prove(
                    _counted(rows, progress),
                    stream,
                    version,
                    checkpoint=notes[-1].note(),
                    words=words,
                )
            except UnknownIdError:
                continue
    if not proofs:
        raise UnknownIdError("incident or change", id, "before the last checkpoint")
    if len({proof["stream"] for proof in proofs}) > 1:
        raise InvalidValue("id", id, f"{' or '.join(wanted)}, since there are both")
    if to is None:
        print_json(proofs[0] if len(proofs) == 1 else proofs)
        return
    for proof in proofs:
        alone = len(proofs) == 1
        path = to if alone else to.with_name(f"{to.stem}-{proof['version']}{to.suffix}")
        with new_file(path) as file:
            file.write(json.dumps(proof, indent=2).encode())
        say(f"version {proof['version']} of {proof['stream']} is proved in {path}")


def _anchors(path: Path, *, missing: bool = False) -> tuple[str, list[verifier.Checkpoint]]:
    """Read an anchors file as text and as its checkpoints; quote little of what is none."""
    text = _text(path, missing=missing)
    try:
        return text, verifier.read_anchors(text) if text else []
    except verifier.Unreadable as error:
        raise InvalidValue("--anchors", str(path), str(error)) from None


@audit_app.command("check-proof")
def check_proof(
    proof: Annotated[Path, typer.Argument(help="What `prove` wrote.")],
    anchors: Anchors,
    keys: Keys = None,
) -> None:
    """Check proofs against the checkpoints one holds; the ledger is not needed."""
    try:
        given = verifier.read_proofs(_text(proof))
    except verifier.Unreadable as error:
        raise ProofRefusedError(f"{proof} is refused: {error}") from None
    text, _ = _anchors(anchors)
    for document in given:
        say(f"OK: {audit.check_proof(document, text, keys=keys or ())}")


@audit_app.command("key")
def key(
    name: Annotated[str, typer.Argument(help="Name to sign under, for example example.org/audit.")],
    to: Annotated[Path, typer.Option(help="New file for the private key.")],
) -> None:
    """Make a key to sign checkpoints with, and print its public half for those who check."""
    pem, vkey = audit.new_key(name)
    with new_file(to, mode=0o600) as file:  # its owner's only, before anything is in it
        file.write(pem.encode())
    say(vkey)


# --- what was known -------------------------------------------------------------------------------


@audit_app.command("replay")
def replay(
    ledger: LedgerPath,
    id: Annotated[str | None, typer.Argument(help="An incident or a change.")] = None,
    by: Annotated[str | None, typer.Option(help="Only what this one told.")] = None,
    service: Annotated[str | None, typer.Option(help="Only this service.")] = None,
    what: Annotated[
        list[str] | None, typer.Option("--type", help="Only events of this type.")
    ] = None,
    start: Annotated[str | None, typer.Option("--from", help="Recorded from this moment.")] = None,
    end: Annotated[str | None, typer.Option("--to", help="Recorded before this moment.")] = None,
    known_at: KnownAt = None,
    tz: ShownIn = None,
    as_json: AsJson = False,
) -> None:
    """Print the log in the order it was recorded: who said what, about when, and when."""
    with LedgerReader(ledger) as book:
        cut = known_at_of(known_at, tz, book)
        if isinstance(cut, datetime) and id is not None:
            cut = book.position_at(cut)  # what was known is a prefix of the whole log
        subject: dict[str, Any] = dict(named(book, id))
        entries = replayed(
            book.replay() if id is None else book.history(book.stream_of(id)),
            **subject,
            by=by,
            service=service,
            what=what,
            recorded=window_of(start, end, tz),
            known_at=cut,
        )
        known = None if id is None else book.facts(known_at=cut)
        filtered = by is not None or service is not None
        absent = tuple(_absent(book, by, service)) if filtered and not entries else ()
    for name in () if entries else what or ():
        if name == RulesAdopted.__name__:
            raise InvalidValue("--type", name, "events of an incident or a change: use audit rules")
        if name not in EVENT_TYPES:
            likest = ", ".join(near(name, EVENT_TYPES)) or "none, see docs/events.md"
            raise InvalidValue("--type", name, f"the type of an event; near it: {likest}")
    if known is None:
        state = None
    else:
        rows = known.incidents if INCIDENT in subject else known.changes
        state = in_zone(next((row for row in rows if row.id in subject.values()), None), tz)
    entries = in_zone(entries, tz)
    if as_json:
        value: Any = [entry.as_dict() for entry in entries]
        print_json(value if state is None else {"events": value, "state": _plain_row(state)})
        return
    for entry in entries:
        source = f" via {quoted(entry.source)}" if entry.source else ""
        by_whom = quoted(entry.by) if entry.by else "by nobody named"
        say(
            f"{entry.position:>7}  recorded {_stamp(entry.recorded_at, tz)}  "
            f"{quoted(entry.id)} v{entry.version}  {moment_text(entry.at)}  "
            f"{by_whom}{source}  {entry_line(entry)}"
        )
    if not entries:
        say("nothing was recorded there", *absent)
    if state is not None:
        where = "now" if known_at is None else f"at {known_at}"
        lines = (f"  {name}: {value}" for name, value in _plain_row(state).items())
        say("", f"{id} as known {where}:", *lines)


def _stamp(recorded_at: datetime, tz: str | None) -> str:
    if tz is None:
        return f"{recorded_at:%Y-%m-%d %H:%M:%S}Z"
    return f"{recorded_at.astimezone(zone(tz)):%Y-%m-%d %H:%M:%S %z}"


def _absent(book: LedgerReader, by: str | None, service: str | None) -> Iterator[str]:
    """Yield which names that were asked for are nowhere in the log, and what is near them."""
    entries = replayed(book.replay())
    people = {entry.by for entry in entries}
    services = {name for entry in entries for name in getattr(entry.event, "services", ())}
    for asked, there, what in ((by, people, "nobody"), (service, services, "no service")):
        if asked is not None and asked not in there:
            likest = ", ".join(map(quoted, near(asked, there)))
            yield f"{what} in this log is called {quoted(asked)}" + (
                f"; near it: {likest}" if likest else ""
            )


def _plain_row(row: IncidentFacts | ChangeFacts) -> dict[str, Any]:
    """Return what a row says, without what it says nothing of."""
    values: dict[str, Any] = jsonable(row)
    return {name: value for name, value in values.items() if value not in (None, [], {}, False)}


@audit_app.command("diff")
def diff(
    ledger: LedgerPath,
    known_at: Annotated[
        list[str], typer.Option("--known-at", help="A position or a time; a second one, or now.")
    ],
    as_of: Annotated[str | None, typer.Option("--as-of", help="Facts up to this time.")] = None,
    details: Annotated[
        bool, typer.Option("--details", help="Name the events that moved each figure.")
    ] = False,
    tz: ShownIn = None,
    format: AsFormat = Format.TEXT,
    as_json: AsJsonFormat = False,
) -> None:
    """Say what was learned or corrected between two moments, and which figures it moved."""
    format = format_of(format, as_json)
    if len(known_at) not in {1, 2}:
        raise typer.BadParameter("give --known-at once (up to the end of the log) or twice")
    with LedgerReader(ledger) as book:
        first, *last = [known_at_of(text, tz, book) for text in known_at]
        result = learned(
            book.replay(),
            known_at_a=first if first is not None else 0,
            known_at_b=last[0] if last else None,
            as_of=moment("--as-of", as_of, tz),
            details=details,
        )
    result = in_zone(result, tz)
    if format is Format.JSON:
        print_json(result.as_dict())
    elif format is not Format.TEXT:
        print_document(result.document(), format)
    else:
        say(*result.explain().splitlines())


@audit_app.command("trail")
def trail(
    id: Annotated[str, typer.Argument(help="A change.")],
    ledger: LedgerPath,
    known_at: KnownAt = None,
    tz: ShownIn = None,
    format: AsFormat = Format.TEXT,
    as_json: AsJsonFormat = False,
) -> None:
    """Show who approved what of a change, under which policy, and what was revised after."""
    format = format_of(format, as_json)
    with LedgerReader(ledger) as book:
        decisions = in_zone(book.trail(id, known_at=known_at_of(known_at, tz, book)), tz)
    if format is Format.JSON:
        print_json(decisions.as_dict())
    elif format is not Format.TEXT:
        print_document(decisions.document(), format)
    else:
        say(*decisions.explain().splitlines())


@audit_app.command("report")
def report(
    ledger: LedgerPath,
    start: PeriodStart = None,
    end: PeriodEnd = None,
    window: PeriodText = None,
    anchors: Annotated[
        Path | None, typer.Option("--anchors", help="The file of checkpoints kept elsewhere.")
    ] = None,
    keys: Keys = None,
    allow: Annotated[
        list[str] | None,
        typer.Option("--allow", help="An index or a trigger on the table that you know."),
    ] = None,
    published: Annotated[
        str | None,
        typer.Option(
            help="When figures of the period were published: a log position, or a time; else "
            "the end of the period."
        ),
    ] = None,
    known_at: KnownAt = None,
    tz: Zone = "UTC",
    out: NewDocument = None,
    format: AsFormat = Format.TEXT,
    as_json: AsJsonFormat = False,
) -> None:
    """
    Write the one document that an auditor attaches: what was verified, duties, what moved since.

    Exit with 1 where the log does not match its anchors; the document says so, too.
    """
    from imcm.audit.report import audit_report, what_is_wrong

    format = format_of(format, as_json)
    period = period_of(window, start, end, tz)
    if period is None:
        raise typer.BadParameter("give the period: --from and --to, or --window")
    text = "" if anchors is None else _anchors(anchors)[0]
    with LedgerReader(ledger) as book, progress_bar("verifying") as progress:
        made = audit_report(
            book,
            ledger,
            window=period,
            anchors=text,
            keys=keys or (),
            allow=allow or (),
            time_zone=tz,
            published=known_at_of(published, tz, book, option="--published"),
            known_at=known_at_of(known_at, tz, book),
            on_progress=progress,
        )
    write_document(made.document, format, out)
    if made.verdict.outcome not in {verifier.OK, verifier.NO_ANCHORS}:
        fail(f"{what_is_wrong(made.verdict)}; see the document")


@audit_app.command("anomalies")
def anomalies(
    ledger: LedgerPath,
    known_at: KnownAt = None,
    tz: Zone = "UTC",
    format: AsFormat = Format.TEXT,
    as_json: AsJsonFormat = False,
) -> None:
    """List everything odd in the log; nothing was refused or mended for it."""
    format = format_of(format, as_json)
    with LedgerReader(ledger) as book:
        known = book.facts(known_at=known_at_of(known_at, tz, book))
    oddities = odd_things(known)
    if format is Format.JSON:
        print_json(
            [{**attrs.asdict(anomaly), "oddity": anomaly.oddity.value} for anomaly in oddities]
        )
        return
    if format is not Format.TEXT:
        print_document(anomalies_document(oddities), format)
        return
    for anomaly in oddities:
        say(f"{anomaly.kind} {quoted(anomaly.id)}: {anomaly.oddity.value} ({anomaly.detail})")
    say(f"{len(oddities):,} anomalies")


@audit_app.command("rules")
def rules(
    ledger: LedgerPath, known_at: KnownAt = None, tz: ShownIn = None, as_json: AsJson = False
) -> None:
    """
    List which rules were adopted, when and by whom; of each kind the last are in force.

    Exit with 1 where the text of some is not the one whose hash was recorded with it.
    """
    with LedgerReader(ledger) as book:
        cut = known_at_of(known_at, tz, book)
        upto = book.position_at(cut)
        adopted = [
            recorded
            for stream in STREAMS
            for recorded in book.history(stream)
            if recorded.position <= upto
        ]
    adopted.sort(key=lambda recorded: recorded.position)
    events: list[Any] = [recorded.event for recorded in adopted]
    altered = [not is_as_adopted(event) for event in events]
    if as_json:
        print_json(
            [
                {
                    **attrs.asdict(event),
                    "recorded_at": recorded.recorded_at.isoformat(),
                    "position": recorded.position,
                    "altered": wrong,
                }
                for recorded, event, wrong in zip(adopted, events, altered, strict=True)
            ]
        )
        if any(altered):
            raise typer.Exit(1)
        return
    last = {event.kind: recorded.position for recorded, event in zip(adopted, events, strict=True)}
    rows = [
        (
            moment_text(in_zone(recorded.recorded_at, tz)),
            f"{recorded.position:,}",
            event.kind.replace("_", " "),
            event.name,
            event.version,
            event.by,
            "TEXT ALTERED"
            if wrong
            else ("in force" if last[event.kind] == recorded.position else ""),
        )
        for recorded, event, wrong in zip(adopted, events, altered, strict=True)
    ]
    if rows:
        columns = ("recorded", "position", "kind", "name", "version", "by", "")
        show(columns, rows, right=("position",), whole=("recorded",))
    else:
        say("no rules were adopted")
    if any(altered):
        say("the text of some is not what was adopted: it was altered since; restore a backup")
        raise typer.Exit(1)


# --- what changes the ledger ----------------------------------------------------------------------


@audit_app.command("redact")
def redact(
    id: Annotated[str, typer.Argument(help="An incident or a change.")],
    ledger: LedgerPath,
    reason: Annotated[str, typer.Option(help="Why; it must not repeat what is taken out.")],
    by: Annotated[str, typer.Option(help="Who asks for it.")],
    version: Annotated[
        list[int] | None, typer.Option("--version", help="Only this event; may be given again.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take words (free text, names) out of the log for good; facts and proofs stay as they are."""
    with LedgerReader(ledger) as reader:
        [(kind, name)] = named(reader, id).items()
    with Ledger(ledger) as book:
        redaction = book.redact(
            stream_of(kind, name), by=by, at=datetime.now(UTC), reason=reason, versions=version
        )
    versions = [v for recorded in redaction for v in getattr(recorded.event, "versions", ())]
    if as_json:
        print_json({"id": id, "kind": kind, "versions": versions, "pending": redaction.pending})
        return
    if versions:
        text = ", ".join(map(str, versions))
        say(f"words of version {text} of {kind} {id} are taken out")
        complain("copies, exports and backups made earlier still hold them: they are out of reach")
    else:
        say("there were no words to take out")
    if redaction.pending:
        fail(f"pending: {redaction.pending}")


@audit_app.command("guard")
def guard(
    ledger: LedgerPath,
    off: Annotated[bool, typer.Option("--off", help="Let the database change rows again.")] = False,
) -> None:
    """Have the database itself refuse to change or delete events: a belt, not the promise."""
    with LedgerReader(ledger):
        pass  # says where there is no ledger, and makes none
    with Ledger(ledger) as book:
        book.guard(on=not off)
        state = "refuses" if book.guarded else "does not refuse"
    say(f"the database {state} to change, replace and delete events")
