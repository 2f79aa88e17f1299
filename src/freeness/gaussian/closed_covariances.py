"""E φ(u)φ(v) and E φ'(u)φ'(v) in closed form, as functions of the variances q₁, q₂ and the covariance q₁₂ (arrays)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from freeness.gaussian.activations import ClosedCovariance

Between = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class ClosedForm:
    """A closed form in two steps: ``at`` takes the variances, which may stay for many covariances."""

    at: Callable[[np.ndarray, np.ndarray], Between]

    def __call__(self, q1: np.ndarray, q2: np.ndarray, q12: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.at(q1, q2)(q12)


def prepared(closed: ClosedCovariance, q1: np.ndarray, q2: np.ndarray) -> Between:
    """A closed form as a function of the covariance alone."""
    return closed.at(q1, q2) if isinstance(closed, ClosedForm) else lambda q12: closed(q1, q2, q12)


def of_erf(scale: float) -> ClosedForm:
    """φ = erf(scale·x): (2/π) asin(2s²q₁₂/√((1 + 2s²q₁)(1 + 2s²q₂))) and its derivative in q₁₂; s the scale.

    Source: Williams (1997).
    """
    twice = 2 * scale**2

    def at(q1: np.ndarray, q2: np.ndarray) -> Between:
        one = twice * q1
        determinant = _determinant(one, one if q1 is q2 else twice * q2)
        rest = twice * (q1 + q2) + 1

        def closed(q12: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            doubled = twice * q12
            root = np.sqrt(determinant(doubled) + rest)
            return np.arctan2(doubled, root) * (2 / np.pi), (2 * twice / np.pi) / root

        return closed

    return ClosedForm(at)


def _sine_at(q1: np.ndarray, q2: np.ndarray) -> Between:
    mean = (q1 + q2) / 2

    def closed(q12: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        up, down = np.exp(q12 - mean) / 2, np.exp(-q12 - mean) / 2
        return up - down, up + down

    return closed


of_sine = ClosedForm(_sine_at)
"""φ = sin: e^{-(q₁+q₂)/2} sinh q₁₂ and cosh, from the characteristic function of u ± v."""


def of_identity(q1: np.ndarray, q2: np.ndarray, q12: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """φ = x: q₁₂ and 1."""
    return q12 * np.ones_like(q1 * q2), np.ones_like(q12 * q1 * q2)


def bent_at_zero(left: float, right: float) -> ClosedForm:
    """φ = left·x + (right - left)·max(x, 0).

    Source: Cho, Saul (2009), the arc-cosine kernel of max(x, 0).
    """
    bend = right - left

    def at(q1: np.ndarray, q2: np.ndarray) -> Between:
        determinant = _determinant(q1, q2)

        def closed(q12: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            height = np.sqrt(determinant(q12))
            inside = (np.pi - np.arctan2(height, q12)) / (2 * np.pi)  # P(u > 0, v > 0)
            value = left * right * q12 + bend**2 * (height / (2 * np.pi) + inside * q12)
            return value, left * right + bend**2 * inside

        return closed

    return ClosedForm(at)


def _determinant(q1: np.ndarray, q2: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """q₁₂ ↦ q₁q₂ - q₁₂², not negative, with fewer digits lost than in that form, and exactly 0 at q₁ = q₂ = q₁₂."""
    root = q1 if q1 is q2 else np.sqrt(q1 * q2)
    return lambda q12: np.maximum((root - q12) * (root + q12), 0.0)
