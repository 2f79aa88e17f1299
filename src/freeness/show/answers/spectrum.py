"""A spectrum, predicted beside measured."""

from __future__ import annotations

import math

import numpy as np

from freeness.advice import Comparison
from freeness.laws import Atom
from freeness.show.answer import NOTHING, Answer, Section, Table, answer_of, brief_of, number, percent
from freeness.show.pointmass import heaviest, shown_atoms, split_eigenvalues
from freeness.spectra import Prediction

COLUMNS = ("theory", "measured", "difference")
_NARROW = 1e-3  # a relative range that is not worth a bracket


@answer_of.register
def _(record: Comparison) -> Answer:
    return Answer(_title(record), (Section("", (spectrum_table(record),)),))


@brief_of.register
def _(record: Comparison) -> Answer:
    rows = tuple((name, number(theory), number(seen)) for name, theory, seen in record.numbers)
    return Answer(_title(record), (Section("", (Table(("", "theory", "measured"), rows, ("theory", "measured")),)),))


def _title(record: Comparison) -> str:
    if record.measured is None:
        return f"Not measured: {record.missing}"
    return f"No prediction: {record.reason}" if record.predicted is None else "Predicted beside measured"


def spectrum_table(comparison: Comparison) -> Table:
    """Predicted beside measured: mean, spread, largest eigenvalue (atom or edge), atoms, distance W₁/λ_max.

    The columns are quantity, theory, measured, difference; theory is dashes where it does not cover the network, and what was
    measured where nothing was. Beside what was estimated stands its error.
    """
    if comparison.measured is None:
        rows = [(name, number(theory), NOTHING, NOTHING) for name, theory, _ in comparison.numbers]
        return Table(("", *COLUMNS), tuple(rows), COLUMNS)
    values, prediction, found = comparison.measured.eigenvalues, comparison.predicted, comparison.measured
    mean, spread, largest = float(np.mean(values)), float(np.std(values)), float(values[-1])
    if found.estimated:
        mean = found.law.mean
    told_mean, told_largest = _with_error(mean, found.mean_error), _with_error(largest, found.top_error)
    rows = []
    if prediction is None:
        rows += [("mean", NOTHING, told_mean, NOTHING), ("spread (std)", NOTHING, number(spread), NOTHING)]
        rows.append(("largest eigenvalue", NOTHING, told_largest, NOTHING))
        rows += [
            (f"share at {place}", NOTHING, percent(share), NOTHING)
            for place, share in _shares(split_eigenvalues(values, None).atoms)
        ]
    else:
        law, top = prediction.law, prediction.edge
        rows.append(("mean", number(law.mean), told_mean, change(mean, law.mean)))
        rows.append(("scatter of the mean", f"±{percent(prediction.finite_width_error)}", NOTHING, NOTHING))
        deviation = math.sqrt(prediction.expected_variance)
        rows.append(("spread (std)", number(deviation), number(spread), change(spread, deviation)))
        singles = prediction.outliers[: values.size - 1]
        for place, outlier in enumerate(singles):
            seen, name = (
                float(values[-1 - place]),
                "largest eigenvalue" if place == 0 else f"eigenvalue {place + 1} from the top",
            )
            shown = told_largest if place == 0 else number(seen)
            rows.append((name, f"{number(outlier)} (outlier)", shown, change(seen, outlier)))
        below = float(values[-1 - len(singles)])
        name = "largest below it" if singles else "largest eigenvalue"
        shown = number(below) if singles else told_largest
        about = top.value if prediction.largest is None else prediction.largest.value
        rows.append((name, _ranged(prediction), shown, change(below, about)))
        if about < top.value:
            rows.append(("end of the law", f"{number(top.value)} ({top.kind})", NOTHING, NOTHING))
        rows += _atom_rows(comparison)
    if comparison.distance is not None and largest > 0:
        rows.append(("distance W₁/λ_max", NOTHING, NOTHING, percent(comparison.distance / largest)))
    return Table(("", *COLUMNS), tuple(rows), COLUMNS)


def top_told(prediction: Prediction) -> str:
    """The largest eigenvalue of one network: an outlier's, or about where its few eigenvalues end, from where to where mostly."""
    return f"{number(prediction.top)} (outlier)" if prediction.outliers else _ranged(prediction)


def _ranged(prediction: Prediction) -> str:
    one, end = prediction.largest, prediction.edge
    if one is None or one.low == one.high:
        return f"{number(end.value)} ({end.kind})"
    narrow = one.high - one.low <= _NARROW * one.value
    return number(one.value) if narrow else f"{number(one.value)} ({number(one.low, 3)} to {number(one.high, 3)})"


def _with_error(value: float, error: float) -> str:
    return number(value) if error == 0 else f"{number(value)} ± {number(error, 1)}"


def _atom_rows(comparison: Comparison) -> list[tuple[str, str, str, str]]:
    if comparison.predicted is None:
        return []
    measured = split_eigenvalues(comparison.eigenvalues, comparison.predicted).atoms
    scale = max(abs(float(comparison.eigenvalues[-1])), abs(comparison.predicted.edge.value))
    rows = []
    for atom in heaviest(shown_atoms(comparison.predicted)):
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
    return [(number(atom.position), atom.mass) for atom in heaviest(merged)]


def change(measured: float | None, predicted: float | None) -> str:
    """By how many percent a measurement lies above theory; a dash where one of them is missing or theory says 0.

    Vanishing gradients are small numbers and not 0, so what counts as 0 hangs on the measurement.

    Example:
        >>> change(1.05, 1.0), change(3e-16, 4e-16), change(3e-16, 0.0), change(None, 1.0)
        ('+5.0%', '-25.0%', '–', '–')
    """
    if measured is None or predicted is None or abs(predicted) <= 1e-12 * abs(measured):
        return NOTHING
    return f"{_signed(100 * (measured / predicted - 1))}%"


def _signed(value: float) -> str:
    return f"{round(value, 1) + 0.0:+.1f}"  # + 0.0 turns -0.0 into 0.0
