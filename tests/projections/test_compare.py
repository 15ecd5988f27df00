"""Is it really better? Worked examples, other libraries as oracles, and properties."""

import json
import math
from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imcm import facts
from imcm.errors import InvalidValue
from imcm.projections.figures.definition import Definition
from imcm.projections.figures.durations import STATISTICS
from imcm.projections.figures.failures import ChangeFailureRate, change_failure_rate
from imcm.projections.figures.figure import Figure, Included, LeftOut
from imcm.projections.figures.frequency import (
    ReworkRate,
    days_of,
    deployment_frequency,
)
from imcm.projections.figures.restore import TimeToDetect, TimeToRestore, time_to_restore
from imcm.projections.figures.units import COUNT, SECONDS, SHARE
from imcm.projections.reports.compare import (
    Comparison,
    compare,
    fisher_exact,
    newcombe,
    sample_size_for_shares,
)
from imcm.projections.statistics import resampling
from imcm.projections.statistics.intervals import Interval
from imcm.projections.statistics.rates import (
    poisson_interval,
    rate_difference,
    rate_ratio,
    rate_test,
)
from imcm.projections.statistics.two_samples import TestResult
from projections.log import caused_by, deployment, detected, incident, log, resolved, seconds

HOUR = 3600.0
FIRST = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
SECOND = (datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC))
NOTHING_SHOWN = "no difference that these numbers can show"

# Importing and calling the oracles raises warnings of their own, which are not our business.
oracle = pytest.mark.filterwarnings("ignore")


def close(value):
    return pytest.approx(value, rel=1e-9, abs=1e-12)


def library(name):
    return pytest.importorskip(name, reason=f"{name} is only an oracle and is not installed")


# --- figures by hand ------------------------------------------------------------------------------


def restore(values, still_open=(), window=None, prefix="INC", **choices):
    """Return a time to restore of these durations in seconds, as the figure itself makes it."""
    definition = TimeToRestore(window=window, **choices)
    micro = [round(value * 1e6) for value in values]
    value = STATISTICS[definition.statistic](micro)
    if value is None and definition.empty == "zero":
        value = 0
    return Figure(
        name=TimeToRestore.NAME,
        value=None if value is None else value / 1e6,
        reason="nothing to count" if value is None else None,
        unit=SECONDS,
        n=len(micro),
        definition=definition,
        window=window,
        included=listed(values, prefix),
        censored=listed(still_open, f"{prefix}-open"),
    )


def listed(values, prefix):
    return tuple(Included(id=f"{prefix}-{i}", value=float(v)) for i, v in enumerate(values))


def failed(hits, n, window=None, prefix="CHG", **choices):
    """Return a change failure rate of so many failed ones of so many."""
    return Figure(
        name=ChangeFailureRate.NAME,
        value=hits / n if n else None,
        reason=None if n else "no deployments",
        unit=SHARE,
        n=n,
        definition=ChangeFailureRate(window=window, **choices),
        window=window,
        included=listed([1] * hits + [0] * (n - hits), prefix),
    )


def skewed(n, seed, factor=1.0, sigma=1.0):
    """Return durations as incidents have them: log-normal around an hour, in whole seconds."""
    random = Random(seed)
    return [max(1, round(factor * HOUR * math.exp(random.gauss(0, sigma)))) for _ in range(n)]


def two_quarters(a, b, **choices):
    """Return two figures of neighbouring quarters with nothing in common."""
    return restore(a, window=FIRST, prefix="A", **choices), restore(
        b, window=SECOND, prefix="B", **choices
    )


def quick(a, b, **arguments):
    return compare(a, b, **{"runs": 8, **arguments})


# --- durations ------------------------------------------------------------------------------------


