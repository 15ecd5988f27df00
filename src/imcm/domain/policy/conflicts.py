"""
Which scheduled changes are in each other's way, and when there is room for another one.

Two changes conflict when they are in the same environment, their windows share an instant, and
they touch the same service, or a service of one depends on a service of the other. Windows that
are back to back share none.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain, compress, islice
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

import attrs

from imcm.domain.policy.scope import Content, checked_content
from imcm.domain.policy.tables import made, refuse_others
from imcm.domain.vocabulary import (
    NOTHING_TOLD,
    PRODUCTION,
    ChangeType,
    Window,
    checked_id,
    checked_labels,
    checked_member,
    checked_number,
    checked_text,
    checked_time,
    folded,
    is_list,
    is_mapping,
    known_id,
    optional_known_id,
)
from imcm.errors import InvalidValue
from imcm.plain import quoted

if TYPE_CHECKING:
    from imcm.domain.policy.freezes import Freeze, MaintenanceWindow

LARGEST: Final = 50_000
"""How many services `Dependencies` may name."""

DEEPEST: Final = 20
"""How many steps `Dependencies.depth` may be, where it is not any number."""

LONGEST: Final = timedelta(days=366)
"""How long `next_free` looks for room at most: no maintenance window is told to last longer."""

FURTHEST: Final = timedelta(days=36_525)
"""How far ahead `next_free` looks: a hundred years."""

_YEARS: Final = (3, 9980)
"""Between them, weekly stretches are told of every time and of the year that follows it."""

_SHOWN: Final = 6
"""Services of a path that are told in a sentence."""

_Table: TypeAlias = Mapping[str, tuple[str, ...]]
_Stretch: TypeAlias = tuple[datetime, datetime]


# --- which service depends on which ---------------------------------------------------------------


@attrs.frozen
class _Graph:
    """
    Dependencies by folded names; each service that is named has a row in both tables.

    Attributes:
        below: What a service depends on.
        above: What depends on it.
        spelt: How it is written.
    """

    below: _Table
    above: _Table
    spelt: Mapping[str, str]


def _depends_on(value: object) -> Mapping[str, tuple[str, ...]]:
    """Return a map of dependencies in one form: sorted, each service and dependency once."""
    if not is_mapping(value):
        allowed = 'services and what they depend on, such as {"checkout": ["payments"]}'
        raise InvalidValue("depends_on", value, allowed)
    spelt: dict[str, str] = {}

    def key(name: object) -> str:
        service = checked_id("depends_on", name)
        spelt.setdefault(folded(service), service)
        return folded(service)

    below: dict[str, set[str]] = {}
    for service, others in value.items():
        mine = below.setdefault(key(service), set())
        if not is_list(others) or is_mapping(others):
            raise InvalidValue("depends_on", others, 'a list of services, such as ["payments"]')
        mine.update(map(key, others))
        mine.discard(folded(service))
    if len(spelt) > LARGEST:
        raise InvalidValue("depends_on", f"{len(spelt):,} services", f"at most {LARGEST:,}")
    return {
        spelt[service]: tuple(spelt[other] for other in sorted(below[service]))
        for service in sorted(below)
    }


def _depth(value: object) -> int | None:
    if value is None:
        return None
    depth = checked_number("depth", value)
    if not 1 <= depth <= DEEPEST:
        raise InvalidValue("depth", value, f"1 to {DEEPEST} steps, or None for any number")
    return depth


@attrs.frozen(kw_only=True)
class Dependencies:
    """
    Which service depends on which: whose change may hurt whom.

        Dependencies(depends_on={"checkout": ["payments"], "payments": ["database"]})

    A change of a service is felt by all that depend on it, over however many others, so any number
    of steps counts unless *depth* says less: with depth=1 only what is named as a dependency does,
    for maps that name indirect ones, too, or where nearly everything stands on a few platforms.
    Two services that depend on the same third are not related by that.

    Attributes:
        name, version: How decisions taken with it refer to it.
        depends_on: What each service depends on. Names are compared as ids of people are, whatever
            their case. Loops may be; that a service depends on itself says nothing, and is left
            out. At most 50,000 services.
        depth: How many steps of dependency relate two services, 1 to 20; None is any number.

    Raises:
        InvalidValue: One of them is not as described.
    """

    name: str = "default"
    version: str = "1"
    depends_on: Mapping[str, tuple[str, ...]] = attrs.field(
        factory=dict[str, tuple[str, ...]], converter=_depends_on
    )
    depth: int | None = attrs.field(default=None, converter=_depth)
    _graph: _Graph = attrs.field(default=_Graph({}, {}, {}), init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        checked_id("name", self.name)
        checked_id("version", self.version)
        spelt: dict[str, str] = {}
        below: dict[str, list[str]] = {}
        above: dict[str, list[str]] = {}
        for service, others in self.depends_on.items():
            for name in (service, *others):
                spelt.setdefault(folded(name), name)
                below.setdefault(folded(name), [])
                above.setdefault(folded(name), [])
            for other in others:
                below[folded(service)].append(folded(other))
                above[folded(other)].append(folded(service))
        graph = _Graph(
            {name: tuple(row) for name, row in below.items()},
            {name: tuple(row) for name, row in above.items()},
            spelt,
        )
        object.__setattr__(self, "_graph", graph)

    def __hash__(self) -> int:
        """Hash what decisions call it."""
        return hash((self.name, self.version))

    def related(self, services: Iterable[str]) -> tuple[str, ...]:
        """
        Return these services, what they depend on, and what depends on them, sorted by name.

        Args:
            services: Names; those that the map does not have are related to themselves alone.
        """
        given = {folded(name): name for name in _services(services)}
        near = set(given)
        for table in (self._graph.below, self._graph.above):
            near.update(_walked(table, dict.fromkeys(given), self.depth))
        names = {**self._graph.spelt, **given}
        return tuple(names[key] for key in sorted(near))

    def path(self, services: Iterable[str], others: Iterable[str]) -> tuple[str, ...]:
        """
        Return how a service of some and one of others are related: by the fewest steps.

        Each service of the path depends on the next. It begins among either and ends among the
        other, where both are as short among *services*. A service that is among both is a path by
        itself; where none are related it is ().
        """
        mine = {folded(name): name for name in _services(services)}
        theirs = {folded(name): name for name in _services(others)}
        down, up = self._down(mine, theirs), self._down(theirs, mine)
        shortest = up if up and not 0 < len(down) <= len(up) else down
        names = {**theirs, **mine, **self._graph.spelt}
        return tuple(names[key] for key in shortest)

    def _down(self, services: Iterable[str], others: Container[str]) -> list[str]:
        """Return the shortest way from some services down to others, by folded names."""
        came_from: dict[str, str | None] = dict.fromkeys(services)
        walked = chain(list(came_from), _walked(self._graph.below, came_from, self.depth))
        end = next((name for name in walked if name in others), None)
        way: list[str] = []
        while end is not None:
            way.append(end)
            end = came_from[end]
        return way[::-1]

    def among(self, services: Iterable[str]) -> dict[str, int]:
        """
        Return which of some services are related to each of them: bit n is set for the n-th.

        Names are folded. It is asked once for thousands of services; what the map does not name is
        left out, and has no number.
        """
        graph = self._graph
        named = [name for name in map(folded, _services(services)) if name in graph.spelt]
        bits = {name: 1 << number for number, name in enumerate(named)}
        if self.depth is None:
            masks = _by_components(graph, bits)
        else:
            down, up = (_within(table, bits, self.depth) for table in (graph.below, graph.above))
            masks = {name: down[name] | up[name] for name in named}
        return {name: masks[name] for name in named}

    def __str__(self) -> str:
        count = sum(map(len, self.depends_on.values()))
        how_far = "" if self.depth is None else f", related over at most {self.depth} of them"
        return (
            f"dependencies {quoted(self.name)} {quoted(self.version)}: "
            f"{len(self._graph.spelt):,} services, {count:,} dependencies{how_far}"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON and TOML; `from_dict` reads them back."""
        plain: dict[str, Any] = {
            "name": self.name,
            "version": self.version,
            "depends_on": {service: list(others) for service, others in self.depends_on.items()},
        }
        if self.depth is not None:
            plain["depth"] = self.depth
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """
        Return what `as_dict` wrote, or the table of a TOML file.

        Raises:
            InvalidValue: A part is unknown or not as described.
        """
        if not is_mapping(plain):
            raise InvalidValue("dependencies", plain, "a mapping, as as_dict gives it")
        refuse_others("dependencies", plain, ("name", "version", "depends_on", "depth"))
        return made(cls, "dependencies", plain)


