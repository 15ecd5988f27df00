"""
The columns of our CSV contract, and how cells are written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from imcm.domain.vocabulary import (
    A_MARK,
    ChangeType,
    DismissalReason,
    HoldReason,
    Kind,
    Mode,
    Risk,
    Severity,
    Symptom,
    checked_flag,
    checked_id,
    is_list,
)
from imcm.errors import InvalidValue
from imcm.interchange.mapping import TimeRules, Translation, read_mapping, zone_named
from imcm.interchange.statements import OUTCOMES

# --- the contract ---------------------------------------------------------------------------------

INCIDENT_MOMENTS: Final = (
    "impact_started_at",
    "detected_at",
    "declared_at",
    "acknowledged_at",
    "mitigated_at",
    "resolved_at",
    "closed_at",
)

INCIDENT_COLUMNS: Final = (
    "id",
    "service",
    "environment",
    "title",
    "symptom",
    "severity",
    "mode",
    *INCIDENT_MOMENTS,
    "customers",
    "caused_by",
    "fixed_by",
    "dismissed",
    "merged_into",
    "stated_time_to_restore",
    "stated_time_to_repair",
    "severity_name",
    "child_of",
    "recurrence_of",
    "status",
    "reopened_at",
    "acknowledged_by",
    "commander",
    "reviewed_at",
    "updated_at",
    "field",
    "value",
    A_MARK,
)
CHANGE_MOMENTS: Final = (
    "requested_at",
    "approved_at",
    "started_at",
    "deployed_at",
    "rolled_back_at",
    "recovered_at",
    "closed_at",
)
CHANGE_COLUMNS: Final = (
    "id",
    "service",
    "environment",
    "title",
    "type",
    "kind",
    "risk",
    "version",
    "requested_by",
    "status",
    *CHANGE_MOMENTS,
    "fixes_incident",
    "repairs",
    "planned",
    "planned_start",
    "planned_end",
    "approved_by",
    "implemented_by",
    "updated_at",
    "field",
    "value",
)
COMMIT_COLUMNS: Final = (
    "change_id",
    "commit_id",
    "authored_at",
    "committed_at",
    "pull_request",
    "opened_at",
    "merged_at",
)

TABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "incidents": INCIDENT_COLUMNS,
    "changes": CHANGE_COLUMNS,
    "commits": COMMIT_COLUMNS,
}

OF_LOGS: Final = ("field", "value")
"""Columns of tables alone whose rows are states over time: which field, and what it became."""

SEVERAL: Final = frozenset({"service", "caused_by", "fixed_by", "reopened_at"})
"""Columns that can hold several, with `;` between, or what the mapping says of all but the last."""

REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "incidents": ("id",),
    "changes": ("id",),
    "commits": ("change_id", "commit_id"),
}

STATUSES: Final = OUTCOMES
"""What `status` of a change can be."""

HOLDS: Final[Mapping[str, HoldReason]] = {
    "held": HoldReason.OTHER,
    **{f"held:{reason.value}": reason for reason in HoldReason},
}
"""Words for a status in which work waits for somebody else, and for whom."""

OPEN: Final = ("open", "acknowledged", "mitigated", *HOLDS)
INCIDENT_STATUSES: Final = (*OPEN, "resolved", "closed")
"""What `status` of an incident can be, and with which of them it is not over."""

LOG_STATUSES: Final = (*STATUSES, "open", "approved", "started", "deployed", "recovered", "closed")
"""What `status` of a change can be in a table whose rows are states over time."""

CLOSED: Final[Mapping[str, tuple[str, ...]]] = {
    "severity": tuple(Severity),
    "symptom": tuple(Symptom),
    "mode": tuple(Mode),
    "dismissed": tuple(DismissalReason),
    "type": tuple(ChangeType),
    "kind": tuple(Kind),
    "risk": tuple(Risk),
    "status": tuple(dict.fromkeys((*LOG_STATUSES, *INCIDENT_STATUSES))),
    "planned": ("true", "false"),
}
"""Columns whose values are a closed list, and that list."""


def words_for(table: str, column: str, *, log: bool = False) -> tuple[str, ...]:
    """
    Return what a mapping can make of the values of a column in one table.

    Args:
        table: Which of `TABLES`.
        column: A column of `CLOSED`.
        log: The rows of the table are states over time: then a status can also be a wait.

    Raises:
        InvalidValue: There is no such table or column.
    """
    for name, value, known in (("table", table, TABLES), ("column", column, CLOSED)):
        if not (isinstance(value, str) and value in known):
            raise InvalidValue(name, value, f"one of {', '.join(known)}")
    checked_flag("log", log)
    if column != "status":
        return CLOSED[column]
    if table == "incidents":
        return INCIDENT_STATUSES if log else tuple(w for w in INCIDENT_STATUSES if w not in HOLDS)
    return LOG_STATUSES if log else STATUSES


@attrs.frozen(kw_only=True)
class CsvOptions:
    """
    How the files of one import are read.

    Attributes:
        source: The tool the files come from. Every id and every reference then begins with it:
            "INC1" of "servicenow" is "servicenow/INC1". None keeps ids as they are.
        times: How times are read.
        translation: How other names and values become ours.
        complete: The files are the whole list of their source: what is gone from them is withdrawn.
    """

    source: str | None = None
    times: TimeRules = attrs.field(factory=TimeRules)
    translation: Translation = attrs.field(factory=Translation)
    complete: bool = False

    @property
    def name(self) -> str:
        """How the events' sources are called."""
        return self.source or "csv"

    @property
    def by(self) -> str:
        """Who the imported events say recorded them: the source, else "import"."""
        return self.source or "import"

    @property
    def prefix(self) -> str:
        """What every id begins with."""
        return f"{self.source}/" if self.source else ""


def csv_options(
    *,
    source: str | None = None,
    tz: str | None = None,
    time_format: str | Sequence[str] | None = None,
    mapping: str | Path | Mapping[str, Any] | None = None,
    complete: bool = False,
) -> CsvOptions:
    """
    Return options from the words a caller has for them.

    Args:
        source: See `CsvOptions`. It can't hold a slash, which ends it in ids.
        tz: IANA name of the zone of times without offset; overrides the mapping's.
        time_format: One or several `strptime` formats; override the mapping's.
        mapping: A TOML file that renames columns and values, or what such a file tells.
        complete: The files are the whole list of their source; so they are where the mapping says
            that they are.

    Raises:
        InvalidValue: One of them can't be right.
    """
    if source is not None and "/" in checked_id("source", source):
        raise InvalidValue("source", source, "a name without slash, which ends it in ids")
    translation = (
        Translation() if mapping is None else read_mapping(mapping, tables=TABLES, closed=CLOSED)
    )
    tz = translation.tz if tz is None else tz
    formats = (time_format,) if isinstance(time_format, str) else time_format
    if formats is not None and not is_list(formats):
        raise InvalidValue("time_format", formats, "give a strptime format, or several")
    times = TimeRules(
        zone=None if tz is None else zone_named("tz", tz),
        formats=tuple(formats or ()) or translation.time_formats,
        months=translation.months,
    )
    checked_flag("complete", complete)
    return CsvOptions(
        source=source,
        times=times,
        translation=translation,
        complete=complete or translation.complete,
    )
