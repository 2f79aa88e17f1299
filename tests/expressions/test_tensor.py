"""Laws of expressions on legs of a tensor: their densities against exact moments, closed laws and drawn tensors."""

from math import comb

import numpy as np
import pytest

from freeness import (
    Atoms,
    Circular,
    Empirical,
    Given,
    InputError,
    Law,
    MarchenkoPastur,
    PointMass,
    Projection,
    Semicircle,
    Uniform,
    classical_product,
    classical_sum,
    free_sum,
    free_variables,
    kolmogorov,
)
from freeness.expressions import matrix_linearized
from freeness.expressions.expression import evaluated


def of_three():
    """Two on legs of their own and one on both."""
    return free_variables(Semicircle(0.5), MarchenkoPastur(0.5), Uniform(0.0, 1.0), legs=[0, 1, (0, 1)])


def agrees(expression, order=6):
    """The density's moments, along a contour, are those of the words."""
    law, exact = expression.law(), expression.moments(order)
    assert Law.moments(law, order) == pytest.approx(exact, rel=1e-9, abs=1e-9)
    assert (law.mean, law.mean**2 + law.variance) == pytest.approx(exact[:2], rel=1e-9, abs=1e-9)
    return law


WRITTEN = {
    "product plus factor": lambda x, y: x * y + x,
    "written out": lambda x, y: x * y + 2 * x + y + 7,
    "twice": lambda x, y: x * y + y * x,
    "square of a sum": lambda x, y: (x + y) ** 2,
    "affine": lambda x, y: 3 - 2 * (x - y),
    "in disorder": lambda x, y: y * x * y,
}


@pytest.mark.parametrize("case", WRITTEN)
def test_polynomials_over_two_legs_split_into_classical_sums_and_products(case):
    x, y, _ = of_three()
    agrees(WRITTEN[case](x, y))


def test_sums_and_products_are_the_classical_ones():
    x, y, z = of_three()
    grid = np.linspace(-1.0, 4.0, 50)
    total = classical_sum(Semicircle(0.5), MarchenkoPastur(0.5))
    assert np.allclose((x + y).law().density(grid), total.density(grid), atol=1e-13)
    product = classical_product(Semicircle(0.5), MarchenkoPastur(0.5))
    assert np.allclose((x * y).law().density(grid), product.density(grid), atol=1e-13)
    both = free_sum(total, Uniform(0.0, 1.0))
    assert np.allclose((z + x + y).law().density(grid[::10]), both.density(grid[::10]), atol=1e-9)


NESTED = {
    "sum and both": lambda x, y, z: z + 2 * (x + y) + z,
    "product and both": lambda x, y, z: x * y + z,
    "around": lambda x, y, z: z * (x * y) * z,
    "around and square": lambda x, y, z: (x + y) * z * (x + y) + z + (x + y) ** 2,
}


@pytest.mark.slow
@pytest.mark.parametrize("case", ["sum and both", "product and both"])
def test_what_commutes_within_is_one_variable_free_from_the_rest(case):
    agrees(NESTED[case](*of_three()))


@pytest.mark.slow
@pytest.mark.parametrize("case", ["around", "around and square"])
def test_nested_polynomials_are_those_of_drawn_tensors(case):
    expression = NESTED[case](*of_three())
    law = agrees(expression, 4)
    values = np.linalg.eigvalsh(expression.sample(30**2, np.random.default_rng(0)))
    assert kolmogorov(law, values) < 0.02


def test_a_variable_with_atoms_that_commutes_takes_each_of_its_values():
    a, b, p = free_variables(Semicircle(), MarchenkoPastur(0.5), Projection(0.3), legs=[0, 0, 1])
    law = agrees(a * p + b)
    grid = np.linspace(-2.0, 5.0, 40)
    either = 0.7 * MarchenkoPastur(0.5).density(grid) + 0.3 * free_sum(Semicircle(), MarchenkoPastur(0.5)).density(grid)
    assert np.allclose(law.density(grid), either, atol=1e-10)
    assert dict((a * p).law().atoms)[0.0] == pytest.approx(0.7)
    assert (0 * a + p * 0 + 2).law() == PointMass(2.0)


def test_expressions_that_do_not_split_keep_their_moments():
    x, y, z = of_three()
    for expression in (x * y + x * x * y * y, x * z * x + y):
        with pytest.raises(InputError, match="its moments are"):
            expression.law()
        assert len(expression.moments(4)) == 4
    v, d, w = free_variables(Circular(), Projection(0.5), Circular(), legs=[1, (0, 1), 0])
    with pytest.raises(InputError, match="its moments are"):
        (v * d * w).singular_law()
    with pytest.raises(InputError, match="self-adjoint"):
        (x * z).law()


def test_inverses_split_as_well():
    x, y = free_variables(Uniform(1.0, 2.0), Uniform(1.0, 3.0), legs=[0, 1])
    law = (x + y).inverse().law()
    total = classical_sum(Uniform(1.0, 2.0), Uniform(1.0, 3.0))
    grid = np.linspace(0.21, 0.49, 20)
    assert np.allclose(law.density(grid), total.density(1 / grid) / grid**2, atol=1e-10)
    assert (x / y).law().mean == pytest.approx(1.5 * np.log(3) / 2, rel=1e-10)


