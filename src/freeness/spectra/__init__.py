"""Spectra of networks from theory, and the records that hold predictions and measurements."""

from freeness.spectra.backward import fisher_law, gram_law, jacobian_law, sandwich, weight_spread
from freeness.spectra.predict import predict_fisher, predict_jacobian
from freeness.spectra.records import Measurement, Prediction, TopEigenvalue

__all__ = [
    "Measurement",
    "Prediction",
    "TopEigenvalue",
    "fisher_law",
    "gram_law",
    "jacobian_law",
    "predict_fisher",
    "predict_jacobian",
    "sandwich",
    "weight_spread",
]
