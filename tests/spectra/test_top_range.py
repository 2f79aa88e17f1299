"""The largest of few eigenvalues beside drawn matrices."""

import numpy as np
import pytest

from freeness.errors import ConvergenceError
from freeness.laws import Atoms, MarchenkoPastur, Semicircle
from freeness.moves import free_sum
from freeness.network import mlp
from freeness.spectra import predict_jacobian
from freeness.spectra.top_range import top_range

DRAWS = 600


def wishart(count, rng):
    drawn = rng.standard_normal((DRAWS, count, 2 * count)) / (2 * count) ** 0.5
    return drawn @ drawn.swapaxes(1, 2)


def signs_and_noise(count, rng):
    noise = rng.standard_normal((DRAWS, count, count)) / (2 * count) ** 0.5
    return np.diag(np.resize([-1.0, 1.0], count)) + noise + noise.swapaxes(1, 2)


@pytest.mark.parametrize("count", [10, 60])
@pytest.mark.parametrize(
    ("law", "drawn"),
    [
        (MarchenkoPastur(0.5), wishart),
        (free_sum(Atoms([-1.0, 1.0], [0.5, 0.5]), Semicircle(1.0)), signs_and_noise),
    ],
    ids=["Wishart", "two values and noise"],
)
def test_the_largest_of_few_eigenvalues_is_told_with_its_range(law, drawn, count):
    tops = np.linalg.eigvalsh(drawn(count, np.random.default_rng(5)))[:, -1]
    told = top_range(law, count)
    assert 0.2 < (tops < told.value).mean() < 0.5  # .34 in the limit
    assert told.high == law.upper_end
    assert 0.6 < ((told.low < tops) & (tops < told.high)).mean() < 0.9


def test_an_atom_at_the_end_is_the_largest_and_a_scatter_widens():
    haar = predict_jacobian(mlp(3, 40, "linear", "haar"))
    assert haar.largest is not None and haar.largest.value == pytest.approx(1.0)
    told = top_range(Semicircle(1.0), 20, 0.1)
    narrow = top_range(Semicircle(1.0), 20)
    assert told.value == narrow.value and told.low == narrow.low / 1.1 and told.high == narrow.high * 1.1


def test_a_law_without_quantiles_leaves_the_end(monkeypatch):
    def fails(*_):
        raise ConvergenceError("no quantile.")

    found = predict_jacobian(mlp(3, 40, "tanh", sigma_w=1.2))
    monkeypatch.setattr("freeness.spectra.records.top_range", fails)
    assert found.largest is None and found.expected_largest == found.top == found.edge.value
