"""
Write docs/reference.md from the code: signatures, docstrings, fields, tables, the lists of choices.

    python docs/make_reference.py
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from functools import cache
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import attrs

import imcm
from imcm import audit, change, errors, frames, incident, plots
from imcm.codec.rows import EVENT_TYPES
from imcm.docstrings import Docstring, parsed
from imcm.domain import change_events, corrections, incident_events
from imcm.domain.lifecycle import _DOORS as DOORS
from imcm.domain.lifecycle import Rule
from imcm.domain.policy import DEFAULT_POLICY
from imcm.projections.figures.definition import Definition

HEAD = """# Reference

Everything public, with its arguments: for whoever embeds the library, or computes figures in a
notebook. Written by `docs/make_reference.py` from the code, so `help()` says the same. Types are
those you may give; *required* stands where there is no default. All times need a time zone, and a
call that is refused has recorded nothing.
"""

SOURCE: Final = Path(imcm.__file__).parent

# --- names, anchors, links ------------------------------------------------------------------------

STEPS: Final[Mapping[str, ModuleType]] = {"incident": incident, "change": change}
STATES: Final = {"incident": incident.Incident, "change": change.Change}

RECORDING = ("Ledger", "Transaction", "Once", "LedgerReader", "Replay", "Follower")
BOARDS = ("IncidentView", "ChangeView", "ActionItem", "Approval", "LiveVersion", "Match", "Page")
ROWS = ("Facts", "IncidentFacts", "ChangeFacts")
DURATIONS = (
    *("time_to_detect", "time_to_acknowledge", "time_to_mitigate", "time_to_restore"),
    *("time_to_repair", "mean_time_to_restore"),
)
DEPLOYMENTS = (
    *("deployment_frequency", "lead_time", "change_failure_rate"),
    *("failed_deployment_recovery_time", "rework_rate", "causes"),
)
OUTAGES = ("downtime", "availability", "time_between_failures", "user_impact")
FIGURES = (*DURATIONS, *DEPLOYMENTS, *OUTAGES)
REPORTS = (
    *("dora_report", "side_by_side", "compare", "restated", "learned", "timeline"),
    *("decision_trail", "duties", "freeze_overrides", "anomalies", "html_page"),
)
CONTROL = (
    *("what_if", "risk_of", "failure_model", "calibration"),
    *(
        "conflicts",
        "conflicts_of",
        "next_free",
        "judge",
        "increments",
        "evidence_path",
        "run_policy_tests",
    ),
)
RESULTS = (
    *(
        "Figure",
        "DoraReport",
        "SideBySide",
        "Comparison",
        "Restatement",
        "Learned",
        "Entry",
        "Timeline",
    ),
    *("DecisionTrail", "Duties", "FreezeOverride", "Anomaly", "WhatIf", "RiskAssessment"),
    *("FailureModel", "FailureRate", "Calibration", "Conflict", "CanaryVerdict", "HtmlPage"),
)
RECORDS = ("Recorded", "Recording", "Redaction", "Source", "History", "Settled", "LogMark", "Taken")
GIVEN = (
    *("Between", "Window", "Impact", "ServiceImpact", "Commit", "Counts", "Template", "Policy"),
    *("ApprovalRule", "Quorum", "Content", "Freeze", "MaintenanceWindow", "Weekly", "Rules"),
    *("PlanRule", "ApprovedTemplate", "RolloutRule", "CanaryPlan", "Look", "Exposure", "Context"),
    *("Dependencies", "Planned", "PolicyTest", "RiskRules", "ProposedChange"),
    *("SeverityScale", "BusinessHours", "Answer", "Gate", "Ready", "Frozen"),
    *("Statement", "Happening"),
    *("WebhookSource", "SignatureScheme", "DeadLetter", "DeadLetters", "ReceiverSettings"),
)
READ = (
    *("read_policy", "strict_policy", "read_policy_tests", "policy_schema"),
    *("read_severity_scale", "format_named", "record_statements"),
    *("receiver", "read_receiver", "signatures"),
)
MODULES = ("audit", "events", "frames", "plots")


def anchor(heading: str) -> str:
    """Return the anchor that a heading gets."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def is_enum(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, Enum)


ENUMS: Final = tuple(
    name for name in imcm.__all__ if name != "__version__" and is_enum(getattr(imcm, name))
)


def error_classes() -> list[type[BaseException]]:
    """Return all errors there are, in the order of the file."""
    found = (value for value in vars(errors).values() if isinstance(value, type))
    return [cls for cls in found if issubclass(cls, errors.ImcmError)]


ERRORS: Final = tuple(cls.__name__ for cls in error_classes())


def place(name: str) -> str:
    """Return the anchor of a public name."""
    if name in STEPS:
        return f"steps-of-{name}s"
    if name == "Moment":
        return "between"
    if name in {*ENUMS, *ERRORS, *MODULES, "PRESETS", "DEFAULT_POLICY", "__version__"}:
        return name.lower()
    value = getattr(imcm, name)
    return anchor(name if isinstance(value, type) else f"imcm.{name}")


