"""Deprecated: operations on laws are in :mod:`freeness.moves`, expressions in :mod:`freeness.expressions`."""

from __future__ import annotations

import warnings
from typing import Any

_MOVES = {
    "Add", "AffineLaw", "Move", "Multiply", "ProductPower", "Resize", "Scale", "Shift", "Subtract", "SumPower", "SymmetricRoot",
    "SymmetricSquare", "compress", "free_deconvolution", "free_difference", "free_poisson", "free_power", "free_product",
    "free_sum", "mirror", "moved", "resize", "scale", "shift", "symmetric_root", "symmetric_square",
}  # fmt: skip
_EXPRESSIONS = {
    "Circular", "Element", "Expression", "Given", "HaarUnitary", "Linearization", "RDiagonal", "anticommutator", "commutator",
    "free_variables", "information_plus_noise", "jointly_free", "linearized",
}  # fmt: skip
_MOVED = {
    **{name: ("moves", name) for name in _MOVES},
    **{name: ("expressions", name) for name in _EXPRESSIONS},
    "Chain": ("moves", "MovedCurve"),
}


def __getattr__(name: str) -> Any:
    if name not in _MOVED:
        raise AttributeError(f"module 'freeness.calculus' has no attribute {name!r}")
    from freeness import expressions, moves

    room, now = _MOVED[name]
    warnings.warn(
        f"freeness.calculus.{name} is freeness.{room}.{now} now; import it from there.",
        DeprecationWarning,
        stacklevel=2,
    )
    return getattr({"moves": moves, "expressions": expressions}[room], now)


def __dir__() -> list[str]:
    return sorted(_MOVED)
