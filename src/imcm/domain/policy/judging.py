"""
Whether a canary is promoted, held or aborted: a test that may be looked at as often as one likes.

A progressive rollout shows a new version to a share of the traffic, beside a baseline that serves
the rest, and looks again and again at how often both fail. A test made for one look cries wolf
when it is asked a hundred times. This one does not: whatever the number of looks, and whoever stops
or goes on for whatever reason, the probability of ever aborting a canary that is no worse than its
baseline is at most `alpha`. So is that of ever promoting one that is as bad as is not tolerated.

What it computes. Of one look, let *x* be the errors of the canary, *e* those of both, and *s* the
canary's share of the traffic of that look. Where the canary fails *r* times as often as the
baseline, an error is one of the canary with probability r s / (r s + 1 - s). How much more likely
the look is under a ratio of *d* *r* than under *r* is

    f = d**x / (1 + t (d - 1))**e,  with  t = r s / (r s + 1 - s).

The factors of all looks are multiplied, each with its own share, and averaged over *d* with weights
that are fixed beforehand: the evidence. One average goes over *d* above 1 (is the ratio more than
*r*?), one over *d* below 1 (is it less?).

Why it holds. Given the requests of a look, let *p* be the probability that a request to the
baseline fails and r *p* that of one to the canary. With *n* requests, n s of them to the canary,
the mean of f is

    (1 + r p (d c - 1))**(n s) * (1 + p (c - 1))**(n (1 - s)),  with  c = 1 / (1 + t (d - 1)).

Since 1 + y <= exp(y), it is at most exp(n p (s r (d c - 1) + (1 - s) (c - 1))), and that exponent
is 0. For *d* above 1 a canary that fails less often than r *p* makes it smaller still, for *d*
below 1 one that fails more often does. So the evidence is, look after look, not expected to grow,
and the probability that it ever reaches 1 / alpha is at most alpha (Ville 1939). Only the ratio is
asked of: *p* may be another one in each look, as it is by night and by day. For errors counted in
time (a Poisson process) the shares are those of the time watched, and the mean is exactly 1.

What it asks. Given what was seen before, errors within a look are independent of each other, and
how many requests a look has does not depend on how they end. A burst of errors with one cause, or
retries of what failed, counted as requests of their own, make it too sure; so does a canary whose
users are others than the baseline's.

Sources: Lindon and Malek, "Anytime-Valid Inference for Multinomial Count Data" (NeurIPS 2022), for
the sequential test of counts; Robbins, "Statistical Methods Related to the Law of the Iterated
Logarithm" (1970), for the average over ratios; Turner, Ly and Gruenwald, "Generic E-Variables for
Exact Sequential k-Sample Tests" (2024), for two samples whose rates may drift.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from itertools import pairwise, takewhile
from typing import Any, Final, Self, TypeAlias

import attrs

from imcm.domain.policy.tables import checked_length, length_in_words, made
from imcm.domain.vocabulary import (
    Counts,
    checked_id,
    checked_number,
    checked_text,
    is_list,
    is_mapping,
    is_number,
)
from imcm.errors import InvalidValue
from imcm.plain import joined


class RolloutDecision(StrEnum):
    """What a look at a canary comes to."""

    PROMOTE = "promote"
    HOLD = "hold"
    ABORT = "abort"


# --- what was seen --------------------------------------------------------------------------------

_SHORTEST: Final = 1e-9
_LONGEST: Final = 1e18


@attrs.frozen(kw_only=True)
class Exposure:
    """
    Errors in a length of time: what `Counts` is for requests.

    Attributes:
        time: How long it was watched, in a unit that is the same for canary and baseline; where
            several instances run, of all of them together, such as instance-minutes. 0, or 1e-9 to
            1e18.
        errors: How many there were.

    Raises:
        InvalidValue: One of them is not as described, or there are errors in no time.
    """

    time: float
    errors: int

    def __attrs_post_init__(self) -> None:
        time = self.time
        if not is_number(time) or not (time == 0 or _SHORTEST <= time <= _LONGEST):
            allowed = f"how long, in any one unit: 0, or {_SHORTEST:g} to {_LONGEST:g}"
            raise InvalidValue("time", time, allowed)
        if checked_number("errors", self.errors) < 0 or (self.errors and not time):
            raise InvalidValue("errors", self.errors, "0 or more; in no time there are none")
        object.__setattr__(self, "time", float(time))


Seen: TypeAlias = Counts | Exposure
"""What was seen of one side: errors among requests, or errors in a length of time."""


@attrs.frozen(kw_only=True)
class Look:
    """
    What was seen of canary and baseline side by side, in one stretch of watching.

    Attributes:
        canary, baseline: Both `Counts`, or both `Exposure`, of the same stretch.
        percent: The stage of the rollout it was seen in: the share of users, above 0 and up to 100;
            None where nobody says. It only tells stages apart: the canary's share of the traffic is
            taken from the requests themselves.

    Raises:
        InvalidValue: One of them is not as described.
    """

    canary: Seen
    baseline: Seen
    percent: float | None = None

    def __attrs_post_init__(self) -> None:
        for name in ("canary", "baseline"):
            value: object = getattr(self, name)
            if not isinstance(value, (Counts, Exposure)):
                allowed = "give Counts(requests=..., errors=...) or Exposure(time=..., errors=...)"
                raise InvalidValue(name, value, allowed)
        if isinstance(self.canary, Counts) is not isinstance(self.baseline, Counts):
            raise InvalidValue("baseline", self.baseline, "counted as the canary is")
        percent = self.percent
        if percent is not None and not (is_number(percent) and 0 < percent <= 100):
            raise InvalidValue("percent", percent, "above 0 and at most 100, or None")


def increments(totals: Iterable[Look]) -> tuple[Look, ...]:
    """
    Return what each look added, where looks have running totals, as counters of a process do.

    Args:
        totals: Looks in order; each has all that was seen since the first one began.

    Raises:
        InvalidValue: They are no list of looks; a total goes down, as that of a counter does that
            began anew; or more errors were added than requests.
    """
    looks = _checked_looks("totals", totals)
    added = [*looks[:1]]
    for number, (before, after) in enumerate(pairwise(looks), start=2):
        canary, baseline = (
            _difference(f"totals[{number}].{side}", getattr(before, side), getattr(after, side))
            for side in ("canary", "baseline")
        )
        added.append(attrs.evolve(after, canary=canary, baseline=baseline))
    return tuple(added)


def _difference(name: str, before: Seen, after: Seen) -> Seen:
    allowed = f"no less than before, {_in_words(before)}; where a counter began anew, increments"
    if after.errors < before.errors or _amount(after) < _amount(before):
        raise InvalidValue(name, _in_words(after), allowed)
    errors = after.errors - before.errors
    try:
        if isinstance(before, Counts) and isinstance(after, Counts):
            return Counts(requests=after.requests - before.requests, errors=errors)
        return Exposure(time=_amount(after) - _amount(before), errors=errors)
    except InvalidValue:
        allowed = f"room for {errors:,} errors more than before, {_in_words(before)}"
        raise InvalidValue(name, _in_words(after), allowed) from None


def _amount(seen: Seen) -> float:
    """Return the requests, or the length of time."""
    return seen.requests if isinstance(seen, Counts) else seen.time


def _rate(seen: Seen) -> float | None:
    amount = _amount(seen)
    return seen.errors / amount if amount else None


def _total(parts: Sequence[Seen]) -> Seen:
    errors = sum(part.errors for part in parts)
    if isinstance(parts[0], Counts):
        return Counts(requests=_requests(parts), errors=errors)
    return Exposure(time=math.fsum(map(_amount, parts)), errors=errors)


def _requests(parts: Iterable[Seen]) -> int:
    return sum(part.requests for part in parts if isinstance(part, Counts))


def _in_words(seen: Seen) -> str:
    rate = _rate(seen)
    if isinstance(seen, Counts):
        share = "" if rate is None else f" ({100 * rate:.3g} %)"
        return f"{seen.errors:,} of {seen.requests:,}{share}"
    each = "" if rate is None else f" ({rate:.3g} each)"
    return f"{seen.errors:,} in {seen.time:,.6g} units of time{each}"


def _checked_looks(name: str, value: object) -> tuple[Look, ...]:
    looks: list[Look] = []
    if is_mapping(value) or not is_list(value):
        raise InvalidValue(name, value, "a list of Look(canary=..., baseline=...), in order")
    for each in value:
        if not isinstance(each, Look):
            raise InvalidValue(f"{name}[{len(looks) + 1}]", each, "Look(canary=..., baseline=...)")
        if looks and isinstance(looks[0].canary, Counts) is not isinstance(each.canary, Counts):
            allowed = "counted as in the first look: in requests, or in time"
            raise InvalidValue(f"{name}[{len(looks) + 1}]", each, allowed)
        looks.append(each)
    return tuple(looks)


# --- the plan -------------------------------------------------------------------------------------

_LEAST_ALPHA: Final = 1e-12
_LEAST_RATIO: Final = 1.001
_MOST_RATIO: Final = 1000

ANY: Final = "any"
"""How a table says that no ratio is too high to be promoted."""


def _tolerated(value: object) -> float | None:
    if value is None or (isinstance(value, str) and value == ANY):
        return None
    return _ratio("tolerated_ratio", value, ', or "any"')


def _sought(value: object) -> float:
    return _ratio("sought_ratio", value)


def _ratio(name: str, value: object, or_: str = "") -> float:
    if not (is_number(value) and _LEAST_RATIO <= value <= _MOST_RATIO):
        raise InvalidValue(name, value, f"a ratio of error rates from 1.001 to 1,000{or_}")
    return value


def _bake(value: object) -> timedelta:
    return checked_length("bake", value)


def _metrics(value: object) -> tuple[str, ...]:
    if is_mapping(value) or not is_list(value):
        raise InvalidValue("metrics", value, 'a list of names, such as ["errors", "timeouts"]')
    names = tuple(checked_id("metrics", name) for name in value)
    if not names or len(set(names)) < len(names):
        raise InvalidValue("metrics", list(names), "at least one name, and each once")
    return names


@attrs.frozen(kw_only=True)
class CanaryPlan:
    """
    By what a canary is judged. It is made before the rollout begins, and kept as it is.

    What is tolerated is a ratio of the two error rates, not a difference. How often the baseline
    fails need not be known for it, and may change from hour to hour; a bound for the difference
    would hold only while it stays the same.

    Attributes:
        alpha: How probable it may be that a canary is aborted that is no worse than its baseline,
            over all looks and metrics of a rollout; above 0 and at most 0.5. The same for promoting
            one that fails `tolerated_ratio` times as often.
        tolerated_ratio: How many times as often as the baseline a canary that is promoted may fail
            at most, from 1.001 to 1,000. It is promoted when the upper bound of the ratio lies
            below. None, told as "any" in a table: it is promoted when nothing else is missing and
            nothing speaks loud enough against it.
        requests: How many requests canary and baseline each have to have seen in the stage that is
            judged. Of metrics that are counted in time none are asked.
        bake: How long the stage has to have been watched: a `timedelta` of whole minutes, or text
            such as "10 minutes".
        sought_ratio: The ratio of error rates that should be found soonest, from 1.001 to
            1,000. Half of the weight lies on it. The other half lies on ratios whose logarithms are
            2**j times its own, for j other than 0 from -20 to the first that makes 50 or more, in
            proportion to 1 / (abs(j) * (abs(j) + 1)): every other increase is found, too, later.
        metrics: What is counted; any of them can abort, and none may be missing. How many there are
            is corrected for; see `judge`.

    Raises:
        InvalidValue: One of them is not as described.
    """

    alpha: float = 0.05
    tolerated_ratio: float | None = attrs.field(default=2.0, converter=_tolerated)
    requests: int = 500
    bake: timedelta = attrs.field(default=timedelta(minutes=10), converter=_bake)
    sought_ratio: float = attrs.field(default=2.5, converter=_sought)
    metrics: tuple[str, ...] = attrs.field(default=("errors",), converter=_metrics)

    def __attrs_post_init__(self) -> None:
        if not (is_number(self.alpha) and _LEAST_ALPHA <= self.alpha <= 0.5):
            raise InvalidValue("alpha", self.alpha, "above 0 (from 1e-12) and at most 0.5")
        if checked_number("requests", self.requests) < 1:
            raise InvalidValue("requests", self.requests, "at least 1")

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON and TOML; `from_dict` reads them back."""
        return {
            "alpha": self.alpha,
            "tolerated_ratio": ANY if self.tolerated_ratio is None else self.tolerated_ratio,
            "requests": self.requests,
            "bake": length_in_words(self.bake),
            "sought_ratio": self.sought_ratio,
            "metrics": list(self.metrics),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], name: str = "canary") -> Self:
        """
        Return what `as_dict` wrote; what is left out is as it is without being told.

        Args:
            plain: The attributes that are told.
            name: How errors call it.

        Raises:
            InvalidValue: A part is unknown or not as described.
        """
        name = checked_text("name", name)
        if not is_mapping(plain):
            raise InvalidValue(name, plain, "a table, as as_dict gives it")
        return made(cls, name, plain)


