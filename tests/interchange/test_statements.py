"""Statements of sources into a ledger: known, corrected, taken back, and in any order."""

import sqlite3
from datetime import UTC, datetime, timedelta

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imcm import Ledger, facts, incident
from imcm.domain.corrections import EventVoided
from imcm.domain.vocabulary import HoldReason, Risk, Severity
from imcm.errors import InvalidValue
from imcm.interchange.deciding import additions
from imcm.interchange.statements import HAPPENINGS, Happening, Statement
from imcm.interchange.taking_in import record_statements

NOON = datetime(2026, 3, 6, 12, 0, tzinfo=UTC)


def at(hours):
    return NOON + timedelta(hours=hours)


def said(kind="incident", id="1", **more):
    return Statement(kind=kind, id=id, **more)


def happened(*pairs, **more):
    return said(happened=[Happening(*pair) for pair in pairs], **more)


def told(*statements, source="pd", ledger=None):
    """Return a ledger that was told statements one by one."""
    ledger = Ledger.in_memory() if ledger is None else ledger
    for statement in statements:
        record_statements(ledger, [statement], source=source)
    return ledger


def row_of(ledger, kind="incidents"):
    [row] = getattr(facts(ledger.replay()), kind)
    return row


def events(ledger, stream="incident:pd/1"):
    return [each.event for each in ledger.history(stream)]