INDEX: Final[Mapping[str, tuple[str, ...]]] = {
    "[Steps](#steps)": ("incident", "change"),
    "[The ledger](#the-ledger)": (*RECORDING, "deliver", "adeliver"),
    "[Boards](#boards)": ("views", "Views", *BOARDS),
    "[What it gives back](#what-the-ledger-gives-back)": RECORDS,
    "[Facts](#facts-and-rows)": ("facts", "from_frames", *ROWS, "as_source_knew"),
    "[Figures](#figures): durations": DURATIONS,
    "Figures: deployments": DEPLOYMENTS,
    "Figures: outages": OUTAGES,
    "[Reports](#reports-and-histories)": (*REPORTS, "PRESETS"),
    "[Change control](#change-control)": CONTROL,
    "[Their results](#results)": RESULTS,
    "[Values to give](#values)": (
        *GIVEN,
        "Moment",
        "DEFAULT_POLICY",
        *READ,
    ),
    "[Closed lists](#closed-lists)": ENUMS,
    "[Errors](#errors)": ERRORS,
    "[Modules](#modules)": (*MODULES, "__version__"),
}


def index() -> str:
    lines = ["| for | names |", "|---|---|"]
    for title, names in INDEX.items():
        told = ", ".join(f"[`{name}`](#{place(name)})" for name in names)
        lines.append(f"| {title} | {told} |")
    return "\n".join(lines)


# --- text -----------------------------------------------------------------------------------------


def prose(text: str) -> str:
    """Return text of a docstring as Markdown."""
    parts = re.split(r"(`[^`]+`)", text)
    for at in range(0, len(parts), 2):
        plain = re.sub(r'"([^"\s]*[*<][^"]*)"', lambda found: f'`"{found[1]}"`', parts[at])
        outside = re.split(r"(`[^`]+`)", plain)
        outside[::2] = [one.replace("<", r"\<") for one in outside[::2]]
        parts[at] = "".join(outside)
    return re.sub(r"docs/(\w+\.md)", r"[\1](\1)", "".join(parts))


def paragraphs(doc: Docstring) -> str:
    """Return the text of a docstring, examples as code."""
    told = []
    for one in doc.paragraphs:
        if one.startswith("    "):
            told.append(f"```text\n{textwrap.dedent(one)}\n```")
        else:
            told.append(prose(one))
    return "\n\n".join(told)


def first_sentence(doc: Docstring) -> str:
    first = doc.paragraphs[0] if doc.paragraphs else ""
    return prose(re.split(r"(?<=\.)\s", first, maxsplit=1)[0])


def raised(doc: Docstring) -> Iterator[str]:
    if doc.raises:
        told = [
            f"{', '.join(linked(name) for name in names)}: {prose(text)}"
            for names, text in doc.raises.items()
        ]
        yield "Raises " + " ".join(told)


def table(head: str, rows: Iterable[Iterable[str]]) -> str:
    columns = head.split(", ")
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    for row in rows:
        cells = (cell.replace("|", r"\|") for cell in row)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


# --- types and defaults ---------------------------------------------------------------------------

SPELT_OUT: Final = ("Moment", "Period", "WindowGiven", "Hours", "Range")
"""Names of types that are told as what they stand for."""

CONVERTED: Final = {
    "tuple[str, ...]": "str | Iterable[str]",
    "tuple[str, ...] | None": "str | Iterable[str] | None",
    "Period | None": "tuple[datetime | None, datetime | None] | str | None",
    "timedelta | None": "timedelta | float | None",
    "datetime | None": "datetime | str | None",
    "BusinessHours | None": "BusinessHours | Mapping | None",
    "Mapping[str, Severity]": "Mapping[str, Severity | str]",
    "Hours": "Mapping[int, Iterable[tuple[str, str]]]",
    "tuple[date, ...]": "Iterable[date | str]",
}
"""Of arguments that are converted when they are given: what may be given, by what is kept."""

SHORT: Final = {
    r"Callable\[Concatenate\[State, P\], .*\]": "a step",
    r"(?<!\.)\b(Event|Stored|IncidentEvent|ChangeEvent)\b": "[event](events.md)",
    r"\bIncidentTable\b": "Sequence[IncidentFacts]",
    r"\bChangeTable\b": "Sequence[ChangeFacts]",
    r"\bCorrectableValue\b": "as the field is, see [events.md](events.md)",
    r"\bStoredEvent\b": "[stored row](stored-format.md)",
}


@cache
def aliases() -> Mapping[str, str]:
    """Return what the names of types stand for, as it is written."""
    found: dict[str, str] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            match node:
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    found[name] = ast.unparse(value)
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.expr() as value):
                    found[name] = ast.unparse(value)
                case _:
                    pass
    return {name: found[name] for name in SPELT_OUT}


