"""One law: density as a line, atoms as stems, a sampled matrix of it as a histogram."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from freeness.advice.analysis import Comparison
from freeness.laws import Empirical, Law
from freeness.plots import spectrum, style
from freeness.plots.pointmass import split_eigenvalues
from freeness.plots.window import window_of
from freeness.spectra.records import Measurement, Prediction, TopEigenvalue

_MANY = 100  # ends of bands; more are not refined
_QUANTILES = 200  # stand for the law where no matrix is sampled, to choose the window


def plot_law(law: Law, ax: Axes | None = None, *, sampled: ArrayLike | None = None, title: str = "") -> Axes:
    """Draw a law as :func:`~freeness.plots.plot_spectrum` draws a prediction, over the eigenvalues of a sample of it.

    Args:
        law: any law.
        ax: axes to draw into; those of a new figure when left out.
        sampled: eigenvalues of a random matrix, or none.
        title: above the picture.

    Example:
        >>> from freeness.laws import Semicircle
        >>> [line.get_gid() for line in plot_law(Semicircle(1.0)).lines]
        ['theory-density']
    """
    values = _quantiles(law) if sampled is None else np.sort(np.asarray(sampled, dtype=float).ravel())
    comparison = _comparison(law, values)
    if sampled is not None:
        axes = spectrum.plot_spectrum(comparison, ax, title=title)
        _refine(axes, law)
        legend = axes.get_legend()
        if legend is not None:
            for text in legend.get_texts():
                text.set_text(text.get_text().replace("measured", "sampled"))
        return axes
    axes = style.axes_or_new(ax)
    split = split_eigenvalues(values, comparison.predicted)
    window = window_of(comparison, split)
    handles = list(_draw(axes, comparison, np.array([window.low, window.high])))
    style.legend_below(axes, handles)
    spectrum._dress(axes, comparison, split, window, title, "eigenvalue")
    _refine(axes, law)
    return axes


def _draw(axes: Axes, comparison: Comparison, ends: np.ndarray) -> Iterable[Artist]:
    assert comparison.predicted is not None
    window = window_of(comparison)
    yield from spectrum._draw_density(axes, comparison.predicted, ends, window)
    spectrum._limit_height(axes)
    nothing = split_eigenvalues(np.array([window.high]), None)
    yield from spectrum._draw_atoms(axes, comparison.predicted, nothing, window)


def _refine(axes: Axes, law: Law) -> None:
    """Add points at both sides of the ends of inner bands, where the line would cut a gap or a cusp short."""
    ends = np.unique(law.bands)
    reach = (law.hull[1] - law.hull[0]) * np.geomspace(1e-9, 1e-2, 15)
    near = (ends[:, None] + np.concatenate([-reach, reach])).ravel()
    low, high = axes.get_xlim()
    near = near[(near > low) & (near < high)] if len(ends) <= _MANY else near[:0]
    for line in axes.lines:
        if line.get_gid() == "theory-density" and near.size:
            unit = near * np.log(10) if axes.get_xscale() == "log" else 1.0
            x = np.concatenate([np.asarray(line.get_xdata(), dtype=float), near])
            y = np.concatenate([np.asarray(line.get_ydata(), dtype=float), law.density(near, throw=False) * unit])
            order = np.argsort(x)
            line.set_data(x[order], y[order])


def _quantiles(law: Law) -> np.ndarray:
    return law.quantile((np.arange(_QUANTILES) + 0.5) / _QUANTILES)


def _comparison(law: Law, values: np.ndarray) -> Comparison:
    """The law as a prediction of the values."""
    top = law.hull[1]
    mass = law.atoms[-1].mass if law.atoms and law.atoms[-1].position == top else 0.0
    edge = TopEigenvalue(top, "atom" if mass else "edge", mass)
    prediction = Prediction(law, edge, (), "free calculus", 0.0, law.variance)
    return Comparison(prediction, Measurement(values, Empirical(values), "sampled matrix", 0.0), None)
