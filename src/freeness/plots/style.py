"""What all pictures share: colours that the colour-blind tell apart (Okabe, Ito 2008), sizes, and figures."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

THEORY = "#0072B2"
MEASURED = "#E69F00"
MEASURED_DARK = "#8A5A00"  # for thin lines and text on white
GREEN = "#009E73"
RED = "#D55E00"
GREY = "#666666"

_SIZE = (5.6, 4.4)  # inches: at half this width, on a phone, the labels are still readable
FONT = 11.0


def axes_or_new(ax: Axes | None) -> Axes:
    """The given axes, or those of a new figure that no pyplot state knows."""
    return Figure(figsize=_SIZE, layout="constrained", facecolor="white").subplots() if ax is None else ax


def figure_of(ax: Axes) -> Figure:
    """The whole figure that holds the axes, to be saved by its ``savefig``."""
    figure = ax.figure
    while isinstance(figure, SubFigure):
        figure = figure.figure
    return figure


def show_window(ax: Axes, low: float, high: float, *, log: bool) -> None:
    """The horizontal axis from low to high; small and large numbers share a power of ten, for their labels would overlap."""
    ax.set_xscale("log" if log else "linear")
    ax.set_xlim(low, high)
    if not log:
        ax.ticklabel_format(axis="x", scilimits=(-3, 5), useOffset=False, useMathText=True)


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


def counted(eigenvalues: int) -> str:
    """The name of the measured series."""
    return f"measured ({eigenvalues} eigenvalue{'' if eigenvalues == 1 else 's'})"


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
