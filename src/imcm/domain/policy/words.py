"""
A policy in words, for people: what it asks, and how two of them differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from imcm.domain.policy.actors import AgentStep
from imcm.domain.policy.tables import length_in_words
from imcm.domain.vocabulary import Authority, is_list, is_mapping

if TYPE_CHECKING:
    from imcm.domain.policy import Policy
    from imcm.domain.policy.freezes import Freeze, MaintenanceWindow
    from imcm.domain.policy.rollouts import RolloutRule
    from imcm.domain.policy.scope import Scope


def explained(policy: Policy) -> Iterator[str]:
    """Yield what a policy asks, a sentence a line."""
    yield f"policy {policy.name} {policy.version}"
    yield f"  a normal change takes {_count(policy.approvals, 'vote')} at least, an emergency 1"
    for rule in policy.rules:
        of = [f"{count} as {name}" for name, count in rule.of.items()]
        some = f", of them {_listed(of)}" if of else ""
        yield f"  {_about(rule)}: {_count(rule.votes, 'vote')}{some}"
    if policy.authorities < frozenset(Authority):
        yield f"  votes count as {_listed(sorted(policy.authorities))} alone"
    asked = {name for rule in policy.rules for name in rule.of}
    for capacity in sorted(asked & set(Authority) - set(policy.members)):
        yield f"  anybody may vote as {capacity}: members names nobody"
    for what, people in (*policy.members.items(), *policy.groups.items()):
        yield f"  {what}: {_listed(people) or 'nobody'}"
    if policy.valid_for is not None:
        yield f"  a vote counts for {length_in_words(policy.valid_for)}"
    if policy.ruling_due is not None:
        due = length_in_words(policy.ruling_due)
        yield f"  what went in unapproved is to be ruled on within {due}"
    yield from _actors(policy)
    if not policy.approvers_may_start:
        yield "  who voted for a change does not start it"
    yield "  a normal change says its risk and how to roll back"
    for plan in policy.plans:
        needs = [*plan.needs, *(f"a reference of kind {kind}" for kind in plan.references)]
        yield f"  {_about(plan)} say {_listed(needs)}"
    for template in policy.templates:
        limit = template.max_failures
        within = length_in_words(template.within)
        until = "" if limit is None else f", until {_count(limit, 'change')} failed in {within}"
        how = "is retired" if template.retired else f"approves standard changes{until}"
        yield f"  template {template.name} {template.version} {how}"
    for rollout in policy.rollouts:
        yield f"  rollouts of {_about(rollout)}: {_listed(_kept(rollout))}"
    for freeze in policy.freezes:
        by = f"; {_listed(freeze.override_by) or 'anybody'} may override it"
        yield f"  freeze {freeze.name}: {_when(freeze)}{_where(freeze)}{by}"
    for window in policy.maintenance:
        yield f"  maintenance {window.name}: {_when(window)}{_where(window)}"
    if policy.refuse_conflicts:
        yield "  a change that conflicts with another one is neither scheduled nor started"
    if policy.review_for:
        yield f"  incidents of {_listed(sorted(policy.review_for))} close after a review"
    stewards = _listed(policy.stewards) or "anybody (no stewards are named)"
    yield f"  it is replaced by: {stewards}"


def _listed(items: Iterable[object]) -> str:
    *most, last = list(map(str, items)) or [""]
    return f"{', '.join(most)} and {last}" if most else last


def _actors(policy: Policy) -> Iterator[str]:
    for actor, ids in policy.actors.items():
        yield f"  {actor.value}: {_listed(ids)}"
    if policy.actors and not policy.people_decide:
        agents = "" if AgentStep.APPROVE in policy.agents_may else "; agents do not"
        yield f"  services, and ids that nobody names, vote too{agents}"
    if policy.people_decide:
        yield "  only people vote, rule and override freezes"
    if policy.agents_may:
        yield f"  agents may {_listed([step.value for step in policy.agents_may])}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _about(rule: Scope) -> str:
    types = _listed(list(rule.types)) if rule.types else "all"
    kinds = f" of kind {_listed(list(rule.kinds))}" if rule.kinds else ""
    risks = f" of {_listed(list(rule.risks))} risk" if rule.risks else ""
    return f"{types} changes{kinds}{risks}{_where(rule)}"


def _kept(rollout: RolloutRule) -> Iterator[str]:
    if rollout.first is not None:
        yield f"{rollout.first:g} % at most at first"
    if rollout.bake is not None:
        yield f"{length_in_words(rollout.bake)} before each next step"
    if rollout.checks:
        age = rollout.fresh_for
        fresh = "" if age is None else f" in the last {length_in_words(age)}"
        yield f"after {_listed(rollout.checks)} passed{fresh}"
    if rollout.canary is not None:
        canary = rollout.canary
        yield f"errors judged with a false alarm in {canary.alpha * 100:g} % of rollouts at most"
        yield f"{_count(canary.requests, 'request')} a side at each step before it is judged good"
        if rollout.bake is None or canary.bake > rollout.bake:
            yield f"watched for {length_in_words(canary.bake)} at least"
        if canary.tolerated_ratio is not None:
            yield f"errors shown to be under {canary.tolerated_ratio:g} times the baseline's"


def _where(rule: Any) -> str:
    """Return where a rule is about, in words. Any: of whatever class that has these three."""
    text = ""
    if rule.services:
        text += f" on {_listed(rule.services)}"
    if rule.environments:
        text += f" in {_listed(rule.environments)}"
    if rule.labels:
        text += f" with {_listed([f'{name} {value}' for name, value in rule.labels.items()])}"
    return text


def _when(during: Freeze | MaintenanceWindow) -> str:
    from imcm.domain.policy.freezes import Weekly

    weekly = [str(each) for each in during.times if isinstance(each, Weekly)]
    once = [each for each in during.times if not isinstance(each, Weekly)]
    told = [f"every week {text}" for text in weekly]
    told += [f"{each.start:%Y-%m-%d %H:%M} to {each.end:%Y-%m-%d %H:%M} UTC" for each in once[:3]]
    more = len(once) - 3
    return _listed([*told, *([f"{more} more stretches"] if more > 0 else [])])


def differences(mine: Policy, other: Policy) -> Iterator[tuple[str, str, str]]:
    """Yield what two policies say differently: where, and what each says; "" where nothing."""
    before, after = _flat(mine.as_dict()), _flat(other.as_dict())
    for key in dict.fromkeys((*before, *after)):
        if before.get(key, "") != after.get(key, ""):
            yield key, before.get(key, ""), after.get(key, "")


def _flat(plain: Mapping[str, Any]) -> dict[str, str]:
    """Return every value of the tables of a policy by the name of its place."""
    flat: dict[str, str] = {}
    for key, value in plain.items():
        rows: list[Any] = list(value) if is_list(value) and not is_mapping(value) else []
        if rows and all(map(is_mapping, rows)):
            for number, row in enumerate(rows, start=1):
                version = f" {row['version']}" if "version" in row else ""
                flat[f"{key}[{row.get('name', number)}{version}]"] = _table(row)
        elif is_mapping(value):
            flat |= {f"{key}.{name}": _value(each) for name, each in value.items()}
        else:
            flat[key] = _value(value)
    return flat


def _table(table: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} = {_value(value)}" for key, value in table.items() if key != "name")


def _value(value: object) -> str:
    if is_mapping(value):
        return "{" + ", ".join(f"{key} = {_value(each)}" for key, each in value.items()) + "}"
    if is_list(value):
        return "[" + ", ".join(map(_value, value)) + "]"
    return str(value).lower() if isinstance(value, bool) else str(value)