def _walked(table: _Table, came_from: dict[str, str | None], depth: int | None) -> Iterator[str]:
    """
    Yield what can be reached, nearest first.

    Args:
        came_from: Where it begins; what is reached is added, with what it was reached from.
        depth: How many steps it goes at most.
    """
    level = list(came_from)
    steps = 0
    while level and steps != depth:
        reached: list[str] = []
        for name in level:
            for other in table.get(name, ()):
                if other not in came_from:
                    came_from[other] = name
                    reached.append(other)
                    yield other
        level = reached
        steps += 1


def _within(table: _Table, bits: Mapping[str, int], depth: int) -> dict[str, int]:
    """Return the bits of what each service reaches in so many steps, itself included."""
    masks = {name: bits.get(name, 0) for name in table}
    for _ in range(depth):
        wider: dict[str, int] = {}
        for name, others in table.items():
            mask = masks[name]
            for other in others:
                mask |= masks[other]
            wider[name] = mask
        if wider == masks:
            break
        masks = wider
    return masks


def _by_components(graph: _Graph, bits: Mapping[str, int]) -> dict[str, int]:
    """
    Return the bits of what each service reaches or is reached from, itself included.

    Services that depend on each other reach the same. Such components have no loops among them,
    so each is looked at once, after all that it depends on, and once after all that depend on it.
    """
    components = _components(graph)
    number = {name: n for n, component in enumerate(components) for name in component}
    own = [0] * len(components)
    for name, n in number.items():
        own[n] |= bits.get(name, 0)
    down, up = own, own[:]
    for table, masks, order in (
        (graph.below, down, reversed(range(len(components)))),
        (graph.above, up, range(len(components))),
    ):
        for n in order:
            for near in {number[other] for name in components[n] for other in table[name]}:
                masks[n] |= masks[near]
    related = [below | above for below, above in zip(down, up, strict=True)]
    return {name: related[n] for name, n in number.items() if name in bits}


