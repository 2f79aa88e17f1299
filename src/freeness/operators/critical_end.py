"""Where a law ends, from values of its Cauchy transform near there, on both sides of the end and off the real axis.

Outside its support a law has z = 1/G + R(G), and it ends at the least x of that curve, where G² R'(G) = 1. R is analytic on both
sides of that point, and real for real G. So a fraction of two polynomials with real coefficients meets it at complex points as
well, where G is quickly solved for, and points inside the support count as those outside. What an error of fields does to z at a
given G vanishes at the end to first order.

Source: Voiculescu (1986) for R; Olver, Nadakuditi (2013) for the end as a critical value.
"""

# pyright: reportUnknownArgumentType=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

import numpy as np
from jaxtyping import Complex
from numpy.polynomial import Polynomial

_REAL = 1e-6  # imaginary part of a real root, over the spread of the points
_AROUND = 2.0  # spreads from the middle of the points, beyond which a fit says nothing


def critical_end(
    z: Complex[np.ndarray, " points"], cauchy: Complex[np.ndarray, " points"], degrees: tuple[int, int]
) -> float | None:
    """The upper end of a positive law; None where a fit has none near its points.

    ``degrees``: of both polynomials, together less than twice the points.

    Example:
        >>> z = np.linspace(3.5, 4.5, 6) + 0.3j  # Marchenko-Pastur
        >>> round(critical_end(z, (1 - np.sqrt(1 - 4 / z)) / 2, (3, 2)), 9)
        4.0
    """
    middle, size = float(np.real(cauchy).mean()), float(np.abs(z).mean())
    spread = float(np.abs(cauchy - middle).max())
    t, rest = (cauchy - middle) / spread, (z - 1 / cauchy) / size
    above, below = (np.vander(t, degree + 1, increasing=True) for degree in degrees)
    columns = np.concatenate([above, -rest[:, None] * below[:, 1:]], axis=1)
    sides = (np.concatenate([np.real(one), np.imag(one)]) for one in (columns, rest))
    fit = np.linalg.lstsq(*sides, rcond=None)[0]
    top, under = size * Polynomial(fit[: degrees[0] + 1]), Polynomial(np.append(1.0, fit[degrees[0] + 1 :]))
    g = Polynomial([middle, spread])
    left = g**2 * (top.deriv() * under - top * under.deriv()) - spread * under**2  # (G² R' - 1) times a square
    roots = left.roots()
    real = np.real(roots[(np.abs(np.imag(roots)) < _REAL) & (np.abs(roots) < _AROUND)])
    real = real[(left.deriv()(real) > 0) & (g(real) > 0)]
    if real.size == 0:
        return None
    place = real[np.argmin(np.abs(real))]
    found = float(top(place) / under(place) + 1 / g(place))
    return found if found > 0 else None
