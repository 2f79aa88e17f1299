"""Predicted beside measured distribution function."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from freeness.advice.analysis import Comparison
from freeness.laws import Law
from freeness.plots import style
from freeness.plots.window import Window, law_grid, window_of

_SIDE = 1e-9  # how far beside an atom, relative to it, the ends of its jump are read


def plot_cdf(comparison: Comparison, ax: Axes | None = None, *, title: str = "", xlabel: str = "eigenvalue") -> Axes:
    """Draw the share of eigenvalues up to x, theory as a line, measurement as steps; an atom is a jump.

    Args:
        comparison: predicted (or None) and measured.
        ax: axes to draw into; those of a new figure when left out.
        title: above the picture.
        xlabel: what the eigenvalues are of.
    """
    axes = style.axes_or_new(ax)
    window = window_of(comparison)
    values = np.asarray(comparison.measured.eigenvalues)
    x = np.concatenate([[window.low], np.maximum(values, window.low), [window.high]])
    share = np.concatenate([[np.mean(values < window.low)], np.arange(1, values.size + 1) / values.size, [1.0]])
    label = style.counted(values.size)
    handles = axes.step(
        x, share, where="post", color=style.MEASURED, linewidth=4, alpha=0.8, label=label, gid="measured-cdf"
    )
    if comparison.predicted is not None:
        law = comparison.predicted.law
        points = _cdf_points(law, window)
        values_of_law = law.cdf(points, throw=False)
        handles += axes.plot(points, values_of_law, color=style.THEORY, linewidth=1.8, label="theory", gid="theory-cdf")
    style.show_window(axes, window.low, window.high, log=window.log)
    axes.set_ylim(-0.02, 1.02)
    style.finish(axes, xlabel=xlabel, ylabel="share of eigenvalues up to here", title=title)
    style.legend_below(axes, list(handles))
    return axes


def _cdf_points(law: Law, window: Window) -> np.ndarray:
    """The grid, with both sides of every atom, so that its jump is vertical."""
    positions = np.array([atom.position for atom in law.atoms])
    side = _SIDE * max(abs(window.low), abs(window.high))
    inside = positions[(positions > window.low) & (positions < window.high)]
    return np.unique(
        np.concatenate([law_grid(law, window.low, window.high, log=window.log), inside - side, inside + side])
    )
