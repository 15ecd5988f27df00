"""
Canaries: the sequential test against exact sums in fractions, and what is decided by it.
"""

import json
import math
import tomllib
from bisect import bisect_left
from datetime import timedelta
from fractions import Fraction
from itertools import accumulate, product
from math import comb
from random import Random
from statistics import NormalDist, median

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imcm.domain.policy.judging import (
    CanaryPlan,
    Exposure,
    Look,
    RolloutDecision,
    evidence_path,
    increments,
    judge,
)
from imcm.domain.vocabulary import Counts
from imcm.errors import InvalidValue

PLAN = CanaryPlan()
TWO = CanaryPlan(metrics=("errors", "timeouts"))
HOUR = timedelta(hours=1)
few = settings(max_examples=60, deadline=None)


def look(canary_errors, canary, baseline_errors, baseline, percent=None):
    return Look(
        canary=Counts(requests=canary, errors=canary_errors),
        baseline=Counts(requests=baseline, errors=baseline_errors),
        percent=percent,
    )


def timed(canary_errors, canary, baseline_errors, baseline):
    return Look(
        canary=Exposure(time=canary, errors=canary_errors),
        baseline=Exposure(time=baseline, errors=baseline_errors),
    )


def evidence(*looks, plan=PLAN):
    return judge(looks, plan).log_evidence


# --- an oracle that only knows fractions ---------------------------------------------------------


def weights(ratio):
    """Return ratios and their weights, as `sought_ratio` describes them."""
    powers = [j for j in range(-20, 40) if j and math.log(ratio) * 2 ** (j - 1) < math.log(50)]
    sizes = [Fraction(1, abs(j) * (abs(j) + 1)) for j in powers]
    yield Fraction(ratio), Fraction(1, 2)
    for j, size in zip(powers, sizes, strict=True):
        yield Fraction(math.exp(math.log(ratio) * 2.0**j)), size / sum(sizes) / 2


def factor(ratio, x, e, share):
    """Return how much likelier *x* of *e* errors are than where both fail as often."""
    return ratio**x / (1 + share * (ratio - 1)) ** e


def exact(looks, ratio=2.5):
    """Return the evidence, each look with its own share, as a fraction."""
    total = Fraction(0)
    for each, weight in weights(ratio):
        factors = [factor(each, x, x + y, Fraction(n, n + m)) for x, n, y, m in looks if n and m]
        total += weight * math.prod(factors)
    return total


def binomial(n, p):
    return [comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]


FEW = st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 6), st.integers(0, 6)).map(
    lambda four: (min(four[0], four[1]), four[1], min(four[2], four[3]), four[3])
)

SIZE = st.integers(0, 10**18) | st.integers(0, 9) | st.just(10**15)
MANY = st.tuples(SIZE, SIZE, SIZE, SIZE).map(
    lambda four: (min(four[:2]), max(four[:2]), min(four[2:]), max(four[2:]))
)


