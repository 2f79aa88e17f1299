"""Plain and normalised convolutional networks: He's variances through whatever activation a layer reads."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from scipy import integrate
from torch import Tensor, nn
from torch.nn import functional

from freeness.torch import InitializeOptions, apply_recipe, initialize_
from tests.torch.test_recipes import assert_deviation, seeded
from tests.torch.test_tensors import assert_listed_once
from tests.torch.zoo import zoo_model


def plain(act: Callable[[], nn.Module], depth: int = 8, width: int = 24) -> nn.Sequential:
    layers: list[nn.Module] = []
    for index in range(depth):
        layers += [nn.Conv2d(width if index else 3, width, 3, padding=1), act()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * width, 5))


class Crossed(nn.Module):
    """A U-Net of two levels without normalisation: a transposed convolution, and two signals side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.fine, self.coarse = nn.Conv2d(3, 12, 3, padding=1), nn.Conv2d(12, 16, 3, padding=1)
        self.up, self.joined = nn.ConvTranspose2d(16, 8, 2, 2), nn.Conv2d(20, 12, 3, padding=1)
        self.head = nn.Conv2d(12, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        fine = torch.relu(self.fine(x))
        coarse = torch.relu(self.coarse(functional.max_pool2d(fine, 2)))
        return self.head(torch.relu(self.joined(torch.cat([fine, self.up(coarse)], 1))))


def mean_square(function: Callable[[float], float]) -> float:
    """E φ(z)², z ~ N(0, 1), by quadrature."""
    return integrate.quad(lambda z: function(z) ** 2 * math.exp(-z * z / 2) / math.sqrt(2 * math.pi), -9, 9)[0]


@pytest.mark.parametrize(
    ("act", "function"),
    [
        (nn.ReLU, lambda z: max(z, 0.0)),
        (lambda: nn.LeakyReLU(0.3), lambda z: max(z, 0.3 * z)),
        (lambda: nn.PReLU(init=0.2), lambda z: max(z, 0.2 * z)),
        (lambda: nn.ELU(0.7), lambda z: z if z > 0 else 0.7 * math.expm1(z)),
        (nn.Tanh, math.tanh),
        (lambda: nn.GELU(approximate="none"), lambda z: z * (1 + math.erf(z / math.sqrt(2))) / 2),
        (nn.SiLU, lambda z: z / (1 + math.exp(-z))),
    ],
)
def test_a_layer_makes_up_for_the_activation_that_it_reads(act, function) -> None:
    model = plain(act, depth=2)
    found = initialize_(model, "auto")
    assert found.start == "convolutional network"
    assert_listed_once(model, found)
    assert_deviation(model[0].weight, 1 / math.sqrt(27))
    assert_deviation(model[2].weight, 1 / math.sqrt(24 * 9 * mean_square(function)))
    assert found.layers[1].sigma_w == pytest.approx(1 / math.sqrt(mean_square(function)), rel=1e-6)


def test_signals_side_by_side_count_together_and_those_that_a_transposed_tap_meets() -> None:
    model, x = Crossed(), torch.randn(2, 3, 8, 8, generator=seeded(0))
    found = initialize_(model, "auto", options=InitializeOptions(data=x))
    assert found.start == "convolutional network"
    fans = {"fine": 1 / 27, "coarse": 2 / 108, "up": 2 / 16, "head": 2 / 12}
    for name, variance in fans.items():
        assert_deviation(model.get_parameter(f"{name}.weight"), math.sqrt(variance))
    assert_deviation(model.joined.weight, math.sqrt(4 / 3 / 180))  # half rectified, half as it is: E φ² = 3/4
    assert all(not bool(value.any()) for name, value in model.named_parameters() if name.endswith("bias"))


@pytest.mark.parametrize("name", ["DenseNet"])
def test_normalised_networks_and_their_buffers(name: str) -> None:
    model, x = zoo_model(name)
    found = initialize_(model, "auto", options=InitializeOptions(data=x))
    assert found.start == "convolutional network" and "Huang" in found.source
    assert_listed_once(model, found)
    assert {row.reason for row in found.left} == {"a buffer, which is not trained"}


def test_a_table_that_only_the_model_knows_is_left_with_the_reason() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.mixing = nn.Conv1d(4, 4, 3, padding=1), nn.Parameter(torch.eye(6))

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(self.inner(x)) @ self.mixing

    model = Own()
    found = initialize_(model, "auto", options=InitializeOptions(data=torch.randn(2, 4, 6, generator=seeded(0))))
    assert_listed_once(model, found)
    assert [row.name for row in found.left] == ["mixing"] and "the model's own" in found.left[0].reason
    assert torch.equal(model.mixing, torch.eye(6))


@pytest.mark.parametrize("act", [nn.ReLU, nn.SiLU])
def test_signals_and_gradients_reach_through_where_they_died_before(act) -> None:
    """Measured before and after, from end to end of eight layers; torch draws a variance of 1/(3 fan_in)."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = plain(act)
    found = apply_recipe(model, data=torch.randn(8, 3, 8, 8, generator=seeded(2)))
    assert found.before is not None and found.after is not None
    kept = []
    for table in (found.before, found.after):
        rows = [row for row in table.modules if row.kind == "Conv2d"]
        kept.append((rows[-1].signal / rows[0].signal, rows[0].gradient / rows[-1].gradient))
    (signal_before, gradient_before), (signal, gradient) = kept
    assert signal > 0.03 and gradient > 0.003
    assert signal_before < signal / 3 and gradient_before < gradient / 100
