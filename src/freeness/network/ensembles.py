"""Weight ensembles: how the entries of a weight matrix are distributed.

An ensemble is a frozen record. What spectra need from it is the law of the Gram matrix WᵀW and the factor by
which the matrix changes ‖x‖²/N; both are singledispatch functions (:func:`freeness.spectra.gram_law`,
:func:`variance_gain`), so that a new ensemble is added without editing this package.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import singledispatch

import numpy as np
from jaxtyping import Float

from freeness.errors import InputError


@dataclass(frozen=True)
class Haar:
    """W = σ_w·Q with Q Haar-distributed on the (semi-)orthogonal matrices: ‖Qx‖ = ‖x‖ when W expands, QQᵀ = 1 otherwise.

    Example:
        >>> Haar(1.0).sigma_w
        1.0
    """

    sigma_w: float


@dataclass(frozen=True)
class Gaussian:
    """W_ij ~ N(0, σ_w²/fan_in), independent entries.

    Example:
        >>> Gaussian(2**0.5).sigma_w ** 2
        2.0000000000000004
    """

    sigma_w: float


@dataclass(frozen=True)
class ScaledIdentity:
    """W = s·1 (rectangular: ones on the main diagonal). Not free of the D's: theory.md §4 gives the exact diagonal answer.

    Example:
        >>> ScaledIdentity(1.0).sigma_w
        1.0
    """

    sigma_w: float


@dataclass(frozen=True, eq=False)
class Measured:
    """A given matrix, known by its singular values and assumed bi-invariant (W ~ U W V with U, V Haar).

    sigma_w² = fan_in·mean(W_ij²) = Σs²/fan_out: a Gaussian matrix of the same Frobenius norm has this σ_w.

    Example:
        >>> Measured(sigma_w=1.0, singular_values=np.ones(3)).singular_values.sum()
        np.float64(3.0)
    """

    sigma_w: float
    singular_values: Float[np.ndarray, " values"] = field(repr=False)


Ensemble = Haar | Gaussian | ScaledIdentity | Measured


@singledispatch
def variance_gain(weights: object, fan_in: int, fan_out: int) -> float:
    """E‖Wx‖²/fan_out over ‖x‖²/fan_in: the factor from q̂ to q. Register a function here for a new ensemble."""
    raise InputError(f"expected a known weight ensemble, got {weights!r}; register variance_gain for it.")


@variance_gain.register
def _(weights: Gaussian, fan_in: int, fan_out: int) -> float:
    return weights.sigma_w**2


@variance_gain.register
def _(weights: Measured, fan_in: int, fan_out: int) -> float:
    return weights.sigma_w**2


@variance_gain.register(Haar)
@variance_gain.register(ScaledIdentity)
def _(weights: Haar | ScaledIdentity, fan_in: int, fan_out: int) -> float:
    """‖Qx‖ = ‖x‖ where Q expands, so the mean square falls by fan_in/fan_out (theory.md §0)."""
    return weights.sigma_w**2 * min(1.0, fan_in / fan_out)
