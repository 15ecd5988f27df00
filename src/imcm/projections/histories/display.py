"""
Histories as documents: timelines, decision trails, duties, what was learned, anomalies.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from imcm.documents.structure import (
    Block,
    Cell,
    Column,
    Document,
    Items,
    Paragraph,
    Table,
    Tone,
    Word,
)
from imcm.domain.vocabulary import Between, Moment
from imcm.projections.figures.display import scale_of
from imcm.projections.histories.decisions import Ruling
from imcm.projections.reports.display import restatement_blocks

if TYPE_CHECKING:
    from imcm.projections.histories.anomalies import Anomaly
    from imcm.projections.histories.decisions import Decision, DecisionTrail
    from imcm.projections.histories.duties import Duties, Duty
    from imcm.projections.histories.learned import Learned, Moved
    from imcm.projections.histories.timeline import Entry

_TONES: Final[dict[Ruling, Tone]] = {
    Ruling.BROKEN: "bad",
    Ruling.UNKNOWN: "poor",
    Ruling.HELD: "good",
}


def ruling_cell(ruling: Ruling) -> Cell:
    """Return a ruling as a cell; that nothing was to be ruled on has no tone."""
    tone = _TONES.get(ruling)
    return ruling.value if tone is None else Word(ruling.value, tone)


def moment_cell(moment: Moment | None) -> Cell:
    """Return a moment as a cell: an exact one as a time, of an uncertain one both bounds."""
    if isinstance(moment, Between):
        both = (moment.earliest, moment.latest)
        return " to ".join(bound.isoformat(" ", "minutes") for bound in both)
    return moment


def log_text(known_at: int | datetime | None, position: int) -> str:
    """Return, for a person, how far a log was read."""
    known = "the end of the log" if known_at is None else known_at
    return f"known at {known} (log position {position:,})"


# --- timelines ------------------------------------------------------------------------------------


def timeline_table(
    entries: Sequence[Entry], *, title: str = "timeline", most: int | None = None
) -> Table:
    """Return a timeline as a table; what was voided is struck through."""
    shown_entries = entries[:most]
    rows: list[tuple[Cell, ...]] = []
    for entry in shown_entries:
        line: Cell = entry.line if entry.voided_by is None else Word(entry.line, "struck")
        rows.append((moment_cell(entry.at), entry.id, entry.by, line, entry.position))
    return Table(
        title=title,
        columns=(
            Column(name="when", kind="time"),
            Column(name="id"),
            Column(name="who"),
            Column(name="what"),
            Column(name="position", kind="number", wide=True),
        ),
        rows=rows,
        more=len(entries) - len(shown_entries),
    )


def timeline_document(
    entries: Sequence[Entry], *, title: str = "timeline", most: int | None = None
) -> Document:
    """Return a timeline as a document of one table."""
    return Document(title=title, blocks=(timeline_table(entries, title=title, most=most),))


# --- decision trails ------------------------------------------------------------------------------


def trail_document(trail: DecisionTrail, *, most: int | None = None) -> Document:
    """Return a decision trail as a document: the answers first, then the decisions."""
    people = [*trail.people()]
    people.append(f"separation of duties: {trail.separation_of_duties.value}")
    findings = Table(
        title="answers",
        columns=(Column(name="ruling"), Column(name="question"), Column(name="reason")),
        rows=[
            (ruling_cell(each.verdict), each.question.value, each.reason) for each in trail.findings
        ],
    )
    decisions = trail.decisions[:most]
    table = Table(
        title="decisions",
        columns=(
            Column(name="position", kind="number"),
            Column(name="when", kind="time"),
            Column(name="recorded", kind="time", wide=True),
            Column(name="who"),
            Column(name="what"),
            Column(name="votes"),
            Column(name="policy"),
            Column(name="marks"),
            Column(name="why"),
        ),
        rows=[_decision_row(each) for each in decisions],
        more=len(trail.decisions) - len(decisions),
    )
    return Document(
        title=f"decisions on change {trail.change}",
        blocks=(
            Paragraph(log_text(trail.known_at, trail.log_position)),
            Items(tuple(people)),
            findings,
            table,
        ),
    )


def _decision_row(decision: Decision) -> tuple[Cell, ...]:
    what: Cell = decision.what
    if decision.voided_by is not None:
        what = Word(f"{decision.what} (voided)", "struck")
    votes = "" if decision.quorum is None else f"{decision.votes} of {decision.quorum}"
    policy = decision.policy
    rules = "" if policy is None else f"{policy.name} {policy.version}: {policy.said}"
    marks = [
        word
        for word, there in (
            ("approval outstanding", decision.outstanding),
            (f"no to it: {decision.unauthorised}", bool(decision.unauthorised)),
            ("imported", decision.imported),
            ("corrected", bool(decision.corrected_by)),
            ("words taken out", decision.redacted),
            ("counts", decision.counts is True),
            ("no longer counts", decision.counts is False),
        )
        if there
    ]
    return (
        decision.position,
        moment_cell(decision.at),
        decision.recorded_at,
        decision.by,
        what,
        votes,
        rules,
        ", ".join(marks),
        decision.why,
    )


# --- duties ---------------------------------------------------------------------------------------


def duty_tables(duties: Duties, *, most: int | None = None) -> tuple[Table, ...]:
    """Return duties as tables: the rules, what was broken or is not said, and every change."""
    rules = Table(
        title="how each rule held",
        columns=(
            Column(name="rule"),
            *(Column(name=each.value, kind="number") for each in Ruling),
        ),
        rows=[
            (rule, *(of.get(each.value, 0) for each in Ruling))
            for rule, of in duties.counts().items()
        ],
    )
    odd = [row for row in duties.rows if row.exceptions or row.unknown]
    checks = [(row, check) for row in odd for check in (*row.exceptions, *row.unknown)]
    exceptions = Table(
        title="exceptions, and what the log does not say",
        columns=(
            Column(name="change"),
            Column(name="ruling"),
            Column(name="rule"),
            Column(name="reason"),
            Column(name="positions"),
        ),
        rows=[
            (
                row.change,
                ruling_cell(check.ruling),
                check.rule,
                check.reason,
                ", ".join(map(str, check.positions)),
            )
            for row, check in checks[:most]
        ],
        more=max(0, len(checks) - len(checks[:most])),
    )
    shown_rows = duties.rows[:most]
    every = Table(
        title="every change that went in",
        columns=(
            Column(name="change"),
            Column(name="type", wide=True),
            Column(name="went in", kind="time"),
            Column(name="ruling"),
            Column(name="requester"),
            Column(name="approvers"),
            Column(name="implementers"),
            Column(name="window", wide=True),
            Column(name="freezes", wide=True),
            Column(name="policies", wide=True),
        ),
        rows=[_duty_row(row) for row in shown_rows],
        more=len(duties.rows) - len(shown_rows),
    )
    return rules, exceptions, every


def _duty_row(duty: Duty) -> tuple[Cell, ...]:
    texts = duty.row()
    return (
        duty.change,
        texts["type"],
        moment_cell(duty.went_in_at),
        ruling_cell(duty.ruling),
        duty.requested_by,
        texts["approved by"],
        ", ".join(duty.implemented_by),
        texts["window"],
        texts["freezes"],
        texts["policies"],
    )


def duties_document(duties: Duties, *, most: int | None = None) -> Document:
    """Return duties as a document, exceptions first."""
    rules, exceptions, every = duty_tables(duties, most=most)
    period = "all time"
    if duties.window is not None:
        period = " up to ".join(end.isoformat(" ", "minutes") for end in duties.window)
    return Document(
        title="duties",
        blocks=(
            Paragraph(f"{duties!r}"[1:-1] + f" ({period}; log position {duties.log_position:,})"),
            exceptions,
            rules,
            every,
        ),
    )


# --- what was learned -----------------------------------------------------------------------------


def moved_table(figures: Iterable[Moved], *, title: str = "figures") -> Table:
    """Return figures as they were known before and after; durations in words, as units differ."""
    rows: list[tuple[Cell, ...]] = []
    for figure in figures:
        unit = figure.after.unit
        scale = scale_of([figure.before.value, figure.after.value], unit)
        moved: Cell = Word("moved", "poor") if figure.moved else "as it was"
        if not figure.moved and figure.before.n != figure.after.n:
            moved = Word("same value, of other rows", "fair")
        rows.append(
            (
                figure.name,
                scale.unit,
                scale.of(figure.before.value),
                figure.before.n,
                scale.of(figure.after.value),
                figure.after.n,
                moved,
            )
        )
    return Table(
        title=title,
        columns=(
            Column(name="figure"),
            Column(name="unit"),
            Column(name="before", kind="number"),
            Column(name="n before", kind="number"),
            Column(name="now", kind="number"),
            Column(name="n now", kind="number"),
            Column(name="moved"),
        ),
        rows=rows,
    )


def learned_document(learned: Learned, *, most: int | None = None) -> Document:
    """Return what was learned between two points as a document: figures first, then the pieces."""
    blocks: list[Block] = [
        Paragraph(f"{learned!r}"),
        moved_table(learned.figures, title=f"figures, as of {learned.as_of}"),
    ]
    for figure in learned.figures:
        if figure.restatement is not None:
            blocks += restatement_blocks(figure.restatement, title=figure.name, most=most)
    for name, pieces in learned.pieces():
        if not pieces:
            continue
        shown_pieces = pieces[:most]
        blocks.append(
            Table(
                title=name,
                columns=(
                    Column(name="position", kind="number"),
                    Column(name="recorded", kind="time"),
                    Column(name="who"),
                    Column(name="what"),
                ),
                rows=[
                    (piece.position, piece.recorded_at, piece.by, piece.line)
                    for piece in shown_pieces
                ],
                more=len(pieces) - len(shown_pieces),
            )
        )
    return Document(title="what was learned", blocks=tuple(blocks))


# --- anomalies ------------------------------------------------------------------------------------


def anomalies_document(anomalies: Sequence[Anomaly], *, most: int | None = None) -> Document:
    """Return anomalies as a document of one table."""
    listed = anomalies[:most]
    table = Table(
        title="anomalies",
        columns=(
            Column(name="kind"),
            Column(name="id"),
            Column(name="oddity"),
            Column(name="detail"),
            Column(name="positions"),
        ),
        rows=[
            (
                each.kind,
                each.id,
                each.oddity.value,
                each.detail,
                ", ".join(map(str, each.positions)),
            )
            for each in listed
        ],
        more=len(anomalies) - len(listed),
    )
    return Document(title="anomalies", blocks=(table,))
