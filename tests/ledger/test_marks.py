"""Figures know which log they were read from, and how far: a position alone says nothing."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import attrs
import pytest

from imcm import (
    InvalidValue,
    Ledger,
    LedgerReader,
    facts,
    incident,
    restated,
    time_to_acknowledge,
    time_to_restore,
    verifier,
    views,
)

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def tell(ledger, first=0, last=4):
    for number in range(first, last):
        at = NOW - timedelta(hours=10 - number)
        ledger.record(f"INC-{number}", incident.detect, by="ana", at=at, title="x")
        ledger.record(
            f"INC-{number}", incident.resolve, by="ana", at=at + timedelta(minutes=10 + number)
        )


def renumbered(path):
    """Give every event another position, the order kept."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE stored_events SET rowid = -rowid - 3 WHERE rowid > 1")
        connection.execute("UPDATE stored_events SET rowid = -rowid WHERE rowid < 0")


class TestTheMark:
    def test_is_the_leaf_of_the_last_event_read(self, ledger):
        tell(ledger)
        rows = list(ledger.rows())
        mark = ledger.facts().mark
        assert (ledger.ledger_id, rows[-1].position, 9) == (mark.ledger, mark.position, mark.events)
        assert verifier.leaf_hash(*rows[-1][1:]).hex() == mark.leaf

    def test_is_the_same_however_facts_are_made(self, ledger, tmp_path):
        tell(ledger)
        with views(ledger, tmp_path / "kept.db") as kept:
            told = [ledger.facts(), facts(ledger.replay()), kept.facts()]
        figures = [time_to_restore(one) for one in (*told, ledger.replay())]
        assert [ledger.facts().mark] * 7 == [one.mark for one in (*told, *figures)]

    def test_of_an_earlier_point_of_knowledge(self, ledger):
        tell(ledger)
        middle = list(ledger.rows())[4].position
        mark = ledger.facts(known_at=middle).mark
        assert (middle, 5) == (mark.position, mark.events)
        assert mark == facts(ledger.replay(), known_at=middle).mark == ledger.mark_at(middle)

    def test_of_a_plain_list_and_of_a_part_there_is_none(self, ledger):
        tell(ledger)
        assert facts(list(ledger.replay())).mark is None
        assert facts(ledger.replay(after=2)).mark is None
        assert ledger.mark_at(999) is None

    def test_is_part_of_the_figure_that_is_printed(self, ledger):
        tell(ledger)
        figure = time_to_restore(ledger.replay())
        assert figure.mark._asdict() == figure.as_dict()["mark"]
        assert f"log position {figure.log_position} of {ledger.ledger_id}" in figure.explain()


class TestAPublishedFigure:
    def test_is_restated_from_itself(self, ledger):
        tell(ledger)
        published = time_to_restore(ledger.facts())
        tell(ledger, 4, 6)
        found = restated(ledger.replay(), time_to_restore, known_at_a=published)
        assert (published.value, published.as_of) == (found.before.value, found.before.as_of)
        by_position = restated(
            ledger.replay(),
            time_to_restore,
            known_at_a=published.log_position,
            as_of=published.as_of,
        )
        assert by_position == found

    def test_is_refused_where_the_log_was_renumbered(self, path):
        with Ledger(path, clock=lambda: NOW) as ledger:
            tell(ledger)
            published = time_to_restore(ledger.facts(known_at=5))
        renumbered(path)
        with LedgerReader(path) as reader:
            assert reader.facts(known_at=5).events < 5  # the same position is another prefix
            with pytest.raises(InvalidValue, match="the log was renumbered or altered"):
                restated(reader.replay(), time_to_restore, known_at_a=published)

    def test_is_refused_by_another_ledger(self, path, tmp_path):
        with Ledger(path, clock=lambda: NOW) as one, Ledger(tmp_path / "b.db") as other:
            tell(one)
            tell(other)
            published = time_to_restore(one.facts())
            with pytest.raises(InvalidValue, match=f"a figure of this log, .*{other.ledger_id}"):
                restated(other.replay(), time_to_restore, known_at_a=published)

    def test_is_refused_where_an_event_before_it_is_missing(self, path, sql):
        with Ledger(path, clock=lambda: NOW) as ledger:
            tell(ledger)
            published = time_to_restore(ledger.facts())
            sql(path, "DELETE FROM stored_events WHERE rowid = 4")
            with pytest.raises(InvalidValue, match="another number of them before it"):
                restated(ledger.replay(), time_to_restore, known_at_a=published)

    def test_fits_a_copy_of_the_log(self, ledger, tmp_path):
        tell(ledger)
        published = time_to_restore(ledger.facts())
        rows = list(ledger.rows())
        if [row.position for row in rows] != list(range(1, len(rows) + 1)):
            pytest.skip("positions of this store have gaps, which a copy does not have")
        with Ledger.restored(tmp_path / "copy.db", rows) as copy:
            found = restated(copy.replay(), time_to_restore, known_at_a=published)
        assert 0 == found.events


class TestWhatComputesIt:
    """A published figure is restated by what computed it, and by nothing else."""

    @pytest.mark.parametrize(
        "other", [lambda facts: time_to_restore(facts, statistic="mean"), time_to_acknowledge]
    )
    def test_another_figure_is_refused(self, ledger, other):
        tell(ledger)
        published = time_to_restore(ledger.facts())
        with pytest.raises(InvalidValue, match="what computes the published figure"):
            restated(ledger.replay(), other, known_at_a=published)

    def test_another_value_is_refused(self, ledger):
        tell(ledger)
        published = attrs.evolve(time_to_restore(ledger.facts()), value=1.0)
        with pytest.raises(InvalidValue, match=r"what gives the published value, 1\.0"):
            restated(ledger.replay(), time_to_restore, known_at_a=published)
