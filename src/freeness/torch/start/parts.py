"""What the tensors of a module are for: matrices and the pieces they are packed of, biases, tables, scales and shifts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import singledispatch
from typing import Literal

from torch import nn

from freeness.torch.start.kernels import Convolution

Role = Literal["matrix", "bias", "table", "scale", "shift", "foreign", "own"]
NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_PACKED = ("c_attn", "qkv", "Wqkv", "qkv_proj", "to_qkv", "in_proj_qkv")  # query, key and value, one below the other


@dataclass(frozen=True)
class TensorPart:
    """What one tensor of a module is for.

    A "matrix" multiplies signals: ``pieces`` of it, each of ``fan_out`` × ``fan_in``, lie one after the other along the outputs'
    axis, the last one where ``transposed``. The pieces of a "bias" are those of its matrix; ``constant`` is what a piece starts
    at in place of a draw. A "table" is looked up, but for its row ``padding``. "scale" and "shift" are those of torch's
    normalisations, "foreign" those of another library's, which may be added to 1. "own": what it is for is the model's affair.
    """

    role: Role
    fan_in: int = 1
    fan_out: int = 1
    pieces: tuple[str, ...] = ("",)
    transposed: bool = False
    constant: tuple[float | None, ...] = (None,)
    padding: int | None = None


def is_normalisation(module: nn.Module) -> bool:
    """Whether it is one, of torch or of another library, by its name; what torch norms weights with is none of signals.

    Example:
        >>> is_normalisation(nn.LayerNorm(2)), is_normalisation(nn.Linear(2, 2))
        (True, False)
    """
    kind = type(module)
    return "Norm" in kind.__name__ and not kind.__module__.startswith("torch.nn.utils.")


@singledispatch
def parts_of(module: nn.Module) -> dict[str, TensorPart]:
    """The module's own tensors by name; register a function for a kind of module of your own.

    Modules of other libraries are known by their names: Conv1D of transformers, and normalisations of any library.

    Example:
        >>> parts_of(nn.GRU(3, 4))["weight_ih_l0"].pieces, parts_of(nn.Embedding(5, 2))["weight"].role
        (('reset', 'update', 'new'), 'table')
    """
    names = [name for name, value in module._parameters.items() if value is not None]
    if any(
        f"{kind.__module__}.{kind.__name__}" == "transformers.pytorch_utils.Conv1D" for kind in type(module).__mro__
    ):
        fan_in, fan_out = module._parameters["weight"].shape  # pyright: ignore[reportOptionalMemberAccess]
        return {
            "weight": TensorPart("matrix", fan_in, fan_out, transposed=True),
            "bias": TensorPart("bias", fan_in, fan_out),
        }
    if is_normalisation(module):
        return {name: TensorPart("foreign") for name in names}
    return {name: TensorPart("own") for name in names}


@parts_of.register
def _(module: nn.Linear) -> dict[str, TensorPart]:
    sizes = (module.in_features, module.out_features)
    return {"weight": TensorPart("matrix", *sizes), "bias": TensorPart("bias", *sizes)}


@parts_of.register
def _(module: Convolution) -> dict[str, TensorPart]:
    """Fans of one group: an output sees fan_in numbers; of a transposed one taps/stride of the taps."""
    taps = math.prod(module.kernel_size)
    strides = math.prod(module.stride) if module.transposed else 1
    fan_in = max(module.in_channels // module.groups * taps // strides, 1)
    sizes = (fan_in, module.out_channels // module.groups)
    return {"weight": TensorPart("matrix", *sizes), "bias": TensorPart("bias", *sizes)}


@parts_of.register
def _(module: nn.MultiheadAttention) -> dict[str, TensorPart]:
    width, names = module.embed_dim, ("query", "key", "value")
    keys, values = module.kdim or width, module.vdim or width
    return {
        "in_proj_weight": TensorPart("matrix", width, width, names),
        "q_proj_weight": TensorPart("matrix", width, width),
        "k_proj_weight": TensorPart("matrix", keys, width),
        "v_proj_weight": TensorPart("matrix", values, width),
        "in_proj_bias": TensorPart("bias", width, width, names, constant=(None, None, None)),
        "bias_k": TensorPart("own"),
        "bias_v": TensorPart("own"),
    }


def _gates(module: nn.Module) -> tuple[str, ...]:
    if isinstance(module, nn.LSTM | nn.LSTMCell):
        return ("input", "forget", "cell", "output")
    return ("reset", "update", "new") if isinstance(module, nn.GRU | nn.GRUCell) else ("",)


@parts_of.register(nn.RNNBase)
@parts_of.register(nn.RNNCellBase)
def _(module: nn.RNNBase | nn.RNNCellBase) -> dict[str, TensorPart]:
    """Gates one by one. Only one of the two biases that are added is drawn; an LSTM's gate of forgetting starts open, at 1."""
    gates, found = _gates(module), {}
    for name, value in module._parameters.items():
        if value is None:
            continue
        if name.startswith("weight_hr"):
            found[name] = TensorPart("matrix", value.shape[1], value.shape[0])
        elif name.startswith("weight"):
            found[name] = TensorPart("matrix", value.shape[1], len(value) // len(gates), gates)
        else:
            drawn = name.startswith("bias_ih")
            start = tuple((1.0 if gate == "forget" else None) if drawn else 0.0 for gate in gates)
            found[name] = TensorPart("bias", 1, len(value) // len(gates), gates, constant=start)
    return found


@parts_of.register(nn.Embedding)
@parts_of.register(nn.EmbeddingBag)
def _(module: nn.Embedding | nn.EmbeddingBag) -> dict[str, TensorPart]:
    return {"weight": TensorPart("table", module.num_embeddings, module.embedding_dim, padding=module.padding_idx)}


def _norm(module: nn.Module) -> dict[str, TensorPart]:
    return {"weight": TensorPart("scale"), "bias": TensorPart("shift")}


for _kind in NORMS:
    parts_of.register(_kind, _norm)


def packed(name: str, part: TensorPart) -> TensorPart:
    """The part with query, key and value apart, where its module's name says that one matrix gives all three.

    Example:
        >>> packed("blocks.0.attn.qkv", TensorPart("matrix", 8, 24)).fan_out
        8
    """
    if name.rpartition(".")[2] not in _PACKED or part.fan_out != 3 * part.fan_in or len(part.pieces) > 1:
        return part
    pieces = ("query", "key", "value")
    return TensorPart(part.role, part.fan_in, part.fan_in, pieces, part.transposed, (None, None, None))
