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
    from imcm.domain.change import Template
    from imcm.domain.policy import DEFAULT_POLICY, Policy
    from imcm.domain.recorded import Recorded, Recording, Source, as_source_knew
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
        Outcome,
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
    from imcm.errors import ImcmError, InvalidValue, StepRefused
    from imcm.follower import Follower, KeptFacts, deliver
    from imcm.ledger import History, Ledger, LedgerReader, Redaction
    from imcm.projections.anomalies import anomalies
    from imcm.projections.availability import (
        availability,
        downtime,
        time_between_failures,
        user_impact,
    )
    from imcm.projections.clock import BusinessHours
    from imcm.projections.compare import compare
    from imcm.projections.decisions import DecisionTrail, decision_trail
    from imcm.projections.dora import dora_report, side_by_side
    from imcm.projections.facts import Facts, facts
    from imcm.projections.failures import causes, change_failure_rate
    from imcm.projections.figure import Figure
    from imcm.projections.frequency import deployment_frequency, rework_rate
    from imcm.projections.lead_time import lead_time
    from imcm.projections.learned import Learned, learned
    from imcm.projections.presets import PRESETS
    from imcm.projections.recovery import failed_deployment_recovery_time
    from imcm.projections.restated import restated
    from imcm.projections.restore import (
        mean_time_to_restore,
        time_to_acknowledge,
        time_to_detect,
        time_to_mitigate,
        time_to_repair,
        time_to_restore,
    )
    from imcm.projections.timeline import timeline

__all__ = [
    "DEFAULT_POLICY",
    "PRESETS",
    "AttemptResult",
    "Audience",
    "Authority",
    "Between",
    "BusinessHours",
    "ChangeType",
    "Channel",
    "Commit",
    "Counts",
    "DecisionTrail",
    "Degree",
    "DismissalReason",
    "Facts",
    "Figure",
    "Follower",
    "History",
    "HoldReason",
    "ImcmError",
    "Impact",
    "InvalidValue",
    "KeptFacts",
    "Kind",
    "Learned",
    "Ledger",
    "LedgerReader",
    "MitigationKind",
    "Mode",
    "Outcome",
    "Policy",
    "Recorded",
    "Recording",
    "Redaction",
    "Result",
    "Risk",
    "Role",
    "ServiceImpact",
    "Severity",
    "Source",
    "StatedDuration",
    "StepRefused",
    "Symptom",
    "Template",
    "Verdict",
    "Window",
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
    "AttemptResult": "imcm.domain.vocabulary",
    "Audience": "imcm.domain.vocabulary",
    "Authority": "imcm.domain.vocabulary",
    "Between": "imcm.domain.vocabulary",
    "BusinessHours": "imcm.projections.clock",
    "ChangeType": "imcm.domain.vocabulary",
    "Channel": "imcm.domain.vocabulary",
    "Commit": "imcm.domain.vocabulary",
    "Counts": "imcm.domain.vocabulary",
    "DEFAULT_POLICY": "imcm.domain.policy",
    "DecisionTrail": "imcm.projections.decisions",
    "Degree": "imcm.domain.vocabulary",
    "DismissalReason": "imcm.domain.vocabulary",
    "Facts": "imcm.projections.facts",
    "Figure": "imcm.projections.figure",
    "Follower": "imcm.follower",
    "History": "imcm.ledger",
    "HoldReason": "imcm.domain.vocabulary",
    "ImcmError": "imcm.errors",
    "Impact": "imcm.domain.vocabulary",
    "InvalidValue": "imcm.errors",
    "KeptFacts": "imcm.follower",
    "Kind": "imcm.domain.vocabulary",
    "Learned": "imcm.projections.learned",
    "Ledger": "imcm.ledger",
    "LedgerReader": "imcm.ledger",
    "MitigationKind": "imcm.domain.vocabulary",
    "Mode": "imcm.domain.vocabulary",
    "Outcome": "imcm.domain.vocabulary",
    "PRESETS": "imcm.projections.presets",
    "Policy": "imcm.domain.policy",
    "Recorded": "imcm.domain.recorded",
    "Recording": "imcm.domain.recorded",
    "Redaction": "imcm.ledger",
    "Result": "imcm.domain.vocabulary",
    "Risk": "imcm.domain.vocabulary",
    "Role": "imcm.domain.vocabulary",
    "ServiceImpact": "imcm.domain.vocabulary",
    "Severity": "imcm.domain.vocabulary",
    "Source": "imcm.domain.recorded",
    "StatedDuration": "imcm.domain.vocabulary",
    "StepRefused": "imcm.errors",
    "Symptom": "imcm.domain.vocabulary",
    "Template": "imcm.domain.change",
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


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'imcm' has no attribute {name!r}")
    home = import_module(_HOMES[name])
    found: object = home if name in _MODULES else getattr(home, name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
