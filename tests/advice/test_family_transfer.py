"""Rates carried by theory: 1/L, μP and scaled branches as special cases, and the movement of outputs of drawn networks."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import freeness as fr
from freeness.advice import exponents, group_movements, theory_rate, transfer
from freeness.errors import InputError
from freeness.network import Branch, mlp, resnet
from freeness.training import optimizer_of


def chain(width, depth=4, output=1.0):
    """ReLU at the edge of chaos; ``output`` scales the last layer."""
    net = mlp(depth, [16, *[width] * (depth - 1), 10], "relu", "gaussian", sigma_w=math.sqrt(2))
    last = net.dense[-1]
    smaller = replace(last, weights=replace(last.weights, sigma_w=output * last.weights.sigma_w))
    return net.mapped(lambda operation: smaller if operation is last else operation)


def mup(width):
    return chain(width, output=width**-0.5)


def residual(depth, power, width=4096):
    return resnet(depth, width, Branch("relu", sigma_w=math.sqrt(2), scale=depth**-power), inputs=8, outputs=1)


@pytest.mark.parametrize("activation", ["linear", "relu"])
def test_of_isometric_chains_the_rate_is_one_over_the_depth(activation):
    gain = 1.0 if activation == "linear" else math.sqrt(2)
    nets = [mlp(depth, 200, activation, sigma_w=gain) for depth in (8, 64)]
    assert transfer(*nets).rate == pytest.approx(1 / 8)


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        ("sgd", {"input": 1.0, "hidden": 0.0, "output": -1.0}),
        ("adam", {"input": 0.0, "hidden": -1.0, "output": -1.0}),
    ],
)
def test_with_its_output_layer_the_groups_have_the_exponents_of_mup(optimizer, expected):
    # Yang et al. 2022, table 3: rates of input, hidden and output weights by fan_in and fan_out.
    found = transfer(mup(2**10), mup(2**14), optimizer=optimizer).groups
    assert {role: math.log(rate) / math.log(2**4) for role, rate in found.items()} == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("optimizer", "power", "expected"), [("sgd", 0.5, 0.0), ("sgd", 1.0, 1.0), ("adam", 0.5, -0.5), ("adam", 1.0, 0.0)]
)
def test_scaled_branches_have_the_exponents_of_depth_theory(optimizer, power, expected):
    # Branches times L^-a: L^(2a-1) under gradient descent (Bordelon et al. 2023), L^(a-1) under Adam (Dey et al. 2025).
    found = transfer(residual(16, power), residual(128, power), optimizer=optimizer).groups["hidden"]
    assert math.log(found) / math.log(8) == pytest.approx(expected, abs=0.05)


@pytest.mark.parametrize(
    ("name", "optimizer", "over_width", "over_depth"),
    [
        ("standard", "sgd", False, False),
        ("NTK", "sgd", True, False),
        ("μP", "adam", True, False),
        ("mean field", "sgd", True, None),
        ("residual, branches/√L", "sgd", False, True),
        ("residual, branches/√L", "adam", False, False),
        ("residual, branches/L", "adam", False, True),
    ],
)
def test_the_table_says_what_transfers(name, optimizer, over_width, over_depth):
    found = exponents(name, optimizer)
    assert (found.over_width, found.over_depth) == (over_width, over_depth)
    assert found.reason.count(".") >= 1 and found.source


def test_exponents_of_the_standard_parametrisation():
    sgd, adam = exponents("standard", "momentum"), exponents("standard", "adamw")
    assert (sgd.width, sgd.depth) == pytest.approx((-1, -1), abs=0.1)
    assert (adam.width, adam.depth) == pytest.approx((-1.5, -1), abs=0.1)
    assert sgd.mover == "hidden" and "most of it by the hidden layers" in sgd.reason


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_movements_are_those_of_drawn_networks(optimizer):
    # One tanh-free ReLU network a size, drawn in numpy, its gradient of one output by hand.
    rng = np.random.default_rng(0)

    def drawn(width):
        x, weights = rng.standard_normal(16), []
        sizes = (16, width, width, 1)
        for fan_in, fan_out in pairwise(sizes):
            weights.append(rng.standard_normal((fan_out, fan_in)) * math.sqrt(2 / fan_in))
        x *= 4 / np.linalg.norm(x)
        signals, slopes = [x], []
        for w in weights[:-1]:
            h = w @ signals[-1]
            signals.append(np.maximum(h, 0))
            slopes.append(h > 0)
        back, total = np.ones(1), 0.0
        for w, signal, slope in zip(weights[::-1], signals[::-1], [None, *slopes[::-1]], strict=True):
            back = back if slope is None else back * slope
            g = np.outer(back, signal)
            total += (g**2).sum() if optimizer == "sgd" else np.abs(g).sum()
            back = w.T @ back
        return total

    measured = np.mean([drawn(400) for _ in range(6)]) / np.mean([drawn(100) for _ in range(12)])
    nets = [mlp(3, [16, width, width, 1], "relu", "gaussian", sigma_w=math.sqrt(2)) for width in (100, 400)]
    assert 1 / transfer(*nets, optimizer=optimizer).rate == pytest.approx(measured, rel=0.15)


def test_the_bound_of_one_sample_stands_beside_it_and_reasons_are_told():
    nets = [mlp(depth, 100, "linear") for depth in (10, 40)]
    found = fr.transfer(*nets, 0.2, qhat0=0.01)
    ratio = theory_rate(nets[1], qhat0=0.01).bound / theory_rate(nets[0], qhat0=0.01).bound
    assert found.bounds == pytest.approx(ratio) and found.rate == pytest.approx(0.05)
    assert "4 times as far" in found.reason and "agrees" in found.reason
    assert transfer(*nets, optimizer="adam").bounds is None


def test_groups_add_up_and_biases_are_one_of_them():
    net = mlp(4, [20, 50, 50, 50, 3], "tanh", "gaussian", sigma_b=0.1)
    found = group_movements(net, optimizer_of("sgd"))
    assert set(found) == {"input", "hidden", "output", "biases"}
    assert sum(found.values()) == pytest.approx(transfer(net, net).movements[0])


@pytest.mark.parametrize(("rate", "message"), [(0.0, "rate > 0"), (math.nan, "rate > 0")])
def test_a_bad_rate_is_refused(rate, message):
    with pytest.raises(InputError, match=message):
        transfer(mlp(2, 4), mlp(2, 8), rate)
    with pytest.raises(InputError, match="parametrisation"):
        exponents("other")
