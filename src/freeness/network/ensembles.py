"""Weight ensembles: how the entries of a weight matrix are distributed.

An ensemble is a frozen record. What spectra need from it is the law of the Gram matrix WᵀW and the factor by
which the matrix changes ‖x‖²/N; both are singledispatch functions (:func:`freeness.spectra.gram_law`,
:func:`freeness.meanfield.variance_gain`), so that a new ensemble is added without editing this package.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


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
    singular_values: np.ndarray = field(repr=False)


Ensemble = Haar | Gaussian | ScaledIdentity | Measured