class TestAnIncident:
    DOWN = happened(
        ("detected", NOON),
        facts={"title": "down", "severity": "P1", "services": ["pay"], "labels": {"team": "a"}},
        said_at=NOON,
    )

    def test_is_what_the_source_says(self):
        ledger = told(self.DOWN, happened(("acknowledged", at(1), "zoe")),
                      happened(("mitigated", at(2)), ("resolved", at(3))))  # fmt: skip
        row = row_of(ledger)
        assert (row.id, row.status, row.services) == ("pd/1", "resolved", ("pay",))
        assert (row.detected_at, row.acknowledged_at) == (NOON, at(1))
        assert (row.spells[0].mitigated, row.spells[0].resolved) == (at(2), at(3))
        assert (row.severity_last, row.labels) == (Severity.P1, {"team": "a"})
        assert [event.by for event in events(ledger)] == ["pd", "pd", "zoe", "pd", "pd"]

    def test_said_again_is_known(self):
        ledger = told(self.DOWN)
        taken = record_statements(ledger, [self.DOWN, self.DOWN], source="pd")
        assert (taken.events, taken.known, taken.things) == (0, 1, 1)

    def test_said_otherwise_later_is_a_correction_and_earlier_is_superseded(self):
        ledger = told(self.DOWN)
        later = said(facts={"severity": "P3", "services": ["pay", "web"]}, said_at=at(2))
        taken = record_statements(ledger, [later], source="pd")
        assert (taken.events, taken.corrected) == (2, 1)
        older = said(facts={"severity": "P2"}, said_at=at(1))
        taken = record_statements(ledger, [older], source="pd")
        assert (taken.events, taken.superseded) == (0, 1)
        assert row_of(ledger).severity_last is Severity.P3

    def test_numbers_come_before_times(self):
        ledger = told(said(facts={"severity": "P1"}, sequence=2, said_at=at(1)))
        taken = record_statements(
            ledger, [said(facts={"severity": "P2"}, sequence=1, said_at=at(9))], source="pd"
        )
        assert taken.superseded == 1

    def test_without_any_order_what_arrives_last_counts(self):
        ledger = told(said(facts={"severity": "P1"}), said(facts={"severity": "P2"}))
        assert row_of(ledger).severity_last is Severity.P2

    def test_a_persons_correction_stays_until_the_source_says_something_else(self):
        ledger = told(self.DOWN)
        ledger.record("pd/1", incident.correct, by="ann", at=at(1), version=2, field="severity",
                      was=Severity.P1, now=Severity.P2, why="no")  # fmt: skip
        told(said(facts={"severity": "P1"}, said_at=at(2)), ledger=ledger)
        assert row_of(ledger).severity_last is Severity.P2
        told(said(facts={"severity": "P3"}, said_at=at(3)), ledger=ledger)
        assert row_of(ledger).severity_last is Severity.P3

    def test_labels_are_facts_one_by_one(self):
        ledger = told(self.DOWN, said(facts={"labels": {"area": "b"}}, said_at=at(1)))
        assert row_of(ledger).labels == {"team": "a", "area": "b"}
        told(said(facts={"labels": {"team": None, "x": "1"}}, said_at=at(2)), ledger=ledger)
        assert row_of(ledger).labels == {"area": "b", "x": "1"}

    def test_an_emptied_end_is_a_reopening(self):
        ended = said(facts={"detected_at": NOON, "resolved_at": at(1)}, said_at=at(1))
        again = said(facts={"detected_at": NOON, "resolved_at": None}, said_at=at(2))
        ledger = told(ended, again)
        assert row_of(ledger).status == "mitigating"
        over = said(facts={"detected_at": NOON, "resolved_at": at(5)}, said_at=at(5))
        told(over, ledger=ledger)
        row = row_of(ledger)
        assert (row.status, [each.resolved for each in row.spells]) == (
            "resolved",
            [at(1), at(5)],
        )
        assert record_statements(ledger, [over], source="pd").events == 0

    def test_a_moved_end_is_corrected_and_an_emptied_acknowledgement_voided(self):
        ledger = told(said(facts={"acknowledged_at": at(1), "resolved_at": at(2)}, said_at=at(2)))
        told(said(facts={"acknowledged_at": None, "resolved_at": at(3)}, said_at=at(4)),
             ledger=ledger)  # fmt: skip
        row = row_of(ledger)
        assert (row.acknowledged_at, row.spells[0].resolved) == (None, at(3))
        assert [type(event) for event in events(ledger)][-2:].count(EventVoided) == 1

    def test_an_older_row_that_comes_late_reopens_nothing(self):
        opened = said(facts={"detected_at": NOON, "resolved_at": None}, said_at=at(1))
        ended = said(facts={"detected_at": NOON, "acknowledged_at": at(1), "resolved_at": at(3)},
                     said_at=at(3))  # fmt: skip
        ledger = told(opened, ended)
        for _ in range(3):
            assert record_statements(ledger, [opened], source="pd").events == 0
            assert record_statements(ledger, [opened, ended], source="pd").events == 0
        row = row_of(ledger)
        assert (row.status, row.reopenings, row.acknowledged_at) == ("resolved", 0, at(1))

    @pytest.mark.parametrize(
        "again",
        [
            said(facts={"acknowledged_at": at(1), "resolved_at": at(3)}, said_at=at(9)),
            happened(("acknowledged", at(1)), ("resolved", at(3)), said_at=at(9)),
        ],
        ids=["a row", "events"],
    )
    def test_what_a_person_corrected_or_voided_stays(self, again):
        ledger = told(attrs.evolve(again, said_at=at(3)))
        versions = {type(event).__name__: n for n, event in enumerate(events(ledger), start=1)}
        ledger.record("pd/1", incident.correct, by="ann", at=at(5), field="at", was=at(3),
                      now=at(2), version=versions["IncidentResolved"], why="no")  # fmt: skip
        ledger.record("pd/1", incident.void, by="ann", at=at(5), why="nobody did",
                      version=versions["IncidentAcknowledged"])  # fmt: skip
        for _ in range(2):
            told(again, ledger=ledger)
            row = row_of(ledger)
            assert (row.spells[0].resolved, row.acknowledged_at) == (at(2), None)
        told(said(facts={"resolved_at": at(4)}, said_at=at(10)), ledger=ledger)
        assert row_of(ledger).spells[0].resolved == at(4)

    def test_verdicts_marks_relations_and_references(self):
        more = {
            "caused_by": ["C1", "github:7"],
            "marks": {"vendor called": at(1)},
            "recurrence_of": "0",
            "stated_time_to_restore": 60_000_000,
            "references": {"ticket": "https://t/1"},
            "commander": "zoe",
            "customers": 7,
        }
        ledger = told(said(facts={"detected_at": NOON, **more}, said_at=NOON))
        row = row_of(ledger)
        assert set(row.verdicts) == {"pd/C1", "github/7"}
        assert row.related == {"pd/0": "recurrence_of"}
        assert row.milestones == {"vendor called": (at(1),)}
        taken = record_statements(ledger, [said(facts=more, said_at=at(1))], source="pd")
        assert (taken.known, taken.unknown_named) == (1, ("github/7", "pd/0", "pd/C1"))
        assert record_statements(ledger, [said(facts=more, said_at=at(1))], source="pd").events == 0
        fewer = said(facts={"caused_by": ["C1"], "references": {"ticket": "https://t/2"}},
                     said_at=at(2))  # fmt: skip
        told(fewer, ledger=ledger)
        assert set(row_of(ledger).verdicts) == {"pd/C1"}

    def test_a_new_title_is_kept_and_a_redacted_one_does_not_come_back(self, tmp_path):
        ledger = Ledger(tmp_path / "l.db")
        told(self.DOWN, said(facts={"title": "Payments are down"}, said_at=at(1)), ledger=ledger)
        assert events(ledger)[-1].title == "Payments are down"
        ledger.redact("incident:pd/1", by="ann", reason="names", at=at(2))
        taken = record_statements(
            ledger, [said(facts={"title": "Zoe did it"}, said_at=at(3))], source="pd"
        )
        assert taken.known == 1
        assert "Zoe" not in str(events(ledger))

    def test_of_two_sources_neither_is_the_others(self):
        ledger = told(said(facts={"severity": "P1", "detected_at": NOON}), source="a")
        told(said(facts={"severity": "P2", "detected_at": NOON}), source="b", ledger=ledger)
        assert {row.id for row in facts(ledger.replay()).incidents} == {"a/1", "b/1"}

    def test_merges_go_on_in_the_other_one(self):
        ledger = Ledger.in_memory()
        both = [
            said(facts={"detected_at": NOON, "merged_into": "2"}),
            said(id="2", facts={"detected_at": NOON}),
            said(id="3", facts={"detected_at": NOON, "merged_into": "9"}),
        ]
        taken = record_statements(ledger, both, source="pd")
        assert [(each.fact, each.value) for each in taken.left] == [("merged_into", "pd/9")]
        rows = {row.id: row for row in facts(ledger.replay()).incidents}
        assert rows["pd/1"].merged_into == "pd/2"
        assert rows["pd/2"].merged == ("pd/1",)
        assert record_statements(ledger, both, source="pd").events == 0

    def test_without_any_moment_it_is_detected_when_it_arrives(self):
        ledger = Ledger.in_memory()
        record_statements(ledger, [said(facts={"title": "x"})], source="splunk", received_at=at(5))
        [row] = facts(ledger.replay()).incidents
        assert (row.detected_at, row.labels) == (at(5), {"detected_at": "time of receipt"})
        record_statements(ledger, [said(facts={"title": "x"})], source="splunk", received_at=at(9))
        assert row_of(ledger).detected_at == at(5)

    def test_what_the_source_has_no_more_is_in_no_figure_until_it_has_it_again(self):
        from imcm import time_to_restore

        ended = said(facts={"detected_at": NOON, "resolved_at": at(2)}, said_at=at(2))
        ledger = told(ended)
        gone = said(gone=True, said_at=at(3))
        taken = record_statements(ledger, [gone], source="pd")
        assert (taken.events, taken.withdrawn) == (1, 1)
        figure = time_to_restore(ledger.replay())
        assert (figure.n, row_of(ledger).withdrawn) == (0, True)
        assert "withdrawn (its source has it no more)" in figure.explain()
        assert record_statements(ledger, [gone], source="pd").events == 0
        assert record_statements(ledger, [ended], source="pd").events == 0  # it is older
        told(said(facts={"detected_at": NOON}, said_at=at(4)), ledger=ledger)
        assert (time_to_restore(ledger.replay()).n, row_of(ledger).withdrawn) == (1, False)
        late = told(gone, ended)
        assert row_of(late).withdrawn

    def test_recorded_by_hand_is_not_detected_twice(self):
        ledger = Ledger.in_memory()
        ledger.record("pd/1", incident.detect, by="ann", at=NOON, title="x", services=["web"])
        told(self.DOWN, happened(("resolved", at(3))), ledger=ledger)
        row = row_of(ledger)
        assert (row.services, row.status, row.severity_last) == (("web",), "resolved", "P1")


