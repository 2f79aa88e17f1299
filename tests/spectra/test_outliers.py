"""Single eigenvalues outside the law: against drawn networks, dense inverses, finite differences and another way to solve."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import ortho_group

from freeness import predict_fisher, predict_jacobian
from freeness.errors import ConvergenceError, FreenessError
from freeness.network import (
    Activation,
    Branch,
    Dense,
    Gaussian,
    Haar,
    Measured,
    Network,
    Normalisation,
    Residual,
    activation,
    mlp,
    resnet,
)
from freeness.operators import Direction, GraphEquation
from freeness.spectra import NeuronSignals, graph_law, network_graph, outliers
from freeness.spectra.above import AboveChain
from tests.spectra.graph_simulation import draw_graph
from tests.spectra.test_against_simulation import critical


def measured(values):
    return Measured(float(np.sqrt((values**2).mean())), values)


def inputs(width, qhat, rng):
    x = rng.standard_normal(width)
    return x * (width * qhat) ** 0.5 / np.linalg.norm(x)


@pytest.mark.parametrize("name", ["gelu", "silu"])
def test_the_mean_of_the_signal_pulls_one_eigenvalue_out_of_a_chain(name):
    """Haar, ten layers, q* = .5: about twice the end of the law, within 10 % in the mean of five networks of width 300."""
    network, qhat = critical(name, 10, 300, "haar", 0.5)
    rng = np.random.default_rng(0)
    ratios = {False: [], True: []}
    for draw in range(5):
        sample = draw_graph(network, inputs(300, qhat, rng), rng)
        for fisher, eigenvalues in ((False, sample.jacobian), (True, sample.fisher)):
            graph = network_graph(network, realised=sample.signals, fisher=fisher)
            found = outliers(graph)
            assert len(found) == 1
            ratios[fisher].append(found[0] / eigenvalues[-1])
            if draw == 0:
                end = graph_law(graph).upper_end
                assert found[0] > 1.3 * end and eigenvalues[-2] < 1.1 * end < eigenvalues[-1]
    for values in ratios.values():
        error = np.std(values, ddof=1) / 5**0.5
        assert abs(np.mean(values) - 1) <= max(0.1, 3 * error) and error < 0.08


def test_predictions_of_chains_tell_single_eigenvalues_whatever_the_signals_are():
    network, qhat = critical("gelu", 10, 1000, "haar", 0.5)
    drawn = predict_jacobian(network, qhat)
    assert len(drawn.outliers) == 1 and drawn.top == drawn.outliers[0] > 1.5 * drawn.edge.value
    assert len(predict_fisher(network, qhat).outliers) == 1
    hardtanh = predict_fisher(mlp(30, 500, "hardtanh"), 0.1)
    assert hardtanh.outliers == () and hardtanh.top == hardtanh.edge.value


@pytest.mark.parametrize("weights", ["haar", "gaussian"])
@pytest.mark.parametrize("name", ["tanh", "erf", "hardtanh", "relu"])
def test_odd_and_homogeneous_activations_pull_none_out(name, weights):
    network, qhat = critical(name, 8, 300, weights, 0.3)
    sample = draw_graph(network, inputs(300, qhat, np.random.default_rng(2)), np.random.default_rng(3))
    for fisher in (False, True):
        assert outliers(network_graph(network, realised=sample.signals, fisher=fisher)) == ()


def test_measured_weights_pull_as_much_out_as_they_do_in_drawn_networks():
    """Singular values spread evenly over (.6, 2.2), Haar vectors; the law of Tie is exercised by the same walk."""
    width, depth, rng = 300, 8, np.random.default_rng(5)
    values = np.linspace(0.6, 2.2, width)
    gelu = Activation(activation("gelu"))
    layers = [layer for _ in range(depth) for layer in (gelu, Dense(width, width, measured(values)))]
    network = Network((Dense(width, width, measured(values)), *layers))
    ratios = []
    for _ in range(6):
        x = x0 = inputs(width, 0.5, rng)
        jacobian, seen = np.eye(width), []
        for layer in network.layers:
            if isinstance(layer, Dense):
                left, right = ortho_group.rvs(width, 2, random_state=rng)
                matrix = left * values @ right
                x, jacobian = matrix @ x, matrix @ jacobian
                seen.append(x)
            else:
                x, jacobian = layer.function.function(x), layer.function.derivative(x)[:, None] * jacobian
        found = outliers(network_graph(network, realised=NeuronSignals(x0, tuple(seen))))
        assert len(found) == 1
        ratios.append(found[0] / np.linalg.norm(jacobian, 2) ** 2)
    assert abs(np.mean(ratios) - 1) <= max(0.1, 3 * np.std(ratios, ddof=1) / 6**0.5)


@pytest.mark.parametrize("widths", [(60, 60, 60, 60), (40, 90, 50, 70)])
@pytest.mark.parametrize("kind", ["gaussian", "haar", "measured"])
@pytest.mark.parametrize("fisher", [False, True])
def test_the_walk_through_a_chain_solves_the_equations_of_its_graph(widths, kind, fisher):
    """Fields, responses and forms beside Newton's method along the axis, and the end of the support."""
    rng = np.random.default_rng(7)
    layers = []
    for into, out in pairwise(widths):
        values = np.sort(rng.uniform(0.5, 2.0, min(into, out)))
        weights = {"gaussian": Gaussian(1.5), "haar": Haar(1.5), "measured": measured(values)}[kind]
        layers += [Dense(into, out, weights), Activation(activation("silu"))]
    graph = network_graph(Network(tuple(layers[:-1])), 0.8, fisher=fisher)
    chain, law = AboveChain.of(graph), graph_law(graph)
    assert chain is not None
    s = chain.start(1.03) * np.array([1.0, 1.5, 4.0])
    x = chain.place(s)
    assert x[0] == pytest.approx(1.03 * law.upper_end, rel=0.03) and (np.diff(x) > 0).all()
    first = graph.plain[1][0]
    directions = [
        Direction(first.source, "u", first.d_source),
        Direction(first.target, "v", rng.standard_normal(graph.segments[first.target[0]].channels)),
    ]
    walked, solved = chain.outside(s, directions), law.outside(x, directions)
    for name in ("fields", "values", "forms"):
        np.testing.assert_allclose(getattr(walked, name), getattr(solved, name), rtol=1e-8, atol=1e-12)


