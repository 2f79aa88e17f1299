"""Free calculus: moves of spectral curves and the operations on laws made of them."""

from freeness.calculus.affine import AffineLaw
from freeness.calculus.chain import Chain, moved
from freeness.calculus.moves import Move, Multiply, Resize, Scale, Shift
from freeness.calculus.operations import free_product, resize, scale, shift

__all__ = [
    "AffineLaw",
    "Chain",
    "Move",
    "Multiply",
    "Resize",
    "Scale",
    "Shift",
    "free_product",
    "moved",
    "resize",
    "scale",
    "shift",
]