def _components(graph: _Graph) -> list[list[str]]:
    """
    Return the services in groups that depend on each other, each before what it depends on.

    Two walks: one notes the order in which services are done with, the other gathers against the
    direction from the last one on (Kosaraju and Sharir).
    """
    done: list[str] = []
    seen: set[str] = set()
    for first in graph.below:
        if first in seen:
            continue
        seen.add(first)
        stack = [(first, iter(graph.below[first]))]
        while stack:
            name, others = stack[-1]
            for other in others:
                if other not in seen:
                    seen.add(other)
                    stack.append((other, iter(graph.below[other])))
                    break
            else:
                done.append(name)
                stack.pop()
    components: list[list[str]] = []
    gathered: set[str] = set()
    for first in reversed(done):
        if first in gathered:
            continue
        gathered.add(first)
        component = [first]
        for name in component:  # it grows meanwhile
            for other in graph.above[name]:
                if other not in gathered:
                    gathered.add(other)
                    component.append(other)
        components.append(component)
    return components


# --- what is scheduled ----------------------------------------------------------------------------


def _services(value: object) -> tuple[str, ...]:
    """Return names of services as a tuple, each once, however it is spelt."""
    if not is_list(value) or is_mapping(value):
        raise InvalidValue("services", value, 'give a list of names, for example ["payments"]')
    names: dict[str, str] = {}
    for each in value:
        name = known_id("services", each)
        names.setdefault(folded(name), name)
    return tuple(names.values())


def _utc(name: str, value: object) -> Window:
    if not isinstance(value, Window):
        raise InvalidValue(name, value, "give Window(start=..., end=...)")
    start, end = checked_time(name, value.start), checked_time(name, value.end)
    return Window(start=start.astimezone(UTC), end=end.astimezone(UTC))


def _window(value: object) -> Window:
    return _utc("window", value)


def _environment(name: str | None) -> str:
    """Return the form in which environments are compared; see `scope.are_in`."""
    environment = "production" if name is None else folded(name)
    return "production" if environment in PRODUCTION else environment


