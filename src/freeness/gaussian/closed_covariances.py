"""E φ(u)φ(v) and E φ'(u)φ'(v) in closed form, as functions of the variances q₁, q₂ and the covariance q₁₂ (arrays)."""

from __future__ import annotations

import numpy as np

from freeness.gaussian.activations import ClosedCovariance


def of_erf(scale: float) -> ClosedCovariance:
    """φ = erf(scale·x): (2/π) asin(2s²q₁₂/√((1 + 2s²q₁)(1 + 2s²q₂))) and its derivative in q₁₂.

    Args:
        scale: s.

    Source: Williams (1997).
    """
    twice = 2 * scale**2

    def closed(q1: np.ndarray, q2: np.ndarray, q12: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rest = np.sqrt(twice**2 * _determinant(q1, q2, q12) + (twice * (q1 + q2) + 1))
        return 2 / np.pi * np.arctan2(twice * q12, rest), (2 * twice / np.pi) / rest

    return closed


def of_sine(q1: np.ndarray, q2: np.ndarray, q12: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """φ = sin: e^{-(q₁+q₂)/2} sinh q₁₂ and cosh, from the characteristic function of u ± v."""
    up, down = np.exp(q12 - (q1 + q2) / 2) / 2, np.exp(-q12 - (q1 + q2) / 2) / 2
    return up - down, up + down


def of_identity(q1: np.ndarray, q2: np.ndarray, q12: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """φ = x: q₁₂ and 1."""
    return q12 * np.ones_like(q1 * q2), np.ones_like(q12 * q1 * q2)


def bent_at_zero(left: float, right: float) -> ClosedCovariance:
    """φ = left·x + (right - left)·max(x, 0).

    Args:
        left: slope below 0.
        right: slope above.

    Source: Cho, Saul (2009), the arc-cosine kernel of max(x, 0).
    """

    def closed(q1: np.ndarray, q2: np.ndarray, q12: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        height = np.sqrt(_determinant(q1, q2, q12))
        inside = (np.pi - np.arctan2(height, q12)) / (2 * np.pi)  # P(u > 0, v > 0)
        bend = right - left
        value = left * right * q12 + bend**2 * (height / (2 * np.pi) + inside * q12)
        return value, left * right + bend**2 * inside

    return closed


def _determinant(q1: np.ndarray, q2: np.ndarray, q12: np.ndarray) -> np.ndarray:
    """q₁q₂ - q₁₂², not negative, with fewer digits lost than in that form, and exactly 0 at q₁ = q₂ = q₁₂."""
    if q1 is q12 and q2 is q12:  # of variables with themselves, as for every second moment
        return np.zeros_like(q12)
    root = np.sqrt(q1 * q2)
    return np.maximum((root - q12) * (root + q12), 0.0)
