"""
The events of a log as they stand: corrected as was said since, and without those that were voided.

Corrections and voids are few, and come after what they are of. So the log is read twice: once for
them, once for everything; memory grows with them, and not with the log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, Final

from imcm.codec.decoding import decode
from imcm.domain.corrections import EDITS, standing
from imcm.domain.recorded import CHANGE, INCIDENT, Recorded, Unread
from imcm.errors import InvalidValue
from imcm.ledger.reading import LedgerReader

__all__ = ["StandingLog", "checked_reader"]

_EDITS: Final = frozenset(cls.__name__ for cls in EDITS)
_KINDS: Final = (f"{INCIDENT}:", f"{CHANGE}:")


def checked_reader(value: object) -> LedgerReader:
    """
    Return *value* if a ledger can be read by it.

    Raises:
        InvalidValue: It is something else.
    """
    if not isinstance(value, LedgerReader):
        raise InvalidValue("ledger", value, "a Ledger or a LedgerReader")
    return value


class StandingLog:
    """
    A log up to a position, whose events are told as they stand there.

    Args:
        ledger: Which log.
        known_at: A position, or a time T for the longest prefix in which nothing was recorded
            after T. None takes the whole log.
        words: False leaves free text and names out.
        keep: Names of types of events that are kept while the log is read for edits; see `kept`.
    """

    def __init__(
        self,
        ledger: LedgerReader,
        *,
        known_at: int | datetime | None = None,
        words: bool = True,
        keep: frozenset[str] = frozenset(),
    ) -> None:
        self._ledger = ledger
        self._words = words
        self.position = ledger.position_at(known_at)
        self._edits: dict[str, list[Any]] = {}
        self.edits = 0
        """How many corrections and voids there are."""
        self.left_out: Counter[str] = Counter()
        """How many events were not told, for each reason, so far."""
        kept: list[Recorded] = []
        wanted = _EDITS | keep
        for recorded in self._recorded(wanted.__contains__):
            if recorded.event.__class__.__name__ in _EDITS:
                self._edits.setdefault(recorded.stream, []).append(recorded.event)
                self.edits += 1
            else:
                kept.append(recorded)
        self.kept: tuple[Recorded, ...] = tuple(self._standing(kept))
        """The events of the kept types, as they stand."""
        self.left_out.clear()

    def events(self, wanted: Callable[[str], bool]) -> Iterator[Recorded]:
        """
        Yield the events of incidents and changes as they stand, in log order.

        Args:
            wanted: Says of a type's name whether its events are told. Corrections and voids are
                told in what they are of, and events that can't be read are in none.
        """
        return self._standing(self._recorded(lambda name: name not in _EDITS and wanted(name)))

    def _recorded(self, wanted: Callable[[str], bool]) -> Iterator[Recorded]:
        for row in self._ledger.rows(upto=self.position):
            if wanted(row.type) and row.stream.startswith(_KINDS):
                recorded = decode(row, words=self._words)
                if isinstance(recorded.event, Unread):
                    self.left_out["not read by this version"] += 1
                else:
                    yield recorded

    def _standing(self, log: Iterable[Recorded]) -> Iterator[Recorded]:
        for recorded in log:
            edits = self._edits.get(recorded.stream)
            if edits is None:
                yield recorded
                continue
            event = standing({recorded.version: recorded.event}, edits).get(recorded.version)
            if event is None:
                self.left_out["voided"] += 1
            else:
                yield recorded._replace(event=event)
