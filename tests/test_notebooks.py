"""
The notebooks, executed as their readers do: each in a kernel of its own, from its top to its end.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "examples" / "notebooks").glob("*.py"))

EXECUTE = """
import sys
import jupytext, nbclient, nbformat
source, out, folder = sys.argv[1:]
notebook = jupytext.read(source)
client = nbclient.NotebookClient(
    notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": folder}}
)
client.execute()
nbformat.write(notebook, out)
"""


def test_all_six_are_there() -> None:
    """Each is text that a person reads, and says at its top how it is opened or what it asks."""
    assert [notebook.stem for notebook in NOTEBOOKS] == [
        *("audit_a_quarter", "dora_from_csv", "first_incident", "is_it_really_better"),
        *("why_tools_disagree", "would_a_freeze_have_helped"),
    ]
    for notebook in NOTEBOOKS:
        text = notebook.read_text(encoding="utf-8")
        assert "format_name: percent" in text
        assert text.count("# %% [markdown]") >= 3
        assert "/tmp" not in text


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_in_a_kernel_of_its_own(notebook: Path, tmp_path: Path) -> None:
    """No cell fails or warns, there is something to read and something to look at."""
    for package in ("jupytext", "nbclient", "ipykernel"):
        pytest.importorskip(package, reason="notebooks are an extra")
    import nbformat

    out = tmp_path / "executed.ipynb"
    words = [sys.executable, "-c", EXECUTE, str(notebook), str(out), str(notebook.parent)]
    around = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    around |= {"IPYTHONDIR": str(tmp_path / "ipython"), "JUPYTER_RUNTIME_DIR": str(tmp_path)}
    ran = subprocess.run(words, capture_output=True, text=True, check=False, env=around)
    assert ran.returncode == 0, ran.stderr[-3_000:]
    cells = [cell for cell in nbformat.read(out, as_version=4).cells if cell.cell_type == "code"]
    outputs = [output for cell in cells for output in cell.outputs]
    assert all(cell.execution_count for cell in cells)
    assert not [o for o in outputs if o.output_type == "stream" and o.name == "stderr"]
    assert sum("image/png" in o.get("data", {}) for o in outputs) >= 1
    assert any(o.output_type == "stream" and o.text.strip() for o in outputs)
