"""A ledger knows the team's scale, and what an incident is part of."""

import functools
from datetime import timedelta

import pytest

from imcm import (
    History,
    InvalidValue,
    Ledger,
    Relation,
    SeverityScale,
    StepRefused,
    incident,
)
from imcm.domain.incident import Incident
from imcm.domain.incident_events import IncidentDetected, IncidentRelated, IncidentTriaged
from ledger.conftest import NOW

SCALE = SeverityScale(
    levels={"SEV0": "P1", "SEV1": "P1", "SEV2": "P2"}, matrix={"high": {"high": "SEV1"}}
)
TOLD = {"by": "ann", "at": NOW}


def detect(ledger, *ids):
    for id_ in ids:
        ledger.record(id_, incident.detect, title="down", **TOLD)


@pytest.fixture
def named(path):
    with Ledger(path, clock=lambda: NOW, scale=SCALE) as made:
        detect(made, "INC-1")
        yield made


class TestScale:
    def test_steps_take_its_names(self, named):
        levels = {"impact_level": "high", "urgency": "high"}
        [triaged] = named.record("INC-1", incident.triage, **levels, **TOLD)
        told = {"severity": "SEV0", "why": "all", **TOLD}
        [changed] = named.record("INC-1", incident.change_severity, **told)
        [corrected] = named.record(
            "INC-1",
            incident.correct,
            version=2,
            field="severity",
            was="SEV1",
            now="SEV2",
            why="a slip",
            **TOLD,
        )
        assert ["SEV1", "SEV0", "SEV2"] == [
            one.event.severity_name for one in (triaged, changed, corrected)
        ]
        assert "SEV1" == triaged.event.severity_proposed

    def test_in_a_transaction_and_under_a_key_too(self, named):
        with named.transaction() as tx:
            tx.record("INC-1", incident.triage, severity="SEV2", **TOLD)
        assert "SEV2" == tx.recorded[0].event.severity_name
        door = named.once("bot", "7", strict=True)
        told = {"severity": "SEV0", "why": "all", **TOLD}
        first = door.record("INC-1", incident.change_severity, **told)
        assert first == door.record("INC-1", incident.change_severity, **told)

    def test_names_that_are_none_of_it_are_refused(self, named):
        with pytest.raises(InvalidValue, match="one of SEV0, SEV1, SEV2"):
            named.record("INC-1", incident.triage, severity="SEV9", **TOLD)

    @pytest.mark.parametrize(
        "scale", [None, "web", SeverityScale(levels={"SEV9": "P1", "SEV0": "P4"})]
    )
    def test_a_call_can_not_bring_another(self, named, scale):
        """It would let a name of the team's stand at another rank."""
        for step in (incident.triage, functools.partial(incident.triage, scale=scale)):
            told = {} if isinstance(step, functools.partial) else {"scale": scale}
            with pytest.raises(InvalidValue, match="what is in force, default 1, which"):
                named.record("INC-1", step, severity="SEV0", **told, **TOLD)
        [one] = named.record("INC-1", incident.triage, severity="SEV0", scale=SCALE, **TOLD)
        assert "SEV0" == one.event.severity_name

    def test_without_one_a_call_may_bring_one(self, ledger):
        detect(ledger, "INC-1")
        [one] = ledger.record("INC-1", incident.triage, severity="SEV0", scale=SCALE, **TOLD)
        assert "SEV0" == one.event.severity_name

    def test_without_one_there_are_ranks_alone(self, ledger):
        detect(ledger, "INC-1")
        with pytest.raises(InvalidValue, match="give a SeverityScale"):
            ledger.record("INC-1", incident.triage, severity="SEV1", scale="web", **TOLD)
        [one] = ledger.record("INC-1", incident.triage, severity="P1", **TOLD)
        assert one.event.severity_name is None

    def test_a_step_of_ones_own_is_asked_too(self, named):
        def rate(state: Incident, *, by, at, name, scale):
            rank, told = scale.rated("name", "SEV1")
            return (IncidentTriaged(by=by, at=at, severity=rank, severity_name=name or told),)

        with pytest.raises(InvalidValue, match="SEV9"):
            named.record("INC-1", rate, name="SEV9", **TOLD)
        with pytest.raises(StepRefused, match="triage makes IncidentTriaged"):
            named.record("INC-1", rate, name="SEV2", **TOLD)  # which has another rank
        [one] = named.record("INC-1", rate, name=None, **TOLD)
        assert "SEV1" == one.event.severity_name

    def test_other_ways_to_a_ledger_take_one_too(self, named, tmp_path):
        rows = list(named.rows())
        with Ledger.restored(tmp_path / "copy.db", rows, clock=lambda: NOW, scale=SCALE) as copy:
            [one] = copy.record("INC-1", incident.triage, severity="SEV2", **TOLD)
        memory = {"PERSISTENCE_MODULE": "eventsourcing.popo"}
        other = Ledger.restored(memory, rows, clock=lambda: NOW, scale=SCALE)
        [two] = other.record("INC-1", incident.triage, severity="SEV2", **TOLD)
        assert one.event == two.event

    @pytest.mark.parametrize("scale", ["web", {"SEV1": "P1"}, 7])
    def test_refuses_what_is_none(self, path, scale):
        for make in (
            lambda: Ledger(path, scale=scale),
            lambda: Ledger.in_memory(scale=scale),
        ):
            with pytest.raises(InvalidValue, match="give a SeverityScale"):
                make()
        assert not path.exists()


