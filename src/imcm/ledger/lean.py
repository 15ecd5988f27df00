"""
Stored rows to facts alone, as a replay for figures reads them: what `decode` gives, but faster.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Container, Iterable, Sequence
from datetime import datetime
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Final, Union, get_args, get_origin, get_type_hints

import attrs
import msgspec

from imcm.codec.decoding import decode
from imcm.codec.rows import (
    EVENT_TYPES,
    FORMAT,
    LEDGER_EVENTS,
    UNREADABLE,
    StoredEvent,
    StoredTuple,
    hints_of,
    word_fields,
)
from imcm.domain.corrections import EDITS
from imcm.domain.recorded import Source
from imcm.domain.vocabulary import Commit, PolicyRef

if TYPE_CHECKING:
    from imcm.projections.facts.fold import FactsFold, RawEvent


# --- facts alone ----------------------------------------------------------------------------------

_AWARE: Final = Annotated[datetime, msgspec.Meta(tz=True)]


def _hint(hint: Any) -> Any:
    """
    Return a type hint with every time aware, which the decoder then checks by itself.

    What stands in very many events, and checks nothing but that, is made as lean as they are.
    """
    if hint is datetime:
        return _AWARE
    if hint in (Commit, PolicyRef):
        return lean_struct(hint)
    if get_origin(hint) in {Union, UnionType}:
        return Union[tuple(map(_hint, get_args(hint)))]  # noqa: UP007 (made of what is given)
    if get_origin(hint) is tuple:
        return tuple[tuple(map(_hint, get_args(hint)))]  # type: ignore[misc]  # as above
    return hint


def _replaced(event: Any, /, **changes: Any) -> Any:
    return msgspec.structs.replace(event, **changes)


def _lean(cls: type, *, words: bool) -> Callable[[bytes], Any]:
    """Return what decodes the facts of an event, with its stamp, its source, perhaps its words."""
    # Of what is told of other events there is little, and it is wanted as it is.
    is_fact = cls not in {*EDITS, *LEDGER_EVENTS}
    members: list[Any] = [
        # A newer format is refused here, and told as what can't be read.
        ("format", Annotated[int, msgspec.Meta(le=FORMAT)]),
        ("record", str),
        ("recorded_at", _AWARE),
        ("event", lean_struct(cls) if is_fact else cls),
        ("source", Source | None, None),
    ]
    if words:
        hints = hints_of(cls)
        fields: list[Any] = [
            (word, str, "") if hints[word] is str else (word, tuple[str, ...], ())
            for word in word_fields(cls)
        ]
        apart = msgspec.defstruct(f"WordsOf{cls.__name__}", fields, frozen=True, gc=False)
        members.append(("words", apart, apart()))
    return msgspec.json.Decoder(msgspec.defstruct(f"Lean{cls.__name__}", members, gc=False)).decode


@functools.cache
def lean_struct(cls: type) -> Any:
    """
    Return a class that holds the facts of another, under the same name, and nothing else.

    The decoder fills it four times as fast, and the collector never walks it.
    """
    hints = get_type_hints(cls)
    fields: list[Any] = []
    for a in attrs.fields(cls):
        if a.name in word_fields(cls):
            continue
        field = [a.name, _hint(hints[a.name])]
        if isinstance(a.default, attrs.Factory):  # type: ignore[arg-type]
            field.append(msgspec.field(default_factory=a.default.factory))
        elif a.default is not attrs.NOTHING:
            field.append(a.default)
        fields.append(tuple(field))
    return msgspec.defstruct(
        cls.__name__, fields, gc=False, kw_only=True, namespace={"__replace__": _replaced}
    )


def _not_known(_: bytes) -> Any:
    raise msgspec.ValidationError("not a type of this version")


class Lean(dict[str, tuple[str, Callable[[bytes], Any]]]):
    """
    By the names of types: the name, and what decodes the facts; made when first needed.

    Args:
        worded: Of which types the words are told, too, apart from the facts as `words`; an event
            whose words can't be read has no such attribute.
    """

    def __init__(self, worded: Container[str] = ()) -> None:
        super().__init__()
        self._worded = worded

    def __missing__(self, name: str) -> tuple[str, Callable[[bytes], Any]]:
        cls = EVENT_TYPES.get(name)
        if cls is None:
            return name, _not_known  # not kept: of names that are not ours there may be very many
        # The one name of each type is told, which is found faster than others equal to it.
        decoded = _lean(cls, words=name in self._worded)
        named_decoder = self[name] = cls.__name__, decoded
        return named_decoder

    def taken(self, rows: Sequence[StoredTuple]) -> Iterable[RawEvent]:
        """
        Return what some rows tell of facts; one that can't be read has all looked at alone.

        Raises:
            StoreError: A state is not a stored event at all (damaged, or not ours).
        """
        positions, streams, versions, types, states = zip(*rows, strict=True)
        names, decoders = zip(*map(self.__getitem__, types), strict=True)
        try:
            facts = [decoded(state) for decoded, state in zip(decoders, states, strict=True)]
        except UNREADABLE:
            return map(self.taken_alone, rows)
        return zip(streams, versions, positions, names, facts, strict=True)

    def taken_alone(self, row: StoredTuple) -> RawEvent:
        """Return what one row tells of facts. Raises as `taken` does."""
        position, stream, version, name, state = row
        facts: Any
        for known in (self, _LEAN):  # words that can't be read leave the facts as they are
            try:
                facts = known[name][1](state)
                break
            except UNREADABLE:
                continue
        else:
            facts = decode(
                StoredEvent._make(row), words=False
            )  # which says what can't be read, and why
        return stream, version, position, facts.event.__class__.__name__, facts


_LEAN: Final = Lean()

TAKEN_AT_ONCE: Final = 250
"""So few that they stay in a processor's cache from one step to the next."""


def take_facts(rows: Iterable[StoredTuple], fold: FactsFold, until: datetime | None = None) -> None:
    """
    Give the facts of stored rows to a fold, as `decode` and `FactsFold.add` would, but faster.

    Args:
        rows: In log order, behind those the fold has; as `StoredEvent`, or plain tuples like it.
        until: Stop before the first event recorded after this time.

    Raises:
        StoreError: A state is not a stored event at all (damaged, or not ours).
    """
    rows = iter(rows)
    if until is None:
        pieces = iter(lambda: list(itertools.islice(rows, TAKEN_AT_ONCE)), [])
        fold.apply(itertools.chain.from_iterable(map(_LEAN.taken, pieces)))
    else:  # one by one: what lies behind that time is not even fetched
        alone = map(_LEAN.taken_alone, rows)
        fold.apply(itertools.takewhile(lambda raw: raw[-1].recorded_at <= until, alone))
