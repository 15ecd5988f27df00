"""
Change failure rate: of the deployments, the share that failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import ClassVar, Final, NamedTuple

import attrs

from imcm.projections.facts.columns import COMPLETED, FAILED, ROLLED_BACK, indices_set
from imcm.projections.facts.fold import Facts, IncidentFacts
from imcm.projections.facts.instants import moment_of
from imcm.projections.figures.attribution import Attribution, Laid, causes_of
from imcm.projections.figures.bounds import inside, instants
from imcm.projections.figures.definition import choices, names
from imcm.projections.figures.deployments import (
    Deployed,
    Deployment,
    all_deployments,
    deployments,
    unknown_outcomes,
)
from imcm.projections.figures.figure import Figure, Included, LeftOut
from imcm.projections.figures.function import figure_function, unread_notes
from imcm.projections.figures.groups import Members, with_groups
from imcm.projections.figures.lazy import Listed
from imcm.projections.figures.periods import buckets
from imcm.projections.figures.population import groups_of, incidents_of
from imcm.projections.figures.units import SHARE, instant_of, utc
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
    Failed deployments as a share of all deployments in the window.

    A change that caused four incidents failed once. Undefined, not 0, without deployments.

    Attributes:
        numerator: "changes" (default: failed deployments), "links" (pairs of an incident and a
            deployment it is laid to), or "incidents" (all incidents detected in the window,
            whatever caused them). The last two exist to reproduce other tools and may exceed 1.
        denominator: "all" (default), "successful", "successful_or_failed", or "evaluated".
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
        places: Where they stand among all deployments, in order.
        inferred: The places of those of which nothing but inferred causes says so.
    """

    def __init__(
        self, found: Deployed, laid: Laid | None, others: Mapping[int, Sequence[str]]
    ) -> None:
        """
        Take all signs there are.

        Args:
            laid: The incidents laid to changes; None where they are no sign.
            others: The other signs by the places of the deployments.
        """
        self._found = found
        self._laid = laid
        self._others = others
        marked = set(others)
        self.inferred: AbstractSet[int] = frozenset()
        if laid is not None:
            here = found.here
            caused = {here[change] for change in laid.changes if change >= 0} - {-1}
            if laid.stated < len(laid.changes):
                stated = {here[change] for change in laid.changes[: laid.stated] if change >= 0}
                self.inferred = caused - stated - marked
            marked |= caused
        self._marked = marked
        self.places: Sequence[int] = sorted(marked)

    def __contains__(self, place: int) -> bool:
        return place in self._marked

    def among(self, places: Sequence[int]) -> Sequence[int]:
        """Return those of some places, all different, at which a deployment failed, in order."""
        if len(places) == len(self._found):
            return self.places
        return [place for place in places if place in self._marked]

    def links(self, place: int) -> int:
        """Return how many incidents say that a deployment failed."""
        laid = self._laid
        return 0 if laid is None else len(laid.by_change.get(self._found.places[place], ()))

    def signs(self, place: int) -> tuple[str, ...]:
        """Return all that says that a deployment failed, as a person reads it."""
        told = () if self._laid is None else self._laid.signs(self._found.places[place])
        return (*told, *self._others.get(place, ()))


class Judged(NamedTuple):
    """
    All deployments the definition takes, in order of time, and the failures among them.

    With them come the incidents that are laid to none, and what a reader should know of the causes.
    """

    deployments: Deployed
    failed: Failed
    unlaid: Sequence[LeftOut]
    notes: tuple[str, ...]


def failures(facts: Facts, definition: FailedBy) -> Judged:
    """Return the deployments the definition takes with the failures among them, by change id."""
    key = ("failures", *choices(definition, FailedBy))
    return facts.kept(key, lambda: _failures(facts, definition))


def _failures(facts: Facts, definition: FailedBy) -> Judged:
    found, _ = deployments(facts, definition)
    laid, unlaid = causes_of(facts, definition)
    by = definition.failed_by
    others: dict[int, list[str]] = {}
    told: dict[int, str] = {}
    if "rolled_back" in by:
        told[ROLLED_BACK] = "rolled back"
    if "failed" in by:
        told[FAILED] = "outcome failed"
    if told:
        others = {
            place: [told[outcome]]
            for place, outcome in enumerate(found.outcomes)
            if outcome in told
        }
    if "repaired" in by:
        repairs = [facts.changes[place] for place in indices_set(facts.changes.columns.rework)]
        repaired = {of: row.id for row in repairs if (of := row.repairs) and of != row.id}
        for id_, repair in repaired.items():
            _sign(others, facts, found, id_, f"repaired by {repair}")
    if "version_returned" in by:
        for id_, version in _versions_returned(all_deployments(facts, definition)).items():
            _sign(others, facts, found, id_, f"version {version} deployed again")
    heard = "incident" in by
    failed = Failed(found, laid if heard else None, others)
    return Judged(found, failed, unlaid, laid.notes() if heard else ())


def _sign(others: dict[int, list[str]], facts: Facts, found: Deployed, id_: str, sign: str) -> None:
    """Note a sign of failure, where the change is a deployment in question."""
    change = facts.changes.index_of(id_)
    if change is not None and found.here[change] >= 0:
        others.setdefault(found.here[change], []).append(sign)


