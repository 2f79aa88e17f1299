"""The graph of torch.export with the model's own tensors and module paths."""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from typing import Any

import torch
from torch import Tensor, nn
from torch._C._functorch import is_batchedtensor
from torch._ops import OpOverload
from torch.export.graph_signature import ConstantArgument, InputKind
from torch.fx import Graph, Node

from freeness.torch.model.walks import reached
from freeness.torch.record.elementwise import operation_name

_LOG = logging.getLogger(__name__)
_EXPORT_LOGGERS = ("torch.export._trace", "torch.fx.experimental.symbolic_shapes")


class GraphView:
    """One graph of ATen's calls of ``model``; ``prefix`` is the model's path inside the one that the user knows.

    ``inputs`` names what the user gives, ``tensors`` says name and tensor of every other placeholder.
    """

    def __init__(
        self,
        model: nn.Module,
        graph: Graph,
        inputs: list[str],
        tensors: dict[str, tuple[str, Tensor]],
        prefix: str = "",
    ) -> None:
        self.model, self.graph, self.inputs, self.tensors, self.prefix = model, graph, inputs, tensors, prefix

    @classmethod
    def exported(cls, model: nn.Module, example: Tensor, prefix: str = "") -> GraphView:
        """By torch.export."""
        program = torch.export.export(model, (example,), strict=False)
        inputs: list[str] = []
        tensors: dict[str, tuple[str, Tensor]] = {}
        for spec in program.graph_signature.input_specs:
            if isinstance(spec.arg, ConstantArgument):
                continue
            if spec.kind == InputKind.USER_INPUT:
                inputs.append(spec.arg.name)
            else:
                target = str(spec.target)
                tensors[spec.arg.name] = (target, _tensor(model, spec.kind, target, program.constants))
        return cls(model, program.graph, inputs, tensors, prefix)

    @property
    def nodes(self) -> Iterator[Node]:
        """All nodes in the order of the forward pass."""
        return iter(self.graph.nodes)

    @property
    def returned(self) -> Any:
        """The node of the tensor that the model returns; the first of several."""
        output = next(node for node in self.nodes if node.op == "output")
        given: Any = output.args[0]
        return given[0]

    @property
    def regions(self) -> bool:
        """Whether what is returned comes out of graphs inside the graph, as those of autocast and of branches are."""
        last = self.returned if isinstance(self.returned, Node) else None
        return any(node.op == "get_attr" for node in reached([last], lambda node: node.all_input_nodes))

    @property
    def vmapped(self) -> bool:
        """Whether calls stand inside a vmap, outside of which they cannot be run again."""
        values = (node.meta.get("val") for node in self.nodes)
        return any(isinstance(one, Tensor) and is_batchedtensor(one) for one in values)

    def path(self, name: str) -> str:
        """A name inside the model as the user knows it."""
        return ".".join(part for part in (self.prefix, name) if part)

    def module(self, node: Node) -> tuple[str, str]:
        """Path and class of the module in whose forward the call stands."""
        stack = list((node.meta.get("nn_module_stack") or {}).values())
        path, kind = stack[-1] if stack else ("", "")
        return re.sub(r"@\d+", "", path), str(kind).rsplit(".", 1)[-1]

    def operation_path(self, node: Node) -> str:
        """The module's path, and the call's name where the module is more than this call."""
        path, _ = self.module(node)
        own = not path or any(True for _ in self.model.get_submodule(path).parameters())
        return self.path(f"{path}.{node_name(node)}".strip(".") if own else path)


def _tensor(model: nn.Module, kind: InputKind, target: str, constants: Mapping[str, Any]) -> Tensor:
    """The model's own tensor, so that steps are views and never copies."""
    if kind == InputKind.PARAMETER:
        return model.get_parameter(target)
    if kind == InputKind.BUFFER:
        return model.get_buffer(target)
    constant = constants[target]
    if not isinstance(constant, Tensor):
        raise TypeError(f"{target} is no tensor")  # a generator, for one: hooks read the model then
    return constant


def node_target(node: Node) -> OpOverload:
    """The ATen call of a node that is one."""
    assert isinstance(node.target, OpOverload)
    return node.target


def node_name(node: Node) -> str:
    """The call's name: ``conv2d``, ``relu``; ``getitem`` and the like for calls that are not ATen's."""
    if isinstance(node.target, OpOverload):
        return operation_name(node.target)
    return getattr(node.target, "__name__", str(node.target))


def export(model: nn.Module, example: Tensor, prefix: str = "") -> GraphView | None:
    """The graph of a model, or None where torch.export cannot read it; what it says about that is kept from the user.

    Args:
        model: in the mode in which it is to be read; a forward pass was seen to work.
        example: an input.
        prefix: path of the model inside the one that the user knows.

    Example:
        >>> view = export(nn.Linear(2, 1), torch.ones(1, 2))
        >>> [node_name(node) for node in view.nodes if node.op == "call_function"]
        ['linear']
    """
    with _quiet():
        try:
            return GraphView.exported(model, example, prefix)
        except Exception as error:  # torch.export raises many types
            _LOG.info("torch.export could not read %s (%s)", type(model).__name__, type(error).__name__)
            return None


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what torch.export says about models that it cannot read (a whole graph) from the user, who cannot use it."""
    talkers = [logger for logger in map(logging.getLogger, _EXPORT_LOGGERS) if not logger.disabled]
    for logger in talkers:
        logger.disabled = True
    try:
        with redirect_stderr(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger in talkers:
            logger.disabled = False