@attrs.frozen(kw_only=True)
class Planned:
    """
    What a change that is scheduled occupies: services of an environment, for some time.

    Attributes:
        id: Of the change.
        window: When it is to be done; kept in UTC.
        services: What it touches; of a change that touches none nothing is in the way.
        environment: Where; None is production, as is each of its names.

    Raises:
        InvalidValue: One of them is not as described.
    """

    id: str
    window: Window = attrs.field(converter=_window)
    services: tuple[str, ...] = attrs.field(default=(), converter=_services)
    environment: str | None = None

    def __attrs_post_init__(self) -> None:
        known_id("id", self.id)
        optional_known_id("environment", self.environment)

    def __str__(self) -> str:
        services = ", ".join(map(quoted, self.services)) or "no service"
        where = quoted("production" if self.environment is None else self.environment)
        window = f"{self.window.start} to {self.window.end}"
        return f"{quoted(self.id)}: {services} in {where}, {window}"

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON, times in UTC as ISO 8601 text."""
        return {
            "id": self.id,
            "start": self.window.start.isoformat(),
            "end": self.window.end.isoformat(),
            "services": list(self.services),
            "environment": self.environment,
        }


def _order(change: Planned) -> tuple[datetime, datetime, str]:
    return change.window.start, change.window.end, change.id


def _scheduled(value: object) -> list[Planned]:
    """Return what is scheduled as a list; no two have one id."""
    given: list[object] = list(value) if is_list(value) else [value]
    changes: dict[str, Planned] = {}
    for each in given:
        if not isinstance(each, Planned):
            allowed = "a list of Planned(id=..., window=..., services=...)"
            raise InvalidValue("planned", each, allowed)
        if each.id in changes:
            raise InvalidValue("planned", each.id, "each id once: a change has one window")
        changes[each.id] = each
    return list(changes.values())


def _checked_dependencies(value: object) -> Dependencies | None:
    if value is not None and not isinstance(value, Dependencies):
        raise InvalidValue("dependencies", value, "give Dependencies(depends_on=...), or None")
    return value


# --- conflicts ------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Conflict:
    """
    Two scheduled changes that are in each other's way.

    Attributes:
        first, second: Their ids; the first is the one that starts earlier, of two that start at
            once the one that ends earlier, then the one whose id sorts first.
        window: When both are being done, in UTC.
        services: What both touch, as the first one names it; () where dependencies alone relate
            them.
    """

    first: str
    second: str
    window: Window
    services: tuple[str, ...] = ()
    _find_path: Callable[[], tuple[str, ...]] | None = attrs.field(
        default=None, alias="find_path", eq=False, repr=False
    )

    @property
    def path(self) -> tuple[str, ...]:
        """
        The services by which dependencies relate the two; () where both touch the same service.

        Each depends on the next; of several such paths, see `Dependencies.path`. The first service
        is of either change, the last of the other.
        """
        return () if self._find_path is None else self._find_path()

    def __str__(self) -> str:
        """Return in one sentence which two it is, when, and why."""
        first, second = quoted(self.first), quoted(self.second)
        when = f"{self.window.start} to {self.window.end}"
        return f"{first} and {second} overlap from {when}: {self._why()}"

    def _why(self) -> str:
        if self.services:
            return f"both touch {', '.join(map(quoted, self.services))}"
        path = list(map(quoted, self.path))
        if not path:
            return "they are related"
        over = path[1:-1]
        if len(over) > _SHOWN:
            over = [*over[: _SHOWN - 1], f"{len(over) - _SHOWN + 1:,} more"]
        by = f" over {', '.join(over)}" if over else ""
        return f"{path[0]} depends on {path[-1]}{by}"

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values for JSON, times in UTC as ISO 8601 text."""
        return {
            "first": self.first,
            "second": self.second,
            "start": self.window.start.isoformat(),
            "end": self.window.end.isoformat(),
            "services": list(self.services),
            "path": list(self.path),
        }


