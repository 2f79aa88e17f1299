"""Spectra of graphs that are more than a chain with skips, against drawn networks: distribution functions of one draw."""

import numpy as np
import pytest

from freeness import InputError, fisher_law, jacobian_law
from freeness.network import (
    INPUT,
    Activation,
    Attention,
    Concatenation,
    Dense,
    Gaussian,
    Haar,
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
)
from freeness.operators import GraphEquation
from freeness.spectra import drawn_pass, graph_law, network_graph
from tests.spectra.graph_simulation import draw_graph
from tests.spectra.position_simulation import draw_positions

WIDTH = 160
TANH, RELU = Activation(activation("tanh")), Activation(activation("relu"))


def dense(fan_in=WIDTH, fan_out=WIDTH, sigma_w=1.2, kind=Gaussian):
    return Dense(fan_in, fan_out, kind(sigma_w), 0.1, True)


def node(name, operation, *inputs):
    return Node(name, operation, inputs)


def downsampling(kind=Gaussian):
    """A block whose shortcut is a matrix of its own, ReLU behind the sum, and a block with a plain skip behind it."""
    small = WIDTH // 2
    return Network(
        (
            node("first", dense(kind=kind), INPUT),
            node("bent", RELU, "first"),
            node("branch.1", dense(kind=kind), "bent"),
            node("branch.2", RELU, "branch.1"),
            node("branch.3", dense(fan_out=small), "branch.2"),
            node("shortcut", dense(fan_out=small), "bent"),
            node("sum", Sum((0.9, 0.8)), "branch.3", "shortcut"),
            node("behind", RELU, "sum"),
            Residual((dense(small, small, kind=kind), RELU, dense(small, small)), 0.7),
            RELU,
            dense(small, small),
        )
    )


def published(blocks):
    """ReLU behind every sum (He et al. 2015)."""
    return Network(
        (
            dense(),
            RELU,
            *(layer for _ in range(blocks) for layer in (Residual((dense(), RELU, dense()), 0.6), RELU)),
            dense(),
        )
    )


def gated(kind=Gaussian):
    """x + W(φ(Vx) ∘ Ux), twice."""
    layers = [node("0", dense(kind=kind), INPUT)]
    for k in (1, 2):
        stream = str(k - 1)
        layers += [
            node(f"gate{k}", dense(kind=kind), stream),
            node(f"bent{k}", Activation(activation("silu")), f"gate{k}"),
            node(f"up{k}", dense(), stream),
            node(f"product{k}", Product(), f"bent{k}", f"up{k}"),
            node(f"down{k}", dense(), f"product{k}"),
            node(str(k), Sum((1.0, 0.8)), stream, f"down{k}"),
        ]
    return Network(layers)


def same_node():
    """h + φ(h) has one node; x + W₁φ(x) + W₂φ(x) meets three ways at once."""
    return Network(
        (
            node("h", dense(), INPUT),
            node("bent", TANH, "h"),
            node("twice", Sum((1.0, -0.6)), "h", "bent"),
            node("one", dense(), "bent"),
            node("other", dense(), "twice"),
            node("three", Sum((0.7, 0.5, 0.6)), "twice", "one", "other"),
            dense(),
        )
    )


def parallel():
    """Two branches of two matrices each, that accumulate in Θ side by side, and an activation at the end of one."""
    return Network(
        (
            node("a", dense(), INPUT),
            node("a.bent", TANH, "a"),
            node("a.end", dense(), "a.bent"),
            node("a.out", TANH, "a.end"),
            node("b", dense(), INPUT),
            node("b.norm", Normalisation("layer"), "b"),
            node("b.end", dense(), "b.norm"),
            node("sum", Sum((1.0, 0.8)), "a.out", "b.end"),
            dense(),
        )
    )


GRAPHS = {
    "downsampling": downsampling(),
    "orthogonal downsampling": downsampling(Haar),
    "published blocks": published(3),
    "gates": gated(),
    "orthogonal gates": gated(Haar),
    "one node": same_node(),
    "parallel": parallel(),
}


def cauchy(values, z):
    return (1 / (z[:, None] - values)).mean(axis=1)


