"""The phases of one activation, and where one network settles."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from freeness.meanfield import SHOWN, EdgeOfChaos, PhasePortrait, Settled
from freeness.show.answer import Answer, Part, Row, Section, Sentence, Table, answer_of
from freeness.show.json_values import document_of, picked


@answer_of.register
def _(record: PhasePortrait) -> Answer:
    edge: Part
    if record.edge is None:
        edge = Sentence(f"No edge of chaos for q* from 0.01 to 100: {record.no_edge_because}")
    else:
        edge = _edge_table(record.edge)
    sections = [Section("Edge of chaos", (edge,))]
    if record.settled is not None:
        where = record.settled
        sections.append(
            Section(f"At σ_w = {where.sigma_w:g}, σ_b = {where.sigma_b:g}", answer_of(where).sections[0].parts)
        )
    title = f"Activation {record.function.name}: order and chaos over (σ_w, σ_b), wide layers"
    return Answer(title, tuple(sections))


def _edge_table(edge: EdgeOfChaos) -> Table:
    rows = tuple(
        (
            f"{edge.q[i]:.4g}",
            f"{edge.sigma_w[i]:.6g}",
            f"{edge.sigma_b[i]:.6g}",
            "stable" if edge.stable[i] else "unstable",
        )
        for i in np.flatnonzero(np.isin(edge.q, SHOWN))
    )
    return Table(("q*", "σ_w", "σ_b", "fixed point"), rows, ("q*", "σ_w", "σ_b"))


@answer_of.register
def _(record: Settled) -> Answer:
    found = record.found
    if found is None:
        rows = (Row("phase", "no fixed point"), Row("why", record.reason))
    else:
        rows = (
            Row("phase", found.phase),
            Row("q*, variance of pre-activations", found.q),
            Row("χ₁, growth of squared gradients a layer", found.chi1),
            Row("c*, correlation of two inputs", found.c),
            Row("ξ_q, layers over which q settles by e", layers_text(found.xi_q)),
            Row("ξ_c, layers over which c settles by e", layers_text(found.xi_c)),
            Row("trainable depth, 6 ξ_c (an observed rule)", layers_text(found.trainable_depth)),
        )
    return Answer("", (Section("", rows),))


def layers_text(value: float) -> str:
    """A depth in layers, or any."""
    return "any" if math.isinf(value) else f"{value:.4g}"


@document_of.register
def _(record: PhasePortrait) -> dict[str, Any]:
    return {
        "activation": record.function.name,
        "fixed_point": None if record.settled is None else document_of(record.settled),
        "no_edge_because": record.no_edge_because or None,
        "edge": record.edge,
        "diagram": record.diagram,
    }


@document_of.register
def _(record: Settled) -> dict[str, Any]:
    numbers = {} if record.found is None else picked(record.found, "phase q chi_q chi1 c chi_c xi_q xi_c")
    return picked(record, "sigma_w sigma_b", **numbers, none_because=record.reason or None)
