"""
Is it really better? Two figures of the same definition, and what their difference is worth.

Incident durations are skewed and few. In published simulations a true shortening by a tenth looked
like no improvement in 20 to 40 % of runs (Davidovic, "Incident Metrics in SRE", 2021), so a
difference alone says little. `compare` gives it with an interval, with tests, with the probability
that as much appears although nothing changed, and with how many incidents it would take.

Everything is a pure function of the two figures and the seed. The order in which they list what
they count never matters, and swapping them negates every difference to the last digit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import attrs

from imcm.documents.shown import Shown, checked_most
from imcm.errors import InvalidValue
from imcm.plain import joined
from imcm.projections.figures.drawing import drawn
from imcm.projections.figures.durations import STATISTICS
from imcm.projections.figures.figure import Figure, Included, window_in_zone
from imcm.projections.figures.frequency import days_of
from imcm.projections.figures.units import SECONDS, SHAPE, SHARE, apart, brief, elapsed, shown
from imcm.projections.statistics.intervals import Interval, critical_z, wilson
from imcm.projections.statistics.planning import (
    sample_size_for_ratio,
    simulate_no_change,
    simulate_shortening,
)
from imcm.projections.statistics.quantiles import Statistic, geometric_mean, log_sigma, percentile
from imcm.projections.statistics.rates import rate_difference, rate_ratio, rate_test
from imcm.projections.statistics.resampling import bootstrap_difference
from imcm.projections.statistics.samples import Ordered, check_between, finite_numbers
from imcm.projections.statistics.survival import kaplan_meier, log_rank
from imcm.projections.statistics.two_samples import (
    Estimate,
    TestResult,
    hodges_lehmann,
    mann_whitney,
)

if TYPE_CHECKING:
    from imcm.documents.structure import Document
    from imcm.projections.figures.drawing import Axes

__all__ = ["Comparison", "compare", "fisher_exact", "newcombe", "sample_size_for_shares"]

FILTERS: Final = ("environments", "services", "severities", "kinds", "labels")
"""Arguments that say who is counted: two figures may differ in them, with a warning."""

MAY_DIFFER: Final = frozenset(
    {"window", *FILTERS, "group_by", "bucket_by", "week_starts", "anchor", "level"}
)
"""Besides: how a figure is cut into parts, and the level of its own interval, move no value."""

FEW: Final = 30
"""Below this many values a warning is given."""

UNEVEN: Final = 0.1
"""Below this part of the larger one a warning is given of the smaller one."""

MANY_OPEN: Final = 0.1
"""Above this share of open ones a warning is given."""

NOTICEABLE: Final = 0.05
"""Above this probability of such a difference with no change a warning is given."""

TENTH_LESS: Final = 0.9
"""The shortening that planning speaks of: every duration times this."""

POWER: Final = 0.8
"""How surely a change is to be seen when it is asked how many incidents that takes."""

TIES: Final = 1e-7
"""Tables that are equally likely on paper may differ by so much, relatively, when computed."""


@attrs.frozen(kw_only=True)
class Comparison(Shown):
    """
    What can be said of the difference between two figures; every difference is b minus a.

    What belongs to another unit is None: durations (unit "seconds") have no *exact_test*; shares
    and rates (deployments per day or week) have no *shift*, *rank_test*, *survival_test*,
    *restricted_difference*, *horizon*, *probability_with_no_change*, *sigma* and
    *shortening_unseen*; only rates have a *ratio_interval*, and shares have no *ratio*.

    Attributes:
        name, unit, statistic: What was compared: "time to restore", "seconds", "median".
        a, b: The two figures.
        difference: b.value - a.value, in *unit*; None where one is undefined, with the *reason*.
        interval: Of the difference: for durations the seeded percentile bootstrap, whose *method*
            says how it was drawn, for shares Newcombe's, for rates Zou's and Donner's. Without
            bounds where a sample is empty or a resample has no statistic.
        shift: The Hodges-Lehmann shift and its interval, in seconds.
        ratio: Geometric mean of b over that of a, or the rate of b over that of a; None where
            there are none above 0.
        ratio_interval: Of the ratio of two rates, exact. Its bounds are None as for `rate_ratio`.
        rank_test: Mann-Whitney, on what is over.
        survival_test: Log-rank, with what is open as censored; not of negative durations.
        restricted_difference: Difference of the mean durations cut off at *horizon*, open ones
            censored, in seconds. It gives the log-rank test its direction.
        horizon: The longest duration that both figures reach, in seconds.
        exact_test: Of shares Fisher's, of rates the binomial one; two-sided.
        probability_with_no_change: How often periods of these sizes, both drawn from the pooled
            values, differ at least as much. None where the difference is.
        sigma: Standard deviation of the natural logarithms within the two; None where a duration
            is 0 or less, or neither has two.
        needed_per_period: How many it takes in each period to see it with a power of 80 % at
            *level*: for durations 10 % less, for shares the difference found. None where *sigma*
            is None or 0, or the shares do not differ, and of rates.
        shortening_unseen: How often a true shortening by 10 % would have looked no better with
            these counts; None where a sample is empty or a run has no statistic.
        level: Confidence level of the intervals that are given.
        tried: How many metrics the caller looked at.
        threshold: What p-values are read against: (1 - level) / tried (Bonferroni). An interval
            votes by what it is at the level 1 - threshold.
        seed, runs: Of every draw: the same ones give the same answer. Only durations are drawn.
        warnings: Sentences on what makes the comparison weaker than it looks.
        votes: What each test says of b, by its name: "shorter" or "longer" ("lower" or "higher" of
            shares and rates), or "nothing seen". Empty where the difference is undefined.
        verdict: The answer in words. It names a direction only where all tests there are agree
            on it; where some do, it says that it is not settled, and which tests disagree.
    """

    name: str
    unit: str
    statistic: str
    a: Figure
    b: Figure
    difference: float | None
    interval: Interval
    reason: str | None = None
    shift: Estimate | None = None
    ratio: float | None = None
    ratio_interval: Interval | None = None
    rank_test: TestResult | None = None
    survival_test: TestResult | None = None
    restricted_difference: float | None = None
    horizon: float | None = None
    exact_test: TestResult | None = None
    probability_with_no_change: float | None = None
    sigma: float | None = None
    needed_per_period: int | None = None
    shortening_unseen: float | None = None
    level: float
    tried: int
    threshold: float
    seed: int
    runs: int
    warnings: tuple[str, ...] = ()
    votes: Mapping[str, str] = attrs.field(factory=dict[str, str])
    verdict: str

    def __repr__(self) -> str:
        """Return what was compared, and the answer, in one line."""
        return f"{self.name} ({self.statistic}), b against a: {self.verdict}"

    def document(self, *, most: int | None = None) -> Document:
        """Return it as a document; see `imcm.documents`. *most* rows a table; None for all."""
        from imcm.projections.reports.display import (
            comparison_document,  # which knows this class, too
        )

        return comparison_document(self, most=checked_most(most))

    def explain(self) -> str:
        """Return all of it as text for a person."""
        lines = [repr(self)]
        lines += [f"  {_side(name, figure)}" for name, figure in (("a", self.a), ("b", self.b))]
        lines.append(f"  difference b - a: {apart(self.difference, self.unit)}")
        lines.append(f"  {_range(self.interval, self.unit)}")
        lines += self._of_counts() if self.shift is None else self._of_durations(self.shift)
        read = f"{self.threshold:.3g} (level {self.level:g}, {self.tried} tried)"
        lines.append(f"  read p-values against {read}")
        lines += [f"  warning: {warning}" for warning in self.warnings]
        return joined(lines)

    def _of_counts(self) -> Iterator[str]:
        if self.ratio_interval is not None:
            ends = (_number(end) for end in (self.ratio_interval.low, self.ratio_interval.high))
            yield f"  ratio, b over a: {_number(self.ratio)}"
            yield f"    {100 * self.level:g} % interval: {' to '.join(ends)}"
        yield f"  {_tested(self.exact_test)}"
        if self.needed_per_period is not None:
            yield f"  to see this difference it takes {_needed(self.needed_per_period)}"

    def _of_durations(self, shift: Estimate) -> Iterator[str]:
        yield f"  Hodges-Lehmann shift: {shown(shift.value, SECONDS)}"
        yield f"    {_range(shift.interval, SECONDS)}"
        yield f"  ratio of geometric means, b over a: {_number(self.ratio)}"
        yield f"  {_tested(self.rank_test)}"
        yield f"  {_tested(self.survival_test)}, open ones censored"
        yield (
            f"  difference of means cut off at {shown(self.horizon, SECONDS)}, "
            f"open ones censored: {shown(self.restricted_difference, SECONDS)}"
        )
        chance = shown(self.probability_with_no_change, SHARE)
        yield f"  probability of such a difference with no change: {chance}"
        yield f"  sigma of the logarithms: {_number(self.sigma)}"
        if self.needed_per_period is not None:
            yield f"  to see 10 % less it takes {_needed(self.needed_per_period)}"
        unseen = shown(self.shortening_unseen, SHARE)
        yield f"  a true shortening by 10 % would have looked no better: {unseen} of the time"
        yield f"  all draws: seed {self.seed}, {self.runs:,} runs"

    def plot(self, *, ax: Axes | None = None) -> Axes:
        """
        Draw both sides and the verdict; see `imcm.plots.before_and_after`.

        Args:
            ax: Axes of matplotlib to draw into; None makes new ones.

        Raises:
            MissingExtraError: The extra `plot` is not installed.
        """
        return drawn(self, ax=ax)

    def as_dict(self, *, population: bool = False) -> dict[str, Any]:
        """
        Return the comparison as plain values for JSON; docs/json.md says what its keys mean.

        Args:
            population: True gives the lists of who both figures counted, which are None otherwise.
        """
        plain: dict[str, Any] = {"shape": SHAPE}
        for attribute in attrs.fields(Comparison):
            value = getattr(self, attribute.name)
            if isinstance(value, Figure):
                value = value.as_dict(population=population)
            elif isinstance(value, (Estimate, Interval, TestResult)):
                value = attrs.asdict(value)
            plain[attribute.name] = value
        return {**plain, "warnings": list(self.warnings), "votes": dict(self.votes)}


def compare(
    a: Figure,
    b: Figure,
    *,
    seed: int = 0,
    tried: int = 1,
    level: float = 0.95,
    runs: int = 1000,
) -> Comparison:
    """
    Return whether *b* is really better, or worse, than *a*.

    The figures are of one name and one definition apart from window and filters: two quarters, two
    services, two buckets or groups of one figure. Their unit is "seconds" (a statistic of
    durations, read as whole microseconds), "share" (of things that each count 1 or 0), or "per
    day" or "per week" (deployments, taken for Poisson counts).

    The verdict counts what each test says. Of durations there are four: the interval of the
    difference without 0, its probability with no change, Mann-Whitney, and log-rank, the last
    three at most `threshold`; each has the direction of its own difference. Of shares there are
    two, the interval and Fisher's test, and of rates the interval and the binomial test. With
    several metrics tried, intervals are asked at the level that the threshold has. Only where all
    agree is b called shorter or longer, lower or higher: a recent period looks short as long as its
    long incidents are open, and a mean can go up while nearly all durations go down.

    Args:
        a, b: The figures, as a rule the earlier and the later one.
        seed: Of all draws, an int of at least 0; kept in the result.
        tried: How many metrics were looked at before these two were picked.
        level: Confidence level, above 0.5 and below 1.
        runs: How many times is drawn for the interval and both probabilities of durations. What a
            run draws does not grow with the number of values: of a median, percentile or maximum
            the one or two values it is made of, of a mean, geometric mean or sum at most some 400
            terms of each period; *interval* names the way. All else takes about
            as long as sorting the values, some times over.

    Raises:
        InvalidValue: The figures differ in more than window and filters (it names in what), are in
            another unit, or are not made of the values they list; or another argument is out of
            its range.
    """
    check_between("level", level, 0.5, 1)
    for name, number, least in (("seed", seed, 0), ("tried", tried, 1), ("runs", runs, 1)):
        _check_count(name, number, least)
    for name, figure in (("a", a), ("b", b)):
        if not isinstance(figure, Figure):
            raise InvalidValue(name, figure, "give a figure, such as time_to_restore(log) returns")
    _check_comparable(a, b)
    choices = _Choices(seed=seed, tried=tried, level=level, runs=runs)
    if a.unit == SECONDS:
        return _durations(a, b, choices)
    if a.unit == SHARE:
        return _shares(a, b, choices)
    if a.unit in _RATES:
        return _rates(a, b, choices)
    allowed = 'only figures in "seconds", of a "share", "per day" or "per week" can be compared'
    raise InvalidValue("unit", a.unit, allowed)


class _Choices(NamedTuple):
    """What the caller chose, checked."""

    seed: int
    tried: int
    level: float
    runs: int

    @property
    def threshold(self) -> float:
        """What p-values are read against; rounded, since 1 - 0.95 is not 0.05 to a float."""
        return round(1 - self.level, 12) / self.tried

    @property
    def strict(self) -> float:
        """The level at which an interval is asked what a test is at the threshold."""
        return self.level if self.tried == 1 else 1 - self.threshold


# Any: what belongs to one unit alone.
def _comparison(a: Figure, b: Figure, choices: _Choices, **values: Any) -> Comparison:
    """Return a comparison of two figures, with what was chosen for it and what is of its unit."""
    return Comparison(
        name=a.name,
        unit=a.unit,
        a=a,
        b=b,
        level=choices.level,
        tried=choices.tried,
        threshold=choices.threshold,
        seed=choices.seed,
        runs=choices.runs,
        **values,
    )


_MOST: Final = 1 << 63


def _check_count(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < _MOST:
        raise InvalidValue(name, value, f"give an int of at least {least} and below {_MOST:,}")


def _check_comparable(a: Figure, b: Figure) -> None:
    differs: dict[str, tuple[object, object]] = {}
    if a.name != b.name:
        differs["name"] = (a.name, b.name)
    if a.unit != b.unit:
        differs["unit"] = (a.unit, b.unit)
    if type(a.definition) is not type(b.definition):
        differs["definition"] = (type(a.definition).__name__, type(b.definition).__name__)
    else:
        for attribute in attrs.fields(type(a.definition)):
            of_a, of_b = (getattr(figure.definition, attribute.name) for figure in (a, b))
            if attribute.name not in MAY_DIFFER and of_a != of_b:
                differs[attribute.name] = (of_a, of_b)
    if differs:
        first = next(iter(differs))
        allowed = "give two figures that differ in window and filters only, not in "
        raise InvalidValue(first, differs[first], allowed + ", ".join(differs))


# Durations.


NOTHING_SEEN: Final = "nothing seen"


class _Sample(NamedTuple):
    """The values of one figure in whole microseconds."""

    over: Ordered
    open: Ordered


class _Votes(NamedTuple):
    """What each test says, by its name: -1 for less in b, 1 for more, 0 for nothing seen."""

    votes: Mapping[str, int]
    words: tuple[str, str]
    tried: int = 1

    def said(self) -> dict[str, str]:
        """Return what each test says, in words."""
        less, more = self.words
        words = {-1: less, 0: NOTHING_SEEN, 1: more}
        return {name: words[vote] for name, vote in self.votes.items()}

    def verdict(self, summary: str) -> str:
        """Return the answer in words, *summary* being the difference with its interval."""
        votes = list(self.votes.values())
        less, more = votes.count(-1), votes.count(1)
        for count, word in zip((less, more), self.words, strict=True):
            if count == len(votes):
                return f"{word}: {summary}; {'both' if count == 2 else f'all {count}'} tests see it"
        if less == more == 0:
            tried = "" if self.tried == 1 else f", of {self.tried} metrics tried"
            return f"no difference that these numbers can show{tried}"
        seen = [
            f"{count} {'says' if count == 1 else 'say'} {word}"
            for count, word in zip((less, more), self.words, strict=True)
            if count
        ]
        most = max((-1, 1, 0), key=votes.count)  # at a tie those that see something
        said = self.said()
        others = [f"{name} ({said[name]})" for name, vote in self.votes.items() if vote != most]
        disagree = f"{', '.join(others)} {'disagrees' if len(others) == 1 else 'disagree'}"
        return f"not settled: of {len(votes)} tests {' and '.join(seen)} ({summary}); {disagree}"


def _durations(a: Figure, b: Figure, choices: _Choices) -> Comparison:
    name, statistic = _statistic_of(a)
    sample_a, sample_b = (_sample(which, figure) for which, figure in (("a", a), ("b", b)))
    values = tuple(
        _checked_value(which, figure, statistic(sample.over) if sample.over else None)
        for which, figure, sample in (("a", a, sample_a), ("b", b, sample_b))
    )
    # Draws depend on which sample comes first. Always drawing for the same one first makes the
    # answer for (b, a) the mirror image of that for (a, b).
    swapped = sample_b < sample_a
    first, second = (sample_b, sample_a) if swapped else (sample_a, sample_b)
    both = Ordered.of([*first.over, *second.over])
    by_level = {
        level: _in_seconds(_bootstrap(first, second, statistic, choices, level), mirrored=swapped)
        for level in {choices.level, choices.strict}
    }
    interval = by_level[choices.level]
    estimate = hodges_lehmann(first.over, second.over, level=choices.level)
    shift = Estimate(
        value=_signed(estimate.value, mirrored=swapped),
        interval=_in_seconds(estimate.interval, mirrored=swapped),
    )
    ranks = mann_whitney(sample_a.over, sample_b.over)
    survival, horizon, restricted = _survival(first, second)
    restricted = _signed(restricted, mirrored=swapped)
    difference, chance = None, None
    if values[0] is not None and values[1] is not None and a.value is not None:
        difference = (b.value or 0.0) - a.value
        chance = simulate_no_change(
            both,
            n_a=len(first.over),
            n_b=len(second.over),
            difference=abs(values[1] - values[0]),
            statistic=statistic,
            seed=choices.seed,
            runs=choices.runs,
        )
    unseen = None
    if sample_a.over and sample_b.over:
        unseen = simulate_shortening(
            both,
            n_a=len(sample_a.over),
            n_b=len(sample_b.over),
            ratio=TENTH_LESS,
            statistic=statistic,
            seed=choices.seed,
            runs=choices.runs,
        )
    sigma = _sigma(sample_a.over, sample_b.over)
    votes = {"bootstrap interval": _outside(by_level[choices.strict])}
    if chance is not None:
        # The added 1 is the difference that was found: without it no run at all would be proof.
        p = (chance * choices.runs + 1) / (choices.runs + 1)
        votes["simulation of no change"] = _sign(difference) if p <= choices.threshold else 0
    tests = ("rank test", ranks, shift.value), ("log-rank test", survival, restricted)
    for test_name, test, direction in tests:
        if test.p_value is not None:
            votes[test_name] = _sign(direction) if test.p_value <= choices.threshold else 0
    reason = _why_undefined((a, values[0]), (b, values[1])) if difference is None else None
    summary = _summary(name, a, b, difference, interval)
    answer = _Votes(votes, ("shorter", "longer"), choices.tried)
    verdict = answer.verdict(summary)
    return _comparison(
        a,
        b,
        choices,
        statistic=name,
        difference=difference,
        interval=interval,
        reason=reason,
        shift=shift,
        ratio=_ratio(sample_a.over, sample_b.over),
        rank_test=ranks,
        survival_test=survival,
        restricted_difference=restricted,
        horizon=horizon,
        probability_with_no_change=chance,
        sigma=sigma,
        needed_per_period=(
            sample_size_for_ratio(TENTH_LESS, sigma=sigma, level=choices.level, power=POWER)
            if sigma
            else None
        ),
        shortening_unseen=unseen,
        warnings=(
            *_warnings(a, b, choices),
            *_duration_warnings(name, sample_a, sample_b),
            *_began_before(b, sample_b),
            *_not_enough(
                _seen_alone(interval, {"rank test": ranks, "log-rank test": survival}, choices),
                answer,
                choices,
            ),
            *_chance_warnings(chance, choices),
        ),
        votes=answer.said() if reason is None else {},
        verdict=verdict if reason is None else f"undefined: {reason}",
    )


def _statistic_of(figure: Figure) -> tuple[str, Statistic]:
    """Return the name of the statistic a figure of durations is, and what computes it."""
    name: object = getattr(figure.definition, "statistic", None)
    if not isinstance(name, str) or name not in STATISTICS:
        allowed = f"a figure that is one of {', '.join(STATISTICS)} of the values it lists"
        raise InvalidValue("statistic", name, allowed)
    return name, STATISTICS[name]


def _sample(which: str, figure: Figure) -> _Sample:
    def microseconds(listed: Sequence[Included]) -> Ordered:
        seconds = finite_numbers(which, (member.value for member in listed))
        return Ordered.of(round(value * 1e6) for value in seconds)

    return _Sample(microseconds(figure.included), microseconds(figure.censored))


def _checked_value(which: str, figure: Figure, value: float | None) -> float | None:
    """Return *value*, in microseconds, which must be the figure's own."""
    expected = figure.value
    if value is None:
        # A definition can choose to print 0 where there is nothing; it is undefined all the same.
        same = expected is None or (expected == 0 and figure.definition.empty == "zero")
    else:
        same = expected is not None and math.isclose(
            value / 1e6, expected, rel_tol=1e-9, abs_tol=1e-6
        )
    if not same:
        _refuse_value(which, figure, None if value is None else value / 1e6)
    return value


