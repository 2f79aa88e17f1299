"""An operation of a user's own, with its rules beside it: it departs as networks that are drawn with it do."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest

from freeness.gaussian import activation
from freeness.meanfield import gradients, loss_moments
from freeness.network import (
    INPUT,
    Activation,
    Dense,
    Departing,
    Gaussian,
    Network,
    Node,
    Normalisation,
    Operation,
    Sum,
    along_front,
    backward,
    backward_pairs,
    beyond_behind,
    departing,
    forward,
    participation,
    turned,
)


@dataclass(frozen=True)
class Thinned(Operation):
    """Some neurons, the same for all samples, are 0; the others are divided by √kept."""

    kept: float
    name: str = ""

    @property
    def rest(self):
        """Var b/(E b)² of what is kept."""
        return 1 / self.kept - 1


@forward.register
def _(layer: Thinned, stream, whole):
    return stream._replace(gaussian=False, points=None, latent=None), lambda pairs: pairs


@backward.register
def _(layer: Thinned, streams, behind, gradient):
    return (gradient,)


@backward_pairs.register
def _(layer: Thinned, given, streams, behind, step, gradient):
    return (gradient,)


@departing.register
def _(layer: Thinned, around):
    """Of b/kept times squares whose relative covariances are k·Q²: rest·(1 + k·Σ Q²) over n, forward as back."""
    (kind,), count = around.excess, around.stream.features

    def added(gamma, k=kind):
        return layer.rest * (1 + k * participation(around.value, gamma)) / count

    return Departing((1.0,), around.both(added), (added(around.gammas[0], 2.0),), (1 + kind) / layer.kept - 1)


@beyond_behind.register
def _(layer: Thinned, streams, lengths, behind):
    """rest·(1 + 2) over n more than 2/n."""
    return layer.rest * 3 / behind.features + lengths[0].beyond


@dataclass(frozen=True)
class Levelled(Normalisation):
    """A norm of a user's own, without rules for departures but what its record says: here those for any operation are taken."""


@dataclass(frozen=True)
class Added(Sum):
    """A sum of a user's own, likewise."""


for rule in (departing, turned, along_front):
    for kind in (Levelled, Added):
        rule.register(kind, rule.dispatch(Operation))


COUNT, DRAWS = 40, 800
WIDTHS = 10, COUNT, COUNT, 5
CHAIN = Network(
    (
        *(layer for into, out in pairwise(WIDTHS[:-1]) for layer in (Dense(into, out, Gaussian(1.0)), Thinned(0.5))),
        Dense(*WIDTHS[-2:], Gaussian(1.0)),
    )
)


def drawn(rng, x, g):
    """Mean squares of signals behind weights, and squared gradients of these, in networks drawn anew."""
    masks = [(rng.random((DRAWS, COUNT, 1)) < 0.5) * 2**0.5 for _ in WIDTHS[1:-1]]
    ws = [rng.standard_normal((DRAWS, out, into)) / into**0.5 for into, out in pairwise(WIDTHS)]
    read, signals, squares = [np.broadcast_to(x.T, (DRAWS, *x.T.shape))], [], []
    for w, mask in zip(ws, [*masks, 1.0], strict=True):
        signals.append(w @ read[-1])
        read.append(mask * signals[-1])
    back = np.broadcast_to(g.T, (DRAWS, *g.T.shape))
    for w, mask, before in zip(reversed(ws), [*reversed(masks), 1.0], reversed(read[:-1]), strict=True):
        squares.append(np.square(back @ before.swapaxes(1, 2)).sum(axis=(1, 2)))
        back = mask * (w.swapaxes(1, 2) @ back) if w.shape[2] == COUNT else back
    return [np.square(one).mean(axis=(1, 2)) for one in signals], squares[::-1]


@pytest.mark.parametrize("count", [1, 6])
def test_an_own_operation_departs_as_drawn_networks_do(count):
    rng = np.random.default_rng(3)
    x, g = (
        rng.standard_normal((count, WIDTHS[0])) + 0.7 * rng.standard_normal(WIDTHS[0]),
        rng.standard_normal((count, 5)),
    )
    told = [node for node in loss_moments(CHAIN, x, g) if node.weights]
    signals, squares = drawn(rng, x, g)
    for seen, known in ((signals, "signal_scatter"), (squares, "gradient_scatter")):
        ratios = [getattr(node, known) / (one.std() / one.mean()) for node, one in zip(told, seen, strict=True)]
        assert min(ratios) > 0.85 and max(ratios) < 1.15


def test_a_norm_behind_an_own_operation_divides_by_lengths_that_depart_as_drawn_ones():
    """E n/Σ y² of what is drawn, without the one direction that the norm takes."""
    network = Network(
        (
            Dense(10, COUNT, Gaussian(1.0)),
            Thinned(0.5, "front"),
            Normalisation("rms", 0.0, name="norm"),
            Dense(COUNT, 5, Gaussian(1.0)),
        )
    )
    found = {place.name: place.gradient for place in gradients(network, inputs=np.ones((1, 10)))}
    rng = np.random.default_rng(4)
    squares = 2 * rng.standard_normal((40_000, COUNT)) ** 2 * (rng.random((40_000, COUNT)) < 0.5)
    wanted = (1 - 1 / COUNT) / squares.mean(axis=1)
    told = found["front"] / found["norm"]
    assert told == pytest.approx(wanted.mean(), rel=0.06)


@pytest.mark.parametrize(
    ("own", "ours"),
    [(Levelled("rms", 0.0), Normalisation("rms", 0.0)), (Added((1.0, 0.1)), Sum((1.0, 0.1)))],
    ids=["norm", "sum"],
)
def test_what_a_record_says_of_its_shape_is_known_without_rules(own, ours):
    def told(middle):
        read = ("a", "b") if isinstance(middle, Sum) else ("a",)
        network = Network(
            (
                Node("a", Dense(10, COUNT, Gaussian(1.0)), (INPUT,)),
                *(Node(name, Dense(10, COUNT, Gaussian(2.0)), (INPUT,)) for name in read[1:]),
                Node("middle", middle, read),
                Node("bent", Activation(activation("tanh")), ("middle",)),
                Node("last", Dense(COUNT, 5, Gaussian(1.0)), ("bent",)),
            )
        )
        rng = np.random.default_rng(5)
        found = loss_moments(network, rng.standard_normal((4, 10)), rng.standard_normal((4, 5)))
        return [(node.name, node.signal_scatter, node.gradient_scatter) for node in found]

    for one, other in zip(told(own), told(ours), strict=True):
        assert one[1:] == pytest.approx(other[1:], rel=0.25, nan_ok=True)
