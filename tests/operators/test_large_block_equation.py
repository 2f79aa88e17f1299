"""Equations solved by products against the same ones solved by factorisation, and packed matrices against plain ones."""

import numpy as np
import pytest

from freeness.errors import ConvergenceError
from freeness.network import cnn, mlp
from freeness.operators import BlockEquation, GraphLaw, LargeBlockEquation, product_equation
from freeness.operators.packing import packed, sharing, superoperator, unpacked
from freeness.spectra import graph_law, network_graph
from tests.spectra.test_positions import NETWORKS


@pytest.fixture
def exact(monkeypatch):
    """Steps to rounding, so that both ways differ by that alone."""
    for name in ("_INEXACT", "_STEP", "_PRECISE"):
        monkeypatch.setattr(product_equation, name, 1e-13)


def graph_of(kind, fisher):
    network, shape = NETWORKS[kind]
    return network_graph(network, samples=np.random.default_rng(0).standard_normal(shape), fisher=fisher)


@pytest.mark.parametrize("kind", NETWORKS)
@pytest.mark.parametrize("fisher", [False, True], ids=["jacobian", "fisher"])
def test_products_solve_what_factorisation_does(exact, kind, fisher):
    """Newton steps, values, slopes, potentials and moments of every kind of layer at the same unknowns."""
    graph = graph_of(kind, fisher)
    small, large = (make(graph.segments, graph.matrices, 3.0) for make in (BlockEquation, LargeBlockEquation))
    scale = small.moments()[0]
    z = scale * np.array([1.0 + 8.0j, 3.0 + 10.0j])
    unknowns = small.start(z, np.zeros(2))
    (ours, margin), (theirs, other) = (equation.newton_change(unknowns, z) for equation in (large, small))
    size = small.size_of(unknowns)
    assert np.abs((ours - theirs) / np.where(size > 0, size, 1.0)).max() < 1e-11
    np.testing.assert_allclose(margin, other, rtol=1e-12)
    one, two = large.state(unknowns, z, True), small.state(unknowns, z, True)
    for name in ("value", "slope", "potential"):
        np.testing.assert_allclose(getattr(one, name), getattr(two, name), rtol=1e-9)
    assert large.moments() == pytest.approx(small.moments(), rel=1e-11)


@pytest.mark.parametrize("weights", ["gaussian", "haar"])
def test_steps_along_the_axis_are_the_same(exact, weights):
    network = cnn(mlp(3, 10, "tanh", weights, sigma_w=1.2), kernel=(3,))
    graph = network_graph(network, samples=np.random.default_rng(1).standard_normal((1, 10, 5)), fisher=True)
    small, large = (make(graph.segments, graph.matrices, 60.0) for make in (BlockEquation, LargeBlockEquation))
    x = np.array([400.0, 600.0])
    unknowns = small.hermitian(small.start(x.astype(complex), np.zeros(2)))
    rates = small.rates(unknowns, x)
    np.testing.assert_allclose(large.rates(unknowns, x), rates, rtol=0, atol=1e-11 * np.abs(rates).max())
    direction = rates.conj() / np.abs(rates).max(axis=0) ** 2
    wanted = np.array([1.0, 2.0])
    steps = (equation.critical_step(unknowns, x, direction, wanted) for equation in (large, small))
    for ours, theirs in zip(*steps, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9 * np.abs(theirs).max())


@pytest.mark.parametrize(
    ("network", "fisher"),
    [
        pytest.param(
            cnn(mlp(3, 12, "tanh", "gaussian", sigma_w=1.2), kernel=(3, 3), padding="zeros"),
            True,
            marks=pytest.mark.slow,
        ),
        (cnn(mlp(3, 12, "relu", "gaussian", sigma_w=1.4), kernel=(3, 3)), True),
        pytest.param(cnn(mlp(3, 12, "tanh", "haar", sigma_w=1.2), kernel=(3, 3)), False, marks=pytest.mark.slow),
    ],
    ids=["zeros", "relu", "haar"],
)
def test_laws_are_the_same(network, fisher):
    """By inexact steps as they are: transforms, density, distribution function, ends and moments to 1e-8."""
    graph = network_graph(network, samples=np.random.default_rng(2).standard_normal((1, 12, 2, 3)), fisher=fisher)
    law = graph_law(graph)
    high = law.upper_end
    large = GraphLaw(LargeBlockEquation(graph.segments, graph.matrices, law.mean), (0.01 * law.mean, 0.97 * high))
    assert large.upper_end == pytest.approx(high, rel=1e-8)
    x = high * np.array([0.2, 0.5, 0.9])
    np.testing.assert_allclose(large.cauchy(x + 0.05j * high), law.cauchy(x + 0.05j * high), rtol=1e-8)
    np.testing.assert_allclose(large.density(x), law.density(x), rtol=1e-7)
    np.testing.assert_allclose(large.cdf(x), law.cdf(x), rtol=0, atol=1e-8)
    np.testing.assert_allclose(large.moments(2), law.moments(2), rtol=1e-11)
    if fisher:  # the lower end of JJᵀ is 1e-5 of the upper one, and takes a minute
        assert large.continuous_hull[0] == pytest.approx(law.continuous_hull[0], rel=1e-8)
        np.testing.assert_allclose(large.moments(4), law.moments(4), rtol=1e-8)


def test_steps_that_are_not_found_raise(monkeypatch):
    monkeypatch.setattr(product_equation, "_PRODUCTS", 2)
    graph = graph_of("circle", True)
    with pytest.raises(ConvergenceError, match=r"converge|all the mass"):
        GraphLaw(LargeBlockEquation(graph.segments, graph.matrices, 100.0), (1.0, 100.0)).cauchy(30.0 + 1.0j)


def test_sharing_is_the_sum_over_taps():
    rng = np.random.default_rng(0)
    taps = rng.standard_normal((4, 3, 5)) * (rng.random((4, 3, 5)) < 0.4)
    x = rng.standard_normal((5, 5))
    x = x + x.T
    expected = sum(tap @ x @ tap.T for tap in taps)
    np.testing.assert_allclose(unpacked((sharing(taps) @ packed(x[None])[0])[None], 3)[0], expected, atol=1e-13)
    np.testing.assert_allclose(sharing(taps).toarray(), 4 * superoperator(taps), atol=1e-13)
