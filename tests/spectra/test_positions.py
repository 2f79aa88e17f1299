"""Graphs with positions and several samples against drawn convolutional networks, single positions, and the scalar equations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freeness.errors import InputError
from freeness.meanfield import kernels
from freeness.network import (
    Activation,
    Branch,
    Convolution,
    Dense,
    Flatten,
    Gaussian,
    Haar,
    Measured,
    Network,
    Normalisation,
    Pooling,
    Residual,
    activation,
    cnn,
    mlp,
    resnet,
)
from freeness.operators import BlockEquation, GraphEquation, GraphLaw
from freeness.spectra import (
    NeuronSignals,
    fisher_law,
    graph_law,
    jacobian_law,
    network_graph,
    predict_fisher,
    sampled_eigenvalues,
)
from tests.spectra.position_simulation import draw_positions

C = 48
TANH, RELU, GELU = (Activation(activation(name)) for name in ("tanh", "relu", "gelu"))


def conv(fan_in, fan_out, *kernel, haar=False, sigma_w=1.2, **more):
    return Convolution(fan_in, fan_out, kernel, Haar(sigma_w) if haar else Gaussian(sigma_w), **more)


SPREAD = np.linspace(0.1, 2.0, 2 * C)


def measured(values, fan_out):
    return Measured(float(np.sqrt((values**2).sum() / fan_out)), values)


NETWORKS = {
    "circle": (cnn(mlp(4, 64, "tanh", "gaussian", sigma_w=1.2), kernel=(3,)), (1, 64, 6)),
    "relu-circle": (cnn(mlp(4, 64, "relu", "gaussian", sigma_w=1.4), kernel=(3,)), (1, 64, 6)),
    "plane": (cnn(mlp(3, 32, "tanh", "gaussian", sigma_w=1.2), kernel=(3, 3), padding="zeros"), (1, 32, 3, 3)),
    "delta-orthogonal": (cnn(mlp(4, C, "tanh", "haar", sigma_w=1.2), kernel=(3,)), (1, C, 6)),
    "stride": (
        Network(
            (
                conv(C, C, 3, padding="zeros", bias=True),
                TANH,
                conv(C, C, 3, padding="zeros", stride=2),
                RELU,
                conv(C, 2 * C, 3, padding="valid"),
            )
        ),
        (1, C, 7),
    ),
    "pooling": (
        Network(
            (
                conv(C, 2 * C, 3, 3, padding="zeros", sigma_b=0.3, bias=True),
                TANH,
                Pooling((2, 2)),
                Flatten(),
                Dense(8 * C, 2 * C, Gaussian(1.0), bias=True),
                TANH,
                Dense(2 * C, 2 * C, Gaussian(1.0)),
            )
        ),
        (1, C, 4, 4),
    ),
    "two-samples": (
        Network((conv(C, C, 3), RELU, conv(C, 2 * C, 3, haar=True), TANH, Pooling(), Dense(2 * C, C, Haar(1.0)))),
        (2, C, 4),
    ),
    "residual": (
        Network(
            (
                conv(C, C, 3),
                Residual((Normalisation("rms"), GELU, conv(C, C, 3)), 0.5),
                Residual((Normalisation("layer"), TANH, conv(C, C, 3, bias=True), TANH, conv(C, C, 3)), 0.7),
                TANH,
            )
        ),
        (1, C, 5),
    ),
    "post": (
        Network((Residual((conv(C, C, 3), TANH), 0.6), Residual((conv(C, C, 3, haar=True), TANH), 0.7))),
        (1, C, 5),
    ),
    "batch": (
        Network(
            (conv(C, C, 3), Normalisation("batch"), RELU, conv(C, C, 3), Normalisation("batch"), TANH, conv(C, C, 3))
        ),
        (1, C, 6),
    ),
    "batch-samples": (
        resnet(2, 120, Branch("relu", normalisation="batch", sigma_w=1.4, scale=0.7), inputs=120),
        (4, 120),
    ),
    "measured": (
        Network(
            (
                conv(C, 2 * C, 3),
                TANH,
                Pooling(),
                Residual((Dense(2 * C, 2 * C, measured(SPREAD, 2 * C)), TANH), 0.8),
                Dense(2 * C, C, measured(SPREAD[::2], C)),
            )
        ),
        (1, C, 4),
    ),
    "haar-samples": (mlp(5, 160, "tanh", "haar", sigma_w=1.2), (3, 160)),
    "uneven-samples": (mlp(4, [160, 100, 150, 120, 160], "relu", "gaussian", sigma_w=1.4), (3, 160)),
    "uneven-haar": (mlp(4, [160, 100, 150, 120, 160], "relu", "haar", sigma_w=1.4), (2, 160)),
}


def least_channels(network):
    return min(
        layer.fan_out if isinstance(layer, Dense) else layer.channels_out
        for layer in network.walk()
        if hasattr(layer, "weights")
    )


# The law of JJᵀ of these takes long; that of Θ, whose pencil has the same matrices and more, is in the fast tests.
LONG = ("circle", "plane", "batch", "batch-samples", "haar-samples", "uneven-samples", "uneven-haar")


@pytest.mark.parametrize(
    ("kind", "fisher"),
    [
        pytest.param(
            kind,
            fisher,
            id=f"{kind}-{'fisher' if fisher else 'jacobian'}",
            marks=[pytest.mark.slow] * (kind in LONG and not fisher),
        )
        for kind in NETWORKS
        for fisher in (False, True)
    ],
)
def test_drawn_networks(kind, fisher):
    """Realised signals, 5 draws, Im z = λ_max/20: within max(1 %, 150 %/channels) and 4 standard errors."""
    network, shape = NETWORKS[kind]
    ratios, moments = [], []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        sample = draw_positions(network, rng.standard_normal(shape), rng)
        eigenvalues = sample.fisher if fisher else sample.jacobian
        law = graph_law(network_graph(network, realised=sample.signals, fisher=fisher))
        top = eigenvalues[-1]
        z = top * np.array([0.05, 0.3, 0.6, 0.9]) + 0.05j * top
        ratios.append(law.cauchy(z) / (1 / (z[:, None] - eigenvalues)).mean(axis=1))
        moments.append([law.mean / eigenvalues.mean(), (law.variance + law.mean**2) / (eigenvalues**2).mean()])
    bar = max(0.01, 1.5 / least_channels(network))
    for found in (np.array(ratios), np.array(moments)):
        errors = np.std(found, axis=0, ddof=1) / 5**0.5
        assert (np.abs(found.mean(axis=0) - 1) <= bar + 4 * errors).all()
        assert errors.max() < 0.09


@pytest.mark.slow
@pytest.mark.always
def test_distribution_and_edges_of_a_drawn_network():
    """Distribution function by the potential, and both ends, against eigenvalues; total mass 1."""
    network, shape = NETWORKS["circle"]
    levels = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
    gaps, ends = [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        sample = draw_positions(network, rng.standard_normal(shape), rng)
        law = graph_law(network_graph(network, realised=sample.signals, fisher=True))
        gaps.append(law.cdf(np.quantile(sample.fisher, levels)) - levels)
        ends.append([law.hull[0] / sample.fisher[0], law.hull[1] / sample.fisher[-1]])
        assert law.cdf(law.hull[1]) - law.cdf(law.hull[0] * (1 - 1e-9)) == pytest.approx(1.0, abs=1e-7)
    assert np.abs(np.mean(gaps, axis=0)).max() < 0.02
    lower, upper = np.mean(ends, axis=0)
    assert 0.95 < lower < 1.02 and 0.98 < upper < 1.13  # the largest of 64 channels lies low, .978 of the edge with 128


@pytest.mark.parametrize(
    "network",
    [
        mlp(3, [30, 50, 20, 40], "tanh", "haar", sigma_w=1.3),
        mlp(3, [30, 20, 50, 40], "relu", "gaussian", sigma_w=1.3),
        resnet(3, 30, Branch("gelu", "haar", dense=2, scale=0.7, order="post")),
        resnet(3, 30, Branch("tanh", scale=0.7, normalisation="rms"), inputs=20, outputs=10),
    ],
    ids=["haar", "gaussian", "post", "pre"],
)
@pytest.mark.parametrize("fisher", [False, True], ids=["jacobian", "fisher"])
def test_matrices_over_one_position_are_the_scalar_equations(network, fisher):
    """Values, derivatives and the potential of both, at the same fields."""
    graph = network_graph(network, fisher=fisher)
    assert graph.plain is not None
    scalar, block = GraphEquation(*graph.plain, 2.0), BlockEquation(graph.segments, graph.matrices, 2.0)
    z = np.array([0.3 + 0.4j, 2.0 + 1.0j])
    unknowns = scalar.start(z.real, z.imag + 10)
    for ours, theirs in zip(scalar.newton_change(unknowns, z), block.newton_change(unknowns, z), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
    settled = unknowns
    for _ in range(60):
        settled = settled + 0.5 * scalar.newton_change(settled, z + 10j)[0]
    one, other = scalar.state(settled, z + 10j, True), block.state(settled, z + 10j, True)
    for name in ("value", "slope", "potential"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-9)
    assert scalar.moments() == pytest.approx(block.moments(), rel=1e-12)


def test_positions_that_never_meet_are_networks_of_their_own():
    """A delta-orthogonal network at initialisation acts on every position by itself: G is the mean of the positions' G."""
    network = cnn(mlp(4, 40, "tanh", "haar", sigma_w=1.3), kernel=(3,))
    rng = np.random.default_rng(1)
    sample = draw_positions(network, rng.standard_normal((1, 40, 3)) * np.array([0.5, 1.0, 2.0]), rng)
    together = graph_law(network_graph(network, realised=sample.signals))
    chain = mlp(4, 40, "tanh", "haar", sigma_w=1.3)
    z = np.array([0.1 + 0.05j, 0.5 + 0.2j, 2.0 + 0.1j])
    apart = []
    for p in range(3):
        signals = NeuronSignals(
            sample.signals.inputs[0, :, p], tuple(h[0, :, p] for h in sample.signals.preactivations)
        )
        apart.append(graph_law(network_graph(chain, realised=signals)).cauchy(z))
    np.testing.assert_allclose(together.cauchy(z), np.mean(apart, axis=0), rtol=1e-8)


