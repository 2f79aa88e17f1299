"""Random matrices with a given law, and the classical ensembles, each normalised to the limit law it names."""

# pyright: reportUnnecessaryIsInstance=false
# Users may pass what a signature does not allow.

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Complex, Float, Inexact
from scipy.linalg import cholesky, solve_triangular

from freeness.errors import InputError
from freeness.laws.law import Law

Field = Literal["real", "complex"]
Spectrum = Literal["quantiles", "drawn"]


def sample_spectrum(
    law: Law, size: int, rng: np.random.Generator, spectrum: Spectrum = "quantiles"
) -> Float[np.ndarray, " size"]:
    """``size`` eigenvalues of the law, ascending.

    Args:
        law: whose quantiles the eigenvalues are.
        size: eigenvalues, ≥ 1.
        rng: a numpy Generator; not asked for "quantiles".
        spectrum: "quantiles": those of (k - ½)/size, which are within 1/(2·size) of the law; "drawn": independent.

    Example:
        >>> from freeness.laws import Projection
        >>> sample_spectrum(Projection(0.5), 4, np.random.default_rng(0)).tolist()
        [0.0, 0.0, 1.0, 1.0]
    """
    _require(size=size)
    _require_generator(rng)
    if spectrum not in ("quantiles", "drawn"):
        raise InputError(f'expected the spectrum "quantiles" or "drawn", got {spectrum!r}; choose one.')
    levels = (np.arange(size) + 0.5) / size if spectrum == "quantiles" else np.sort(rng.random(size))
    return np.asarray(law.quantile(levels), dtype=float)


def sample_matrix(
    law: Law, size: int, rng: np.random.Generator, spectrum: Spectrum = "quantiles", field: Field = "real"
) -> Inexact[np.ndarray, "size size"]:
    """A random self-adjoint matrix O·diag(x)·Oᵀ with spectrum x from the law and Haar eigenvectors.

    Independent ones are asymptotically free, so sums and products of them have the laws of ``free_sum`` and
    ``free_product``. Limit law: ``law``.

    Args:
        law: whose quantiles the eigenvalues are.
        size: rows and columns, ≥ 1.
        rng: numpy's, from which all numbers are drawn: the same seed, the same result.
        spectrum: eigenvalues at the "quantiles" (k - ½)/size, or independently "drawn".
        field: "real" (symmetric) or "complex" (Hermitian).

    Example:
        >>> from freeness.laws import Projection
        >>> p = sample_matrix(Projection(0.5), 4, np.random.default_rng(0))
        >>> bool(np.allclose(p @ p, p))
        True
    """
    values = sample_spectrum(law, size, rng, spectrum)
    basis = haar_orthogonal(size, rng) if _is_real(field) else haar_unitary(size, rng)
    matrix = (basis * values) @ basis.conj().T
    return (matrix + matrix.conj().T) / 2


def haar_orthogonal(size: int, rng: np.random.Generator) -> Float[np.ndarray, "size size"]:
    """A Haar-distributed matrix of O(size), determinant of either sign. Limit law of its eigenvalues: uniform on the circle.

    Source: Mezzadri, How to generate random matrices from the classical compact groups (2007).

    Example:
        >>> q = haar_orthogonal(3, np.random.default_rng(0))
        >>> bool(np.allclose(q @ q.T, np.eye(3)))
        True
    """
    return _haar(gaussian(size, size, rng, "real"))


def haar_unitary(size: int, rng: np.random.Generator) -> Complex[np.ndarray, "size size"]:
    """A Haar-distributed matrix of U(size). Limit law of its eigenvalues: uniform on the circle.

    Source: Mezzadri (2007).

    Example:
        >>> u = haar_unitary(3, np.random.default_rng(0))
        >>> bool(np.allclose(u @ u.conj().T, np.eye(3)))
        True
    """
    return _haar(gaussian(size, size, rng, "complex"))


def gaussian(
    rows: int, columns: int, rng: np.random.Generator, field: Field = "real"
) -> Inexact[np.ndarray, "rows columns"]:
    """Independent Gaussian entries, mean 0, **E|g|² = 1** in both fields; the complex ones have independent parts.

    Args:
        rows: of the matrix, ≥ 1.
        columns: of the matrix, ≥ 1.
        rng: numpy's, from which all numbers are drawn: the same seed, the same result.
        field: "real" or "complex".

    Example:
        >>> gaussian(2, 3, np.random.default_rng(0)).shape
        (2, 3)
    """
    _require(rows=rows, columns=columns)
    _require_generator(rng)
    if _is_real(field):
        return rng.standard_normal((rows, columns))
    return (rng.standard_normal((rows, columns)) + 1j * rng.standard_normal((rows, columns))) / np.sqrt(2)