def test_forms_are_those_of_the_dense_inverse():
    """The pencil of a residual network, one matrix of size 2·nodes a neuron."""
    graph = network_graph(resnet(4, 30, Branch("silu", order="post", sigma_w=1.3)), fisher=True)
    segments, matrices = graph.plain
    law = graph_law(graph)
    equation = GraphEquation(segments, matrices, 1.0)
    rng = np.random.default_rng(0)
    nodes, width = segments[0].accumulated.shape
    directions = [Direction((0, int(rng.integers(nodes))), side, rng.standard_normal(width)) for side in "uvuv"]
    x = 1.5 * law.upper_end
    found = law.outside(np.array([x]), directions)
    pencil = np.zeros((width, 2 * nodes, 2 * nodes))
    v, u = 2 * np.arange(nodes), 2 * np.arange(nodes) + 1
    pencil[:, v, v] = -segments[0].accumulated.T
    pencil[:, v, u] = pencil[:, u, v] = 1.0
    pencil[:, v[1:], u[:-1]] = pencil[:, u[:-1], v[1:]] = -segments[0].links.T
    pencil[:, u[-1], u[-1]] -= 1 / x
    for e, matrix in enumerate(matrices):
        row = 2 * matrix.source[1] + 1
        pencil[:, row, row] -= found.fields[2 * e, 0] * matrix.d_source**2
        row = 2 * matrix.target[1]
        pencil[:, row, row] -= found.fields[2 * e + 1, 0] * matrix.d_target**2
    inverse = np.linalg.inv(pencil)
    rows = [2 * d.place[1] + (d.side == "u") for d in directions]
    dense = [
        [(a.vector * inverse[:, i, j] * b.vector).sum() for b, j in zip(directions, rows, strict=True)]
        for a, i in zip(directions, rows, strict=True)
    ]
    np.testing.assert_allclose(found.forms[0], dense, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        equation.outside(found.fields.astype(complex), np.array([1 / x + 0j]), ()).values, found.values
    )