@pytest.mark.parametrize("weights", ["gaussian", "haar"])
def test_one_sample_twice(weights):
    """JJᵀ is that of one; Θ is [[Θ, Θ], [Θ, Θ]]: half of its eigenvalues are 0, the others twice those of Θ."""
    network = mlp(4, 40, "tanh", weights, sigma_w=1.3)
    rng = np.random.default_rng(2)
    sample = draw_positions(network, np.repeat(rng.standard_normal((1, 40)), 2, axis=0), rng)
    single = NeuronSignals(sample.signals.inputs[0], tuple(h[0] for h in sample.signals.preactivations))
    z = np.array([0.5 + 0.1j, 2.0 + 0.5j])
    twice, once = (graph_law(network_graph(network, realised=s)) for s in (sample.signals, single))
    np.testing.assert_allclose(twice.cauchy(z), once.cauchy(z), rtol=1e-8)
    twice, once = (graph_law(network_graph(network, realised=s, fisher=True)) for s in (sample.signals, single))
    assert twice.atoms[0] == pytest.approx((0.0, 0.5), abs=1e-7)
    np.testing.assert_allclose(twice.cauchy(2 * z * 40), (1 / (2 * z * 40) + once.cauchy(z * 40) / 2) / 2, rtol=1e-7)


@settings(max_examples=2)
@given(
    seed=st.integers(0, 10**6),
    positions=st.integers(1, 4),
    samples=st.integers(1, 2),
    haar=st.booleans(),
    padding=st.sampled_from(["circular", "zeros"]),
)
def test_mean_and_variance_are_those_of_the_density(seed, positions, samples, haar, padding):
    """Moments at ζ = 0 against the contour integral of the solved transform."""
    rng = np.random.default_rng(seed)
    network = cnn(mlp(3, [3, 8, 12, 8], "tanh", "haar" if haar else "gaussian", sigma_w=1.5), (3,), padding)
    law = graph_law(network_graph(network, samples=rng.standard_normal((samples, 3, positions)), fisher=True))
    radius = 1.5 * law.upper_end
    circle = radius * np.exp(1j * np.pi * (np.arange(64) + 0.5) / 64)
    g = law.cauchy(circle)
    for order, value in ((1, law.mean), (2, law.variance + law.mean**2)):
        assert np.mean(np.real(circle ** (order + 1) * g)) == pytest.approx(value, rel=1e-8)


