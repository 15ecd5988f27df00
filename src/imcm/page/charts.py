"""
Pictures of a page: specifications in Vega-Lite, drawn as SVG that runs nothing and fetches nothing.

Colours are variables of the page's style, so one drawing serves light and dark. What a drawing
says can be told without colour: by shape, by place, and in words beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple
from xml.etree import ElementTree

from imcm.errors import MissingExtraError
from imcm.plain import plain
from imcm.projections.figures.days import local
from imcm.projections.figures.figure import Figure
from imcm.projections.figures.units import SECONDS, SHARE, zone
from imcm.projections.statistics.survival import KaplanMeier

__all__ = [
    "SHAPES",
    "WIDTHS",
    "Bar",
    "Link",
    "Point",
    "Shape",
    "Spec",
    "by_group",
    "by_period",
    "drawn",
    "story",
    "survival",
]

Spec = dict[str, Any]
"""A specification in Vega-Lite: JSON, whose shape is that language's."""

Shape = Literal["wide", "narrow"]
"""For a desk and paper, or for a phone."""

SHAPES: Final[tuple[Shape, ...]] = ("wide", "narrow")

WIDTHS: Final[Mapping[Shape, int]] = {"wide": 600, "narrow": 340}
"""How wide each drawing is made, in pixels: for a desk and paper, and for a phone."""

_VEGA_LITE: Final = "5.20"
"""The version that specifications are written for; every release of the library so far has it."""

_INK: Final = "var(--ink)"
_SOFT: Final = "var(--soft)"
_LINE: Final = "var(--line)"
_MARK: Final = "var(--mark)"
_BAND: Final = "var(--band)"
_ALERT: Final = "var(--alert)"
_PAPER: Final = "var(--paper)"

_CONFIG: Final[Spec] = {
    "aria": False,  # the whole drawing has a title and a description, and a table beside it
    "background": None,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "axis": {
        "labelColor": _INK,
        "titleColor": _INK,
        "labelFontSize": 12,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "domainColor": _SOFT,
        "tickColor": _SOFT,
        "gridColor": _LINE,
    },
}

_LABELLED: Final[Mapping[Shape, int]] = {"wide": 7, "narrow": 4}
"""How many periods are named below them: the font that a browser has may be a wide one."""

_DIGIT: Final = 7
"""How wide a digit of the numbers above points is, in pixels, with some room."""

_LONGEST: Final[Mapping[Shape, int]] = {"wide": 22, "narrow": 13}
"""How many characters of a name stand beside its lane; all of them stand in the table."""


class Bar(NamedTuple):
    """
    A stretch of time in a lane of a story.

    Attributes:
        lane: Which.
        start, end: From when, and up to when.
        goes_on: Whether it was not over at its end.
    """

    lane: str
    start: datetime
    end: datetime
    goes_on: bool = False


class Point(NamedTuple):
    """A moment in a lane of a story: something that went in; *failed* where that failed."""

    lane: str
    at: datetime
    failed: bool = False


class Link(NamedTuple):
    """What led from a point in one lane to the start of a bar in another, or in the same."""

    lane: str
    at: datetime
    to_lane: str
    to: datetime


# --- drawing --------------------------------------------------------------------------------------


def drawn(spec: Spec, *, id: str, title: str, description: str) -> str:
    """
    Return a drawing as SVG to stand in an HTML page.

    Args:
        spec: What is drawn.
        id: What the ids of its title and its description begin with.
        title: What it is called, for whoever does not see it.
        description: What it shows.

    Raises:
        MissingExtraError: The library that draws is not installed.
    """
    try:
        import vl_convert
    except ImportError:
        raise MissingExtraError("drawing the pictures of a page", "page") from None
    made = vl_convert.vegalite_to_svg(
        {"$schema": "https://vega.github.io/schema/vega-lite/v5.json", "config": _CONFIG, **spec},
        vl_version=_VEGA_LITE,
        allowed_base_urls=[],
    )
    return _embedded(made, id=id, title=title, description=description)


_ELEMENTS: Final = frozenset({"svg", "g", "path", "line", "rect", "text", "tspan"})
_ATTRIBUTES: Final = frozenset(
    {
        *("class", "d", "dx", "dy", "x", "y", "x1", "x2", "y1", "y2", "width", "height"),
        *("transform", "viewBox", "fill", "fill-opacity", "opacity", "stroke", "stroke-dasharray"),
        *("stroke-linejoin", "stroke-linecap", "stroke-miterlimit", "stroke-opacity"),
        *("stroke-width", "font-family", "font-size", "font-style", "font-weight", "text-anchor"),
    }
)
"""What a drawing is made of. Anything else is left out: no style, no address, nothing that runs."""


