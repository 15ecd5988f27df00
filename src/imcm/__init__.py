"""
Incidents and changes as one event-sourced log.

The public names are loaded when first used, so that `import imcm` costs next to nothing and the
pure rooms (`imcm.domain`, `imcm.projections`) never load a store.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from imcm import audit, frames
    from imcm.domain import change, incident
    from imcm.domain.change import ChangeStatus, Template
    from imcm.domain.incident import IncidentStatus
    from imcm.domain.lifecycle import Answer
    from imcm.domain.policy import DEFAULT_POLICY, Policy
    from imcm.domain.recorded import LogMark, Recorded, Recording, Source, as_source_knew
    from imcm.domain.severity import SeverityScale
    from imcm.domain.vocabulary import (
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
    from imcm.follower import Follower, KeptFacts, deliver
    from imcm.interchange.toml_files import read_severity_scale
    from imcm.ledger import (
        History,
        Ledger,
        LedgerReader,
        Once,
        Redaction,
        Replay,
        Transaction,
    )
    from imcm.projections.anomalies import Anomaly, Oddity, anomalies
    from imcm.projections.availability import (
        availability,
        downtime,
        time_between_failures,
        user_impact,
    )
    from imcm.projections.clock import BusinessHours
    from imcm.projections.compare import Comparison, compare
    from imcm.projections.decisions import DecisionTrail, decision_trail
    from imcm.projections.dora import DoraReport, SideBySide, dora_report, side_by_side
    from imcm.projections.facts import ChangeFacts, Facts, IncidentFacts, facts
    from imcm.projections.failures import causes, change_failure_rate
    from imcm.projections.figure import Figure
    from imcm.projections.frequency import deployment_frequency, rework_rate
    from imcm.projections.lead_time import lead_time
    from imcm.projections.learned import Learned, learned
    from imcm.projections.presets import PRESETS
    from imcm.projections.recovery import failed_deployment_recovery_time
    from imcm.projections.restated import Restatement, restated
    from imcm.projections.restore import (
        mean_time_to_restore,
        time_to_acknowledge,
        time_to_detect,
        time_to_mitigate,
        time_to_repair,
        time_to_restore,
    )
    from imcm.projections.timeline import Entry, timeline

__all__ = [
    "DEFAULT_POLICY",
    "PRESETS",
    "Anomaly",
    "Answer",
    "AttemptResult",
    "Audience",
    "Authority",
    "Between",
    "BusinessHours",
    "ChangeFacts",
    "ChangeStatus",
    "ChangeType",
    "Channel",
    "Commit",
    "Comparison",
    "ConflictError",
    "Counts",
    "DecisionTrail",
    "Degree",
    "DismissalReason",
    "DoraReport",
    "Entry",
    "Facts",
    "Figure",
    "Follower",
    "ForkedLedgerError",
    "History",
    "HoldReason",
    "ImcmError",
    "Impact",
    "ImportRefusedError",
    "IncidentFacts",
    "IncidentStatus",
    "InvalidValue",
    "KeptFacts",
    "KeyReusedError",
    "Kind",
    "Learned",
    "Ledger",
    "LedgerClosedError",
    "LedgerMissingError",
    "LedgerNotEmptyError",
    "LedgerReader",
    "LogDiffersError",
    "LogMark",
    "MalformedLineError",
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
    "Policy",
    "ProofRefusedError",
    "Recorded",
    "Recording",
    "Redaction",
    "Relation",
    "Replay",
    "Restatement",
    "Result",
    "Risk",
    "Role",
    "ServiceImpact",
    "Severity",
    "SeverityScale",
    "SideBySide",
    "Source",
    "StatedDuration",
    "StepRefused",
    "StoreError",
    "Symptom",
    "Template",
    "Transaction",
    "TransactionOverError",
    "UnknownIdError",
    "UnreadEventError",
    "Verdict",
    "Window",
    "__version__",
    "anomalies",
    "as_source_knew",
    "audit",
    "availability",
    "causes",
    "change",
    "change_failure_rate",
    "compare",
    "decision_trail",
    "deliver",
    "deployment_frequency",
    "dora_report",
    "downtime",
    "facts",
    "failed_deployment_recovery_time",
    "frames",
    "incident",
    "lead_time",
    "learned",
    "mean_time_to_restore",
    "read_severity_scale",
    "restated",
    "rework_rate",
    "side_by_side",
    "time_between_failures",
    "time_to_acknowledge",
    "time_to_detect",
    "time_to_mitigate",
    "time_to_repair",
    "time_to_restore",
    "timeline",
    "user_impact",
]

_HOMES: Final = {
    "Anomaly": "imcm.projections.anomalies",
    "Answer": "imcm.domain.lifecycle",
    "AttemptResult": "imcm.domain.vocabulary",
    "Audience": "imcm.domain.vocabulary",
    "Authority": "imcm.domain.vocabulary",
    "Between": "imcm.domain.vocabulary",
    "BusinessHours": "imcm.projections.clock",
    "ChangeFacts": "imcm.projections.facts",
    "ChangeStatus": "imcm.domain.change",
    "ChangeType": "imcm.domain.vocabulary",
    "Channel": "imcm.domain.vocabulary",
    "Commit": "imcm.domain.vocabulary",
    "Comparison": "imcm.projections.compare",
    "ConflictError": "imcm.errors",
    "Counts": "imcm.domain.vocabulary",
    "DEFAULT_POLICY": "imcm.domain.policy",
    "DecisionTrail": "imcm.projections.decisions",
    "Degree": "imcm.domain.vocabulary",
    "DismissalReason": "imcm.domain.vocabulary",
    "DoraReport": "imcm.projections.dora",
    "Entry": "imcm.projections.timeline",
    "Facts": "imcm.projections.facts",
    "Figure": "imcm.projections.figure",
    "Follower": "imcm.follower",
    "ForkedLedgerError": "imcm.errors",
    "History": "imcm.ledger",
    "HoldReason": "imcm.domain.vocabulary",
    "ImcmError": "imcm.errors",
    "Impact": "imcm.domain.vocabulary",
    "ImportRefusedError": "imcm.errors",
    "IncidentFacts": "imcm.projections.facts",
    "IncidentStatus": "imcm.domain.incident",
    "InvalidValue": "imcm.errors",
    "KeptFacts": "imcm.follower",
    "KeyReusedError": "imcm.errors",
    "Kind": "imcm.domain.vocabulary",
    "Learned": "imcm.projections.learned",
    "Ledger": "imcm.ledger",
    "LedgerClosedError": "imcm.errors",
    "LedgerMissingError": "imcm.errors",
    "LedgerNotEmptyError": "imcm.errors",
    "LedgerReader": "imcm.ledger",
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
    "Oddity": "imcm.projections.anomalies",
    "Once": "imcm.ledger",
    "Outcome": "imcm.domain.vocabulary",
    "PRESETS": "imcm.projections.presets",
    "Policy": "imcm.domain.policy",
    "ProofRefusedError": "imcm.errors",
    "Recorded": "imcm.domain.recorded",
    "Recording": "imcm.domain.recorded",
    "Redaction": "imcm.ledger",
    "Relation": "imcm.domain.vocabulary",
    "Replay": "imcm.ledger",
    "Restatement": "imcm.projections.restated",
    "Result": "imcm.domain.vocabulary",
    "Risk": "imcm.domain.vocabulary",
    "Role": "imcm.domain.vocabulary",
    "ServiceImpact": "imcm.domain.vocabulary",
    "Severity": "imcm.domain.vocabulary",
    "SeverityScale": "imcm.domain.severity",
    "SideBySide": "imcm.projections.dora",
    "Source": "imcm.domain.recorded",
    "StatedDuration": "imcm.domain.vocabulary",
    "StepRefused": "imcm.errors",
    "StoreError": "imcm.errors",
    "Symptom": "imcm.domain.vocabulary",
    "Template": "imcm.domain.change",
    "Transaction": "imcm.ledger",
    "TransactionOverError": "imcm.errors",
    "UnknownIdError": "imcm.errors",
    "UnreadEventError": "imcm.errors",
    "Verdict": "imcm.domain.vocabulary",
    "Window": "imcm.domain.vocabulary",
    "anomalies": "imcm.projections.anomalies",
    "as_source_knew": "imcm.domain.recorded",
    "audit": "imcm.audit",
    "availability": "imcm.projections.availability",
    "causes": "imcm.projections.failures",
    "change": "imcm.domain.change",
    "change_failure_rate": "imcm.projections.failures",
    "compare": "imcm.projections.compare",
    "decision_trail": "imcm.projections.decisions",
    "deliver": "imcm.follower",
    "deployment_frequency": "imcm.projections.frequency",
    "dora_report": "imcm.projections.dora",
    "downtime": "imcm.projections.availability",
    "facts": "imcm.projections.facts",
    "failed_deployment_recovery_time": "imcm.projections.recovery",
    "frames": "imcm.frames",
    "incident": "imcm.domain.incident",
    "lead_time": "imcm.projections.lead_time",
    "learned": "imcm.projections.learned",
    "mean_time_to_restore": "imcm.projections.restore",
    "read_severity_scale": "imcm.interchange.toml_files",
    "restated": "imcm.projections.restated",
    "rework_rate": "imcm.projections.frequency",
    "side_by_side": "imcm.projections.dora",
    "time_between_failures": "imcm.projections.availability",
    "time_to_acknowledge": "imcm.projections.restore",
    "time_to_detect": "imcm.projections.restore",
    "time_to_mitigate": "imcm.projections.restore",
    "time_to_repair": "imcm.projections.restore",
    "time_to_restore": "imcm.projections.restore",
    "timeline": "imcm.projections.timeline",
    "user_impact": "imcm.projections.availability",
}

_MODULES: Final = frozenset({"audit", "change", "frames", "incident"})
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