def _refuse_value(which: str, figure: Figure, value: object) -> None:
    allowed = f"a figure that is made of the values it lists, and those give {value}"
    raise InvalidValue(f"{which}.value", figure.value, allowed)


def _bootstrap(
    first: _Sample, second: _Sample, statistic: Statistic, choices: _Choices, level: float
) -> Interval:
    interval = bootstrap_difference(
        first.over,
        second.over,
        statistic,
        seed=choices.seed,
        resamples=choices.runs,
        level=level,
    )
    if first.over == second.over and interval.low is not None and interval.high is not None:
        # Both are drawn from the same values, so the difference is distributed evenly around 0.
        half = (interval.high - interval.low) / 2
        interval = attrs.evolve(interval, low=0.0 - half, high=half)
    return interval


def _in_seconds(interval: Interval, *, mirrored: bool) -> Interval:
    """Return an interval of microseconds in seconds, for b - a where it was found for a - b."""
    low, high = (_signed(bound, mirrored=mirrored) for bound in (interval.low, interval.high))
    return attrs.evolve(interval, low=high if mirrored else low, high=low if mirrored else high)


def _signed(microseconds: float | None, *, mirrored: bool) -> float | None:
    if microseconds is None:
        return None
    # Taken from 0, since the negative of 0.0 would be -0.0.
    return (0.0 - microseconds if mirrored else microseconds) / 1e6


