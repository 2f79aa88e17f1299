"""An initialisation and what it does to a deep network, so that several can be compared in one table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np

from freeness.advice.analysis import LayerRow
from freeness.advice.chain_rows import layer_rows
from freeness.advice.largest import largest_eigenvalue
from freeness.advice.theory_rates import Training, theory_rate
from freeness.advice.trade_offs import KernelShares, kernel_shares
from freeness.errors import InputError
from freeness.laws import Law
from freeness.meanfield import Signals, fixed_point, signals
from freeness.network import Activation, ActivationFunction, Dense, Ensemble, Gaussian, Network, Operation
from freeness.spectra import Bending, Mixing, fisher_law, jacobian_law, maps_of
from freeness.training import Rate

_CRITICAL = 1e-6  # |ln χ₁| a layer up to which correlations are said to travel any depth


@dataclass(frozen=True, eq=False)
class Candidate:
    """One initialisation of a chain; what costs more than a few milliseconds is computed when it is asked for.

    ``network``: the record with its ensembles and gains; ``signals``: of an input of the given norm; ``source``: where the rule
    comes from.
    """

    name: str
    network: Network = field(repr=False)
    signals: Signals = field(repr=False)
    training: Training = field(repr=False)
    source: str = ""

    @cached_property
    def rows(self) -> tuple[LayerRow, ...]:
        """What is known of each layer by itself."""
        return layer_rows(self.network, self.signals)

    @cached_property
    def growths(self) -> tuple[float, ...]:
        """χ of every activation: growth of squared gradients from behind the weights that follow it to before it."""
        return tuple(row.chi for row in self.rows if row.chi is not None)

    @property
    def growth(self) -> float:
        """χ^n, the product over the activations: squared gradients at the first layer over those at the outputs."""
        return float(np.exp(np.sum(np.log(self.growths)))) if self.growths else 1.0

    @cached_property
    def spread(self) -> float:
        """σ_JJ² = Σδ - Σs₁: relative variance of JJᵀ before unequal widths compress it (theory.md §0)."""
        return float(sum(row.weight_spread + (row.delta or 0.0) for row in self.rows))

    @cached_property
    def shares(self) -> KernelShares:
        """What of the output's energy is common to all inputs, linear in them, and neither, over the whole depth."""
        return kernel_shares(self.network, self.signals)

    @property
    def common(self) -> float:
        """Share of the output's energy that does not depend on the input: biases and means."""
        return self.shares.common

    @property
    def nonlinearity(self) -> float:
        """Nonlinear share of the energy that depends on the input."""
        return self.shares.nonlinearity

    @cached_property
    def xi(self) -> float:
        """ξ_c: layers over which the correlation of two inputs settles by e; ∞ at criticality, NaN where the signal diverges."""
        maps = maps_of(self.network, self.signals)
        hidden = [step for step in maps if isinstance(step, Mixing)][1:-1]
        active = [step for step in maps if isinstance(step, Bending)]
        if not hidden or not active:
            return float("inf")
        if abs(np.log(self.growths[-2])) <= _CRITICAL:  # the last is that of the outputs' weights
            return float("inf")
        gain, noise = np.sqrt(hidden[-1].gain), np.sqrt(hidden[-1].added)
        try:
            return fixed_point(active[0].function, float(gain), float(noise), active[0].q).xi_c
        except InputError:  # the signal diverges
            return float("nan")

    @cached_property
    def jacobian_top(self) -> float:
        """λ_max of JJᵀ: the end of its law, or a single eigenvalue beyond it."""
        return largest_eigenvalue(self.network, self.signals, "jacobian").value

    @cached_property
    def fisher_top(self) -> float:
        """λ_max of the one-sample Fisher dual Θ: the end of its law, or a single eigenvalue beyond it."""
        return largest_eigenvalue(self.network, self.signals, "fisher").value

    @property
    def numbers(self) -> dict[str, float]:
        """What candidates are compared by, under the names of their attributes; the largest stable rate is the last."""
        names = ("growth", "spread", "jacobian_top", "fisher_top", "xi", "common", "nonlinearity")
        return {name: getattr(self, name) for name in names} | {"learning_rate_bound": self.learning_rate.bound}

    @cached_property
    def jacobian(self) -> Law:
        """Law of JJᵀ."""
        return jacobian_law(self.network, realised=self.signals)

    @cached_property
    def fisher(self) -> Law:
        """Law of the one-sample Fisher dual Θ."""
        return fisher_law(self.network, realised=self.signals)

    @cached_property
    def learning_rate(self) -> Rate:
        """The largest stable rate, and where to start."""
        return theory_rate(self.network, self.training, realised=self.signals)


