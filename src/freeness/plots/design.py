"""What isometry costs: nonlinearity and capacity along the edge of chaos."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from freeness.advice import TradeOff
from freeness.plots import style


def plot_trade_off(curve: TradeOff, spread: float | None = None, ax: Axes | None = None, *, title: str = "") -> Axes:
    """Draw the nonlinear share of the whole network and its capacity against σ_JJ², both between 0 and 1.

    Args:
        curve: along the edge of chaos.
        spread: σ_JJ² of a design, marked by a line.
        ax: axes to draw into; those of a new figure when left out.
        title: above the picture.
    """
    axes = style.axes_or_new(ax)
    shown = curve.spread > 0
    handles: list[Line2D] = axes.plot(
        curve.spread[shown],
        curve.nonlinearity[shown],
        color=style.THEORY,
        linewidth=2,
        label="nonlinear share of what depends on the input",
        gid="nonlinearity",
    )
    handles += axes.plot(
        curve.spread[shown],
        curve.capacity[shown],
        color=style.RED,
        linewidth=2,
        linestyle="--",
        label=f"capacity at signal-to-noise {curve.snr:g}, over an isometry's",
        gid="capacity",
    )
    if spread is not None and spread > 0:
        handles.append(axes.axvline(spread, color=style.GREY, linewidth=1.5, linestyle=":", label="this design"))
    axes.set_xscale("log")
    low, high = curve.spread[shown].min(), curve.spread[shown].max()
    axes.set_xlim(max(low, 1e-2), max(min(high, 100.0), 10 * max(low, 1e-2)))
    axes.set_ylim(0, 1.02)
    label = r"spread $\sigma_{JJ}^2$ of the squared singular values of the Jacobian"
    style.finish(axes, xlabel=label, ylabel="share", title=title)
    style.legend_below(axes, handles, columns=1)
    return axes
