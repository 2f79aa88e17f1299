"""What the command line needs of a model to design it and to save it."""

from __future__ import annotations

import io

import torch
from torch import nn

from freeness.errors import InputError
from freeness.torch.kernels import Convolution


def chain_widths(model: nn.Module) -> tuple[int, ...]:
    """N_0, …, N_L of a model whose weight layers follow one another: features of Linear, channels of convolutions.

    Where a flattening multiplies channels by positions, the Linear layer behind it counts with its own fan-in as the
    width before it.

    Args:
        model: any module.

    Raises:
        InputError: no weight layers, or layers that do not fit together, as in branches.

    Example:
        >>> chain_widths(nn.Sequential(nn.Linear(8, 5), nn.Tanh(), nn.Linear(5, 2)))
        (8, 5, 2)
    """
    layers = [(name, module) for name, module in model.named_modules() if isinstance(module, (nn.Linear, Convolution))]
    if not layers:
        raise InputError("expected a model with Linear or convolutional layers, got none; there is nothing to design.")
    widths: list[int] = []
    for name, layer in layers:
        fan_in = layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels
        if widths and fan_in != widths[-1]:
            if fan_in % widths[-1] or not isinstance(layer, nn.Linear):
                raise InputError(
                    f"expected weight layers that follow one another, got {fan_in} inputs of {name!r} behind {widths[-1]} "
                    "outputs; say --depth and --width yourself."
                )
            widths[-1] = fan_in
        widths = widths or [fan_in]
        widths.append(layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels)
    return tuple(widths)


def state_bytes(model: nn.Module) -> bytes:
    """The model's state_dict as the content of a ``.pt`` file, to be read by ``torch.load(..., weights_only=True)``.

    Args:
        model: any module.

    Example:
        >>> state = torch.load(io.BytesIO(state_bytes(nn.Linear(2, 1))), weights_only=True)
        >>> sorted(state)
        ['bias', 'weight']
    """
    stream = io.BytesIO()
    torch.save(model.state_dict(), stream)
    return stream.getvalue()
