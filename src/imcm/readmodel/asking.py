"""
Conditions, orders and pages of a question to the tables of the read model.

Names of tables and columns are ours; what somebody asks with is always given beside the statement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from imcm.domain.vocabulary import checked_number, checked_words, folded, is_list, is_mapping
from imcm.errors import InvalidValue
from imcm.projections.figures.excerpt import one_of

FOLDED: Final = "imcm_folded"
"""The function by which SQL compares people, as all of imcm does."""


class Where:
    """Conditions of a question, all of which must hold, with the values they are asked with."""

    def __init__(self) -> None:
        self._conditions: list[str] = []
        self.values: list[object] = []

    def add(self, condition: str, *values: object) -> None:
        """Add a condition: SQL of ours, with a mark for each value."""
        self._conditions.append(condition)
        self.values += values

    def one_of(self, column: str, values: Sequence[str]) -> None:
        """Add that a column has one of these values."""
        self.add(f'"{column}" IN ({", ".join("?" * len(values))})', *values)

    def person(self, name: str, person: str | None, *columns: str) -> None:
        """Add that one of some columns names a person, however that is written; see `folded`."""
        if person is not None:
            given = folded(checked_words(name, person))
            told = ", ".join(f'{FOLDED}("{column}")' for column in columns)
            self.add(f"? IN ({told})", given)

    def named(self, service: str | None, labels: Mapping[str, str] | None) -> None:
        """Add that it is of a service, and has labels."""
        if service is not None:
            self.add(
                'EXISTS (SELECT 1 FROM json_each("services") AS s WHERE s.value = ?)',
                checked_words("service", service),
            )
        if labels is None:
            return
        if not is_mapping(labels):
            raise InvalidValue("labels", labels, 'a mapping, such as {"team": "payments"}')
        for name, value in labels.items():
            self.add(
                'EXISTS (SELECT 1 FROM json_each("labels") AS l WHERE l.key = ? AND l.value = ?)',
                checked_words("labels", name),
                checked_words("labels", value),
            )

    def holds(self, on_hold: bool | None) -> None:
        """Add that it waits, or does not."""
        if on_hold is None:
            return
        if not isinstance(on_hold, bool):
            raise InvalidValue("on_hold", on_hold, "True or False, or None for both")
        self.add(f'"on_hold" IS {"NOT " if on_hold else ""}NULL')

    def text(self, at: int | None) -> str:
        """Return them as they stand in a statement about what was known at a position."""
        if not self._conditions:
            return ""
        joined = " AND ".join(f"({condition})" for condition in self._conditions)
        return "WHERE " + joined.replace("{incident}", table_at("incident", at))


def table_at(name: str, at: int | None) -> str:
    return f"main.{name}" if at is None else f"temp.at_{name}"


def members_of(name: str, value: object, kind: type[StrEnum], *words: str) -> list[str]:
    """Return the values of one or several members of a closed list."""
    given: list[object] = [value] if isinstance(value, str) or not is_list(value) else [*value]
    if not given:
        raise InvalidValue(name, value, "at least one of them")
    allowed = [*words, *(member.value for member in kind)]
    members: list[str] = []
    values = {member.value for member in kind}
    for item in given:
        if not isinstance(item, str) or item not in values:
            raise InvalidValue(name, item, one_of(item, allowed))
        members.append(str(item))
    return members


def paging(limit: int | None, offset: int) -> tuple[int, int]:
    """Return how many rows after how many; -1 is all of them."""
    if limit is not None and checked_number("limit", limit) < 0:
        raise InvalidValue("limit", limit, "0 or more, or None for all")
    if checked_number("offset", offset) < 0:
        raise InvalidValue("offset", offset, "0 or more")
    return -1 if limit is None else limit, offset
