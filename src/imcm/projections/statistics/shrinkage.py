"""
Rates of many groups at once, each drawn towards the whole by as much as the data ask for.

A group of five that failed twice does not fail 40 times in 100. Here the log-odds of a failure are
a sum: those of the whole, and one effect for each factor, such as the hour and the service. The
effects of one factor are taken to be normal around 0, with a variance that is estimated from the
data (empirical Bayes). So a level of which little is known is close to the whole, one of which much
is known has its own rate, and a factor that says nothing moves nothing.

Estimated by penalised likelihood with Laplace's approximation (Breslow and Clayton, "Approximate
Inference in Generalized Linear Mixed Models", 1993; the variances by the fixed point of Schall,
"Estimation in Generalized Linear Models with Random Effects", 1991).
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter, mul, sub
from typing import Any, Final, NamedTuple

import attrs

from imcm.domain.vocabulary import is_list, is_mapping
from imcm.errors import InvalidValue
from imcm.projections.statistics.intervals import Interval, critical_z
from imcm.projections.statistics.samples import check_between, check_from_to

__all__ = ["MOST_LEVELS", "Effect", "ShrunkRate", "ShrunkRates", "shrunk_rates"]

METHOD: Final = "empirical Bayes, log-odds"

MOST_LEVELS: Final = 50
"""How many levels of a factor have an effect of their own: those of the most weight."""

PRIOR_VARIANCE: Final = 0.25
"""
What the variance of a factor is taken for where the data don't say, with the weight of one level.

