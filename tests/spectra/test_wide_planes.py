"""Convolutions on planes, whose equations are solved without a Jacobian, against drawn networks."""

from dataclasses import replace

import numpy as np
import pytest

from freeness.errors import InputError
from freeness.network import cnn, mlp
from freeness.operators import BlockEquation, DiagonalEquation, LargeBlockEquation, diagonal_equation
from freeness.spectra import graph_law, graph_spectrum, network_graph, sampled_eigenvalues
from tests.spectra.position_simulation import draw_positions


def plane(name, weights, padding, channels):
    return cnn(mlp(3, channels, name, weights, sigma_w=1.2 if name == "tanh" else 2**0.5), (3, 3), padding)


def compared(network, shape, fisher, draws):
    """Theory over drawn network, (draws, numbers): transforms at Im z = λ_max/20, two moments; and the last graph and law."""
    found = []
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        sample = draw_positions(network, rng.standard_normal(shape), rng)
        eigenvalues = sample.fisher if fisher else sample.jacobian
        graph = network_graph(network, realised=sample.signals, fisher=fisher)
        law = graph_law(graph)
        assert isinstance(law.equation, LargeBlockEquation if fisher else DiagonalEquation)
        z = eigenvalues[-1] * (np.array([0.05, 0.3, 0.6, 0.9]) + 0.05j)
        transforms = law.cauchy(z) / (1 / (z[:, None] - eigenvalues)).mean(axis=1)
        moments = np.array([law.mean, law.variance + law.mean**2])
        found.append([*transforms, *moments / [eigenvalues.mean(), (eigenvalues**2).mean()]])
    return np.array(found), graph, law


def with_every_channel(graph, times):
    """Each channel so often: the same equations, of a wider network."""

    def tiled(array):
        return array if array is None or len(array) == 1 else np.tile(array, (times, 1, 1))

    segments = [
        replace(s, accumulated=tuple(map(tiled, s.accumulated)), links=(), channels=times * s.channels)
        for s in graph.segments
    ]
    matrices = [replace(m, read=tiled(m.read), write=tiled(m.write)) for m in graph.matrices]
    return replace(graph, segments=tuple(segments), matrices=tuple(matrices))


def agree(found, bar):
    errors = np.std(found, axis=0, ddof=1) / len(found) ** 0.5
    assert (np.abs(found.mean(axis=0) - 1) <= bar + 4 * errors).all()
    assert errors.max() < 0.1


@pytest.mark.parametrize(
    ("name", "weights", "padding", "fisher"),
    [
        ("tanh", "gaussian", "zeros", True),
        ("tanh", "haar", "circular", True),
        pytest.param("relu", "haar", "circular", False, marks=pytest.mark.slow),
    ],
)
def test_small_planes(monkeypatch, name, weights, padding, fisher):
    """3×3 on 4×4, 16 channels, within 150 %/channels; the equations are few, but solved as many are."""
    monkeypatch.setattr(graph_spectrum, "_FORMED", 0)
    found, _, _ = compared(plane(name, weights, padding, 16), (1, 16, 4, 4), fisher, 3)
    agree(found, 1.5 / 16)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("name", "weights", "padding", "fisher"),
    [
        ("tanh", "gaussian", "circular", False),
        ("relu", "gaussian", "zeros", True),
        ("tanh", "haar", "zeros", True),
    ],
)
def test_planes_of_seven_by_seven(name, weights, padding, fisher):
    """3×3 on 7×7, 32 channels: transforms and moments within 150 %/channels, the end within 5 %.

    The largest eigenvalue of 32 channels scatters by 10 %, so the end is that of the same channels twice, weights drawn anew.
    """
    found, graph, law = compared(plane(name, weights, padding, 32), (1, 32, 7, 7), fisher, 2)
    agree(found, 1.5 / 32)
    if fisher:
        wider = with_every_channel(graph, 2)
        tops = [sampled_eigenvalues(wider, np.random.default_rng(seed), 10**6)[-1] for seed in range(2)]
        assert law.upper_end / np.mean(tops) == pytest.approx(1.0, abs=0.05)


@pytest.mark.slow
def test_a_factorised_step_changes_nothing():
    """Of the 4,901 equations of a plane of 7×7, off the axis and on it: their whole Jacobian, 1.5 GB, at the solution."""
    samples = np.random.default_rng(0).standard_normal((1, 16, 7, 7))
    graph = network_graph(plane("tanh", "gaussian", "zeros", 16), samples=samples, fisher=True)
    law = graph_law(graph)
    whole = BlockEquation(graph.segments, graph.matrices, law.equation.magnitude)
    for z in (300.0 + 50.0j, 300.0 + 0.0j):
        target = np.array([z])
        solution = law._solved(target)
        assert solution.converged.all()
        assert solution.height == 0
        change, margin = whole.newton_change(solution.parameters, target)
        assert (np.abs(change[:-1]) / whole.size_of(solution.parameters)[:-1]).max() < 1e-10
        assert margin > 0


@pytest.mark.parametrize(("name", "told"), [("relu", True), ("tanh", False)])
def test_an_atom_at_zero_is_read_when_it_is_asked_for(monkeypatch, name, told):
    """ReLU cuts neurons at every position: the mass of the ordinary equations; a density that mounts towards 0 is no atom."""
    network = cnn(mlp(3, 10, name, "gaussian", sigma_w=1.4), (3,))
    graph = network_graph(network, samples=np.random.default_rng(1).standard_normal((1, 10, 4)))
    expected = graph_law(graph).atoms
    monkeypatch.setattr(diagonal_equation, "_FORMED", 0)
    found = graph_law(graph).atoms
    assert bool(found) is told
    if told:
        assert found[0] == pytest.approx(expected[0], abs=1e-5)


def test_planes_that_are_too_large_are_named(monkeypatch):
    rng = np.random.default_rng(0)
    network = cnn(mlp(3, 2, "tanh", "gaussian"), (3, 3))
    with pytest.raises(InputError, match=r"at most 40000 unknowns, got 167621 .*take fewer positions"):
        graph_law(network_graph(network, samples=rng.standard_normal((1, 2, 17, 17)), fisher=True))
    monkeypatch.setattr(graph_spectrum, "_MOST_ENTRIES", 50_000)
    network = cnn(mlp(3, 8, "tanh", "gaussian"), (3, 3))
    with pytest.raises(InputError, match=r"at most 50000 numbers .*got 98441; take fewer channels"):
        graph_law(network_graph(network, samples=rng.standard_normal((1, 8, 7, 7)), fisher=True))
