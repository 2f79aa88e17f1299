"""Stability bounds against the dynamics they bound, loss scales against autograd-free Hessians."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeness import InputError, fisher_law, mlp, predict_fisher
from freeness.advice import Curvature, hessian_scale, stable_rate
from freeness.advice.learning_rate import learning_rate


def final_size(optimizer: str, rate: float, curvature: float) -> float:
    """|x| after many steps of the optimiser (torch's update rules) on ½·curvature·x², from x = 1."""
    x, velocity, beta = 1.0, 0.0, 0.9
    for _ in range(4000):
        gradient = curvature * x
        if optimizer == "adam":  # frozen preconditioner: heavy ball with an averaged gradient
            velocity = beta * velocity + (1 - beta) * gradient
            x -= rate * velocity
        else:
            velocity = (0.0 if optimizer == "sgd" else beta) * velocity + gradient
            x -= rate * (gradient + beta * velocity if optimizer == "nesterov" else velocity)
        if abs(x) > 1e6:
            break
    return abs(x)


@given(st.floats(1e-3, 1e3), st.sampled_from(["sgd", "momentum", "nesterov", "adam"]))
def test_the_stable_rate_is_where_the_optimiser_stops_contracting(curvature, optimizer):
    bound = stable_rate(curvature, optimizer)
    assert final_size(optimizer, 0.98 * bound, curvature) < 1e-3
    assert final_size(optimizer, 1.02 * bound, curvature) > 1e3


@pytest.mark.parametrize("outputs", [2, 10, 37])
def test_hessian_scales_are_the_largest_eigenvalues_of_the_losses(outputs):
    def hessian(loss):
        step, rng = 1e-3, np.random.default_rng(0)
        f = np.zeros(outputs)  # uniform softmax
        y = rng.standard_normal(outputs)
        losses = {
            "half_squared_error": lambda f: np.sum((f - y) ** 2) / 2,
            "half_mean_squared_error": lambda f: np.mean((f - y) ** 2) / 2,
            "mse": lambda f: np.mean((f - y) ** 2),
            "cross_entropy": lambda f: np.log(np.sum(np.exp(f))) - f[0],
        }
        eye = step * np.eye(outputs)
        return np.array(
            [
                [
                    (
                        losses[loss](f + a + b)
                        - losses[loss](f + a - b)
                        - losses[loss](f - a + b)
                        + losses[loss](f - a - b)
                    )
                    / (4 * step**2)
                    for a in eye
                ]
                for b in eye
            ]
        )

    for loss in ("half_squared_error", "half_mean_squared_error", "mse", "cross_entropy"):
        assert np.linalg.eigvalsh(hessian(loss))[-1] == pytest.approx(hessian_scale(loss, outputs), rel=1e-4)


def test_the_published_line_two_over_depth():
    """½ Σ loss, ‖x‖ = 1, as many outputs as the width, near isometry: bound → 2/L (theory.md §7)."""
    for depth in (2, 8, 32):
        width = 500
        net = mlp(depth, width, "hardtanh", "haar")
        fisher = predict_fisher(net, qhat0=1 / width)
        rate = learning_rate(Curvature(fisher.edge.value, 0.0, 1), "half_squared_error", "sgd", width, fisher)
        assert rate.bound == pytest.approx(2 / depth, rel=1e-3)
        assert rate.theory_bound == pytest.approx(rate.bound)
        assert rate.recommended == pytest.approx(0.35 * 2 / depth, rel=1e-3)
        assert fisher_law(net, qhat0=1 / width).mean == pytest.approx(depth, rel=1e-3)


def test_a_network_whose_outputs_do_not_move_gets_no_rate():
    with pytest.raises(InputError, match="sharpness > 0"):
        stable_rate(0.0)
    with pytest.raises(InputError, match="optimizer among"):
        stable_rate(1.0, "lion")
    with pytest.raises(InputError, match="loss among"):
        hessian_scale("hinge", 3)
