"""Spectra of networks from theory, and the records that hold predictions and measurements."""

from freeness.moves import MeanVariance
from freeness.spectra.alternating_words import REJECTED, FreenessTest, Word, freeness_words
from freeness.spectra.alternating_words import mixed_word as mixed_word
from freeness.spectra.backward import fisher_law, jacobian_law
from freeness.spectra.batches import BatchFisher, OrderParameters, batch_fisher
from freeness.spectra.chain_maps import Bending as Bending
from freeness.spectra.chain_maps import Mixing as Mixing
from freeness.spectra.chain_maps import maps_of as maps_of
from freeness.spectra.chain_moves import layers_and_signals, moves_of
from freeness.spectra.chain_pass import is_diagonal
from freeness.spectra.closed_forms import (
    DepthScaling,
    concentration,
    condition_number,
    depth_scaling,
    fisher_moments,
    fisher_top_atom,
    isometric_top_atom,
    jacobian_moments,
    jacobian_top_atom,
    two_hidden_fisher_law,
)
from freeness.spectra.diagonal import diagonal_law
from freeness.spectra.drawn import drawn_spectrum as drawn_spectrum
from freeness.spectra.gradients_of_pass import RealisedGradient, realised_gradients
from freeness.spectra.gram import gram_law, sandwich, weight_spread
from freeness.spectra.graph import NetworkGraph, NeuronSignals, network_graph
from freeness.spectra.graph_spectrum import graph_law, sampled_eigenvalues
from freeness.spectra.limits import bernoulli_jacobian_limit, fisher_limit, jacobian_limit, smooth_jacobian_limit
from freeness.spectra.outlying import outliers
from freeness.spectra.predict import predict_fisher, predict_jacobian
from freeness.spectra.records import Measurement, Prediction, TopEigenvalue
from freeness.spectra.seeds import SeedAverage, average_over_seeds, drawn_pass
from freeness.spectra.settled_network import SettledNetwork as SettledNetwork
from freeness.spectra.top_range import TopRange as TopRange
from freeness.spectra.wired_network import follows_wires as follows_wires
from freeness.spectra.wired_network import wired_equation as wired_equation

__all__ = [
    "REJECTED",
    "BatchFisher",
    "DepthScaling",
    "FreenessTest",
    "MeanVariance",
    "Measurement",
    "NetworkGraph",
    "NeuronSignals",
    "OrderParameters",
    "Prediction",
    "RealisedGradient",
    "SeedAverage",
    "TopEigenvalue",
    "Word",
    "average_over_seeds",
    "batch_fisher",
    "bernoulli_jacobian_limit",
    "concentration",
    "condition_number",
    "depth_scaling",
    "diagonal_law",
    "drawn_pass",
    "fisher_law",
    "fisher_limit",
    "fisher_moments",
    "fisher_top_atom",
    "freeness_words",
    "gram_law",
    "graph_law",
    "is_diagonal",
    "isometric_top_atom",
    "jacobian_law",
    "jacobian_limit",
    "jacobian_moments",
    "jacobian_top_atom",
    "layers_and_signals",
    "moves_of",
    "network_graph",
    "outliers",
    "predict_fisher",
    "predict_jacobian",
    "realised_gradients",
    "sampled_eigenvalues",
    "sandwich",
    "smooth_jacobian_limit",
    "two_hidden_fisher_law",
    "weight_spread",
]
