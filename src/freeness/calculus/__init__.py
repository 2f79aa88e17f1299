"""Free calculus: moves of spectral curves and the operations on laws made of them."""

from freeness.calculus.affine import AffineLaw
from freeness.calculus.chain import Chain, moved
from freeness.calculus.deconvolution import Subtract, free_deconvolution
from freeness.calculus.elements import Circular, Element, Given, HaarUnitary, RDiagonal
from freeness.calculus.expression import Expression, anticommutator, commutator, free_variables, jointly_free
from freeness.calculus.linearization import Linearization, linearized
from freeness.calculus.moves import Move, Multiply, Resize, Scale, Shift
from freeness.calculus.operations import (
    compress,
    free_difference,
    free_power,
    free_product,
    free_sum,
    mirror,
    resize,
    scale,
    shift,
    symmetric_root,
    symmetric_square,
)
from freeness.calculus.poisson import free_poisson
from freeness.calculus.rectangular import information_plus_noise
from freeness.calculus.sums import Add, ProductPower, SumPower, SymmetricRoot, SymmetricSquare

__all__ = [
    "Add",
    "AffineLaw",
    "Chain",
    "Circular",
    "Element",
    "Expression",
    "Given",
    "HaarUnitary",
    "Linearization",
    "Move",
    "Multiply",
    "ProductPower",
    "RDiagonal",
    "Resize",
    "Scale",
    "Shift",
    "Subtract",
    "SumPower",
    "SymmetricRoot",
    "SymmetricSquare",
    "anticommutator",
    "commutator",
    "compress",
    "free_deconvolution",
    "free_difference",
    "free_poisson",
    "free_power",
    "free_product",
    "free_sum",
    "free_variables",
    "information_plus_noise",
    "jointly_free",
    "linearized",
    "mirror",
    "moved",
    "resize",
    "scale",
    "shift",
    "symmetric_root",
    "symmetric_square",
]
