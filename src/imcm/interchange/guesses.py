"""
What columns and words of a table may mean, by their names alone: for a first mapping.

Names are in small letters, words with a blank between. They are no rule: whatever is guessed by
them says that it is a guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final


def _by_name(ours: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    return {name: column for column, names in ours.items() for name in (_words(column), *names)}


def _words(column: str) -> str:
    return column.replace("_", " ")


_BOTH: Final[Mapping[str, tuple[str, ...]]] = {
    "id": (
        "number",
        "nr",
        "no",
        "key",
        "ticket",
        "ticket id",
        "ticket nr",
        "reference",
        "ref",
        *("nummer", "ticketnummer", "kennung"),
    ),
    "service": (
        "services",
        "affected service",
        "affected services",
        "system",
        "application",
        "app",
        *("dienst", "dienste", "betroffener dienst", "betroffene dienste", "anwendung"),
        *("betroffener service", "betroffene services", "betroffenes system"),
    ),
    "environment": ("env", "stage", "umgebung"),
    "title": (
        *("summary", "subject", "name", "headline"),
        *("titel", "betreff", "zusammenfassung", "kurzbeschreibung"),
    ),
    "updated_at": (
        *("updated", "last updated", "modified", "last modified", "changed"),
        *("geändert", "zuletzt geändert", "geändert am", "aktualisiert"),
    ),
    "closed_at": ("closed", "closed on", "close time", "closed date", "geschlossen"),
}

COLUMNS: Final[Mapping[str, Mapping[str, str]]] = {
    "incidents": _by_name(
        {
            **_BOTH,
            "id": (
                *(*_BOTH["id"], "incident", "incident id", "incident number", "incident nr"),
                *("incident no", "inc", "inc no", "inc nr", "störungsnummer"),
            ),
            "title": (*_BOTH["title"], "störung", "störungsmeldung"),
            "severity": ("sev", "priority", "prio", "priorität", "schweregrad", "dringlichkeit"),
            "symptom": (),
            "impact_started_at": (
                *("impact start", "impact started", "started", "start", "begin"),
                *("beginn", "störungsbeginn"),
            ),
            "detected_at": (
                *("detected", "detected on", "opened", "opened at", "opened on", "created"),
                *("created at", "created on", "reported", "reported at", "open time"),
                *("first seen", "seen", "noticed", "noticed at", "alerted at", "raised"),
                *("gemeldet", "gemeldet am", "erstellt", "erstellt am", "erkannt", "erkannt am"),
                *("eröffnet", "eröffnet am", "erfasst", "erfasst am", "gemeldet um"),
            ),
            "declared_at": ("declared",),
            "acknowledged_at": (
                *("acknowledged", "acked", "acked at", "ack time", "accepted at"),
                *("angenommen", "angenommen am", "übernommen", "übernommen am"),
            ),
            "mitigated_at": ("mitigated", "recovered", "recovered at"),
            "resolved_at": (
                *("resolved", "resolved on", "solved", "solved at", "fixed", "fixed at"),
                *("restored", "restored at", "end", "ended", "ended at"),
                *("behoben", "behoben am", "gelöst", "gelöst am", "ende", "störungsende"),
            ),
            "customers": ("customers affected", "affected customers", "users affected"),
            "caused_by": (
                *("cause change", "caused by change", "root cause chg", "root cause change"),
                *("causing change", "verursacht durch", "verursachender change"),
            ),
            "fixed_by": ("fixed by change",),
            "stated_time_to_restore": (
                *("duration", "duration min", "duration minutes", "duration in minutes"),
                *("duration h", "duration hours", "duration seconds", "duration s"),
                *("downtime", "downtime min", "downtime minutes", "outage minutes"),
                *(
                    "ttr",
                    "ttr min",
                    "ttr minutes",
                    "mttr",
                    "time to resolve",
                    "time to restore min",
                ),
                *("time to restore minutes", "minutes to restore", "minutes to resolve"),
                *("seconds to resolve", "hours to resolve", "time to resolve minutes"),
                *("dauer", "dauer min", "dauer minuten", "dauer h", "dauer std", "dauer stunden"),
                *("dauer in minuten", "dauer in stunden", "ausfallzeit", "ausfalldauer"),
            ),
            "stated_time_to_repair": ("time to repair minutes", "minutes to repair"),
            "status": ("state", "zustand"),
            "acknowledged_by": (),
            "commander": ("incident commander", "incident lead"),
            "reopened_at": ("reopened",),
            "reviewed_at": ("reviewed",),
            "child_of": ("parent", "parent incident"),
            "dismissed": (),
            "merged_into": (),
        }
    ),
    "changes": _by_name(
        {
            **_BOTH,
            "id": (
                *_BOTH["id"],
                "change",
                "change id",
                "change number",
                *("change no", "change nr", "chg", "chg no", "chg nr"),
                *("änderungsnummer", "änderungs nr", "änderung"),
                "deployment id",
                "release",
            ),
            "type": ("change type", "art", "änderungsart"),
            "kind": (),
            "risk": ("risk level", "change risk"),
            "version": ("tag",),
            "requested_by": ("requester", "requested for"),
            "status": ("result", "outcome", "close code", "ergebnis"),
            "requested_at": (
                "requested",
                "created",
                "created at",
                "created on",
                "opened",
                "opened at",
                *("erstellt", "erstellt am", "beantragt"),
            ),
            "approved_at": ("approved", "approved on"),
            "started_at": (
                "started",
                "start",
                "actual start",
                "actual start date",
                "begin",
                "beginn",
            ),
            "deployed_at": (
                *("deployed", "deployed on", "deployment time", "released", "released at", "end"),
                *("implemented", "implemented at", "actual end", "actual end date", "finished"),
                *(
                    "finished at",
                    "ausgerollt",
                    "ausgerollt am",
                    "umgesetzt",
                    "umgesetzt am",
                    "ende",
                ),
            ),
            "rolled_back_at": (
                *("rolled back", "rollback", "rollback at"),
                *("zurückgerollt", "zurückgerollt am"),
            ),
            "recovered_at": ("recovered",),
            "planned_start": ("scheduled start", "planned start date"),
            "planned_end": ("scheduled end", "planned end date"),
            "planned": (),
            "approved_by": ("approver",),
            "implemented_by": ("implementer",),
            "fixes_incident": ("fixes",),
            "repairs": (),
        }
    ),
    "commits": _by_name(
        {
            "change_id": ("change", "release", "deployment", "deployment id"),
            "commit_id": ("commit", "sha", "hash", "commit sha", "commit hash"),
            "authored_at": ("authored", "author date"),
            "committed_at": ("committed", "commit date"),
            "pull_request": ("pr", "merge request", "mr"),
            "opened_at": ("opened",),
            "merged_at": ("merged",),
        }
    ),
}
"""Table to name to what a column of that name may be."""

WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "severity": {
        **{
            f"{sev}{between}{rank}": f"P{min(rank, 4)}"
            for rank in range(1, 6)
            for sev in ("sev", "severity", "p", "prio", "priority")
            for between in ("", " ")
        },
        **{str(rank): f"P{min(rank, 4)}" for rank in range(1, 6)},
        "critical": "P1",
        "1 critical": "P1",
        "blocker": "P1",
        "highest": "P1",
        "high": "P2",
        "2 high": "P2",
        "major": "P2",
        "medium": "P3",
        "moderate": "P3",
        "3 moderate": "P3",
        "3 medium": "P3",
        "minor": "P3",
        "low": "P4",
        "4 low": "P4",
        "lowest": "P4",
        "5 planning": "P4",
        "trivial": "P4",
    },
    "status": {
        **dict.fromkeys(("new", "todo", "to do", "reopened", "waiting", "pending"), "open"),
        **dict.fromkeys(("in progress", "active", "investigating", "working"), "acknowledged"),
        **dict.fromkeys(("done", "solved", "fixed", "completed"), "resolved"),
        **dict.fromkeys(("success", "succeeded", "ok", "erfolgreich"), "successful"),
        **dict.fromkeys(("failure", "error", "unsuccessful", "fehlgeschlagen"), "failed"),
        **dict.fromkeys(("rolled back", "rollback", "reverted", "backed out"), "rolled_back"),
        "zurückgerollt": "rolled_back",
        **dict.fromkeys(("canceled", "rejected", "declined", "abgebrochen"), "cancelled"),
    },
    "risk": {"medium": "moderate", "very high": "high", "critical": "high", "very low": "low"},
    "planned": {"yes": "true", "y": "true", "1": "true", "no": "false", "n": "false", "0": "false"},
    "mode": {"production": "real", "exercise": "drill"},
    "type": {"pre approved": "standard", "urgent": "emergency", "notfall": "emergency"},
}
"""Our column to a word in it to what that may mean."""
