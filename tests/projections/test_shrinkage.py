"""
Rates drawn towards the whole: laws, and the same estimate made by other libraries.
"""

import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imcm.errors import InvalidValue
from imcm.projections.statistics.intervals import jeffreys
from imcm.projections.statistics.shrinkage import (
    MOST_LEVELS,
    PRIOR_VARIANCE,
    shrunk_rates,
)

oracle = pytest.mark.filterwarnings("ignore")


@st.composite
def counts(draw):
    n = draw(st.integers(0, 10_000))
    return n, draw(st.integers(0, n))


groups = st.dictionaries(st.text("abcdef", min_size=1, max_size=2), counts(), max_size=8)


def of_one(cells, **more):
    return shrunk_rates({(name,): pair for name, pair in cells.items()}, factors=["group"], **more)


def logit(rate):
    return math.log(rate / (1 - rate))


def random_cells(seed, sizes, cells):
    """Return cells of several factors with weights that are no whole numbers."""
    chance = Random(seed)
    effects = [[chance.gauss(0, 0.7) for _ in range(size)] for size in sizes]
    made = {}
    for _ in range(cells):
        levels = tuple(chance.randrange(size) for size in sizes)
        log_odds = -1.5 + sum(each[at] for each, at in zip(effects, levels, strict=True))
        n = chance.randrange(1, 40)
        failed = sum(chance.random() < 1 / (1 + math.exp(-log_odds)) for _ in range(n))
        weight = chance.choice([1, 0.5])
        made[tuple(f"{at}" for at in levels)] = n * weight, failed * weight
    return made


# --- laws -----------------------------------------------------------------------------------------


@given(groups)
@settings(deadline=None, max_examples=60)
def test_a_group_lies_between_its_own_rate_and_the_whole(cells):
    """No group is moved past the whole, nor away from it."""
    rates = of_one(cells)
    for name, (n, failed) in cells.items():
        rate = rates.rate((name,)).rate
        assert 0 < rate < 1
        if n:
            own = failed / n
            if len([1 for size, _ in cells.values() if size]) > 1:
                assert min(own, rates.whole) - 1e-9 <= rate <= max(own, rates.whole) + 1e-9


@given(groups)
@settings(deadline=None, max_examples=60)
def test_what_was_never_seen_is_the_whole_with_the_spread_of_its_factor(cells):
    """Nothing is known of it but that it is one of its kind, so its interval is the widest."""
    rates = of_one(cells)
    unseen = rates.rate(("never",))
    assert unseen.rate == pytest.approx(rates.whole)
    assert not unseen.effects[0].known
    assert unseen.effects[0].odds == 1
    width = logit(unseen.interval.high) - logit(unseen.interval.low)
    assert width >= 2 * 1.959 * math.sqrt(rates.variances[0]) * (1 - 1e-3)


def test_without_any_data_nothing_is_known():
    """The rate is a half, the interval the prior's: of the whole, and of each factor."""
    rates = shrunk_rates({}, factors=["hour", "kind"])
    assert rates.variances == (PRIOR_VARIANCE, PRIOR_VARIANCE)
    rate = rates.rate(("9", "deployment"))
    assert rate.rate == 0.5
    # The information of Jeffreys' prior about the log-odds at a half is a quarter.
    half = 1.959963984540054 * math.sqrt(4 + 2 * PRIOR_VARIANCE)
    assert logit(rate.interval.high) == pytest.approx(half)
    assert logit(rate.interval.low) == pytest.approx(-half)


@given(counts())
@settings(deadline=None, max_examples=60)
def test_without_factors_it_is_the_mode_under_jeffreys_prior(pair):
    """One rate alone: (failed + 1/2) / (n + 1), and about Jeffreys' interval where n is large."""
    n, failed = pair
    rate = shrunk_rates({(): pair}, factors=[]).rate(())
    assert rate.rate == pytest.approx((failed + 0.5) / (n + 1))
    if min(failed, n - failed) > 200:
        exact = jeffreys(failed, n)
        assert rate.interval.low == pytest.approx(exact.low, rel=0.02)
        assert rate.interval.high == pytest.approx(exact.high, rel=0.02)


