"""
The beta distribution: its two tails and its quantiles.
"""

from __future__ import annotations

import math
from typing import Final

GOLDEN: Final = 0.6180339887498949
"""The golden ratio less 1, whose multiples fill the range from 0 to 1 evenly."""

# What is less likely than the likeliest number by this factor is never drawn.
NEVER: Final = 1e-20


def beta_tails(a: float, b: float, x: float, y: float) -> tuple[float, float]:
    """
    Return the regularized incomplete beta function I_x(a, b) and 1 - I_x(a, b).

    *y* is 1 - x, given apart so that neither loses digits near 0. By the continued fraction of
    NIST's Digital Library of Mathematical Functions, 8.17.22, on the side where it converges fast.
    """
    if x * (a + b + 2) < a + 1:
        lower = _beta_front(a, b, x, y) / _beta_fraction(a, b, x, y)
        return lower, 1 - lower
    upper = _beta_front(b, a, y, x) / _beta_fraction(b, a, y, x)
    return 1 - upper, upper


def _beta_front(a: float, b: float, x: float, y: float) -> float:
    """
    Return x ** a * y ** b / B(a, b).

    In the saddle-point form of Loader, "Fast and Accurate Computation of Binomial Probabilities"
    (2000): differences of log-gamma functions lose ten digits once a or b is in the thousands.
    """
    n = a + b
    exponent = _stirling_error(n) - _stirling_error(a) - _stirling_error(b)
    exponent -= _deviance(a, n * x) + _deviance(b, n * y)
    return math.sqrt(a * b / (math.tau * n)) * math.exp(exponent)


def _stirling_error(z: float) -> float:
    """Return the logarithm of z! over Stirling's sqrt(2 pi z) * (z / e) ** z."""
    if z < 16:
        return math.lgamma(z + 1) - (z + 0.5) * math.log(z) + z - math.log(math.tau) / 2
    s = 1 / (z * z)
    tail = 1 / 1680 - (1 / 1188 - 691 / 360360 * s) * s
    return (1 / 12 - (1 / 360 - (1 / 1260 - tail * s) * s) * s) / z


def _deviance(x: float, center: float) -> float:
    """Return x * log(x / center) + center - x, without cancellation where they are close."""
    v = (x - center) / (x + center)
    if abs(v) > 0.1:
        return x * math.log(x / center) + center - x
    # log(x / center) = 2 * (v + v ** 3 / 3 + v ** 5 / 5 + ...); 10 terms are good to 1e-20.
    series = math.fsum(v ** (2 * j + 1) / (2 * j + 1) for j in range(1, 11))
    return (x - center) * v + 2 * x * series


def _beta_fraction(a: float, b: float, x: float, y: float) -> float:
    """
    Return the continued fraction that divides `_beta_front`, by Lentz's method.

    Two steps of the Library's fraction in one (its even part): a * y - b * x is formed once, so
    nothing cancels later where a or b is large.
    """
    ahead = a * y - b * x + 1
    fraction = c = a * ahead / (a + 1)
    change, d, m = 0.0, 0.0, 0
    # It takes about sqrt(max(a, b)) rounds. The end of the count is there so that rounding can
    # never make it an endless loop.
    while abs(change - 1) > 1e-15 and m < 100_000:
        m += 1
        before, after = a + 2 * m - 1, a + 2 * m + 1
        part = m * (b - m) * x / before
        numerator = (a + m - 1) * (a + b + m - 1) * x / before * part
        denominator = m + part + (a + m) * (ahead + m * (1 + y)) / after
        d = 1 / (denominator + numerator * d)
        c = denominator + numerator / c
        change = c * d
        fraction *= change
    return fraction


def beta_quantile(a: float, b: float, lower: float, upper: float) -> tuple[float, float]:
    """
    Return x and 1 - x so that beta(a, b) is below x with probability *lower*.

    *upper* is 1 - lower, given apart for its digits. Newton's method on the half of (0, 1) that
    holds the solution, kept in a shrinking bracket and halving it where a step would leave it.
    """
    swapped = beta_tails(a, b, 0.5, 0.5)[0] < lower
    if swapped:
        a, b, lower, upper = b, a, upper, lower
    low, high = 0.0, 0.5
    x, step, rounds = min(a / (a + b), 0.5), 1.0, 0
    while abs(step) > 1e-14 * x and rounds < 100:
        rounds += 1
        tails = beta_tails(a, b, x, 1 - x)
        # Far below the solution both are too small for a float: no slope, so halve.
        slope = _beta_front(a, b, x, 1 - x) / (x * (1 - x))
        excess = tails[0] - lower if lower < 0.5 else upper - tails[1]
        low, high = (low, x) if excess > 0 else (x, high)
        target = x - excess / slope if slope > 0 else low
        if not low < target < high:
            target = (low + high) / 2
        step, x = target - x, target
    return (1 - x, x) if swapped else (x, 1 - x)
