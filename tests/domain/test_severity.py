"""A team's own severities: the scale, and the steps that take its names."""

import attrs
import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from domain.examples import at, detected, of, triaged
from imcm import InvalidValue, SeverityScale, StepRefused, incident, read_severity_scale
from imcm.domain.corrections import SeverityCorrected
from imcm.domain.incident_events import IncidentTriaged, SeverityChanged
from imcm.domain.severity import MOST_LEVELS
from imcm.domain.vocabulary import SEVERITY_RANK, Severity
from imcm.projections.facts.fold import facts
from imcm.testing import given

LEVELS = {"SEV0": "P1", "SEV1": "P1", "SEV2": "P2", "minor": "P4"}
MATRIX = {"high": {"high": "SEV0", "low": "SEV2"}, "low": {"low": "minor"}}
SCALE = SeverityScale(name="web", version="3", levels=LEVELS, matrix=MATRIX)


class TestScale:
    @pytest.mark.parametrize(
        ("value", "rank", "name"),
        [
            ("SEV0", Severity.P1, "SEV0"),
            ("minor", Severity.P4, "minor"),
            # A rank that one name alone has stands for that name.
            ("P2", Severity.P2, "SEV2"),
            (Severity.P4, Severity.P4, "minor"),
        ],
    )
    def test_rates(self, value, rank, name):
        assert (rank, name) == SCALE.rated("severity", value)

    @pytest.mark.parametrize(
        ("value", "why"),
        [
            ("P1", "say which: SEV0 and SEV1 both have this rank"),
            ("P3", "one of SEV0, SEV1, SEV2, minor"),
            ("sev0", "one of SEV0"),
            (7, "one of SEV0"),
            (None, "one of SEV0"),
            ([], "one of SEV0"),
        ],
    )
    def test_refuses_what_is_none_of_it(self, value, why):
        with pytest.raises(InvalidValue, match=why) as caught:
            SCALE.rated("severity", value)
        assert "severity" == caught.value.name

    def test_says_so_where_several_have_a_rank(self):
        scale = SeverityScale(levels=dict.fromkeys("abc", "P1"))
        with pytest.raises(InvalidValue, match="several have this rank"):
            scale.rated("severity", "P1")

    def test_proposes(self):
        assert "SEV0" == SCALE.proposed(impact_level="high", urgency="high")
        assert "minor" == SCALE.proposed(impact_level="low", urgency="low")

    @pytest.mark.parametrize(
        ("level", "urgency", "name", "why"),
        [
            ("huge", "high", "impact_level", "one of high, low"),
            ("low", "high", "urgency", "for impact_level low the matrix has low"),
            ("low", [], "urgency", "for impact_level low the matrix has low"),
            ([], "high", "impact_level", "one of high, low"),
        ],
    )
    def test_proposes_nothing_where_the_matrix_has_nothing(self, level, urgency, name, why):
        with pytest.raises(InvalidValue, match=why) as caught:
            SCALE.proposed(impact_level=level, urgency=urgency)
        assert name == caught.value.name

    def test_without_a_matrix_nothing_is_proposed(self):
        with pytest.raises(InvalidValue, match="no matrix"):
            SeverityScale(levels=LEVELS).proposed(impact_level="high", urgency="high")

    @pytest.mark.parametrize(
        ("fields", "name", "why"),
        [
            ({"levels": {}}, "levels", "worst first"),
            ({"levels": ["SEV1"]}, "levels", "worst first"),
            ({"levels": dict.fromkeys(map(str, range(MOST_LEVELS + 1)), "P1")}, "levels", "worst"),
            ({"levels": {"a": "P2", "b": "P1"}}, "levels", "P1 stands after a lower rank"),
            ({"levels": {"a": "P9"}}, "levels[a]", "P1, P2, P3, P4"),
            ({"levels": {" a": "P1"}}, "levels", "blank"),
            ({"levels": {"P1": "P2"}}, "levels", "P1 can't stand for P2"),
            ({"levels": {"SEV1": "P1", "sev1": "P2"}}, "levels", "it reads like one that is there"),
            ({"levels": {"(none)": "P1"}}, "levels", "it reads like one that is there"),
            ({"name": ""}, "scale.name", "characters"),
            ({"version": 1}, "scale.version", "text"),
            ({"matrix": []}, "matrix", "by the level"),
            ({"matrix": {"high": "SEV0"}}, "matrix", "by the level"),
            ({"matrix": {"high": {"high": "SEV9"}}}, "matrix", "one of SEV0"),
            ({"matrix": {"high": {"high": []}}}, "matrix", "one of SEV0"),
            ({"matrix": {"": {"high": "SEV0"}}}, "matrix", "characters"),
            ({"matrix": {"high": {"a\n": "SEV0"}}}, "matrix", "blank"),
        ],
    )
    def test_refuses_what_is_no_scale(self, fields, name, why):
        with pytest.raises(InvalidValue, match=why) as caught:
            SeverityScale(**{"levels": LEVELS, **fields})
        assert name == caught.value.name

    def test_as_many_levels_as_are_allowed(self):
        levels = dict.fromkeys(map(str, range(MOST_LEVELS)), "P1")
        assert MOST_LEVELS == len(SeverityScale(levels=levels).levels)

    def test_is_data(self):
        plain = SCALE.as_dict()
        assert {"name": "web", "version": "3", "levels": LEVELS, "matrix": MATRIX} == plain
        assert SCALE == SeverityScale.from_dict(plain)
        assert 1 == len({SCALE, SeverityScale.from_dict(plain)})
        assert SeverityScale(levels=LEVELS) == SeverityScale.from_dict({"levels": LEVELS})

    def test_what_it_was_made_of_can_change(self):
        levels, row = dict(LEVELS), {"high": "SEV0"}
        scale = SeverityScale(levels=levels, matrix={"high": row})
        levels["SEV0"], row["high"] = "P4", "SEV2"
        assert Severity.P1 is scale.levels["SEV0"]
        assert "SEV0" == scale.proposed(impact_level="high", urgency="high")

    def test_can_not_be_changed(self):
        for held in (SCALE.levels, SCALE.matrix, SCALE.matrix["high"]):
            with pytest.raises(TypeError):
                held["SEV1"] = Severity.P4

    @pytest.mark.parametrize(
        ("plain", "why"),
        [([], "as as_dict gives it"), ({}, "worst first"), ({"rank": 1}, "one of name, version")],
    )
    def test_refuses_what_tells_no_scale(self, plain, why):
        with pytest.raises(InvalidValue, match=why):
            SeverityScale.from_dict(plain)

    def test_is_read_from_toml(self, tmp_path):
        path = tmp_path / "severities.toml"
        path.write_text(
            'name = "web"\nversion = "3"\n[levels]\nSEV0 = "P1"\nSEV1 = "P1"\nSEV2 = "P2"\n'
            'minor = "P4"\n[matrix.high]\nhigh = "SEV0"\nlow = "SEV2"\n'
            '[matrix.low]\nlow = "minor"\n'
        )
        assert SCALE == read_severity_scale(path)
        path.write_text("[levels\n")
        with pytest.raises(InvalidValue, match="no TOML"):
            read_severity_scale(path)
        path.write_text(" " * 10_000_001)
        with pytest.raises(InvalidValue, match="at most 10,000,000 bytes"):
            read_severity_scale(path)

    @drawn(st.lists(st.sampled_from(Severity), min_size=1, max_size=9))
    def test_every_name_has_its_rank(self, ranks):
        ordered = sorted(ranks, key=SEVERITY_RANK.__getitem__)
        scale = SeverityScale(levels={f"level {n}": rank for n, rank in enumerate(ordered)})
        for number, rank in enumerate(ordered):
            assert (rank, f"level {number}") == scale.rated("severity", f"level {number}")


