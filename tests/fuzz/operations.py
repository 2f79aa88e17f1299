"""Further operations of the front on random laws: classical, on legs, heavy tails, roots, deconvolution, scales far apart."""

from __future__ import annotations

import math

import numpy as np

import freeness as fr
from tests.fuzz.case import Case
from tests.fuzz.cumulants import cumulants_of, moments_of, product_moments
from tests.fuzz.trees import Tree, inverse, leaf, mixture, tree
from tests.orthogonal import rotated

_NONE = np.empty(0)


def operation(rng: np.random.Generator) -> Case:
    """One of the makers of this file."""
    return MAKERS[int(rng.integers(len(MAKERS)))](rng)


def heavy(rng: np.random.Generator) -> Case:
    """X + a free Cauchy variable, in which classical and free sums are the same."""
    inner, width, at = tree(rng, 1), round(float(rng.uniform(0.05, 2.0)), 3), round(float(rng.uniform(-1, 1)), 3)

    def spectrum(count: int, rng: np.random.Generator) -> np.ndarray:
        first = inner.spectrum(count, rng)
        second = at + width * np.tan(np.pi * ((np.arange(first.size) + 0.5) / first.size - 0.5))
        return np.linalg.eigvalsh(np.diag(first) + rotated(second, rng))

    law = lambda: fr.free_sum(inner.law(), fr.FreeCauchy(at, width))  # noqa: E731
    return Case(f"{inner.text} + cauchy({at}, {width})", law, spectrum, _NONE, smooth=False)


def classical(rng: np.random.Generator) -> Case:
    """A⊗1 + 1⊗B or A⊗B."""
    summed = bool(rng.random() < 0.5)
    first, second = (tree(rng, 1, positive=not summed and rng.random() < 0.7) for _ in range(2))
    order = min(len(first.moments), len(second.moments))
    one, other = np.append(1.0, first.moments[:order]), np.append(1.0, second.moments[:order])
    if summed:
        moments = np.array(
            [sum(math.comb(n, k) * one[k] * other[n - k] for k in range(n + 1)) for n in range(order + 1)]
        )
    else:
        moments = one * other

    def spectrum(count: int, rng: np.random.Generator) -> np.ndarray:
        left, right = first.spectrum(count, rng), second.spectrum(count, rng)
        return (np.add if summed else np.multiply).outer(left, right).ravel()

    made = fr.classical_sum if summed else fr.classical_product
    text = f"classical {'sum' if summed else 'product'} of {first.text} and {second.text}"
    return Case(text, lambda: made(first.law(), second.law()), spectrum, moments[1:])