def candidate(name: str, network: Network, training: Training, qhat0: float, source: str = "") -> Candidate:
    """A candidate from its record, with mean-field signals of an input of norm ``qhat0``.

    Example:
        >>> from freeness.network import mlp
        >>> found = candidate("linear", mlp(5, 100, "linear", "gaussian"), Training(), 1.0)
        >>> found.spread, found.growth
        (5.0, 1.0)
    """
    return Candidate(name, network, signals(network, qhat0), training, source)


def usual_candidates(
    widths: tuple[int, ...], function: ActivationFunction, training: Training, qhat0: float
) -> tuple[Candidate, ...]:
    """What people start from, as records: PyTorch's default of nn.Linear, Xavier (Glorot), He (Kaiming).

    PyTorch: entries of W and b uniform on ±1/√fan_in, so σ_w² = 1/3 and σ_b² = 1/(3 fan_in). Xavier: 2/(fan_in + fan_out), biases
    0. He: 2/fan_in, biases 0. To free probability independent entries of any distribution are Gaussian.

    Args:
        widths: N_0, …, N_L.
        function: φ between the layers.
        training: how they are trained.
        qhat0: ‖x⁰‖²/N_0 of the input.

    Sources: torch.nn.Linear.reset_parameters; Glorot, Bengio (2010); He et al. (2015).

    Example:
        >>> from freeness.network import activation
        >>> rows = usual_candidates((100,) * 4, activation("relu"), Training(), 1.0)
        >>> [(row.name, round(row.growth, 6)) for row in rows]
        [('PyTorch default', 0.027778), ('Xavier', 0.25), ('He', 1.0)]
    """
    rules: dict[str, tuple[Callable[[int, int], tuple[float, float]], str]] = {
        "PyTorch default": (lambda n, m: (3**-0.5, (3 * n) ** -0.5), "nn.Linear"),
        "Xavier": (lambda n, m: ((2 * n / (n + m)) ** 0.5, 0.0), "Glorot, Bengio (2010)"),
        "He": (lambda n, m: (2**0.5, 0.0), "He et al. (2015)"),
    }
    found: list[Candidate] = []
    for name, (rule, source) in rules.items():
        gains = [rule(n, m) for n, m in pairwise(widths)]
        network = chain(widths, function, [Gaussian(w) for w, _ in gains], [b for _, b in gains])
        found.append(candidate(name, network, training, qhat0, source))
    return tuple(found)


def chain(
    widths: tuple[int, ...],
    function: ActivationFunction,
    ensembles: Sequence[Ensemble],
    sigma_b: Sequence[float],
    bias: bool = True,
) -> Network:
    """A chain with an ensemble and a σ_b for each layer, biases trained as torch's Linear layers have them.

    Example:
        >>> from freeness.network import activation
        >>> chain((3, 4), activation("tanh"), [Gaussian(1.0)], [0.0]).dense[0].bias
        True
    """
    layers: list[Operation] = []
    for index, (fan_in, fan_out) in enumerate(pairwise(widths)):
        deviation = sigma_b[index]
        layers.append(Dense(fan_in, fan_out, ensembles[index], deviation, bias or deviation > 0, f"layer{index + 1}"))
        if index < len(widths) - 2:
            layers.append(Activation(function, f"activation{index + 1}"))
    return Network(tuple(layers))