def ask(step, *events, **arguments):
    return given(detected(), *events).when(step, by="ann", at=at(2), **arguments)


class TestTriage:
    def test_takes_a_name_of_the_scale(self):
        ask(incident.triage, severity="SEV1", scale=SCALE).then(
            IncidentTriaged(at=at(2), by="ann", severity=Severity.P1, severity_name="SEV1")
        )

    def test_takes_what_the_matrix_proposes(self):
        levels = {"impact_level": "high", "urgency": "low"}
        told = {"at": at(2), "by": "ann", "severity_proposed": "SEV2"}
        ask(incident.triage, scale=SCALE, **levels).then(
            IncidentTriaged(severity=Severity.P2, severity_name="SEV2", **told)
        )
        ask(incident.triage, scale=SCALE, severity="SEV0", **levels).then(
            IncidentTriaged(severity=Severity.P1, severity_name="SEV0", **told)
        )

    @pytest.mark.parametrize(
        ("arguments", "name"),
        [
            ({}, "severity"),
            ({"scale": SCALE}, "severity"),
            ({"severity": "SEV1"}, "severity"),
            ({"severity": 1}, "severity"),
            ({"severity": "P1", "scale": LEVELS}, "scale"),
            ({"severity": "P1", "impact_level": "high", "urgency": "high"}, "scale"),
            ({"scale": SCALE, "impact_level": "high"}, "urgency"),
            ({"scale": SCALE, "urgency": "high"}, "impact_level"),
        ],
    )
    def test_refuses(self, arguments, name):
        ask(incident.triage, **arguments).then_invalid(name)

    def test_without_a_scale_says_where_other_names_come_from(self):
        error = ask(incident.triage, severity="SEV1").then_invalid("severity")
        assert "names of a team's own need a SeverityScale" in str(error)


