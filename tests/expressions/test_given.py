"""Given matrices beside random ones: against the equation of Dozier and Silverstein, closed laws and simulated matrices."""

import numpy as np
import pytest

from freeness import (
    Circular,
    Given,
    InputError,
    MarchenkoPastur,
    Semicircle,
    free_variables,
    information_plus_noise,
    kolmogorov,
    scale,
)

RNG = np.random.default_rng(7)


@pytest.mark.parametrize("shape", [(12, 20), (20, 12), (15, 15)])
def test_information_plus_noise_solves_its_equation(shape):
    """m = ∫ dH(t)/(t/(1 + σ²ym) - (1 + σ²ym)z + σ²(1 - y)) with y = p/n (Dozier, Silverstein 2007, eq. 1.3), m = -G."""
    p, n = shape
    known, variance = RNG.standard_normal(shape) / np.sqrt(n), 0.7
    z = np.array([0.5 + 0.2j, 2.0 + 0.05j, -1.0 + 1.0j])
    m = -information_plus_noise(known, variance).cauchy(z)
    squares = np.linalg.eigvalsh(known @ known.T)
    a = 1 + variance * p / n * m
    right = np.mean(1 / (squares / a[:, None] - (a * z)[:, None] + variance * (1 - p / n)), axis=1)
    np.testing.assert_allclose(m, right, rtol=1e-10)


@pytest.mark.slow
@pytest.mark.always
def test_information_plus_noise_is_that_of_large_matrices():
    """A = 4 directions of strength 2 and the rest 0.2, stretched from 10 to 500 rows."""
    p, n, factor = 10, 15, 50
    strengths = np.where(np.arange(p) < 4, 2.0, 0.2)
    law = information_plus_noise(np.pad(np.diag(strengths), ((0, 0), (0, n - p))), 0.3)
    big = np.pad(np.diag(np.repeat(strengths, factor)), ((0, 0), (0, (n - p) * factor)))
    noise = np.sqrt(0.3 / (n * factor)) * RNG.standard_normal(big.shape)
    values = np.linalg.svd(big + noise, compute_uv=False) ** 2
    assert kolmogorov(law, values) < 0.01
    assert len(law.bands) == 2
    assert law.mean == pytest.approx(np.mean(strengths**2) + 0.3, rel=1e-12)


def nothing_known(shape):
    """The law of noise alone, the closed one, and points inside its band."""
    exact = scale(MarchenkoPastur(shape[0] / shape[1]), 2.0)
    return information_plus_noise(np.zeros(shape), 2.0), exact, np.linspace(*exact.bands[0], 30)[1:-1]


@pytest.mark.parametrize("shape", [(3, 6), (6, 3)])
def test_no_information_is_marchenko_pastur(shape):
    law, exact, x = nothing_known(shape)
    np.testing.assert_allclose(law.density(x), exact.density(x), rtol=1e-9)
    assert [atom.mass for atom in law.atoms] == pytest.approx([atom.mass for atom in exact.atoms], abs=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(3, 6), (6, 3)])
def test_bands_and_distribution_function_without_information_are_those_of_marchenko_pastur(shape):
    law, exact, x = nothing_known(shape)
    np.testing.assert_allclose(law.cdf(x), exact.cdf(x), atol=1e-9)
    np.testing.assert_allclose(law.bands, exact.bands, atol=1e-9)


def test_two_given_matrices_keep_their_joint_moments():
    """A + X + XBX… of two given diagonals is that of matrices with these diagonals, not that of free ones."""
    first, second = np.array([0.0, 1.0, 2.0, 5.0]), np.array([1.0, -1.0, 1.0, -1.0])
    a, b, x = free_variables(Given(first), Given(second), Semicircle())
    joint = a * b + x + b * x * b
    law = joint.law()
    assert law.moments(2) == pytest.approx([np.mean(first * second), np.mean((first * second) ** 2) + 2.0], abs=1e-10)
    values = np.linalg.eigvalsh(joint.sample(600, np.random.default_rng(0)))
    assert kolmogorov(law, values) < 8 / 600


def test_sums_and_sandwiches_of_given_matrices_are_not_free_ones():
    d, e = free_variables(Given([1.0, 2.0]), Given([1.0, 2.0]))
    np.testing.assert_allclose((d + e).law().atoms, [[2.0, 0.5], [4.0, 0.5]])
    np.testing.assert_allclose((d * e * d).law().atoms, [[1.0, 0.5], [8.0, 0.5]])
    short, long = free_variables(Given([1.0, 2.0]), Given([1.0, 2.0, 3.0]))
    with pytest.raises(InputError, match="one size"):
        (short + long).law()


def test_given_matrices_with_different_bases_are_taken_whole():
    """A non-normal and a hermitian 4×4 matrix beside a circular element, against a block matrix of size 600."""
    hermitian, plain = RNG.standard_normal((4, 4)), RNG.standard_normal((4, 4))
    a, b, c = free_variables(Given(hermitian + hermitian.T), Given(plain), Circular())
    expression = a + b * c + c.H * b.H
    law = expression.law()
    values = np.linalg.eigvalsh(expression.sample(600, np.random.default_rng(0)))
    assert kolmogorov(law, values) < 8 / 600


def test_a_lone_given_matrix_is_its_spectrum():
    matrix = np.diag([0.0, 1.0, 1.0, 4.0])
    a, x = free_variables(Given(matrix), Semicircle(0.5))
    turned = np.linalg.qr(RNG.standard_normal((4, 4)))[0]
    (b, y) = free_variables(Given(turned @ matrix @ turned.T), Semicircle(0.5))
    points = np.linspace(-0.5, 4.5, 9)
    np.testing.assert_allclose((a * x + x * a).law().density(points), (b * y + y * b).law().density(points), rtol=1e-8)


@pytest.mark.parametrize(
    "matrix",
    [np.zeros((2, 3)), [np.nan, 1.0], [], [["a"]], np.zeros((2, 2, 2))],
    ids=lambda value: str(np.shape(value)),
)
def test_what_is_no_square_matrix_is_refused(matrix):
    with pytest.raises(InputError, match=r"square matrix|finite entries"):
        Given(matrix)


def test_refusals():
    a, b, x = free_variables(Given([1.0, 2.0]), Given([1.0, 2.0, 3.0]), Semicircle())
    with pytest.raises(InputError, match="one size"):
        (a * x + x * a + b).law()
    with pytest.raises(InputError, match="given matrix"):
        (a + x).moments(2)
    with pytest.raises(InputError, match="finite matrix"):
        information_plus_noise(np.full((2, 2), np.inf), 1.0)
    with pytest.raises(InputError, match="variance"):
        information_plus_noise(np.eye(2), -1.0)
    (whole,) = free_variables(Given(np.eye(4)))
    with pytest.raises(InputError, match="multiple of 4"):
        whole.sample(6, np.random.default_rng(0))