def _survival(first: _Sample, second: _Sample) -> tuple[TestResult, float | None, float | None]:
    """Return the log-rank test, the common horizon in seconds, and the difference of means."""
    columns = [
        (sample.over + sample.open, [True] * len(sample.over) + [False] * len(sample.open))
        for sample in (first, second)
    ]
    (of_first, first_over), (of_second, second_over) = columns
    # What is negative is an anomaly that a definition can choose to include.
    if min([*of_first, *of_second], default=0) < 0:
        return TestResult(statistic=None, p_value=None, method="log-rank"), None, None
    test = log_rank(of_first, first_over, of_second, second_over)
    horizon = min(max(durations, default=0) for durations, _ in columns)
    if horizon == 0:
        return test, None, None
    means = [
        kaplan_meier(durations, observed).restricted_mean(horizon).value or 0.0
        for durations, observed in columns
    ]
    return test, horizon / 1e6, means[1] - means[0]


def _ratio(a: Ordered, b: Ordered) -> float | None:
    of_a, of_b = geometric_mean(a), geometric_mean(b)
    return None if of_a is None or of_b is None else of_b / of_a


def _sigma(a: Ordered, b: Ordered) -> float | None:
    """Return the standard deviation of the logarithms within both samples, pooled."""
    if min([*a, *b], default=0) <= 0:
        return None
    deviations = [
        (len(sample) - 1, sigma) for sample in (a, b) if (sigma := log_sigma(sample)) is not None
    ]
    if not deviations:
        return None
    weighted = math.fsum(freedom * sigma * sigma for freedom, sigma in deviations)
    return math.sqrt(weighted / sum(freedom for freedom, _ in deviations))


