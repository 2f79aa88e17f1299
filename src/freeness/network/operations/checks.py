"""Checks that records of several operations share; each raises one sentence."""

# pyright: reportUnknownArgumentType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from freeness.errors import InputError, is_real, is_size
from freeness.network.operation import Operation, described


def check_weights(operation: Operation, sizes: tuple[int, int], sigma_b: float) -> None:
    """Sizes that are whole numbers ≥ 1, and a standard deviation of the biases.

    Raises:
        InputError: one of them is not.
    """
    if not all(map(is_size, sizes)):
        raise InputError(f"expected sizes ≥ 1 of {described(operation)}, got {sizes}; correct them.")
    if not (is_real(sigma_b) and sigma_b >= 0):
        raise InputError(
            f"expected sigma_b ≥ 0 of {described(operation)}, got {sigma_b!r}; it is a standard deviation."
        )


def check_windows(size: object, stride: object) -> None:
    """Window sizes in a tuple (or None) and a stride (or None), whole numbers ≥ 1.

    Raises:
        InputError: they are not.
    """
    sizes = (1,) if size is None else size
    steps = () if stride is None else (stride,)
    if not (isinstance(sizes, tuple) and sizes and all(map(is_size, (*sizes, *steps)))):
        raise InputError(
            f"expected window sizes in a tuple and a stride, whole numbers ≥ 1, got {size!r} and {stride!r}."
        )