class TestChangeSeverity:
    BEFORE = triaged(1, Severity.P1, severity_name="SEV1")

    def change(self, severity, **more):
        told = {"severity": severity, "why": "all of it", "scale": SCALE, **more}
        return ask(incident.change_severity, self.BEFORE, **told)

    def test_another_name_of_the_same_rank_is_a_change(self):
        self.change("SEV0").then(
            SeverityChanged(
                at=at(2), by="ann", severity=Severity.P1, severity_name="SEV0", why="all of it"
            )
        )
        self.change("SEV1").then_nothing()

    def test_a_rank_without_a_name_changes_nothing_where_it_stands(self):
        self.change("P1", scale=None).then_nothing()

    def test_gives_a_name_to_what_had_none(self):
        told = {"severity": "SEV1", "why": "named", "scale": SCALE}
        assert ask(incident.change_severity, triaged(1, Severity.P1), **told).events


class TestCorrect:
    BEFORE = triaged(1, Severity.P1, severity_name="SEV1")

    def correct(self, was, now, scale=SCALE):
        told = {"version": 2, "field": "severity", "was": was, "now": now, "why": "a slip"}
        return ask(incident.correct, self.BEFORE, scale=scale, **told)

    def corrected(self, now, name):
        return SeverityCorrected(
            at=at(2),
            by="ann",
            version=2,
            field="severity",
            was=Severity.P1,
            now=now,
            severity_name_was="SEV1",
            severity_name=name,
            why="a slip",
        )

    def test_by_name(self):
        self.correct("SEV1", "SEV2").then(self.corrected(Severity.P2, "SEV2"))

    def test_of_the_name_alone(self):
        self.correct("SEV1", "SEV0").then(self.corrected(Severity.P1, "SEV0"))
        self.correct("SEV1", "SEV1").then_nothing()

    def test_what_stands_may_be_said_by_its_rank(self):
        self.correct(Severity.P1, "SEV2").then(self.corrected(Severity.P2, "SEV2"))

    def test_without_a_scale_the_name_goes(self):
        self.correct("P1", "P2", None).then(self.corrected(Severity.P2, None))

    def test_what_does_not_stand_is_refused(self):
        self.correct("SEV2", "minor").then_refused(guard="was is what stands")
        self.correct("SEV9", "minor").then_invalid("was")
        error = self.correct("SEV0", "SEV2").then_refused(guard="was is its name")
        assert "the severity of version 2 stands at SEV1, not SEV0" in error.why
        self.correct("SEV1", "SEV9").then_invalid("now")

    def test_a_rank_that_no_name_has_may_stand_and_be_corrected(self):
        """It was recorded before there was a scale."""
        told = {"version": 2, "field": "severity", "was": "P3", "now": "SEV2", "why": "named"}
        before = triaged(1, Severity.P3)
        [event] = ask(incident.correct, before, scale=SCALE, **told).events
        assert (Severity.P3, "SEV2") == (event.was, event.severity_name)

    def test_of_history_that_tells_none(self):
        before = triaged(1, None, imported=True)
        told = {"version": 2, "field": "severity", "was": None, "why": "not known"}
        [event] = ask(incident.correct, before, scale=SCALE, now="SEV2", **told).events
        assert "SEV2" == event.severity_name
        ask(incident.correct, before, scale=SCALE, now=None, **told).then_invalid("now")

    def test_another_field_is_corrected_as_ever(self):
        told = {"version": 2, "field": "at", "was": at(1), "now": at(1.5), "why": "late"}
        assert ask(incident.correct, self.BEFORE, scale=SCALE, **told).events

    def test_facts_follow_rank_and_name(self):
        later = (SeverityChanged(at=at(1), by="ann", severity=Severity.P4, severity_name="minor"),)
        before = (detected(), self.BEFORE, *later)
        state = incident.fold((*before, self.corrected(Severity.P2, "SEV2")))
        [row] = facts(of("incident:INC-1", *state.past)).incidents
        assert ("SEV2", "minor", "SEV2") == (
            row.severity_first_name,
            row.severity_last_name,
            row.severity_highest_name,
        )
        assert Severity.P2 is row.severity_highest
        assert (Severity.P4, "minor") == (state.severity, state.severity_name)


