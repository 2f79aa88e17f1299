"""Probability laws on the real line, each with its spectral curve."""

from freeness.laws.atoms import Atoms, Empirical
from freeness.laws.law import Atom, Law
from freeness.laws.marchenko_pastur import MarchenkoPastur
from freeness.laws.point_mass import PointMass, Projection
from freeness.laws.pushforward import GaussianPushforward
from freeness.laws.semicircle import Semicircle

__all__ = ["Atom", "Atoms", "Empirical", "GaussianPushforward", "Law", "MarchenkoPastur", "PointMass", "Projection", "Semicircle"]
