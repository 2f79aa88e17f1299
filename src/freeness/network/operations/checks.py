"""Checks that records of several operations share; each raises one sentence."""

# pyright: reportUnknownArgumentType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from freeness.errors import InputError, is_size


def check_windows(size: object, stride: object) -> None:
    """Window sizes in a tuple (or None) and a stride (or None), whole numbers ≥ 1."""
    sizes = (1,) if size is None else size
    steps = () if stride is None else (stride,)
    if not (isinstance(sizes, tuple) and sizes and all(map(is_size, (*sizes, *steps)))):
        raise InputError(
            f"expected window sizes in a tuple and a stride, whole numbers ≥ 1, got {size!r} and {stride!r}."
        )
