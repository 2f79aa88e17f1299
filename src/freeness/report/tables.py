"""The tables that report and command line both show, as text."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from freeness.advice.analysis import Analysis, Comparison, LayerRow
from freeness.laws import Atom
from freeness.laws.display import html_table, number
from freeness.show.pointmass import shown_atoms, split_eigenvalues
from freeness.spectra import Word

_ATOMS = 4  # so many atoms are listed, the heaviest
_NOTHING = "–"
_CHAINED = 2  # operations of an activation that are all named
_ALWAYS = 5  # columns of the layers' table that every network has


@dataclass(frozen=True)
class Table:
    """A header and rows of text, all of the same length; ``numeric`` are the columns that are set to the right."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        return html_table("", self.rows, self.header)


def percent(value: float) -> str:
    """A mass in percent.

    Example:
        >>> percent(0.98249)
        '98.2%'
    """
    return f"{100 * value:.1f}%"


def spectrum_table(comparison: Comparison) -> Table:
    """Predicted beside measured: mean, spread, largest eigenvalue (atom or edge), atoms, distance W₁/λ_max.

    The columns are quantity, theory, measured, difference; theory is dashes where it does not cover the network.
    """
    values, prediction = comparison.measured.eigenvalues, comparison.predicted
    mean, spread, largest = float(np.mean(values)), float(np.std(values)), float(values[-1])
    rows = []
    if prediction is None:
        rows += [("mean", _NOTHING, number(mean), _NOTHING), ("spread (std)", _NOTHING, number(spread), _NOTHING)]
        rows.append(("largest eigenvalue", _NOTHING, number(largest), _NOTHING))
        rows += [
            (f"share at {place}", _NOTHING, percent(share), _NOTHING)
            for place, share in _shares(split_eigenvalues(values, None).atoms)
        ]
    else:
        law, top = prediction.law, prediction.edge
        rows.append(("mean", number(law.mean), number(mean), _relative(mean, law.mean)))
        rows.append(("scatter of the mean", f"±{percent(prediction.finite_width_error)}", _NOTHING, _NOTHING))
        deviation = math.sqrt(prediction.expected_variance)
        rows.append(("spread (std)", number(deviation), number(spread), _relative(spread, deviation)))
        singles = prediction.outliers[: values.size - 1]
        for place, outlier in enumerate(singles):
            seen, name = (
                float(values[-1 - place]),
                "largest eigenvalue" if place == 0 else f"eigenvalue {place + 1} from the top",
            )
            rows.append((name, f"{number(outlier)} (outlier)", number(seen), _relative(seen, outlier)))
        below = float(values[-1 - len(singles)])
        name = "largest below it, end of the law" if singles else "largest eigenvalue"
        rows.append((name, f"{number(top.value)} ({top.kind})", number(below), _relative(below, top.value)))
        rows += _atom_rows(comparison)
    if comparison.distance is not None and largest > 0:
        rows.append(("distance W₁/λ_max", _NOTHING, _NOTHING, percent(comparison.distance / largest)))
    columns = ("theory", "measured", "difference")
    return Table(("", *columns), tuple(rows), columns)


def _atom_rows(comparison: Comparison) -> list[tuple[str, str, str, str]]:
    if comparison.predicted is None:
        return []
    measured = split_eigenvalues(comparison.measured.eigenvalues, comparison.predicted).atoms
    scale = max(abs(float(comparison.measured.eigenvalues[-1])), abs(comparison.predicted.edge.value))
    rows = []
    for atom in _heaviest(shown_atoms(comparison.predicted)):
        near = [seen.mass for seen in measured if abs(seen.position - atom.position) <= 0.01 * scale]
        share = max(near, default=0.0)
        difference = f"{_signed(100 * (share - atom.mass))} points"
        rows.append((f"share at {number(atom.position)}", percent(atom.mass), percent(share), difference))
    return rows


def _shares(atoms: tuple[Atom, ...]) -> list[tuple[str, float]]:
    """Printed position and mass; those that are printed alike in one."""
    found: dict[str, list[Atom]] = {}
    for atom in atoms:
        found.setdefault(number(atom.position), []).append(atom)
    merged = tuple(Atom(same[0].position, sum(atom.mass for atom in same)) for same in found.values())
    return [(number(atom.position), atom.mass) for atom in _heaviest(merged)]


def _heaviest(atoms: tuple[Atom, ...]) -> list[Atom]:
    return sorted(sorted(atoms, key=lambda atom: -atom.mass)[:_ATOMS])


def _relative(measured: float, predicted: float) -> str:
    if abs(predicted) <= 1e-12 * max(abs(measured), 1.0):
        return _NOTHING
    return f"{_signed(100 * (measured / predicted - 1))}%"


def _signed(value: float) -> str:
    return f"{round(value, 1) + 0.0:+.1f}"  # + 0.0 turns -0.0 into 0.0


def freeness_table(analysis: Analysis) -> Table:
    """One row a weight matrix and the derivatives D_l = φ'(h^l) beside it: the word with the largest score, measured.

    Without rows where the test was left out.
    """
    test = analysis.freeness.test
    labels = {row.name: row for row in analysis.layers}
    rows = [_pair(word, labels.get(word.name)) for word in (test.strongest if test else ())]
    return Table(("weights", "derivatives", "strongest word", "score", "verdict"), tuple(rows), ("score",))


def _pair(word: Word, row: LayerRow | None) -> tuple[str, ...]:
    beside = "" if row is None else f"D{row.index - 1}" + (f", D{row.index}" if row.activation else "")
    label = word.name if row is None else _label(row)
    if not word.tested:
        return (label, beside, _NOTHING, _NOTHING, "too few neurons differ")
    return (label, beside, word.word, f"{word.score:.1f}", "free" if word.free else "not free")


def layer_table(analysis: Analysis) -> Table:
    """One row a weight layer: its size, weights, the signals q̂, q, φ, χ₁, δ, and the atoms of D² = φ'(h)².

    Of these last four only those that some layer has.
    """
    header = ("layer", "size", "W, σ_w", "q̂", "q", "φ", "χ₁", "δ", "D² at its atoms")
    rows = [_layer(row) for row in analysis.layers]
    kept = [place for place in range(len(header)) if place < _ALWAYS or any(row[place] != _NOTHING for row in rows)]
    return Table(tuple(header[place] for place in kept), tuple(tuple(row[place] for place in kept) for row in rows))


def _label(row: LayerRow) -> str:
    return str(row.index) if not row.name or row.name.isdigit() else f"{row.index} {row.name}"


def _function(name: str | None) -> str:
    """The activation; of a long chain of torch's operations the last and the first that runs."""
    parts = (name or _NOTHING).split("∘")
    return "∘".join(parts) if len(parts) <= _CHAINED else f"{parts[0]}∘…∘{parts[-1]}"


def _layer(row: LayerRow) -> tuple[str, ...]:
    return (
        _label(row),
        f"{row.fan_in}→{row.fan_out}",
        f"{row.weights} {number(row.sigma_w, 3)}",
        number(row.qhat, 3),
        number(row.q, 3),
        _function(row.activation),
        number(row.chi, 3),
        number(row.delta, 3),
        ", ".join(f"{percent(atom.mass)} at {number(atom.position, 3)}" for atom in _heaviest(row.atoms)) or _NOTHING,
    )
