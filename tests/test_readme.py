"""
The README and the pages in docs are run, block by block, as a reader would run them.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[object]:
    found = []
    for page in PAGES:
        for number, match in enumerate(BLOCK.finditer(page.read_text(encoding="utf-8")), start=1):
            # Sessions with a prompt are doctests, run by the test of what they are about.
            if match[1] == language and not match[2].startswith(">>>"):
                found.append(pytest.param(match[2], id=f"{page.name}-{number}"))
    return found


def promised(code: str) -> list[str]:
    """Return what the comments behind print calls say will be printed."""
    return re.findall(r"^ *print\(.*\) *# ([^\s,:]+)", code, re.MULTILINE)


@pytest.mark.parametrize("code", blocks("python"))
def test_python_block_runs_and_prints_what_it_says(code: str, tmp_path: Path) -> None:
    """Every Python block runs by itself, and prints the values its comments name."""
    script = tmp_path / "block.py"
    script.write_text(code, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.stderr == ""
    assert ran.returncode == 0
    printed = [line.split()[0] for line in ran.stdout.splitlines() if line]
    wanted = promised(code)
    assert wanted == [word for word in printed if word in wanted][: len(wanted)]


def test_the_readme_promises_numbers() -> None:
    """The first block ends on numbers, and the check above would see another one."""
    first = BLOCK.search(
        ROOT.joinpath("README.md").read_text(encoding="utf-8").split("## Use it")[1]
    )
    assert first is not None
    assert promised(first[2]) == ["2700.0", "1.0"]


def test_the_readme_has_the_two_commands() -> None:
    """Two shell commands set everything up by themselves: one to see it, one to test it."""
    commands = [
        match[2].strip()
        for match in BLOCK.finditer((ROOT / "README.md").read_text(encoding="utf-8"))
        if match[1] == "sh" and "venv" in match[2]
    ]
    assert len(commands) == 2
    assert commands[0].endswith("imcm demo")
    assert "-m pytest" in commands[1]


def test_every_command_of_the_pages_is_a_command() -> None:
    """Each imcm command shown exists with the options shown."""
    pytest.importorskip("typer", reason="the command line is an extra")
    from typer.main import get_command

    from imcm.cli import app

    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    shown = [line.split() for line in text.splitlines() if line.startswith("imcm ")]
    assert len(shown) >= 20
    for words in shown:
        command = get_command(app)
        rest = words[1:]
        while hasattr(command, "commands"):
            command = command.commands[rest.pop(0)]
        options = {name for parameter in command.params for name in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= options
