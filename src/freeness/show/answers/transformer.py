"""Starts and phases of Transformers."""

from __future__ import annotations

from typing import Any

import numpy as np

from freeness.advice import TransformerDesign, TransformerPhases, TransformerStart
from freeness.network import TransformerPlan
from freeness.show.answer import Answer, Section, Table, answer_of, number
from freeness.show.answers.phase import layers_text
from freeness.show.answers.starts import starts_answer
from freeness.show.json_values import document_of, picked

_SHOWN = 5  # rows and columns of a grid that are printed


@answer_of.register
def _(record: TransformerDesign) -> Answer:
    start = record.chosen
    said = (
        f"Multiply every branch by {number(start.branch, 3)}: squared gradients then change by a factor of "
        f"{number(start.gradient, 3)} on their way back, and tokens whose cosine is {record.cosine:g} come out at "
        f"{number(start.cosine, 3)}.",
        "In code: x + scale * branch(x), or scale the last weights of each branch once, at the start.",
    )
    rows = tuple(_row(one, record.plan.depth) for one in record.ranked)
    header = ("start", "norm", "branch", "skip", "signal", "gradient", "cosine", "scale")
    notes = (
        "In the order in which they are expected to train, each at a rate that suits it. Where more changes than in the design, "
        "gradients get lost or tokens come out alike; where less does, the blocks do little at first.",
        "Scale: blocks over which squared gradients change by e. Cosine of two tokens at the end; at 1 all are the same.",
        "Theory of wide layers with Gaussian weights, from drawn softmax weights.",
    )
    return starts_answer(f"Start of a {_named(record.plan)}", said, Table(header, rows, header[2:]), notes)


def _row(start: TransformerStart, blocks: int) -> tuple[str, ...]:
    numbers = (start.branch, start.skip, start.signal, start.gradient, start.cosine)
    return (
        start.name,
        start.norm,
        *(number(value, 3) for value in numbers),
        layers_text(start.depth_scale(blocks)),
    )


def _named(plan: TransformerPlan) -> str:
    seen = "causal Transformer" if plan.causal else "Transformer"
    return f"{seen} of {plan.depth} blocks, width {plan.width}, {plan.heads} heads, {plan.tokens} tokens"


@answer_of.register
def _(record: TransformerPhases) -> Answer:
    grids = (
        ("Growth of squared gradients on their way back", record.gradient),
        ("Mean cosine of two tokens at the end", record.token_cosine),
    )
    sections = tuple(Section(title, (_grid(record, grid),)) for title, grid in grids)
    return Answer(f"Phases of a {_named(record.plan)}", sections)


def _grid(record: TransformerPhases, grid: np.ndarray) -> Table:
    columns = _some(record.sigma_qk)
    header = ("branch", *(f"σ_qk {number(float(record.sigma_qk[k]), 3)}" for k in columns))
    rows = (
        (number(float(record.branch[row]), 3), *(number(float(grid[row, k]), 3) for k in columns))
        for row in _some(record.branch)
    )
    return Table(header, tuple(rows), header)


def _some(axis: np.ndarray) -> list[int]:
    return sorted({round(place) for place in np.linspace(0, axis.size - 1, min(_SHOWN, axis.size)).tolist()})


@document_of.register
def _(record: TransformerDesign) -> dict[str, Any]:
    starts = [
        vars(start) | {"gradient_depth": start.depth_scale(record.plan.depth)}
        for start in (record.chosen, *record.usual)
    ]
    return {"plan": _plan(record.plan)} | picked(record, "cosine kept", starts=starts)


@document_of.register
def _(record: TransformerPhases) -> dict[str, Any]:
    return {"plan": _plan(record.plan)} | picked(record, "cosine sigma_qk branch gradient signal token_cosine")


def _plan(plan: TransformerPlan) -> dict[str, Any]:
    return {name: value for name, value in vars(plan).items() if isinstance(value, (bool, int, float, str))}
