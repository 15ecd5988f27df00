"""
Statements of a source into a ledger.

    taken = record_statements(ledger, format_named("alertmanager").read(payload).statements,
                              source="alertmanager")
    taken.events, taken.corrected, taken.known

The same statements again record nothing; in another order, in several parts or from several
processes they end in the same facts, wherever the format has a time or a number of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final, NamedTuple

import attrs

from imcm.domain.corrections import CORRECTIONS, EventVoided, SourceSaid, SourceWithdrew
from imcm.domain.recorded import INCIDENT, kind_and_id, stream_of
from imcm.domain.vocabulary import (
    checked_flag,
    checked_function,
    checked_id,
    is_list,
    known_id,
    optional_time,
)
from imcm.errors import ConflictError, ImcmError, InvalidValue
from imcm.interchange.deciding import Pair, absorptions, additions, source_of
from imcm.interchange.mapping import OF_OTHER
from imcm.interchange.statements import REFERS, Happening, Statement, listed, streams_of
from imcm.ledger.bringing_in import History
from imcm.ledger.recording import Ledger
from imcm.plain import count_of

__all__ = ["Left", "Refused", "Taken", "record_statements"]

_STATEMENTS: Final = "what a format reads: [Statement(...), ...]"

_AT_ONCE: Final = 5_000
"""Statements that are gathered by what they are about."""

_TRIES: Final = 5
"""How often is begun anew where somebody else records on the same streams at the same moment."""


@attrs.frozen(kw_only=True)
class Left:
    """
    A fact that a source tells and that could not be taken.

    Attributes:
        stream: Of which incident or change.
        fact: Its name; *value*, what the source says of it now.
        why: Why it stays as it was.
    """

    stream: str
    fact: str
    value: str
    why: str


@attrs.frozen(kw_only=True)
class Refused:
    """
    An incident or a change of which nothing that a source said could be recorded.

    Attributes:
        stream: Which.
        why: Why.
    """

    stream: str
    why: str


@attrs.frozen(kw_only=True)
class Taken:
    """
    What became of statements.

    Attributes:
        statements: How many there were.
        things: Of how many incidents and changes.
        new: How many of these were not there before; *changed*, of how many that were there
            something new was said. What is neither, *known* nor refused there is none.
        known: Of how many nothing new was said: all of it stood there. That it was said again is
            kept where the source has an order, so that older words are known as older.
        events: Events that were recorded.
        corrected: Those of them that correct; *withdrawn*, those that take something back.
        superseded: Facts of older statements that a later one had told otherwise.
        left: Facts that can't be changed, and stayed as they were.
        refused: Incidents and changes of which nothing could be recorded.
        unknown_named: Incidents and changes that the statements name and that are not there.
    """

    statements: int = 0
    things: int = 0
    new: int = 0
    changed: int = 0
    known: int = 0
    events: int = 0
    corrected: int = 0
    withdrawn: int = 0
    superseded: int = 0
    left: tuple[Left, ...] = ()
    refused: tuple[Refused, ...] = ()
    unknown_named: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the counts in one line."""
        things = "incident or change" if self.things == 1 else "incidents and changes"
        parts = [
            f"{count_of(self.events, 'event')} of {self.things:,} {things}: {self.new:,} new, "
            f"{self.changed:,} changed, {self.known:,} unchanged"
        ]
        if self.refused:
            parts.append(f"{len({each.stream for each in self.refused}):,} refused")
        said = [
            (self.corrected, count_of(self.corrected, "correction")),
            (self.withdrawn, f"{self.withdrawn:,} taken back"),
            (self.superseded, f"{count_of(self.superseded, 'fact')} superseded"),
            (len(self.left), f"{count_of(len(self.left), 'fact')} left as it was"),
            (len(self.unknown_named), f"{len(self.unknown_named):,} named and not known"),
        ]
        more = ", ".join(text for count, text in said if count)
        return "; ".join(filter(None, (", ".join(parts), more)))


def record_statements(
    ledger: Ledger,
    statements: Iterable[Statement],
    *,
    source: str,
    by: str | None = None,
    received_at: datetime | None = None,
    dry_run: bool = False,
    progress: Callable[[int], object] | None = None,
    news: Callable[[Statement], object] | None = None,
) -> Taken:
    """
    Record what a source says, as far as it says something new.

    Args:
        ledger: Where.
        statements: As a format reads them. They are taken some thousands at a time.
        source: The name of the source: every id begins with it, "alertmanager/...". Two tools of
            one kind have two names.
        by: Who recorded what nobody is named for; by default the source.
        received_at: When they arrived. An incident of which its source tells no moment at all is
            detected then, and has the label `detected_at` that says so.
        dry_run: Say what would be recorded, and record nothing.
        progress: Called with the number of incidents and changes done so far.
        news: Called with each statement about something of which something new was recorded, once
            it is; *dry_run* calls it likewise.

    Raises:
        InvalidValue: An argument is not as described.
        ConflictError: Others record on the same streams all the time; what was recorded stands, and
            the same again adds the rest.
        StoreError: The ledger failed.
    """
    if not isinstance(ledger, Ledger):
        raise InvalidValue("ledger", ledger, "give a Ledger")
    if "/" in checked_id("source", source):
        raise InvalidValue("source", source, "a name without slash, which ends it in ids")
    by = source if by is None else checked_id("by", by)
    optional_time("received_at", received_at)
    checked_flag("dry_run", dry_run)
    if progress is not None:
        checked_function("progress", progress)
    if news is not None:
        checked_function("news", news)
    if not is_list(statements):
        raise InvalidValue("statements", statements, _STATEMENTS)
    taking = _Taking(ledger, source, by, received_at, dry_run=dry_run)
    rest = iter(statements)
    while some := list(islice(rest, _AT_ONCE)):
        of_news = taking.take(some)
        if news is not None:
            for statement in of_news:
                news(statement)
        if progress is not None:
            progress(taking.things)
    return taking.taken()


