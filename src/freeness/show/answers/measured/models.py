"""What was done to a model: the layers that a design initialised. These records come with torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import groupby
from typing import Any

from freeness.advice import LayerTable
from freeness.show.answer import Answer, Part, Section, Sentence, Table, answer_of, number
from freeness.show.answers.design import GAINS, span
from freeness.show.json_values import document_of, picked
from freeness.torch import AppliedDesign, AppliedRecipe, InitializedLayer, InitializedModel, InitializedTensor, Kind

_NAMES = 4  # of layers in one note
_THEORY = {"spectra": "spectra, kernels", "kernels": "kernels", "none": "–"}
_LEFT = ("activation", "unchanged")


@answer_of.register
def _(record: AppliedDesign) -> Answer:
    found = answer_of(record.design)
    sections = [section for section in found.sections if record.chain or section.title != GAINS]
    changed = sum(layer.ensemble == "activation" for layer in record.layers)
    text = f"Model: {len(record.layers) - changed} layers initialised"
    title = f"{text}{f', {changed} activations exchanged' if changed else ''}."
    return Answer(found.title, (*sections, Section(title, tuple(_parts(record)))))


def _parts(record: AppliedDesign) -> list[Part]:
    notes = dict.fromkeys(layer.note for layer in record.layers if layer.note)
    return [
        *(() if record.chain else (_layers_table(record.layers),)),
        *(Sentence(note, "point") for note in record.notes),
        *(Sentence(f"{_named(record.layers, note)}: {note}", "point") for note in notes),
    ]


def _layers_table(layers: tuple[InitializedLayer, ...]) -> Table:
    shown = [layer for layer in layers if layer.ensemble not in _LEFT]
    rows = [
        (span([layer.name for layer in group]), kind, f"{sigma_w:.6g}", f"{sigma_b:.6g}")
        for (kind, sigma_w, sigma_b), group in groupby(shown, key=lambda one: (one.kind, one.sigma_w, one.sigma_b))
    ]
    return Table(("", "kind", "σ_w", "σ_b"), tuple(rows), ("kind", "σ_w", "σ_b"))


def _named(layers: tuple[InitializedLayer, ...], note: str) -> str:
    names = [layer.name for layer in layers if layer.note == note]
    return f"{', '.join(names[:_NAMES])}{', …' if len(names) > _NAMES else ''}"


@answer_of.register
def _(record: InitializedModel) -> Answer:
    source = (Sentence(f"Source: {record.source}."),) if record.source else ()
    title = f"Start: {record.start}"
    return Answer(title, (Section("", source), tensors_section(record)))


@answer_of.register
def _(record: AppliedRecipe) -> Answer:
    """Every tensor, and what the start does to signals and gradients."""
    found = answer_of(record.start)
    if record.before is None or record.after is None:
        said = Sentence("No inputs were found that the model takes: nothing was measured.", "point")
        return Answer(found.title, (*found.sections, Section("Before and after", (said,))))
    table = _before_and_after(record.before, record.after)
    said = Sentence("The loss is a random linear function of the outputs, the same before and after.")
    return Answer(found.title, (*found.sections, Section("Before and after", (table, said))))


def tensors_section(record: InitializedModel) -> Section:
    """Every tensor, drawn or left; its other names beside the first."""
    title = f"Tensors: {len(record.drawn)} drawn, {len(record.left)} left"
    return Section(title, (Table(("tensor", "shape", "start", "why"), tuple(map(_tensor_row, record.tensors))),))


def _tensor_row(row: InitializedTensor) -> tuple[str, str, str, str]:
    name = " = ".join((row.name, *row.also))
    return name, "×".join(map(str, row.shape)) or "1", row.how if row.drawn else "left", row.reason


def _before_and_after(before: LayerTable, after: LayerTable) -> Table:
    rows = (
        ("mean square of the outputs", lambda table: table.modules[-1].signal),
        ("squared gradient, behind the first layer over in front of the last", _body_growth),
        ("largest branch over its skip", _largest_branch),
        ("squared gradient of all weights", lambda table: sum(row.gradient for row in table.modules)),
    )
    values = tuple((label, number(value(before)), number(value(after))) for label, value in rows)
    return Table(("", "before", "after"), values, ("before", "after"))


def _body_growth(table: LayerTable) -> float | None:
    """Of the gradient from the last layer but one back to the first: a last layer that is small by intention is left out."""
    return replace(table, modules=table.modules[:-1]).gradient_growth


def _largest_branch(table: LayerTable) -> float | None:
    return max((row.branch_over_skip for row in table.sums), default=None)


def kinds_answer(kinds: Iterable[Kind]) -> Answer:
    """The support matrix: what of torch is covered by theory and measured."""
    header = ("operation", "theory", "measured exactly", "conditions of theory, or why it has none")
    rows = tuple((kind.name, _THEORY[kind.theory], kind.measured, kind.limits) for kind in kinds)
    said = (
        "Every operation is read and named. Dual Gram matrix and Jacobian are exact for all of them: layer by layer without "
        "the Jacobian of the parameters in memory, or by autograd, one parameter at a time."
    )
    return Answer("", (Section("", (Table(header, rows), Sentence(said))),))


@document_of.register
def _(record: AppliedDesign) -> dict[str, Any]:
    names = "name kind ensemble sigma_w gain sigma_b note"
    return document_of(record.design) | {
        "applied": [picked(layer, names) for layer in record.layers],
        "applied_to_a_chain": record.chain if record.layers else None,
        "applied_notes": record.notes,
        "applied_tensors": document_of(record.start)["tensors"],
    }


@document_of.register
def _(record: InitializedModel) -> dict[str, Any]:
    rows = [picked(row, "name also shape drawn how reason") for row in record.tensors]
    return picked(record, "start source", tensors=rows)


@document_of.register
def _(record: AppliedRecipe) -> dict[str, Any]:
    tables = {"before": record.before, "after": record.after}
    return document_of(record.start) | {key: None if one is None else _measured(one) for key, one in tables.items()}


def _measured(table: LayerTable) -> dict[str, Any]:
    return {
        "outputs": table.modules[-1].signal,
        "gradient_growth": _body_growth(table),
        "largest_branch_over_skip": _largest_branch(table),
        "squared_gradient": sum(row.gradient for row in table.modules),
    }
