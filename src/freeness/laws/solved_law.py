"""A law that is known by its curve, taken as one known by its transforms at z: each of them is solved for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from freeness.laws.cauchy_law import TransformLaw
from freeness.laws.curve import Transform
from freeness.laws.curve_law import CurveLaw
from freeness.laws.law import Atom, Boundary


@dataclass(frozen=True, eq=False)
class SolvedLaw(TransformLaw):
    """The same law; every evaluation costs one continuation, so use it where the curve itself cannot serve."""

    solver: CurveLaw

    @property
    def mean(self) -> float:
        return self.solver.mean

    @property
    def variance(self) -> float:
        return self.solver.variance

    @property
    def atoms(self) -> tuple[Atom, ...]:
        return self.solver.atoms

    @property
    def hull(self) -> tuple[float, float]:
        return self.solver.hull

    @property
    def bands(self) -> tuple[tuple[float, float], ...]:
        return self.solver.bands

    @property
    def symmetric(self) -> bool:
        return self.solver.symmetric

    def boundary(self, x: np.ndarray) -> Boundary:
        return self.solver.boundary(x)

    def transforms(self, z: np.ndarray) -> tuple[Transform, Transform]:
        return self.solver.transforms(z)

    def potential(self, z: np.ndarray) -> np.ndarray:
        return self.solver.above(z.astype(complex)).potential
