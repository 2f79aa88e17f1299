"""R and S at the ends of their domains, and G of images where points behind z meet: digits that differences would lose."""

import numpy as np
import pytest

from freeness import MarchenkoPastur, Mixture, Square, Uniform, free_product

LAWS = {
    "closed": (MarchenkoPastur(0.5), 2.0),
    "transforms": (Uniform(1.0, 2.0), np.log(2.0)),
    "product": (free_product(MarchenkoPastur(0.5), Uniform(1.0, 2.0)), 2 * np.log(2.0)),
}


@pytest.mark.parametrize("name", LAWS)
def test_s_at_minus_one_is_the_mean_of_inverses(name):
    """S(-1) = E 1/X, which is a product over free factors; beside -1 it changes by little."""
    law, expected = LAWS[name]
    beside = law.s_transform(-1.0 + np.array([0.0, 1e-14, 1e-12, 1e-9]))
    assert beside == pytest.approx(np.full(4, expected), rel=1e-8)
    assert beside[:3] == pytest.approx(np.full(3, expected), rel=1e-11)


def test_r_of_small_arguments_keeps_its_digits():
    """R(g) = 1/(1 - g/2) of this Marchenko-Pastur law."""
    g = np.array([1e-13, -1e-9, 1e-5])
    assert MarchenkoPastur(0.5).r_transform(g) == pytest.approx(1 / (1 - g / 2), rel=1e-14)


def test_a_square_in_whose_gap_0_lies_has_transforms_there():
    """G(0) = -E X⁻², G'(0) = -E X⁻⁴ and U(0) = 2 E log|X|, of two uniform parts on both sides."""
    law = Square(Mixture([Uniform(1.0, 2.0), Uniform(-3.0, -0.5)], [0.5, 0.5]))
    second = (1 - 1 / 2) / 2 + (2 - 1 / 3) / 5
    fourth = (1 - 1 / 8) / 6 + (8 - 1 / 27) / 15
    for z in (np.array([0.0]), np.array([1e-20 + 0j]), np.array([1e-13j])):
        (g, dg), (u, du) = law.transforms(z)
        assert [g[0], dg[0], u[0], du[0]] == pytest.approx([-second, -fourth, -1.0, -second], rel=1e-12)
    log = (2 * np.log(2) - 1) / 2 + (3 * np.log(3) - 3 - 0.5 * np.log(0.5) + 0.5) / 5
    assert law.log_potential(0.0) == pytest.approx(2 * log, rel=1e-12)