# --- evidence -------------------------------------------------------------------------------------

_Prior: TypeAlias = tuple[tuple[float, float], ...]
"""Logarithms of ratios, each with the logarithm of its weight; the weights add up to 1."""

_HIGHEST: Final = math.log(50)
_SMALLEST: Final = -20


def _prior(ratio: float) -> _Prior:
    """Return the weights around a ratio; of one below 1, those around its inverse, inverted."""
    step = math.log(ratio)
    highest = next(j for j in range(1, 64) if abs(step) * 2.0**j >= _HIGHEST)
    others = {j: 1 / (abs(j) * (abs(j) + 1)) for j in range(_SMALLEST, highest + 1) if j}
    whole = 2 * math.fsum(others.values())
    weights = {0: 0.5} | {j: weight / whole for j, weight in others.items()}
    return tuple((step * 2.0**j, math.log(weight)) for j, weight in weights.items())


def _log_sum(logarithms: Sequence[float]) -> float:
    """Return the logarithm of the sum of what these are the logarithms of."""
    largest = max(logarithms)
    return largest + math.log(math.fsum(math.exp(each - largest) for each in logarithms))


class _Errors:
    """
    The errors of looks at which both sides had traffic; of the others all is as expected.

    Attributes:
        canary: How many were the canary's.
        both: How many there were, by the logarithm of canary's traffic over baseline's.
    """

    __slots__ = ("both", "canary")

    def __init__(self) -> None:
        self.canary = 0
        self.both: dict[float, int] = {}

    def add(self, look: Look) -> None:
        canary, baseline = _amount(look.canary), _amount(look.baseline)
        errors = look.canary.errors + look.baseline.errors
        if canary and baseline and errors:
            odds = math.log(canary / baseline)
            self.canary += look.canary.errors
            self.both[odds] = self.both.get(odds, 0) + errors

    def shares(self, log_ratio: float) -> list[tuple[int, float]]:
        """Return the errors by the share of them that is expected in the canary at a ratio."""
        return [
            (errors, 1 / (1 + math.exp(-odds - log_ratio))) for odds, errors in self.both.items()
        ]

    def evidence(self, prior: _Prior, log_ratio: float) -> float:
        """Return the logarithm of the evidence against a ratio; see the head of this file."""
        shares = self.shares(log_ratio)
        parts: list[float] = []
        for step, weight in prior:
            more = math.expm1(step)
            expected = [errors * math.log1p(share * more) for errors, share in shares]
            parts.append(weight + self.canary * step - math.fsum(expected))
        return _log_sum(parts)

    def likeliest(self) -> float | None:
        """Return the likeliest ratio; None where there is none, or one without end."""
        others = sum(self.both.values()) - self.canary
        if not others:
            return None
        if not self.canary:
            return 0.0

        def unexpected(log_ratio: float) -> float:
            expected = [errors * share for errors, share in self.shares(log_ratio)]
            return self.canary - math.fsum(expected)

        # It lies between what the highest and the lowest share by themselves would say.
        middle = math.log(self.canary / others)
        low, high = middle - max(self.both), middle - min(self.both)
        return math.exp(_crossing(unexpected, low, high))

    def bound(self, prior: _Prior, threshold: float) -> float | None:
        """Return the ratio at which the evidence just passes a threshold; None: at none."""

        def above(log_ratio: float) -> float:
            return self.evidence(prior, log_ratio) - threshold

        # Evidence that the ratio is more than that rules out the low ones; it grows downwards.
        [(step, _), *_] = prior
        outwards = -1.0 if step > 0 else 1.0
        near = math.log(self.likeliest() or 1.0)
        begins_inside = above(near) < 0
        width = 0.5 * (outwards if begins_inside else -outwards)
        far = near + width
        while (above(far) < 0) is begins_inside:
            if abs(far) > _FARTHEST:
                return None
            width *= 2
            near, far = far, far + width
        return math.exp(_crossing(above, min(near, far), max(near, far)))


