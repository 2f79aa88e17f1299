"""The mean largest eigenvalue against drawn matrices, Wigner's and Wishart's."""

import numpy as np
import pytest

from freeness.errors import InputError
from freeness.laws import Bernoulli, MarchenkoPastur, PointMass, Semicircle, Uniform, expected_top
from freeness.moves import free_sum


def wigner(n, rng):
    a = rng.standard_normal((n, n))
    return (a + a.T) / np.sqrt(2 * n)


def wishart(n, rng):
    a = rng.standard_normal((n, 2 * n))
    return a @ a.T / (2 * n)


@pytest.mark.parametrize(
    ("law", "draw"),
    [(Semicircle(1.0), wigner), (MarchenkoPastur(0.5), wishart)],
)
def test_the_mean_of_the_largest_eigenvalue(law, draw):
    """300 matrices of size 100: to three standard errors and the next order, 1/n; the end itself is 40 errors away."""
    n, rng = 100, np.random.default_rng(0)
    tops = np.array([np.linalg.eigvalsh(draw(n, rng))[-1] for _ in range(300)])
    error = tops.std() / np.sqrt(len(tops))
    assert abs(tops.mean() - expected_top(law, n)) < 3 * error + 0.5 * law.hull[1] / n
    assert law.hull[1] - tops.mean() > 10 * error


def test_the_constant_of_closed_edges():
    """c of theory: 1 for the semicircle; √(b - a)/(2λb) for Marchenko–Pastur of ratio λ between a and b."""
    for n in (10, 10_000):
        assert expected_top(Semicircle(1.0), n) == pytest.approx(2 - 1.2065335745820 * n ** (-2 / 3), rel=1e-6)
    low, high = MarchenkoPastur(0.5).hull
    c = np.sqrt(high - low) / (2 * 0.5 * high)
    expected = high - 1.2065335745820 * (500 * c) ** (-2 / 3)
    assert expected_top(MarchenkoPastur(0.5), 500) == pytest.approx(expected, rel=1e-6)


def test_an_atom_at_the_top_is_the_top():
    assert expected_top(PointMass(3.0), 50) == 3.0


def test_other_ends_are_refused_in_one_sentence():
    with pytest.raises(InputError, match="square root"):
        expected_top(Uniform(0.0, 1.0), 100)
    with pytest.raises(InputError, match="square root"):  # the arcsine law diverges there
        expected_top(free_sum(Bernoulli(), Bernoulli()), 100)
    with pytest.raises(InputError, match="whole number"):
        expected_top(Semicircle(1.0), 0)
