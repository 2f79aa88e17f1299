"""Where the largest of finitely many eigenvalues lies on average, below the end of their law."""

from __future__ import annotations

import numpy as np

from freeness.errors import InputError
from freeness.laws.law import Law

_MEAN = -1.2065335745820  # of the Tracy–Widom law of real symmetric matrices
_NEAR = 1e-3  # distance from the end at which the density is read, over the width of the law
_ROOT = 0.1  # relative change of density/√distance between one and two such distances that a square root may show
_ATOM = 1e-9  # of the end: an atom that near is the top


def expected_top(law: Law, count: int) -> float:
    """Mean largest eigenvalue of a real random matrix of ``count`` eigenvalues whose law ends like a square root.

    b - 1.2065·(c·count)^{-2/3} for a density c√(b - x)/π at the end b, with standard deviation 1.27·(c·count)^{-2/3}; at an
    atom, its position. Long tails have a small c: at width 1000 the largest eigenvalue may lie 4 % below the end.

    Assumes that the matrix is rigid at its end, as Wigner and Wishart matrices and their free convolutions are; the next order,
    count^{-1}, is left out.

    Args:
        law: with a bounded support.
        count: eigenvalues, ≥ 1.

    Raises:
        InputError: no eigenvalues, or a density that does not vanish like a square root at the upper end.

    Source: Tracy, Widom (1996) for the constant; universality at square-root edges: Bourgade, Erdős, Yau (2014).

    Example:
        >>> from freeness.laws import Semicircle
        >>> round(expected_top(Semicircle(1.0), 1000), 4)  # 2 - 1.2065·1000^{-2/3}
        1.9879
    """
    if not (count == int(count) and count >= 1):
        raise InputError(f"expected a whole number of eigenvalues ≥ 1, got {count}; give the width.")
    end = law.upper_end
    if any(abs(atom.position - end) <= _ATOM * max(abs(end), 1e-300) for atom in law.atoms):
        return float(end)
    step = _NEAR * (end - law.mean)
    distances = step * np.array([1.0, 2.0])
    near, far = np.pi * law.density(end - distances) / np.sqrt(distances)
    if not (near > 0 and abs(far / near - 1) <= _ROOT):
        raise InputError(
            f"expected a density that vanishes like a square root at its upper end {end:.6g}, got another; only at "
            "such an end is the mean of the largest eigenvalue universal."
        )
    return float(end + _MEAN * ((2 * near - far) * count) ** (-2 / 3))
