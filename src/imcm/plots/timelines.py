"""
What happened when: each event of an incident or a change, or many of both side by side.
"""

# The annotations of matplotlib leave arguments untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import TYPE_CHECKING, Final, NamedTuple

from imcm.domain.change_events import (
    ChangeObserved,
    ChangeStatus,
    RolloutAborted,
    RolloutAdvanced,
    RolloutPaused,
)
from imcm.domain.corrections import EDITS
from imcm.domain.incident_events import IncidentStatus, VerdictGiven
from imcm.domain.recorded import CHANGE, INCIDENT
from imcm.domain.vocabulary import Between, Verdict, earliest, is_list, is_mapping, latest
from imcm.errors import InvalidValue
from imcm.plain import count_of
from imcm.plots.canvas import axes_for, beside, finished, headed, key, plain_left, said, words
from imcm.plots.clock_scale import ClockScale
from imcm.plots.inks import RGB, Palette, mixed, palette_of
from imcm.projections.figures.units import utc, zone
from imcm.projections.histories.timeline import Entry, links_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_EVENTS: Final = 60
MOST_LANES: Final = 40
MOST_SERVICES: Final = 3
"""Of so many services the names are in the title."""

MOST_BARS: Final = 30
"""Of more statuses in one lane, those that stood longest are drawn."""

# --- lanes ----------------------------------------------------------------------------------------


class Pattern(NamedTuple):
    """How a status is drawn: its fill, hatching and edge, and what the legend says."""

    fill: RGB
    hatch: str
    edge: RGB
    label: str


_LOOKS: Final[Mapping[str, Mapping[str, str]]] = {
    INCIDENT: {
        IncidentStatus.DETECTED: "incident open",
        IncidentStatus.TRIAGED: "incident open",
        IncidentStatus.MITIGATING: "incident open",
        IncidentStatus.MITIGATED: "incident mitigated",
        IncidentStatus.RESOLVED: "incident resolved, until closed",
    },
    CHANGE: {
        ChangeStatus.DRAFT: "change planned",
        ChangeStatus.SUBMITTED: "change planned",
        ChangeStatus.APPROVED: "change planned",
        ChangeStatus.IMPLEMENTING: "change going in",
        ChangeStatus.IMPLEMENTED: "change in, until closed",
        ChangeStatus.VALIDATED: "change in, until closed",
    },
}
"""Statuses that last, by what they are called; closed, cancelled, dismissed or merged is over."""


def _pattern(label: str, ink: Palette) -> Pattern:
    """Return how a status of that name is drawn."""
    fill, hatch, edge = {
        "incident open": (ink.vermillion, "", ink.vermillion),
        "incident mitigated": (ink.orange, "////", ink.vermillion),
        "incident resolved, until closed": (ink.tint(ink.vermillion, 0.15), "....", ink.vermillion),
        "change planned": (ink.paper, "", ink.blue),
        "change going in": (ink.blue, "", ink.blue),
        "change in, until closed": (ink.tint(ink.blue, 0.2), "\\\\\\\\", ink.blue),
    }[label]
    return Pattern(fill, hatch, edge, label)


_OVER: Final = frozenset(
    {IncidentStatus.RESOLVED, ChangeStatus.IMPLEMENTED, ChangeStatus.VALIDATED}
)
"""Statuses that last only until something comes after; what stays in one of them is over."""


class Band(NamedTuple):
    """A stretch in which a status stood; *end* is None for the last one."""

    status: str
    start: datetime
    end: datetime | None


