"""Probability laws on the real line, each with its spectral curve."""

from freeness.laws.arcsine import Arcsine
from freeness.laws.atoms import Atoms, Empirical
from freeness.laws.bernoulli import Bernoulli
from freeness.laws.cauchy_smoothed import CauchySmoothed, FreeCauchy
from freeness.laws.density import Density
from freeness.laws.distance import kolmogorov, wasserstein
from freeness.laws.entropy import free_entropy
from freeness.laws.fuss_catalan import FussCatalan
from freeness.laws.inverse_law import Inverse, inverse
from freeness.laws.kesten_mckay import KestenMcKay
from freeness.laws.law import Atom, Law
from freeness.laws.marchenko_pastur import MarchenkoPastur
from freeness.laws.mixture import Mixture, symmetrized
from freeness.laws.point_mass import PointMass, Projection
from freeness.laws.polynomial_law import PolynomialLaw
from freeness.laws.pushforward import GaussianPushforward
from freeness.laws.sampling import sample_matrix
from freeness.laws.semicircle import Semicircle
from freeness.laws.square import Square
from freeness.laws.support import Edge
from freeness.laws.top import expected_top
from freeness.laws.truncation import truncated
from freeness.laws.uniform import Uniform
from freeness.laws.wachter import Wachter

__all__ = [
    "Arcsine",
    "Atom",
    "Atoms",
    "Bernoulli",
    "CauchySmoothed",
    "Density",
    "Edge",
    "Empirical",
    "FreeCauchy",
    "FussCatalan",
    "GaussianPushforward",
    "Inverse",
    "KestenMcKay",
    "Law",
    "MarchenkoPastur",
    "Mixture",
    "PointMass",
    "PolynomialLaw",
    "Projection",
    "Semicircle",
    "Square",
    "Uniform",
    "Wachter",
    "expected_top",
    "free_entropy",
    "inverse",
    "kolmogorov",
    "sample_matrix",
    "symmetrized",
    "truncated",
    "wasserstein",
]