def legs(rng: np.random.Generator) -> Case:
    """C + A⊗1 + 1⊗B with C free from both: a classical sum inside a free one."""
    parts = [leaf(rng, positive=bool(rng.random() < 0.3)) for _ in range(3)]
    order = len(parts[0].moments)
    one, other = (np.append(1.0, part.moments) for part in parts[:2])
    inner = np.array([sum(math.comb(n, k) * one[k] * other[n - k] for k in range(n + 1)) for n in range(1, order + 1)])
    moments = moments_of(cumulants_of(inner) + cumulants_of(parts[2].moments))

    def spectrum(count: int, rng: np.random.Generator) -> np.ndarray:
        left, right, third = (part.spectrum(count, rng) for part in parts)
        every = np.sort(np.add.outer(left, right).ravel())[count // 2 :: count]
        return np.linalg.eigvalsh(np.diag(every) + rotated(third, rng))

    def law() -> fr.Law:
        return fr.free_sum(fr.classical_sum(parts[0].law(), parts[1].law()), parts[2].law())

    return Case(f"{parts[0].text}[0] + {parts[1].text}[1] + {parts[2].text}[0,1]", law, spectrum, moments)


def rooted(rng: np.random.Generator) -> Case:
    """±√X, X with a fair sign, or X given that it lies between two of its quantiles."""
    kind = str(rng.choice(["root", "signed", "truncated"]))
    inner = tree(rng, 1, positive=kind == "root")
    if kind == "truncated":
        drawn = np.sort(inner.spectrum(400, np.random.default_rng(0)))
        low, high = np.quantile(drawn, [rng.uniform(0.0, 0.4), rng.uniform(0.6, 1.0)])
        low, high = round(float(low), 3) - 5e-4, round(float(high), 3) + 5e-4

        def cut(count: int, rng: np.random.Generator) -> np.ndarray:
            whole = inner.spectrum(2 * count, rng)
            return whole[(whole >= low) & (whole <= high)]

        text = f"{inner.text} truncated to [{low}, {high}]"
        return Case(text, lambda: fr.truncated(inner.law(), low, high), cut, _NONE)
    even = inner.moments[1::2] if kind == "signed" else inner.moments
    moments = np.column_stack([np.zeros(even.size), even]).ravel()

    def spectrum(count: int, rng: np.random.Generator) -> np.ndarray:
        values = inner.spectrum(count, rng)
        if kind == "root":  # of which rounding of a 0 would be larger than what distribution functions may differ by
            values = np.sqrt(np.where(values <= 1e-13 * np.max(values), 0.0, values))
        return np.concatenate([values, -values])

    made = fr.symmetric_root if kind == "root" else fr.symmetrized
    return Case(f"{kind}({inner.text})", lambda: made(inner.law()), spectrum, moments)


def poisson(rng: np.random.Generator) -> Case:
    """GᵀTG/n: κ_k = rate·m_k of the jumps, of any signs."""
    jumps, rate = tree(rng, 1), float(rng.choice([0.3, 0.5, 1.0, 2.5]))

    def spectrum(count: int, rng: np.random.Generator) -> np.ndarray:
        heights = jumps.spectrum(round(rate * count), rng)
        size = round(heights.size / rate)
        g = rng.standard_normal((heights.size, size)) / size**0.5
        return np.linalg.eigvalsh(g.T @ (heights[:, None] * g))

    law = lambda: fr.free_poisson(rate, jumps.law())  # noqa: E731
    return Case(f"free_poisson({rate}, {jumps.text})", law, spectrum, moments_of(rate * jumps.moments))


def transposed(rng: np.random.Generator) -> Case:
    """The partial transpose of a unitarily invariant matrix on a leg of dimension 2 or 3."""
    inner, blocks = leaf(rng, positive=True), int(rng.choice([2, 3]))
    p = np.arange(1, len(inner.moments) + 1)
    factor = (blocks * (blocks + 1) / 2 + (-1.0) ** p * blocks * (blocks - 1) / 2) / float(blocks) ** p

    def spectrum(count: int, rng: np.random.Generator) -> np.ndarray:
        size = count // blocks * blocks
        q, r = np.linalg.qr(rng.standard_normal((size, size, 2)) @ np.array([1.0, 1j]))
        q = q * (np.diag(r) / np.abs(np.diag(r)))
        whole = ((q * inner.spectrum(size, rng)) @ q.conj().T).reshape(size // blocks, blocks, size // blocks, blocks)
        return np.linalg.eigvalsh(whole.transpose(0, 3, 2, 1).reshape(size, size))

    law = lambda: fr.partial_transpose(inner.law(), blocks)  # noqa: E731
    return Case(
        f"partial_transpose({inner.text}, {blocks})", law, spectrum, moments_of(factor * cumulants_of(inner.moments))
    )


def powered(rng: np.random.Generator) -> Case:
    """μ^{⊠2} and μ^{⊠3}."""
    inner, exponent = leaf(rng, positive=True), int(rng.choice([2, 3]))
    moments = inner.moments[:5]
    for _ in range(exponent - 1):
        moments = product_moments(moments, inner.moments[:5])

    def spectrum(count: int, rng: np.random.Generator) -> np.ndarray:
        root = np.sqrt(inner.spectrum(count, rng))
        whole = np.diag(root)
        for _ in range(exponent - 1):
            whole = whole @ rotated(root, rng)
        return np.linalg.svd(whole, compute_uv=False) ** 2

    law = lambda: fr.free_power(inner.law(), float(exponent), "product")  # noqa: E731
    return Case(f"power({inner.text}, {exponent}, product)", law, spectrum, moments)


def without(rng: np.random.Generator) -> Case:
    """What is left of a free sum when one of its parts is taken out."""
    first, second = tree(rng, 1), leaf(rng, positive=bool(rng.random() < 0.5))
    law = lambda: fr.free_deconvolution(fr.free_sum(first.law(), second.law()), second.law())  # noqa: E731
    return Case(f"({first.text} + {second.text}) - {second.text}", law, first.spectrum, first.moments)


def scaled(rng: np.random.Generator) -> Case:
    """A whole tree, or one of two summands, in units of 10⁻⁶ to 10⁶."""
    unit = float(10.0 ** rng.integers(-6, 7))
    inner = tree(rng, 2)
    law, spectrum, moments, text = inner.law, inner.spectrum, inner.moments, f"{unit:g}·{inner.text}"
    if rng.random() < 0.4:
        other = leaf(rng, positive=bool(rng.random() < 0.5))
        order = min(len(moments), len(other.moments))
        cumulants = cumulants_of(other.moments[:order]) + cumulants_of(moments[:order]) * unit ** np.arange(
            1, order + 1
        )

        def both(count: int, rng: np.random.Generator) -> np.ndarray:
            left = unit * inner.spectrum(count, rng)
            return np.linalg.eigvalsh(np.diag(left) + rotated(other.spectrum(left.size, rng), rng))

        added = lambda: fr.free_sum(fr.scale(law(), unit), other.law())  # noqa: E731
        return Case(f"{text} + {other.text}", added, both, moments_of(cumulants))
    moments = moments * unit ** np.arange(1, len(moments) + 1)
    return Case(text, lambda: fr.scale(law(), unit), lambda *a: unit * spectrum(*a), moments)


def named(rng: np.random.Generator) -> Case:
    """Laws that have a name: of random matrices with Gaussian entries, or of a tree; alone or in a free sum."""
    kind = str(rng.choice(["wachter", "fuss", "kesten", "noise"]))
    if kind == "wachter":
        first = round(float(rng.uniform(0.3, 3.0)), 2)
        second = round(float(rng.uniform(max(0.3, 1.3 - first), 3.0)), 2)

        def spectrum(count: int, rng: np.random.Generator) -> np.ndarray:
            a, b = (rng.standard_normal((count, round(count * one))) for one in (first, second))
            root = np.linalg.inv(np.linalg.cholesky(a @ a.T + b @ b.T))
            return np.linalg.svd(root @ a)[1] ** 2 if first >= 1 else _padded(np.linalg.svd(root @ a)[1] ** 2, count)

        return Case(f"wachter({first}, {second})", lambda: fr.Wachter(first, second), spectrum, _NONE)
    if kind == "fuss":
        order = int(rng.integers(1, 5))

        def product(count: int, rng: np.random.Generator) -> np.ndarray:
            whole = np.eye(count)
            for _ in range(order):
                whole = whole @ rng.standard_normal((count, count)) / count**0.5
            return np.linalg.svd(whole, compute_uv=False) ** 2

        n = range(1, 7)
        moments = np.array([math.comb((order + 1) * k, k) / (order * k + 1) for k in n])
        return Case(f"fuss_catalan({order})", lambda: fr.FussCatalan(order), product, moments, smooth=order < 3)
    if kind == "kesten":
        degree = int(rng.integers(2, 6))
        moments = moments_of(degree * cumulants_of(np.array([0.0, 1.0, 0.0, 1.0, 0.0, 1.0])))

        def signs(count: int, rng: np.random.Generator) -> np.ndarray:
            half = np.where(np.arange(count) % 2, 1.0, -1.0)
            return np.linalg.eigvalsh(sum(rotated(half, rng) for _ in range(degree)))

        return Case(f"kesten_mckay({degree})", lambda: fr.KestenMcKay(float(degree)), signs, moments)
    rows, columns = 400, int(rng.choice([400, 600, 1000]))
    values, variance = np.sqrt(leaf(rng, positive=True).spectrum(rows, rng)), round(float(rng.uniform(0.1, 2.0)), 3)
    given = np.zeros((rows, columns))
    given[np.arange(rows), np.arange(rows)] = values

    def noisy(count: int, rng: np.random.Generator) -> np.ndarray:
        z = rng.standard_normal((rows, columns)) * (variance / columns) ** 0.5
        return np.linalg.svd(given + z, compute_uv=False) ** 2

    text = f"information_plus_noise of {rows}×{columns}, ‖A‖² {np.sum(values**2):.6g}, variance {variance}"
    return Case(text, lambda: fr.information_plus_noise(given, variance), noisy, _NONE)


def _padded(values: np.ndarray, count: int) -> np.ndarray:
    return np.append(values, np.zeros(count - values.size))


def inverted(rng: np.random.Generator) -> Case:
    """The inverse of a shifted mixture, alone or in a sum with a leaf."""
    mixed = lambda rng, depth, positive: mixture(rng, depth, True)  # noqa: E731
    inner: Tree = inverse(rng, 1, True, mixed)
    other = leaf(rng, positive=True)
    if rng.random() < 0.4:
        return inner

    def spectrum(count: int, rng: np.random.Generator) -> np.ndarray:
        left = inner.spectrum(count, rng)
        return np.linalg.eigvalsh(np.diag(left) + rotated(other.spectrum(left.size, rng), rng))

    law = lambda: fr.free_sum(inner.law(), other.law())  # noqa: E731
    return Case(f"({inner.text} + {other.text})", law, spectrum, _NONE)


MAKERS = (heavy, classical, legs, rooted, poisson, transposed, powered, without, scaled, named, inverted)
