"""A linear call on signals with positions: the same weight at every one."""

from __future__ import annotations

from freeness.network import PositionWise
from freeness.torch.operations.trained_weights import LinearForm
from freeness.torch.record.layout import Typing

FORM = LinearForm(
    PositionWise, "channels", lambda typing, outputs: Typing(channels=outputs, positions=typing.positions)
)
