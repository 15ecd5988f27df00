"""
A log written by somebody who means harm: no command lets the terminal of its reader obey it.

Every text that can be stored holds signs that terminals obey, hide or reorder. Each command is
run on that log and on a harmless twin of it: none of the signs comes out, and no line more.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree
from typing import Any
from unicodedata import category

import pytest

pytest.importorskip("typer", reason="the command line is an extra")

from typer.main import get_command

from commands import Ran, run_here, subcommands
from imcm import Ledger, verifier
from imcm.cli import app, common
from imcm.codec.decoding import decode
from imcm.codec.rows import StoredEvent
from imcm.domain.recorded import Unread
from imcm.interchange import jsonl
from imcm.interchange.dead_letters import DeadLetter, DeadLetters
from imcm.interchange.formats import FORMATS

GOLDEN = Path(__file__).parent / "golden" / "v0.1.jsonl"
CONTROL = Path(__file__).parent / "golden" / "v0.1-control.jsonl"

HOSTILE = (
    "\x1b]0;x\x07\x1b[6n\x9b6n\r\n      2  recorded 2026-03-06 17:40:06Z  INC-1 v1  forged\x0b\x0c"
    "\x85\u2028\u2029\u202e\u2066\u200b\ufeff\u3164\U000e0041:warning:[bold]x[/bold]\\"
)
HARMLESS = " and so on"
OWN = re.compile(r"\x1b\[(?:[0-9;]*m|\?25[lh]|2K|1A)|\r(?=\x1b|$)")
"""What rich itself writes to a terminal: colours, and how progress is drawn and taken away."""

MODES = {"plain": {}, "terminal": {"FORCE_COLOR": "1"}}


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], str]]:
    """Yield every text of a JSON value with the way to it."""
    if isinstance(value, str):
        yield path, value
    items = value.items() if isinstance(value, dict) else ()
    for key, one in enumerate(value) if isinstance(value, list) else items:
        yield from leaves(one, (*path, key))


def put(value: Any, path: tuple[Any, ...], text: str) -> Any:
    """Return the value with this text at that place."""
    if not path:
        return text
    copy = value.copy()
    copy[path[0]] = put(value[path[0]], path[1:], text)
    return copy


def decodes(row: StoredEvent) -> bool:
    try:
        return not isinstance(decode(row).event, Unread)
    except Exception:
        return False


def told(row: StoredEvent, ending: str) -> StoredEvent:
    """Return a row in which every text that may be any text ends like this."""
    if row.stream.partition(":")[0] not in {"incident", "change"}:
        return row
    row = row._replace(stream=row.stream + ending)
    state = json.loads(row.state)
    if not decodes(row):
        return row
    for path, text in list(leaves(state)):
        if path[0] not in {"event", "source", "words"} or path[-1] in {"salt", "field"}:
            continue
        changed = put(state, path, text + ending)
        if decodes(row._replace(state=json.dumps(changed).encode())):
            state = changed
    labels = state["event"].get("labels")
    if labels:
        state["event"]["labels"] = {name + ending: text for name, text in labels.items()}
    return row._replace(state=json.dumps(state).encode())


def made(folder: Path, ending: str) -> Path:
    """Return the folder with a ledger and all that the commands read, its own name as hostile."""
    folder /= ending[-90:].replace("/", "")
    folder.mkdir(parents=True)
    with GOLDEN.open("rb") as lines:
        rows = [told(row, ending) for row in jsonl.read(lines)]
    state = rows[-1].state
    rows.append(StoredEvent(len(rows) + 1, f"change:new{ending}", 1, f"ChangeMoved{ending}", state))
    Ledger.restored(folder / "l.db", rows).close()
    with (folder / "l.jsonl").open("wb") as file:
        jsonl.write(rows, file)
    good = f'id,detected_at,title,team\nINC-1,2026-01-01T00:00Z,"t{ending}","t{ending}"\n'
    (folder / "good.csv").write_text(good, newline="", encoding="utf-8")
    bad = f'id,detected_at,title,severity\nI-1,"{ending}",t,"{ending}"\n'
    (folder / "bad.csv").write_text(bad, newline="", encoding="utf-8")
    (folder / "head.csv").write_text(f'"{ending}",x\n1,2\n', newline="", encoding="utf-8")
    (folder / "map.toml").write_text(f"{json.dumps(HARMLESS + ending)} = 1", encoding="utf-8")
    alert = {
        "status": ending,
        "labels": {"severity": ending, f"x{ending}": ending, "service": f"x{ending}"},
        "annotations": {"summary": ending},
        "startsAt": "2026-01-01T00:00:00Z",
        "fingerprint": "y",
        "generatorURL": f"x{ending}",
    }
    payloads = [{"alerts": [alert]}, {"alerts": [{**alert, "fingerprint": "x"}]}, {ending: ending}]
    lines = "".join(f"{json.dumps(payload)}\n" for payload in payloads)
    (folder / "p.jsonl").write_text(lines, encoding="utf-8")
    words = f"x{ending}"
    came = datetime(2026, 1, 1, tzinfo=UTC)
    letters = DeadLetters(folder / "d.jsonl")
    for id, body in zip(LETTERS, (words.encode(), b"\xff" + words.encode()), strict=True):
        letters.put([
            DeadLetter(
                id=id, received_at=came, source=words, route=words, reason=words,
                headers={"User-Agent": words}, body=body,
            )
        ])  # fmt: skip
    (folder / "hooks.toml").write_text(
        f'dead_letters = "no.jsonl"\n[sources.a]\nformat = {toml_text(words)}\n', encoding="utf-8"
    )
    (folder / "bad.jsonl").write_text(json.dumps({ending: 1}) + "\n", encoding="utf-8")
    with CONTROL.open("rb") as lines:
        Ledger.restored(folder / "c.db", [told(row, ending) for row in jsonl.read(lines)]).close()
    policies(folder, ending)
    here(folder, "audit", "checkpoint", "--ledger", "l.db", "--anchors", "a.txt")
    cut = [row for row in rows if not row.stream.startswith("change:new")]
    Ledger.restored(folder / "cut.db", cut).close()
    swapped = [*rows[:-2], rows[-1]._replace(position=len(rows) - 1)]
    Ledger.restored(folder / "other.db", swapped).close()
    here(
        folder,
        "audit",
        "prove",
        f"INC-1{ending}",
        "--ledger",
        "l.db",
        "--anchors",
        "a.txt",
        "--to",
        "p.json",
    )
    return folder


def toml_text(text: str) -> str:
    """Return a text as TOML writes it, every sign of it escaped."""
    return '"' + "".join(f"\\U{ord(sign):08x}" for sign in text) + '"'


def policies(folder: Path, ending: str) -> None:
    """Write policies, tests of them and a calendar, with this text wherever text can be."""
    text = toml_text(f"x{ending}")
    freezes = '[[freezes]]\nname = "all"\nwindows = [{start = "2020-01-01T00:00:00Z", '
    freezes += f'end = "2030-01-01T00:00:00Z"}}]\nlabels = {{{text} = {text}}}\n'
    test = '[[tests]]\nname = "a"\nat = 2026-03-06T17:00:00Z\n'
    wrong = f'{test}refused_by = "freeze"\nchange = {{title = {text}, labels = {{a = {text}}}}}\n'
    for name, lines in {
        "named.toml": f"name = {text}\n",
        "key.toml": f'name = "x"\n{text} = 1\n',
        "people.toml": f'name = "x"\n[members]\ncab = [{text}]\n',
        "freeze.toml": f'name = "x"\nversion = "2"\n{freezes}{wrong}',
        "guard.toml": f'name = "x"\n{test}refused_by = {text}\n',
        "test.toml": f'name = "x"\n{test}{text} = {text}\n',
        "strict.toml": 'name = "x"\nvalid_for = "1 day"\nruling_due = "1 day"\napprovals = 3\n',
    }.items():
        (folder / name).write_text(lines, encoding="utf-8")
    folded = "".join(sign for sign in ending if sign not in "\r\n")
    (folder / "c.ics").write_text(
        f"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nUID:1{folded}\r\nSUMMARY:s{folded}\r\n"
        "DTSTART:20260306T160000Z\r\nDURATION:PT1H\r\nEND:VEVENT\r\n"
        f"BEGIN:VEVENT\r\nUID:2{folded}\r\nSUMMARY:s{folded}\r\nDTSTART:x{folded}\r\n"
        "END:VEVENT\r\nEND:VCALENDAR\r\n",
        newline="", encoding="utf-8",
    )  # fmt: skip


PATHS = re.compile(r"\w+\.(?:db|jsonl|csv|toml|txt|json|pem|ics|html)|new")


def here(folder: Path, *words: str, **environment: str) -> Ran:
    """Run a command whose files are in this folder."""
    return run_here(
        *(folder / word if PATHS.fullmatch(word) else word for word in words), **environment
    )


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the folder that means harm, and the one that does not."""
    first, second = (made(tmp_path_factory.mktemp("t"), e) for e in (HOSTILE, HARMLESS))
    return first, second


