"""Public functions leave a model, a graph that was recorded before, and the random state as they were; autocast is no matter."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from freeness.errors import FreenessError
from freeness.torch import (
    CurvatureOptions,
    FullBatch,
    adam_preconditioner,
    analyze,
    batch_of,
    batch_sharpness,
    critical_rate,
    curvature_spectrum,
    dual_gram,
    dual_plan,
    estimate_fisher,
    estimate_jacobian,
    freeness_test,
    freeness_trace,
    full_batch_descent,
    jacobian_singular_values,
    measure_fisher,
    measure_jacobian,
    ntk_gram,
    observe,
    packed,
    realised_neurons,
    realised_signals,
    start_facts,
    trace,
)

from .test_state import assert_same, picture

X, Y = torch.linspace(-1, 1, 32).reshape(8, 4), torch.arange(8) % 3


def subject() -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 12), nn.Tanh(), nn.Linear(12, 12), nn.Tanh(), nn.Linear(12, 3))
    model(X).square().sum().backward()
    model[4].bias.requires_grad_(False)
    model[1].eval()
    return model


def loss(model):
    return nn.functional.cross_entropy(model(X), Y)


CALLS = {
    "adam_preconditioner": lambda m, x: adam_preconditioner(m, x, Y, "cross_entropy"),
    "analyze": lambda m, x: analyze(m, (x, Y)),
    "analyze adam": lambda m, x: analyze(m, (x, Y), optimizer="adam"),
    "batch_of": lambda m, x: batch_of((x, Y), m),
    "batch_sharpness": lambda m, x: batch_sharpness(m, x, Y, "cross_entropy"),
    "critical_rate": lambda m, x: critical_rate(m, lambda: nn.functional.cross_entropy(m(x), Y)),
    "curvature_spectrum": lambda m, x: curvature_spectrum(m, x, Y, "cross_entropy", CurvatureOptions("hessian")),
    "dual_gram": lambda m, x: dual_gram(trace(m, x), x[0]),
    "dual_plan": lambda m, x: dual_plan(trace(m, x), x[0]),
    "estimate_fisher": lambda m, x: estimate_fisher(trace(m, x), x[0]),
    "estimate_jacobian": lambda m, x: estimate_jacobian(trace(m, x), x[0]),
    "freeness_test": lambda m, x: freeness_test(trace(m, x).chain, x[0]),
    "freeness_trace": lambda m, x: freeness_trace(m, x[:1]),
    "full_batch_descent": lambda m, x: full_batch_descent(m, x, Y, "cross_entropy", FullBatch(0.1, 2)),
    "jacobian_singular_values": lambda m, x: jacobian_singular_values(trace(m, x), x[0]),
    "measure_fisher": lambda m, x: measure_fisher(trace(m, x), x[0]),
    "measure_jacobian": lambda m, x: measure_jacobian(trace(m, x), x[0]),
    "ntk_gram": lambda m, x: ntk_gram(trace(m, x), x),
    "observe": lambda m, x: observe(m, lambda: nn.functional.cross_entropy(m(x), Y), training=True),
    "packed": lambda m, x: packed(m, batch_of((x, Y), m)),
    "realised_neurons": lambda m, x: realised_neurons(trace(m, x), x[0]),
    "realised_signals": lambda m, x: realised_signals(trace(m, x), x[0]),
    "start_facts": lambda m, x: start_facts(m, (x, Y), "cross_entropy"),
    "trace": lambda m, x: trace(m, x),
}


def versions(model: nn.Module) -> list[int]:
    tensors = [*model.parameters(), *model.buffers(), *(p.grad for p in model.parameters() if p.grad is not None)]
    return [tensor._version for tensor in tensors]


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("fails", [False, True])
def test_the_model_and_a_graph_of_before_are_left_alone(name, fails):
    model = subject()
    before, counted, waiting = picture(model), versions(model), loss(model)
    if fails:
        with pytest.raises((FreenessError, RuntimeError)):
            CALLS[name](model, torch.full((8, 5), torch.nan))
    else:
        CALLS[name](model, X)
    assert versions(model) == counted
    assert_same(before, picture(model))
    waiting.backward()


@pytest.mark.parametrize("name", CALLS)
def test_autocast_changes_nothing(name):
    model = subject()
    before = picture(model)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        try:
            CALLS[name](model, X)
        except FreenessError as error:
            assert str(error).startswith("expected")
    assert_same(before, picture(model))


def test_under_autocast_the_numbers_are_those_of_the_model_itself():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 12), nn.Tanh(), nn.Linear(12, 3))
    plain = analyze(model, (X, Y))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = analyze(model, (X, Y))
    assert cast.learning_rate == plain.learning_rate and cast.layers == plain.layers
    assert cast.fisher.measured.eigenvalues.tolist() == plain.fisher.measured.eigenvalues.tolist()


def test_writes_of_the_model_itself_leave_no_version():
    class Writes(nn.Linear):
        def forward(self, x):
            with torch.no_grad():
                self.weight.mul_(1.0)
                self.bias.add_(0.0)
            return super().forward(x)

    torch.manual_seed(0)
    model = Writes(4, 3)
    counted, waiting = versions(model), nn.functional.linear(X, model.weight).tanh().sum()
    analyze(model, (X, Y))
    assert versions(model) == counted
    waiting.backward()
