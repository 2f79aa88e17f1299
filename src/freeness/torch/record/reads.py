"""Through which activations the weights of a model read their signals."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from torch.autograd.graph import Node

from freeness.gaussian import ActivationFunction, activation, entries, second_moment
from freeness.torch.record.wired_graph import WiredGraph, operation_of

_RECTIFIED = 0.5  # of what has no name here, as a rectifier gives
_LINEAR = ("add", "sub", "convolution", "linear", "mm", "bmm", "addmm", "baddbmm", "embedding")


def mean_squares_read(graph: WiredGraph) -> Mapping[str, float]:
    """E φ(z)², z ~ N(0, 1), of the activation in front of each weight, by the weight's name; 1 where there is none.

    Where several signals are laid side by side it is their mean. What an activation of the table does is read off its node;
    products of signals and functions without a name count as rectifiers. Pooling and dropout are passed as if they did nothing.
    """
    found: dict[str, float] = {}
    for node in graph.order:
        name = graph.weight(node)
        if name is None or name in found:
            continue
        fronts = list(graph.behind(graph.signals(node)))
        found[name] = fmean(_mean_square(one, graph) for one in fronts) if fronts else 1.0
    return found


def _mean_square(node: Node, graph: WiredGraph) -> float:
    name, signals = operation_of(node), graph.signals(node)
    if not signals or name.endswith(_LINEAR) or "norm" in name:
        return 1.0
    function = _function(node, graph)
    return _RECTIFIED if function is None else second_moment(function, 1.0).value


def _function(node: Node, graph: WiredGraph) -> ActivationFunction | None:
    """The entry of the table that a node is, by its name and the numbers that it keeps."""
    name = operation_of(node)
    if name == "prelu_kernel":  # x where it is above 0, and a trained number times x below
        slopes = [float(graph.values[one].detach().mean()) for one in graph.parameters(node)]
        return activation("leaky_relu", negative_slope=slopes[0]) if slopes else None
    numbers = _numbers(node)
    for entry in entries():
        reader = entry.torch.calls.get(name)
        parameters = None if reader is None else reader(numbers)
        if parameters is not None:
            return activation(entry.name, **parameters)
    return None


def _numbers(node: Node) -> dict[str, Any]:
    """What autograd keeps of a call beside tensors, by the names of its arguments."""
    kept = {key.removeprefix("_saved_") for key in dir(node) if key.startswith("_saved_")}
    tensors = {key.removeprefix("_raw_saved_") for key in dir(node) if key.startswith("_raw_saved_")}
    return {key: getattr(node, f"_saved_{key}") for key in kept - tensors}
