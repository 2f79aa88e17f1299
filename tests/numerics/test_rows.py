"""Products of rows."""

import numpy as np

from freeness.numerics import row_products


def test_row_products_are_sums_over_the_last_axis():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((3, 5, 40)) + 1j * rng.standard_normal((3, 5, 40))
    weights = rng.standard_normal((3, 1, 40))
    np.testing.assert_allclose(row_products(rows, weights), (rows * weights).sum(axis=-1), rtol=0, atol=1e-12)
    assert row_products(rows[0], weights[0, 0]).shape == (5,)
