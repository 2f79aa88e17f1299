"""Probability laws on the real line, each with its spectral curve."""

from freeness.laws.arcsine import Arcsine
from freeness.laws.atomic import AtomicLaw as AtomicLaw
from freeness.laws.atoms import Atoms, Empirical
from freeness.laws.atoms import simplify as simplify
from freeness.laws.band_ends import DARK as DARK
from freeness.laws.banded_law import BandedLaw as BandedLaw
from freeness.laws.bernoulli import Bernoulli
from freeness.laws.cauchy_law import TransformLaw as TransformLaw
from freeness.laws.cauchy_smoothed import CauchySmoothed, FreeCauchy
from freeness.laws.cumulants import free_moments as free_moments
from freeness.laws.cumulants import moments_on_circle as moments_on_circle
from freeness.laws.curve import NOISE as NOISE
from freeness.laws.curve import REAL as REAL
from freeness.laws.curve import AdditiveCurve as AdditiveCurve
from freeness.laws.curve import AdditiveLaw as AdditiveLaw
from freeness.laws.curve import CauchyCurve as CauchyCurve
from freeness.laws.curve import CauchyLaw as CauchyLaw
from freeness.laws.curve import ClosedCurve as ClosedCurve
from freeness.laws.curve import ClosedLaw as ClosedLaw
from freeness.laws.curve import CurvePoint as CurvePoint
from freeness.laws.curve import Margin as Margin
from freeness.laws.curve import Side as Side
from freeness.laws.curve import SpectralCurve as SpectralCurve
from freeness.laws.curve import Transform as Transform
from freeness.laws.curve import base_jet as base_jet
from freeness.laws.curve import not_below as not_below
from freeness.laws.curve import physical_margin as physical_margin
from freeness.laws.curve import stage_margin as stage_margin
from freeness.laws.curve_law import CurveLaw as CurveLaw
from freeness.laws.density import Density
from freeness.laws.distance import kolmogorov, wasserstein
from freeness.laws.end_series import EndSeries as EndSeries
from freeness.laws.entropy import free_entropy
from freeness.laws.fuss_catalan import FussCatalan
from freeness.laws.gauss_rules import GaussRules as GaussRules
from freeness.laws.gauss_rules import RulesTogether as RulesTogether
from freeness.laws.graded_density import GradedDensity as GradedDensity
from freeness.laws.image_law import Branches as Branches
from freeness.laws.image_law import ImageLaw as ImageLaw
from freeness.laws.interpolated import sampled_cdf as sampled_cdf
from freeness.laws.inverse_law import Inverse, inverse
from freeness.laws.inverse_law import listed as listed
from freeness.laws.kesten_mckay import KestenMcKay
from freeness.laws.law import Atom, Law
from freeness.laws.law import Boundary as Boundary
from freeness.laws.law import Gaps as Gaps
from freeness.laws.law import checked as checked
from freeness.laws.law import levels_of as levels_of
from freeness.laws.law import real_points as real_points
from freeness.laws.law import require_laws as require_laws
from freeness.laws.marchenko_pastur import MarchenkoPastur
from freeness.laws.mirror import mirrored as mirrored
from freeness.laws.mixture import Mixture, symmetrized
from freeness.laws.nearby import Nearby as Nearby
from freeness.laws.nearby import stepped as stepped
from freeness.laws.neighbours import Neighbours as Neighbours
from freeness.laws.neighbours import put as put
from freeness.laws.outside import real_inverse as real_inverse
from freeness.laws.outside_tables import outside_table as outside_table
from freeness.laws.parts import SmoothPart as SmoothPart
from freeness.laws.parts import continuous_part as continuous_part
from freeness.laws.parts import distinct as distinct
from freeness.laws.parts import smooth_parts as smooth_parts
from freeness.laws.point_mass import PointMass, Projection
from freeness.laws.polynomial_law import PolynomialLaw
from freeness.laws.pushforward import GaussianPushforward
from freeness.laws.resized import Resized as Resized
from freeness.laws.sampling import gaussian as gaussian
from freeness.laws.sampling import haar_orthogonal as haar_orthogonal
from freeness.laws.sampling import haar_unitary as haar_unitary
from freeness.laws.sampling import sample_matrix
from freeness.laws.sampling import sample_spectrum as sample_spectrum
from freeness.laws.semicircle import Semicircle
from freeness.laws.solved_law import SolvedLaw as SolvedLaw
from freeness.laws.square import Square
from freeness.laws.support import Edge
from freeness.laws.support import apart as apart
from freeness.laws.support import require_apart as require_apart
from freeness.laws.table import LawTable as LawTable
from freeness.laws.table import tabulate as tabulate
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
