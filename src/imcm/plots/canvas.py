"""
What all pictures share: axes, text that nothing obeys, headings and keys.

matplotlib is loaded by `axes_for`, which every picture calls first, so that `import imcm.plots`
costs nothing and what is missing is said by name.
"""

# The annotations of matplotlib leave arguments untyped.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any, Final

from imcm.errors import InvalidValue, MissingExtraError
from imcm.plain import plain
from imcm.plots.inks import MARK, TEXT, Palette, legible, palette_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# --- axes -----------------------------------------------------------------------------------------


def axes_for(ax: Axes | None, *, width: float = 8.0, height: float = 4.5) -> Axes:
    """
    Return the axes to draw into: those given, or the only ones of a new figure of pyplot.

    A notebook shows figures of pyplot by itself, and no others.

    Args:
        width, height: Of a new figure, in inches.

    Raises:
        MissingExtraError: The extra `plot` is not installed.
        InvalidValue: *ax* is no Axes.
    """
    pyplot = loaded()
    from matplotlib.axes import Axes

    if ax is not None and not isinstance(ax, Axes):
        raise InvalidValue("ax", ax, "Axes of matplotlib, or None for new ones")
    axes: Axes = ax or pyplot.subplots(figsize=(width, height), layout="constrained")[1]
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    _frame_read(axes, palette_of(axes))
    return axes


# Any: the module, which is not there without the extra.
def loaded() -> Any:
    """
    Return pyplot.

    Raises:
        MissingExtraError: The extra `plot` is not installed.
    """
    try:
        from matplotlib import pyplot
    except ImportError:
        raise MissingExtraError("drawing", "plot") from None
    return pyplot


def _frame_read(ax: Axes, palette: Palette) -> None:
    """Give the frame, ticks and labels of axes that would vanish a colour that does not."""
    from matplotlib import colors

    def read(colour: Any, least: float) -> Any:
        return legible(colors.to_rgb(colour), (palette.around,), least)

    for spine in ax.spines.values():
        spine.set_edgecolor(read(spine.get_edgecolor(), MARK))
    for axis in (ax.xaxis, ax.yaxis):
        [tick] = axis.get_major_ticks(1)[:1]
        axis.set_tick_params(
            which="both",
            color=read(tick.tick1line.get_color(), MARK),
            labelcolor=read(tick.label1.get_color(), TEXT),
        )
        axis.label.set_color(read(axis.label.get_color(), TEXT))


def rows_named(axes: Axes, names: Sequence[str]) -> None:
    """Make of the axis on the left a list of names, from the top down."""
    axes.set_yticks(range(len(names)), labels=list(names))
    axes.set_ylim(len(names) - 0.4, -0.6)
    plain_left(axes)


def plain_left(axes: Axes) -> None:
    """Leave the names of rows at the left without a line and ticks."""
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def grid(axes: Axes, which: str) -> None:
    """Draw lines that lead the eye from the ticks of the axis "x", "y" or "both"."""
    axes.grid(axis=which, color=palette_of(axes).pale, linewidth=0.6)  # type: ignore[arg-type]


# --- text -----------------------------------------------------------------------------------------


def words(text: object, longest: int = 60) -> str:
    """
    Return text from outside as it can stand in a picture: one line, which nothing obeys.

    matplotlib reads what stands between two dollar signs as a formula; here they are signs.
    """
    line = plain(text)
    if len(line) > longest:
        line = line[: longest - 1].rstrip() + "…"
    return line.replace("$", r"\$")


def lines_of(text: object, width: int = 95, most: int = 3) -> list[str]:
    """
    Return a sentence from outside as a few lines, each as `words` makes it.

    What does not fit is cut behind a word, with an ellipsis.
    """
    lines = wrap(plain(text), width, max_lines=most, placeholder=" …")
    return [words(line, width) for line in lines]


def headed(ax: Axes, title: str, *lines: str) -> None:
    """
    Write a title, and smaller lines below it; each was made by `words` or holds none.

    They are wrapped to the room above the axes, each time these are drawn.
    """
    from imcm.plots.fitted import Heading

    palette = palette_of(ax)
    said = [line for line in lines if line]
    _read_as_written(ax)  # before any of it is measured
    Heading(ax, title, said, ink=palette.title, soft=palette.note)


def beside(axes: Axes, row: float, text: str, colour: Any) -> None:
    """Write a text to the right of the axes, at a row."""
    axes.annotate(
        text,
        xy=(1, row),
        xycoords=axes.get_yaxis_transform(),
        xytext=(8, 0),
        textcoords="offset points",
        va="center",
        fontsize=9,
        color=colour,
        annotation_clip=False,
    )


