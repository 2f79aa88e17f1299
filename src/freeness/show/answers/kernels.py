"""Kernels of wide networks on a data set."""

from __future__ import annotations

from typing import Any

import numpy as np

from freeness.meanfield import Kernels
from freeness.show.answer import Answer, Row, Section, answer_of
from freeness.show.json_values import document_of


@answer_of.register
def _(record: Kernels) -> Answer:
    values = record.eigenvalues
    condition = f"{values[-1] / values[0]:.4g}" if values[0] > 1e-13 * values[-1] else "beyond 1e13"
    rate = "largest stable learning rate, full batch, mean squared error, NTK parametrisation"
    rows = (
        Row("largest eigenvalue", float(values[-1])),
        Row("smallest eigenvalue", float(values[0])),
        Row("condition number", condition),
        Row("mean of the diagonal", float(np.trace(record.ntk)) / len(values)),
        Row(rate, len(values) / float(values[-1]), 4),
        Row("smallest eigenvalue of the NNGP kernel", record.lowest),
    )
    return Answer(f"Tangent kernel of networks with {record.depth} weight matrices", (Section("", rows),))


@document_of.register
def _(record: Kernels) -> dict[str, Any]:
    values = record.eigenvalues
    return {
        "inputs": len(values),
        "depth": record.depth,
        "nngp_lowest_eigenvalue": record.lowest,
        "ntk_mean_diagonal": float(np.trace(record.ntk)) / len(values),
        "ntk_eigenvalues": values,
        "largest_stable_learning_rate": len(values) / float(values[-1]),
    }