class TestDurations:
    def test_a_worked_example_by_hand(self):
        """1, 2, 3 h against 2, 4, 6 h: medians 2 and 4, differences from -1 to 5 with median 2."""
        a, b = two_quarters([seconds(h) for h in (1, 2, 3)], [seconds(h) for h in (2, 4, 6)])
        found = compare(a, b)
        assert seconds(2) == found.difference
        assert seconds(2) == found.shift.value
        # Of the 20 orders of 3 and 3 the most extreme has 1 / 20 on each side: no 95 % interval.
        assert (None, None) == (found.shift.interval.low, found.shift.interval.high)
        # The cube root of 48 over that of 6.
        assert close(2.0) == found.ratio
        # Two of the nine pairs have the larger value in a (3 > 2), and one is a tie.
        assert found.rank_test.statistic == 1.5
        # Cut off at 3 h: (1 + 2 + 3) / 3 and (2 + 3 + 3) / 3.
        assert seconds(3) == found.horizon
        assert close(seconds(2 / 3)) == found.restricted_difference
        assert ("time to restore", SECONDS, "median") == (
            found.name,
            found.unit,
            found.statistic,
        )
        assert found.exact_test is None
        assert found.verdict == NOTHING_SHOWN

    def test_sigma_is_that_within_the_two_so_a_shift_between_them_is_no_noise(self):
        """Both hold e and its square root around some centre: the same sigma, far apart or not."""
        spread = [math.exp(-1), 1.0, math.exp(1)]
        near = [HOUR * s for s in spread]
        far = [100 * HOUR * s for s in spread]
        found = quick(*two_quarters(near, far))
        assert pytest.approx(1.0, rel=1e-6) == found.sigma
        # 2 * ((1.959964 + 0.841621) / ln 0.9) ** 2 = 1414.1
        assert found.needed_per_period == 1415

    def test_one_value_has_no_spread_so_sigma_is_that_of_the_other(self):
        found = quick(*two_quarters([HOUR], [HOUR, HOUR * math.exp(2)]))
        assert pytest.approx(math.sqrt(2), rel=1e-6) == found.sigma

    def test_two_single_values_have_no_sigma(self):
        found = quick(*two_quarters([HOUR], [2 * HOUR]))
        assert (None, None) == (found.sigma, found.needed_per_period)

    def test_equal_durations_need_no_number(self):
        """Sigma 0: any change is seen at once, and no number of incidents follows from it."""
        found = quick(*two_quarters([HOUR, HOUR], [HOUR, HOUR]))
        assert found.sigma == 0
        assert found.needed_per_period is None

    def test_a_true_halving_of_many_is_seen_by_every_test(self):
        a, b = two_quarters(skewed(200, 1), skewed(200, 2, factor=0.5))
        found = compare(a, b, runs=300)
        assert found.verdict.startswith("shorter: median ")
        assert found.verdict.endswith("; all 4 tests see it")
        assert found.interval.high < 0
        assert found.probability_with_no_change < 0.05
        assert found.warnings == ()

    def test_the_other_way_round_it_is_longer(self):
        a, b = two_quarters(skewed(200, 1), skewed(200, 2, factor=2))
        assert compare(a, b, runs=300).verdict.startswith("longer: median ")

    def test_a_tenth_less_of_the_usual_number_is_not_seen(self):
        """The finding of the published simulations: 40 incidents do not show a true 10 %."""
        a = skewed(40, 5)
        a, b = two_quarters(a, [0.9 * value for value in a])
        found = compare(a, b, runs=300)
        assert found.verdict == NOTHING_SHOWN
        assert found.probability_with_no_change > 0.3
        assert 0.2 < found.shortening_unseen < 0.5
        assert 1000 < found.needed_per_period < 3000

    def test_tests_that_disagree_settle_nothing(self):
        """Most are a little shorter, and a few very long ones carry the mean the other way."""
        a, b = two_quarters(
            [100.0 + i for i in range(40)],
            [60.0 + i for i in range(30)] + [5000.0 + i for i in range(10)],
            statistic="mean",
        )
        found = compare(a, b, runs=300)
        assert found.difference > 0
        assert found.shift.value < 0
        assert found.verdict.startswith("not settled: of 4 tests ")
        assert "say longer" in found.verdict
        assert "says shorter" in found.verdict
        others = "; rank test (shorter), log-rank test (nothing seen) disagree"
        assert found.verdict.endswith(others)
        votes = {
            "bootstrap interval": "longer",
            "simulation of no change": "longer",
            "rank test": "shorter",
            "log-rank test": "nothing seen",
        }
        assert votes == found.votes == found.as_dict()["votes"]

    def test_open_incidents_speak_against_a_median_of_the_quick_ones(self):
        """Only the quick ones of b are over, so its median is short; its survival is longer."""
        a = restore([HOUR * (5 + i / 10) for i in range(40)], window=FIRST, prefix="A")
        b = restore(
            [HOUR * (1 + i / 100) for i in range(30)],
            [HOUR * (100 + i) for i in range(120)],
            window=SECOND,
            prefix="B",
        )
        found = compare(a, b, runs=300)
        assert found.difference < 0
        assert found.restricted_difference > 0
        assert found.verdict.startswith("not settled: of 4 tests 3 say shorter and 1 says longer")
        assert "120 of 150 in b are still open" in " ".join(found.warnings)

    def test_nothing_to_count_is_undefined_and_says_where(self):
        a, b = two_quarters([], [HOUR, 2 * HOUR])
        found = quick(a, b)
        assert found.verdict == "undefined: a: nothing to count"
        assert found.reason == "a: nothing to count"
        for name in ("difference", "ratio", "shortening_unseen", "probability_with_no_change"):
            assert getattr(found, name) is None, name
        assert (None, None) == (found.interval.low, found.interval.high)
        assert found.rank_test.p_value is None
        assert found.horizon is None

    def test_nothing_on_both_sides_names_both(self):
        found = quick(*two_quarters([], []))
        assert found.verdict == "undefined: a: nothing to count; b: nothing to count"

    def test_zero_for_nothing_is_undefined_all_the_same(self):
        """A definition can print 0 for an empty period; no period was restored in 0 seconds."""
        a, b = two_quarters([HOUR], [], empty="zero")
        assert b.value == 0
        found = quick(a, b)
        assert found.difference is None
        assert found.verdict == "undefined: b: nothing to count"

    def test_a_geometric_mean_with_a_zero_is_undefined_but_ranks_are_not(self):
        a, b = two_quarters([0, HOUR], [HOUR, 2 * HOUR], statistic="geometric_mean")
        found = quick(a, b)
        assert found.difference is None
        assert found.sigma is None
        assert found.ratio is None
        assert found.rank_test.p_value is not None

    def test_negative_durations_have_no_survival(self):
        """A lead time can include what was deployed before it was made; no curve can."""
        found = quick(*two_quarters([-5.0, 3.0], [4.0, 6.0]))
        assert TestResult(statistic=None, p_value=None, method="log-rank") == found.survival_test
        assert found.restricted_difference is None

    def test_all_at_once_has_no_horizon(self):
        found = quick(*two_quarters([0.0, 0.0], [4.0, 6.0]))
        assert found.horizon is None
        assert found.survival_test.p_value is not None

    def test_more_metrics_tried_ask_for_smaller_p_values(self):
        a, b = two_quarters(skewed(40, 1), skewed(40, 2, factor=0.45))
        once, often = compare(a, b), compare(a, b, tried=100)
        assert once.verdict.startswith("shorter")
        assert once.threshold == 0.05
        assert often.threshold == 0.0005
        assert not often.verdict.startswith("shorter")
        assert "100 metrics were tried: read each p-value against 0.0005" in " ".join(
            often.warnings
        )
        assert "1,000 runs are too few for this threshold: give 2,000 or more" in often.warnings

    def test_real_figures_of_a_log_can_be_compared(self):
        """Two figures of one log, of different services."""
        events = log(
            incident("INC-1", detected(0), resolved(2)),
            incident("INC-2", detected(0), resolved(4)),
            incident("INC-3", detected(0, services=("shop",)), resolved(9)),
            incident("INC-4", detected(0, services=("shop",))),
        )
        a = time_to_restore(events, services="pay")
        b = time_to_restore(events, services="shop")
        found = quick(a, b)
        assert seconds(6) == found.difference
        assert "the filters differ (services): it is not the same population" in found.warnings

    @pytest.mark.parametrize("statistic", sorted(STATISTICS))
    def test_every_statistic_can_be_compared(self, statistic):
        """The difference is that of the two printed values, to the last digit."""
        a, b = two_quarters(skewed(9, 1), skewed(7, 2), statistic=statistic)
        found = quick(a, b)
        assert b.value - a.value == found.difference
        assert statistic == found.statistic

    def test_with_several_tried_the_interval_votes_at_the_level_of_the_threshold(self):
        a, b = failed(24, 45), failed(15, 51)
        alone, of_six = compare(a, b), compare(a, b, tried=6)
        assert alone.verdict.startswith("lower: ")
        assert of_six.interval == alone.interval  # which is printed at the level that was asked
        assert of_six.interval.high < 0
        assert of_six.verdict == f"{NOTHING_SHOWN}, of 6 metrics tried"
        assert set(of_six.votes.values()) == {"nothing seen"}
        [said] = [text for text in of_six.warnings if "seen alone" in text]
        assert "the interval and Fisher's exact test would say" in said
        assert not [text for text in alone.warnings if "seen alone" in text]

    def test_durations_vote_so_too(self):
        a = restore([60 * n for n in range(1, 41)], window=FIRST)
        b = restore([45 * n for n in range(1, 41)], window=SECOND, prefix="B")
        strict = compare(a, b, tried=50)
        assert strict.interval == compare(a, b).interval
        assert strict.votes["bootstrap interval"] == "nothing seen"

    def test_windows_of_another_length_are_told(self):
        month = (FIRST[0], datetime(2026, 2, 1, tzinfo=UTC))
        found = compare(failed(3, 40, window=month), failed(3, 40, window=SECOND, prefix="B"))
        assert "the windows are not of one length: 31 and 91 days" in found.warnings
        same = compare(failed(3, 40, window=FIRST), failed(3, 40, window=SECOND, prefix="B"))
        assert not [text for text in same.warnings if "length" in text]


