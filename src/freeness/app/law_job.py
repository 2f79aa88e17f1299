"""What the law calculator computes, in a process that may be ended."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from freeness.errors import InputError
from freeness.expressions import Element
from freeness.expressions.form_matrix import sample_expression
from freeness.expressions.grammar import ParsedLaw, parse_law, parse_variable
from freeness.laws import Law
from freeness.laws.table import tabulate
from freeness.show import law_picture, picture_bytes

_FILES = "empirical"  # the one law that reads a file of this machine
_POINTS = 400
_MOMENTS = 4
_MANY = 20  # rows of a table


def perform(
    expression: str,
    variables: Mapping[str, str],
    sample: int,
    picture: str | None = None,
    *,
    stage: Callable[[str, float], None],
) -> dict[str, Any]:
    """The law of an expression as plain numbers, and as a picture where one is asked for.

    Args:
        expression: of the grammar; ``empirical``, which reads files, is refused.
        variables: texts of the variables that it uses.
        sample: size of a matrix that is sampled as well; 0 for none.
        picture: "png" or "svg".
        stage: told what is begun.

    Raises:
        InputError: as of :func:`~freeness.expressions.grammar.parse_law`.

    Example:
        >>> perform("mp:1 * projection:0.3", {}, 0, stage=lambda words, share: None)["atoms"]
        [[0.0, 0.7]]
    """
    stage("reading", 0.0)
    parsed = _parsed(expression, variables)
    law = parsed.law
    stage("computing the density", 0.2)
    table = tabulate(law, _POINTS)
    sampled = sample_expression(parsed.meaning, sample, np.random.default_rng(0)) if sample else None
    if picture is not None:
        content = picture_bytes(law_picture(law, sampled=sampled, title=expression), picture)
        return {"picture": base64.b64encode(content).decode("ascii")}
    stage("finding edges and moments", 0.6)
    atoms = sorted(sorted(law.atoms, key=lambda atom: -atom.mass)[:_MANY])
    edges = law.edges if len(law.bands) <= _MANY else ()
    return {
        "x": _plain(table.x),
        "density": _plain(table.density),
        "cdf": _plain(table.cdf),
        "hull": _plain(law.hull),
        "atoms": [[float(position), float(mass)] for position, mass in atoms],
        "edges": [[float(edge.position), edge.side, edge.kind, *_plain([edge.exponent])] for edge in edges],
        "bands": len(law.bands),
        "mean": float(law.mean),
        "variance": float(law.variance),
        "moments": _plain(law.moments(_MOMENTS)),
        "notes": list(parsed.notes),
        "reason": parsed.reason,
        "sampled": None if sampled is None else _plain(sampled),
    }


def _parsed(expression: str, variables: Mapping[str, str]) -> ParsedLaw:
    for text in (expression, *variables.values()):
        if _FILES in text:
            raise InputError("expected an expression without empirical, which reads files, got one; use freeness law.")
    laws: dict[str, Law | Element] = {}
    for name, text in variables.items():
        try:
            bound = parse_variable(text)
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
        laws[name] = bound if isinstance(bound, Element) else bound.law
    return parse_law(expression, laws)


def _plain(values: Any) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
