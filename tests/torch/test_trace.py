"""A trace is the model: same output, same tensors, named layers; what it cannot be is refused by name."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.parametrizations import orthogonal

from freeness.errors import InputError
from freeness.network import Activation, Dense
from freeness.torch import Trace, trace
from freeness.torch.record.elementwise import derivative
from freeness.torch.record.kinds import READERS
from freeness.torch.record.steps import ElementwiseStep
from freeness.torch.record.tracing import read_chain
from tests.torch.models import Residual, ValueDependent, covered_models

MODELS = covered_models()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("style", MODELS)
def test_replay_reproduces_the_model(style: str, dtype: torch.dtype) -> None:
    model, example = covered_models()[style]
    model, example = model.to(dtype), example.to(dtype)
    traced = trace(model, example)
    with torch.no_grad():
        expected = model.eval()(example)
    assert torch.allclose(traced.replay(example), expected, rtol=1e-5 if dtype == torch.float32 else 1e-12)
    assert traced.replay(example).shape == expected.shape


@pytest.mark.parametrize("style", MODELS)
def test_record_and_steps_compute_the_same_function(style: str) -> None:
    model, example = covered_models()[style]
    traced = trace(model.double(), example.double())
    grid = torch.linspace(-3, 3, 61, dtype=torch.float64) + 0.0123
    for layer, step in zip(traced.network.layers, traced.chain.steps, strict=True):
        if isinstance(layer, Activation):
            assert isinstance(step, ElementwiseStep)
            np.testing.assert_allclose(layer.function.function(grid.numpy()), step(grid).numpy(), rtol=1e-6, atol=1e-9)
            slopes = derivative(step.function, grid).numpy()
            np.testing.assert_allclose(layer.function.derivative(grid.numpy()), slopes, rtol=1e-5, atol=1e-9)


def test_trace_holds_the_models_own_tensors_and_names() -> None:
    model, example = covered_models()["nested, shared activation"]
    traced = trace(model, example)
    assert [layer.name for layer in traced.network.dense] == ["body.0.0", "body.1.0", "head.out"]
    assert traced.weights[0] is model.get_parameter("body.0.0.weight")
    assert traced.biases[2] is model.get_parameter("head.out.bias")
    assert traced.network.widths == (6, 8, 8, 3)
    with torch.no_grad():
        model.get_parameter("head.out.bias").zero_()
        assert torch.allclose(traced.replay(example), model(example))


def test_activations_are_found_in_the_table() -> None:
    model, example = covered_models()["mixed"]
    found = [layer.function.name for layer in trace(model, example).network.layers if isinstance(layer, Activation)]
    for name, wanted in zip(found, ["hardtanh", "elu", "softplus", "silu", "softsign"], strict=True):
        assert name.startswith(wanted)


def test_a_composite_activation_is_one_layer_with_its_kink() -> None:
    model, example = covered_models()["composite"]
    layers = trace(model, example).network.layers
    assert [type(layer) for layer in layers] == [Dense, Activation, Dense]
    function = layers[1].function
    assert isinstance(layers[1], Activation)
    assert len(function.kinks) >= 1
    for kink in function.kinks:
        assert float(kink * 1 / (1 + math.exp(-1.5 * kink))) == pytest.approx(0.1, abs=1e-6)


def test_biases_are_recorded_with_their_scale_and_whether_they_are_trained() -> None:
    model = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 4, bias=False), nn.Tanh(), nn.Linear(4, 3))
    with torch.no_grad():
        model[0].bias.fill_(0.5)
    model[4].bias.requires_grad_(False)
    first, second, third = trace(model, torch.ones(6)).network.dense
    assert (first.bias, first.sigma_b) == (True, pytest.approx(0.5))
    assert (second.bias, second.sigma_b) == (False, 0.0)
    assert not third.bias and third.sigma_b > 0


def test_a_frozen_model_is_read_as_trained() -> None:
    model, example = covered_models()["sequential"]
    assert all(layer.bias for layer in trace(model.requires_grad_(False), example).network.dense)


def test_tracing_works_in_inference_mode() -> None:
    model, example = covered_models()["sequential"]
    with torch.inference_mode():
        traced = trace(model, example.clone())
        assert isinstance(traced, Trace)
        assert torch.allclose(traced.replay(example), model(example))


class TiedTwice(nn.Module):
    """One Linear called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(torch.tanh(self.layer(x)))


class Unhookable(nn.Module):
    """Control flow on values and a function call between modules."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(5, 5), nn.Linear(5, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        return self.head(torch.sin(x) if float(x.detach().sum()) != 0 else x)


class TwoOutputs(nn.Module):
    """Two outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 5)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.layer(x), x


REFUSED = {
    "conv2d in module '0' (Conv2d)": (nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 2)), (1, 1, 4, 4)),
    "layer_norm in module '1' (LayerNorm)": (nn.Sequential(nn.Linear(5, 4), nn.LayerNorm(4)), (2, 5)),
    "batch_norm in module '1' (BatchNorm1d)": (
        nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)),
        (2, 5),
    ),
    "softmax in module '1' (Softmax)": (nn.Sequential(nn.Linear(5, 4), nn.Softmax(-1)), (2, 5)),
    "prelu in module '1' (PReLU)": (nn.Sequential(nn.Linear(5, 4), nn.PReLU(), nn.Linear(4, 2)), (2, 5)),
    "a skip or a branch": (Residual(), (2, 5)),
    "one weight at several positions": (nn.Sequential(nn.Linear(5, 4), nn.Tanh()), (2, 3, 5)),
    "the same weight at 2 places": (TiedTwice(), (2, 5)),
    "parametrization": (orthogonal(nn.Linear(5, 5)), (2, 5)),
    "an operation between module 'first' and module 'head'": (Unhookable(), (2, 5)),
    "one tensor, got several": (TwoOutputs(), (2, 5)),
    "at least one Linear": (nn.Sequential(nn.Tanh()), (2, 5)),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refusals_name_what_is_not_covered(what: str) -> None:
    model, shape = REFUSED[what]
    with pytest.raises(InputError) as caught:
        read_chain(model, torch.ones(shape))
    message = str(caught.value)
    assert what in message
    assert message.startswith("expected") and ", got " in message and "\n" not in message


