"""Masses of atoms that are read from a law beside what lies near them."""

from dataclasses import dataclass

import numpy as np
import pytest

from freeness.expressions.atoms import expression_atoms


@dataclass(frozen=True)
class Beside:
    """An atom at 1, of mass .3, a uniform band of mass .2 that ends ``gap`` below it, and a semicircle about 0."""

    gap: float
    width: float

    def transforms(self, z):
        uniform = np.log((z - 1 + self.gap + self.width) / (z - 1 + self.gap)) / self.width
        g = 0.3 / (z - 1) + 0.2 * uniform + 0.5 * (z - np.sqrt(z - 0.5) * np.sqrt(z + 0.5)) * 8
        return (g, g), (z * g - 1, g)


@pytest.mark.parametrize(("gap", "width"), [(1e-7, 1e-4), (1e-2, 0.1), (1e-8, 1e-6)])
def test_a_band_close_to_an_atom_is_no_part_of_it(gap, width):
    eigenvalues = np.sort(np.concatenate([np.linspace(-0.5, 0.5, 70), np.ones(30)]))
    for parts in ([(30, 0.3)], [(k, k / 977) for k in range(1, 9)]):
        (atom,) = expression_atoms(Beside(gap, width), eigenvalues, parts)
        assert atom.position == 1.0
        assert atom.mass == pytest.approx(0.3, abs=1e-3)
