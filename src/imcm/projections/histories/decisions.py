"""
The decisions on one change: who asked, who voted, under which policy; did duties stay apart?

Everything is told from the recorded events alone. What followed from a step is carried in its
event (the status, the votes, the quorum, what the policy said), so no rule is asked again and no
old decision is judged by a new policy. Nothing is hidden: what was corrected or voided later is
there and says so. Prose is made at the edge.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import attrs

from imcm.documents.shown import Shown, checked_most
from imcm.domain import change_events as changes
from imcm.domain.change_events import ChangeStatus, Template
from imcm.domain.corrections import (
    CORRECTIONS,
    EDITS,
    DurationStated,
    EventVoided,
    ReferenceAdded,
    SourceReinstated,
    SourceSaid,
    SourceWithdrew,
    WordsRedacted,
    corrects,
    replaced,
)
from imcm.domain.recorded import CHANGE, Event, Recorded, Unread, kind_and_id, known, stream_of
from imcm.domain.vocabulary import (
    Authority,
    ChangeType,
    Moment,
    PolicyRef,
    checked_member,
    checked_text,
    earliest,
    folded,
    latest,
    reads_as,
)
from imcm.errors import UnknownIdError
from imcm.plain import joined, quoted, told_apart
from imcm.projections.figures.excerpt import SOME, excerpt, named, short
from imcm.projections.figures.jsonable import jsonable
from imcm.projections.figures.units import SHAPE, utc
from imcm.projections.histories.timeline import Entry, replayed

if TYPE_CHECKING:
    from imcm.documents.structure import Document

__all__ = ["Altered", "Decision", "DecisionTrail", "Finding", "Question", "Ruling"]


class Ruling(StrEnum):
    """
    What the log says to a question.

    UNKNOWN where imported history does not say, or the answer rests on what somebody corrected or
    voided afterwards; NOTHING where there was nothing to hold or to break.
    """

    HELD = "held"
    BROKEN = "broken"
    UNKNOWN = "unknown"
    NOTHING = "nothing to judge"


class Question(StrEnum):
    """What is asked of every change: each a sentence that holds, is broken, or can't be told."""

    REQUESTER = "the requester did not approve it"
    PLANNER = "nobody who planned or revised it approved that"
    SUBMITTER = "nobody who submitted it approved that"
    IMPLEMENTER = "nobody who implemented it approved it"
    QUORUM = "what went in had its quorum"
    BEFORE = "it was approved before it went in"
    SETTLED = "what went in without approval was approved afterwards"
    ALLOWED = "no guard would have said no to what was told"


MANY: Final = 100
"""How many decisions are told to a person; very few changes have more."""

_DUTIES: Final = (Question.REQUESTER, Question.PLANNER, Question.SUBMITTER, Question.IMPLEMENTER)


@attrs.frozen(kw_only=True)
class Altered:
    """
    One field that a revision or a correction changed.

    Attributes:
        field: Its name in the event.
        was: What stood when the revision was recorded; for a correction, what it says stood.
        now: What stands after it.
    """

    field: str
    was: object
    now: object


@attrs.frozen(kw_only=True)
class Decision:
    """
    One entry of the trail: an event of the change, with what it decided.

    Attributes:
        what: In words: "planned", "submitted", "approved" (one vote), "voided", and so on; the
            event's type name where this version has no word for it. *type* is that name.
        at: When, as corrected; None where nobody knows.
        by: Id of who, or what, did it; of imported history possibly who brought it in.
        recorded_at, position, version, record: Where it stands in the log.
        source: Name of where it came from; None when recorded directly.
        imported: It is history from elsewhere.
        event: The event with corrections applied (as written where it was voided).
        content: Version of the event that holds the content it speaks of; None where it speaks of
            none, or an imported approval does not say.
        authority: In which capacity it was decided.
        policy: The policy it was decided under, and what that said; None where it names none.
        votes, quorum: Votes for the content with this one, and how many it needed, as the vote
            itself carries them; None for everything that is no vote.
        quorum_met: Whether the vote says that the quorum was met; None for what is no vote.
        template: The recipe that pre-approves a standard change.
        outstanding: It went in with approval outstanding.
        unauthorised: The guard that would have said no; "" where none would.
        why: The reason given, in words; "" where none was or the words were redacted.
        redacted: Whether its words were taken out.
        altered: Which fields a revision or a correction changed. Words of a revision that were
            redacted are not among them.
        voids: Positions of the approvals that stopped counting because of this event, as it was
            when it was recorded.
        counts: Whether an approval counts at the end of what was read; None for what is none.
        lapsed_by: Position of what ended an approval that no longer counts: the revision, the
            rejection, or the void of what it was given to.
        edits: Version of the event that a correction or a void speaks of.
        corrected_by: Positions of the corrections that changed it.
        voided_by: Position of the void that struck it through; None where it stands.
    """

    what: str
    type: str
    at: Moment | None
    by: str
    recorded_at: datetime
    position: int
    version: int
    record: str
    source: str | None = None
    imported: bool = False
    event: Event | Unread = attrs.field(repr=False)
    content: int | None = None
    authority: Authority | None = None
    policy: PolicyRef | None = None
    votes: int | None = None
    quorum: int | None = None
    quorum_met: bool | None = None
    template: Template | None = None
    outstanding: bool = False
    unauthorised: str = ""
    why: str = ""
    redacted: bool = False
    altered: tuple[Altered, ...] = ()
    voids: tuple[int, ...] = ()
    counts: bool | None = None
    lapsed_by: int | None = None
    edits: int | None = None
    corrected_by: tuple[int, ...] = ()
    voided_by: int | None = None


