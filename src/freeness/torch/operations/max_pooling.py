"""Maxima over positions."""

from __future__ import annotations

from freeness.network import MaxPooling
from freeness.torch.model.taps import each
from freeness.torch.operations.kind import Kind, Unread
from freeness.torch.operations.pooling import adaptive, image, over_all, over_windows, windows_of
from freeness.torch.record.walk import Asked, Value

KIND = Kind(
    "max pooling",
    (
        *(f"{way}max_pool{d}d" for way in ("", "adaptive_") for d in (1, 2, 3)),
        *(f"max_pool{d}d_with_indices" for d in (1, 2, 3)),
        "amax",
        "max",
    ),
    "none",
    "a maximum over positions mixes neurons that theory keeps apart",
)


def read(asked: Asked) -> Value:
    """A maximum over windows, or over all positions."""
    given, name = asked.signal("self"), asked.path or asked.label
    if asked.name == "amax":
        return over_all(asked, given, MaxPooling(name=name))
    if asked.name == "max":
        raise Unread
    given = image(asked, given)
    positions = given.place.typing.positions
    if "adaptive" in asked.name:
        return adaptive(asked, given, lambda size, stride: MaxPooling(size, stride, name=name))
    size, stride, padding = windows_of(asked, len(positions))
    if set(each(asked.arguments["dilation"], len(positions))) != {1} or asked.arguments.get("ceil_mode"):
        raise Unread("with dilation or rounding up, of which there is no record")
    if len(set(stride)) != 1 or len(set(padding)) != 1:
        raise Unread(f"of unequal strides {stride} or padding {padding}")
    return over_windows(asked, given, MaxPooling(size, stride[0], padding[0], name))


READERS = ((KIND, read),)
