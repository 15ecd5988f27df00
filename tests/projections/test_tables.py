"""Tables of rows, and what figures take from their columns: the same as from the rows."""

import pickle

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imcm.domain.change_events import (
    ChangeCompleted,
    ChangeFailed,
    ChangeRecovered,
    ChangeRolledBack,
    CommitsRecorded,
)
from imcm.domain.incident_events import (
    IncidentAcknowledged,
    IncidentDetected,
    IncidentDismissed,
    IncidentMerged,
    IncidentMitigated,
    IncidentReopened,
    IncidentResolved,
    IncidentStatus,
    VerdictGiven,
)
from imcm.domain.vocabulary import (
    ChangeType,
    Commit,
    DismissalReason,
    Kind,
    Mode,
    Verdict,
)
from imcm.projections.facts.columns import (
    NO_TIME,
    UNSURE,
    argsort,
    indices_set,
    indices_unset,
    searchsorted,
    take,
)
from imcm.projections.facts.fold import ChangeFacts, Facts, IncidentFacts, facts
from imcm.projections.facts.tables import ChangeTable, IncidentTable
from imcm.projections.figures.failures import change_failure_rate
from imcm.projections.figures.lead_time import _Arrivals, lead_time
from imcm.projections.figures.recovery import failed_deployment_recovery_time
from imcm.projections.figures.restore import (
    time_to_acknowledge,
    time_to_mitigate,
    time_to_restore,
)
from imcm.projections.reports.dora import dora_report
from projections.log import HOUR, at, between, change, deployment, detected, incident, log, planned

MODERATE = settings(max_examples=25, deadline=None)
RESOLVED = IncidentStatus.RESOLVED

# --- logs in which much is unusual ----------------------------------------------------------------

hours = st.integers(0, 30)
moments = hours.map(at) | st.tuples(hours, st.integers(1, 5)).map(
    lambda drawn: between(drawn[0], drawn[0] + drawn[1])
)
services = st.sampled_from([(), ("a",), ("b",), ("a", "b")])
seldom = st.sampled_from([False] * 7 + [True])


@st.composite
def changes(draw, number):
    fields = {"services": draw(services)}
    if draw(seldom):
        fields["environment"] = draw(st.sampled_from(["staging", "production"]))
    if draw(seldom):
        fields["kind"] = Kind.ROLLBACK
    if draw(seldom):
        fields["type"] = ChangeType.EMERGENCY
    if draw(seldom):
        fields["repairs"] = draw(st.sampled_from(["C0", "C1", "nowhere"]))
    ids = draw(st.sampled_from([(number,), (number,), (number,), (), (number, 10 + number), (0,)]))
    commits = tuple(
        Commit(
            id=f"c{id_}",
            committed_at=draw(st.none() | hours.map(at)),
            authored_at=draw(st.none() | hours.map(at)),
        )
        for id_ in ids
    )
    events = [planned(0, **fields)]
    if commits:
        events.append(CommitsRecorded(at=at(0), by="ci", commits=commits))
    if not draw(seldom):
        events.append(ChangeCompleted(at=draw(moments), by="ci"))
    outcome = draw(st.sampled_from([None, None, ChangeRolledBack, ChangeFailed]))
    if outcome is not None:
        reached = not draw(seldom)
        events.append(outcome(at=draw(moments), by="ci", reached_production=reached))
    if draw(seldom):
        events.append(ChangeRecovered(at=draw(moments), by="ci"))
    return change(f"C{number}", *events)


@st.composite
def incidents(draw, number):
    mode = Mode.DRILL if draw(seldom) else Mode.REAL
    events = [IncidentDetected(at=draw(moments), by="m", services=draw(services), mode=mode)]
    for name in draw(st.sets(st.sampled_from(["C0", "C1", "C2", "nowhere"]), max_size=2)):
        verdict = draw(st.sampled_from(list(Verdict)))
        events.append(VerdictGiven(at=at(1), by="a", change=name, verdict=verdict))
    if draw(st.booleans()):
        events.append(IncidentAcknowledged(at=draw(moments), by="a"))
    if draw(st.booleans()):
        events.append(IncidentMitigated(at=draw(moments), by="a"))
    if not draw(seldom):
        events.append(IncidentResolved(at=draw(moments), by="a"))
        if draw(seldom):
            events.append(IncidentReopened(at=draw(moments), by="a", number=1, began=RESOLVED))
            if draw(st.booleans()):
                events.append(IncidentResolved(at=draw(moments), by="a"))
    if draw(seldom):
        events.append(IncidentDismissed(at=at(2), by="a", reason=DismissalReason.FALSE_POSITIVE))
    if draw(seldom):
        events.append(IncidentMerged(at=at(2), by="a", into="I0"))
    return f"incident:I{number}", events