def drawn_with(expression, size, seed):
    """Eigenvalues with random matrices of ``size`` on one leg and the given ones on the other."""
    rng, own = np.random.default_rng(seed), 3
    matrices = {}
    for symbol in expression.symbols:
        given = isinstance(symbol.element, Given)
        matrix = symbol.element.sample(own if given else size, rng)
        matrices[symbol] = np.kron(np.eye(size), matrix) if given else np.kron(matrix, np.eye(own))
    return np.linalg.eigvalsh(evaluated(expression, matrices, own * size))


A = np.array([[1.0, 0.5, 0.0], [0.5, -1.0, 0.3], [0.0, 0.3, 0.4]])
B = np.array([[0.0, 1.0, 0.2], [1.0, 0.0, 0.0], [0.2, 0.0, 1.0]])


def test_given_matrices_on_a_leg_of_their_own_are_coefficients():
    x, y, a, b = free_variables(Semicircle(0.5), MarchenkoPastur(0.5), Given(A), Given(B), legs=[0, 0, 1, 1])
    expression = x * a + y * b + a
    law = expression.law()
    assert matrix_linearized(expression).size == 3
    assert kolmogorov(law, drawn_with(expression, 200, 0)) < 0.01
    trace = np.trace(A + B) / 3
    square = (0.5 * np.trace(A @ A) + 0.5 * np.trace(B @ B) + np.trace((A + B) @ (A + B))) / 3
    assert (law.mean, law.variance) == pytest.approx((trace, square - trace**2), rel=1e-8)


def test_one_semicircular_variable_with_a_given_matrix_is_a_mixture():
    x, y, a = free_variables(Semicircle(), Semicircle(), Given(A), legs=[0, 0, 1])
    law = (x * a + y).law()  # √(1 + a²) times a semicircular variable for each eigenvalue a
    grid = np.linspace(-3.0, 3.0, 31)
    exact = np.mean([Semicircle(1 + value**2).density(grid) for value in np.linalg.eigvalsh(A)], axis=0)
    assert np.abs(law.density(grid) - exact).max() < 1e-10
    product = classical_product(Semicircle(), Empirical(np.linalg.eigvalsh(A)))
    assert np.abs((x * a).law().density(grid) - product.density(grid)).max() < 1e-10


@pytest.mark.slow
def test_polynomials_with_given_matrices_are_those_of_drawn_ones():
    x, y, a, b = free_variables(
        Semicircle(0.5), MarchenkoPastur(2.0), Given(A), Given(np.diag([1.0, 0.0, 0.0])), legs=[0, 0, 1, 1]
    )
    for expression in (x * y * a + y * x * a + x, y * b + 1, x * b + b * x * b):
        assert kolmogorov(expression.law(), drawn_with(expression, 200, 0)) < 0.01


def on_own_legs(*laws):
    return free_variables(*laws, legs=range(len(laws)))


UNIT, SEMICIRCLE = Uniform(0.0, 1.0), Semicircle()
VALUES = Atoms([-2.0, 0.5, 3.0], [0.25, 0.25, 0.5])
CLOSED = {  # variables on legs of their own, what is made of them, where, and its density
    "triangle": ((UNIT, UNIT), sum, np.linspace(0.01, 1.98, 20), lambda x: np.minimum(x, 2 - x)),
    "logarithm": ((UNIT, UNIT), np.prod, np.linspace(0.01, 0.98, 20), lambda x: -np.log(x)),
    "Irwin–Hall": (
        (UNIT, UNIT, UNIT),
        sum,
        np.linspace(0.05, 2.9, 12),
        lambda x: sum((-1) ** k * comb(3, k) * np.maximum(x - k, 0) ** 2 / 2 for k in range(4)),
    ),
    "squared logarithm": ((UNIT, UNIT, UNIT), np.prod, np.linspace(0.05, 0.95, 12), lambda x: np.log(x) ** 2 / 2),
    "shifted semicircles": (
        (SEMICIRCLE, VALUES),
        sum,
        np.linspace(-5, 5, 20),
        lambda x: sum(mass * Semicircle().density(x - a) for a, mass in VALUES.atoms),
    ),
    "scaled semicircles": (
        (SEMICIRCLE, VALUES),
        np.prod,
        np.linspace(-5, 5, 20),
        lambda x: sum(mass * Semicircle(a * a).density(x) for a, mass in VALUES.atoms),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CLOSED)
def test_densities_on_legs_have_their_closed_forms(case):
    """A⊗1 + 1⊗B, (A⊗1)(1⊗B), three legs, and mixtures: within 1e-10."""
    laws, made, x, exact = CLOSED[case]
    found = made(on_own_legs(*laws)).law().density(x)
    assert np.abs(found - exact(x)).max() < 1e-10


@pytest.mark.slow
def test_moments_of_semicircles_on_two_legs_are_binomials_of_catalan_numbers():
    """Of s⊗1 + 1⊗s and (s⊗1)(1⊗s) to order 8."""
    x, y = on_own_legs(SEMICIRCLE, SEMICIRCLE)
    catalan = [comb(2 * n, n) // (n + 1) for n in range(5)]
    sums = [sum(comb(2 * n, 2 * k) * catalan[k] * catalan[n - k] for k in range(n + 1)) for n in range(1, 5)]
    assert (x + y).law().moments(8)[1::2] == pytest.approx(sums, rel=1e-10)
    assert (x * y).law().moments(8)[1::2] == pytest.approx([c**2 for c in catalan[1:]], rel=1e-10)