def conflicts(
    planned: Iterable[Planned],
    dependencies: Dependencies | None = None,
    *,
    most: int | None = None,
) -> tuple[Conflict, ...]:
    """
    Return which scheduled changes conflict, each two once, in the order in which that begins.

    Two changes do when they are in the same environment, their windows share an instant, and a
    service of one is, or is related by dependencies to, a service of the other. It takes the time
    of sorting the changes, of looking at each dependency, and of the conflicts there are.

    Args:
        planned: What is scheduled; each id once.
        dependencies: Which service depends on which; None: no service is related to another.
        most: So many of them, from the first on; None: all. Of n changes that all conflict there
            are n (n - 1) / 2.

    Raises:
        InvalidValue: One of them is not as described.
    """
    changes = sorted(_scheduled(planned), key=_order)
    known = _checked_dependencies(dependencies)
    if most is not None and not 1 <= checked_number("most", most) <= 1 << 62:
        raise InvalidValue("most", most, "a number from 1 on, or None for all")
    services, masks = _numbered(changes, known)
    met: list[Conflict] = []
    for second, first in islice(_overlapping(changes, services, masks), most):
        mine, theirs = changes[first], set(services[second])
        shared = [number in theirs for number in services[first]]
        names = tuple(compress(mine.services, shared)) if True in shared else ()
        met.append(_conflict(mine, changes[second], names, known))
    return tuple(met)


def _conflict(
    first: Planned, second: Planned, services: tuple[str, ...], dependencies: Dependencies | None
) -> Conflict:
    ends = min(first.window.end, second.window.end)
    find_path = None
    if dependencies is not None and not services:
        find_path = partial(dependencies.path, first.services, second.services)
    return Conflict(
        first=first.id,
        second=second.id,
        window=Window(start=second.window.start, end=ends),
        services=services,
        find_path=find_path,
    )


def _overlapping(
    changes: Sequence[Planned], services: Sequence[Sequence[int]], masks: Sequence[int]
) -> Iterator[tuple[int, int]]:
    """
    Yield the places of two changes that conflict, the one that starts later in front.

    One walk over the starts. Services with changes that are going on are bits of a number, one
    number for each environment, so that finding which of them are related to those of a change
    costs next to nothing where none is: whatever is looked at then is a conflict.

    Args:
        changes: In order.
        services, masks: As `_numbered` tells them.
    """
    environments = [_environment(change.environment) for change in changes]
    going_on: dict[str, dict[int, set[int]]] = {name: {} for name in environments}
    busy = dict.fromkeys(environments, 0)
    starts = [change.window.start for change in changes]
    ends = [change.window.end for change in changes]
    named = len(masks)
    by_end = sorted(range(len(changes)), key=ends.__getitem__)
    ended = 0
    for place, start in enumerate(starts):
        while ends[over := by_end[ended]] <= start:
            where = environments[over]
            for service in services[over]:
                others = going_on[where][service]
                others.discard(over)
                if not others and service < named:
                    busy[where] ^= 1 << service
            ended += 1
        where = environments[place]
        here = going_on[where]
        near = 0
        met: set[int] = set()
        for service in services[place]:
            if service < named:
                near |= masks[service]
            else:
                met |= here.get(service, met)
        near &= busy[where]
        while near:
            lowest = near & -near
            met |= here[lowest.bit_length() - 1]
            near ^= lowest
        for other in sorted(met):
            yield place, other
        for service in services[place]:
            if service in here:
                here[service].add(place)
            else:
                here[service] = {place}
            if service < named:
                busy[where] |= 1 << service


def _numbered(
    changes: Iterable[Planned], dependencies: Dependencies | None
) -> tuple[list[tuple[int, ...]], list[int]]:
    """
    Return the services of each change by number, and to which others a number is related, as bits.

    Services that dependencies name have the lowest numbers, and only they have such bits.
    """
    scheduled = [*dict.fromkeys(name for change in changes for name in change.services)]
    masks = {} if dependencies is None else dependencies.among(scheduled)
    numbers = {key: number for number, key in enumerate(masks)}
    number = {name: numbers.setdefault(folded(name), len(numbers)) for name in scheduled}
    services = [tuple(number[name] for name in change.services) for change in changes]
    return services, list(masks.values())