# --- rates ----------------------------------------------------------------------------------------


def frequency(count, window=FIRST, *, days_on=None, prefix="CHG", as_of=SECOND[1], **choices):
    """Return a deployment frequency of so many, one on each day of the window as far as it goes."""
    start, end = window
    days = min(count, days_on or (end - start).days)
    events = [
        deployment(f"{prefix}-{n}", start + timedelta(days=n % days, minutes=n // days))
        for n in range(count)
    ]
    other = deployment("elsewhere", datetime(2025, 1, 1, tzinfo=UTC))
    return deployment_frequency(facts(log(other, *events), as_of=as_of), window=window, **choices)


class TestRates:
    """Every difference and ratio is of b against a."""

    def test_a_rate_that_doubled_is_seen(self):
        found = compare(frequency(45), frequency(91, SECOND, prefix="B"))
        assert close(0.5) == found.difference
        assert close(2.0) == found.ratio
        assert found.ratio_interval.low > 1
        assert found.verdict.startswith("higher: rate 1 per day after 0.5 per day, 0.5 per day")
        assert found.verdict.endswith("; both tests see it")
        assert found.shift is found.rank_test is found.sigma is None
        assert "ratio, b over a: 2" in found.explain()
        assert found.warnings == ()
        assert compare(found.b, found.a).verdict.startswith("lower: ")

    def test_a_little_more_is_not(self):
        assert compare(frequency(45), frequency(50, SECOND)).verdict == NOTHING_SHOWN

    def test_none_at_all_is_a_rate_of_a_window(self):
        found = compare(frequency(0), frequency(9, SECOND))
        assert found.ratio is None
        assert (found.ratio_interval.high, found.difference) == (None, close(9 / 91))
        assert found.verdict.startswith("higher: ")

    def test_what_is_undefined_says_why(self):
        later = (SECOND[1], datetime(2026, 10, 1, tzinfo=UTC))
        found = compare(frequency(5), frequency(0, later))
        assert found.verdict == "undefined: b: the window has not begun"
        assert found.difference is found.ratio is found.ratio_interval is found.exact_test is None
        assert (found.interval.low, found.votes) == (None, {})

    def test_per_week_they_differ_as_per_day(self):
        daily = compare(frequency(45), frequency(70, SECOND))
        weekly = compare(frequency(45, per="week"), frequency(70, SECOND, per="week"))
        assert close(7 * daily.difference) == weekly.difference
        assert daily.exact_test.p_value == close(weekly.exact_test.p_value)

    def test_bursts_make_it_less_sure(self):
        found = compare(frequency(45, days_on=3), frequency(91, SECOND, prefix="B"))
        [said] = found.warnings
        assert said.startswith("those of a came in bursts, on 3 days of 90: ")

    def test_a_count_is_not_compared(self):
        with pytest.raises(InvalidValue, match="per day"):
            compare(frequency(5, per="window"), frequency(5, SECOND, per="window"))

    def test_how_many_days_a_figure_is_of(self):
        assert days_of(frequency(45)) == close(90)
        assert days_of(frequency(0)) == 90
        assert days_of(frequency(45, per="window")) is None
        assert days_of(frequency(0, (SECOND[1], datetime(2026, 8, 1, tzinfo=UTC)))) is None
        nothing = attrs.evolve(frequency(0), window=None, value=0.0)
        assert days_of(nothing) is None

    @oracle
    @pytest.mark.parametrize("counts", [(0, 4), (3, 9), (12, 12), (40, 61), (400, 350)])
    def test_the_test_is_scipys_binomial_one(self, counts):
        stats = library("scipy.stats")
        (n_a, n_b), time_a, time_b = counts, 30.0, 45.0
        found = rate_test(n_a, time_a, n_b, time_b)
        share = time_b / (time_a + time_b)
        at_most = stats.binom.cdf(n_b, n_a + n_b, share)
        at_least = stats.binom.sf(n_b - 1, n_a + n_b, share)
        assert found.p_value == close(min(1.0, 2 * min(at_most, at_least)))

    @given(st.integers(0, 300), st.integers(0, 300), st.floats(0.5, 400), st.floats(0.5, 400))
    def test_test_and_ratio_agree_and_mirror(self, n_a, n_b, time_a, time_b):
        test, back = rate_test(n_a, time_a, n_b, time_b), rate_test(n_b, time_b, n_a, time_a)
        ratio = rate_ratio(n_a, time_a, n_b, time_b)
        if n_a + n_b == 0:
            assert test.p_value is test.statistic is ratio.low is ratio.high is None
            return
        assert test.p_value == pytest.approx(back.p_value, rel=1e-6)
        outside = ratio.low > 1 or (ratio.high is not None and ratio.high < 1)
        if abs(test.p_value - 0.05) > 1e-9:
            assert outside == (test.p_value < 0.05)
        difference = rate_difference(n_a, time_a, n_b, time_b)
        assert difference.low <= n_b / time_b - n_a / time_a <= difference.high

    def test_nothing_else_is_a_rate(self):
        wrongs = [(-1, 1.0), (1.5, 1.0), (True, 1.0), (1, 0.0), (1, math.inf), (1, "1")]
        for wrong in wrongs:
            with pytest.raises(InvalidValue):
                poisson_interval(*wrong)
            with pytest.raises(InvalidValue):
                rate_test(*wrong, 1, 1.0)


# --- what cannot be compared ----------------------------------------------------------------------


class TestRefused:
    @pytest.mark.parametrize(
        ("changed", "name"),
        [
            ({"name": "time to detect"}, "name"),
            ({"unit": COUNT}, "unit"),
            ({"definition": TimeToDetect()}, "definition"),
            ({"definition": TimeToRestore(statistic="mean")}, "statistic"),
            ({"definition": TimeToRestore(bounds="[]")}, "bounds"),
            ({"definition": TimeToRestore(reopened="first")}, "reopened"),
        ],
    )
    def test_two_different_figures_are_refused_naming_what_differs(self, changed, name):
        a = restore([HOUR])
        with pytest.raises(InvalidValue, match="differ in window and filters only") as refused:
            compare(a, attrs.evolve(a, **changed))
        assert name == refused.value.name

    def test_all_that_differs_is_named(self):
        a = restore([HOUR])
        b = attrs.evolve(
            a, definition=TimeToRestore(statistic="max", severity="first", services=("pay",))
        )
        with pytest.raises(InvalidValue, match=r"not in severity, statistic$"):
            compare(a, b)

    def test_other_units_are_refused(self):
        a = attrs.evolve(restore([HOUR]), unit=COUNT)
        with pytest.raises(InvalidValue, match="only figures in") as refused:
            compare(a, a)
        assert refused.value.name == "unit"

    def test_a_figure_that_is_no_statistic_of_its_values_is_refused(self):
        a = Figure(name="MTBF", value=1.0, unit=SECONDS, n=1, definition=Definition())
        with pytest.raises(InvalidValue, match="one of median") as refused:
            compare(a, a)
        assert refused.value.name == "statistic"

    @pytest.mark.parametrize("value", [2 * HOUR, None])
    def test_a_value_that_the_listed_ones_do_not_give_is_refused(self, value):
        a = attrs.evolve(restore([HOUR]), value=value)
        with pytest.raises(InvalidValue, match=r"made of the values it lists.* 3600\.0") as refused:
            compare(a, restore([HOUR]))
        assert refused.value.name == "a.value"

    def test_a_value_out_of_nothing_is_refused(self):
        b = attrs.evolve(restore([]), value=HOUR)
        with pytest.raises(InvalidValue, match="those give None"):
            compare(restore([HOUR]), b)

    def test_a_share_of_what_is_not_1_or_0_is_refused(self):
        a = failed(1, 2)
        b = attrs.evolve(a, included=listed([1, 0.5], "CHG"))
        with pytest.raises(InvalidValue, match="count 1 or 0") as refused:
            compare(a, b)
        assert refused.value.name == "b"

    @pytest.mark.parametrize("value", [1.5, None])
    def test_a_share_that_may_exceed_1_is_refused(self, value):
        """Incidents over deployments are no share of the deployments listed."""
        a = attrs.evolve(failed(1, 2), value=value)
        with pytest.raises(InvalidValue, match="made of the values it lists"):
            compare(a, a)

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("seed", -1),
            ("seed", 0.5),
            ("tried", 0),
            ("runs", 0),
            ("runs", True),
            ("level", 0.5),
            ("level", 1),
        ],
    )
    def test_arguments_out_of_their_range_are_refused(self, name, value):
        with pytest.raises(InvalidValue) as refused:
            compare(restore([HOUR]), restore([HOUR]), **{name: value})
        assert name == refused.value.name

    def test_what_only_cuts_a_figure_into_parts_may_differ(self):
        """Buckets, groups and the level of a figure's own interval move no value."""
        a = restore([HOUR], group_by="service", bucket_by="week", level=0.9)
        assert quick(a, restore([HOUR], bucket_by=7, anchor="end")).difference == 0