_FARTHEST: Final = 100.0
"""The logarithm of a ratio that no counts can tell from one without end."""


def _crossing(function: Callable[[float], float], low: float, high: float) -> float:
    """
    Return where a function that only rises, or only falls, goes through 0 between two points.

    It takes hardly more values of the function than halving would, and mostly far fewer: Oliveira
    and Takahashi, "An Enhancement of the Bisection Method Average Performance Preserving Minmax
    Optimality" (2020), with their kappa_2 of 2 and n_0 of 1.
    """
    at_low, at_high = function(low), function(high)
    rises = at_high > at_low
    slack = 2 * (high - low)
    bend = 0.2 / max(high - low, _NEAR)
    while high - low > _NEAR:
        half = (high - low) / 2
        middle = low + half
        rise = at_high - at_low
        straight = (at_high * low - at_low * high) / rise if rise else middle
        towards = math.copysign(1.0, middle - straight)
        away = min(abs(middle - straight), half)  # rounding may lead out of the stretch
        room = max(0.0, slack / 2 - half)
        point = middle - towards * min(max(0.0, away - bend * (high - low) ** 2), room)
        slack /= 2
        value = function(point)
        if (value > 0) is rises:
            high, at_high = point, value
        else:
            low, at_low = point, value
    return (low + high) / 2