# --- normalisation -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kinds", [("layer",), ("rms",), ("layer", "rms")])
def test_what_a_normalisation_adds_to_a_slope_is_its_derivative(kinds):
    """Activations between, by central differences of the whole map."""
    width, rng = 12, np.random.default_rng(1)
    silu = Activation(activation("silu"))
    between = [layer for kind in kinds for layer in (Normalisation(kind), silu)]
    network = Network((Dense(width, width, Gaussian(1.0)), *between, Dense(width, width, Gaussian(1.0))))
    h = rng.standard_normal(width)
    graph = network_graph(network, realised=NeuronSignals(rng.standard_normal(width), (h, rng.standard_normal(width))))
    matrix, written = graph.plain[1][-1], graph.passes[-1]
    slope = np.diag(matrix.d_source) + written.aside.left @ written.aside.right.T

    def mapped(x):
        for kind in kinds:
            x = x - x.mean() if kind == "layer" else x
            x = silu.function.function(x / np.sqrt((x**2).mean() + 1e-5))
        return x

    step = 1e-5 * np.eye(width)
    differences = np.array([(mapped(h + e) - mapped(h - e)) / 2e-5 for e in step]).T
    np.testing.assert_allclose(slope, differences, atol=1e-4)  # ε inside the norm is left out of n nᵀ
    np.testing.assert_allclose(written.inputs[:, 0], mapped(h), atol=1e-12)


def normalised(kind, place, width=250):
    """Twelve blocks with W and ReLU on the branch, normalised before W or behind the sum."""
    dense, relu = Dense(width, width, Gaussian(1.4)), Activation(activation("relu"))
    norm = Normalisation(kind)
    if place == "branch":
        blocks = [Residual((norm, dense, relu), scale=0.3) for _ in range(12)]
    else:
        blocks = [layer for _ in range(6) for layer in (Residual((dense, relu), scale=0.5), norm)]
    return Network((dense, *blocks))


@pytest.mark.parametrize("place", ["branch", "sum"])
def test_normalisation_keeps_the_mean_direction_inside(place):
    """Without the rank that it takes from the slope, an eigenvalue would be predicted that no drawn network has."""
    rng = np.random.default_rng(4)
    network = normalised("layer", place)
    sample = draw_graph(network, inputs(250, 1.0, rng), rng)
    graph = network_graph(network, realised=sample.signals)
    law = graph_law(graph)
    assert graph.unseen is None and outliers(graph, law) == ()
    assert sample.jacobian[-1] < 1.08 * law.upper_end
    bare = replace(graph, passes=tuple(replace(p, aside=None) for p in graph.passes), asides=())
    assert len(outliers(bare, law)) == 1


def test_what_cannot_be_looked_for_is_named():
    dense, relu = Dense(12, 12, Gaussian(1.4)), Activation(activation("relu"))
    behind = Network((dense, Residual((dense, relu, Normalisation("layer")), scale=0.5), dense))
    assert any("not looked for behind a normalisation" in text for text in predict_jacobian(behind).assumptions)
    several = predict_jacobian(mlp(3, 6, "tanh", "gaussian"), samples=np.random.default_rng(0).standard_normal((2, 6)))
    assert any("not looked for with positions or several samples" in text for text in several.assumptions)


def test_a_law_is_not_lost_where_outliers_cannot_be_looked_for(monkeypatch):
    """One sentence stands in their place, in chains and in graphs."""

    def refused(graph, law=None):
        raise ConvergenceError("expected a walk, got none; scale the weights.")

    monkeypatch.setattr("freeness.spectra.predict.outliers", refused)
    for network in (mlp(3, 20, "tanh"), resnet(3, 20)):
        found = predict_jacobian(network)
        assert found.law.mean > 0 and found.outliers == () and found.top == found.edge.value
        assert any("not looked for here: expected a walk" in text for text in found.assumptions)


def test_dead_layers_end_the_walk_in_one_sentence():
    """ReLU behind negative pre-activations only: nothing passes, and no warning escapes."""
    relu, dense = Activation(activation("relu")), Dense(10, 10, Gaussian(1.0))
    dead = NeuronSignals(np.ones(10), (-np.ones(10), np.ones(10)))
    with pytest.raises(FreenessError):
        outliers(network_graph(Network((dense, relu, dense)), realised=dead))