@attrs.frozen(kw_only=True)
class Finding:
    """
    What the log says to one question.

    Attributes:
        question: The sentence.
        verdict: Whether it held. What has not come up yet has held so far.
        reason: What makes it so.
        positions: Log positions of the events it rests on.
    """

    question: Question
    verdict: Ruling
    reason: str
    positions: tuple[int, ...] = ()


@attrs.frozen(kw_only=True)
class DecisionTrail(Shown):
    """
    Who decided what on one change, in the order in which it became known.

    Attributes:
        change: Its id.
        known_at: What was asked for: a position, a time, or None for the whole log.
        log_position: Position of the last event read.
        requested_by: Who asked for it; None where nobody is named, as in much imported history.
        planned_by, submitted_by, implemented_by: Who wrote its content, put it up for approval,
            and brought it in (started it, advanced its rollout, completed it or told that it
            failed), each once, as written. Imported history does not say, so it adds nobody.
        approved_by: Whose approval counts, those given afterwards included.
        decisions: Every event of the change except its commits and stated durations.
        findings: One for each question, in the order of `Question`.
    """

    change: str
    known_at: int | datetime | None = None
    log_position: int = 0
    requested_by: str | None = None
    planned_by: tuple[str, ...] = ()
    submitted_by: tuple[str, ...] = ()
    implemented_by: tuple[str, ...] = ()
    approved_by: tuple[str, ...] = ()
    decisions: tuple[Decision, ...] = ()
    findings: tuple[Finding, ...] = ()

    def __repr__(self) -> str:
        """Return in one line how many decisions there are, and how the questions were answered."""
        verdicts = [finding.verdict for finding in self.findings]
        counts = ", ".join(f"{verdicts.count(ruling)} {ruling.value}" for ruling in Ruling)
        many = f"{len(self.decisions):,} decisions"
        return f"decisions on change {short(self.change)}: {many}; questions: {counts}"

    def document(self, *, most: int | None = None) -> Document:
        """Return it as a document; see `imcm.documents`. *most* rows a table; None for all."""
        from imcm.projections.histories.display import trail_document  # which knows this class, too

        return trail_document(self, most=checked_most(most))

    @property
    def revisions(self) -> tuple[Decision, ...]:
        """The revisions: each with the fields it changed and the approvals it voided."""
        return tuple(
            decision for decision in self.decisions if isinstance(decision.event, _REVISIONS)
        )

    @property
    def separation_of_duties(self) -> Ruling:
        """Whether those who asked, wrote, submitted and implemented are not those who approved."""
        verdicts = {self.finding(question).verdict for question in _DUTIES}
        worst_first = (Ruling.BROKEN, Ruling.UNKNOWN, Ruling.HELD, Ruling.NOTHING)
        return next(verdict for verdict in worst_first if verdict in verdicts)

    def finding(self, question: Question) -> Finding:
        """Return what the log says to one question; its text will do."""
        asked = checked_member("question", question, Question)
        return next(finding for finding in self.findings if finding.question is asked)

    def told_by_sources(
        self, what: type[changes.ChangeApproved | changes.ChangeStarted]
    ) -> tuple[str, ...]:
        """Return whom imported history names for an approval, or a start: a word, and no vote."""
        people = [
            each.by
            for each in self.decisions
            if each.imported
            and each.voided_by is None
            and isinstance(each.event, what)
            and each.by not in {each.source, "import"}
        ]
        return tuple(dict.fromkeys(people))

    def people(self) -> Iterator[str]:
        """Yield a line for each part that people have in a change: who, and as whose word."""
        asked = quoted(self.requested_by) if self.requested_by else "nobody named"
        yield f"asked for by {asked}"
        for word, people, others in (
            ("planned", self.planned_by, ()),
            ("submitted", self.submitted_by, ()),
            ("approved", self.approved_by, self.told_by_sources(changes.ChangeApproved)),
            ("implemented", self.implemented_by, self.told_by_sources(changes.ChangeStarted)),
        ):
            names = [*map(quoted, people), *(f"{quoted(who)} (a source says so)" for who in others)]
            yield f"{word} by {named(names, SOME) or 'nobody named'}"

    def explain(self) -> str:
        """
        Return, for a person, the decisions in log order and the answer to every question.

        Of a change with very many decisions the first are told; all are in `decisions`.
        """
        known_at = "the end of the log" if self.known_at is None else self.known_at
        lines = [
            f"decisions on change {self.change}, known at {known_at} "
            f"(log position {self.log_position})",
            *(f"  {line}" for line in self.people()),
        ]
        lines += excerpt(
            self.decisions, _decision_lines, indent="  ", most=MANY, what="more decisions"
        )
        lines.append(f"  separation of duties: {self.separation_of_duties.value}")
        lines += [f"  {f.verdict.value}: {f.question.value}: {f.reason}" for f in self.findings]
        return joined(lines)

    def as_dict(self) -> dict[str, Any]:
        """
        Return the trail as plain values for JSON; docs/json.md says what its keys mean.

        All decisions are there; whole events are left out.
        """
        duties = self.separation_of_duties.value
        return {"shape": SHAPE, **jsonable(self), "separation_of_duties": duties}


_CAPACITIES: Final = (Authority.CAB, Authority.SERVICE_OWNER)


