"""Predicted beside measured distribution function."""

from __future__ import annotations

import numpy as np

from freeness.advice import Comparison
from freeness.laws import Law
from freeness.show import style
from freeness.show.picture import Appearance, Axis, Drawing, Picture, Series
from freeness.show.window import Window, law_grid, window_of

_SIDE = 1e-9  # how far beside an atom, relative to it, the ends of its jump are read


def cdf_picture(comparison: Comparison, *, title: str = "", xlabel: str = "eigenvalue") -> Picture:
    """The share of eigenvalues up to x, theory as a line, measurement as steps; an atom is a jump.

    Args:
        comparison: predicted (or None) and measured.
        title: above the picture.
        xlabel: what the eigenvalues are of.
    """
    window = window_of(comparison)
    values = np.asarray(comparison.eigenvalues)
    x = np.concatenate([[window.low], np.maximum(values, window.low), [window.high]])
    share = np.concatenate([[np.mean(values < window.low)], np.arange(1, values.size + 1) / values.size, [1.0]])
    look = Appearance(style.MEASURED, 4, opacity=0.8)
    drawn: list[Drawing] = [Series(x, share, look, style.counted(values.size), "measured-cdf", step=True)]
    if comparison.predicted is not None:
        law = comparison.predicted.law
        points = _cdf_points(law, window)
        drawn.append(Series(points, law.cdf_on(points), Appearance(style.THEORY, 1.8), "theory", "theory-cdf"))
    shares = Axis("share of eigenvalues up to here", -0.02, 1.02)
    sentence = f"Share of eigenvalues from {values[0]:.4g} to {values[-1]:.4g}."
    return Picture(tuple(drawn), window.axis(xlabel), shares, title=title, sentence=sentence)


def _cdf_points(law: Law, window: Window) -> np.ndarray:
    """The grid, with both sides of every atom, so that its jump is vertical."""
    positions = np.array([atom.position for atom in law.atoms])
    side = _SIDE * max(abs(window.low), abs(window.high))
    inside = positions[(positions > window.low) & (positions < window.high)]
    return np.unique(
        np.concatenate([law_grid(law, window.low, window.high, log=window.log), inside - side, inside + side])
    )