def test_the_more_is_known_of_a_group_the_nearer_it_is_to_its_own_rate():
    """From the whole to its own rate, and never back."""
    others = {f"g{at}": (200, 8 + at) for at in range(8)}
    rates = [of_one({**others, "own": (n, n * 0.4)}, variances=[0.1]) for n in (0, 5, 50, 500, 5e8)]
    own = [each.rate(("own",)).rate for each in rates]
    assert own == sorted(own)
    assert own[0] == pytest.approx(rates[0].whole)
    assert own[-1] == pytest.approx(0.4, abs=1e-6)
    widths = [each.rate(("own",)).interval for each in rates]
    assert sorted((w.high - w.low for w in widths[1:]), reverse=True)[-1] < 1e-3


def test_a_factor_that_says_nothing_moves_little_and_one_that_says_much_moves_much():
    """The variance of a factor is found in the data."""
    chance = Random(3)
    cells = {}
    for at in range(20):
        for hour in range(8):
            n = 300
            odds = math.exp(-2 + (1.2 if at % 2 else -1.2))
            failed = sum(chance.random() < odds / (1 + odds) for _ in range(n))
            cells[f"s{at}", f"{hour}"] = n, failed
    service, hour = shrunk_rates(cells, factors=["service", "hour"]).variances
    assert 0.8 < service < 2.5
    assert hour < 0.06


@given(st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=10)
def test_the_order_of_the_cells_does_not_matter(chance):
    """The same estimate to the last digit."""
    cells = list(random_cells(5, (4, 3, 6), 60).items())
    first = shrunk_rates(dict(cells), factors=[*"abc"])
    chance.shuffle(cells)
    again = shrunk_rates(dict(cells), factors=[*"abc"])
    assert first == again
    assert first.rate(("1", "1", "1")) == again.rate(("1", "1", "1"))


def test_cells_of_weight_nothing_are_not_there():
    """They add no level."""
    cells = {("a",): (10, 3), ("b",): (20, 1)}
    assert shrunk_rates({**cells, ("c",): (0, 0)}, factors=["x"]) == shrunk_rates(
        cells, factors=["x"]
    )


def test_several_groups_at_once_are_the_mean_of_their_log_odds():
    """A change of two services lies between them."""
    rates = of_one({"a": (400, 100), "b": (400, 4), "c": (100, 5)})
    both = rates.rate(("a",), ("b",))
    apart = [rates.rate((name,)).rate for name in "ab"]
    assert logit(both.rate) == pytest.approx(sum(map(logit, apart)) / 2)
    assert both.effects[0].level == "a, b"
    assert both.interval.low < both.rate < both.interval.high
    assert rates.rate(("a",), ("a",)).rate == pytest.approx(apart[0])
    half_known = rates.rate(("a",), ("never",))
    assert half_known.effects[0].known
    assert rates.rate(("a",)).interval.low != half_known.interval.low


