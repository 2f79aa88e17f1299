"""An analysis as strict JSON: every number of the record, the eigenvalues, and the predicted density as a table."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from freeness.advice import Analysis, Comparison, FreenessOutcome, LayerTable
from freeness.laws import Law
from freeness.show.files import write_atomically
from freeness.show.json_values import json_text, plain
from freeness.show.pointmass import split_eigenvalues
from freeness.show.window import law_grid, window_of
from freeness.spectra import Measurement, Prediction, Word
from freeness.training import Rate
from freeness.version import __version__

SCHEMA_VERSION = 3
_OF_PREDICTIONS = ("mean", "samples", "layers", "parametrisation", "assumptions")  # of a rate, which is measured here
_POINTS = 240  # of the density table


def to_json(analysis: Analysis) -> dict[str, Any]:
    """The analysis as a document that ``json.dumps(..., allow_nan=False)`` accepts; :func:`schema` describes it.

    Numbers keep all their digits; one that is not finite (or a density point that did not converge) becomes null. Each
    spectrum has ``predicted`` (null where theory does not cover the network, then ``reason`` says why) with ``law``:
    mean, variance, support, atoms and the density of the continuous part as a table; and ``measured`` with all
    eigenvalues and the point masses among them (null where nothing was measured, then ``missing`` says why). ``freeness`` holds
    the measured words of the weights, all and the strongest of each pair; ``test`` is null where it was left out, then ``reason``
    says why. ``layers`` are the rows of the table of layers, ``watched`` is the rest of it.
    """
    document: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "freeness_version": __version__}
    document |= {field.name: _field(getattr(analysis, field.name)) for field in fields(analysis)}
    return document | {"watched": _watched(analysis.layers)}


def dump_json(analysis: Analysis) -> str:
    """:func:`to_json` as text, strictly valid."""
    return json_text(to_json(analysis))


def write_json(analysis: Analysis, path: Path | str) -> Path:
    """Write :func:`to_json` to a file, whole or not at all.

    Raises:
        InputError: the file cannot be written.
    """
    return write_atomically(Path(path), dump_json(analysis))


def _field(value: Any) -> Any:
    if isinstance(value, LayerTable):
        return plain(value.modules)
    if isinstance(value, Comparison):
        return _comparison(value)
    if isinstance(value, Rate):
        return {name: entry for name, entry in plain(value).items() if name not in _OF_PREDICTIONS}
    return _freeness(value) if isinstance(value, FreenessOutcome) else plain(value)


def _watched(table: LayerTable) -> dict[str, Any]:
    """What the table holds beside its rows."""
    return {name: value for name, value in plain(table).items() if name != "modules"}


def _freeness(outcome: FreenessOutcome) -> dict[str, Any]:
    test = outcome.test
    return {
        "kind": "measured",
        "status": outcome.status,
        "sentence": outcome.sentence,
        "reason": outcome.reason,
        "seconds": plain(outcome.seconds),
        "test": None
        if test is None
        else {
            "free": test.free,
            "largest_score": plain(test.largest),
            "pairs": [_word(word) for word in test.strongest],
            "words": [_word(word) for word in test.words],
        },
    }


def _word(word: Word) -> dict[str, Any]:
    return plain(word) | {"score": plain(word.score) if word.tested else None, "free": word.free}


def _comparison(comparison: Comparison) -> dict[str, Any]:
    prediction = comparison.predicted
    return {
        "predicted": None if prediction is None else _prediction(prediction, comparison),
        "measured": None if comparison.measured is None else _measured(comparison.measured, prediction),
        "distance": plain(comparison.distance),
        "reason": comparison.reason,
        "missing": comparison.missing,
    }


def _measured(measured: Measurement, prediction: Prediction | None) -> dict[str, Any]:
    return {
        "eigenvalues": plain(measured.eigenvalues),
        "atoms": plain(split_eigenvalues(measured.eigenvalues, prediction).atoms),
        "method": measured.method,
        "seconds": plain(measured.seconds),
        "mean_error": plain(measured.mean_error),
        "top_error": plain(measured.top_error),
    }


def _prediction(prediction: Prediction, comparison: Comparison) -> dict[str, Any]:
    kept = [field.name for field in fields(prediction) if field.name not in ("law", "outputs", "seen")]
    document = {name: getattr(prediction, name) for name in (*kept, "largest")}
    return {"law": _law(prediction.law, comparison)} | {name: plain(value) for name, value in document.items()}


def _law(law: Law, comparison: Comparison) -> dict[str, Any]:
    window = window_of(comparison)
    x = law_grid(law, window.low, window.high, log=window.log, points=_POINTS)
    return {
        "mean": plain(law.mean),
        "variance": plain(law.variance),
        "support": plain(law.hull),
        "atoms": plain(law.atoms),
        "density": {"x": plain(x), "value": plain(law.density(x, throw=False))},
    }
