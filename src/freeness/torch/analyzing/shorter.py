"""Shorter sequences, for models that learn something at every place of them: less of each sample where not all of it fits."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from freeness.errors import InputError
from freeness.torch.measured.plan import SHORTEST
from freeness.torch.model.outputs import run, select_output
from freeness.torch.model.state import untouched
from freeness.torch.request.packing import cropped


def places_of(model: nn.Module, inputs: Tensor, targets: Tensor) -> int:
    """How many places the sequences have, where the model takes shorter ones too and every place has a class; else 0.

    Example:
        >>> table = nn.Embedding(5, 3)
        >>> tokens = torch.zeros(2, 40, dtype=torch.int64)
        >>> places_of(table, tokens, tokens), places_of(table, tokens, tokens[:, 0])
        (40, 0)
    """
    if targets.ndim != 2 or targets.is_floating_point() or targets.shape[1] < 2 * SHORTEST:
        return 0
    one, x, _ = shortened(model, inputs[:1], targets[:1], SHORTEST)
    try:
        with untouched(one, copies=list(one.buffers())), torch.no_grad():
            outputs = select_output(run(one, x))[1]
    except InputError:
        return 0
    return targets.shape[1] if outputs.ndim == 3 and outputs.shape[1] == SHORTEST else 0


def shortened(model: nn.Module, inputs: Tensor, targets: Tensor, length: int) -> tuple[nn.Module, Tensor, Tensor]:
    """The model with the first places of its inputs and targets; it shares all parameters with the given one.

    Example:
        >>> tokens = torch.zeros(2, 40, dtype=torch.int64)
        >>> [one.shape for one in shortened(nn.Embedding(5, 3), tokens, tokens, 8)[1:]]
        [torch.Size([2, 8]), torch.Size([2, 8])]
    """
    one, rows = cropped(model, inputs, targets.shape[1], length)
    return one, rows, targets[:, :length]
