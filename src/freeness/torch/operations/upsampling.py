"""Nearest-neighbour upsampling."""

from __future__ import annotations

from freeness.network import Upsampling
from freeness.torch.operations.convolution import behind_windows
from freeness.torch.operations.kind import Kind, Unread
from freeness.torch.operations.pooling import image
from freeness.torch.record.steps import Calls
from freeness.torch.record.walk import Asked, Signal

KIND = Kind(
    "upsampling",
    tuple(
        f"upsample_{mode}" for mode in ("nearest1d", "nearest2d", "nearest3d", "linear1d", "bilinear2d", "bicubic2d")
    ),
    "none",
    "it spreads one position over several",
)


def read(asked: Asked) -> Signal:
    """Every position several times; interpolation between positions has no record."""
    if "nearest" not in asked.name:
        raise Unread("it interpolates between positions")
    given, name = (
        image(asked, asked.signal("self" if "self" in asked.arguments else "input")),
        asked.path or asked.label,
    )
    positions = given.place.typing.positions
    factors = tuple(after // before for before, after in zip(positions, asked.shape[2:], strict=True))
    if tuple(factor * size for factor, size in zip(factors, positions, strict=True)) != asked.shape[2:]:
        raise Unread(f"from {positions} to {asked.shape[2:]} positions, of which there is no record")
    asked.note("none", KIND.limits)
    behind = behind_windows(given, asked.shape, given.place.typing.channels or 1)
    return asked.walk.add(name, [given], Calls((asked.call(),)), lambda: Upsampling(factors, name), *behind)


READERS = ((KIND, read),)