def _decision_lines(decision: Decision) -> Iterator[str]:
    line = (
        f"  position {decision.position}, version {decision.version}: "
        f"{decision.what}{_told(decision.event)} by {quoted(decision.by)}"
    )
    if decision.authority is not None and decision.authority in _CAPACITIES:
        line += f" as {decision.authority.value}"
    if decision.edits is not None:
        line += f": version {decision.edits}"
    if decision.quorum is not None:
        line += f": {decision.votes} of {decision.quorum} votes for content {decision.content}"
    if decision.policy is not None:
        policy = f"{quoted(decision.policy.name)} {quoted(decision.policy.version)}"
        line += f", policy {policy} said: {decision.policy.said}"
    marks = [
        mark
        for mark, there in (
            ("approval outstanding", decision.outstanding),
            (f"unauthorised: {decision.unauthorised}", decision.unauthorised),
            ("imported", decision.imported),
            ("words redacted", decision.redacted),
            (f"no longer counts since position {decision.lapsed_by}", decision.lapsed_by),
            (f"corrected at position {_numbers(decision.corrected_by)}", decision.corrected_by),
            (f"struck through at position {decision.voided_by}", decision.voided_by),
        )
        if there
    ]
    yield line + "".join(f" [{mark}]" for mark in marks)
    yield f"    at {_moment(decision.at)}, recorded at {decision.recorded_at}"
    if decision.why:
        yield f"    why: {decision.why}"
    for change in decision.altered:
        yield f"    {change.field}: was {jsonable(change.was)}, is {jsonable(change.now)}"
    if decision.voids:
        yield f"    voids the approvals at position {_numbers(decision.voids)}"


def _told(event: object) -> str:
    """Return what a step was about, where its name alone does not say that."""
    match event:
        case changes.FreezeOverridden():
            return f" {quoted(event.freeze)}"
        case changes.ChangeValidated():
            return f" {quoted(event.check)}, which {'passed' if event.passed else 'failed'},"
        case changes.RolloutAdvanced():
            return f" to {event.percent:g} %"
        case changes.ChangeClosed() if event.result is not None:
            return f" as {event.result.value}"
        case changes.StepRefusedRecorded():
            return f": {quoted(event.step)} (guard {quoted(event.guard)}), asked"
        case _:
            return ""


def _moment(moment: Moment | None) -> str:
    if moment is None:
        return "an unknown time"
    first, last = earliest(moment), latest(moment)
    return str(first) if first == last else f"{first} to {last}"


def _numbers(positions: Iterable[int]) -> str:
    return named([str(position) for position in positions], SOME)


# --- the trail ------------------------------------------------------------------------------------

_NO_DECISION: Final = (
    *(changes.CommitsRecorded, DurationStated, ReferenceAdded),
    *(SourceSaid, SourceWithdrew, SourceReinstated),
)

_WORDS: Final[Mapping[type, str]] = {
    changes.ChangePlanned: "planned",
    changes.ChangeRevised: "revised",
    changes.ChangeRescoped: "rescoped",
    changes.ChangeReworded: "reworded",
    changes.ContentCorrectedAfterApproval: "content corrected after approval",
    changes.ChangeSubmitted: "submitted",
    changes.ChangeApproved: "approved",
    changes.VoteGiven: "approved",
    changes.StepRefusedRecorded: "refused a step",
    changes.ChangeRejected: "rejected",
    changes.ChangeApprovedRetroactively: "approved afterwards",
    changes.RetroactiveApprovalRefused: "refused afterwards",
    changes.ChangeScheduled: "scheduled",
    changes.FreezeOverridden: "freeze overridden",
    changes.ChangeHeld: "put on hold",
    changes.ChangeReleased: "released",
    changes.ChangeStarted: "started",
    changes.ChangeObserved: "found in production",
    changes.RolloutAdvanced: "rollout advanced",
    changes.RolloutPaused: "rollout paused",
    changes.RolloutAborted: "rollout aborted",
    changes.ChangeCompleted: "completed",
    changes.ChangeDeployed: "in production",
    changes.ChangeFailed: "failed",
    changes.ChangeRolledBack: "rolled back",
    changes.ChangeRecovered: "recovered",
    changes.ChangeValidated: "validated",
    changes.ChangeClosed: "closed",
    changes.ChangeCancelled: "cancelled",
    EventVoided: "voided",
    WordsRedacted: "words redacted",
    **dict.fromkeys(CORRECTIONS, "corrected"),
}

_VOTES: Final = (changes.ChangeApproved, changes.VoteGiven)
_REVISIONS: Final = (changes.ChangeRevised, changes.ChangeRescoped)
_CONTENT: Final = (changes.ChangePlanned, *_REVISIONS)
_CLEARS: Final = (*_REVISIONS, changes.ChangeRejected)
"""Events that end the approvals so far."""
_CONTENT_AND_APPROVALS: Final = (
    *_CONTENT,
    changes.ChangeReworded,
    changes.ChangeRejected,
    *_VOTES,
)
"""Events that say what the content is, in which words, and which approvals count for it."""
_FACTS: Final = (
    "kind",
    "services",
    "risk",
    "window",
    "incident",
    "has_rollback_plan",
    "has_monitoring_plan",
    "has_test_plan",
)
_SCOPE: Final = ("environment", "labels")
_TEXTS: Final = ("title", "description", "rollback_plan", "monitoring_plan", "test_plan")


def decision_trail(
    log: Iterable[Recorded], change: str, *, known_at: int | datetime | None = None
) -> DecisionTrail:
    """
    Return who decided what on one change, and whether the rules of deciding held.

    A question is unknown where imported history does not say: whoever brought it in is not taken
    for whoever did it. One more case is unknown: an approval told to lie before the work began
    that the log took only after that, since nothing but the word of who told it says so. So are a
    moment that decides the answer and was corrected, and what is so only since a void.

    An approval counts until a revision or a rejection ends it, or what it was given to is voided;
    if that revision itself is voided later, it counts again. The positions a revision `voids` are
    those that stopped counting when it was recorded, whatever became of it.

    Reads the log once and keeps only the events of this change.

    Args:
        log: Recorded events in log order.
        change: The id of the change.
        known_at: A position (that one included) or a time; see `imcm.facts`.

    Raises:
        UnknownIdError: There is no such change in the part of the log that is read.
        NaiveTimeError: A time without a zone.
        InvalidValue: *known_at* is no position and no time.
    """
    name, position, stream = stream_of(CHANGE, checked_text("change", change)), 0, list[Recorded]()
    for recorded in known(log, known_at):
        position = recorded.position
        if recorded.stream == name:
            stream.append(recorded)
    if not stream:
        raise UnknownIdError(CHANGE, change)
    return trail_of(stream, known_at=known_at, log_position=position)


