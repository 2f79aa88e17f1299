"""When does a predicted law agree with measured spectra? The criteria, in one place, so that wrong laws meet the same ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from freeness.laws import Law
from freeness.laws.distance import wasserstein

DECILES = np.linspace(0.1, 0.9, 9)


def disagreements(laws: Sequence[Law], spectra: Sequence[np.ndarray], slack: float = 1.0) -> list[str]:
    """What is wrong with the laws (one a spectrum), in words; empty if they agree.

    Means over the spectra: moments 1-3 within max(1 %, 3 standard errors), the largest eigenvalue within 3 % where the law
    has an atom there and 6 % where an edge, W₁/std ≤ 0.05, and the distribution function within 0.02 at the measured
    deciles that are farther than 3 % from an atom. ``slack`` widens all of them for smaller matrices.
    """
    found = []
    for order in (1, 2, 3):
        ratios = np.array([np.mean(s**order) / law.moment(order) for law, s in zip(laws, spectra, strict=True)])
        error = ratios.std(ddof=1) / len(ratios) ** 0.5 if len(ratios) > 1 else 0.0
        if not abs(ratios.mean() - 1) <= max(0.01 * slack, 3 * error):
            found.append(f"moment {order}: ratio {ratios.mean():.4f} ± {error:.4f}")
    tops = np.mean([s[-1] / law.hull[1] for law, s in zip(laws, spectra, strict=True)])
    atom = all(law.atoms and law.atoms[-1].position == law.hull[1] for law in laws)
    if not abs(tops - 1) <= (0.03 if atom else 0.06) * slack:
        found.append(f"largest eigenvalue: ratio {tops:.4f} ({'atom' if atom else 'edge'})")
    distances = [wasserstein(law, s) / s.std() for law, s in zip(laws, spectra, strict=True)]
    if not np.mean(distances) <= 0.05 * slack:
        found.append(f"W1/std {np.mean(distances):.4f}")
    gaps = np.array([decile_gaps(law, s) for law, s in zip(laws, spectra, strict=True)])
    counted = ~np.isnan(gaps).all(axis=0)
    worst = np.nanmax(np.nanmean(gaps[:, counted], axis=0)) if counted.any() else 0.0
    if not worst <= 0.02 * slack:
        found.append(f"distribution function off by {worst:.4f} at a decile")
    return found


def decile_gaps(law: Law, spectrum: np.ndarray) -> np.ndarray:
    """|F - F_n| at the measured deciles, NaN within 3 % of an atom."""
    points = np.quantile(spectrum, DECILES)
    measured = np.searchsorted(spectrum, points, side="right") / spectrum.size
    gaps = np.abs(law.cdf(points) - measured)
    heavy = [position for position, mass in law.atoms if mass > 2 / spectrum.size]
    for position in heavy:
        gaps[np.abs(points - position) <= 0.03 * max(abs(position), law.mean)] = np.nan
    return gaps
