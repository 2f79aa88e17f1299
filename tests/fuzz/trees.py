"""Random trees of operations: each is a law of ours, a matrix, and its first moments."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.integrate import cumulative_trapezoid

import freeness as fr
from tests.fuzz.case import Case, Spectrum
from tests.fuzz.cumulants import cumulants_of, moments_of, product_moments
from tests.orthogonal import rotated

ORDER = 6  # moments of a leaf
Maker = Callable[[np.random.Generator, int, bool], "Tree"]


@dataclass(frozen=True)
class Tree(Case):
    """``low`` and ``high`` bound the support."""

    low: float
    high: float


def levels(count: int) -> np.ndarray:
    """(k - ½)/N."""
    return (np.arange(count) + 0.5) / count


def marchenko_pastur(ratio: float) -> Spectrum:
    """Quantiles by the distribution function, integrated in x = 1 + c + 2√c cos θ."""
    angle = np.linspace(np.pi, 0.0, 20_001)
    x = 1 + ratio + 2 * np.sqrt(ratio) * np.cos(angle)
    with np.errstate(all="ignore"):
        density = np.where(x > 1e-12, 2 * np.sin(angle) ** 2 / (np.pi * x), 0.0)
    continuous = np.append(0.0, -cumulative_trapezoid(density, angle))
    below = max(0.0, 1 - 1 / ratio) + continuous / continuous[-1] * min(1.0, 1 / ratio)
    return lambda count, rng: np.where(levels(count) < below[0], 0.0, np.interp(levels(count), below, x))


def _arcsine(order: int) -> float:
    """E cosⁿ."""
    return 0.0 if order % 2 else math.comb(order, order // 2) / 2**order


def leaf(rng: np.random.Generator, positive: bool, order: int = ORDER) -> Tree:
    """A law in closed form at random parameters."""
    kind = rng.choice(["mp", "projection", "uniform", "atoms"] + ["semicircle", "arcsine"] * (not positive))
    if kind == "mp":
        ratio = float(rng.choice([0.3, 0.5, 1.0, 1.5, round(rng.uniform(0.1, 3.0), 3)]))
        moments = moments_of(ratio ** np.arange(order))
        high = (1 + ratio**0.5) ** 2
        return Tree(f"mp({ratio})", lambda: fr.MarchenkoPastur(ratio), marchenko_pastur(ratio), moments, 0.0, high)
    if kind == "projection":
        trace, height = round(rng.uniform(0.1, 0.9), 3), round(rng.uniform(0.5, 2.0), 3)
        moments = trace * height ** np.arange(1, order + 1)
        return Tree(
            f"projection({trace}, {height})",
            lambda: fr.Projection(trace, height),
            lambda count, rng: np.where(levels(count) < 1 - trace, 0.0, height),
            moments,
            0.0,
            height,
        )
    if kind == "uniform":
        low = round(rng.uniform(0.0 if positive else -1.0, 1.0), 3)
        high = round(low + rng.uniform(0.3, 2.0), 3)
        n = np.arange(1, order + 1)
        moments = (high ** (n + 1) - low ** (n + 1)) / ((n + 1) * (high - low))
        return Tree(
            f"uniform({low}, {high})",
            lambda: fr.Uniform(low, high),
            lambda count, rng: low + (high - low) * levels(count),
            moments,
            low,
            high,
        )
    if kind == "atoms":
        count = int(rng.integers(2, 5))
        places = np.round(np.sort(rng.uniform(0.0 if positive else -1.5, 2.0, count)), 3)
        weights = rng.dirichlet(np.ones(count))
        moments = np.array([weights @ places**k for k in range(1, order + 1)])
        steps = np.cumsum(weights)
        return Tree(
            f"atoms({places.tolist()}, {weights.round(3).tolist()})",
            lambda: fr.Atoms(places, weights),
            lambda n, rng: places[np.minimum(np.searchsorted(steps, levels(n)), count - 1)],
            moments,
            float(places[0]),
            float(places[-1]),
        )
    number = round(rng.uniform(0.2, 2.0), 3)
    if kind == "semicircle":
        moments = moments_of(np.array([0.0, number, *[0.0] * (order - 2)]))
        radius = 2 * number**0.5
        quantile = stats.semicircular(scale=radius).ppf
    else:
        radius = number  # (of the arcsine law the number is half the width)
        moments = np.array([_arcsine(n) for n in range(1, order + 1)]) * radius ** np.arange(1, order + 1)
        quantile = stats.arcsine(loc=-radius, scale=2 * radius).ppf
    made = fr.Semicircle if kind == "semicircle" else fr.Arcsine
    return Tree(f"{kind}({number})", lambda: made(number), lambda n, rng: quantile(levels(n)), moments, -radius, radius)


def tree(rng: np.random.Generator, depth: int, positive: bool = False) -> Tree:
    """A random tree of that depth at most; on [0, ∞) if asked."""
    if depth == 0 or rng.random() < 0.15:
        return leaf(rng, positive)
    makers = [product, product, compression, power, mixture, affine, inverse, squared]
    makers += [] if positive else [total, total, total]
    made = makers[int(rng.integers(len(makers)))]
    return made(rng, depth - 1, positive)


def total(rng: np.random.Generator, depth: int, positive: bool) -> Tree:
    """Sum of two."""
    first, second = tree(rng, depth, positive), tree(rng, depth, positive)
    order = min(len(first.moments), len(second.moments))
    moments = moments_of(cumulants_of(first.moments[:order]) + cumulants_of(second.moments[:order]))

    def spectrum(count: int, rng: np.random.Generator) -> np.ndarray:
        left = np.sort(first.spectrum(count, rng))
        return np.linalg.eigvalsh(np.diag(left) + rotated(second.spectrum(left.size, rng), rng))

    text = f"({first.text} + {second.text})"
    law = lambda: fr.free_sum(first.law(), second.law())  # noqa: E731
    return Tree(text, law, spectrum, moments, first.low + second.low, first.high + second.high)


def product(rng: np.random.Generator, depth: int, positive: bool) -> Tree:
    """√A B √A; A on [0, ∞), B too where a positive law is asked for."""
    first, second = tree(rng, depth, True), tree(rng, depth, True)
    order = min(len(first.moments), len(second.moments), 5)
    moments = product_moments(first.moments[:order], second.moments[:order])

    def spectrum(count: int, rng: np.random.Generator) -> np.ndarray:
        left = np.sqrt(np.maximum(first.spectrum(count, rng), 0.0))
        right = rotated(second.spectrum(left.size, rng), rng)
        return np.linalg.eigvalsh(left[:, None] * right * left)

    law = lambda: fr.free_product(first.law(), second.law())  # noqa: E731
    return Tree(f"({first.text} * {second.text})", law, spectrum, moments, 0.0, first.high * second.high)


def compression(rng: np.random.Generator, depth: int, positive: bool) -> Tree:
    """The corner of a matrix: κ_n ↦ t^(n-1) κ_n."""
    inner, trace = tree(rng, depth, positive), float(rng.choice([0.25, 0.5, 0.75]))
    cumulants = cumulants_of(inner.moments)
    moments = moments_of(cumulants * trace ** np.arange(len(cumulants)))

    def spectrum(count: int, rng: np.random.Generator) -> np.ndarray:
        whole = rotated(inner.spectrum(round(count / trace), rng), rng)
        kept = round(whole.shape[0] * trace)
        return np.linalg.eigvalsh(whole[:kept, :kept])

    law = lambda: fr.compress(inner.law(), trace)  # noqa: E731
    return Tree(f"compress({inner.text}, {trace})", law, spectrum, moments, inner.low, inner.high)


def power(rng: np.random.Generator, depth: int, positive: bool) -> Tree:
    """A⊞s: κ_n ↦ s κ_n, which is s times the corner of size 1/s."""
    inner, exponent = tree(rng, depth, positive), float(rng.choice([1.5, 2.0, 3.0]))
    moments = moments_of(exponent * cumulants_of(inner.moments))

    def spectrum(count: int, rng: np.random.Generator) -> np.ndarray:
        whole = rotated(inner.spectrum(round(count * exponent), rng), rng)
        kept = round(whole.shape[0] / exponent)
        return exponent * np.linalg.eigvalsh(whole[:kept, :kept])

    law = lambda: fr.free_power(inner.law(), exponent)  # noqa: E731
    low, high = exponent * inner.low, exponent * inner.high
    return Tree(f"power({inner.text}, {exponent})", law, spectrum, moments, low, high)


def mixture(rng: np.random.Generator, depth: int, positive: bool) -> Tree:
    """A direct sum."""
    first, second = tree(rng, min(depth, 1), positive), tree(rng, 0, positive)
    share = float(rng.choice([0.25, 0.5, 0.75]))
    order = min(len(first.moments), len(second.moments))
    moments = share * first.moments[:order] + (1 - share) * second.moments[:order]

    def spectrum(count: int, rng: np.random.Generator) -> np.ndarray:
        kept = round(share * count)
        return np.sort(np.concatenate([first.spectrum(kept, rng), second.spectrum(count - kept, rng)]))

    law = lambda: fr.Mixture([first.law(), second.law()], [share, 1 - share])  # noqa: E731
    low, high = min(first.low, second.low), max(first.high, second.high)
    return Tree(f"mix({first.text}, {second.text}, {share})", law, spectrum, moments, low, high)


def affine(rng: np.random.Generator, depth: int, positive: bool) -> Tree:
    """factor·A + constant."""
    inner = tree(rng, depth, positive)
    factor = round(rng.uniform(0.3, 2.0), 3) * (1.0 if positive else float(rng.choice([1.0, -1.0])))
    constant = round(rng.uniform(0.0 if positive else -1.0, 1.0), 3)
    cumulants = cumulants_of(inner.moments) * factor ** np.arange(1, len(inner.moments) + 1)
    cumulants[:1] += constant

    def spectrum(count: int, rng: np.random.Generator) -> np.ndarray:
        return factor * inner.spectrum(count, rng) + constant

    law = lambda: fr.shift(fr.scale(inner.law(), factor), constant)  # noqa: E731
    low, high = sorted((factor * inner.low + constant, factor * inner.high + constant))
    return Tree(f"({factor}·{inner.text} + {constant})", law, spectrum, moments_of(cumulants), low, high)


def inverse(rng: np.random.Generator, depth: int, positive: bool, inside: Maker = tree) -> Tree:
    """(A + c)⁻¹ of A ≥ 0."""
    inner, constant = inside(rng, depth, True), round(rng.uniform(0.3, 1.5), 3)

    def spectrum(count: int, rng: np.random.Generator) -> np.ndarray:
        return 1 / (np.maximum(inner.spectrum(count, rng), 0.0) + constant)

    law = lambda: fr.inverse(fr.shift(inner.law(), constant))  # noqa: E731
    text = f"inverse({inner.text} + {constant})"
    return Tree(text, law, spectrum, np.empty(0), 1 / (inner.high + constant), 1 / constant)


def squared(rng: np.random.Generator, depth: int, positive: bool) -> Tree:
    """A²."""
    inner = tree(rng, depth)

    def spectrum(count: int, rng: np.random.Generator) -> np.ndarray:
        return inner.spectrum(count, rng) ** 2

    law = lambda: fr.Square(inner.law())  # noqa: E731
    high = max(inner.low**2, inner.high**2)
    return Tree(f"square({inner.text})", law, spectrum, inner.moments[1::2], 0.0, high)
