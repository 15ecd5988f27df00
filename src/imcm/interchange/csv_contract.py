"""
The columns of our CSV contract, and how cells are written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import attrs

from imcm.domain.vocabulary import (
    A_MARK,
    ChangeType,
    DismissalReason,
    Kind,
    Mode,
    Risk,
    Severity,
    Symptom,
    checked_id,
    is_list,
)
from imcm.errors import InvalidValue
from imcm.interchange.mapping import TimeRules, Translation, read_mapping, zone_named

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
    A_MARK,
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
    "requested_at",
    "approved_at",
    "started_at",
    "deployed_at",
    "rolled_back_at",
    "recovered_at",
    "closed_at",
    "fixes_incident",
    "repairs",
    "planned",
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

REQUIRED: Final[Mapping[str, tuple[str, ...]]] = {
    "incidents": ("id",),
    "changes": ("id",),
    "commits": ("change_id", "commit_id"),
}

STATUSES: Final = ("successful", "failed", "rolled_back", "cancelled", "not_deployed")

CLOSED: Final[Mapping[str, tuple[str, ...]]] = {
    "severity": tuple(Severity),
    "symptom": tuple(Symptom),
    "mode": tuple(Mode),
    "dismissed": tuple(DismissalReason),
    "type": tuple(ChangeType),
    "kind": tuple(Kind),
    "risk": tuple(Risk),
    "status": STATUSES,
    "planned": ("true", "false"),
}
"""Columns whose values are a closed list, and that list."""


@attrs.frozen(kw_only=True)
class CsvOptions:
    """
    How the files of one import are read.

    Attributes:
        source: The tool the files come from. Every id and every reference then begins with it:
            "INC1" of "servicenow" is "servicenow/INC1". None keeps ids as they are.
        times: How times are read.
        translation: How other names and values become ours.
    """

    source: str | None = None
    times: TimeRules = attrs.field(factory=TimeRules)
    translation: Translation = attrs.field(factory=Translation)

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
    mapping: str | Path | None = None,
) -> CsvOptions:
    """
    Return options from the words a caller has for them.

    Args:
        source: See `CsvOptions`. It can't hold a slash, which ends it in ids.
        tz: IANA name of the zone of times without offset; overrides the mapping's.
        time_format: One or several `strptime` formats; override the mapping's.
        mapping: A TOML file that renames columns and values.

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
    )
    return CsvOptions(source=source, times=times, translation=translation)
