"""What a team says in words of its own: severities, milestones, relations, tags of causes."""

import pytest

from imcm import Ledger, frames, views
from imcm import incident as domain
from imcm.domain.incident_events import IncidentDetected, MilestoneMarked
from imcm.domain.severity import SeverityScale
from imcm.domain.vocabulary import Relation, Severity
from imcm.errors import InvalidValue
from imcm.projections.facts.fold import FactsFold, facts
from imcm.projections.figures.restore import time_to_acknowledge, time_to_restore
from projections.log import (
    HOUR,
    at,
    between,
    detected,
    imported,
    incident,
    log,
    merged_into,
    reopened,
    resolved,
    take,
)

SCALE = SeverityScale(levels={"SEV0": "P1", "SEV1": "P1", "SEV2": "P2", "SEV3": "P3"})


def rated(hours, name):
    return take("triage", hours, severity=name, scale=SCALE)


def rerated(hours, name):
    return take("change_severity", hours, severity=name, scale=SCALE, why="as it turned out")


def mark(hours, name="vendor called"):
    return take("mark", hours, name=name)


def relate(hours, to, kind, id="INC-1"):
    return take("relate", hours, id=id, to=to, kind=kind, above=())


def reviewed(hours, *tags):
    return take("record_review", hours, what_happened="a lock", cause_tags=tags)


def row_of(*steps, **more):
    [row] = facts(log(incident("INC-1", *steps)), **more).incidents
    return row


class TestSeverityNames:
    @pytest.mark.parametrize(
        ("names", "first", "last", "highest"),
        [
            (("SEV2",), "SEV2", "SEV2", "SEV2"),
            (("SEV2", "SEV1", "SEV3"), "SEV2", "SEV3", "SEV1"),
            # Of several names with one rank the one last said is that of the highest.
            (("SEV1", "SEV0", "SEV3"), "SEV1", "SEV3", "SEV0"),
            (("SEV0", "SEV1"), "SEV0", "SEV1", "SEV1"),
        ],
    )
    def test_go_with_their_ranks(self, names, first, last, highest):
        more = [rerated(n, name) for n, name in enumerate(names[1:], start=2)]
        row = row_of(detected(0), rated(1, names[0]), *more)
        assert (first, last, highest) == (
            row.severity_first_name,
            row.severity_last_name,
            row.severity_highest_name,
        )
        assert SCALE.levels[highest] is row.severity_highest

    def test_what_is_later_is_cut(self):
        steps = detected(0), rated(1, "SEV2"), rerated(3, "SEV0")
        assert "SEV2" == row_of(*steps, as_of=at(2)).severity_last_name

    def test_figures_are_grouped_by_them(self):
        story = log(
            incident("INC-1", detected(0), rated(0, "SEV0"), resolved(1)),
            incident("INC-2", detected(0), rated(0, "SEV1"), resolved(3)),
            incident("INC-3", detected(0), take("triage", 0, severity="P3"), resolved(5)),
            incident("INC-4", detected(0), resolved(7)),
        )
        groups = time_to_restore(story, group_by="severity_name").groups
        assert {"(none)": 7.0, "P3": 5.0, "SEV0": 1.0, "SEV1": 3.0} == {
            one.group: one.value / HOUR for one in groups
        }
        by_rank = time_to_restore(story, group_by="severity").groups
        assert {"(none)": 1, "P1": 2, "P3": 1} == {one.group: one.n for one in by_rank}

    @pytest.mark.parametrize(("rule", "name"), [("last", "SEV3"), ("highest", "SEV1")])
    def test_the_name_is_of_the_severity_that_counts(self, rule, name):
        steps = detected(0), rated(1, "SEV2"), rerated(2, "SEV1"), rerated(3, "SEV3"), resolved(4)
        story = log(incident("INC-1", *steps))
        [group] = time_to_restore(story, group_by="severity_name", severity=rule).groups
        assert name == group.group
        [first] = time_to_restore(story, group_by="severity_name", severity="first").groups
        assert "SEV2" == first.group

    def test_of_merged_incidents_the_highest_has_its_name(self):
        story = log(
            incident("INC-1", detected(0), rated(1, "SEV2")),
            incident("INC-2", detected(0), rated(1, "SEV1"), merged_into("INC-1", 2)),
        )
        [row, _] = facts(story).incidents
        assert (Severity.P1, "SEV1") == (row.severity_highest, row.severity_highest_name)
        assert "SEV2" == row.severity_last_name


