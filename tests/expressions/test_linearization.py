"""Linearisations: their Schur complement is the expression, and they are small."""

import numpy as np
import pytest

from freeness import Circular, HaarUnitary, InputError, MarchenkoPastur, Semicircle, Uniform, free_variables
from freeness.expressions import linearized
from freeness.expressions.expression import evaluated
from freeness.expressions.linearization import hermitized
from freeness.expressions.words import is_odd

x, y, z, u, c = free_variables(Semicircle(), Semicircle(), Semicircle(), HaarUnitary(), Circular(), names="x y z u c")
SIZES = [
    (x, 1),
    (3 + x - 2 * y, 1),
    (x**2, 2),
    (x * y + y * x, 3),
    (1j * (x * y - y * x), 3),
    (x**2 + y**2, 3),
    (x + y**2, 2),
    (x * y * x, 3),
    (x * y * z + z * y * x, 5),
    ((x + y) ** 2, 3),
    (x * y * y * x, 4),
    (u * x + x * u.H, 3),
    (c * c.H + x, 2),
    ((x + 3).inverse(), 2),
    (x * (1 + y**2).inverse() * x, 3),
    (x / (2 + x * y + y * x) * x + u + u.H, None),
    (((x + 2).inverse() + y).inverse(), None),
]


def matrices(expression, size, rng):
    drawn = {}
    for symbol in expression.symbols:
        matrix = rng.standard_normal((size, size)) + 1j * rng.standard_normal((size, size))
        drawn[symbol] = matrix + matrix.conj().T if symbol.element.self_adjoint else matrix
    return drawn


def pencil_at(linearization, drawn, size):
    total = np.kron(linearization.constant, np.eye(size))
    for symbol, coefficient in linearization.coefficients.items():
        total = total + np.kron(coefficient, drawn[symbol])
        if not symbol.element.self_adjoint:
            total = total + np.kron(coefficient.conj().T, drawn[symbol].conj().T)
    return total


@pytest.mark.parametrize(("expression", "size"), SIZES, ids=[repr(expression) for expression, _ in SIZES])
def test_the_corner_of_the_resolvent_is_that_of_the_expression(expression, size):
    """[(diag(z, 0, …, 0) - L)⁻¹]₁₁ = (z - p)⁻¹ for matrices in the place of the variables."""
    found = linearized(expression)
    assert size is None or found.size == size
    rng = np.random.default_rng(0)
    for point in (0.3 + 1j, -2.0 + 0.1j):
        drawn = matrices(expression, 4, rng)
        pencil = pencil_at(found, drawn, 4)
        np.testing.assert_allclose(found.constant, found.constant.conj().T, atol=1e-13)
        shift = np.kron(np.diag([point] + [0] * (found.size - 1)), np.eye(4))
        corner = np.linalg.inv(shift - pencil)[:4, :4]
        exact = np.linalg.inv(point * np.eye(4) - evaluated(expression, drawn, 4))
        np.testing.assert_allclose(corner, exact, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("expression", [x * y, c, x + 1j * y * u, (x + 3j).inverse() * c], ids=repr)
def test_hermitisation_has_two_corners(expression):
    found = hermitized(expression)
    drawn = matrices(expression, 4, np.random.default_rng(1))
    point = 0.4 + 0.7j
    shift = np.kron(np.diag([point] * 2 + [0] * (found.size - 2)), np.eye(4))
    corner = np.linalg.inv(shift - pencil_at(found, drawn, 4))[:8, :8]
    a = evaluated(expression, drawn, 4)
    both = np.block([[np.zeros((4, 4)), a], [a.conj().T, np.zeros((4, 4))]])
    np.testing.assert_allclose(corner, np.linalg.inv(point * np.eye(8) - both), rtol=1e-9, atol=1e-10)


def test_refusals():
    with pytest.raises(InputError, match="self-adjoint"):
        linearized(x * y)
    with pytest.raises(InputError, match="defined for none"):
        linearized((x * y - y * x).inverse() * 1j + ((x * y - y * x).inverse() * 1j).H)


def test_what_signs_or_conjugation_make_negative_is_known_to_be_symmetric():
    x, y, z, u = free_variables(MarchenkoPastur(0.5), Semicircle(1.0), Uniform(0.2, 1.0), HaarUnitary())
    for p in (
        x * y * x,
        1j * (x * z - z * x),
        1j * (x * z - z * x) + y * x * y * z * y + y * z * y * x * y,
        x * y * z + z * y * x,
        u + u.H,
        u * x + x * u.H,
    ):
        assert is_odd(p) and p.moments(3)[::2] == pytest.approx(np.zeros(2), abs=1e-12)
    for p in (x * z + z * x, y * y + y, x * y * x + 0.1, u * x * u.H, 1j * (x * z - z * x) + z):
        assert not is_odd(p)


@pytest.mark.slow
def test_an_odd_polynomial_has_half_its_mass_below_0():
    x, y = free_variables(MarchenkoPastur(0.5), Uniform(0.2, 1.0))
    law = (1j * (x * y - y * x)).law()
    assert law.symmetric and law.cdf(0.0) == 0.5
    assert law.cdf([-0.3, 0.3]).sum() == pytest.approx(1.0, abs=1e-9)