class Lane(NamedTuple):
    """What a timeline says of one incident or change: its entries that stand, in order of time."""

    kind: str
    id: str
    title: str
    entries: Sequence[Entry]

    @property
    def label(self) -> str:
        """Return its id and title, as the label of its row."""
        return words(f"{self.id}  {self.title}".rstrip(), 44)

    @property
    def services(self) -> tuple[str, ...]:
        """Return the services it was last said to be of."""
        services: tuple[str, ...] = ()
        for entry in self.entries:
            given: Sequence[str] = getattr(entry.event, "services", ())
            # An observation only says where something was seen.
            if given and not (services and isinstance(entry.event, ChangeObserved)):
                services = tuple(given)
        return services

    @property
    def is_open(self) -> bool:
        """Whether its last status is one that goes on until something ends it."""
        return any(
            band.end is None and band.status in _LOOKS[self.kind] and band.status not in _OVER
            for band in self.bands()
        )

    def moments(self) -> list[datetime]:
        """Return when its events happened, as far as anybody knows."""
        return [utc(entry.at) for entry in self.entries if entry.at is not None]

    def bands(self) -> Iterator[Band]:
        """Yield the stretches in which each status stood, as its events say."""
        changes = [
            (utc(entry.at), str(status))
            for entry in self.entries
            if entry.at is not None and (status := getattr(entry.event, "status", None)) is not None
        ]
        for index, (start, status) in enumerate(changes):
            end = changes[index + 1][0] if index + 1 < len(changes) else None
            yield Band(status, start, end)

    def rollout(self) -> list[tuple[datetime, float]]:
        """Return the steps of its rollout: from when on how many percent of users had it."""
        steps: list[tuple[datetime, float]] = []
        for entry in self.entries:
            event = entry.event
            if entry.at is None:
                continue
            if isinstance(event, (RolloutAdvanced, RolloutPaused)):
                steps.append((utc(entry.at), event.percent))
            elif isinstance(event, RolloutAborted):
                steps.append((utc(entry.at), 0.0))
        return steps

    def began(self, statuses: Iterable[str]) -> datetime | None:
        """Return when it first came to one of some statuses."""
        wanted = set(statuses)
        return next((band.start for band in self.bands() if band.status in wanted), None)


def lanes_of(entries: Iterable[Entry]) -> list[Lane]:
    """Return what a timeline says of each incident and change, in the order in which they began."""
    streams: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        if entry.voided_by is None and not isinstance(entry.event, EDITS):
            streams.setdefault((entry.kind, entry.id), []).append(entry)
    return [Lane(kind, id_, _title(some), some) for (kind, id_), some in streams.items()]


def _title(entries: Iterable[Entry]) -> str:
    title = ""
    for entry in entries:
        title = str(getattr(entry.event, "title", "") or title)
    return title


class Link(NamedTuple):
    """What somebody stated last of a change and an incident, and when."""

    change: str
    incident: str
    verdict: Verdict


def links_between(lanes: Iterable[Lane]) -> list[Link]:
    """Return the verdicts that stand on a change and an incident: of each pair the last one."""
    last: dict[tuple[str, str], tuple[int, Verdict]] = {}
    for lane in lanes:
        for entry in lane.entries:
            event = entry.event
            if isinstance(event, VerdictGiven):
                pair, given = (event.change, lane.id), (entry.position, event.verdict)
                if pair not in last or last[pair][0] < entry.position:
                    last[pair] = given
    return [
        Link(change, incident, verdict)
        for (change, incident), (_, verdict) in last.items()
        if verdict is not Verdict.DISMISSED
    ]


