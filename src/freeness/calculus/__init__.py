"""Free calculus: moves of spectral curves and the operations on laws made of them."""

from freeness.calculus.affine import AffineLaw
from freeness.calculus.chain import Chain, moved
from freeness.calculus.deconvolution import Subtract, free_deconvolution
from freeness.calculus.elements import Circular, Element, Given, HaarUnitary, RDiagonal
from freeness.calculus.expression import Expression, anticommutator, commutator, free_variables, jointly_free
from freeness.calculus.law_after import law_after
from freeness.calculus.linearization import Linearization, linearized
from freeness.calculus.mean_variance import MeanVariance, gains_after, mean_variance_after
from freeness.calculus.move_list import MoveList, times
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
from freeness.calculus.top_atom import top_atom_after
from freeness.calculus.walk import end_of_walk, nodes_of, steps_of, subordination, walked

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
    "MeanVariance",
    "Move",
    "MoveList",
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
    "end_of_walk",
    "free_deconvolution",
    "free_difference",
    "free_poisson",
    "free_power",
    "free_product",
    "free_sum",
    "free_variables",
    "gains_after",
    "information_plus_noise",
    "jointly_free",
    "law_after",
    "linearized",
    "mean_variance_after",
    "mirror",
    "moved",
    "nodes_of",
    "resize",
    "scale",
    "shift",
    "steps_of",
    "subordination",
    "symmetric_root",
    "symmetric_square",
    "times",
    "top_atom_after",
    "walked",
]
