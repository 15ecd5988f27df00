"""
The JSON Schema of a policy file, for editors that complete and check while one is written.

`imcm policy schema` prints it. What can only be known of the whole, such as a rule that asks for
more members than there are, `imcm policy check` says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final

from imcm.docstrings import parsed
from imcm.domain.policy import AgentStep, ApprovalRule, ApprovedTemplate, PlanRule, Policy
from imcm.domain.policy.freezes import Freeze, MaintenanceWindow, Weekly
from imcm.domain.policy.judging import CanaryPlan
from imcm.domain.policy.plans import PlanPart
from imcm.domain.policy.rollouts import RolloutRule
from imcm.domain.vocabulary import Actor, Authority, ChangeType, Kind, Risk, Severity

_Schema = dict[str, Any]

_TEXT: Final[_Schema] = {"type": "string", "minLength": 1}
_FLAG: Final[_Schema] = {"type": "boolean"}
_TEXTS: Final[_Schema] = {"type": "array", "items": _TEXT}
_LABELS: Final[_Schema] = {"type": "object", "additionalProperties": {"type": "string"}}
_COUNT: Final[_Schema] = {"type": "integer", "minimum": 1}
_RATIO: Final[_Schema] = {"type": "number", "minimum": 1.001, "maximum": 1000}
_COUNTS: Final[_Schema] = {"type": "object", "additionalProperties": _COUNT}
_LENGTH: Final[_Schema] = {
    "type": "string",
    "pattern": "^[1-9][0-9]{0,6} (week|day|hour|minute)s?$",
    "examples": ["14 days", "36 hours"],
}
_POINT: Final[_Schema] = {
    "type": "string",
    "pattern": "^(Mon|Tue|Wed|Thu|Fri|Sat|Sun) (([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$",
    "examples": ["Fri 16:00"],
}
_TIME: Final[_Schema] = {
    "description": "A time with its offset, as a TOML date-time or text.",
    "type": "string",
    "format": "date-time",
}


def _one_of(members: type[StrEnum]) -> _Schema:
    return {"type": "string", "enum": [member.value for member in members]}


def _some_of(members: type[StrEnum]) -> _Schema:
    return {"type": "array", "items": _one_of(members), "uniqueItems": True}


def _by(members: type[StrEnum]) -> _Schema:
    ids = {member.value: _TEXTS for member in members}
    return {"type": "object", "properties": ids, "additionalProperties": False}


def _table(cls: type, fields: Mapping[str, _Schema], required: Iterable[str] = ()) -> _Schema:
    """Return the schema of a table whose keys mean what the docstring of a class says."""
    said = {name: text for names, text in parsed(cls.__doc__).args.items() for name in names}
    properties = {
        name: {**schema, **({"description": said[name]} if name in said else {})}
        for name, schema in fields.items()
    }
    table: _Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**table, "required": list(required)} if required else table


_WHERE: Final = {"services": _TEXTS, "environments": _TEXTS, "labels": _LABELS}
_SCOPE: Final = {
    "types": _some_of(ChangeType),
    "risks": _some_of(Risk),
    "kinds": _some_of(Kind),
    **_WHERE,
}


def policy_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a policy file; Any: a schema nests."""
    weekly = _table(Weekly, {"start": _POINT, "end": _POINT, "time_zone": _TEXT}, ["start", "end"])
    once: _Schema = {
        "type": "object",
        "properties": {"start": _TIME, "end": _TIME},
        "required": ["start", "end"],
        "additionalProperties": False,
    }
    when = {
        "name": _TEXT,
        "weekly": {"type": "array", "items": weekly},
        "windows": {"type": "array", "items": once},
        **_WHERE,
    }
    some_time = {"anyOf": [{"required": ["weekly"]}, {"required": ["windows"]}]}
    freeze = {**_table(Freeze, {**when, "override_by": _TEXTS}, ["name"]), **some_time}
    window = {**_table(MaintenanceWindow, when, ["name"]), **some_time}
    rule = _table(ApprovalRule, {"votes": _COUNT, "of": _COUNTS, **_SCOPE})
    plan = _table(PlanRule, {"needs": _some_of(PlanPart), "references": _TEXTS, **_SCOPE})
    scope = {name: schema for name, schema in _SCOPE.items() if name != "types"}
    template = _table(
        ApprovedTemplate,
        {
            "name": _TEXT,
            "version": _TEXT,
            "sha256": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
            "retired": _FLAG,
            "max_failures": _COUNT,
            "within": _LENGTH,
            **scope,
        },
        ["name", "version"],
    )
    canary = _table(
        CanaryPlan,
        {
            "alpha": {"type": "number", "exclusiveMinimum": 0, "maximum": 0.5},
            "tolerated_ratio": {"anyOf": [_RATIO, {"const": "any"}]},
            "requests": _COUNT,
            "bake": _LENGTH,
            "sought_ratio": _RATIO,
            "metrics": {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": 1},
        },
    )
    rollout = _table(
        RolloutRule,
        {
            "first": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 100},
            "bake": _LENGTH,
            "checks": _TEXTS,
            "fresh_for": _LENGTH,
            "canary": canary,
            **_SCOPE,
        },
    )
    policy = _table(
        Policy,
        {
            "name": _TEXT,
            "version": _TEXT,
            "approvals": _COUNT,
            "authorities": _some_of(Authority),
            "review_for": _some_of(Severity),
            "rules": {"type": "array", "items": rule},
            "members": _by(Authority),
            "groups": {"type": "object", "additionalProperties": _TEXTS},
            "plans": {"type": "array", "items": plan},
            "templates": {"type": "array", "items": template},
            "rollouts": {"type": "array", "items": rollout},
            "valid_for": _LENGTH,
            "ruling_due": _LENGTH,
            "actors": _by(Actor),
            "people_decide": _FLAG,
            "agents_may": _some_of(AgentStep),
            "freezes": {"type": "array", "items": freeze},
            "maintenance": {"type": "array", "items": window},
            "refuse_conflicts": _FLAG,
            "stewards": _TEXTS,
            "approvers_may_start": _FLAG,
        },
        ["name"],
    )
    tests: _Schema = {"type": "array", "description": "Tests of it; see imcm policy test."}
    policy["properties"]["tests"] = tests
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "imcm policy",
        "description": "The rules of a team around changes; see docs/policy.md of imcm.",
        **policy,
    }