def trail_of(
    stream: Sequence[Recorded], *, known_at: int | datetime | None = None, log_position: int = 0
) -> DecisionTrail:
    """
    Return the trail of one change.

    Args:
        stream: All its events that were known, oldest first; one at least.
        known_at, log_position: What was asked for, and how far the log was read.
    """
    change = kind_and_id(stream[0].stream)[1]
    # Decisions are ordered by knowledge: none is cut by the time it speaks of.
    entries = replayed(stream, change=change)
    decisions = _decisions(stream, entries)
    votes = [decision for decision in decisions if _approves(decision)]
    people = _People.of(decisions)
    return DecisionTrail(
        change=change,
        known_at=known_at,
        log_position=log_position,
        requested_by=next((person.name for person in people.requested if person.named), None),
        planned_by=_once(people.planned),
        submitted_by=_once(people.submitted),
        implemented_by=_once(people.implemented),
        approved_by=_once([_Person.of(vote) for vote in votes if vote.counts]),
        decisions=tuple(decisions),
        findings=tuple(_findings(decisions, people)),
    )


def _decisions(stream: Sequence[Recorded], entries: Iterable[Entry]) -> list[Decision]:
    """Return the decisions of a stream in log order, each approval with what became of it."""
    positions = {recorded.version: recorded.position for recorded in stream}
    result: list[Decision] = []
    ended: dict[int, int] = {}
    effective = _EffectiveContent()
    for recorded, entry in zip(stream, entries, strict=True):
        written = recorded.event
        altered = tuple(_altered(written, effective))
        voids = tuple(positions[vote] for vote in effective.apply(recorded.version, written))
        decision = attrs.evolve(
            _decision(entry, entry.event, effective.content),
            redacted=recorded.redacted,
            altered=altered,
            voids=voids,
        )
        ended.update(dict.fromkeys(decision.voids, decision.position))
        result.append(decision)
    counting = {positions[version] for version in effective.votes()}
    left_out = {decision.version for decision in result if isinstance(decision.event, _NO_DECISION)}
    return [
        _settled(decision, counting, ended)
        for decision in result
        if decision.version not in left_out and decision.edits not in left_out
    ]


def _settled(decision: Decision, counting: set[int], ended: Mapping[int, int]) -> Decision:
    """Return a decision with what became of it, where it is an approval."""
    if isinstance(decision.event, changes.ChangeApprovedRetroactively):
        return attrs.evolve(decision, counts=decision.voided_by is None)
    if not isinstance(decision.event, _VOTES):
        return decision
    if decision.position in counting:
        return attrs.evolve(decision, counts=True)
    return attrs.evolve(decision, counts=False, lapsed_by=ended.get(decision.position))


def _decision(entry: Entry, event: Any, after: int | None) -> Decision:
    """
    Return one decision, *after* which the event of this version holds the content.

    Any: what an event carries depends on its class.
    """
    edits: int | None = event.version if type(event) in EDITS else None
    vote = event if isinstance(event, _VOTES) and not event.imported else None
    content = None if vote is None else vote.content
    if isinstance(event, (*_CONTENT, changes.ChangeSubmitted, changes.ChangeRejected)):
        content = after
    return Decision(
        what=_word(event, entry.what),
        type=entry.what,
        at=entry.at,
        by=entry.by,
        recorded_at=entry.recorded_at,
        position=entry.position,
        version=entry.version,
        record=entry.record,
        source=entry.source,
        imported=getattr(event, "imported", False),
        event=entry.event,
        content=content,
        authority=getattr(event, "authority", None),
        policy=getattr(event, "policy", None),
        votes=None if vote is None else vote.votes,
        quorum=None if vote is None else vote.quorum,
        quorum_met=None if vote is None else vote.status is ChangeStatus.APPROVED,
        template=getattr(event, "template", None),
        outstanding=getattr(event, "outstanding", False),
        unauthorised=getattr(event, "unauthorised", ""),
        why=event.reason if isinstance(event, WordsRedacted) else getattr(event, "why", ""),
        edits=edits,
        corrected_by=entry.corrected_by,
        voided_by=entry.voided_by,
    )


def _word(event: object, name: str) -> str:
    if isinstance(event, changes.ChangeSubmitted) and event.template is not None:
        return "pre-approved"
    return _WORDS.get(type(event), name)


def _altered(event: Any, before: _EffectiveContent) -> Iterator[Altered]:
    """
    Yield what an event changed, as it was when it was recorded.

    Any: the type of a value depends on its field.
    """
    if type(event) in CORRECTIONS:
        yield Altered(field=event.field, was=event.was, now=event.now)
    elif isinstance(event, (*_REVISIONS, changes.ChangeReworded)):
        for fields, last in ((_FACTS, before.last_plan()), (_SCOPE, before.last_scope())):
            for field in fields:
                if not hasattr(event, field):
                    continue
                was, now = getattr(last, field, None), getattr(event, field)
                if was != now:
                    yield Altered(field=field, was=was, now=now)
        for field in _TEXTS:
            was, now = before.text(field), getattr(event, field, "")
            if now and was != now:
                yield Altered(field=field, was=was, now=now)


