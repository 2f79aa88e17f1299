"""Torch's names in the table of activations: modules, calls and gradients, against torch itself."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from freeness.gaussian import ActivationFunction, TorchNames, activation, activations, entries, tabulated
from freeness.network import Activation
from freeness.torch.record.builder import activation_module
from freeness.torch.record.elementwise import (
    PointwiseCall,
    PointwiseProgram,
    Slot,
    activation_function,
    derivatives,
    program_function,
)
from freeness.torch.record.tracing import trace
from freeness.torch.start.swap import function_of, kind_of

OTHERS = {
    "leaky_relu": {"negative_slope": 0.3},
    "shifted_relu": {"shift": -0.4},
    "hardtanh": {"min_val": -2.0, "max_val": 0.5},
    "softshrink": {"lambd": 0.2},
    "elu": {"alpha": 0.4},
    "celu": {"alpha": 0.4},
    "softplus": {"beta": 2.5},
}
CASES = [(entry, {}) for entry in entries()] + [
    (entry, OTHERS[entry.name]) for entry in entries() if entry.name in OTHERS
]


@pytest.mark.parametrize(("entry", "parameters"), CASES, ids=lambda value: getattr(value, "name", None))
def test_a_module_of_the_table_is_recognised_with_its_parameters(entry, parameters):
    function = activation(entry.name, **parameters)
    module = activation_module(function)
    if not entry.torch.module or entry.name == "linear":  # nn.Identity stands for what was taken out
        assert kind_of(module) is None and function_of(module) is None
        return
    assert type(module) is getattr(nn, entry.torch.module)
    found = function_of(module)
    assert kind_of(module) == entry.name and found is not None
    assert (found.name, found.kinks, found.slopes) == (entry.name, function.kinks, function.slopes)
    x = np.linspace(-5.0, 5.0, 101)
    np.testing.assert_array_equal(found.function(x), function.function(x))


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_every_name_is_one_that_torch_has(entry):
    assert not entry.torch.module or issubclass(getattr(nn, entry.torch.module), nn.Module)
    calls = [*entry.torch.calls, *(call[0] for call in entry.torch.program + entry.torch.pull)]
    assert all(getattr(torch.ops.aten, call) for call in calls)


@pytest.mark.parametrize(
    ("entry", "parameters"),
    [case for case in CASES if case[0].torch.pull],
    ids=lambda value: getattr(value, "name", None),
)
def test_short_ways_to_the_gradient_are_the_gradient(entry, parameters):
    function = activation(entry.name, **parameters)
    assert function.torch is not None
    h, g = torch.linspace(-4.03, 6.5, 97, dtype=torch.float64), torch.linspace(-1, 2, 97, dtype=torch.float64)
    y = activation_module(function)(h)
    found = program_function(function.torch.pull, "g", "h", "y")(g, h, y)
    torch.testing.assert_close(found, g * torch.tensor(function.derivative(h.numpy())), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda x: nn.functional.hardtanh(x, 0.0, 6.0), "relu6"),
        (lambda x: x.clamp(0.0, 6.0), "relu6"),
        (lambda x: x.clamp(-1.0, 2.0), "hardtanh"),
        (lambda x: x.clamp(min=-0.3), "shifted_relu"),
        (lambda x: nn.functional.selu(x), "selu"),
        (lambda x: nn.functional.celu(x, 0.7), "celu"),
        (lambda x: nn.functional.gelu(x, approximate="tanh"), "gelu_tanh"),
        (lambda x: nn.functional.logsigmoid(x), "logsigmoid"),
        (lambda x: torch.special.expit(x), "sigmoid"),
        (lambda x: torch.erf(x * (np.pi**0.5 / 2)), "erf_unit"),
        (lambda x: x - torch.tanh(x), "tanhshrink"),
        (lambda x: nn.functional.softsign(x), "softsign"),
        (lambda x: nn.functional.softplus(x, threshold=5.0), "softplus"),
    ],
)
def test_calls_are_read_as_entries_of_the_table(call, name):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(4, 4).double(), nn.Linear(4, 2).double()

        def forward(self, x):
            return self.last(call(self.first(x)))

    layer = trace(Model(), torch.ones(4).double()).network.layers[1]
    if name == "softplus":  # with a threshold that is seen, it is another function
        assert layer.function.torch is None and layer.function.kinks == pytest.approx((5.0,), abs=1e-9)
    else:
        assert layer.function.name == name


def test_numbers_that_the_model_keeps_in_tensors_are_tensors_where_the_call_takes_no_others():
    class Kept(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(4, 4).double(), nn.Linear(4, 2).double()
            self.register_buffer("low", torch.tensor(-0.3, dtype=torch.float64))
            self.register_buffer("count", torch.tensor(1))

        def forward(self, x):
            h = self.first(x)
            h = torch.where(h > self.count, self.low, torch.maximum(h, self.low))
            return self.last(torch.clamp(h, self.low, self.count))

    model, x = Kept(), torch.linspace(-3, 3, 20).double().reshape(5, 4)
    traced = trace(model, x[0])
    torch.testing.assert_close(traced.replay(x), model(x).detach())
    assert traced.network.layers[1].function.kinks == pytest.approx((-0.3, 1.0), abs=1e-6)


def test_threshold_is_an_entry_where_it_is_continuous():
    assert function_of(nn.Threshold(0.5, 0.5)).kinks == (0.5,)
    assert kind_of(nn.Threshold(0.5, 0.1)) == "shifted_relu" and function_of(nn.Threshold(0.5, 0.1)) is None


def test_an_entry_of_ones_own_is_built_and_read_by_its_program(monkeypatch):
    monkeypatch.setattr(activations, "_TABLE", dict(activations._TABLE))
    names = TorchNames(program=(("sin", "x"), ("square", "r0"), ("add", "x", "r1")))

    @tabulated(names)
    def example_snake() -> ActivationFunction:
        """x + sin²x."""
        return ActivationFunction("", lambda x: x + np.sin(x) ** 2, lambda x: 1 + np.sin(2 * x), tails=None)

    x = torch.linspace(-3, 3, 31, dtype=torch.float64)
    torch.testing.assert_close(activation_module(activation("example_snake"))(x), x + x.sin().square())
    aten = torch.ops.aten
    calls = (
        PointwiseCall(aten.sin.default, (Slot(0),)),
        PointwiseCall(aten.square.default, (Slot(1),)),
        PointwiseCall(aten.add.Tensor, (Slot(0), Slot(2))),
    )
    assert activation_function(PointwiseProgram(calls, Slot(3))).name == "example_snake"
    assert activation_function(PointwiseProgram(calls[:2], Slot(2))).name != "example_snake"


def expression(rate: float, jump: float, place: float) -> PointwiseProgram:
    """sin(rate·x)² + x + jump·max(x - place, 0), as a model runs it."""
    aten = torch.ops.aten
    calls = (
        PointwiseCall(aten.mul.Tensor, (Slot(0), rate)),
        PointwiseCall(aten.sin.default, (Slot(1),)),
        PointwiseCall(aten.pow.Tensor_Scalar, (Slot(2), 2)),
        PointwiseCall(aten.add.Tensor, (Slot(0), Slot(3))),
        PointwiseCall(aten.sub.Tensor, (Slot(0), place)),
        PointwiseCall(aten.relu.default, (Slot(5),)),
        PointwiseCall(aten.mul.Tensor, (Slot(6), jump)),
        PointwiseCall(aten.add.Tensor, (Slot(4), Slot(7))),
    )
    return PointwiseProgram(calls, Slot(8))


@given(st.floats(0.1, 8.0), st.floats(-4.0, 0.5).map(lambda power: 10.0**power), st.floats(-9.0, 9.0))
def test_functions_that_no_entry_computes_keep_their_kinks_and_derivatives(rate, jump, place):
    found = activation_function(expression(rate, jump, place))
    assert found.torch is None and found.kinks == pytest.approx((place,), abs=1e-11 / jump)
    x = np.linspace(-9.5, 9.5, 203)
    x = x[np.abs(x - place) > 1e-9]
    step = 1e-20j  # a complex step has no rounding
    smooth = np.imag(np.sin(rate * (x + step)) ** 2 + (x + step)) / step.imag
    np.testing.assert_allclose(found.derivative(x), smooth + jump * (x > place), rtol=0, atol=1e-13 * (1 + rate))


class Sine(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.first, self.last, self.factor = nn.Linear(2, 30), nn.Linear(30, 3), factor

    def forward(self, x):
        return self.last(torch.sin(self.factor * self.first(x)))


@pytest.mark.parametrize("factor", [30.0, -2.0])
def test_a_sine_of_a_multiple_is_read_with_its_closed_means(factor):
    found = next(
        node.operation.function
        for node in trace(Sine(factor), torch.ones(1, 2)).network.nodes
        if isinstance(node.operation, Activation)
    )
    assert found.name == f"sin({factor:g}·x)" and found.covariance is not None
    x = np.linspace(-1.0, 1.0, 11)
    np.testing.assert_allclose(found.function(x), np.sin(factor * x), rtol=1e-15)
    np.testing.assert_allclose(found.derivative(x), factor * np.cos(factor * x), rtol=1e-15)


def test_slopes_of_several_functions_come_from_one_backward_pass_and_constants_have_none():
    aten = torch.ops.aten
    tanh, constant, nothing = (
        PointwiseProgram((PointwiseCall(call.default, (Slot(0),)),), Slot(1))
        for call in (aten.tanh, aten.sign, aten.zeros_like)
    )
    x, y = torch.linspace(-2, 2, 9, dtype=torch.float64), torch.tensor([0.5, -3.0], dtype=torch.float64)
    with torch.inference_mode():
        found = derivatives([(tanh, x), (nothing, y), (constant, y), (tanh, y)])
    torch.testing.assert_close(found[0], 1 - torch.tanh(x) ** 2, rtol=1e-14, atol=0)
    assert not found[1].any() and not found[2].any() and found[1].shape == y.shape
    torch.testing.assert_close(found[3], 1 - torch.tanh(y) ** 2, rtol=1e-12, atol=0)
    assert derivatives([]) == []
