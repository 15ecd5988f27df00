"""
The facts of a whole log, read from its store.

In a file of its own, so that who only records never loads what figures are made with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import chain

from imcm.codec import Row, take_facts
from imcm.collector import collector_paused
from imcm.domain.recorded import checked_known_at
from imcm.domain.vocabulary import optional_time
from imcm.ledger.store import Reading
from imcm.projections.facts import Facts, FactsFold


def facts_of(store: Reading, as_of: datetime | None, known_at: int | datetime | None) -> Facts:
    """Return what `Ledger.facts` does."""
    as_of, known_at = optional_time("as_of", as_of), checked_known_at(known_at)
    with collector_paused():
        # The fold is gone before the collector walks what was made.
        return _folded(store, as_of, known_at)


def loaded(rows: Iterable[Row], upto: Mapping[str, int]) -> FactsFold:
    """Return a fold that holds the events of some streams, of each those up to a version."""
    fold = FactsFold()
    take_facts((row for row in rows if row.version <= upto[row.stream]), fold)
    return fold


def _folded(store: Reading, as_of: datetime | None, known_at: int | datetime | None) -> Facts:
    def load(streams: Mapping[str, int]) -> FactsFold:
        found = store.streams(list(streams))
        return loaded(chain.from_iterable(found.values()), streams)

    # Where what is later than a time is cut, the events of very many rows are needed once more.
    fold = FactsFold(load if as_of is None else None)
    upto = known_at if isinstance(known_at, int) else None
    until = known_at if isinstance(known_at, datetime) else None
    take_facts(store.tuples(upto=upto), fold, until)
    return fold.closed(as_of=as_of, known_at=known_at)