@pytest.mark.slow
@pytest.mark.always
def test_channels_drawn_from_the_mean_field():
    """Of a wider network than is drawn: within its fluctuation of what realised signals of drawn ones give; said so."""
    network = cnn(mlp(4, 200, "tanh", "gaussian", sigma_w=1.3), kernel=(3,))
    rng = np.random.default_rng(3)
    image = rng.standard_normal((1, 200, 4))
    prediction = predict_fisher(network, samples=image)
    drawn = [draw_positions(network, image, rng).fisher for _ in range(6)]
    error = np.std([values.mean() for values in drawn], ddof=1) / 6**0.5
    assert abs(prediction.law.mean - np.mean(drawn)) <= 0.01 * prediction.law.mean + 3 * error
    assert error < 0.02 * prediction.law.mean
    assert 0.97 < prediction.edge.value / np.mean([values[-1] for values in drawn]) < 1.1
    assert any("128 channels" in text for text in prediction.assumptions)
    assert any("outside the law" in text for text in prediction.assumptions)
    again = predict_fisher(network, samples=image)
    assert again.law.hull == prediction.law.hull


def test_behind_pooling_fields_are_the_same_at_all_positions_and_count_as_deep_along_their_mean():
    network = Network((conv(16, 16, 3), TANH, conv(16, 16, 3), Pooling(), Dense(16, 16, Gaussian(1.0))))
    rng = np.random.default_rng(5)
    sample = draw_positions(network, rng.standard_normal((1, 16, 4)), rng)
    law = graph_law(network_graph(network, realised=sample.signals))
    solution = law._solve(np.array([0.5, 1.0]) * law.mean + 0j)
    field = law._graph._matrix(solution.parameters, 2)
    assert solution.converged.all()
    assert field == pytest.approx(np.broadcast_to(field[:, :1, :1], field.shape), rel=1e-12)
    assert np.all(law._graph.depth(solution.parameters[:-1]) > 1e-3)
    assert np.all(law._graph.depth(solution.parameters[:-1].conj()) < -1e-3)


