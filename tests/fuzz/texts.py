"""Random texts of the command line's grammar: brackets, powers, commutators, inverses and scales, read by ours and by numpy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import freeness as fr
from freeness.expressions import parse_law
from tests.fuzz.case import Case
from tests.fuzz.trees import Tree, leaf
from tests.orthogonal import rotated

Matrices = dict[str, np.ndarray]


@dataclass(frozen=True)
class Part:
    """Self-adjoint; ``matrix`` from those of its names, ``positive`` where it has no negative eigenvalues."""

    text: str
    matrix: Callable[[Matrices], np.ndarray]
    positive: bool = False


def text(rng: np.random.Generator) -> Case:
    """An expression in two or three names, in units of its own in one of five cases."""
    laws = {name: leaf(rng, positive=bool(rng.random() < 0.5)) for name in "xyz"[: int(rng.choice([2, 2, 3]))]}
    names = [Part(name, lambda drawn, name=name: drawn[name], one.low >= 0) for name, one in laws.items()]
    whole = _part(rng, names, 2)
    if rng.random() < 0.2:
        unit = 10.0 ** int(rng.integers(-6, 7))
        whole = _scaled(whole, unit)

    def spectrum(size: int, rng: np.random.Generator) -> np.ndarray:
        drawn = {name: rotated(one.spectrum(size, rng), rng) for name, one in laws.items()}
        return np.linalg.eigvalsh(whole.matrix(drawn))

    def law() -> fr.Law:
        return parse_law(whole.text, {name: one.law() for name, one in laws.items() if name in whole.text}).law

    return Case(f"{whole.text}; {_where(laws)}", law, spectrum, np.empty(0))


def _where(laws: dict[str, Tree]) -> str:
    return ", ".join(f"{name} = {one.text}" for name, one in laws.items())


def _part(rng: np.random.Generator, names: list[Part], depth: int) -> Part:
    """One of the rules below on smaller parts, the second one of which is a name more often than not."""
    if depth == 0 or rng.random() < 0.15:
        return names[int(rng.integers(len(names)))]
    rule = RULES[int(rng.integers(len(RULES)))]
    return rule(rng, _part(rng, names, depth - 1), _part(rng, names, depth - 1 if rng.random() < 0.4 else 0))


def _scaled(part: Part, factor: float) -> Part:
    return Part(f"{factor:g}*({part.text})", lambda drawn: factor * part.matrix(drawn), part.positive and factor >= 0)


def total(rng: np.random.Generator, first: Part, second: Part) -> Part:
    """a + c·b or a - c·b."""
    factor, sign = round(float(rng.uniform(0.2, 2.0)), 2), float(rng.choice([1.0, -1.0]))
    return Part(
        f"({first.text} {'+' if sign > 0 else '-'} {factor:g}*{second.text})",
        lambda drawn: first.matrix(drawn) + sign * factor * second.matrix(drawn),
        first.positive and second.positive and sign > 0,
    )


def square(rng: np.random.Generator, first: Part, second: Part) -> Part:
    """(a + c)²."""
    constant = round(float(rng.uniform(-1.0, 1.0)), 2)
    return Part(
        f"({first.text} + {constant:g})**2".replace("+ -", "- "),
        lambda drawn: np.linalg.matrix_power(first.matrix(drawn) + constant * np.eye(len(first.matrix(drawn))), 2),
        True,
    )


def sandwich(rng: np.random.Generator, first: Part, second: Part) -> Part:
    """b·a·b."""
    return Part(
        f"{second.text}*{first.text}*{second.text}",
        lambda drawn: second.matrix(drawn) @ first.matrix(drawn) @ second.matrix(drawn),
        first.positive,
    )


def bracket(rng: np.random.Generator, first: Part, second: Part) -> Part:
    """i(ab - ba) or ab + ba."""
    sign = float(rng.choice([1.0, -1.0]))
    name = "anticommutator" if sign > 0 else "i*commutator"

    def matrix(drawn: Matrices) -> np.ndarray:
        a, b = first.matrix(drawn), second.matrix(drawn)
        return (1.0 if sign > 0 else 1j) * (a @ b + sign * b @ a)

    return Part(f"{name}({first.text}, {second.text})", matrix)


def inverse(rng: np.random.Generator, first: Part, second: Part) -> Part:
    """1/(a + c) of a ≥ 0, or of a²."""
    constant = round(float(rng.uniform(0.3, 1.5)), 2)
    inner = first if first.positive else square(rng, first, second)

    def matrix(drawn: Matrices) -> np.ndarray:
        own = inner.matrix(drawn)
        return np.linalg.inv(own + constant * np.eye(len(own)))

    return Part(f"1/({inner.text} + {constant:g})", matrix, True)


RULES = (total, total, total, square, sandwich, bracket, inverse)
