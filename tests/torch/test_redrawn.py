"""Spectra at other singular vectors of a model's weights: what stays, what is random, and how near drawn networks are."""

import math
import time
from functools import lru_cache

import numpy as np
import pytest
import torch
from torch import nn

from freeness.advice import Stage
from freeness.errors import InputError
from freeness.laws import kolmogorov
from freeness.spectra import predict_jacobian
from freeness.torch import initialize_, measure_fisher, measure_jacobian, trace
from freeness.torch.analyzing.analysis_spectra import Drawing, Predicted, with_drawn
from freeness.torch.measured.redrawn import Redrawn, redrawn, top_of_drawn
from freeness.torch.measured.rotations import Rotation, turned, turned_kernel
from freeness.torch.record.signals import realised_neurons
from freeness.torch.request.stages import Stages, stages_of

SLOW = pytest.mark.slow
SEED = torch.Generator().manual_seed(0)


@pytest.fixture(autouse=True)
def as_many_as_users_have(monkeypatch):
    monkeypatch.setattr("freeness.torch.measured.redrawn._ENOUGH", 1000)


class Block(nn.Module):
    """ReLU behind the sum, batch norms with statistics of their own."""

    def __init__(self, channels):
        super().__init__()
        parts = (nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU())
        self.branch = nn.Sequential(*parts, nn.Conv2d(channels, channels, 3, padding=1))

    def forward(self, x):
        return torch.relu(x + self.branch(x))


class Twice(nn.Module):
    """One weight at two places."""

    def __init__(self, width):
        super().__init__()
        self.weight = nn.Linear(width, width, bias=False)

    def forward(self, x):
        return self.weight(torch.tanh(self.weight(x)))


def residual_network(channels=16):
    stem = nn.Conv2d(3, channels, 3, padding=1), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
    return nn.Sequential(*stem, Block(channels), Block(channels))


class Places(nn.Module):
    """Trained numbers beside the signal."""

    def __init__(self, *shape):
        super().__init__()
        self.places = nn.Parameter(torch.randn(1, *shape))

    def forward(self, x):
        return x + self.places


def transformer():
    layers = [nn.TransformerEncoderLayer(32, 4, 64, 0.0, batch_first=True, norm_first=True) for _ in range(2)]
    return nn.Sequential(Places(5, 32), *layers)


def dilated():
    kernels = nn.Conv1d(4, 24, 3, padding=1), nn.GELU(), nn.Conv1d(24, 24, 3, padding=2, dilation=2), nn.GELU()
    return nn.Sequential(*kernels, nn.Conv1d(24, 24, 3, padding=1, groups=2))


MODELS = {
    "residual": (residual_network, (3, 8, 8)),
    "transformer": (transformer, (5, 32)),
    "dilated": (dilated, (4, 16)),
    "twice": (lambda: Twice(48), (48,)),
}


@lru_cache
def drawn_model(name, seed=0):
    torch.manual_seed(seed)
    make, shape = MODELS[name]
    model, x = make().double().eval(), torch.randn(shape, dtype=torch.float64)
    return model, x, trace(model, x[None])


@pytest.mark.parametrize("size", [1, 2, 7, 16])
def test_a_rotation_is_orthogonal_and_mixes_all(size):
    matrix = Rotation(size, torch.Generator().manual_seed(1))(torch.eye(size, dtype=torch.float64))
    assert torch.allclose(matrix @ matrix.T, torch.eye(size, dtype=torch.float64), atol=1e-12)
    assert size < 7 or matrix.abs().max() < 0.95


def test_a_turned_weight_has_its_singular_values_and_what_it_makes_of_kept_directions():
    weight, kept = torch.randn(30, 12, generator=SEED).double(), torch.randn(12, 2, generator=SEED).double()
    found = turned(weight, torch.linalg.qr(kept)[0], torch.Generator().manual_seed(1))
    assert torch.allclose(torch.linalg.svdvals(found), torch.linalg.svdvals(weight))
    assert torch.allclose(found @ kept, weight @ kept)
    overlap = float((found * weight).sum() / (found.norm() * weight.norm()))
    assert overlap < 0.5  # two of twelve directions are kept, and what is left is random


def test_groups_of_a_kernel_are_turned_apart():
    weight = torch.zeros(8, 4, 3).double()
    weight[4:] = 1.0
    found = turned_kernel(weight, torch.zeros(12, 0).double(), 2, SEED)
    assert not found[:4].any() and found[4:].norm() == pytest.approx(float(weight.norm()))


@pytest.mark.parametrize("name", [pytest.param("residual", marks=SLOW), "transformer", "dilated", "twice"])
def test_values_are_those_of_the_model_and_its_own_weights_give_its_own_spectra(name):
    model, x, traced = drawn_model(name)
    other = Redrawn(traced, x)
    before = measure_jacobian(other.traced, x).eigenvalues
    assert np.allclose(before, measure_jacobian(traced, x).eigenvalues, rtol=1e-9, atol=1e-12)
    other.draw(torch.Generator().manual_seed(2))
    assert torch.allclose(other(x[None]), model(x[None]), rtol=1e-10, atol=1e-12)
    assert not np.allclose(measure_jacobian(other.traced, x).eigenvalues, before, rtol=1e-3)


def test_trained_scales_and_biases_count_in_theta():
    """Those of norms and layers, and positions: with the model's own weights Θ is that of the model."""
    _, x, traced = drawn_model("transformer")
    found = measure_fisher(Redrawn(traced, x).traced, x).eigenvalues
    assert np.allclose(found, measure_fisher(traced, x).eigenvalues, rtol=1e-9)