def test_a_sampled_matrix_has_the_spectrum_of_the_network():
    network, shape = NETWORKS["pooling"]
    rng = np.random.default_rng(4)
    sample = draw_positions(network, rng.standard_normal(shape), rng)
    graph = network_graph(network, realised=sample.signals, fisher=True)
    values = [sampled_eigenvalues(graph, np.random.default_rng(seed), 10**6) for seed in range(4)]
    assert np.mean(values) == pytest.approx(sample.fisher.mean(), rel=0.05)
    law = graph_law(graph)
    assert np.mean(values) == pytest.approx(law.mean, rel=0.05)


@pytest.mark.parametrize(
    ("network", "shape", "message"),
    [
        (cnn(mlp(2, 8), kernel=(3,)), (1, 7, 4), "expected 8 inputs"),
        (cnn(mlp(2, 8), kernel=(3, 3)), (1, 8, 4), "spatial dimensions"),
        (Network((conv(8, 8, 3), Dense(8, 8, Gaussian(1.0)))), (1, 8, 4), "flatten or pool"),
        (Network((conv(8, 8, 3), Flatten(), Dense(32, 8, Haar(1.0)))), (1, 8, 4), "Gaussian weights"),
        (Network((Convolution(8, 8, (3,), Measured(1.0, np.ones(8))),)), (1, 8, 4), "Gaussian or Haar"),
        (
            Network((conv(8, 8, 3), Residual((conv(8, 8, 3, stride=2, padding="zeros"),)))),
            (1, 8, 4),
            "same positions into sum",
        ),
        (cnn(mlp(2, 8), kernel=(3,)), (8, 4), "expected 8 inputs"),
    ],
)
def test_what_is_not_covered_is_named(network, shape, message):
    with pytest.raises(InputError, match=message):
        jacobian_law(network, samples=np.ones(shape))


def test_bad_samples():
    network = cnn(mlp(2, 8), kernel=(3,))
    with pytest.raises(InputError, match="finite samples"):
        fisher_law(network, samples=np.full((1, 8, 4), np.nan))
    with pytest.raises(InputError, match="samples"):
        fisher_law(network)
    with pytest.raises(InputError, match="vanished"):
        fisher_law(network, samples=np.zeros((1, 8, 4)))
    with pytest.raises(InputError, match="very network"):
        fisher_law(network, realised=NeuronSignals(np.ones((1, 8, 4)), (np.ones((1, 8, 5)), np.ones((1, 8, 4)))))


