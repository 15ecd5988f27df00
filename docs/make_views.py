"""
Write the tables of docs/views.md from the code that makes them, so that they say nothing else.

    python docs/make_views.py

What stands before and after the two marks is written by hand.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from imcm.docstrings import parsed
from imcm.domain.vocabulary import Impact, Window
from imcm.projections.boards.views import ActionItem, ChangeView, IncidentView, Update
from imcm.readmodel.boards import ACTIONS, CHANGES, INCIDENTS, MORE, VIEWS, Told
from imcm.readmodel.columns import Column, Columns

PAGE = Path(__file__).with_name("views.md")
BEGIN, END = "<!-- tables: written by docs/make_views.py -->", "<!-- end of tables -->"

CLASSES: Mapping[str, tuple[type, Columns[Any]]] = {
    "incident": (IncidentView, INCIDENTS),
    "change": (ChangeView, CHANGES),
    "action": (ActionItem, ACTIONS),
}
PARTS: Mapping[str, type] = {"impact": Impact, "last_update": Update, "window": Window}

IN_SQL = {"None": "NULL", "True": "1", "False": "0", '""': "empty"}


def meaning(cls: type, column: Column) -> str:
    """Return what a column means, by the docstring of the class that the field is of."""
    field, _, part = column.field.partition(".")
    text = parsed((PARTS[field] if part else cls).__doc__).meaning(part or field)
    if not text or text.startswith("see `"):
        raise SystemExit(f"{cls.__name__}.{column.field} has no entry of its own")
    return re.sub(r'\b(?:None|True|False)\b|""', lambda found: IN_SQL[found[0]], text)


def cell(text: str) -> str:
    return text.replace("|", "\\|")


def line(name: str, type_: str, holds: str, means: str) -> str:
    return f"| `{name}` | {type_} | {cell(holds)} | {cell(means)} |"


def of_column(name: str) -> tuple[str, str]:
    """Return what a column of a table holds and means, by `table.column`."""
    table, _, column = name.partition(".")
    cls, columns = CLASSES[table]
    [found] = [one for one in columns.columns if one.name == column]
    return found.holds, meaning(cls, found)


def of_view(told: Told) -> tuple[str, str]:
    if told.means and told.holds:
        return told.holds, told.means
    holds, means = of_column(told.sql)
    return told.holds or holds, told.means or means


HEAD = ("| column | type | holds | means |", "|---|---|---|---|")


def section(name: str, says: str, lines: Iterable[str]) -> str:
    return "\n".join([f"### `{name}`", "", says, "", *HEAD, *lines])


def tables() -> str:
    parts = ["## Tables"]
    for name, (cls, columns) in CLASSES.items():
        lines = [line(one.name, one.type, one.holds, meaning(cls, one)) for one in columns.columns]
        lines += [line(one, t.type, t.holds, t.means) for one, t in MORE[name].items()]
        says = inspect.getdoc(cls).splitlines()[0]  # type: ignore[union-attr]  # each has one
        parts.append(section(name, f"A row is: {says[:1].lower()}{says[1:]}", lines))
    parts.append("## SQL views")
    for name, view in VIEWS.items():
        lines = [line(one, t.type, *of_view(t)) for one, t in view.columns.items()]
        parts.append(section(name, f"A row is: {view.says[:1].lower()}{view.says[1:]}", lines))
    return "\n\n".join(parts)


def page() -> str:
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