class TestMilestones:
    def test_are_there_as_often_as_they_were_reached(self):
        row = row_of(detected(0), mark(2), mark(1), mark(1, "root cause known"))
        assert {"vendor called": (at(1), at(2)), "root cause known": (at(1),)} == row.milestones
        row = row_of(detected(0), mark(2), mark(1), as_of=at(1))
        assert {"vendor called": (at(1),)} == row.milestones

    def test_durations_start_and_end_at_them(self):
        story = log(
            incident("INC-1", detected(0), mark(2), mark(3), resolved(4)),
            incident("INC-2", detected(0), resolved(9)),
        )

        def hours(**choice):
            return [(one.id, one.value / HOUR) for one in time_to_restore(story, **choice).included]

        assert [("INC-1", 2.0)] == hours(end="mark:vendor called")
        assert [("INC-1", 3.0)] == hours(end="mark:vendor called#2")
        assert [("INC-1", 2.0)] == hours(start="mark:vendor called")
        assert [("INC-1", 1.0)] == hours(start="mark:vendor called", end="mark:vendor called#2")
        both = ("mark:vendor called", "resolved")
        assert [("INC-1", 2.0), ("INC-2", 9.0)] == hours(end=both)

    def test_one_that_did_not_come_is_missing(self):
        story = log(incident("INC-2", detected(0), mark(1), resolved(9)))

        def reasons(end):
            return [one.reason for one in time_to_restore(story, end=end).left_out]

        assert ["missing(mark:fixed)"] == reasons("mark:fixed")
        for odd in ("mark:vendor called#2", "mark:vendor called#0", "mark:vendor called#x"):
            assert [f"missing({odd})"] == reasons(odd)

    def test_one_that_is_still_to_come_is_waited_for(self):
        figure = time_to_acknowledge(log(incident("INC-1", detected(0)), now=5), end="mark:x")
        assert [5.0] == [one.value / HOUR for one in figure.censored]

    def test_a_name_may_look_like_a_number_of_another(self):
        told = {"by": "sn", "imported": True, "number": 1}
        story = log(
            imported(
                "INC-1",
                IncidentDetected(at=at(0), by="sn", imported=True),
                MilestoneMarked(at=at(1), name="ticket", **told),
                MilestoneMarked(at=at(3), name="ticket#2", **told),
            )
        )
        figure = time_to_acknowledge(story, end="mark:ticket#2")
        assert [3.0] == [one.value / HOUR for one in figure.included]

    def test_the_first_is_the_first_in_order_of_time(self):
        """Told later, or moved by a correction: what counts is when it was."""
        late = log(incident("INC-1", detected(0), mark(30), mark(10), resolved(60)))
        assert 10.0 == time_to_acknowledge(late, end="mark:vendor called").value / HOUR
        assert 30.0 == time_to_acknowledge(late, end="mark:vendor called#2").value / HOUR
        moved = take(
            "correct", 50, version=2, field="at", was=at(5), now=at(30), why="the call log"
        )
        story = log(incident("INC-1", detected(0), mark(5), mark(20), moved, resolved(60)))
        assert 20.0 == time_to_acknowledge(story, end="mark:vendor called").value / HOUR

    def test_a_name_that_nobody_has_is_said_with_what_is_near(self):
        story = log(incident("INC-1", detected(0), mark(1), resolved(2)))

        def notes(end):
            return [note for note in time_to_restore(story, end=end).notes if "mile" in note]

        near = "no record has the milestone vendr called; near: vendor called"
        assert [near] == notes("mark:vendr called")
        assert [] == notes("mark:vendor called")
        assert [] == notes("mark:vendor called#2")
        assert ["no record has the milestone x; there are: vendor called"] == notes("mark:x")

    def test_each_stretch_starts_with_what_came_in_it(self):
        steps = detected(0), mark(10), resolved(20), reopened(40), mark(45), resolved(60)
        story = log(incident("INC-1", *steps))
        figure = time_to_restore(story, start="mark:vendor called", reopened="each")
        assert [10.0, 15.0] == [one.value / HOUR for one in figure.included]
        story = log(incident("INC-1", *steps[:4], resolved(60)))
        figure = time_to_restore(story, start="mark:vendor called", reopened="each")
        assert [10.0, 20.0] == [one.value / HOUR for one in figure.included]

    def test_one_whose_moment_nobody_knows_is_missing(self):
        told = {"by": "sn", "imported": True}
        story = log(
            imported(
                "INC-1",
                IncidentDetected(at=at(0), **told),
                MilestoneMarked(at=None, number=1, name="called", **told),
            )
        )
        figure = time_to_acknowledge(story, end="mark:called")
        assert ["missing(mark:called)"] == [one.reason for one in figure.left_out]

    def test_an_uncertain_one_gives_bounds(self):
        story = log(incident("INC-1", detected(0), mark(between(1, 3)), resolved(4)))
        figure = time_to_acknowledge(story, end="mark:vendor called")
        assert (1.0, 3.0) == tuple(value / HOUR for value in figure.bounds)

    def test_which_of_two_uncertain_ones_came_first_is_not_known(self):
        steps = detected(0), mark(between(10, 30)), mark(22), resolved(60)
        story = log(incident("INC-1", *steps))

        def bounds(mark):
            return tuple(one / HOUR for one in time_to_restore(story, start=mark).bounds)

        assert (38.0, 50.0) == bounds("mark:vendor called")
        assert (30.0, 38.0) == bounds("mark:vendor called#2")

    def test_after_a_reopening_it_ends_the_stretch_in_which_it_came(self):
        steps = detected(0), resolved(1), reopened(5), mark(6), resolved(8)
        story = log(incident("INC-1", *steps))
        ends = ("mark:vendor called", "resolved")
        figure = time_to_restore(story, end=ends, reopened="each")
        assert [1.0, 1.0] == [one.value / HOUR for one in figure.included]

    @pytest.mark.parametrize("name", ["mark:", "marks:x", "vendor called"])
    def test_refuses_what_is_none(self, name):
        with pytest.raises(InvalidValue, match="mark:<name>"):
            time_to_restore([], end=name)

    def test_of_merged_incidents_all_count_in_order_of_time(self):
        story = log(
            incident("INC-1", detected(0), mark(4)),
            incident("INC-2", detected(0), mark(2), merged_into("INC-1", 5)),
        )
        [row, _] = facts(story).incidents
        assert {"vendor called": (at(2), at(4))} == row.milestones


