"""The support matrix holds: each kind of operation is read, covered and measured as it says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from freeness.errors import InputError
from freeness.network import GivenMap, Operation, Pairs, Pass, Step, Stream, backward, forward, given, operations
from freeness.spectra import jacobian_law
from freeness.torch import dual_gram, trace
from freeness.torch import operations as readers
from freeness.torch.measured.any_model import survey
from freeness.torch.model.function import Function
from freeness.torch.model.taps import ParameterUse
from freeness.torch.operations.kind import Kind
from freeness.torch.record import kinds
from freeness.torch.record.kinds import KINDS, READERS, kind_of, register_kind
from freeness.torch.record.steps import Calls as Computed
from freeness.torch.record.walk import Asked, Signal
from tests.torch.models import rows


class Calls(nn.Module):
    """Layers of its own, and a forward that is given."""

    def __init__(self, forward: object, **layers: nn.Module) -> None:
        super().__init__()
        self.given = forward
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        assert callable(self.given)
        return self.given(self, x)


def linear(inputs: int = 6, outputs: int = 6) -> nn.Module:
    return nn.Linear(inputs, outputs)


def behind_convolution(*layers: nn.Module, inputs: int = 75) -> nn.Module:
    return nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), *layers, nn.Flatten(), nn.Linear(inputs, 4))


VECTOR, IMAGE, TOKENS = (6,), (2, 5, 5), (4, 6)
# By kind: a model in which nothing else is uncovered, and the shape of one sample.
EXAMPLES: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "linear layer": (nn.Sequential(linear(), linear()), VECTOR),
    "activation": (nn.Sequential(linear(), nn.Tanh(), linear(), nn.Softplus()), VECTOR),
    "convolution": (behind_convolution(nn.Tanh(), nn.Conv2d(3, 3, 3, padding=1, padding_mode="circular")), IMAGE),
    "transposed convolution": (behind_convolution(nn.ConvTranspose2d(3, 3, 1)), IMAGE),
    "layer normalisation": (nn.Sequential(linear(), nn.LayerNorm(6), linear()), VECTOR),
    "RMS normalisation": (nn.Sequential(linear(), nn.RMSNorm(6), linear()), VECTOR),
    "group normalisation": (behind_convolution(nn.GroupNorm(1, 3)), IMAGE),
    "batch normalisation": (behind_convolution(nn.BatchNorm2d(3)), IMAGE),
    "instance normalisation": (behind_convolution(nn.InstanceNorm2d(3)), IMAGE),
    "average pooling": (behind_convolution(nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1), inputs=3), IMAGE),
    "max pooling": (behind_convolution(nn.MaxPool2d(2), inputs=12), IMAGE),
    "upsampling": (behind_convolution(nn.Upsample(scale_factor=2), inputs=300), IMAGE),
    "flatten and reshape": (behind_convolution(), IMAGE),
    "residual sum": (Calls(lambda self, x: x + 0.5 * self.a(torch.tanh(x)), a=linear()), VECTOR),
    "concatenation": (
        Calls(
            lambda self, x: self.c(torch.cat([self.a(x), self.b(x)], 2)),
            a=nn.Conv1d(4, 4, 1),
            b=nn.Conv1d(4, 4, 1),
            c=nn.Conv1d(4, 2, 1),
        ),
        TOKENS,
    ),
    "product of branches": (Calls(lambda self, x: self.a(x) * self.b(x), a=linear(), b=linear()), VECTOR),
    "dropout": (nn.Sequential(linear(), nn.Dropout(0.5), linear()), VECTOR),
    "matrix product": (
        Calls(lambda self, x: self.c(self.a(x), self.b(x)), a=linear(), b=linear(), c=nn.Bilinear(6, 6, 3)),
        VECTOR,
    ),
    "softmax": (nn.Sequential(linear(), nn.Softmax(-1)), VECTOR),
    "attention": (Calls(lambda self, x: functional.scaled_dot_product_attention(x, self.a(x), x), a=linear()), TOKENS),
    "embedding": (nn.Sequential(nn.Embedding(6, 3), nn.Flatten(), linear(12)), (4,)),
    "recurrent layer": (Calls(lambda self, x: self.a(x)[0][:, -1], a=nn.GRU(6, 3, batch_first=True)), TOKENS),
    "permutation of axes": (Calls(lambda self, x: self.a(x.transpose(1, 2)), a=nn.Conv1d(6, 3, 1)), TOKENS),
    "selection": (Calls(lambda self, x: self.b(self.a(x)[:, 1]), a=linear(), b=linear()), TOKENS),
    "padding": (Calls(lambda self, x: self.a(functional.pad(x, (1, 1), "circular")), a=nn.Conv1d(4, 2, 3)), TOKENS),
    "trained scale or shift": (nn.Sequential(linear(), nn.PReLU(6), linear()), VECTOR),
    "any other": (Calls(lambda self, x: torch.cumsum(self.a(x), 1), a=linear()), VECTOR),
}


def made(kind: str) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    model, shape = EXAMPLES[kind]
    if kind == "embedding":
        return model.double().eval(), torch.tensor([[1, 4, 1, 0]])
    return model.double().eval(), torch.randn(1, *shape, dtype=torch.float64)


def test_every_kind_has_an_example_and_no_call_has_two_kinds() -> None:
    assert set(EXAMPLES) == {kind.name for kind in KINDS}
    calls = [call for kind in KINDS for call in kind.calls]
    assert len(calls) == len(set(calls))


def test_an_operation_has_a_reader_of_its_name() -> None:
    """Flatten has none: flatten, view and reshape are one reader, and the record follows from what reads the signal.

    Nor has data: what a sample brings is no call.
    """
    records = {operations.__dict__[name].__module__.rsplit(".", 1)[-1] for name in operations.__all__}
    assert records - {path.stem for path in Path(readers.__path__[0]).glob("*.py")} == {"data", "flatten"}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_kind_is_read_and_covered_as_the_matrix_says(kind) -> None:
    model, x = made(kind.name)
    traced = trace(model, x)
    found = [operation for operation in traced.operations if operation.kind == kind.name]
    assert found and {operation.theory for operation in found} == {kind.theory}
    assert traced.covered == (kind.theory != "none")
    others = [
        operation for operation in traced.operations if operation.theory == "none" and operation.kind != kind.name
    ]
    assert not others or kind.name == "attention"  # which needs a layer at several positions
    if kind.theory == "none":
        assert all(operation.reason for operation in found)
    if kind.theory == "kernels":
        assert found[0].reason == kind.limits


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_kind_is_measured_exactly_and_as_the_matrix_says(kind) -> None:
    model, x = made(kind.name)
    jacobian = rows(model(x).reshape(-1), list(model.parameters()))
    expected = jacobian @ jacobian.T
    assert float((dual_gram(trace(model, x), x) - expected).abs().max()) <= 1e-9 * float(expected.abs().max())
    with Function(model).ready(x) as (function, point):
        uses = survey(function, point).uses
    left = {name for name, places in uses.items() if any(isinstance(use, ParameterUse) for use in places)}
    for name, module in model.named_modules():
        own = {f"{name}.{key}".lstrip(".") for key, _ in module.named_parameters(recurse=False)}
        if own and kind_of(module_call(module)).name == kind.name:
            assert bool(own & left) == (kind.measured == "by autograd")


def module_call(module: nn.Module) -> str:
    """torch's call of a layer with parameters."""
    names = {"Linear": "linear", "Embedding": "embedding", "GRU": "gru", "PReLU": "prelu", "LayerNorm": "layer_norm"}
    names |= {f"Conv{d}d": f"conv{d}d" for d in (1, 2, 3)} | {"ConvTranspose2d": "conv_transpose2d"}
    names |= {"RMSNorm": "rms_norm", "GroupNorm": "group_norm", "BatchNorm2d": "batch_norm"}
    return names.get(type(module).__name__, "")