L = ("--ledger", "l.db")
A = (*L, "--anchors", "a.txt")
C = ("--ledger", "c.db")
BY = ((), ("--by", "ana{}"))
LETTERS = ("text", "bytes")
YEAR = ("--since", "2026-01-01", "--until", "2027-01-01")
POLICIES = (
    *("named.toml", "key.toml", "people.toml", "freeze.toml", "guard.toml", "test.toml"),
    *("strict.toml", "map.toml"),
)
COMMANDS: dict[str, list[tuple[str, ...]]] = {
    "demo": [(), ("--ledger", "demo.db"), ("--ledger", "l.db")],
    "backup": [(*L, "--to", "b.db"), (*L, "--to", "l.db")],
    "timeline": [
        L,
        (*L, "INC-1{}"),
        (*L, "{}"),
        (*L, "--service", "checkout{}"),
        *((*L, "--format", form) for form in ("md", "html", "csv", "json")),
    ],
    "review": [
        *(("INC-1{}", *L, "--format", form) for form in ("text", "md", "html", "csv", "json")),
        ("INC-1{}", *L, "--names"),
        ("{}", *L),
        ("CHG-1{}", *L),
    ],
    "report": [
        L,
        *((*L, "--by", by) for by in ("service", "label:team", "label:team{}", "{}")),
        (*L, "--explain", "--by", "label:team{}", "--bucket", "month"),
        (*L, "--side-by-side", "restore"),
        (*L, "--side-by-side", "change_failure_rate"),
        (*L, "--from", "2026-01-05", "--to", "2027-01-01", "--compare", "2025-01-01/2026-01-06"),
        (*L, "--set", "services=checkout{}"),
        (*L, "--set", "{}=1"),
        (*L, "--preset", "{}"),
        (*L, "--as-of", "{}"),
        (*L, "--tz", "{}"),
        (*L, "--json"),
        (*L, "--views", "kept.db"),
        ("--ledger", "{}"),
    ],
    "list incidents": [
        (*L, "--status", "all"),
        (*L, "--status", "{}"),
        (*L, "--service", "checkout{}"),
        (*L, "--label", "team={}"),
        (*L, "--label", "{}"),
        (*L, "--person", "{}"),
        (*L, "--order", "{}"),
        (*L, "--status", "all", "--views", "kept.db"),
        (*L, "--status", "all", "--known-at", "20"),
        (*L, "--status", "all", "--json"),
    ],
    "list changes": [
        (*L, "--status", "all"),
        (*L, "--person", "{}"),
        (*L, "--json"),
        (*L, "--unauthorised"),
        (*C, "--unauthorised"),
        (*C, "--unauthorised", "--json"),
    ],
    "list actions": [(*L, "--status", "all"), (*L, "--owner", "{}"), (*L, "--status", "{}")],
    "list approvals": [L, (*L, "--by", "{}"), (*L, "--json")],
    "list calendar": [
        (*L, "--from", "2020-01-01", "--to", "2030-01-01"),
        (*L, "--from", "{}"),
        (*C, "--from", "2026-11-28", "--to", "2026-12-02"),
        (*C, "--from", "2026-11-28", "--to", "2026-12-02", "--ics", "new.ics"),
        (*C, "--ics", "l.db"),
    ],
    "list ready": [
        L,
        *((*C, *at, *by) for at in ((), ("--at", "2026-11-29T10:00Z")) for by in BY),
        (*C, "--service", "{}"),
        (*C, "--at", "{}"),
        (*L, "--json"),
    ],
    "list overrides": [L, C, (*C, "--by", "zoë{}"), (*C, "--by", "{}"), (*C, "--json")],
    "list live": [L, (*L, "--environment", "{}"), (*L, "--at", "{}"), (*L, "--json")],
    "search": [("checkout", *L), ("{}", *L), ("checkout", *L, "--json")],
    "show": [("INC-1{}", *L), ("CHG-1{}", *L), ("{}", *L), ("INC-1{}", *L, "--json")],
    "next": [("INC-1{}", *L), ("CHG-1{}", *L), ("{}", *L), ("INC-1{}", *L, "--json")],
    "import csv": [
        ("--ledger", "new.db", "--incidents", "good.csv"),
        ("--ledger", "new.db", "--incidents", "bad.csv"),
        ("--ledger", "new.db", "--incidents", "bad.csv", "--keep-going"),
        ("--ledger", "new.db", "--incidents", "bad.csv", "--keep-going", "--json"),
        ("--ledger", "new.db", "--incidents", "head.csv"),
        ("--ledger", "new.db", "--incidents", "good.csv", "--mapping", "map.toml"),
        ("--ledger", "new.db", "--incidents", "{}"),
        ("--ledger", "new.db", "--incidents", "good.csv", "--source", "{}"),
        ("--ledger", "new.db", "--incidents", "good.csv", "--time-format", "{}"),
    ],
    "import jsonl": [
        ("l.jsonl", "--ledger", "new.db"),
        ("l.jsonl", "--ledger", "new.db", "--append"),
        ("bad.jsonl", "--ledger", "new.db"),
        ("{}", "--ledger", "new.db"),
    ],
    "import git": [("{}", "--ledger", "new.db"), (".", "--ledger", "new.db", "--branch", "{}")],
    **{
        f"import {name}": [
            ("p.jsonl", "--ledger", "new.db"),
            ("p.jsonl", "--ledger", "new.db", "--keep-going"),
            ("p.jsonl", "--ledger", "new.db", "--keep-going", "--json"),
        ]
        for name in FORMATS
    },
    "formats": [(), ("--json",)],
    "export jsonl": [(*L, "--to", "new.jsonl"), L],
    "export cdevents": [(*L, "--out", "new.jsonl"), L, (*L, "--source", "{}"), C],
    "export ocel": [(*L, "--out", "new.json"), L, (*L, "--no-words"), C],
    **{
        f"export {form}": [
            (*L, "--out", "new"),
            (*L, "--out", "new.json", "--table", "incidents"),
            (*L, "--out", "new", "--table", "{}"),
        ]
        for form in ("parquet", "arrow")
    },
    "export csv": [
        (*L, "--out", "new"),
        (*L, "--out", "-", "--table", "incidents"),
        (*L, "--out", "-", "--table", "changes"),
        (*L, "--out", "-", "--table", "{}"),
        (*C, "--out", "-", "--table", "changes"),
    ],
    **{
        f"export {form}": [
            ("INC-1{}", *L),
            ("CHG-1{}", "CHG-2{}", *L),
            ("CHG-1{}", *C),
            ("INC-1{}", *L, "--out", "new.json"),
            ("{}", *L),
            ("INC-1{}", *L, "--tz", "{}"),
        ]
        for form in ("markdown", "json")
    },
    "receive": [
        ("--ledger", "new.db", "--config", "hooks.toml", "--check"),
        ("--ledger", "new.db", "--config", "{}"),
        ("--ledger", "new.db", "--config", "map.toml", "--check"),
    ],
    "mcp": [
        (*L, "--as", "{}", "--list"),
        (*L, "--as", "{}"),
        (*L, "--as", "agent:{}", "--tool", "{}", "--list"),
        (*L, "--as", "agent:{}", "--without", "{}", "--list"),
    ],
    "dead-letters list": [("d.jsonl",), ("d.jsonl", "--json"), ("l.jsonl",)],
    "dead-letters show": [("d.jsonl", "{}"), *(("d.jsonl", each) for each in LETTERS)],
    "dead-letters take-out": [("d.jsonl", "{}"), ("l.jsonl", "{}")],
    "dead-letters read-again": [
        ("d.jsonl", *L, "--config", "hooks.toml", "--dry-run"),
        ("d.jsonl", *L, "--config", "hooks.toml"),
        ("d.jsonl", *L, "--config", "{}"),
    ],
    "dead-letters end-old": [("l.jsonl", "--days", "1")],
    "audit checkpoint": [A, ("--ledger", "cut.db", "--anchors", "a.txt")],
    "audit verify": [
        A,
        (*A, "--json"),
        ("--ledger", "cut.db", "--anchors", "a.txt"),
        ("--ledger", "other.db", "--anchors", "a.txt"),
        ("--ledger", "l.jsonl", "--anchors", "a.txt"),
        (*A, "--key", "{}"),
    ],
    "audit prove": [("INC-1{}", *A), ("{}", *A), ("INC-1{}", *A, "--to", "new.json")],
    "audit check-proof": [("p.json", "--anchors", "a.txt"), ("l.jsonl", "--anchors", "a.txt")],
    "audit key": [("{}", "--to", "k.pem"), ("a", "--to", "l.db")],
    "audit replay": [
        L,
        ("INC-1{}", *L),
        ("CHG-1{}", *L),
        ("{}", *L),
        (*L, "--by", "{}"),
        (*L, "--json"),
        ("INC-1{}", *L, "--json"),
    ],
    "audit diff": [
        (*L, "--known-at", "3", "--details"),
        (*L, "--known-at", "20", "--known-at", "60"),
        (*L, "--known-at", "{}"),
        (*L, "--known-at", "3", "--json"),
    ],
    "audit trail": [
        ("CHG-1{}", *L),
        ("CHG-2{}", *L),
        ("{}", *L),
        *(("CHG-1{}", *L, "--format", form) for form in ("md", "html", "csv", "json")),
    ],
    "audit anomalies": [L, *((*L, "--format", form) for form in ("md", "html", "csv", "json"))],
    "audit report": [
        (*L, "--window", "2026-Q1", *how)
        for how in ((), *(("--format", form) for form in ("md", "html", "csv", "json")))
    ],
    "audit rules": [L, (*L, "--json"), (*L, "--known-at", "3")],
    "audit redact": [
        ("INC-1{}", "--ledger", "other.db", "--by", "x", "--reason", "r"),
        ("{}", "--ledger", "other.db", "--by", "x", "--reason", "r"),
    ],
    "audit guard": [("--ledger", "other.db")],
    "policy check": [*((name,) for name in POLICIES), ("freeze.toml", "--json"), ("{}",)],
    "policy explain": [(name,) for name in POLICIES],
    "policy diff": [
        *(("strict.toml", name) for name in POLICIES),
        ("freeze.toml", "c.db"),
        ("freeze.toml", "l.db"),
        ("strict.toml", "freeze.toml", "--json"),
        ("strict.toml", "{}"),
    ],
    "policy test": [
        *((name,) for name in POLICIES),
        ("strict.toml", "freeze.toml"),
        ("freeze.toml", "--json"),
        ("strict.toml", "{}"),
    ],
    "policy schema": [()],
    "policy frozen": [
        *((name,) for name in (*POLICIES, "c.db", "l.db")),
        ("freeze.toml", "--at", "2026-03-06T17:00Z", "--json"),
        ("freeze.toml", "--service", "{}", "--environment", "{}"),
        ("freeze.toml", "--at", "{}"),
    ],
    "policy strict": [()],
    "policy calendar": [
        ("c.ics", *YEAR),
        ("c.ics", *YEAR, "--json"),
        ("c.ics", *YEAR, "--only", "s{}"),
        ("c.ics", *YEAR, "--name", "{}"),
        ("c.ics", "--since", "{}"),
        ("map.toml", *YEAR),
        ("--country", "{}"),
        ("--country", "GB", "--subdivision", "{}"),
        ("c.ics", "--tz", "{}"),
    ],
    "gate": [
        *(
            (id, *C, *more)
            for id in ("CHG-1{}", "CHG-2{}", "CHG-3{}", "{}")
            for more in ((), ("--by", "ana{}"), ("--at", "2026-11-29T10:00Z"), ("--json",))
        ),
        ("CHG-2{}", *C, "--by", "{}"),
        ("CHG-1{}", *L),
        ("INC-1{}", *L),
        ("CHG-2{}", *C, "--by", "ana", "--record"),
    ],
    "what-if": [
        *((name, *C) for name in POLICIES),
        ("strict.toml", *C, "--list"),
        ("strict.toml", *L, "--list", "--versus", "freeze.toml"),
        ("strict.toml", *L, "--json"),
        ("strict.toml", *L, "--json", "--versus", "freeze.toml"),
        ("strict.toml", *L, "--window", "{}"),
    ],
    "page": [
        *(("new.html", *book) for book in (L, C)),
        ("new.html", *L, "--incident", "INC-1{}"),
        ("new.html", *L, "--incident", "{}"),
        ("new.html", *L, "--service", "checkout{}"),
        ("new.html", *L, "--service", "{}"),
        ("new.html", *L, "--window", "{}"),
    ],
    "duties": [
        *(
            (*book, *how)
            for book in (L, C)
            for how in ((), ("--table",), ("--format", "csv"), ("--json",))
        ),
        (*L, "--window", "{}"),
    ],
    "risk": [
        *((id, *book) for id in ("CHG-1{}", "CHG-2{}", "{}", "INC-1{}") for book in (L, C)),
        ("CHG-1{}", *C, "--json"),
        ("CHG-1{}", *C, "--at", "{}"),
    ],
}
LINES = [(command, words) for command, told in COMMANDS.items() for words in told]
MAKES = (
    *("new.json", "new.db", "new.jsonl", "demo.db", "b.db", "k.pem", "kept.db", "new.ics"),
    "new.html",
)


