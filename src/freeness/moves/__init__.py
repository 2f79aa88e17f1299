"""Moves of spectral curves, lists of them and what is read from a list, and the operations on laws made of them."""

from freeness.moves.add import Add
from freeness.moves.affine import AffineLaw
from freeness.moves.as_ends import lower_end_after, upper_end_after
from freeness.moves.as_law import law_after
from freeness.moves.as_moments import MeanVariance, gains_after, mean_variance_after
from freeness.moves.as_top_atom import top_atom_after
from freeness.moves.as_walk import end_of_walk, nodes_of, steps_of, subordination, walked
from freeness.moves.blocks import block_modified, partial_transpose
from freeness.moves.classical import classical_product, classical_sum
from freeness.moves.deconvolution import Subtract, free_deconvolution
from freeness.moves.entries import Entries, entries_after
from freeness.moves.move import Move, Resize, Scale, Shift
from freeness.moves.move_list import MoveList, times
from freeness.moves.moved_curve import MovedCurve, moved
from freeness.moves.multiply import Multiply
from freeness.moves.operations import (
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
from freeness.moves.poisson import free_poisson
from freeness.moves.powers import ProductPower, SumPower
from freeness.moves.roots import SymmetricRoot, SymmetricSquare

__all__ = [
    "Add",
    "AffineLaw",
    "Entries",
    "MeanVariance",
    "Move",
    "MoveList",
    "MovedCurve",
    "Multiply",
    "ProductPower",
    "Resize",
    "Scale",
    "Shift",
    "Subtract",
    "SumPower",
    "SymmetricRoot",
    "SymmetricSquare",
    "block_modified",
    "classical_product",
    "classical_sum",
    "compress",
    "end_of_walk",
    "entries_after",
    "free_deconvolution",
    "free_difference",
    "free_poisson",
    "free_power",
    "free_product",
    "free_sum",
    "gains_after",
    "law_after",
    "lower_end_after",
    "mean_variance_after",
    "mirror",
    "moved",
    "nodes_of",
    "partial_transpose",
    "resize",
    "scale",
    "shift",
    "steps_of",
    "subordination",
    "symmetric_root",
    "symmetric_square",
    "times",
    "top_atom_after",
    "upper_end_after",
    "walked",
]