@pytest.mark.parametrize("sigma_b", [0.0, 0.4])
def test_ntk_parametrisation_is_the_tangent_kernel(sigma_b):
    """Mean of Θ over wide outputs: the kernel of Jacot et al., computed forward without any backward pass."""
    network = mlp(4, [60, 1000, 1000, 1000, 1000], "tanh", "gaussian", sigma_w=1.3, sigma_b=sigma_b)
    x = np.random.default_rng(0).standard_normal((1, 60))
    theta = kernels(network, x).ntk[0, 0]
    law = graph_law(network_graph(network, samples=x, fisher="ntk"))
    assert law.mean == pytest.approx(theta, rel=0.02)
    assert fisher_law(network, float((x**2).mean()), parametrisation="ntk").mean == pytest.approx(law.mean, rel=0.02)


def test_a_batch_of_one_is_refused_before_batch_normalisation():
    network = resnet(2, 40, Branch("tanh", normalisation="batch"))
    with pytest.raises(InputError, match="give the batch"):
        graph_law(network_graph(network, samples=np.ones((1, 40))))


def test_where_all_is_given_but_haar_matrices_the_law_is_its_atoms_and_nothing_is_solved_for_it(monkeypatch):
    """Slopes are 1 and 1/100, and the mean over positions of a channel has few values; the drawn matrix has just these."""
    leaky = Activation(activation("leaky_relu"))
    network = Network((conv(16, 16, 1, haar=True), leaky, Pooling(), Dense(16, 16, Haar(0.9))))
    rng = np.random.default_rng(3)
    sample = draw_positions(network, rng.standard_normal((1, 16, 4)), rng)
    law = graph_law(network_graph(network, realised=sample.signals))
    places = np.array([position for position, _ in law.atoms])
    off = np.abs(sample.jacobian[:, None] - places)
    counts = np.bincount(off.argmin(axis=1)) / sample.jacobian.size
    assert off.min(axis=1).max() < 1e-12
    assert [mass for _, mass in law.atoms] == pytest.approx(counts, abs=1e-7)
    monkeypatch.setattr(law, "_solve", None)
    assert law.hull == (places[0], places[-1]) and law.bands == ()
    between = (places[1:] + places[:-1]) / 2
    assert law.cdf(between) == pytest.approx(np.cumsum(counts)[:-1], abs=1e-7)
    assert law.quantile(np.cumsum(counts)[:-1] + 1e-3) == pytest.approx(places[1:])
    assert not law.density(between).any()


def test_in_front_of_a_last_haar_matrix_the_field_is_known_and_the_others_tell_which_solution_it_is():
    layers = conv(8, 8, 3, haar=True), TANH, conv(8, 8, 3, haar=True, padding="zeros"), TANH, conv(8, 8, 3, haar=True)
    rng = np.random.default_rng(3)
    sample = draw_positions(Network(layers), rng.standard_normal((1, 8, 3)), rng)
    graph = network_graph(Network(layers), realised=sample.signals, fisher=True)
    values = sample.fisher
    equation = BlockEquation(graph.segments, graph.matrices, float(values.max()))
    law = GraphLaw(equation, (float(values.min()), float(values.max())))
    x = np.quantile(values, [0.4, 0.5, 0.6]) + 0j
    fields = law._solve(x).parameters[:-1]
    assert np.all(equation.depth(fields) > 1e-3) and np.all(equation.depth(fields.conj()) < -1e-3)
    assert np.all(equation.strayed(fields, 1 / x) < 1e-9) and np.all(equation.strayed(fields, 1.01 / x) > 1e-3)


def test_in_front_of_pooling_between_last_haar_matrices_fields_are_known_too():
    elu, first = Activation(activation("elu")), conv(6, 6, 3, haar=True, padding="zeros")
    layers = first, elu, first, elu, first, Pooling(), Dense(6, 6, Haar(1.5))
    network = Network(layers)
    rng = np.random.default_rng(2)
    sample = draw_positions(network, rng.standard_normal((1, 6, 3)), rng)
    equation = graph_law(network_graph(network, realised=sample.signals))._graph
    law = GraphLaw(equation, (0.2, 2.0))
    assert equation._turning == [3, 2]
    x = np.array([0.8, 1.2]) * law.mean + 0j
    fields = law._solve(x).parameters[:-1]
    assert np.all(equation.depth(fields) > 1e-3) and np.all(equation.depth(fields.conj()) < -1e-3)
    assert np.all(equation.strayed(fields, 1 / x) < 1e-9) and np.all(equation.strayed(fields, 1.01 / x) > 1e-3)