class TestAChange:
    def test_is_what_the_source_says(self):
        ledger = told(
            said("change", facts={"title": "v2", "services": ["pay"], "version": "2",
                                  "requested_at": NOON}),
            said("change", happened=[Happening("started", at(1), "ci")]),
            said("change", happened=[Happening("deployed", at(2))], facts={"status": "successful"}),
        )  # fmt: skip
        row = row_of(ledger, "changes")
        assert (row.id, row.outcome, row.deployed_at, row.version) == (
            "pd/1",
            "completed",
            at(2),
            "2",
        )

    def test_the_earliest_of_what_happened_stands(self):
        late, early = (said("change", happened=[Happening("deployed", at(h))]) for h in (5, 2))
        for pair in ((late, early), (early, late)):
            assert row_of(told(*pair), "changes").deployed_at == at(2)

    def test_a_failure_that_was_none_is_taken_back(self):
        failed = {"deployed_at": NOON, "status": "failed"}
        ledger = told(said("change", facts=failed, said_at=NOON),
                      said("change", facts={"status": "successful"}, said_at=at(1)))  # fmt: skip
        assert row_of(ledger, "changes").outcome == "completed"
        told(said("change", facts={"status": "rolled_back", "rolled_back_at": at(2)},
                  said_at=at(2)), ledger=ledger)  # fmt: skip
        assert row_of(ledger, "changes").outcome == "rolled_back"

    def test_what_can_not_be_changed_stays_and_is_told(self):
        ledger = told(said("change", facts={"risk": "low", "services": ["a"]}, said_at=NOON))
        more = said("change", facts={"risk": "high", "services": ["b"]}, said_at=at(1))
        taken = record_statements(ledger, [more], source="pd")
        assert [(each.fact, each.value) for each in taken.left] == [("risk", "high")]
        row = row_of(ledger, "changes")
        assert (row.risk, row.services) == (Risk.LOW, ("b",))


