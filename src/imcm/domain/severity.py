"""
A team's own words for severities: a scale of names, each with the rank that it stands for.

Ranks (`Severity`, P1 to P4) are what figures, rules and reviews go by, so that teams with other
words can be compared. The name as the team says it is kept beside the rank.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, Self

import attrs

from imcm.domain.vocabulary import (
    NONE_GIVEN,
    SEVERITY_RANK,
    Severity,
    checked_id,
    checked_member,
    folded,
    is_mapping,
)
from imcm.errors import InvalidValue


def _levels(value: Any) -> Any:
    """Return names as they are kept, never to change; what is no mapping is refused later."""
    return MappingProxyType(dict(value)) if is_mapping(value) else value


def _matrix(value: Any) -> Any:
    if not is_mapping(value):
        return value
    return MappingProxyType({name: _levels(row) for name, row in value.items()})


@attrs.frozen(kw_only=True)
class SeverityScale:
    """
    The names a team has for severities, the worst first, each with its rank.

        SeverityScale(
            name="web",
            levels={"SEV0": "P1", "SEV1": "P1", "SEV2": "P2", "SEV3": "P3"},
            matrix={
                "high": {"high": "SEV1", "low": "SEV2"},
                "low": {"high": "SEV2", "low": "SEV3"},
            },
        )

    Attributes:
        name, version: How people refer to it.
        levels: Names, the worst first; several may have one rank, and a rank may have none.
        matrix: What is proposed at triage: by the level of the impact, then by the urgency, both
            in the team's own words (in ITIL's: high, medium, low). Empty where nothing is.

    Raises:
        InvalidValue: There is no name, a rank comes after a lower one, or the matrix proposes a
            name that is not there.
    """

    name: str = "default"
    version: str = "1"
    levels: Mapping[str, Severity] = attrs.field(converter=_levels)
    matrix: Mapping[str, Mapping[str, str]] = attrs.field(
        factory=dict[str, Mapping[str, str]], converter=_matrix
    )

    def __attrs_post_init__(self) -> None:
        checked_id("scale.name", self.name)
        checked_id("scale.version", self.version)
        object.__setattr__(self, "levels", MappingProxyType(_checked_levels(self.levels)))
        _check_matrix(self.matrix, self.levels)

    def __hash__(self) -> int:
        """Hash what people call it: equal scales have one name."""
        return hash((self.name, self.version))

    def rated(self, name: str, value: object) -> tuple[Severity, str]:
        """
        Return the rank and the name of a severity, given by its name here.

        A rank is taken where exactly one name has it.

        Args:
            name: How errors call the value.

        Raises:
            InvalidValue: It is neither.
        """
        if isinstance(value, str):
            if value in self.levels:
                return self.levels[value], str(value)
            named = [level for level, rank in self.levels.items() if rank == value]
            if len(named) == 1:
                return self.levels[named[0]], named[0]
            if named:
                told = f"{' and '.join(named)} both have" if len(named) == 2 else "several have"
                raise InvalidValue(name, value, f"say which: {told} this rank")
        raise InvalidValue(name, value, _one_of(self.levels))

    def proposed(self, *, impact_level: str, urgency: str) -> str:
        """
        Return the name that the matrix proposes.

        Raises:
            InvalidValue: The scale has no matrix, or none for this level or urgency.
        """
        if not self.matrix:
            allowed = "nothing: the scale has no matrix, so choose the severity"
            raise InvalidValue("impact_level", impact_level, allowed)
        row = _among("impact_level", impact_level, self.matrix)
        if not isinstance(urgency, str) or urgency not in row:
            allowed = (
                f"for impact_level {impact_level} the matrix has {', '.join(row) or 'nothing'}"
            )
            raise InvalidValue("urgency", urgency, allowed)
        found: str = row[urgency]
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, which `from_dict` reads back."""
        levels = {name: rank.value for name, rank in self.levels.items()}
        matrix = {level: dict(row) for level, row in self.matrix.items()}
        return {"name": self.name, "version": self.version, "levels": levels, "matrix": matrix}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """
        Return the scale that a mapping tells: `name`, `version`, `levels` and `matrix`.

        Raises:
            InvalidValue: It is no mapping, has no levels, or tells something else besides.
        """
        if not is_mapping(plain):
            raise InvalidValue("scale", plain, 'a mapping with "levels", as as_dict gives it')
        known = [a.name for a in attrs.fields(cls)]
        for key in plain:
            if key not in known:
                raise InvalidValue("scale", key, _one_of(known))
        told: dict[str, Any] = {"levels": {}, **plain}
        return cls(**told)


def checked_scale(value: object) -> SeverityScale | None:
    """
    Return *value* if it is a scale, or None for None.

    Raises:
        InvalidValue: It is neither.
    """
    if value is None or isinstance(value, SeverityScale):
        return value
    allowed = 'give a SeverityScale, as in SeverityScale(levels={"SEV1": "P1", "SEV2": "P2"})'
    raise InvalidValue("scale", value, allowed)


def rated(name: str, value: object, scale: SeverityScale | None) -> tuple[Severity, str | None]:
    """
    Return the rank and the name of a severity; without a scale it has a rank alone.

    Raises:
        InvalidValue: It is none of the scale, or none of the ranks.
    """
    if scale is not None:
        return scale.rated(name, value)
    if isinstance(value, str) and value not in SEVERITY_RANK:
        allowed = f"one of {', '.join(Severity)}; names of a team's own need a SeverityScale"
        raise InvalidValue(name, value, allowed)
    return checked_member(name, value, Severity), None


MOST_LEVELS: Final = 100


def _checked_levels(levels: object) -> dict[str, Severity]:
    allowed = 'names with their ranks, the worst first, as in {"SEV1": "P1", "SEV2": "P2"}'
    if not is_mapping(levels) or not 0 < len(levels) <= MOST_LEVELS:
        raise InvalidValue("levels", levels, allowed)
    found: dict[str, Severity] = {}
    before = 0
    seen: set[str] = {NONE_GIVEN}  # so the group without any is called
    for name, rank in levels.items():
        told = checked_member(f"levels[{checked_id('levels', name)}]", rank, Severity)
        if folded(name) in seen:
            raise InvalidValue("levels", name, "another name: it reads like one that is there")
        seen.add(folded(name))
        if name in SEVERITY_RANK and name != told:
            raise InvalidValue("levels", name, f"its own rank: {name} can't stand for {told.value}")
        if SEVERITY_RANK[told] < before:
            allowed = f"the worst first: {told.value} stands after a lower rank"
            raise InvalidValue("levels", name, allowed)
        before = SEVERITY_RANK[told]
        found[name] = told
    return found


def _check_matrix(matrix: object, levels: Mapping[str, Severity]) -> None:
    allowed = "by the level of the impact, then by the urgency, a name of the scale"
    if not is_mapping(matrix):
        raise InvalidValue("matrix", matrix, allowed)
    for level, row in matrix.items():
        checked_id("matrix", level)
        if not is_mapping(row):
            raise InvalidValue("matrix", row, allowed)
        for urgency, name in row.items():
            checked_id("matrix", urgency)
            _among("matrix", name, levels)


def _among(name: str, value: object, known: Mapping[str, Any]) -> Any:
    """Return what is known under a name. Any: a row of the matrix, or a name in it."""
    if not isinstance(value, str) or value not in known:
        raise InvalidValue(name, value, _one_of(known))
    return known[value]


def _one_of(names: Iterable[str]) -> str:
    return f"one of {', '.join(map(str, names))}"
