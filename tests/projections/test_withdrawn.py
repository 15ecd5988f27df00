"""What a source has no more is in no figure, until the source has it again."""

import pytest

from imcm.domain import change as changes
from imcm.domain import incident as incidents
from imcm.domain.change_events import ChangeCompleted, ChangeDeployed, ChangePlanned
from imcm.domain.corrections import EventVoided, SourceReinstated, SourceSaid, SourceWithdrew
from imcm.domain.incident_events import IncidentDetected, IncidentResolved
from imcm.domain.vocabulary import ChangeType
from imcm.errors import InvalidValue
from imcm.projections.facts.fold import facts
from imcm.projections.figures.frequency import deployment_frequency
from imcm.projections.figures.restore import time_to_restore
from projections.log import at, change, log

GONE = SourceWithdrew(at=None, by="snow", imported=True)
BACK = SourceReinstated(at=None, by="snow", imported=True)
TOLD = (
    IncidentDetected(at=at(0), by="snow", imported=True),
    IncidentResolved(at=at(2), by="snow", imported=True),
)
WHY = "withdrawn (its source has it no more)"


def planned(**fields):
    return ChangePlanned(at=at(0), by="snow", type=ChangeType.NORMAL, imported=True, **fields)


@pytest.mark.parametrize(("events", "counts"), [((), 1), ((GONE,), 0), ((GONE, BACK), 1)])
def test_an_incident_counts_while_its_source_has_it(events, counts):
    story = log(("incident:INC-1", (*TOLD, *events)))
    figure = time_to_restore(story)
    assert (figure.n, facts(story).incidents[0].withdrawn) == (counts, not counts)
    assert (WHY in figure.explain()) is not bool(counts)


@pytest.mark.parametrize(("events", "counts"), [((), 1), ((GONE,), 0), ((GONE, BACK), 1)])
def test_a_deployment_counts_while_its_source_has_it(events, counts):
    done = ChangeDeployed(at=at(2), by="snow", imported=True)
    story = log(change("CHG-1", planned(), done, *events))
    figure = deployment_frequency(story)
    assert (figure.n, facts(story).changes[0].withdrawn) == (counts, not counts)
    assert (WHY in figure.explain()) is not bool(counts)


def test_what_is_decided_before_is_taken_as_it_is():
    again = IncidentResolved(at=at(3), by="snow", imported=True)
    added = incidents.bring_in(incidents.INITIAL, events=[*TOLD, again], decided=True)
    assert [event.at for _, event in added] == [at(0), at(2), at(3)]
    for wrong in (IncidentResolved(at=at(2), by="snow"), planned()):
        with pytest.raises(InvalidValue):
            incidents.bring_in(incidents.INITIAL, events=[TOLD[0], wrong], decided=True)


def test_a_source_takes_back_its_own_word():
    void = EventVoided(at=None, by="snow", version=2, status="", imported=True)
    again = SourceSaid(at=None, by="snow", facts=("severity",), imported=True)
    given = [*TOLD, void, again]
    told = incidents.bring_in(incidents.INITIAL, events=given, decided=True)
    added = [event for _, event in told]
    assert added[2].status == "detected"
    assert incidents.fold(added).status == "detected"
    row = facts(log(("incident:INC-1", tuple(added)))).incidents[0]
    assert (row.edits, row.spells[0].resolved) == ((), None)


def test_of_a_change_that_lives_here_it_takes_nothing_back():
    void = EventVoided(at=None, by="snow", version=2, status="", imported=True)
    done = ChangeCompleted(at=at(2), by="snow", imported=True)
    added = changes.bring_in(changes.INITIAL, events=[planned(), done, void], decided=True)
    assert [type(event) for _, event in added][-1] is EventVoided
    assert added[-1][1].status == "draft"
    lived = changes.fold([planned(), done])._replace(lived=True)
    assert changes.bring_in(lived, events=[void], decided=True) == ()
