"""Where the lower end of a graph's law is looked for, and where not: so near to the floor that no point converges."""

from types import SimpleNamespace

import numpy as np
import pytest

from freeness.operators import GraphLaw


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
