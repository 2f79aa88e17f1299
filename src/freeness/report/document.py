"""An analysis as strict JSON: every number of the record, the eigenvalues, and the predicted density as a table."""

from __future__ import annotations

import json
import math
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from freeness.advice.analysis import Analysis, Comparison, FreenessOutcome
from freeness.laws import Atom, Law
from freeness.report.files import version, write_atomically
from freeness.show import law_grid, split_eigenvalues, window_of
from freeness.spectra import Word
from freeness.spectra.records import Prediction

SCHEMA_VERSION = 1
_POINTS = 240  # of the density table


def to_json(analysis: Analysis) -> dict[str, Any]:
    """The analysis as a document that ``json.dumps(..., allow_nan=False)`` accepts; :func:`schema` describes it.

    Numbers keep all their digits; one that is not finite (or a density point that did not converge) becomes null. Each
    spectrum has ``predicted`` (null where theory does not cover the network, then ``reason`` says why) with ``law``:
    mean, variance, support, atoms and the density of the continuous part as a table; and ``measured`` with all
    eigenvalues and the point masses among them. ``freeness`` holds the measured words of the weights, all and the strongest of
    each pair; ``test`` is null where it was left out, then ``reason`` says why.

    Args:
        analysis: what ``freeness.torch.analyze`` returned.
    """
    document: dict[str, Any] = {"schema_version": SCHEMA_VERSION, "freeness_version": version()}
    for field in fields(analysis):
        value = getattr(analysis, field.name)
        document[field.name] = _field(value)
    return document


def dump_json(analysis: Analysis) -> str:
    """:func:`to_json` as text, strictly valid."""
    return json.dumps(to_json(analysis), allow_nan=False, indent=1) + "\n"


def write_json(analysis: Analysis, path: Path | str) -> Path:
    """Write :func:`to_json` to a file, whole or not at all.

    Args:
        analysis: what is written.
        path: the file; missing folders are made.

    Raises:
        InputError: the file cannot be written.
    """
    return write_atomically(Path(path), dump_json(analysis))


def _field(value: Any) -> Any:
    if isinstance(value, Comparison):
        return _comparison(value)
    return _freeness(value) if isinstance(value, FreenessOutcome) else _plain(value)


def _freeness(outcome: FreenessOutcome) -> dict[str, Any]:
    test = outcome.test
    return {
        "kind": "measured",
        "status": outcome.status,
        "sentence": outcome.sentence,
        "reason": outcome.reason,
        "seconds": _plain(outcome.seconds),
        "test": None
        if test is None
        else {
            "free": test.free,
            "largest_score": _plain(test.largest),
            "pairs": [_word(word) for word in test.strongest],
            "words": [_word(word) for word in test.words],
        },
    }


def _word(word: Word) -> dict[str, Any]:
    return _plain(word) | {"score": _plain(word.score) if word.tested else None, "free": word.free}


def _comparison(comparison: Comparison) -> dict[str, Any]:
    measured, prediction = comparison.measured, comparison.predicted
    split = split_eigenvalues(measured.eigenvalues, prediction)
    return {
        "predicted": None if prediction is None else _prediction(prediction, comparison),
        "measured": {
            "eigenvalues": _plain(measured.eigenvalues),
            "atoms": _plain(split.atoms),
            "method": measured.method,
            "seconds": _plain(measured.seconds),
        },
        "distance": _plain(comparison.distance),
        "reason": comparison.reason,
    }


def _prediction(prediction: Prediction, comparison: Comparison) -> dict[str, Any]:
    document = {field.name: getattr(prediction, field.name) for field in fields(prediction) if field.name != "law"}
    return {"law": _law(prediction.law, comparison)} | {name: _plain(value) for name, value in document.items()}


def _law(law: Law, comparison: Comparison) -> dict[str, Any]:
    window = window_of(comparison)
    x = law_grid(law, window.low, window.high, log=window.log, points=_POINTS)
    return {
        "mean": _plain(law.mean),
        "variance": _plain(law.variance),
        "support": _plain(law.hull),
        "atoms": _plain(law.atoms),
        "density": {"x": _plain(x), "value": _plain(law.density(x, throw=False))},
    }


def _plain(value: Any) -> Any:
    """Records as objects, sequences as lists, numbers as Python's; not finite ones as None."""
    if isinstance(value, Atom):
        return {"position": _plain(value.position), "mass": _plain(value.mass)}
    if isinstance(value, (tuple, list, np.ndarray)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
