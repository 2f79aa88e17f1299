"""The maps of a chain, which readings take as they are, against the walk of two samples along the wires."""

import numpy as np
import pytest

from freeness import mlp, signals
from freeness.meanfield import covariance, trajectory
from freeness.spectra import Bending, Mixing, maps_of


@pytest.mark.parametrize("name", ["tanh", "relu", "gelu"])
def test_a_covariance_taken_through_the_maps_is_that_of_the_trajectory(name):
    net = mlp(4, [30, 60, 20, 50, 10], name, "haar", sigma_w=1.3, sigma_b=0.4)
    maps = maps_of(net, signals(net, 0.8))
    shared = 0.3 * maps[0].qhat
    for step in maps:
        shared = (
            step.gain * shared + step.added
            if isinstance(step, Mixing)
            else float(covariance(step.function, step.q, step.q, shared / step.q).value)
        )
    end = trajectory(net, 0.8, 0.3)
    assert shared / maps[-1].q == pytest.approx(end.c[-1], rel=1e-9)
    assert [type(step) for step in maps] == [Mixing, Bending, Mixing, Bending, Mixing, Bending, Mixing]
    assert np.allclose([s.gain * s.qhat + s.added for s in maps if isinstance(s, Mixing)], [s.q for s in maps[::2]])
