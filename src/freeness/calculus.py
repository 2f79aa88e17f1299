"""Deprecated: operations on laws are in :mod:`freeness.moves`, expressions in :mod:`freeness.expressions`."""

from __future__ import annotations

from freeness import deprecation

_MOVES = {
    "Add", "AffineLaw", "Move", "Multiply", "ProductPower", "Resize", "Scale", "Shift", "Subtract", "SumPower", "SymmetricRoot",
    "SymmetricSquare", "compress", "free_deconvolution", "free_difference", "free_poisson", "free_power", "free_product",
    "free_sum", "mirror", "moved", "resize", "scale", "shift", "symmetric_root", "symmetric_square",
}  # fmt: skip
_EXPRESSIONS = {
    "Circular", "Element", "Expression", "Given", "HaarUnitary", "Linearization", "RDiagonal", "anticommutator", "commutator",
    "free_variables", "information_plus_noise", "jointly_free", "linearized",
}  # fmt: skip
_HOMES = {
    **{name: f"freeness.moves.{name}" for name in _MOVES},
    **{name: f"freeness.expressions.{name}" for name in _EXPRESSIONS},
    "Chain": "freeness.moves.MovedCurve",
}

__getattr__ = deprecation.moved(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted(_HOMES)
