"""Gaussian-process theory of the forward signal."""

from typing import TYPE_CHECKING

from freeness.deprecation import moved
from freeness.gaussian import (
    Covariance,
    GaussianMoments,
    closed_covariance,
    covariance,
    derivative_law,
    gaussian_moments,
    has_closed_covariance,
    hermite_coefficients,
    nonlinear_energy,
    second_moment,
    second_moment_slope,
    slope_moment,
    squared_slope,
)
from freeness.meanfield.fixed_points import FixedPoint, depth_scale, fixed_point
from freeness.meanfield.gradient_walk import Gradient, fisher_trace, gradients
from freeness.meanfield.isometry import CriticalPoint, derivative_spread, isometric_point, normalised
from freeness.meanfield.isometry import critical_point as critical_point
from freeness.meanfield.kernel_matrices import Kernels, kernels
from freeness.meanfield.length_map import LengthMap
from freeness.meanfield.loss_walk import LossMoments, loss_moments
from freeness.meanfield.loss_walk import pairs_of_batch as pairs_of_batch
from freeness.meanfield.patches import in_patches as in_patches
from freeness.meanfield.phase import EdgeOfChaos, PhaseDiagram, edge_of_chaos, phase_diagram
from freeness.meanfield.portrait import SHOWN as SHOWN
from freeness.meanfield.portrait import LayerMaps, PhasePortrait, Settled, layer_maps, phase_portrait, settled
from freeness.meanfield.shaping import Shaped, shaped
from freeness.meanfield.signal_records import ActivationSignal, DenseSignal, NeuronSignals, Signals
from freeness.meanfield.signal_records import check_norm as check_norm
from freeness.meanfield.trajectories import Trajectory, trajectory
from freeness.meanfield.variance_map import signals
from freeness.network import Pairs, Stream, Trained, backward, forward, joined, pooled, trained, variance_gain, windows

__all__ = [
    "ActivationSignal",
    "Covariance",
    "CriticalPoint",
    "DenseSignal",
    "EdgeOfChaos",
    "FixedPoint",
    "GaussianMoments",
    "Gradient",
    "Kernels",
    "LayerMaps",
    "LengthMap",
    "LossMoments",
    "NeuronSignals",
    "Pairs",
    "PhaseDiagram",
    "PhasePortrait",
    "Settled",
    "Shaped",
    "Signals",
    "Stream",
    "Trained",
    "Trajectory",
    "backward",
    "closed_covariance",
    "covariance",
    "depth_scale",
    "derivative_law",
    "derivative_spread",
    "edge_of_chaos",
    "fisher_trace",
    "fixed_point",
    "forward",
    "gaussian_moments",
    "gradients",
    "has_closed_covariance",
    "hermite_coefficients",
    "isometric_point",
    "joined",
    "kernels",
    "layer_maps",
    "loss_moments",
    "nonlinear_energy",
    "normalised",
    "phase_diagram",
    "phase_portrait",
    "pooled",
    "second_moment",
    "second_moment_slope",
    "settled",
    "shaped",
    "signals",
    "slope_moment",
    "squared_slope",
    "trained",
    "trajectory",
    "variance_gain",
    "windows",
]

if not TYPE_CHECKING:  # what moved is known at run time only, so that a typing error in a name is still seen
    _MOVED = {name: f"freeness.training.{name}" for name in ("Directions", "LinearTraining", "Unseen")}
    _MOVED["Curve"] = "freeness.training.TrainingCurve"
    __getattr__ = moved(__name__, _MOVED)
