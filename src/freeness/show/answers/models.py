"""What was done to a model: the layers that a design initialised. These records come with torch."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

from freeness.show.answer import Answer, Part, Section, Sentence, Table, answer_of
from freeness.show.answers.design import GAINS, span
from freeness.show.json_values import document_of
from freeness.torch import AppliedDesign, InitializedLayer, Kind

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


def kinds_answer(kinds: Iterable[Kind]) -> Answer:
    """The support matrix: what of torch is covered by theory and measured.

    Args:
        kinds: all of them.
    """
    header = ("operation", "theory", "measured exactly", "conditions of theory, or why it has none")
    rows = tuple((kind.name, _THEORY[kind.theory], kind.measured, kind.limits) for kind in kinds)
    said = (
        "Every operation is read and named. Dual Gram matrix and Jacobian are exact for all of them: layer by layer without "
        "the Jacobian of the parameters in memory, or by autograd, one parameter at a time."
    )
    return Answer("", (Section("", (Table(header, rows), Sentence(said))),))


@document_of.register
def _(record: AppliedDesign) -> dict[str, Any]:
    names = ("name", "kind", "ensemble", "sigma_w", "gain", "sigma_b", "note")
    return document_of(record.design) | {
        "applied": [{name: getattr(layer, name) for name in names} for layer in record.layers],
        "applied_to_a_chain": record.chain if record.layers else None,
        "applied_notes": record.notes,
    }
