"""Weights of a model from a file that may come from anybody: nothing in it is run."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from freeness.errors import InputError, brief
from freeness.files import ordinary_file
from freeness.torch.model.datafile import load_plain

_KEYS = 4  # names of tensors in a message
_LONGEST = 400  # of a name in a message


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors by name."""
    if path.suffix not in (".safetensors", ".pt"):
        raise InputError(
            f"expected weights as .safetensors or .pt, got {path.suffix or 'no ending'!r}; save them as one."
        )
    try:
        safe = path.suffix == ".safetensors"
        found = load_file(ordinary_file(path, "a .safetensors file")) if safe else load_plain(path)
    except InputError:
        raise
    except Exception as error:  # a damaged file makes its reader raise almost anything
        raise InputError(
            f"expected a readable {path.suffix} file, got {brief(error)}; save the weights again."
        ) from error
    if not isinstance(found, dict) or not found:
        raise InputError(f"expected a state_dict, got {type(found).__name__}; save model.state_dict().")
    for name, value in found.items():
        if not isinstance(name, str) or not isinstance(value, Tensor) or value.layout != torch.strided:
            raise InputError(
                "expected a state_dict of dense tensors by name, got other entries; save model.state_dict()."
            )
    return found


def load_weights_(model: nn.Module, weights: dict[str, Tensor], place: str = " of this architecture") -> None:
    """Copy weights into a model, all of them or none; ``place`` is said of what they should be.

    Example:
        >>> model = nn.Linear(2, 1)
        >>> load_weights_(model, {"weight": torch.ones(1, 2), "bias": torch.zeros(1)})
        >>> model.weight.tolist()
        [[1.0, 1.0]]
    """
    own = model.state_dict()
    missing, strange = [name for name in own if name not in weights], [name for name in weights if name not in own]
    if missing or strange:
        told = [
            f"{what} {_keys(names)}" for what, names in (("without", missing), ("with the unknown", strange)) if names
        ]
        raise InputError(
            f"expected the {len(own)} tensors{place}, got {len(weights)}, {' and '.join(told)}; choose the model that these "
            "weights belong to."
        )
    for name, value in weights.items():
        if value.shape != own[name].shape:
            raise InputError(
                f"expected {name} of shape {tuple(own[name].shape)}, got {tuple(value.shape)}; set depth and widths of the "
                "architecture to those of the weights."
            )
        if value.is_floating_point() and not bool(torch.isfinite(value.float()).all()):
            raise InputError(f"expected finite weights, got NaN or infinity in {name}; the training has diverged.")
    model.load_state_dict(weights)


def _keys(names: list[str]) -> str:
    shown = ", ".join(repr(name[:_LONGEST]) for name in names[:_KEYS])
    return shown + (f" and {len(names) - _KEYS} more" if len(names) > _KEYS else "")