def lanes(entries: Iterable[Entry], /, *, time_zone: str = "UTC", ax: Axes | None = None) -> Axes:
    """
    Draw incidents and changes side by side: a lane for each, and what caused or ended what.

    A lane has a bar for each status while it stood (of more than thirty for those that stood
    longest), and for a rollout the share of users as a staircase. An arrow goes from a change to
    the incident it caused (solid), is suspected of (dashed) or ended (dotted), as stated last. What
    is not over goes on to the right edge, with an arrow head and the word "open"; what is resolved,
    or has an outcome, is over, though nobody closed it. Of more than forty, the newest are drawn:
    first changes and incidents that are linked to each other, then as many of one kind as of the
    other. The picture says of how many.

    Args:
        entries: As `imcm.timeline` returns them, such as those of a service.
        time_zone: The IANA zone in which times are labelled.
        ax: Axes to draw into; None makes new ones.

    Raises:
        InvalidValue: They are no entries of a timeline, or there is no such zone.
        MissingExtraError: The extra `plot` is not installed.
    """
    home = zone(time_zone)
    every = lanes_of(_checked(entries))
    shown_lanes = _most_telling(every)
    axes = axes_for(ax, width=10.0, height=2.0 + 0.36 * len(shown_lanes))
    title = f"Incidents and changes{_of_services(every)}"
    moments = [moment for lane in shown_lanes for moment in lane.moments()]
    if not moments:
        return said(axes, title, "nothing of which anybody knows when it happened")
    scale = ClockScale(moments, home)
    for row, lane in enumerate(shown_lanes):
        _lane(axes, row, lane, scale)
    rows = {(lane.kind, lane.id): row for row, lane in enumerate(shown_lanes)}
    _arrows(axes, shown_lanes, rows, scale)
    scale.on(axes, goes_on=any(lane.is_open for lane in shown_lanes))
    axes.set_yticks(range(len(shown_lanes)), labels=[lane.label for lane in shown_lanes])
    axes.set_ylim(len(shown_lanes) - 0.4, -0.6)
    axes.tick_params(axis="y", labelsize=9)
    plain_left(axes)
    headed(axes, title, _counted(every, shown_lanes))
    # To the left of the right edge, below the names of the rows, there is room for it.
    key(axes, loc="upper right", bbox_to_anchor=(1, 0))
    return finished(axes)


def _of_services(every: Sequence[Lane]) -> str:
    """Return of which services lanes are: of those that all have, else of all if they are few."""
    some = [set(lane.services) for lane in every if lane.services]
    if not some:
        return ""
    names = sorted(some[0].intersection(*some)) or sorted(some[0].union(*some))
    if len(names) > MOST_SERVICES:
        return f" of {len(names):,} services"
    return f" of {', '.join(words(name, 24) for name in names)}"


def _checked(entries: object) -> list[Entry]:
    if is_mapping(entries) or not is_list(entries):
        raise InvalidValue("entries", entries, "what timeline(...) returns")
    checked: list[Entry] = []
    for entry in entries:
        if not isinstance(entry, Entry):
            raise InvalidValue("entries", entry, "what timeline(...) returns")
        checked.append(entry)
    return checked


def _counted(every: Sequence[Lane], drawn: Sequence[Lane]) -> str:
    """Return how many of each kind there are, and how many of them are drawn."""
    texts: list[str] = []
    for kind in (INCIDENT, CHANGE):
        count, of = (sum(lane.kind == kind for lane in lanes) for lanes in (drawn, every))
        texts.append(f"{count:,} of {count_of(of, kind)}" if count < of else count_of(of, kind))
    text = " and ".join(texts)
    if len(drawn) == len(every):
        return text
    return f"{text}; drawn are the newest, what is linked first"


def _most_telling(every: Sequence[Lane]) -> list[Lane]:
    """Return as many lanes as fit, in order of time: linked pairs first, then both kinds alike."""
    drawable = [lane for lane in every if lane.moments()]
    if len(drawable) > MOST_LANES:
        drawable = _in_order_of_telling(drawable)[:MOST_LANES]
    return sorted(drawable, key=lambda lane: min(lane.moments()))


def _in_order_of_telling(drawable: Sequence[Lane]) -> list[Lane]:
    newest = sorted(drawable, key=lambda lane: max(lane.moments()), reverse=True)
    by_key = {(lane.kind, lane.id): lane for lane in newest}
    linked: dict[str, list[str]] = {}
    for link in links_between(drawable):
        linked.setdefault(link.incident, []).append(link.change)
    order: dict[tuple[str, str], Lane] = {}
    for lane in newest:
        pair = [(CHANGE, id_) for id_ in linked.get(lane.id, ()) if lane.kind == INCIDENT]
        if any(each in by_key for each in pair):
            order |= {each: by_key[each] for each in ((INCIDENT, lane.id), *pair) if each in by_key}
    others = [
        [lane for lane in newest if lane.kind == kind and (lane.kind, lane.id) not in order]
        for kind in (INCIDENT, CHANGE)
    ]
    alike = (lane for pair in zip_longest(*others) for lane in pair if lane is not None)
    return [*order.values(), *alike]