def linked(name: str) -> str:
    """Return a name, as a link where it is public, or told among the parts of results."""
    if name in imcm.__all__ or name in ERRORS:
        return f"[{name}](#{place(name)})"
    if name == "Definition":
        return f"[{name}](#arguments-of-every-figure)"
    return f"[{name}](#{name.lower()})" if name in pieces() else name


@cache
def pieces() -> Mapping[str, type]:
    """Return the classes of values that fields of results hold and that have no public name."""
    found: dict[str, type] = {"Cause": vars(sys.modules[imcm.causes.__module__])["Cause"]}
    asked: list[Any] = [getattr(imcm, name) for name in (*ROWS, *RESULTS)]
    while asked:
        cls = asked.pop(0)
        home = vars(sys.modules[cls.__module__])
        for annotation, _ in fields(cls).values():
            text = str(getattr(annotation, "__forward_arg__", annotation))
            for name in re.findall(r"\b[A-Z]\w+", text):
                one = home.get(name)
                known = one is Definition or name in found or name in imcm.__all__
                if not isinstance(one, type) or known:
                    continue
                if one.__module__.startswith("imcm") and (fields(one) or is_enum(one)):
                    found[name] = one
                    asked.append(one)
    return dict(sorted(found.items()))


def _fields_told(cls: Any, doc: Docstring) -> Iterator[str]:
    """Yield the fields that a class has of its own, those told together as one."""
    own = {a.name for a in attrs.fields(cls) if not a.inherited} if attrs.has(cls) else None
    told = {name: one for name, one in fields(cls).items() if own is None or name in own}
    for names in _together(told, doc):
        types = several(typed(told[name][0]) for name in names)
        said = prose(doc.meaning(names[0])).rstrip(".")
        yield (
            ", ".join(f"`{name}`" for name in names) + f" ({types})" + (f": {said}" if said else "")
        )


def parts_of_results() -> Iterator[str]:
    """Tell the small values that fields of results hold."""
    yield "### Parts of results"
    rows = []
    for name, cls in pieces().items():
        doc = parsed(cls.__doc__)
        says = " ".join(map(prose, doc.paragraphs))
        base = cls.__base__
        if base is not None and base.__name__ in pieces():
            says += f" It has the fields of {linked(base.__name__)}, too."
        if issubclass(cls, Enum):
            told = [f'`{one.name}` "{one.value}"' for one in cls]
        else:
            told = list(_fields_told(cls, doc))
        rows.append((f'<a id="{name.lower()}"></a>`{name}`', says, "<br>".join(told)))
    yield table("value, what it is, fields", rows)


def typed(annotation: object) -> str:
    """Return a type as somebody writes it, public names as links; for the page."""
    text = getattr(annotation, "__forward_arg__", annotation)
    if not isinstance(text, str):
        return ""
    for name in SPELT_OUT:
        text = re.sub(rf"\b{name}\b", lambda found: aliases()[found[0]], text)
    for pattern, told in SHORT.items():
        text = re.sub(pattern, told, text)
    text = re.sub(r"\b(?:None \| )(.*)$", r"\1 | None", text)
    text = " | ".join(dict.fromkeys(re.split(r" \| (?![^\[]*\])", text)))
    told = re.sub(r"(?<![\[\w])[A-Z]\w+", lambda found: linked(found[0]), text)
    return re.sub(r"(?<=\[)[A-Z]\w+(?=[\],| ])(?!\]\()", lambda found: linked(found[0]), told)


def value(default: Any) -> str:
    """Return a default as somebody writes it; the same in each run and each Python."""
    if default is DEFAULT_POLICY:
        return "DEFAULT_POLICY"
    if default == tuple(imcm.PRESETS):
        return "tuple(PRESETS)"
    if default in (change.INITIAL, incident.INITIAL):
        return "INITIAL"
    match default:
        case Enum():
            return f"{type(default).__name__}.{default.name}"
        case frozenset():
            members = sorted(default, key=lambda one: list(type(one)).index(one))
            return f"{{{', '.join(map(value, members))}}}"
        case tuple():
            told = ", ".join(map(value, default))
            return f"({told},)" if len(default) == 1 else f"({told})"
        case Mapping():
            return "{}"
        case attrs.Factory():
            made = default.factory()
            return "{}" if isinstance(made, Mapping) else f"{type(made).__name__}()"
        case _ if callable(default):
            return default.__name__
        case _:
            return repr(default)


def defaulted(default: Any) -> str:
    if default is inspect.Parameter.empty or default is attrs.NOTHING:
        return "*required*"
    return f"`{value(default)}`"


# --- arguments ------------------------------------------------------------------------------------

GAPS: Final[list[str]] = []
"""Arguments of which no word is said; a test looks."""


def parameters(function: Callable[..., Any], *left_out: str) -> list[inspect.Parameter]:
    told = inspect.signature(function).parameters.values()
    skipped = {"self", "cls", *left_out}
    return [
        one
        for one in told
        if one.name not in skipped and one.kind is not inspect.Parameter.VAR_POSITIONAL
    ]