def _embedded(svg: str, *, id: str, title: str, description: str) -> str:
    root = ElementTree.fromstring(svg)  # noqa: S314 (what our own renderer wrote)
    _reduce(root)
    root.attrib.pop("class", None)
    root.set("role", "img")
    root.set("aria-labelledby", f"{id}-title {id}-says")
    for index, (tag, ending, text) in enumerate(
        (("title", "title", title), ("desc", "says", description))
    ):
        named = ElementTree.Element(tag, {"id": f"{id}-{ending}"})
        named.text = plain(text)
        root.insert(index, named)
    return ElementTree.tostring(root, encoding="unicode")


def _reduce(element: ElementTree.Element) -> None:
    """Leave of a drawing only what draws, without names of spaces: a page of HTML has none."""
    element.tag = _bare(element.tag)
    hidden = element.get("display") == "none"
    for name in list(element.attrib):
        if name not in _ATTRIBUTES or name == "class":
            del element.attrib[name]
    for child in list(element):
        nothing = child.get("display") == "none" or child.get("class") == "background"
        if hidden or nothing or _bare(child.tag) not in _ELEMENTS:
            element.remove(child)
        else:
            _reduce(child)


def _bare(tag: str) -> str:
    return tag.rpartition("}")[2]


# --- a metric over time ---------------------------------------------------------------------------

_UNITS: Final = ((86_400.0, "days"), (3_600.0, "hours"), (60.0, "minutes"), (1.0, "seconds"))


def _unit(figure: Figure, values: Iterable[float | None]) -> tuple[float, str]:
    """Return by what values are divided to be drawn, and what they are then."""
    if figure.unit == SHARE:
        return 0.01, "%"
    if figure.unit != SECONDS:
        return 1.0, figure.unit
    top = max((value for value in values if value is not None), default=0.0)
    return next((pair for pair in _UNITS if top >= 2 * pair[0]), _UNITS[-1])


def _ends(figure: Figure) -> tuple[float | None, float | None]:
    interval = figure.interval
    return (None, None) if interval is None else (interval.low, interval.high)


def _named(figure: Figure) -> str:
    statistic = getattr(figure.definition, "statistic", None)
    is_duration = figure.unit == SECONDS and statistic is not None
    return f"{statistic} {figure.name}" if is_duration else figure.name


