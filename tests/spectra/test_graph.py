"""Laws of networks with skip connections against drawn networks, and against the moves of one curve where those hold."""

from dataclasses import replace

import numpy as np
import pytest

from freeness import InputError, fisher_law, jacobian_law, mlp
from freeness.network import (
    Activation,
    Branch,
    Convolution,
    Dense,
    Dropout,
    Flatten,
    Gaussian,
    Haar,
    Measured,
    Network,
    Normalisation,
    Pooling,
    Residual,
    ScaledIdentity,
    activation,
    resnet,
)
from freeness.spectra import NeuronSignals, graph_law, network_graph, outliers, predict_fisher, predict_jacobian
from tests.spectra.graph_simulation import draw_graph
from tests.spectra.simulation import draw


def inputs(width, rng):
    x = rng.standard_normal(width)
    return x * np.sqrt(width) / np.linalg.norm(x)


BRANCHES = {
    "pre": Branch("tanh", scale=0.35),
    "haar": Branch("tanh", "haar", sigma_w=1.2, scale=0.5),
    "relu": Branch("relu", "haar", sigma_w=1.4, scale=0.4),
    "layer": Branch("gelu", normalisation="layer", sigma_w=1.4),
    "two": Branch("gelu", dense=2, sigma_w=1.4, sigma_b=0.1, normalisation="rms"),
    "post": Branch("tanh", order="post", sigma_w=1.4, scale=0.5),
    "unscaled": Branch("tanh", scale=1.0),
}


@pytest.mark.parametrize(
    ("kind", "fisher"),
    [
        pytest.param(
            kind,
            fisher,
            id=f"{kind}-{'fisher' if fisher else 'jacobian'}",
            marks=[pytest.mark.slow] * (kind in ("two", "unscaled", "haar") and not fisher),
        )
        for kind in BRANCHES
        for fisher in (False, True)
    ],
)
def test_residual_networks_against_drawn_ones(kind, fisher):
    """Width 300, 6 blocks, realised signals, 5 draws: within 1 % + 4 standard errors; the largest eigenvalue lies low."""
    rng = np.random.default_rng(5)
    network = resnet(6, 300, BRANCHES[kind])
    levels = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
    ratios, gaps, tops = [], [], []
    for _ in range(5):
        sample = draw_graph(network, inputs(300, rng), rng)
        law = graph_law(network_graph(network, realised=sample.signals, fisher=fisher))
        eigenvalues = sample.fisher if fisher else sample.jacobian
        z = np.quantile(eigenvalues, [0.1, 0.5, 0.9]) + 1j * law.hull[1] / 20
        transforms = law.cauchy(z) / (1 / (z[:, None] - eigenvalues)).mean(axis=1)
        moments = [law.mean / eigenvalues.mean(), law.moment(2) / (eigenvalues**2).mean()]
        ratios.append([*transforms, *moments])
        gaps.append(law.cdf(np.quantile(eigenvalues, levels)) - levels)
        tops.append([law.hull[1] / eigenvalues[-1], law.hull[0] / eigenvalues[0]])
    found, errors = np.mean(ratios, axis=0), np.std(np.abs(ratios), axis=0, ddof=1) / 5**0.5
    assert (np.abs(found - 1) <= 0.01 + 4 * errors).all() and errors.max() < 0.03
    assert np.abs(np.mean(gaps, axis=0)).max() < 0.015
    upper, lower = np.mean(tops, axis=0)
    assert 0.98 < upper < 1.12 and 0.75 < lower < 1.02


def test_scalar_freeness_of_the_blocks_misses_what_the_graph_has():
    """theory.md §3.4: tanh, L = 10, β = .3: free blocks (neurons shuffled at every depth) miss the second moment by 4 %."""
    rng = np.random.default_rng(2)
    network = resnet(10, 200, Branch("tanh", scale=0.3))
    right, wrong = [], []
    for _ in range(5):
        sample = draw_graph(network, inputs(200, rng), rng)
        law = graph_law(network_graph(network, realised=sample.signals))
        graph = network_graph(network, realised=sample.signals)
        free = [replace(m, read=rng.permutation(m.read)) for m in graph.matrices]
        second = (sample.jacobian**2).mean()
        right.append(law.moment(2) / second - 1)
        wrong.append(graph_law(replace(graph, matrices=tuple(free))).moment(2) / second - 1)
    error = np.std(right, ddof=1) / 5**0.5
    assert abs(np.mean(right)) < 0.005 + 4 * error and error < 0.02
    assert np.mean(np.subtract(wrong, right)) == pytest.approx(-0.04, abs=0.015)


