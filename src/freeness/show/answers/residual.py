"""Starts of residual networks."""

from __future__ import annotations

from typing import Any

from freeness.advice import ResidualDesign, ResidualStart
from freeness.show.answer import Answer, Table, answer_of, number
from freeness.show.answers.starts import starts_answer
from freeness.show.json_values import document_of


@answer_of.register
def _(record: ResidualDesign) -> Answer:
    plain, normal = record.chosen
    plan = record.plan
    said = (
        f"Multiply every branch by {number(plain.branch, 3)}, or by {number(normal.branch, 3)} with batch normalisation: "
        f"signal and squared gradients then change at most by a factor of {number(record.kept, 3)} from end to end.",
        f"In code: x + scale * branch(x), with weights of gain {number(plan.gain, 3)}, Gaussian of variance gain²/fan-in.",
    )
    rows = tuple(map(_row, (*record.chosen, *record.usual)))
    header = ("start", "norm", "branch", "gains", "signal", "gradient", "weights")
    notes = (
        "Weights: squared gradient of the branches' matrices over the width; at 0 only the scale learns in the first step.",
        "Gains: of the two matrices of a branch. Theory of wide layers; convolutions whose positions are alike do the same.",
    )
    return starts_answer(
        f"Start of a residual network of {plan.depth} blocks, {plan.activation}",
        said,
        Table(header, rows, header[2:]),
        notes,
    )


def _row(start: ResidualStart) -> tuple[str, ...]:
    numbers = (start.signal, start.gradient, start.weights)
    gains = f"{number(start.first, 3)}, {number(start.last, 3)}"
    return (start.name, start.norm, number(start.branch, 3), gains, *(number(value, 3) for value in numbers))


@document_of.register
def _(record: ResidualDesign) -> dict[str, Any]:
    starts = [vars(start) for start in (*record.chosen, *record.usual)]
    return {"plan": vars(record.plan), "kept": record.kept, "starts": starts}
