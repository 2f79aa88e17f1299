"""Second moments forward and backward along any graph, against drawn networks."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from freeness import InputError
from freeness.meanfield import gradients, kernels, trajectory
from freeness.network import (
    INPUT,
    Activation,
    Attention,
    Branch,
    Concatenation,
    Convolution,
    Dense,
    Embedding,
    Flatten,
    Gaussian,
    MaxPooling,
    Network,
    Node,
    Normalisation,
    Pooling,
    PositionWise,
    Product,
    Reshape,
    Residual,
    Selection,
    Sum,
    activation,
    mlp,
    resnet,
)
from tests.meanfield.simulated import simulated_gradients, simulated_kernels

RNG = np.random.default_rng(8)
WIDTH = 300
TANH, RELU = Activation(activation("tanh")), Activation(activation("relu"))


def dense(fan_in=WIDTH, fan_out=WIDTH, sigma_w=1.3):
    return Dense(fan_in, fan_out, Gaussian(sigma_w), 0.2, True)


def conv(fan_in, fan_out, stride=1, taps=3):
    return Convolution(fan_in, fan_out, (taps,), Gaussian(1.4), "zeros", stride, 0.1, True)


def node(name, operation, *inputs):
    return Node(name, operation, inputs)


PROJECTION = Network(
    (
        node("first", dense(20), INPUT),
        node("bent", RELU, "first"),
        node("branch.1", dense(), "bent"),
        node("branch.2", RELU, "branch.1"),
        node("branch.3", dense(fan_out=WIDTH // 2), "branch.2"),
        node("shortcut", dense(fan_out=WIDTH // 2), "bent"),
        node("sum", Sum((0.7, 0.9)), "branch.3", "shortcut"),
        node("behind", RELU, "sum"),
        dense(WIDTH // 2, 12),
    )
)
POST = Network(
    (
        dense(20),
        Residual((dense(), TANH), 0.6),
        Residual((dense(), RELU, dense(), RELU), 0.6, 0.8),
        dense(),
        RELU,
        dense(fan_out=12),
    )
)
GATE = Network(
    (
        node("packed", dense(20, 2 * WIDTH), INPUT),
        node("left", Selection("channels", 0, WIDTH), "packed"),
        node("right", Selection("channels", WIDTH, 2 * WIDTH), "packed"),
        node("bent", Activation(activation("gelu")), "left"),
        node("gate", Product(), "bent", "right"),
        node("third", dense(), "gate"),
        node("other", dense(20), INPUT),
        node("three", Product(), "third", "other"),
        dense(fan_out=12),
    )
)
THREE = Network(
    (
        node("a", dense(20), INPUT),
        node("b", dense(20), INPUT),
        node("c", RELU, "a"),
        node("d", RELU, "b"),
        node("e", dense(), "c"),
        node("sum", Sum((0.5, -0.7, 1.1)), "e", "d", "c"),
        dense(fan_out=12),
    )
)
SIDE_BY_SIDE = Network(
    (
        node("a", dense(20), INPUT),
        node("b", dense(20, WIDTH // 3, 0.4), INPUT),
        node("c", RELU, "a"),
        node("all", Concatenation(), "c", "b", "a"),
        node("normal", Normalisation("layer"), "all"),
        node("d", dense(2 * WIDTH + WIDTH // 3), "normal"),
        node("e", TANH, "d"),
        dense(fan_out=12),
    )
)
VECTORS = {
    "projection": PROJECTION,
    "post-activation": POST,
    "gate": GATE,
    "three": THREE,
    "side by side": SIDE_BY_SIDE,
}

DOWNSAMPLING = Network(
    (
        node("first", conv(3, 80), INPUT),
        node("bent", RELU, "first"),
        node("branch.1", conv(80, 80, 2), "bent"),
        node("branch.2", RELU, "branch.1"),
        node("branch.3", conv(80, 100), "branch.2"),
        node("shortcut", conv(80, 100, 2, 1), "bent"),
        node("sum", Sum((1.0, 1.0)), "branch.3", "shortcut"),
        node("behind", RELU, "sum"),
        node("pooled", Pooling(None), "behind"),
        dense(100, 12),
    )
)
FLATTENED = Network((*DOWNSAMPLING.nodes[:-2], node("flat", Flatten(), "behind"), dense(400, 12)))
MIXED_POSITIONS = Network(
    (
        node("first", PositionWise(3, 80, Gaussian(1.3), 0.2, True), INPUT),
        node("square", Reshape((2, 4)), "first"),
        node("windows", Convolution(80, 80, (3, 3), Gaussian(1.4), "circular"), "square"),
        node("bent", TANH, "windows"),
        node("row", Reshape((8,)), "bent"),
        node("other", PositionWise(3, 80, Gaussian(0.8)), INPUT),
        node("relu", RELU, "other"),
        node("some", Selection("positions", 1, 4), "relu"),
        node("longer", Concatenation("positions"), "some", "row"),
        node("channels", PositionWise(80, 100, Gaussian(1.2)), "longer"),
        node("average", Pooling((3,), 2), "channels"),
        node("last", Selection("positions", 3, 4, vector=True), "average"),
        dense(100, 12),
    )
)
TOKENS = Network(
    (
        node("table", Embedding(7, 100, 0.9), INPUT),
        node("bent", PositionWise(100, 100, Gaussian(1.3)), "table"),
        node("gelu", Activation(activation("gelu")), "bent"),
        node("sum", Sum((1.0, 0.5)), "table", "gelu"),
        node("pooled", Pooling(None), "sum"),
        dense(100, 12),
    )
)
PLACES = {
    "downsampling": (DOWNSAMPLING, RNG.standard_normal((3, 3, 8))),
    "flattened": (FLATTENED, RNG.standard_normal((3, 3, 8))),
    "positions": (MIXED_POSITIONS, RNG.standard_normal((3, 3, 8))),
    "tokens": (TOKENS, np.array([[0, 1, 1, 5], [6, 1, 2, 2], [3, 3, 3, 3]])),
}
CASES = {name: (network, RNG.standard_normal((3, 20))) for name, network in VECTORS.items()} | PLACES


@pytest.mark.parametrize("name", CASES)
def test_kernels_of_a_graph_are_those_of_drawn_networks(name):
    network, inputs = CASES[name]
    found = kernels(network, inputs)
    means, errors = simulated_kernels(network, inputs, 24)
    for exact, mean, error in zip((found.nngp, found.ntk), means, errors, strict=True):
        assert (np.abs(mean - exact) <= 4.5 * error + 0.02 * np.abs(exact).max()).all()
        assert error.max() < 0.1 * np.abs(exact).max()


@pytest.mark.parametrize("name", CASES)
def test_signals_and_gradients_of_a_graph_are_those_of_drawn_networks(name):
    network, inputs = CASES[name]
    measured = simulated_gradients(network, inputs, 60)
    found = {place.name: (place.signal, place.gradient) for place in gradients(network, inputs=inputs)}
    assert set(measured) <= set(found)
    for key, (mean, error) in measured.items():
        assert (np.abs(mean - found[key]) <= 4.5 * error + 0.03 * np.abs(found[key])).all(), key


@st.composite
def graphs(draw):
    """Up to eight operations one behind another or side by side, all of one width, ending in weights."""
    nodes = [node("0", dense(20), INPUT)]
    for index in range(1, draw(st.integers(2, 8))):
        names = [one.name for one in nodes]
        first, second = draw(st.sampled_from(names)), draw(st.sampled_from(names))
        kind = draw(st.sampled_from(["dense", "dense", "relu", "tanh", "layer", "rms", "sum", "sum", "product"]))
        operation = {
            "dense": dense(),
            "relu": RELU,
            "tanh": TANH,
            "layer": Normalisation("layer"),
            "rms": Normalisation("rms"),
            "sum": Sum((0.8, -0.6)),
            "product": Product(),
        }[kind]
        nodes.append(node(str(index), operation, *((first, second) if operation.arity is None else (names[-1],))))
    read = {name for one in nodes for name in one.inputs}
    ends = [one.name for one in nodes if one.name not in read]
    for index, name in enumerate(ends):
        nodes.append(node(f"end.{index}", dense(), name))
    nodes.append(node("sum", Sum((1.0,) * len(ends)), *(f"end.{index}" for index in range(len(ends)))))
    return Network((*nodes, dense(fan_out=12)))


@settings(max_examples=12)
@given(graphs())
def test_random_graphs_follow_the_theory_or_are_refused(network):
    """What is refused needs independent or Gaussian signals; all else is met by twelve drawn networks at every place."""
    inputs = np.random.default_rng(0).standard_normal((2, 20))
    try:
        found = {place.name: (place.signal, place.gradient) for place in gradients(network, inputs=inputs)}
    except InputError as error:
        assert "independent signals" in str(error) or "Gaussian signals" in str(error)
        assume(False)
        return
    for key, (mean, error) in simulated_gradients(network, inputs, 12).items():
        assert (np.abs(mean - found[key]) <= 7 * error + 0.06 * np.abs(found[key])).all(), key


def test_gradients_of_a_chain_are_products_of_chi():
    """Back from the output they grow as trajectory says for the Jacobian forward."""
    network = mlp(6, 50, "tanh", "gaussian", sigma_w=1.4, sigma_b=0.1)
    path, back = trajectory(network, 0.7), {place.name: place for place in gradients(network, 0.7)}
    for index, growth in enumerate(path.gradient_growth, start=1):
        assert back[f"layer{index}"].gradient == pytest.approx(growth, rel=1e-12)
        assert back[f"layer{index}"].signal == pytest.approx(path.q[index - 1], rel=1e-12)


def test_gradients_of_residual_blocks_are_one_plus_the_branch():
    blocks, scale = 5, 0.4
    network = resnet(blocks, 50, Branch("relu", sigma_w=1.5, scale=scale))
    found = gradients(network, 2.0)
    assert found[0].gradient == pytest.approx((1 + scale**2 * 1.5**2 / 2) ** blocks, rel=1e-12)


def test_batch_normalisation_divides_gradients_by_its_size():
    network = Network((dense(20), Normalisation("batch"), RELU, dense(fan_out=12)))
    first = gradients(Network((dense(20), RELU, dense(fan_out=12))), 0.8)
    found = gradients(network, 0.8)
    spread = 1.3**2 * 0.8  # Σ of a sample with itself less that of two samples, σ_b² in both
    assert found[1].gradient == pytest.approx(first[1].gradient / (spread + 1e-5), rel=1e-6)


def head(operation, *inputs):
    return Network(
        (node("first", dense(20), INPUT), node("bent", RELU, "first"), node("this", operation, *inputs), dense())
    )


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (
            head(Sum((1.0, 1.0)), "first", "bent"),
            "independent signals into sum, got two that are both made of the outputs of",
        ),
        (head(Product(), "bent", "bent"), "independent signals into product"),
        (head(Attention(4), "bent", "bent", "bent"), "tokens at positions before attention"),
        (head(MaxPooling(), "bent"), "images before max pooling"),
        (head(Selection("channels", 0, WIDTH + 1), "bent"), f"at least {WIDTH + 1} channels before selection"),
        (head(Selection("positions", 0, 2), "bent"), "at least 2 positions before selection"),
        (head(Concatenation("positions"), "first", "bent"), "one axis of positions into concatenation"),
        (head(Reshape((2,)), "bent"), "2 positions before reshape"),
        (
            Network(
                (node("all", Concatenation(), INPUT, INPUT), node("some", Selection("channels", 0, 5), "all"), dense(5))
            ),
            "alike before selection",
        ),
        (
            Network((node("a", dense(20), INPUT), node("b", dense(20, 5), INPUT), node("c", Sum(), "a", "b"), dense())),
            "same features into sum, got 300 and 5",
        ),
    ],
)
def test_what_is_not_covered_is_named(network, message):
    with pytest.raises(InputError, match=message):
        gradients(network, inputs=RNG.standard_normal((2, 20)))


def test_tokens_are_whole_numbers_below_the_count():
    with pytest.raises(InputError, match="tokens"):
        kernels(TOKENS, RNG.standard_normal((3, 4)))
    with pytest.raises(InputError, match="from 0 to 6"):
        kernels(TOKENS, np.array([[0, 7]]))
    with pytest.raises(InputError, match="tokens before an Embedding"):
        trajectory(TOKENS)
