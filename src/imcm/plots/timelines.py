"""
What happened when: each event of an incident or a change, or many of both side by side.
"""

# The annotations of matplotlib leave arguments untyped.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from imcm.domain.change_events import (
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
from imcm.plots.canvas import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PALE,
    VERMILLION,
    axes_for,
    finished,
    headed,
    said,
    words,
)
from imcm.plots.clock_scale import ClockScale
from imcm.projections.figures.units import utc, zone
from imcm.projections.histories.timeline import Entry, links_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_EVENTS: Final = 60
MOST_LANES: Final = 40
MOST_BARS: Final = 30
"""Of more statuses in one lane, those that stood longest are drawn."""

DEEP: Final = "#00263D"

# --- lanes ----------------------------------------------------------------------------------------


class Pattern(NamedTuple):
    """How a status is drawn: its fill, hatching and edge, and what the legend says."""

    fill: str
    hatch: str
    edge: str
    label: str


_OPEN = Pattern(VERMILLION, "", VERMILLION, "incident open")
_MITIGATED = Pattern(ORANGE, "////", VERMILLION, "incident mitigated")
_RESOLVED = Pattern("#F5E6DC", "....", VERMILLION, "incident resolved, until closed")
_PLANNED = Pattern("white", "", BLUE, "change planned")
_GOING_IN = Pattern(BLUE, "", BLUE, "change going in")
_LIVE = Pattern("#CFE3F1", "\\\\\\\\", BLUE, "change in, until closed")

_LOOKS: Final[Mapping[str, Mapping[str, Pattern]]] = {
    INCIDENT: {
        IncidentStatus.DETECTED: _OPEN,
        IncidentStatus.TRIAGED: _OPEN,
        IncidentStatus.MITIGATING: _OPEN,
        IncidentStatus.MITIGATED: _MITIGATED,
        IncidentStatus.RESOLVED: _RESOLVED,
    },
    CHANGE: {
        ChangeStatus.DRAFT: _PLANNED,
        ChangeStatus.SUBMITTED: _PLANNED,
        ChangeStatus.APPROVED: _PLANNED,
        ChangeStatus.IMPLEMENTING: _GOING_IN,
        ChangeStatus.IMPLEMENTED: _LIVE,
        ChangeStatus.VALIDATED: _LIVE,
    },
}
"""Statuses that last; what is closed, cancelled, dismissed or merged is over."""

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
    is not over goes on to the right edge; what is resolved, or has an outcome, is over, though
    nobody closed it. Of more than forty, incidents and the changes linked to
    them come first, and the picture says how many there are.

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
    axes = axes_for(ax, width=10.0, height=1.9 + 0.36 * len(shown_lanes))
    title = "Incidents and changes"
    moments = [moment for lane in shown_lanes for moment in lane.moments()]
    if not moments:
        return said(axes, title, "nothing of which anybody knows when it happened")
    scale = ClockScale(moments, home)
    for row, lane in enumerate(shown_lanes):
        _lane(axes, row, lane, scale)
    rows = {(lane.kind, lane.id): row for row, lane in enumerate(shown_lanes)}
    _arrows(axes, shown_lanes, rows, scale)
    scale.on(axes)
    axes.set_yticks(range(len(shown_lanes)), labels=[lane.label for lane in shown_lanes])
    axes.set_ylim(len(shown_lanes) - 0.4, -0.6)
    _plain_left(axes)
    cut = f"{len(shown_lanes)} of " if len(shown_lanes) < len(every) else ""
    headed(axes, title, f"{cut}{_counted(every)}")
    _legend(axes)
    return finished(axes)


def _checked(entries: object) -> list[Entry]:
    if is_mapping(entries) or not is_list(entries):
        raise InvalidValue("entries", entries, "what timeline(...) returns")
    checked: list[Entry] = []
    for entry in entries:
        if not isinstance(entry, Entry):
            raise InvalidValue("entries", entry, "what timeline(...) returns")
        checked.append(entry)
    return checked


def _counted(every: Sequence[Lane]) -> str:
    incidents = sum(lane.kind == INCIDENT for lane in every)
    changes = len(every) - incidents
    return f"{count_of(incidents, 'incident')} and {count_of(changes, 'change')}"


def _most_telling(every: Sequence[Lane]) -> list[Lane]:
    """Return as many lanes as fit: incidents first, then changes linked to them, then others."""
    drawable = [lane for lane in every if lane.moments()]
    if len(drawable) > MOST_LANES:
        linked = {link.change for link in links_between(drawable)}

        def rank(lane: Lane) -> tuple[int, float]:
            first = 0 if lane.kind == INCIDENT else 1 if lane.id in linked else 2
            return first, -max(lane.moments()).timestamp()

        drawable = sorted(drawable, key=rank)[:MOST_LANES]
    return sorted(drawable, key=lambda lane: min(lane.moments()))


