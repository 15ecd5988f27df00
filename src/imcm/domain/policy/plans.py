"""
What a plan must say before it is put up, and which recipes of standard changes are approved.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from enum import StrEnum
from typing import Any

import attrs

from imcm.domain.policy.approvals import at_least_one
from imcm.domain.policy.scope import Content, Scope, checked_ids, members_of
from imcm.domain.policy.tables import checked_length, length_in_words
from imcm.domain.vocabulary import ChangeType, checked_id, folded, is_list
from imcm.errors import InvalidValue


class PlanPart(StrEnum):
    """What a plan can be asked to say; the names are those of `change.plan`."""

    ROLLBACK_PLAN = "rollback_plan"
    MONITORING_PLAN = "monitoring_plan"
    TEST_PLAN = "test_plan"
    RISK = "risk"
    WINDOW = "window"
    SERVICES = "services"


def _parts(value: object) -> tuple[PlanPart, ...]:
    return members_of("needs", value, PlanPart)


def _references(value: object) -> tuple[str, ...]:
    return checked_ids("references", value, '["ticket"]')


@attrs.frozen(kw_only=True)
class PlanRule(Scope):
    """
    What the plan of a change must say before it is submitted.

    A normal change needs a risk and a rollback plan under every policy.

    Attributes:
        needs: Which parts, such as "monitoring_plan".
        references: Kinds of references that it must have, such as "ticket"; `change.refer` adds
            them.
        types: Which changes it is about, as for `ApprovalRule`; where none are given, normal ones.
        risks, kinds, services, environments, labels: See *types*.

    Raises:
        InvalidValue: One of them is not as described, or nothing is asked for.
    """

    needs: tuple[PlanPart, ...] = attrs.field(default=(), converter=_parts)
    references: tuple[str, ...] = attrs.field(default=(), converter=_references)

    def __attrs_post_init__(self) -> None:
        if not self.needs and not self.references:
            allowed = f"what a plan must say: needs ({', '.join(PlanPart)}), references or both"
            raise InvalidValue("needs", self.needs, allowed)

    def __hash__(self) -> int:
        """Hash what it asks for, of which types."""
        return hash((self.needs, self.references, self.types))

    def missing(self, there: Collection[str], references: Collection[str]) -> list[str]:
        """
        Return what it asks for and is not there, as arguments of `change.plan` and `refer`.

        Args:
            there: The parts that the plan has.
            references: The kinds of references that it has.

        Raises:
            InvalidValue: One of them is no list of text.
        """
        for name, value in (("there", there), ("references", references)):
            if not is_list(value) or not all(isinstance(each, str) for each in value):
                raise InvalidValue(name, value, 'a list of text, such as ["ticket"]')
        known = set(map(folded, references))
        lacks = [part.value for part in self.needs if part not in there]
        return lacks + [
            f"a reference of kind {kind!r}" for kind in self.references if folded(kind) not in known
        ]

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON and TOML, without what is as it is by default."""
        plain: dict[str, Any] = {"types": list(self.types)}
        if self.needs:
            plain["needs"] = list(self.needs)
        if self.references:
            plain["references"] = list(self.references)
        return {**plain, **self.scope_as_dict()}


def _within(value: object) -> timedelta:
    return checked_length("within", value)


@attrs.frozen(kw_only=True)
class ApprovedTemplate(Scope):
    """
    A recipe whose standard changes are approved beforehand.

    Attributes:
        name, version: As the submission names it; see `Template`.
        sha256: The hash of its text; "" takes any.
        retired: Nothing is submitted by it any more.
        max_failures: So many failed changes by it, of any version, *within* a time before a
            submission end its approval; None where failures do not matter. A submission then has
            to be given its `context`.
        within: A `timedelta`, or text such as "90 days".
        types: Standard changes, and no others.
        risks, kinds, services, environments, labels: Which changes may follow it, as for
            `ApprovalRule`; of services, only those.

    Raises:
        InvalidValue: One of them is not as described.
    """

    name: str
    version: str
    sha256: str = ""
    retired: bool = False
    max_failures: int | None = None
    within: timedelta = attrs.field(default=timedelta(days=365), converter=_within)

    def __attrs_post_init__(self) -> None:
        checked_id("name", self.name)
        checked_id("version", self.version)
        if self.types not in {(ChangeType.NORMAL,), (ChangeType.STANDARD,)}:
            raise InvalidValue("types", list(self.types), "nothing: standard changes follow it")
        object.__setattr__(self, "types", (ChangeType.STANDARD,))
        if not isinstance(self.retired, bool):
            raise InvalidValue("retired", self.retired, "true or false")
        if not _is_hash(self.sha256):
            raise InvalidValue("sha256", self.sha256, "64 lower-case hexadecimal digits")
        if self.max_failures is not None:
            at_least_one("max_failures", self.max_failures, "failure")

    def __hash__(self) -> int:
        """Hash what submissions call it."""
        return hash((self.name, self.version))

    def is_about(self, content: Content) -> bool:
        """Say whether such a change may follow it: all of its services have to be named."""
        mine = set(map(folded, self.services))
        return super().is_about(content) and (
            not mine or mine.issuperset(map(folded, content.services))
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON and TOML, without what is as it is by default."""
        plain: dict[str, Any] = {"name": self.name, "version": self.version}
        if self.sha256:
            plain["sha256"] = self.sha256
        if self.retired:
            plain["retired"] = True
        if self.max_failures is not None:
            plain["max_failures"] = self.max_failures
            plain["within"] = length_in_words(self.within)
        return {**plain, **self.scope_as_dict()}


def _is_hash(value: object) -> bool:
    """Say whether it is one, or text without any."""
    return isinstance(value, str) and (
        not value or (len(value) == 64 and set(value) <= set("0123456789abcdef"))
    )
