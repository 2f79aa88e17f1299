"""Gaussian-process theory of the forward signal."""

from freeness.meanfield.derivative_law import derivative_law
from freeness.meanfield.signals import ActivationSignal, DenseSignal, Signals
from freeness.meanfield.variance_map import second_moment, signals, variance_gain

__all__ = ["ActivationSignal", "DenseSignal", "Signals", "derivative_law", "second_moment", "signals", "variance_gain"]
