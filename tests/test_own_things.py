"""A law and an operation of a package of one's own, made as CONTRIBUTING says: in one file, without a change in freeness."""

from dataclasses import dataclass

import numpy as np
import pytest

from freeness import Arcsine, Semicircle, free_sum, predict_fisher
from freeness.laws.cauchy_law import TransformLaw, outer_root
from freeness.laws.law import CentredLaw
from freeness.meanfield import gradients, kernels
from freeness.network import INPUT, Dense, Gaussian, GivenMap, Network, Node, Operation, Pairs, backward, forward, given
from freeness.network.derivatives import diagonal
from freeness.numerics import upper_log


@dataclass(frozen=True)
class OwnArcsine(CentredLaw, TransformLaw):
    """1/(π√(4 - x²)) on (-2, 2), by its transforms."""

    @property
    def variance(self):
        return 2.0

    @property
    def hull(self):
        return -2.0, 2.0

    def transforms(self, z):
        root = outer_root(z, *self.hull)
        return (1 / root, -z / root**3), (4 / (root * (z + root)), -4 / root**3)

    def potential(self, z):
        return upper_log((z + outer_root(z, *self.hull)) / 2)


@dataclass(frozen=True)
class Tripled(Operation):
    """3x."""

    name: str = ""


@forward.register
def _(layer: Tripled, stream, whole):
    def step(pairs):
        return Pairs(9 * pairs.value, 9 * pairs.theta, pairs.rows)

    return stream._replace(second=9 * stream.second, growth=9 * stream.growth, points=None, latent=None), step


@backward.register
def _(layer: Tripled, streams, behind, gradient):
    return (9 * gradient,)


@given.register
def _(layer: Tripled, values, at):
    (x,) = values
    return GivenMap(3 * x, (diagonal(np.full(x.shape, 3.0)),))


def test_an_own_law_is_combined_with_others():
    own, ours = (free_sum(law, Semicircle(1.0)) for law in (OwnArcsine(), Arcsine()))
    x = np.linspace(*ours.hull, 9)[1:-1]
    assert own.hull == pytest.approx(ours.hull, rel=1e-12)
    np.testing.assert_allclose(own.density(x), ours.density(x), rtol=1e-12)


def test_an_own_operation_is_covered_by_theory():
    first, last = Dense(30, 30, Gaussian(1.0)), Dense(30, 5, Gaussian(1.0))
    own = Network((Node("a", first, (INPUT,)), Node("own", Tripled(), ("a",)), Node("b", last, ("own",))))
    assert [place.gradient for place in gradients(own)] == pytest.approx([9, 9, 1, 1])
    x = np.random.default_rng(0).standard_normal((3, 30))
    gram = x @ x.T
    # Θ = 9·XXᵀ/30·30 of the last weights, and of the first ones 9·XXᵀ; in NTK parametrisation both are 9·XXᵀ/30.
    np.testing.assert_allclose(kernels(own, x).ntk, 2 * 9 * gram / 30, rtol=1e-12)
    found = predict_fisher(own, samples=x[:1]).law.mean
    assert found == pytest.approx(2 * 9 * gram[0, 0], rel=0.3)  # of 30 neurons that are drawn