class TestConfirm:
    """A step of one's own may use the names of the scale, and no others."""

    def confirm(self, event, *before, scale=SCALE):
        incident.confirm(incident.fold((detected(), *before)), event, scale=scale)

    TRIAGED = triaged(2, Severity.P1, severity_name="SEV1")
    PROPOSED = attrs.evolve(TRIAGED, severity_proposed="minor")
    CHANGED = SeverityChanged(
        at=at(3), by="ann", severity=Severity.P2, severity_name="SEV2", why="less"
    )

    def test_what_follows_from_the_scale(self):
        self.confirm(self.TRIAGED)
        self.confirm(self.PROPOSED)
        self.confirm(self.CHANGED, self.TRIAGED)
        self.confirm(triaged(2, Severity.P3), scale=None)

    @pytest.mark.parametrize(
        ("event", "before"),
        [
            (attrs.evolve(TRIAGED, severity=Severity.P2), ()),
            (attrs.evolve(TRIAGED, severity_name="SEV9"), ()),
            (attrs.evolve(PROPOSED, severity_proposed="SEV9"), ()),
            (attrs.evolve(CHANGED, severity=Severity.P1), (TRIAGED,)),
            (triaged(2, Severity.P2), ()),  # which has a name there
        ],
    )
    def test_refuses_what_does_not(self, event, before):
        with pytest.raises((StepRefused, InvalidValue)):
            self.confirm(event, *before)

    def test_without_a_scale_there_are_no_names(self):
        with pytest.raises((StepRefused, InvalidValue)):
            self.confirm(self.TRIAGED, scale=None)
        with pytest.raises(InvalidValue, match="give a SeverityScale"):
            self.confirm(self.TRIAGED, scale=LEVELS)
