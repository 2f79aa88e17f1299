"""A design: its numbers, beside the usual starts, and why."""

from __future__ import annotations

import math
from itertools import groupby
from typing import Any

from freeness.advice import Candidate, Design
from freeness.show.answer import NOTHING, Answer, Row, Section, Sentence, Table, answer_of, attempted, brief_of, number
from freeness.show.json_values import document_of, picked
from freeness.training import Rate

BESIDE = "Beside the usual starts"
GAINS = "Gains"
WHY = "Why"
_ZERO = 1e-6  # a spread below it is written as 0
_ROWS = (
    ("growth of squared gradients", "growth"),
    ("spread of the Jacobian", "spread"),
    ("λ_max of the Jacobian, JJᵀ", "jacobian_top"),
    ("λ_max of the Fisher, Θ", "fisher_top"),
    ("correlation depth", "xi"),
    ("output common to all inputs", "common"),
    ("nonlinear share of the rest", "nonlinearity"),
    ("2/λ, a cautious bound of the rate", "learning_rate_bound"),
)


@answer_of.register
def _(record: Design) -> Answer:
    rate = record.learning_rate
    why = (*record.reasons, rate.reason, *_above_its_bound(rate))
    uneven = len({layer.gain for layer in record.layers}) > 1
    return Answer(
        _title(record),
        (
            Section("", design_rows(record)),
            Section(BESIDE, (candidates_table(record.table),)),
            *([Section(GAINS, (gains_table(record),))] if uneven else ()),
            Section(WHY, tuple(Sentence(reason, "point") for reason in why)),
        ),
    )


def _above_its_bound(rate: Rate) -> tuple[str, ...]:
    """Why two numbers that both look like rates are told."""
    if not rate.recommended > rate.bound:
        return ()
    return (
        f"The rate lies above 2/λ = {number(rate.bound, 3)}, which batches bear at the start: trained networks did best "
        "beyond it.",
    )


@brief_of.register
def _(record: Design) -> Answer:
    """Without what takes long."""
    return Answer(_title(record), (Section("", (*design_rows(record), *(Row("", why) for why in record.reasons))),))


def _title(record: Design) -> str:
    return f"Design of {record.depth} layers with {record.named.name}, {record.widths[0]} inputs and {record.widths[-1]} outputs"


def design_rows(record: Design) -> tuple[Row, ...]:
    """What is set, what is reached, and the rate to start from."""
    reach = f"{record.reach.low if record.reach.low > _ZERO else 0:.3g} to {record.reach.high:.3g}"
    residual = (Row("scale of residual branches instead", record.residual().scale, 4),) if record.depth > 1 else ()
    return (
        Row("weights", record.weights),
        Row("σ_w", record.sigma_w),
        Row("σ_b", record.sigma_b),
        Row("q*, variance of pre-activations", record.q),
        Row("σ_JJ² reached, spread of the Jacobian", record.isometry),
        Row("reachable spread", reach),
        Row("input scale" if record.options.scale_inputs else "first layer's extra gain", record.input_scale),
        Row("learning rate to start from", attempted(lambda: number(record.learning_rate.recommended))),
        *residual,
        *(Row(f"activation: {name}", value) for name, value in record.numbers),
    )


def candidates_table(candidates: tuple[Candidate, ...]) -> Table:
    """The design's numbers beside those of the usual starts, one column each."""
    names = tuple(candidate.name for candidate in candidates)
    rows = tuple((label, *(_short(candidate.numbers[name]) for candidate in candidates)) for label, name in _ROWS)
    return Table(("", *names), rows, names)


def gains_table(record: Design) -> Table:
    """σ_w and σ_b of the layers; equal ones that follow one another in one row."""
    rows = [
        (span([layer.name for layer in group]), str(fan_in), str(fan_out), f"{sigma_w:.6g}", f"{sigma_b:.6g}")
        for (fan_in, fan_out, sigma_w, sigma_b), group in groupby(record.layers, key=lambda layer: layer[1:5])
    ]
    header = ("layers", "fan_in", "fan_out", "σ_w", "σ_b")
    return Table(header, tuple(rows), header[1:])


def span(names: list[str]) -> str:
    """The first and the last of some names."""
    return names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"


def _short(value: float) -> str:
    return "any" if math.isinf(value) else NOTHING if math.isnan(value) else f"{value:.3g}"


@document_of.register
def _(record: Design) -> dict[str, Any]:
    rate = record.learning_rate
    return {
        **picked(record, "depth widths"),
        "activation": record.named.name,
        "form": record.options.form,
        "activation_numbers": dict(record.numbers),
        **picked(record, "weights q sigma_w sigma_b delta isometry"),
        "reach": picked(record.reach, "low high reason"),
        "qhat0": record.options.qhat0,
        **picked(record, "input_scale length_growth"),
        "residual_scale": record.residual().scale if record.depth > 1 else None,
        "layers": [layer._asdict() for layer in record.layers],
        "reasons": record.reasons,
        "learning_rate": picked(
            rate,
            "bound recommended sharpness formula reason evidence details parametrisation",
            layers=[layer._asdict() for layer in rate.layers],
        ),
        "table": [
            {"name": candidate.name, "source": candidate.source} | candidate.numbers for candidate in record.table
        ],
        "applied": [],
        "applied_to_a_chain": None,
        "applied_notes": [],
        "applied_tensors": [],
    }
