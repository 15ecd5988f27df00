"""
Documents as HTML: a page of its own, and a fragment for notebooks.

The page loads nothing and runs nothing: its content security policy, in the file itself, allows
its own style by hash and nothing else. It follows the reader's light or dark setting, and prints.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping
from hashlib import sha256
from html import escape
from typing import Final

from imcm.documents.structure import (
    Cell,
    Column,
    Document,
    Heading,
    Items,
    Paragraph,
    Table,
    Word,
    cell_text,
)
from imcm.plain import plain

_STYLE: Final = """
:root { color-scheme: light dark; --text: #1b1f24; --faint: #57606a; --ground: #ffffff;
  --line: #d0d7de; --band: #f6f8fa; --good: #116329; --fair: #0a5a8a; --poor: #7d4e00;
  --bad: #a40e26; }
@media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --faint: #9da7b3; --ground: #0d1117;
  --line: #3d444d; --band: #161b22; --good: #56d364; --fair: #79c0ff; --poor: #e3b341;
  --bad: #ff8182; } }
body { margin: 0; background: var(--ground); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 96rem; margin: 0 auto; padding: 1.5rem 1rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 1rem; }
h2 { font-size: 1.25rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid var(--line);
  padding-bottom: .2rem; }
h3 { font-size: 1.05rem; margin: 1.4rem 0 .4rem; }
h1, h2, h3, p, li { overflow-wrap: anywhere; }
p, ul { max-width: 46rem; }
.scroll { overflow-x: auto; margin: .6rem 0 1rem; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: .2rem 0 .4rem; }
th, td { padding: .3rem .7rem .3rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); overflow-wrap: break-word; max-width: 32rem; }
th { white-space: nowrap; color: var(--faint); font-weight: 600; }
th.number, td.number { text-align: right; }
td.number, td.time { white-space: nowrap; }
td:first-child { min-width: 5.5rem; }
tbody tr:nth-child(even) { background: var(--band); }
.good { color: var(--good); } .fair { color: var(--fair); } .poor { color: var(--poor); }
.bad { color: var(--bad); font-weight: 600; }
.more { color: var(--faint); }
@media print { body { font-size: 10pt; } main { max-width: none; padding: 0; }
  .scroll { overflow: visible; } tr { break-inside: avoid; } h2, h3 { break-after: avoid; }
  table { font-size: 8pt; } th { white-space: normal; } th, td { padding-right: .4rem; } }
@page { size: landscape; margin: 12mm; }
"""

_HASH: Final = b64encode(sha256(_STYLE.encode()).digest()).decode()

_PAGE: Final = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""


def html_page(document: Document) -> str:
    """Return a document as a page: one file that needs no other and runs no script."""
    title = _text(document.title)
    policy = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'"
    body = "\n".join([f"<h1>{title}</h1>", *_blocks(document)])
    return _PAGE.format(policy=policy, title=title, style=_STYLE, body=body)


def _blocks(document: Document) -> Iterator[str]:
    for block in document.blocks:
        match block:
            case Heading():
                yield f"<h{block.level}>{_text(block.text)}</h{block.level}>"
            case Paragraph():
                yield f"<p>{_text(block.text)}</p>"
            case Items():
                yield f"<ul>{''.join(f'<li>{_text(text)}</li>' for text in block.texts)}</ul>"
            case Table() if block.rows:
                name = _text(block.title)
                # Who has no mouse scrolls a wide table by the keyboard, once it has the focus.
                yield f'<div class="scroll" role="region" tabindex="0" aria-label="{name}">'
                yield f"<table><caption>{name}</caption>"
                yield "<thead><tr>"
                for column in block.columns:
                    yield f'<th scope="col"{_class(column)}>{_text(column.head)}</th>'
                yield "</tr></thead><tbody>"
                for row in block.rows:
                    cells = zip(block.columns, row, strict=True)
                    yield f"<tr>{''.join(_td(column, cell) for column, cell in cells)}</tr>"
                yield "</tbody></table></div>"
                if block.more:
                    yield f'<p class="more">... and {block.more:,} more</p>'
            case Table():
                yield f"<p>{_text(block.title)}: none</p>"


def _class(column: Column) -> str:
    return "" if column.kind == "text" else f' class="{column.kind}"'


def _td(column: Column, cell: Cell) -> str:
    return f"<td{_class(column)}>{_cell(cell)}</td>"


def _cell(cell: Cell) -> str:
    text = _text(cell_text(cell))
    if not isinstance(cell, Word):
        return text
    return f"<s>{text}</s>" if cell.tone == "struck" else f'<span class="{cell.tone}">{text}</span>'


def _text(text: str) -> str:
    return escape(plain(text))


# --- notebooks ------------------------------------------------------------------------------------

_LEFT: Final = ' style="text-align:left;vertical-align:top;max-width:32em"'
_RIGHT: Final = ' style="text-align:right;vertical-align:top;white-space:nowrap"'
_WEIGHTS: Final[Mapping[str, str]] = {"bad": "strong", "struck": "s"}


def html_fragment(document: Document) -> str:
    """
    Return a document for a page that is there already, as a notebook's.

    It takes that page's colours, light or dark, and brings no style sheet: what it has no colour
    for is told in words and by weight.
    """
    parts = [f"<p><strong>{_text(document.title)}</strong></p>"]
    for block in document.blocks:
        match block:
            case Heading():
                parts.append(f"<p><strong>{_text(block.text)}</strong></p>")
            case Paragraph():
                parts.append(f"<p>{_text(block.text)}</p>")
            case Items():
                items = "".join(f"<li>{_text(text)}</li>" for text in block.texts)
                parts.append(f"<ul>{items}</ul>")
            case Table() if block.rows:
                parts += _bare_table(block)
            case Table():
                parts.append(f"<p>{_text(block.title)}: none</p>")
    return f"<div>{''.join(parts)}</div>"


def _bare_table(table: Table) -> Iterator[str]:
    sides = [_RIGHT if column.kind == "number" else _LEFT for column in table.columns]
    yield "<table><thead><tr>"
    for column, side in zip(table.columns, sides, strict=True):
        yield f'<th scope="col"{side}>{_text(column.head)}</th>'
    yield "</tr></thead><tbody>"
    for row in table.rows:
        cells = (f"<td{side}>{_weighed(cell)}</td>" for side, cell in zip(sides, row, strict=True))
        yield f"<tr>{''.join(cells)}</tr>"
    yield "</tbody></table>"
    if table.more:
        yield f"<p>... and {table.more:,} more</p>"


def _weighed(cell: Cell) -> str:
    text = _text(cell_text(cell))
    tag = _WEIGHTS.get(cell.tone) if isinstance(cell, Word) else None
    return f"<{tag}>{text}</{tag}>" if tag else text
