"""
Policy: the rules a team chooses, as data that the steps consult.

A policy never changes what happened. It answers the asking steps (submit, approve, schedule,
start, advance_rollout) and the close of an incident, and the event keeps which policy was asked
and what it said.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from difflib import get_close_matches
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import attrs

from imcm.domain.policy.actors import AgentStep, actor_of, checked_actors
from imcm.domain.policy.approvals import ApprovalRule, Quorum, at_least_one
from imcm.domain.policy.plans import ApprovedTemplate, PlanRule
from imcm.domain.policy.scope import (
    Content,
    checked_content,
    checked_people,
    is_among_people,
    members_of,
)
from imcm.domain.policy.tables import checked_length, length_in_words, made, tables
from imcm.domain.vocabulary import (
    Actor,
    Authority,
    ChangeType,
    PolicyRef,
    Severity,
    checked_id,
    checked_member,
    checked_text,
    checked_time,
    folded,
    is_list,
    is_mapping,
)
from imcm.errors import InvalidValue
from imcm.plain import joined, plain, quoted

if TYPE_CHECKING:
    from imcm.domain.policy.freezes import Freeze, MaintenanceWindow
    from imcm.domain.policy.rollouts import RolloutRule

__all__ = [
    "DEFAULT_POLICY",
    "AgentStep",
    "ApprovalRule",
    "ApprovedTemplate",
    "Content",
    "PlanRule",
    "Policy",
    "Quorum",
    "checked_policy",
]

R = TypeVar("R")


def _listed(name: str, value: object, kind: type[R], example: str) -> tuple[R, ...]:
    given: list[object] = list(value) if is_list(value) else [None]
    for each in given:
        if not isinstance(each, kind):
            raise InvalidValue(name, each, f"a list of {example}")
    return tuple(each for each in given if isinstance(each, kind))


def _rules(value: object) -> tuple[ApprovalRule, ...]:
    return _listed("rules", value, ApprovalRule, "ApprovalRule(votes=2, ...)")


def _plans(value: object) -> tuple[PlanRule, ...]:
    return _listed("plans", value, PlanRule, 'PlanRule(needs=["test_plan"], ...)')


def _rollouts(value: object) -> tuple[RolloutRule, ...]:
    if is_list(value) and not value:
        return ()  # who has none does not load what judges them
    from imcm.domain.policy.rollouts import RolloutRule

    return _listed("rollouts", value, RolloutRule, 'RolloutRule(bake="10 minutes", ...)')


def _templates(value: object) -> tuple[ApprovedTemplate, ...]:
    templates = _listed("templates", value, ApprovedTemplate, "ApprovedTemplate(name=..., ...)")
    known = [(folded(each.name), each.version) for each in templates]
    for name, version in known:
        if known.count((name, version)) > 1:
            raise InvalidValue("templates", f"{name} {version}", "each name and version once")
    return templates


def _freezes(value: object) -> tuple[Freeze, ...]:
    if is_list(value) and not value:
        return ()  # who has none does not load what knows zones
    from imcm.domain.policy.freezes import Freeze, listed

    return listed("freezes", value, Freeze)


def _maintenance(value: object) -> tuple[MaintenanceWindow, ...]:
    if is_list(value) and not value:
        return ()
    from imcm.domain.policy.freezes import MaintenanceWindow, listed

    return listed("maintenance", value, MaintenanceWindow)


def _capacities(value: object) -> Mapping[Authority, tuple[str, ...]]:
    if not is_mapping(value):
        raise InvalidValue("members", value, 'who is what, such as {"cab": ["mia", "sam"]}')
    told = {
        checked_member("members", authority, Authority): checked_people("members", people)
        for authority, people in value.items()
    }
    return MappingProxyType(dict(sorted(told.items())))


def _groups(value: object) -> Mapping[str, tuple[str, ...]]:
    if not is_mapping(value):
        raise InvalidValue("groups", value, 'names of groups and their people: {"dba": ["mia"]}')
    groups = {
        checked_id("groups", name): checked_people(f"groups.{name}", people)
        for name, people in value.items()
    }
    for name in groups:
        if folded(name) in set(Authority) or [*map(folded, groups)].count(folded(name)) > 1:
            allowed = f"a name of its own, once, and none of {', '.join(Authority)}"
            raise InvalidValue("groups", name, allowed)
    return MappingProxyType(dict(sorted(groups.items())))


def _valid_for(value: object) -> timedelta | None:
    return None if value is None else checked_length("valid_for", value)


def _ruling_due(value: object) -> timedelta | None:
    return None if value is None else checked_length("ruling_due", value)


def _agents_may(value: object) -> tuple[AgentStep, ...]:
    return members_of("agents_may", value, AgentStep)


def _stewards(value: object) -> tuple[str, ...]:
    return checked_people("stewards", value)


@attrs.frozen(kw_only=True)
class Frozen:
    """
    Whether changes may start at a time, as freezes and maintenance windows have it.

    Attributes:
        at: The time.
        freezes: The names of the freezes that hold then, or that follow without a gap.
        opens_at: The first time from then on at which they may start; None where there is none
            within two years.
        override_by: Who may override the freezes that say who may.
        by_anybody: Whether one of them says nobody, so that anybody may who takes no part in the
            change.
    """

    at: datetime
    freezes: tuple[str, ...] = ()
    opens_at: datetime | None = None
    override_by: tuple[str, ...] = ()
    by_anybody: bool = False

    @property
    def open(self) -> bool:
        """Whether they may start at that time."""
        return self.opens_at == self.at

    def __str__(self) -> str:
        """Return it in one line: until when it is frozen, and what is let through."""
        if self.open:
            return f"open at {self.at}"
        names = ", ".join(map(quoted, self.freezes)) or "no maintenance window"
        until = "" if self.opens_at is None else f" until {self.opens_at}"
        may = " or ".join(map(plain, self.override_by)) or "anybody else"
        through = f"emergencies, and what {may} lets through" if self.freezes else "emergencies"
        return f"frozen at {self.at}{until} ({names}); let through: {through}"

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return {
            "at": self.at.isoformat(),
            "open": self.open,
            "freezes": list(self.freezes),
            "opens_at": None if self.opens_at is None else self.opens_at.isoformat(),
            "override_by": list(self.override_by),
            "by_anybody": self.by_anybody,
        }


def _bare(name: str) -> str:
    return "".join(sign for sign in folded(name) if sign.isalnum())


@attrs.frozen(kw_only=True)
class Policy:
    """
    What a team asks before a change may start and before an incident may be closed.

        Policy(
            name="strict",
            rules=[ApprovalRule(votes=2, of={"cab": 1}, risks=["high"])],
            members={"cab": ["mia", "sam"]},
            freezes=[Freeze(name="weekend", times=Weekly(start="Fri 16:00", end="Mon 08:00"))],
        )

    Attributes:
        name, version: How decisions taken under this policy refer to it.
        approvals: Votes a normal change needs at least. One person has one vote, and whoever asked
            for, planned, revised or submitted the change has none.
        authorities: In which capacity a vote counts.
        review_for: Severities whose incidents need a post-incident review before they close.
        rules: More that some changes need: what each rule that is about a change asks for.
        members: Who may vote in a capacity; of one that is not there, whoever says so.
        groups: Names of groups and who is in them, of which a rule can ask for votes, too.
        plans: What plans must say, besides the risk and the rollback plan of a normal change.
        templates: The recipes by which standard changes are approved; none means any.
        rollouts: What progressive rollouts have to keep: each rule that is about a change.
        valid_for: How long a vote counts: a `timedelta`, or text such as "14 days"; None means
            for ever. What is not started by then is voted on again.
        ruling_due: By when what went in unapproved has to be ruled on; None where nobody says.
        actors: What ids stand for: people, services such as pipelines, agents such as automated
            responders; "*" in an id is any text. An id's own name is stronger than a pattern; of
            several patterns that of an agent, then that of a service.
        people_decide: Whether only ids of people vote, rule and override freezes; one that no
            actor is named for does not.
        agents_may: What agents may do, which they otherwise may not: "approve" (rule, too),
            "close" as successful, "override_freeze".
        freezes: When nothing may start.
        maintenance: When changes may start; those that none of them is about, at any time.
        refuse_conflicts: Whether a change that conflicts with another one may neither be scheduled
            nor started; both steps then need their `context`.
        stewards: Who may adopt another policy in its place; nobody named means anybody.
        approvers_may_start: Whether who voted for a change may start it, too.

    Raises:
        InvalidValue: One of them is not as described.
    """

    name: str = "default"
    version: str = "1"
    approvals: int = 1
    authorities: frozenset[Authority] = frozenset(Authority)
    review_for: frozenset[Severity] = frozenset({Severity.P1, Severity.P2})
    rules: tuple[ApprovalRule, ...] = attrs.field(default=(), converter=_rules)
    members: Mapping[Authority, tuple[str, ...]] = attrs.field(
        factory=dict[Authority, tuple[str, ...]], converter=_capacities
    )
    groups: Mapping[str, tuple[str, ...]] = attrs.field(
        factory=dict[str, tuple[str, ...]], converter=_groups
    )
    plans: tuple[PlanRule, ...] = attrs.field(default=(), converter=_plans)
    templates: tuple[ApprovedTemplate, ...] = attrs.field(default=(), converter=_templates)
    rollouts: tuple[RolloutRule, ...] = attrs.field(default=(), converter=_rollouts)
    valid_for: timedelta | None = attrs.field(default=None, converter=_valid_for)
    ruling_due: timedelta | None = attrs.field(default=None, converter=_ruling_due)
    actors: Mapping[Actor, tuple[str, ...]] = attrs.field(
        factory=dict[Actor, tuple[str, ...]], converter=checked_actors
    )
    people_decide: bool = False
    agents_may: tuple[AgentStep, ...] = attrs.field(default=(), converter=_agents_may)
    freezes: tuple[Freeze, ...] = attrs.field(default=(), converter=_freezes)
    maintenance: tuple[MaintenanceWindow, ...] = attrs.field(default=(), converter=_maintenance)
    refuse_conflicts: bool = False
    stewards: tuple[str, ...] = attrs.field(default=(), converter=_stewards)
    approvers_may_start: bool = True

    def __attrs_post_init__(self) -> None:
        checked_id("policy.name", self.name)
        checked_id("policy.version", self.version)
        at_least_one("approvals", self.approvals)
        for name in ("people_decide", "refuse_conflicts", "approvers_may_start"):
            if not isinstance(getattr(self, name), bool):
                raise InvalidValue(name, getattr(self, name), "true or false")
        authorities = members_of("authorities", self.authorities, Authority)
        if not authorities:
            raise InvalidValue("authorities", self.authorities, "at least one authority")
        reviewed = members_of("review_for", self.review_for, Severity)
        object.__setattr__(self, "authorities", frozenset(authorities))
        object.__setattr__(self, "review_for", frozenset(reviewed))
        if self.people_decide and self.agents_may:
            allowed = "nothing, where only people decide"
            raise InvalidValue("agents_may", list(self.agents_may), allowed)
        if self.people_decide and not self.actors.get(Actor.PERSON):
            allowed = 'who is a person, such as {"person": ["*"], "agent": ["bot-*"]}'
            raise InvalidValue("actors", dict(self.actors), allowed)
        object.__setattr__(self, "rules", tuple(map(self._checked_rule, self.rules)))
        self._check_that_enough_may_vote()

    def _check_that_enough_may_vote(self) -> None:
        """Refuse a quorum that nobody can reach, where it is said who all may vote."""
        if not set(self.members) >= self.authorities:
            return
        people = {folded(person) for each in self.authorities for person in self.members[each]}
        allowed = f"at most {len(people)}, who are all that may vote"
        if self.approvals > len(people):
            raise InvalidValue("approvals", self.approvals, allowed)
        for rule in self.rules:
            if rule.votes > len(people):
                raise InvalidValue("rules.votes", rule.votes, allowed)

    def _checked_rule(self, rule: ApprovalRule) -> ApprovalRule:
        """Return a rule if it can be kept: what it asks of a capacity or group can be given."""
        named = {folded(name): name for name in (*self.authorities, *self.groups)}
        asked: dict[str, int] = {}
        for name, count in rule.of.items():
            known = named.get(folded(name))
            if known is None:
                names = sorted(map(str, named.values()))
                near = get_close_matches(name, names, n=1)
                hint = f"; near: {near[0]}" if near else ""
                allowed = f"a capacity that counts, or a group: {', '.join(names)}{hint}"
                raise InvalidValue("rules.of", name, allowed)
            people = self.groups.get(known)
            if people is None:
                people = self.members.get(Authority(known)) if known in set(Authority) else None
            if people is not None and len(people) < count:
                raise InvalidValue("rules.of", count, f"at most as many as there are: {known}")
            asked[str(known)] = count
        return rule if asked == rule.of else attrs.evolve(rule, of=asked)

    def __hash__(self) -> int:
        """Hash what decisions call it."""
        return hash((self.name, self.version))

    def quorum(self, content: Content) -> Quorum:
        """Return what the approval of such a change takes; an emergency takes one approver."""
        content = checked_content(content)
        quorum = Quorum(1 if content.type is ChangeType.EMERGENCY else self.approvals)
        for rule in self.rules:
            if rule.is_about(content):
                quorum = quorum.joined(Quorum(rule.votes, rule.of))
        return quorum

    def may_vote_as(self, authority: Authority, person: str) -> bool:
        """Say whether somebody may vote in a capacity."""
        people = self.members.get(checked_member("authority", authority, Authority))
        return people is None or is_among_people(checked_id("person", person), people)

    def capacities(self, authority: Authority, person: str) -> frozenset[str]:
        """
        Return as what a vote counts: in its capacity, and of which groups its voter is.

        As what somebody may not vote, they are a peer.
        """
        authority = checked_member("authority", authority, Authority)
        capacity = authority if self.may_vote_as(authority, person) else Authority.PEER
        groups = [name for name, people in self.groups.items() if is_among_people(person, people)]
        return frozenset((capacity.value, *groups))

    def actor_of(self, id_: str) -> Actor | None:
        """Return what an id stands for; None where nobody says."""
        return actor_of(self.actors, checked_id("id", id_)) if self.actors else None

    def may_decide(self, id_: str, step: AgentStep) -> bool:
        """Say whether whoever has an id may approve, close as successful or override a freeze."""
        actor = self.actor_of(id_)
        step = checked_member("step", step, AgentStep)
        if self.people_decide and step is not AgentStep.CLOSE:
            return actor is Actor.PERSON
        return actor is not Actor.AGENT or step in self.agents_may

    def frozen_at(self, content: Content, at: datetime) -> tuple[Freeze, ...]:
        """
        Return the freezes that hold for such a change at a time.

        Args:
            content: What the change is about; an emergency starts anyway.
            at: An aware time.
        """
        about = (freeze for freeze in self.freezes if freeze.is_about(content))
        return tuple(freeze for freeze in about if freeze.window_at(at) is not None)

    def frozen(self, at: datetime, content: Content | None = None) -> Frozen:
        """
        Return whether changes may start at a time, until when not, and what is let through.

        Args:
            at: An aware time.
            content: What the changes are about; by default a normal change to production that names
                no service.
        """
        content = Content() if content is None else checked_content(content)
        opens = self.opens_at(content, at)
        behind = checked_time("at", at) + timedelta(microseconds=1) if opens is None else opens
        about = (freeze for freeze in self.freezes if freeze.is_about(content))
        freezes = [freeze for freeze in about if freeze.met_by(at, behind) is not None]
        return Frozen(
            at=checked_time("at", at),
            freezes=tuple(freeze.name for freeze in freezes),
            opens_at=opens,
            override_by=tuple(
                dict.fromkeys(person for freeze in freezes for person in freeze.override_by)
            ),
            by_anybody=any(not freeze.override_by for freeze in freezes),
        )

    def opens_at(self, content: Content, at: datetime) -> datetime | None:
        """
        Return the first time, from one on, at which neither a freeze nor a window says no.

        None where there is none within two years; an emergency may start at once.

        Args:
            content: What the change is about.
            at: An aware time.
        """
        at, content = checked_time("at", at), checked_content(content)
        if content.type is ChangeType.EMERGENCY:
            return at
        freezes = [freeze for freeze in self.freezes if freeze.is_about(content)]
        windows = [window for window in self.maintenance if window.is_about(content)]
        opens, end = at, at + _TWO_YEARS if at.year < _LAST_YEARS else at
        while True:
            holds = (freeze.window_at(opens) for freeze in freezes)
            until = max((window.end for window in holds if window is not None), default=None)
            if until is None and windows:
                upcoming = (window.next_window(opens) for window in windows)
                first = min((each.start for each in upcoming if each is not None), default=None)
                if first is None:
                    return None
                until = first if first > opens else None
            if until is None:
                return opens
            if until > end:
                return None
            opens = until

    def template(self, name: str, version: str) -> ApprovedTemplate | None:
        """Return an approved template, retired or not."""
        checked_text("name", name)
        checked_text("version", version)
        known = ((each.name, each.version) for each in self.templates)
        return dict(zip(known, self.templates, strict=True)).get((name, version))

    def explain(self) -> str:
        """Return what it asks, in words."""
        from imcm.domain.policy.words import explained

        return joined(explained(self))

    def __str__(self) -> str:
        """Return what `explain` does."""
        return self.explain()

    def taken_as_people(self) -> tuple[tuple[str, str, str], ...]:
        """
        Return which names in `stewards` and `override_by` are near a group's and none of a group.

        Each with where it stands, the name, and the group that may have been meant: a group that
        is mistyped there is a person nobody has heard of, and may do what the group should.
        """
        named = [("stewards", name) for name in self.stewards]
        for freeze in self.freezes:
            named += [(f"freeze {freeze.name}", name) for name in freeze.override_by]
        groups = {_bare(name): name for name in self.groups}
        known = {folded(name) for name in self.groups}
        return tuple(
            (where, name, groups[near[0]])
            for where, name in named
            if folded(name) not in known
            and (near := get_close_matches(_bare(name), groups, n=1, cutoff=0.8))
        )

    def differences(self, other: Policy) -> tuple[tuple[str, str, str], ...]:
        """
        Return what two policies say differently: the key, and what this and the other one says.

        Args:
            other: The other policy; what one of them does not say is "".
        """
        from imcm.domain.policy.words import differences

        return tuple(differences(self, checked_policy(other)))

    def said(self, verdict: str) -> PolicyRef:
        """Return the reference that an event keeps of a decision under this policy."""
        return PolicyRef(
            name=self.name, version=self.version, said=checked_text("verdict", verdict)
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON and TOML; `from_dict` reads them back."""
        plain: dict[str, Any] = {
            "name": self.name,
            "version": self.version,
            "approvals": self.approvals,
            "authorities": sorted(self.authorities),
            "review_for": sorted(self.review_for),
        }
        more: dict[str, Any] = {
            "rules": [rule.as_dict() for rule in self.rules],
            "members": {authority: list(people) for authority, people in self.members.items()},
            "groups": {name: list(people) for name, people in self.groups.items()},
            "plans": [rule.as_dict() for rule in self.plans],
            "templates": [template.as_dict() for template in self.templates],
            "rollouts": [rule.as_dict() for rule in self.rollouts],
            "actors": {actor: list(ids) for actor, ids in self.actors.items()},
            "agents_may": list(self.agents_may),
            "freezes": [freeze.as_dict() for freeze in self.freezes],
            "maintenance": [window.as_dict() for window in self.maintenance],
            "stewards": list(self.stewards),
        }
        plain |= {name: value for name, value in more.items() if value}
        for name in ("people_decide", "refuse_conflicts"):
            if getattr(self, name):
                plain[name] = True
        for name in ("valid_for", "ruling_due"):
            length: timedelta | None = getattr(self, name)
            if length is not None:
                plain[name] = length_in_words(length)
        if not self.approvers_may_start:
            plain["approvers_may_start"] = False
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """
        Return the policy that a mapping tells, as a TOML file of it does.

        Raises:
            InvalidValue: A part is unknown or not as described.
        """
        if not is_mapping(plain):
            raise InvalidValue("policy", plain, "a mapping, as as_dict gives it")
        given = dict(plain)
        lists = dict(_LISTS)
        if given.get("rollouts"):
            from imcm.domain.policy.rollouts import RolloutRule

            lists["rollouts"] = RolloutRule
        for name, kind in lists.items():
            if name in given:
                given[name] = [
                    made(kind, f"{name}[{place}]", each)
                    for place, each in enumerate(tables(name, given[name]), start=1)
                ]
        for name in ("freezes", "maintenance"):
            if name in given:
                from imcm.domain.policy.freezes import Freeze, MaintenanceWindow

                during = Freeze if name == "freezes" else MaintenanceWindow
                given[name] = [
                    during.from_dict(each, f"{name}[{place}]")
                    for place, each in enumerate(tables(name, given[name]), start=1)
                ]
        return made(cls, "policy", given)


_LISTS: Final[Mapping[str, type[Any]]] = {
    "rules": ApprovalRule,
    "plans": PlanRule,
    "templates": ApprovedTemplate,
}
"""Lists of tables of a policy, and of what each is; Any: classes of attrs."""


_TWO_YEARS: Final = timedelta(days=731)
_LAST_YEARS: Final = 9990


def checked_policy(value: object) -> Policy:
    """
    Return *value* if it is a policy.

    Raises:
        InvalidValue: It is not.
    """
    if not isinstance(value, Policy):
        raise InvalidValue("policy", value, "give a Policy, as in Policy(approvals=2)")
    return value


DEFAULT_POLICY: Final = Policy()
"""One approval, never by the requester; P1 and P2 need a review before they close."""