@pytest.mark.parametrize("weights", ["gaussian", "haar"])
@pytest.mark.parametrize("widths", [[30, 30, 30, 30], [25, 40, 30, 10], [40, 20, 35, 50]], ids=["equal", "down", "up"])
def test_a_chain_as_a_graph_is_the_curve(weights, widths):
    """With the same D: the graph equations reduce to the moves of theory.md §3.1 and §3.2, to 1e-8."""
    from freeness.laws import Empirical
    from freeness.meanfield import ActivationSignal, DenseSignal, Signals

    rng = np.random.default_rng(3)
    network = mlp(3, widths, "tanh", weights, sigma_w=1.3, sigma_b=0.2)
    x = inputs(widths[0], rng)
    pre = [1.1 * rng.standard_normal(n) for n in widths[1:]]
    found = [DenseSignal(widths[0], float(x @ x), 1.0)]
    for h, n in zip(pre[:-1], widths[1:-1], strict=True):
        found.append(ActivationSignal(1.0, Empirical((1 - np.tanh(h) ** 2) ** 2)))
        found.append(DenseSignal(n, float(np.tanh(h) @ np.tanh(h)), 1.0))
    chain = Signals(tuple(found), "realised")
    neurons = NeuronSignals(x, tuple(pre))
    for law_of, z_scale in ((jacobian_law, 1.0), (fisher_law, 50.0)):
        curve, graph = law_of(network, realised=chain), law_of(network, realised=neurons)
        z = z_scale * np.array([0.3 + 0.5j, 2.0 + 0.2j, 5.0 + 1.0j])
        np.testing.assert_allclose(graph.cauchy(z), curve.cauchy(z), rtol=1e-8)
        assert graph.upper_end == pytest.approx(curve.upper_end, rel=1e-7)


@pytest.mark.parametrize("weights", ["gaussian", pytest.param("haar", marks=pytest.mark.slow)])
def test_first_and_last_layers_of_other_widths(weights):
    """Embedding 300 → 400, readout 400 → 200: the mean of 6 draws, whose fluctuation is that of 200 outputs."""
    rng = np.random.default_rng(4)
    network = resnet(4, 400, Branch("tanh", weights, sigma_w=1.2, scale=0.6, sigma_b=0.2), inputs=300, outputs=200)
    errors = {True: [], False: []}
    for _ in range(6):
        sample = draw_graph(network, inputs(300, rng), rng)
        for fisher in errors:
            law = graph_law(network_graph(network, realised=sample.signals, fisher=fisher))
            eigenvalues = sample.fisher if fisher else sample.jacobian
            z = np.quantile(eigenvalues, [0.2, 0.5, 0.8]) + 1j * eigenvalues[-1] / 20
            errors[fisher].append(law.cauchy(z) / (1 / (z[:, None] - eigenvalues)).mean(axis=1) - 1)
    for found in errors.values():
        ratios = np.array(found)
        spread = np.abs(ratios).std(axis=0) / 6**0.5
        assert (np.abs(ratios.mean(axis=0)) <= 0.01 + 4 * spread).all() and spread.max() < 0.03


def test_drawn_neurons_stand_for_wide_networks():
    """Mean field against one network of width 700: moments of JJᵀ and Θ within 5 %, its wander being √(L/N) = 9 %."""
    rng = np.random.default_rng(6)
    network = resnet(6, 700, Branch("tanh", sigma_w=1.2))
    sample = draw_graph(network, inputs(700, rng), rng)
    for found, eigenvalues in (
        (predict_jacobian(network), sample.jacobian),
        (predict_fisher(network), sample.fisher),
    ):
        assert found.law.mean == pytest.approx(eigenvalues.mean(), rel=0.05)
        assert found.edge.value == pytest.approx(eigenvalues[-1], rel=0.1)
        assert found.outliers == () and "graph" in found.method


def test_the_mean_direction_of_post_activation_relu_is_found_apart():
    """theory.md §4: pre-activation blocks show no outlier; post-activation ones one of order L, here within 10 %."""
    rng = np.random.default_rng(1)
    for order, count in (("post", 1), ("pre", 0)):
        network = resnet(12, 200, Branch("relu", order=order, sigma_w=1.4))
        sample = draw_graph(network, inputs(200, rng), rng)
        graph = network_graph(network, realised=sample.signals)
        law = graph_law(graph)
        found = outliers(graph, law)
        assert len(found) == count
        measured = sample.jacobian[sample.jacobian > 1.15 * law.upper_end]
        assert measured.size == count
        if count:
            assert found[0] == pytest.approx(measured[0], rel=0.1)
            assert 1.0 < law.upper_end / sample.jacobian[-2] < 1.2


def test_dead_neurons_are_an_atom():
    """Fisher dual of post-activation ReLU blocks: a neuron that is off in all of them has no weights that write into it."""
    rng = np.random.default_rng(8)
    network = resnet(2, 300, Branch("relu", order="post", sigma_w=1.4))
    sample = draw_graph(network, inputs(300, rng), rng)
    law = graph_law(network_graph(network, realised=sample.signals, fisher=True))
    off = np.mean(np.all(np.array(sample.signals.preactivations) < 0, axis=0))
    assert law.atoms[0].position == 0
    assert law.atoms[0].mass == pytest.approx(off, abs=1e-4)
    assert np.mean(sample.fisher < 1e-9 * sample.fisher[-1]) == pytest.approx(off, abs=1e-12)


