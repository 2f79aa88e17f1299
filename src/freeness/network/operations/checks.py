"""Checks that records of several operations share; each raises one sentence."""

# pyright: reportUnknownArgumentType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from freeness.errors import InputError, is_size
from freeness.network.operation import Operation, described


def check_windows(size: object, stride: object) -> None:
    """Window sizes in a tuple (or None) and a stride (or None), whole numbers ≥ 1."""
    sizes = (1,) if size is None else size
    steps = () if stride is None else (stride,)
    if not (isinstance(sizes, tuple) and sizes and all(map(is_size, (*sizes, *steps)))):
        raise InputError(
            f"expected window sizes in a tuple and a stride, whole numbers ≥ 1, got {size!r} and {stride!r}."
        )


def check_spatial(found: int, wanted: int, layer: Operation) -> None:
    """As many spatial dimensions as a layer works on."""
    if found != wanted:
        raise InputError(
            f"expected signals with {wanted} spatial dimensions before {described(layer)}, got {found}; give inputs of shape "
            "(n, channels, *positions)."
        )


def check_different(different: bool, layer: Operation) -> None:
    """A batch of inputs whose differences can be normalised."""
    if not different:
        raise InputError(
            f"expected a batch of different inputs before {described(layer)}, got inputs with the same signal; it normalises "
            "their differences."
        )
