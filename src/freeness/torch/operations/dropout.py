"""Dropout: off in eval mode, and recorded where the record of training is asked for."""

from __future__ import annotations

from freeness.network import Dropout
from freeness.torch.operations.kind import Kind, Unread
from freeness.torch.record.layout import holds
from freeness.torch.record.steps import DropoutStep
from freeness.torch.record.walk import Asked, Signal

KIND = Kind(
    "dropout",
    ("dropout", "dropout2d", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"),
    "spectra",
    "off in eval mode; signals and gradients in training, but for masks on attention weights",
)


def read(asked: Asked) -> Signal:
    """The signal itself, or behind a record of its masks where these are at work."""
    if asked.arguments.get("train"):
        raise Unread("it is on, and theory of eval mode knows no noise")
    asked.note()
    given = asked.signal(
        "input" if "input" in asked.arguments else "self"
    )  # torch names it so where it writes in place
    walk, rate, name = asked.walk, float(asked.arguments["p"]), asked.label
    if not rate or not walk.masks(asked.node):
        return given
    if "alpha" in asked.name:
        raise Unread("its masks do not keep the mean")
    signal, channels = walk.settled(given), asked.name.startswith("feature")
    if channels and (len(signal.layout) < 2 or not holds(signal.layout[1], "channels")):
        raise Unread("its masks are of whole positions or samples")
    compute = DropoutStep(rate, channels)
    return walk.add(name, [signal], compute, lambda: Dropout(rate, name, channels), signal.place.typing, signal.dims)


READERS = ((KIND, read),)
