"""
What a log can hold much of costs what it holds, and not the square of that.

Each dimension in which a stream or a log can grow is put through each thing that is done with it,
at one size and at twice that.
"""

import itertools
from datetime import timedelta
from functools import partial

import attrs
import pytest

from imcm.codec.encoding import encode
from imcm.codec.rows import StoredEvent
from imcm.domain import incident as incident_
from imcm.domain.corrections import (
    EventVoided,
    WordsRedacted,
)
from imcm.domain.incident_events import IncidentMerged, VerdictGiven
from imcm.domain.recorded import Recorded, Source
from imcm.domain.vocabulary import (
    Verdict,
)
from imcm.errors import ImportRefusedError
from imcm.interchange.csv_contract import csv_options
from imcm.interchange.csv_files import import_csv
from imcm.interchange.csv_table import Rows
from imcm.ledger import History, Ledger
from imcm.projections.facts.fold import FactsFold, facts
from imcm.projections.histories.anomalies import anomalies
from imcm.projections.histories.decisions import decision_trail
from imcm.projections.histories.learned import learned
from imcm.projections.histories.timeline import replayed, timeline
from long_streams import (
    CHANGES,
    LATER,
    MODULES,
    STREAMS,
    detected,
    readable,
    stream,
    told,
)
from projections.log import START, at
from work import assert_linear

pytestmark = pytest.mark.slow

N = 150


def loader(log):
    """Return what loads streams of a log again."""

    def load(upto):
        fold = FactsFold()
        fold.add_all(r for r in log if r.version <= upto.get(r.stream, 0))
        return fold

    return load


# --- what is done with a log ----------------------------------------------------------------------