@pytest.mark.parametrize("name", GRAPHS)
def test_cauchy_transforms_are_those_of_a_drawn_network(name):
    """JJᵀ and Θ by the signals of the draw itself: means within 20/N, G near the axis within 8/N, as at twice the width."""
    network = GRAPHS[name]
    x = np.random.default_rng(2).standard_normal(network.weights[0].sizes[0])
    sample = draw_graph(network, x, np.random.default_rng(3))
    for fisher, values in ((False, sample.jacobian), (True, sample.fisher)):
        law = graph_law(network_graph(network, realised=sample.signals, fisher=fisher))
        z = np.quantile(values[values > 1e-6 * values[-1]], [0.3, 0.6, 0.9]) * (1 + 0.4j)
        expected = cauchy(values, z)
        assert (np.abs(law.cauchy(z) - expected) / np.abs(expected)).max() <= 8 / WIDTH
        assert law.mean == pytest.approx(values.mean(), rel=20 / WIDTH)


@pytest.mark.parametrize("name", ["downsampling", "published blocks"])
def test_distribution_functions_are_those_of_a_drawn_network(name):
    """Of JJᵀ, zeros included, within 5/N at six quantiles; by its definition, for ends of the law take longer."""
    network = GRAPHS[name]
    x = np.random.default_rng(4).standard_normal(network.weights[0].sizes[0])
    sample = draw_graph(network, x, np.random.default_rng(5))
    values = sample.jacobian
    points = np.quantile(values[values > 1e-6 * values[-1]], np.linspace(0.1, 0.95, 6))
    exact = np.searchsorted(values, points, side="right") / values.size
    found = 1 - jacobian_law(network, realised=sample.signals).boundary(points).potential.imag / np.pi
    assert np.abs(found - exact).max() <= 5 / WIDTH


def test_positions_that_are_selected_reshaped_and_put_side_by_side():
    """A map over positions that is no convolution: the law of one draw differentiated by torch."""
    channels = 60
    wide = lambda: PositionWise(channels, channels, Gaussian(1.3))  # noqa: E731
    network = Network(
        (
            node("first", wide(), INPUT),
            node("square", Reshape((2, 2)), "first"),
            node("bent", TANH, "square"),
            node("some", Selection("positions", 1, 3), "bent"),
            node("other", wide(), INPUT),
            node("both", Concatenation("positions"), "some", "other"),
            node("last", wide(), "both"),
            node("pooled", Pooling((2,)), "last"),
        )
    )
    x = np.random.default_rng(2).standard_normal((1, channels, 4))
    sample = draw_positions(network, x, np.random.default_rng(3))
    for law, values in (
        (jacobian_law(network, realised=sample.signals), sample.jacobian),
        (fisher_law(network, realised=sample.signals), sample.fisher),
    ):
        z = np.quantile(values[values > 1e-6 * values[-1]], [0.3, 0.6, 0.9]) * (1 + 0.4j)
        expected = cauchy(values, z)
        assert (np.abs(law.cauchy(z) - expected) / np.abs(expected)).max() <= 6 / channels
        assert law.mean == pytest.approx(values.mean(), rel=0.03)


def test_signals_drawn_from_the_mean_field_stand_for_a_drawn_network():
    """Means of JJᵀ over draws of the neurons, over passes at the true widths, and over drawn networks; each scatters by 3 %."""
    network = downsampling()

    def drawn(seed):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal(WIDTH)
        return draw_graph(network, x * (WIDTH / (x @ x)) ** 0.5, rng).jacobian.mean()

    def mean(graph):
        return GraphEquation(*graph.plain, 1.0).moments()[0]

    rngs = [np.random.default_rng(seed) for seed in range(16)]
    expected = np.mean([drawn(seed) for seed in range(40)])
    laws = [mean(network_graph(network, rng=rng)) for rng in rngs]
    passes = [mean(network_graph(network, realised=drawn_pass(network, rng=rng))) for rng in rngs]
    assert np.mean(laws) == pytest.approx(expected, rel=0.1)
    assert np.mean(passes) == pytest.approx(expected, rel=0.1)


def ends(*nodes):
    return Network((node("first", dense(20, 20), INPUT), node("bent", RELU, "first"), *nodes))


NESTED = ends(
    node("b", dense(20, 20), "bent"), node("c", Sum(), "bent", "b"), node("d", Sum(name="this"), "c", "first")
)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (ends(node("this", Attention(4), "bent", "bent", "bent")), "attention"),
        (ends(node("this", Concatenation(), "first", "bent"), dense(40, 5)), "joined channels"),
        (ends(node("this", Selection("channels", 0, 5), "bent"), dense(5, 5)), "part of the channels"),
        (ends(node("b", dense(20, 10), "bent"), node("this", Sum(), "bent", "b")), "same channels into sum"),
        (NESTED, "sum 'this' of a nested sum"),
    ],
)
def test_what_the_graph_cannot_take_is_named(network, message):
    with pytest.raises(InputError, match=message):
        graph_law(network_graph(network))