class TestRelations:
    def test_the_last_of_each_stands_whatever_time_is_asked_for(self):
        row = row_of(
            detected(0),
            relate(5, "INC-2", "related"),
            relate(6, "INC-2", "child_of"),
            relate(7, "INC-3", "recurrence_of"),
            as_of=at(1),
        )
        expected = {"INC-2": Relation.CHILD_OF, "INC-3": Relation.RECURRENCE_OF}
        assert expected == row.related

    def test_the_parent_is_the_one_it_is_a_child_of(self):
        child = detected(0), relate(1, "INC-2", "child_of")
        assert "INC-2" == row_of(*child).parent
        assert "INC-2" == row_of(*child, relate(2, "INC-3", "related")).parent
        for later in (relate(2, "INC-2", "related"), take("unrelate", 2, to="INC-2")):
            assert row_of(*child, later).parent is None
        assert row_of(detected(0), relate(1, "INC-3", "related")).parent is None

    def test_taken_back_it_is_gone(self):
        row = row_of(detected(0), relate(1, "INC-2", "related"), take("unrelate", 2, to="INC-2"))
        assert {} == row.related

    def test_a_row_stays_as_it_was(self):
        """What a fold is told later changes no row it gave before."""
        told = incident("INC-1", detected(0), relate(1, "INC-2", "related"), mark(2))
        more = incident(
            "INC-1",
            detected(0),
            relate(1, "INC-2", "related"),
            mark(2),
            take("unrelate", 3, to="INC-2"),
            relate(4, "INC-4", "related"),
            mark(5),
        )
        fold, rows = FactsFold(), log(more)
        fold.add_all(rows[: len(told[1])])
        before = fold.facts().incidents[0]
        kept = before.related, before.milestones
        fold.add_all(rows[len(told[1]) : len(told[1]) + 1])
        between_ = fold.facts().incidents[0]
        fold.add_all(rows[len(told[1]) + 1 :])
        after = fold.facts().incidents[0]
        assert kept == ({"INC-2": Relation.RELATED}, {"vendor called": (at(2),)})
        assert {} == between_.related
        assert {"INC-4": Relation.RELATED} == after.related
        assert {"vendor called": (at(2), at(5))} == after.milestones

    def test_of_merged_incidents_those_to_others_stay(self):
        child, related = Relation.CHILD_OF, "related"
        story = log(
            incident("INC-1", detected(0), relate(1, "INC-9", child)),
            incident(
                "INC-2",
                detected(0),
                relate(1, "INC-1", related, id="INC-2"),
                relate(1, "INC-9", related, id="INC-2"),
                relate(1, "INC-7", related, id="INC-2"),
                merged_into("INC-1", 5),
            ),
        )
        [row, _] = facts(story).incidents
        assert {"INC-9": Relation.CHILD_OF, "INC-7": Relation.RELATED} == row.related

    def test_of_merged_incidents_the_targets_parent_is_that_of_all(self):
        story = log(
            incident("INC-1", detected(0), relate(1, "INC-9", "child_of")),
            incident(
                "INC-2",
                detected(0),
                relate(1, "INC-8", "child_of", id="INC-2"),
                relate(1, "INC-9", "related", id="INC-2"),
                merged_into("INC-1", 5),
            ),
        )
        [row, _] = facts(story).incidents
        assert {"INC-9": Relation.CHILD_OF} == row.related

    def test_figures_count_each_once_as_without(self):
        steps = detected(0), resolved(2)
        plain = time_to_restore(log(incident("INC-1", *steps), incident("INC-2", *steps)))
        child = relate(1, "INC-1", "child_of", id="INC-2")
        story = log(incident("INC-1", *steps), incident("INC-2", steps[0], child, steps[1]))
        assert (plain.n, plain.value) == (time_to_restore(story).n, time_to_restore(story).value)