def _lane(axes: Axes, row: float, lane: Lane, scale: ClockScale, *, height: float = 0.56) -> None:
    palette, looks = palette_of(axes), _LOOKS[lane.kind]
    # Many sources close nothing: what is resolved, or has an outcome, is over for all that.
    for band in _longest(lane.bands(), looks):
        look = _pattern(looks[band.status], palette)
        start = scale.x(band.start)
        end = scale.edge if band.end is None else scale.x(band.end)
        axes.barh(
            [row],
            # What lasted no time that can be seen is a line.
            [max(end - start, scale.width * 0.002)],
            left=[start],
            height=height,
            color=look.fill,
            edgecolor=look.edge,
            hatch=look.hatch,
            linewidth=0.8,
            label=look.label,
        )
    if lane.is_open:
        _goes_on(axes, row, lane, scale)
    steps = lane.rollout()
    if steps:
        _staircase(axes, row, lane, steps, scale, height)
    moments = lane.moments()
    if moments:
        incident = lane.kind == INCIDENT
        axes.plot(
            [scale.x(min(moments))],
            [row],
            linestyle="none",
            marker="o" if incident else "s",
            markersize=5,
            color=palette.paper,
            markeredgecolor=palette.strong,
            zorder=3,
        )


def _goes_on(axes: Axes, row: float, lane: Lane, scale: ClockScale) -> None:
    """Say that the last bar of a lane ends where the picture does, and not in the world."""
    palette = palette_of(axes)
    is_incident = lane.kind == INCIDENT
    axes.plot(
        [scale.edge],
        [row],
        linestyle="none",
        marker=">",
        markersize=8,
        color=palette.vermillion if is_incident else palette.blue,
        clip_on=False,
        zorder=4,
    )
    beside(axes, row, "open" if is_incident else "not over", palette.title)


def _longest(bands: Iterable[Band], looks: Mapping[str, str]) -> list[Band]:
    """Return the bands of statuses that last, in order: of many those that stood longest."""
    lasting = [
        band
        for band in bands
        if band.status in looks and not (band.end is None and band.status in _OVER)
    ]
    if len(lasting) <= MOST_BARS:
        return lasting

    def stood(index: int) -> tuple[bool, float]:
        start, end = lasting[index].start, lasting[index].end
        return end is None, 0.0 if end is None else (end - start).total_seconds()

    longest = sorted(range(len(lasting)), key=stood)[-MOST_BARS:]
    return [lasting[index] for index in sorted(longest)]


def _staircase(
    axes: Axes,
    row: float,
    lane: Lane,
    steps: Sequence[tuple[datetime, float]],
    scale: ClockScale,
    height: float,
) -> None:
    """Draw the share of users over time: the bottom of the lane is none of them, the top all."""
    end = next((band.start for band in lane.bands() if band.start > steps[-1][0]), None)
    palette = palette_of(axes)
    x = [scale.x(at) for at, _ in steps]
    x.append(max(x[-1], scale.edge if end is None else scale.x(end)))
    shares = [percent / 100 for _, percent in steps]
    y = [row + height * (0.5 - share) for share in (*shares, shares[-1])]
    axes.fill_between(
        x,
        y,
        row + height / 2,
        step="post",
        color=mixed(palette.blue, palette.strong, 0.65),
        linewidth=0,
        zorder=2,
        label="share of users in a rollout",
    )
    axes.step(x, y, where="post", color=palette.paper, linewidth=1.2, zorder=2)
    last = -scale.width
    for (_, percent), at in zip(steps, x, strict=False):
        if at - last < 0.05 * scale.width:
            continue  # two labels would lie on each other
        last = at
        axes.text(
            at,
            row - height / 2 - 0.02,
            f"{percent:g} %",
            fontsize=7,
            ha="left",
            va="bottom",
            color=palette.strong,
            zorder=5,
        )


