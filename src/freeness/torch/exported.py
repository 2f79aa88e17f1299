"""Read a model's steps from the graph of torch.export: Linear layers, elementwise functions, and nothing else."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import Tensor, nn
from torch._ops import OpOverload
from torch.export.graph_signature import ConstantArgument, InputKind
from torch.fx import Node

from freeness.errors import InputError
from freeness.torch.elementwise import Expression, Operation, Slot, is_elementwise, operation_name
from freeness.torch.steps import DenseStep, ElementwiseStep, Step

_SHAPES = {"flatten", "view", "reshape", "_unsafe_view", "squeeze", "unsqueeze", "view_as", "unflatten"}
_COPIES = {
    "contiguous",
    "clone",
    "alias",
    "lift_fresh_copy",
    "lift_fresh",
    "dropout",
    "feature_dropout",
    "alpha_dropout",
}
_CASTS = {"to", "_to_copy"}
_CHECKS = {"_assert_tensor_metadata"}


def exported_steps(model: nn.Module, example: Tensor, prefix: str = "") -> tuple[Step, ...]:
    """The steps of ``model`` on ``example`` (batch, …) or (features,), in the order of the forward pass.

    Args:
        model: the module, in the mode in which it is to be read.
        example: an input; its shape fixes what counts as the batch.
        prefix: path of ``model`` inside the model that the user knows, for messages and names.

    Raises:
        InputError: an operation that is neither Linear nor elementwise, named with its module path.
    """
    program = torch.export.export(model, (example,), strict=False)
    return _Walk(model, program, example, prefix).steps()


def _target(node: Node) -> OpOverload:
    assert isinstance(node.target, OpOverload)
    return node.target


def _name(node: Node) -> str:
    return operation_name(_target(node))


class _Walk:
    """One pass over the graph; a segment is the chain of elementwise calls between two weight layers."""

    def __init__(self, model: nn.Module, program: torch.export.ExportedProgram, example: Tensor, prefix: str) -> None:
        self.model, self.graph, self.prefix = model, program.graph, prefix
        self.batch = example.shape[0] if example.ndim > 1 else None
        self.tensors: dict[str, tuple[str, Tensor]] = {}
        self.inputs: list[str] = []
        for spec in program.graph_signature.input_specs:
            if isinstance(spec.arg, ConstantArgument):
                continue
            if spec.kind == InputKind.USER_INPUT:
                self.inputs.append(spec.arg.name)
            else:
                self.tensors[spec.arg.name] = (str(spec.target), self._tensor(program, spec.kind, str(spec.target)))
        self.done: list[Step] = []
        self.slots: dict[Node, Slot] = {}
        self.constants: dict[Node, tuple[str, Tensor]] = {}
        self.operations: list[Operation] = []
        self.names: list[str] = []

    def _tensor(self, program: torch.export.ExportedProgram, kind: InputKind, target: str) -> Tensor:
        """The model's own tensor, so that steps are views and never copies."""
        if kind == InputKind.PARAMETER:
            return self.model.get_parameter(target)
        if kind == InputKind.BUFFER:
            return self.model.get_buffer(target)
        constant = program.constants[target]
        if not isinstance(constant, Tensor):
            raise InputError(f"expected a model made of tensors, got the object {target}; remove it from forward.")
        return constant

    def steps(self) -> tuple[Step, ...]:
        for node in self.graph.nodes:
            if node.op == "placeholder":
                if node.name in self.tensors:
                    self.constants[node] = self.tensors[node.name]
                else:
                    self.slots[node] = Slot(0)
            elif node.op == "output":
                self._finish(node)
            else:
                self._call(node)
        return tuple(self.done)

    def _call(self, node: Node) -> None:
        if not isinstance(node.target, OpOverload):
            raise self._refusal(node, str(node.target))
        name = _name(node)
        source = node.args[0] if node.args else None
        if name == "linear":
            self._linear(node)
        elif name in _CHECKS:
            return
        elif isinstance(source, Node) and self._passes(name, node, source):
            if source in self.constants:
                self.constants[node] = self.constants[source]
            else:
                self.slots[node] = self._slot(node, source)
        elif is_elementwise(_target(node)):
            self._elementwise(node)
        else:
            raise self._refusal(node, name)

    def _passes(self, name: str, node: Node, source: Node) -> bool:
        """Whether the call hands its input on: shape change, copy, dropout that is off, cast to the same type."""
        if "dropout" in name:
            return node.args[2] is False
        if name in _CASTS:
            return node.meta["val"].dtype == source.meta["val"].dtype
        return name in _SHAPES or name in _COPIES

    def _linear(self, node: Node) -> None:
        source, weight, *rest = node.args
        bias = rest[0] if rest else node.kwargs.get("bias")
        self._check_features(node, source)
        slot = self._slot(node, source)
        weight_name, weight_tensor = self._parameter(node, weight)
        self._close(slot)
        bias_tensor = None if bias is None else self._parameter(node, bias)[1]
        name = re.sub(r"(^|\.)weight$", "", weight_name)
        self.done.append(DenseStep(self._path(name), weight_tensor, bias_tensor))
        self._open(node)

    def _elementwise(self, node: Node) -> None:
        arguments = [self._argument(node, a) for a in node.args]
        options = {key: self._argument(node, a) for key, a in node.kwargs.items()}
        if not any(isinstance(a, Slot) for a in (*arguments, *options.values())):
            raise self._refusal(node, f"{_name(node)} of constants")
        if not self.operations:
            self.names.append(self._activation_name(node))
        operation = Operation(_target(node), tuple(arguments), options)
        self.operations.append(operation)
        self.slots[node] = Slot(len(self.operations))
        if operation.target._schema.is_mutable and isinstance(node.args[0], Node):
            self.slots[node.args[0]] = self.slots[node]

    def _argument(self, node: Node, argument: Any) -> Any:
        """A slot, a plain constant, or the number inside a one-element constant tensor."""
        if not isinstance(argument, Node):
            return argument
        if argument not in self.constants:
            return self._slot(node, argument)
        name, tensor = self.constants[argument]
        if isinstance(tensor, nn.Parameter):
            raise self._refusal(node, f"{_name(node)} with the trained parameter {name!r}")
        if tensor.numel() != 1:
            raise self._refusal(node, f"{_name(node)} with the tensor {name!r}")
        return tensor.item()

    def _slot(self, node: Node, source: Any) -> Slot:
        if source not in self.slots:
            raise self._refusal(node, f"{_name(node)} on the output of an earlier layer (a skip or a branch)")
        return self.slots[source]

    def _parameter(self, node: Node, source: Any) -> tuple[str, Tensor]:
        name, tensor = self.constants.get(source, ("", None))
        if not isinstance(tensor, nn.Parameter):
            raise self._refusal(node, "Linear whose weight or bias is computed (a parametrization)")
        return name, tensor

    def _check_features(self, node: Node, source: Any) -> None:
        shape = tuple(source.meta["val"].shape)
        plain = (len(shape) == 2 and shape[0] == self.batch) or (len(shape) == 1 and self.batch in (None, 1))
        if not plain:
            raise self._refusal(node, f"Linear on a tensor of shape {shape} (one weight at several positions)")

    def _open(self, node: Node) -> None:
        self.slots, self.operations, self.names = {node: Slot(0)}, [], []

    def _close(self, result: Slot) -> None:
        if result.index > 0:
            self.done.append(ElementwiseStep(self.names[0], Expression(tuple(self.operations), result)))

    def _finish(self, node: Node) -> None:
        outputs: Any = node.args[0]
        if len(outputs) != 1 or not isinstance(outputs[0], Node):
            raise InputError(
                f"expected a model that returns one tensor, got {len(outputs)} outputs; wrap it to return one of them."
            )
        if outputs[0] not in self.slots:
            raise InputError(
                "expected an output that depends on the last layer, got another tensor; return the last layer."
            )
        self._close(self.slots[outputs[0]])

    def _path(self, name: str) -> str:
        return ".".join(part for part in (self.prefix, name) if part)

    def _module(self, node: Node) -> tuple[str, str]:
        """Path and class of the module in whose forward the call stands."""
        stack = list((node.meta.get("nn_module_stack") or {}).values())
        path, kind = stack[-1] if stack else ("", "")
        return re.sub(r"@\d+", "", path), str(kind).rsplit(".", 1)[-1]

    def _activation_name(self, node: Node) -> str:
        path, _ = self._module(node)
        own = not path or any(True for _ in self.model.get_submodule(path).parameters())
        return self._path(f"{path}.{_name(node)}".strip(".") if own else path)

    def _refusal(self, node: Node, what: str) -> InputError:
        path, kind = self._module(node)
        where = f"module {self._path(path)!r} ({kind})" if self._path(path) else "the forward of the model"
        return InputError(
            f"expected Linear layers and elementwise activations only, got {what} in {where}; "
            "replace it, or pass the part of the model without it."
        )
