"""Are weights free of activation derivatives? Traces of alternating centred words, which freeness sends to 0.

For one weight matrix W, D before it and E behind it (D° = D - τ(D), as vectors d, e):

* ``W D° Wᵀ E°``: Σ e_i W_ij² d_j, from entries alone;
* ``W D° W D°`` where W is square: Σ d_i W_ij W_ji d_j;
* ``W D° Wᵀ E° W D° Wᵀ E°``: Σ e_i e_j M_ij² with M = W D° Wᵀ, one product of matrices.

Each is compared with what a bi-invariant W of the same size would give that maps this very input x to this very h = W x: a
mean (E depends on W through h) and a standard deviation, both of order 1/N.

Sources: Collins, Hayase (CMP 2023) for the statement and the words; means and deviations are derived here and tested on drawn
networks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from freeness.errors import InputError

REJECTED = 5.0  # standard deviations
_EXACT = 4096  # widths up to which a product of matrices is computed
_PROBES = 64


@dataclass(frozen=True)
class Word:
    """τ of a ``word`` at the matrix called ``name``, what is ``expected`` of a free one, and its ``deviation``.

    ``detectable``: how far from the expected value τ must lie to be told, in all: 5 standard deviations.
    """

    name: str
    word: str
    value: float
    expected: float
    deviation: float

    @property
    def score(self) -> float:
        """(value - expected)/deviation; 0 where D or E is constant, so that there is nothing to test."""
        return (self.value - self.expected) / self.deviation if self.deviation > 0 else 0.0

    @property
    def free(self) -> bool:
        """Whether the value is within 5 standard deviations."""
        return bool(abs(self.score) < REJECTED)

    @property
    def detectable(self) -> float:
        """The smallest departure of τ that this test tells."""
        return REJECTED * self.deviation


def freeness_words(
    weight: np.ndarray,
    before: np.ndarray,
    behind: np.ndarray | None,
    inputs: np.ndarray,
    *,
    name: str = "",
    rng: np.random.Generator | None = None,
) -> tuple[Word, ...]:
    """The words of one matrix.

    Args:
        weight: W, (m, n).
        before: φ'(h) of the layer before, (n,).
        behind: φ'(W·inputs + b) of the layer behind, (m,); None if there is none.
        inputs: x, (n,).
        name: to print.
        rng: for random probes, which take the place of the product of matrices beyond 4096 neurons.

    Raises:
        InputError: shapes that do not fit, or values that are not finite.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> w, h = rng.standard_normal((200, 200)) / 200**0.5, rng.standard_normal(200)
        >>> x = np.tanh(h)
        >>> found = freeness_words(w, 1 - x**2, 1 - np.tanh(w @ x) ** 2, x)
        >>> [word.word for word in found], all(word.free for word in found)
        (['W D° W D°', 'W D° Wᵀ E°', '(W D° Wᵀ E°)²'], True)
    """
    m, n = weight.shape
    vectors = [before, inputs] if behind is None else [before, inputs, behind]
    if [v.shape for v in vectors] != [(n,), (n,), (m,)][: len(vectors)]:
        raise InputError(f"expected D and x of size {n} and E of size {m}, got {[v.shape for v in vectors]}.")
    if not all(np.isfinite(v).all() for v in (weight, *vectors)):
        raise InputError(
            "expected finite weights, signals and derivatives, got NaN or infinity; repair the model first."
        )
    square = float((weight**2).mean()) * n  # σ_w²
    d = before - before.mean()
    norm = float(inputs @ inputs)
    h = weight @ inputs
    found: list[Word] = []
    if m == n:
        value = float(d @ (weight * weight.T) @ d)
        expected = square * float(d @ d) / n + (float((h * inputs) @ d) ** 2 / norm**2 if norm > 0 else 0.0)
        found.append(Word(name, "W D° W D°", value / n, expected / n, 2**0.5 * square * float(d @ d) / n**2))
    if behind is None:
        return tuple(found)
    e = behind - behind.mean()
    lean = float(e @ h**2) * float(d @ inputs**2) / norm**2 if norm > 0 else 0.0
    value = float(e @ weight**2 @ d)
    deviation = 2**0.5 * square * float(np.linalg.norm(e) * np.linalg.norm(d)) / n
    found.append(Word(name, "W D° Wᵀ E°", value / m, lean / m, deviation / m))
    twice, error = _twice(weight, d, e, rng or np.random.default_rng(0))
    entry = square**2 * float(d @ d) / n**2  # variance of an entry of W D° Wᵀ off its diagonal
    deviation = float(np.hypot(2 * entry * float(e @ e), error))
    expected = entry * float(e @ e) + lean**2
    found.append(Word(name, "(W D° Wᵀ E°)²", twice / m, expected / m, deviation / m))
    return tuple(found)


def _twice(weight: np.ndarray, d: np.ndarray, e: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """Σ e_i e_j M_ij² and its standard error, which is 0 of an exact product."""
    if max(weight.shape) <= _EXACT:
        middle = (weight * d) @ weight.T
        np.square(middle, out=middle)
        return float(e @ middle @ e), 0.0
    probes = rng.choice([-1.0, 1.0], size=(len(e), _PROBES))
    once = weight @ (d[:, None] * (weight.T @ probes))
    again = weight @ (d[:, None] * (weight.T @ (e[:, None] * once)))
    values = (probes * e[:, None] * again).sum(axis=0)
    return float(values.mean()), float(values.std(ddof=1) / _PROBES**0.5)
