"""Dropout, which is off in eval mode."""

from __future__ import annotations

from freeness.torch.operations.kind import Kind, Unread
from freeness.torch.record.walk import Asked, Signal

KIND = Kind("dropout", ("dropout", "dropout2d", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"), "spectra", "off in eval mode")


def read(asked: Asked) -> Signal:
    """The signal itself."""
    if asked.arguments.get("train"):
        raise Unread("it is on, and theory of eval mode knows no noise")
    asked.note()
    return asked.signal("input" if "input" in asked.arguments else "self")  # torch names it so where it writes in place


READERS = ((KIND, read),)