class _EffectiveContent:
    """
    What stands of the contents of a change, and of the approvals for them, event by event.

    A void or a correction is carried out where it stands in the log, so that nothing is folded
    again for it.
    """

    def __init__(self) -> None:
        # By version, in log order: contents, rejections and approvals, corrections applied.
        self._facts: dict[int, Any] = {}
        self._contents: dict[int, None] = {}
        self._plans: dict[int, None] = {}  # those of them that tell all but the scope
        self._scopes: dict[int, None] = {}
        self._texts: dict[str, dict[int, None]] = {field: {} for field in _TEXTS}

    @property
    def content(self) -> int | None:
        """Version of the event that holds the content; None before any plan."""
        return next(reversed(self._contents), None)

    def last_plan(self) -> Any:
        """Return the event that holds the content but for its scope; None before any plan."""
        return self._facts.get(next(reversed(self._plans), 0))

    def last_scope(self) -> Any:
        """Return the event that holds environment and labels; None before any plan."""
        return self._facts.get(next(reversed(self._scopes), 0))

    def text(self, field: str) -> str:
        """Return words of the content: what a revision does not give is as it was."""
        last = next(reversed(self._texts[field]), None)
        return "" if last is None else getattr(self._facts[last], field)

    def votes(self) -> list[int]:
        """Return the versions of the approvals that count for the content."""
        since: list[tuple[int, Any]] = []
        for version in reversed(self._facts):
            event = self._facts[version]
            if isinstance(event, _CLEARS):
                break
            since.append((version, event))
        planned = sum(isinstance(event, changes.ChangePlanned) for _, event in since)
        content = next(islice(reversed(self._contents), planned, None), None)
        votes: list[int] = []
        for version, event in reversed(since):
            if isinstance(event, changes.ChangePlanned):
                content = version
            elif isinstance(event, _VOTES) and event.content == content and not event.imported:
                votes.append(version)
        return votes

    def apply(self, version: int, event: Any) -> list[int]:
        """
        Apply one more event; return the versions of approvals that it ended.

        One that it strikes through is not among them. Any: which fields there are depends on the
        class of the event.
        """
        if type(event) in EDITS:
            target = self._facts.get(event.version)
            if target is None:
                return []
            if isinstance(event, EventVoided):
                return self._void(event.version, target)
            if corrects(event, target):  # of nothing that a vote depends on
                self._facts[event.version] = replaced(target, **{event.field: event.now})
            return []
        if not isinstance(event, _CONTENT_AND_APPROVALS):
            return []
        ended = self.votes() if isinstance(event, _CLEARS) else []
        self._facts[version] = event
        if isinstance(event, _CONTENT):
            self._contents[version] = None
            if not isinstance(event, changes.ChangeRescoped):
                self._plans[version] = None
            if not isinstance(event, changes.ChangeRevised):
                self._scopes[version] = None
        for field, given in self._texts.items():
            if getattr(event, field, ""):
                given[version] = None
        return ended

    def _void(self, version: int, target: object) -> list[int]:
        ended: list[int] = []
        if isinstance(target, _CONTENT):
            # What counted for it counts for nothing now, and all else for what it did.
            ended = [vote for vote in self.votes() if self._facts[vote].content == version]
            del self._contents[version]
        for versions in (self._plans, self._scopes, *self._texts.values()):
            versions.pop(version, None)
        del self._facts[version]
        return ended


def _stood_before(
    events: Iterable[tuple[int, Any]], end: int | None
) -> tuple[frozenset[int], int | None]:
    """
    Return what stood before the version *end* (None: at the end) of events that all stand.

    That is: the versions of the approvals that count, and that of the submission whose template
    pre-approves it.
    """
    effective = _EffectiveContent()
    template: int | None = None
    for version, event in events:
        if version == end:
            break
        effective.apply(version, event)
        if isinstance(event, _CLEARS):
            template = None
        elif (
            isinstance(event, changes.ChangeSubmitted)
            and event.template is not None
            and not event.imported
        ):
            template = version
    return frozenset(effective.votes()), template


# --- people ---------------------------------------------------------------------------------------


@attrs.frozen
class _Person:
    """Somebody who did something; *named* is False where only the importer is known."""

    name: str
    named: bool
    position: int

    @classmethod
    def of(cls, decision: Decision) -> _Person:
        return cls(decision.by, not decision.imported, decision.position)


@attrs.frozen(kw_only=True)
class _People:
    """Who asked, wrote, submitted and implemented, as far as it stands."""

    requested: list[_Person]
    planned: list[_Person]
    submitted: list[_Person]
    implemented: list[_Person]

    @classmethod
    def of(cls, decisions: Iterable[Decision]) -> _People:
        people = cls(requested=[], planned=[], submitted=[], implemented=[])
        for decision in decisions:
            if decision.voided_by is not None:
                continue
            person = _Person.of(decision)
            match decision.event:
                case changes.ChangePlanned():
                    asked = decision.event.requested_by
                    people.planned.append(person)
                    people.requested.append(
                        person if asked is None else _Person(asked, True, decision.position)
                    )
                case changes.ChangeRevised() | changes.ChangeRescoped():
                    people.planned.append(person)
                case changes.ChangeSubmitted():
                    people.submitted.append(person)
                case (
                    changes.ChangeStarted()
                    | changes.RolloutAdvanced()
                    | changes.ChangeCompleted()
                    | changes.ChangeDeployed()
                    | changes.ChangeFailed()
                ):
                    people.implemented.append(person)
                case changes.ChangeObserved():
                    # Whoever found it is neither who asked for it nor who brought it in.
                    nobody = _Person(decision.by, False, decision.position)
                    people.implemented.append(nobody)
                    if not people.requested:
                        people.requested.append(nobody)
                case _:
                    pass
        return people