_NEAR: Final = 1e-10


def _path(prior: _Prior, looks: Iterable[Look]) -> list[float]:
    """Return, after each look, the logarithm of the evidence against a ratio of 1."""
    steps = [step for step, _ in prior]
    parts = [weight for _, weight in prior]
    path: list[float] = []
    expected: dict[float, list[float]] = {}  # of an error, by the traffic; shares come again
    evidence = 0.0
    for look in looks:
        canary, baseline = _amount(look.canary), _amount(look.baseline)
        errors = look.canary.errors + look.baseline.errors
        if canary and baseline and errors:
            ratio = baseline / canary
            if ratio not in expected:
                share = 1 / (1 + ratio)
                expected[ratio] = [math.log1p(share * math.expm1(step)) for step in steps]
            of_canary = look.canary.errors
            parts = [
                part + of_canary * step - errors * each
                for part, step, each in zip(parts, steps, expected[ratio], strict=True)
            ]
            evidence = _log_sum(parts)
        path.append(evidence)
    return path


# --- the verdict ----------------------------------------------------------------------------------


def _as_number(logarithm: float) -> float:
    return math.exp(min(logarithm, _LARGEST))


_LARGEST: Final = 709.0


@attrs.frozen(kw_only=True)
class MetricEvidence:
    """
    What the looks say of one metric.

    Attributes:
        name: Which.
        canary, baseline: All that was seen, over all looks. Where the canary's share changed, their
            rates may differ although in no look they do; `ratio` goes look by look.
        log_evidence: The natural logarithm of the evidence that the canary fails more often.
        ratio: How many times as often as the baseline the canary fails: the likeliest ratio, given
            the share of each look. None where it has no end, since all errors were the canary's,
            and where there were none.
        lower, upper: Between what the ratio lies, at every look at once. With a probability of
            1 - alpha, alpha as corrected for the number of metrics, the lower bound is right, and
            so is the upper; both are with 1 - 2 alpha. Where the ratio changes from look to look,
            some look had one above the lower bound, and some look one below the upper. An upper
            bound of None is no bound.
    """

    name: str
    canary: Seen
    baseline: Seen
    log_evidence: float
    ratio: float | None
    lower: float
    upper: float | None

    @property
    def canary_rate(self) -> float | None:
        """Errors of the canary for each request or unit of time; None where there was none."""
        return _rate(self.canary)

    @property
    def baseline_rate(self) -> float | None:
        """Errors of the baseline for each request or unit of time; None where there was none."""
        return _rate(self.baseline)

    @property
    def evidence(self) -> float:
        """How much likelier what was seen is if the canary fails more; at most about 8e307."""
        return _as_number(self.log_evidence)

    def __str__(self) -> str:
        ratio = "not known" if self.ratio is None else f"{self.ratio:.3g}"
        upper = "any" if self.upper is None else f"{self.upper:.3g}"
        return (
            f"{self.name}: canary {_in_words(self.canary)}, baseline {_in_words(self.baseline)}; "
            f"ratio {ratio}, from {self.lower:.3g} to {upper}; evidence {self.evidence:.3g}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return {
            "name": self.name,
            "canary": attrs.asdict(self.canary),
            "baseline": attrs.asdict(self.baseline),
            "canary_rate": self.canary_rate,
            "baseline_rate": self.baseline_rate,
            "log_evidence": self.log_evidence,
            "ratio": self.ratio,
            "lower": self.lower,
            "upper": self.upper,
        }