# Shares.


def _shares(a: Figure, b: Figure, choices: _Choices) -> Comparison:
    (hits_a, n_a), (hits_b, n_b) = (_hits(which, figure) for which, figure in (("a", a), ("b", b)))
    interval = newcombe(hits_a, n_a, hits_b, n_b, level=choices.level)
    test = fisher_exact(hits_a, n_a, hits_b, n_b)
    difference, needed = None, None
    if n_a and n_b:
        difference = hits_b / n_b - hits_a / n_a
        if difference != 0:
            needed = sample_size_for_shares(
                hits_a / n_a, hits_b / n_b, level=choices.level, power=POWER
            )
    seen = test.p_value is not None and test.p_value <= choices.threshold
    votes = {
        "Newcombe interval": _outside(newcombe(hits_a, n_a, hits_b, n_b, level=choices.strict)),
        "Fisher's exact test": _sign(difference) if seen else 0,
    }
    alone = _seen_alone(interval, {"Fisher's exact test": test}, choices)
    reason = _why_undefined((a, n_a or None), (b, n_b or None)) if difference is None else None
    summary = _summary("share", a, b, difference, interval)
    answer = _Votes(votes, ("lower", "higher"), choices.tried)
    verdict = answer.verdict(summary)
    return _comparison(
        a,
        b,
        choices,
        statistic="share",
        difference=difference,
        interval=interval,
        reason=reason,
        exact_test=test,
        needed_per_period=needed,
        warnings=(*_warnings(a, b, choices), *_not_enough(alone, answer, choices)),
        votes=answer.said() if reason is None else {},
        verdict=verdict if reason is None else f"undefined: {reason}",
    )


