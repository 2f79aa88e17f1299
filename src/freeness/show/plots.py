"""Every picture as axes of matplotlib in one call; nothing is computed from a network, and nothing is saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Num
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from freeness.advice import Analysis, Comparison, TradeOff
from freeness.laws import Law
from freeness.meanfield import EdgeOfChaos, PhaseDiagram
from freeness.show.pictures.cdf import cdf_picture
from freeness.show.pictures.dynamics import dynamics_picture
from freeness.show.pictures.interpretation import layer_accuracy_picture, likelihoods_picture, parts_picture
from freeness.show.pictures.law import law_picture
from freeness.show.pictures.layers import layers_picture
from freeness.show.pictures.phase import phase_picture
from freeness.show.pictures.spectrum import spectrum_picture
from freeness.show.pictures.sweep import (
    SweepTable,
    heat_map_picture,
    swept_design,
    thresholds_picture,
    training_picture,
)
from freeness.show.pictures.trade_off import trade_off_picture
from freeness.show.static import draw


def plot_law(law: Law, ax: Axes | None = None, *, sampled: ArrayLike | None = None, title: str = "") -> Axes:
    """Draw :func:`~freeness.show.law_picture` into the axes, or into those of a new figure.

    Example:
        >>> from freeness.laws import Semicircle
        >>> [line.get_gid() for line in plot_law(Semicircle(1.0)).lines]
        ['theory-density']
    """
    return draw(law_picture(law, sampled=sampled, title=title), ax)


def plot_spectrum(
    comparison: Comparison, ax: Axes | None = None, *, title: str = "", xlabel: str = "eigenvalue"
) -> Axes:
    """Draw :func:`~freeness.show.spectrum_picture` into the axes, or into those of a new figure."""
    return draw(spectrum_picture(comparison, title=title, xlabel=xlabel), ax)


def plot_cdf(comparison: Comparison, ax: Axes | None = None, *, title: str = "", xlabel: str = "eigenvalue") -> Axes:
    """Draw :func:`~freeness.show.cdf_picture` into the axes, or into those of a new figure."""
    return draw(cdf_picture(comparison, title=title, xlabel=xlabel), ax)


def plot_layers(analysis: Analysis, ax: Axes | None = None, *, title: str = "") -> Axes:
    """Draw :func:`~freeness.show.layers_picture` into the axes, or into those of a new figure."""
    return draw(layers_picture(analysis, title=title), ax)


def plot_trade_off(curve: TradeOff, spread: float | None = None, ax: Axes | None = None, *, title: str = "") -> Axes:
    """Draw :func:`~freeness.show.trade_off_picture` into the axes, or into those of a new figure."""
    return draw(trade_off_picture(curve, spread, title=title), ax)


def plot_dynamics(
    steps: Num[np.ndarray, " steps"],
    predicted: Float[np.ndarray, " steps"],
    measured: Sequence[tuple[Num[np.ndarray, " _"], Float[np.ndarray, " _"]]] = (),
    ax: Axes | None = None,
    *,
    title: str = "",
) -> Axes:
    """Draw :func:`~freeness.show.dynamics_picture` into the axes, or into those of a new figure."""
    return draw(dynamics_picture(steps, predicted, measured, title=title), ax)


def plot_phase(
    diagram: PhaseDiagram, edge: EdgeOfChaos | None = None, ax: Axes | None = None, *, title: str = ""
) -> Axes:
    """Draw :func:`~freeness.show.phase_picture` into the axes, or into those of a new figure."""
    return draw(phase_picture(diagram, edge, title=title), ax)


def plot_heat_map(table: SweepTable, design: str | None = None, ax: Axes | None = None, *, title: str = "") -> Axes:
    """Draw :func:`~freeness.show.heat_map_picture` of one design (the first when left out), which is the title when left out."""
    name = design or str(table["design"].values[0])
    return draw(heat_map_picture(swept_design(table, name), title=title or name), ax)


def plot_thresholds(table: SweepTable, ax: Axes | None = None, *, title: str = "") -> Axes:
    """Draw :func:`~freeness.show.thresholds_picture` into the axes, or into those of a new figure."""
    return draw(thresholds_picture(table, title=title), ax)


def plot_training(
    table: SweepTable, design: str | None = None, depth: int | None = None, ax: Axes | None = None, *, title: str = ""
) -> Axes:
    """Draw :func:`~freeness.show.training_picture` into the axes, or into those of a new figure."""
    return draw(training_picture(table, design, depth, title=title), ax)


def plot_layer_accuracy(
    accuracy: Float[np.ndarray, " layers"],
    error: Float[np.ndarray, " layers"],
    settled: Num[np.ndarray, " layers"] | None = None,
    ax: Axes | None = None,
    *,
    title: str = "",
) -> Axes:
    """Draw :func:`~freeness.show.layer_accuracy_picture` into the axes, or into those of a new figure."""
    return draw(layer_accuracy_picture(accuracy, error, settled, title=title), ax)


def plot_likelihoods(
    likelihoods: Float[np.ndarray, "layers classes"], classes: Sequence[str], ax: Axes | None = None, *, title: str = ""
) -> Axes:
    """Draw :func:`~freeness.show.likelihoods_picture` into the axes, or into those of a new figure."""
    return draw(likelihoods_picture(likelihoods, classes, title=title), ax)


def plot_parts(parts: Mapping[str, Float[np.ndarray, " layers"]], ax: Axes | None = None, *, title: str = "") -> Axes:
    """Draw :func:`~freeness.show.parts_picture` into the axes, or into those of a new figure."""
    return draw(parts_picture(parts, title=title), ax)
