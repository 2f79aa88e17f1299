"""The graph of a model of well-known layers without torch.export, whose first call imports a second's worth of modules.

torch.fx follows the model's own forward; every layer is then written as the one ATen call that it is. Any other layer,
function or flow is left to torch.export, and what was read is proven as its graphs are.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.modules import module as modules

from freeness.torch.record.graph_view import GraphView

_ATEN = torch.ops.aten
_Given = tuple[tuple[Any, ...], dict[str, Any]]  # behind the signal

_LAYERS: dict[type[nn.Module], tuple[Any, Callable[[Any], _Given]]] = {
    nn.Tanh: (_ATEN.tanh.default, lambda layer: ((), {})),
    nn.Sigmoid: (_ATEN.sigmoid.default, lambda layer: ((), {})),
    nn.ReLU: (_ATEN.relu.default, lambda layer: ((), {})),
    nn.GELU: (
        _ATEN.gelu.default,
        lambda layer: ((), {} if layer.approximate == "none" else {"approximate": layer.approximate}),
    ),
    nn.SiLU: (_ATEN.silu.default, lambda layer: ((), {})),
    nn.Dropout: (_ATEN.dropout.default, lambda layer: ((layer.p, False), {})),
}
_FUNCTIONS: dict[Any, Any] = {
    torch.tanh: _ATEN.tanh.default,
    torch.relu: _ATEN.relu.default,
    nn.functional.relu: _ATEN.relu.default,
    torch.sigmoid: _ATEN.sigmoid.default,
    nn.functional.gelu: _ATEN.gelu.default,
    nn.functional.silu: _ATEN.silu.default,
    operator.add: _ATEN.add.Tensor,
}


def plain_graph(model: nn.Module, example: Tensor) -> GraphView | None:
    """The graph that torch.export would make, or None where something else than well-known layers may run.

    Example:
        >>> from freeness.torch.record.graph_view import node_name
        >>> view = plain_graph(nn.Sequential(nn.Linear(2, 1), nn.Tanh()).eval(), torch.ones(1, 2))
        >>> [node_name(node) for node in view.nodes if node.op == "call_function"]
        ['linear', 'tanh']
    """
    if any(map(_overridden, model.modules())) or modules._global_forward_hooks or modules._global_forward_pre_hooks:
        return None
    leaves = [one for one in model.modules() if not any(True for _ in one.children())]
    if not all(type(leaf) in (nn.Linear, nn.Identity, *_LAYERS) for leaf in leaves):
        return None
    try:
        traced = fx.Tracer().trace(model)
    except Exception:  # of the user's own code, which meets stand-ins here
        return None
    return _Writer(model, example).view(traced)


def _overridden(one: nn.Module) -> bool:
    """Whether something else than the forward of its class may run, or a layer writes into its input."""
    own = vars(one)
    return bool("forward" in own or own["_forward_hooks"] or own["_forward_pre_hooks"] or own.get("inplace"))


class _Writer:
    """The calls of a graph of torch.fx, written as ATen's."""

    def __init__(self, model: nn.Module, example: Tensor) -> None:
        self.model, self.example = model, example
        self.graph, self.tensors = fx.Graph(), dict[str, tuple[str, Tensor]]()
        self.parameters: dict[str, fx.Node] = {}
        self.known: dict[fx.Node, fx.Node] = {}

    def view(self, traced: fx.Graph) -> GraphView | None:
        """None where a call is not known."""
        nodes = list(traced.nodes)
        given = [node for node in nodes if node.op == "placeholder"]
        if len(given) != 1:
            return None
        for name, parameter in self.model.named_parameters():
            made = self.graph.placeholder(f"p_{name.replace('.', '_')}")
            made.meta["val"] = parameter.detach().to("meta")
            self.parameters[name], self.tensors[made.name] = made, (name, parameter)
        start = self.graph.placeholder(given[0].name)
        start.meta["val"] = self.example.detach().to("meta")
        self.known[given[0]] = start
        for node in nodes:
            if node.op == "output":
                if not isinstance(node.args[0], fx.Node):
                    return None
                self.graph.output((self.known[node.args[0]],))
            elif node.op != "placeholder" and not self._written(node):
                return None
        return GraphView(self.model, self.graph, [start.name], self.tensors)

    def _written(self, node: fx.Node) -> bool:
        if any(node.kwargs.values()) or not node.args or not all(isinstance(one, fx.Node) for one in node.args):
            return False
        signals = (
            tuple(self.known[one] for one in node.all_input_nodes) if len(set(node.args)) == len(node.args) else ()
        )
        if not signals:
            return False
        value = signals[0].meta["val"]
        if node.op == "call_function" and node.target in _FUNCTIONS:
            if len(signals) != 1 + (node.target is operator.add) or any(
                one.meta["val"].shape != value.shape for one in signals
            ):
                return False
            self._add(node, _FUNCTIONS[node.target], signals, {}, value)
            return True
        if node.op != "call_module" or len(signals) != 1:
            return False
        layer = self.model.get_submodule(str(node.target))
        if type(layer) is nn.Identity:
            self.known[node] = signals[0]
        elif type(layer) is nn.Linear:
            names = [f"{node.target}.{name}".strip(".") for name, one in layer._parameters.items() if one is not None]
            if any(name not in self.parameters for name in names):  # one layer by two names
                return False
            value = value.new_empty((*value.shape[:-1], layer.out_features))
            self._add(node, _ATEN.linear.default, (*signals, *(self.parameters[name] for name in names)), {}, value)
        else:
            target, settings = _LAYERS[type(layer)]
            more, named = settings(layer)
            self._add(node, target, (*signals, *more), named, value)
        return True

    def _add(self, node: fx.Node, target: Any, args: tuple[Any, ...], named: dict[str, Any], value: Tensor) -> None:
        made = self.graph.create_node("call_function", target, args, named, name=target.__name__.split(".")[0])
        stack = {key: (path, kind) for key, (path, kind) in (node.meta.get("nn_module_stack") or {}).items()}
        made.meta["nn_module_stack"] = {"": ("", _named(type(self.model)))} | {
            key: (path, _named(kind)) for key, (path, kind) in stack.items()
        }
        made.meta["val"] = value
        self.known[node] = made


def _named(kind: Any) -> str:
    return f"{kind.__module__}.{kind.__qualname__}" if isinstance(kind, type) else str(kind)