# Rates.


_RATES: Final[Mapping[str, int]] = {"per day": 1, "per week": 7}
"""Units of rates, and how many days each is per."""


def _rates(a: Figure, b: Figure, choices: _Choices) -> Comparison:
    times = tuple(
        None if (days := days_of(figure)) is None else days / _RATES[figure.unit]
        for figure in (a, b)
    )
    difference = ratio = test = ratio_interval = None
    interval = Interval(low=None, high=None, level=choices.level, method="none: one is undefined")
    votes: dict[str, int] = {}
    reason = None
    alone: list[str] = []
    if a.value is None or b.value is None or None in times:
        reason = _why_undefined((a, times[0]), (b, times[1]))
    else:
        counted = a.n, times[0] or 0.0, b.n, times[1] or 0.0
        difference = b.value - a.value
        interval = rate_difference(*counted, level=choices.level)
        ratio_interval = rate_ratio(*counted, level=choices.level)
        test = rate_test(*counted)
        ratio = test.statistic
        seen = test.p_value is not None and test.p_value <= choices.threshold
        votes["interval of the difference"] = _outside(
            rate_difference(*counted, level=choices.strict)
        )
        votes["exact binomial test"] = _sign(difference) if seen else 0
        alone = _seen_alone(interval, {"exact binomial test": test}, choices)
    answer = _Votes(votes, ("lower", "higher"), choices.tried)
    verdict = answer.verdict(_summary("rate", a, b, difference, interval)) if votes else ""
    return _comparison(
        a,
        b,
        choices,
        statistic="rate",
        difference=difference,
        interval=interval,
        reason=reason,
        ratio=ratio,
        ratio_interval=ratio_interval,
        exact_test=test,
        warnings=(
            *_warnings(a, b, choices),
            *_not_enough(alone, answer, choices),
            *_in_bursts(a, b, times),
            *_none_at_all(a, b),
        ),
        votes=answer.said(),
        verdict=verdict if reason is None else f"undefined: {reason}",
    )


