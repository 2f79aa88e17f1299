"""How a learning rate transfers within a family of networks, from theory alone: by what the first step does to the outputs.

A step of rate η along the gradient g moves an output by η Σ_l ‖g_l‖², g_l its gradient in the weights of layer l; a step along
its signs, Adam's first one, by η Σ_l ‖g_l‖₁ = η c Σ_l √(P_l)‖g_l‖ with P_l weights and a c of their law. Both follow from the
recursions of signals and squared gradients, so that 1/L for isometric chains, the exponents of μP and those of scaled residual
branches are special cases.

Sources: Hayase, Karakida (AISTATS 2021) for 1/L; Yang, Hu (arXiv 2011.14522) and Yang et al. (arXiv 2203.03466) for μP; Bordelon
et al. (arXiv 2309.16620) and Dey et al. (arXiv 2505.01618) for residual branches scaled with depth; Jacot et al. (2018) for NTK.
That the first step's movement is kept is what they share; the sums over layers are derived here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from numpy.typing import ArrayLike

from freeness.advice.theory_rates import Training, theory_rate
from freeness.errors import InputError, is_real
from freeness.meanfield import gradients
from freeness.network import Network, Weights
from freeness.training import SGD, Adam, Optimizer, optimizer_of

LayerGroup = Literal["input", "hidden", "output", "biases"]
WAYS_AGREE = 1.5  # factor within which two ways to carry a rate agree


@dataclass(frozen=True)
class FamilyTransfer:
    """The rate of one network of a family carried to another, see :func:`transfer`.

    ``rate``: for the whole of the big network; ``groups``: rates of its layers by role, each of which moves the outputs as much
    as in the small one. ``movements``: of the outputs per unit rate, small first. ``bounds``: the ratio of 2/λ, λ the largest
    eigenvalue of one sample's spectrum, where both are chains under gradient descent; None elsewhere. ``reason``: why.
    """

    rate: float
    groups: Mapping[LayerGroup, float]
    movements: tuple[float, float]
    bounds: float | None
    reason: str


def transfer(
    small: Network,
    big: Network,
    rate: float = 1.0,
    optimizer: str | Optimizer = "sgd",
    *,
    qhat0: float = 1.0,
    inputs: ArrayLike | None = None,
) -> FamilyTransfer:
    """Carry a learning rate from a small network to a big one of its family by theory alone.

    Args:
        small: the record of the network whose rate is known.
        big: the record of the other.
        rate: the good rate of the small one; 1 gives factors.
        optimizer: gradient descent with or without momentum, or Adam.
        qhat0: ‖x‖²/N₀ of the input.
        inputs: as of :func:`freeness.meanfield.gradients`, where positions count.

    Raises:
        InputError: a rate that is not positive, another optimiser, or an operation that theory does not cover.

    Example:
        >>> from freeness.network import mlp
        >>> shallow, deep = mlp(10, 100, "linear"), mlp(40, 100, "linear")
        >>> round(transfer(shallow, deep, 0.1).rate, 6)  # 1/L
        0.025
    """
    if not (is_real(rate) and rate > 0):
        raise InputError(f"expected a rate > 0 of the small network, got {rate!r}; pass the one that was good.")
    descent = optimizer_of(optimizer)
    there, here = (group_movements(network, descent, qhat0=qhat0, inputs=inputs) for network in (small, big))
    before, after = sum(there.values()), sum(here.values())
    factor = before / after
    groups: dict[LayerGroup, float] = {
        role: rate * (there[role] / moved if role in there else factor) for role, moved in here.items()
    }
    bounds = _bounds(small, big, descent, qhat0) if inputs is None else None
    return FamilyTransfer(rate * factor, groups, (before, after), bounds, _reason(factor, there, here, bounds))


def group_movements(
    network: Network, optimizer: Optimizer, *, qhat0: float = 1.0, inputs: ArrayLike | None = None
) -> dict[LayerGroup, float]:
    """How far a unit rate moves an output by the first step of each group of layers, up to a factor of the optimiser.

    Args:
        network: the record, from a builder such as :func:`~freeness.network.mlp`, or of a trace.
        optimizer: gradient descent or Adam.
        qhat0: ‖x‖²/N₀ of the input.
        inputs: as of :func:`transfer`.

    Raises:
        InputError: another optimiser, or an operation that theory does not cover.

    Example:
        >>> from freeness.network import mlp
        >>> found = group_movements(mlp(4, 100, "linear"), optimizer_of("sgd"))
        >>> {role: round(moved) for role, moved in found.items()}
        {'input': 100, 'hidden': 200, 'output': 100}
    """
    if not isinstance(optimizer, SGD | Adam):
        raise InputError(
            f"expected sgd, momentum, nesterov, adam or adamw, got {optimizer}; its first step is not known."
        )
    places = {place.name: place for place in gradients(network, qhat0, inputs=inputs)}
    weighted = [node for node in network.nodes if isinstance(node.operation, Weights)]
    found: dict[LayerGroup, float] = {}
    for node in weighted:
        operation, place = node.operation, places[node.name]
        assert isinstance(operation, Weights)
        role: LayerGroup = "output" if node is weighted[-1] else "input" if node is weighted[0] else "hidden"
        count = operation.sizes[1]
        parts: tuple[tuple[LayerGroup, float, int], ...] = (
            (role, place.weights, count * operation.entries),
            ("biases", place.biases, count),
        )
        for group, square, size in parts:
            moved = square if isinstance(optimizer, SGD) else math.sqrt(size * square)
            if moved > 0:
                found[group] = found.get(group, 0.0) + moved
    return found


def _bounds(small: Network, big: Network, descent: Optimizer, qhat0: float) -> float | None:
    """2/λ of the big network over that of the small one; of chains under gradient descent only."""
    if not (isinstance(descent, SGD) and small.is_chain and big.is_chain):
        return None
    how = Training("half_squared_error", descent)
    return theory_rate(big, how, qhat0).bound / theory_rate(small, how, qhat0).bound


def _reason(
    factor: float, there: Mapping[LayerGroup, float], here: Mapping[LayerGroup, float], bounds: float | None
) -> str:
    most = max(here, key=lambda role: here[role])
    text = (
        f"A unit rate moves the outputs {1 / factor:.3g} times as far in the big network as in the small one; "
        f"{here[most] / sum(here.values()):.0%} of that is by {_NAMED[most]}, "
        f"{there.get(most, 0.0) / sum(there.values()):.0%} in the small one."
    )
    if bounds is None:
        return text
    agree = max(bounds / factor, factor / bounds) <= WAYS_AGREE
    beside = "agrees" if agree else "disagrees: outputs as many as neurons see the end of the spectrum, not its mean"
    return f"{text} The largest stable rate of one sample changes by {bounds:.3g}, which {beside}."


_NAMED: dict[LayerGroup, str] = {
    "input": "the first layer",
    "hidden": "the hidden layers",
    "output": "the last layer",
    "biases": "the biases",
}
