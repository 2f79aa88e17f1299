"""A network read layer by layer: neurons, roles of layers, states along training."""

from __future__ import annotations

from typing import Any

import numpy as np

from freeness.interpret import Interpretation
from freeness.show.answer import NOTHING, Answer, Part, Section, Sentence, Table, answer_of, number, percent
from freeness.show.json_values import document_of, picked


@answer_of.register
def _(record: Interpretation) -> Answer:
    last = f"{100 * record.accuracy[-1]:.1f} ± {100 * record.accuracy_error[-1]:.1f} %"
    middle = int(record.settled.cumsum().searchsorted(record.samples / 2)) + 1
    fit = record.fit
    lead: list[Part] = [Sentence(f"Data: {record.data}; {record.samples:,} test samples")]
    if fit is not None:
        lead.append(Sentence(f"{fit.steps} steps at the rate {fit.rate:.3g} in {fit.seconds:.0f} s"))
    lead += [
        Sentence(f"Read by {record.method}."),
        Sentence(f"Accuracy at the last layer, which is the network's output: {last}", "bold"),
        Sentence(f"Accuracy by layer, %: {' '.join(f'{100 * value:.0f}' for value in record.accuracy)}"),
        Sentence(f"Half of the samples have their final class from reading {middle} of {len(record.layers)} on."),
    ]
    sections = [Section("", tuple(lead))]
    if record.roles:
        sections.append(Section("Layers: change of weights from the identity", (role_table(record),)))
    if record.ablations:
        title = f"Without the {100 * record.share:g} % of neurons that contribute most"
        sections.append(Section(title, (ablation_table(record),)))
    if record.states:
        sections.append(Section("Along training, at the first test image", (state_table(record),)))
    title = f"{record.depth} layers of width {record.width}, {record.activation}, start: {record.start}"
    return Answer(title, tuple(sections))


def ablation_table(told: Interpretation) -> Table:
    """Of every class its accuracy before and after deleting neurons, beside random ones."""
    rows = tuple(
        (
            told.classes[one.target],
            percent(one.before),
            percent(one.after),
            f"{100 * one.drop:.1f}",
            f"{100 * one.random_drop:.1f} ± {100 * one.random_error:.1f}",
            number(one.ratio, 2) if np.isfinite(one.ratio) else NOTHING,
            "yes" if one.significant else "no",
        )
        for one in told.ablations
    )
    header = ("class", "before", "after", "lost", "random: lost", "ratio", "> 3 SE")
    return Table(header, rows, header[1:])


def role_table(told: Interpretation) -> Table:
    """Of every layer how far its weights have left the identity, and in which part."""
    rows = tuple(
        (
            str(layer.index),
            layer.role,
            number(layer.extraction, 3),
            number(layer.classification, 3),
            number(layer.revision, 3),
            number(layer.feedback, 3),
            number(layer.drift, 3),
            percent(accuracy),
        )
        for layer, accuracy in zip(told.roles, told.accuracy, strict=False)
    )
    header = ("layer", "role", "extract", "classify", "revise", "feed back", "drift", "right")
    return Table(header, rows, (header[0], *header[2:]))


def state_table(told: Interpretation) -> Table:
    """JJᵀ, freeness and drift along training."""
    rows = tuple(
        (
            str(state.step),
            number(float(state.jacobian.eigenvalues.mean()), 4),
            number(state.spread, 3),
            number(float(state.jacobian.eigenvalues.max()), 4),
            number(state.largest_score, 3) if state.tested else NOTHING,
            ("free" if state.freeness.free else "not free") if state.tested else "not tested",
            number(float(state.drift.max()), 3),
        )
        for state in told.states
    )
    header = ("step", "mean JJᵀ", "variance", "largest", "score", "freeness", "drift")
    return Table(header, rows, header)


@document_of.register
def _(record: Interpretation) -> dict[str, Any]:
    fit = record.fit
    return {
        **picked(record, "depth width activation start data method"),
        "test_samples": record.samples,
        "accuracy_by_layer": record.accuracy,
        "standard_error": record.accuracy_error,
        "settled_at_layer": record.settled,
        "rate": None if fit is None else fit.rate,
        "steps": None if fit is None else fit.steps,
        "seconds": None if fit is None else fit.seconds,
        "losses": None if fit is None else fit.losses,
        "layers": [
            {"layer": layer.index} | picked(layer, "role extraction classification revision feedback drift")
            for layer in record.roles
        ],
        "deleted_neurons": [
            {"class": record.classes[one.target]} | picked(one, "deleted before after random significant")
            for one in record.ablations
        ],
        "training": [
            {
                "step": state.step,
                "jacobian_mean": float(state.jacobian.eigenvalues.mean()),
                "jacobian_relative_variance": state.spread,
                "strongest_word": state.largest_score if state.tested else None,
                "free": state.freeness.free if state.tested else None,
                "drift": state.drift,
            }
            for state in record.states
        ],
    }
