"""Chosen activations: published constants, direct integrals, and the networks that they make."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from freeness import InputError, jacobian_law, mlp, signals
from freeness.advice import choose_activation
from freeness.meanfield import derivative_spread, shaped
from freeness.network import activation, resnet


def spread_by_sampling(function, n):
    """nδ from Gauss–Hermite nodes, or a fine midpoint rule where φ' jumps."""
    z = (np.arange(2_000_000) + 0.5) / 1e5 - 10
    weights = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) / 1e5
    squares = function.derivative(z) ** 2
    return n * (weights @ squares**2 / (weights @ squares) ** 2 - 1)


@pytest.mark.parametrize(
    "name", ["hardtanh", "shifted_relu", "leaky_relu", "relu", "tanh", "erf", "gelu", "silu", "elu"]
)
@pytest.mark.parametrize("spread", [0.05, 0.5])
def test_the_chosen_activation_has_the_isometry_at_variance_1(name, spread):
    found = choose_activation(name, 40, spread)
    assert spread_by_sampling(found.function, 40) == pytest.approx(spread, rel=1e-3)
    net = mlp(41, 50, found.function, sigma_w=found.sigma_w, sigma_b=found.sigma_b)
    layers = signals(net, (1 - found.sigma_b**2) / found.sigma_w**2).layers
    qs = [layer.q for layer in layers]
    assert qs == pytest.approx([1.0] * len(qs) if name != "leaky_relu" else qs, rel=1e-6)
    assert found.spread == pytest.approx(spread)


def test_known_numbers():
    """Hard-tanh: 2Φ(w) - 1 = 1/(1 + σ²/n); leaky ReLU has 17.5, 23.6, 25.9 at 20, 50, 100 layers (theory.md §8)."""
    width = dict(choose_activation("hardtanh", 100, 0.25).numbers)["half_width"]
    assert 2 * ndtr(width) - 1 == pytest.approx(1 / 1.0025) and width == pytest.approx(0.10935**-0.5, rel=1e-4)
    for count, spread, expected in ((20, 17.53, 0.1814), (50, 23.617, 0.4305), (100, 25.88, 0.5704)):
        slope = dict(choose_activation("relu", count, spread).numbers)["negative_slope"]
        assert slope == pytest.approx(expected, abs=1e-3)
    tat = dict(choose_activation("tanh", 50, None, "tat").numbers)
    assert [tat[key] for key in ("gain", "shift", "offset", "scale")] == pytest.approx(
        [0.0817, 0.5258, -0.4832, 15.94], rel=1e-3
    )


def reached_by_tat(name, layers, spread):
    """Whether the spread is met as τ grows; TAT has several solutions and jumps between them, over spreads that none has."""
    spreads = []
    for tau in np.geomspace(spread / 40, spread, 60):
        made = shaped(activation(name), layers, "tat", float(tau))
        spreads.append(layers * derivative_spread(made.function, np.ones(1))[0] / spread)
    steps = np.abs(np.diff(np.log(spreads)))
    crossed = np.diff(np.sign(np.array(spreads) - 1)) != 0
    return bool((crossed & (steps < 0.1)).any())  # a step of τ is 0.06, and the spread goes about as τ


@settings(max_examples=10)
@given(
    st.sampled_from(["tanh", "gelu", "softplus", "sigmoid", "silu"]), st.integers(5, 80), st.floats(0.02, 2.0),
    st.sampled_from(["dks", "tat"]),
)  # fmt: skip
def test_shaped_activations_are_solved_for_the_isometry(name, layers, spread, shape):
    try:
        found = choose_activation(name, layers, spread, shape)
    except InputError as error:
        assert shape == "tat" and "can give" in str(error)
        assert not reached_by_tat(name, layers, spread)
        return
    assert spread_by_sampling(found.function, layers) == pytest.approx(spread, rel=1e-3)
    assert found.growth == pytest.approx(1.0, rel=1e-6)  # lengths are marginal: Q'(1) = 1


def test_the_whole_network_has_the_spread():
    found = choose_activation("shifted_relu", 9, 0.3)
    net = mlp(10, 50, found.function, sigma_w=found.sigma_w, sigma_b=found.sigma_b)
    law = jacobian_law(net, (1 - found.sigma_b**2) / found.sigma_w**2)
    assert law.variance / law.mean**2 == pytest.approx(0.3, rel=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: choose_activation("relu", 10, 11.0), "at most 10"),
        (lambda: choose_activation("tanh", 0), "activation layers ≥ 1"),
        (lambda: choose_activation("tanh", 5, None), "got None"),
        (lambda: choose_activation("tanh", 5, -1.0), "isometry σ_JJ²"),
        (lambda: choose_activation("tanh", 5, 0.1, "round"), "shape among"),
        (lambda: choose_activation("hardtanh", 5, 0.1, "tat"), "smooth"),
        (lambda: choose_activation("tanh", resnet(3, 5), 0.1, "tat"), "skip"),
        (lambda: choose_activation(activation("selu"), 5, 0.01), "at least"),
    ],
)
def test_bad_input_is_one_sentence(call, message):
    with pytest.raises(InputError, match=message):
        call()