def _none_at_all(a: Figure, b: Figure) -> Iterator[str]:
    """Warn where nothing was deployed: a log that begins later has no 0 before it."""
    for which, figure in (("a", a), ("b", b)):
        if figure.value == 0 and figure.n == 0:
            yield f"{which} has none at all: where nothing was recorded yet, that is no rate of 0"


BURSTS: Final = 0.75
"""Below this part of the days that chance would have it on, what is counted came in bursts."""


def _in_bursts(a: Figure, b: Figure, times: Sequence[float | None]) -> Iterator[str]:
    """Warn where deployments are on fewer days than as many would be that come one by one."""
    for which, figure, time in zip("ab", (a, b), times, strict=True):
        days = (time or 0) * _RATES[figure.unit]
        on = figure.counts.get("days with a deployment", 0)
        by_chance = days * -math.expm1(-figure.n / days) if days else 0.0
        if on < BURSTS * by_chance:
            yield (
                f"those of {which} came in bursts, on {on:,} days of {days:.4g}: intervals and "
                "test, which know of none, are too sure"
            )


def _hits(which: str, figure: Figure) -> tuple[int, int]:
    """Return how many of a share's values are 1, and how many there are."""
    for member in figure.included:
        if member.value not in {0, 1}:
            raise InvalidValue(which, member.value, "give a share of things that each count 1 or 0")
    n = len(figure.included)
    hits = sum(member.value == 1 for member in figure.included)
    if n and (figure.value is None or not math.isclose(figure.value, hits / n, abs_tol=1e-12)):
        _refuse_value(which, figure, hits / n)
    return hits, n


def newcombe(hits_a: int, n_a: int, hits_b: int, n_b: int, *, level: float = 0.95) -> Interval:
    """
    Return the interval of the difference of two shares, b - a.

    The hybrid score interval, method 10 of Newcombe, "Interval Estimation for the Difference
    Between Independent Proportions" (1998): with Wilson's bounds l and u of each share p, from
    d - sqrt((p_b - l_b) ** 2 + (u_a - p_a) ** 2) to d + sqrt((u_b - p_b) ** 2 + (p_a - l_a) ** 2).
    It stays within -1 and 1 and covers close to *level* also for few and for rare hits.

    A share from -1 to 1. Both bounds are None if *n_a* or *n_b* is 0.

    Raises:
        InvalidValue: Hits or a number are no ints with 0 <= hits <= n, or *level* is not strictly
            between 0 and 1.
    """
    of_a, of_b = wilson(hits_a, n_a, level=level), wilson(hits_b, n_b, level=level)
    method = "Newcombe hybrid score"
    if of_a.low is None or of_a.high is None or of_b.low is None or of_b.high is None:
        return Interval(low=None, high=None, level=level, method=method)
    p_a, p_b = hits_a / n_a, hits_b / n_b
    difference = p_b - p_a
    return Interval(
        low=difference - math.hypot(p_b - of_b.low, of_a.high - p_a),
        high=difference + math.hypot(of_b.high - p_b, p_a - of_a.low),
        level=level,
        method=method,
    )


