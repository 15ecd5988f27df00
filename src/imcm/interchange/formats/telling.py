"""
What the formats of tickets and status pages share: facts put together one by one.

A payload may hold anything anywhere. `Told` asks of each fact whether it can stand; what can't is
listed, and the rest of the payload counts all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Literal, cast

from imcm.domain.vocabulary import DismissalReason, Moment, Window, earliest, is_mapping
from imcm.errors import InvalidValue
from imcm.interchange.payloads import Payload
from imcm.interchange.statements import FACTS, Happening, Statement

Many = Literal["labels", "references", "marks"]
"""Facts that are put together of several, each of which can stand without the others."""

NOTHING: Final[Mapping[str, str]] = {}


def is_spoken_of(of: Payload, *path: str | int) -> bool:
    """Say whether the payload has a place at all, be it empty."""
    holder = of.raw(*path[:-1])
    return is_mapping(holder) and path[-1] in holder


def listed(of: Payload, *path: str | int) -> Sequence[object] | None:
    """Return the list at a place; None where there is none."""
    value: object = of.raw(*path)
    return cast("list[object]", value) if isinstance(value, list) else None


def texts_of(of: Payload, *path: str | int) -> Iterator[str]:
    """Yield the texts of the list at a place."""
    for place in range(len(listed(of, *path) or ())):
        text = of.text(*path, place)
        if text is not None:
            yield text


def certain(moment: Moment | None) -> datetime | None:
    """Return a moment if it is one time."""
    return moment if isinstance(moment, datetime) else None


class Told:
    """
    Facts of one incident or change, as they are found in a payload.

    Attributes:
        of: The payload, and where what does not fit is listed.
        facts: What stands so far.
        happened: What happened.
        texts: The times as they were written, where their zone was not.
    """

    def __init__(self, of: Payload, kind: Literal["incident", "change"]) -> None:
        self.of = of
        self.kind: Literal["incident", "change"] = kind
        self.facts: dict[str, Any] = {}
        self.happened: list[Happening] = []
        self.texts: dict[str, str] = {}

    def put(self, fact: str, value: object) -> bool:
        """Put a fact if there is one and it can stand; say whether it does."""
        if value is None:
            return False
        try:
            self.facts[fact] = FACTS[self.kind][fact](fact, value)
        except InvalidValue as error:
            self.of.drop(fact, value, error.allowed)
            return False
        return True

    def nothing(self, fact: str) -> None:
        """Put that there is none."""
        self.facts[fact] = None

    def moment(self, fact: str, *path: str | int, of: Payload | None = None) -> Moment | None:
        """
        Put the moment at a place: None where the payload shows it as empty; left out where the
        payload does not speak of it, and where what stands there can't be read.
        """
        of = of or self.of
        if not is_spoken_of(of, *path):
            return None
        before = len(of.drops)
        moment = of.moment(*path, fact=fact)
        if moment is not None:
            self.put(fact, moment)
            self.texts.update({fact: of.texts[fact]} if fact in of.texts else {})
        elif len(of.drops) == before:
            self.nothing(fact)
        return moment

    def add(self, fact: Many, name: str | None, value: object) -> None:
        """Put one label, reference or mark beside the others; None is left out."""
        if name is None or value is None:
            return
        try:
            checked: Any = FACTS[self.kind][fact](fact, {name: value})
        except InvalidValue as error:
            self.of.drop(f"{fact}.{name}", value, error.allowed)
            return
        self.facts[fact] = {**self.facts.get(fact, {}), **checked}

    def label(self, name: str | None, text: str | None, *, empty: bool = False) -> None:
        """Put a label; where it is *empty* rather than not spoken of, that it is gone."""
        if text is not None:
            self.add("labels", name, text)
        elif empty and name is not None:
            self.facts["labels"] = {**self.facts.get("labels", {}), name: None}

    def severity(
        self, word: str | None, ours: Mapping[str, str], *, name: str | None = None
    ) -> None:
        """Put the severity that a word of the source stands for, and its own word."""
        self.put("severity", self.of.word("severity", word, ours))
        self.put("severity_name", name or word)

    def services(self, names: Iterable[str | None], *, spoken_of: bool = True) -> None:
        """Put the services; a list that is there and empty says that there are none."""
        found = tuple(dict.fromkeys(name for name in names if name is not None))
        if found:
            self.put("services", found)
        elif spoken_of:
            self.put("services", ())

    def environment(self, names: Sequence[str]) -> None:
        """Put the first environment: an incident or a change has one; the others are listed."""
        if names:
            self.put("environment", names[0])
        for name in names[1:]:
            self.of.drop("environment", name, f"there is one, and {names[0]} stands first")

    def dismissed(self, word: str | None, ours: Mapping[str, str] = NOTHING) -> None:
        """Put why it is none, by the word with which the source ends such; None: it is not so."""
        if word is None:
            self.nothing("dismissed")
            return
        self.put("dismissed", self.of.word("dismissed", word, ours))

    def window(self, start: Moment | None, end: Moment | None) -> None:
        """Put the planned window, where both its ends are certain and in order."""
        first, last = certain(start), certain(end)
        if first is None or last is None:
            if start is not None or end is not None:
                self.of.drop("window", start or end, "a window has a start and an end")
            return
        try:
            self.put("window", Window(start=first, end=last))
        except InvalidValue as error:
            self.of.drop("window", f"{start} - {end}", error.allowed)

    def happen(self, what: str, at: Moment | None, by: str | None = None) -> None:
        """Add something that happened, if it is known when."""
        if at is not None:
            self.happened.append(Happening(what, at, by))

    def still_open(self, status: str, *facts: str) -> None:
        """
        Put that moments are none: the status says that it is open, so what stands there is of an
        earlier end that a reopening left behind.
        """
        for fact in facts:
            if self.facts.get(fact) is not None:
                self.of.drop(fact, self.facts[fact], f"of an earlier end: it is {status} now")
                self.texts.pop(fact, None)
                self.nothing(fact)

    def statement(
        self,
        id: str,
        *,
        said_at: Moment | None = None,
        sequence: int | None = None,
        delivery: str | None = None,
        status: str | None = None,
        gone: bool = False,
        aliases: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    ) -> Statement:
        """Return what is told."""
        return Statement(
            kind=self.kind,
            id=id,
            facts=self.facts,
            happened=tuple(self.happened),
            said_at=certain(said_at),
            sequence=sequence,
            delivery=delivery,
            status=status or "",
            texts=self.texts,
            gone=gone,
            aliases=aliases,
        )


NO_INCIDENT: Final[Mapping[str, str]] = {
    "canceled": DismissalReason.FALSE_POSITIVE,
    "cancelled": DismissalReason.FALSE_POSITIVE,
    "declined": DismissalReason.FALSE_POSITIVE,
    "duplicate": DismissalReason.DUPLICATE,
    "merged": DismissalReason.DUPLICATE,
}
"""Why something is no incident, by the words with which tools end such; values.dismissed first."""


def in_order(moments: Iterable[tuple[Moment, Any]]) -> list[Any]:
    """Return things by their moments, the oldest first; equal ones stay as they were."""
    return [thing for _, thing in sorted(moments, key=lambda pair: earliest(pair[0]))]
