"""Every tensor of a model once: whose it is, what it is for, and why it is not to be written, if so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin

from freeness.errors import InputError
from freeness.torch.start.parts import TensorPart, packed, parts_of


@dataclass(frozen=True, eq=False)
class ModelTensor:
    """One tensor of a model.

    ``name``: the first of its names in ``state_dict``, ``also``: the others, under which it is shared; ``module``: whose it is;
    ``part``: what it is for, that of a table where any of its owners is one. ``kept``: why it is never written, or "".
    ``tied``: whether a table is a matrix as well, as in language models whose last layer is their embedding.
    """

    name: str
    value: Tensor
    module: str
    part: TensorPart
    also: tuple[str, ...] = ()
    kept: str = ""
    tied: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor."""
        return tuple(self.value.shape)


def tensors_of(model: nn.Module) -> tuple[ModelTensor, ...]:
    """Every parameter and buffer of a model, each once, in the order of its modules.

    Never written: buffers, and frozen parameters, unless all are, as in a copy for inference. Beside frozen parameters neither
    matrices that are 0, as an adapter's second factor is (Hu et al. 2021), nor biases and scales whose module has no matrix to
    be drawn: they go on from where they are.

    Raises:
        InputError: a lazy or a meta tensor, a weight that is not floating point, or a computed one.

    Example:
        >>> [(one.name, one.part.role) for one in tensors_of(nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(3)))]
        [('0.weight', 'matrix'), ('0.bias', 'bias'), ('1.weight', 'scale'), ('1.bias', 'shift')]
    """
    names: dict[int, list[str]] = {}
    owners: dict[int, list[tuple[str, Tensor, TensorPart]]] = {}
    for module_name, module in model.named_modules():
        parts = parts_of(module)
        _check_computed(module_name, module, parts)
        for key, value in module._parameters.items():
            if value is None:
                continue
            name = f"{module_name}.{key}" if module_name else key
            part = packed(module_name, parts.get(key, TensorPart("own")))
            _check(name, value, part)
            names.setdefault(id(value), []).append(name)
            owners.setdefault(id(value), []).append((module_name, value, part))
    values = [found[0][1] for found in owners.values()]
    tuned = any(value.requires_grad for value in values) and not all(value.requires_grad for value in values)
    fresh = {
        found[0] for one in owners.values() for found in one if found[2].role == "matrix" and found[1].requires_grad
    }
    found = [_tensor(names[key], owners[key], fresh if tuned else None) for key in owners]
    buffers = [
        ModelTensor(name, value, name.rpartition(".")[0], TensorPart("own"), kept="a buffer, which is not trained")
        for name, value in model.named_buffers()
    ]
    return (*found, *buffers)


def _tensor(names: list[str], owners: list[tuple[str, Tensor, TensorPart]], fresh: set[str] | None) -> ModelTensor:
    """One of a model of which a part is frozen, where ``fresh`` are the modules with a matrix that is not."""
    module, value, part = next((one for one in owners if one[2].role == "table"), owners[0])
    tied = part.role == "table" and any(other.role == "matrix" for _, _, other in owners)
    kept = ""
    if fresh is not None and not value.requires_grad:
        kept = "frozen: it does not require a gradient"
    elif fresh is not None and part.role == "matrix" and not bool(value.any()):
        kept = "0 beside frozen weights, as the second factor of an adapter starts (Hu et al. 2021)"
    elif fresh is not None and part.role not in ("matrix", "table") and module not in fresh:
        kept = "tuned beside frozen weights, from where it is"
    return ModelTensor(names[0], value, module, part, tuple(names[1:]), kept, tied)


def _check_computed(name: str, module: nn.Module, parts: dict[str, TensorPart]) -> None:
    wanted = parts.get("weight")
    if isinstance(module, LazyModuleMixin) or (
        wanted is not None and wanted.role == "matrix" and module._parameters.get("weight") is None
    ):
        raise InputError(
            f"expected a plain weight in {name!r}, got a computed or lazy one; remove the parametrization or run "
            "the model once."
        )


def _check(name: str, value: Tensor, part: TensorPart) -> None:
    if isinstance(value, nn.UninitializedParameter):
        raise InputError(f"expected a plain weight, got the lazy {name!r}; run the model once.")
    if value.is_meta:
        raise InputError(f"expected weights with memory, got a meta tensor in {name!r}; materialise the model first.")
    if part.role == "matrix" and not value.is_floating_point():
        raise InputError(
            f"expected floating-point weights, got {value.dtype} in {name!r}; convert the model by model.float()."
        )


def cut(value: Tensor, part: TensorPart) -> Iterator[tuple[str, Tensor]]:
    """The pieces of a tensor by name, as views of it; those of a matrix as (fan_out, fan_in).

    Example:
        >>> [(name, tuple(piece.shape)) for name, piece in cut(torch.ones(6, 2), TensorPart("matrix", 2, 3, ("a", "b")))]
        [('a', (3, 2)), ('b', (3, 2))]
    """
    laid = value.T if part.transposed else value
    yield from zip(part.pieces, torch.chunk(laid, len(part.pieces)), strict=True)