def followed(log):
    """Take a log in four parts, each by a fold that goes on from what was put away."""
    kept, read = {}, None
    for part in range(4):
        fold = FactsFold(loader(log), snapshots=True)
        if read is not None:
            fold.restore(read, kept.values())
        fold.add_all(log[part * len(log) // 4 : (part + 1) * len(log) // 4])
        kept |= {one.row.id: one for one in fold.changed()}
        read = fold.cursor
        fold.facts()


PROJECTIONS = {
    "facts": facts,
    "facts as of": lambda log: facts(log, as_of=at(50)),
    "followed": followed,
    "timeline": lambda log: (timeline(log), replayed(log)),
    "learned": lambda log: learned(log, known_at_a=len(log) // 2, figures={}),
    "anomalies": anomalies,
}
LOGS = ("facts", "facts as of", "followed", "timeline", "learned")


@pytest.mark.parametrize(("kind", "name"), STREAMS)
@pytest.mark.parametrize("done", LOGS)
def test_projections_of_one_long_stream(done, kind, name):
    assert_linear(lambda n: partial(PROJECTIONS[done], stream(kind, name, n)), N)


@pytest.mark.parametrize("name", CHANGES)
def test_the_trail_of_one_long_change(name):
    assert_linear(lambda n: partial(decision_trail, stream("change", name, n), "X"), N)


@pytest.mark.parametrize(("kind", "name"), STREAMS)
def test_folding_one_long_stream(kind, name):
    assert_linear(lambda n: partial(MODULES[kind].fold, readable(kind, name, n)), N)


@pytest.mark.parametrize(("kind", "name"), STREAMS)
def test_one_more_event_and_one_more_step(kind, name):
    """Every step that may be asked for, and the state after one more event."""
    module = MODULES[kind]

    def made(n):
        state = module.fold(readable(kind, name, n))

        def called():
            module.next_steps(state, by="bea", at=at(300_000))
            module.evolve(state, told(WordsRedacted, versions=(1,)))

        return called

    assert_linear(made, N)


# --- histories brought in -------------------------------------------------------------------------


def history(kind, name, n):
    """Return what another tool would tell of such a stream: imported, without voids."""
    return [
        attrs.evolve(one, imported=True)
        for one in readable(kind, name, n)
        if not isinstance(one, EventVoided)
    ]


def brought_in(module, events):
    return tuple(event for _, event in module.bring_in(module.INITIAL, events=events))


@pytest.mark.parametrize(("kind", "name"), STREAMS)
@pytest.mark.parametrize("again", [False, True])
def test_bringing_in_one_long_history(again, kind, name):
    """The first time, and once more when all of it is there."""
    module = MODULES[kind]

    def made(n):
        events = history(kind, name, n)
        state = module.fold(brought_in(module, events)) if again else module.INITIAL
        return partial(module.bring_in, state, events=events)

    assert_linear(made, N)


@pytest.mark.parametrize("kind", ["incident", "change"])
def test_bringing_in_what_changed_all_over(kind):
    """Every moment of a history is another one now, and something new comes after each."""
    module = MODULES[kind]
    name = {"incident": "attempts", "change": "checks"}[kind]

    def made(n):
        events = history(kind, name, n)
        state = module.fold(brought_in(module, events))
        now = [attrs.evolve(one, at=one.at + timedelta(minutes=1)) for one in events]
        more = history(kind, name, 2 * n)[len(events) :]
        mixed = [one for pair in itertools.zip_longest(now, more) for one in pair if one]
        return partial(module.bring_in, state, events=mixed)

    assert_linear(made, N)


def test_bringing_in_verdicts_that_changed():
    def made(n):
        given = history("incident", "links", n)
        state = incident_.fold(brought_in(incident_, given))
        now = [given[0], *(attrs.evolve(one, verdict=Verdict.FIXED) for one in given[1:])]
        return partial(incident_.bring_in, state, events=now)

    assert_linear(made, N)


# --- the log as a whole ---------------------------------------------------------------------------


def merged(n, into):
    """Return a log of so many incidents, each merged into the one that is told."""
    log = []
    for k in range(n):
        target = into(k, n)
        events = [detected(), told(VerdictGiven, change=f"C{k}", verdict=Verdict.CAUSED)]
        if target != k:
            events.append(told(IncidentMerged, into=f"I{target:06}"))
        for version, event in enumerate(events, start=1):
            name, position = f"incident:I{k:06}", len(log) + 1
            log.append(Recorded(name, version, position, LATER, "r", None, event))
    return log


MERGES = {
    "chain": lambda k, n: min(k + 1, n - 1),
    "chain backwards": lambda k, n: max(k - 1, 0),
    "chain into nothing": lambda k, n: k + 1,
    "star": lambda k, n: 0,
    "circle": lambda k, n: (k + 1) % n,
    "tail of a circle": lambda k, n: k + 1 if k < n - 1 else n // 2,
}


@pytest.mark.parametrize("shape", MERGES)
@pytest.mark.parametrize("done", ["facts", "followed", "anomalies", "timeline"])
def test_merges(done, shape):
    assert_linear(lambda n: partial(PROJECTIONS[done], merged(n, MERGES[shape])), N)


def gaps(log):
    """Every other version is missing."""
    return [one._replace(version=2 * one.version) for one in log]


def backwards(log):
    """The ledger's own clock goes back all the time."""
    return [one._replace(recorded_at=LATER - timedelta(seconds=one.position)) for one in log]


def sources(log):
    """Every event comes from another tool."""
    return [one._replace(source=Source(name=f"s{one.version}", recorded_at=START)) for one in log]


@pytest.mark.parametrize("odd", [gaps, backwards, sources])
@pytest.mark.parametrize("done", PROJECTIONS)
@pytest.mark.parametrize("name", ["links", "corrections", "corrections of nothing", "unread"])
def test_what_is_odd_in_a_log(odd, done, name):
    assert_linear(lambda n: partial(PROJECTIONS[done], odd(stream("incident", name, n))), N)


def test_facts_of_a_ledger():
    """The leaner events in which the codec gives what only tells facts."""

    def made(n):
        ledger = Ledger.in_memory()
        rows = []
        for kind, name in STREAMS:
            for version, event in enumerate(readable(kind, name, n), start=1):
                if hasattr(event, "unauthorised"):  # a word that counts can't be written
                    plain = attrs.evolve(event, unauthorised=str(event.unauthorised))
                else:
                    plain = event
                type_, state = encode(plain, recorded_at=LATER, record="r")
                rows.append(StoredEvent(0, f"{kind}:{name}", version, type_, state))
        ledger._writes.insert(rows)
        return ledger.facts

    assert_linear(made, 40)


def test_a_step_on_a_long_stream_and_rows_of_another_ledger():
    def stepped(n):
        ledger = Ledger.in_memory()
        told_ = [(event, None) for event in history("incident", "links", n)]
        ledger.bring_in([History(stream="incident:X", events=tuple(told_))])
        step = partial(ledger.record, "X", incident_.post_update, by="ann", at=at(1), text="so far")

        def called():
            step()
            Ledger.in_memory().append_rows(ledger.rows())

        return called

    assert_linear(stepped, N)


# --- files ----------------------------------------------------------------------------------------


def incidents_file(path, cells):
    path.write_text("id,detected_at,merged_into,caused_by\n" + "".join(cells))
    return path


FILES = {
    "chain into nothing": lambda k, n: f"{k},2024-05-01T09:00Z,{k + 1},\n",
    "chain backwards into nothing": lambda k, n: f"{k},2024-05-01T09:00Z,{k - 1},\n",
    "star into nothing": lambda k, n: f"{k},2024-05-01T09:00Z,X,\n",
    "circle": lambda k, n: f"{k},2024-05-01T09:00Z,{(k + 1) % n},\n",
    "the same id": lambda k, n: f"1,2024-05-01T09:00Z,,C{k}\n",
}


@pytest.mark.parametrize("shape", FILES)
def test_files_that_are_refused(shape, tmp_path):
    def made(n):
        path = tmp_path / f"{n}.csv"
        incidents_file(path, [FILES[shape](k, n) for k in range(n)])

        def called():
            with pytest.raises(ImportRefusedError):
                import_csv(Ledger.in_memory(), incidents=path)

        return called

    assert_linear(made, 60)


def test_files_with_much_in_them(tmp_path):
    """Many merged into one, one with many causes; imported twice."""

    def made(n):
        path = tmp_path / f"{n}.csv"
        causes = ";".join(f"C{k}" for k in range(n))
        rows = [f"{k},2024-05-01T09:00Z,0,\n" for k in range(1, n)]
        incidents_file(path, [f"0,2024-05-01T09:00Z,,{causes}\n", *rows])

        def called():
            ledger = Ledger.in_memory()
            import_csv(ledger, incidents=path)
            import_csv(ledger, incidents=path)

        return called

    assert_linear(made, 60)


def test_many_columns():
    def made(n):
        header = ",".join(["id", *(f"label {k}" for k in range(n))])
        return partial(Rows, f"{header}\n".encode(), "incidents", csv_options())

    assert_linear(made, N)