def test_what_is_refused_is_counted_as_refused_alone(tmp_path):
    """Of a stream that can't be read nothing is counted, and of the one before it all is."""
    path = tmp_path / "ledger.db"
    with Ledger(path) as ledger:
        told(happened(("detected", NOON)), happened(("resolved", at(1))), ledger=ledger)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE stored_events SET topic = 'IncidentDreamt' WHERE originator_version = 2")
    db.close()
    with Ledger(path) as ledger:
        before = len(list(ledger.rows()))
        new = said(id="0", facts={"detected_at": NOON, "severity": "P1"})
        again = said(facts={"detected_at": NOON, "severity": "P2"})
        taken = record_statements(ledger, [new, again], source="pd")
        assert len(list(ledger.rows())) - before == taken.events == 2
        assert (1, 0, 0, 2) == (taken.new, taken.known, taken.corrected, taken.things)
        assert ["incident:pd/1"] == [each.stream for each in taken.refused]


class TestWhatIsNoStatement:
    @pytest.mark.parametrize(
        ("name", "more"),
        [
            ("kind", {"kind": "problem"}),
            ("id", {"id": ""}),
            ("facts", {"facts": {"nothing": 1}}),
            ("facts", {"facts": [1]}),
            ("detected_at", {"facts": {"detected_at": "noon"}}),
            ("labels", {"facts": {"labels": ["a"]}}),
            ("happened", {"happened": [("resolved", NOON)]}),
            ("happened", {"happened": [Happening("deployed", NOON)]}),
            ("said_at", {"said_at": datetime(2026, 1, 1)}),  # noqa: DTZ001
            ("sequence", {"sequence": "3"}),
        ],
    )
    def test_is_refused_by_name(self, name, more):
        with pytest.raises(InvalidValue) as no:
            Statement(**{"kind": "incident", "id": "1", **more})
        assert no.value.name == name

    def test_nor_is_a_source_with_a_slash(self):
        for source in ("a/b", "", 5):
            with pytest.raises(InvalidValue, match="source"):
                record_statements(Ledger.in_memory(), [], source=source)
        with pytest.raises(InvalidValue, match="statements"):
            record_statements(Ledger.in_memory(), [{"kind": "incident"}], source="a")


# --- in any order ---------------------------------------------------------------------------------

