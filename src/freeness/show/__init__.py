"""Answers for people: pictures as values, which become axes of matplotlib or figures of plotly."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from freeness.show.drawn_law import DrawnLaw, drawn_law, drawn_values
from freeness.show.encoded import picture_bytes, picture_uri
from freeness.show.interactive import PlotlyFigure, plain_numbers, to_plotly
from freeness.show.picture import Axis, Bars, HeatMap, Histogram, Look, Picture, Rule, Series, Stems, Swatch
from freeness.show.pictures.cdf import cdf_picture
from freeness.show.pictures.dynamics import dynamics_picture
from freeness.show.pictures.interpretation import layer_accuracy_picture, likelihoods_picture, parts_picture
from freeness.show.pictures.law import drawn_law_picture, law_picture
from freeness.show.pictures.layers import layers_picture
from freeness.show.pictures.lines import lines_picture
from freeness.show.pictures.phase import map_picture, phase_picture
from freeness.show.pictures.spectrum import spectrum_picture
from freeness.show.pictures.sweep import (
    SweepTable,
    SweptDesign,
    heat_map_picture,
    swept_design,
    thresholds_picture,
    training_picture,
)
from freeness.show.pictures.trade_off import trade_off_picture
from freeness.show.pointmass import Split, split_eigenvalues
from freeness.show.window import Window, law_grid, window_of

if TYPE_CHECKING:
    from freeness.show.maps import plot_maps
    from freeness.show.plots import (
        plot_cdf,
        plot_dynamics,
        plot_heat_map,
        plot_law,
        plot_layer_accuracy,
        plot_layers,
        plot_likelihoods,
        plot_parts,
        plot_phase,
        plot_spectrum,
        plot_thresholds,
        plot_trade_off,
        plot_training,
    )
    from freeness.show.static import draw, figure_of

# Loaded when they are first asked for, since these modules need matplotlib.
_LATER = {
    "draw": "static",
    "figure_of": "static",
    "plot_cdf": "plots",
    "plot_dynamics": "plots",
    "plot_heat_map": "plots",
    "plot_law": "plots",
    "plot_layer_accuracy": "plots",
    "plot_layers": "plots",
    "plot_likelihoods": "plots",
    "plot_maps": "maps",
    "plot_parts": "plots",
    "plot_phase": "plots",
    "plot_spectrum": "plots",
    "plot_thresholds": "plots",
    "plot_trade_off": "plots",
    "plot_training": "plots",
}

__all__ = [
    "Axis",
    "Bars",
    "DrawnLaw",
    "HeatMap",
    "Histogram",
    "Look",
    "Picture",
    "PlotlyFigure",
    "Rule",
    "Series",
    "Split",
    "Stems",
    "Swatch",
    "SweepTable",
    "SweptDesign",
    "Window",
    "cdf_picture",
    "draw",
    "drawn_law",
    "drawn_law_picture",
    "drawn_values",
    "dynamics_picture",
    "figure_of",
    "heat_map_picture",
    "law_grid",
    "law_picture",
    "layer_accuracy_picture",
    "layers_picture",
    "likelihoods_picture",
    "lines_picture",
    "map_picture",
    "parts_picture",
    "phase_picture",
    "picture_bytes",
    "picture_uri",
    "plain_numbers",
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
    "spectrum_picture",
    "split_eigenvalues",
    "swept_design",
    "thresholds_picture",
    "to_plotly",
    "trade_off_picture",
    "training_picture",
    "window_of",
]


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)


def __dir__() -> list[str]:
    return __all__
