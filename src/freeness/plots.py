"""Deprecated: the pictures are in :mod:`freeness.show`, under the same names."""

from __future__ import annotations

from freeness.deprecation import moved

_NAMES = (
    "Figure Split SweepTable Window figure_of law_grid plot_cdf plot_dynamics plot_heat_map plot_law "
    "plot_layer_accuracy plot_layers plot_likelihoods plot_maps plot_parts plot_phase plot_spectrum "
    "plot_thresholds plot_trade_off plot_training split_eigenvalues window_of"
)

__all__ = _NAMES.split()  # pyright: ignore[reportUnsupportedDunderAll]

__getattr__ = moved(
    __name__, {name: f"freeness.show.{name}" for name in __all__} | {"Figure": "matplotlib.figure.Figure"}
)