def key(axes: Axes, *, below: float = 0.6, **where: Any) -> None:
    """
    Say what is what: one entry for each label, below the axes unless said otherwise.

    There it hides nothing, whatever is drawn.

    Args:
        below: How far below, in inches: beyond the ticks and the label of the axis.
        where: As `Axes.legend` takes it.
    """
    handles, labels = axes.get_legend_handles_labels()
    first = dict(reversed(list(zip(labels, handles, strict=True))))
    order = list(dict.fromkeys(labels))
    if not order:
        return
    place = {"loc": "upper left", "bbox_to_anchor": (0, 0), "bbox_transform": _below(axes, below)}
    given: dict[str, Any] = {**place, "fontsize": 8, "ncols": 4, **where}
    # Around the axes, unless it is placed in them.
    palette = palette_of(axes)
    colour = palette.title if "bbox_to_anchor" in given else palette.strong
    axes.legend([first[each] for each in order], order, frameon=False, labelcolor=colour, **given)


def _below(axes: Axes, inches: float) -> Any:
    """Return the axes' own coordinates, moved down."""
    from matplotlib.transforms import ScaledTranslation

    figure = axes.get_figure(root=True)
    assert figure is not None
    return axes.transAxes + ScaledTranslation(0, -inches, figure.dpi_scale_trans)


def finished(ax: Axes) -> Axes:
    """
    Return the axes, all of whose text is read as `words` wrote it, whatever the settings.

    Where their figure is not laid out by itself, axes become smaller until what stands around them
    is in the figure and not on other axes.
    """
    _read_as_written(ax)
    figure = ax.get_figure()
    if figure is not None and figure.get_layout_engine() is None:
        for _ in range(2):  # narrower axes have longer headings
            _room_made(ax)
    return ax


def _read_as_written(ax: Axes) -> None:
    from matplotlib.text import Text

    for text in ax.findobj(Text):
        if isinstance(text, Text):
            text.set_usetex(False)
            text.set_parse_math(True)


LEAST_PART: Final = 0.3
"""To no less than this part of their width and height are axes made smaller."""


def _room_made(ax: Axes) -> None:
    taken = _taken(ax)
    if taken is None:
        return
    box = ax.get_position()
    low, high = _free(ax)
    starts, sizes = [box.x0, box.y0], [box.width, box.height]
    for side, (first, last) in enumerate(zip(*taken, strict=True)):
        most = (1 - LEAST_PART) * sizes[side] / 2
        before = min(max(low[side] - first, 0.0), most)
        starts[side] += before
        sizes[side] -= before + min(max(last - high[side], 0.0), most)
    ax.set_position((starts[0], starts[1], sizes[0], sizes[1]))


def _taken(ax: Axes) -> tuple[list[float], list[float]] | None:
    """Return from where to where axes and what is around them stand, in parts of the figure."""
    figure, box = ax.get_figure(root=True), ax.get_tightbbox()
    if figure is None or box is None:
        return None
    wide, high = figure.bbox.width, figure.bbox.height
    return [box.x0 / wide, box.y0 / high], [box.x1 / wide, box.y1 / high]


def _free(ax: Axes) -> tuple[list[float], list[float]]:
    """Return from where to where nothing else stands, across and up, in parts of the figure."""
    figure = ax.get_figure(root=True)
    low, high, box = [0.0, 0.0], [1.0, 1.0], ax.get_position()
    for other in () if figure is None else figure.axes:
        its, taken = other.get_position(), _taken(other)
        if other is ax or taken is None:
            continue
        first, last = taken
        for side, across in ((0, 1), (1, 0)):
            if its.max[across] <= box.min[across] or its.min[across] >= box.max[across]:
                continue
            if its.max[side] <= box.min[side]:
                low[side] = max(low[side], min(last[side], box.min[side]))
            elif its.min[side] >= box.max[side]:
                high[side] = min(high[side], max(first[side], box.max[side]))
    return low, high


def said(ax: Axes, title: str, reason: str) -> Axes:
    """Say in words why there is nothing to draw, in place of an empty picture."""
    palette = palette_of(ax)
    ax.set_axis_off()
    headed(ax, title)
    figure = ax.get_figure(root=True)
    inches = 5.0 if figure is None else ax.get_window_extent().width / figure.dpi
    signs = wrap(reason.replace(r"\$", "$"), max(16, round(12 * inches)))
    ax.text(
        0.5,
        0.5,
        "\n".join(line.replace("$", r"\$") for line in signs),
        transform=ax.transAxes,
        ha="center",
        va="center",
        color=palette.note,
    )
    return finished(ax)


def spread(count: int, most: int) -> list[int]:
    """Return at most so many indices out of *count*, evenly spread from the first to the last."""
    if count <= most:
        return list(range(count))
    return sorted({round(index * (count - 1) / (most - 1)) for index in range(most)})