def called(name: str, function: Callable[..., Any], *left_out: str) -> str:
    """Return how something is called, with what comes back."""
    given: list[str] = []
    stars = False
    told = parameters(function, *left_out)
    for at, one in enumerate(told):
        if one.kind is inspect.Parameter.KEYWORD_ONLY and not stars:
            stars = True
            given.append("*")
        if one.kind is inspect.Parameter.VAR_KEYWORD:
            given.append(f"**{one.name}")
        elif one.default is inspect.Parameter.empty:
            given.append(one.name)
        else:
            given.append(f"{one.name}={value(one.default)}")
        only_by_place = one.kind is inspect.Parameter.POSITIONAL_ONLY
        after = told[at + 1].kind if at + 1 < len(told) else None
        if only_by_place and after is not inspect.Parameter.POSITIONAL_ONLY:
            given.append("/")
    returned = inspect.signature(function).return_annotation
    back = f" -> {returned}" if isinstance(returned, str) and returned != "Self" else ""
    return f"{name}({', '.join(given)}){back}"


def meaning(whose: str, doc: Docstring, name: str) -> str:
    told = doc.meaning(name)
    if not told:
        GAPS.append(f"{whose}: {name}")
    return prose(told)


def arguments(
    whose: str, function: Callable[..., Any], doc: Docstring, *left_out: str
) -> Iterator[str]:
    """Yield the arguments of something; those that its docstring tells together stay together."""
    told = {one.name: one for one in parameters(function, *left_out)}
    while told:
        first = next(iter(told))
        names = next((names for names in doc.args if first in names), (first,))
        group = [told.pop(name) for name in names if name in told]
        kinds = [kind(one) for one in group]
        if len(set(kinds)) == 1:
            names_ = ", ".join(f"`{one.name}`" for one in group)
            head = f"{names_} ({kinds[0]})"
        else:
            head = ", ".join(f"`{one.name}` ({of})" for one, of in zip(group, kinds, strict=True))
        yield f"- {head}: {meaning(whose, doc, first)}"


def kind(one: inspect.Parameter) -> str:
    """Return of which type an argument is, and its default."""
    if one.kind is inspect.Parameter.VAR_KEYWORD:
        return "as the step takes them"
    type_ = typed(one.annotation)
    if one.default is None and type_.endswith(" | None"):
        return f"{type_.removesuffix(' | None')}, optional"
    if one.default is inspect.Parameter.empty:
        return f"{type_}, required"
    return f"{type_}, default `{value(one.default)}`"


def returned_and_raised(doc: Docstring) -> Iterator[str]:
    told = [f"Returns: {prose(doc.returns)}"] if doc.returns else []
    told += raised(doc)
    if told:
        yield f"- {' '.join(told)}"


def block(*lines: Iterable[str] | str) -> str:
    """Return lines as one piece: a text and the list below it."""
    return "\n".join(line for some in lines for line in ([some] if isinstance(some, str) else some))


def several(told: Iterable[str]) -> str:
    """Return what is told of several, each once."""
    return ", ".join(dict.fromkeys(told))


# --- steps ----------------------------------------------------------------------------------------

ON_ITS_PAGE: Final = {
    incident_events.__name__: "of-incidents",
    change_events.__name__: "of-changes",
    corrections.__name__: "of-both-corrections-voids-redactions",
}
RECORDED: Final = {
    cls: ON_ITS_PAGE[cls.__module__]
    for cls in EVENT_TYPES.values()
    if cls.__module__ in ON_ITS_PAGE
}
"""Types of events, and where on their page they stand."""


def events_made(function: Callable[..., Any], seen: set[str]) -> Iterator[type]:
    """Yield the types of events that a step makes, or a function that it calls."""
    if function.__qualname__ in seen:
        return
    seen.add(function.__qualname__)
    known = function.__globals__
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            made = known.get(node.func.id)
            if made in RECORDED:
                yield made
            elif inspect.isfunction(made) and made.__module__ in {
                function.__module__,
                corrections.__name__,
            }:
                yield from events_made(made, seen)


def recorded_by(module: ModuleType, name: str) -> str:
    """Return the events that a step records, as links."""
    table_: Mapping[type, Callable[..., Any]] = module._RECORDED_BY
    found = [cls for cls, step in table_.items() if step.__name__ == name]
    found += events_made(getattr(module, name), set())
    told = dict.fromkeys(found)
    if all(cls in told for cls in corrections.CORRECTIONS):
        told = dict.fromkeys(cls for cls in told if cls not in corrections.CORRECTIONS)
        names = [event(cls) for cls in told]
        kinds = "[the correction of its kind](events.md#of-both-corrections-voids-redactions)"
        return ", ".join([kinds, *names])
    return ", ".join(map(event, told))


def event(cls: type) -> str:
    return f"[{cls.__name__}](events.md#{RECORDED[cls]})"


