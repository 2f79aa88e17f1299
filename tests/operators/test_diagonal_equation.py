"""Fields that are diagonal over positions against the same equations with whole matrices."""

import numpy as np
import pytest

from freeness.network import Convolution, Gaussian, Network, Residual, cnn, mlp
from freeness.operators import BlockEquation, DiagonalEquation, diagonal_equation
from freeness.operators.diagonal_equation import LargeDiagonalEquation
from freeness.spectra import graph_law, network_graph

STRIDED = Network(
    (Convolution(4, 5, (3, 3), Gaussian(1.2), "zeros", 2), Residual((Convolution(5, 5, (3, 3), Gaussian(1.0)),)))
)
CASES = {
    "zeros around": (cnn(mlp(3, 5, "relu", "gaussian"), kernel=(3,), padding="zeros"), (1, 5, 4)),
    "delta-orthogonal": (cnn(mlp(3, 5, "tanh", "haar"), kernel=(3,)), (1, 5, 4)),
    "expanding, two samples": (cnn(mlp(2, [3, 6, 4], "tanh", "haar"), kernel=(3,)), (2, 3, 3)),
    "strides and a skip": (STRIDED, (1, 4, 4, 4)),
}


def equations(case, fisher=False):
    """With matrices, and with numbers at every position; None where positions are mixed."""
    network, shape = CASES[case]
    graph = network_graph(network, samples=np.random.default_rng(0).standard_normal(shape), fisher=fisher)
    return BlockEquation(graph.segments, graph.matrices, 3.0), DiagonalEquation.of(graph.segments, graph.matrices, 3.0)


def by_products(equation):
    return LargeDiagonalEquation(equation.segments, equation.matrices, equation._ports, 3.0)


def solved(equation, z):
    unknowns = equation.start(z, np.zeros(z.size))
    for _ in range(5):
        unknowns = unknowns + equation.newton_change(unknowns, z)[0]
    return equation.state(unknowns, z, True), equation.resolved(unknowns, z)


@pytest.mark.parametrize("case", CASES)
def test_numbers_solve_what_matrices_do(case):
    """G, its slope, the potential, G between positions, moments: the same to rounding, formed or by products."""
    whole, apart = equations(case)
    assert apart.unknowns < 0.6 * whole.unknowns
    z = whole.moments()[0] * np.array([1.0 + 8.0j, 3.0 + 10.0j])
    (known, between), (found, ours), (large, _) = (solved(e, z) for e in (whole, apart, by_products(apart)))
    np.testing.assert_allclose(ours, between, rtol=0, atol=1e-11 * np.abs(between).max())
    for name in ("value", "slope", "potential"):
        np.testing.assert_allclose(getattr(found, name), getattr(known, name), rtol=1e-11)
        np.testing.assert_allclose(getattr(large, name), getattr(known, name), rtol=1e-6)
    assert apart.moments() == pytest.approx(whole.moments(), rel=1e-12)
    assert by_products(apart).moments() == pytest.approx(whole.moments(), rel=1e-10)


def test_steps_along_the_axis_are_the_same():
    whole, apart = equations("delta-orthogonal")
    x = np.array([40.0, 60.0])
    steps = []
    for equation in (whole, apart, by_products(apart)):
        unknowns = equation.hermitian(equation.start(x.astype(complex), np.zeros(2)))
        steps.append(np.abs(equation.rates(unknowns, x)).max(axis=0))
    np.testing.assert_allclose(steps[1], steps[0], rtol=1e-9)
    np.testing.assert_allclose(steps[2], steps[0], rtol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_gradients_of_shared_weights_mix_positions(case):
    assert equations(case, fisher=True)[1] is None


def test_a_law_by_products_is_that_of_formed_equations(monkeypatch):
    """Linear layers on a torus: the law does not depend on its size; by products the lower end is not asked for."""
    network = cnn(mlp(2, 6, "linear", "gaussian"), kernel=(3, 3))
    laws = []
    for side, formed in ((4, 0), (3, 500)):
        monkeypatch.setattr(diagonal_equation, "_FORMED", formed)
        graph = network_graph(network, samples=np.random.default_rng(0).standard_normal((1, 6, side, side)))
        laws.append(graph_law(graph))
    assert laws[0].costly and not laws[1].costly
    x = np.array([0.5, 1.5])
    np.testing.assert_allclose(laws[0].cdf(x), 1 - laws[1].boundary(x).potential.imag / np.pi, atol=1e-9)
    assert laws[0].cdf(np.array([-1.0, 100.0])).tolist() == [0.0, 1.0]