# --- warnings -------------------------------------------------------------------------------------


def warned(a, b, words, **arguments):
    return any(words in warning for warning in quick(a, b, **arguments).warnings)


class TestWarnings:
    def test_uneven_populations_are_warned_of(self):
        """Less than a tenth, on either side, of durations and of shares; none is no such side."""
        many, few = skewed(41, 1), skewed(4, 2)
        assert warned(*two_quarters(many, few), "one counts 41 and the other 4, less than a tenth")
        assert warned(*two_quarters(few, many), "one counts 41 and the other 4")
        assert warned(failed(1, 41), failed(1, 4), "one counts 41 and the other 4")
        assert not warned(*two_quarters(many[:40], few), "less than a tenth")
        assert not warned(*two_quarters(many, []), "less than a tenth")

    def test_what_only_ended_in_the_window_is_warned_of(self):
        """Most of b lasted longer than its window, in which durations end."""
        long, short = 92 * 24 * HOUR, HOUR
        assert warned(*two_quarters([short], [long, long, short]), "2 of 3 in b began before")
        assert not warned(*two_quarters([long], [long, short]), "began before")
        placed = two_quarters([short], [long], in_window="start")
        assert not warned(*placed, "began before")
        assert not warned(restore([short]), restore([long]), "began before")

    def test_few_values_are_warned_of_by_side(self):
        a, b = two_quarters(skewed(30, 1), skewed(29, 2))
        assert not warned(a, b, "a counts only")
        assert warned(a, b, "b counts only 29: below 30")

    def test_a_mean_above_three_quarters_of_its_values_is_skewed(self):
        skew, even = [HOUR] * 9 + [100 * HOUR], [HOUR + i for i in range(10)]
        a, b = two_quarters(skew, even, statistic="mean")
        assert warned(a, b, "the mean of a lies above three quarters")
        assert not warned(a, b, "the mean of b")
        assert not warned(*two_quarters(skew, even), "the mean of")

    def test_no_mean_of_nothing_is_skewed(self):
        assert not warned(*two_quarters([], [HOUR], statistic="mean"), "the mean of")

    def test_many_open_ones_are_warned_of(self):
        """One open one of ten is as much as is let pass."""
        nine = [HOUR] * 9
        a, b = restore(nine, [HOUR]), restore(nine, [HOUR, HOUR])
        assert not warned(a, b, "in a are still open")
        assert warned(a, b, "2 of 11 in b are still open")

    def test_a_maximum_is_warned_of(self):
        assert warned(*two_quarters([1.0], [2.0], statistic="max"), "bootstrap of a maximum")

    def test_a_difference_that_chance_alone_gives_is_warned_of(self):
        assert warned(*two_quarters(skewed(9, 1), skewed(9, 2)), "with no change at all")
        apart = two_quarters(skewed(40, 1), skewed(40, 2, factor=100))
        assert not warned(*apart, "with no change at all")

    def test_windows_that_overlap_are_warned_of_with_what_is_in_both(self):
        later = (FIRST[0], SECOND[1])
        a, b = restore([1.0, 2.0], window=FIRST), restore([1.0, 2.0, 3.0], window=later)
        assert warned(a, b, "the windows overlap; counted or open in both figures: 2")

    def test_all_time_overlaps_everything(self):
        assert warned(restore([1.0]), restore([1.0], window=FIRST), "windows overlap")
        assert warned(restore([1.0], window=FIRST), restore([1.0]), "windows overlap")

    def test_neighbours_overlap_only_where_both_ends_are_closed(self):
        assert not warned(*two_quarters([1.0], [2.0]), "overlap")
        closed = two_quarters([1.0], [2.0], bounds="[]")
        assert warned(*closed, "windows overlap")
        assert warned(*reversed(closed), "windows overlap")

    def test_what_is_open_in_both_makes_neighbours_dependent(self):
        """An incident that is still open belongs to every period since it began."""
        a = restore([1.0], [9.0], window=FIRST)
        b = attrs.evolve(restore([1.0], [9.0], window=SECOND), included=listed([1.0], "OTHER"))
        assert warned(a, b, "not independent; counted or open in both: 1")

    def test_other_filters_are_another_population(self):
        a = restore([1.0], window=FIRST, services=("pay",), labels={"team": "core"})
        b = restore([1.0], window=SECOND)
        assert warned(a, b, "the filters differ (services, labels)")

    def test_other_groups_are_another_population(self):
        a = attrs.evolve(restore([1.0], group_by="service"), group="pay")
        b = attrs.evolve(a, group="shop")
        assert warned(a, b, "the groups differ (pay and shop)")