_ARROWS: Final = {
    Verdict.CAUSED: ("caused", "vermillion", "-"),
    Verdict.SUSPECTED: ("suspected", "soft", "--"),
    Verdict.FIXED: ("ended", "green", ":"),
}


def _arrows(
    axes: Axes,
    every: Sequence[Lane],
    rows: Mapping[tuple[str, str], int],
    scale: ClockScale,
) -> None:
    by_key = {(lane.kind, lane.id): lane for lane in every}
    for link in links_between(every):
        change = by_key.get((CHANGE, link.change))
        incident = by_key.get((INCIDENT, link.incident))
        if change is None or incident is None:
            continue
        going_in = (ChangeStatus.IMPLEMENTING, ChangeStatus.IMPLEMENTED, ChangeStatus.VALIDATED)
        went_in = change.began(going_in) or min(change.moments())
        met = min(incident.moments())
        if link.verdict is Verdict.FIXED:
            over = (IncidentStatus.MITIGATED, IncidentStatus.RESOLVED)
            met = incident.began(over) or max(incident.moments())
        label, ink, dashes = _ARROWS[link.verdict]
        colour: RGB = getattr(palette_of(axes), ink)
        start = rows[CHANGE, link.change]
        end = rows[INCIDENT, link.incident]
        towards = 0.3 if end > start else -0.3
        axes.annotate(
            "",
            xy=(scale.x(met), end - towards),
            xytext=(scale.x(went_in), start + towards),
            arrowprops={
                "arrowstyle": "-|>",
                "color": colour,
                "linestyle": dashes,
                "linewidth": 1.6,
                "shrinkA": 0,
                "shrinkB": 0,
            },
            zorder=6,
        )
        axes.plot([], [], color=colour, linestyle=dashes, linewidth=1.6, label=f"arrow: {label}")


# --- events ---------------------------------------------------------------------------------------


def timeline(
    entries: Iterable[Entry], /, *, time_zone: str = "UTC", ax: Axes | None = None
) -> Axes:
    """
    Draw the story of an incident or a change: a row for each event, and bars of statuses above.

    A filled point is an event of the one that most others are linked to, a hollow one of another; a
    cross is what was voided. A line between two bars is a moment that is only known to lie between
    them. What nobody knows the time of stands below the others. An incident that is not over goes
    on to the right edge, with an arrow head and the word "open". Of more than sixty events
    those that change a status come first, and the picture says how many there are.

    Args:
        entries: As `imcm.timeline` returns them, such as those of an incident.
        time_zone: The IANA zone in which times are labelled.
        ax: Axes to draw into; None makes new ones.

    Raises:
        InvalidValue: They are no entries of a timeline, or there is no such zone.
        MissingExtraError: The extra `plot` is not installed.
    """
    home = zone(time_zone)
    every = _checked(entries)
    kept = _events(every)
    known = [
        utc(moment)
        for entry in every
        if entry.at is not None
        for moment in (entry.at, earliest(entry.at), latest(entry.at))
    ]
    above = [lane for lane in _by_links(lanes_of(every)) if lane.moments()][:4]
    count = len(kept) + len(above)
    axes = axes_for(ax, width=10.0, height=1.6 + 0.25 * count + 0.15 * len(above))
    title = f"Timeline of {words(above[0].label, 60)}" if above else "Timeline"
    if not kept or not known:
        return said(axes, title, "nothing happened, as far as anybody knows")
    scale = ClockScale(known, home)
    labels: dict[float, str] = {}
    for index, lane in enumerate(above):
        row = 1.5 * (index - len(above))
        _lane(axes, row, lane, scale, height=0.8)
        labels[row] = lane.label
    main = (above[0].kind, above[0].id) if above else ("", "")
    rows = _rows(kept)
    for row, entry in rows:
        _event(axes, row, entry, scale, is_main=(entry.kind, entry.id) == main)
        labels[row] = _line(entry, main)
    if any(entry.at is None for entry in kept):
        _set_apart(axes, next(row for row, entry in rows if entry.at is None) - 1.0)
    scale.on(axes, goes_on=any(lane.is_open for lane in above))
    axes.set_yticks(list(labels), labels=list(labels.values()))
    axes.set_ylim(rows[-1][0] + 0.7, -1.5 * len(above) - 0.8)
    axes.tick_params(axis="y", labelsize=9)
    plain_left(axes)
    cut = f"{len(kept)} of " if len(kept) < len(every) else ""
    headed(axes, title, cut + count_of(len(every), "event"))
    # To the left of the right edge, below the names of the rows, there is room for it.
    key(axes, loc="upper right", bbox_to_anchor=(1, 0))
    return finished(axes)