def begins(rule: Rule[Any], page_: str) -> str:
    statuses = type(next(iter(rule.begins)))
    told = [one.value for one in statuses if one in rule.begins]
    others = [one.value for one in statuses if one not in rule.begins and one.value != "nothing"]
    names = ", ".join(told)
    if told == ["nothing"]:
        names = "where there is none yet"
    elif "nothing" not in told and len(others) < 2:
        names = " but ".join(["from any status", *others])
    else:
        names = f"from {names}"
    there = f"(lifecycles.md#{page_})"
    ends = f"the status [stays]{there}" if rule.ends == "same" else f"to [{rule.ends}]{there}"
    guards = [one.name for one in rule.guards if one.name != "not before the first moment"]
    asked = f" (guards: {', '.join(guards)})" if guards else ""
    return f"Possible {names}{asked}; {ends}"


def step(kind_: str, name: str) -> Iterator[str]:
    module = STEPS[kind_]
    function_ = getattr(module, name)
    doc, shared = parsed(function_.__doc__), parsed(module.__doc__)
    records = recorded_by(module, name)
    lines = [f"#### {kind_}.{name}", prose(" ".join(doc.paragraphs))]
    line = f"- {begins(module.STEPS[name], f'{kind_}s')}. Records {records}."
    if any(cls.__name__ in DOORS for cls in RECORDED if event(cls) in records):
        lines.append(line)
        lines.append(f"- Done by [`Ledger.{name}`](#ledger{name}), whose arguments are there.")
        yield block(lines)
        return
    first, *others = inspect.signature(function_).parameters.values()
    own = {name_ for names in doc.args for name_ in names}
    also = [one for one in others if shared.meaning(one.name) and one.name not in own]
    left_out = (first.name, *(one.name for one in also))
    more = [shortly(one) for one in also if one.name not in {"by", "at"}]
    lines.append(f"{line} Takes {', '.join(more)}, too." if more else line)
    lines += arguments(f"{kind_}.{name}", function_, doc, *left_out)
    yield block(lines, returned_and_raised(doc))


def shortly(one: inspect.Parameter) -> str:
    if one.default is inspect.Parameter.empty:
        return f"`{one.name}` (required)"
    return f"`{one.name}`" if one.default in ("", None) else f"`{one.name}={value(one.default)}`"


def asking(kind: str, function: Callable[..., Any]) -> Iterator[str]:
    """Tell what else a module of steps has."""
    doc = parsed(function.__doc__)
    name = f"{kind}.{function.__name__}"
    yield block(f"#### {name}", signed(name, function, doc), arguments(name, function, doc))


def steps() -> Iterator[str]:
    yield "## Steps"
    yield (
        'A step is given to the ledger as it is: `ledger.record("INC-7", incident.resolve, '
        'by="ana", at=now)`. It takes its arguments by name, decides on what stands, and what '
        "follows is recorded, or nothing where nothing needs to change. It can be called without a "
        "ledger, too: with the state in front it returns the events. All raise "
        f"{linked('StepRefused')} where the status or a guard says no, {linked('InvalidValue')} "
        f"for an argument that can't be right, {linked('NaiveTimeError')} for a time without a "
        "zone. *From* are the statuses that a step is possible in; what the guards ask, a refusal "
        "says."
    )
    for kind, module in STEPS.items():
        yield f"### Steps of {kind}s"
        shared = parsed(module.__doc__)
        yield "All steps need `by` and `at`; several take more of these, and then say so:"
        rows = []
        for names, text in shared.args.items():
            one = next(p for p in _of_steps(module) if p.name == names[0])
            told = ", ".join(f"`{name}`" for name in names)
            rows.append((told, typed(one.annotation), prose(text)))
        yield table("argument, type, meaning", rows)
        for name in module.STEPS:
            yield from step(kind, name)
        yield from asking(kind, module.next_steps)
        yield from members(f"{kind}.{STATES[kind].__name__}", STATES[kind], level=4)


def _of_steps(module: ModuleType) -> Iterator[inspect.Parameter]:
    for name in module.STEPS:
        yield from inspect.signature(getattr(module, name)).parameters.values()


# --- classes --------------------------------------------------------------------------------------


