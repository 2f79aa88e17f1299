"""λ_max from a few products, beside the exact one."""

import math

import pytest
import torch
from torch import nn

from freeness.torch import CurvatureOptions, batch_sharpness
from freeness.torch.measured.curvature_estimate import Effort, estimated_sharpness
from freeness.torch.measured.products import Products
from freeness.torch.measured.ritz import climb
from freeness.torch.model.pace import Pace, TimeUp, paced


def data(samples=16, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(samples, 3, 10, 10, generator=generator, dtype=dtype)
    return x, torch.randint(30, (samples,), generator=generator)


def network(normalised=False, dtype=torch.float64):
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(8) if normalised else nn.Identity()
    layers = nn.Conv2d(3, 8, 3), norm, nn.ReLU(), nn.Conv2d(8, 12, 3, 2), nn.GELU(), nn.Flatten(), nn.Linear(108, 30)
    return nn.Sequential(*layers).to(dtype)


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("products", [8, 14, 24])
def test_estimates_are_within_three_errors_of_the_exact_value_and_near_it(normalised, products):
    model, (x, y) = network(normalised), data()
    how = CurvatureOptions(training=normalised)
    exact = batch_sharpness(model, x, y, "cross_entropy", how).value
    found = estimated_sharpness(model, x, y, "cross_entropy", how, Effort(products, 0 if normalised else 8, 2))
    assert abs(found.value - exact) <= 3 * found.error + 1e-9 * exact
    assert abs(found.value / exact - 1) < (0.05 if products == 8 else 0.02)
    assert found.products <= products


def test_parts_of_a_batch_give_the_estimate_of_the_whole():
    model, (x, y) = network(), data()
    whole, parted = (estimated_sharpness(model, x, y, "cross_entropy", None, Effort(9, 6, 2, p)) for p in (None, 3))
    assert whole.value == pytest.approx(parted.value, rel=1e-9)


def test_a_preconditioned_estimate_is_that_of_the_preconditioned_matrix():
    model, (x, y) = network(), data()
    size = sum(parameter.numel() for parameter in model.parameters())
    how = CurvatureOptions(preconditioner=0.5 + torch.rand(size, generator=torch.Generator().manual_seed(2)).double())
    exact = batch_sharpness(model, x, y, "cross_entropy", how).value
    assert estimated_sharpness(model, x, y, "cross_entropy", how).value == pytest.approx(exact, rel=5e-3)


def test_more_outputs_than_parameters_are_climbed_in_the_parameters():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 7)).double()
    x, y = torch.randn(40, 2, dtype=torch.float64), torch.randn(40, 7, dtype=torch.float64)
    exact = batch_sharpness(model, x, y, "mse").value
    assert estimated_sharpness(model, x, y, "mse").value == pytest.approx(exact, rel=2e-3)


def test_three_vectors_climb_as_high_as_all_of_them():
    generator = torch.Generator().manual_seed(3)
    values = torch.rand(400, generator=generator, dtype=torch.float64).sort().values
    start = torch.randn(400, generator=generator, dtype=torch.float64)
    kept, light = (climb(lambda v: values * v, start, 30, keep=keep) for keep in (True, False))
    assert light.value == pytest.approx(kept.value, rel=1e-9) and light.vector is None
    assert kept.vector is not None and float(kept.vector.norm()) == pytest.approx(1.0)


def test_what_leads_holds_all_directions_whose_values_are_nearly_the_largest():
    values = torch.cat([torch.linspace(0.0, 0.3, 30), torch.tensor([0.95, 1.0])]).double()
    found = climb(lambda v: values * v, torch.ones(32, dtype=torch.float64), 32)
    assert found.vector is not None and found.leading is not None
    assert found.vector.abs().tolist() == pytest.approx([0.0] * 31 + [1.0], abs=1e-7)
    assert float((found.leading[-2] / found.leading[-1]).abs()) == pytest.approx(0.95, rel=1e-6)
    assert float(found.leading.norm()) == pytest.approx(1.0)


def test_when_the_time_is_over_the_steps_that_were_taken_stand():
    values = torch.linspace(0.0, 1.0, 50, dtype=torch.float64)
    count = 0

    def product(v):
        nonlocal count
        count += 1
        if count > 5:
            raise TimeUp
        return values * v

    found = climb(product, torch.ones(50, dtype=torch.float64), 40)
    assert found.steps == 5 and abs(found.value - 1.0) <= 3 * found.error


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_on_a_gpu_the_estimate_is_that_of_the_processor():
    model, (x, y) = network(), data()
    here = estimated_sharpness(model, x, y, "cross_entropy", None, Effort(10, 6, 2)).value
    there = estimated_sharpness(model.cuda(), x.cuda(), y.cuda(), "cross_entropy", None, Effort(10, 6, 2)).value
    assert there == pytest.approx(here, rel=1e-6)


@pytest.mark.parametrize("part", [None, 1, 3])
def test_what_was_checked_with_few_samples_is_not_checked_with_all(part, monkeypatch):
    checks = []
    usual = Products._check
    monkeypatch.setattr(Products, "_check", lambda one: (checks.append(len(one.outputs)), usual(one))[1])
    estimated_sharpness(network(), *data(), "cross_entropy", None, Effort(2, 2, 2, part))
    assert checks == [2]


def test_where_the_time_ends_it_is_that_of_the_first_samples():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 40), nn.Tanh(), nn.Linear(40, 4)).double()
    x, y = torch.randn(16, 5).double(), torch.arange(16) % 4
    effort = Effort(20, 5, 2)
    beats = []

    def heard(pace: Pace) -> None:
        with paced(pace):
            beats.append(estimated_sharpness(model, x, y, "cross_entropy", CurvatureOptions(), effort))

    class Counted(Pace):
        def beat(self, units: float, *, ahead: bool = False) -> None:
            self.done += units
            if self.done > self.units:
                raise TimeUp("over")

    heard(Counted(5.0, 0.0))  # the first products
    heard(Counted(1e9, math.inf))
    few, whole = beats
    alone = estimated_sharpness(model, x[::8], y[::8], "cross_entropy", CurvatureOptions(), Effort(5, 0))
    assert (few.samples, whole.samples) == (2, 16)
    assert few.value == pytest.approx(alone.value, abs=few.error + alone.error + 1e-9)


@pytest.mark.parametrize(
    ("coarse", "left", "samples"), [(0, math.inf, 16), (0, 0.0, 4), (5, math.inf, 16), (5, 0.0, 2)]
)
def test_where_the_time_does_not_allow_the_products_they_are_of_fewer_samples(monkeypatch, coarse, left, samples):
    """Batch statistics ask for a start of six products, which took as long as they did with all samples; now with four."""
    monkeypatch.setattr("freeness.torch.measured.curvature_estimate.remaining", lambda: left)
    model, (x, y) = network(coarse == 0), data()
    how = CurvatureOptions(training=coarse == 0)
    found = estimated_sharpness(model, x, y, "cross_entropy", how, Effort(20, coarse, 2))
    assert found.samples == samples
    some = slice(samples) if coarse == 0 or samples == 16 else slice(0, None, 8)
    exact = batch_sharpness(model, x[some], y[some], "cross_entropy", how).value
    assert abs(found.value - exact) <= 3 * found.error + 1e-9 * exact