class _Taking:
    def __init__(
        self,
        ledger: Ledger,
        source: str,
        by: str,
        received_at: datetime | None,
        *,
        dry_run: bool,
    ) -> None:
        self.ledger = ledger
        self.source = source
        self.by = by
        self.received_at = received_at
        self.dry_run = dry_run
        self.counts: dict[str, int] = dict.fromkeys(
            ("statements", "events", "corrected", "withdrawn", "superseded"), 0
        )
        self.new: set[str] = set()
        self.changed: set[str] = set()
        self.going_on: Mapping[str, str] = {}
        self.seen: set[str] = set()
        self.left: list[Left] = []
        self.refused: list[Refused] = []
        self.named: set[str] = set()

    @property
    def things(self) -> int:
        return len(self.seen)

    def taken(self) -> Taken:
        unknown = self.ledger.empty_streams(self.named)
        changed = self.changed - self.new
        refused = {each.stream for each in self.refused}
        return Taken(
            **self.counts,
            things=self.things,
            new=len(self.new),
            changed=len(changed),
            known=len(self.seen - self.new - changed - refused),
            left=tuple(self.left),
            refused=tuple(self.refused),
            unknown_named=tuple(sorted(kind_and_id(stream)[1] for stream in unknown)),
        )

    def take(self, some: Sequence[Statement]) -> Iterable[Statement]:
        """Record some statements; return those about something of which something was new."""
        for statement in some:
            if not isinstance(statement, Statement):
                raise InvalidValue("statements", statement, _STATEMENTS)
        self.going_on = self._going_on(some)
        by_stream: dict[str, list[Statement]] = {}
        for statement in some:
            mine = self._placed(statement)
            stream = stream_of(mine.kind, f"{self.source}/{mine.id}")
            by_stream.setdefault(self.going_on.get(stream, stream), []).append(mine)
        self.counts["statements"] += len(some)
        self.seen |= by_stream.keys()
        self._settle_merges(by_stream)
        attempt = 1
        while True:
            tally = _Tally()
            try:
                self.ledger.bring_in(
                    self._histories(by_stream, tally), refused=tally.refuse, dry_run=self.dry_run
                )
            except ConflictError:
                if attempt == _TRIES:
                    raise
                attempt += 1
            else:
                break
        news: list[Statement] = []
        for of_it in tally.done.values():
            for name, count in of_it.counts.items():
                self.counts[name] += count
            self.left += of_it.left
            if of_it.news:
                (self.new if of_it.is_new else self.changed).add(of_it.news)
                news += by_stream[of_it.news]
        self.refused += tally.refused
        return news

    def _going_on(self, some: Sequence[Statement]) -> Mapping[str, str]:
        """Return the stream in which what has several ids goes on, by the stream of each id."""
        groups = [group for statement in some for group in self._streams_of_aliases(statement)]
        if not groups:
            return {}
        empty = set(self.ledger.empty_streams({stream for group in groups for stream in group}))
        found: dict[str, str] = {}
        for group in groups:
            at = next((found[stream] for stream in group if stream in found), None)
            at = at or next((stream for stream in group if stream not in empty), group[0])
            for stream in group:
                found.setdefault(stream, at)
        return found

    def _streams_of_aliases(self, statement: Statement) -> Iterator[tuple[str, ...]]:
        if not statement.aliases:
            return
        named: list[tuple[str, str]] = [(statement.kind, statement.id)]
        for name, kind in REFERS.items():
            named += [(kind, id_) for id_ in listed(statement.facts.get(name) or ())]
        for kind, id_ in named:
            others = statement.aliases.get(id_)
            if others:
                ids = (id_, *others)
                yield tuple(stream_of(kind, f"{self.source}/{each}") for each in ids)

    def _placed(self, statement: Statement) -> Statement:
        """Return a statement whose ids are those of the ledger."""
        placed: dict[str, Any] = {}
        for name in REFERS:
            value = statement.facts.get(name)
            if value is not None:
                ids = tuple(self._referred(name, each) for each in listed(value))
                placed[name] = ids if isinstance(value, tuple) else ids[0]
        if not placed:
            return statement
        self.named.update(streams_of(placed))
        return attrs.evolve(statement, facts={**statement.facts, **placed})

    def _referred(self, name: str, text: str) -> str:
        of_other = OF_OTHER.fullmatch(text)
        if of_other is not None:
            return known_id(name, f"{of_other['source']}/{of_other['id']}")
        id_ = known_id(name, f"{self.source}/{text}")
        stream = stream_of(REFERS[name], id_)
        return kind_and_id(self.going_on.get(stream, stream))[1]

    def _settle_merges(self, by_stream: dict[str, list[Statement]]) -> None:
        """Leave out merges into what is not there: nothing would go on for the incident."""
        into = {
            stream_of(INCIDENT, statement.facts["merged_into"])
            for statements in by_stream.values()
            for statement in statements
            if statement.facts.get("merged_into") is not None
        }
        missing = set[str]()
        if into:
            missing.update(self.ledger.empty_streams(into - by_stream.keys()))
        for stream, statements in by_stream.items():
            for place, statement in enumerate(statements):
                target = statement.facts.get("merged_into")
                if target is None:
                    continue
                named = stream_of(INCIDENT, target)
                if named in missing or named == stream:
                    statements[place] = statement.without("merged_into")
                    why = "itself" if named == stream else "there is no such incident"
                    self.left.append(Left(stream=stream, fact="merged_into", value=target, why=why))

    def _histories(
        self, by_stream: Mapping[str, Sequence[Statement]], tally: _Tally
    ) -> Iterator[History]:
        absorbed: dict[str, list[tuple[str, Statement]]] = {}
        for stream, statements in by_stream.items():
            yield History(stream=stream, decide=_Saying(self, tally, stream, statements))
            for statement in statements:
                into = statement.facts.get("merged_into")
                if into is not None:
                    id_ = kind_and_id(stream)[1]
                    absorbed.setdefault(stream_of(INCIDENT, into), []).append((id_, statement))
        for stream, members in absorbed.items():
            yield History(stream=stream, decide=_Absorbing(self, tally, members))

    def dated(self, kind: str, statements: Sequence[Statement]) -> Sequence[Statement]:
        """Return statements about something new, with the receipt as its moment if it has none."""
        first, *others = statements
        received_at = first.received_at or self.received_at
        if kind != INCIDENT or received_at is None or any(map(_has_moment, statements)):
            return statements
        said: Mapping[str, str] = first.facts.get("labels") or {}
        labels = {**said, "detected_at": "time of receipt"}
        happened = (*first.happened, Happening("detected", received_at))
        dated = attrs.evolve(first, facts={**first.facts, "labels": labels}, happened=happened)
        return [dated, *others]