def _once(people: Iterable[_Person]) -> tuple[str, ...]:
    """Return the names of those that are named, each once under whatever spelling."""
    names: dict[str, str] = {}
    for person in people:
        if person.named:
            names.setdefault(folded(person.name), person.name)
    return tuple(names.values())


def _approves(decision: Decision) -> bool:
    """Say whether a decision is an approval by a person that stands."""
    approvals = (*_VOTES, changes.ChangeApprovedRetroactively)
    return isinstance(decision.event, approvals) and decision.voided_by is None


# --- the questions --------------------------------------------------------------------------------


def _findings(decisions: Sequence[Decision], people: _People) -> Iterator[Finding]:
    stands = [decision for decision in decisions if decision.voided_by is None]
    votes = [_Person.of(decision) for decision in stands if _approves(decision)]
    imported = any(decision.imported for decision in stands)
    # Whoever takes part in what was approved does so before the vote: a later revision ends it.
    for question, word, who in (
        (Question.REQUESTER, "asked for", people.requested),
        (Question.PLANNER, "planned or revised", people.planned),
        (Question.SUBMITTER, "submitted", people.submitted),
    ):
        yield _apart(question, word, who, votes, before=True, imported=imported)
    counted = [
        _Person.of(decision)
        for decision in stands
        if _approves(decision) and (decision.counts or decision.imported)
    ]
    who = people.implemented
    yield _apart(Question.IMPLEMENTER, "implemented", who, counted, before=False, imported=imported)
    gone = [decision for decision in decisions if decision.voided_by is not None]
    yield from _went_in(stands, gone)
    yield _settled_afterwards(stands, gone)
    yield _allowed(stands, gone)


def _apart(
    question: Question,
    word: str,
    who: Sequence[_Person],
    votes: Sequence[_Person],
    *,
    before: bool,
    imported: bool,
) -> Finding:
    positions = _positions([*who, *votes])
    did, approved = _in_both(who, votes, before=before)
    if approved:
        names = ", ".join(dict.fromkeys(quoted(vote.name) for vote in approved))
        broken_at = _positions([*did, *approved])
        return _finding(question, Ruling.BROKEN, f"{names} {word} it and approved it", broken_at)
    alike = next(_alike(who, votes), None)
    if alike is not None:
        doer, voter = alike
        reason = (
            f"{told_apart(doer.name)} {word} it and {told_apart(voter.name)} approved it: ids that "
            "read alike, so whether they are two people the log does not say"
        )
        return _finding(question, Ruling.UNKNOWN, reason, _positions(alike))
    if not all(person.named for person in who):
        return _finding(question, Ruling.UNKNOWN, f"the log does not say who {word} it", positions)
    if not all(vote.named for vote in votes) or (imported and not votes):
        return _finding(question, Ruling.UNKNOWN, "the log does not say who approved it", positions)
    if not votes:
        return _finding(question, Ruling.NOTHING, "nobody's approval stands", positions)
    if not who:
        return _finding(question, Ruling.NOTHING, f"nobody {word} it", positions)
    approvers, doers = (", ".join(map(quoted, _once(of))) for of in (votes, who))
    return _finding(question, Ruling.HELD, f"{word} by {doers}, approved by {approvers}", positions)


def _alike(who: Iterable[_Person], votes: Iterable[_Person]) -> Iterator[tuple[_Person, _Person]]:
    """Yield those whose ids read as that of somebody who approved, and are another's."""
    approved = {reads_as(vote.name): vote for vote in votes if vote.named}
    for person in who:
        vote = approved.get(reads_as(person.name)) if person.named else None
        if vote is not None and folded(vote.name) != folded(person.name):
            yield person, vote


def _in_both(
    who: Iterable[_Person], votes: Iterable[_Person], *, before: bool
) -> tuple[list[_Person], list[_Person]]:
    """
    Return those who also approved it, with the approvals that are theirs, each once.

    Args:
        who, votes: In log order.
        before: Whether only approvals after what somebody did count.
    """
    # The importer is in both, so a name that nobody gave is not taken for the same person: whoever
    # is not named is looked up among the approvals of those that are.
    theirs: dict[tuple[str, bool], list[_Person]] = {}
    for vote in votes:
        name = folded(vote.name)
        theirs.setdefault((name, True), []).append(vote)
        if vote.named:
            theirs.setdefault((name, False), []).append(vote)
    taken = {key: len(mine) for key, mine in theirs.items()}
    did: list[_Person] = []
    approved: dict[int, _Person] = {}
    for person in who:
        key = folded(person.name), person.named
        mine = theirs.get(key, [])
        start = bisect_right(mine, person.position, key=_position) if before else 0
        if start < len(mine):
            did.append(person)
            approved |= {vote.position: vote for vote in mine[start : taken[key]]}
            taken[key] = min(taken[key], start)
    return did, list(approved.values())


def _position(person: _Person) -> int:
    return person.position


def _finding(
    question: Question, verdict: Ruling, reason: str, positions: tuple[int, ...] = ()
) -> Finding:
    return Finding(question=question, verdict=verdict, reason=reason, positions=positions)


def _positions(basis: Iterable[_Person | Decision]) -> tuple[int, ...]:
    return tuple(sorted({item.position for item in basis}))


def entered(decision: Decision) -> bool:
    """Say whether an event says that work in production has begun or something got there."""
    event = decision.event
    if isinstance(event, (changes.ChangeFailed, changes.ChangeRolledBack)):
        return event.reached_production is True
    began = (
        changes.ChangeStarted,
        changes.ChangeObserved,
        changes.RolloutAdvanced,
        changes.ChangeCompleted,
        changes.ChangeDeployed,
    )
    return isinstance(event, began)