def several(kind):
    return st.integers(0, 5).flatmap(lambda n: st.tuples(*(kind(place) for place in range(n))))


logs = st.tuples(several(changes), several(incidents)).map(lambda both: log(*both[0], *both[1]))


# --- the short way and the long way ---------------------------------------------------------------


def nothing_plain(table, known):
    """Have a table say of every row that it must be looked at."""
    filled = table._filled

    def told(self, material):
        columns = filled(self, material)
        changed = {name: bytearray(len(columns.services)) for name in ("counted", "once")}
        for name in known:
            column = getattr(columns, name)[:]
            for place, time in enumerate(column):
                column[place] = min(time, UNSURE)
            changed[name] = column
        return columns._replace(**{k: v for k, v in changed.items() if k in columns._fields})

    return told


FIGURES = {
    "report": lambda known, **given: dora_report(known, **given).as_dict(population=True),
    "restore": lambda known, **given: time_to_restore(known, **given).as_dict(population=True),
    "restore, first": lambda known, **given: time_to_restore(
        known, reopened="first", **given
    ).as_dict(population=True),
    "acknowledge": lambda known, **given: time_to_acknowledge(
        known, in_window="either", **given
    ).as_dict(population=True),
    "acknowledge, censored": lambda known, **given: time_to_acknowledge(
        known, missing="censor", **given
    ).as_dict(population=True),
    "mitigate": lambda known, **given: time_to_mitigate(known, **given).as_dict(population=True),
    "mitigate, each": lambda known, **given: time_to_mitigate(
        known, reopened="each", **given
    ).as_dict(population=True),
    "authored": lambda known, **given: lead_time(known, start="authored", **given).as_dict(
        population=True
    ),
    "both ways": lambda known, **given: lead_time(known, negative="include", **given).as_dict(
        population=True
    ),
    "stays": lambda known, **given: lead_time(known, roll_forward=False, **given).as_dict(
        population=True
    ),
    "rollbacks": lambda known, **given: lead_time(known, rollbacks="count", **given).as_dict(
        population=True
    ),
    "inferred": lambda known, **given: change_failure_rate(
        known, attribution="between_releases", **given
    ).as_dict(population=True),
    "aged": lambda known, **given: change_failure_rate(
        known, attribution="latest_before", max_age=5 * HOUR, candidates="successful", **given
    ).as_dict(population=True),
    "everything": lambda known, **given: change_failure_rate(
        known, attribution="latest_at_or_before", scope="global", **given
    ).as_dict(population=True),
    "each incident": lambda known, **given: failed_deployment_recovery_time(
        known, per="incident", **given
    ).as_dict(population=True),
    "next success": lambda known, **given: failed_deployment_recovery_time(
        known, recovered_by="next_success", look_back="last_success", **given
    ).as_dict(population=True),
}


@pytest.mark.parametrize("name", FIGURES)
@MODERATE
@given(
    known=logs.map(facts),
    window=st.none() | st.tuples(hours, hours).filter(lambda w: w[0] < w[1]),
    group_by=st.sampled_from([None, "service"]),
    bucket_by=st.sampled_from([None, "day"]),
    bounds=st.sampled_from(["[)", "(]", "[]"]),
)
def test_columns_say_what_the_rows_say(name, known, window, group_by, bucket_by, bounds):
    """What is taken from columns is what looking at each row gives."""
    given_ = {"group_by": group_by, "bucket_by": bucket_by, "bounds": bounds}
    if window is not None:
        given_["window"] = (at(window[0]), at(window[1]))
    figure = FIGURES[name]
    short = figure(known, **given_)
    with pytest.MonkeyPatch.context() as patched:
        times = ("detected", "resolved")
        patched.setattr(IncidentTable, "_filled", nothing_plain(IncidentTable, times))
        times = ("rolled_back", "recovered")
        patched.setattr(ChangeTable, "_filled", nothing_plain(ChangeTable, times))
        patched.setattr(_Arrivals, "_take_plain", lambda self, found, *_: range(len(found)))
        long = figure(
            attrs.evolve(known, incidents=known.incidents[:], changes=known.changes[:]), **given_
        )

    assert long == short