def test_only_the_largest_levels_have_an_effect_of_their_own():
    """The others are the whole, with the spread of their factor."""
    cells = {(f"s{at:03}",): (1000 - at, (1000 - at) // 9) for at in range(MOST_LEVELS + 5)}
    rates = shrunk_rates(cells, factors=["service"])
    assert len(rates.effects[0]) == MOST_LEVELS
    last = rates.rate((f"s{MOST_LEVELS + 4:03}",))
    assert last.rate == pytest.approx(rates.whole)
    assert not last.effects[0].known


def test_a_factor_of_one_level_is_the_whole():
    """It can't be told from it."""
    rates = shrunk_rates({("a", "x"): (90, 9), ("b", "x"): (90, 20)}, factors=["g", "h"])
    assert rates.variances[1] == pytest.approx(PRIOR_VARIANCE)
    known, unknown = rates.rate(("a", "x")), rates.rate(("a", "y"))
    assert known.rate == unknown.rate
    assert known.effects[1].known
    assert not unknown.effects[1].known
    assert unknown.interval.low < known.interval.low


def test_rates_at_the_ends_and_very_large_weights_stay_rates():
    """Nothing is 0, 1, or not a number."""
    for cells in (
        {"a": (1e9, 0), "b": (1e9, 1e9)},
        {"a": (1e9, 0), "b": (1e9, 0)},
        {"a": (1e-9, 1e-9), "b": (1, 0)},
    ):
        rates = of_one(cells)
        for name in "abc":
            rate = rates.rate((name,))
            assert 0 < rate.interval.low <= rate.rate <= rate.interval.high < 1


def test_log_odds_beyond_what_a_rate_can_tell_are_still_rates():
    """Hardly drawn to the whole, the largest weights go as far as they can."""
    rates = of_one({"a": (1e9, 0), "b": (1e9, 1e9)}, variances=[9.9e5])
    assert 0 < rates.rate(("a",)).rate < 1e-12
    assert 1 - 1e-12 < rates.rate(("b",)).rate < 1


def test_it_shows_itself_in_a_line():
    """No population is printed."""
    assert repr(of_one({"a": (5, 1), "b": (9, 1)})) == (
        "<ShrunkRates of 1 factors with 2 levels, weight 14>"
    )


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        {"cells": None},
        {"cells": {"a": (1, 0)}},
        {"cells": {("a", "b"): (1, 0)}},
        {"cells": {(1,): (1, 0)}},
        {"cells": {("a",): 3}},
        {"cells": {("a",): (1, 0, 0)}},
        {"cells": {("a",): (-1, 0)}},
        {"cells": {("a",): (1e10, 0)}},
        {"cells": {("a",): (math.nan, 0)}},
        {"cells": {("a",): (1, 2)}},
        {"cells": {("a",): (True, 0)}},
        {"factors": "ab"},
        {"factors": None},
        {"factors": [1]},
        {"factors": ["x", "x"]},
        {"level": 1},
        {"variances": [0]},
        {"variances": [1, 1]},
        {"variances": 3},
        {"variances": ["x"]},
    ],
)
def test_what_it_refuses(arguments):
    """By our error, which names the argument."""
    right = {"cells": {("a",): (3, 1)}, "factors": ["x"]}
    given_ = {**right, **arguments}
    with pytest.raises(InvalidValue):
        shrunk_rates(given_.pop("cells"), **given_)


@pytest.mark.parametrize("asked", [(), ("a",), ((1,),), (("a", "b"),), ({"a": 1},), (None,)])
def test_what_a_rate_refuses(asked):
    """Levels are one text for each factor."""
    rates = of_one({"aa": (3, 1), "b": (4, 1)})
    with pytest.raises(InvalidValue):
        rates.rate(*asked)


# --- oracles --------------------------------------------------------------------------------------


def design(cells, sizes):
    np = pytest.importorskip("numpy")
    keys = sorted(cells)
    starts = [1 + sum(sizes[:at]) for at in range(len(sizes))]
    matrix = np.zeros((len(keys), 1 + sum(sizes)))
    matrix[:, 0] = 1
    for row, key in enumerate(keys):
        for start, level in zip(starts, key, strict=True):
            matrix[row, start + int(level)] = 1
    weights, successes = (np.array([cells[key][at] for key in keys], float) for at in (0, 1))
    return matrix, weights, successes, starts


