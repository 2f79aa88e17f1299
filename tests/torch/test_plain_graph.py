"""Graphs of well-known layers beside torch.export's."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from freeness.torch.record.graph_view import GraphView, export
from freeness.torch.record.plain_graph import plain_graph


class Skipped(nn.Module):
    """A user's own module: layers, functions and a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.inner, self.act = nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4), nn.SiLU()), nn.Tanh()

    def forward(self, x: Tensor) -> Tensor:
        hidden = functional.relu(self.first(x))
        return self.act(hidden + self.act(self.inner(hidden)))


class Branching(Skipped):
    """Its way hangs on values."""

    def forward(self, x: Tensor) -> Tensor:
        return self.first(x) if float(x.sum()) > 0 else self.act(self.first(x))


class Powers(Skipped):
    """A function that is not listed."""

    def forward(self, x: Tensor) -> Tensor:
        return self.first(x) ** 2


def layers() -> nn.Sequential:
    inner = nn.Sequential(nn.Linear(4, 3, bias=False), nn.Dropout(0.1), nn.Identity(), nn.Sigmoid())
    return nn.Sequential(
        nn.Linear(4, 4), nn.GELU(), inner, nn.Linear(3, 4), nn.ReLU(), nn.GELU("tanh"), nn.SiLU(), nn.Tanh()
    )


def told(view: GraphView) -> list[Any]:
    """Calls with names, arguments, shapes and places; parameters that are read."""
    calls: list[Any] = []
    known = {name: f"input {place}" for place, name in enumerate(view.inputs)}
    for node in view.nodes:
        if node.op == "call_function":
            names = [getattr(one, "name", one) for one in node.args]
            arguments = [known.get(name, name) if isinstance(name, str) else name for name in names]
            place = (view.module(node), view.operation_path(node))
            calls.append((node.name, node.target, arguments, dict(node.kwargs), tuple(node.meta["val"].shape), place))
    read = {name: (path, id(tensor)) for name, (path, tensor) in view.tensors.items()}
    return [calls, len(view.inputs), read, view.returned.name]


@pytest.mark.parametrize("make", [layers, Skipped, nn.Tanh])
@pytest.mark.parametrize("shape", [(4,), (2, 4)])
def test_it_is_the_graph_that_torch_exports(make: Any, shape: tuple[int, ...]) -> None:
    model, x = make().eval(), torch.ones(shape)
    plain, exported = plain_graph(model, x), export(model, x)
    assert plain is not None and exported is not None
    assert told(plain) == told(exported)


def hooked() -> nn.Module:
    model = layers()
    model[0].register_forward_hook(lambda *_: None)
    return model


def instead() -> nn.Module:
    model = layers()
    model[1].forward = torch.tanh
    return model


@pytest.mark.parametrize(
    "make",
    [
        Branching,
        Powers,
        hooked,
        instead,
        lambda: nn.Sequential(nn.Linear(4, 4), nn.ReLU(inplace=True)),
        lambda: nn.Sequential(parametrizations.orthogonal(nn.Linear(4, 4))),
        lambda: nn.Sequential(nn.Linear(4, 4), nn.Softplus()),
    ],
)
def test_what_is_not_known_for_certain_is_left_to_torch_export(make: Any) -> None:
    assert plain_graph(make().eval(), torch.ones(2, 4)) is None


@pytest.mark.slow
def test_a_first_trace_of_well_known_layers_loads_no_exporter() -> None:
    code = """
import sys, torch
from freeness.torch import trace
trace(torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Tanh()), torch.ones(1, 3))
assert "torch.export._trace" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
