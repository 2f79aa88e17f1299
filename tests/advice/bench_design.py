"""Cost of a design (issue 8: about 50 ms), of its learning rate and of the whole table. Run by `make bench`."""

import time

import numpy as np
import pytest

from freeness import design, fisher_law

BAR = 0.05  # seconds
SHAPED = 0.1  # where no critical point exists and TAT is solved for instead


@pytest.mark.parametrize("name", ["tanh", "hardtanh", "gelu", "relu", "leaky_relu", "softplus"])
def test_a_design_takes_50_milliseconds(benchmark, name):
    widths = [784] + [512] * 49 + [10]
    found = benchmark(design, 50, widths, name)
    benchmark.extra_info |= {"bar_seconds": BAR, "isometry": found.isometry}
    assert benchmark.stats["median"] < (SHAPED if name == "softplus" else BAR)


@pytest.mark.parametrize("name", ["tanh", "hardtanh", "relu"])
def test_with_its_learning_rate(benchmark, name):
    """λ_max of the Fisher by the walk, and its error against the law's own edge."""
    found = benchmark(lambda: design(50, [784] + [512] * 49 + [10], name).learning_rate)
    made = design(50, [784] + [512] * 49 + [10], name)
    start = time.perf_counter()
    edge = fisher_law(made.network, realised=made.signals).hull[1]
    benchmark.extra_info |= {
        "relative_error": found.sharpness * 10 / edge - 1,
        "seconds_by_the_law": time.perf_counter() - start,
    }
    assert found.sharpness * 10 == pytest.approx(edge, rel=1e-6)


@pytest.mark.parametrize("name", ["tanh", "hardtanh", "relu"])
def test_the_whole_table(benchmark, name):
    """χ^L, σ_JJ², λ_max twice, ξ, nonlinearity and rate of the four starts."""

    def table():
        rows = design(50, [784] + [512] * 49 + [10], name).table
        return np.array(
            [
                (r.growth, r.spread, r.jacobian_top, r.fisher_top, r.xi, r.nonlinearity, r.learning_rate.bound)
                for r in rows
            ]
        )

    found = benchmark.pedantic(table, rounds=3)
    assert not np.isnan(found[:, [0, 1, 2, 3, 5, 6]]).any()
