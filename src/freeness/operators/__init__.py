"""Operator-valued free probability: hermitian pencils Λ(z) - b₀ - Σ b_j ⊗ x_j of free variables and the laws of their corners."""

from freeness.operators.block_equation import BlockEquation, BlockSegment, SharedMatrix
from freeness.operators.deterministic import Deterministic
from freeness.operators.diagonal_equation import DiagonalEquation
from freeness.operators.equation import MatrixEquation, State, TracedEquation
from freeness.operators.graph_equation import Direction, GraphEquation, Outside, RandomMatrix, Segment
from freeness.operators.graph_law import GraphLaw
from freeness.operators.heads_part import HeadSignals, HeadsPart
from freeness.operators.large_block_equation import LargeBlockEquation
from freeness.operators.matrix_law import MatrixLaw, Moments
from freeness.operators.parts import GivenPart, Link, Port, WiredPart
from freeness.operators.summand import Local, Summand
from freeness.operators.units_part import UnitsPart
from freeness.operators.way_back import returned, returning
from freeness.operators.wired_equation import PortMatrix, WiredEquation
from freeness.operators.wired_law import WiredLaw

__all__ = [
    "BlockEquation",
    "BlockSegment",
    "Deterministic",
    "DiagonalEquation",
    "Direction",
    "GivenPart",
    "GraphEquation",
    "GraphLaw",
    "HeadSignals",
    "HeadsPart",
    "LargeBlockEquation",
    "Link",
    "Local",
    "MatrixEquation",
    "MatrixLaw",
    "Moments",
    "Outside",
    "Port",
    "PortMatrix",
    "RandomMatrix",
    "Segment",
    "SharedMatrix",
    "State",
    "Summand",
    "TracedEquation",
    "UnitsPart",
    "WiredEquation",
    "WiredLaw",
    "WiredPart",
    "returned",
    "returning",
]