def conflicts_of(
    mine: Planned, planned: Iterable[Planned], dependencies: Dependencies | None = None
) -> tuple[Conflict, ...]:
    """
    Return the conflicts of one change with the others, in the order in which they begin.

    Args:
        mine: What it occupies, or would.
        planned: What is scheduled; what it says of the same change is left out.
        dependencies: Which service depends on which; None: no service is related to another.

    Raises:
        InvalidValue: One of them is not as described.
    """
    if not isinstance(mine, Planned):
        raise InvalidValue("mine", mine, "give Planned(id=..., window=..., services=...)")
    known = _checked_dependencies(dependencies)
    others = [
        change
        for change in _scheduled(planned)
        if change.id != mine.id and change.window.overlaps(mine.window)
    ]
    met = _related(mine.services, mine.environment, others, known)
    both = [(c, mine) if _order(c) < _order(mine) else (mine, c) for c in met]
    both.sort(key=lambda pair: (_order(pair[1]), _order(pair[0])))
    return tuple(_conflict(*pair, _shared(*pair), known) for pair in both)


def _shared(first: Planned, second: Planned) -> tuple[str, ...]:
    theirs = set(map(folded, second.services))
    return tuple(name for name in first.services if folded(name) in theirs)


def _related(
    services: Iterable[str],
    environment: str | None,
    changes: Iterable[Planned],
    dependencies: Dependencies | None,
) -> Iterator[Planned]:
    """Yield what of the scheduled changes touches, there, what is related to some services."""
    related = services if dependencies is None else dependencies.related(services)
    near, where = set(map(folded, related)), _environment(environment)
    for change in changes:
        touches = not near.isdisjoint(map(folded, change.services))
        if touches and _environment(change.environment) == where:
            yield change


# --- room for another one -------------------------------------------------------------------------


def next_free(
    duration: timedelta,
    *,
    content: Content,
    after: datetime,
    until: datetime,
    planned: Iterable[Planned] = (),
    dependencies: Dependencies | None = None,
    freezes: Iterable[Freeze] = (),
    maintenance: Iterable[MaintenanceWindow] = (),
    overridden: Mapping[str, Iterable[Window]] = NOTHING_TOLD,
    step: timedelta | None = None,
) -> Window | None:
    """
    Return the first window, in UTC, in which a change can be scheduled; None where there is none.

    It meets no freeze that is about the change, lies as a whole in one stretch of a maintenance
    window where any is about it, and conflicts with nothing that is scheduled: what `schedule`
    asks. For an emergency, as there, only what is scheduled counts.

    Such a window begins at *after*, where something ends, or where maintenance begins; only these
    times are looked at. The work grows with what is scheduled and with the weeks up to the answer,
    for each weekly freeze and maintenance window that is about the change.

    Args:
        duration: How long it takes: more than nothing, at most 366 days.
        content: What of the change says what is about it: `change.content_of`, or
            Content(services=["payments"]).
        after, until: It begins and ends between these aware times, both included: at most a
            hundred years, from the year 3 to the year 9980. Of a change whose window is approved,
            give that.
        planned: What is scheduled, without the change itself.
        dependencies: Which service depends on which; None: no service is related to another.
        freezes, maintenance: Those of the policy.
        overridden: By the name of a freeze, windows in which somebody who may lets it start.
        step: It begins a whole number of these after *after*, such as timedelta(minutes=15); None:
            at any time. At most 366 days.

    Raises:
        InvalidValue: One of them is not as described.
    """
    from imcm.domain.policy.freezes import Freeze, MaintenanceWindow, listed

    length = checked_duration("duration", duration)
    every = None if step is None else checked_duration("step", step)
    first, last = _horizon(after, until)
    about = _checked_scope(content)
    known = _checked_dependencies(dependencies)
    changes = _related(about.services, about.environment, _scheduled(planned), known)
    taken = sorted((change.window.start, change.window.end) for change in changes)
    rules = [each for each in listed("freezes", freezes, Freeze) if each.is_about(about)]
    windows = [
        each
        for each in listed("maintenance", maintenance, MaintenanceWindow)
        if each.is_about(about)
    ]
    free = _checked_overridden(overridden)
    if about.type is ChangeType.EMERGENCY:
        rules, windows = [], []
    obstacles = heapq.merge(
        taken,
        *(_without(rule.stretches(first, last), free.get(rule.name, ())) for rule in rules),
    )
    openings = heapq.merge(*(each.stretches(first, last) for each in windows))
    long_enough = (each for each in openings if each[1] - each[0] >= length)
    start = _first_start(
        obstacles,
        long_enough if windows else iter([(first, last)]),
        length=length,
        after=first,
        latest=last - length,
        step=every,
    )
    return None if start is None else Window(start=start, end=start + length)


