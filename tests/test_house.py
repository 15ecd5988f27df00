"""
The house itself: what the pure rooms load, what the documents say, what the public names are.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import imcm
from imcm import events
from imcm.codec.rows import EVENT_TYPES

ROOT = Path(__file__).parents[1]


def loaded(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*sorted({{m.partition('.')[0] for m in sys.modules}}))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(ran.stdout.split())


@pytest.mark.parametrize(
    "statement",
    [
        "import imcm",
        "import imcm.domain.incident, imcm.domain.change, imcm.domain.recorded",
        "import imcm.projections.facts.fold, imcm.projections.reports.dora",
        "import imcm.projections.histories.learned, imcm.projections.histories.anomalies",
        "from imcm import facts, time_to_restore, change_failure_rate, timeline, anomalies",
    ],
)
def test_the_pure_rooms_load_no_store(statement: str) -> None:
    """Questions to a log load neither the store nor the codec."""
    assert set() == loaded(statement) & {"eventsourcing", "msgspec", "sqlite3", "typer", "rich"}


def test_reading_a_ledger_loads_no_eventsourcing() -> None:
    """A reader of a file goes without the store's library, which patches dataclasses."""
    assert "eventsourcing" not in loaded("from imcm import LedgerReader")


def test_every_public_name_is_there() -> None:
    """Each name of __all__ can be had, and nothing else pretends to be public."""
    for name in imcm.__all__:
        assert getattr(imcm, name) is not None
    assert sorted(imcm.__all__) == dir(imcm)
    with pytest.raises(AttributeError, match="no attribute 'manager'"):
        imcm.manager  # noqa: B018


def test_every_stored_event_has_a_public_home() -> None:
    """`imcm.events` has each type that can be stored, and the one of those that can't be read."""
    types = {name: getattr(events, name) for name in events.__all__}
    unions = {"IncidentEvent", "ChangeEvent"}
    assert types.keys() - unions == EVENT_TYPES.keys() | {"Unread"}
    assert all(EVENT_TYPES[name] is types[name] for name in EVENT_TYPES)


def names_in(path: Path) -> set[str]:
    """Return the identifiers of a file."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names |= {
            getattr(node, field) for field in ("id", "arg", "attr", "name") if field in node._fields
        }
    return names


@pytest.mark.parametrize("room", ["projections", "ledger", "codec"])
def test_names_say_which_thing(room: str) -> None:
    """Words that fit everything name nothing; `Difference.one` is public, and says which of two."""
    vague = {"told", "found", "one", "place", "places"}
    there = {path.name: vague & names_in(path) for path in (ROOT / "src/imcm" / room).rglob("*.py")}
    assert {"one"} >= there.pop("dora.py", set())
    assert not any(there.values()), there


def test_the_map_leads_where_it_says() -> None:
    """Each `file::name` of README's map is there, and each file it names."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    places = re.findall(r"`src/([\w/]+)\.py::(\w+)`", readme)
    assert len(places) > 40
    for path, name in places:
        module = importlib.import_module(path.replace("/", ".").removesuffix(".__init__"))
        assert hasattr(module, name), f"{path}::{name}"


@pytest.mark.parametrize("page", ["lifecycles", "events", "reference", "views", "formats", "mttr"])
def test_what_is_documented_is_what_is_used(page: str) -> None:
    """The tables of steps, stored events and columns, and the reference, are of the code."""
    ran = subprocess.run(
        [sys.executable, "-c", f"import make_{page} as made; print(made.page(), end='')"],
        cwd=ROOT / "docs",
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")


MOMENTS = {
    "users are hit": "impact_started",
    "detection": "detected",
    "somebody takes it": "acknowledged",
    "users are no longer hurt": "mitigated",
    "the last resolution": "resolved",
}


def test_the_page_of_definitions_has_the_defaults() -> None:
    """From when to when each duration is by default, as its page says it."""
    page = (ROOT / "docs" / "definitions.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (time to \w+) \| ([^|]+) \| ([^|]+) \|", page, re.M)
    assert len(rows) == 5
    for name, start, end in rows:
        given = inspect.signature(getattr(imcm, name.replace(" ", "_"))).parameters
        assert given["start"].default == (MOMENTS[start],), name
        assert given["end"].default == (MOMENTS[end],), name
        assert (given["statistic"].default, given["reopened"].default) == ("median", "last")


@pytest.fixture(scope="module")
def reference() -> str:
    return (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")


def test_the_reference_has_every_public_name(reference: str) -> None:
    """Each name of __all__ stands in the index, and every link of the page leads somewhere."""
    links = dict(re.findall(r"\[`(\w+)`\]\(#([\w-]+)\)", reference))
    assert links.keys() >= set(imcm.__all__)
    headings = re.findall(
        r"^#+ (.+)$", re.sub(r"^```.*?^```", "", reference, flags=re.M | re.S), re.M
    )
    anchors = [re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings]
    anchors += re.findall(r'<a id="([^"]+)">', reference)
    assert len(anchors) == len(set(anchors))
    assert set(re.findall(r"\]\(#([^)]+)\)", reference)) <= set(anchors)
    for page, place in set(re.findall(r"\]\(([\w-]+\.md)(?:#([\w-]+))?\)", reference)):
        told = (ROOT / "docs" / page).read_text(encoding="utf-8")
        names = [
            re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-")
            for one in re.findall(r"^#+ (.+)$", told, re.M)
        ]
        assert not place or place in names


def test_the_reference_leaves_no_argument_without_a_word() -> None:
    """Whatever a step, a figure or a call of the ledger takes, its docstring says what it means."""
    ran = subprocess.run(
        [sys.executable, "-c", "import make_reference as made; made.page(); print(made.GAPS)"],
        cwd=ROOT / "docs",
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == "[]"


def test_help_on_a_figure_tells_its_arguments() -> None:
    """The function has the arguments of its definition, each with a word of what it means."""
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        from make_reference import definitions
    finally:
        sys.path.pop(0)
    assert len(definitions()) == 16
    for name, definition in definitions().items():
        function = getattr(imcm, name)
        given = list(inspect.signature(function).parameters)
        assert given == ["log", *inspect.signature(definition).parameters]
        assert function.__name__ == name
        entries = re.findall(r"^    (\w[\w, ]*): ", function.__doc__, re.M)
        assert {one for entry in entries for one in entry.split(", ")} >= set(given)
