"""The rate from a measured curvature, beside the published line of theory."""

import pytest

from freeness import fisher_law, mlp, predict_fisher
from freeness.training import Curvature, measured_rate


def test_the_published_line_two_over_depth():
    """½ Σ loss, ‖x‖ = 1, as many outputs as the width, near isometry: bound → 2/L (theory.md §7)."""
    for depth in (2, 8, 32):
        width = 500
        net = mlp(depth, width, "hardtanh", "haar")
        fisher = predict_fisher(net, qhat0=1 / width)
        rate = measured_rate(Curvature(fisher.edge.value, 0.0, 1), "half_squared_error", "sgd", width, fisher)
        assert rate.bound == pytest.approx(2 / depth, rel=1e-3)
        assert rate.theory_bound == pytest.approx(rate.bound)
        assert rate.recommended == pytest.approx(0.35 * 2 / depth, rel=1e-3)
        assert fisher_law(net, qhat0=1 / width).mean == pytest.approx(depth, rel=1e-3)