# --- shares ---------------------------------------------------------------------------------------

# Newcombe (1998), table II, method 10: x1 / n1, x2 / n2, and the bounds of p1 - p2.
NEWCOMBE = [
    (56, 70, 48, 80, 0.0524, 0.3339),
    (9, 10, 3, 10, 0.1705, 0.8090),
    (6, 7, 2, 7, 0.0582, 0.8062),
    (5, 56, 0, 29, -0.0381, 0.1926),
    (0, 10, 0, 20, -0.1611, 0.2775),
    (0, 10, 0, 10, -0.2775, 0.2775),
    (10, 10, 0, 20, 0.6791, 1.0000),
    (10, 10, 0, 10, 0.6075, 1.0000),
]


class TestShares:
    @pytest.mark.parametrize(("hits_1", "n_1", "hits_2", "n_2", "low", "high"), NEWCOMBE)
    def test_the_interval_is_that_of_the_published_table(self, hits_1, n_1, hits_2, n_2, low, high):
        found = newcombe(hits_2, n_2, hits_1, n_1)
        assert pytest.approx((low, high), abs=6e-5) == (found.low, found.high)

    def test_a_share_of_nothing_has_no_interval(self):
        nothing = Interval(low=None, high=None, level=0.9, method="Newcombe hybrid score")
        assert nothing == newcombe(0, 0, 1, 2, level=0.9)
        assert nothing == newcombe(1, 2, 0, 0, level=0.9)

    def test_the_lady_tasting_tea(self):
        """Fisher's own example: 3 of 4 against 1 of 4, p = 34 / 70."""
        found = fisher_exact(1, 4, 3, 4)
        assert close(34 / 70) == found.p_value
        assert found.statistic == 9

    def test_no_deployments_have_no_test(self):
        assert fisher_exact(0, 0, 1, 2).p_value is None
        assert fisher_exact(1, 2, 0, 0).p_value is None

    def test_odds_over_nothing_are_undefined(self):
        assert fisher_exact(0, 4, 3, 4).statistic is None

    @pytest.mark.parametrize(
        ("hits", "n", "name"), [(-1, 2, "hits"), (3, 2, "hits"), (0, -1, "n"), (1.0, 2, "hits")]
    )
    def test_impossible_counts_are_refused(self, hits, n, name):
        with pytest.raises(InvalidValue) as refused:
            fisher_exact(hits, n, 1, 2)
        assert name == refused.value.name

    @oracle
    def test_fisher_agrees_with_another_library(self):
        """On random tables, small and large, the p-values are the same."""
        stats = library("scipy.stats")
        random = Random(3)
        for size in [3] * 50 + [20] * 50 + [300] * 20 + [5000] * 2:
            n_a, n_b = random.randint(1, size), random.randint(1, size)
            hits_a, hits_b = random.randint(0, n_a), random.randint(0, n_b)
            table = [[hits_a, n_a - hits_a], [hits_b, n_b - hits_b]]
            expected = stats.fisher_exact(table).pvalue
            p_value = fisher_exact(hits_a, n_a, hits_b, n_b).p_value
            assert pytest.approx(expected, rel=1e-7, abs=1e-250) == p_value, table

    def test_fisher_is_exact_for_very_many(self):
        """Half a million deployments of which as many failed as before: p is 1, and it is quick."""
        assert close(1.0) == fisher_exact(5_000, 500_000, 5_000, 500_000).p_value

    def test_the_sample_size_is_that_of_the_textbook(self):
        """0.6 against 0.7: 356 for a power of 80 % (Fleiss, Levin and Paik, section 4.2)."""
        assert sample_size_for_shares(0.6, 0.7) == 356
        assert sample_size_for_shares(0.7, 0.6) == 356

    def test_everything_against_nothing_takes_few(self):
        """With 0 and 1 only the pooled part is left: 1.959964 ** 2 / 2 = 1.92."""
        assert sample_size_for_shares(0, 1) == 2

    @pytest.mark.parametrize(
        ("a", "b", "name"), [(-0.1, 0.5, "a"), (0.5, 1.1, "b"), (True, 0.5, "a"), (0.5, 0.5, "b")]
    )
    def test_shares_without_a_sample_size_are_refused(self, a, b, name):
        with pytest.raises(InvalidValue) as refused:
            sample_size_for_shares(a, b)
        assert name == refused.value.name

    def test_a_fifth_against_a_tenth_of_many_is_seen(self):
        a = failed(100, 500, window=FIRST, prefix="A")
        b = failed(50, 500, window=SECOND, prefix="B")
        found = compare(a, b)
        assert close(-0.1) == found.difference
        assert found.verdict.startswith("lower: share 10 % after 20 %, -10 percentage points, ")
        assert found.verdict.endswith("; both tests see it")
        assert found.needed_per_period == 199
        assert found.warnings == ()
        assert compare(b, a).verdict.startswith("higher: ")

    def test_the_same_of_few_is_not_seen(self):
        a = failed(4, 20, window=FIRST, prefix="A")
        b = failed(2, 20, window=SECOND, prefix="B")
        found = compare(a, b)
        assert found.verdict == NOTHING_SHOWN
        assert close(0.6614) == round(found.exact_test.p_value, 4)

    def test_where_only_the_interval_sees_it_nothing_is_settled(self):
        """Fisher's test is the more careful one: p is 0.098 for 0 of 14 against 4 of 14."""
        found = compare(failed(0, 14), failed(4, 14))
        assert found.exact_test.p_value > 0.05
        assert found.interval.low > 0
        assert found.verdict.startswith("not settled: of 2 tests 1 says higher (share ")

    def test_equal_shares_need_no_number(self):
        found = compare(failed(1, 3), failed(2, 6))
        assert found.difference == 0
        assert found.needed_per_period is None
        assert found.verdict == NOTHING_SHOWN

    def test_no_deployments_are_undefined(self):
        found = compare(failed(0, 0), failed(1, 2))
        assert found.verdict == "undefined: a: no deployments"
        assert found.difference is None
        assert found.needed_per_period is None

    def test_a_rework_rate_is_a_share_as_well(self):
        share = attrs.evolve(failed(1, 4), name=ReworkRate.NAME, definition=ReworkRate())
        assert compare(share, share).difference == 0

    def test_real_figures_of_a_log_can_be_compared(self):
        events = log(
            deployment("CHG-1", 5),
            deployment("CHG-2", 6),
            deployment("CHG-3", 7, services=("shop",)),
            incident("INC-1", detected(6), caused_by("CHG-2", 7), resolved(8)),
        )
        a = change_failure_rate(events, services="pay")
        b = change_failure_rate(events, services="shop")
        assert compare(a, b).difference == -0.5


