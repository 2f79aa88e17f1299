"""State-space models: states that forget over up to a thousand steps, and a residual sum that keeps its size."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from freeness.torch.recipes.draws import beside_matrices, constant, gaussian, uniform
from freeness.torch.recipes.recipe import Start, StartRecipe, Subject
from freeness.torch.start.branches import WiredBranch
from freeness.torch.start.tensors import ModelTensor

_LARGEST = 16.0  # exp(a) of a state space with one decay a head


@dataclass(frozen=True)
class StateSpaceModel(StartRecipe):
    """Mamba's start: a state n forgets at the rate n·Δ, and steps Δ are spread over ``shortest`` to ``longest`` in logarithms.

    The wiring tells which tensors these are. a in exp(-Δ·exp(a)) starts at log n, n = 1, 2, … along the shorter side (S4D-real);
    where a head has one, at log u, u uniform in [1, 16] (Mamba-2). What is added in Δ = softplus(…) starts at the inverse of the
    softplus. Matrices are uniform in ±1/√fan_in; the N that add to the residual sum are divided by √N. Tables are N(0, σ²),
    biases 0, factors of a channel beside its state 1. Attention beside state spaces starts likewise. The tensors of a kernel that
    does not depend on the input, as S4's, are left.

    ``shortest``, ``longest``: Δ where nothing is read. ``table``: σ of tables.
    """

    shortest: float = 0.001
    longest: float = 0.1
    table: float = 0.02
    name: ClassVar[str] = "state-space model"
    source: ClassVar[str] = (
        "Gu, Dao 2023 (Mamba), §3.6 and E.2, with its published code; Gu et al. 2022 (S4D); Dao, Gu 2024 (Mamba-2)"
    )

    def fits(self, subject: Subject) -> bool:
        """A state whose decay is an exponential of a trained tensor."""
        return subject.wiring is not None and subject.wiring.states.found

    def starts(self, subject: Subject) -> Mapping[str, Start | str]:
        assert subject.wiring is not None
        states = subject.wiring.states
        branches = _outer(subject.branches)
        ends = {name for branch in branches for name in branch.matrices}
        scales = {name for branch in branches for name in branch.scales}
        found: dict[str, Start | str] = {}
        for tensor in subject.tensors:
            if tensor.name in states.steps:
                found[tensor.name] = self._step()
            elif tensor.name in states.decays:
                found[tensor.name] = _decay(tensor)
            elif tensor.name in states.kernels:
                found[tensor.name] = "of a state space whose kernel has a structure of its own, which it starts with"
            elif tensor.part.role == "own" and tensor.name in states.beside and tensor.name not in scales:
                found[tensor.name] = constant(1, "factor of a channel beside its state")
            elif (usual := self._usual(tensor, ends)) is not None:
                found[tensor.name] = usual
        return found

    def _step(self) -> Start:
        low, high = math.log(self.shortest), math.log(self.longest)

        def values(tensor: ModelTensor, generator: torch.Generator) -> Tensor:
            steps = torch.exp(_unit(tensor, generator) * (high - low) + low)
            return steps + torch.log(-torch.expm1(-steps))

        shown = f"softplus⁻¹(Δ), log Δ uniform, Δ from {self.shortest:g} to {self.longest:g}"
        return Start(shown, "so long is a step of the state where nothing is read", values)

    def _usual(self, tensor: ModelTensor, ends: set[str]) -> Start | None:
        role = tensor.part.role
        if role == "matrix":
            bound = 1 / math.sqrt(tensor.part.fan_in)
            if tensor.name not in ends:
                return uniform(bound, "a matrix inside", "1/√fan_in")
            reason = "adds to the residual sum, which so keeps its size at any depth"
            return uniform(bound / math.sqrt(len(ends)), reason, f"1/√(fan_in·{len(ends)})")
        if role == "table":
            said = "a table that is the last layer as well, drawn once" if tensor.tied else "a table of embeddings"
            return gaussian(self.table, said)
        return beside_matrices(tensor)


def _outer(branches: tuple[WiredBranch, ...]) -> list[WiredBranch]:
    """Those that are not inside another one, as the sum of a state with what it reads is."""
    inside = [frozenset(branch.inside) for branch in branches]
    return [one for one, own in zip(branches, inside, strict=True) if not any(own < other for other in inside)]


def _decay(tensor: ModelTensor) -> Start:
    """log n along the shorter side; log u where there is one number a head."""
    if len(tensor.shape) < 2:
        shown, reason = f"log u, u uniform in [1, {_LARGEST:g}]", "how fast each head's state forgets"
        return Start(shown, reason, lambda one, generator: torch.log1p(_unit(one, generator) * (_LARGEST - 1)))

    def values(one: ModelTensor, _: torch.Generator) -> Tensor:
        axis = min(range(len(one.shape)), key=lambda place: (one.shape[place], -place))
        rates = torch.arange(1.0, one.shape[axis] + 1).log()
        return rates.reshape([-1 if place == axis else 1 for place in range(len(one.shape))]).expand(one.shape)

    return Start("log n, n = 1, 2, …", "how fast each number of a state forgets (S4D-real)", values)


def _unit(tensor: ModelTensor, generator: torch.Generator) -> Tensor:
    return torch.rand(tensor.shape, generator=generator, device=generator.device)
