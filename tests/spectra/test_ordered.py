"""Deep ordered networks: the signal of the first layers is gone, and the law must still be found."""

import numpy as np
import pytest

from freeness import InputError, fisher_law, mlp, signals


@pytest.mark.parametrize("weights", ["haar", "gaussian"])
@pytest.mark.parametrize("activation", ["relu", pytest.param("tanh", marks=pytest.mark.slow), "hardtanh"])
def test_the_law_of_an_ordered_network_stops_changing_with_depth(activation, weights):
    laws = [
        fisher_law(mlp(depth, 100, activation, weights, sigma_w=0.577, sigma_b=0.02), 1.0) for depth in (40, 100, 200)
    ]
    for law in laws:
        assert law.hull == pytest.approx(laws[0].hull, rel=1e-6)
        assert law.hull[0] <= law.mean <= law.hull[1]
        assert law.hull[1] - law.mean < 12 * law.standard_deviation + 1e-3
        assert np.allclose(law.cdf([law.hull[0] - 0.1, law.mean, law.hull[1] + 0.1])[[0, 2]], [0, 1])
        if law.standard_deviation > 1e-9:  # hard-tanh with Haar weights ends as a point mass
            assert 0.05 < law.cdf(law.mean) < 0.95


def test_signals_of_another_network_are_refused():
    with pytest.raises(InputError, match="this very network"):
        fisher_law(mlp(5, 100, "tanh"), realised=signals(mlp(5, 50, "tanh")))