# --- for a person and for JSON --------------------------------------------------------------------


class TestTold:
    def test_a_comparison_of_durations_is_explained_in_full(self):
        a = restore([seconds(h) for h in (1, 2, 3)], [seconds(9)], window=FIRST, prefix="A")
        b = attrs.evolve(
            restore([seconds(h) for h in (2, 4, 6)], window=SECOND, prefix="B"), group="pay"
        )
        text = compare(a, b, seed=7, tried=2).explain()
        for expected in (
            f"time to restore (median), b against a: {NOTHING_SHOWN}, of 2 metrics tried\n",
            "  a: 2 h, n = 3, still open 1, 2026-01-01 00:00:00+00:00 up to 2026-04-01",
            "  b: 4 h, n = 3, group pay, 2026-04-01",
            "  difference b - a: 2 h\n",
            "(percentile bootstrap of the difference by exact order statistics, 1000, seed 7)\n",
            "  Hodges-Lehmann shift: 2 h\n    95 % interval: none (Moses, exact)\n",
            "  ratio of geometric means, b over a: 2\n",
            "  Mann-Whitney, normal approximation with ties and continuity correction: p = 0.",
            "  log-rank: p = ",
            "open ones censored\n  difference of means cut off at 6 h, open ones censored: ",
            "  probability of such a difference with no change: ",
            "  sigma of the logarithms: 0.5",
            "  to see 10 % less it takes 4",
            " per period (power 80 %)\n",
            "  a true shortening by 10 % would have looked no better: ",
            "  all draws: seed 7, 1,000 runs\n",
            "  read p-values against 0.025 (level 0.95, 2 tried)\n",
            "  warning: a counts only 3: below 30",
        ):
            assert expected in text

    def test_what_is_undefined_is_said_to_be(self):
        text = quick(restore([]), restore([])).explain()
        for expected in (
            "undefined: a: nothing to count; b: nothing to count\n",
            "  a: undefined, n = 0, all time\n",
            "  difference b - a: undefined\n",
            "  Mann-Whitney: undefined\n",
            "  ratio of geometric means, b over a: undefined\n",
        ):
            assert expected in text
        assert "it takes" not in text
        assert "it takes" not in quick(failed(0, 0), failed(0, 0)).explain()
        assert "it takes" not in quick(*two_quarters([HOUR, HOUR], [HOUR, HOUR])).explain()

    def test_a_comparison_of_shares_is_explained_in_percentage_points(self):
        text = compare(failed(100, 500), failed(50, 500)).explain()
        for expected in (
            "  a: 20 %, n = 500, all time\n",
            "  difference b - a: -10 percentage points\n",
            "  95 % interval: -14.4 percentage points to -5.6 percentage points (Newcombe",
            "  Fisher's exact test, two-sided: p = ",
            "  to see this difference it takes 199 per period (power 80 %)\n",
        ):
            assert expected in text
        assert "sigma" not in text

    @pytest.mark.parametrize(
        ("a", "b"),
        [(restore([1.0, 2.0]), restore([4.0], [5.0])), (failed(1, 2), failed(0, 0))],
        ids=["durations", "shares"],
    )
    def test_every_part_goes_to_json(self, a, b):
        """Plain values that JSON gives back as they were."""
        found = quick(a, b, tried=2)
        plain = found.as_dict()
        assert plain == json.loads(json.dumps(plain, allow_nan=False))
        fields = [attribute.name for attribute in attrs.fields(Comparison)]
        assert ["shape", *fields] == list(plain)
        assert list(found.warnings) == plain["warnings"]
        assert found.interval.method == plain["interval"]["method"]
        assert plain["a"]["included"] is None
        assert len(a.included) == len(found.as_dict(population=True)["a"]["included"])


