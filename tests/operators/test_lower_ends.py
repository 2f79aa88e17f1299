"""Where the lower end of a graph's law is: beside chains and closed laws; and where it is not looked for without a walk to it."""

from types import SimpleNamespace

import numpy as np
import pytest

from freeness.laws import Atom
from freeness.network import mlp
from freeness.operators import GraphEquation, GraphLaw, RandomMatrix, Segment
from freeness.spectra import jacobian_law, network_graph
from freeness.spectra.graph_spectrum import graph_law
from tests.fuzz.verdict import drawn


class Known(GraphLaw):
    """Mass from ``end`` on, points below ``blind`` do not converge."""

    def __init__(self, end, blind):
        self._graph = SimpleNamespace(floor=0.0, costly=False)
        self._radius, self.end, self.blind, self.asked = 1.0, end, blind, 0

    def _beyond(self, x, side):
        self.asked += 1
        return np.where(x < self.blind, np.nan, np.maximum(x - self.end, 0.0))

    def _outer_fold(self, dark, bright, side):
        return self.end if dark < self.end < bright and dark >= self.blind else np.nan


def test_an_end_between_points_that_converge_is_found():
    assert Known(1e-3, 0.0)._end(-1.0) == pytest.approx(1e-3)


def test_an_end_among_points_that_do_not_converge_beside_the_floor_is_the_floor_at_once():
    law = Known(1e-9, 3e-9)
    assert law._end(-1.0) == 0.0 and law.asked <= 4


def test_further_away_it_is_looked_for_among_them():
    law = Known(1e-3, 3e-3)
    assert 1e-3 < law._end(-1.0) <= 4e-3


def made(widths):
    network = mlp(len(widths) - 1, widths, "linear", "gaussian", sigma_w=1.1)
    return graph_law(network_graph(network)), jacobian_law(network, 1.0)


def test_a_gap_of_a_hundred_thousandth_of_the_spectrum_keeps_its_digits():
    graph, chain = made([22, 21, 20])
    assert [graph._lower, graph._upper] == pytest.approx(chain.hull, rel=1e-10)
    assert chain.hull[0] < 1e-4


def test_the_gap_behind_an_atom_at_the_floor_ends_where_the_chain_s_does():
    graph, chain = made([15, 20])
    assert graph.atoms[0].mass == pytest.approx(0.25, abs=1e-9)
    assert graph._lower == pytest.approx(chain.nonzero_hull[0], rel=1e-10)


def test_mass_that_mounts_towards_zero_is_no_atom_and_the_law_begins_there():
    graph, chain = made([20, 20, 20])
    assert chain.lower_bound == chain.hull[0] == graph._lower == graph.mass_at_floor == 0.0


def test_the_walk_goes_on_behind_an_atom_above_the_floor():
    """20 of 60 neurons have what accumulates there, 1 or 2; the others 5 more than a Gaussian matrix' X·Xᵀ, of 60 columns."""
    behind = np.arange(60) >= 20
    own = np.select([np.arange(60) < 5, ~behind], [1.0, 2.0], 5.0)
    ends = [Segment(k[None], np.empty((0, 60)), 60) for k in (np.ones(60), own)]
    matrix = RandomMatrix((0, 0), (1, 0), np.ones(60), behind.astype(float), 1.0, "gaussian")
    law = GraphLaw(GraphEquation(ends, [matrix], 9.0), (2.0, 9.0))
    assert law.mass_at_floor == pytest.approx(1 / 12, abs=1e-12)
    law = law.with_atoms((Atom(1.0, 1 / 12), Atom(2.0, 1 / 4)))
    assert law._lower == pytest.approx(5 + (1 - np.sqrt(2 / 3)) ** 2, rel=1e-10)


@pytest.mark.slow
def test_a_gap_behind_an_atom_is_found_where_newton_first_goes_away():
    """Of 144 directions behind two convolutions six are lost; the walk through the gap told 0.0415 and no gap."""
    law = drawn("network", 13002, 5).law()
    assert law.atoms[0].mass == pytest.approx(6 / 144, abs=1e-11)
    assert law.continuous_hull[0] == pytest.approx(3.466374e-6, rel=1e-6)
    assert law.cdf(2e-6) == pytest.approx(6 / 144, abs=1e-9)
