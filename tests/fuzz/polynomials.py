"""Random self-adjoint polynomials and rational expressions: ours, in matrices, and their moments word by word."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from itertools import combinations, pairwise

import numpy as np

import freeness as fr
from tests.fuzz.case import Case
from tests.fuzz.cumulants import cumulants_of
from tests.fuzz.trees import leaf
from tests.orthogonal import haar, rotated

Letter = tuple[int, bool]  # which variable, and whether its adjoint
Word = tuple[Letter, ...]
Polynomial = dict[Word, complex]
_LETTERS = 9  # at most, in a word of the moments
_WORDS = 700  # at most, of one moment


@dataclass(frozen=True)
class Variable:
    """``made`` is ours, ``matrix`` one of a size; ``cumulant`` of a block of its letters, by their stars."""

    text: str
    made: Callable[[], object]
    matrix: Callable[[int, np.random.Generator], np.ndarray]
    cumulant: Callable[[tuple[bool, ...]], float]
    own: bool = True  # self-adjoint


def variable(rng: np.random.Generator) -> Variable:
    """A law in closed form, Haar-rotated; sometimes a circular element or a Haar unitary."""
    kind = rng.random()
    if kind < 0.08:
        return Variable(
            "circular",
            fr.Circular,
            lambda size, rng: rng.standard_normal((size, size)) / size**0.5,
            lambda stars: float(len(stars) == 2 and stars[0] != stars[1]),
            own=False,
        )
    if kind < 0.16:
        return Variable("unitary", fr.HaarUnitary, lambda size, rng: haar(size, size, rng), _of_unitary, own=False)
    one = leaf(rng, positive=bool(rng.random() < 0.4), order=_LETTERS)
    cumulants = cumulants_of(one.moments)
    return Variable(
        one.text,
        one.law,
        lambda size, rng: rotated(one.spectrum(size, rng), rng),
        lambda stars: float(cumulants[len(stars) - 1]),
    )


def _of_unitary(stars: tuple[bool, ...]) -> float:
    """κ_{2n}(u, u*, …) = (-1)^{n-1} Catalan_{n-1}; others vanish (Nica, Speicher, proposition 15.1)."""
    half, odd = divmod(len(stars), 2)
    if odd or any(a == b for a, b in pairwise(stars)):
        return 0.0
    return (-1.0) ** (half - 1) * math.comb(2 * half - 2, half - 1) / half


def word_moment(word: Word, cumulant: Callable[[Word], float], known: dict[Word, float]) -> float:
    """τ of a word of free letters: over the blocks that may hold the first one, with words in the gaps."""
    if not word:
        return 1.0
    if word not in known:
        alike = [k for k in range(1, len(word)) if word[k][0] == word[0][0]]
        total = 0.0
        for size in range(len(alike) + 1):
            for chosen in combinations(alike, size):
                block = (0, *chosen)
                value = cumulant(tuple(word[k] for k in block))
                for start, end in zip(block, (*chosen, len(word)), strict=True):
                    value = value and value * word_moment(word[start + 1 : end], cumulant, known)
                total += value
        known[word] = total
    return known[word]


def product(first: Polynomial, second: Polynomial) -> Polynomial:
    """Of two polynomials."""
    found: Polynomial = {}
    for left, a in first.items():
        for right, b in second.items():
            found[left + right] = found.get(left + right, 0.0) + a * b
    return found


def _drawn_words(rng: np.random.Generator, variables: list[Variable]) -> Polynomial:
    """p + p* of a few words of at most three letters."""
    words: Polynomial = {}
    for _ in range(int(rng.integers(1, 4))):
        length = int(rng.choice([1, 2, 2, 3]))
        word = tuple(_letter(rng, variables) for _ in range(length))
        factor: complex = round(float(rng.uniform(0.3, 1.5)), 3) * float(rng.choice([1.0, -1.0]))
        if rng.random() < 0.15:
            factor *= 1j
        for one, scale in ((word, factor), (_adjoint(word, variables), complex(factor).conjugate())):
            words[one] = words.get(one, 0.0) + scale
    return {word: factor for word, factor in words.items() if factor}


def _letter(rng: np.random.Generator, variables: list[Variable]) -> Letter:
    which = int(rng.integers(len(variables)))
    return which, not variables[which].own and bool(rng.random() < 0.5)


def _adjoint(word: Word, variables: list[Variable]) -> Word:
    return tuple((which, star != (not variables[which].own)) for which, star in reversed(word))


def polynomial(rng: np.random.Generator) -> Case:
    """p + p* in two or three free variables; in one of eight cases with the inverse of one beside it."""
    variables = [variable(rng) for _ in range(int(rng.choice([2, 2, 3])))]
    words: Polynomial = {}
    while not any(words):
        words = _drawn_words(rng, variables)
    inverted = leaf(rng, positive=True) if rng.random() < 0.125 else None
    shift = round(float(rng.uniform(0.3, 1.0)), 3)
    text = " + ".join(f"{factor:g}·{_called(word)}" for word, factor in words.items())
    text += "" if inverted is None else f" + 1/(v + {shift}), v = {inverted.text}"
    text += "; " + ", ".join(f"{name} = {one.text}" for name, one in zip("xyz", variables, strict=False))

    def law() -> fr.Law:
        extra = [] if inverted is None else [inverted.law()]
        drawn = fr.free_variables(
            *(one.made() for one in variables), *extra, names=" ".join("xyzv"[: len(variables)] + "v" * len(extra))
        )  # type: ignore[arg-type]
        found = sum(
            factor * reduce(lambda a, b: a * b, (drawn[w].H if star else drawn[w] for w, star in word))
            for word, factor in words.items()
        )
        return (found if inverted is None else found + 1 / (drawn[-1] + shift)).law()

    def spectrum(size: int, rng: np.random.Generator) -> np.ndarray:
        drawn = [one.matrix(size, rng) for one in variables]
        size = len(drawn[0])
        found = np.zeros((size, size), dtype=complex)
        for word, factor in words.items():
            found += factor * reduce(np.matmul, (drawn[w].T if star else drawn[w] for w, star in word))
        if inverted is not None:
            found += np.linalg.inv(rotated(inverted.spectrum(size, rng), rng) + shift * np.eye(size))
        return np.linalg.eigvalsh(found)

    moments = np.empty(0) if inverted is not None else _moments(words, variables)
    return Case(text, law, spectrum, moments)


def _called(word: Word) -> str:
    return "".join("xyz"[which] + "*" * star for which, star in word)


def _moments(words: Polynomial, variables: list[Variable]) -> np.ndarray:
    def cumulant(block: Word) -> float:
        return variables[block[0][0]].cumulant(tuple(star for _, star in block))

    known: dict[Word, float] = {}
    found, power = [], words
    while len(power) <= _WORDS and max(map(len, power)) <= _LETTERS and len(found) < 6:
        found.append(sum(factor * word_moment(word, cumulant, known) for word, factor in power.items()).real)
        power = product(power, words)
    return np.array(found)
