"""What the law calculator computes, in a process that may be ended."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from freeness.errors import InputError
from freeness.expressions import answer_law
from freeness.show import answer_of, law_picture, page_parts, parts_html, picture_bytes, plain

_FILES = "empirical"  # the one law that reads a file of this machine
_MANY = 20  # rows of a table


def perform(
    expression: str,
    variables: Mapping[str, str],
    sample: int,
    picture: str | None = None,
    *,
    stage: Callable[[str, float], None],
) -> dict[str, Any]:
    """The law of an expression as plain numbers, and as a picture if asked for; ``empirical``, which reads files, is refused.

    Example:
        >>> perform("mp:1 * projection:0.3", {}, 0, stage=lambda words, share: None)["atoms"]
        [[0.0, 0.7]]
    """
    stage("reading", 0.0)
    for text in (expression, *variables.values()):
        if _FILES in text:
            raise InputError("expected an expression without empirical, which reads files, got one; use freeness law.")
    stage("computing the law", 0.1)
    record = answer_law(expression, variables, sample=sample)
    law, table = record.law, record.table
    if picture is not None:
        content = picture_bytes(law_picture(law, sampled=record.sampled, title=expression), picture)
        return {"picture": base64.b64encode(content).decode("ascii")}
    stage("finding edges and moments", 0.6)
    atoms = sorted(sorted(law.atoms, key=lambda atom: -atom.mass)[:_MANY])
    edges = law.edges if len(law.bands) <= _MANY else ()
    numbers = {
        "x": table.x,
        "density": table.density,
        "cdf": table.cdf,
        "hull": law.hull,
        "atoms": [(position, mass) for position, mass in atoms],
        "edges": [(edge.position, edge.side, edge.kind, edge.exponent) for edge in edges],
        "bands": len(law.bands),
        "mean": law.mean,
        "variance": law.variance,
        "moments": record.moments,
        "notes": record.parsed.notes,
        "reason": record.parsed.reason,
        "sampled": record.sampled,
    }
    return plain(numbers) | {"answer": parts_html(page_parts(answer_of(record)))}
