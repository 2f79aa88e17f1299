"""Pictures as axes of matplotlib."""

from __future__ import annotations

import io
from functools import singledispatch
from typing import Any, Literal

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator, PercentFormatter

from freeness.show.picture import Appearance, Axis, Bars, HeatMap, Histogram, Picture, Rule, Series, Stems, Swatch

_SIZE = (5.6, 4.4)  # inches: at half this width, on a phone, the labels are still readable
FONT = 11.0
_DPI = 80  # in a notebook
_DASHES = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-.", "short": (0, (3, 1.5))}
_MARKERS = {"circle": "o", "square": "s", "up": "^", "down": "v", "diamond": "D", "tick": "|"}
_MATHS = {
    "σ_JJ²": r"$\sigma_{JJ}^2$", "σ_w": r"$\sigma_w$", "σ_b": r"$\sigma_b$", "ln χ₁": r"$\ln \chi_1$", "q̂:": r"$\hat q$:",
    "q:": "$q$:", "χ:": r"$\chi$:", "δ:": r"$\delta$:", "φ'²": r"$\varphi'^2$",
}  # fmt: skip


def draw(picture: Picture, ax: Axes | None = None) -> Axes:
    """Draw a picture.

    Returns:
        The axes; save by ``figure_of(axes).savefig(...)``.

    Example:
        >>> import numpy as np
        >>> from freeness.show import Axis, Appearance, Picture, Series
        >>> line = Series(np.arange(3.0), np.arange(3.0) ** 2, Appearance("black"), "x²")
        >>> draw(Picture((line,), Axis("x"), Axis("y"))).get_xlabel()
        'x'
    """
    axes = axes_or_new(ax)
    if picture.empty:
        axes.set_facecolor(picture.empty)
    _set_ends(axes, picture)
    twin = _right(axes, picture.right) if picture.right is not None else axes
    handles: list[Artist] = []
    for drawing in picture.drawings:
        right = isinstance(drawing, Stems) or (isinstance(drawing, Series) and drawing.where == "right")
        handles += [handle for handle in _draw(drawing, twin if right else axes) if _named(handle)]
    _set_ticks(axes, "x", picture.x)
    _set_ticks(axes, "y", picture.y)
    finish(axes, xlabel=typeset(picture.x.label), ylabel=typeset(picture.y.label), title=picture.title)
    _draw_bar(axes, picture)
    if not picture.grid:
        axes.grid(visible=False)
    if handles:
        legend_below(axes, handles[::-1] if picture.backwards else handles, columns=picture.columns)
    return axes


class ShownAxes(Axes):
    """Axes of a figure of their own, which a notebook shows where they end a cell."""

    def _repr_png_(self) -> bytes:
        stream = io.BytesIO()
        figure_of(self).savefig(stream, format="png", dpi=_DPI)
        return stream.getvalue()


def axes_or_new(ax: Axes | None) -> Axes:
    """The given axes, or those of a new figure that no pyplot state knows."""
    if ax is not None:
        return ax
    return Figure(figsize=_SIZE, layout="constrained", facecolor="white").add_subplot(axes_class=ShownAxes)


def figure_of(ax: Axes) -> Figure:
    """The whole figure that holds the axes, to be saved by its ``savefig``."""
    figure = ax.figure
    while isinstance(figure, SubFigure):
        figure = figure.figure
    return figure


def finish(ax: Axes, *, xlabel: str, ylabel: str, title: str) -> None:
    """Labels, light grid, legible ticks."""
    ax.set_xlabel(xlabel, fontsize=FONT)
    ax.set_ylabel(ylabel, fontsize=FONT)
    if title:
        ax.set_title(title, fontsize=FONT + 1, loc="left", parse_math=False)
    ax.tick_params(labelsize=FONT - 1)
    ax.grid(visible=True, color="#dddddd", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines["top"].set_visible(False)


def legend_below(ax: Axes, handles: list, *, columns: int = 2) -> None:
    """A legend under the picture, where it covers no data."""
    ax.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.16),
        ncol=columns,
        frameon=False,
        fontsize=FONT - 1,
        handlelength=1.6,
        columnspacing=1.4,
    )


