"""The parts of a figure: which rows are in which group and period."""

from fractions import Fraction
from math import comb

from hypothesis import given, settings
from hypothesis import strategies as st

from imcm.projections.facts.instants import instant
from imcm.projections.figures.bounds import instants
from imcm.projections.figures.groups import Members, names_of, shared_out
from imcm.projections.figures.lead_time import LeadTime
from imcm.projections.figures.periods import Periods, buckets
from imcm.projections.statistics.intervals import binomial_rank
from imcm.projections.statistics.samples import Ordered, sort
from projections.log import HOUR, at

keys = st.lists(st.sampled_from([(), ("a",), ("b",), ("a", "b"), ("b", "c")]), max_size=12)


@given(keys)
def test_rows_are_with_all_that_share_a_key(theirs):
    shared = shared_out(range(len(theirs)), theirs)

    assert names_of(theirs) == sorted(shared)
    for key, rows in shared.items():
        assert rows == [row for row, mine in enumerate(theirs) if key in mine]


def test_a_part_that_holds_nothing_has_no_rows():
    members = Members(2, [("a",), ("b",)], [(0,), ()])

    assert [*members.of(None, None)] == [0, 1]
    assert [members.of(name, 0) for name in ("a", "b", "c")] == [[0], (), ()]
    assert [members.of(name, None) for name in ("b", "c")] == [[1], ()]


@given(
    st.sampled_from(["[)", "(]", "[]", "()"]),
    st.lists(st.integers(-30, 80)),
    st.tuples(st.integers(0, 40), st.integers(1, 30)),
)
def test_an_instant_is_in_the_period_whose_instants_hold_it(bounds, hours, window):
    first, length = window
    span = at(first), at(first + length)
    definition = LeadTime(window=span, bucket_by="day", bounds=bounds)
    periods = Periods(buckets(definition, ()), bounds)
    times = [instant(at(hour)) for hour in hours]
    times += [time + step for time in times for step in (-1, 1)]
    spans = [instants(period, bounds) for period in periods]

    holding = [tuple(n for n, span in enumerate(spans) if time in span) for time in times]

    assert periods.numbers(times) == holding
    for time in times:
        assert [*periods.up_from(time)] == [n for n, span in enumerate(spans) if time < span.stop]
    assert periods[:1] == (periods[0],)
    assert Periods((), bounds).numbers([HOUR]) == [()]


@given(st.lists(st.integers(2**53 - 3, 2**53 + 3) | st.integers(-(2**80), 2**80)))
def test_whole_numbers_are_sorted_exactly_however_large(numbers):
    given_ = numbers[:]
    sort(numbers)

    assert numbers == sorted(given_)
    assert Ordered.of(given_).at(range(1, len(numbers))) == numbers[1:]


@settings(deadline=None)  # its own way of telling is exact, and slow
@given(st.integers(0, 300), st.floats(0.01, 0.99), st.floats(1e-9, 0.5))
def test_a_rank_is_the_largest_that_is_not_too_likely(n, p, tail):
    rank = binomial_rank(n, p, tail)
    happens = Fraction(p)  # as floats the first weights would be nothing at all
    weights = [comb(n, k) * happens**k * (1 - happens) ** (n - k) for k in range(rank + 1)]

    assert sum(weights[:rank]) <= tail * (1 + 1e-9)
    assert rank == n or sum(weights) > tail * (1 - 1e-9)
