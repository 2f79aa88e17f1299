"""What a law on the page costs beside the eigenvalues of one drawn network of the same shape. Run by `make bench`."""

import time

import numpy as np
import pytest

from freeness.app.spectra_page import predicted
from freeness.spectra import SettledNetwork, drawn_spectrum


@pytest.mark.parametrize(("activation", "fisher"), [("hardtanh", False), ("tanh", False), ("relu", True)])
def test_law_of_thirty_layers_is_drawn_while_one_waits(benchmark, activation, fisher):
    """200 points of a Haar chain (bar: 150 ms on a free core); one network of 30 layers scatters by a third."""
    asked = SettledNetwork("mlp", activation, "haar", 30, 256, 0.2 if activation != "relu" else 1.0, 1.0)
    drawn = benchmark.pedantic(predicted, (asked,), {"fisher": fisher}, rounds=5, warmup_rounds=1)
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    eigenvalues = drawn_spectrum(asked.network, asked.sample(rng), rng, fisher=fisher)
    benchmark.extra_info["seconds_of_one_drawn_network"] = time.perf_counter() - start
    benchmark.extra_info["mean_over_that_of_the_drawn_network"] = asked.law(fisher=fisher).mean / eigenvalues.mean()
    assert drawn.x.size >= 200 and np.isfinite(drawn.density).all()