def _first_start(
    obstacles: Iterator[_Stretch],
    openings: Iterator[_Stretch],
    *,
    length: timedelta,
    after: datetime,
    latest: datetime,
    step: timedelta | None,
) -> datetime | None:
    """
    Return the first start, not after *latest*, of something that long that is clear and open.

    No start before the end of an obstacle that is met, and none before the next opening where none
    is long enough, can be right; so the start goes forward to these, and each is looked at once.

    Args:
        obstacles, openings: In the order of their starts.
    """
    start, open_until = after, after
    obstacle, opening = next(obstacles, None), next(openings, None)
    while start <= latest:
        if step is not None:
            start = after - (after - start) // step * step  # rounded up
            if start > latest:
                return None
        tried = start
        while obstacle is not None and start <= latest and obstacle[0] < start + length:
            start = max(start, obstacle[1])
            obstacle = next(obstacles, None)
        if start != tried:
            continue
        while opening is not None and opening[0] <= start:
            open_until = max(open_until, opening[1])
            opening = next(openings, None)
        if start + length <= open_until:
            return start
        if opening is None:
            return None
        start = opening[0]
    return None


def _without(stretches: Iterator[_Stretch], holes: Sequence[_Stretch]) -> Iterator[_Stretch]:
    """Yield what is left of stretches without some others; both in order, and none overlap."""
    ahead = iter(holes)
    hole = next(ahead, None)
    for start, end in stretches:
        begin = start
        while hole is not None and hole[0] < end:
            if begin < hole[0]:
                yield begin, hole[0]
            begin = max(begin, hole[1])
            if end < hole[1]:
                break  # it may reach into the next stretch
            hole = next(ahead, None)
        if begin < end:
            yield begin, end


def checked_duration(name: str, value: object) -> timedelta:
    """Return *value* if it is as long as a window can be."""
    if not isinstance(value, timedelta):
        raise InvalidValue(name, value, "give a timedelta")
    # Made anew, since a subclass (a data frame's duration) would make other times than datetimes.
    length = timedelta(days=value.days, seconds=value.seconds, microseconds=value.microseconds)
    if not timedelta() < length <= LONGEST:
        raise InvalidValue(name, value, f"more than nothing, and at most {LONGEST.days} days")
    return length


def _horizon(after: object, until: object) -> _Stretch:
    first = checked_time("after", after).astimezone(UTC)
    last = checked_time("until", until).astimezone(UTC)
    for name, moment in (("after", first), ("until", last)):
        if not _YEARS[0] <= moment.year <= _YEARS[1]:
            raise InvalidValue(name, moment, f"a time in the years {_YEARS[0]} to {_YEARS[1]}")
    if last <= first:
        raise InvalidValue("until", until, f"it must be after {first}")
    if last - first > FURTHEST:
        raise InvalidValue("until", until, f"at most a hundred years after {first}")
    return first, last


def _checked_scope(value: object) -> Content:
    """Return what of a change says what is about it, with what is compared in it checked."""
    content = checked_content(value)
    return content._replace(
        type=checked_member("content.type", content.type, ChangeType),
        services=_services(content.services),
        environment=optional_known_id("content.environment", content.environment),
        labels=checked_labels(content.labels),
    )


def _checked_overridden(value: object) -> Mapping[str, tuple[_Stretch, ...]]:
    """Return windows by the name of a freeze, in order; those that touch are one."""
    if not is_mapping(value):
        allowed = 'windows by the name of a freeze, such as {"weekend": [Window(...)]}'
        raise InvalidValue("overridden", value, allowed)
    joined: dict[str, tuple[_Stretch, ...]] = {}
    for name, windows in value.items():
        freeze = checked_text("overridden", name)
        given: list[object] = list(windows) if is_list(windows) else [windows]
        holes: list[_Stretch] = []
        for window in sorted((_utc("overridden", each) for each in given), key=attrgetter("start")):
            if holes and window.start <= holes[-1][1]:
                holes[-1] = (holes[-1][0], max(holes[-1][1], window.end))
            else:
                holes.append((window.start, window.end))
        joined[freeze] = tuple(holes)
    return joined