class TestRelate:
    def relate(self, ledger, id_, to, kind="child_of"):
        return ledger.relate(id_, to=to, kind=kind, **TOLD)

    def test_is_recorded_in_its_own_stream(self, ledger):
        detect(ledger, "INC-1", "INC-2")
        [recorded] = self.relate(ledger, "INC-2", "INC-1")
        event = IncidentRelated(**TOLD, other="INC-1", kind=Relation.CHILD_OF)
        assert ("incident:INC-2", event) == (recorded.stream, recorded.event)
        assert () == self.relate(ledger, "INC-2", "INC-1")

    def test_no_circle_however_long(self, ledger):
        ids = [f"INC-{number}" for number in range(6)]
        detect(ledger, *ids)
        for child, parent in zip(ids[1:], ids, strict=False):
            self.relate(ledger, child, parent)
        with pytest.raises(StepRefused, match="INC-5 is itself part of INC-0") as caught:
            self.relate(ledger, "INC-0", "INC-5")
        assert "no circle" == caught.value.guard
        assert self.relate(ledger, "INC-0", "INC-5", "recurrence_of")

    def test_a_circle_in_imported_history_ends_the_search(self, ledger):
        told = {"by": "sn", "at": NOW - timedelta(days=1), "imported": True}
        histories = [
            History(
                stream=f"incident:{one}",
                events=(
                    (IncidentDetected(**told), None),
                    (IncidentRelated(**told, other=other, kind=Relation.CHILD_OF), None),
                ),
            )
            for one, other in (("A", "B"), ("B", "A"))
        ]
        ledger.bring_in(histories)
        detect(ledger, "INC-1")
        assert self.relate(ledger, "INC-1", "A")

    def test_one_that_is_not_there_is_named(self, ledger):
        detect(ledger, "INC-17", "INC-2")
        recorded = self.relate(ledger, "INC-2", "INC-71")
        [note] = recorded.notes
        assert "INC-71" in note
        assert "INC-17" in note

    def test_both_in_one_transaction_are_seen(self, ledger):
        detect(ledger, "INC-1", "INC-2")
        with pytest.raises(StepRefused, match="no circle"), ledger.transaction() as tx:  # noqa: PT012
            tx.relate("INC-2", to="INC-1", kind=Relation.CHILD_OF, **TOLD)
            tx.relate("INC-1", to="INC-2", kind=Relation.CHILD_OF, **TOLD)
        assert 0 == len(ledger.facts().incidents[0].related)

    def test_under_a_key_once(self, ledger):
        detect(ledger, "INC-1", "INC-2")
        door = ledger.once("bot", "7")
        first = door.relate("INC-2", to="INC-1", kind=Relation.RELATED, **TOLD)
        again = door.relate("INC-2", to="INC-1", kind=Relation.RELATED, **TOLD)
        assert (first, True) == (again, again.repeated)

    def test_nobody_says_himself_what_is_above(self, ledger):
        """The circle would be there, and no guard would have seen it."""
        detect(ledger, "INC-1", "INC-2")
        self.relate(ledger, "INC-2", "INC-1")
        told = {"id": "INC-1", "to": "INC-2", "kind": "child_of", "above": (), **TOLD}
        with pytest.raises(InvalidValue, match=r"use ledger\.relate"):
            ledger.record("INC-1", incident.relate, **told)
        bound = functools.partial(incident.relate, **told)
        with ledger.transaction() as tx, pytest.raises(InvalidValue, match=r"use ledger\.relate"):
            tx.record("INC-1", bound)

    def test_another_step_can_not_record_it(self, ledger):
        def relate(state: Incident, *, by, at):
            return (IncidentRelated(by=by, at=at, other="INC-1", kind=Relation.CHILD_OF),)

        detect(ledger, "INC-1")
        with pytest.raises(InvalidValue, match=r"use Ledger\.relate"):
            ledger.record("INC-1", relate, **TOLD)

    def test_taken_back(self, ledger):
        detect(ledger, "INC-1", "INC-2")
        self.relate(ledger, "INC-2", "INC-1")
        [gone] = ledger.record("INC-2", incident.unrelate, to="INC-1", **TOLD)
        assert Relation.CHILD_OF is gone.event.kind
        assert self.relate(ledger, "INC-1", "INC-2")