def typeset(text: str) -> str:
    """Text in which the names of quantities are set as formulas and everything else as it stands."""
    found = text.replace("$", r"\$")
    for plain, formula in _MATHS.items():
        found = found.replace(plain, formula)
    return found


# --- drawings -----------------------------------------------------------------------------------------------------


@singledispatch
def _draw(drawing: Any, ax: Axes) -> list[Artist]:
    """Draw one thing; what comes back is named in the legend where its label is a name."""
    raise TypeError(f"expected a drawing of a Picture, got {type(drawing).__name__}.")


@_draw.register
def _(drawing: Series, ax: Axes) -> list[Artist]:
    look = drawing.look
    how: dict[str, Any] = {"gid": drawing.key or None} | _line(look) | _marker(look)
    if drawing.error is not None:
        line = ax.errorbar(drawing.x, drawing.y, yerr=drawing.error, capsize=2, **how).lines[0]
    else:
        (line,) = ax.plot(drawing.x, drawing.y, drawstyle="steps-post" if drawing.step else "default", **how)
    line.set_label(typeset(drawing.name) or "_")
    if drawing.where == "frame":
        line.set_transform(ax.get_xaxis_transform())
    line.set_clip_on(drawing.clipped)
    if drawing.fill:
        ax.fill_between(drawing.x, drawing.y, color=look.colour, alpha=drawing.fill, linewidth=0)
    return [line]


@_draw.register
def _(drawing: Histogram, ax: Axes) -> list[Artist]:
    look = drawing.look
    how: dict[str, Any] = {"fill": True}
    if not drawing.filled:
        how = {"baseline": None, "linestyle": _DASHES[look.dash], "linewidth": look.width}
    patch = ax.stairs(
        drawing.heights,
        drawing.edges,
        color=look.colour,
        alpha=look.opacity,
        label=drawing.name,
        gid=drawing.key or None,
        **how,
    )
    return [patch]


@_draw.register
def _(drawing: Bars, ax: Axes) -> list[Artist]:
    width = drawing.part * (float(np.diff(drawing.x).min()) if len(drawing.x) > 1 else 1.0)
    ax.bar(drawing.x, drawing.heights, color=drawing.look.colour, width=width, gid=drawing.key or None)
    return [Patch(color=drawing.look.colour, label=typeset(drawing.name))]


@_draw.register
def _(drawing: Stems, ax: Axes) -> list[Artist]:
    look, gid = drawing.look, drawing.key
    beneath: dict[str, Any] = {"zorder": 1} if look.hollow else {}  # other stems are seen through the circles
    ax.vlines(
        drawing.x, 0, drawing.masses, color=look.colour, linewidth=look.width, alpha=look.opacity, gid=f"{gid}-stems",
        **beneath,
    )  # fmt: skip
    tops = ax.plot(
        drawing.x, drawing.masses, label=drawing.name, gid=f"{gid}-atoms", linestyle="none", color=look.colour,
        **_marker(look),
    )  # fmt: skip
    low, high = ax.get_xlim()
    for x, mass, label in zip(drawing.x, drawing.masses, drawing.labels, strict=True):
        if label:
            part = np.log(x / low) / np.log(high / low) if ax.get_xscale() == "log" else (x - low) / (high - low)
            _write_beside(ax, label, (x, mass), look.edge or look.colour, left=bool(part > 0.6))
    return [*tops]


def _write_beside(ax: Axes, text: str, place: tuple[float, float], colour: str, *, left: bool) -> None:
    ax.annotate(
        text,
        place,
        xytext=(-11 if left else 11, 4),
        textcoords="offset points",
        ha="right" if left else "left",
        fontsize=FONT,
        color=colour,
        fontweight="bold",
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.0},
    )


