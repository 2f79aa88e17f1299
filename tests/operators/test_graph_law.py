"""Solutions of a graph's law beside ends of bands and in gaps that guesses lead to, against those followed from far above."""

import numpy as np
import pytest

from freeness.laws import EndSeries, banded_law
from freeness.laws.support import Bands
from freeness.network import Activation, Dense, Gaussian, Network, activation
from freeness.numerics import Solution
from freeness.spectra import graph_law, network_graph


@pytest.fixture(scope="module")
def law():
    layers = Dense(60, 20, Gaussian(1.0)), Activation(activation("tanh")), Dense(20, 10, Gaussian(1.0))
    found = graph_law(network_graph(Network(layers)))
    assert found.hull[0] > 0 and len(found.bands) == 1
    return found


def test_beside_ends_solutions_are_those_that_are_followed_from_far_above(law, monkeypatch):
    """To what is lost there: half the digits on the end itself."""
    distances = 10.0 ** -np.arange(2.5, 15)
    x = np.concatenate([end + side * distances for end in law.hull for side in (1.0, -1.0)])
    expected = law._followed(x.astype(complex))
    other, asked, followed = law.remembering(), [], type(law)._followed
    monkeypatch.setattr(type(law), "_followed", lambda self, x: asked.extend(x) or followed(self, x))
    found = other._neighbours.solve(x)
    assert found.converged.all() and len(asked) <= 10
    off = (np.abs(found.parameters - expected.parameters)[:-1] / np.abs(expected.parameters)[:-1]).max(axis=0)
    assert np.all(off <= 1e-12 + 1e-14 / np.sqrt(np.tile(distances, 4)) + 1e-5 * (found.height + expected.height > 0))


def test_the_ends_beside_which_points_are_led_are_those_of_the_bands_once_they_are_known(law, monkeypatch):
    low, high = law.hull
    assert [series.end for series in law._known_ends()] == [low, high]
    middle = (low + high) / 2
    found = Bands(((low, middle), (1.1 * middle, high)), 0.0)
    monkeypatch.setattr(banded_law, "bands_of", lambda law: found)
    other = law.with_atoms(())
    vars(other).pop("_known_bands", None)
    assert len(other.bands) == 2
    assert [series.end for series in other._known_ends()] == [low, middle, 1.1 * middle, high]


def test_a_real_solution_is_the_one_of_a_gap_where_its_fields_fall(law):
    low, high = law.hull
    series = EndSeries.of(law.bands, [0.0])
    for one, x in zip(series, (low - 1e-3 * low, high + 1e-3 * low), strict=True):
        nodes = law._followed(one.nodes.astype(complex)).parameters
        middle, apart = one.sheets(nodes, np.array([x, x]))
        apart[:, 1] = -apart[:, 1]  # on the other sheet
        start = np.asarray(middle + apart, complex)
        for _ in range(8):
            start += law._update(start, np.array([x, x], complex))[0]
        found = Solution(start, np.zeros(2), np.zeros(2), np.zeros(2, bool))
        law._outside(found, np.arange(2), np.array([x, x]))
        assert found.converged.tolist() == [True, False]
        assert found.parameters[:, 0] == pytest.approx(law._followed(np.array([x], complex)).parameters[:, 0], rel=1e-9)
        assert np.abs(law._update(start, np.array([x, x], complex))[0]).max() < 1e-12