def test_every_command_is_tried() -> None:
    """A new command has no place in the table yet: give it one."""

    def names(command: Any, before: str = "") -> Iterator[str]:
        for name, one in subcommands(command).items():
            if subcommands(one):
                yield from names(one, f"{before}{name} ")
            else:
                yield f"{before}{name}"

    assert sorted(COMMANDS) == sorted(names(get_command(app)))


def test_commands_print_through_the_common_functions_only() -> None:
    """No other way out: what isn't written there went past `plain`."""
    for path in Path(common.__file__).parent.glob("*.py"):
        if path.name != "common.py":
            text = path.read_text(encoding="utf-8")
            assert [] == re.findall(r"sys\.std\w+|\bprint\(|\.print\(|echo\(|escape\(", text)


def test_the_hostile_log_holds_it_everywhere(twins: tuple[Path, Path]) -> None:
    """Who, what, where, why, labels and their names, sources, policies: nothing was left out."""
    with (twins[0] / "l.jsonl").open("rb") as lines:
        rows = [row for row in jsonl.read(lines) if row.stream.startswith(("incident", "change"))]
    assert all(row.stream.endswith(HOSTILE) for row in rows)
    places = {
        (path[0], path[1])
        for row in rows
        for path, text in leaves(json.loads(row.state))
        if text.endswith(HOSTILE) or any(str(part).endswith(HOSTILE) for part in path)
    }
    expected = {"by", "services", "labels", "environment", "person", "owner", "change", "policy"}
    assert expected <= {name for part, name in places if part == "event"}
    assert {"title", "why", "note", "text", "causes"} <= {
        n for part, n in places if part == "words"
    }


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("command", "words"), LINES, ids=[" ".join((c, *w)) for c, w in LINES])
def test_no_terminal_obeys_a_log(
    twins: tuple[Path, Path], command: str, words: tuple[str, ...], mode: str
) -> None:
    """What comes out is printable but for its line feeds, and has as many lines as of the twin."""
    ran: list[Ran] = []
    for folder, ending in zip(twins, (HOSTILE, HARMLESS), strict=True):
        for name in MAKES:
            (folder / name).unlink(missing_ok=True)
        rmtree(folder / "new", ignore_errors=True)
        given = (word.format(ending) for word in words)
        ran.append(here(folder, *command.split(), *given, COLUMNS="9000", **MODES[mode]))
    hostile, harmless = ran
    asked = any("{}" in word or word in POLICIES for word in words)
    refused = command == "import jsonl" or asked
    if refused and hostile.returncode in {1, 2} and not hostile.stdout and harmless.stdout:
        # An id that could not be given here can't be asked for by name: told in one line.
        assert hostile.stderr.count("\n") - hostile.stderr.count("\x1b[1A") == 1
        harmless = hostile
    assert hostile.returncode == harmless.returncode, hostile
    assert "bug in imcm" not in hostile.stderr + harmless.stderr
    for one, other in zip(hostile[1:], harmless[1:], strict=True):
        if command.startswith("export ") and mode == "plain" and one is ran[0].stdout:
            continue  # for another program to read
        text = OWN.sub("", one) if mode == "terminal" else one
        if "csv" in words:
            text = text.replace("\r\n", "\n")  # as RFC 4180 ends its lines
        bad = {c for c in text if category(c) in KINDS and c != "\n"}
        assert bad == set()
        assert verifier._plain(text.replace("\n", "")) == text.replace("\n", "")
        if command.removeprefix("import ") in FORMATS:
            # More of what is hostile is left out, each in a line that begins with words of ours.
            assert "--json" in words or all(map(OURS.match, OWN.sub("", one).splitlines())), one
        else:
            assert one.count("\n") == other.count("\n")
        assert "⚠" not in text
        if "bold]" in one and "--json" not in words:
            assert ":warning:[bold]x[" in one
            assert "bold]\\" in one


OURS = re.compile(
    r"[\u2800-\u28ff] importing|left out[,:] |\.\.\. and \d|imcm: |  |.*/?p\.jsonl:\d|left as|"
    r"refused: |\d+ payloads|$"
)
KINDS = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
