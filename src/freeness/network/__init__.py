"""The framework-free record of a network: layers, weight ensembles, activations, builders."""

from freeness.gaussian import (
    ActivationFunction,
    AffineImage,
    activation,
    activation_names,
    affine_image,
    custom_activation,
)
from freeness.network.builders import Branch, cnn, mixer, mlp, resnet
from freeness.network.ensembles import Ensemble, Gaussian, Haar, Measured, ScaledIdentity
from freeness.network.layers import (
    Activation,
    Convolution,
    Dense,
    Dropout,
    Flatten,
    Layer,
    Network,
    Normalisation,
    Pooling,
    Residual,
    TokenMixing,
    described,
)

__all__ = [
    "Activation",
    "ActivationFunction",
    "AffineImage",
    "Branch",
    "Convolution",
    "Dense",
    "Dropout",
    "Ensemble",
    "Flatten",
    "Gaussian",
    "Haar",
    "Layer",
    "Measured",
    "Network",
    "Normalisation",
    "Pooling",
    "Residual",
    "ScaledIdentity",
    "TokenMixing",
    "activation",
    "activation_names",
    "affine_image",
    "cnn",
    "custom_activation",
    "described",
    "mixer",
    "mlp",
    "resnet",
]
