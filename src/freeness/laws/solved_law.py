"""A law that is known by its curve, taken as one known by its transforms at z: each of them is solved for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Inexact

from freeness.laws.image_law import Branches, ImageLaw
from freeness.laws.law import Law


@dataclass(frozen=True, eq=False)
class SolvedLaw(ImageLaw):
    """The same law; every evaluation costs one continuation, so use it where the curve itself cannot serve."""

    law: Law

    @property
    def mean(self) -> float:
        return self.law.mean

    @property
    def variance(self) -> float:
        return self.law.variance

    @property
    def hull(self) -> tuple[float, float]:
        return self.law.hull

    @property
    def symmetric(self) -> bool:
        return self.law.symmetric

    def image(self, x: Inexact[np.ndarray, "*points"]) -> Inexact[np.ndarray, "*points"]:
        return x

    def branches(self, z: Inexact[np.ndarray, "*points"]) -> Branches:
        one, none = np.ones((1, z.size)), np.zeros((1, z.size))
        return Branches((z[None], one), alpha=(one, none), delta=(one, none))

    def gained(self, z: Inexact[np.ndarray, "*points"]) -> complex:
        return 0.0
