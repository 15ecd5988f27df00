"""
Samples, checked: what all of this room takes and refuses.

The order of the values never matters: they are sorted before anything is computed or drawn, which
costs next to nothing where they are sorted already. Integers (durations are whole microseconds)
are summed exactly, floats with `math.fsum`, and a sample that mixes both is read as floats. A value
that is not a number, not finite, or beyond 1e100 in size is refused with `InvalidValue`, which
names the argument; so is every other argument out of its range.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Final

from imcm.errors import InvalidValue

# Beyond this size squares and sums could leave the range of floats. In microseconds it is longer
# than any incident.
LARGEST: Final = 1e100

# Logarithms of floats up to 1e100 cannot spread by more.
LARGEST_SIGMA: Final = 1000

# Two numbers that are equal on paper may differ in the last digits when reached on two ways.
SLACK: Final = 1e-12


# Checks, shared with the survival curves.


class Ordered(list[float]):
    """A sample that has been checked and sorted, so that no statistic does it again."""

    __slots__ = ()

    @classmethod
    def of(cls, values: Iterable[float], name: str = "values") -> Ordered:
        """
        Return *values* checked and sorted.

        Raises:
            InvalidValue: As `finite_numbers`.
        """
        if isinstance(values, Ordered):
            return values
        made = cls(finite_numbers(name, values))
        sort(made)
        return made

    def at(self, indices: Iterable[int]) -> Ordered:
        """Return the values at some indices, which rise, so that the values do."""
        return Ordered(map(self.__getitem__, indices))

    def __repr__(self) -> str:
        return f"<Ordered of {len(self):,}>"


_FLOATS: Final = 1 << 53
"""Up to here a float holds every whole number, and below it none that is rounded."""


def sorted_as_floats(first: float, last: float) -> bool:
    """Say whether whole numbers are in order that are so as floats, from the first and the last."""
    return first > -_FLOATS and last < _FLOATS


def sort(numbers: list[int] | list[float]) -> None:
    """Sort finite numbers in place; of large whole numbers as floats, which takes half as long."""
    integers = bool(numbers) and isinstance(numbers[0], int)
    numbers.sort(key=float if integers else None)
    if integers and not sorted_as_floats(numbers[0], numbers[-1]):
        numbers.sort()


def finite_numbers(name: str, values: Iterable[float]) -> list[float]:
    """
    Return *values* as a list, in their order, either all int or all float.

    Raises:
        InvalidValue: One is not an int or float, is NaN or infinite, or is larger than 1e100.
    """
    if isinstance(values, Ordered):
        return values
    numbers = list(values)
    types = set(map(type, numbers))
    if not all(map(_is_numeric, types)):
        first = next(number for number in numbers if not _is_numeric(type(number)))
        raise InvalidValue(name, first, "give ints or floats")
    # Plain columns are looked through at the speed of C, mixed ones and those with a culprit one
    # by one. NaN fails every comparison, so it must be ruled out before min and max are asked.
    plain = types <= {int} or (types == {float} and all(map(math.isfinite, numbers)))
    if not plain or (numbers and not -LARGEST <= min(numbers) <= max(numbers) <= LARGEST):
        for number in numbers:
            if not -LARGEST <= number <= LARGEST:
                raise InvalidValue(name, number, "give finite numbers from -1e100 to 1e100")
    if all(issubclass(type_, int) for type_ in types):
        return numbers
    # Adding zero turns -0.0 into 0.0: two zeros would make the order of the input visible.
    return [float(number) + 0.0 for number in numbers]


def _is_numeric(type_: type[object]) -> bool:
    """Return whether instances of *kind* are numbers; True and False are answers, not numbers."""
    return issubclass(type_, (int, float)) and type_ is not bool


def check_between(name: str, value: object, low: float, high: float) -> None:
    """
    Refuse *value* unless it is a number above *low* and below *high*.

    Raises:
        InvalidValue: It is not; NaN never is.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low < value < high:
        raise InvalidValue(name, value, f"give a number above {low:g} and below {high:g}")


def check_from_to(name: str, value: object, low: float, high: float) -> None:
    """
    Refuse *value* unless it is a number from *low* to *high*, both allowed.

    Raises:
        InvalidValue: It is not; NaN never is.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise InvalidValue(name, value, f"give a number from {low:g} to {high:g}")


def checked_sample(name: str, values: Iterable[float]) -> list[float]:
    """Return *values*, checked and sorted."""
    return Ordered.of(values, name)


def check_count(name: str, value: object, least: int) -> None:
    """Refuse *value* unless it is an int of at least *least*."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise InvalidValue(name, value, f"give an int of at least {least}")


def check_ratio(ratio: float) -> None:
    """Refuse *ratio* unless it is a positive number other than 1."""
    check_between("ratio", ratio, 0, math.inf)
    if ratio == 1:
        raise InvalidValue("ratio", ratio, "give another ratio than 1: no change is never seen")


# Sums and spreads.


def center_of(numbers: Sequence[float]) -> float:
    """Return the mean of at least one number, all int or all float."""
    if isinstance(numbers[0], int):
        return sum(numbers) / len(numbers)
    # A float sum is rounded once more than an int sum: keep it from leaving the values by that.
    return min(max(math.fsum(numbers) / len(numbers), min(numbers)), max(numbers))


def variance(numbers: Sequence[float]) -> float:
    """Return the variance with divisor n - 1 of at least two numbers, all int or all float."""
    n = len(numbers)
    if isinstance(numbers[0], int):
        # All whole numbers up to the one division.
        squares = sum(number * number for number in numbers)
        return (n * squares - sum(numbers) ** 2) / (n * (n - 1))
    center = center_of(numbers)
    return math.fsum((number - center) ** 2 for number in numbers) / (n - 1)
