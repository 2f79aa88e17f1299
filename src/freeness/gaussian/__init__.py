"""Gaussian expectations in one and two variables, and the one table of activations."""

from freeness.gaussian import table as table  # whose entries are made when it is read
from freeness.gaussian.activations import (
    ActivationFunction,
    ClosedCovariance,
    Elementwise,
    Entry,
    activation,
    activation_names,
    entries,
    tabulated,
)
from freeness.gaussian.affine import AffineImage, affine_image
from freeness.gaussian.bends import BendNoise as BendNoise
from freeness.gaussian.bends import bend_noise as bend_noise
from freeness.gaussian.bends import slope_dependence as slope_dependence
from freeness.gaussian.covariances import Covariance, closed_covariance, covariance, has_closed_covariance
from freeness.gaussian.custom import custom_activation
from freeness.gaussian.hermite import hermite_coefficients, nonlinear_energy
from freeness.gaussian.kinks import find_kinks
from freeness.gaussian.moments import (
    GaussianMoments,
    gaussian_moments,
    second_moment,
    second_moment_slope,
    slope_moment,
    squared_slope,
)
from freeness.gaussian.multiple import stretched
from freeness.gaussian.pairs import Transfer, at_one, closed_transfer, transfer
from freeness.gaussian.pieces import piecewise_linear
from freeness.gaussian.shifted import Shifted, lattice, normal_points, standardised, summed_points
from freeness.gaussian.slope_law import derivative_law
from freeness.gaussian.torch_names import Program, Reader, TorchForm, TorchNames, reads

__all__ = [
    "ActivationFunction",
    "AffineImage",
    "ClosedCovariance",
    "Covariance",
    "Elementwise",
    "Entry",
    "GaussianMoments",
    "Program",
    "Reader",
    "Shifted",
    "TorchForm",
    "TorchNames",
    "Transfer",
    "activation",
    "activation_names",
    "affine_image",
    "at_one",
    "closed_covariance",
    "closed_transfer",
    "covariance",
    "custom_activation",
    "derivative_law",
    "entries",
    "find_kinks",
    "gaussian_moments",
    "has_closed_covariance",
    "hermite_coefficients",
    "lattice",
    "nonlinear_energy",
    "normal_points",
    "piecewise_linear",
    "reads",
    "second_moment",
    "second_moment_slope",
    "slope_moment",
    "squared_slope",
    "standardised",
    "stretched",
    "summed_points",
    "tabulated",
    "transfer",
]
