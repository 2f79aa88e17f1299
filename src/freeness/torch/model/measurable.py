"""Models whose tensors nobody can measure, refused before anything is run."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from freeness.errors import InputError


def check_measurable(model: nn.Module) -> None:
    """Refuse what has no numbers to measure: compiled code without its module, tensors without memory, matrices without entries.

    Example:
        >>> check_measurable(nn.Linear(2, 1))
    """
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            place = f" in {name!r}" if name else ""
            raise InputError(
                f"expected modules of torch.nn, got {module.original_name} of TorchScript{place}, whose code is fixed; pass what "
                "it was made of."
            )
    for name, value in (*model.named_parameters(), *model.named_buffers()):
        if isinstance(value, nn.UninitializedParameter | nn.UninitializedBuffer):
            raise InputError(f"expected initialised parameters, got the lazy {name!r}; run the model once first.")
        if value.is_meta:
            raise InputError(
                f"expected tensors with memory, got a meta tensor in {name!r}; materialise the model first, as by to_empty."
            )
    for name, parameter in model.named_parameters():
        check_dense(parameter, f"in {name!r}")
        if parameter.ndim > 1 and parameter.numel() == 0:
            raise InputError(
                f"expected layers of width 1 or more, got {name!r} of shape {tuple(parameter.shape)}; widen that layer, or leave "
                "it out."
            )


def check_dense(value: Tensor, place: str) -> None:
    """Refuse sparse and nested tensors.

    Example:
        >>> check_dense(torch.eye(2), "among the inputs")
    """
    if value.is_nested:
        raise InputError(f"expected a plain tensor, got a nested one {place}; pad it, as by to_padded_tensor.")
    if str(value.layout).startswith("torch.sparse"):
        raise InputError(f"expected a dense tensor, got {value.layout} {place}; convert it by to_dense().")