def goe(size: int, rng: np.random.Generator) -> Float[np.ndarray, "size size"]:
    """Gaussian orthogonal ensemble, real symmetric: **variance 1/size off, 2/size on the diagonal**.

    Limit law: ``Semicircle(1.0)``, on [-2, 2].

    Example:
        >>> goe(400, np.random.default_rng(0)).shape
        (400, 400)
    """
    g = gaussian(size, size, rng, "real")
    return (g + g.T) / np.sqrt(2 * size)


def gue(size: int, rng: np.random.Generator) -> Complex[np.ndarray, "size size"]:
    """Gaussian unitary ensemble, complex Hermitian. **E|h|² = 1/size off and on the diagonal** (half for each part off it).

    Limit law: ``Semicircle(1.0)``, on [-2, 2].

    Example:
        >>> h = gue(3, np.random.default_rng(0))
        >>> bool(np.array_equal(h, h.conj().T))
        True
    """
    g = gaussian(size, size, rng, "complex")
    return (g + g.conj().T) / np.sqrt(2 * size)


def wishart(
    rows: int, columns: int, rng: np.random.Generator, field: Field = "real"
) -> Inexact[np.ndarray, "rows rows"]:
    """**GG*/columns** for a rows×columns matrix G with entries of variance 1: mean eigenvalue 1.

    Limit law: ``MarchenkoPastur(rows/columns)``.

    Args:
        rows: p, the size of the result.
        columns: n, the number of samples.
        rng: numpy's, from which all numbers are drawn: the same seed, the same result.
        field: "real" or "complex".

    Example:
        >>> wishart(2, 5, np.random.default_rng(0)).shape
        (2, 2)
    """
    g = gaussian(rows, columns, rng, field)
    return g @ g.conj().T / columns


def jacobi(
    size: int, first: int, second: int, rng: np.random.Generator, field: Field = "real"
) -> Inexact[np.ndarray, "size size"]:
    """Jacobi (MANOVA) ensemble, **A(A + B)⁻¹ made self-adjoint**, with all eigenvalues in [0, 1].

    It is L⁻¹AL⁻* for A + B = LL*, A = G₁G₁*, B = G₂G₂*, with size×first and size×second Gaussian G₁, G₂.
    Limit law: ``Wachter(first/size, second/size)``.

    Args:
        size: p, the size of the result.
        first: n₁, columns of G₁.
        second: n₂, columns of G₂; first + second ≥ size.
        rng: numpy's, from which all numbers are drawn: the same seed, the same result.
        field: "real" or "complex".

    Example:
        >>> eigenvalues = np.linalg.eigvalsh(jacobi(4, 3, 9, np.random.default_rng(0)))
        >>> bool(abs(eigenvalues[0]) < 1e-12)  # of rank 3
        True
    """
    if first + second < size:
        raise InputError(f"expected first + second ≥ size = {size}, got {first} + {second}; A + B has no inverse.")
    one, two = gaussian(size, first, rng, field), gaussian(size, second, rng, field)
    root = cholesky(one @ one.conj().T + two @ two.conj().T, lower=True)
    half = solve_triangular(root, one, lower=True)
    return half @ half.conj().T


def _haar(gauss: np.ndarray) -> np.ndarray:
    """QR, with the phases of R's diagonal moved into Q, which makes the factorisation unique and Q Haar."""
    q, r = np.linalg.qr(gauss)
    diagonal = np.diag(r)
    return q * (diagonal / np.abs(diagonal))


def _is_real(field: str) -> bool:
    if field not in ("real", "complex"):
        raise InputError(f'expected the field "real" or "complex", got {field!r}; choose one.')
    return field == "real"


def _require_generator(rng: np.random.Generator) -> None:
    if not isinstance(rng, np.random.Generator):
        raise InputError(f"expected a numpy Generator, got {rng!r}; pass numpy.random.default_rng(seed).")


def _require(**sizes: int) -> None:
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
            raise InputError(f"expected {name} as a whole number ≥ 1, got {size!r}.")
