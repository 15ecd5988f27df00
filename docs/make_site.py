"""
Build the documentation as a site, into build/site.

    python docs/make_site.py

Pages are copied into build/docs, with the sources that they link to; the gallery is drawn where
matplotlib is, and pages of classes and functions are made for mkdocstrings to fill.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import imcm

ROOT: Final = Path(__file__).resolve().parents[1]
PAGES: Final = ROOT / "build" / "docs"

GROUPS: Final = {
    "ledger": ("The ledger", ("Ledger", "Transaction", "Once", "LedgerReader", "Replay")),
    "boards": ("Boards", ("views", "Views", "IncidentView", "ChangeView", "ActionItem", "Approval",
                          "LiveVersion", "Match", "Page", "Follower", "deliver", "adeliver")),
    "figures": ("Figures", ("time_to_detect", "time_to_acknowledge", "time_to_mitigate",
                            "time_to_restore", "time_to_repair", "mean_time_to_restore",
                            "deployment_frequency", "lead_time", "change_failure_rate",
                            "failed_deployment_recovery_time", "rework_rate", "downtime",
                            "availability", "time_between_failures", "user_impact", "causes")),
    "reports": ("Reports and histories",
                ("Figure", "dora_report", "DoraReport", "side_by_side", "SideBySide", "compare",
                 "Comparison", "restated", "Restatement", "timeline", "Entry", "decision_trail",
                 "DecisionTrail", "duties", "Duties", "anomalies", "Anomaly", "learned", "Learned",
                 "what_if", "WhatIf", "risk_of", "RiskAssessment")),
    "rules": ("Policies", ("Policy", "ApprovalRule", "PlanRule", "ApprovedTemplate", "RolloutRule",
                           "Freeze", "MaintenanceWindow", "Weekly", "CanaryPlan", "SeverityScale",
                           "BusinessHours", "Rules", "Answer", "Gate")),
}  # fmt: skip
"""Pages of classes and functions: the file's name, the title, and what is on it."""

MODULES: Final = {
    "incident": ("Steps of incidents", "imcm.domain.incident"),
    "change": ("Steps of changes", "imcm.domain.change"),
    "audit": ("Audit", "imcm.audit"),
    "frames": ("Frames", "imcm.frames"),
    "errors": ("Errors", "imcm.errors"),
}
"""Pages of whole modules."""

LINK: Final = re.compile(r"\]\(\.\./((?:src|examples)/[\w/.-]+)\)")


def pages() -> None:
    """Copy the pages, what they show, and the sources that they link to."""
    shutil.rmtree(PAGES, ignore_errors=True)
    PAGES.mkdir(parents=True)
    for path in sorted((ROOT / "docs").iterdir()):
        if path.suffix == ".md":
            text = path.read_text(encoding="utf-8")
            for source in LINK.findall(text):
                copied = PAGES / "source" / Path(source).name
                copied.parent.mkdir(exist_ok=True)
                shutil.copy(ROOT / source, copied)
            shown = LINK.sub(lambda link: f"](source/{Path(link[1]).name})", text)
            (PAGES / path.name).write_text(shown, encoding="utf-8")
        elif path.suffix in {".svg", ".png", ".json"}:
            shutil.copy(path, PAGES)


def home(name: str) -> str:
    """Return the module that a public name is from."""
    return imcm._HOMES[name]


def api() -> Iterator[tuple[str, str]]:
    """Write a page for each group of public names, and yield its title and file."""
    folder = PAGES / "api"
    folder.mkdir()
    for name, (title, members) in GROUPS.items():
        shown = [f"::: {home(each)}.{each}" for each in members]
        (folder / f"{name}.md").write_text("\n\n".join([f"# {title}", *shown]) + "\n")
        yield title, f"api/{name}.md"
    for name, (title, module) in MODULES.items():
        (folder / f"{name}.md").write_text(
            f"# {title}\n\n::: {module}\n    options:\n      show_root_heading: false\n"
        )
        yield title, f"api/{name}.md"


def gallery() -> list[tuple[str, str]]:
    """Draw every picture there is, and return the title and file of the page that shows them."""
    script = ROOT / "docs" / "make_gallery.py"
    if not script.is_file() or importlib.util.find_spec("matplotlib") is None:
        return []
    folder = PAGES / "gallery"
    subprocess.run([sys.executable, str(script), str(folder), "svg"], check=True)  # noqa: S603
    parts = ["# Gallery", "Every picture that imcm draws, from one log that is made up."]
    for picture in sorted(folder.glob("*.svg")):
        title = picture.stem.replace("-", " ").capitalize()
        parts.append(f"## {title}\n\n![{title}](gallery/{picture.name}){{ loading=lazy }}")
    (PAGES / "gallery.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return [("Gallery", "gallery.md")]


def settings(made: list[tuple[str, str]], drawn: list[tuple[str, str]]) -> Path:
    """Write the settings with the pages that are made, and return where."""
    text = (ROOT / "zensical.toml").read_text(encoding="utf-8")
    text = text.replace('"build/', '"').replace('["src", "docs"]', '["../src", "../docs"]')
    text = text.replace('"docs/shared_entries.py"', '"../docs/shared_entries.py"')
    entries = "".join(f'    {{ "{title}" = "{file}" }},\n' for title, file in made)
    text = text.replace(
        '    { "JSON" = "json.md" },\n', f'    {{ "JSON" = "json.md" }},\n{entries}'
    )
    more = "".join(f'  {{ "{title}" = "{file}" }},\n' for title, file in drawn)
    text = text.replace("\n]\n\n[project.theme]", f"\n{more}]\n\n[project.theme]")
    path = PAGES.parent / "zensical.toml"
    path.write_text(text, encoding="utf-8")
    return path


def build() -> Path:
    """Build the site, strictly, and return its folder."""
    pages()
    config = settings(list(api()), gallery())
    shutil.rmtree(PAGES.parent / "site", ignore_errors=True)
    program = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    program += ["--config-file", config.name]
    subprocess.run(program, cwd=config.parent, check=True)  # noqa: S603 (no input from outside)
    return PAGES.parent / "site"


if __name__ == "__main__":
    print(build())  # noqa: T201
