"""Eigenvalues between outputs beside one sample's Fisher dual of drawn networks."""

import numpy as np
import pytest

from freeness.advice.output_gram import output_gram
from freeness.meanfield import signals
from freeness.network import mlp
from tests.spectra.simulation import draw


@pytest.mark.parametrize(
    ("name", "depth", "options"),
    [
        ("relu", 8, {"sigma_w": 2**0.5}),
        ("tanh", 6, {"sigma_w": 1.2}),
        ("gelu", 12, {"sigma_w": 1.567, "sigma_b": 0.186}),  # with a single eigenvalue outside the law
    ],
)
@pytest.mark.parametrize("outputs", [3, 10])
def test_they_are_those_of_drawn_networks(name, depth, options, outputs):
    """Of means, not the mean of ratios: lengths of the GELU networks are unstable, and single ones scatter by factors."""
    qhat = 0.19 if name == "gelu" else 1.0
    network = mlp(depth, [300] * depth + [outputs], name, "gaussian" if name != "gelu" else "haar", **options)
    rng = np.random.default_rng(1)
    spectra = [np.sort(draw(network, qhat, rng).fisher) for _ in range(40)]
    measured = np.mean(spectra, axis=0) / np.mean(spectra)
    found = output_gram(network, signals(network, qhat))
    assert found.sum() == pytest.approx(outputs) and (np.diff(found) >= 0).all()
    assert found[-1] == pytest.approx(measured[-1], rel=0.25)


def test_one_output_is_its_own_mean():
    network = mlp(4, [50] * 4 + [1], "relu")
    assert output_gram(network, signals(network)).tolist() == [1.0]
