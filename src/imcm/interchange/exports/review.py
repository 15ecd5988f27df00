"""
A post-incident review, drafted from the log.

    with LedgerReader("ledger.db") as ledger:
        print(plain_text(incident_review(ledger, "INC-7")))

The draft says what the log says: what happened when, who was hit, what was tried, what is known of
causes, what is to be done. People stand in it by what they did there, and not by name. What the log
does not say is left open, under its own heading, for those who were there to fill in.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, Final

import attrs

from imcm.documents.structure import (
    Block,
    Cell,
    Column,
    Document,
    Heading,
    Items,
    Paragraph,
    Table,
    Word,
)
from imcm.domain.recorded import CHANGE, INCIDENT, kind_and_id
from imcm.domain.vocabulary import (
    AttemptResult,
    Between,
    Moment,
    Verdict,
    folded,
    is_list,
    is_mapping,
)
from imcm.errors import InvalidValue
from imcm.interchange.exports.standing_log import checked_reader
from imcm.ledger.reading import LedgerReader
from imcm.plain import count_of, plain, quoted
from imcm.projections.boards.assembly import view_of_stream
from imcm.projections.boards.views import ChangeView, IncidentView
from imcm.projections.figures.units import elapsed, shown, utc
from imcm.projections.histories.display import moment_cell
from imcm.projections.histories.timeline import Entry
from imcm.wording import impact_text, moment_text

__all__ = ["incident_review"]

_OPEN: Final = "Left open: the log does not say."


def incident_review(
    ledger: LedgerReader,
    id: str,
    *,
    names: bool = False,
    known_at: int | datetime | None = None,
) -> Document:
    """
    Return the draft of a post-incident review: what the log says, and what it leaves open.

    Args:
        ledger: Where the incident is told.
        id: Its id.
        names: Whether people stand in it by their ids. By default they stand by their part in it:
            "incident commander", "participant 2". Free text stays as somebody wrote it.
        known_at: A position or a time: what became known later is left out.

    Raises:
        UnknownIdError: There is no such incident, or it was not known by then.
        InvalidValue: It is a change.
    """
    ledger = checked_reader(ledger)
    stream = ledger.stream_of(id)
    kind, name = kind_and_id(stream)
    if kind != INCIDENT:
        raise InvalidValue("id", id, "the id of an incident: there is a change of this id")
    position = ledger.position_at(known_at)
    entries = ledger.timeline(stream, known_at=position)
    view = view_of_stream(ledger.events_of([stream], upto=position))
    if not isinstance(view, IncidentView):
        raise InvalidValue("id", id, "the id of an incident")
    named = [f"{CHANGE}:{change}" for change in view.verdicts]
    changes: dict[str, ChangeView] = {}
    for other in named:
        events = ledger.events_of([other], upto=position)
        there = view_of_stream(events) if events else None
        if isinstance(there, ChangeView):
            changes[there.id] = there
    parts = {} if names else _parts(entries)
    title = f": {view.title}" if view.title else ""
    return Document(
        title=f"Post-incident review of {name}{title}",
        blocks=(
            Paragraph(
                f"A draft made from the log of {ledger.ledger_id}, position {position}. It says "
                "what was recorded and adds nothing. Look for what made each step seem right at "
                "the time, not for who took it. What somebody wrote stands as it is, names in it "
                "as well: read it before you pass this on."
            ),
            *_summary(view),
            *_impact(view),
            *_timeline(entries, parts),
            *_attempts(view),
            *_causes(view, changes),
            *_told(view),
            *_actions(view),
            *_left_open(view, entries),
        ),
    )


# --- people by their part -------------------------------------------------------------------------

_ACTS: Final[Mapping[str, str]] = {
    "IncidentDetected": "reporter",
    "IncidentAcknowledged": "responder",
    "ChangePlanned": "change author",
    "ChangeSubmitted": "change author",
    "ChangeApproved": "approver",
    "VoteGiven": "approver",
    "ChangeStarted": "deployer",
    "ChangeCompleted": "deployer",
}
"""What somebody is called who did this before anything else; who holds a role is called by it."""


def _parts(entries: Sequence[Entry]) -> dict[str, str]:
    """Return by what each person, or machine, stands in the review instead of its id."""
    held: dict[str, str] = {}
    acted: dict[str, str] = {}
    ids: dict[str, str] = {}
    for entry in entries:
        event: Any = entry.event
        for who in (entry.by, getattr(event, "person", None)):
            if isinstance(who, str) and who:
                ids.setdefault(who, folded(who))
        if entry.what == "RoleAssigned":
            held.setdefault(folded(event.person), event.role.value.replace("_", " "))
        act = _ACTS.get(entry.what)
        if act is not None:
            acted.setdefault(folded(entry.by), act)
    people = list(dict.fromkeys(ids.values()))
    kinds = {key: held.get(key) or acted.get(key) or "participant" for key in people}
    how_many = Counter(kinds.values())
    taken: Counter[str] = Counter()
    parts: dict[str, str] = {}
    for key, kind in kinds.items():
        taken[kind] += 1
        parts[key] = kind if how_many[kind] == 1 else f"{kind} {taken[kind]}"
    # Two spellings of one id are the same person.
    return {who: parts[key] for who, key in ids.items()}


_PEOPLE: Final = ("by", "person")
"""Fields of events that name people; who is to do something stands by its id, see `_actions`."""


def _by_part(text: str, event: Any, parts: Mapping[str, str]) -> str:
    """
    Return a line in which those whom its event names stand as what they did there.

    Only they are replaced, and only outside of what somebody wrote: a title stays as it is, also
    where it has a word that is somebody's id.
    """
    names: set[Any] = {getattr(event, field, None) for field in _PEOPLE}
    people: list[str] = sorted(names & parts.keys(), key=len, reverse=True)
    if not people:
        return text
    pattern = re.compile(rf"(?<![\w.@-])(?:{'|'.join(map(re.escape, people))})(?![\w@-])")
    kept = sorted(_others(event), key=len, reverse=True)
    pieces = re.split(f"({'|'.join(map(re.escape, kept))})", text) if kept else [text]
    # Behind each piece of the line stands one of the event's own texts.
    pieces[::2] = (pattern.sub(lambda match: parts[match[0]], piece) for piece in pieces[::2])
    return "".join(pieces)


def _others(event: Any) -> Iterator[str]:
    """Yield the texts of an event that name nobody, as a line shows them."""
    for name, value in attrs.asdict(event, recurse=False).items():
        if name in _PEOPLE or isinstance(value, Enum):
            continue
        values: list[Any] = [value]
        if is_mapping(value):
            values = [*value.keys(), *value.values()]
        elif is_list(value):
            values = [*value]
        for text in values:
            if isinstance(text, str) and text:
                yield from {text, plain(text), quoted(text)}


# --- sections -------------------------------------------------------------------------------------


def _summary(view: IncidentView) -> Iterator[Block]:
    yield Heading("In short")
    severity = view.severity_name or (view.severity.value if view.severity else "not said")
    lines = [
        f"status: {view.status.value}",
        f"severity: {severity}",
        f"services: {', '.join(map(quoted, view.services)) or 'not said'}",
    ]
    if view.severity_highest is not None and view.severity_highest != view.severity:
        lines.append(f"highest severity: {view.severity_highest.value}")
    if view.symptom is not None:
        lines.append(f"symptom: {view.symptom.value.replace('_', ' ')}")
    by = view.monitor or (view.channel.value.replace("_", " ") if view.channel else "")
    lines.append(f"noticed through: {by or 'not said'}")
    if view.dismissed is not None:
        lines.append(f"dismissed: {view.dismissed.value.replace('_', ' ')}")
    if view.reopenings:
        lines.append(f"reopened: {view.reopenings} times")
    yield Items(tuple(lines))
    rows = [
        ("from the first harm to detection", view.impact_started_at, view.detected_at),
        ("from detection to acknowledgement", view.detected_at, view.acknowledged_at),
        ("from detection to mitigation", view.detected_at, view.mitigated_at),
        ("from detection to resolution", view.detected_at, view.resolved_at),
        ("from the first harm to resolution", view.impact_started_at, view.resolved_at),
    ]
    yield Table(
        title="how long it took",
        columns=(
            Column(name="what"),
            Column(name="took"),
            Column(name="from", kind="time", wide=True),
            Column(name="to", kind="time", wide=True),
        ),
        rows=[
            (what, _took(start, end), moment_cell(start), moment_cell(end))
            for what, start, end in rows
        ],
    )


def _took(start: Moment | None, end: Moment | None) -> Cell:
    if start is None or end is None:
        return "not known"
    text = shown(elapsed(utc(start), utc(end)) / 1_000_000, "seconds")
    uncertain = isinstance(start, Between) or isinstance(end, Between)
    return f"about {text} (a moment is uncertain)" if uncertain else text


def _impact(view: IncidentView) -> Iterator[Block]:
    yield Heading("Who was hit")
    if view.impact is None:
        yield Paragraph(_OPEN)
        return
    yield Paragraph(impact_text(view.impact) or _OPEN)
    if view.impact_started_at is not None:
        yield Paragraph(f"Since {moment_text(view.impact_started_at)}.")


def _timeline(entries: Sequence[Entry], parts: Mapping[str, str]) -> Iterator[Block]:
    yield Heading("What happened")
    rows: list[tuple[Cell, ...]] = []
    for entry in entries:
        line = _line(entry, parts)
        what: Cell = line if entry.voided_by is None else Word(line, "struck")
        rows.append((moment_cell(entry.at), entry.id, parts.get(entry.by, entry.by), what))
    yield Table(
        title="timeline",
        columns=(
            Column(name="when", kind="time"),
            Column(name="id"),
            Column(name="who"),
            Column(name="what"),
        ),
        rows=rows,
    )


def _line(entry: Entry, parts: Mapping[str, str]) -> str:
    """Return what an entry says, without the ids of people where they stand by their part."""
    event: Any = entry.event
    if parts and entry.what in {"RoleAssigned", "RoleReleased"}:
        role = event.role.value.replace("_", " ")
        word = "taken on" if entry.what == "RoleAssigned" else "given up"
        return f"the role of {role} is {word}"
    return _by_part(entry.line, event, parts)


_RESULTS: Final[Mapping[AttemptResult, Word]] = {
    AttemptResult.WORKED: Word("worked", "good"),
    AttemptResult.NO_EFFECT: Word("no effect", "poor"),
    AttemptResult.WORSE: Word("made it worse", "bad"),
}


def _attempts(view: IncidentView) -> Iterator[Block]:
    yield Heading("What was tried")
    rows: list[tuple[Cell, ...]] = []
    for attempt in view.attempts:
        result: Cell = "not said" if attempt.result is None else _RESULTS[attempt.result]
        what = attempt.kind.value.replace("_", " ")
        rows.append(
            (attempt.number, moment_cell(attempt.at), what, attempt.change, result, attempt.note)
        )
    yield Table(
        title="attempts",
        columns=(
            Column(name="number", kind="number"),
            Column(name="when", kind="time"),
            Column(name="what"),
            Column(name="change"),
            Column(name="result"),
            Column(name="note"),
        ),
        rows=rows,
    )


def _causes(view: IncidentView, changes: Mapping[str, ChangeView]) -> Iterator[Block]:
    yield Heading("What is known of causes")
    rows: list[tuple[Cell, ...]] = []
    for id, verdict in sorted(view.verdicts.items()):
        change = changes.get(id)
        title = "" if change is None else change.title
        went_in = None if change is None else moment_cell(change.deployed_at)
        rows.append((id, verdict.value, went_in, title))
    yield Table(
        title="changes",
        columns=(
            Column(name="change"),
            Column(name="verdict"),
            Column(name="went in", kind="time"),
            Column(name="title"),
        ),
        rows=rows,
    )
    lines = [f"a review found: {cause}" for cause in view.causes]
    lines += [f"tagged: {tag}" for tag in view.cause_tags]
    lines += [f"permanent fix: problem {problem}" for problem in view.problems]
    lines += [f"{relation.value.replace('_', ' ')} {other}" for other, relation in
              sorted(view.related.items())]  # fmt: skip
    if lines:
        yield Items(tuple(lines))
    elif not rows:
        yield Paragraph(_OPEN)


def _told(view: IncidentView) -> Iterator[Block]:
    yield Heading("What was told")
    if view.last_update is None:
        yield Paragraph("No update to colleagues or to the public is recorded.")
        return
    last = view.last_update
    when = moment_text(last.at)
    yield Paragraph(
        f"{count_of(view.updates, 'update')} recorded; the last one, {last.audience.value}, "
        f"{when}: "
        f"{last.text or '(its words were taken out)'}"
    )


def _actions(view: IncidentView) -> Iterator[Block]:
    yield Heading("What is to be done")
    rows: list[tuple[Cell, ...]] = []
    for action in view.actions:
        due = "not said" if action.due is None else action.due.isoformat()
        owner = action.owner or "nobody yet"
        rows.append((action.number, action.status, due, owner, action.change, action.text))
    # Who is to do something has to know it, so owners stand by their ids.
    yield Table(
        title="actions",
        columns=(
            Column(name="number", kind="number"),
            Column(name="status"),
            Column(name="due"),
            Column(name="owner"),
            Column(name="by change"),
            Column(name="text"),
        ),
        rows=rows,
    )


def _left_open(view: IncidentView, entries: Sequence[Entry]) -> Iterator[Block]:
    caused = any(verdict is Verdict.CAUSED for verdict in view.verdicts.values())
    suspected = [id for id, verdict in view.verdicts.items() if verdict is Verdict.SUSPECTED]
    own = [entry for entry in entries if (entry.kind, entry.id) == (INCIDENT, view.id)]
    timeless = sum(entry.at is None for entry in own)
    uncertain = sum(isinstance(entry.at, Between) for entry in own)
    unjudged = [attempt.number for attempt in view.attempts if attempt.result is None]
    undated = [action.number for action in view.actions if action.due is None]
    ownerless = [action.number for action in view.actions if action.owner is None]
    questions = [
        (view.impact_started_at is None, "Since when were users hit?"),
        (view.impact is None, "Who was hit, and how many customers?"),
        (view.severity is None, "How severe was it?"),
        (view.acknowledged_at is None, "When did somebody take it on?"),
        (view.mitigated_at is None, "When were users no longer hurt?"),
        (view.resolved_at is None, "When was service restored? It is not, as far as is recorded."),
        (not view.attempts, "What was tried, and what did it do?"),
        (bool(unjudged), f"What did these attempts do: {_numbers(unjudged)}?"),
        (not caused and not view.causes, "What brought it about?"),
        (bool(suspected), f"Did these changes cause it, which are suspected: "
                          f"{', '.join(suspected)}?"),
        (not view.actions, "What is to be done so that it does not happen again?"),
        (bool(ownerless), f"Who does these actions: {_numbers(ownerless)}?"),
        (bool(undated), f"By when are these actions done: {_numbers(undated)}?"),
        (not view.reviewed, "Nobody has recorded a review of its last resolution yet."),
        (bool(timeless), f"When did {timeless} of the entries above happen?"),
        (bool(uncertain), f"{uncertain} of the entries above are known only between two moments."),
        (bool(view.unread), f"{view.unread} of its events can't be read by this version."),
    ]  # fmt: skip
    yield Heading("Left open")
    yield Paragraph("The log does not say, and nothing was made up for it:")
    yield Items(
        (
            *(text for there, text in questions if there),
            "What made each step look right at the time?",
            "What went well, and where was it luck?",
            "What made it hard to notice, or to understand?",
        )
    )


def _numbers(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))
