"""
The envelope: what was known when, and in which order a source knew it.
"""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.examples import at, detected, log, mitigated, of, planned, resolved, triaged
from imcm.domain.recorded import Source, as_source_knew, known
from imcm.errors import InvalidValue, NaiveTimeError

A, B = "incident:A", "incident:B"


def stamped(*hours):
    """Return a log with one event at each of these stamps, in this order."""
    return log(*((f"incident:{i}", detected(), at(hour)) for i, hour in enumerate(hours)))


def from_source(recorded, hours):
    stamp = None if hours is None else at(hours)
    return recorded._replace(source=Source(name="servicenow", recorded_at=stamp))


class TestEnvelope:
    def test_kind_and_id_are_the_parts_of_the_stream(self):
        (recorded,) = of("incident:team:7", detected())

        assert ("incident", "team:7") == (recorded.kind, recorded.id)

    def test_a_source_gives_aware_stamps(self):
        with pytest.raises(NaiveTimeError, match=r"source\.recorded_at"):
            Source(name="jira", recorded_at=at(0).replace(tzinfo=None))

    def test_a_source_need_not_say_when(self):
        assert Source(name="jira").recorded_at is None


class TestKnown:
    def test_everything_unless_told_otherwise(self):
        entries = stamped(1, 2, 3)

        assert entries == list(known(entries))

    @pytest.mark.parametrize(("position", "count"), [(0, 0), (1, 1), (2, 2), (3, 3), (99, 3)])
    def test_up_to_a_position_that_one_included(self, position, count):
        entries = stamped(1, 2, 3)

        assert entries[:count] == list(known(entries, position))

    def test_positions_may_have_gaps(self):
        entries = [r._replace(position=r.position * 10) for r in stamped(1, 2, 3)]

        assert entries[:2] == list(known(entries, 29))

    @pytest.mark.parametrize(("hours", "count"), [(0.5, 0), (1, 1), (2.5, 2), (3, 3), (9, 3)])
    def test_up_to_a_time_its_own_instant_included(self, hours, count):
        entries = stamped(1, 2, 3)

        assert entries[:count] == list(known(entries, at(hours)))

    def test_where_stamps_went_back_it_is_still_a_prefix(self):
        """Nothing after the first event recorded later than T was known at T."""
        entries = stamped(1, 5, 2, 3)

        assert entries[:1] == list(known(entries, at(3)))
        assert entries == list(known(entries, at(5)))

    @pytest.mark.parametrize("value", [2**63, -(2**63)])
    def test_refuses_a_position_that_no_log_can_have(self, value):
        with pytest.raises(InvalidValue, match="at most 9,223,372,036,854,775,807"):
            list(known([], value))

    @pytest.mark.parametrize("value", [True, "3", 2.0])
    def test_refuses_what_is_neither(self, value):
        with pytest.raises(InvalidValue, match="known_at: "):
            list(known([], value))

    def test_a_naive_time_is_refused(self):
        with pytest.raises(NaiveTimeError, match="known_at: "):
            list(known([], at(0).replace(tzinfo=None)))

    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(st.lists(st.integers(0, 9), max_size=8), st.integers(-1, 10))
    def test_is_the_longest_prefix_without_a_later_stamp(self, hours, now):
        entries = stamped(*hours)

        prefix = list(known(entries, at(now)))

        assert entries[: len(prefix)] == prefix
        assert all(recorded.recorded_at <= at(now) for recorded in prefix)
        assert all(r.recorded_at > at(now) for r in entries[len(prefix) : len(prefix) + 1])


class TestAsSourceKnew:
    def test_gives_the_order_and_the_stamps_of_the_source(self):
        entries = [
            from_source(recorded, hours)
            for recorded, hours in zip(
                log((A, detected()), (B, detected()), (A, resolved())), (3, 1, 4), strict=True
            )
        ]

        told = as_source_knew(entries)

        assert [(B, 1, 1, at(1)), (A, 1, 2, at(3)), (A, 2, 3, at(4))] == [
            (r.stream, r.version, r.position, r.recorded_at) for r in told
        ]
        assert [entries[1].event, entries[0].event, entries[2].event] == [r.event for r in told]

    def test_what_has_no_source_stamp_keeps_the_ledgers(self):
        first, second, third = log((A, detected()), (B, detected()), ("change:C", planned()))
        entries = [from_source(first, None), from_source(second, 5), third]

        told = as_source_knew(entries)

        assert [B, A, "change:C"] == [r.stream for r in told]
        assert [at(5), first.recorded_at, third.recorded_at] == [r.recorded_at for r in told]

    def test_events_of_a_stream_keep_their_order_where_its_clock_went_back(self):
        entries = [
            from_source(recorded, hours)
            for recorded, hours in zip(
                log((A, detected()), (A, triaged()), (B, detected()), (A, mitigated())),
                (5, 2, 3, 6),
                strict=True,
            )
        ]

        told = as_source_knew(entries)

        assert [(B, 1), (A, 1), (A, 2), (A, 3)] == [(r.stream, r.version) for r in told]
        assert [at(3), at(5), at(2), at(6)] == [r.recorded_at for r in told]

    def test_known_at_works_on_the_result(self):
        entries = [
            from_source(r, hours) for r, hours in zip(stamped(900, 901), (7, 1), strict=True)
        ]

        assert [1] == [r.position for r in known(as_source_knew(entries), at(5))]
        assert [] == list(known(entries, at(5)))

    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(st.lists(st.tuples(st.sampled_from("ABC"), st.none() | st.integers(0, 9)), max_size=10))
    def test_loses_and_invents_nothing(self, drawn):
        plain = log(*((f"incident:{stream}", detected()) for stream, _ in drawn))
        entries = [from_source(r, hours) for r, (_, hours) in zip(plain, drawn, strict=True)]

        told = as_source_knew(entries)

        assert list(range(1, len(entries) + 1)) == [r.position for r in told]
        assert {r.record for r in entries} == {r.record for r in told}
        for stream in {r.stream for r in entries}:
            versions = [r.version for r in told if r.stream == stream]
            assert sorted(versions) == versions

    def test_an_empty_log_stays_empty(self):
        assert [] == as_source_knew([])

    def test_equal_stamps_keep_the_order_of_the_log(self):
        entries = [
            r._replace(recorded_at=at(1) + timedelta(0))
            for r in log((B, detected()), (A, detected()))
        ]

        assert [B, A] == [r.stream for r in as_source_knew(entries)]
