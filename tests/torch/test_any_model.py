"""The dual Gram matrix of any model: every kind of layer, memory that is said before, precision, and what is refused."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from freeness.errors import InputError
from freeness.torch import (
    dual_gram,
    dual_plan,
    jacobian_singular_values,
    measure_fisher,
    measure_jacobian,
    ntk_gram,
    trace,
)
from freeness.torch.measured.any_model import gram, survey
from freeness.torch.model.function import Function
from freeness.torch.model.taps import ConvolutionUse, LinearUse
from tests.torch.models import input_jacobian, parameter_jacobian, rows
from tests.torch.zoo import zoo_model


def assert_near(found: Tensor, expected: Tensor, tolerance: float = 1e-10) -> None:
    assert float((found - expected).abs().max()) <= tolerance * float(expected.abs().max())


def dual(model: nn.Module, x: Tensor) -> Tensor:
    jacobian = parameter_jacobian(model, x)
    return jacobian @ jacobian.T


@pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")
@pytest.mark.filterwarnings("ignore:Using padding='same':UserWarning")
@given(
    dimensions=st.integers(1, 3),
    taps=st.integers(1, 3),
    stride=st.integers(1, 2),
    padding=st.sampled_from([0, 1, "same", "valid"]),
    dilation=st.integers(1, 2),
    groups=st.sampled_from([1, 2, 4]),
    mode=st.sampled_from(["zeros", "circular"]),
    seed=st.integers(0, 2**31),
)
def test_convolutions_of_every_kind(
    dimensions: int, taps: int, stride: int, padding: int | str, dilation: int, groups: int, mode: str, seed: int
) -> None:
    torch.manual_seed(seed)
    kind = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dimensions - 1]
    stride = 1 if padding == "same" else stride
    layer = kind(4, 4, taps, stride, padding, dilation, groups, padding_mode=mode)
    model = nn.Sequential(layer, nn.Tanh(), nn.Flatten(), nn.LazyLinear(3)).double()
    x = torch.randn(1, 4, *([5] * dimensions), dtype=torch.float64)
    model(x)
    assert_near(dual_gram(trace(model, x), x), dual(model, x))


@pytest.mark.parametrize("positions", [1, 2, 40])
@pytest.mark.parametrize("outputs", [1, 6])
def test_gradients_and_position_grams_agree(positions: int, outputs: int) -> None:
    """Few positions: Gram matrices over them; many: gradients in blocks. Both are taken, and both equal jacrev."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 6), nn.Flatten(), nn.Linear(6 * positions, outputs))
    x = torch.randn(1, positions, 5, dtype=torch.float64)
    assert_near(dual_gram(trace(model.double(), x), x), dual(model, x))


def test_large_layers_are_formed_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("freeness.torch.measured.any_model._BLOCK", 64)
    for name in ("LeNet", "grouped and dilated", "U-Net"):
        model, x = zoo_model(name)
        expected = dual(model.eval(), x)
        traced = trace(model, x)
        assert_near(dual_gram(traced, x), expected)
        assert dual_plan(traced, x).passes > 1


