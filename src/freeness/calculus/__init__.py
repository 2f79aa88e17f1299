"""Free calculus: moves of spectral curves and the operations on laws made of them."""

from freeness.calculus.affine import AffineLaw
from freeness.calculus.chain import Chain, moved
from freeness.calculus.moves import Move, Multiply, Resize, Scale, Shift
from freeness.calculus.operations import (
    compress,
    free_power,
    free_product,
    free_sum,
    resize,
    scale,
    shift,
    symmetric_root,
)

__all__ = [
    "AffineLaw",
    "Chain",
    "Move",
    "Multiply",
    "Resize",
    "Scale",
    "Shift",
    "compress",
    "free_power",
    "free_product",
    "free_sum",
    "moved",
    "resize",
    "scale",
    "shift",
    "symmetric_root",
]
