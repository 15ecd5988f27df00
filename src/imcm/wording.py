"""
How events read for a person: one line for each, made from data at the edge.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from imcm.domain import change_events as c
from imcm.domain import incident_events as i
from imcm.domain.corrections import (
    CORRECTIONS,
    DurationStated,
    EventVoided,
    ReferenceAdded,
    SeverityCorrected,
    SourceReinstated,
    SourceSaid,
    SourceWithdrew,
    WordsRedacted,
)
from imcm.domain.recorded import Unread
from imcm.domain.vocabulary import (
    Authority,
    Between,
    Commit,
    Counts,
    Impact,
    Moment,
    Relation,
    is_list,
    is_mapping,
)
from imcm.plain import quoted
from imcm.projections.figures.units import shown
from imcm.projections.histories.timeline import Entry


def event_line(event: object) -> str:
    """Return what an event says, without who and when."""
    if isinstance(event, Unread):
        return f"{event.type} (not read: {event.why})"
    if isinstance(event, CORRECTIONS):
        return _correction(event)
    line = _incident(event) or _change(event)
    if not line:
        line = type(event).__name__
    if getattr(event, "imported", False):
        line += " (imported)"
    unauthorised = getattr(event, "unauthorised", "")
    return f"{line} [unauthorised: {unauthorised}]" if unauthorised else line


_CAPACITIES: Final = (Authority.CAB, Authority.SERVICE_OWNER)
"""As what somebody votes, where it is not simply a peer."""


def moment_text(moment: Moment | None) -> str:
    """Return a moment for a person, in the offset it was given."""
    if moment is None:
        return "at an unknown time"
    if isinstance(moment, Between):
        return f"{_minute(moment.earliest)} to {_minute(moment.latest)}"
    return _minute(moment)


def entry_line(entry: Entry) -> str:
    """Return what an entry of a timeline says, and whether it was corrected or voided since."""
    line = event_line(entry.event)
    if entry.corrected_by:
        line += " [corrected]"
    if entry.voided_by is not None:
        line += " [voided]"
    return line


def _minute(time: datetime) -> str:
    return time.strftime("%a %Y-%m-%d %H:%M %z")


def _and(line: str, words: str) -> str:
    return f"{line}: {words}" if words else line


def impact_text(impact: Impact | None) -> str:
    if impact is None:
        return ""
    parts = [f"{quoted(affected.service)} {affected.degree.value}" for affected in impact.services]
    if impact.customers is not None:
        parts.append(f"{impact.customers:,} customers")
    if impact.share is not None:
        parts.append(f"{impact.share:.0%} of customers")
    return ", ".join(parts)


def _judged(canary: Counts | None, baseline: Counts | None) -> str:
    parts = [
        f"{name} {counts.errors} errors in {counts.requests:,} requests"
        for name, counts in (("canary", canary), ("baseline", baseline))
        if counts is not None
    ]
    return ", ".join(parts)


def _correction(event: Any) -> str:
    was, now = _value(event.was), _value(event.now)
    if isinstance(event, SeverityCorrected):
        was, now = _named(event.severity_name_was, was), _named(event.severity_name, now)
    line = f"corrected {event.field} of version {event.version}: was {was}, is {now}"
    return f"{line} ({event.why})" if event.why else line


def _value(value: object) -> str:
    if value is None or value in ((), {}):
        return "not known"
    if isinstance(value, (datetime, Between)):
        return moment_text(value)
    if isinstance(value, Impact):
        return impact_text(value)
    if is_mapping(value):
        return ", ".join(f"{name} {text}" for name, text in value.items())
    if isinstance(value, Commit):
        return value.id
    return ", ".join(map(_value, value)) if is_list(value) else str(value)


def _incident(event: object) -> str:
    match event:
        case i.IncidentDetected():
            named = event.channel.value if event.channel else ""
            what = quoted(event.monitor) if event.monitor else named
            by = f" by {what}" if what else ""
            where = f" on {', '.join(map(quoted, event.services))}" if event.services else ""
            return _and(f"detected{by}{where}", event.title)
        case i.IncidentDeclared():
            return "declared"
        case i.IncidentAcknowledged():
            return "acknowledged"
        case i.IncidentTriaged():
            severity = _severity(event) if event.severity else "without severity"
            other = event.severity_proposed not in {None, event.severity_name}
            proposed = f" ({quoted(event.severity_proposed or '')} was proposed)" if other else ""
            return _and(f"triaged as {severity}{proposed}", impact_text(event.impact))
        case i.IncidentDismissed():
            return _and(f"dismissed as {event.reason.value}", event.why)
        case i.MitigationAttempted():
            what = f"attempt {event.number}: {event.kind.value.replace('_', ' ')}"
            return _and(f"{what} with {quoted(event.change)}" if event.change else what, event.note)
        case i.AttemptConcluded():
            result = event.result.value.replace("_", " ")
            return _and(f"attempt {event.number}: {result}", event.evidence)
        case i.IncidentMitigated():
            return "mitigated: users are no longer hurt"
        case i.IncidentResolved():
            return "resolved: service is restored"
        case i.IncidentReopened():
            return _and("relapsed" if event.relapse else "reopened", event.why)
        case i.IncidentHeld() | c.ChangeHeld():
            return _and(f"on hold, waiting for {event.reason.value}", event.why)
        case i.IncidentReleased() | c.ChangeReleased():
            return "no longer on hold"
        case i.SeverityChanged():
            return _and(f"severity is now {_severity(event)}", event.why)
        case i.RoleAssigned():
            return f"{quoted(event.person)} is {event.role.value.replace('_', ' ')}"
        case i.RoleReleased():
            return f"{quoted(event.person)} is no longer {event.role.value.replace('_', ' ')}"
        case i.ImpactUpdated():
            since = event.impact_started_at
            parts = [
                impact_text(event.impact),
                "" if since is None else f"since {moment_text(since)}",
            ]
            return f"impact: {', '.join(filter(None, parts))}"
        case i.UpdatePosted():
            return f"{event.audience.value} update: {event.text}"
        case i.ProblemLinked():
            return f"problem {quoted(event.problem)} deals with the permanent fix"
        case i.VerdictGiven():
            return _and(f"{event.verdict.value} link to change {quoted(event.change)}", event.why)
        case i.ReviewRecorded():
            causes = f" Causes: {'; '.join(event.causes)}" if event.causes else ""
            tags = f" Tags: {', '.join(map(quoted, event.cause_tags))}" if event.cause_tags else ""
            return f"review {event.number}: {event.what_happened}{causes}{tags}"
        case i.ActionAdded():
            owner = f" ({quoted(event.owner)})" if event.owner else ""
            due = f", due {event.due}" if event.due else ""
            return f"action {event.number}{owner}{due}: {event.text}"
        case i.ActionRevised():
            owner = f" goes to {quoted(event.owner)}" if event.owner else ""
            due = f", due {event.due}" if event.due else ""
            return _and(f"action {event.number}{owner}{due}", event.text)
        case i.IncidentDescribed():
            return _description(event)
        case ReferenceAdded():
            return _reference(event)
        case SourceSaid() | SourceWithdrew() | SourceReinstated():
            return _of_a_source(event)
        case i.MilestoneMarked():
            again = f", number {event.number}" if event.number > 1 else ""
            return f"milestone {quoted(event.name)}{again}"
        case i.IncidentRelated():
            return f"is {_RELATIONS[event.kind]} {quoted(event.other)}"
        case i.IncidentUnrelated():
            return f"is no longer {_RELATIONS[event.kind]} {quoted(event.other)}"
        case i.ActionCompleted():
            return (
                f"action {event.number} done{f' by {quoted(event.change)}' if event.change else ''}"
            )
        case i.ActionDropped():
            return _and(f"action {event.number} dropped", event.why)
        case i.IncidentClosed():
            return "closed"
        case i.IncidentMerged():
            return _and(f"merged into {quoted(event.into)}", event.why)
        case i.IncidentAbsorbed():
            return f"goes on for {quoted(event.merged)} too"
        case i.IncidentUnmerged():
            return _and(f"no longer merged into {quoted(event.out_of)}", event.why)
        case i.IncidentSeparated():
            return f"no longer goes on for {quoted(event.merged)}"
        case i.SeverityInherited():
            severity = "not told" if event.severity is None else event.severity.value
            return f"the highest severity is now {severity}, by {quoted(event.merged)}"
        case DurationStated():
            duration = shown(event.microseconds / 1e6, "seconds")
            return f"the source states {event.what.value.replace('_', ' ')}: {duration}"
        case EventVoided():
            return _and(f"version {event.version} never happened", event.why)
        case WordsRedacted():
            versions = ", ".join(map(str, event.versions))
            return _and(f"words of version {versions} taken out", event.reason)
        case _:
            return ""


_RELATIONS: Final[Mapping[Relation, str]] = {
    Relation.CHILD_OF: "a child of",
    Relation.RECURRENCE_OF: "a recurrence of",
    Relation.RELATED: "related to",
}


def _severity(event: i.IncidentTriaged | i.SeverityChanged) -> str:
    """Return the severity as the team calls it, with its rank."""
    rank = "not known" if event.severity is None else event.severity.value
    return _named(event.severity_name, rank)


def _named(name: str | None, rank: str) -> str:
    return rank if name in {None, rank} else f"{quoted(name or '')} ({rank})"


def _of_a_source(event: SourceSaid | SourceWithdrew | SourceReinstated) -> str:
    if isinstance(event, SourceSaid):
        return f"the source says the same of {', '.join(event.facts)}"
    if isinstance(event, SourceWithdrew):
        return "the source has it no more"
    return "the source has it again"


def _reference(event: ReferenceAdded) -> str:
    return _and(f"refers to {event.kind} {quoted(event.address)}", event.title)


def _description(event: i.IncidentDescribed) -> str:
    labels = [
        f"label {quoted(name)} {'goes' if text is None else quoted(text)}"
        for name, text in event.labels.items()
    ]
    parts = [
        f"on {', '.join(map(quoted, event.services))}" if event.services else "",
        event.symptom.value.replace("_", " ") if event.symptom else "",
        *labels,
    ]
    text = ", ".join(filter(None, parts))
    return _and(f"described{': ' if text else ''}{text}", event.title)


def _plan(event: c.ChangePlanned | c.ChangeRevised, name: str) -> str:
    text: str = getattr(event, name.replace(" ", "_"))
    return text


def _content(event: c.ChangePlanned | c.ChangeRevised) -> str:
    """Return the words that are asked to be approved, except the title."""
    names = ("description", "rollback plan", "monitoring plan", "test plan")
    return "; ".join(f"{name}: {_plan(event, name)}" for name in names if _plan(event, name))


def _change(event: object) -> str:
    match event:
        case c.ChangePlanned():
            where = f" on {', '.join(map(quoted, event.services))}" if event.services else ""
            missing = [
                name
                for name, there in (
                    ("rollback plan", event.has_rollback_plan),
                    ("monitoring plan", event.has_monitoring_plan),
                )
                if not there and not event.imported and not _plan(event, name)
            ]
            words = "; ".join(filter(None, (event.title, _content(event))))
            line = _and(f"{event.type.value} change planned{where}", words)
            return f"{line} (no {', no '.join(missing)})" if missing else line
        case c.ChangeRevised():
            title = f"title: {event.title}" if event.title else ""
            return _and("revised", "; ".join(filter(None, (event.why, title, _content(event)))))
        case ReferenceAdded():
            return _reference(event)
        case SourceSaid() | SourceWithdrew() | SourceReinstated():
            return _of_a_source(event)
        case c.ChangeRescoped():
            labels = ", ".join(f"{name} {text}" for name, text in event.labels.items())
            scope = f"{event.environment or 'no environment named'}, labels: {labels or 'none'}"
            return _and(f"revised to go to {scope}", event.why)
        case c.ChangeReworded():
            title = f"title: {event.title}" if event.title else ""
            text = f"description: {event.description}" if event.description else ""
            return _and("reworded", "; ".join(filter(None, (title, text))))
        case c.ContentCorrectedAfterApproval():
            return f"version {event.version} corrects content after its approval"
        case c.ChangeSubmitted():
            name = f" by template {event.template.name}" if event.template else ""
            return f"submitted{name}"
        case c.StepRefusedRecorded():
            said = f"{quoted(event.step)} was refused by the guard {quoted(event.guard)}"
            return _and(said, event.why)
        case c.ChangeApproved() | c.VoteGiven():
            votes = f" ({event.votes} of {event.quorum} votes)" if event.quorum else ""
            capacity = event.authority
            as_what = f" as {capacity.value}" if capacity and capacity in _CAPACITIES else ""
            ends = getattr(event, "valid_until", None)
            until = "" if ends is None else f", valid until {moment_text(ends)}"
            return _and(f"approved{as_what}{votes}{until}", event.why)
        case c.ChangeRejected():
            return _and("rejected", event.why)
        case c.ChangeApprovedRetroactively():
            return _and("approved afterwards", event.why)
        case c.RetroactiveApprovalRefused():
            return _and("approval refused afterwards", event.why)
        case c.ChangeScheduled():
            return f"scheduled for {_minute(event.window.start)} to {_minute(event.window.end)}"
        case c.FreezeOverridden():
            until = moment_text(event.until)
            return _and(f"freeze {quoted(event.freeze)} overridden until {until}", event.why)
        case c.ChangeStarted():
            approval = ", approval outstanding" if event.outstanding else ""
            return f"started{f' {event.version}' if event.version else ''}{approval}"
        case c.CommitsRecorded():
            count = len(event.commits)
            return f"{count} commits travel with it" if count > 1 else "1 commit travels with it"
        case c.ChangeObserved():
            version = f" {event.version}" if event.version else ""
            return _and(f"found in production{version}", event.title)
        case c.RolloutAdvanced():
            judged = _and(f"rolled out to {event.percent:g} %", event.note)
            counts = _judged(event.canary, event.baseline)
            return f"{judged} ({counts})" if counts else judged
        case c.RolloutPaused() | c.RolloutAborted():
            ended = "paused" if isinstance(event, c.RolloutPaused) else "aborted"
            judged = _and(f"rollout {ended} at {event.percent:g} %", event.note)
            counts = _judged(event.canary, event.baseline)
            return f"{judged} ({counts})" if counts else judged
        case c.ChangeCompleted():
            return f"completed{f' {event.version}' if event.version else ''}"
        case c.ChangeDeployed():
            version = f" {event.version}" if event.version else ""
            return f"in production{version}; how it went is not said"
        case c.ChangeFailed():
            return _and("failed", event.why)
        case c.ChangeRolledBack():
            return _and(
                f"rolled back{f' for {quoted(event.incident)}' if event.incident else ''}",
                event.why,
            )
        case c.ChangeRecovered():
            return "service is good again"
        case c.ChangeValidated():
            result = "passed" if event.passed else "failed"
            return _and(f"check {event.check} {result}", event.evidence)
        case c.ChangeClosed():
            result = f" as {event.result.value.replace('_', ' ')}" if event.result else ""
            return _and(f"closed{result}", event.notes)
        case c.ChangeCancelled():
            return _and("cancelled", event.why)
        case _:
            return ""