def test_commits_of_two_deployments_arrive_together():
    """The one that failed brought its commit only with the one that followed."""
    first = Commit(id="c1", committed_at=at(0))
    second = Commit(id="c2", committed_at=at(3))

    def bringing(commit):
        return CommitsRecorded(at=at(0), by="ci", commits=(commit,))

    back = ChangeRolledBack(at=at(2), by="ci", reached_production=True)
    known = facts(
        log(
            deployment("A", 1, bringing(first), back),
            deployment("B", 5, bringing(second), services=("pay",)),
        )
    )
    figure = lead_time(known, group_by="service")

    assert [(one.id, one.value / HOUR) for one in figure.included] == [("c2", 2), ("c1", 5)]
    assert {one.positions for one in figure.included} == {(1, 2, 3, 4, 5, 6, 7)}
    assert [(group.group, group.n) for group in figure.groups] == [("pay", 2)]


def test_an_uncertain_roll_back_comes_before_what_was_recorded_exactly():
    """It is the first end that is present, however little is known of it."""
    back = ChangeRolledBack(at=between(2, 4), by="ci", reached_production=True)
    known = facts(log(deployment("A", 1, back, ChangeRecovered(at=at(9), by="ci"))))
    figure = failed_deployment_recovery_time(known)

    assert (figure.value, figure.bounds) == (2 * HOUR, (1 * HOUR, 3 * HOUR))


# --- tables ---------------------------------------------------------------------------------------


@pytest.fixture
def known():
    return facts(log(incident("B", detected(1)), incident("A", detected(2)), deployment("C", 3)))


def test_a_table_is_the_tuple_of_its_rows(known):
    first, second = known.incidents
    rows = (first, second)

    assert known.incidents == rows
    assert rows == known.incidents
    assert known.incidents != (second, first)
    assert "<IncidentTable of 2>" == repr(known.incidents)
    assert "<IncidentColumns of 2>" == repr(known.incidents.columns)
    assert "<ChangeColumns of 1>" == repr(known.changes.columns)
    assert (known.incidents[-1], known.incidents[:1]) == (second, (first,))
    assert [row.id for row in reversed(known.incidents)] == ["B", "A"]
    assert known.incidents.index(second) == 1
    with pytest.raises(IndexError):
        known.incidents[2]


def test_rows_are_found_by_their_ids(known):
    assert known.changes.get("C") is known.changes[0]
    assert known.changes.get("D") is None
    assert known.incidents.index_of("B") == 1


def test_facts_travel_to_other_processes(known):
    assert pickle.loads(pickle.dumps(known.incidents)) == known.incidents
    assert attrs.evolve(known) == known


def test_facts_can_be_made_of_rows(known):
    made = Facts(incidents=known.incidents[:], changes=list(known.changes), as_of=known.as_of)

    assert time_to_restore(made).value == time_to_restore(known).value
    assert made.incidents == known.incidents


@MODERATE
@given(logs.map(facts), st.data())
def test_rows_that_are_put_in_stand_in_their_places(known, data):
    """However rows come, the table and its columns are those of all of them."""
    for table, row in ((known.incidents, IncidentFacts), (known.changes, ChangeFacts)):
        rows = {one.id: one for one in table}
        made = type(table)()
        while rows:
            some = data.draw(st.sets(st.sampled_from(sorted(rows)), min_size=1))
            blank = {id_: row(id_, rows[id_].status) for id_ in some}
            made.put(blank if data.draw(st.booleans()) else {id_: rows[id_] for id_ in some})
            before = tuple(made)
            again = made.with_rows({id_: rows.pop(id_) for id_ in some})
            assert made == before
            made = again
            assert made.columns.counted == type(table).of(made[:]).columns.counted
        assert made == table
        services_of = [made.services[number] for number in made.columns.services]
        assert services_of == [one.services for one in table]
        assert made.columns[:-1] == type(table).of(table[:]).columns[:-1]


@given(st.lists(st.booleans()))
def test_indices_of_flags(flags):
    mask = bytearray(flags)

    assert list(indices_set(mask)) == [index for index, flag in enumerate(flags) if flag]
    assert list(indices_unset(mask)) == [index for index, flag in enumerate(flags) if not flag]


@given(st.sets(st.text(max_size=2)), st.lists(st.text(max_size=2)))
def test_indices_of_sorted_values(values, wanted):
    values = sorted(values)

    indices = searchsorted(values, wanted)

    assert [sum(value < one for value in values) for one in wanted] == indices
    there = [index for index, one in zip(indices, wanted, strict=True) if one in values]
    assert [one for one in wanted if one in values] == take(values, there)


@given(st.lists(st.integers(NO_TIME, 2**62) | st.integers(2**53 - 3, 2**53 + 3)))
def test_times_in_order(times):
    assert argsort(times) == sorted(range(len(times)), key=times.__getitem__)
