"""Predicted and measured loss along training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from freeness.plots import style

_HUGE = 1e100  # ticks of larger losses overflow; training that diverges leaves the picture there


def plot_dynamics(
    steps: np.ndarray,
    predicted: np.ndarray,
    measured: Sequence[tuple[np.ndarray, np.ndarray]] = (),
    ax: Axes | None = None,
    *,
    title: str = "",
) -> Axes:
    """Draw the predicted training loss as a line and measured ones beside it, on a logarithmic axis.

    Args:
        steps: of the prediction, ascending.
        predicted: losses there.
        measured: steps and losses of real networks.
        ax: axes to draw into; those of a new figure when left out.
        title: above the picture.
    """
    axes = style.axes_or_new(ax)
    shown = np.where(np.abs(predicted) < _HUGE, predicted, np.nan)
    handles = []
    for place, (at, losses) in enumerate(measured):
        label = f"measured ({len(measured)} network{'' if len(measured) == 1 else 's'})" if place == 0 else None
        drawn = np.where(np.abs(losses) < _HUGE, losses, np.nan)
        lines = axes.plot(at, drawn, color=style.MEASURED, linewidth=1, alpha=0.8, label=label, gid="measured")
        handles += lines if place == 0 else []
    handles += axes.plot(
        steps, shown, color=style.THEORY, linewidth=2, label="predicted from the kernel", gid="predicted"
    )
    axes.set_yscale("log")
    style.finish(axes, xlabel="step of full-batch gradient descent", ylabel="training loss (log scale)", title=title)
    style.legend_below(axes, handles)
    return axes
