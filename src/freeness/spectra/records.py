"""What the spectra room hands out: a prediction and a measurement of the same spectrum, framework-free."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Float

from freeness.errors import ConvergenceError
from freeness.laws import Law
from freeness.shown import Shown
from freeness.spectra.top_range import TopRange, top_range

_LOG = logging.getLogger(__name__)
UNSEEN = "single eigenvalues outside the law are not looked for"


@dataclass(frozen=True)
class TopEigenvalue:
    """The largest point of a law's support: an atom (with its mass) or the edge of the continuous part (mass 0)."""

    value: float
    kind: Literal["atom", "edge"]
    mass: float = 0.0


@dataclass(frozen=True)
class Prediction(Shown):
    """A spectrum from theory: the law, its top, what was assumed, by which way, and the finite-width error to expect.

    ``finite_width_error`` is the expected relative deviation of the mean of one network's spectrum from ``law.mean``.
    ``expected_variance`` is the mean variance of the C eigenvalues of one network. It exceeds ``law.variance`` by about
    1/C for few outputs. ``outliers`` are single eigenvalues outside the law (freeness is silent about finitely many).
    ``outputs``: the number of eigenvalues of one network, 0 where that is not known. ``seen``: where the largest eigenvalues of
    drawn networks lay, of a law that was drawn.
    """

    law: Law
    edge: TopEigenvalue
    assumptions: tuple[str, ...]
    method: str
    finite_width_error: float
    expected_variance: float
    outliers: tuple[float, ...] = ()
    outputs: int = 0
    seen: TopRange | None = None

    @property
    def knows_outliers(self) -> bool:
        """Whether single eigenvalues outside the law were looked for; the assumptions say so where they were not."""
        return not any(line.startswith(UNSEEN) for line in self.assumptions)

    @cached_property
    def largest(self) -> TopRange | None:
        """Where the largest eigenvalue within the law lies in one network; None where its number of eigenvalues is not known.

        Few eigenvalues leave the end of their law empty. None as well where the law tells no quantile.
        """
        if self.seen is not None or not self.outputs:
            return self.seen
        try:
            return top_range(self.law, self.outputs, self.finite_width_error)
        except ConvergenceError as error:
            _LOG.info("no range of the largest eigenvalue: %s", error)
            return None

    @property
    def expected_largest(self) -> float:
        """The largest eigenvalue of one network: an outlier's, else about where its few eigenvalues end, else the law's end."""
        if self.outliers or self.largest is None:
            return self.top
        return self.largest.value

    @property
    def top(self) -> float:
        """The largest eigenvalue: an outlier's, or the end of the law."""
        return max((self.edge.value, *self.outliers))


@dataclass(frozen=True, eq=False)
class Measurement(Shown):
    """A measured spectrum: all eigenvalues (ascending), the same as a Law, by which method, how long it took.

    Of one that was estimated, eigenvalues are quantiles of the law with the largest one last. ``mean_error`` is the standard
    error of its mean, ``top_error`` what the largest may be off. Both are 0 where all eigenvalues were computed.
    """

    eigenvalues: Float[np.ndarray, " count"]
    law: Law
    method: str
    seconds: float
    mean_error: float = 0.0
    top_error: float = 0.0

    @property
    def estimated(self) -> bool:
        """Whether the eigenvalues stand for a law that was estimated."""
        return self.mean_error > 0 or self.top_error > 0
