"""Moments of polynomials on legs of a tensor by partitions, block after block, and by drawn tensors; no algebra of words."""

from functools import cache

import numpy as np

from freeness import Atoms, free_variables

TWO = [(0,), (1,), (0, 1)]
THREE = [(0, 1), (1, 2), (0, 2), (2,), (0,), (0, 1, 2)]
LAWS = [  # masses that any even side, or any that is a multiple of four, has exactly
    ([-1.0, 1.0], [0.5, 0.5]),
    ([0.0, 1.0], [0.5, 0.5]),
    ([-0.5, 1.0], [0.5, 0.5]),
    ([1.0, 2.0], [0.5, 0.5]),
    ([0.0, 1.0], [0.75, 0.25]),
    ([-1.0, 0.5, 2.0], [0.25, 0.5, 0.25]),
]
_EVEN = 4  # of these laws, for any even side
_LETTERS = 5  # of all words of a polynomial together
ORDER = 8
SIDES, DRAWS = (
    {1: (64, 128), 2: (12, 24), 3: (6, 10)},
    (48, 16),
)  # by the number of legs; of the smaller and larger side


class Polynomial:
    """Σ coefficient·word in three variables, self-adjoint, drawn by a seed: on two legs, or on three."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        pool, count = (TWO, len(LAWS)) if seed % 2 else (THREE, _EVEN)
        self.legs = [pool[k] for k in rng.permutation(len(pool))[:3]]
        self.laws = [LAWS[k] for k in rng.integers(count, size=3)]
        self.terms = []
        while len(self.terms) < 2 or self.terms[0][1] == self.terms[-1][1][::-1]:
            word = tuple(rng.integers(3, size=int(rng.choice([1, 2, 2]))).tolist())
            own = [word] if word == word[::-1] else [word, word[::-1]]
            if sum(len(known) for _, known in self.terms) + sum(map(len, own)) <= _LETTERS:
                self.terms += [(float(rng.integers(1, 4)) / 2, each) for each in own[:1]]
                self.terms += [(self.terms[-1][0], each) for each in own[1:]]

    @property
    def expression(self):
        letters = free_variables(*(Atoms(*law) for law in self.laws), legs=self.legs)
        return sum(c * np.prod([letters[k] for k in word]) for c, word in self.terms)

    def by_partitions(self):
        """Moments 1 to 8: every word of the powers, once for all that differ by a rotation or by letters that commute."""
        meets = [[bool(set(one) & set(other)) for other in self.legs] for one in self.legs]
        tau = _trace_of([_free_cumulants(law, 2 * ORDER) for law in self.laws], meets)
        power, found = {(): 1.0}, []
        for _ in range(ORDER):
            longer = {}
            for word, value in power.items():
                for coefficient, more in self.terms:
                    key = _sorted(word + more, meets)
                    longer[key] = longer.get(key, 0.0) + value * coefficient
            power, rotated = longer, {}
            for word, value in power.items():
                key = min(word[k:] + word[:k] for k in range(len(word)))
                rotated[key] = rotated.get(key, 0.0) + value
            found.append(sum(value * tau(tuple((v, 0) for v in word)) for word, value in rotated.items()))
        return np.array(found)

    def drawn(self, seed):
        """Moments 1 to 8 of drawn tensors with their errors, from two sides, between which 1/side² is taken away."""
        rng, expression, found = np.random.default_rng(seed), self.expression, []
        sides = SIDES[len(expression.legs)]
        for side, draws in zip(sides, DRAWS, strict=True):
            every = np.array([_traces(expression.sample(side ** len(expression.legs), rng)) for _ in range(draws)])
            found.append((every.mean(axis=0), every.std(axis=0, ddof=1) / draws**0.5))
        small, large = (side**2 for side in sides)
        (one, error), (other, rest) = found
        return (large * other - small * one) / (large - small), np.hypot(large * rest, small * error) / (large - small)


def _free_cumulants(law, order):
    """m_n = Σ_s κ_s Σ_{i_1 + … + i_s = n - s} m_{i_1}⋯m_{i_s} (Nica, Speicher, 2006, lecture 10), solved for κ."""
    moments = np.array([np.dot(law[1], np.array(law[0]) ** k) for k in range(order + 1)])
    found = np.zeros(order + 1)
    for n in range(1, order + 1):
        power, below = np.eye(1, order + 1)[0], 0.0
        for s in range(1, n):
            power = np.convolve(power, moments)[: order + 1]
            below += found[s] * power[n - s]
        found[n] = moments[n] - below
    return found


def _trace_of(cumulants, meets):
    """τ of a word of (variable, part): the sum over blocks of its first letter, which part the others that may not cross it."""

    @cache
    def tau(word):
        if not word:
            return 1.0
        first, total = word[0], 0.0
        for chosen in _subsets(tuple(k for k in range(1, len(word)) if word[k] == first)):
            kappa = cumulants[first[0]][len(chosen) + 1]
            total += kappa * tau(_parted(word, {0, *chosen}, meets[first[0]])) if kappa else 0.0
        return total

    return tau


def _parted(word, block, meets):
    names, counts, found, gap = {}, {}, [], 0
    for k, (variable, part) in enumerate(word):
        if k in block:
            gap += 1
            continue
        key = variable, part, gap if meets[variable] else -1
        if key not in names:
            names[key] = counts.get(variable, 0)
            counts[variable] = names[key] + 1
        found.append((variable, names[key]))
    return tuple(found)


@cache
def _subsets(items):
    found = [()]
    for item in items:
        found += [(*known, item) for known in found]
    return found


def _sorted(word, meets):
    """Neighbours that commute in the order of their numbers."""
    letters, moved = list(word), True
    while moved:
        moved = False
        for k in range(len(letters) - 1):
            if letters[k] > letters[k + 1] and not meets[letters[k]][letters[k + 1]]:
                letters[k], letters[k + 1], moved = letters[k + 1], letters[k], True
    return tuple(letters)


def _traces(matrix):
    powers = [np.eye(len(matrix)), matrix]
    for _ in range(ORDER // 2 - 1):
        powers.append(powers[-1] @ matrix)
    return [np.vdot(powers[k // 2], powers[k - k // 2]).real / len(matrix) for k in range(1, ORDER + 1)]