def fisher_exact(hits_a: int, n_a: int, hits_b: int, n_b: int) -> TestResult:
    """
    Test whether two shares are the same, two-sided and exact for any size.

    With all hits and both sizes fixed, the hits of *a* are hypergeometric if there is no
    difference (Fisher, "Statistical Methods for Research Workers", section 21.02). The p-value is
    the probability of all tables that are no more likely than the one found. The probabilities
    are built up from that of the likeliest table by ratios of neighbours, which neither overflow
    nor lose digits; equal ones are taken as equal with a slack of 1e-7, as R does.

    The statistic is the odds ratio, b over a; None where it would be divided by 0. Both None if
    *n_a* or *n_b* is 0.

    Raises:
        InvalidValue: Hits or a number are no ints with 0 <= hits <= n.
    """
    for hits, n in ((hits_a, n_a), (hits_b, n_b)):
        _check_count("n", n, 0)
        _check_count("hits", hits, 0)
        if hits > n:
            raise InvalidValue("hits", hits, f"give at most n, which is {n}")
    method = "Fisher's exact test, two-sided"
    if n_a == 0 or n_b == 0:
        return TestResult(statistic=None, p_value=None, method=method)
    under = hits_a * (n_b - hits_b)
    odds = hits_b * (n_a - hits_a) / under if under else None
    weights = _table_weights(n_a, n_b, hits_a + hits_b)
    bound = weights[hits_a] * (1 + TIES)
    as_rare = math.fsum(weight for weight in weights.values() if weight <= bound)
    p_value = min(1.0, as_rare / math.fsum(weights.values()))
    return TestResult(statistic=odds, p_value=p_value, method=method)


def _table_weights(n_a: int, n_b: int, hits: int) -> dict[int, float]:
    """Return how likely each number of hits in a is, the likeliest being 1."""
    least, most = max(0, hits - n_b), min(hits, n_a)
    likeliest = (n_a + 1) * (hits + 1) // (n_a + n_b + 2)
    weights = {likeliest: 1.0}
    for k in range(likeliest, most):
        weights[k + 1] = weights[k] * ((n_a - k) * (hits - k)) / ((k + 1) * (n_b - hits + k + 1))
    for k in range(likeliest, least, -1):
        weights[k - 1] = weights[k] * (k * (n_b - hits + k)) / ((n_a - k + 1) * (hits - k + 1))
    return weights


def sample_size_for_shares(a: float, b: float, *, level: float = 0.95, power: float = 0.8) -> int:
    """
    Return how many it takes in each of two periods to see that a share went from *a* to *b*.

    n = (z(1 - (1 - level) / 2) * sqrt(2 p q) + z(power) * sqrt(a (1 - a) + b (1 - b))) ** 2 /
    (b - a) ** 2, rounded up, with p the mean of both shares and q = 1 - p (Fleiss, Levin and Paik,
    "Statistical Methods for Rates and Proportions", section 4.2, without continuity correction).

    Raises:
        InvalidValue: A share is not from 0 to 1, both are the same, *level* is not strictly
            between 0 and 1, or *power* not strictly between 1 - *level* and 1.
    """
    z = critical_z(level)
    check_between("power", power, 1 - level, 1)
    for name, share in (("a", a), ("b", b)):
        if isinstance(share, bool) or not 0 <= share <= 1:
            raise InvalidValue(name, share, "give a share from 0 to 1")
    if a == b:
        raise InvalidValue("b", b, "give another share than a: no difference is never seen")
    p = (a + b) / 2
    root = z * math.sqrt(2 * p * (1 - p))
    root += NormalDist().inv_cdf(power) * math.sqrt(a * (1 - a) + b * (1 - b))
    return max(1, math.ceil((root / (b - a)) ** 2))


# Verdicts and warnings.


def _sign(number: float | None) -> int:
    return 0 if not number else (1 if number > 0 else -1)


def _outside(interval: Interval) -> int:
    """Return on which side of 0 the interval lies; 0 where it holds it or has no bounds."""
    if interval.low is not None and interval.low > 0:
        return 1
    return -1 if interval.high is not None and interval.high < 0 else 0


def _summary(
    statistic: str, a: Figure, b: Figure, difference: float | None, interval: Interval
) -> str:
    before, after = brief(a.value, a.unit), brief(b.value, b.unit)
    return f"{statistic} {after} after {before}, {difference_text(difference, interval, a.unit)}"


def difference_text(difference: float | None, interval: Interval, unit: str) -> str:
    """Return a difference and its interval in words, as the verdict has them."""
    return f"{apart(difference, unit)}, {_bounds(interval, unit)}"


def _why_undefined(*sides: tuple[Figure, float | None]) -> str:
    return "; ".join(
        f"{which}: {figure.reason or 'nothing to count'}"
        for which, (figure, value) in zip("ab", sides, strict=True)
        if value is None
    )


def _warnings(a: Figure, b: Figure, choices: _Choices) -> Iterator[str]:
    for which, figure in (("a", a), ("b", b)):
        n = len(figure.included)
        if n < FEW:
            yield f"{which} counts only {n}: below {FEW}, intervals and tests say little"
    small, large = sorted(len(figure.included) + len(figure.censored) for figure in (a, b))
    if 0 < small < large * UNEVEN:
        yield (
            f"one counts {large:,} and the other {small:,}, less than a tenth: they may be of "
            "different populations, and the few decide what can be seen"
        )
    if choices.tried > 1:
        yield (
            f"{choices.tried} metrics were tried: read each p-value against "
            f"{choices.threshold:.3g}, which is {round(1 - choices.level, 12):g} / "
            f"{choices.tried} (Bonferroni)"
        )
    shared = {member.id for member in (*a.included, *a.censored)}
    shared &= {member.id for member in (*b.included, *b.censored)}
    if _overlap(a, b):
        yield f"the windows overlap; counted or open in both figures: {len(shared):,}"
    elif shared:
        yield f"the figures are not independent; counted or open in both: {len(shared):,}"
    if (lengths := _uneven_windows(a, b)) is not None:
        yield f"the windows are not of one length: {lengths[0]:.4g} and {lengths[1]:.4g} days"
    filters = [n for n in FILTERS if getattr(a.definition, n) != getattr(b.definition, n)]
    if filters:
        yield f"the filters differ ({', '.join(filters)}): it is not the same population"
    if a.group != b.group:
        yield f"the groups differ ({a.group} and {b.group}): it is not the same population"


