"""A linear call over the positions, the same for every channel."""

from __future__ import annotations

from freeness.network import TokenMixing
from freeness.torch.operations.trained_weights import LinearForm
from freeness.torch.record.layout import Dims, Typing, holds
from freeness.torch.record.walk import Signal


def mixes_positions(given: Signal, layout: Dims) -> bool:
    """Whether the last axis of a signal of this layout holds its positions, and there is more than one vector."""
    last = layout[-1]
    over_positions = holds(last, "positions") and not holds(last, "channels")
    over_positions = over_positions or (not last and (given.place.typing.channels or 1) > 1)
    return over_positions and sum(not holds(atoms, "samples") for atoms in layout) > 1


def reason(given: Signal) -> str:
    """Why no theory covers the call by itself."""
    return f"over the positions of a tensor of shape {tuple(given.shape)} (one weight at several channels)"


FORM = LinearForm(
    TokenMixing, "positions", lambda typing, outputs: Typing(channels=typing.channels, positions=(outputs,))
)
