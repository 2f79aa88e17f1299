"""Predicted beside measured spectrum: density as a line over a histogram, atoms as stems with their mass."""

from __future__ import annotations

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import StepPatch

from freeness.advice.analysis import Comparison
from freeness.laws import Atom
from freeness.plots import style
from freeness.plots.pointmass import Split, shown_atoms, split_eigenvalues
from freeness.plots.window import Window, law_grid, window_of
from freeness.spectra.records import Prediction

_FEW = 5  # fewer continuous eigenvalues than this make no histogram
_RUG = 60  # up to so many continuous eigenvalues each is also shown as a tick
_LABELLED = 5  # so many atoms get their mass written beside them
_SHARP = 1.5  # a density that rises so far above its bins is also drawn averaged over them
_PERCENT = "{:.1%}"


def plot_spectrum(
    comparison: Comparison, ax: Axes | None = None, *, title: str = "", xlabel: str = "eigenvalue"
) -> Axes:
    """Draw a predicted and a measured spectrum over each other.

    Left axis: the density of the continuous part, theory as a line, measurement as a histogram; both integrate to the
    mass that is not at atoms. Where the line is much sharper than the bins, its average over them is drawn too. Right
    axis, only where there are atoms: their mass, theory as stems, measurement as circles. The axis is logarithmic, and
    the density one per decade, where the spectrum spans decades. Triangles on top mark the largest eigenvalue.

    Args:
        comparison: predicted (or None) and measured.
        ax: axes to draw into; those of a new figure when left out.
        title: above the picture.
        xlabel: what the eigenvalues are of.

    Returns:
        The axes with the densities; save by ``ax.figure.savefig(...)``.
    """
    axes = style.axes_or_new(ax)
    split = split_eigenvalues(comparison.measured.eigenvalues, comparison.predicted)
    window = window_of(comparison, split)
    edges = _bin_edges(split, window)
    handles = _draw_histogram(axes, split, edges, window)
    if comparison.predicted is not None:
        handles += _draw_density(axes, comparison.predicted, edges, window)
    _limit_height(axes)
    handles += _draw_atoms(axes, comparison.predicted, split, window)
    handles += _mark_largest(axes, comparison)
    _dress(axes, comparison, split, window, title, xlabel)
    style.legend_below(axes, handles)
    return axes


def _bin_edges(split: Split, window: Window) -> np.ndarray:
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


def _widths(edges: np.ndarray, window: Window) -> np.ndarray:
    """Widths of the bins in the unit of the density: decades on a log axis."""
    return np.diff(np.log10(edges)) if window.log else np.diff(edges)


def _draw_histogram(ax: Axes, split: Split, edges: np.ndarray, window: Window) -> list[Artist]:
    counts, _ = np.histogram(split.rest, edges)
    label = style.counted(split.total)
    drawn: list[Artist] = []
    if split.rest.size >= _FEW:
        heights = counts / split.total / _widths(edges, window)
        drawn.append(
            ax.stairs(
                heights, edges, fill=True, color=style.MEASURED, alpha=0.55, gid="measured-histogram", label=label
            )
        )
    if 0 < split.rest.size <= _RUG:
        ticks = ax.plot(
            split.rest,
            np.full(split.rest.size, 0.02),
            "|",
            color=style.MEASURED_DARK,
            markersize=12,
            markeredgewidth=1.5,
            transform=ax.get_xaxis_transform(),
            gid="measured-rug",
            label=label,
            linestyle="none",
        )
        drawn = drawn or [*ticks]
    return drawn


def _draw_density(ax: Axes, prediction: Prediction, edges: np.ndarray, window: Window) -> list[Artist]:
    law = prediction.law
    drawn: list[Artist] = []
    peak = 0.0
    if sum(atom.mass for atom in law.atoms) < 1 - 1e-9:
        x = law_grid(law, window.low, window.high, log=window.log)
        density = law.density(x, throw=False) * (x * np.log(10) if window.log else 1.0)
        drawn += ax.plot(
            x, density, color=style.THEORY, linewidth=2, label="theory, continuous part", gid="theory-density"
        )
        peak = float(np.nanmax(density, initial=0.0))
    binned = _binned(prediction, edges) / _widths(edges, window)
    light_atoms = len(shown_atoms(prediction)) < len(law.atoms)
    if len(edges) > 2 and (light_atoms or peak > _SHARP * binned.max()):
        spiky = peak > 4 * binned.max()
        if drawn and spiky:  # narrow bands: the average says more
            drawn[0].set(linewidth=1)
        drawn.append(
            ax.stairs(
                binned,
                edges,
                color=style.THEORY,
                linewidth=2 if spiky else 1.2,
                linestyle=(0, (3, 1.5)),
                baseline=None,
                label="theory, averaged over the bins",
                gid="theory-binned",
            )
        )
    return drawn


def _binned(prediction: Prediction, edges: np.ndarray) -> np.ndarray:
    """Predicted mass in each bin, without the atoms that are drawn as stems."""
    mass = np.diff(prediction.law.cdf(edges, throw=False))
    for position, weight in shown_atoms(prediction):  # the distribution function is half way up at an atom
        inside = (edges[:-1] < position) & (position < edges[1:])
        mass = mass - weight * (inside + 0.5 * (edges[:-1] == position) + 0.5 * (edges[1:] == position))
    return np.maximum(np.nan_to_num(mass), 0.0)


