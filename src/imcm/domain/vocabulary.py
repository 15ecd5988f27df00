"""
The words both aggregates speak: closed lists, small values, moments in time.

Members of the enumerations are storage format: add, never rename.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Container, Iterable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any, Final, ParamSpec, TypeAlias, TypeGuard, TypeVar

import attrs

from imcm.errors import InvalidValue, NaiveTimeError, shown
from imcm.plain import plain

P = ParamSpec("P")
T = TypeVar("T")

# --- time -----------------------------------------------------------------------------------------

_MINUTE: Final = timedelta(minutes=1)


def is_aware(value: datetime) -> bool:
    """
    Say whether a time says which instant it is: whether its zone gives it an offset.

    A zone may be there and give none. This is the one definition of an aware time.
    """
    if value.tzinfo is UTC:
        return True
    try:
        return value.utcoffset() is not None
    except Exception:
        return False


def offset_has_seconds(time: datetime) -> bool:
    """
    Say whether the UTC offset of an aware time has seconds.

    RFC 3339 has none in an offset; storing such a time would move the instant.
    """
    return time.tzinfo is not UTC and bool(time.utcoffset() % _MINUTE)  # type: ignore[operator]


def aware(_: object, attribute: attrs.Attribute[Any], value: Any) -> None:
    """
    Refuse a naive time and what is no moment: the validator on every moment of every event.

    None is left to what asks for the moment: imported facts may have none.
    """
    # As read back it is nearly always in UTC, and this runs for each event decoded.
    if value.__class__ is datetime and (value.tzinfo is UTC or is_aware(value)):
        return
    if value is not None and not isinstance(value, Between):
        aware_time(attribute.name, value)


def aware_time(name: str, value: object) -> datetime:
    """
    Return *value* if it is an aware time, as it is: what values that are read back ask.

    Raises:
        NaiveTimeError: It has no zone, or one that gives no offset.
        InvalidValue: It is no time; a data frame's "not a time" is none.
    """
    if not isinstance(value, datetime):
        raise InvalidValue(name, value, "give an aware datetime")
    if value != value:  # noqa: PLR0124 (what a data frame holds in the place of a time)
        raise InvalidValue(name, value, "it is no time; leave it out")
    if not is_aware(value):
        raise NaiveTimeError(name, value)
    return value


@attrs.frozen(kw_only=True)
class Between:
    """
    A moment that is known only to lie between two times, both included.

    Attributes:
        earliest: The first time it can have been, time-zone-aware.
        latest: The last time it can have been, time-zone-aware, not before *earliest*.
    """

    earliest: datetime
    latest: datetime

    def __attrs_post_init__(self) -> None:
        _are_times(self, "earliest", "latest")
        if self.latest < self.earliest:
            raise InvalidValue("latest", self.latest, f"it must not be before {self.earliest}")


Moment: TypeAlias = datetime | Between
"""A time, or an earliest and a latest one. Always time-zone-aware."""


def time_after(at: datetime, length: timedelta) -> datetime | None:
    """Return the time so long after another one; None where the calendar ends before it."""
    try:
        return at + length
    except OverflowError:
        return None


def earliest(moment: Moment) -> datetime:
    """Return the first time *moment* can have been."""
    return moment.earliest if isinstance(moment, Between) else moment


def latest(moment: Moment) -> datetime:
    """Return the last time *moment* can have been."""
    return moment.latest if isinstance(moment, Between) else moment


def midpoint(moment: Moment) -> datetime:
    """
    Return the one time that stands for *moment* where a single one is needed.

    Windows, buckets, order and attribution use it. Odd widths round down to the microsecond.
    """
    if isinstance(moment, Between):
        # Integer microseconds, so that the same moment gives the same instant everywhere.
        width = (moment.latest - moment.earliest) // timedelta(microseconds=1)
        return moment.earliest + timedelta(microseconds=width // 2)
    return moment


def surely_before(first: Moment, second: Moment) -> bool:
    """Say whether *first* came before *second* however both are read."""
    return latest(first) < earliest(second)


def checked_time(name: str, value: object) -> datetime:
    """
    Return *value* as a time with a fixed offset: what every call asks that is given a time.

    A subclass of datetime (a data frame's time stamp) comes back as a datetime.

    Raises:
        NaiveTimeError: It has no zone, or one that gives no offset.
        InvalidValue: It is no time (a data frame's "not a time" is none), or one that can't be
            told in UTC.
    """
    if type(value) is datetime and value.tzinfo is UTC and not value.fold:
        return value  # as most are, and in that form already
    time = aware_time(name, value)
    offset = time.utcoffset()
    # A fixed offset keeps what the caller's wall clock said, and compares exactly: two times of
    # different ZoneInfo zones are never equal within a repeated hour. Made anew, since a subclass
    # of datetime (a data frame's time stamp) would stay one.
    try:
        fixed = datetime(
            time.year,
            time.month,
            time.day,
            time.hour,
            time.minute,
            time.second,
            time.microsecond,
            tzinfo=timezone(offset),  # type: ignore[arg-type]  # it is aware
        )
        fixed.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        # What is no time at all (a data frame's "not a time"), or lies before the year 1 or after
        # the year 9999 in UTC, where nothing could be computed from it.
        allowed = "a time that can be told in UTC, from the year 1 to the year 9999"
        raise InvalidValue(name, value, allowed) from None
    return fixed


def optional_time(name: str, value: object) -> datetime | None:
    """Return *value* as `checked_time` does, or None for None."""
    return None if value is None else checked_time(name, value)


def _are_times(holder: object, *names: str) -> None:
    """Refuse a value of which one of these is no aware time."""
    for name in names:
        aware_time(name, getattr(holder, name))


def _normal_time(name: str, value: object) -> datetime:
    """Return a time as events keep it."""
    time = checked_time(name, value)
    if offset_has_seconds(time):
        raise InvalidValue(name, value, "its UTC offset must be whole minutes; convert it to UTC")
    return time


def checked_moment(name: str, value: object) -> Moment:
    """
    Return *value* as a moment with fixed offsets, the form in which events keep it.

    Raises:
        NaiveTimeError: A time without a zone.
        InvalidValue: Not a time, or an offset that is not whole minutes.
    """
    if isinstance(value, Between):
        return Between(
            earliest=_normal_time(f"{name}.earliest", value.earliest),
            latest=_normal_time(f"{name}.latest", value.latest),
        )
    if not isinstance(value, datetime):
        raise InvalidValue(name, value, "give a datetime, or Between(earliest=..., latest=...)")
    return _normal_time(name, value)


def optional_moment(name: str, value: object) -> Moment | None:
    """Return *value* as `checked_moment` does, or None for None."""
    return None if value is None else checked_moment(name, value)


@attrs.frozen(kw_only=True)
class Window:
    """
    A planned stretch of time, from *start* up to but without *end*.

    Attributes:
        start: First instant in the window, time-zone-aware.
        end: First instant after it, time-zone-aware, later than *start*.
    """

    start: datetime
    end: datetime

    def __attrs_post_init__(self) -> None:
        _are_times(self, "start", "end")
        if self.end <= self.start:
            raise InvalidValue("end", self.end, f"it must be after the start, {self.start}")

    def contains(self, other: Window) -> bool:
        """Say whether *other* lies inside this window; equal windows do."""
        inner = _window("other", other)
        return self.start <= inner.start and inner.end <= self.end

    def overlaps(self, other: Window) -> bool:
        """Say whether the two share an instant; back-to-back windows do not."""
        beside = _window("other", other)
        return self.start < beside.end and beside.start < self.end


def checked_window(name: str, value: Window | None) -> Window | None:
    """Return *value* with fixed offsets; None stays None."""
    if value is None:
        return None
    given = _window(name, value)
    return Window(
        start=_normal_time(f"{name}.start", given.start), end=_normal_time(f"{name}.end", given.end)
    )


def _window(name: str, value: object) -> Window:
    if not isinstance(value, Window):
        raise InvalidValue(name, value, "give Window(start=..., end=...)")
    return value


# --- looking at untrusted values -----------------------------------------------------------------


def is_mapping(value: object) -> TypeGuard[Mapping[Any, Any]]:
    """Say whether *value* is a mapping, of whatever."""
    return isinstance(value, Mapping)


def is_list(value: object) -> TypeGuard[Iterable[Any]]:
    """Say whether *value* can be gone through one by one and is no text."""
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes))


NOTHING_TOLD: Final[Mapping[Any, Any]] = {}
"""The empty mapping of every state and row that has none of something; never changed."""


# --- ids, names, words ----------------------------------------------------------------------------

LONGEST_ID: Final = 200


def known_id(name: str, value: object) -> str:
    """
    Return *value* if it can be the id of an incident or a change that is there already.

    An id is text in Unicode's NFC form, of 1 to 200 characters, without control characters and
    with no blank at either end. Case is kept. Older logs may hold ids with signs that nobody sees;
    those stay usable, and new ones are asked `checked_id`.

    Raises:
        InvalidValue: It is not.
    """
    if not isinstance(value, str):
        raise InvalidValue(name, value, "an id is text")
    if not value or len(value) > LONGEST_ID:
        raise InvalidValue(name, value, f"an id has 1 to {LONGEST_ID} characters")
    if value != value.strip():
        raise InvalidValue(name, value, "an id has no blank at either end")
    if value.isascii() and value.isprintable():
        return value  # as nearly every id is
    if any(unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} for c in value):
        raise InvalidValue(name, value, "an id has no control characters")
    if not unicodedata.is_normalized("NFC", value):
        fixed = unicodedata.normalize("NFC", value)
        raise InvalidValue(name, value, f"write it in Unicode NFC: {fixed!r}")
    return value


def checked_id(name: str, value: object) -> str:
    """
    Return *value* if it can be the id of a new incident or change, a person or a service.

    Beside what `known_id` asks, it holds no sign that a screen hides or that reorders what stands
    beside it: two ids that look the same would be two, and one person could pass for two. Joiners
    stay between letters that need them.

    Raises:
        InvalidValue: It is not.
    """
    id_ = known_id(name, value)
    if id_.isascii():
        return id_
    shown = plain(id_)
    if shown != id_:
        raise InvalidValue(
            name, shown, f"an id has no invisible or reordering signs; this one reads {shown}"
        )
    return id_


def optional_id(name: str, value: object) -> str | None:
    """Return *value* as `checked_id` does, or None for None."""
    return None if value is None else checked_id(name, value)


def optional_known_id(name: str, value: object) -> str | None:
    """Return *value* as `known_id` does, or None for None."""
    return None if value is None else known_id(name, value)


LONGEST_ADDRESS: Final = 2_000


def checked_address(name: str, value: object) -> str:
    """
    Return *value* if it can be where something stands elsewhere: one line, such as a URL.

    Raises:
        InvalidValue: It is empty, too long, or holds signs that a screen obeys, hides or reorders.
    """
    address = checked_text(name, value)
    if not address.strip() or len(address) > LONGEST_ADDRESS or plain(address) != address:
        allowed = f"one line of at most {LONGEST_ADDRESS:,} characters, such as a URL"
        raise InvalidValue(name, plain(address[:LONGEST_ID]), allowed)
    return address


def folded(person: str) -> str:
    """
    Return the form in which ids of people are compared.

    Case, the width or the style of letters, how many blanks there are (none beside a dash) and
    which dash it is make no other person. Letters of another script that look alike do: ids should
    come from a directory. See `reads_as`.
    """
    if person.isascii() and " " not in person:
        return person.casefold()
    told = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", person).casefold())
    return _AT_DASHES.sub("-", " ".join(told.translate(_DASHES).split()))


def reads_as(person: str) -> str:
    """
    Return what an id looks like to whoever reads it: letters and digits that look alike are one.

    Two people may have ids that read alike; what rests on their being two is worth a look. Only
    the letters of Latin, Cyrillic and Greek that can hardly be told apart are taken for each other.
    """
    return folded(person.replace("I", "l")).translate(_LOOKS_LIKE)


_DASHES: Final = dict.fromkeys(
    map(ord, "\u02d7\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u2212\u2796\u10eb"), "-"
)
_AT_DASHES: Final = re.compile(" ?- ?")
_LOOKS_LIKE: Final = str.maketrans(
    # Cyrillic
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0455\u0458\u04bb\u0501\u051b\u051d"
    "\u043a\u043c\u0442\u043d\u0432"
    # Greek
    "\u03bf\u03b1\u03bd\u03b9\u03ba\u03c1\u03c4\u03c5\u03c7"
    # Latin, and digits
    "\u0131\u029f\u026a\u02611|0",
    "aeopcyxisjhdqwkmthboavikptuxiligllo",
)


def checked_services(value: object) -> tuple[str, ...]:
    """Return service names as a tuple, in the order given, each once."""
    if not is_list(value):
        raise InvalidValue("services", value, 'give a list of names, for example ["payments"]')
    return tuple(dict.fromkeys(checked_id("services", name) for name in value))


def changed_labels(value: object) -> dict[str, str | None]:
    """Return what is said anew of labels, sorted by name: each with its text, or None to go."""
    if not is_mapping(value):
        raise InvalidValue("labels", value, 'give a mapping, for example {"team": "core"}')
    kept = checked_labels({name: text for name, text in value.items() if text is not None})
    gone = [checked_id("labels", name) for name, text in value.items() if text is None]
    return dict(sorted({**kept, **dict.fromkeys(gone)}.items()))


def checked_labels(value: object) -> dict[str, str]:
    """Return labels as a new mapping sorted by name."""
    if not is_mapping(value):
        raise InvalidValue("labels", value, 'give a mapping, for example {"team": "core"}')
    for name, text in value.items():
        checked_id("labels", name)
        checked_words(f"labels[{shown(name)}]", text)
    return dict(sorted(value.items()))


LONGEST_WORDS: Final = 100_000


def checked_words(name: str, value: object) -> str:
    """Return free text if it can be stored: text of at most 100,000 characters without NUL."""
    if not isinstance(value, str):
        raise InvalidValue(name, value, "give text")
    if len(value) > LONGEST_WORDS or "\x00" in value or not _encodable(value):
        allowed = f"text of at most {LONGEST_WORDS:,} characters, with no NUL or lone surrogate"
        raise InvalidValue(name, value, allowed)
    return value


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def says_something(name: str, value: object) -> bool:
    """Say whether free text that can be stored is more than blanks."""
    return bool(checked_words(name, value).strip())


def required_words(name: str, value: object, allowed: str = "say it in a few words") -> str:
    """Return free text that must say something; *allowed* tells what."""
    if not says_something(name, value):
        raise InvalidValue(name, value, allowed)
    return str(value)


E = TypeVar("E", bound=StrEnum)


def checked_member(name: str, value: object, members: type[E]) -> E:
    """Return *value* as a member of *members*; the stored word is accepted too."""
    if isinstance(value, members):
        return value
    if isinstance(value, str) and value in (member.value for member in members):
        return members(value)
    raise InvalidValue(name, value, f"one of {', '.join(members)}{near_hint(value, members)}")


def checked_flag(name: str, value: object) -> bool:
    """Return a value that is True or False; raise InvalidValue for any other."""
    if not isinstance(value, bool):
        raise InvalidValue(name, value, "True or False")
    return value


def near_hint(value: object, members: Iterable[str]) -> str:
    """Return which of some words, in small letters, may be meant, for an error; "" where none."""
    from difflib import get_close_matches  # it takes long to load, and is for mistakes alone

    text = value[:LONGEST_ID].casefold() if isinstance(value, str) else ""
    near = get_close_matches(text, list(members), n=1) if text else []
    return f"; near: {near[0]}" if near else ""


# --- closed lists of both practices ---------------------------------------------------------------


class Severity(StrEnum):
    """How bad an incident is, P1 the worst. Teams map their own scales onto these ranks."""

    P1 = "P1"  # critical outage
    P2 = "P2"  # major degradation
    P3 = "P3"  # minor issue
    P4 = "P4"  # low impact


SEVERITY_RANK: Final[Mapping[Severity, int]] = {s: i for i, s in enumerate(Severity, start=1)}


def highest(*severities: Severity | None) -> Severity | None:
    """Return the worst of the severities given (P1 is the worst), None if there is none."""
    return min(
        (s for s in severities if s is not None), key=SEVERITY_RANK.__getitem__, default=None
    )


class Symptom(StrEnum):
    """What was seen to be wrong."""

    SITE_DOWN = "site_down"
    LATENCY = "latency"
    ERRORS = "errors"
    DATABASE_CONNECTIONS = "database_connections"
    CRASH_LOOP = "crash_loop"
    CPU = "cpu"
    MEMORY = "memory"
    DISK = "disk"
    DATA = "data"
    SECURITY = "security"
    OTHER = "other"


class Channel(StrEnum):
    """How an incident was noticed."""

    MONITORING = "monitoring"
    USER = "user"
    SYNTHETIC = "synthetic"
    PERSON = "person"


class Mode(StrEnum):
    """Whether an incident is real. Drills and tests never count in metrics."""

    REAL = "real"
    DRILL = "drill"
    TEST = "test"


class DismissalReason(StrEnum):
    """Why something was no incident after all."""

    FALSE_POSITIVE = "false_positive"
    DUPLICATE = "duplicate"  # of something outside this ledger; inside it, merge
    EXPECTED = "expected"
    EXTERNAL = "external"


class MitigationKind(StrEnum):
    """What was tried in order to stop users being hurt."""

    ROLL_BACK = "roll_back"
    RESTART = "restart"
    SCALE = "scale"
    FEATURE_FLAG = "feature_flag"
    FAIL_OVER = "fail_over"
    HOTFIX = "hotfix"
    BLOCK_TRAFFIC = "block_traffic"
    OTHER = "other"


class AttemptResult(StrEnum):
    """What an attempt at mitigation did."""

    WORKED = "worked"
    NO_EFFECT = "no_effect"
    WORSE = "worse"


class HoldReason(StrEnum):
    """What an incident or a change waits for."""

    VENDOR = "vendor"
    CUSTOMER = "customer"
    CHANGE = "change"
    PROBLEM = "problem"
    OTHER = "other"


class Role(StrEnum):
    """What a person takes on during an incident."""

    INCIDENT_COMMANDER = "incident_commander"
    OPERATIONS = "operations"
    COMMUNICATIONS = "communications"
    SCRIBE = "scribe"


class Relation(StrEnum):
    """What one incident is to another."""

    CHILD_OF = "child_of"  # part of a larger one
    RECURRENCE_OF = "recurrence_of"  # the same again, after that one was over
    RELATED = "related"  # worth looking at together


class Audience(StrEnum):
    """Who an update is for."""

    INTERNAL = "internal"
    PUBLIC = "public"


class Verdict(StrEnum):
    """What a change has to do with an incident, as somebody stated it."""

    CAUSED = "caused"  # the deployment failed, to the figures
    FIXED = "fixed"  # the deployment is rework, to the figures
    SUSPECTED = "suspected"  # counts nowhere
    DISMISSED = "dismissed"  # never inferred again


class Degree(StrEnum):
    """How badly a service is affected."""

    DOWN = "down"
    DEGRADED = "degraded"
    AT_RISK = "at_risk"


class ChangeType(StrEnum):
    """By which path a change comes in."""

    STANDARD = "standard"  # approved at once, by its template
    NORMAL = "normal"  # approved by votes before it starts
    EMERGENCY = "emergency"  # may start before it is approved
    OBSERVED = "observed"  # found in production; nobody asked for it


class Kind(StrEnum):
    """What is being changed."""

    DEPLOYMENT = "deployment"
    PACKAGE_UPDATE = "package_update"
    SCALING = "scaling"
    FIREWALL = "firewall"
    SCHEMA = "schema"
    CONFIGURATION = "configuration"
    FEATURE_FLAG = "feature_flag"
    ROLLBACK = "rollback"
    OTHER = "other"


class Risk(StrEnum):
    """How likely and how bad a failure of a change would be."""

    LOW = "low"
    MODERATE = "moderate"
    HIGH = "high"


class Outcome(StrEnum):
    """How the work on a change ended; unknown where it is in production and nobody said."""

    COMPLETED = "completed"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"
    UNKNOWN = "unknown"

    def settled_by(self, result: Result | None) -> Outcome:
        """Return it as a result leaves it: that settles one that is unknown, and no other."""
        if self is not Outcome.UNKNOWN or result is None:
            return self
        return Outcome.FAILED if result is Result.UNSUCCESSFUL else Outcome.COMPLETED


class Result(StrEnum):
    """What the close of a change says of it."""

    SUCCESSFUL = "successful"
    SUCCESSFUL_WITH_ISSUES = "successful_with_issues"
    UNSUCCESSFUL = "unsuccessful"


class Authority(StrEnum):
    """In which capacity somebody approves."""

    PEER = "peer"
    CAB = "cab"
    SERVICE_OWNER = "service_owner"


class Actor(StrEnum):
    """What an id stands for; a policy says it, so that nobody can claim it."""

    PERSON = "person"
    SERVICE = "service"  # a pipeline, a monitor
    AGENT = "agent"  # an automated responder


MILESTONES: Final = (
    "impact_started",
    "detected",
    "declared",
    "acknowledged",
    "triaged",
    "mitigated",
    "resolved",
    "closed",
)
"""The milestones that every incident may have; a team marks others of its own beside them."""


MARK: Final = "mark:"
"""Stands in front of the name of a milestone of a team's own where one is asked for."""

A_MARK: Final = f"{MARK}<name>"
"""Among the choices there are: any milestone of a team's own."""


def checked_milestone(name: str, value: object) -> str:
    """
    Return *value* if it can be the name of a milestone of a team's own.

    Raises:
        InvalidValue: It can be no id, or it is one of `MILESTONES`, which have steps.
    """
    told = checked_id(name, value)
    if folded(told).replace(" ", "_").removesuffix("_at") in MILESTONES:
        allowed = "a name of your own: this milestone has a step, which records it"
        raise InvalidValue(name, told, allowed)
    if _NUMBERED.search(told):
        raise InvalidValue(name, told, "a name without # and digits at its end")
    if told.startswith(MARK):
        raise InvalidValue(
            name, told, "the name alone; mark: stands in front where it is asked for"
        )
    return told


_NUMBERED: Final = re.compile("#[0-9]+$")

NONE_GIVEN: Final = "(none)"
"""How figures call the group of what has no name, which therefore is none."""


def checked_tags(name: str, value: object) -> tuple[str, ...]:
    """Return tags as a tuple, in the order given, each once."""
    if not is_list(value) or is_mapping(value):
        raise InvalidValue(name, value, 'give a list of tags, for example ["configuration"]')
    tags = tuple(dict.fromkeys(checked_id(name, tag) for tag in value))
    if NONE_GIVEN in tags:
        raise InvalidValue(name, NONE_GIVEN, "another tag: so the group without any is called")
    return tags


class StatedDuration(StrEnum):
    """A duration a source gave by itself, kept beside what the moments say."""

    TIME_TO_RESTORE = "time_to_restore"
    TIME_TO_REPAIR = "time_to_repair"


# --- small values ---------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class ServiceImpact:
    """
    How badly one service is affected.

    Attributes:
        service: Its name.
        degree: How badly.
    """

    service: str
    degree: Degree


@attrs.frozen(kw_only=True)
class Impact:
    """
    Who is hit: services and how badly, customers by number or by share.

    Attributes:
        services: Each service once, with its degree.
        customers: How many customers are hit; None = not known.
        share: Which share of all customers is hit, 0 to 1; None = not known.
    """

    services: tuple[ServiceImpact, ...] = ()
    customers: int | None = None
    share: float | None = None

    def __attrs_post_init__(self) -> None:
        if self.services.__class__ is not tuple:
            # What can be read only once is read once: a step may have to decide again.
            services = tuple(self.services) if is_list(self.services) else self.services
            object.__setattr__(self, "services", services)
        if self.customers is not None and checked_number("customers", self.customers) < 0:
            raise InvalidValue("customers", self.customers, "a count is 0 or more")
        if self.share is not None and not (is_number(self.share) and 0 <= self.share <= 1):
            raise InvalidValue("share", self.share, "a share is a number from 0 to 1")


def checked_impact(name: str, value: object) -> Impact | None:
    """Return *value* if it is an impact, each service of it named once with its degree, or None."""
    if value is None:
        return None
    if not isinstance(value, Impact):
        raise InvalidValue(name, value, "give Impact(services=..., customers=..., share=...)")
    seen: dict[str, ServiceImpact] = {}
    for one in value.services:
        if not isinstance(one, ServiceImpact):
            raise InvalidValue(f"{name}.services", one, "give ServiceImpact(service=, degree=)")
        service = checked_id(f"{name}.services", one.service)
        if service in seen:
            raise InvalidValue(f"{name}.services", service, "each service once")
        degree = checked_member(f"{name}.degree", one.degree, Degree)
        seen[service] = ServiceImpact(service=service, degree=degree)
    return attrs.evolve(value, services=tuple(seen.values()))


@attrs.frozen(kw_only=True)
class Commit:
    """
    One commit that a change brought to production, with the moments lead time needs.

    Attributes:
        id: The commit's own id.
        authored_at, committed_at: When it was written and when it entered the branch.
        pull_request: The request it came with; *opened_at* and *merged_at* are that request's.
    """

    id: str
    authored_at: datetime | None = None
    committed_at: datetime | None = None
    pull_request: str | None = None
    opened_at: datetime | None = None
    merged_at: datetime | None = None

    def __attrs_post_init__(self) -> None:
        # There are very many commits; a validator for each time takes several times as long.
        for name in ("authored_at", "committed_at", "opened_at", "merged_at"):
            at = getattr(self, name)
            if at is not None and (at.__class__ is not datetime or at.tzinfo is not UTC):
                aware_time(name, at)


def _optional_normal(name: str, value: datetime | None) -> datetime | None:
    return None if value is None else _normal_time(name, value)


def checked_commits(value: object) -> tuple[Commit, ...]:
    """Return commits with fixed offsets, in the order given; an id may come once."""
    if not is_list(value):
        raise InvalidValue("commits", value, "give a list of Commit(id=..., committed_at=...)")
    seen: dict[str, Commit] = {}
    for commit in value:
        if not isinstance(commit, Commit):
            raise InvalidValue("commits", commit, "give Commit(id=..., committed_at=...)")
        checked_id("commits.id", commit.id)
        if commit.id in seen:
            raise InvalidValue("commits.id", commit.id, "each commit once")
        seen[commit.id] = attrs.evolve(
            commit,
            pull_request=optional_id("commits.pull_request", commit.pull_request),
            authored_at=_optional_normal("commits.authored_at", commit.authored_at),
            committed_at=_optional_normal("commits.committed_at", commit.committed_at),
            opened_at=_optional_normal("commits.opened_at", commit.opened_at),
            merged_at=_optional_normal("commits.merged_at", commit.merged_at),
        )
    return tuple(seen.values())


@attrs.frozen(kw_only=True)
class Counts:
    """
    Requests seen and errors among them, in one stretch of watching.

    Attributes:
        requests: How many were seen.
        errors: How many of them failed.
    """

    requests: int
    errors: int

    def __attrs_post_init__(self) -> None:
        requests = checked_number("requests", self.requests)
        if not 0 <= checked_number("errors", self.errors) <= requests:
            allowed = "0 <= errors <= requests"
            value = f"{shown(self.errors)} of {shown(self.requests)} requests"
            raise InvalidValue("errors", value, allowed)


def checked_counts(name: str, value: object) -> Counts | None:
    """Return *value* if it is counts or None."""
    if value is None or isinstance(value, Counts):
        return value
    raise InvalidValue(name, value, "give Counts(requests=..., errors=...)")


def checked_number(name: str, value: object) -> int:
    """Return *value* if it is a whole number; whether there is such a one, a guard says."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidValue(name, value, "a whole number")
    if not -(1 << 63) <= value < 1 << 64:
        raise InvalidValue(name, value, "a whole number of at most 64 bits")
    return value


def checked_text(name: str, value: object) -> str:
    """Return *value* if it is text, of whatever length: a question, and nothing to be kept."""
    if not isinstance(value, str):
        raise InvalidValue(name, value, "give text")
    return value


def checked_function(name: str, value: Callable[P, T]) -> Callable[P, T]:
    """Return *value* if it can be called."""
    if not callable(value):
        raise InvalidValue(name, value, "give a function")
    return value


def is_among(value: object, allowed: Container[object]) -> bool:
    """Say whether *value* is one of some names and numbers; anything else is compared with none."""
    return isinstance(value, (str, int, float, type(None))) and value in allowed


def is_number(value: object) -> TypeGuard[int | float]:
    """Say whether *value* is a number; True and False are answers, and no numbers."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


@attrs.frozen(kw_only=True)
class PolicyRef:
    """Which policy a decision was taken under, and what it said."""

    name: str
    version: str
    said: str


PRODUCTION: Final[frozenset[str]] = frozenset({"production", "prod", "live"})
"""Names of environments that mean production unless told otherwise; no name means it too."""
