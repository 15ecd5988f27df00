"""
One number for many: percentiles, median, mean and the like; of no values None, never 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import TypeAlias

import attrs

from imcm.projections.statistics.samples import (
    center_of,
    check_from_to,
    checked_sample,
    finite_numbers,
    variance,
)

__all__ = [
    "Percentile",
    "Statistic",
    "geometric_mean",
    "log_sigma",
    "mean",
    "median",
    "median_low",
    "percentile",
    "total",
]


Statistic: TypeAlias = Callable[[Sequence[float]], float | None]
"""What turns a sample into one number, such as `median`; None where it is undefined."""


# One number for many.


def percentile(values: Iterable[float], q: float) -> float | None:
    """
    Return the value below which the share *q* of *values* lies, by linear interpolation.

    Type 7 of Hyndman and Fan, "Sample Quantiles in Statistical Packages" (1996): with the n values
    sorted and numbered from 0, the value at the index (n - 1) * q. It is what numpy, pandas and
    spreadsheets give by default. *q* is read as the decimal number it prints as, so that 0.29 of
    101 values is exactly the one numbered 29, and the result is rounded once.

    In the unit of the values. None if there are none.

    Raises:
        InvalidValue: *q* is not from 0 to 1, or a value is not a finite number.
    """
    check_from_to("q", q, 0, 1)
    ordered = checked_sample("values", values)
    if not ordered:
        return None
    index = virtual_index(q, len(ordered))
    below = math.floor(index)
    part = index - below
    if part == 0:
        return float(ordered[below])
    return interpolated(ordered[below], ordered[below + 1], part)


@attrs.frozen
class Percentile:
    """
    `percentile` at one *q* from 0 to 1 as a `Statistic`: 0.9 is p90, 0 the minimum, 1 the maximum.

    What resamples can see from it which values it is made of; of another function it cannot.

    Raises:
        InvalidValue: *q* is not from 0 to 1.
    """

    q: float

    def __attrs_post_init__(self) -> None:
        check_from_to("q", self.q, 0, 1)

    def __call__(self, values: Iterable[float]) -> float | None:
        """Return the percentile of *values*; None if there are none."""
        return percentile(values, self.q)


@lru_cache(maxsize=1024)
def virtual_index(q: float, n: int) -> Fraction:
    """Return the index of a percentile among *n* sorted values; it may lie between two of them."""
    return Fraction(repr(float(q))) * (n - 1)


def interpolated(low: float, high: float, part: Fraction) -> float:
    """Return what lies the share *part* of the way from *low* to *high*, rounded once."""
    # In whole numbers: the same as of fractions, whose every step looks for common factors.
    (start, of), (end, in_) = low.as_integer_ratio(), high.as_integer_ratio()
    share, parts = part.as_integer_ratio()
    start, end, all_ = start * in_, end * of, of * in_
    return (start * parts + share * (end - start)) / (all_ * parts)


def median(values: Iterable[float]) -> float | None:
    """
    Return the middle of *values*, or halfway between the two middle ones.

    In the unit of the values. None if there are none.

    Raises:
        InvalidValue: A value is not a finite number.
    """
    ordered = checked_sample("values", values)
    if not ordered:
        return None
    middle = len(ordered) // 2
    if len(ordered) % 2 == 1:
        return float(ordered[middle])
    return (ordered[middle - 1] + ordered[middle]) / 2


def median_low(values: Iterable[float]) -> float | None:
    """
    Return the middle of *values*, or the lower of the two middle ones.

    Some tools call this the median; unlike it, this is always one of the values.

    In the unit of the values. None if there are none.

    Raises:
        InvalidValue: A value is not a finite number.
    """
    ordered = checked_sample("values", values)
    if not ordered:
        return None
    return float(ordered[(len(ordered) - 1) // 2])


def mean(values: Iterable[float]) -> float | None:
    """
    Return the sum of *values* divided by how many there are.

    The sum is exact and rounded only in the division; of floats it is rounded once before it.

    In the unit of the values. None if there are none.

    Raises:
        InvalidValue: A value is not a finite number.
    """
    numbers = finite_numbers("values", values)
    if not numbers:
        return None
    return center_of(numbers)


def total(values: Iterable[float]) -> float | None:
    """
    Return the sum of *values*; of whole numbers it is whole and exact, of floats rounded once.

    In the unit of the values. None if there are none.

    Raises:
        InvalidValue: A value is not a finite number.
    """
    numbers = finite_numbers("values", values)
    if not numbers:
        return None
    return sum(numbers) if isinstance(numbers[0], int) else math.fsum(numbers)


def geometric_mean(values: Iterable[float]) -> float | None:
    """
    Return the n-th root of the product of the n *values*: exp(mean of the logarithms).

    For durations, whose logarithms are close to normal, it is close to the median and steadier.

    In the unit of the values. None if there are none, or if one is zero or negative: then it
    is not defined, and leaving such values out would be a choice that belongs to the caller.

    Raises:
        InvalidValue: A value is not a finite number.
    """
    numbers = finite_numbers("values", values)
    if not numbers or min(numbers) <= 0:
        return None
    root = math.exp(math.fsum(map(math.log, numbers)) / len(numbers))
    # Rounding must not carry it out of the range of the values.
    return float(min(max(root, min(numbers)), max(numbers)))


def log_sigma(values: Iterable[float]) -> float | None:
    """
    Return the standard deviation of the natural logarithms of *values* (divisor n - 1).

    The sigma that `sample_size_for_ratio` and `power_for_ratio` ask for. Without a unit: it does
    not change when the values are given in minutes instead of hours.

    None with fewer than two values, or if one is zero or negative.

    Raises:
        InvalidValue: A value is not a finite number.
    """
    numbers = finite_numbers("values", values)
    if len(numbers) < 2 or min(numbers) <= 0:
        return None
    return math.sqrt(variance([math.log(number) for number in numbers]))
