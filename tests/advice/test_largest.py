"""The largest eigenvalue that advice rests on, beside drawn networks and beside the graph's own single eigenvalues."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeness.advice import Training, largest_eigenvalue, theory_rate, upper_end
from freeness.advice.theory_rates import rate_shares, weighted_signals
from freeness.errors import FreenessError
from freeness.meanfield import signals
from freeness.network import mlp
from freeness.spectra import network_graph, outliers
from tests.spectra.simulation import draw

GELU = {"sigma_w": 1.567, "sigma_b": 0.186}  # critical at q* = 0.5, where q̂ is 0.19


@pytest.mark.parametrize("of", ["jacobian", "fisher"])
@pytest.mark.parametrize("outputs", [100, 400])
def test_it_is_that_of_drawn_networks_where_the_end_of_the_law_is_not(of, outputs):
    network = mlp(10, [400] * 10 + [outputs], "gelu", **GELU)
    top = largest_eigenvalue(network, signals(network, 0.19), of)
    rng = np.random.default_rng(3)
    measured = np.array([getattr(draw(network, 0.19, rng), of).max() for _ in range(12)])
    error = measured.std(ddof=1) / 12**0.5
    assert top.single is not None and abs(measured.mean() - top.value) < 3 * error
    assert measured.mean() - top.end > 2 * error


@given(
    st.sampled_from(["tanh", "erf", "hardtanh", "relu", "leaky_relu", "sin", "gelu", "silu", "softplus", "selu", "mish"]),
    st.lists(st.integers(20, 120), min_size=4, max_size=10),
    st.sampled_from(["haar", "gaussian"]),
    st.floats(0.7, 2.2),
    st.sampled_from([0.0, 0.1, 0.5]),
    st.floats(0.1, 3.0),
)  # fmt: skip
def test_nothing_that_stands_outside_is_screened_away(name, widths, weights, sigma_w, sigma_b, qhat0):
    network = mlp(len(widths) - 1, widths, name, weights, sigma_w=sigma_w, sigma_b=sigma_b)
    found = signals(network, qhat0)
    for of in ("jacobian", "fisher"):
        try:
            single = outliers(network_graph(network, qhat0, fisher=of == "fisher"))
        except FreenessError:
            continue
        top = largest_eigenvalue(network, found, of)
        assert top.end == upper_end(network, found, of)
        if single:  # the graph's norms are those of drawn neurons
            assert top.single == pytest.approx(single[0], rel=0.02) and top.value == max(top.single, top.end)
        else:
            assert top.single is None or top.single < 1.05 * top.end


def test_rates_of_layers_weigh_it_as_the_graph_of_that_parametrisation_does():
    network = mlp(10, [300] * 10 + [100], "gelu", **GELU)
    found = signals(network, 0.19)
    shares = rate_shares(network, Training("half_squared_error", parametrisation="ntk"))
    top = largest_eigenvalue(network, found, weighted=weighted_signals(network, found, shares))
    own = outliers(network_graph(network, 0.19, fisher="ntk"))
    assert top.single == pytest.approx(own[0], rel=0.01)


def test_the_bound_of_a_network_that_stretches_lengths_is_that_of_the_single_eigenvalue():
    network = mlp(30, [400] * 30 + [10], "gelu", **GELU)
    rate = theory_rate(network, Training("half_squared_error"), 0.19)
    top = largest_eigenvalue(network, signals(network, 0.19))
    assert rate.sharpness == top.single > 3 * top.end
    assert f"one eigenvalue stands outside it, {top.single / top.end:.3g} times its end" in rate.details[0]