def _seen_alone(
    interval: Interval, tests: Mapping[str, TestResult], choices: _Choices
) -> list[str]:
    """Return what would see a difference if nothing else had been tried."""
    below = 1 - choices.level
    seen = [
        name for name, test in tests.items() if test.p_value is not None and test.p_value <= below
    ]
    return ["the interval", *seen] if _outside(interval) else seen


def _not_enough(alone: Sequence[str], votes: _Votes, choices: _Choices) -> Iterator[str]:
    """Warn where only what is seen of one metric by itself would say that it differs."""
    if alone and choices.tried > 1 and not any(votes.votes.values()):
        yield (
            f"seen alone, {' and '.join(alone)} would say that it differs; where "
            f"{choices.tried} metrics are tried, one of them does so by chance too often to count"
        )


def _overlap(a: Figure, b: Figure) -> bool:
    if a.window is None or b.window is None:
        return True
    (a_start, a_end), (b_start, b_end) = a.window, b.window
    touching = a.definition.bounds == "[]" and (a_start == b_end or b_start == a_end)
    return touching or (a_start < b_end and b_start < a_end)


MORE_THAN: Final = 1.25
"""Windows of which the longer one is so many times the other are not of one length."""


def _uneven_windows(a: Figure, b: Figure) -> tuple[float, float] | None:
    """Return how many days both windows are, where one is much longer; None where they match."""
    if a.window is None or b.window is None:
        return None
    of_a, of_b = (elapsed(*w) / (86_400 * 1_000_000) for w in (a.window, b.window))
    short, long = sorted((of_a, of_b))
    return (of_a, of_b) if long > short * MORE_THAN else None


def _duration_warnings(statistic: str, a: _Sample, b: _Sample) -> Iterator[str]:
    for which, sample in (("a", a), ("b", b)):
        if statistic == "mean" and _skewed(sample.over):
            yield (
                f"the mean of {which} lies above three quarters of its values: a few long ones "
                "decide it, the median says more"
            )
        still = len(sample.open)
        if still > MANY_OPEN * (still + len(sample.over)):
            yield (
                f"{still:,} of {still + len(sample.over):,} in {which} are still open: what is "
                "over flatters, read the log-rank test"
            )
    if statistic == "max":
        yield "the bootstrap of a maximum is too narrow, however many values there are"


def _began_before(b: Figure, sample: _Sample) -> Iterator[str]:
    """Warn where most of b lasted longer than its window, which its members only end in."""
    if b.window is None or getattr(b.definition, "in_window", "end") != "end":
        return
    length = elapsed(*b.window)
    before = sum(value > length for value in sample.over)
    if before > len(sample.over) / 2:
        yield (
            f"{before:,} of {len(sample.over):,} in b began before its window and only ended in "
            "it: they say little of what was new in it"
        )


def _skewed(values: Ordered) -> bool:
    mean, quarter = STATISTICS["mean"](values), percentile(values, 0.75)
    return mean is not None and quarter is not None and mean > quarter


def _chance_warnings(chance: float | None, choices: _Choices) -> Iterator[str]:
    if chance is not None and chance > NOTICEABLE:
        yield (
            f"with no change at all, a difference at least this large appears in "
            f"{shown(chance, SHARE)} of runs"
        )
    if 1 / (choices.runs + 1) > choices.threshold:
        least = math.ceil(1 / choices.threshold)
        yield f"{choices.runs:,} runs are too few for this threshold: give {least:,} or more"


# For a person.


def _side(which: str, figure: Figure) -> str:
    text = f"{which}: {shown(figure.value, figure.unit)}, n = {len(figure.included):,}"
    if figure.censored:
        text += f", still open {len(figure.censored):,}"
    if figure.group is not None:
        text += f", group {figure.group}"
    if figure.window is None:
        return f"{text}, all time"
    start, end = window_in_zone(figure)
    return f"{text}, {start} up to {end}"


def _range(interval: Interval, unit: str) -> str:
    return f"{_bounds(interval, unit)} ({interval.method})"


def _bounds(interval: Interval, unit: str) -> str:
    head = f"{100 * interval.level:g} % interval"
    if interval.low is None or interval.high is None:
        return f"{head}: none"
    low, high = (apart(bound, unit) for bound in (interval.low, interval.high))
    return f"{head}: {low} to {high}"


def _tested(test: TestResult | None) -> str:
    if test is None or test.p_value is None:
        return f"{'no test' if test is None else test.method}: undefined"
    return f"{test.method}: p = {test.p_value:.3g}"


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3g}"


def _needed(count: int) -> str:
    return f"{count:,} per period (power {100 * POWER:g} %)"
