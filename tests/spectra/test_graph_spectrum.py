"""Masses of atoms, as they are read from G above them."""

import numpy as np
import pytest

from freeness import Semicircle
from freeness.spectra.graph_spectrum import _mass_at


class Beside:
    """An atom beside a semicircle, off by what rounding of z does beside a pole; without one, a narrow semicircle instead."""

    def __init__(self, position, mass, width=0.0):
        self.position, self.mass, self.width = position, mass, width

    def cauchy(self, z):
        rest = (1 - self.mass) * Semicircle().cauchy(z)
        away = z - self.position
        if self.width:
            return rest + self.mass * Semicircle().cauchy(away / self.width) / self.width
        return rest + self.mass / (away + 1e-10j)


@pytest.mark.parametrize("position", [0.7, 2.5])
def test_the_mass_of_an_atom_in_a_band_or_a_gap_keeps_its_digits(position):
    law = Beside(position, 0.0625)
    height = 1e-5 * 0.5
    assert np.real(1j * height * law.cauchy(position + 1j * height)) != pytest.approx(0.0625, abs=1e-7)
    assert _mass_at(position, law.cauchy, 0.5, 1e-9) == pytest.approx(0.0625, abs=2e-8)


def test_the_mass_of_a_narrow_band_is_none():
    assert _mass_at(2.5, Beside(2.5, 0.0625, width=1e-3).cauchy, 0.5, 1e-9) < 0.01 * 0.0625
