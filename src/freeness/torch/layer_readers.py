"""What a call's arguments must be for a layer's record to stand for it."""

from __future__ import annotations

from typing import Any, Literal

from torch import Tensor

from freeness.network import Normalisation, Pooling


class Uncovered(Exception):
    """A call that no layer's record stands for, with the reason; ``kind``: of the operation, where its name misleads."""

    def __init__(self, reason: str = "", kind: str = "") -> None:
        super().__init__(reason)
        self.kind = kind


Sides = Literal["circular", "zeros", "valid"]
_MODES: dict[str, Sides] = {"constant": "zeros", "circular": "circular"}


def sides(kernel: tuple[int, ...], bound: dict[str, Any], pad: dict[str, Any] | None) -> Sides:
    """The padding of a convolution as its record names it: zeros, circular or valid.

    Args:
        kernel: taps by dimension.
        bound: arguments of the convolution by name.
        pad: arguments of a padding in front of it.

    Raises:
        Uncovered: groups, dilation, unequal strides, another padding.

    Example:
        >>> sides((3, 3), {"padding": [1, 1], "stride": [2, 2], "dilation": [1, 1], "groups": 1}, None)
        'zeros'
    """
    if bound["groups"] != 1:
        raise Uncovered(f"of {bound['groups']} groups, between which theory has no weights")
    if set(bound["dilation"]) != {1}:
        raise Uncovered(f"of dilation {tuple(bound['dilation'])}, of which there is no record")
    if len(set(bound["stride"])) != 1:
        raise Uncovered(f"of unequal strides {tuple(bound['stride'])}")
    half = [taps // 2 for taps in kernel]
    odd = all(taps % 2 for taps in kernel)
    given = bound["padding"]
    if isinstance(given, str):
        padded = [0] * len(kernel) if given == "valid" else half
        odd = odd or given == "valid"
    else:
        padded = list(given) * (len(kernel) if len(given) == 1 else 1)
    mode: Sides | None = "zeros"
    if pad is not None:
        ends = list(pad["pad"])[::-1]
        mode = _MODES.get(str(pad["mode"]))
        if (
            any(padded)
            or len(ends) != 2 * len(kernel)
            or ends[::2] != ends[1::2]
            or pad.get("value") not in (None, 0, 0.0)
        ):
            mode = None
        padded = ends[::2]
    if not any(padded):
        return "valid"
    if mode and odd and padded == half:
        return mode
    raise Uncovered(f"with padding {tuple(padded)} of a kernel {kernel}, of which there is no record")


def normalisation(call: str, bound: dict[str, Any], shape: tuple[int, ...], name: str) -> Normalisation:
    """The record of a normalisation.

    Args:
        call: torch's name.
        bound: arguments by name, tensors as they are.
        shape: of the input, samples first.
        name: of the layer.

    Raises:
        Uncovered: over other axes, or a scale and shift that differ from 1 and 0.

    Example:
        >>> normalisation("layer_norm", {"normalized_shape": [4], "eps": 1e-5}, (1, 4), "norm").kind
        'layer'
    """
    for key, neutral in (("weight", 1.0), ("bias", 0.0)):
        tensor = bound.get(key)
        if isinstance(tensor, Tensor) and not bool((tensor == neutral).all()):
            raise Uncovered("with a scale and shift that differ from 1 and 0")
    epsilon = float(bound["eps"]) if bound.get("eps") is not None else 2.0**-23  # torch's of RMSNorm, in float32
    whole = len(shape) > 2
    if call in ("layer_norm", "rms_norm"):
        if tuple(bound["normalized_shape"]) != shape[1:]:
            raise Uncovered(f"over {tuple(bound['normalized_shape'])} of a sample of shape {shape[1:]}")
        return Normalisation("layer" if call == "layer_norm" else "rms", epsilon, whole, name)
    if call == "group_norm":
        if bound["num_groups"] != 1:
            raise Uncovered(f"of {bound['num_groups']} groups of channels")
        return Normalisation("layer", epsilon, whole, name)
    if "batch_norm" in call:
        if bound.get("training"):
            raise Uncovered("with statistics of this batch")
        return Normalisation("batch", epsilon, False, name)
    raise Uncovered("it normalises each channel by itself")


def pooling(call: str, bound: dict[str, Any], shape: tuple[int, ...], name: str) -> Pooling:
    """The record of an average over positions.

    Args:
        call: torch's name.
        bound: arguments by name.
        shape: of the input, samples first.
        name: of the layer.

    Raises:
        Uncovered: padding, unequal strides, several windows that do not tile the positions, other axes.

    Example:
        >>> pooling("avg_pool2d", {"kernel_size": [2, 2], "stride": [], "padding": [0, 0]}, (1, 3, 4, 4), "pool").size
        (2, 2)
    """
    dimensions = len(shape) - 2
    if dimensions < 1:
        raise Uncovered("of an input without positions")
    if call == "mean":
        axes = bound.get("dim")
        spatial = axes is not None and sorted(axis % len(shape) for axis in axes) == list(range(2, len(shape)))
        if not spatial:
            raise Uncovered("over other axes than all positions")
        return Pooling(None, None, name)
    if call.startswith("adaptive"):
        if set(bound["output_size"]) != {1}:
            raise Uncovered(f"to {tuple(bound['output_size'])} positions, of which there is no record")
        return Pooling(None, None, name)
    size = _each(bound["kernel_size"], dimensions)
    stride = _each(bound.get("stride") or size, dimensions)
    if any(_each(bound.get("padding") or 0, dimensions)) or bound.get("ceil_mode") or bound.get("divisor_override"):
        raise Uncovered("with padding, rounding up or another divisor")
    if len(set(stride)) != 1:
        raise Uncovered(f"of unequal strides {stride}")
    return Pooling(size, stride[0], name)


def _each(value: Any, count: int) -> tuple[int, ...]:
    values = (value,) if isinstance(value, int) else tuple(value)
    return values * count if len(values) == 1 else values
