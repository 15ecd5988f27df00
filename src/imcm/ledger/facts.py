"""
The facts of a whole log, read from its store.

In a file of its own, so that who only records never loads what figures are made with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import chain

import attrs

from imcm.codec.rows import StoredEvent
from imcm.domain.recorded import LogMark, checked_known_at
from imcm.domain.vocabulary import optional_time
from imcm.gc_pause import gc_paused
from imcm.ledger.lean import take_facts
from imcm.ledger.store import ReadStore
from imcm.projections.facts.fold import Facts, FactsFold
from imcm.verifier import leaf_hash


def mark_at(
    store: ReadStore, ledger: str, position: int, *, events: int | None = None
) -> LogMark | None:
    """Return which event stands at a position; None where there is none."""
    for position_, stream, version, type_, state in store.tuples(after=position - 1, upto=position):
        leaf = leaf_hash(stream, version, type_, state).hex()
        count = store.count(position_) if events is None else events
        return LogMark(ledger, position_, count, leaf)
    return None


def facts_of(
    store: ReadStore, ledger: str, as_of: datetime | None, known_at: int | datetime | None
) -> Facts:
    """Return what `Ledger.facts` does."""
    as_of, known_at = optional_time("as_of", as_of), checked_known_at(known_at)
    with gc_paused():
        # The fold is gone before the collector walks what was made.
        facts = _folded(store, as_of, known_at)
    return marked(facts, store, ledger)


def marked(facts: Facts, store: ReadStore, ledger: str) -> Facts:
    """Return facts with which log they are of, and how far they were read."""
    if not facts.events:
        return facts
    mark = mark_at(store, ledger, facts.log_position, events=facts.events)
    return attrs.evolve(facts, mark=mark)


def loaded(rows: Iterable[StoredEvent], upto: Mapping[str, int]) -> FactsFold:
    """Return a fold that holds the events of some streams, of each those up to a version."""
    fold = FactsFold()
    take_facts((row for row in rows if row.version <= upto.get(row.stream, 0)), fold)
    return fold


def _folded(store: ReadStore, as_of: datetime | None, known_at: int | datetime | None) -> Facts:
    def load(streams: Mapping[str, int]) -> FactsFold:
        rows = store.streams(list(streams))
        return loaded(chain.from_iterable(rows.values()), streams)

    # Where what is later than a time is cut, the events of very many rows are needed once more.
    fold = FactsFold(load if as_of is None else None)
    upto = known_at if isinstance(known_at, int) else None
    until = known_at if isinstance(known_at, datetime) else None
    take_facts(store.tuples(upto=upto), fold, until)
    return fold.closed(as_of=as_of, known_at=known_at)
