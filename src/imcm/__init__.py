"""
Incidents and changes as one event-sourced log.

The public names are loaded when first used, so that `import imcm` costs next to nothing and the
pure rooms (`imcm.domain`, `imcm.projections`) never load a store.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from imcm import audit, events, frames, plots
    from imcm.domain import change, incident
    from imcm.domain.change_events import ChangeStatus, Template
    from imcm.domain.incident_events import IncidentStatus
    from imcm.domain.lifecycle import Answer
    from imcm.domain.policy import (
        DEFAULT_POLICY,
        AgentStep,
        ApprovalRule,
        ApprovedTemplate,
        Content,
        Frozen,
        PlanRule,
        Policy,
        Quorum,
    )
    from imcm.domain.policy.conflicts import (
        Conflict,
        Dependencies,
        Planned,
        conflicts,
        conflicts_of,
        next_free,
    )
    from imcm.domain.policy.context import Context
    from imcm.domain.policy.freezes import Freeze, MaintenanceWindow, Weekly
    from imcm.domain.policy.judging import (
        CanaryPlan,
        CanaryVerdict,
        Exposure,
        Look,
        RolloutDecision,
        evidence_path,
        increments,
        judge,
    )
    from imcm.domain.policy.plans import PlanPart
    from imcm.domain.policy.rollouts import RolloutRule
    from imcm.domain.recorded import LogMark, Recorded, Recording, Source, as_source_knew
    from imcm.domain.severity import SeverityScale
    from imcm.domain.vocabulary import (
        Actor,
        AttemptResult,
        Audience,
        Authority,
        Between,
        ChangeType,
        Channel,
        Commit,
        Counts,
        Degree,
        DismissalReason,
        HoldReason,
        Impact,
        Kind,
        MitigationKind,
        Mode,
        Moment,
        Outcome,
        Relation,
        Result,
        Risk,
        Role,
        ServiceImpact,
        Severity,
        StatedDuration,
        Symptom,
        Verdict,
        Window,
    )
    from imcm.errors import (
        ConflictError,
        ForkedLedgerError,
        ImcmError,
        ImportRefusedError,
        InvalidValue,
        KeyReusedError,
        LedgerClosedError,
        LedgerMissingError,
        LedgerNotEmptyError,
        LogDiffersError,
        MalformedLineError,
        MissingExtraError,
        MissingPackageError,
        NaiveTimeError,
        NotALedgerError,
        ProofRefusedError,
        StepRefused,
        StoreError,
        TransactionOverError,
        UnknownIdError,
        UnreadEventError,
    )
    from imcm.interchange.csv_files import from_frames
    from imcm.interchange.dead_letters import DeadLetter, DeadLetters
    from imcm.interchange.formats import format_named
    from imcm.interchange.policy_schema import policy_schema
    from imcm.interchange.policy_tests import PolicyTest, read_policy_tests, run_policy_tests
    from imcm.interchange.receiver import WebhookSource, receiver
    from imcm.interchange.receiver_files import ReceiverSettings, read_receiver
    from imcm.interchange.signatures import SignatureScheme, signatures
    from imcm.interchange.statements import Happening, Statement
    from imcm.interchange.taking_in import Taken, record_statements
    from imcm.interchange.toml_files import read_policy, read_severity_scale, strict_policy
    from imcm.ledger.bringing_in import History, Settled
    from imcm.ledger.gates import Gate
    from imcm.ledger.reading import LedgerReader, Replay
    from imcm.ledger.recording import Ledger
    from imcm.ledger.redaction import Redaction
    from imcm.ledger.rules import Rules
    from imcm.ledger.transactions import Once, Transaction
    from imcm.page import HtmlPage, html_page
    from imcm.projections.boards.views import (
        ActionItem,
        Approval,
        ChangeView,
        IncidentView,
        LiveVersion,
        Match,
        Ready,
    )
    from imcm.projections.facts.fold import ChangeFacts, Facts, IncidentFacts, facts
    from imcm.projections.figures.attribution import causes
    from imcm.projections.figures.availability import (
        availability,
        downtime,
        time_between_failures,
        user_impact,
    )
    from imcm.projections.figures.clock import BusinessHours
    from imcm.projections.figures.failures import change_failure_rate
    from imcm.projections.figures.figure import Figure
    from imcm.projections.figures.frequency import deployment_frequency, rework_rate
    from imcm.projections.figures.lead_time import lead_time
    from imcm.projections.figures.recovery import failed_deployment_recovery_time
    from imcm.projections.figures.restore import (
        mean_time_to_restore,
        time_to_acknowledge,
        time_to_detect,
        time_to_mitigate,
        time_to_repair,
        time_to_restore,
    )
    from imcm.projections.histories.anomalies import Anomaly, Oddity, anomalies
    from imcm.projections.histories.decisions import DecisionTrail, decision_trail
    from imcm.projections.histories.duties import Duties, duties
    from imcm.projections.histories.learned import Learned, learned
    from imcm.projections.histories.overrides import FreezeOverride, freeze_overrides
    from imcm.projections.histories.timeline import Entry, Timeline, timeline
    from imcm.projections.reports.calibration import Calibration, calibration
    from imcm.projections.reports.compare import Comparison, compare
    from imcm.projections.reports.dora import DoraReport, SideBySide, dora_report, side_by_side
    from imcm.projections.reports.failure_model import FailureModel, FailureRate, failure_model
    from imcm.projections.reports.presets import PRESETS
    from imcm.projections.reports.proposed import ProposedChange
    from imcm.projections.reports.restated import Restatement, restated
    from imcm.projections.reports.risk import RiskAssessment, RiskRules, risk_of
    from imcm.projections.reports.what_if import WhatIf, what_if
    from imcm.readmodel.delivery import adeliver, deliver
    from imcm.readmodel.follower import Follower
    from imcm.readmodel.views import Page, Views, views

__all__ = [
    "DEFAULT_POLICY",
    "PRESETS",
    "ActionItem",
    "Actor",
    "AgentStep",
    "Anomaly",
    "Answer",
    "Approval",
    "ApprovalRule",
    "ApprovedTemplate",
    "AttemptResult",
    "Audience",
    "Authority",
    "Between",
    "BusinessHours",
    "Calibration",
    "CanaryPlan",
    "CanaryVerdict",
    "ChangeFacts",
    "ChangeStatus",
    "ChangeType",
    "ChangeView",
    "Channel",
    "Commit",
    "Comparison",
    "Conflict",
    "ConflictError",
    "Content",
    "Context",
    "Counts",
    "DeadLetter",
    "DeadLetters",
    "DecisionTrail",
    "Degree",
    "Dependencies",
    "DismissalReason",
    "DoraReport",
    "Duties",
    "Entry",
    "Exposure",
    "Facts",
    "FailureModel",
    "FailureRate",
    "Figure",
    "Follower",
    "ForkedLedgerError",
    "Freeze",
    "FreezeOverride",
    "Frozen",
    "Gate",
    "Happening",
    "History",
    "HoldReason",
    "HtmlPage",
    "ImcmError",
    "Impact",
    "ImportRefusedError",
    "IncidentFacts",
    "IncidentStatus",
    "IncidentView",
    "InvalidValue",
    "KeyReusedError",
    "Kind",
    "Learned",
    "Ledger",
    "LedgerClosedError",
    "LedgerMissingError",
    "LedgerNotEmptyError",
    "LedgerReader",
    "LiveVersion",
    "LogDiffersError",
    "LogMark",
    "Look",
    "MaintenanceWindow",
    "MalformedLineError",
    "Match",
    "MissingExtraError",
    "MissingPackageError",
    "MitigationKind",
    "Mode",
    "Moment",
    "NaiveTimeError",
    "NotALedgerError",
    "Oddity",
    "Once",
    "Outcome",
    "Page",
    "PlanPart",
    "PlanRule",
    "Planned",
    "Policy",
    "PolicyTest",
    "ProofRefusedError",
    "ProposedChange",
    "Quorum",
    "Ready",
    "ReceiverSettings",
    "Recorded",
    "Recording",
    "Redaction",
    "Relation",
    "Replay",
    "Restatement",
    "Result",
    "Risk",
    "RiskAssessment",
    "RiskRules",
    "Role",
    "RolloutDecision",
    "RolloutRule",
    "Rules",
    "ServiceImpact",
    "Settled",
    "Severity",
    "SeverityScale",
    "SideBySide",
    "SignatureScheme",
    "Source",
    "StatedDuration",
    "Statement",
    "StepRefused",
    "StoreError",
    "Symptom",
    "Taken",
    "Template",
    "Timeline",
    "Transaction",
    "TransactionOverError",
    "UnknownIdError",
    "UnreadEventError",
    "Verdict",
    "Views",
    "WebhookSource",
    "Weekly",
    "WhatIf",
    "Window",
    "__version__",
    "adeliver",
    "anomalies",
    "as_source_knew",
    "audit",
    "availability",
    "calibration",
    "causes",
    "change",
    "change_failure_rate",
    "compare",
    "conflicts",
    "conflicts_of",
    "decision_trail",
    "deliver",
    "deployment_frequency",
    "dora_report",
    "downtime",
    "duties",
    "events",
    "evidence_path",
    "facts",
    "failed_deployment_recovery_time",
    "failure_model",
    "format_named",
    "frames",
    "freeze_overrides",
    "from_frames",
    "html_page",
    "incident",
    "increments",
    "judge",
    "lead_time",
    "learned",
    "mean_time_to_restore",
    "next_free",
    "plots",
    "policy_schema",
    "read_policy",
    "read_policy_tests",
    "read_receiver",
    "read_severity_scale",
    "receiver",
    "record_statements",
    "restated",
    "rework_rate",
    "risk_of",
    "run_policy_tests",
    "side_by_side",
    "signatures",
    "strict_policy",
    "time_between_failures",
    "time_to_acknowledge",
    "time_to_detect",
    "time_to_mitigate",
    "time_to_repair",
    "time_to_restore",
    "timeline",
    "user_impact",
    "views",
    "what_if",
]

_HOMES: Final = {
    "Anomaly": "imcm.projections.histories.anomalies",
    "Answer": "imcm.domain.lifecycle",
    "AttemptResult": "imcm.domain.vocabulary",
    "Audience": "imcm.domain.vocabulary",
    "Authority": "imcm.domain.vocabulary",
    "Between": "imcm.domain.vocabulary",
    "BusinessHours": "imcm.projections.figures.clock",
    "ChangeFacts": "imcm.projections.facts.fold",
    "ChangeStatus": "imcm.domain.change_events",
    "ChangeType": "imcm.domain.vocabulary",
    "Channel": "imcm.domain.vocabulary",
    "Commit": "imcm.domain.vocabulary",
    "Comparison": "imcm.projections.reports.compare",
    "ConflictError": "imcm.errors",
    "Counts": "imcm.domain.vocabulary",
    "AgentStep": "imcm.domain.policy",
    "ApprovedTemplate": "imcm.domain.policy",
    "PlanRule": "imcm.domain.policy",
    "Context": "imcm.domain.policy.context",
    "PlanPart": "imcm.domain.policy.plans",
    "Actor": "imcm.domain.vocabulary",
    "WhatIf": "imcm.projections.reports.what_if",
    "what_if": "imcm.projections.reports.what_if",
    "Duties": "imcm.projections.histories.duties",
    "duties": "imcm.projections.histories.duties",
    "Gate": "imcm.ledger.gates",
    "strict_policy": "imcm.interchange.toml_files",
    "PolicyTest": "imcm.interchange.policy_tests",
    "read_policy_tests": "imcm.interchange.policy_tests",
    "run_policy_tests": "imcm.interchange.policy_tests",
    "policy_schema": "imcm.interchange.policy_schema",
    "Conflict": "imcm.domain.policy.conflicts",
    "Dependencies": "imcm.domain.policy.conflicts",
    "Planned": "imcm.domain.policy.conflicts",
    "conflicts": "imcm.domain.policy.conflicts",
    "conflicts_of": "imcm.domain.policy.conflicts",
    "next_free": "imcm.domain.policy.conflicts",
    "FreezeOverride": "imcm.projections.histories.overrides",
    "freeze_overrides": "imcm.projections.histories.overrides",
    "Ready": "imcm.projections.boards.views",
    "CanaryPlan": "imcm.domain.policy.judging",
    "CanaryVerdict": "imcm.domain.policy.judging",
    "Exposure": "imcm.domain.policy.judging",
    "Look": "imcm.domain.policy.judging",
    "RolloutDecision": "imcm.domain.policy.judging",
    "judge": "imcm.domain.policy.judging",
    "increments": "imcm.domain.policy.judging",
    "RolloutRule": "imcm.domain.policy.rollouts",
    "RiskAssessment": "imcm.projections.reports.risk",
    "RiskRules": "imcm.projections.reports.risk",
    "risk_of": "imcm.projections.reports.risk",
    "FailureModel": "imcm.projections.reports.failure_model",
    "FailureRate": "imcm.projections.reports.failure_model",
    "failure_model": "imcm.projections.reports.failure_model",
    "Calibration": "imcm.projections.reports.calibration",
    "calibration": "imcm.projections.reports.calibration",
    "ProposedChange": "imcm.projections.reports.proposed",
    "Frozen": "imcm.domain.policy",
    "receiver": "imcm.interchange.receiver",
    "WebhookSource": "imcm.interchange.receiver",
    "signatures": "imcm.interchange.signatures",
    "SignatureScheme": "imcm.interchange.signatures",
    "DeadLetter": "imcm.interchange.dead_letters",
    "DeadLetters": "imcm.interchange.dead_letters",
    "read_receiver": "imcm.interchange.receiver_files",
    "ReceiverSettings": "imcm.interchange.receiver_files",
    "Statement": "imcm.interchange.statements",
    "Happening": "imcm.interchange.statements",
    "record_statements": "imcm.interchange.taking_in",
    "Taken": "imcm.interchange.taking_in",
    "format_named": "imcm.interchange.formats",
    "from_frames": "imcm.interchange.csv_files",
    "Settled": "imcm.ledger.bringing_in",
    "DEFAULT_POLICY": "imcm.domain.policy",
    "DecisionTrail": "imcm.projections.histories.decisions",
    "Degree": "imcm.domain.vocabulary",
    "DismissalReason": "imcm.domain.vocabulary",
    "DoraReport": "imcm.projections.reports.dora",
    "Entry": "imcm.projections.histories.timeline",
    "Facts": "imcm.projections.facts.fold",
    "Figure": "imcm.projections.figures.figure",
    "Follower": "imcm.readmodel.follower",
    "ForkedLedgerError": "imcm.errors",
    "History": "imcm.ledger.bringing_in",
    "HoldReason": "imcm.domain.vocabulary",
    "HtmlPage": "imcm.page",
    "ImcmError": "imcm.errors",
    "Impact": "imcm.domain.vocabulary",
    "ImportRefusedError": "imcm.errors",
    "IncidentFacts": "imcm.projections.facts.fold",
    "IncidentStatus": "imcm.domain.incident_events",
    "InvalidValue": "imcm.errors",
    "KeyReusedError": "imcm.errors",
    "Kind": "imcm.domain.vocabulary",
    "Learned": "imcm.projections.histories.learned",
    "Ledger": "imcm.ledger.recording",
    "LedgerClosedError": "imcm.errors",
    "LedgerMissingError": "imcm.errors",
    "LedgerNotEmptyError": "imcm.errors",
    "LedgerReader": "imcm.ledger.reading",
    "LogDiffersError": "imcm.errors",
    "LogMark": "imcm.domain.recorded",
    "MalformedLineError": "imcm.errors",
    "MissingExtraError": "imcm.errors",
    "MissingPackageError": "imcm.errors",
    "MitigationKind": "imcm.domain.vocabulary",
    "Mode": "imcm.domain.vocabulary",
    "Moment": "imcm.domain.vocabulary",
    "NaiveTimeError": "imcm.errors",
    "NotALedgerError": "imcm.errors",
    "Oddity": "imcm.projections.histories.anomalies",
    "Once": "imcm.ledger.transactions",
    "Outcome": "imcm.domain.vocabulary",
    "PRESETS": "imcm.projections.reports.presets",
    "Policy": "imcm.domain.policy",
    "ApprovalRule": "imcm.domain.policy",
    "Content": "imcm.domain.policy",
    "Quorum": "imcm.domain.policy",
    "Freeze": "imcm.domain.policy.freezes",
    "MaintenanceWindow": "imcm.domain.policy.freezes",
    "Weekly": "imcm.domain.policy.freezes",
    "read_policy": "imcm.interchange.toml_files",
    "Rules": "imcm.ledger.rules",
    "ProofRefusedError": "imcm.errors",
    "Recorded": "imcm.domain.recorded",
    "Recording": "imcm.domain.recorded",
    "Redaction": "imcm.ledger.redaction",
    "Relation": "imcm.domain.vocabulary",
    "Replay": "imcm.ledger.reading",
    "Restatement": "imcm.projections.reports.restated",
    "Result": "imcm.domain.vocabulary",
    "Risk": "imcm.domain.vocabulary",
    "Role": "imcm.domain.vocabulary",
    "ServiceImpact": "imcm.domain.vocabulary",
    "Severity": "imcm.domain.vocabulary",
    "SeverityScale": "imcm.domain.severity",
    "SideBySide": "imcm.projections.reports.dora",
    "Source": "imcm.domain.recorded",
    "StatedDuration": "imcm.domain.vocabulary",
    "StepRefused": "imcm.errors",
    "StoreError": "imcm.errors",
    "Symptom": "imcm.domain.vocabulary",
    "Template": "imcm.domain.change_events",
    "Transaction": "imcm.ledger.transactions",
    "TransactionOverError": "imcm.errors",
    "UnknownIdError": "imcm.errors",
    "UnreadEventError": "imcm.errors",
    "Verdict": "imcm.domain.vocabulary",
    "Window": "imcm.domain.vocabulary",
    "anomalies": "imcm.projections.histories.anomalies",
    "as_source_knew": "imcm.domain.recorded",
    "audit": "imcm.audit",
    "availability": "imcm.projections.figures.availability",
    "causes": "imcm.projections.figures.attribution",
    "change": "imcm.domain.change",
    "change_failure_rate": "imcm.projections.figures.failures",
    "compare": "imcm.projections.reports.compare",
    "decision_trail": "imcm.projections.histories.decisions",
    "adeliver": "imcm.readmodel.delivery",
    "deliver": "imcm.readmodel.delivery",
    "deployment_frequency": "imcm.projections.figures.frequency",
    "dora_report": "imcm.projections.reports.dora",
    "events": "imcm.events",
    "downtime": "imcm.projections.figures.availability",
    "facts": "imcm.projections.facts.fold",
    "failed_deployment_recovery_time": "imcm.projections.figures.recovery",
    "frames": "imcm.frames",
    "plots": "imcm.plots",
    "Timeline": "imcm.projections.histories.timeline",
    "evidence_path": "imcm.domain.policy.judging",
    "html_page": "imcm.page",
    "incident": "imcm.domain.incident",
    "lead_time": "imcm.projections.figures.lead_time",
    "learned": "imcm.projections.histories.learned",
    "mean_time_to_restore": "imcm.projections.figures.restore",
    "read_severity_scale": "imcm.interchange.toml_files",
    "restated": "imcm.projections.reports.restated",
    "rework_rate": "imcm.projections.figures.frequency",
    "side_by_side": "imcm.projections.reports.dora",
    "time_between_failures": "imcm.projections.figures.availability",
    "time_to_acknowledge": "imcm.projections.figures.restore",
    "time_to_detect": "imcm.projections.figures.restore",
    "time_to_mitigate": "imcm.projections.figures.restore",
    "time_to_repair": "imcm.projections.figures.restore",
    "time_to_restore": "imcm.projections.figures.restore",
    "timeline": "imcm.projections.histories.timeline",
    "user_impact": "imcm.projections.figures.availability",
    "views": "imcm.readmodel.views",
    "Views": "imcm.readmodel.views",
    "Page": "imcm.readmodel.views",
    "IncidentView": "imcm.projections.boards.views",
    "ChangeView": "imcm.projections.boards.views",
    "ActionItem": "imcm.projections.boards.views",
    "Approval": "imcm.projections.boards.views",
    "LiveVersion": "imcm.projections.boards.views",
    "Match": "imcm.projections.boards.views",
}

_MODULES: Final = frozenset({"audit", "change", "events", "frames", "incident", "plots"})
"""Public names that are modules, used through them, as in incident.resolve."""


if not TYPE_CHECKING:  # to a type checker, a name that is not above is a mistake

    def __getattr__(name: str) -> object:
        if name == "__version__":
            from importlib.metadata import version

            return version("imcm")
        if name not in _HOMES:
            from difflib import get_close_matches

            near = get_close_matches(name, _HOMES, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise AttributeError(f"module 'imcm' has no attribute {name!r}{hint}")
        home = import_module(_HOMES[name])
        found: object = home if name in _MODULES else getattr(home, name)
        globals()[name] = found
        return found

else:
    __version__: str


def __dir__() -> list[str]:
    return sorted(__all__)
