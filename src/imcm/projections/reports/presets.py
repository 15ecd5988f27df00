"""
Presets: the arguments with which other tools' numbers come out of the same log.

Somebody who moves from one of them sees the old number beside the honest one. A preset is nothing
but a name for arguments of our own definitions; there is no code for any tool.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import attrs

from imcm.domain.vocabulary import is_list
from imcm.errors import InvalidValue
from imcm.plain import joined
from imcm.projections.figures.excerpt import one_of, short
from imcm.projections.figures.failures import ChangeFailureRate
from imcm.projections.figures.frequency import DeploymentFrequency, ReworkRate
from imcm.projections.figures.lead_time import LeadTime
from imcm.projections.figures.recovery import FailedDeploymentRecovery
from imcm.projections.figures.restore import IncidentDuration, TimeToRestore

__all__ = ["METRICS", "PRESETS", "MetricDefinition", "Preset", "preset_of"]

MetricDefinition: TypeAlias = (
    DeploymentFrequency
    | LeadTime
    | ChangeFailureRate
    | FailedDeploymentRecovery
    | ReworkRate
    | IncidentDuration
)
"""The definitions a preset is made of."""

METRICS: Final = (
    "deployment_frequency",
    "lead_time",
    "change_failure_rate",
    "recovery",
    "rework_rate",
    "restore",
)
"""The five metrics, and time to restore, which failed deployment recovery time came from."""


@attrs.frozen(kw_only=True)
class Preset:
    """
    One definition for each metric, under a name.

    Attributes:
        name: What it is asked for by.
        about: What tool it stands for, and where its numbers differ from the defaults and from
            that tool.
        deployment_frequency, lead_time, change_failure_rate, recovery, rework_rate, restore: The
            definitions; *restore* is what the tool calls time to restore or recover.
    """

    name: str
    about: str
    deployment_frequency: DeploymentFrequency = attrs.field(factory=DeploymentFrequency)
    lead_time: LeadTime = attrs.field(factory=LeadTime)
    change_failure_rate: ChangeFailureRate = attrs.field(factory=ChangeFailureRate)
    recovery: FailedDeploymentRecovery = attrs.field(factory=FailedDeploymentRecovery)
    rework_rate: ReworkRate = attrs.field(factory=ReworkRate)
    restore: IncidentDuration | FailedDeploymentRecovery = attrs.field(factory=TimeToRestore)

    def definitions(self) -> dict[str, MetricDefinition]:
        """Return the definition of each metric."""
        return {name: getattr(self, name) for name in METRICS}

    def arguments(self, metric: str) -> dict[str, Any]:
        """Return the arguments of a metric that are not the defaults of its definition."""
        if metric not in METRICS:
            raise InvalidValue("metric", metric, one_of(metric, METRICS))
        definition = self.definitions()[metric]
        given = definition.as_dict()
        return {name: given[name] for name in definition.chosen()}

    def __repr__(self) -> str:
        """Return its name, and how many arguments are not the defaults."""
        given = sum(len(self.arguments(metric)) for metric in METRICS)
        return f"<Preset {short(self.name)}: {given} arguments other than the defaults>"

    def explain(self) -> str:
        """Return, for a person, what the preset is and which arguments it gives."""
        lines = [f"{self.name}: {self.about}"]
        for metric, definition in self.definitions().items():
            given = ", ".join(f"{n} = {_value_text(v)}" for n, v in self.arguments(metric).items())
            lines.append(f"  {metric}, {type(definition).NAME}: {given or 'all defaults'}")
        return joined(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return the preset as plain values for JSON."""
        definitions = {
            name: definition.as_dict() for name, definition in self.definitions().items()
        }
        return {"name": self.name, "about": self.about, "definitions": definitions}


def _value_text(value: object) -> str:
    return " + ".join(map(str, value)) if is_list(value) else str(value)