def _lane(axes: Axes, row: float, lane: Lane, scale: ClockScale, *, height: float = 0.56) -> None:
    looks = _LOOKS[lane.kind]
    # Many sources close nothing: what is resolved, or has an outcome, is over for all that.
    for band in _longest(lane.bands(), looks):
        look = looks[band.status]
        start = scale.x(band.start)
        end = scale.width * 1.02 if band.end is None else scale.x(band.end)
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
            color="white",
            markeredgecolor=BLACK,
            zorder=3,
        )


def _longest(bands: Iterable[Band], looks: Mapping[str, Pattern]) -> list[Band]:
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
    x = [scale.x(at) for at, _ in steps]
    x.append(max(x[-1], scale.width * 1.02 if end is None else scale.x(end)))
    shares = [percent / 100 for _, percent in steps]
    y = [row + height * (0.5 - share) for share in (*shares, shares[-1])]
    axes.fill_between(
        x,
        y,
        row + height / 2,
        step="post",
        color=DEEP,
        linewidth=0,
        zorder=2,
        label="share of users in a rollout",
    )
    axes.step(x, y, where="post", color="white", linewidth=1.2, zorder=2)
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
            zorder=5,
        )


_ARROWS: Final = {
    Verdict.CAUSED: ("caused", VERMILLION, "-"),
    Verdict.SUSPECTED: ("suspected", GREY, "--"),
    Verdict.FIXED: ("ended", GREEN, ":"),
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
        label, colour, dashes = _ARROWS[link.verdict]
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


def _plain_left(axes: Axes) -> None:
    axes.tick_params(axis="y", length=0, labelsize=9)
    axes.spines["left"].set_visible(False)


def _legend(axes: Axes) -> None:
    """Put one entry for each label below the picture, where it hides nothing."""
    handles, labels = axes.get_legend_handles_labels()
    first = dict(reversed(list(zip(labels, handles, strict=True))))
    order = list(dict.fromkeys(labels))
    if order:
        axes.legend(
            [first[label] for label in order],
            order,
            loc="upper left",
            bbox_to_anchor=(0, 0),
            bbox_transform=_below(axes),
            ncols=4,
            frameon=False,
            fontsize=8,
        )


def _below(axes: Axes) -> object:
    """Return the axes' own coordinates, moved down by the ticks and the label of the time axis."""
    from matplotlib.transforms import ScaledTranslation

    return axes.transAxes + ScaledTranslation(0, -0.6, axes.figure.dpi_scale_trans)


# --- events ---------------------------------------------------------------------------------------


def timeline(
    entries: Iterable[Entry], /, *, time_zone: str = "UTC", ax: Axes | None = None
) -> Axes:
    """
    Draw the story of an incident or a change: a row for each event, and bars of statuses above.

    A filled point is an event of the one that most others are linked to, a hollow one of another; a
    cross is what was voided. A line between two bars is a moment that is only known to lie between
    them. What nobody knows the time of stands first, at the left edge. Of more than sixty events
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
    for row, entry in enumerate(kept):
        _event(axes, row, entry, scale, is_main=(entry.kind, entry.id) == main)
        labels[row] = _line(entry, main)
    scale.on(axes)
    axes.set_yticks(list(labels), labels=list(labels.values()))
    axes.set_ylim(len(kept) - 0.3, -1.5 * len(above) - 0.8)
    _plain_left(axes)
    cut = f"{len(kept)} of " if len(kept) < len(every) else ""
    headed(axes, title, cut + count_of(len(every), "event"))
    _legend(axes)
    return finished(axes)


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
    colour = VERMILLION if entry.kind == INCIDENT else BLUE
    if entry.voided_by is not None:
        colour = GREY
    x = 0.0 if entry.at is None else scale.x(utc(entry.at))
    axes.hlines([row], [-0.02 * scale.width], [x], color=PALE, linewidth=0.8, zorder=0)
    if isinstance(entry.at, Between):
        ends = [scale.x(utc(end)) for end in (entry.at.earliest, entry.at.latest)]
        axes.plot(ends, [row, row], color=colour, linewidth=1.2, marker="|", markersize=7)
    marker = "o" if entry.kind == INCIDENT else "s"
    if entry.voided_by is not None:
        marker = "x"
    elif entry.at is None:
        marker = "<"
    axes.plot(
        [x],
        [row],
        linestyle="none",
        marker=marker,
        markersize=6,
        color=colour if is_main or marker == "x" else "white",
        markeredgecolor=colour,
        clip_on=False,
        zorder=3,
    )
