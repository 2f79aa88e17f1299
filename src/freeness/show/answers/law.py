"""Laws, and spectra as they are predicted and measured."""

from __future__ import annotations

from typing import Any

import numpy as np

from freeness.expressions import LawAnswer
from freeness.laws import Edge, Law, apart
from freeness.show.answer import Answer, Row, Section, Sentence, Table, answer_of, attempted, number
from freeness.show.csv_table import status
from freeness.show.json_values import document_of, picked
from freeness.show.law_values import DrawnLaw
from freeness.show.pointmass import LISTED, heaviest
from freeness.spectra import Measurement, Prediction

_SHOWN = 12  # bands, and atoms, in the tables of an expression
_LONG = 120  # characters of a name
_COARSE = (
    "Only the outermost ends: gaps between them were not told. freeness law --seconds 600 looks for them for longer."
)
_ROUNDING = 1e-12  # of the standard deviation: a mean below it is 0


@answer_of.register
def _(record: Law) -> Answer:
    name = attempted(lambda: repr(record))
    row = Row("law", name if len(name) <= _LONG else f"{name[:_LONG]}…")
    return Answer("", (Section("", (row, *law_rows(record))),))


@answer_of.register
def _(record: DrawnLaw) -> Answer:
    lost = int(np.isnan(record.density).sum())
    rows = (
        Row("lower edge", record.low),
        Row("upper edge", record.high),
        Row("mean", record.mean),
        *(Row(f"atom at {position:.6g}", f"mass {mass:.6g}") for position, mass in record.atoms),
        *((Row("points that did not converge", str(lost)),) if lost else ()),
    )
    return Answer("", (Section("", rows),))


@answer_of.register
def _(record: Prediction) -> Answer:
    edge = record.edge
    rows = (
        *law_rows(record.law),
        Row("end of the law", f"{number(edge.value, 6)} ({edge.kind}{f' of {edge.mass:.1%}' if edge.mass else ''})"),
        Row("outliers", ", ".join(number(value, 6) for value in record.outliers) or "none"),
        Row("scatter of the mean", f"±{number(100 * record.finite_width_error, 3)}%"),
        Row("method", record.method),
        Row("assumptions", "; ".join(record.assumptions) or "none"),
    )
    return Answer("Prediction", (Section("", rows),))


@answer_of.register
def _(record: Measurement) -> Answer:
    values = record.eigenvalues
    rows = (
        Row("eigenvalues", str(values.size)),
        Row("mean", float(values.mean())),
        Row("variance", float(values.var())),
        Row("smallest to largest", f"{number(float(values[0]), 6)} to {number(float(values[-1]), 6)}"),
        Row("method", f"{record.method} ({number(record.seconds, 2)} s)"),
    )
    return Answer("Measurement", (Section("", rows),))


def law_rows(law: Law) -> tuple[Row, ...]:
    """Mean, variance, ends of the support and heaviest atoms of a law.

    Example:
        >>> from freeness.laws import Projection
        >>> law_rows(Projection(0.25))[-1].text
        '75% at 0, 25% at 1'
    """
    return (
        Row("mean", attempted(lambda: number(_mean(law), 6))),
        Row("variance", attempted(lambda: number(law.variance, 6))),
        Row("hull", attempted(lambda: " to ".join(number(end, 6) for end in law.hull))),
        Row("atoms", attempted(lambda: _atoms(law))),
    )


def _mean(law: Law) -> float:
    """The mean, or 0 where only rounding keeps it from that."""
    return 0.0 if abs(law.mean) < _ROUNDING * law.variance**0.5 else law.mean


def _atoms(law: Law) -> str:
    atoms = law.atoms
    listed = ", ".join(f"{number(100 * atom.mass)}% at {number(atom.position, 6)}" for atom in heaviest(atoms))
    return f"{listed}, … ({len(atoms)} in all)" if len(atoms) > LISTED else listed or "none"


# --- of an expression ---------------------------------------------------------------------------------------------


@answer_of.register
def _(record: LawAnswer) -> Answer:
    notes = (Sentence(f"Note: {note}") for note in record.parsed.notes)
    lead = Section("", (Sentence(record.parsed.reason), *notes))
    sections = [lead, *(section for section in (_support(record.law), _masses(record.law)) if section.parts)]
    return Answer(record.expression, (*sections, Section("Numbers", _numbers(record))))


def _support(law: Law) -> Section:
    if len(law.bands) > _SHOWN:
        low, high = law.hull
        rows = [(number(low, 8), number(high, 8), f"{len(law.bands)} bands in between", "")]
    else:
        ends = iter(law.edges)
        rows = [
            (number(left.position, 8), number(right.position, 8), _kind(left), _kind(right))
            for left, right in zip(ends, ends, strict=True)
        ]
    table = Table(("from", "to", "left end", "right end"), tuple(rows), ("from", "to"))
    coarse = () if apart(law) else (Sentence(_COARSE),)
    return Section("Support", (table, *coarse) if rows else ())


def _kind(edge: Edge) -> str:
    return f"{edge.kind} (exponent {edge.exponent:.2g})"


def _masses(law: Law) -> Section:
    if not law.atoms:
        return Section("Atoms", ())
    rows = tuple((number(position, 8), number(mass, 8)) for position, mass in heaviest(law.atoms, _SHOWN))
    lighter = len(law.atoms) - _SHOWN
    more = (Sentence(f"and {lighter} lighter atoms"),) if lighter > 0 else ()
    return Section("Atoms", (Table(("at", "mass"), rows, ("at", "mass")), *more))


def _numbers(record: LawAnswer) -> tuple[Row, ...]:
    moments = record.rounded_moments
    rows = [Row("mean", float(moments[0]), 8), Row("variance", float(record.law.variance), 8)]
    rows += [Row(f"moment {order}", float(value), 8) for order, value in enumerate(moments, start=1)]
    if record.sampled is not None:
        rows.append(Row(f"Kolmogorov distance to a sampled matrix of size {record.sampled.size}", record.distance, 2))
    lost = int((~record.table.converged).sum())
    return (*rows, Row("grid points that did not converge", str(lost))) if lost else tuple(rows)


@document_of.register
def _(record: LawAnswer) -> dict[str, Any]:
    law, table = record.law, record.table
    sampled = record.sampled
    return {
        "expression": record.expression,
        "variables": dict(record.variables),
        "method": record.parsed.method,
        "notes": record.parsed.notes,
        **picked(law, "mean variance"),
        "moments": record.moments,
        "support": law.support,
        "bands_error": law.bands_error,
        "edges": [picked(edge, "position side kind exponent") for edge in law.edges],
        "atoms": law.atoms,
        "grid": picked(table, "x density cdf error", status=status(table.converged)),
        "sampled": None
        if sampled is None
        else {"size": sampled.size, "seed": record.seed, "eigenvalues": sampled, "kolmogorov": record.distance},
    }