@oracle
@pytest.mark.parametrize("seed", range(4))
def test_the_estimate_is_the_penalised_one_of_scipy(seed):
    """With variances given: the effects, and the interval from the inverse of the information."""
    np = pytest.importorskip("numpy")
    optimize = pytest.importorskip("scipy.optimize")
    sizes, variances = (5, 3, 7), [0.4, 0.1, 0.9]
    cells = random_cells(seed, sizes, 80)
    matrix, weights, successes, starts = design(cells, sizes)
    penalty = np.zeros(matrix.shape[1])
    for start, size, variance in zip(starts, sizes, variances, strict=True):
        penalty[start : start + size] = 1 / variance

    def loss(effects):
        log_odds = matrix @ effects
        value = np.sum(weights * np.logaddexp(0, log_odds) - successes * log_odds)
        value += np.logaddexp(0, effects[0]) - 0.5 * effects[0]
        rates = 1 / (1 + np.exp(-log_odds))
        slope = matrix.T @ (weights * rates - successes) + penalty * effects
        slope[0] += 1 / (1 + np.exp(-effects[0])) - 0.5
        return value + np.sum(penalty * effects**2) / 2, slope

    start = np.zeros(matrix.shape[1])
    options = {"gtol": 1e-10, "maxiter": 10_000}
    best = optimize.minimize(loss, start, jac=True, method="BFGS", options=options).x
    rates = shrunk_rates(cells, factors=[*"abc"], variances=variances)
    assert math.log(rates.whole / (1 - rates.whole)) == pytest.approx(best[0], abs=1e-6)
    for at, first in enumerate(starts):
        for level, effect in rates.effects[at].items():
            assert effect == pytest.approx(best[first + int(level)], abs=1e-6)
    fitted = 1 / (1 + np.exp(-matrix @ best))
    information = matrix.T @ (matrix * (weights * fitted * (1 - fitted))[:, None])
    information += np.diag(penalty)
    whole = 1 / (1 + math.exp(-best[0]))
    information[0, 0] += whole * (1 - whole)
    covariance = np.linalg.inv(information)
    key = ("1", "2", "3")
    x = np.zeros(matrix.shape[1])
    x[[0, *(start + int(level) for start, level in zip(starts, key, strict=True))]] = 1
    half = 1.959963984540054 * math.sqrt(x @ covariance @ x)
    interval = rates.rate(key).interval
    assert logit(interval.low) == pytest.approx(x @ best - half, abs=1e-6)
    assert logit(interval.high) == pytest.approx(x @ best + half, abs=1e-6)


@oracle
def test_the_estimate_is_that_of_statsmodels_where_nothing_is_drawn_to_the_whole():
    """With a very large variance it is a plain logistic regression, up to the half of the prior."""
    np = pytest.importorskip("numpy")
    api = pytest.importorskip("statsmodels.api")
    sizes = (4, 3)
    cells = {key: (n * 500, k * 500) for key, (n, k) in random_cells(8, sizes, 60).items()}
    matrix, weights, successes, _ = design(cells, sizes)
    plain = np.delete(matrix, [1, 5], axis=1)  # the first level of each is the base
    counts_ = np.column_stack([successes, weights - successes])
    fitted = api.GLM(counts_, plain, family=api.families.Binomial()).fit(tol=1e-12)
    rates = shrunk_rates(cells, factors=[*"ab"], variances=[1e4, 1e4])
    for key, expected in zip(sorted(cells), fitted.fittedvalues, strict=True):
        assert rates.rate(key).rate == pytest.approx(expected, abs=2e-4)


@oracle
@pytest.mark.parametrize("seed", range(3))
def test_the_variances_are_the_fixed_point_of_their_equation(seed):
    """The variance is the mean of squared effects and their own variances, and the prior's."""
    np = pytest.importorskip("numpy")
    sizes = (6, 4)
    cells = random_cells(seed + 20, sizes, 24)
    rates = shrunk_rates(cells, factors=[*"ab"])
    matrix, weights, _, starts = design(cells, sizes)
    effects = np.zeros(matrix.shape[1])
    effects[0] = logit(rates.whole)
    penalty = np.zeros(matrix.shape[1])
    for at, (start, size) in enumerate(zip(starts, sizes, strict=True)):
        penalty[start : start + size] = 1 / rates.variances[at]
        for level, effect in rates.effects[at].items():
            effects[start + int(level)] = effect
    fitted = 1 / (1 + np.exp(-matrix @ effects))
    information = matrix.T @ (matrix * (weights * fitted * (1 - fitted))[:, None])
    information += np.diag(penalty)
    information[0, 0] += rates.whole * (1 - rates.whole)
    covariance = np.linalg.inv(information)
    for at, (start, size) in enumerate(zip(starts, sizes, strict=True)):
        own = slice(start, start + size)
        total = np.sum(effects[own] ** 2) + np.sum(np.diag(covariance)[own]) + PRIOR_VARIANCE
        assert rates.variances[at] == pytest.approx(total / (size + 1), rel=0.01)