class Padded(nn.Module):
    """A table with a padding row, and one row taken twice."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(6, 4, padding_idx=-2), nn.Linear(12, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(torch.tanh(self.table(tokens)).flatten(1))


def test_padding_rows_of_a_table_have_no_gradient() -> None:
    model, tokens = Padded().double(), torch.tensor([[4, 2, 2]])
    jacobian = rows(model(tokens)[0], list(model.parameters()))
    assert_near(dual_gram(trace(model, tokens), tokens), jacobian @ jacobian.T)


def test_an_unbatched_input_of_a_convolution_is_taken() -> None:
    class Unbatched(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x[0]).flatten()

    model, x = Unbatched().double(), torch.randn(1, 1, 3, 3, dtype=torch.float64)
    assert_near(dual_gram(trace(model, x), x), dual(model, x))


def test_an_unbatched_vector_is_taken() -> None:
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(5, 4), nn.Softmax(-1)).double(), torch.randn(5, dtype=torch.float64)
    jacobian = rows(model(x), list(model.parameters()))
    assert_near(dual_gram(trace(model, x), x), jacobian @ jacobian.T)
    chain = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    assert_near(dual_gram(trace(chain, x), x, dtype=torch.float32), dual_gram(trace(chain, x), x), 1e-5)


def test_a_table_that_is_also_the_last_layer_has_its_gradients_added() -> None:
    model, tokens = zoo_model("GPT")
    with Function(model).ready(tokens) as (function, x):
        found = survey(function, x)
        assert [type(use).__name__ for use in found.uses["tokens.weight"]] == ["EmbeddingUse", "LinearUse"]
        alone = gram([function], [x], 1)
    assert_near(dual_gram(trace(model, tokens), tokens), alone)


# --- memory


def test_memory_is_estimated_before_and_a_smaller_plan_is_offered() -> None:
    model, x = zoo_model("ResNet-18")
    traced = trace(model, x)
    plan, smaller = dual_plan(traced, x, passes=1), dual_plan(traced, x, passes=8)
    assert smaller.bytes < plan.bytes == sum(size for _, size in plan.parts)
    with pytest.raises(InputError, match=r"got an estimate of .* in 1 pass \(.*; pass passes=\d") as caught:
        dual_gram(traced, x, passes=1, limit=smaller.bytes)
    offered = int(str(caught.value).rsplit("passes=", 1)[1].split(",")[0])
    assert_near(dual_gram(traced, x, passes=offered, limit=smaller.bytes), dual_gram(traced, x))
    with pytest.raises(InputError, match="no plan fits"):
        dual_gram(traced, x, limit=100)
    with pytest.raises(InputError, match="no plan fits"):
        jacobian_singular_values(traced, x, limit=100)
    with pytest.raises(InputError, match=r"pass passes=\d.* Jacobian"):
        jacobian_singular_values(traced, x, passes=1, limit=140_000)
    for measured in (dual_gram, jacobian_singular_values):
        with pytest.raises(InputError, match="expected passes ≥ 1, got 0"):
            measured(traced, x, passes=0)


def test_a_chain_says_its_memory_too() -> None:
    model = nn.Sequential(nn.Linear(40, 50), nn.Tanh(), nn.Linear(50, 30))
    traced = trace(model, torch.ones(40))
    assert dual_plan(traced, torch.ones(40)).bytes >= 8 * (40 * 50 + 2 * 30 * 50 + 30 * 30)
    with pytest.raises(InputError, match=r"estimate of .*a weight in float64"):
        dual_gram(traced, torch.ones(40), limit=1000)


def test_a_batch_holds_more() -> None:
    model, x = zoo_model("LeNet")
    traced = trace(model, x)
    assert dual_plan(traced, x, samples=10).bytes > dual_plan(traced, x).bytes
    with pytest.raises(InputError, match="at least one sample"):
        ntk_gram(traced, x[:0])


# --- precision and mode


@pytest.mark.parametrize("name", ["LeNet", "GPT", "LSTM", "residual perceptron"])
def test_precision_is_the_models_own_and_stated_or_as_asked(name: str) -> None:
    model, x = zoo_model(name)
    expected = dual_gram(trace(model, x), x)
    single = x.float() if x.is_floating_point() else x
    traced = trace(model.float(), single)
    found = measure_fisher(traced, single)
    assert "in float32" in found.method
    assert_near(dual_gram(traced, single), expected, 1e-4)
    exact = measure_fisher(traced, single, dtype=torch.float64)
    assert "float" not in exact.method
    assert_near(torch.tensor(exact.eigenvalues), torch.linalg.eigvalsh(expected), 1e-5)  # weights were rounded
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())


def test_bfloat16_models_are_read_and_measured() -> None:
    model, x = zoo_model("LeNet")
    expected = dual_gram(trace(model, x), x)
    model, x = model.bfloat16(), x.bfloat16()
    traced = trace(model, x)
    assert "in bfloat16" in measure_fisher(traced, x).method
    assert_near(dual_gram(traced, x), expected, 0.1)
    assert_near(dual_gram(traced, x, dtype=torch.float64), expected, 0.05)


def test_batch_statistics_are_measured_on_request_and_left_alone() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 4)).double()
    x = torch.randn(1, 1, 6, 6, dtype=torch.float64)
    traced = trace(model, x)
    jacobian = rows(model.train()(x)[0], list(model.parameters()))
    expected = jacobian @ jacobian.T
    before = {key: value.clone() for key, value in model.state_dict().items()}
    assert_near(dual_gram(traced, x, training=True), expected)
    assert "in training mode" in measure_jacobian(traced, x, training=True).method
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert float((dual_gram(traced, x) - expected).abs().max()) > 1e-3


def test_more_outputs_than_inputs_are_carried_from_the_inputs() -> None:
    model, _ = zoo_model("convolutional autoencoder")
    body = nn.Sequential(nn.Linear(3, 64), nn.Unflatten(1, (1, 8, 8)), model)
    point = torch.randn(1, 3, dtype=torch.float64)
    traced = trace(body.double(), point)
    assert_near(jacobian_singular_values(traced, point), torch.linalg.svdvals(input_jacobian(body, point)))
    assert measure_jacobian(traced, point).eigenvalues.shape == (64,)


# --- refusals


class Noisy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        generator = torch.Generator()
        generator.seed()
        return functional.softmax(self.layer(x) + torch.randn(3, generator=generator), -1)


class Overwriting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.softmax(x, -1)
        y = self.layer(h)
        h.mul_(2.0)
        return y + h


def test_models_that_are_no_functions_are_refused() -> None:
    x = torch.ones(1, 3)
    traced = trace(Noisy(), x)
    with pytest.raises(InputError, match=r"deterministic model.*from the generators of torch"):
        dual_gram(traced, x)
    dropped = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5), nn.Softmax(-1))
    traced = trace(dropped, x)
    assert torch.equal(dual_gram(traced, x, training=True), dual_gram(traced, x, training=True))  # the same masks
    with pytest.raises(InputError, match="in-place write"):
        dual_gram(trace(Overwriting(), x), x)


def test_bad_samples_are_refused() -> None:
    model, x = zoo_model("LeNet")
    traced = trace(model, x)
    with pytest.raises(InputError, match=r"one sample of shape \(1, 12, 12\), got \(2, 1, 12, 12\)"):
        dual_gram(traced, torch.cat([x, x]))
    with pytest.raises(InputError, match="finite real sample"):
        dual_gram(traced, x * torch.nan)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("layer", ["linear", "convolution"])
def test_operations_of_gradients_and_of_their_products_are_those_that_torch_counts(layer, groups):
    outputs, x = 5, torch.randn(1, 4, 6, 6)
    if layer == "linear":
        use = LinearUse(torch.Size((1, 4, 6, 7)), x)
    else:
        use = ConvolutionUse(torch.Size((1, 8, 4, 4)), x, (3, 3), (1, 1), (0, 0), (1, 1), groups)
    cotangent = torch.randn(outputs, *use.shape)
    with FlopCounterMode(display=False) as formed:
        use.gradient(cotangent, slice(0, use.shape[-1 if layer == "linear" else 1]))
    with FlopCounterMode(display=False) as paired:
        use.product(cotangent, use, cotangent)
    assert formed.get_total_flops() == 2 * use.formed(outputs)
    assert paired.get_total_flops() == 2 * use.paired(outputs)


@pytest.mark.parametrize("shape", [(6,), (2, 6)])
def test_layers_whose_outputs_are_written_in_place_keep_their_gradients(shape):
    torch.manual_seed(0)
    parts = nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4), nn.ReLU(inplace=True), nn.LayerNorm(4), nn.Linear(4, 3)
    model, x = nn.Sequential(*parts).double(), torch.randn(shape).double()
    found = dual_gram(trace(model, x[None]), x)
    model[3].inplace = False
    assert found == pytest.approx(dual_gram(trace(model, x[None]), x))