def test_a_narrow_draw_keeps_the_scale_of_the_fisher_dual():
    """‖x‖² counts all neurons of the wide network, a trained bias once."""
    small = fisher_law(resnet(3, 400, Branch("tanh", sigma_b=0.5)))
    wide = fisher_law(resnet(3, 1600, Branch("tanh", sigma_b=0.5)))
    assert (wide.mean - 1) / (small.mean - 1) == pytest.approx(4.0, rel=0.01)


@pytest.mark.parametrize(("fisher", "size"), [(False, 1.0), (True, 20.0)], ids=["jacobian", "fisher"])
@pytest.mark.parametrize("widths", [[20, 20, 20, 20], [16, 28, 20, 24]], ids=["equal", "uneven"])
def test_equal_singular_values_are_those_of_a_haar_matrix(widths, fisher, size):
    """Two different sets of equations, one law."""
    network = mlp(3, widths, "tanh", "haar", sigma_w=1.3)
    rng = np.random.default_rng(0)
    signal = NeuronSignals(inputs(widths[0], rng), tuple(rng.standard_normal(n) for n in widths[1:]))
    measured = Network(tuple(_with_equal_values(layer) for layer in network.layers))
    one = graph_law(network_graph(network, realised=signal, fisher=fisher))
    other = graph_law(network_graph(measured, realised=signal, fisher=fisher))
    z = size * np.array([0.3 + 0.5j, 2.0 + 0.2j, 5.0 + 1.0j])
    np.testing.assert_allclose(other.cauchy(z), one.cauchy(z), rtol=1e-9)
    assert other.hull[1] == pytest.approx(one.hull[1], rel=1e-9)
    x = np.linspace(*one.hull, 7)[1:-1]
    np.testing.assert_allclose(other.cdf(x), one.cdf(x), atol=1e-8)


def _with_equal_values(layer):
    if not isinstance(layer, Dense):
        return layer
    values = np.full(min(layer.fan_in, layer.fan_out), layer.weights.sigma_w)
    return replace(layer, weights=Measured(layer.weights.sigma_w, values))


BODY = Residual((Activation(activation("tanh")), Dense(20, 20, Gaussian(1.0))))


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (Network((BODY, Normalisation("batch"))), "normalisation"),
        (Network((BODY, Pooling((2,), name="pooling"))), "pooling"),
        (Network((Convolution(3, 4, (3,), Gaussian(1.0), name="first"), Flatten())), "samples"),
        (Network((BODY, Dense(21, 5, Gaussian(1.0), name="odd"))), "odd"),
        (Network((BODY, Dense(20, 5, ScaledIdentity(1.0), name="given"))), "given"),
        (
            Network(
                (
                    Residual(
                        (Dense(20, 20, Haar(1.0)), Residual((Activation(activation("tanh")), Dense(20, 20, Haar(1.0)))))
                    ),
                )
            ),
            "nested",
        ),
    ],
)
def test_what_the_graph_does_not_cover_is_named(network, message):
    with pytest.raises(InputError, match=message):
        jacobian_law(network)


def test_signals_of_another_network_are_refused():
    network = resnet(2, 20, Branch("tanh"))
    with pytest.raises(InputError, match="very network"):
        jacobian_law(network, realised=NeuronSignals(np.ones(20), (np.ones(20),)))
    with pytest.raises(InputError, match="qhat0"):
        jacobian_law(network, 0.0)


def test_dropout_thins_the_derivatives():
    """h + βWDropout(tanh h): the mean of JJᵀ by hand, 1 + β²σ_w² E φ'²/(1 - rate)."""
    branch = (Activation(activation("tanh")), Dropout(0.4), Dense(400, 400, Gaussian(1.2)))
    law = jacobian_law(Network((Residual(branch, 0.5),)), 1.0)
    from freeness.meanfield import squared_slope

    assert law.mean == pytest.approx(1 + 0.25 * 1.44 * squared_slope(activation("tanh"), 1.0) / 0.6, rel=0.03)


@pytest.mark.parametrize(("activation", "weights"), [("relu", "gaussian"), ("hardtanh", "haar")])
def test_atoms_of_a_graph_are_those_of_its_chain(activation, weights):
    """Dead neurons leave Θ's lower bound, uncut ones pass Haar weights unchanged; bands beside these are the chain's."""
    sample = draw(mlp(3, 60, activation, weights, sigma_w=1.4), 0.8, np.random.default_rng(0))
    network = mlp(3, 60, activation, weights, sigma_w=1.4)
    graph, chain = (fisher_law(network, realised=seen) for seen in (sample.signals.neurons, sample.signals))
    assert len(graph.atoms) == len(chain.atoms) == (3 if activation == "hardtanh" else 1)
    np.testing.assert_allclose(graph.atoms, chain.atoms, rtol=1e-8)
    np.testing.assert_allclose(graph.hull, chain.hull, rtol=1e-9)
    np.testing.assert_allclose(graph.bands, chain.bands, rtol=1e-7)
