"""NNGP and tangent kernels of wide networks on a data set, (n, n).

For a chain Σ¹ = σ_w² XXᵀ/N₀ + σ_b², Σˡ⁺¹ = σ_w² E φ(u)φ(v) + σ_b² with (u, v) of covariance Σˡ, and Θ¹ = Σ¹,
Θˡ⁺¹ = Σˡ⁺¹ + σ_w² E φ'(u)φ'(v)·Θˡ entry by entry; :mod:`freeness.network.operations` says what the others do.

Source: Neal (1996); Lee et al. (2018) for Σ; Jacot, Gabriel, Hongler (2018) for Θ.
"""

# pyright: reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from freeness.errors import InputError
from freeness.meanfield.plain_chains import kernels_of_chain
from freeness.meanfield.samples import SampleMoments
from freeness.meanfield.walk import compiled
from freeness.network import Network

_NEGATIVE = 1e-10  # relative size of a negative eigenvalue that is rounding
_LIFTED = 1e-9  # of the trace: above rounding, and far below what a sample of outputs could tell
_CHECKED = 2000  # inputs up to which the least eigenvalue costs little beside the kernel
_ARRAYS = 10  # of the size of a block that are held at once
_BLOCK = 200_000  # pairs of a block at most: it stays in a cache, and little of it lies below the diagonal


@dataclass(frozen=True)
class Kernels:
    """``nngp`` Σ and ``ntk`` Θ, (n, n), of networks with ``depth`` weight matrices.

    ``fluctuation``: with batch normalisation, how much a neuron's variance over the batch varies, relative; the kernels are off
    by about its square. 0 without.
    """

    nngp: Float[np.ndarray, "n n"]
    ntk: Float[np.ndarray, "n n"]
    depth: int
    fluctuation: float = 0.0

    @cached_property
    def eigenvalues(self) -> Float[np.ndarray, " n"]:
        """Eigenvalues of Θ, ascending."""
        return np.linalg.eigvalsh(self.ntk)

    @cached_property
    def lowest(self) -> float:
        """The least eigenvalue of Σ.

        Raises:
            InputError: it is more negative than rounding makes it.
        """
        return _lowest(self.nngp)

    def drawn_outputs(self, count: int, rng: np.random.Generator) -> Float[np.ndarray, "n count"]:
        """Outputs of a wide network at the start, (n, count): independent Gaussian processes of covariance Σ.

        Args:
            count: columns: independent outputs.
            rng: numpy's, from which they are drawn.
        """
        return self._root @ rng.standard_normal((len(self.nngp), count))

    @cached_property
    def _root(self) -> np.ndarray:
        """A triangular root of Σ, of which rounding is lifted, for inputs may be alike."""
        return np.linalg.cholesky(self.nngp + _LIFTED * np.trace(self.nngp) * np.eye(len(self.nngp)))


@np.errstate(over="ignore", invalid="ignore")  # an overflow is told by the layer behind which it occurs
def kernels(
    network: Network, inputs: ArrayLike, memory: float = 1e9, *, parametrisation: Literal["ntk", "standard"] = "ntk"
) -> Kernels:
    """Σ and Θ of a network in the limit of wide layers.

    Computed in blocks of rows from the diagonal on, at a cost of O(n² depth) for vectors. Images cost n²P for P positions, n²P²
    where pooling asks for all pairs of positions. Σ is checked to be positive semi-definite up to 2,000 inputs. Batch
    normalisation takes the inputs for its batch, in which a neuron's variance must hardly fluctuate, and cannot be done in
    blocks. Parameters of normalisations are not counted.

    Closed forms (ReLU family with its kink at 0, erf, sin, linear) and smooth activations take any inputs; others with kinks take
    inputs of equal norm, at which everything is a function of one angle; for unequal norms each pair is integrated, some
    milliseconds a pair and layer.

    Args:
        network: the record; widths count only where orthogonal weights expand.
        inputs: (n, N₀), (n, channels, *positions) before weights with positions, or tokens (n, positions) before an embedding.
        memory: bytes beyond inputs and result that blocks may take; at least one row is done at a time.
        parametrisation: "ntk" of Jacot et al., where taps of delta-orthogonal kernels that start at 0 are not counted; or
            "standard", that of frameworks, where the entries of W are trained and Θ grows with the widths of the record.

    Raises:
        InputError: bad inputs, a layer that theory does not cover there, a kernel that overflows, or too many pairs of unequal
            norm.

    Example:
        >>> from freeness.network import mlp
        >>> found = kernels(mlp(2, 2, "relu", "gaussian", sigma_w=2**0.5), np.eye(2) * 2**0.5)
        >>> found.nngp.round(6).tolist()
        [[2.0, 0.63662], [0.63662, 2.0]]
    """
    samples = SampleMoments(inputs, network)
    if parametrisation not in ("ntk", "standard"):
        raise InputError(f"expected the parametrisation ntk or standard, got {parametrisation!r}; choose one.")
    if not memory > 0:
        raise InputError(f"expected memory > 0 in bytes, got {memory}; leave it out for 1 GB.")
    count = samples.count
    stream = samples.stream(standard=parametrisation == "standard")
    plain = kernels_of_chain(network, stream, samples) if stream.second.ndim == 1 else None
    if plain is not None:
        return _checked(Kernels(*plain, network.depth))
    batch = network.couples
    whole = samples.pairs(slice(0, count)) if batch else None
    prepared = compiled(network, stream, whole)
    end = prepared.end
    if end.variance.ndim > 1:
        raise InputError(
            f"expected a network that ends in a vector, got {end.variance.shape[1:]} positions; end it by Flatten or Pooling."
        )
    places = samples.positions ** (2 if samples.across else 1)
    height = count if batch else int(np.clip(min(memory / (8 * _ARRAYS), _BLOCK) / (count * places), 1, count))
    nngp, ntk = np.empty((count, count)), np.empty((count, count))
    for first in range(0, count, height):
        rows = slice(first, min(first + height, count))
        found = prepared.applied(samples.pairs(rows))
        nngp[rows, first:], ntk[rows, first:] = found.value, found.theta
    for kernel in (nngp, ntk):
        _symmetrise(kernel)
    return _checked(Kernels(nngp, ntk, network.depth, end.fluctuation))


def _checked(found: Kernels) -> Kernels:
    """Kernels whose Σ is positive semi-definite, which is looked at up to 2,000 inputs."""
    if len(found.nngp) <= _CHECKED:
        _ = found.lowest
    return found


def _symmetrise(kernel: np.ndarray) -> None:
    """The lower triangle from the upper one, row by row: blocks go from the diagonal on, and round differently in it."""
    for row in range(len(kernel)):
        kernel[row:, row] = kernel[row, row:]


def _lowest(kernel: np.ndarray) -> float:
    """The least eigenvalue, checked to be no more negative than rounding makes it."""
    values = np.linalg.eigvalsh(kernel)
    if values[0] < -_NEGATIVE * values[-1]:
        raise InputError(
            f"expected a positive semi-definite kernel, got the eigenvalue {values[0]:.3g}; check the activation's derivative."
        )
    return float(values[0])