HOURS = st.integers(min_value=0, max_value=12)
SCALARS = st.fixed_dictionaries(
    {},
    optional={
        "severity": st.sampled_from(["P1", "P2", "P3"]),
        "services": st.sampled_from([["a"], ["b"], ["a", "b"]]),
        "labels": st.dictionaries(st.sampled_from("xy"), st.sampled_from("12"), min_size=1),
        "customers": st.integers(min_value=1, max_value=3),
        "caused_by": st.lists(st.sampled_from(["C1", "C2"]), unique=True),
        "environment": st.sampled_from(["prod", "test"]),
    },
)
MEMBERS = {"severity": Severity, "held": HoldReason}
INCIDENT_HAPPENINGS = st.lists(
    st.sampled_from(HAPPENINGS["incident"]).flatmap(
        lambda what: st.tuples(
            st.just(what),
            HOURS.map(at),
            st.just("zoe"),
            st.sampled_from([*MEMBERS[what]][:3]) if what in MEMBERS else st.none(),
        ).map(lambda parts: Happening(*parts))
    ),
    max_size=3,
)
ROWS = st.fixed_dictionaries(
    {"detected_at": st.just(NOON)},
    optional={
        "severity": st.sampled_from(["P1", "P2", "P3"]),
        "acknowledged_at": st.none() | HOURS.map(at),
        "resolved_at": st.none() | HOURS.map(at),
        "labels": st.dictionaries(st.sampled_from("xy"), st.sampled_from("12") | st.none()),
    },
)
CHANGE_SCALARS = st.fixed_dictionaries(
    {},
    optional={
        "services": st.sampled_from([["a"], ["b"]]),
        "kind": st.sampled_from(["deployment", "schema"]),
        "status": st.sampled_from(["successful", "failed", "rolled_back"]),
        "labels": st.dictionaries(st.sampled_from("xy"), st.sampled_from("12"), min_size=1),
    },
)
CHANGE_HAPPENINGS = st.lists(
    st.builds(
        Happening,
        st.sampled_from(["started", "deployed", "rolled_back", "closed"]),
        HOURS.map(at),
        st.just(None),
        st.just(None),
        st.just(None),
    ),
    max_size=2,
)


@st.composite
def deliveries(draw, kind, *, rows=False):
    """Statements about one thing, each with a time of its own, and another order of receipt."""
    scalars, happenings = (
        (SCALARS, INCIDENT_HAPPENINGS)
        if kind == "incident"
        else (CHANGE_SCALARS, CHANGE_HAPPENINGS)
    )
    if rows:
        scalars, happenings = ROWS, st.just([])
    elif kind == "incident":  # a source tells its severity in one of two ways
        events = draw(st.booleans())
        scalars = scalars.map(
            lambda told: {n: told[n] for n in told if n != "severity" or not events}
        )
        happenings = happenings.map(
            lambda told: [e for e in told if e.what != "severity" or events]
        )
    count = draw(st.integers(min_value=1, max_value=6))
    statements = [
        Statement(
            kind=kind,
            id="1",
            facts=draw(scalars),
            happened=draw(happenings),
            said_at=at(place),
        )
        for place in range(count)
    ]
    received = draw(st.permutations([*statements, *draw(st.lists(st.sampled_from(statements),
                                                                max_size=3))]))  # fmt: skip
    return statements, received


def stands(ledger, kind):
    """Return what stands, without where and when it was recorded."""
    row = row_of(ledger, f"{kind}s")
    left_out = {"positions", "edits", "late", "source_clock_back", "sources_disagree"}
    values = {name: value for name, value in row._asdict().items() if name not in left_out}
    for name in ("severity_first", "severity_highest", "severity_first_name",
                 "severity_highest_name", "relapses"):  # fmt: skip
        values.pop(name, None)
    return values


@pytest.mark.parametrize("kind", ["incident", "change"])
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_in_whatever_order_they_arrive_the_same_stands(kind, data):
    statements, received = data.draw(deliveries(kind))
    in_turn = told(*statements)
    shuffled = told(*received)
    assert stands(shuffled, kind) == stands(in_turn, kind)
    at_once = Ledger.in_memory()
    record_statements(at_once, received, source="pd")
    assert stands(at_once, kind) == stands(in_turn, kind)
    record_statements(shuffled, statements, source="pd")
    assert stands(shuffled, kind) == stands(in_turn, kind)
    if kind == "incident":
        assert record_statements(shuffled, received, source="pd").events == 0


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_rows_in_whatever_order_they_arrive_the_last_one_stands(data):
    """Of rows, what was passed over on the way is not made up: only the last word counts."""
    statements, received = data.draw(deliveries("incident", rows=True))
    shuffled = told(*received)
    row, last = row_of(shuffled), {}
    for statement in statements:
        labels = {**last.get("labels", {}), **(statement.facts.get("labels") or {})}
        last |= {**statement.facts, "labels": labels}
    assert row.acknowledged_at == last.get("acknowledged_at")
    assert row.severity_last == last.get("severity")
    assert row.labels == {name: text for name, text in last["labels"].items() if text is not None}
    assert row.spells[-1].resolved == last.get("resolved_at")
    assert record_statements(shuffled, statements, source="pd").known == 1
    assert record_statements(shuffled, received, source="pd").events == 0


