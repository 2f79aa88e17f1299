"""Logarithms of determinants by pivots against those of eigenvalues."""

import numpy as np
import pytest

from freeness.operators.logarithms import logarithm


def lower(rng, *shape):
    """Symmetric matrices in the lower half-plane, not far from a positive one."""
    real, imaginary = rng.standard_normal((2, *shape))
    return real @ real.swapaxes(-1, -2) - 0.1j * imaginary @ imaginary.swapaxes(-1, -2)


def by_eigenvalues(kappa, beta):
    return np.log(np.linalg.eigvals(np.eye(kappa.shape[-1]) - kappa @ beta)).sum(axis=-1)


@pytest.mark.parametrize("size", [1, 5, 20])
def test_phases_add_up_over_many_turns(size):
    """Of channels with noise of their own, and one field for all: 1e-8; phases of twenty positions run beyond 2π."""
    rng = np.random.default_rng(size)
    kappa, beta = 10 * lower(rng, 3, 4, size, size), lower(rng, 3, 1, size, size)
    far = np.geomspace(1e-9, 1.0, 3000)[:, None, None, None, None]
    known = np.unwrap(np.angle(np.linalg.det(np.eye(size) - far * kappa @ beta)), axis=0)[-1]
    found = logarithm(kappa, beta)
    np.testing.assert_allclose(np.imag(found), known, rtol=1e-8)
    np.testing.assert_allclose(np.real(found), np.linalg.slogdet(np.eye(size) - kappa @ beta)[1], rtol=1e-8)
    assert size < 20 or np.abs(known).max() > 2 * np.pi


def test_a_field_of_lower_rank_or_none():
    """β of one direction in four, beside one of all four: 1e-10; β = 0 leaves nothing."""
    rng = np.random.default_rng(0)
    kappa, vector = lower(rng, 4, 4), rng.standard_normal((4, 1))
    beta = (0.3 - 1j) * vector @ vector.T
    both = np.stack([beta, lower(rng, 4, 4)])[:, None]
    np.testing.assert_allclose(logarithm(kappa, both), by_eigenvalues(kappa, both), rtol=1e-10)
    assert abs(logarithm(kappa, 0 * beta)) < 1e-150
