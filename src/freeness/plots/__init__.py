"""Pictures of laws and results as matplotlib Axes; nothing is computed from a network, and nothing is saved."""

from freeness.plots.cdf import plot_cdf
from freeness.plots.design import plot_trade_off
from freeness.plots.dynamics import plot_dynamics
from freeness.plots.interpretation import plot_layer_accuracy, plot_likelihoods, plot_maps, plot_parts
from freeness.plots.law import plot_law
from freeness.plots.layers import plot_layers
from freeness.plots.phase import plot_phase
from freeness.plots.pointmass import Split, split_eigenvalues
from freeness.plots.spectrum import plot_spectrum
from freeness.plots.style import Figure, figure_of
from freeness.plots.sweep import SweepTable, plot_heat_map, plot_thresholds, plot_training
from freeness.plots.window import Window, law_grid, window_of

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