# --- in order -------------------------------------------------------------------------------------

SECONDS = timedelta(seconds=37)


@pytest.mark.parametrize("coarse_first", [True, False])
def test_a_clock_of_minutes_and_one_of_seconds_tell_the_same(coarse_first):
    """An export with minutes, and what the API of the same tool says: one story, to the second."""
    row = said(
        facts={"detected_at": at(0), "resolved_at": at(1), "title": "x"},
        said_at=at(2), to_minutes=True,
    )  # fmt: skip
    api = happened(("detected", at(0) + SECONDS), ("resolved", at(1) + SECONDS),
                   facts={"title": "x"}, said_at=at(2) + SECONDS)  # fmt: skip
    ledger = told(*((row, api) if coarse_first else (api, row)))
    found = row_of(ledger)
    assert (found.detected_at, found.resolved_at) == (at(0) + SECONDS, at(1) + SECONDS)
    assert len(found.spells) == 1
    before = ledger.position_at()
    told(row, api, row, ledger=ledger)
    assert (row_of(ledger).spells, row_of(ledger).detected_at) == (found.spells, found.detected_at)
    kinds = {type(each).__name__ for each in events(ledger)[before - 1 :]}
    assert kinds <= {"SourceSaid"}


def test_a_change_keeps_its_seconds():
    api = said("change", facts={"deployed_at": at(1) + SECONDS}, said_at=at(2))
    row = said("change", facts={"deployed_at": at(1)}, said_at=at(3), to_minutes=True)
    ledger = told(api, row, row)
    assert row_of(ledger, "changes").deployed_at == at(1) + SECONDS
    other = said("change", facts={"deployed_at": at(1)}, said_at=at(4))
    assert row_of(told(other, ledger=ledger), "changes").deployed_at == at(1)


STORY = st.lists(
    st.tuples(
        st.integers(min_value=0, max_value=2),
        SCALARS.filter(lambda told: "caused_by" not in told),
        st.lists(
            st.sampled_from(
                [each for each in HAPPENINGS["incident"] if each != "detected"]
            ).flatmap(
                lambda what: st.tuples(
                    st.just(what),
                    st.sampled_from([*MEMBERS[what]][:3]) if what in MEMBERS else st.none(),
                )
            ),
            max_size=2,
        ),
    ),
    min_size=2,
    max_size=5,
)


@settings(max_examples=300)
@given(story=STORY, bare=st.booleans())
def test_a_story_told_in_order_is_what_its_statements_say_one_after_another(story, bare):
    statements, hours = [], 0
    for place, (later, told_facts, what) in enumerate(story):
        hours += later
        own = {"detected_at": at(0), "severity": "P2"} if not place else {} if bare else told_facts
        moments = [Happening(each, at(hours), None, value) for each, value in what if place]
        statements.append(said(facts=own, happened=moments, said_at=at(hours), in_order=True))
    at_once = additions("incident", (), statements, source="log", by="log")
    found = additions("incident", (), statements[:1], source="log", by="log")
    rest = additions("incident", found.pairs, statements[1:], source="log", by="log")
    assert at_once.pairs == (*found.pairs, *rest.pairs)
    assert at_once.superseded == rest.superseded


def test_a_detection_that_is_told_as_a_reopening_too_is_one_reopening():
    first = happened(("detected", at(0)), said_at=at(3))
    again = happened(("detected", at(1)), ("reopened", at(1)), said_at=at(4))
    for order in ([first, again], [again, first]):
        reopened = [e.at for e in events(told(*order)) if isinstance(e, incident.IncidentReopened)]
        assert reopened == [at(1)]