class TestEvidence:
    @given(st.lists(FEW, max_size=4), st.sampled_from((1.5, 2.5, 10)))
    @few
    def test_is_what_fractions_say(self, looks, ratio):
        said = evidence(*(look(*each) for each in looks), plan=CanaryPlan(sought_ratio=ratio))
        assert math.isclose(math.exp(said), exact(looks, ratio), rel_tol=1e-9)

    @pytest.mark.parametrize("ratio", [1.001, 1.5, 2.5, 50, 1000])
    def test_the_weights_add_up_to_one(self, ratio):
        """Where nothing was seen that tells the ratios apart, the evidence is their sum."""
        assert 1 == sum(weight for _, weight in weights(ratio))
        nothing_told = look(3, 3, 0, 0), look(0, 5, 0, 5)
        assert 0 == evidence(*nothing_told, plan=CanaryPlan(sought_ratio=ratio))
        all_but = evidence(timed(0, 1e-9, 1, 1e18), plan=CanaryPlan(sought_ratio=ratio))
        assert math.isclose(0, all_but, abs_tol=1e-15)

    @pytest.mark.parametrize("n", [1, 2, 4])
    @pytest.mark.parametrize("m", [1, 3])
    @pytest.mark.parametrize("p", [Fraction(1, 50), Fraction(1, 3), Fraction(9, 10), Fraction(1)])
    @pytest.mark.parametrize("worse", [Fraction(1), Fraction(1, 2), Fraction(0)])
    def test_is_not_expected_to_grow_where_the_canary_is_no_worse(self, n, m, p, worse):
        """Exactly, over all that can be seen: whatever the rate, its mean is at most 1."""
        mean = sum(
            chance * other * exact([(x, n, y, m)])
            for x, chance in enumerate(binomial(n, worse * p))
            for y, other in enumerate(binomial(m, p))
        )
        assert mean <= 1

    @pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 4), (4, 2), (3, 3)])
    @pytest.mark.parametrize("e", [1, 2, 3])
    def test_given_the_errors_of_both_it_is_fair_or_less(self, n, m, e):
        """Errors in time fall by shares, and the mean is 1; of a few requests none fails twice."""
        share = Fraction(n, n + m)
        fair = sum(
            chance * exact([(x, n, e - x, m)]) for x, chance in enumerate(binomial(e, share))
        )
        assert 1 == fair
        drawn = sum(
            Fraction(comb(n, x) * comb(m, e - x), comb(n + m, e)) * exact([(x, n, e - x, m)])
            for x in range(e + 1)
            if x <= n and e - x <= m
        )
        assert drawn <= 1

    def test_ever_aborting_is_as_rare_as_promised(self):
        """Every course of three looks with three shares and three rates, by its probability."""
        stages = ((1, 3, Fraction(1, 3)), (2, 2, Fraction(1, 2)), (2, 1, Fraction(3, 5)))
        for alpha in (0.5, 0.3):
            plan = CanaryPlan(alpha=alpha)
            aborted = Fraction(0)
            for errors in product(*(product(range(n + 1), range(m + 1)) for n, m, _ in stages)):
                looks = [look(x, n, y, m) for (x, y), (n, m, _) in zip(errors, stages, strict=True)]
                if judge(looks, plan).decision is RolloutDecision.ABORT:
                    aborted += math.prod(
                        binomial(n, p)[x] * binomial(m, p)[y]
                        for (x, y), (n, m, p) in zip(errors, stages, strict=True)
                    )
            assert 0 < aborted <= Fraction(alpha)

    @given(
        st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=8),
        st.randoms(use_true_random=False),
    )
    @few
    def test_does_not_depend_on_the_order(self, errors, random):
        looks = [look(x, 60, y, 200) for x, y in errors]
        shuffled = random.sample(looks, len(looks))
        assert math.isclose(evidence(*looks), evidence(*shuffled), abs_tol=1e-9)
        together = look(
            sum(x for x, _ in errors), 60 * len(looks),
            sum(y for _, y in errors), 200 * len(looks),
        )  # fmt: skip
        assert math.isclose(evidence(*looks), evidence(together), abs_tol=1e-9)

    @given(FEW, FEW)
    @few
    def test_more_errors_of_the_canary_never_lower_it(self, first, second):
        x, n, y, m = second
        before = evidence(look(*first), look(x, n + 1, y, m + 1))
        assert evidence(look(*first), look(x + 1, n + 1, y, m + 1)) >= before - 1e-12
        assert evidence(look(*first), look(x, n + 1, y + 1, m + 1)) <= before + 1e-12

    def test_counts_in_time_go_by_the_shares_of_the_time(self):
        in_time = evidence(timed(7, 20.0, 90, 380.0), timed(3, 2.5, 1, 2.5))
        in_requests = evidence(look(7, 200, 90, 3800), look(3, 2500, 1, 2500))
        assert math.isclose(in_time, in_requests)

    def test_huge_counts(self):
        """What is beyond all floats is told by its logarithm."""
        many = 10**12
        verdict = judge([look(many // 10, many, many // 100, many)], PLAN, baked=HOUR)
        assert verdict.log_evidence > 1e9
        assert 0 == verdict.p_value
        assert math.isfinite(verdict.evidence)
        assert math.isclose(10, verdict.metrics[0].ratio)
        assert verdict.metrics[0].lower < 10 < verdict.metrics[0].upper < 10.001
        better = judge([look(0, many, many // 100, many)], PLAN, baked=HOUR)
        assert (1, 0) == (better.p_value, better.metrics[0].evidence)
        assert RolloutDecision.PROMOTE is better.decision
        same = judge([look(many // 100, many, many // 100, many)] * 3, PLAN, baked=HOUR)
        assert math.isclose(1, same.metrics[0].ratio)
        assert same.metrics[0].lower > 0.999
        assert RolloutDecision.PROMOTE is same.decision
        rare = judge([timed(5, 1e-9, 5, 1e18)], PLAN)
        assert 1e26 < rare.metrics[0].ratio < 1e28


class TestBounds:
    @given(st.lists(FEW, min_size=1, max_size=4))
    @few
    def test_the_estimate_lies_between_them(self, looks):
        [metric] = judge([look(*each) for each in looks], PLAN).metrics
        assert metric.upper is None or metric.lower < metric.upper
        if metric.ratio is not None:
            assert metric.lower <= metric.ratio
            assert metric.upper is None or metric.ratio <= metric.upper

    @given(st.lists(MANY, min_size=1, max_size=4))
    @few
    def test_whatever_the_counts(self, looks):
        """Of any size: numbers, in order but for the last of their digits, and never nan."""
        verdict = judge([look(*each) for each in looks], PLAN, baked=HOUR)
        [metric] = verdict.metrics
        assert 0 <= verdict.p_value <= 1
        assert math.isfinite(verdict.log_evidence)
        ratio, upper = metric.ratio, metric.upper
        assert metric.lower <= 1.000001 * (math.inf if ratio is None else ratio)
        assert (ratio or 0) <= 1.000001 * (math.inf if upper is None else upper)

    @given(FEW)
    @few
    def test_abort_is_a_lower_bound_above_one(self, seen):
        verdict = judge([look(*seen)], CanaryPlan(alpha=0.4))
        aborted = verdict.decision is RolloutDecision.ABORT
        assert aborted is (verdict.metrics[0].lower > 1)

    @given(FEW)
    @few
    def test_seen_from_the_baseline_they_are_the_inverse(self, seen):
        plan = CanaryPlan(tolerated_ratio=3, sought_ratio=3, alpha=0.3)
        x, n, y, m = seen
        [metric] = judge([look(x, n, y, m)], plan).metrics
        [other] = judge([look(y, m, x, n)], plan).metrics
        if metric.upper is None:
            assert 0 == other.lower
        else:
            assert math.isclose(metric.upper * other.lower, 1)

    def test_each_is_as_rarely_wrong_as_promised(self):
        """The canary fails twice as often: every course of three looks, by its probability."""
        p, alpha, truth = Fraction(3, 10), 0.3, 2
        plan = CanaryPlan(alpha=alpha, tolerated_ratio=truth)
        chances = {
            (x, y): binomial(2, truth * p)[x] * binomial(3, p)[y]
            for x, y in product(range(3), range(4))
        }
        too_high = too_low = Fraction(0)
        bounds_of = {
            course: judge([look(x, 2, y, 3) for x, y in course], plan).metrics[0]
            for many in (1, 2, 3)
            for course in product(chances, repeat=many)
        }
        for course in product(chances, repeat=3):
            bounds = [bounds_of[course[:many]] for many in (1, 2, 3)]
            chance = math.prod(chances[each] for each in course)
            too_high += chance * any(each.lower > truth for each in bounds)
            too_low += chance * any((each.upper or math.inf) < truth for each in bounds)
        assert 0 < too_high <= Fraction(alpha)
        assert 0 < too_low <= Fraction(alpha)

    def test_a_bound_is_where_the_evidence_is_just_enough(self):
        """Both sides fail by the same rate once the baseline's is multiplied by the bound."""
        [metric] = judge([timed(40, 100.0, 20, 100.0), timed(9, 10.0, 8, 30.0)], PLAN).metrics
        scaled = timed(40, 100.0 * metric.lower, 20, 100.0), timed(9, 10 * metric.lower, 8, 30.0)
        assert math.isclose(math.log(20), evidence(*scaled), rel_tol=1e-6)

    def test_the_ratio_goes_look_by_look(self):
        """Errors are rarer by night, when the canary had its traffic: in no look it is better."""
        looks = [look(2, 200, 40, 4000), look(90, 900, 10, 100)]
        [metric] = judge(looks, PLAN).metrics
        assert metric.canary_rate > 3 * metric.baseline_rate
        assert math.isclose(1, metric.ratio)

    @pytest.mark.parametrize(
        ("seen", "ratio"),
        [((0, 0, 0, 0), None), ((0, 9, 0, 9), None), ((3, 9, 0, 9), None), ((0, 9, 3, 9), 0),
         ((3, 9, 3, 9), 1), ((4, 10, 2, 20), 4), ((4, 10, 0, 0), None)],
    )  # fmt: skip
    def test_ratio(self, seen, ratio):
        assert ratio == pytest.approx(judge([look(*seen)], PLAN).metrics[0].ratio)

    def test_without_errors_there_are_none(self):
        [metric] = judge([look(0, 900, 0, 900)], PLAN).metrics
        assert (0, None) == (metric.lower, metric.upper)


GOOD = look(20, 1000, 20, 1000, 50)
BAD = look(60, 1000, 20, 1000, 50)


class TestDecision:
    @pytest.mark.parametrize(
        ("looks", "baked", "plan", "decision", "reason"),
        [
            ([], HOUR, {}, "hold", "no traffic on the canary; errors: no traffic on the baseline"),
            ([look(0, 0, 3, 99)], HOUR, {}, "hold", "errors: no traffic on the canary"),
            ([look(9, 99, 0, 0)], HOUR, {}, "hold", "errors: no traffic on the baseline"),
            ([GOOD] * 3, HOUR, {}, "promote", " 1.67 times as often as the baseline; below 2"),
            ([GOOD], HOUR, {}, "hold", "may fail 2.38 times as often as the baseline; below 2 is"),
            ([GOOD], HOUR, {"tolerated_ratio": 3}, "promote", "below 3 is tolerated"),
            ([GOOD], HOUR, {"tolerated_ratio": None}, "promote", "any is tolerated"),
            ([look(0, 500, 0, 500)], HOUR, {}, "hold", "may fail any number of times as often"),
            ([look(0, 500, 0, 500)], HOUR, {"tolerated_ratio": "any"}, "promote",
             "at most any number of times"),
            ([GOOD] * 3, None, {}, "hold", "how long it was watched is not told"),
            ([GOOD] * 3, timedelta(minutes=9), {}, "hold", "watched for 0:09:00 of 10 minutes"),
            ([GOOD] * 3, timedelta(minutes=10), {}, "promote", "below 2"),
            ([GOOD] * 3, HOUR, {"requests": 3001}, "hold", "3,000 of 3,001 requests to the canary"),
            ([look(2, 900, 0, 499)], HOUR, {}, "hold", "499 of 500 requests to the baseline;"),
            ([GOOD] * 3 + [look(1, 99, 1, 900, 90)], HOUR, {}, "hold", "99 of 500 requests to the "
             "canary at 90 %"),
            # Of a stage that was left and entered again only what was seen since then counts.
            ([GOOD] * 3 + [look(1, 99, 1, 900, 90), look(1, 99, 1, 900, 50)], HOUR, {}, "hold",
             "99 of 500 requests to the canary at 50 %"),
            ([BAD], HOUR, {}, "abort", "errors 60 of 1,000 (6 %), baseline 20 of 1,000 (2 %); "),
            ([BAD], None, {}, "abort", "at look 1, and 20 is enough"),
            ([BAD], HOUR, {"alpha": 1e-12}, "hold", "may fail"),
            ([look(20, 1000, 60, 1000)], HOUR, {}, "promote", "at most 0.64"),
            # The test is about the whole rollout: what was enough once stays so.
            ([look(0, 1000, 60, 1000), BAD, GOOD], HOUR, {}, "promote", "below 2"),
            ([BAD, look(0, 1000, 60, 1000), GOOD], HOUR, {}, "abort", "at look 1, and 20 is"),
            ([timed(3, 60.0, 90, 1140.0)], HOUR, {}, "hold", "errors: the canary may fail"),
            ([timed(30, 60.0, 90, 1140.0)], HOUR, {}, "abort",
             "errors 30 in 60 units of time (0.5 each)"),
            ([timed(0, 0, 90, 1140.0)], HOUR, {}, "hold", "no traffic on the canary"),
            ([timed(9, 60.0, 171, 1140.0)], HOUR, {"tolerated_ratio": 4}, "promote", "below 4"),
        ],
    )  # fmt: skip
    def test_is(self, looks, baked, plan, decision, reason):
        verdict = judge(looks, CanaryPlan(**plan), baked=baked)
        assert decision == verdict.decision
        assert reason in verdict.reason
        assert (decision == "hold") is bool(verdict.missing)
        assert (decision == "abort") is (verdict.passed_at is not None)

    def test_all_that_is_missing_is_named(self):
        verdict = judge([look(1, 100, 2, 200, 5)], PLAN)
        assert 4 == len(verdict.missing)
        assert "; ".join(verdict.missing) == verdict.reason

    def test_the_p_value_is_that_of_the_highest_evidence(self):
        looks = [BAD, look(0, 1000, 60, 1000)]
        first, both = judge(looks[:1], PLAN), judge(looks, PLAN)
        assert both.evidence < 1 < first.evidence
        assert first.p_value == both.p_value == pytest.approx(1 / first.evidence)
        assert 1 == judge([look(0, 1000, 60, 1000)], PLAN).p_value

    def test_shown(self):
        verdict = judge([GOOD, BAD], PLAN, baked=HOUR)
        assert str(verdict) == f"abort: {verdict.reason}"
        assert "2 looks, the last one at 50 %" in verdict.explain()
        assert "enough to abort since look 2" in verdict.explain()
        assert "each bound of a ratio is right with 95 %" in verdict.explain()
        assert "1 look\n" in judge([look(0, 9, 1, 9)], PLAN).explain()
        assert "ratio not known, from 0 to any" in judge([], PLAN).explain()
        plain = json.loads(json.dumps(verdict.as_dict(), allow_nan=False))
        assert plain["metrics"][0]["canary"] == {"requests": 2000, "errors": 80}
        assert plain.keys() == {field.name for field in attrs.fields(type(verdict))}
        rates = {"canary_rate", "baseline_rate"}
        fields = {field.name for field in attrs.fields(type(verdict.metrics[0]))}
        assert plain["metrics"][0].keys() == fields | rates


class TestMetrics:
    def test_the_evidence_is_the_mean(self):
        looks = {"timeouts": [look(9, 900, 3, 900)], "errors": [look(30, 900, 14, 900)]}
        verdict = judge(looks, TWO, baked=HOUR)
        assert ["errors", "timeouts"] == [metric.name for metric in verdict.metrics]
        assert verdict.evidence == pytest.approx(sum(each.evidence for each in verdict.metrics) / 2)
        assert (0.05, 0.025) == (verdict.alpha, verdict.corrected_alpha)
        assert "right with 97.5 %" in verdict.explain()
        assert verdict.metrics[1] is verdict.metric("timeouts")
        with pytest.raises(InvalidValue, match="one of errors, timeouts"):
            verdict.metric("latency")

    @given(st.integers(20, 60), st.integers(20, 60))
    @few
    def test_it_aborts_whenever_bonferroni_does(self, first, second):
        looks = {"errors": [look(first, 900, 20, 900)], "timeouts": [look(second, 900, 20, 900)]}
        verdict = judge(looks, TWO)
        if any(each.evidence > 2 / 0.05 for each in verdict.metrics):
            assert RolloutDecision.ABORT is verdict.decision
        assert RolloutDecision.ABORT is not verdict.decision or verdict.evidence >= 20

    def test_several_that_get_worse_abort_sooner(self):
        seen = [look(22, 500, 7, 500)]
        assert RolloutDecision.ABORT is judge({"errors": seen, "timeouts": seen}, TWO).decision
        assert judge(seen, PLAN).evidence < 40

    def test_the_worst_is_named(self):
        verdict = judge({"errors": [GOOD], "timeouts": [BAD]}, TWO)
        assert "fails more often: timeouts 60 of 1,000" in verdict.reason

    def test_every_one_has_to_be_good(self):
        fine = [GOOD] * 5
        assert (
            RolloutDecision.PROMOTE
            is judge({"errors": fine, "timeouts": fine}, TWO, baked=HOUR).decision
        )
        short = [look(1, 10, 1, 10, 50)] * 5
        verdict = judge({"errors": fine, "timeouts": short}, TWO, baked=HOUR)
        assert RolloutDecision.HOLD is verdict.decision
        assert all(each.startswith("timeouts: ") for each in verdict.missing)

    def test_requests_and_times_go_together(self):
        plan = CanaryPlan(metrics=("errors", "restarts"), tolerated_ratio="any")
        looks = {"errors": [look(9, 900, 9, 900)], "restarts": [timed(0, 5.0, 1, 5.0)]}
        assert RolloutDecision.PROMOTE is judge(looks, plan, baked=HOUR).decision


class TestPath:
    @pytest.mark.parametrize("plan", [PLAN, TWO])
    def test_is_what_was_judged_after_each_look(self, plan):
        looks = [look(n, 400, 9, 4_000, percent=10) for n in (0, 2, 9, 3, 12)]
        seen = looks if plan is PLAN else {"errors": looks, "timeouts": looks[::-1]}

        def upto(n):
            return seen[:n] if plan is PLAN else {name: each[:n] for name, each in seen.items()}

        path = evidence_path(seen, plan)
        assert list(path) == [judge(upto(n), plan).log_evidence for n in range(1, 6)]
        assert evidence_path(upto(0), plan) == ()

    def test_refused(self):
        with pytest.raises(InvalidValue, match="CanaryPlan"):
            evidence_path([], "plan")
        with pytest.raises(InvalidValue, match="looks"):
            evidence_path(7, PLAN)


class TestRefused:
    @pytest.mark.parametrize(
        ("make", "name"),
        [
            (lambda: look(3, 2, 0, 5), "errors"),
            (lambda: look(-1, 2, 0, 5), "errors"),
            (lambda: look(True, 2, 0, 5), "errors"),
            (lambda: look(0, "2", 0, 5), "requests"),
            (lambda: look(0, 2.0, 0, 5), "requests"),
            (lambda: look(0, 2, 0, 5, percent=0), "percent"),
            (lambda: look(0, 2, 0, 5, percent=101), "percent"),
            (lambda: look(0, 2, 0, 5, percent=math.nan), "percent"),
            (lambda: look(0, 2, 0, 5, percent=True), "percent"),
            (lambda: look(0, 2, 0, 5, percent="5"), "percent"),
            (lambda: Look(canary=(1, 2), baseline=Counts(requests=2, errors=1)), "canary"),
            (lambda: Look(canary=Exposure(time=1, errors=2), baseline=None), "baseline"),
            (lambda: Look(canary=Exposure(time=1, errors=2),
                          baseline=Counts(requests=2, errors=1)), "baseline"),
            (lambda: Exposure(time=math.nan, errors=0), "time"),
            (lambda: Exposure(time=math.inf, errors=0), "time"),
            (lambda: Exposure(time=-1, errors=0), "time"),
            (lambda: Exposure(time=1e-10, errors=0), "time"),
            (lambda: Exposure(time=10**30, errors=0), "time"),
            (lambda: Exposure(time=True, errors=0), "time"),
            (lambda: Exposure(time="1", errors=0), "time"),
            (lambda: Exposure(time=1, errors=-1), "errors"),
            (lambda: Exposure(time=1, errors=1.0), "errors"),
            (lambda: Exposure(time=0, errors=1), "errors"),
            (lambda: judge("looks", PLAN), "looks"),
            (lambda: judge(GOOD, PLAN), "looks"),
            (lambda: judge(None, PLAN), "looks"),
            (lambda: judge([GOOD, 5], PLAN), "looks[2]"),
            (lambda: judge([GOOD, timed(0, 1, 0, 1)], PLAN), "looks[2]"),
            (lambda: judge([GOOD], None), "plan"),
            (lambda: judge([GOOD], PLAN, baked=10), "baked"),
            (lambda: judge([GOOD], PLAN, baked=timedelta(seconds=-1)), "baked"),
            (lambda: judge([GOOD], TWO), "looks"),
            (lambda: judge({"errors": [GOOD]}, TWO), "looks.timeouts"),
            (lambda: judge({"errors": [GOOD], "latency": [GOOD]}, PLAN), "looks"),
            (lambda: judge({"errors": [GOOD], "timeouts": []}, TWO), "looks.timeouts"),
            (lambda: judge({"errors": [GOOD], "timeouts": [look(0, 1, 0, 1)]}, TWO),
             "looks.timeouts"),
            (lambda: judge({"errors": {"a": GOOD}}, PLAN), "looks.errors"),
            (lambda: CanaryPlan(alpha=0), "alpha"),
            (lambda: CanaryPlan(alpha=0.51), "alpha"),
            (lambda: CanaryPlan(alpha=math.nan), "alpha"),
            (lambda: CanaryPlan(alpha=True), "alpha"),
            (lambda: CanaryPlan(alpha="0.05"), "alpha"),
            (lambda: CanaryPlan(tolerated_ratio=1), "tolerated_ratio"),
            (lambda: CanaryPlan(tolerated_ratio=math.inf), "tolerated_ratio"),
            (lambda: CanaryPlan(tolerated_ratio="none"), "tolerated_ratio"),
            (lambda: CanaryPlan(sought_ratio=1001), "sought_ratio"),
            (lambda: CanaryPlan(sought_ratio="any"), "sought_ratio"),
            (lambda: CanaryPlan(sought_ratio=None), "sought_ratio"),
            (lambda: CanaryPlan(requests=0), "requests"),
            (lambda: CanaryPlan(requests=True), "requests"),
            (lambda: CanaryPlan(bake=10), "bake"),
            (lambda: CanaryPlan(bake=timedelta()), "bake"),
            (lambda: CanaryPlan(metrics="errors"), "metrics"),
            (lambda: CanaryPlan(metrics={"errors": 1}), "metrics"),
            (lambda: CanaryPlan(metrics=[]), "metrics"),
            (lambda: CanaryPlan(metrics=["a", "a"]), "metrics"),
            (lambda: CanaryPlan(metrics=[5]), "metrics"),
            (lambda: CanaryPlan.from_dict([]), "canary"),
            (lambda: CanaryPlan.from_dict({"alfa": 0.1}), "canary.alfa"),
            (lambda: CanaryPlan.from_dict({"alpha": 2}, "rollout"), "rollout.alpha"),
            (lambda: increments(GOOD), "totals"),
            (lambda: increments([look(5, 9, 0, 9), look(4, 9, 0, 9)]), "totals[2].canary"),
            (lambda: increments([look(5, 9, 0, 9), look(5, 9, 0, 8)]), "totals[2].baseline"),
            (lambda: increments([look(0, 9, 0, 9), look(2, 10, 0, 9)]), "totals[2].canary"),
            (lambda: increments([timed(0, 9, 0, 9), timed(1, 9, 0, 9)]), "totals[2].canary"),
        ],
    )  # fmt: skip
    def test_is(self, make, name):
        with pytest.raises(InvalidValue) as refused:
            make()
        assert name == refused.value.name


class TestIncrements:
    def test_of_running_totals(self):
        totals = [look(1, 10, 2, 190, 5), look(1, 30, 5, 400, 5), look(4, 90, 5, 400, 25)]
        added = [look(1, 10, 2, 190, 5), look(0, 20, 3, 210, 5), look(3, 60, 0, 0, 25)]
        assert tuple(added) == increments(totals)
        assert () == increments([])
        assert (timed(1, 2, 0, 2), timed(0, 1.5, 3, 2)) == increments(
            [timed(1, 2, 0, 2), timed(1, 3.5, 3, 4)]
        )

    @given(st.lists(FEW, max_size=5))
    @few
    def test_gives_back_what_was_added_up(self, looks):
        totals = accumulate(looks, lambda *both: tuple(map(sum, zip(*both, strict=True))))
        assert tuple(look(*each) for each in looks) == increments(look(*each) for each in totals)


class TestPlan:
    @pytest.mark.parametrize(
        "plan",
        [PLAN, TWO, CanaryPlan(alpha=0.01, tolerated_ratio=None, requests=10, bake="2 hours",
                               sought_ratio=3)],
    )  # fmt: skip
    def test_is_told_and_read_back(self, plan):
        assert plan == CanaryPlan.from_dict(plan.as_dict())
        assert plan == CanaryPlan.from_dict(json.loads(json.dumps(plan.as_dict())))
        assert hash(plan) == hash(CanaryPlan.from_dict(plan.as_dict()))

    def test_in_toml(self):
        told = tomllib.loads(
            'alpha = 0.01\ntolerated_ratio = "any"\nbake = "2 hours"\nmetrics = ["a", "b"]'
        )
        expected = CanaryPlan(
            alpha=0.01, tolerated_ratio=None, bake=timedelta(hours=2), metrics=("a", "b")
        )
        assert expected == CanaryPlan.from_dict(told)
        assert PLAN == CanaryPlan.from_dict({})


# --- many rollouts --------------------------------------------------------------------------------


def sampler(random, n, p):
    """Return a function that draws how many of *n* requests fail."""
    sums = list(accumulate(binomial(n, p)))
    return lambda: min(n, bisect_left(sums, random.random()))


def rollouts(seed, runs, stages):
    """Yield rollouts: of each stage requests and rates of both sides, and how many looks."""
    random = Random(seed)
    draws = [
        (n, sampler(random, n, p), m, sampler(random, m, q), many) for n, p, m, q, many in stages
    ]
    for _ in range(runs):
        yield [look(x(), n, y(), m) for n, x, m, y, many in draws for _ in range(many)]


def two_proportions(looks):
    """Return the first look at which the usual test, made for one, is sure by 95 %."""
    enough = NormalDist().inv_cdf(0.95)
    x = y = n = 0
    for number, each in enumerate(looks, start=1):
        x, y, n = x + each.canary.errors, y + each.baseline.errors, n + each.canary.requests
        pooled = (x + y) / (2 * n)
        if pooled and (x - y) / n > enough * math.sqrt(2 * pooled * (1 - pooled) / n):
            return number
    return None


def false_aborts(runs):
    return sum(judge(looks, PLAN).passed_at is not None for looks in runs)


class TestManyRollouts:
    def test_a_hundred_looks_at_a_canary_that_is_no_worse(self):
        """2 % of errors in both: a test made for one look aborts a third of them, this one few."""
        runs = list(rollouts(7, 800, [(100, 0.02, 100, 0.02, 100)]))
        assert false_aborts(runs) <= 0.05 * 800
        assert sum(two_proportions(looks) is not None for looks in runs) > 0.25 * 800

    def test_an_error_rate_that_tripled_is_found_soon(self):
        runs = rollouts(8, 400, [(100, 0.06, 100, 0.02, 40)])
        found = [judge(looks, PLAN).passed_at or 41 for looks in runs]
        assert median(found) <= 4  # 400 requests a side
        assert sum(each <= 10 for each in found) > 0.97 * 400

    @pytest.mark.slow
    def test_stages_with_their_own_shares_and_a_rate_that_drifts(self):
        """5, 25 and 50 % of the traffic, by night and by day, and bad evenings."""
        stages = [
            (50, 0.01, 950, 0.01, 60), (250, 0.04, 750, 0.04, 40), (500, 0.02, 500, 0.02, 60),
            (500, 0.3, 500, 0.3, 10), (100, 0.02, 100, 0.02, 100),
        ]  # fmt: skip
        assert false_aborts(rollouts(9, 3000, stages)) <= 0.05 * 3000

    @pytest.mark.slow
    def test_what_is_not_tolerated_is_hardly_promoted(self):
        """The canary fails twice as often, which is no longer tolerated; it is not aborted, too."""
        plan = CanaryPlan(alpha=0.05, requests=1, tolerated_ratio=2)
        promoted = 0
        for looks in rollouts(10, 300, [(100, 0.04, 100, 0.02, 30)]):
            promoted += any(
                judge(looks[:n], plan, baked=HOUR).decision is RolloutDecision.PROMOTE
                for n in range(1, 31)
            )
        assert promoted <= 0.05 * 300