def _versions_returned(found: Iterable[Deployment]) -> dict[str, str]:
    """Return the deployments that were undone by deploying what they had replaced, by change id."""
    marked: dict[str, str] = {}
    live: dict[str, list[str]] = {}  # ids of what was deployed to a service, in order of time
    newest: dict[tuple[str, str], int] = {}  # the last place of a version among them
    for one in found:
        version = one.change.version
        if version is None:
            continue
        for service in one.change.services or ("",):
            earlier = live.setdefault(service, [])
            replaced_by = newest.get((service, version), len(earlier)) + 1
            if replaced_by < len(earlier):
                marked[earlier[replaced_by]] = version
            newest[service, version] = len(earlier)
            earlier.append(one.change.id)
    return marked


def _divisors(judged: Judged, definition: ChangeFailureRate) -> Sequence[int]:
    """Return the places of the deployments in the denominator."""
    found = judged.deployments
    every = range(len(found))
    if definition.denominator == "all":
        return every
    outcomes = found.outcomes
    if definition.denominator == "successful":
        return [place for place in every if outcomes[place] == COMPLETED]
    if definition.denominator == "successful_or_failed":
        return [place for place in every if outcomes[place] in (COMPLETED, FAILED)]
    failed = judged.failed  # "evaluated"
    return [place for place in every if place in failed or found.change(place).result is not None]


def _passed_over(
    found: Deployed, divisors: Sequence[int], definition: ChangeFailureRate
) -> list[LeftOut]:
    """Return the deployments of the window that are not in the denominator."""
    window = definition.window
    span = None if window is None else instants(window, definition.bounds)
    reason = f"not in its denominator ({definition.denominator})"
    return [
        LeftOut(found.id(place), reason, found.change(place).positions)
        for place in sorted(set(range(len(found))).difference(divisors))
        if span is None or found.at[place] in span
    ]


def change_failures(facts: Facts, definition: ChangeFailureRate) -> Figure:
    """Compute the change failure rate."""
    _, out = deployments(facts, definition)
    judged = failures(facts, definition)
    found = judged.deployments
    divisors, passed_over = _divisors(judged, definition), list[LeftOut]()
    if len(divisors) < len(found):
        passed_over = _passed_over(found, divisors, definition)
    incidents: Sequence[IncidentFacts] = ()
    if definition.numerator == "incidents":
        incidents, _ = incidents_of(facts, definition)
    periods: list[Period] = []
    if definition.bucket_by is not None:
        moments = [moment_of(found.at[place]) for place in divisors]
        moments += [utc(row.detected_at) for row in incidents if row.detected_at is not None]
        periods = list(buckets(definition, moments))
    grouped = definition.group_by is not None
    deployed = Members(
        divisors,
        found.groups_of if grouped else None,
        periods,
        lambda place: (found.at[place],),
    )
    detected = Members(
        incidents,
        (lambda row: groups_of(row, definition)) if grouped else None,
        periods,
        lambda row: () if row.detected_at is None else (instant_of(row.detected_at),),
    )

    def figure(name: str | None, window: Period | None) -> Figure:
        members, rows = deployed.of(name, window), detected.of(name, window)
        part = _rate(members, judged, rows, facts, definition, window)
        return attrs.evolve(part, group=name)

    groups = sorted({*deployed.names, *detected.names})
    left_out = Listed(
        lambda: sorted([*out, *passed_over, *judged.unlaid], key=lambda one: (one.id, one.reason))
    )
    whole = figure(None, definition.window)
    notes = () if definition.numerator == "incidents" else judged.notes
    notes += unknown_outcomes(found, definition)
    whole = attrs.evolve(whole, left_out=left_out, notes=(*whole.notes, *notes))
    return with_groups(facts, whole, groups, periods, figure)


def _rate(
    members: Sequence[int],
    judged: Judged,
    incidents: Iterable[IncidentFacts],
    facts: Facts,
    definition: ChangeFailureRate,
    window: Period | None,
) -> Figure:
    found, failures_ = judged.deployments, judged.failed
    counted = members
    if window is not None:
        at, span = found.at, instants(window, definition.bounds)
        counted = [place for place in members if at[place] in span]
    n = len(counted)
    failed = failures_.among(counted)
    if definition.numerator == "changes":
        count = len(failed)
    elif definition.numerator == "links":
        count = sum(map(failures_.links, failed))
    else:
        incidents = [row for row in incidents if inside(row.detected_at, window, definition.bounds)]
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
        uncertain=len(found.uncertain.intersection(counted)) if found.uncertain else 0,
        included=Listed(lambda: _included(counted, judged, incidents, definition)),
        counts={
            definition.numerator if definition.numerator != "changes" else "failed": count,
            "failed by inferred cause only": len(failures_.inferred & set(failed)),
        },
        notes=unread_notes(facts),
    )


def _included(
    counted: Iterable[int],
    judged: Judged,
    incidents: Iterable[IncidentFacts],
    definition: ChangeFailureRate,
) -> Iterator[Included]:
    """Yield what each one adds to the numerator; deployments are the denominator besides."""
    found, failures_ = judged.deployments, judged.failed
    if definition.numerator == "incidents":
        for place in counted:
            row_ = found.change(place)
            yield Included(row_.id, 0.0, DIVIDES, row_.positions)
        for row in incidents:
            yield Included(row.id, 1.0, "whatever caused it", row.positions)
        return
    links = definition.numerator == "links"
    for place in counted:
        change = found.change(place)
        if place in failures_:
            value = float(failures_.links(place)) if links else 1.0
            yield Included(change.id, value, "; ".join(failures_.signs(place)), change.positions)
        else:
            yield Included(change.id, 0.0, "", change.positions)


change_failure_rate = figure_function(ChangeFailureRate, change_failures)
