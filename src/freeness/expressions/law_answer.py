"""Everything that is said of an expression in free variables: its law, the way it was found, values, moments and a sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Inexact

from freeness.errors import InputError
from freeness.expressions.elements import Element
from freeness.expressions.expression import Method
from freeness.expressions.form_matrix import sample_expression
from freeness.expressions.grammar import ParsedLaw, parse_law, parse_variable
from freeness.laws import Law, LawTable, kolmogorov, tabulate

_MOMENTS = 6
_ZERO_MOMENT = 1e-14  # a moment below this multiple of the support's radius to its order is 0


@dataclass(frozen=True, eq=False)
class LawAnswer:
    """An expression and the texts of its variables, as they were read; ``sampled`` are eigenvalues of a random matrix."""

    expression: str
    variables: Mapping[str, str]
    parsed: ParsedLaw
    table: LawTable
    moments: Inexact[np.ndarray, " order"]
    sampled: Float[np.ndarray, " values"] | None = None
    seed: int = 0

    @property
    def law(self) -> Law:
        """The law."""
        return self.parsed.law

    @property
    def rounded_moments(self) -> Inexact[np.ndarray, " order"]:
        """The moments, with 0 for what is rounding of numbers of the support's size."""
        noise = _ZERO_MOMENT * np.abs(self.law.hull).max() ** np.arange(1, len(self.moments) + 1)
        return np.where(np.abs(self.moments) <= noise, 0.0, self.moments)

    @property
    def distance(self) -> float | None:
        """Kolmogorov distance to the sampled matrix; None without one."""
        return None if self.sampled is None else kolmogorov(self.law, self.sampled)


def answer_law(
    expression: str,
    variables: Mapping[str, str],
    method: Method = "auto",
    *,
    points: int = 400,
    sample: int | None = None,
    seed: int = 0,
) -> LawAnswer:
    """The law of an expression, with each variable's own text read first.

    Args:
        expression: of the grammar.
        variables: by name, the text of each one's law.
        method: as of :func:`~freeness.expressions.grammar.parse_law`.
        points: rows of the table of density and distribution function.
        sample: size of a random matrix.
        seed: of that random matrix.

    Raises:
        InputError: a text that is not of the grammar; it begins with the variable's name.

    Example:
        >>> found = answer_law("x*x", {"x": "semicircle:4"}, points=20)
        >>> found.law.hull, found.rounded_moments[:2].round(9).tolist()
        ((0.0, 16.0), [4.0, 32.0])
    """
    laws: dict[str, Law | Element] = {}
    notes: list[str] = []
    for name, text in variables.items():
        try:
            bound = parse_variable(text)
        except InputError as error:
            hint = " The law of a variable cannot use other names." if "bound name" in str(error) else ""
            raise InputError(f"{name}: {error}{hint}") from error
        laws[name] = bound if isinstance(bound, Element) else bound.law
        notes += [] if isinstance(bound, Element) else [f"In {name}: {note}" for note in bound.notes]
    read = parse_law(expression, laws, method)
    parsed = replace(read, notes=(*notes, *read.notes))
    sampled = None if not sample else sample_expression(parsed.meaning, sample, np.random.default_rng(seed))
    table = tabulate(parsed.law, points)
    return LawAnswer(expression, dict(variables), parsed, table, parsed.law.moments(_MOMENTS), sampled, seed)
