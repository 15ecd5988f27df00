"""The examples of docs/import.md run, on the files shown there."""

import doctest
import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs" / "import.md"
SHOWN = re.compile(r"^`([\w.]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_examples(tmp_path, monkeypatch):
    """Every file shown is written, and every call gives what the page says."""
    text = DOCS.read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    files = SHOWN.findall(text)
    assert {name for name, _ in files} == {
        *("incidents.csv", "changes.csv", "servicenow.toml", "export.csv", "bad.csv"),
        *("monday.csv", "tuesday.csv", "tool.toml", "incident.csv", "workbook.csv"),
        *("made.toml", "made.csv", "log.toml", "audit.csv"),
    }
    for name, shown in files:
        (tmp_path / name).write_text(shown, encoding="utf-8")
    test = doctest.DocTestParser().get_doctest(text, {}, "import.md", str(DOCS), 0)
    told = []
    runner = doctest.DocTestRunner()
    runner.run(test, out=told.append, clear_globs=False)
    for name in ("ledger", "ours", "copy", "again", "made", "log"):
        test.globs[name].close()
    assert runner.summarize(verbose=False).failed == 0, "".join(told)
    assert len(test.examples) >= 10
