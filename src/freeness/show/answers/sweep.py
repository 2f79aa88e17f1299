"""A sweep: of every design where learning breaks and where it is best, over depth."""

from __future__ import annotations

from typing import Any

import numpy as np

from freeness.show.answer import Answer, Part, Section, Sentence, Table, number
from freeness.show.pictures.sweep import SweepTable

_HEADER = ("L", "2/L", "2/λ theory", "breaks at", "over 2/L", "best rate", "accuracy", "diverged")


def sweep_answer(table: SweepTable) -> Answer:
    """Thresholds of every design and depth, and the powers of the depth that they follow."""
    sections = [Section(str(design), _design(table.sel(design=design))) for design in table["design"].values]
    said = [Sentence("Breaks at: accuracy, mean over the seeds, falls below 80 % of that depth's best.")]
    if "mean_square" in table.attrs:
        square = f"{table.attrs['mean_square']:.6g}"
        said.append(
            Sentence(
                f"Entries of the inputs have the mean square {square}: freeness design --qhat0 {square} tells the same bounds of "
                "the same network."
            )
        )
    return Answer(f"Sweep {table.attrs['name']}", (*sections, Section("", tuple(said))))


def _design(part: Any) -> tuple[Part, ...]:
    rows = tuple(_row(part.sel(depth=depth), depth) for depth in part["depth"].values)
    slopes = (_slope(part, "boundary", "breaks"), _slope(part, "best_rate", "is best"))
    ends = [place for place, depth in enumerate(part["depth"].values) if _at_an_end(part.sel(depth=depth))]
    table = Table(_HEADER, rows, _HEADER, tuple(ends))
    said = [Sentence(text) for text in slopes if text]
    if ends:
        depths = ", ".join(str(part["depth"].values[place]) for place in ends)
        said.append(
            Sentence(f"The best rate is the last of those tried at depth {depths}: try more on that side.", "warning")
        )
    return (table, *said)


def _at_an_end(at: Any) -> bool:
    """Whether the best rate is the smallest or the largest that was trained."""
    rates, best = np.asarray(at["rate"].values, float), float(at["best_rate"])
    return bool(np.isclose(best, [np.nanmin(rates), np.nanmax(rates)], rtol=1e-9).any())


def _row(at: Any, depth: int) -> tuple[str, ...]:
    boundary, line = float(at["boundary"]), float(at["two_over_depth"])
    lost = int(at["divergence_step"].notnull().sum())
    numbers = (line, float(at["one_sample_bound"]), boundary, boundary / line, float(at["best_rate"]))
    accuracy = f"{float(at['best_accuracy']):.3f}"
    return (str(depth), *(number(value, 3) for value in numbers), accuracy, f"{lost}/{at['divergence_step'].size}")


def _slope(part: Any, name: str, words: str) -> str:
    slope, error = float(part[f"{name}_slope"]), float(part[f"{name}_slope_error"])
    return f"Rate where learning {words}: ∝ L^({slope:.2f} ± {error:.2f})." if np.isfinite(slope) else ""
