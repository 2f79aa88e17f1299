"""The largest eigenvalue of wide residual networks, which a long tail keeps well below the end of the law."""

import numpy as np
import pytest

from freeness.laws import expected_top
from freeness.network import Branch, resnet
from freeness.spectra import graph_law, network_graph
from tests.spectra.graph_simulation import draw_graph

WIDTH, DRAWS = 400, 16


@pytest.mark.slow
def test_the_largest_eigenvalue_lies_where_the_theory_of_square_root_ends_expects_it():
    """β = 1, ten blocks: 8 % below the end at this width, of which the mean of the Tracy–Widom law makes 6.6."""
    network, rng = resnet(10, WIDTH, Branch("tanh", scale=1.0)), np.random.default_rng(0)
    below_end, below_expected = [], []
    for _ in range(DRAWS):
        x = rng.standard_normal(WIDTH)
        drawn = draw_graph(network, x * WIDTH**0.5 / np.linalg.norm(x), rng)
        law = graph_law(network_graph(network, realised=drawn.signals))
        below_end.append(drawn.jacobian[-1] / law.upper_end - 1)
        below_expected.append(drawn.jacobian[-1] / expected_top(law, WIDTH) - 1)
    error = np.std(below_expected, ddof=1) / DRAWS**0.5
    assert np.mean(below_end) < -3 * error
    assert abs(np.mean(below_expected)) < 3 * error
