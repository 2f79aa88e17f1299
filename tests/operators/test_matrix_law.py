"""The matrix-valued solver against exact laws of polynomials, at every digit that these have."""

from dataclasses import replace

import numpy as np
import pytest

from freeness import (
    Arcsine,
    Atoms,
    Circular,
    ConvergenceError,
    FussCatalan,
    HaarUnitary,
    KestenMcKay,
    MarchenkoPastur,
    PointMass,
    Projection,
    RDiagonal,
    Semicircle,
    Uniform,
    anticommutator,
    commutator,
    free_product,
    free_sum,
    free_variables,
    inverse,
    scale,
    shift,
)
from freeness.laws import Atom
from freeness.laws.square import Square
from freeness.operators import MatrixLaw
from freeness.operators.spectral import eigenvalues


def law(expression):
    return expression.law("operator")


def interior(exact, count=50):
    """Points inside the bands, off their ends."""
    shares = (np.arange(count) + 0.5) / count
    return np.concatenate([low + (high - low) * shares for low, high in exact.bands])


def assert_same(found, exact, tolerance=1e-9):
    x = interior(exact, 12)
    np.testing.assert_allclose(found.density(x), exact.density(x), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(found.cdf(x), exact.cdf(x), atol=tolerance)
    np.testing.assert_allclose(found.hull, exact.hull, atol=tolerance * max(map(abs, exact.hull)))


def cubic_density(x):
    """-Im G/π of the root of zG³ + G² - zG + 1 = 0 in the lower half-plane."""
    return np.array([-np.roots([z, 1.0, -z, 1.0]).imag.min() / np.pi for z in x])


@pytest.mark.parametrize("build", [anticommutator, lambda x, y: 1j * commutator(x, y)], ids=["XY+YX", "i(XY-YX)"])
def test_commutators_of_semicirculars(build):
    """Both have free cumulants κ_2k = 2, R = 2g/(1 - g²) (Nica, Speicher 1998), so zG³ + G² - zG + 1 = 0."""
    x, y = free_variables(Semicircle(), Semicircle())
    found = law(build(x, y))
    edge = np.sqrt((11 + 5 * np.sqrt(5)) / 2)  # the zero of the cubic's discriminant
    assert found.hull == pytest.approx((-edge, edge), abs=1e-12)
    points = np.linspace(-0.999 * edge, 0.999 * edge, 200)
    np.testing.assert_allclose(found.density(points), cubic_density(points), rtol=1e-10, atol=1e-10)
    assert [edge.kind for edge in found.edges] == ["soft", "soft"]


x, y, z, p, q, u, v, c = free_variables(
    Semicircle(),
    Semicircle(),
    MarchenkoPastur(0.5),
    Projection(0.5),
    Projection(0.3),
    HaarUnitary(),
    HaarUnitary(),
    Circular(2.0),
    names="x y z p q u v c",
)
CLOSED = {
    "X²+Y²": (x**2 + y**2, scale(MarchenkoPastur(0.5), 2.0)),
    "XY²X": (x * y * y * x, FussCatalan(2)),
    "X+Y²": (x + y**2, free_sum(Semicircle(), MarchenkoPastur(1.0))),
    "(X+Y+5)⁻¹": ((x + y + 5).inverse(), inverse(shift(Semicircle(2.0), 5.0))),
    "U+U*": (u + u.H, Arcsine(2.0)),
    "U+V+U*+V*": (u + v + u.H + v.H, KestenMcKay(4)),
    "CC*": (c * c.H, scale(MarchenkoPastur(1.0), 2.0)),
    "C+C*": (c + c.H, Semicircle(4.0)),
}


@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms(name):
    expression, exact = CLOSED[name]
    assert_same(law(expression), exact, 1e-9)


def test_xyx_is_the_symmetric_root_of_fuss_catalan():
    """XYX of semicirculars: its square has the moments of X²⊠X²⊠Y² (Arizmendi, Pérez-Abreu 2009), FussCatalan(3)."""
    found = law(x * y * x)
    points = np.linspace(0.1, 3.0, 40)
    np.testing.assert_allclose(Square(found).density(points**2), FussCatalan(3).density(points**2), rtol=1e-9)
    edge = np.sqrt(256 / 27)
    assert found.hull == pytest.approx((-edge, edge), abs=1e-10)


JACOBI = 0.5 + np.sqrt(0.15 * 0.5 * 0.7) * np.array(
    [-2.0, 2.0]
)  # a + b - 2ab ∓ √(4ab(1 - a)(1 - b)), a = .5 and b = .3


def jacobi_density(t):
    low, high = JACOBI
    return np.sqrt((high - t) * (t - low)) / (2 * np.pi * t * (1 - t))


@pytest.mark.slow
@pytest.mark.always
def test_products_of_projections():
    """PQP: atom 1 - min(a, b) at 0 and the free Jacobi law between its edges (Voiculescu 1987)."""
    found, (low, high) = law(p * q * p), JACOBI
    assert found.atoms == ((0.0, pytest.approx(0.7, abs=1e-12)),)
    np.testing.assert_allclose(found.bands, [[low, high]], atol=1e-12)
    t = np.linspace(low, high, 60)[1:-1]
    np.testing.assert_allclose(found.density(t), jacobi_density(t), rtol=1e-9)


def test_pq_plus_qp_has_the_angles_of_pqp():
    """On the plane of P and Q at angle θ, PQ + QP has the eigenvalues cos²θ ± cosθ, and cos²θ has the law of PQP."""
    found, (low, high) = law(p * q + q * p), JACOBI
    assert found.atoms == ((0.0, pytest.approx(0.4, abs=1e-12)),)
    for t in (-0.2, -0.1, 0.5, 1.2):
        root = np.sqrt(1 + 4 * t)
        expected = 0.0
        for sign, cosine in ((1, (root - 1) / 2), (-1, (1 + root) / 2), (-1, (1 - root) / 2)):
            if low < cosine**2 < high and cosine > 0:
                expected += jacobi_density(cosine**2) * 2 * cosine / abs(2 * cosine + sign)
        assert expected > 0.1
        assert float(found.density(t)) == pytest.approx(expected, rel=1e-8)


@pytest.mark.slow
@pytest.mark.always
def test_rational_expression_with_a_closed_law():
    """X(1 + Z)⁻¹X for a projection Z is ½XZX + X(1-Z)X: X²⊠ν with the two atoms ½ and 1 of (1 + Z)⁻¹."""
    found = law(x * (1 + q).inverse() * x)
    exact = free_product(MarchenkoPastur(1.0), Atoms([0.5, 1.0], [0.3, 0.7]))
    points = np.linspace(0.05, 0.95, 10) * exact.hull[1]
    np.testing.assert_allclose(found.density(points), exact.density(points), rtol=1e-9)
    np.testing.assert_allclose(found.cdf(points), exact.cdf(points), atol=1e-9)
    assert found.hull[1] == pytest.approx(exact.hull[1], abs=1e-9)
    assert found.edges[0].kind == "hard"


@pytest.mark.slow
@pytest.mark.always
def test_r_diagonal_element_is_its_modulus():
    (a,) = free_variables(RDiagonal(Uniform(0.5, 1.0)))
    assert_same((a * a.H).law("operator"), Square(Uniform(0.5, 1.0)), 1e-8)


def test_non_real_coefficients_and_a_phase():
    """e^{iφ}c has the law of c, so e^{iφ}c + (e^{iφ}c)* is a semicircular element."""
    phase = np.exp(0.7j)
    assert_same(law(complex(phase) * c + complex(phase.conjugate()) * c.H), Semicircle(4.0))


def test_points_of_no_convergence_are_nan_or_raise():
    """At a hard edge itself there is no density."""
    found = law(x * (1 + q).inverse() * x)
    value = found.density([0.0, 1.0], throw=False)
    assert np.isnan(value[0]) and value[1] > 0
    with pytest.raises(ConvergenceError, match="converge"):
        found.density([0.0, 1.0])


def test_atoms_alone_are_an_atomic_law():
    r, s = free_variables(Projection(0.5), PointMass(2.0))
    found = law(r * s * r + 1)
    np.testing.assert_allclose(found.atoms, [[1.0, 0.5], [3.0, 0.5]], rtol=1e-14)
    assert found.bands == ()


@pytest.mark.slow
@pytest.mark.always
def test_law_serves_further_operations():
    """XY + YX + T: R = 2g/(1 - g²) + g, so g⁴ - zg³ - 2g² + zg - 1 = 0 (for XY + YX see the commutators above)."""
    points = np.linspace(-2.5, 2.5, 21)
    exact = [-np.roots([1.0, -z, -2.0, z, -1.0]).imag.min() / np.pi for z in points]
    np.testing.assert_allclose(free_sum(law(x * y + y * x), Semicircle()).density(points), exact, rtol=1e-9)


@pytest.mark.slow
def test_points_beside_the_end_of_a_band_are_reached_in_few_steps(monkeypatch):
    """i(XY - YX) has an end at √((11 + 5√5)/2) (see the commutators above), where unknowns are a root of the distance."""
    x, y = free_variables(Semicircle(), Semicircle())
    found = law(1j * commutator(x, y))
    assert isinstance(found, MatrixLaw)
    calls, step = [], found.equation.newton_change
    monkeypatch.setattr(found.equation, "newton_change", lambda *at: calls.append(at) or step(*at))
    end = np.sqrt((11 + 5 * np.sqrt(5)) / 2)
    assert found.density([end - 1e-7]) == pytest.approx(cubic_density([end - 1e-7]), rel=1e-5) and len(calls) < 150


def test_eigenvalues_of_a_matrix_at_which_lapack_fails():
    near = np.array([[1.00001j, -3.25161174e-17j], [3.25161174e-17j, 1.00001j]])
    found = eigenvalues(np.stack([near, np.diag([2.0, 3j]), np.full((2, 2), np.nan)]))
    np.testing.assert_allclose(found[:2], [[1.00001j, 1.00001j], [2.0, 3j]], rtol=1e-12)
    assert np.isnan(found[2]).all()


@pytest.mark.slow
def test_a_distribution_function_at_an_atom_in_a_gap_is_that_of_the_gap():
    """Both gaps around the atom of i(XY - YX), of mass 2·.8 - 1, hold half of the other mass outside."""
    x, y = free_variables(Projection(0.8), Uniform(0.1, 0.9))
    moved = shift((1j * commutator(x, y)).law(), 1.0)
    at = 1.0 + np.array([-1e-3, -1e-6, -1e-9, 0.0, 1e-12, 1e-8, 1e-5, 2e-4])
    np.testing.assert_allclose(moved.cdf(at), [0.2, 0.2, 0.2, 0.8, 0.8, 0.8, 0.8, 0.8], atol=1e-9)


@pytest.mark.slow
def test_a_narrow_band_behind_a_gap_is_part_of_the_support():
    """On the kernel of x, a third, the form of xy + yx is 0: as many eigenvalues are negative (Haynsworth), all near 0."""
    x, y = free_variables(MarchenkoPastur(1.5), Uniform(0.778, 1.318))
    found = law(anticommutator(x, y))
    assert found.hull[0] < 0 and found.cdf(0.0) == pytest.approx(1 / 3, abs=1e-9)


def test_above_the_axis_a_potential_knows_that_below_it_to_first_order():
    """On the end of a band the way down stops above the axis; what is left is a square of the height."""
    x, y = free_variables(Uniform(-1, 2), Semicircle(1.0))
    found, at = law(anticommutator(x, y)), np.array([-1.3, 0.4, 0.9], complex)
    equation, exact = found.equation, found._solve(at).parameters
    known = equation.potential(equation.state(exact, at, True))
    for height in (1e-3, 1e-4):
        unknowns, above = exact, at + 1j * height
        for _ in range(20):
            unknowns = unknowns + equation.newton_change(unknowns, above)[0]
        state = equation.state(unknowns, above, True)
        assert np.all(np.abs(equation.potential(state, height) - known) < 3 * height**2)
        assert np.all(np.abs(equation.potential(state) - known) > height / 2)


def test_densities_in_a_gap_around_an_atom_are_0_and_the_hull_is_found_without_it(monkeypatch):
    """(The gap is measured in units of the hull, which densities help to find.)"""
    x, y = free_variables(Uniform(-1, 2), Semicircle(1.0))
    found, asked = law(anticommutator(x, y)).with_atoms((Atom(0.0, 0.6),)), []
    monkeypatch.setattr(found, "_in_gaps", lambda at: asked.append(at) or np.ones(at.shape, bool))
    assert found.density([1e-6]) > 0 and not asked
    vars(found)["continuous_hull"] = (-4.0, 4.0)
    assert found.density([1e-6]) == [0.0] and asked


@pytest.mark.parametrize("squared", [False, True])
def test_potentials_of_expressions_with_inverses_have_no_constant_of_the_pencil(squared):
    first, last = MarchenkoPastur(0.3), Circular() if squared else Semicircle(0.1)
    x, y = free_variables(first, last)
    past = inverse(shift(first, 0.7))
    if squared:
        found, exact = law(1 / (x + 0.7) * y * y.H / (x + 0.7)), free_product(Square(past), MarchenkoPastur(1.0))
    else:
        found, exact = law(1 / (x + 0.7) + y), free_sum(past, Semicircle(0.1))
    z = exact.hull[1] * np.array([-2.0, 1.5, 1e3])
    assert found.log_potential(z) == pytest.approx(exact.log_potential(z), rel=1e-8)


def test_points_that_are_lost_by_themselves_are_not_asked_for_once_more(monkeypatch):
    x, y = free_variables(Semicircle(1.0), Semicircle(1.0))
    found, asked = law(anticommutator(x, y)), []
    low, high = vars(found)["continuous_hull"] = (-3.4, 3.4)
    monkeypatch.setattr(found, "_raw_cdf", lambda at: np.full(at.shape, np.nan))
    way = found._followed
    monkeypatch.setattr(found, "_followed", lambda at: asked.append(at) or replace(way(at), converged=at.real > 1))
    with pytest.raises(ConvergenceError, match="2 did not"):
        found.cdf([low, 0.5, 0.6, high])
    assert len(asked) == 1
    with pytest.raises(ConvergenceError, match="1 did not"):
        found.cdf([0.5, 1.1])
    assert len(asked) == 3
