"""Layers recalled bit for bit, beside every layer computed anew."""

import numpy as np
import pytest

from freeness.meanfield import repeats, walk
from freeness.meanfield.samples import SampleMoments
from freeness.meanfield.walk import compiled
from freeness.network import Activation, Dense, Gaussian, Network, Normalisation, activation, mlp


def normalised():
    """Blocks of weights, a normalisation and tanh."""
    bend, norm = Activation(activation("tanh")), Normalisation("layer")
    return Network((Dense(12, 12, Gaussian(1.5), 0.2), norm, bend) * 20)


@pytest.mark.parametrize(
    "network", [mlp(90, 12, "tanh", "gaussian", sigma_w=1.4, sigma_b=0.3), normalised()], ids=["tanh", "norm"]
)
def test_what_is_recalled_is_what_would_be_computed(network, monkeypatch):
    samples = SampleMoments(np.random.default_rng(0).standard_normal((3, 12)), network)
    pairs = samples.pairs(slice(0, 3))
    again, count = [], repeats.Recalled.again
    monkeypatch.setattr(repeats.Recalled, "again", lambda *given: again.append(1) or count(*given))
    short = compiled(network, samples.stream(), None)
    assert len(again) > 20
    monkeypatch.setattr(walk, "recallable", lambda stream: False)
    long = compiled(network, samples.stream(), None)
    for name, stream in long.streams.items():
        np.testing.assert_array_equal(short.streams[name].second, stream.second)
        np.testing.assert_array_equal(short.streams[name].growth, stream.growth)
        assert short.streams[name].sources == stream.sources
    found, expected = short.applied(pairs), long.applied(pairs)
    np.testing.assert_array_equal(found.value, expected.value)
    np.testing.assert_array_equal(found.theta, expected.theta)
