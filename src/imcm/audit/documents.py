"""
What an audit found, as documents.
"""

from __future__ import annotations

from base64 import b64encode

from imcm import verifier
from imcm.documents.structure import Block, Cell, Column, Document, Items, Table, Word
from imcm.verifier import Checkpoint, Verdict

__all__ = ["anchors_table", "verdict_blocks", "verdict_document"]


def verdict_blocks(verdict: Verdict) -> list[Block]:
    """Return a verdict on a log as blocks: the outcome, and everything that led to it."""
    outcome, *lines = verdict.describe()
    tone: Cell = Word(outcome, "good" if verdict.outcome == verifier.OK else "bad")
    return [
        Table(title="verdict", columns=(Column(name="outcome"),), rows=[(tone,)]),
        Items(tuple(lines)),
    ]


def verdict_document(verdict: Verdict) -> Document:
    """Return a verdict on a log as a document."""
    return Document(title="verification", blocks=tuple(verdict_blocks(verdict)))


def anchors_table(anchors: list[Checkpoint]) -> Table:
    """Return checkpoints as a table, each with what it says of itself."""
    rows: list[tuple[Cell, ...]] = []
    for number, anchor in enumerate(anchors, start=1):
        signed = ", ".join(signature.name for signature in anchor.signatures) or "nobody"
        rows.append((number, anchor.made(), anchor.size, b64encode(anchor.root).decode(), signed))
    return Table(
        title="anchors",
        columns=(
            Column(name="number", kind="number"),
            Column(name="made"),
            Column(name="events", kind="number"),
            Column(name="root"),
            Column(name="signed by"),
        ),
        rows=rows,
    )