def _went_in(stands: Sequence[Decision], gone: Sequence[Decision]) -> Iterator[Finding]:
    """Yield the answers to QUORUM and BEFORE, of the first event that says that it went in."""
    quorum, before = Question.QUORUM, Question.BEFORE
    entry = next((decision for decision in stands if entered(decision)), None)
    end = None if entry is None else entry.version
    counted, template = _stood_before(
        ((decision.version, decision.event) for decision in stands), end
    )
    votes = [decision for decision in stands if decision.version in counted]
    if entry is not None and entry.at is not None:
        votes = [vote for vote in votes if not _has_lapsed(vote, entry.at)]
    so_far = _ballot(votes)
    if entry is None:
        voided = [decision for decision in gone if entered(decision) and not decision.imported]
        if voided:
            word = f"what said that it went in was voided: position {_numbers(_at(voided))}"
            yield _finding(
                quorum, Ruling.UNKNOWN, f"{word}; {so_far}", _positions([*votes, *voided])
            )
            yield _finding(before, Ruling.UNKNOWN, word, _positions([*votes, *voided]))
            return
        yield _finding(quorum, Ruling.NOTHING, f"nothing has gone in; {so_far}", _positions(votes))
        yield _finding(before, Ruling.NOTHING, "nothing has gone in", _positions(votes))
        return
    positions = _positions([*votes, entry])
    if entry.imported:
        word = "imported history does not say"
        yield _finding(quorum, Ruling.UNKNOWN, word, positions)
        yield _imported_before(stands, entry, word)
        return
    if entry.outstanding:
        emergency = _was_an_emergency(stands)
        verdict = Ruling.NOTHING if emergency else Ruling.BROKEN
        word = _EMERGENCY if emergency else "it went in with approval outstanding"
        yield _finding(quorum, verdict, word, positions)
        yield _finding(before, verdict, word, positions)
        return
    recipe = next((decision for decision in stands if decision.version == template), None)
    if recipe is not None and recipe.template is not None:
        positions = _positions([recipe, entry])
        word = f"pre-approved by template {recipe.template.name} {recipe.template.version}"
        yield _finding(quorum, Ruling.HELD, word, positions)
        yield _before([recipe], entry, positions, stands)
        return
    people = {folded(vote.by) for vote in votes}
    enough = bool(votes) and len(people) >= _needed(votes)
    doubts = list(_doubts(votes, stands, gone))
    held = Ruling.UNKNOWN if doubts else Ruling.HELD
    if doubts:
        so_far = "; ".join((so_far, *(word for word, _ in doubts)))
        positions = tuple(sorted({*positions, *(at for _, where in doubts for at in where)}))
    yield _finding(quorum, held if enough else Ruling.BROKEN, so_far, positions)
    finding = _before(votes, entry, positions, stands)
    if finding.verdict is Ruling.HELD and (before_it := _went_in_before(gone)):
        word = f"it had gone in before that, which was voided: position {_numbers(_at(before_it))}"
        finding = _finding(before, Ruling.UNKNOWN, f"{finding.reason}; {word}", finding.positions)
    yield finding


_EMERGENCY: Final = "an emergency may go in before it is approved; what was ruled afterwards counts"


def _was_an_emergency(stands: Iterable[Decision]) -> bool:
    plans = [each.event for each in stands if isinstance(each.event, changes.ChangePlanned)]
    return bool(plans) and plans[-1].type is ChangeType.EMERGENCY


def _doubts(
    votes: Sequence[Decision], stands: Sequence[Decision], gone: Sequence[Decision]
) -> Iterator[tuple[str, list[int]]]:
    """Yield why a quorum that was met may be none, and where that is seen."""
    rejections = [
        decision
        for decision in gone
        if isinstance(decision.event, changes.ChangeRejected) and _by_another(decision, stands)
    ]
    if rejections:
        yield f"a rejection was voided: position {_numbers(_at(rejections))}", _at(rejections)
    unapproved = _went_in_before(gone)
    if unapproved:
        where = _numbers(_at(unapproved))
        yield f"it had gone in without approval, voided: position {where}", _at(unapproved)
    if len({reads_as(vote.by) for vote in votes}) < len({folded(vote.by) for vote in votes}):
        names = ", ".join(told_apart(vote.by) for vote in votes)
        yield f"ids that read alike voted: {names}", _at(votes)


def _went_in_before(gone: Iterable[Decision]) -> list[Decision]:
    """Return what said that it went in without approval, and was voided."""
    return [
        decision
        for decision in gone
        if entered(decision) and decision.outstanding and not decision.imported
    ]


def _by_another(decision: Decision, stands: Iterable[Decision]) -> bool:
    """Say whether somebody else voided it than whose it is."""
    voiders = (other.by for other in stands if other.position == decision.voided_by)
    return any(folded(by) != folded(decision.by) for by in voiders)


def _has_lapsed(vote: Decision, at: Moment) -> bool:
    ends: Moment | None = getattr(vote.event, "valid_until", None)
    return ends is not None and earliest(ends) <= latest(at)


def _needed(votes: Iterable[Decision]) -> int:
    """Return the quorum that the votes themselves carry; the largest where they differ."""
    return max((vote.quorum or 0 for vote in votes), default=0)


def _ballot(votes: Sequence[Decision]) -> str:
    if not votes:
        return "no vote for its content stands"
    people = len({folded(vote.by) for vote in votes})
    return f"{people} of {_needed(votes)} votes for its content stand"


