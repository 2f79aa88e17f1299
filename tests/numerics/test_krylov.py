"""Solutions by products alone against factorisation."""

import numpy as np
import pytest

from freeness.numerics.krylov import solved_by_products


@pytest.mark.parametrize("dtype", [float, complex])
def test_solutions_are_those_of_the_matrix(dtype):
    rng = np.random.default_rng(0)
    matrix = (np.eye(30) + 0.1 * rng.standard_normal((30, 30))).astype(dtype)
    right = rng.standard_normal(30).astype(dtype)
    if dtype is complex:
        matrix, right = matrix + 0.1j * rng.standard_normal((30, 30)), right * 1j
    for tolerance in (1e-3, 1e-12):
        found = solved_by_products(lambda x: matrix @ x, right, tolerance, 30)
        assert found.dtype == dtype
        assert np.linalg.norm(matrix @ found - right) <= 1.01 * tolerance * np.linalg.norm(right)


def test_nilpotent_parts_end_after_their_depth():
    """1 - N with N⁴ = 0: four products."""
    shift = np.eye(40, k=-10)
    asked = []

    def product(x):
        asked.append(x)
        return x - shift @ x

    right = np.arange(40.0)
    np.testing.assert_allclose(
        solved_by_products(product, right, 1e-12, 40), np.linalg.solve(np.eye(40) - shift, right)
    )
    assert len(asked) == 4


def test_what_is_not_reached_is_nan():
    right = np.ones(20)
    assert np.isnan(solved_by_products(lambda x: np.arange(1.0, 21.0) ** 4 * x, right, 1e-12, 3)).all()
    assert np.isnan(solved_by_products(lambda x: np.append(x[:-1], 0.0), right, 1e-12, 20)).all()  # singular
    assert np.isnan(solved_by_products(lambda x: np.nan * x, right, 1e-12, 20)).all()
    assert np.isnan(solved_by_products(lambda x: x, np.append(right, np.nan), 1e-12, 20)).all()


def test_nothing_is_solved_by_nothing():
    assert not solved_by_products(lambda x: x, np.zeros(3), 1e-12, 3).any()
