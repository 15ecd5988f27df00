"""
Blocks that record several steps as one, and doors that record under a key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Self, TypeVar

from imcm.domain import incident
from imcm.domain.change import Change
from imcm.domain.change_events import ChangeEvent
from imcm.domain.incident import Incident
from imcm.domain.incident_events import IncidentEvent
from imcm.domain.recorded import Event, Recording, Source
from imcm.domain.vocabulary import Moment, Relation
from imcm.errors import InvalidValue, TransactionOverError
from imcm.ledger.calls import Call, call_of, of_members, relating

if TYPE_CHECKING:
    from imcm.ledger.recording import Ledger

__all__ = [
    "Once",
    "Transaction",
]

P = ParamSpec("P")
State = TypeVar("State", Incident, Change)


class Once:
    """A door that records under an idempotency key. Made by `Ledger.once`."""

    def __init__(self, ledger: Ledger, source: Source, key: str, *, strict: bool) -> None:
        self._ledger = ledger
        self._source = source
        self._key = key
        self._strict = strict

    def _transaction(self) -> Transaction:
        return Transaction(self._ledger, self._source, self._key, strict=self._strict)

    def record(
        self,
        id: str,
        step: Callable[Concatenate[State, P], tuple[IncidentEvent, ...] | tuple[ChangeEvent, ...]],
        /,
        *args: P.args,
        **arguments: P.kwargs,
    ) -> Recording:
        """
        Record as `Ledger.record` does, once: a repeat returns what was recorded the first time.

        Raises:
            KeyReusedError: The key came before with another step or id.
        """
        with self._transaction() as tx:
            tx.record(id, step, *args, **arguments)
        return tx.recorded

    def record_new(
        self,
        prefix: str,
        step: Callable[Concatenate[State, P], tuple[IncidentEvent, ...] | tuple[ChangeEvent, ...]],
        /,
        *args: P.args,
        **arguments: P.kwargs,
    ) -> Recording:
        """
        Record as `Ledger.record_new` does, once: a repeat has the id that was given first.

        Raises:
            KeyReusedError: The key came before with another step.
        """

        def collect(tx: Transaction, id_: str) -> None:
            tx.record(id_, step, *args, **arguments)

        return self._ledger.transaction_new(
            prefix, step, collect, source=self._source, key=self._key, strict=self._strict
        )

    def merge(self, id: str, *, into: str, by: str, at: Moment, why: str = "") -> Recording:
        """Merge as `Ledger.merge` does, once."""
        with self._transaction() as tx:
            tx.merge(id, into=into, by=by, at=at, why=why)
        return tx.recorded

    def relate(self, id: str, *, to: str, kind: Relation, by: str, at: Moment) -> Recording:
        """Relate as `Ledger.relate` does, once."""
        with self._transaction() as tx:
            tx.relate(id, to=to, kind=kind, by=by, at=at)
        return tx.recorded

    def unmerge(self, id: str, *, by: str, at: Moment, why: str) -> Recording:
        """Take a merge back as `Ledger.unmerge` does, once."""
        with self._transaction() as tx:
            tx.unmerge(id, by=by, at=at, why=why)
        return tx.recorded


class Transaction:
    """
    Several steps as one record: all of them, or none. Made by `Ledger.transaction`, used once.

    Attributes:
        recorded: What was recorded, readable after the block.
    """

    def __init__(
        self, ledger: Ledger, source: Source | None, key: str | None, *, strict: bool
    ) -> None:
        self._ledger = ledger
        self._source = source
        self._key = key
        self._strict = strict
        self._calls: list[Call] = []
        self._begun = self._over = False
        self.recorded = Recording()

    def _collect(self, call: Call) -> None:
        if self._over:
            raise TransactionOverError(
                "the block of this transaction has ended, and what it collected was decided on; "
                "begin another one with ledger.transaction()"
            )
        self._calls.append(call)

    def collected(self, stream: str) -> bool:
        """
        Say whether a step on a stream was collected.

        Args:
            stream: Its kind and id, "incident:INC-7".
        """
        return any(call.stream == stream for call in self._calls)

    def record(
        self,
        id: str,
        step: Callable[Concatenate[State, P], tuple[IncidentEvent, ...] | tuple[ChangeEvent, ...]],
        /,
        *args: P.args,
        **arguments: P.kwargs,
    ) -> None:
        """Collect one call; it decides at the end of the block."""
        if args:
            raise InvalidValue("arguments", args, "give them by name, as in by=..., at=...")
        self._collect(call_of(id, step, arguments))

    def merge(
        self,
        id: str,
        *,
        into: str,
        by: str,
        at: Moment,
        why: str = "",
    ) -> None:
        """Collect both sides of a merge of two incidents."""
        arguments = {"id": id, "into": into, "by": by, "at": at, "why": why}
        merging = call_of(id, incident.merge, arguments)
        absorbed = call_of(into, incident.absorb, {"by": by, "at": at, "merged": id})
        absorbed = absorbed._replace(others={"merged_state": merging.stream})
        others = {"into_state": absorbed.stream}

        def other_side(what_follows: Sequence[Event], _: object) -> Call:
            return absorbed

        self._collect(merging._replace(others=others, then=other_side))

    def relate(self, id: str, *, to: str, kind: Relation, by: str, at: Moment) -> None:
        """Collect what one incident is to another."""
        self._collect(relating(id, to=to, kind=kind, by=by, at=at))

    def unmerge(self, id: str, *, by: str, at: Moment, why: str) -> None:
        """Collect both sides of taking a merge back."""

        def separated(follows: Sequence[Event], _: object) -> Call:
            [unmerged] = follows
            out_of: str = getattr(unmerged, "out_of")  # noqa: B009 (of this event alone)
            return of_members(out_of, incident.separate, by=by, at=at, merged=id)

        unmerging = call_of(id, incident.unmerge, {"by": by, "at": at, "why": why})
        self._collect(unmerging._replace(then=separated))

    def __enter__(self) -> Self:
        if self._begun:
            raise TransactionOverError(
                "a transaction is one block and one record; begin another one with "
                "ledger.transaction()"
            )
        self._begun = True
        return self

    def __exit__(
        self,
        error: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._over = True
        if error is None:
            self.recorded = self._ledger.commit(
                self._calls, source=self._source, key=self._key, strict=self._strict
            )