def _limit_height(ax: Axes) -> None:
    """End the density axis above the histogram and most of the line; a density that diverges at an edge leaves it."""
    tops = [float(np.max(patch.get_data()[0])) for patch in ax.patches if isinstance(patch, StepPatch)]
    for line in ax.lines:
        values = np.asarray(line.get_ydata(), dtype=float)
        if line.get_gid() == "theory-density" and np.isfinite(values).any():
            tops.append(float(np.nanquantile(values, 0.9)))
            tops.append(min(float(np.nanmax(values)), 2 * max(tops)))
    ax.set_ylim(0, 1.18 * max(tops, default=1.0) or 1.0)


def _draw_atoms(ax: Axes, prediction: Prediction | None, split: Split, window: Window) -> list[Artist]:
    predicted = shown_atoms(prediction) if prediction is not None else ()
    if not predicted and not split.atoms:
        return []
    right = _mass_axis(ax)
    drawn: list[Artist] = []
    if predicted:
        x, mass = _placed(predicted, window)
        right.vlines(x, 0, mass, color=style.THEORY, linewidth=2.5, gid="theory-stems")
        drawn += right.plot(
            x,
            mass,
            "D",
            color=style.THEORY,
            markersize=7,
            label="theory, mass at atoms",
            gid="theory-atoms",
            linestyle="none",
        )
    if split.atoms:
        x, mass = _placed(split.atoms, window)
        right.vlines(x, 0, mass, color=style.MEASURED, linewidth=7, alpha=0.55, zorder=1, gid="measured-stems")
        drawn += right.plot(
            x,
            mass,
            "o",
            markersize=12,
            markerfacecolor="none",
            markeredgecolor=style.MEASURED_DARK,
            markeredgewidth=2,
            label="measured, mass at atoms",
            gid="measured-atoms",
            linestyle="none",
        )
    _label_atoms(right, predicted or split.atoms, window, style.THEORY if predicted else style.MEASURED_DARK)
    return drawn


def _mass_axis(ax: Axes) -> Axes:
    right = ax.twinx()
    right.set_ylim(0, 1.18)
    right.set_yticks([0, 0.25, 0.5, 0.75, 1.0], labels=["0", "25%", "50%", "75%", "100%"])
    right.tick_params(labelsize=style.FONT - 1)
    right.set_ylabel("mass at one point (atoms)", fontsize=style.FONT)
    right.spines["top"].set_visible(False)
    return right


def _placed(atoms: tuple[Atom, ...], window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Positions and masses; on a log axis an atom at zero is drawn at the left end."""
    positions, masses = np.array(atoms).T
    return (np.maximum(positions, window.low) if window.log else positions), masses


def _label_atoms(ax: Axes, atoms: tuple[Atom, ...], window: Window, colour: str) -> None:
    labelled: list[tuple[float, float]] = []
    for atom in sorted(atoms, key=lambda atom: -atom.mass)[:_LABELLED]:
        x = max(atom.position, window.low) if window.log else atom.position
        place = (window.part(x), atom.mass)
        if any(abs(place[0] - other[0]) < 0.2 and abs(place[1] - other[1]) < 0.09 for other in labelled):
            continue  # it would cover the label of a heavier one
        labelled.append(place)
        text = _PERCENT.format(atom.mass) + (" at 0" if window.log and atom.position <= 0 else "")
        on_the_right = place[0] > 0.6
        ax.annotate(
            text,
            (x, atom.mass),
            xytext=(-11 if on_the_right else 11, 4),
            textcoords="offset points",
            ha="right" if on_the_right else "left",
            fontsize=style.FONT,
            color=colour,
            fontweight="bold",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.0},
        )


def _mark_largest(ax: Axes, comparison: Comparison) -> list[Artist]:
    marks: list[tuple[str, float, str, str, str]] = []
    if comparison.predicted is not None:
        top = comparison.predicted.edge
        label = f"largest, theory: {top.value:.4g} ({top.kind})"
        marks.append(("theory-largest", top.value, "v", style.THEORY, label))
        for place, outlier in enumerate(comparison.predicted.outliers):
            label = "theory, outliers" if place == 0 else "_"
            marks.append(("theory-outliers", outlier, "^", style.THEORY, label))
    largest = float(comparison.measured.eigenvalues[-1])
    marks.append(("measured-largest", largest, "v", style.MEASURED, f"largest, measured: {largest:.4g}"))
    drawn: list[Artist] = []
    for gid, x, marker, colour, label in marks:
        height = 1.03 if gid == "measured-largest" else 0.0 if gid == "theory-outliers" else 1.0
        edge = style.MEASURED_DARK if gid == "measured-largest" else colour
        line = ax.plot([x], [height], marker, color=colour, markeredgecolor=edge, label=label, gid=gid)[0]
        line.set(markersize=9, transform=ax.get_xaxis_transform(), clip_on=False)
        drawn += [line] if label != "_" else []
    return drawn


def _dress(ax: Axes, comparison: Comparison, split: Split, window: Window, title: str, xlabel: str) -> None:
    style.show_window(ax, window.low, window.high, log=window.log)
    unit = "density per decade" if window.log else "density"
    rest = split.rest.size / split.total
    if comparison.predicted is not None:
        rest = max(0.0, 1 - sum(atom.mass for atom in shown_atoms(comparison.predicted)))
    part = f"\n(of the {rest:.1%} not at atoms)" if 0 < rest < 0.9995 else ""
    hidden = int(np.sum(split.rest < window.low))
    left = f" ({hidden / split.total:.1%} lie further left)" if hidden else ""
    style.finish(ax, xlabel=xlabel + left, ylabel=unit + part, title=title)