def test_a_shared_weight_is_drawn_once():
    model, x, traced = drawn_model("twice")
    other = Redrawn(traced, x)
    other.draw(torch.Generator().manual_seed(2))
    (weight,) = other.weights.values()
    slope = 1 - torch.tanh(model.weight(x)) ** 2
    jacobian = weight @ (slope[:, None] * weight)
    assert np.allclose(
        measure_jacobian(other.traced, x).eigenvalues, torch.linalg.eigvalsh(jacobian @ jacobian.T).detach(), atol=1e-12
    )


@pytest.mark.slow
def test_where_equations_are_known_both_agree():
    """A fully connected residual network of 60 neurons: distribution functions within 1.5/60."""
    torch.manual_seed(0)
    branch = nn.Sequential(nn.Linear(60, 60), nn.Tanh(), nn.Linear(60, 60))

    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.branch = branch

        def forward(self, x):
            return x + self.branch(x)

    model, x = nn.Sequential(nn.Linear(60, 60), Sum()).double(), torch.randn(60).double()
    traced = trace(model, x[None])
    law = predict_jacobian(traced.network, realised=realised_neurons(traced, x)).law
    found = redrawn(Redrawn(traced, x), lambda one: measure_jacobian(one, x))
    assert kolmogorov(law, np.array([a.position for a in found.law.atoms])) < 0.025


@pytest.mark.parametrize(
    "name", ["dilated", pytest.param("residual", marks=SLOW), pytest.param("transformer", marks=SLOW)]
)
def test_drawn_networks_have_the_spectra_that_are_told(name):
    """Max pooling with windows that overlap and ReLU behind sums; dilation and groups; packed queries, keys and values."""
    for seed in range(2):
        _, x, traced = drawn_model(name, seed)
        found = redrawn(Redrawn(traced, x), lambda one, x=x: measure_jacobian(one, x))
        measured = measure_jacobian(traced, x).eigenvalues
        assert kolmogorov(found.law, measured) < 0.03
        assert abs(measured.mean() / found.law.mean - 1) < 4 * found.finite_width_error + 0.05


@pytest.mark.parametrize("draws", [2, 4, 16])
def test_the_range_of_the_largest_eigenvalue_holds_95_of_100(draws):
    """4000 times one more of Gaussian logarithms, whatever their deviation."""
    tops = np.exp(0.2 * np.random.default_rng(draws).standard_normal((4000, draws + 1)))
    found = [top_of_drawn(one) for one in tops[:, 1:]]
    held = np.mean([one.low <= top <= one.high for one, top in zip(found, tops[:, 0], strict=True)])
    assert held == pytest.approx(0.95, abs=0.015)


def test_one_draw_is_refused():
    x = torch.ones(3, 5)
    model = Redrawn(trace(nn.Sequential(nn.Flatten(), nn.Linear(15, 4)), x[None]), x)
    with pytest.raises(InputError, match="at least 2 draws, got 1"):
        redrawn(model, lambda traced: measure_jacobian(traced, x), draws=1)


def test_multiples_of_the_identity_are_refused():
    model = nn.Sequential(nn.Linear(30, 30), nn.ReLU(), nn.Linear(30, 30)).double()
    initialize_(model, "identity", sigma_w=1.0)
    with pytest.raises(InputError, match="identity"):
        Redrawn(trace(model, torch.ones(1, 30).double()), torch.ones(30).double())


def test_nothing_is_drawn_without_time():
    _, x, traced = drawn_model("dilated")
    plans = (Stage("measure Jacobian", "exact", 0.0, 0.1, 0.0), Stage("measure Fisher", "exact", 0.0, 0.1, 0.0))
    none = Predicted(None, None, "why")
    late = with_drawn(none, traced, x, Drawing(*plans, None, time.monotonic()))
    assert late == none
    found = with_drawn(none, traced, x, Drawing(*plans, None, math.inf))
    assert found.drawn and found.fisher is not None and "why" in found.reason


def test_how_many_are_drawn_follows_from_counts_and_what_the_clock_cuts_off_is_told():
    _, x, traced = drawn_model("dilated")
    counted = {name: Stage(name, "exact", 0.0, 1.5, 0.0) for name in ("measure Jacobian", "measure Fisher")}
    found = []
    for pace in (1.0, 7.0):
        stages = Stages(stages_of(()), 60.0, None)
        stages.follow(counted, pace)
        plans = stages.planned("measure Jacobian"), stages.planned("measure Fisher")
        found.append(Drawing(*plans, None, math.inf, 9.0, stages.pace).draws(plans[0], 0.0))
    assert found == [6, 6]
    model = Redrawn(traced, x)
    told = [
        redrawn(model, lambda one: measure_jacobian(one, x), draws=3, seconds=each).assumptions for each in (99.0, 0.0)
    ]
    assert told[0][-1].startswith("drawn 3 times, no") and told[1][-1].startswith(
        "drawn 2 times, for which the time ran out"
    )


def test_a_record_that_takes_long_is_not_made_for_drawing():
    """Singular values of 4,000 × 4,000 numbers take half a minute; of 24 × 24 none are asked for twice."""
    model = nn.Sequential(nn.Linear(4000, 4000), nn.LayerNorm(4000))
    x = torch.ones(4000)
    traced = trace(model, x[None])
    plans = (Stage("measure Jacobian", "exact", 0.0, 0.1, 0.0), Stage("measure Fisher", "exact", 0.0, 0.1, 0.0))
    none = Predicted(None, None, "why")
    assert with_drawn(none, traced, x, Drawing(*plans, None, time.monotonic() + 5.0)) == none
    assert "network" not in vars(traced)
