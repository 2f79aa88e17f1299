"""Deprecated: the pictures are in :mod:`freeness.show`, under the same names."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from freeness.show import (
        Split,
        SweepTable,
        Window,
        figure_of,
        law_grid,
        plot_cdf,
        plot_dynamics,
        plot_heat_map,
        plot_law,
        plot_layer_accuracy,
        plot_layers,
        plot_likelihoods,
        plot_maps,
        plot_parts,
        plot_phase,
        plot_spectrum,
        plot_thresholds,
        plot_trade_off,
        plot_training,
        split_eigenvalues,
        window_of,
    )

__all__ = [
    "Figure",
    "Split",
    "SweepTable",
    "Window",
    "figure_of",
    "law_grid",
    "plot_cdf",
    "plot_dynamics",
    "plot_heat_map",
    "plot_law",
    "plot_layer_accuracy",
    "plot_layers",
    "plot_likelihoods",
    "plot_maps",
    "plot_parts",
    "plot_phase",
    "plot_spectrum",
    "plot_thresholds",
    "plot_trade_off",
    "plot_training",
    "split_eigenvalues",
    "window_of",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = "matplotlib.figure" if name == "Figure" else "freeness.show"
    warnings.warn(f"freeness.plots.{name} is deprecated; import it from {home}.", DeprecationWarning, stacklevel=2)
    return getattr(import_module(home), name)
