"""Where gradient descent on random batches stops contracting in mean square: exact for the linear model.

Errors are taken in the eigenvectors of the curvature G = Σ_i G_i/n, with G_i that of one sample. A batch of B of the n samples
has the mean of its G_i, so a step adds noise w = (G_B - G)e to the gradient, of covariance N(S) = p(Σ_i G_iSG_i/n - GSG) for
errors of covariance S, p = (n - B)/(B(n - 1)), independent from step to step. The optimiser answers w by an impulse response,
in closed form for every eigenvalue; with K the sums of their products, what all later steps see of w has the covariance K∘N(S),
and training contracts iff every eigenvalue's own recursion does and the largest eigenvalue of S ↦ K∘N(S) is below 1. Momentum
keeps noise longer: on random batches it may allow a tenth of the rate that it allows on one batch.

Sources: Ma, Ying (2021); Mulayoff, Michaeli (2024) for SGD, whose threshold this is at β = 0; the responses are derived here.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy
from jaxtyping import Float

from freeness.errors import InputError
from freeness.training.optimizers.sgd import SGD

_MOST = 512  # samples, of which matrices are multiplied some hundreds of times
_ITERATIONS = 200
_SETTLED = 1e-4
_FLAT = 1e-12
_PRECISION = 1e-3  # of the rate, relative
_INSIDE = 1e-6  # below the bound of the mean dynamics


def random_batch_bound(kernel: Float[np.ndarray, "samples samples"], batch: int, scale: float, descent: SGD) -> float:
    """The rate at which errors stop shrinking in mean square on random batches, drawn anew at every step.

    Args:
        kernel: Θ (n, n) of the data; of more than 512 inputs the first 512.
        batch: B ≤ n, drawn without repetition.
        scale: h, so that G_i = h g_ig_iᵀ with g_i·g_j = Θ_ij.
        descent: gradient descent with its momentum.

    Raises:
        InputError: a batch that is no size of this data.

    Example:
        >>> kernel = np.array([[2.0, 0.0], [0.0, 2.0]])  # each step one sample: the rate is that of one sample
        >>> round(random_batch_bound(kernel, 1, 1.0, SGD()), 3), random_batch_bound(kernel, 2, 1.0, SGD())
        (1.0, 2.0)
    """
    count = len(kernel)
    if not 1 <= batch <= count:
        raise InputError(f"expected a batch from 1 to the {count} inputs, got {batch}; correct it.")
    values, vectors = np.linalg.eigh(kernel if count <= _MOST else kernel[:_MOST, :_MOST])
    seen = len(values)
    steady = descent.bound(scale * float(values[-1]) / seen)
    learnt = values > _FLAT * values[-1]  # noise has no part in the others
    values, vectors = values[learnt], vectors[:, learnt]
    curvatures = scale * values / seen
    spread = (count - batch) / (batch * (count - 1)) if count > 1 else 0.0
    if spread == 0:
        return steady
    gradients = vectors * np.sqrt(values) * scale**0.5  # rows g_i

    def noise(covariance: np.ndarray) -> np.ndarray:
        sizes = np.einsum("ik,ik->i", gradients @ covariance, gradients)
        return spread * ((gradients.T * sizes) @ gradients / seen - curvatures[:, None] * covariance * curvatures)

    def excess(rate: float) -> float:
        return _growth(_responses(curvatures, rate, descent), noise) - 1

    high = steady * (1 - _INSIDE)
    if excess(high) < 0:
        return steady
    low = high
    while excess(low) >= 0:
        low /= 4
    return float(
        scipy.optimize.root_scalar(
            excess, bracket=(low, min(4 * low, high)), xtol=_PRECISION * low, method="brentq"
        ).root
    )


def _growth(kept: np.ndarray, noise: Callable[[np.ndarray], np.ndarray]) -> float:
    """The largest eigenvalue of S ↦ K∘N(S), which keeps covariances covariances, by powers."""
    covariance, found = np.eye(len(kept)) / len(kept) ** 0.5, 0.0
    for _ in range(_ITERATIONS):
        after = kept * noise(covariance)
        before, found = found, float(np.linalg.norm(after))
        if abs(found - before) <= _SETTLED * found:
            break
        covariance = after / found
    return found


def _responses(curvatures: np.ndarray, rate: float, descent: SGD) -> np.ndarray:
    """K_kl = Σ_t ρ_k(t)ρ_l(t) with ρ the errors that a unit of noise leaves.

    Errors follow e_{t+1} = a e_t - b e_{t-1} - η(c w_t - d w_{t-1}); with r the response of its left side, Σ r_kr_l and the sums
    with one of them a step later solve three linear equations.
    """
    beta = float(descent.momentum)
    ahead = beta if descent.nesterov else 0.0
    steep = rate * (curvatures + descent.weight_decay)
    a = 1 + beta - (1 + ahead) * steep
    b = beta - ahead * steep
    c, d = 1 + ahead, ahead
    ak, al, bk, bl = a[:, None], a[None], b[:, None], b[None]
    later = (ak - bk * al) / (1 - bk * bl)  # Σ r_k(t)r_l(t-1) over Σ r_kr_l
    earlier = (al - bl * ak) / (1 - bk * bl)
    both = 1 / (1 - ak * al - bk * bl + ak * bl * later + bk * al * earlier)
    return rate**2 * both * (c * c + d * d - c * d * (later + earlier))
