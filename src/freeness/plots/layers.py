"""The forward signals along depth."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator

from freeness.advice.analysis import Analysis
from freeness.plots import style

_SERIES = (  # field of LayerRow, name, colour, marker
    ("q", "$q$: variance of pre-activations", style.THEORY, "o"),
    ("qhat", r"$\hat q$: mean square of the layer's input", style.MEASURED, "s"),
    ("chi", r"$\chi$: gain of squared gradients (critical: 1)", style.GREEN, "^"),
    ("delta", r"$\delta$: spread of $\varphi'^2$ (isometric: small)", style.RED, "D"),
)
_FEW = 30  # more layers than this are drawn without markers
_FLOOR = 1e-12


def plot_layers(analysis: Analysis, ax: Axes | None = None, *, title: str = "") -> Axes:
    """Draw q, q̂, χ and δ of every layer on a logarithmic axis, where exponential growth or decay is a straight line.

    Values that are zero (δ of a linear layer) or not defined (χ, δ after the last layer) are left out.

    Args:
        analysis: whose layers.
        ax: axes to draw into; those of a new figure when left out.
        title: above the picture.
    """
    axes = style.axes_or_new(ax)
    index = np.array([row.index for row in analysis.layers])
    handles = []
    for place, (field, label, colour, marker) in enumerate(_SERIES):
        values = np.array(
            [np.nan if getattr(row, field) is None else getattr(row, field) for row in analysis.layers], float
        )
        values[~(values > _FLOOR)] = np.nan
        handles += axes.plot(
            index,
            values,
            color=colour,
            marker=marker if index.size <= _FEW else None,
            markersize=6 if place else 9,
            linewidth=1.8 if place else 4,  # q often lies under q̂
            label=label,
            gid=f"layers-{field}",
        )
    axes.axhline(1.0, color=style.GREY, linewidth=1, linestyle="--", zorder=1)
    axes.set_yscale("log")
    _legible_ticks(axes)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    style.finish(axes, xlabel="layer", ylabel="value (log scale)", title=title)
    style.legend_below(axes, handles, columns=1)
    return axes


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
