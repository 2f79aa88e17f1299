"""Spectra of the GGN of a whole batch, from the tangent kernel of the actual inputs: few outputs, many samples.

With C ≪ N outputs J_BJ_Bᵀ = Θ ⊗ F over n samples and C outputs, Θ in the standard parametrisation; F, the Gram matrix between
outputs, is 1 in the limit, and its eigenvalues scatter by O(√(C/N)). The mean of the loss over the batch has the GGN dual
H^{1/2}(Θ ⊗ F)H^{1/2}/n with H the loss' Hessian in the outputs, sample by sample: a number for squared errors, diag(p) - ppᵀ for
cross-entropy.

Sources: Karakida, Akaho, Amari (AISTATS 2019) for order parameters and the outlier, (NeurIPS 2019) for centred outputs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

from freeness.errors import ConvergenceError, InputError
from freeness.laws import Empirical, Law
from freeness.meanfield import kernels
from freeness.network import Network

_DENSE = 5000  # eigenvalues of nC×nC matrices take minutes beyond
_INDEFINITE = 1e-8
_SMALL = 40  # for Lanczos' iteration
_STRIP = 1000  # rows that are copied at a time
_APART = 2.0  # of the next eigenvalue: a direction of its own


class OrderParameters(NamedTuple):
    """Means of Θ over its ``samples``: ``diagonal`` = Mακ₁ and ``off_diagonal`` = Mακ₂ in the symbols of Karakida et al."""

    diagonal: float
    off_diagonal: float
    samples: int

    @property
    def top(self) -> float:
        """((n-1)κ₂ + κ₁)/n: the largest eigenvalue of Θ/n if all samples are alike, in the direction Σ_t ∇f(x_t)."""
        return ((self.samples - 1) * self.off_diagonal + self.diagonal) / self.samples

    @property
    def bulk(self) -> float:
        """(κ₁ - κ₂)/n: the mean of all other eigenvalues."""
        return (self.diagonal - self.off_diagonal) / self.samples

    @property
    def second_moment(self) -> float:
        """tr F²/C = (n-1)/n κ₂² + κ₁²/n, where the entries of Θ hardly scatter."""
        return ((self.samples - 1) * self.off_diagonal**2 + self.diagonal**2) / self.samples


def _root(matrices: np.ndarray) -> np.ndarray:
    """Of symmetric matrices, (…, C, C)."""
    values, vectors = np.linalg.eigh(matrices)
    return vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :] @ np.swapaxes(vectors, -1, -2)


@dataclass(frozen=True, eq=False)
class BatchFisher:
    """The GGN of a batch over the outputs of its samples.

    Args:
        kernel: Θ (n, n), symmetric, in the parametrisation whose weights are trained.
        outputs: C ≥ 1, outputs of the network.
        hessian: of the loss of one sample in its outputs, a multiple of the identity (1 for ½Σ, 1/C for its mean, 2/C for torch's
            MSELoss).
        probabilities: softmax outputs (n, C) or (C,): cross-entropy, and ``hessian`` is not used.
        centred: the mean of the outputs over the batch is subtracted, as in Karakida et al. (NeurIPS 2019).
        between: F (C, C), symmetric and positive semi-definite; 1 when left out.

    Example:
        >>> found = BatchFisher(np.array([[3.0, 1.0], [1.0, 3.0]]), outputs=2)
        >>> found.eigenvalues.tolist(), round(found.top, 12), found.order.top
        ([1.0, 1.0, 2.0, 2.0], 2.0, 2.0)
    """

    kernel: Float[np.ndarray, "samples samples"]
    outputs: int = 1
    hessian: float = 1.0
    probabilities: Float[np.ndarray, "*samples outputs"] | None = None
    centred: bool = False
    between: Float[np.ndarray, "outputs outputs"] | None = None
    _shape: tuple[int, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        kernel = np.asarray(self.kernel)
        if kernel.ndim != 2 or kernel.shape[0] != kernel.shape[1] or kernel.size == 0 or kernel.dtype.kind != "f":
            raise InputError(
                f"expected a kernel (n, n) of real numbers, got {kernel.dtype} of shape {kernel.shape}; take kernels(…).ntk."
            )
        size = float(max(kernel.max(), -kernel.min()))
        strips = (slice(first, first + _STRIP) for first in range(0, len(kernel), _STRIP))
        if not (
            np.isfinite(size) and all(np.abs(kernel[s] - kernel[:, s].T).max() <= _INDEFINITE * size for s in strips)
        ):
            raise InputError("expected a symmetric kernel of finite numbers, got another; take kernels(…).ntk.")
        if self.outputs < 1 or not (np.isfinite(self.hessian) and self.hessian > 0):
            raise InputError(
                f"expected at least one output and a Hessian > 0, got {self.outputs} and {self.hessian}; correct them."
            )
        if self.probabilities is not None:
            p = np.asarray(self.probabilities, dtype=float)
            fits = p.shape in ((self.outputs,), (len(kernel), self.outputs))
            if not (fits and (p >= 0).all() and np.abs(p.sum(axis=-1) - 1).max() <= _INDEFINITE):
                raise InputError(
                    f"expected probabilities ({len(kernel)}, {self.outputs}) that add to 1, got shape {p.shape}; take a softmax."
                )
        if self.between is not None:
            f = np.asarray(self.between, dtype=float)
            square = f.shape == (self.outputs, self.outputs) and bool(np.isfinite(f).all())
            if not (square and np.abs(f - f.T).max() <= _INDEFINITE * np.abs(f).max()):
                raise InputError(
                    f"expected a symmetric matrix ({self.outputs}, {self.outputs}) between outputs, got shape {f.shape}; give a "
                    "Gram matrix."
                )
            self._positive(np.linalg.eigvalsh(f))
        object.__setattr__(self, "_shape", (len(kernel), self.outputs))

    @cached_property
    def order(self) -> OrderParameters:
        """Mean diagonal and off-diagonal of Θ, centred if asked for."""
        n = len(self.kernel)
        diagonal, every = float(np.trace(self.kernel)), float(self.kernel.sum())
        if self.centred:  # tr PΘ and 0
            diagonal, every = diagonal - every / n, 0.0
        return OrderParameters(diagonal / n, (every - diagonal) / (n * (n - 1)) if n > 1 else 0.0, n)

    @cached_property
    def _roots(self) -> np.ndarray | None:
        """(F^{1/2}HF^{1/2})^{1/2}, (1 or n, C, C); None where that is a number."""
        if self.probabilities is None and self.between is None:
            return None
        eye = np.eye(self.outputs)
        if self.probabilities is None:
            hessians = self.hessian * eye[None]
        else:
            p = np.atleast_2d(np.asarray(self.probabilities, dtype=float))
            hessians = np.einsum("ic,cd->icd", p, eye) - p[:, :, None] * p[:, None, :]
        if self.between is not None:
            root = _root(np.asarray(self.between, dtype=float))
            hessians = root @ hessians @ root
        return _root(hessians)

    @property
    def _by_sample(self) -> bool:
        """Whether outputs are not all alike, so that nC×nC matrices have to be taken."""
        return self._roots is not None and len(self._roots) > 1

    def _gram(self) -> np.ndarray:
        n = len(self.kernel)
        if not self.centred:
            return self.kernel / n
        rows = self.kernel.mean(axis=1)
        return (self.kernel - rows[:, None] - rows[None] + rows.mean()) / n

    @cached_property
    def eigenvalues(self) -> Float[np.ndarray, " values"]:
        """All n·C of the GGN dual, ascending.

        Raises:
            InputError: too many for cross-entropy with samples of different outputs; ``top`` and ``outlier`` remain.
        """
        n, c = self._shape
        if self._roots is None:
            return np.repeat(self._positive(np.linalg.eigvalsh(self._gram()) * self.hessian), c)
        if len(self._roots) == 1:
            squares = np.linalg.eigvalsh(self._roots[0]) ** 2
            return np.sort(np.outer(self._positive(np.linalg.eigvalsh(self._gram())), squares).ravel())
        if n * c > _DENSE:
            raise InputError(
                f"expected at most {_DENSE} samples × outputs for all eigenvalues with cross-entropy, got {n * c}; take fewer "
                "samples, or the largest eigenvalue (top) alone."
            )
        whole = np.einsum("iac,ij,jcb->iajb", self._roots, self._gram(), self._roots, optimize=True)
        return self._positive(np.linalg.eigvalsh(whole.reshape(n * c, n * c)))

    @staticmethod
    def _positive(values: np.ndarray) -> np.ndarray:
        """Without the rounding below 0; no more than rounding may be there."""
        if values[0] < -_INDEFINITE * values[-1]:
            raise InputError(
                f"expected a positive semi-definite matrix, got the eigenvalue {values[0]:.3g}; take kernels(…).ntk."
            )
        return np.maximum(values, 0.0)

    @cached_property
    def law(self) -> Law:
        """The eigenvalues as a law, zeros counted."""
        return Empirical(self.eigenvalues)

    @cached_property
    def largest(self) -> Float[np.ndarray, " values"]:
        """The two largest different directions' eigenvalues over the samples, descending, matrix-free.

        Raises:
            ConvergenceError: Lanczos' iteration did not settle.
        """
        n, c = self._shape
        wide = n * c if self._by_sample else n
        factor = self.hessian if self._roots is None else float(np.linalg.eigvalsh(self._roots[0])[-1]) ** 2
        if wide <= _SMALL:
            values = self.eigenvalues if self._by_sample else np.linalg.eigvalsh(self._gram()) * factor
            return values[::-1][:2]
        operator = LinearOperator((wide, wide), matvec=self._applied, dtype=np.float64)  # pyright: ignore[reportCallIssue]
        start = np.random.default_rng(0).standard_normal(wide)
        if not self._applied(start).any():  # one class: the loss is flat
            return np.zeros(2)
        try:
            values = eigsh(operator, k=2, v0=start, return_eigenvectors=False)
        except ArpackNoConvergence as error:
            raise ConvergenceError(
                f"expected the largest of {wide} eigenvalues to settle, got none by Lanczos' steps; take fewer samples."
            ) from error
        return np.sort(values)[::-1] * (1.0 if self._by_sample else factor)

    def _applied(self, vector: np.ndarray) -> np.ndarray:
        """The GGN dual (or Θ/n, where outputs are alike) times a vector."""
        n = len(self.kernel)
        v = vector.reshape(n, -1)
        if self._by_sample:
            assert self._roots is not None
            v = np.einsum("iab,ib->ia", self._roots, v)
        v = v - v.mean(axis=0) if self.centred else v
        v = self.kernel @ v / n
        v = v - v.mean(axis=0) if self.centred else v
        if self._by_sample:
            assert self._roots is not None
            v = np.einsum("iab,ib->ia", self._roots, v)
        return v.ravel()

    @property
    def top(self) -> float:
        """λ_max of the GGN: full-batch gradient descent on the linearised model is stable below 2/λ_max."""
        return float(self.largest[0])

    @property
    def outlier(self) -> float | None:
        """λ_max where it stands apart (at least twice the next), as the mean gradient of correlated samples makes it."""
        values = self.largest
        return float(values[0]) if len(values) > 1 and values[0] >= _APART * values[1] else None


def batch_fisher(
    network: Network,
    inputs: ArrayLike,
    *,
    probabilities: Float[np.ndarray, "*samples outputs"] | None = None,
    hessian: float = 1.0,
    centred: bool = False,
) -> BatchFisher:
    """The GGN of a wide network on a batch, in the standard parametrisation, from its widths and the actual inputs.

    Up to n = 10,000 samples the largest eigenvalue takes a few matrices (n, n).

    Args:
        network: ends in C outputs, few beside the widths.
        inputs: (n, N₀), or (n, channels, *positions).
        probabilities: softmax outputs for cross-entropy, (n, C); (C,) for all samples alike, 1/C at the start.
        hessian: of the loss in the outputs, for squared errors.
        centred: subtract the mean of the outputs over the batch.

    Assumes wide layers (the tangent kernel is that of infinite width; one network scatters by O(√(L/N))).

    Example:
        >>> from freeness.network import mlp
        >>> x = np.random.default_rng(0).standard_normal((20, 50))
        >>> found = batch_fisher(mlp(3, [50, 400, 400, 10], "relu", "gaussian", sigma_w=2**0.5), x)
        >>> found.eigenvalues.shape, found.outlier is not None
        ((200,), True)
    """
    theta = kernels(network, inputs, parametrisation="standard").ntk
    return BatchFisher(theta, network.dense[-1].fan_out, hessian, probabilities, centred)
