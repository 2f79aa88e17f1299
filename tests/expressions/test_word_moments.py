"""Moments by words against numbers from the literature and against matrices."""

from math import comb

import numpy as np
import pytest

from freeness import (
    Atoms,
    Circular,
    FussCatalan,
    HaarUnitary,
    MarchenkoPastur,
    RDiagonal,
    Semicircle,
    Uniform,
    free_variables,
)
from freeness.expressions.word_moments import jacobi_coefficients


def test_catalan_and_fuss_catalan_numbers():
    x, y = free_variables(Semicircle(), Semicircle())
    assert x.moments(8).tolist() == pytest.approx([0, 1, 0, 2, 0, 5, 0, 14])
    assert (x * y * y * x).moments(4).tolist() == pytest.approx(FussCatalan(2).moments(4).tolist())


def test_returns_of_a_walk_on_the_free_group():
    """τ((u + v + u* + v*)²ᵏ): closed walks on the 4-regular tree, 4, 28, 232, 2092 (Kesten 1959)."""
    u, v = free_variables(HaarUnitary(), HaarUnitary())
    assert (u + v + u.H + v.H).moments(8)[1::2].tolist() == pytest.approx([4, 28, 232, 2092])
    assert (u + u.H).moments(8)[1::2].tolist() == pytest.approx([comb(2 * k, k) for k in range(1, 5)])


def test_powers_of_a_circular_element():
    """τ((cᵏ)*cᵏ) = 1, and c has no holomorphic moments."""
    (c,) = free_variables(Circular(1.0))
    assert c.moments(4) == pytest.approx([0, 0, 0, 0])
    assert [(c.H**k * c**k).moments(1)[0] for k in (1, 2, 3)] == pytest.approx([1, 1, 1])
    assert (c * c.H).moments(4).tolist() == pytest.approx([1, 2, 5, 14])


def test_freeness_of_centred_elements():
    """τ(x°y°x°y°) = 0 and τ(xyxy) = τ(x²)τ(y)² + τ(x)²τ(y²) - τ(x)²τ(y)²."""
    x, y = free_variables(MarchenkoPastur(0.5), Uniform(0.0, 2.0))
    assert ((x - 1) * (y - 1) * (x - 1) * (y - 1)).moments(1)[0] == pytest.approx(0.0, abs=1e-13)
    assert (x * y * x * y).moments(1)[0] == pytest.approx(1.5 * 1 + 4 / 3 - 1)


def test_r_diagonal_element_against_matrices():
    a, x = free_variables(RDiagonal(Uniform(0.5, 1.5)), Atoms([0.0, 1.0, 3.0], [0.5, 0.25, 0.25]))
    expression = a * x * a.H + a + a.H
    rng = np.random.default_rng(0)
    size = 400
    values = np.linalg.eigvalsh(expression.sample(size, rng))
    measured = [np.mean(values**k) for k in range(1, 5)]
    np.testing.assert_allclose(
        expression.moments(4), measured, rtol=0.02
    )  # moments of linear statistics vary by O(1/N)


def test_jacobi_coefficients_are_known_ones():
    diagonal, off = jacobi_coefficients(MarchenkoPastur(0.5), 12)
    np.testing.assert_allclose(diagonal, [1.0] + [1.5] * 11, atol=1e-10)
    np.testing.assert_allclose(off, np.sqrt(0.5), atol=1e-10)
    k = np.arange(1, 13)
    np.testing.assert_allclose(jacobi_coefficients(Uniform(-1.0, 1.0), 12)[1], k / np.sqrt(4 * k**2 - 1), atol=1e-10)
    _, off = jacobi_coefficients(Atoms([0.0, 1.0], [0.5, 0.5]), 4)
    assert off.tolist() == pytest.approx([0.5, 0, 0, 0])
