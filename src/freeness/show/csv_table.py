"""Columns of numbers as the content of a CSV file."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from freeness.laws import LawTable
from freeness.meanfield import PhaseDiagram
from freeness.show.json_values import picked


def csv_bytes(columns: Mapping[str, Iterable[float | str | None]]) -> bytes:
    r"""Columns as a CSV file with all digits; what is missing or not finite is an empty cell.

    Args:
        columns: by name, all of one length.

    Example:
        >>> csv_bytes({"x": [0.5, 1.0], "density": [0.25, None]})
        b'x,density\n0.5,0.25\n1.0,\n'
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*([_cell(value) for value in column] for column in columns.values()), strict=True))
    return stream.getvalue().encode()


def _cell(value: float | str | None) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, (int, np.integer)):
        return str(value)
    return repr(float(value)) if math.isfinite(value) else ""


def phase_csv(diagram: PhaseDiagram) -> bytes:
    """The grid of a phase diagram: sigma_w, sigma_b, q, chi1."""
    weights, biases = np.meshgrid(diagram.sigma_w, diagram.sigma_b)
    grids = {"sigma_w": weights, "sigma_b": biases, "q": diagram.q, "chi1": diagram.chi1}
    return csv_bytes({name: grid.ravel() for name, grid in grids.items()})


def law_csv(table: LawTable) -> bytes:
    """A law at its points: x, density, cdf, error, status."""
    return csv_bytes(picked(table, "x density cdf error", status=status(table.converged)))


def status(converged: Sequence[bool] | np.ndarray) -> list[str]:
    """Of every point whether it converged, in words."""
    return ["converged" if one else "unconverged" for one in converged]
