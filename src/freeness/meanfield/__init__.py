"""Gaussian-process theory of the forward signal."""

from freeness.meanfield.covariance import Covariance, closed_covariance, covariance
from freeness.meanfield.derivative_law import derivative_law
from freeness.meanfield.fixed_point import FixedPoint, depth_scale, fixed_point
from freeness.meanfield.hermite import hermite_coefficients, nonlinear_energy
from freeness.meanfield.kernels import Kernels, kernels
from freeness.meanfield.length_map import LengthMap, second_moment_slope, squared_slope
from freeness.meanfield.phase import EdgeOfChaos, PhaseDiagram, edge_of_chaos, phase_diagram
from freeness.meanfield.shaping import Shaped, shaped
from freeness.meanfield.signals import ActivationSignal, DenseSignal, Signals
from freeness.meanfield.trajectory import Trajectory, trajectory
from freeness.meanfield.variance_map import second_moment, signals, variance_gain

__all__ = [
    "ActivationSignal",
    "Covariance",
    "DenseSignal",
    "EdgeOfChaos",
    "FixedPoint",
    "Kernels",
    "LengthMap",
    "PhaseDiagram",
    "Shaped",
    "Signals",
    "Trajectory",
    "closed_covariance",
    "covariance",
    "depth_scale",
    "derivative_law",
    "edge_of_chaos",
    "fixed_point",
    "hermite_coefficients",
    "kernels",
    "nonlinear_energy",
    "phase_diagram",
    "second_moment",
    "second_moment_slope",
    "shaped",
    "signals",
    "squared_slope",
    "trajectory",
    "variance_gain",
]