def _imported_before(stands: Sequence[Decision], entry: Decision, word: str) -> Finding:
    """Answer from imported moments: they can show an approval that came too late, and no more."""
    for decision in stands:
        if isinstance(decision.event, _VOTES) and _after(decision.at, entry.at):
            reason = f"approved at {_moment(decision.at)}, went in at {_moment(entry.at)}"
            return _finding(Question.BEFORE, Ruling.BROKEN, reason, _positions([decision, entry]))
    return _finding(Question.BEFORE, Ruling.UNKNOWN, word, (entry.position,))


def _at(decisions: Iterable[Decision]) -> list[int]:
    return [decision.position for decision in decisions]


def uncorrected_moment(
    decision: Decision, stands: Iterable[Decision]
) -> tuple[Moment | None, list[int]]:
    """Return the moment of a decision before anybody corrected it, and where that was done."""
    corrections = [
        other
        for other in stands
        if other.edits == decision.version and getattr(other.event, "field", "") == "at"
    ]
    if not corrections:
        return decision.at, []
    first: Any = corrections[0].event  # a correction says what stood before it
    return first.was, _at(corrections)


def _before(
    approvals: Sequence[Decision],
    entry: Decision,
    positions: tuple[int, ...],
    stands: Sequence[Decision],
) -> Finding:
    question, went = Question.BEFORE, f"went in at {_moment(entry.at)}"
    if not approvals:
        return _finding(question, Ruling.BROKEN, "no approval of what went in stands", positions)
    for approval in approvals:
        if _after(approval.at, entry.at):
            reason = f"approved at {_moment(approval.at)}, {went}"
            return _finding(question, Ruling.BROKEN, reason, _positions([approval, entry]))
    for approval in approvals:
        if _after(approval.recorded_at, entry.at):
            reason = f"the approval was recorded only at {approval.recorded_at}, {went}"
            return _finding(question, Ruling.UNKNOWN, reason, _positions([approval, entry]))
    at_first, corrected = uncorrected_moment(entry, stands)
    for approval in approvals:
        if corrected and _after(approval.at, at_first):
            reason = (
                f"approved at {_moment(approval.at)}; it was first told to have gone in at "
                f"{_moment(at_first)}, corrected at position {_numbers(corrected)}"
            )
            return _finding(
                question, Ruling.UNKNOWN, reason, tuple(sorted({*positions, *corrected}))
            )
    moment = _moment(approvals[-1].at)
    return _finding(question, Ruling.HELD, f"approved at {moment}, {went}", positions)


def _after(moment: Moment | None, other: Moment | None) -> bool:
    """Say whether a moment surely came after another one."""
    return moment is not None and other is not None and utc(latest(other)) < utc(earliest(moment))


def _settled_afterwards(stands: Sequence[Decision], gone: Sequence[Decision]) -> Finding:
    question = Question.SETTLED
    outstanding: Decision | None = None
    rulings: list[Decision] = []
    refused = False
    for decision in stands:
        if isinstance(decision.event, _RULINGS):
            refused = refused or isinstance(decision.event, changes.RetroactiveApprovalRefused)
            rulings.append(decision)
            outstanding = None
        elif isinstance(decision.event, _REVISIONS) and not decision.imported:
            outstanding = None  # what is approved after it is the content as it stands
        elif decision.outstanding or (
            decision.unauthorised and isinstance(decision.event, _GUARDED)
        ):
            outstanding = outstanding or decision
    if refused:
        return _finding(question, Ruling.BROKEN, "refused afterwards", _positions(rulings))
    if outstanding is not None:
        reason = "its approval is outstanding"
        return _finding(question, Ruling.BROKEN, reason, (outstanding.position,))
    undone = [
        decision
        for decision in gone
        if isinstance(decision.event, changes.RetroactiveApprovalRefused)
        and _by_another(decision, stands)
    ]
    if rulings and undone:
        reason = f"approved afterwards; a refusal was voided: position {_numbers(_at(undone))}"
        return _finding(question, Ruling.UNKNOWN, reason, _positions([*rulings, *undone]))
    if rulings:
        return _finding(question, Ruling.HELD, "approved afterwards", _positions(rulings))
    entry = next((decision for decision in stands if entered(decision)), None)
    if entry is not None and entry.imported:
        reason = "imported history does not say"
        return _finding(question, Ruling.UNKNOWN, reason, (entry.position,))
    return _finding(question, Ruling.NOTHING, "nothing went in without approval")


_RULINGS: Final = (changes.ChangeApprovedRetroactively, changes.RetroactiveApprovalRefused)
_GUARDED: Final = (
    changes.ChangeCompleted,
    changes.ChangeFailed,
    changes.RolloutAborted,
    changes.ChangeRolledBack,
    changes.ContentCorrectedAfterApproval,
)
"""Events that leave approval outstanding where a guard says no to them."""


def _allowed(stands: Sequence[Decision], gone: Sequence[Decision]) -> Finding:
    question = Question.ALLOWED
    unauthorised = [decision for decision in stands if decision.unauthorised]
    if unauthorised:
        guards = ", ".join(dict.fromkeys(decision.unauthorised for decision in unauthorised))
        return _finding(
            question, Ruling.BROKEN, f"these would have: {guards}", _positions(unauthorised)
        )
    imported = [decision for decision in stands if decision.imported]
    if imported:
        reason = "imported history was asked of no guard"
        return _finding(question, Ruling.UNKNOWN, reason, _positions(imported))
    voided = [decision for decision in gone if decision.unauthorised]
    if voided:
        reason = f"what a guard would have refused was voided: position {_numbers(_at(voided))}"
        return _finding(question, Ruling.UNKNOWN, reason, _positions(voided))
    return _finding(question, Ruling.HELD, "nothing was told that a guard would have refused")