def preset_of(preset: str | Preset) -> Preset:
    """
    Return the preset of a name, or the preset itself.

    Raises:
        InvalidValue: There is none of that name; the message lists them.
    """
    if isinstance(preset, Preset):
        return preset
    registered = PRESETS.get(preset) if isinstance(preset, str) else None
    if registered is None:
        raise InvalidValue("preset", preset, one_of(preset, PRESETS))
    return registered


def _presets() -> Iterator[Preset]:
    yield Preset(
        name="dora",
        about=(
            "The defaults of this library. A deployment failed where somebody stated that it "
            "caused an incident, where it was rolled back, ended failed, or was repaired by "
            "another change; it fails once, and nothing is inferred. Durations are medians of "
            "exact times, and no deployments is undefined, not 0."
        ),
    )

    attributed: dict[str, Any] = {
        "rollbacks": "count",
        "failed_by": ("incident",),
        "attribution": "latest_before",
        "stated": "ignore",
        "candidates": "successful",
        "scope": "global",
    }
    yield Preset(
        name="devlake",
        about=(
            "Apache DevLake. Only successful production deployments count. It knows no causes that "
            "somebody stated: every incident is laid to the latest successful deployment strictly "
            "before it, of whatever service and however long ago: a busy service pays for a quiet "
            "one. "
            "Deployments that failed or were rolled back leave the rate altogether. Time to "
            "restore is the lower median of whole minutes, by the day of the resolution; lead "
            "time is per pull request, and frequency is the median count of days with a "
            "deployment per week. DevLake rounds each phase of a pull request up to a minute "
            "and adds the phases; here the whole is rounded up once, so it can be a few minutes "
            "shorter."
        ),
        deployment_frequency=DeploymentFrequency(
            rollbacks="count", count="successful", per="deployment_day", statistic="median"
        ),
        lead_time=LeadTime(rollbacks="count", unit="pull_request", round_each="minute_up"),
        change_failure_rate=ChangeFailureRate(**attributed, denominator="successful"),
        recovery=FailedDeploymentRecovery(**attributed),
        restore=TimeToRestore(statistic="median_low", round_each="minute_down", in_window="end"),
    )

    attributed = {
        "rollbacks": "count",
        "failed_by": ("incident",),
        "attribution": "latest_at_or_before",
        "stated": "ignore",
        "scope": "global",
        "candidates_in": "window",
        "incidents_in": "window",
    }
    yield Preset(
        name="middleware",
        about=(
            "Middleware. It knows no causes that somebody stated: every incident is laid to the "
            "latest deployment of the team at or before it, but only incidents and deployments "
            "inside the window are looked at, so a cause before the window is nobody's. No "
            "deployments is a rate of 0. "
            "Time to restore and lead time are means, lead time per pull request. Frequency is "
            "the mean count per calendar bucket (weeks unless bucket_by says otherwise) rounded "
            "down: less than one per bucket shows as 0. The team is all that the filters let in."
        ),
        deployment_frequency=DeploymentFrequency(
            rollbacks="count", per="floor_of_bucket_mean", bucket_by="week"
        ),
        lead_time=LeadTime(rollbacks="count", unit="pull_request", statistic="mean"),
        change_failure_rate=ChangeFailureRate(**attributed, empty="zero"),
        recovery=FailedDeploymentRecovery(**attributed),
        restore=TimeToRestore(statistic="mean", in_window="end"),
    )

    yield Preset(
        name="four_keys",
        about=(
            "Four Keys, Google's project, now archived. Its change failure rate is the "
            "number of pairs of an incident and its stated cause, divided by successful "
            "deployments: three incidents of one deployment count three times, and the rate may "
            "exceed 1. Time to restore runs from the cause's deployment, or from detection where "
            "that is earlier or there is no cause, to the last close, or to the resolution of what "
            "was never closed, in whole hours. Lead times are "
            "whole minutes, and those of 0 or less are dropped; here one of less than a minute is "
            "kept as 0. Frequency is the median count of days with a deployment per week from "
            "Sunday."
        ),
        deployment_frequency=DeploymentFrequency(
            rollbacks="count",
            count="successful",
            per="deployment_day",
            statistic="median",
            week_starts="sunday",
        ),
        lead_time=LeadTime(
            rollbacks="count",
            round_each="minute_down",
            negative="leave_out_zero_too",
            week_starts="sunday",
        ),
        change_failure_rate=ChangeFailureRate(
            rollbacks="count",
            numerator="links",
            denominator="successful",
            failed_by=("incident",),
            week_starts="sunday",
        ),
        recovery=FailedDeploymentRecovery(
            rollbacks="count", failed_by=("incident",), week_starts="sunday"
        ),
        rework_rate=ReworkRate(week_starts="sunday"),
        restore=TimeToRestore(
            start=("cause_deployed_or_detected",),
            end=("closed", "resolved"),
            round_each="hour_down",
            week_starts="sunday",
        ),
    )

    yield Preset(
        name="gitlab",
        about=(
            "GitLab. Its change failure rate divides all incidents of the window by its "
            "deployments, whatever caused them, so it may exceed 1. Time to restore ends with "
            "the close of an incident, or with the resolution of what was never closed. Lead time "
            "begins when a merge request is merged, so that the time before is not in it. "
            "GitLab tells one median "
            'for each day: bucket_by="day" gives those here, and the whole is the median of all.'
        ),
        deployment_frequency=DeploymentFrequency(rollbacks="count"),
        lead_time=LeadTime(rollbacks="count", start="merged", unit="pull_request"),
        change_failure_rate=ChangeFailureRate(rollbacks="count", numerator="incidents"),
        recovery=FailedDeploymentRecovery(rollbacks="count"),
        restore=TimeToRestore(end=("closed", "resolved")),
    )

    apps: dict[str, Any] = {"group_by": "service", "whole": "unweighted"}
    yield Preset(
        name="pelorus",
        about=(
            "Pelorus. Every number is told per application, here per service: incidents of the "
            "service by its deployments, and means of durations. The number for all is the mean "
            "of the services' numbers, so a service with one deployment weighs as much as one "
            "with a hundred. Frequency is the plain count of the window."
        ),
        deployment_frequency=DeploymentFrequency(
            rollbacks="count", per="window", group_by="service"
        ),
        lead_time=LeadTime(rollbacks="count", statistic="mean", **apps),
        change_failure_rate=ChangeFailureRate(rollbacks="count", numerator="incidents", **apps),
        recovery=FailedDeploymentRecovery(rollbacks="count", group_by="service"),
        rework_rate=ReworkRate(group_by="service"),
        restore=TimeToRestore(statistic="mean", **apps),
    )

    undone: dict[str, Any] = {
        "rollbacks": "count",
        "failed_by": ("rolled_back", "version_returned"),
    }
    yield Preset(
        name="datadog",
        about=(
            "Datadog, as it works without rules of one's own: a deployment failed where it was "
            "rolled back, which shows as an earlier version coming back (of versions 1, 2, 3, 1 "
            "the first one skipped over, 2, failed). Incidents fail nothing. Time to restore is "
            "from the failed deployment to its remediation: to its own roll back where one was "
            "recorded, else to the next deployment of the service that did not fail, which can "
            "be earlier than the version's return. Frequency is the plain count of the window. "
            "Its rules on revert requests and labels have no counterpart here."
        ),
        deployment_frequency=DeploymentFrequency(rollbacks="count", per="window"),
        lead_time=LeadTime(rollbacks="count"),
        change_failure_rate=ChangeFailureRate(**undone),
        recovery=FailedDeploymentRecovery(**undone),
        restore=FailedDeploymentRecovery(**undone, recovered_by=("rolled_back", "next_success")),
    )


PRESETS: Final[Mapping[str, Preset]] = MappingProxyType(
    {preset.name: preset for preset in _presets()}
)
"""All presets by name, the defaults first."""