def by_period(figure: Figure, *, labels: Sequence[str], shape: Shape) -> Spec:
    """
    Return the picture of a figure in each of its periods: a point, its interval, and n above it.

    Args:
        figure: One with periods.
        labels: What each of them is called, in their order.
        shape: How wide it is.
    """
    parts = [(part.value, *_ends(part)) for part in figure.buckets]
    values = [value for part in parts for value in part if value is not None]
    by_factors = _by_factors(figure, values)
    scale, unit = (1.0, "") if by_factors else _unit(figure, values)
    top = max((value / scale for value in values), default=1)
    least = min((value for value in values if value > 0), default=1.0)

    def place(value: float | None) -> float | None:
        # Where time grows by factors there is no 0: what took none stands at the lowest of all.
        if value is None:
            return None
        return max(value, least) if by_factors else value / scale

    rows: list[Spec] = [
        {
            "period": label,
            "value": place(value),
            "low": None if value is None else place(low),
            "high": None if value is None else place(high),
            "n": f"{part.n:,}",
        }
        for part, label, (value, low, high) in zip(figure.buckets, labels, parts, strict=True)
    ]
    every = -(-len(labels) // _LABELLED[shape])
    x: Spec = {
        "field": "period",
        "type": "ordinal",
        # All of them and in this order, also those that a layer leaves out.
        "scale": {"domain": list(labels), "paddingOuter": 0.4},
        "axis": {"title": None, "labelAngle": 0, "labelPadding": 6, "values": labels[::every]},
    }
    y: Spec = {
        "field": "value",
        "type": "quantitative",
        "scale": {"type": "log", "domain": [least / 1.2, 1.2 * top], "nice": False}
        if by_factors
        else {"domain": [0, 1.05 * top or 1], "nice": True},
        "axis": {
            **(_clock_ticks(least, top, 6) if by_factors else {"tickCount": 5}),
            "title": f"{_named(figure)} ({unit})" if unit else _named(figure),
            "titleAngle": 0,
            "titleAlign": "left",
            "titleAnchor": "start",
            "titleX": 0,
            "titleY": -26,
        },
    }
    layers: list[Spec] = [
        {
            "transform": [{"filter": "isValid(datum.low) && isValid(datum.high)"}],
            "mark": {"type": "rule", "color": _MARK, "strokeWidth": 2, "opacity": 0.55},
            "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
        },
        {
            "transform": [{"filter": "isValid(datum.value)"}],
            "mark": {"type": "point", "filled": True, "color": _MARK, "size": 64, "opacity": 1},
            "encoding": {"x": x, "y": y},
        },
    ]
    longest = max((len(row["n"]) for row in rows), default=0)
    if len(rows) * (longest + 1) * _DIGIT <= WIDTHS[shape]:
        layers.append(
            {
                "mark": {"type": "text", "color": _SOFT, "fontSize": 11},
                "encoding": {"x": x, "y": {"value": -8}, "text": {"field": "n"}},
            }
        )
    return _sized({"data": {"values": rows}, "layer": layers}, shape, 180)


_FACTOR: Final = 50
"""Durations of which the longest is so many times the shortest are drawn by factors."""


def _by_factors(figure: Figure, values: Iterable[float]) -> bool:
    above = sorted(value for value in values if value > 0)
    return figure.unit == SECONDS and bool(above) and above[-1] > _FACTOR * above[0]


def _clock_ticks(low: float, high: float, most: int) -> Spec:
    """Return the part of an axis that says where durations are on it that grow by factors."""
    ticks = [(at, label) for at, label in _TICKS if low <= at <= high]
    ticks = ticks[:: -(-len(ticks) // most) or 1]
    names = " : ".join(f"datum.value == {at} ? '{label}'" for at, label in ticks)
    return {
        "values": [at for at, _ in ticks],
        "labelExpr": f"{names} : ''" if ticks else "''",
    }


def _sized(spec: Spec, shape: Shape, height: float) -> Spec:
    autosize = {"type": "fit-x", "contains": "padding"}
    # At the left there is room for a font that is wider than the one the renderer measures by.
    padding = {"left": 14, "top": 4, "right": 12, "bottom": 4}
    return {
        "width": WIDTHS[shape],
        "height": height,
        "autosize": autosize,
        "padding": padding,
        **spec,
    }


# --- groups side by side --------------------------------------------------------------------------


def by_group(figure: Figure, groups: Sequence[Figure], *, shape: Shape) -> Spec:
    """
    Return the picture of a share in some groups, one below the other, with that of all as a line.

    Args:
        figure: The share of all.
        groups: Those that are drawn, in their order.
        shape: How wide it is.
    """
    rows: list[Spec] = []
    for group in groups:
        low, high = _ends(group)
        rows.append(
            {
                "group": plain(group.group),
                "value": None if group.value is None else 100 * group.value,
                "low": None if low is None else 100 * low,
                "high": None if high is None else 100 * high,
                "n": f"n = {group.n:,}",
            }
        )
    top = max(row[key] for row in rows for key in ("value", "high") if row[key] is not None)
    y: Spec = {
        "field": "group",
        "type": "nominal",
        "scale": {"domain": [row["group"] for row in rows]},
        "axis": _lane_axis(shape),
    }
    x: Spec = {
        "field": "value",
        "type": "quantitative",
        "scale": {"domain": [0, max(top, 1)], "nice": True},
        "axis": {"title": f"{figure.name} (%)", "tickCount": 5},
    }
    layers: list[Spec] = [
        {
            "transform": [{"filter": "isValid(datum.low) && isValid(datum.high)"}],
            "mark": {"type": "rule", "color": _MARK, "strokeWidth": 2, "opacity": 0.55},
            "encoding": {"y": y, "x": {**x, "field": "low"}, "x2": {"field": "high"}},
        },
        {
            "transform": [{"filter": "isValid(datum.value)"}],
            "mark": {"type": "point", "filled": True, "color": _MARK, "size": 64, "opacity": 1},
            "encoding": {"y": y, "x": x},
        },
        {
            "mark": {"type": "text", "align": "left", "dx": 10, "fontSize": 11, "color": _SOFT},
            "encoding": {"y": y, "x": {"value": "width"}, "text": {"field": "n"}},
        },
    ]  # fmt: skip
    if figure.value is not None:
        layers.insert(
            0,
            {
                "data": {"values": [{"all": 100 * figure.value}]},
                "mark": {"type": "rule", "color": _SOFT, "strokeDash": [4, 3]},
                "encoding": {"x": {**x, "field": "all"}},
            },
        )
    return _sized({"data": {"values": rows}, "layer": layers}, shape, 30 * len(rows) + 10)


def _lane_axis(shape: Shape) -> Spec:
    longest = _LONGEST[shape]
    return {
        "title": None,
        "labelExpr": f"length(datum.label) > {longest} "
        f"? slice(datum.label, 0, {longest - 1}) + '\u2026' : datum.label",
        "labelLimit": 0,
        "ticks": False,
        "domain": False,
        "labelPadding": 8,
        "grid": False,
    }


# --- a survival curve -----------------------------------------------------------------------------

_TICKS: Final = (
    *((1, "1 s"), (5, "5 s"), (20, "20 s"), (60, "1 min"), (300, "5 min"), (900, "15 min")),
    *((3_600, "1 h"), (10_800, "3 h"), (43_200, "12 h"), (172_800, "2 d"), (604_800, "7 d")),
    *((2_592_000, "30 d"), (7_776_000, "90 d"), (31_536_000, "1 y"), (157_680_000, "5 y")),
)
"""Where a person looks on an axis of durations that grows by factors."""

MOST_STEPS: Final = 400
"""A curve of more steps looks the same with so many."""


def survival(curve: KaplanMeier, *, name: str, shape: Shape) -> Spec:
    """
    Return the picture of a survival curve with its band, and a mark where one was last seen open.

    Args:
        curve: Of at least one duration, in seconds.
        name: Of the figure whose durations they are.
        shape: How wide it is.
    """
    longest = max(curve.times[-1], 2.0)
    positive = next((time for time in curve.times if time > 0), longest / 2)
    start = min(positive, longest / 2) / 1.5
    rows = [{"t": start, "s": 100.0, "low": 100.0, "high": 100.0, "open": False}]
    columns = zip(curve.times, curve.survival, curve.low, curve.high, curve.censored, strict=True)
    last = 1.0
    step = 1 / MOST_STEPS if len(curve.times) > MOST_STEPS else 0.0
    for t, s, low, high, censored in columns:
        if t < curve.times[-1] and last - s < step:
            continue
        last = s
        rows.append(
            {
                "t": max(t, start),
                "s": 100 * s,
                "low": 100 * (s if low is None else low),
                "high": 100 * (s if high is None else high),
                "open": bool(censored),
            }
        )
    x: Spec = {
        "field": "t",
        "type": "quantitative",
        "scale": {"type": "log", "domain": [start, longest], "nice": False},
        "axis": {"title": name, **_clock_ticks(start, longest, _LABELLED[shape])},
    }
    y: Spec = {
        "field": "s",
        "type": "quantitative",
        "scale": {"domain": [0, 100]},
        "axis": {
            "title": "not yet restored (%)",
            "titleAngle": 0,
            "titleAlign": "left",
            "titleAnchor": "start",
            "titleX": 0,
            "titleY": -12,
            "values": [0, 25, 50, 75, 100],
        },
    }
    layers: list[Spec] = [
        {
            "mark": {"type": "area", "interpolate": "step-after", "color": _BAND, "opacity": 1},
            "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
        },
        {
            "mark": {"type": "line", "interpolate": "step-after", "color": _MARK, "strokeWidth": 2},
            "encoding": {"x": x, "y": y},
        },
        {
            "transform": [{"filter": "datum.open"}],
            "mark": {"type": "point", "shape": "M0,-1V1", "color": _INK, "size": 120,
                     "strokeWidth": 2, "opacity": 1},
            "encoding": {"x": x, "y": y},
        },
    ]  # fmt: skip
    return _sized({"data": {"values": rows}, "layer": layers}, shape, 220)


# --- what happened when ---------------------------------------------------------------------------


def story(
    lanes: Sequence[str],
    *,
    bars: Iterable[Bar],
    points: Iterable[Point],
    links: Iterable[Link],
    window: tuple[datetime, datetime],
    time_zone: str,
    shape: Shape,
) -> Spec:
    """
    Return the picture of what happened when: a lane for each service, or each incident and change.

    Args:
        lanes: Their names, from the top.
        bars: Incidents, while they were open.
        points: Changes, when they went in.
        links: What caused which.
        window: From when to when; what reaches beyond is cut there.
        time_zone: In which the times of the axis are told.
        shape: How wide it is.
    """
    home = zone(time_zone)

    def wall(moment: datetime) -> float:
        # Told as the clocks of the zone show it: a renderer knows UTC and no other zone.
        return local(moment, home).replace(tzinfo=UTC).timestamp() * 1000

    start, end = window
    span = (end - start).total_seconds()
    least = span / 150  # what is over at once is still seen
    x_format, title = _time_axis(span)

    def cut(moment: datetime) -> float:
        return wall(min(max(moment, start), end))

    bar_rows: list[Spec] = []
    for bar in bars:
        if bar.end < start or bar.start > end:
            continue
        left, right = cut(bar.start), cut(bar.end)
        bar_rows.append(
            {
                "lane": plain(bar.lane),
                "start": left,
                "end": max(right, left + least * 1000),
                "on": bar.goes_on or bar.end > end,
            }
        )
    point_rows = [
        {"lane": plain(point.lane), "at": wall(point.at), "failed": point.failed}
        for point in points
        if start <= point.at <= end
    ]
    link_rows = [
        {"lane": plain(link.lane), "at": wall(link.at), "to": cut(link.to),
         "to_lane": plain(link.to_lane)}
        for link in links
        if start <= link.at <= end and start <= link.to <= end
    ]  # fmt: skip
    x: Spec = {
        "type": "temporal",
        "scale": {"type": "utc", "domain": [wall(start), wall(end)]},
        "axis": {
            "title": f"{title} ({time_zone})",
            "format": x_format,
            "tickCount": (3 if span < _LONG_LABELS else 6) if shape == "wide" else 2,
            "labelOverlap": "greedy",
            "grid": True,
        },
    }
    y: Spec = {
        "field": "lane",
        "type": "nominal",
        "sort": None,
        "scale": {"domain": [plain(lane) for lane in lanes]},
        "axis": _lane_axis(shape),
    }

    def at(field: str) -> Spec:
        return {**x, "field": field}

    # Each with its own data: what a filter would leave out stays in the drawing's axes otherwise.
    layers: list[Spec] = [
        {
            "data": {"values": bar_rows},
            # One that is open for long leaves those beneath it to be seen.
            "mark": {"type": "bar", "height": 9, "yOffset": 7, "color": _ALERT,
                     "cornerRadius": 2, "opacity": 0.6},
            "encoding": {"x": at("start"), "x2": {"field": "end"}, "y": y},
        },
        {
            "data": {"values": [row for row in bar_rows if row["on"]]},
            "mark": {"type": "point", "shape": "triangle-right", "filled": True, "color": _ALERT,
                     "size": 110, "opacity": 1, "xOffset": 5, "yOffset": 7},
            "encoding": {"x": at("end"), "y": y},
        },
        {
            "data": {"values": link_rows},
            "mark": {"type": "rule", "color": _INK, "strokeWidth": 1, "strokeDash": [3, 2],
                     "yOffset": -6, "y2Offset": 4},
            "encoding": {
                "x": at("at"),
                "x2": {"field": "to"},
                "y": y,
                "y2": {"field": "to_lane"},
            },
        },
        {
            "data": {"values": [row for row in point_rows if not row["failed"]]},
            "mark": {"type": "point", "shape": "circle", "filled": True, "color": _MARK,
                     "stroke": _PAPER, "strokeWidth": 1, "size": 80, "opacity": 1, "yOffset": -6},
            "encoding": {"x": at("at"), "y": y},
        },
        {
            "data": {"values": [row for row in point_rows if row["failed"]]},
            "mark": {"type": "point", "shape": _CROSS, "filled": False, "color": _INK,
                     "size": 110, "strokeWidth": 2.5, "opacity": 1, "yOffset": -6},
            "encoding": {"x": at("at"), "y": y},
        },
    ]  # fmt: skip
    filled = [layer for layer in layers if layer["data"]["values"]]
    return _sized({"layer": filled}, shape, 36 * len(lanes) + 10)


_LONG_LABELS: Final = 3 * 86_400
"""Below this span, in seconds, ticks say the day and the time."""

_CROSS: Final = "M-0.5,-0.5L0.5,0.5M-0.5,0.5L0.5,-0.5"


def _time_axis(seconds: float) -> tuple[str, str]:
    """Return how the times of an axis are written, and what it is called."""
    days = seconds / 86_400
    if days <= 3:
        return "%d %b %H:%M", "day and time"
    if days <= 366:
        return "%d %b", "day"
    return "%b %Y", "month"