def _rows(kept: Sequence[Entry]) -> list[tuple[float, Entry]]:
    """Return the row of each event; those whose time nobody knows come last, and stand apart."""
    known = [entry for entry in kept if entry.at is not None]
    without = [entry for entry in kept if entry.at is None]
    return [
        *((float(row), entry) for row, entry in enumerate(known)),
        *((row + APART, entry) for row, entry in enumerate(without, start=len(known))),
    ]


APART: Final = 1.5
"""How many rows are left free above events whose time nobody knows."""

NO_TIME: Final = "time not known"


def _set_apart(axes: Axes, row: float) -> None:
    palette = palette_of(axes)
    axes.axhline(row - 0.5, color=palette.pale, linewidth=0.8, zorder=0)
    axes.text(0, row, NO_TIME, transform=axes.get_yaxis_transform(), va="center", fontsize=8,
              color=palette.soft)  # fmt: skip


def _by_links(every: Sequence[Lane]) -> list[Lane]:
    """Return lanes in order: first that which most others are linked to, which it is all about."""
    partners: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for lane in every:
        key = lane.kind, lane.id
        for entry in lane.entries:
            for _, kind, other in links_of(entry.event):
                partners.setdefault(key, set()).add((kind, other))
                partners.setdefault((kind, other), set()).add(key)

    def rank(lane: Lane) -> tuple[int, bool, int]:
        linked = len(partners.get((lane.kind, lane.id), ()))
        return -linked, lane.kind != INCIDENT, -len(lane.entries)

    return sorted(every, key=rank)


def _events(every: Sequence[Entry]) -> list[Entry]:
    """Return as many events as fit, in their order: what changes a status first."""
    if len(every) <= MOST_EVENTS:
        return list(every)
    order = sorted(
        range(len(every)), key=lambda index: getattr(every[index].event, "status", None) is None
    )
    return [every[index] for index in sorted(order[:MOST_EVENTS])]


def _line(entry: Entry, main: tuple[str, str]) -> str:
    whose = "" if (entry.kind, entry.id) == main else f"{entry.id}: "
    return words(f"{whose}{entry.line}", 58)


def _event(axes: Axes, row: float, entry: Entry, scale: ClockScale, *, is_main: bool) -> None:
    palette = palette_of(axes)
    colour = palette.vermillion if entry.kind == INCIDENT else palette.blue
    marker, label = ("o" if entry.kind == INCIDENT else "s"), ""
    if entry.at is None:
        marker, label = "<", NO_TIME
    if entry.voided_by is not None:
        marker, label, colour = "x", "voided", palette.soft
    x = 0.0 if entry.at is None else scale.x(utc(entry.at))
    if entry.at is not None:
        axes.hlines([row], [-0.02 * scale.width], [x], color=palette.pale, linewidth=0.8, zorder=0)
    if isinstance(entry.at, Between):
        ends = [scale.x(utc(end)) for end in (entry.at.earliest, entry.at.latest)]
        axes.plot(ends, [row, row], color=colour, linewidth=1.2, marker="|", markersize=7)
    axes.plot(
        [x],
        [row],
        linestyle="none",
        marker=marker,
        markersize=6,
        color=colour if is_main or marker == "x" else palette.paper,
        markeredgecolor=colour,
        clip_on=False,
        zorder=3,
        label=label or None,
    )
