"""Predicted beside measured spectrum: density as a line over a histogram, atoms as stems with their mass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from freeness.advice import Comparison
from freeness.laws import Atom
from freeness.show import style
from freeness.show.picture import Appearance, Axis, Drawing, Histogram, Picture, Series, Stems
from freeness.show.pointmass import Split, shown_atoms, split_eigenvalues
from freeness.show.window import Window, law_grid, window_of
from freeness.spectra import Prediction

_FEW = 5  # fewer continuous eigenvalues than this make no histogram
_RUG = 60  # up to so many continuous eigenvalues each is also shown as a tick
_LABELLED = 5  # so many atoms get their mass written beside them
_SHARP = 1.5  # a density that rises so far above its bins is also drawn averaged over them
MASS = Axis("mass at one point (atoms)", 0.0, 1.18, ticks=(0.0, 0.25, 0.5, 0.75, 1.0), form="percent")


def spectrum_picture(
    comparison: Comparison, *, title: str = "", xlabel: str = "eigenvalue", how: str = "measured"
) -> Picture:
    """A predicted and a measured spectrum over each other.

    Left axis: the density of the continuous part, theory as a line, measurement as a histogram; both integrate to the
    mass that is not at atoms. Where the line is much sharper than the bins, its average over them is drawn too. Right
    axis, only where there are atoms: their mass, theory as stems, measurement as circles. The axis is logarithmic, and
    the density one per decade, where the spectrum spans decades. Triangles on top mark the largest eigenvalue.

    Args:
        comparison: predicted (or None) and measured.
        title: above the picture.
        xlabel: what the eigenvalues are of.
        how: where the eigenvalues come from, in a word of the legend.
    """
    split = split_eigenvalues(comparison.eigenvalues, comparison.predicted)
    window = window_of(comparison, split)
    edges = bin_edges(split, window)
    drawn = [*histogram(split, edges, window, style.counted(split.total, how)), *rug(split, how)]
    if comparison.predicted is not None:
        drawn += density(comparison.predicted, edges, window)
    height = height_of(drawn)
    masses = stems(comparison.predicted, split, window, how)
    largest = float(comparison.eigenvalues[-1])
    return Picture(
        (*drawn, *masses, *_marks(comparison, how)),
        *axes_of(comparison, split, window, xlabel, height),
        right=MASS if masses else None,
        title=title,
        sentence=f"{how.capitalize()} spectrum of {split.total} eigenvalues up to {largest:.4g}{_in_theory(comparison)}.",
    )


def _in_theory(comparison: Comparison) -> str:
    return (
        "" if comparison.predicted is None else f"; theory says up to about {comparison.predicted.expected_largest:.4g}"
    )


def bin_edges(split: Split, window: Window) -> np.ndarray:
    """Bins that span exactly the visible eigenvalues, about 2√n of them."""
    visible = split.rest[split.rest >= window.low]
    low, high = (visible[0], visible[-1]) if visible.size else (window.low, window.high)
    if high <= low * (1 + 1e-9):  # a single value: one bar of visible width
        part = 0.02 * (window.high - window.low)
        low, high = (low / 1.1, low * 1.1) if window.log else (low - part, low + part)
    count = int(np.clip(2 * np.sqrt(visible.size), 6, 50)) if visible.size > 1 else 1
    edges = np.geomspace(low, high, count + 1) if window.log else np.linspace(low, high, count + 1)
    edges[0], edges[-1] = low, high  # geomspace rounds, and the extreme eigenvalues lie on the ends
    return edges


def histogram(split: Split, edges: np.ndarray, window: Window, name: str) -> list[Drawing]:
    """The eigenvalues at no atom as bars; none where they are few."""
    if split.rest.size < _FEW:
        return []
    heights = np.histogram(split.rest, edges)[0] / split.total / _widths(edges, window)
    look = Appearance(style.MEASURED, opacity=0.55)
    return [Histogram(edges, heights, look, name, "measured-histogram")]


def rug(split: Split, how: str) -> list[Drawing]:
    """A tick for each eigenvalue at no atom, where these are few."""
    if not 0 < split.rest.size <= _RUG:
        return []
    look = Appearance(style.MEASURED_DARK, width=0, marker="tick", size=12)
    name = style.counted(split.total, how) if split.rest.size < _FEW else ""
    return [Series(split.rest, np.full(split.rest.size, 0.02), look, name, "measured-rug", "frame")]


def _widths(edges: np.ndarray, window: Window) -> np.ndarray:
    """Widths of the bins in the unit of the density: decades on a log axis."""
    return np.diff(np.log10(edges)) if window.log else np.diff(edges)


def density(prediction: Prediction, edges: np.ndarray, window: Window) -> list[Drawing]:
    """The density as a line, and its average over the bins where that says more."""
    law, peak = prediction.law, 0.0
    drawn: list[Drawing] = []
    binned = _binned(prediction, edges) / _widths(edges, window)
    if sum(atom.mass for atom in law.atoms) < 1 - 1e-9:
        x = law_grid(law, window.low, window.high, log=window.log)
        values = law.density(x, throw=False) * (x * np.log(10) if window.log else 1.0)
        peak = float(np.nanmax(values, initial=0.0))
        drawn.append(Series(x, values, Appearance(style.THEORY), "theory, continuous part", "theory-density"))
    light_atoms = len(shown_atoms(prediction)) < len(law.atoms)
    if len(edges) > 2 and (light_atoms or peak > _SHARP * binned.max()):
        spiky = peak > 4 * binned.max()  # narrow bands: the average says more
        thin = [replace(line, look=replace(line.look, width=1)) for line in drawn if isinstance(line, Series)]
        outline = Appearance(style.THEORY, 2 if spiky else 1.2, "short")
        average = Histogram(edges, binned, outline, "theory, averaged over the bins", "theory-binned", filled=False)
        return [*(thin if spiky else drawn), average]
    return drawn


def _binned(prediction: Prediction, edges: np.ndarray) -> np.ndarray:
    """Predicted mass in each bin, without the atoms that are drawn as stems."""
    mass = np.diff(prediction.law.cdf(edges, throw=False))
    for position, weight in shown_atoms(prediction):  # the distribution function is half way up at an atom
        inside = (edges[:-1] < position) & (position < edges[1:])
        mass = mass - weight * (inside + 0.5 * (edges[:-1] == position) + 0.5 * (edges[1:] == position))
    return np.maximum(np.nan_to_num(mass), 0.0)


def height_of(drawn: Sequence[Drawing]) -> float:
    """Where the density axis ends: above the bars and most of the line; a density that diverges at an edge leaves it."""
    tops = [float(np.max(one.heights)) for one in drawn if isinstance(one, Histogram)]
    for one in drawn:
        if isinstance(one, Series) and one.where == "left" and np.isfinite(one.y).any():
            tops.append(float(np.nanquantile(one.y, 0.9)))
            tops.append(min(float(np.nanmax(one.y)), 2 * max(tops)))
    return 1.18 * max(tops, default=1.0) or 1.0


def stems(prediction: Prediction | None, split: Split, window: Window, how: str) -> list[Drawing]:
    """Predicted and measured masses at points; those of theory have labels, or else the measured ones."""
    predicted = shown_atoms(prediction) if prediction is not None else ()
    drawn: list[Drawing] = []
    if predicted:
        look = Appearance(style.THEORY, 2.5, marker="diamond", size=7)
        drawn.append(stem_of(predicted, window, look, "theory", labelled=True))
    if split.atoms:
        look = Appearance(
            style.MEASURED, 7, marker="circle", size=12, edge=style.MEASURED_DARK, hollow=True, opacity=0.55
        )
        drawn.append(stem_of(split.atoms, window, look, how, labelled=not predicted))
    return drawn


def stem_of(atoms: Sequence[Atom], window: Window, look: Appearance, how: str, *, labelled: bool) -> Stems:
    """On a log axis an atom at zero stands at the left end."""
    positions, masses = np.array(atoms, dtype=float).T
    placed = np.maximum(positions, window.low) if window.log else positions
    words = tuple(f"{100 * mass:.3g} % at {position:.4g}" for position, mass in atoms)
    labels = _labels(atoms, window) if labelled else ("",) * len(atoms)
    key = "theory" if how == "theory" else "measured"
    return Stems(placed, masses, look, f"{how}, mass at atoms", key, labels, words)


def _labels(atoms: Sequence[Atom], window: Window) -> tuple[str, ...]:
    """The masses of the heaviest, where none covers the label of a heavier one."""
    labels, labelled = [""] * len(atoms), []
    for index in sorted(range(len(atoms)), key=lambda index: -atoms[index][1])[:_LABELLED]:
        position, mass = atoms[index]
        place = (window.part(max(position, window.low) if window.log else position), mass)
        if any(abs(place[0] - other[0]) < 0.2 and abs(place[1] - other[1]) < 0.09 for other in labelled):
            continue
        labelled.append(place)
        labels[index] = f"{mass:.1%}" + (" at 0" if window.log and position <= 0 else "")
    return tuple(labels)


def _marks(comparison: Comparison, how: str) -> list[Drawing]:
    marks: list[Drawing] = []
    if comparison.predicted is not None:
        top = comparison.predicted.edge
        if comparison.predicted.outliers:
            place, name = top.value, f"end of the law: {top.value:.4g}"
        else:
            place = comparison.predicted.expected_largest
            name = f"largest, theory: {place:.4g}{' (atom)' if top.kind == 'atom' else ''}"
        marks.append(_mark([place], 1.0, Appearance(style.THEORY, 0, marker="down", size=9), name, "theory-largest"))
        if comparison.predicted.outliers:
            look = Appearance(style.THEORY, 0, marker="up", size=9)
            outliers = comparison.predicted.outliers
            marks.append(_mark(outliers, 0.0, look, "theory, outliers", "theory-outliers"))
    largest = float(comparison.eigenvalues[-1])
    look = Appearance(style.MEASURED, 0, marker="down", size=9, edge=style.MEASURED_DARK)
    return [*marks, _mark([largest], 1.03, look, f"largest, {how}: {largest:.4g}", "measured-largest")]


def _mark(x: Sequence[float], height: float, look: Appearance, name: str, key: str) -> Series:
    return Series(np.array(x), np.full(len(x), height), look, name, key, "frame", clipped=False)


def axes_of(comparison: Comparison, split: Split, window: Window, xlabel: str, height: float) -> tuple[Axis, Axis]:
    """The line of eigenvalues and the axis of densities; both say what is not seen."""
    unit = "density per decade" if window.log else "density"
    rest = split.rest.size / split.total
    if comparison.predicted is not None:
        rest = max(0.0, 1 - sum(atom.mass for atom in shown_atoms(comparison.predicted)))
    part = f"\n(of the {rest:.1%} not at atoms)" if 0 < rest < 0.9995 else ""
    hidden = int(np.sum(split.rest < window.low))
    left = f" ({hidden / split.total:.1%} lie further left)" if hidden else ""
    return window.axis(xlabel + left), Axis(unit + part, 0.0, height)