# --- properties -----------------------------------------------------------------------------------

durations = st.lists(st.integers(0, 10**7).map(lambda value: value / 64), max_size=12)
statistics = st.sampled_from(sorted(STATISTICS))


def without_figures(comparison):
    plain = comparison.as_dict()
    return {name: value for name, value in plain.items() if name not in {"a", "b"}}


class TestAlways:
    @given(durations, durations, durations, statistics, st.randoms(use_true_random=False))
    def test_the_order_of_what_is_listed_never_matters(self, a, b, still_open, statistic, random):
        first = restore(a, still_open, statistic=statistic)
        second = restore(b, statistic=statistic)
        expected = without_figures(quick(first, second))
        mixed = attrs.evolve(
            first,
            included=tuple(random.sample(first.included, len(first.included))),
            censored=tuple(random.sample(first.censored, len(first.censored))),
            left_out=(LeftOut(id="INC-x", reason="drill"),),
        )
        assert expected == without_figures(quick(mixed, second))

    @given(durations, durations, durations, statistics)
    def test_swapped_figures_give_the_mirror_image(self, a, b, still_open, statistic):
        """Differences and bounds change their sign and nothing else, to the last digit."""
        first, second = restore(a, statistic=statistic), restore(b, still_open, statistic=statistic)
        one, other = quick(first, second), quick(second, first)
        pairs = [
            (one.difference, other.difference),
            (one.shift.value, other.shift.value),
            (one.restricted_difference, other.restricted_difference),
            (one.interval.low, other.interval.high),
            (one.interval.high, other.interval.low),
            (one.shift.interval.low, other.shift.interval.high),
            (one.shift.interval.high, other.shift.interval.low),
        ]
        for left, right in pairs:
            assert (None if left is None else 0.0 - left) == right
        assert one.probability_with_no_change == other.probability_with_no_change
        assert one.survival_test == other.survival_test
        assert one.rank_test.p_value == other.rank_test.p_value
        assert one.sigma == pytest.approx(other.sigma)

    @pytest.mark.parametrize("statistic", sorted(STATISTICS))
    def test_swapped_figures_of_many_give_the_mirror_image_as_well(self, statistic):
        """Also where sums are not drawn term by term, and one sample is small."""
        for n_b in (450, 20):
            first = restore(skewed(500, 1), statistic=statistic)
            second = restore(skewed(n_b, 2, factor=0.9), statistic=statistic)
            one, other = quick(first, second), quick(second, first)
            assert 0.0 - one.interval.low == other.interval.high
            assert 0.0 - one.interval.high == other.interval.low
            assert one.interval.method == other.interval.method
            assert one.probability_with_no_change == other.probability_with_no_change
            same = compare(first, first)
            assert 0.0 - same.interval.low == same.interval.high
            assert same.probability_with_no_change == 1

    @pytest.mark.parametrize("statistic", sorted(STATISTICS))
    def test_how_much_is_drawn_does_not_grow_with_the_figures(self, statistic, monkeypatch):
        """Some 400 numbers at most for each of two periods in each of three simulations."""
        drawn = Counter()
        generator = resampling.random_numbers

        def counting(seed):
            draw = generator(seed)

            def count():
                drawn[statistic] += 1
                return draw()

            return count

        monkeypatch.setattr(resampling, "random_numbers", counting)
        for n in (500, 5000):
            drawn.clear()
            quick(*two_quarters(skewed(n, 1), skewed(n, 2), statistic=statistic))
            assert drawn[statistic] < 8 * 6 * 450

    @given(durations.filter(bool), durations, statistics)
    def test_a_figure_against_itself_shows_no_difference(self, values, still_open, statistic):
        """Every difference is 0, every interval holds it, and no test sees anything."""
        figure = restore(values, still_open, statistic=statistic)
        found = quick(figure, figure)
        if figure.value is None:
            assert found.verdict.startswith("undefined: a: ")
            return
        assert found.difference == 0
        assert found.shift.value == 0
        assert found.interval.low <= 0 <= found.interval.high
        assert found.probability_with_no_change == 1
        assert found.verdict == NOTHING_SHOWN

    @given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
    def test_swapped_shares_give_the_mirror_image(self, hits_a, others_a, hits_b, others_b):
        a, b = failed(hits_a, hits_a + others_a), failed(hits_b, hits_b + others_b)
        one, other = compare(a, b), compare(b, a)
        if one.difference is None:
            assert other.difference is None
            return
        assert -one.difference == other.difference
        assert close(-one.interval.low) == other.interval.high
        assert close(one.exact_test.p_value) == other.exact_test.p_value
        assert one.interval.low <= one.difference <= one.interval.high
        assert 0 <= one.exact_test.p_value <= 1

    @given(durations.filter(bool), durations.filter(bool), st.integers(0, 10**6))
    def test_the_same_seed_gives_the_same_answer(self, a, b, seed):
        first, second = restore(a), restore(b)
        assert quick(first, second, seed=seed) == quick(first, second, seed=seed)

    def test_another_seed_gives_another_interval(self):
        a, b = two_quarters(skewed(50, 1), skewed(50, 2))
        assert compare(a, b, seed=1).interval != compare(a, b, seed=2).interval
        assert compare(a, b, seed=1).seed == 1

    @oracle
    def test_the_tests_agree_with_another_library(self):
        """Mann-Whitney and log-rank on the very values of the figures."""
        stats = library("scipy.stats")
        a, b, still = skewed(60, 1), skewed(70, 2, factor=0.8), skewed(15, 3)
        found = quick(restore(a), restore(b, still))
        expected = stats.mannwhitneyu(a, b).pvalue
        assert close(expected) == found.rank_test.p_value
        expected = stats.logrank(a, stats.CensoredData(uncensored=b, right=still)).pvalue
        assert close(expected) == found.survival_test.p_value