def test_bad_tensors_are_refused() -> None:
    model, example = covered_models()["sequential"]
    with pytest.raises(InputError, match="in_features = 6 a sample, got shape \\(3, 5\\)"):
        trace(model, torch.ones(3, 5))
    with pytest.raises(InputError, match=r"torch\.float32 .*got torch\.float64"):
        trace(model, example.double())
    with pytest.raises(InputError, match=r"float32, float64 or bfloat16 parameters, got torch\.float16"):
        trace(covered_models()["sequential"][0].half(), example.half())
    with pytest.raises(InputError, match="finite input"):
        trace(model, example * math.nan)
    with torch.no_grad():
        model[2].weight[0, 0] = math.nan
    with pytest.raises(InputError, match=r"in '2\.weight'"):
        trace(model, example)


def test_partly_frozen_weights_are_named_and_have_no_record() -> None:
    model, example = covered_models()["sequential"]
    model[0].weight.requires_grad_(False)
    traced = trace(model, example)
    assert not traced.covered and "frozen" in traced.uncovered[0].reason and traced.uncovered[0].path == "0"
    with pytest.raises(InputError, match=r"linear in module '0' .*frozen"):
        _ = traced.network
    with pytest.raises(InputError, match="linear, frozen"):
        read_chain(model, example)


@settings(max_examples=25)
@given(widths=st.lists(st.integers(1, 9), min_size=2, max_size=5), batch=st.integers(1, 3), seed=st.integers(0, 2**31))
def test_any_chain_of_widths_is_traced(widths: list[int], batch: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(widths):
        linear = nn.utils.skip_init(nn.Linear, fan_in, fan_out, dtype=torch.float64)
        with torch.no_grad():
            for parameter in linear.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
        layers += [linear, nn.Tanh()]
    model = nn.Sequential(*layers[:-1])
    example = torch.randn(batch, widths[0], generator=generator, dtype=torch.float64)
    traced = trace(model, example)
    assert traced.network.widths == tuple(widths)
    assert torch.allclose(traced.replay(example), model(example), rtol=1e-12)


def test_torch_export_does_not_talk_to_the_user(capfd):
    traced = trace(ValueDependent(), torch.ones(2, 6))
    assert traced.network.widths == (6, 5, 2)
    assert capfd.readouterr() == ("", "")


class Sliced(nn.Module):
    """Writes into a part of a tensor; with ``noise``, adds what is drawn anew in every run."""

    def __init__(self, noise: bool = False) -> None:
        super().__init__()
        self.first, self.last, self.noise = nn.Linear(6, 6), nn.Linear(6, 4), noise

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.first(x)
        if not self.noise:
            h[:, :2] = 0.0
        found = self.last(torch.tanh(h))
        return found + torch.rand(4, dtype=x.dtype) if self.noise else found


def test_the_call_where_a_record_parts_from_the_model_is_named_and_the_others_stand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A reader that forgets the normalisation: the call is taken as it is, and the record gives the output again."""
    monkeypatch.setitem(READERS, "layer_norm", lambda asked: asked.signal("input"))
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 6), nn.LayerNorm(6), nn.Tanh(), nn.Linear(6, 4)).double()
    x = torch.randn(5, 6, dtype=torch.float64)
    traced = trace(model, x[:1])
    assert [(one.path, one.theory) for one in traced.operations] == [
        ("0", "spectra"),
        ("1", "none"),
        ("2", "spectra"),
        ("3", "spectra"),
    ]
    assert "layer_norm in module '1' (LayerNorm): its record gives another result" in traced.refusal
    torch.testing.assert_close(traced.replay(x), model(x).detach())
    with pytest.raises(InputError, match=r"got layer_norm in module '1'"):
        read_chain(model, x[:1])


def test_a_write_into_a_part_is_found_where_it_is_written() -> None:
    torch.manual_seed(0)
    model, x = Sliced(), torch.randn(1, 6)
    traced = trace(model, x)
    assert "got fill in the forward of the model" in traced.refusal
    torch.testing.assert_close(traced.replay(x), model(x).detach())
    with pytest.raises(InputError, match="slice in the forward"):
        read_chain(model, x)


def test_what_is_drawn_anew_is_replayed_with_the_same_draws() -> None:
    model, x = Sliced(noise=True), torch.randn(1, 6)
    traced = trace(model, x)
    assert [one.operation for one in traced.uncovered] == ["add"] and "computed tensor" in traced.refusal
    torch.manual_seed(3)
    expected = model(x).detach()
    torch.manual_seed(3)
    torch.testing.assert_close(traced.replay(x), expected)


class Loop(nn.Module):
    """One layer, used again and again."""

    def __init__(self, times):
        super().__init__()
        self.layer, self.times = nn.Linear(3, 3), times

    def forward(self, x):
        for _ in range(self.times):
            x = torch.tanh(self.layer(x))
        return x


def test_a_graph_of_very_many_calls_is_not_read(monkeypatch):
    monkeypatch.setattr("freeness.torch.record.tracing._LONG", 20)
    assert trace(Loop(4), torch.ones(1, 3)).steps
    found = trace(Loop(12), torch.ones(1, 3))
    assert not found.steps and found.refusal
