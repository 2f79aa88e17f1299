"""Weights that are copies of one another, which theory takes for independent ones."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_WRITTEN = 2  # different numbers at most of constants and identities


def copied_weights(model: nn.Module) -> dict[str, str]:
    """Matrices of weights that hold the numbers of an earlier one, by name, and the name of that one.

    Weights that are used twice are one tensor and no copies. Constants, multiples of an identity and equal rows are no draws. A
    frozen copy of what is trained is a teacher, and meant to be one.

    Example:
        >>> layer = nn.TransformerEncoderLayer(8, 2, 16)
        >>> found = copied_weights(nn.TransformerEncoder(layer, 2, enable_nested_tensor=False))  # it copies the layer
        >>> sorted(found)[0], found["layers.1.linear1.weight"]
        ('layers.1.linear1.weight', 'layers.0.linear1.weight')
    """
    known: dict[tuple[object, ...], list[tuple[str, Tensor]]] = {}  # by what copies have in common
    found: dict[str, str] = {}
    for name, weights in model.named_parameters():
        value = weights.detach()
        if value.layout != torch.strided or value.ndim < 2 or value.numel() < 2:
            continue
        ends = value.flatten()[[0, -1]].tolist()
        earlier = known.setdefault((value.shape, value.dtype, value.device, weights.requires_grad, *ends), [])
        twin = next((one for one, other in earlier if torch.equal(other, value)), None)
        if twin is None:
            earlier.append((name, value))
        elif not _is_written(value):
            found[name] = twin
    return found


def _is_written(value: Tensor) -> bool:
    """Whether it is written down and not drawn: a constant, an identity, or the same row, or column, all over.

    Rows alike are how a state space starts, A_n = -n - ½ in every channel.

    Example:
        >>> _is_written(torch.arange(3.0).expand(4, 3)), _is_written(torch.randn(4, 3))
        (True, False)
    """
    alike = bool((value == value[:1]).all()) or bool((value == value[..., :1]).all())
    return alike or value.unique().numel() <= _WRITTEN


def copies_note(model: nn.Module) -> tuple[str, ...]:
    """What to know of copies, and to do.

    Example:
        >>> copies_note(nn.Linear(3, 2))
        ()
    """
    found = copied_weights(model)
    if not found:
        return ()
    name, twin = next(iter(found.items()))
    others = len(found) - 1
    more = f", and {others} more tensor{'s are copies' if others > 1 else ' is a copy'} as well" if others else ""
    return (
        f"{name} is a copy of {twin}{more}. nn.TransformerEncoder, for one, copies its layer. Such layers add up, where theory "
        "takes weights to be independent. Draw every layer anew, as initialize_(model) of freeness.torch does.",
    )
