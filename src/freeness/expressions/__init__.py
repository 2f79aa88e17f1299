"""Expressions in free variables: their laws, linearisation, moments and random matrices."""

from freeness.expressions.elements import Circular, Element, Given, HaarUnitary, RDiagonal
from freeness.expressions.expression import Expression, Method, anticommutator, commutator, free_variables, jointly_free
from freeness.expressions.form_matrix import sample_expression
from freeness.expressions.grammar import ParsedLaw, parse_law, parse_variable
from freeness.expressions.law_answer import LawAnswer, answer_law
from freeness.expressions.linearization import Linearization, linearized, matrix_linearized
from freeness.expressions.rectangular import information_plus_noise
from freeness.expressions.route import law_of

__all__ = [
    "Circular",
    "Element",
    "Expression",
    "Given",
    "HaarUnitary",
    "LawAnswer",
    "Linearization",
    "Method",
    "ParsedLaw",
    "RDiagonal",
    "answer_law",
    "anticommutator",
    "commutator",
    "free_variables",
    "information_plus_noise",
    "jointly_free",
    "law_of",
    "linearized",
    "matrix_linearized",
    "parse_law",
    "parse_variable",
    "sample_expression",
]