@attrs.frozen(kw_only=True)
class CanaryVerdict:
    """
    Whether a canary is promoted, held or aborted, and what says so.

    Attributes:
        decision: What it comes to.
        reason: Why, in words.
        missing: What is missing for it to be promoted, each in words; empty where nothing is, and
            where it is aborted.
        log_evidence: The natural logarithm of the evidence after the last look that the canary
            fails more often in some metric: the mean of that of all metrics.
        p_value: The least probability with which a canary that is no worse would ever have shown
            as much evidence as this one did at its highest; it holds at every look.
        alpha: That of the plan.
        corrected_alpha: What is left of it for the bounds of each metric: alpha divided by the
            number of metrics.
        looks: How many there were.
        passed_at: The number of the look, from 1, at which the evidence first was enough to abort;
            None where it never was.
        percent: The stage of the last look; None where nobody says.
        metrics: What the looks say of each, in the order of the plan.
    """

    decision: RolloutDecision
    reason: str
    missing: tuple[str, ...]
    log_evidence: float
    p_value: float
    alpha: float
    corrected_alpha: float
    looks: int
    passed_at: int | None
    percent: float | None
    metrics: tuple[MetricEvidence, ...]

    @property
    def evidence(self) -> float:
        """The evidence after the last look; 1 / alpha aborts. At most about 8e307."""
        return _as_number(self.log_evidence)

    def metric(self, name: str) -> MetricEvidence:
        """
        Return what the looks say of one metric.

        Raises:
            InvalidValue: It is none of the plan.
        """
        checked_text("name", name)
        for each in self.metrics:
            if each.name == name:
                return each
        allowed = f"one of {', '.join(each.name for each in self.metrics)}"
        raise InvalidValue("name", name, allowed)

    def __str__(self) -> str:
        return joined([f"{self.decision.value}: {self.reason}"])

    def explain(self) -> str:
        """Return, for a person, the decision, what it rests on, and how sure each number is."""
        stage = "" if self.percent is None else f", the last one at {self.percent:g} %"
        many = "1 look" if self.looks == 1 else f"{self.looks:,} looks"
        lines = [
            f"{self.decision.value}: {self.reason}",
            f"  {many}{stage}",
            f"  evidence that the canary fails more: {self.evidence:.3g}; "
            f"{1 / self.alpha:.4g} aborts (alpha {100 * self.alpha:.3g} %)",
            f"  p-value at whatever look: {self.p_value:.3g}",
        ]
        if self.passed_at is not None:
            lines.append(f"  enough to abort since look {self.passed_at:,}")
        lines += [f"  {each}" for each in self.metrics]
        lines.append(
            f"  each bound of a ratio is right with {100 - 100 * self.corrected_alpha:.4g} %"
        )
        return joined(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return {
            "decision": self.decision.value,
            "reason": self.reason,
            "missing": list(self.missing),
            "log_evidence": self.log_evidence,
            "p_value": self.p_value,
            "alpha": self.alpha,
            "corrected_alpha": self.corrected_alpha,
            "looks": self.looks,
            "passed_at": self.passed_at,
            "percent": self.percent,
            "metrics": [each.as_dict() for each in self.metrics],
        }


def judge(
    looks: Iterable[Look] | Mapping[str, Iterable[Look]],
    plan: CanaryPlan,
    *,
    baked: timedelta | None = None,
) -> CanaryVerdict:
    """
    Return whether a canary is promoted, held or aborted, by all that was seen so far.

    It is **aborted** when the evidence that it fails more often than its baseline reached 1 / alpha
    at any look; later looks do not take that back. That it fails less often never aborts.

    It is **promoted** when in the stage of the last look canary and baseline each had as many
    requests as the plan asks, the stage was watched long enough, and in every metric the upper
    bound of the ratio lies below what is tolerated. Otherwise it is **held**; without traffic on
    both sides there is nothing to judge, and it is held.

    Several metrics: the evidence is the mean of theirs. Whatever ties them together, it is not
    expected to grow where the canary is worse in none, and it aborts whenever the correction by
    Bonferroni does, and sooner when several get worse (Vovk and Wang, "E-Values: Calibration,
    Combination and Applications", 2021). Their bounds are corrected by Bonferroni. For promotion,
    where all have to hold, that would not be needed: it is on the safe side.

    Args:
        looks: What each look added, in order, from the beginning of the rollout: no running totals
            (`increments` makes looks of those). By the name of the metric where the plan has
            several, as many looks for each, of the same stages.
        plan: By what it is judged; the same one at every look.
        baked: How long the stage of the last look has been watched; None where nobody says, and
            nothing is promoted then.

    Raises:
        InvalidValue: A look is none, a metric is missing or none of the plan's, the metrics have
            not the same stages, or a length of time is below 0.
    """
    if not isinstance(plan, CanaryPlan):
        raise InvalidValue("plan", plan, "give a CanaryPlan, as in CanaryPlan(alpha=0.05)")
    if baked is not None and not (isinstance(baked, timedelta) and baked >= timedelta()):
        raise InvalidValue("baked", baked, "a timedelta of 0 or more, or None")
    looks_of = _by_metric(looks, plan)
    many = len(looks_of)
    prior = _prior(plan.sought_ratio)
    paths = {name: _path(prior, each) for name, each in looks_of.items()}
    path = _mean_path(paths)
    corrected = plan.alpha / many
    metrics = tuple(
        _measured(name, each, paths[name], plan, corrected) for name, each in looks_of.items()
    )
    threshold = -math.log(plan.alpha)
    passed_at = next((n for n, each in enumerate(path, start=1) if each >= threshold), None)
    missing: list[str] = []
    if passed_at is not None:
        decision = RolloutDecision.ABORT
        worst = max(metrics, key=lambda metric: paths[metric.name][passed_at - 1])
        reason = (
            f"the canary fails more often: {worst.name} {_in_words(worst.canary)}, baseline "
            f"{_in_words(worst.baseline)}; evidence {_as_number(path[passed_at - 1]):.3g} at look "
            f"{passed_at:,}, and {1 / plan.alpha:.4g} is enough"
        )
    else:
        missing += _missing(looks_of, metrics, plan, baked)
        decision = RolloutDecision.HOLD if missing else RolloutDecision.PROMOTE
        reason = "; ".join(missing or _good(metrics, plan))
    stages = [look.percent for look in looks_of[plan.metrics[0]]]
    return CanaryVerdict(
        decision=decision,
        reason=reason,
        missing=tuple(missing),
        log_evidence=path[-1] if path else 0.0,
        p_value=math.exp(-max([0.0, *path])),
        alpha=plan.alpha,
        corrected_alpha=corrected,
        looks=len(path),
        passed_at=passed_at,
        percent=stages[-1] if stages else None,
        metrics=metrics,
    )


def evidence_path(
    looks: Iterable[Look] | Mapping[str, Iterable[Look]], plan: CanaryPlan
) -> tuple[float, ...]:
    """
    Return, after each look, the natural logarithm of the evidence that the canary fails more.

    Of several metrics it is that of the mean of theirs. The last one is the `log_evidence` of what
    `judge` returns; the canary is aborted where it first reaches -log(alpha).

    Args:
        looks, plan: As `judge` takes them. Without looks the path is empty.

    Raises:
        InvalidValue: As of `judge`.
    """
    if not isinstance(plan, CanaryPlan):
        raise InvalidValue("plan", plan, "give a CanaryPlan, as in CanaryPlan(alpha=0.05)")
    prior = _prior(plan.sought_ratio)
    paths = {name: _path(prior, each) for name, each in _by_metric(looks, plan).items()}
    return tuple(_mean_path(paths))


def _mean_path(paths: Mapping[str, Sequence[float]]) -> list[float]:
    """Return the logarithm of the mean of the evidence of all metrics, after each look."""
    many = len(paths)
    return [_log_sum(each) - math.log(many) for each in zip(*paths.values(), strict=True)]


def _by_metric(value: object, plan: CanaryPlan) -> dict[str, tuple[Look, ...]]:
    """Return the looks at each metric, in the order of the plan."""
    names = plan.metrics
    if not is_mapping(value):
        if len(names) > 1:
            allowed = f"the looks at each of {', '.join(names)}, by its name"
            raise InvalidValue("looks", value, allowed)
        return dict.fromkeys(names, _checked_looks("looks", value))
    for name in value:
        if name not in names:
            raise InvalidValue("looks", name, f"one of the plan's metrics: {', '.join(names)}")
    for name in names:
        if name not in value:
            raise InvalidValue(f"looks.{name}", None, "looks at each metric of the plan")
    looks_of = {name: _checked_looks(f"looks.{name}", value[name]) for name in names}
    stages = [look.percent for look in looks_of[names[0]]]
    for name, looks in looks_of.items():
        if [look.percent for look in looks] != stages:
            allowed = f"as many looks as at {names[0]}, of the same stages"
            raise InvalidValue(f"looks.{name}", f"{len(looks):,} looks", allowed)
    return looks_of


def _measured(
    name: str, looks: Sequence[Look], path: Sequence[float], plan: CanaryPlan, alpha: float
) -> MetricEvidence:
    errors = _Errors()
    for look in looks:
        errors.add(look)
    threshold = -math.log(alpha)
    no_errors = Counts(requests=0, errors=0)
    return MetricEvidence(
        name=name,
        canary=_total([look.canary for look in looks] or [no_errors]),
        baseline=_total([look.baseline for look in looks] or [no_errors]),
        log_evidence=path[-1] if path else 0.0,
        ratio=errors.likeliest(),
        lower=errors.bound(_prior(plan.sought_ratio), threshold) or 0.0,
        upper=errors.bound(_prior(1 / (plan.tolerated_ratio or plan.sought_ratio)), threshold),
    )


def _missing(
    looks_of: Mapping[str, Sequence[Look]],
    metrics: Sequence[MetricEvidence],
    plan: CanaryPlan,
    baked: timedelta | None,
) -> Iterator[str]:
    """Yield what is missing for a canary to be promoted, in words."""
    idle = [
        f"{each.name}: no traffic on the {side}"
        for each in metrics
        for side in ("canary", "baseline")
        if not _amount(getattr(each, side))
    ]
    if idle:
        yield from idle
        return
    for name, looks in looks_of.items():
        stage = looks[-1].percent
        last = list(takewhile(lambda look: look.percent == stage, reversed(looks)))  # noqa: B023
        at = "" if stage is None else f" at {stage:g} %"
        for side in ("canary", "baseline"):
            parts: list[Seen] = [getattr(look, side) for look in last]
            if isinstance(parts[0], Counts) and _requests(parts) < plan.requests:
                had = f"{_requests(parts):,} of {plan.requests:,}"
                yield f"{name}: {had} requests to the {side}{at}"
    if baked is None:
        yield "how long it was watched is not told"
    elif baked < plan.bake:
        yield f"watched for {baked} of {length_in_words(plan.bake)}"
    if plan.tolerated_ratio is not None:
        for each in metrics:
            if each.upper is None or each.upper >= plan.tolerated_ratio:
                often = "any number of" if each.upper is None else f"{each.upper:.3g}"
                yield (
                    f"{each.name}: the canary may fail {often} times as often as the baseline; "
                    f"below {plan.tolerated_ratio:g} is tolerated"
                )


def _good(metrics: Sequence[MetricEvidence], plan: CanaryPlan) -> Iterator[str]:
    """Yield why a canary is promoted."""
    for each in metrics:
        upper = "any number of" if each.upper is None else f"{each.upper:.3g}"
        tolerated = (
            "any is" if plan.tolerated_ratio is None else f"below {plan.tolerated_ratio:g} is"
        )
        yield (
            f"{each.name}: the canary fails at most {upper} times as often as the baseline; "
            f"{tolerated} tolerated"
        )