def _has_moment(statement: Statement) -> bool:
    told = any(name.endswith("_at") and at is not None for name, at in statement.facts.items())
    return told or bool(statement.happened)


@attrs.frozen(eq=False)
class _Saying:
    """What statements about one thing add to its stream."""

    taking: _Taking
    tally: _Tally
    stream: str
    statements: Sequence[Statement]

    def __call__(self, there: tuple[Pair, ...]) -> Sequence[Pair]:
        taking, kind = self.taking, kind_and_id(self.stream)[0]
        said = self.statements if there else taking.dated(kind, self.statements)
        found = additions(kind, there, said, source=taking.source, by=taking.by)
        why = "it has no correction; void the event that told it, or plan anew"
        left = [
            Left(stream=self.stream, fact=each.name, value=str(each.value)[:200], why=why)
            for each in found.left
        ]
        pairs = found.pairs
        counts = {
            "events": len(pairs),
            "corrected": sum(isinstance(event, CORRECTIONS) for event, _ in pairs),
            "withdrawn": sum(isinstance(e, (EventVoided, SourceWithdrew)) for e, _ in pairs),
            "superseded": found.superseded,
        }
        known = all(isinstance(event, SourceSaid) for event, _ in pairs)
        self.tally.done[self] = _Done(counts, left, "" if known else self.stream, not there)
        return pairs


@attrs.frozen(eq=False)
class _Absorbing:
    """That incidents go on in another one, in its stream."""

    taking: _Taking
    tally: _Tally
    members: Sequence[tuple[str, Statement]]

    def __call__(self, there: tuple[Pair, ...]) -> Sequence[Pair]:
        of_each = ((id_, source_of(each, self.taking.source)) for id_, each in self.members)
        pairs = absorptions(there, of_each, self.taking.by)
        self.tally.done[self] = _Done({"events": len(pairs)})
        return pairs


class _Done(NamedTuple):
    """
    What one history adds, counted; and what of it could not be taken.

    *news* is the stream of which something new was said, *is_new* whether nothing was there.
    """

    counts: Mapping[str, int]
    left: Sequence[Left] = ()
    news: str = ""
    is_new: bool = False


class _Tally:
    """What one attempt did, which counts once it is done."""

    def __init__(self) -> None:
        self.done: dict[object, _Done] = {}
        self.refused: list[Refused] = []

    def refuse(self, history: History, error: ImcmError) -> None:
        """Count nothing of a history that could not be recorded."""
        self.done.pop(history.decide, None)
        self.refused.append(Refused(stream=history.stream, why=str(error)))
