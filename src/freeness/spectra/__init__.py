"""Spectra of networks from theory, and the records that hold predictions and measurements."""

from freeness.spectra.alternating_words import REJECTED, Word, freeness_words
from freeness.spectra.backward import fisher_law, gram_law, jacobian_law, sandwich, weight_spread
from freeness.spectra.diagonal import diagonal_law, is_diagonal
from freeness.spectra.graph import NetworkGraph, NeuronSignals, graph_law, network_graph, sampled_eigenvalues
from freeness.spectra.limits import bernoulli_jacobian_limit, fisher_limit, smooth_jacobian_limit
from freeness.spectra.outliers import outliers
from freeness.spectra.predict import predict_fisher, predict_jacobian
from freeness.spectra.records import Measurement, Prediction, TopEigenvalue

__all__ = [
    "REJECTED",
    "Measurement",
    "NetworkGraph",
    "NeuronSignals",
    "Prediction",
    "TopEigenvalue",
    "Word",
    "bernoulli_jacobian_limit",
    "diagonal_law",
    "fisher_law",
    "fisher_limit",
    "freeness_words",
    "gram_law",
    "graph_law",
    "is_diagonal",
    "jacobian_law",
    "network_graph",
    "outliers",
    "predict_fisher",
    "predict_jacobian",
    "sampled_eigenvalues",
    "sandwich",
    "smooth_jacobian_limit",
    "weight_spread",
]