A standard deviation of a half: two levels in three have between 0.6 and 1.6 times the odds.
"""

LARGEST_WEIGHT: Final = 1e9

_FARTHEST: Final = 30.0  # beyond these log-odds a rate is 0 or 1 to thirteen digits
_MOST_ROUNDS: Final = 60
_LEAST: Final = 1e-13


class Effect(NamedTuple):
    """
    How a factor moves a rate.

    Attributes:
        factor: Its name.
        level: Which of its levels; where there are several, all of them in one text.
        odds: What the odds are multiplied by; 1 where nothing is known of the level.
        known: Whether anything is.
    """

    factor: str
    level: str
    odds: float
    known: bool


class ShrunkRate(NamedTuple):
    """
    A rate, as it is estimated for some levels.

    Attributes:
        rate: A share, above 0 and below 1.
        interval: Of the rate itself, not of what will be seen of it.
        effects: How each factor moved it from the whole, in the order of the factors.
    """

    rate: float
    interval: Interval
    effects: tuple[Effect, ...]


@attrs.frozen(kw_only=True, repr=False)
class ShrunkRates:
    """
    The estimated rates of all combinations of some factors' levels.

    Attributes:
        factors: Their names.
        whole: The rate where no factor is known, a share: that of a typical combination. It need
            not be the plain rate, which large groups dominate.
        effects: Of each factor, what each of its levels adds to the log-odds.
        variances: Of each factor, the variance of the effects of its levels.
        weight, successes: What they were estimated from.
        level: The confidence level of intervals.
    """

    factors: tuple[str, ...]
    whole: float
    effects: tuple[Mapping[str, float], ...]
    variances: tuple[float, ...]
    weight: float
    successes: float
    level: float
    _log_odds: float = attrs.field(alias="log_odds")
    _numbers: tuple[Mapping[str, int], ...] = attrs.field(alias="numbers", eq=False)
    _covariance: tuple[tuple[float, ...], ...] = attrs.field(alias="covariance", eq=False)

    def __repr__(self) -> str:
        """Return in one line what it knows."""
        levels = sum(map(len, self.effects))
        return (
            f"<{type(self).__name__} of {len(self.factors)} factors with {levels:,} levels, "
            f"weight {self.weight:,.6g}>"
        )

    def rate(self, *combinations: Sequence[str]) -> ShrunkRate:
        """
        Return the estimated rate of what has these levels, one for each factor in their order.

        A level that was not there, or has no effect of its own, adds nothing to the log-odds and
        widens the interval by the variance of its factor.

        Args:
            combinations: One, or several where something belongs to more than one group: then
                the mean of their log-odds.

        Raises:
            InvalidValue: There is none, or one has another number of levels, or levels that are
                no text.
        """
        if not combinations:
            raise InvalidValue("combinations", combinations, "at least one")
        share = 1 / len(combinations)
        weights: dict[int, float] = {0: 1.0}
        unknown: dict[tuple[int, str], float] = {}
        seen: list[dict[str, float]] = [{} for _ in self.factors]
        for levels in combinations:
            for factor, level in enumerate(_levels("levels", levels, self.factors)):
                seen[factor][level] = seen[factor].get(level, 0.0) + share
                number = self._numbers[factor].get(level)
                if number is not None:
                    weights[number] = weights.get(number, 0.0) + share
                elif level not in self.effects[factor]:
                    key = factor, level
                    unknown[key] = unknown.get(key, 0.0) + share
        adds = [
            sum(self.effects[factor].get(level, 0.0) * of for level, of in levels.items())
            for factor, levels in enumerate(seen)
        ]
        log_odds = self._log_odds + sum(adds)
        spread = sum(of * of * self.variances[factor] for (factor, _), of in unknown.items())
        for number, of in weights.items():
            row = self._covariance[number]
            spread += of * sum(row[other] * theirs for other, theirs in weights.items())
        half = critical_z(self.level) * math.sqrt(max(spread, 0.0))
        effects = tuple(
            Effect(
                factor=self.factors[factor],
                level=", ".join(levels),
                odds=math.exp(adds[factor]),
                known=any(level in self.effects[factor] for level in levels),
            )
            for factor, levels in enumerate(seen)
        )
        bounds = _rate(log_odds - half), _rate(log_odds + half)
        interval = Interval(low=bounds[0], high=bounds[1], level=self.level, method=METHOD)
        return ShrunkRate(_rate(log_odds), interval, effects)


def _rate(log_odds: float) -> float:
    return 1 / (1 + math.exp(-min(max(log_odds, -_FARTHEST), _FARTHEST)))


def shrunk_rates(
    cells: Mapping[tuple[str, ...], tuple[float, float]],
    *,
    factors: Sequence[str],
    level: float = 0.95,
    variances: Sequence[float] | None = None,
) -> ShrunkRates:
    """
    Estimate the rate of each combination of levels, drawn towards the whole.

    The whole has a prior of its own, Jeffreys' beta(1/2, 1/2), so it is never 0 or 1. The variance
    of a factor has the weight of one more level with `PRIOR_VARIANCE`, so it is never 0, and is
    what that says where a factor has one level. The estimate does not depend on any order.

    Args:
        cells: For each combination of levels, one for each factor: its weight (a number of
            trials), and how much of it is successes. Without any, the rate is 1/2 and nothing is
            known.
        factors: The names of the factors.
        level: The confidence level of intervals.
        variances: Of the factors, where they are known; None estimates them.

    Raises:
        InvalidValue: A combination has another number of levels than there are factors, a level
            is no text, a weight is no number from 0 to 1e9, successes are not from 0 to their
            weight, two factors have one name, or a variance is not above 0 and below 1e6.
    """
    check_between("level", level, 0, 1)
    names = _names(factors)
    given = _checked_cells(cells, names)
    fixed = None if variances is None else _checked_variances(variances, names)
    return _Fit(given, len(names)).fitted(names, level, fixed)


def _names(factors: object) -> tuple[str, ...]:
    given: list[object] = list(factors) if is_list(factors) else [None]
    names = tuple(name for name in given if isinstance(name, str))
    if len(names) < len(given) or len(set(names)) < len(names):
        raise InvalidValue("factors", factors, "a list of names, each once")
    return names


def _checked_cells(cells: object, names: Sequence[str]) -> list[_Cell]:
    if not is_mapping(cells):
        raise InvalidValue("cells", cells, 'a mapping such as {("pay", "Mon"): (40, 3)}')
    given: list[_Cell] = []
    for combination, counts in cells.items():
        levels = _levels("cells", combination, names)
        pair: list[Any] = list(counts) if is_list(counts) else []
        if len(pair) != 2:
            raise InvalidValue("cells", counts, "a weight, and how much of it is successes")
        check_from_to("weight", pair[0], 0, LARGEST_WEIGHT)
        check_from_to("successes", pair[1], 0, pair[0])
        if pair[0]:
            given.append((levels, float(pair[0]), float(pair[1])))
    # The order in which they come must not show in the last digits.
    given.sort(key=itemgetter(0))
    return given


def _levels(name: str, value: object, names: Sequence[str]) -> tuple[str, ...]:
    given: list[object] = list(value) if is_list(value) and not is_mapping(value) else []
    levels = tuple(level for level in given if isinstance(level, str))
    if not len(levels) == len(given) == len(names):
        raise InvalidValue(name, value, f"one text for each factor: {', '.join(names)}")
    return levels


def _checked_variances(variances: object, names: Sequence[str]) -> list[float]:
    given: list[Any] = list(variances) if is_list(variances) else []
    if len(given) != len(names):
        raise InvalidValue("variances", variances, f"one for each of {len(names)} factors")
    for variance in given:
        check_between("variances", variance, 0, 1e6)
    return [float(variance) for variance in given]


_Cell = tuple[tuple[str, ...], float, float]


class _Fit:
    """
    The estimation: Newton's method on the penalised likelihood, and the variances in between.

    Parameter 0 is the log-odds of the whole; behind those of all levels stands one that is always
    0, of the levels that have no effect of their own.
    """

    def __init__(self, cells: Sequence[_Cell], count: int) -> None:
        self.weights = [weight for _, weight, _ in cells]
        self.successes = [successes for _, _, successes in cells]
        self.numbers: list[dict[str, int]] = []
        self.alone: list[str | None] = []
        self.size = 1
        totals: list[dict[str, float]] = [{} for _ in range(count)]
        for levels, weight, _ in cells:
            for total, level in zip(totals, levels, strict=True):
                total[level] = total.get(level, 0.0) + weight
        for total in totals:
            # With one level alone a factor can't be told from the whole.
            most = sorted(total, key=total.__getitem__, reverse=True) if len(total) > 1 else []
            most = sorted(most[:MOST_LEVELS])
            self.numbers.append({level: self.size + at for at, level in enumerate(most)})
            self.alone.append(next(iter(total)) if len(total) == 1 else None)
            self.size += len(most)
        self.columns = [
            array("l", (numbers.get(levels[factor], self.size) for levels, _, _ in cells))
            for factor, numbers in enumerate(self.numbers)
        ]
        # Where in the matrix the weight of a cell is added, for each pair of factors.
        width = self.size + 1
        self.pairs = [
            array("l", (row * width + column for row, column in zip(mine, other, strict=True)))
            for at, mine in enumerate(self.columns)
            for other in self.columns[:at]
        ]

    def fitted(
        self, names: tuple[str, ...], level: float, variances: list[float] | None
    ) -> ShrunkRates:
        total, successes = math.fsum(self.weights), math.fsum(self.successes)
        effects = [0.0] * (self.size + 1)
        effects[0] = math.log((successes + 0.5) / (total - successes + 0.5))
        spreads = variances or [PRIOR_VARIANCE] * len(names)
        information: list[list[float]] | None = None
        moved = math.inf
        for _ in range(_MOST_ROUNDS):
            rates = self._rates(effects)
            if information is None or moved > 0.1:
                information = self._information(effects[0], rates)
            inverted = _lower_inverse(self._penalised(information, spreads))
            effects, moved = self._stepped(effects, rates, spreads, inverted)
            if variances is None:
                before = spreads
                spreads = self._spreads(effects, spreads, inverted)
                if all(
                    abs(now - was) <= 1e-3 * was for now, was in zip(spreads, before, strict=True)
                ):
                    variances = spreads
            elif moved < 1e-9:
                break
        information = self._information(effects[0], self._rates(effects))
        covariance = _inverse(_lower_inverse(self._penalised(information, spreads)))
        return ShrunkRates(
            factors=names,
            whole=_rate(effects[0]),
            effects=tuple(
                {alone: 0.0}
                if alone is not None
                else {name: effects[number] for name, number in numbers.items()}
                for alone, numbers in zip(self.alone, self.numbers, strict=True)
            ),
            variances=tuple(spreads),
            weight=total,
            successes=successes,
            level=level,
            log_odds=effects[0],
            numbers=tuple(self.numbers),
            covariance=tuple(map(tuple, covariance)),
        )

    def _rates(self, effects: Sequence[float]) -> list[float]:
        """Return the rate of each cell."""
        whole = effects[0]
        if not self.columns:
            return [_rate(whole)] * len(self.weights)
        adds = (map(effects.__getitem__, column) for column in self.columns)
        opposite = [-whole - sum(add) for add in zip(*adds, strict=True)]
        if not opposite or -_FARTHEST <= min(opposite) <= max(opposite) <= _FARTHEST:
            return [1 / (1 + each) for each in map(math.exp, opposite)]
        return [_rate(-each) for each in opposite]

    def _information(self, whole: float, rates: Sequence[float]) -> list[list[float]]:
        """Return the second derivatives of the likelihood, the lower triangle, unpenalised."""
        width = self.size + 1
        certain = [
            weight * rate * (1 - rate) for weight, rate in zip(self.weights, rates, strict=True)
        ]
        flat = [0.0] * (width * width)
        prior = _rate(whole)
        flat[0] = math.fsum(certain) + prior * (1 - prior)
        for column in self.columns:
            own = [0.0] * width
            for number, of in zip(column, certain, strict=True):
                own[number] += of
            for number, of in enumerate(own):
                if of:
                    flat[number * width] = flat[number * width + number] = of
        for pair in self.pairs:
            for index, of in zip(pair, certain, strict=True):
                flat[index] += of
        return [flat[row * width : row * width + row + 1] for row in range(self.size)]

    def _penalised(
        self, information: Sequence[Sequence[float]], spreads: Sequence[float]
    ) -> list[list[float]]:
        rows = [list(row) for row in information]
        for numbers, spread in zip(self.numbers, spreads, strict=True):
            for number in numbers.values():
                rows[number][number] += 1 / spread
        return rows

    def _gradient(
        self, effects: Sequence[float], rates: Sequence[float], spreads: Sequence[float]
    ) -> list[float]:
        expected = map(mul, self.weights, rates)
        excess = list(map(sub, self.successes, expected))
        gradient = [0.0] * (self.size + 1)
        gradient[0] = math.fsum(excess) + 0.5 - _rate(effects[0])
        for numbers, column, spread in zip(self.numbers, self.columns, spreads, strict=True):
            for number, more in zip(column, excess, strict=True):
                gradient[number] += more
            for number in numbers.values():
                gradient[number] -= effects[number] / spread
        return gradient[: self.size]

    def _stepped(
        self,
        effects: Sequence[float],
        rates: Sequence[float],
        spreads: Sequence[float],
        inverted: Sequence[Sequence[float]],
    ) -> tuple[list[float], float]:
        """Return the effects after one step, and how far the farthest one moved."""
        step = _solved(inverted, self._gradient(effects, rates, spreads))
        farthest = max(map(abs, step))
        # One step of Newton's can go much too far where a rate is near 0 or 1.
        shortened = min(1.0, 2.0 / farthest) if farthest else 1.0
        moved = [effect + shortened * by for effect, by in zip(effects, [*step, 0.0], strict=True)]
        return moved, farthest * shortened

    def _spreads(
        self,
        effects: Sequence[float],
        spreads: Sequence[float],
        inverted: Sequence[Sequence[float]],
    ) -> list[float]:
        """Return the variance of each factor: its effects', and what is uncertain of them."""
        uncertain = [0.0] * self.size
        for row in inverted:
            for number, value in enumerate(row):
                uncertain[number] += value * value
        made: list[float] = []
        for numbers, spread in zip(self.numbers, spreads, strict=True):
            squares = math.fsum(effects[number] ** 2 for number in numbers.values())
            certain = sum(1 - uncertain[number] / spread for number in numbers.values())
            made.append((squares + PRIOR_VARIANCE) / (max(certain, 0.0) + 1))
        return made