class TestCauseTags:
    def test_are_those_of_all_reviews(self):
        row = row_of(
            detected(0),
            take("triage", 0, severity="P2"),
            resolved(1),
            reviewed(2, "configuration", "no canary", "configuration"),
            reviewed(3, "capacity", "no canary"),
        )
        assert ("configuration", "no canary", "capacity") == row.cause_tags

    def test_what_recurs_is_counted(self):
        story = log(
            incident("INC-1", detected(0), resolved(1), reviewed(2, "a", "b")),
            incident("INC-2", detected(0), resolved(3), reviewed(4, "b")),
            incident("INC-3", detected(0), resolved(5)),
        )
        groups = time_to_restore(story, group_by="cause_tag").groups
        assert {"(none)": 1, "a": 1, "b": 2} == {one.group: one.n for one in groups}

    def test_of_merged_incidents_all_count(self):
        story = log(
            incident("INC-1", detected(0), resolved(1), reviewed(2, "a")),
            incident(
                "INC-2",
                detected(0),
                resolved(1),
                reviewed(2, "b", "a"),
                merged_into("INC-1", 5),
            ),
        )
        [row, _] = facts(story).incidents
        assert ("a", "b") == row.cause_tags


def test_a_frame_has_them():
    steps = detected(0), rated(1, "SEV2"), mark(2), resolved(3), reviewed(4, "a", "b")
    story = log(incident("INC-1", *steps), incident("INC-2", detected(0), resolved(1)))
    first, second = frames.incidents(story).rows()
    assert ("SEV2", "a, b", at(2)) == tuple(
        first[name] for name in ("severity_name", "cause_tags", "mark:vendor called")
    )
    assert ("(none)", "(none)", None) == tuple(
        second[name] for name in ("severity_name", "cause_tags", "mark:vendor called")
    )


def test_all_of_it_is_kept(tmp_path):
    """Kept facts read it back as it was."""
    steps = (
        (domain.detect, {"title": "x"}),
        (domain.triage, {"severity": "SEV1"}),
        (domain.mark, {"name": "vendor called"}),
        (domain.resolve, {}),
        (domain.record_review, {"what_happened": "a lock", "cause_tags": ["a"]}),
    )
    with Ledger(tmp_path / "l.db", scale=SCALE) as ledger:
        for step, more in steps:
            ledger.record("INC-1", step, by="ann", at=at(0), **more)
        ledger.relate("INC-1", to="INC-0", kind=Relation.RECURRENCE_OF, by="ann", at=at(0))
        for _ in range(2):
            with views(ledger, tmp_path / "kept.db") as kept:
                assert list(ledger.facts().incidents) == list(kept.facts().incidents)
            ledger.record("INC-1", domain.mark, by="ann", at=at(1), name="vendor called")
        [row] = ledger.facts().incidents
        assert {"vendor called": (at(0), at(1))} == row.milestones