def own_members(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield what is public in a class itself, in order."""
    for name, member in vars(cls).items():
        if not name.startswith("_") and name not in LEFT_TO_OTHERS:
            yield name, member


def fields(cls: Any, *, given: bool = False) -> dict[str, tuple[object, Any]]:
    """Return the fields of a class of values: the types of what they hold, or take; defaults."""
    if attrs.has(cls):
        return {
            a.name: (converted(a) if given else a.type, a.default)
            for a in attrs.fields(cls)
            if not a.name.startswith("_")
        }
    defaults = getattr(cls, "_field_defaults", {})
    types = {} if is_enum(cls) else getattr(cls, "__annotations__", {})
    return {
        name: (type_, defaults.get(name, attrs.NOTHING))
        for name, type_ in types.items()
        if not name.startswith("_") and "ClassVar" not in str(type_)
    }


def converted(attribute: attrs.Attribute[Any]) -> object:
    if attribute.converter is None:
        return attribute.type
    return CONVERTED.get(str(attribute.type), attribute.type)


def members(name: str, cls: type, *, level: int = 3, given: bool = False) -> Iterator[str]:
    """Tell a class of values: its fields, and what it can be asked."""
    doc = parsed(cls.__doc__)
    yield block(f"{'#' * level} {name}", paragraphs(doc))
    rows: list[tuple[str, ...]] = []
    told = fields(cls, given=given)
    while told:
        first = next(iter(told))
        names = next((names for names in doc.args if first in names), (first,))
        here = [one for one in names if one in told]
        row: tuple[str, ...] = (
            ", ".join(f"`{one}`" for one in here),
            several(typed(told[one][0]) for one in here),
        )
        if given:
            row += (several(defaulted(told[one][1]) for one in here),)
        rows.append((*row, meaning(name, doc, first)))
        for one in here:
            del told[one]
    for method, function, how in methods(cls):
        text = first_sentence(parsed(function.__doc__))
        signature = f"`{called(method, function)}`" if how != "property" else f"`{method}`"
        back = typed(inspect.signature(function).return_annotation)
        back = linked(cls.__name__) if back == "Self" else back
        signature = signature.partition(" -> ")[0].rstrip("`") + "`"
        rows.append((signature, back, *([""] if given else []), text))
    yield table("field, type, default, meaning" if given else "field, type, meaning", rows)
    yield from raised(doc)


def methods(cls: type) -> Iterator[tuple[str, Callable[..., Any], str]]:
    """Yield the public methods and properties of a class itself, and what each is."""
    for name, member in own_members(cls):
        match member:
            case property(fget=function) if function is not None:
                yield name, function, "property"
            case classmethod() | staticmethod():
                yield name, member.__func__, "class"
            case _ if inspect.isfunction(member):
                yield name, member, "method"
            case _:
                pass


LEFT_TO_OTHERS: Final = ("commit", "kept")
"""Methods that other parts of the library call."""


def service(name: str) -> Iterator[str]:
    """Tell a class that does something: how it is made, and each of its methods."""
    cls = getattr(imcm, name)
    doc = parsed(cls.__doc__)
    yield block(f"### {name}", paragraphs(doc))
    if any("Made by" in one for one in doc.paragraphs):
        yield block(f"- `{', '.join(names)}`: {prose(text)}" for names, text in doc.args.items())
    else:
        made = called(name, cls).partition(" -> ")[0]
        yield block(f"`{made}`", arguments(name, cls, doc), returned_and_raised(doc))
    plain = []
    for method, function, how in methods(cls):
        told = parsed(function.__doc__)
        if how == "property" or not parameters(function) or is_of_a_ledger(cls, method, told):
            plain.append((method, function, how))
            continue
        yield block(
            f"#### {name}.{method}",
            signed(f"{name}.{method}" if how == "class" else method, function, told),
            arguments(f"{name}.{method}", function, told),
            returned_and_raised(told),
        )
    if plain:
        rows = []
        for method, function, how in plain:
            text = first_sentence(parsed(function.__doc__))
            if how == "property":
                back = typed(inspect.signature(function).return_annotation)
                rows.append((f"`{method}`", f"{text} ({back})"))
            else:
                rows.append((f"`{called(method, function)}`", text))
        yield table(f"also of a {name}, what it does or is", rows)


def is_of_a_ledger(cls: type, method: str, doc: Docstring) -> bool:
    """Say whether a method is that of a ledger, done through something else."""
    return not issubclass(cls, imcm.Ledger) and hasattr(imcm.Ledger, method) and not doc.args


def signed(name: str, function: Callable[..., Any], doc: Docstring) -> str:
    """Return how something is called, and what it does."""
    return f"`{called(name, function)}`: {paragraphs(doc)}"


def function(name: str) -> Iterator[str]:
    """Tell a function."""
    told = getattr(imcm, name)
    doc = parsed(told.__doc__)
    yield block(
        f"### imcm.{name}",
        signed(name, told, doc),
        arguments(name, told, doc),
        returned_and_raised(doc),
    )


# --- figures --------------------------------------------------------------------------------------


@cache
def definitions() -> Mapping[str, type[Definition]]:
    """Return the definition of each figure."""
    found: dict[str, type[Definition]] = {}
    for name in FIGURES:
        told = getattr(imcm, name)
        wanted = {p.name: p.default for p in parameters(told, "log")}
        camel = name.replace("_", "")
        home = vars(sys.modules[told.__module__]).values()
        found[name] = next(
            cls
            for cls in home
            if isinstance(cls, type)
            and issubclass(cls, Definition)
            and camel.startswith(cls.__name__.lower())
            and {p.name: p.default for p in parameters(cls)} == wanted
        )
    return found


def title(cls: type) -> str:
    return parsed(cls.__doc__).paragraphs[0].rstrip(".")


def choices(cls: type[Definition]) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for one in reversed(cls.__mro__):
        found |= one.__dict__.get("CHOICES", {})
    return found


def chosen(cls: type[Definition], whose: str) -> Iterator[str]:
    """Tell the arguments that a definition has of its own, or has otherwise than its base."""
    doc = parsed(cls.__doc__)
    fields_ = {a.name: a for a in attrs.fields(cls)}
    own = [a.name for a in fields_.values() if not a.inherited]
    said = [name for names in doc.args for name in names]
    bases = [b for b in cls.__mro__[1:] if issubclass(b, Definition)]
    otherwise = [
        name
        for name in own
        if name not in said and any(parsed(b.__doc__).meaning(name) for b in bases)
    ]
    wanted = dict.fromkeys(name for name in (*own, *said) if name not in otherwise)
    rows = []
    for names in _together(wanted, doc):
        told = [fields_[name] for name in names]
        rows.append(
            (
                ", ".join(f"`{name}`" for name in names),
                "; ".join(dict.fromkeys(taken(cls, a) for a in told)),
                several(defaulted(a.default) for a in told),
                meaning(whose, doc, names[0]),
            )
        )
    if rows:
        yield table("argument, type or choices, default, meaning", rows)
    if otherwise:
        told_ = [f"`{name}={value(fields_[name].default)}`" for name in otherwise]
        yield f"Other defaults than there: {', '.join(told_)}."


def _together(names: Iterable[str], doc: Docstring) -> Iterator[tuple[str, ...]]:
    """Yield names, those that a docstring tells together as one."""
    left = list(names)
    while left:
        group = next((told for told in doc.args if left[0] in told), (left[0],))
        yield tuple(name for name in group if name in left)
        left = [name for name in left if name not in group]


def taken(cls: type[Definition], attribute: attrs.Attribute[Any]) -> str:
    """Return what an argument of a definition can be."""
    allowed = choices(cls).get(attribute.name)
    if allowed is None:
        return typed(converted(attribute))
    told = ", ".join(f'`"{one}"`' for one in allowed)
    return f"{'some' if isinstance(attribute.default, tuple) else 'one'} of {told}"


def figures() -> Iterator[str]:
    yield "## Figures"
    yield (
        "Each is called with facts, or with any log, and its arguments by name: "
        '`time_to_restore(ledger.facts(), window="2026-Q1", group_by="service")`. It gives a '
        f"{linked('Figure')}, whose value is None where it is undefined (`causes` gives its links "
        "themselves). Besides the arguments in its own table, a figure takes those of the groups "
        "that it names; where *some of* stands, give one or a list of them."
    )
    yield "### Arguments of every figure"
    yield from chosen(Definition, "every figure")
    said: set[type] = {Definition}
    for name, cls in definitions().items():
        groups = [b for b in cls.__mro__[1:] if issubclass(b, Definition)]
        for group in reversed(groups):
            if group not in said:
                said.add(group)
                yield f"### {title(group)}"
                yield from map(prose, parsed(group.__doc__).paragraphs[1:])
                yield from chosen(group, title(group))
        links = [f"[{title(b)}](#{anchor(title(b))})" for b in groups if b is not Definition]
        links.append("[every figure](#arguments-of-every-figure)")
        doc = parsed(cls.__doc__)
        more = f"- Arguments besides: {', '.join(links)}."
        more = " ".join([more, *raised(doc)])
        yield block(f"#### imcm.{name}", paragraphs(doc), more)
        yield from chosen(cls, name)


# --- lists, errors, modules -----------------------------------------------------------------------


def member_words(cls: type[Enum]) -> Mapping[str, str]:
    """Return what is said of the members of a list, beside them in the code."""
    found = re.findall(r"^    (\w+) = .*?  # (.+)$", inspect.getsource(cls), re.MULTILINE)
    return dict(found)


def lists() -> Iterator[str]:
    yield "### Closed lists"
    yield (
        "Enumerations of text: where a step takes one, it takes its text, too, as in "
        '`severity="P1"`.'
    )
    rows = []
    for name in ENUMS:
        cls = getattr(imcm, name)
        words = member_words(cls)
        doc = parsed(cls.__doc__)
        told = [
            f'`{one.name}` "{one.value}"' + (f" ({words[one.name]})" if one.name in words else "")
            for one in cls
        ]
        says = " ".join(prose(one) for one in doc.paragraphs)
        rows.append((f'<a id="{place(name)}"></a>`{name}`', says, ", ".join(told)))
    yield table("list, what it tells, members", rows)


def values() -> Iterator[str]:
    yield "## Values"
    yield (
        "Small values to give, all by name, as in `Window(start=..., end=...)`; they compare by "
        f"what they hold and never change. They raise {linked('InvalidValue')} where they can't be "
        f"right, {linked('NaiveTimeError')} for a time without a zone."
    )
    for name in GIVEN:
        yield from members(name, getattr(imcm, name), given=name != "Answer")
        if name == "Between":
            yield (
                f"`Moment` is the type of what happened at some time: {typed('Moment')}. "
                "It is there for annotations."
            ).replace("|", "or")
        if name == "Policy":
            words = parsed(_words_of("imcm.domain.policy", "DEFAULT_POLICY")).paragraphs[0]
            yield f'<a id="default_policy"></a>`DEFAULT_POLICY`: {words}'
    for name in READ:
        yield from function(name)
    yield from lists()


def _words_of(module: str, name: str) -> str:
    """Return the text that stands below a name in a module."""
    body = ast.parse(inspect.getsource(sys.modules[module])).body
    for node, after in pairwise(body):
        if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == name:
            return str(ast.literal_eval(after.value))  # type: ignore[attr-defined]
    raise LookupError(name)


def all_errors() -> Iterator[str]:
    yield "## Errors"
    told = parsed(errors.__doc__).paragraphs
    yield " ".join(map(prose, told))
    rows = []
    for cls in error_classes():
        doc = parsed(cls.__doc__)
        bases = [base.__name__ for base in cls.__bases__ if base is not Exception]
        under = f" ({', '.join(map(linked, bases))})" if bases else ""
        says, *do = doc.paragraphs
        held = "<br>".join(
            f"`{', '.join(names)}`: {prose(text).rstrip('.')}" for names, text in doc.args.items()
        )
        name = f'<a id="{cls.__name__.lower()}"></a>`{cls.__name__}`{under}'
        rows.append((name, prose(says), " ".join(prose(p) for p in do), held))
        if not do:
            GAPS.append(f"{cls.__name__}: what to do")
    yield table("error, what it says, what to do, attributes", rows)


PAGES: Final = {
    "audit": "audit.md",
    "frames": "frames.md",
    "events": "events.md",
    "plots": "plots.md",
}


def modules() -> Iterator[str]:
    yield "## Modules"
    rows = []
    for name in MODULES:
        says = first_sentence(parsed(sys.modules[f"imcm.{name}"].__doc__))
        page_ = f"[{PAGES[name]}]({PAGES[name]})"
        rows.append((f'<a id="{name}"></a>`imcm.{name}`', says, page_))
    rows.append(('<a id="__version__"></a>`imcm.__version__`', "The version, as text.", ""))
    yield table("name, what it is, more", rows)
    rows = []
    for module in (audit, frames, plots):
        for name in module.__all__:
            told = getattr(module, name)
            if callable(told):
                text = first_sentence(parsed(told.__doc__))
                rows.append((f"`{module.__name__}.{name}`", text))
    yield table("function or class, what it does", rows)


# --- the page -------------------------------------------------------------------------------------


def parts() -> Iterator[str]:
    yield HEAD.rstrip()
    yield index()
    yield from steps()
    yield "## The ledger"
    yield "Where things are recorded and read; `Ledger` has all that `LedgerReader` has."
    for name in RECORDING:
        yield from service(name)
    yield from function("deliver")
    yield from function("adeliver")
    yield "## Boards"
    yield "What stands now, asked every day ([views.md](views.md))."
    yield from function("views")
    yield from service("Views")
    for name in BOARDS:
        yield from members(name, getattr(imcm, name))
    yield "## What the ledger gives back"
    for name in RECORDS:
        yield from members(name, getattr(imcm, name))
    yield "## Facts and rows"
    yield "One row for each incident and each change, as it stands: what figures are made of."
    yield from function("facts")
    yield from function("from_frames")
    for name in ROWS:
        yield from members(name, getattr(imcm, name))
    yield from function("as_source_knew")
    yield from figures()
    yield "## Reports and histories"
    for name in REPORTS:
        yield from function(name)
    yield (
        '<a id="presets"></a>`PRESETS`: the presets there are, by name; '
        '`PRESETS["devlake"].explain()` tells the arguments that it gives.'
    )
    rows = [(f'`"{name}"`', prose(one.about)) for name, one in imcm.PRESETS.items()]
    yield table("preset, what it stands for", rows)
    yield "## Change control"
    yield (
        "The rules around changes, tried on the past and asked now: [policy.md](policy.md), "
        "[rollouts.md](rollouts.md)."
    )
    for name in CONTROL:
        yield from function(name)
    yield "## Results"
    yield (
        "What figures and reports give. As plain values for JSON (`as_dict()`) their keys are in "
        "[json.md](json.md)."
    )
    for name in RESULTS:
        yield from members(name, getattr(imcm, name))
    yield from parts_of_results()
    yield from values()
    yield from all_errors()
    yield from modules()


def page() -> str:
    GAPS.clear()
    return "\n\n".join(part for part in parts() if part) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("reference.md").write_text(page(), encoding="utf-8")
