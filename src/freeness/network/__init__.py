"""The framework-free record of a network: layers, weight ensembles, activations, builders."""

from freeness.network.activations import ActivationFunction, activation, activation_names
from freeness.network.builders import mlp
from freeness.network.custom import custom_activation
from freeness.network.ensembles import Ensemble, Gaussian, Haar, Measured, ScaledIdentity
from freeness.network.layers import Activation, Dense, Layer, Network

__all__ = [
    "Activation",
    "ActivationFunction",
    "Dense",
    "Ensemble",
    "Gaussian",
    "Haar",
    "Layer",
    "Measured",
    "Network",
    "ScaledIdentity",
    "activation",
    "activation_names",
    "custom_activation",
    "mlp",
]
