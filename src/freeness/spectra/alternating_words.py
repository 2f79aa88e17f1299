"""Are weights free of activation derivatives? Traces of alternating centred words, which freeness sends to 0.

For one weight matrix W, D before it and E behind it (D° = D - τ(D), as vectors d, e):

* ``W D° Wᵀ E°``: Σ e_i W_ij² d_j, from entries alone;
* ``W D° W D°`` where W is square: Σ d_i W_ij W_ji d_j;
* ``W D° Wᵀ E° W D° Wᵀ E°``: Σ e_i e_j M_ij² with M = W D° Wᵀ, one product of matrices, taken in strips of rows.

Each is compared with what a bi-invariant W of the same size would give that maps this very input x to this very h = W x: a
mean (E depends on W through h) and a standard deviation, both of order 1/N. Where the derivatives differ from their mean at a
few neurons only (hard-tanh near the origin), the trace is a sum of few terms, its tails are heavy, and nothing is tested.

Sources: Collins, Hayase (CMP 2023) for the statement and the words; means and deviations are derived here and tested on drawn
networks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from freeness.errors import InputError

REJECTED = 5.0  # standard deviations
_EXACT = 4096  # widths up to which a product of matrices is computed
_PROBES = 64
_STRIP = 64  # rows of W that are worked on at a time: what is held beyond W
_FEW, _FEW_TWICE = 8.0, 20.0  # neurons that must differ; fewer gave scores beyond 5 in more than 1 of 1000 free draws


@dataclass(frozen=True)
class Word:
    """τ of a ``word`` at the matrix called ``name``, what is ``expected`` of a free one, and its ``deviation``.

    ``tested`` is False where D or E is constant or differs from its mean at a few neurons only, which tells nothing.
    """

    name: str
    word: str
    value: float
    expected: float
    deviation: float
    tested: bool = True

    @property
    def score(self) -> float:
        """(value - expected)/deviation; 0 where nothing is tested."""
        return (self.value - self.expected) / self.deviation if self.tested else 0.0

    @property
    def free(self) -> bool:
        """Whether the value is within 5 standard deviations."""
        return bool(abs(self.score) < REJECTED)

    @property
    def detectable(self) -> float:
        """The smallest departure of τ that this test tells: 5 standard deviations."""
        return REJECTED * self.deviation


@dataclass(frozen=True)
class FreenessTest:
    """The words of every matrix between activations, and of every product of such matrices where all pairs were asked for."""

    words: tuple[Word, ...]

    @property
    def free(self) -> bool:
        """Whether no word departs from freeness by 5 standard deviations."""
        return all(word.free for word in self.words)

    @property
    def rejected(self) -> tuple[Word, ...]:
        """The words that do."""
        return tuple(word for word in self.words if not word.free)

    @property
    def strongest(self) -> tuple[Word, ...]:
        """Of every matrix the word with the largest score, in the order of the matrices."""
        found: dict[str, Word] = {}
        for word in self.words:
            held = found.get(word.name)
            if held is None or (word.tested, abs(word.score)) > (held.tested, abs(held.score)):
                found[word.name] = word
        return tuple(found.values())

    @property
    def largest(self) -> float:
        """The largest |score|; 0 where nothing is tested."""
        return max((abs(word.score) for word in self.words), default=0.0)


def freeness_words(
    weight: Float[np.ndarray, "m n"],
    before: Float[np.ndarray, " n"],
    behind: Float[np.ndarray, " m"] | None,
    inputs: Float[np.ndarray, " n"],
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
        name: of the weights, as it is printed.
        rng: for random probes, which take the place of the product of matrices beyond 4096 neurons.

    Raises:
        InputError: shapes that do not fit, values that are not finite, or so large that their squares are not.

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
    if not all(np.isfinite(v).all() for v in (*vectors, weight.sum(axis=0), weight.sum(axis=1))):
        raise InputError(
            "expected finite weights, signals and derivatives, got NaN or infinity; repair the model first."
        )
    too_large = "expected weights and signals with finite fourth powers, got overflow; scale the model down."
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            found = _words(np.asarray(weight, float), before, behind, inputs, name, rng or np.random.default_rng(0))
    except OverflowError as error:  # of Python's own floats
        raise InputError(too_large) from error
    if not all(np.isfinite((word.value, word.expected, word.deviation)).all() for word in found):
        raise InputError(too_large)
    return found


def _words(
    weight: np.ndarray,
    before: np.ndarray,
    behind: np.ndarray | None,
    inputs: np.ndarray,
    name: str,
    rng: np.random.Generator,
) -> tuple[Word, ...]:
    m, n = weight.shape
    d, e = before - before.mean(), np.zeros(m) if behind is None else behind - behind.mean()
    exact = behind is not None and max(m, n) <= _EXACT
    sums = _sums(weight, d, e, twice=exact)
    square, dd, ee = sums.squares / m, float(d @ d), float(e @ e)  # σ_w²
    norm, h = float(inputs @ inputs), weight @ inputs
    pull = float(d @ inputs**2) / norm**2 if norm > 0 else 0.0  # the part of W D° Wᵀ that h fixes is pull·hhᵀ
    differ_d, differ_e = _participating(d), _participating(e)
    found: list[Word] = []
    if m == n:
        expected = square * dd / n + (float((h * inputs) @ d) ** 2 / norm**2 if norm > 0 else 0.0)
        deviation = 2**0.5 * square * dd / n
        found.append(Word(name, "W D° W D°", sums.back / n, expected / n, deviation / n, differ_d >= _FEW))
    if behind is None:
        return tuple(found)
    lean = float(e @ h**2) * pull
    deviation = 2**0.5 * square * (dd * ee) ** 0.5 / n
    few = min(differ_d, differ_e)
    found.append(Word(name, "W D° Wᵀ E°", sums.once / m, lean / m, deviation / m, few >= _FEW))
    twice, error = (sums.twice, 0.0) if exact else _twice_by_probes(weight, d, e, rng)
    entry = square**2 * dd / n**2  # variance of an entry of W D° Wᵀ off its diagonal
    crossed = 2 * pull * (2 * entry) ** 0.5 * float(e**2 @ h**2)  # of the fixed part with the random one
    deviation = float(np.linalg.norm((2 * entry * ee, crossed, error)))
    found.append(Word(name, "(W D° Wᵀ E°)²", twice / m, (entry * ee + lean**2) / m, deviation / m, few >= _FEW_TWICE))
    return tuple(found)


def mixed_word(
    weight: Float[np.ndarray, "into out"], before: Float[np.ndarray, " _"], behind: Float[np.ndarray, " _"], name: str
) -> Word:
    """``W D° Wᵀ E°`` of a product W of matrices, which does not map the signal to the signal: D's stand between.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> mixed_word(rng.standard_normal((90, 90)), rng.uniform(size=90), rng.uniform(size=90), "1 … 2").free
        True
    """
    m, n = weight.shape
    d, e = before - before.mean(), behind - behind.mean()
    sums = _sums(weight, d, e, twice=False)
    deviation = 2**0.5 * sums.squares / m * float(np.linalg.norm(d) * np.linalg.norm(e)) / n
    tested = min(_participating(d), _participating(e)) >= _FEW
    return Word(name, "W D° Wᵀ E°", sums.once / m, 0.0, deviation / m, tested)


def _participating(centred: np.ndarray) -> float:
    """(Σd²)²/Σd⁴, by how many neurons the spread is carried; 0 of a constant."""
    scale = float(np.abs(centred).max())
    if scale <= 1e-12:  # derivatives are of order 1
        return 0.0
    squares = (centred / scale) ** 2
    return float(squares.sum() ** 2 / (squares @ squares))


@dataclass
class _Sums:
    """Σ W_ij², Σ d_i W_ij W_ji d_j, Σ e_i W_ij² d_j and Σ e_i e_j (W D° Wᵀ)_ij²."""

    squares: float = 0.0
    back: float = 0.0
    once: float = 0.0
    twice: float = 0.0


def _sums(weight: np.ndarray, d: np.ndarray, e: np.ndarray, *, twice: bool) -> _Sums:
    """All sums in one pass over strips of rows; of the symmetric W D° Wᵀ only what is on and right of the diagonal."""
    m, n = weight.shape
    sums = _Sums()
    strips, middles = np.empty((_STRIP, n)), np.empty(_STRIP * m)  # worked in, so that nothing else is allocated
    for start in range(0, m, _STRIP):
        rows = slice(start, start + _STRIP)
        strip = weight[rows]
        width = len(strip)
        squares = np.square(strip, out=strips[:width])
        sums.squares += float(squares.sum())
        sums.once += float(e[rows] @ (squares @ d))
        if m == n:
            sums.back += float(d[rows] @ (np.multiply(strip, weight[:, rows].T, out=strips[:width]) @ d))
        if twice:
            middle = middles[: width * (m - start)].reshape(width, m - start)
            np.matmul(np.multiply(strip, d, out=strips[:width]), weight[start:].T, out=middle)
            weighted = e[rows] @ np.square(middle, out=middle)
            sums.twice += float(weighted[:width] @ e[rows]) + 2 * float(weighted[width:] @ e[start + width :])
    return sums


def _twice_by_probes(weight: np.ndarray, d: np.ndarray, e: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """An estimate of Σ e_i e_j (W D° Wᵀ)_ij² and its standard error."""
    probes = rng.choice([-1.0, 1.0], size=(len(e), _PROBES))
    once = weight @ (d[:, None] * (weight.T @ probes))
    again = weight @ (d[:, None] * (weight.T @ (e[:, None] * once)))
    values = (probes * e[:, None] * again).sum(axis=0)
    return float(values.mean()), float(values.std(ddof=1) / _PROBES**0.5)
