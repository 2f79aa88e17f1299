"""Which tensor of a model's output is looked at, and how a model is run for that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from torch import Tensor, nn

from freeness.errors import InputError

OutputKey = str | int | None


def select_output(returned: Any, key: OutputKey = None) -> tuple[str, Tensor]:
    """The tensor that is looked at, and where it lies: "" (all there is), "logits", "0", "decoder.0".

    Args:
        returned: what the model returned: a tensor, or tuples, lists, mappings and dataclasses of tensors.
        key: the name or number of a part; the first floating tensor when left out.

    Raises:
        InputError: no such part, or no floating tensor.

    Example:
        >>> import torch
        >>> place, tensor = select_output({"mask": torch.ones(2, dtype=torch.int64), "logits": torch.ones(2)})
        >>> place
        'logits'
    """
    found = dict(_tensors(returned, ""))
    for place, tensor in found.items():
        wanted = key is None or place == str(key) or place.startswith(f"{key}.")
        if wanted and tensor.is_floating_point():
            return place, tensor
    listed = ", ".join(f"{place or 'the output'} ({tensor.dtype})" for place, tensor in found.items()) or "no tensor"
    wanted = "a real floating tensor among the outputs" if key is None else f"a floating output {key!r}"
    raise InputError(f"expected {wanted}, got {listed}; pass output=… with one of the names, or return a tensor.")


def _tensors(value: Any, place: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield place, value
        return
    parts: Any = ()
    if isinstance(value, Mapping):
        parts = value.items()
    elif isinstance(value, tuple | list):
        parts = enumerate(value)
    elif is_dataclass(value):
        parts = ((field.name, getattr(value, field.name)) for field in fields(value))
    for key, part in parts:
        yield from _tensors(part, f"{place}.{key}" if place else str(key))


def run(model: nn.Module, example: Tensor) -> Any:
    """What the model returns, or one sentence about why it fails.

    Raises:
        InputError: whatever the model raises.

    Example:
        >>> import torch
        >>> run(nn.Identity(), torch.ones(2))
        tensor([1., 1.])
    """
    try:
        return model(example)
    except Exception as error:  # whatever the user's forward raises is told in one sentence
        first = next((layer for layer in model.modules() if isinstance(layer, nn.Linear)), None)
        wanted = (
            "an input that the model accepts"
            if first is None
            else f"an input of in_features = {first.in_features} a sample"
        )
        what = (str(error).splitlines() or [""])[0]
        raise InputError(
            f"expected {wanted}, got shape {tuple(example.shape)}, on which the model fails ({type(error).__name__}: "
            f"{what}); reshape the input or correct the model."
        ) from error