# --- symmetric matrices, by their lower triangles -------------------------------------------------


def _lower_inverse(rows: Sequence[Sequence[float]]) -> list[list[float]]:
    """Return the inverse of the lower factor of Cholesky, of a positive definite matrix."""
    lower: list[list[float]] = []
    for row in rows:
        made: list[float] = []
        for column, value in enumerate(row[:-1]):
            other = lower[column]
            made.append((value - sum(map(mul, made, other))) / other[column])
        # On paper it is above 0; of very large weights rounding may leave less than nothing.
        rest = row[-1] - sum(map(mul, made, made))
        made.append(math.sqrt(max(rest, row[-1] * _LEAST)))
        lower.append(made)
    columns: list[list[float]] = []  # of the inverse, each from its diagonal on
    size = len(lower)
    for first in range(size):
        below = [1 / lower[first][first]]
        for number, values in enumerate(lower[first + 1 :], start=first + 1):
            below.append(-sum(map(mul, values[first:number], below)) / values[number])
        columns.append(below)
    return [[columns[at][number - at] for at in range(number + 1)] for number in range(size)]


def _solved(inverted: Sequence[Sequence[float]], right: Sequence[float]) -> list[float]:
    """Return the solution of a system, from the inverse of its lower factor."""
    solution = [0.0] * len(right)
    for row in inverted:
        forward = sum(map(mul, row, right))
        for number, value in enumerate(row):
            solution[number] += value * forward
    return solution


def _inverse(inverted: Sequence[Sequence[float]]) -> list[list[float]]:
    """Return the inverse of a matrix, from the inverse of its lower factor."""
    size = len(inverted)
    columns = [list(_column(inverted, number)) for number in range(size)]
    whole = [[0.0] * size for _ in range(size)]
    for number, column in enumerate(columns):
        for other in range(number + 1):
            # Both from the row of the later one on.
            value = sum(map(mul, column, columns[other][number - other :]))
            whole[number][other] = whole[other][number] = value
    return whole


def _column(rows: Sequence[Sequence[float]], number: int) -> Iterator[float]:
    return (row[number] for row in rows[number:])
