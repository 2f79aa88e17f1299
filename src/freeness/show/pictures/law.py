"""One law: density as a line, atoms as stems, a sampled matrix of it as a histogram."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from freeness.advice import Comparison
from freeness.laws import Atom, Empirical, Law
from freeness.show import style
from freeness.show.law_values import DrawnLaw
from freeness.show.picture import Appearance, Axis, Drawing, Picture, Series
from freeness.show.pictures.spectrum import (
    MASS,
    axes_of,
    bin_edges,
    density,
    height_of,
    histogram,
    rug,
    spectrum_picture,
    stem_of,
    stems,
)
from freeness.show.pointmass import heaviest, split_eigenvalues
from freeness.show.window import window_of
from freeness.spectra import Measurement, Prediction, TopEigenvalue

_MANY = 100  # ends of bands; more are not refined
_QUANTILES = 200  # stand for the law where no matrix is sampled, to choose the window
_LISTED = 12  # atoms in a sentence, the heaviest
_STEEP = 3.0  # the axis of a law of known values ends at this multiple of the density's ninth decile


def law_picture(law: Law, *, sampled: ArrayLike | None = None, title: str = "", xlabel: str = "eigenvalue") -> Picture:
    """A law as a predicted spectrum is drawn, over the eigenvalues of a sample of it.

    Args:
        law: whose density is drawn, with its atoms.
        sampled: eigenvalues of a random matrix, any order, or none.
        title: above the picture.
        xlabel: what the eigenvalues are of.

    Example:
        >>> from freeness.laws import Semicircle
        >>> [drawing.key for drawing in law_picture(Semicircle(1.0)).drawings]
        ['theory-density']
    """
    if sampled is None:
        values = law.quantile((np.arange(_QUANTILES) + 0.5) / _QUANTILES)
    else:
        values = np.sort(np.asarray(sampled, dtype=float).ravel())
    comparison = _comparison(law, values)
    if sampled is not None:
        picture = spectrum_picture(comparison, title=title, xlabel=xlabel, how="sampled")
    else:
        split = split_eigenvalues(values, comparison.predicted)
        window = window_of(comparison, split)
        assert comparison.predicted is not None
        line = density(comparison.predicted, np.array([window.low, window.high]), window)
        nothing = split_eigenvalues(np.array([window.high]), None)
        masses = stems(comparison.predicted, nothing, window, "sampled")
        axes = axes_of(comparison, split, window, xlabel, height_of(line))
        picture = Picture((*line, *masses), *axes, right=MASS if masses else None, title=title)
    drawn = tuple(_refined(one, law, picture.x) for one in picture.drawings)
    low, high = law.hull
    return replace(picture, drawings=drawn, sentence=law_in_words((low, high), law.mean, law.atoms))


def drawn_law_picture(law: DrawnLaw, sampled: ArrayLike | None = None, *, xlabel: str = "eigenvalue") -> Picture:
    """A law whose values are known already, over the eigenvalues of a sample; equal ones of these are a point mass, too.

    Args:
        law: values of :func:`~freeness.show.drawn_law`.
        sampled: eigenvalues of a matrix, any order, or none.
        xlabel: what the eigenvalues are of.

    Example:
        >>> from freeness.laws import Projection
        >>> from freeness.show import drawn_law
        >>> [drawing.name for drawing in drawn_law_picture(drawn_law(Projection(0.25))).drawings]
        ['theory, mass at atoms']
    """
    drawn: list[Drawing] = []
    masses: list[Drawing] = []
    window = law.window
    if sampled is not None:
        split = split_eigenvalues(np.asarray(sampled, dtype=float), None)
        drawn += histogram(split, bin_edges(split, window), window, style.counted(split.total, "sampled"))
        drawn += rug(split, "sampled")
        look = Appearance(
            style.MEASURED, 7, marker="circle", size=12, edge=style.MEASURED_DARK, hollow=True, opacity=0.55
        )
        masses += [stem_of(split.atoms, window, look, "sampled", labelled=False)] if split.atoms else []
    tops = [height_of(drawn) / 1.18] if drawn else []
    if law.x.size:
        known = law.density[np.isfinite(law.density)]
        tops.append(min(float(known.max()), _STEEP * float(np.quantile(known, 0.9))) if known.size else 1.0)
        name = "theory, continuous part"
        drawn.append(Series(law.x, law.density, Appearance(style.THEORY), name, "theory-density", fill=0.12))
    if law.atoms:
        look = Appearance(style.THEORY, 2.5, marker="diamond", size=7)
        masses.insert(0, stem_of([Atom(*atom) for atom in law.atoms], window, look, "theory", labelled=True))
    unit = Axis("density per decade" if window.log else "density", 0.0, 1.15 * max(tops, default=1.0) or 1.0)
    return Picture(
        (*drawn, *masses),
        window.axis(xlabel),
        unit,
        right=MASS if masses else None,
        sentence=law_in_words((law.low, law.high), law.mean, law.atoms),
    )


def law_in_words(ends: tuple[float, float], mean: float, atoms: tuple[tuple[float, float], ...]) -> str:
    """The picture as a sentence, for those who do not see it.

    Example:
        >>> law_in_words((0.0, 1.0), 0.25, ((0.0, 0.75), (1.0, 0.25)))
        'Spectrum from 0 to 1, mean 0.25, atoms: 75 % at 0, 25 % at 1.'
    """
    listed = ", ".join(f"{100 * mass:.3g} % at {position:.4g}" for position, mass in heaviest(atoms, _LISTED))
    listed += f" and {len(atoms) - _LISTED} lighter ones" if len(atoms) > _LISTED else ""
    return f"Spectrum from {ends[0]:.4g} to {ends[1]:.4g}, mean {mean:.4g}, {f'atoms: {listed}' if listed else 'no atoms'}."


def _refined(drawing: Drawing, law: Law, shown: Axis) -> Drawing:
    """With points at both sides of the ends of inner bands, where the line would cut a gap or a cusp short."""
    ends = np.unique(law.bands)
    if not isinstance(drawing, Series) or drawing.key != "theory-density" or len(ends) > _MANY:
        return drawing
    assert shown.low is not None and shown.high is not None
    reach = (law.hull[1] - law.hull[0]) * np.geomspace(1e-9, 1e-2, 15)
    near = (ends[:, None] + np.concatenate([-reach, reach])).ravel()
    near = near[(near > shown.low) & (near < shown.high)]
    if not near.size:
        return drawing
    unit = near * np.log(10) if shown.log else 1.0
    x = np.concatenate([drawing.x, near])
    y = np.concatenate([drawing.y, law.density(near, throw=False) * unit])
    order = np.argsort(x)
    return replace(drawing, x=x[order], y=y[order])


def _comparison(law: Law, values: np.ndarray) -> Comparison:
    """The law as a prediction of the values."""
    top = law.hull[1]
    mass = law.atoms[-1].mass if law.atoms and law.atoms[-1].position == top else 0.0
    edge = TopEigenvalue(top, "atom" if mass else "edge", mass)
    prediction = Prediction(law, edge, (), "free calculus", 0.0, law.variance)
    return Comparison(prediction, Measurement(values, Empirical(values), "sampled matrix", 0.0), None)