# --- an operation of the user's, as CONTRIBUTING.md says, without a change of the package -----------------------------


@dataclass(frozen=True)
class Halving(Operation):
    """x/2."""

    name: str = ""


@forward.register
def _(layer: Halving, stream: Stream, whole: Pairs | None) -> tuple[Stream, Step]:
    behind = stream._replace(second=stream.second / 4, growth=stream.growth / 4, points=None, latent=None)
    return behind, lambda pairs: Pairs(pairs.value / 4, pairs.theta / 4, pairs.rows)


@backward.register
def _(layer: Halving, streams: tuple[Stream, ...], behind: Stream, gradient: np.ndarray) -> tuple[np.ndarray, ...]:
    return (gradient / 4,)


@given.register
def _(layer: Halving, values: tuple[np.ndarray, ...], at: Pass) -> GivenMap:
    return GivenMap(values[0] / 2, (np.full((1, 1), 0.5),))


@torch.library.custom_op("freeness_tests::halving", mutates_args=())
def halving(x: Tensor) -> Tensor:
    return x / 2


halving.register_fake(torch.empty_like)
halving.register_autograd(lambda ctx, gradient: gradient / 2)
HALVING = Kind("halving", ("halving",), "spectra", "")


def read_halving(asked: Asked) -> Signal:
    signal = asked.walk.settled(asked.signal("x"))
    asked.note()
    compute, name = Computed((asked.call(),)), asked.label
    return asked.walk.add(name, [signal], compute, lambda: Halving(name), signal.place.typing, signal.dims)


@pytest.fixture
def forgotten() -> Iterator[None]:
    yield
    READERS.pop("halving", None)
    kinds._BY_CALL.pop("halving", None)


def test_an_operator_of_the_users_is_read_and_predicted_once_its_reader_is_registered(forgotten) -> None:
    torch.manual_seed(0)
    model = Calls(lambda self, x: self.b(halving(self.a(x))), a=linear(), b=linear()).double()
    twice = Calls(lambda self, x: self.b(self.a(x)), a=model.a, b=model.b)
    x = torch.randn(1, 6, dtype=torch.float64)
    assert not trace(model, x).covered
    register_kind(HALVING, read_halving)
    network = trace(model, x).network
    assert any(isinstance(operation, Halving) for operation in network.operations)
    assert jacobian_law(network).mean == pytest.approx(jacobian_law(trace(twice, x).network).mean / 4, rel=1e-6)


def test_calls_of_another_kind_are_not_taken_over() -> None:
    with pytest.raises(InputError, match="linear"):
        register_kind(Kind("mine", ("linear",), "none", ""), read_halving)