@_draw.register
def _(drawing: HeatMap, ax: Axes) -> list[Artist]:
    colours = LinearSegmentedColormap.from_list("given", drawing.colours) if drawing.colours else "viridis"
    ax.pcolormesh(
        drawing.x,
        drawing.y,
        drawing.z,
        cmap=colours,
        norm=Normalize(*drawing.limits),
        shading="auto",
        rasterized=drawing.z.size > 1000,  # cells of a fine grid are no shapes to anybody
        gid=drawing.key or None,
    )
    return []


@_draw.register
def _(drawing: Rule, ax: Axes) -> list[Artist]:
    line = ax.axvline if drawing.axis == "x" else ax.axhline
    return [line(drawing.at, label=typeset(drawing.name) or None, zorder=1, **_line(drawing.look))]


@_draw.register
def _(drawing: Swatch, ax: Axes) -> list[Artist]:
    return [Patch(color=drawing.colour, label=drawing.name)]


def _line(look: Appearance) -> dict[str, Any]:
    width = {"linestyle": _DASHES[look.dash], "linewidth": look.width} if look.width else {"linestyle": "none"}
    return {"color": look.colour, "alpha": None if look.opacity == 1 else look.opacity} | width


def _marker(look: Appearance) -> dict[str, Any]:
    if look.marker is None:
        return {}
    edge = look.edge or look.colour
    rim = 2.0 if look.hollow else 1.5 if look.marker == "tick" else 1.0
    return {
        "marker": _MARKERS[look.marker],
        "markersize": look.size,
        "markerfacecolor": "none" if look.hollow else look.colour,
        "markeredgecolor": edge,
        "markeredgewidth": rim,
    }


def _named(handle: Artist) -> bool:
    return bool(handle.get_label()) and not str(handle.get_label()).startswith("_")


# --- axes ---------------------------------------------------------------------------------------------------------


def _set_ends(ax: Axes, picture: Picture) -> None:
    """Scales and ends, before anything is drawn: what matplotlib finds by itself has to suit the scale."""
    for shown, scale, limits in (
        (picture.x, ax.set_xscale, ax.set_xlim),
        (picture.y, ax.set_yscale, ax.set_ylim),
    ):
        if shown.log:
            scale("log", base=shown.base)
        if shown.low is not None and shown.high is not None:
            limits(shown.low, shown.high)


def _set_ticks(ax: Axes, name: Literal["x", "y"], shown: Axis) -> None:
    axis = ax.xaxis if name == "x" else ax.yaxis
    if shown.form == "power" and not shown.log:
        ax.ticklabel_format(axis=name, scilimits=(-3, 5), useOffset=False, useMathText=True)
    elif shown.form == "whole":
        axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    elif shown.form == "percent":
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol="%"))
    elif shown.form == "plain" and shown.log:
        _legible_ticks(ax)
    if shown.ticks and shown.form != "percent":
        axis.set_ticks(shown.ticks, [f"{tick:g}" for tick in shown.ticks])


def _legible_ticks(ax: Axes) -> None:
    """Plain numbers; where less than two decades are shown, between the powers of ten too."""
    low, high = ax.get_ylim()
    if high / low < 100:
        room = 2.0 if high / low < 4 else 1.3
        ax.set_ylim(low / room, high * room)
        ax.yaxis.set_major_locator(LogLocator(10, subs=(1.0, 2.0, 5.0)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_minor_formatter(NullFormatter())


def _right(ax: Axes, shown: Axis) -> Axes:
    right = ax.twinx()
    right.set_ylim(shown.low, shown.high)
    percent = [f"{100 * tick:g}%" if tick else "0" for tick in shown.ticks]
    right.set_yticks(shown.ticks, labels=percent if shown.form == "percent" else None)
    right.tick_params(labelsize=FONT - 1)
    right.set_ylabel(shown.label, fontsize=FONT)
    right.spines["top"].set_visible(False)
    return right


def _draw_bar(ax: Axes, picture: Picture) -> None:
    maps = [drawing for drawing in picture.drawings if isinstance(drawing, HeatMap)]
    if maps:
        bar = figure_of(ax).colorbar(ax.collections[0], ax=ax, pad=0.02)
        bar.set_label(typeset(maps[0].bar), fontsize=FONT)
        bar.ax.tick_params(labelsize=FONT - 1)
