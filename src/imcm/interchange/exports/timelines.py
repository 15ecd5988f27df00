"""
A timeline as a document: Markdown for a review or a ticket, and JSON for other tools.

    told = timeline_of(ledger, ["INC-204"])
    Path("INC-204.md").write_text(timeline_markdown(told))

Titles and names are written by anybody. In the Markdown each is text and nothing else: no link, no
picture, no tag, no mention of a person, no cell of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

import attrs
import msgspec

from imcm.documents.markdown import markdown_text
from imcm.domain.recorded import kind_and_id
from imcm.domain.vocabulary import is_list
from imcm.errors import InvalidValue
from imcm.interchange.exports.standing_log import checked_reader
from imcm.interchange.exports.targets import Ends
from imcm.ledger.reading import LedgerReader
from imcm.projections.figures.units import SHAPE, instant_of
from imcm.projections.histories.timeline import Entry
from imcm.wording import moment_text

__all__ = [
    "markdown_text",
    "timeline_json",
    "timeline_markdown",
    "timeline_of",
]

_MARK: Final = "<!-- imcm timeline -->"
_JSON_MARK: Final = b'{\n  "document": "imcm timeline",'


@attrs.frozen(kw_only=True)
class Timeline:
    """
    What happened to some incidents and changes, and of which log it was told.

    Attributes:
        ids: Which were asked for: "incident:INC-204".
        entries: What happened to them, in order of time; see `imcm.timeline`.
        ledger: The id of the ledger.
        log_position: How far the log was read.
    """

    ids: tuple[str, ...]
    entries: tuple[Entry, ...]
    ledger: str
    log_position: int


def timeline_of(
    ledger: LedgerReader,
    ids: Iterable[str],
    *,
    linked: bool = True,
    as_of: datetime | None = None,
    known_at: int | datetime | None = None,
) -> Timeline:
    """
    Return the timeline of some incidents and changes, each thing once.

    Args:
        ledger: Where they are told.
        ids: Their ids, as `LedgerReader.stream_of` takes them.
        linked, as_of, known_at: See `imcm.timeline`.

    Raises:
        UnknownIdError: There is none with an id.
        InvalidValue: No id was given.
    """
    ledger = checked_reader(ledger)
    if isinstance(ids, str) or not is_list(ids):
        raise InvalidValue("ids", ids, 'ids, such as ["INC-204"]')
    streams = tuple(dict.fromkeys(ledger.stream_of(id_) for id_ in ids))
    if not streams:
        raise InvalidValue("ids", ids, 'at least one id, such as ["INC-204"]')
    position = ledger.position_at(known_at)
    # By its position each is told once; by their order of time each list is sorted already.
    found: dict[int, tuple[tuple[int, ...], Entry]] = {}
    for stream in streams:
        entries = ledger.timeline(stream, linked=linked, as_of=as_of, known_at=position)
        for entry in entries:
            found.setdefault(entry.position, (_order(entry), entry))
    ordered = sorted(found.values(), key=lambda item: item[0])
    return Timeline(
        ids=streams,
        entries=tuple(entry for _, entry in ordered),
        ledger=ledger.ledger_id,
        log_position=position,
    )


def timeline_markdown(timeline: Timeline) -> str:
    """
    Return a timeline as a Markdown document: a table, a row for each thing that happened.

    What was voided is struck through, what was corrected says so.

    Args:
        timeline: Made by `timeline_of`.
    """
    told = _checked(timeline)
    names = ", ".join(markdown_text(kind_and_id(stream)[1]) for stream in told.ids)
    lines = [
        _MARK,
        "",
        f"# Timeline of {names}",
        "",
        f"Ledger {markdown_text(told.ledger)}, log position {told.log_position}.",
        "",
        "| when | id | who | what |",
        "|---|---|---|---|",
    ]
    for entry in told.entries:
        what = markdown_text(entry.line)
        if entry.voided_by is not None:
            what = f"~~{what}~~"
        cells = (moment_text(entry.at), markdown_text(entry.id), markdown_text(entry.by), what)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def timeline_json(timeline: Timeline) -> bytes:
    """
    Return a timeline as JSON: the entries as `imcm timeline` with `--json` has them, and whose.

    Args:
        timeline: Made by `timeline_of`.
    """
    told = _checked(timeline)
    document: dict[str, Any] = {
        "document": "imcm timeline",
        "shape": SHAPE,
        "ledger": told.ledger,
        "log_position": told.log_position,
        "ids": list(told.ids),
        "entries": [entry.as_dict() for entry in told.entries],
    }
    return msgspec.json.format(msgspec.json.encode(document, enc_hook=str), indent=2) + b"\n"


def is_timeline_markdown(file: Ends) -> bool:
    """Say whether a file is what `timeline_markdown` makes."""
    return file.begin.startswith(_MARK.encode())


def is_timeline_json(file: Ends) -> bool:
    """Say whether a file is what `timeline_json` makes."""
    return file.begin.startswith(_JSON_MARK)


def _checked(value: object) -> Timeline:
    if not isinstance(value, Timeline):
        raise InvalidValue("timeline", value, "a Timeline, as timeline_of makes it")
    return value


def _order(entry: Entry) -> tuple[int, ...]:
    # What nobody knows the time of comes first.
    return (0, 0, entry.position) if entry.at is None else (1, instant_of(entry.at), entry.position)
