"""
Change failure rate: of the deployments, the share that failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import compress
from typing import ClassVar, Final, NamedTuple

import attrs

from imcm.projections.facts.columns import (
    COMPLETED,
    FAILED,
    NO_TIME,
    ROLLED_BACK,
    indices_set,
    take,
)
from imcm.projections.facts.fold import Facts, IncidentFacts
from imcm.projections.facts.instants import moment_of
from imcm.projections.figures.attribution import Attributed, Attribution, causes_of, detected
from imcm.projections.figures.bounds import instants
from imcm.projections.figures.definition import choices, names
from imcm.projections.figures.deployments import (
    Deployed,
    Deployment,
    DeploymentsByGroup,
    all_deployments,
    deployments,
    unknown_outcomes,
)
from imcm.projections.figures.figure import Figure, Included, LeftOut
from imcm.projections.figures.function import figure_function, unread_notes
from imcm.projections.figures.groups import Members, names_of, with_groups
from imcm.projections.figures.lazy import LazySequence
from imcm.projections.figures.periods import Periods, buckets
from imcm.projections.figures.population import groups_of, incidents_of
from imcm.projections.figures.units import SHARE
from imcm.projections.figures.windows import Period
from imcm.projections.statistics.intervals import wilson

FAILED_BY: Final = ("incident", "rolled_back", "failed", "repaired")
"""The signs of failure that count unless told otherwise."""


# --- change failure rate --------------------------------------------------------------------------


@attrs.frozen(kw_only=True, repr=False)
class FailedBy(Attribution):
    """
    Which deployments failed.

    Attributes:
        failed_by: The signs of failure that count: "incident" (one with a `caused` verdict),
            "rolled_back", "failed" (outcome), "repaired" (another change names it as repaired);
            and "version_returned", not a default: where an earlier version is deployed again,
            the deployment that had replaced it failed (versions 1, 2, 3, 1 mark 2).
    """

    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "failed_by": (*FAILED_BY, "version_returned")
    }
    failed_by: tuple[str, ...] = attrs.field(default=FAILED_BY, converter=names)


@attrs.frozen(kw_only=True, repr=False)
class ChangeFailureRate(FailedBy):
    """
    Failed deployments as a share (0 to 1) of all deployments in the window.

    A change that caused four incidents failed once. Undefined, not 0, without deployments.

    Attributes:
        numerator: "changes" (default: failed deployments), "links" (pairs of an incident and a
            deployment it is laid to), or "incidents" (all incidents detected in the window,
            whatever caused them). The last two exist to reproduce other tools and may exceed 1.
        denominator: Which deployments it is divided by: "all" (default), "successful" (completed),
            "successful_or_failed", or "evaluated" (which failed, or were closed with a result).
    """

    NAME: ClassVar[str] = "change failure rate"
    CHOICES: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "numerator": ("changes", "incidents", "links"),
        "denominator": ("all", "successful", "successful_or_failed", "evaluated"),
    }
    numerator: str = "changes"
    denominator: str = "all"


DIVIDES: Final = "divides only"
"""Why a deployment is included where the numerator counts incidents."""


class Failed:
    """
    The deployments that failed; what says so of each is told when somebody asks.

    Attributes:
        indices: Their indices among all deployments, in order.
        inferred: The indices of those of which nothing but inferred causes says so.
    """

    def __init__(
        self, deployed: Deployed, attributed: Attributed | None, others: Mapping[int, Sequence[str]]
    ) -> None:
        """
        Take all signs there are.

        Args:
            attributed: The incidents attributed to changes; None where they are no sign.
            others: The other signs by the indices of the deployments.
        """
        self._deployed = deployed
        self._attributed = attributed
        self._others = others
        marked = set(others)
        self.inferred: frozenset[int] = frozenset()
        if attributed is not None:
            deployment_indices = deployed.deployment_indices
            caused = {
                deployment_indices[change] for change in attributed.changes if change >= 0
            } - {-1}
            if attributed.stated < len(attributed.changes):
                stated = {
                    deployment_indices[change]
                    for change in attributed.changes[: attributed.stated]
                    if change >= 0
                }
                self.inferred = frozenset(caused - stated - marked)
            marked |= caused
        self._marked = marked
        self.indices: Sequence[int] = sorted(marked)

    def __contains__(self, index: int) -> bool:
        return index in self._marked

    def among(self, indices: Sequence[int]) -> Sequence[int]:
        """Return those of some indices, all different, at which a deployment failed, in order."""
        if len(indices) == len(self._deployed):
            return self.indices
        return [index for index in indices if index in self._marked]

    def links(self, index: int) -> int:
        """Return how many incidents say that a deployment failed."""
        attributed = self._attributed
        return (
            0
            if attributed is None
            else len(attributed.by_change.get(self._deployed.change_indices[index], ()))
        )

    def signs(self, index: int) -> tuple[str, ...]:
        """Return all that says that a deployment failed, as a person reads it."""
        signs = (
            ()
            if self._attributed is None
            else self._attributed.signs(self._deployed.change_indices[index])
        )
        return (*signs, *self._others.get(index, ()))


class Classified(NamedTuple):
    """
    All deployments the definition takes, in order of time, and the failures among them.

    With them come the incidents that are attributed to none, and what a reader should know of the
    causes.
    """

    deployments: Deployed
    failed: Failed
    unattributed: Sequence[LeftOut]
    notes: tuple[str, ...]


def failures(facts: Facts, definition: FailedBy) -> Classified:
    """Return the deployments the definition takes with the failures among them, by change id."""
    key = ("failures", *choices(definition, FailedBy))
    return facts.kept(key, lambda: _failures(facts, definition))


def _failures(facts: Facts, definition: FailedBy) -> Classified:
    deployed, _ = deployments(facts, definition)
    attributed, unattributed = causes_of(facts, definition)
    by = definition.failed_by
    others: dict[int, list[str]] = {}
    signs: dict[int, str] = {}
    if "rolled_back" in by:
        signs[ROLLED_BACK] = "rolled back"
    if "failed" in by:
        signs[FAILED] = "outcome failed"
    if signs:
        outcomes = deployed.outcomes
        others = {index: [signs[outcomes[index]]] for index in deployed.ended(*signs)}
    if "repaired" in by:
        for id_, repair in repairs_of(facts).items():
            _sign(others, facts, deployed, id_, f"repaired by {repair}")
    if "version_returned" in by:
        for id_, version in _versions_returned(all_deployments(facts, definition)).items():
            _sign(others, facts, deployed, id_, f"version {version} deployed again")
    by_incident = "incident" in by
    failed = Failed(deployed, attributed if by_incident else None, others)
    return Classified(deployed, failed, unattributed, attributed.notes() if by_incident else ())


def repairs_of(facts: Facts) -> dict[str, str]:
    """Return the changes that others name as repaired, each with the last that does, by id."""
    repairs = [facts.changes[index] for index in indices_set(facts.changes.columns.rework)]
    return {of: row.id for row in repairs if (of := row.repairs) and of != row.id}


def _sign(
    others: dict[int, list[str]], facts: Facts, deployed: Deployed, id_: str, sign: str
) -> None:
    """Note a sign of failure, where the change is a deployment in question."""
    change = facts.changes.index_of(id_)
    if change is not None and deployed.deployment_indices[change] >= 0:
        others.setdefault(deployed.deployment_indices[change], []).append(sign)


def _versions_returned(deployed: Iterable[Deployment]) -> dict[str, str]:
    """Return the deployments that were undone by deploying what they had replaced, by change id."""
    marked: dict[str, str] = {}
    live: dict[str, list[str]] = {}  # ids of what was deployed to a service, in order of time
    newest: dict[tuple[str, str], int] = {}  # the last index of a version among them
    for deployment in deployed:
        version = deployment.change.version
        if version is None:
            continue
        for service in deployment.change.services or ("",):
            earlier = live.setdefault(service, [])
            replaced_by = newest.get((service, version), len(earlier)) + 1
            if replaced_by < len(earlier):
                marked[earlier[replaced_by]] = version
            newest[service, version] = len(earlier)
            earlier.append(deployment.change.id)
    return marked


def _divisors(classified: Classified, definition: ChangeFailureRate) -> Sequence[int]:
    """Return the indices of the deployments in the denominator."""
    deployed = classified.deployments
    every = range(len(deployed))
    if definition.denominator == "all":
        return every
    outcomes = deployed.outcomes
    if definition.denominator == "successful":
        return [index for index in every if outcomes[index] == COMPLETED]
    if definition.denominator == "successful_or_failed":
        return [index for index in every if outcomes[index] in (COMPLETED, FAILED)]
    failed = classified.failed  # "evaluated"
    return [
        index for index in every if index in failed or deployed.change(index).result is not None
    ]


def _passed_over(
    deployed: Deployed, divisors: Sequence[int], definition: ChangeFailureRate
) -> list[LeftOut]:
    """Return the deployments of the window that are not in the denominator."""
    window = definition.window
    span = None if window is None else instants(window, definition.bounds)
    reason = f"not in its denominator ({definition.denominator})"
    return [
        LeftOut(deployed.id(index), reason, deployed.change(index).positions)
        for index in sorted(set(range(len(deployed))).difference(divisors))
        if span is None or deployed.at[index] in span
    ]


def change_failures(facts: Facts, definition: ChangeFailureRate) -> Figure:
    """Compute the change failure rate."""
    _, out = deployments(facts, definition)
    classified = failures(facts, definition)
    deployed = classified.deployments
    divisors, passed_over = _divisors(classified, definition), list[LeftOut]()
    if len(divisors) < len(deployed):
        passed_over = _passed_over(deployed, divisors, definition)
    incidents: Sequence[IncidentFacts] = ()
    if definition.numerator == "incidents":
        incidents, _ = incidents_of(facts, definition)
    ends = [deployed.at[index] for index in (*divisors[:1], *divisors[-1:])]
    ends += (at for row in incidents if (at := detected(row)) != NO_TIME)
    periods = Periods(buckets(definition, map(moment_of, ends)), definition.bounds)
    dividing = DeploymentsByGroup(deployed, divisors, definition.bounds)
    failed = DeploymentsByGroup(deployed, classified.failed.among(divisors), definition.bounds)
    theirs = [groups_of(row, definition) for row in incidents]
    groups = {*dividing.names, *names_of(theirs)}
    if definition.window is not None:
        in_window = Periods((definition.window,), definition.bounds)
        lies = in_window.numbers(map(detected, incidents))
        incidents, theirs = list(compress(incidents, lies)), list(compress(theirs, lies))
    counted = Members(
        len(incidents),
        theirs,
        periods.numbers(map(detected, incidents)),
    )

    def figure(name: str | None, number: int | None) -> Figure:
        window = definition.window if number is None else periods[number]
        members = dividing.inside(name, window), failed.inside(name, window)
        rows = take(incidents, counted.of(name, number))
        return _rate(*members, classified, rows, facts, definition, window, name)

    left_out = LazySequence(
        lambda: sorted(
            [*out, *passed_over, *classified.unattributed],
            key=lambda entry: (entry.id, entry.reason),
        )
    )
    whole = figure(None, None)
    notes = () if definition.numerator == "incidents" else classified.notes
    notes += unknown_outcomes(deployed, definition)
    whole = attrs.evolve(whole, left_out=left_out, notes=(*whole.notes, *notes))
    return with_groups(facts, whole, groups, periods, figure)


def _rate(
    counted: Sequence[int],
    failed: Sequence[int],
    classified: Classified,
    incidents: Sequence[IncidentFacts],
    facts: Facts,
    definition: ChangeFailureRate,
    window: Period | None,
    group: str | None,
) -> Figure:
    deployed, failures_ = classified.deployments, classified.failed
    n = len(counted)
    if definition.numerator == "changes":
        count = len(failed)
    elif definition.numerator == "links":
        count = sum(map(failures_.links, failed))
    else:
        count = len(incidents)
    value = count / n if n else None
    if value is None and definition.empty == "zero":
        value = 0.0
    interval = None
    if definition.numerator == "changes" and n:
        interval = wilson(count, n, level=definition.level)
    return Figure(
        name=type(definition).NAME,
        value=value,
        reason="no deployments" if value is None else None,
        unit=SHARE,
        n=n,
        definition=definition,
        window=window,
        as_of=facts.as_of,
        known_at=facts.known_at,
        log_position=facts.log_position,
        mark=facts.mark,
        interval=interval,
        uncertain=len(deployed.uncertain.intersection(counted)) if deployed.uncertain else 0,
        included=LazySequence(lambda: _included(counted, classified, incidents, definition)),
        counts={
            definition.numerator if definition.numerator != "changes" else "failed": count,
            "failed by inferred cause only": len(failures_.inferred.intersection(failed)),
        },
        notes=unread_notes(facts),
        group=group,
    )


def _included(
    counted: Iterable[int],
    classified: Classified,
    incidents: Iterable[IncidentFacts],
    definition: ChangeFailureRate,
) -> Iterator[Included]:
    """Yield what each one adds to the numerator; deployments are the denominator besides."""
    deployed, failures_ = classified.deployments, classified.failed
    if definition.numerator == "incidents":
        for index in counted:
            row_ = deployed.change(index)
            yield Included(row_.id, 0.0, DIVIDES, row_.positions)
        for row in incidents:
            yield Included(row.id, 1.0, "whatever caused it", row.positions)
        return
    links = definition.numerator == "links"
    for index in counted:
        change = deployed.change(index)
        if index in failures_:
            value = float(failures_.links(index)) if links else 1.0
            yield Included(change.id, value, "; ".join(failures_.signs(index)), change.positions)
        else:
            yield Included(change.id, 0.0, "", change.positions)


change_failure_rate = figure_function(ChangeFailureRate, change_failures)
