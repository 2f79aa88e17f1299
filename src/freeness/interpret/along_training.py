"""Whether a network stays near isometry while it trains: JJᵀ, the freeness test and the drift of the weights."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from torch import Tensor

from freeness.interpret.identity_mlp import IdentityMLP
from freeness.interpret.roles import layer_roles
from freeness.spectra import FreenessTest, Measurement
from freeness.torch import freeness_test, measure_jacobian, trace


@dataclass(frozen=True, eq=False)
class TrainingState:
    """One moment: steps done, JJᵀ of the whole stack at one sample, the freeness test there, the drift of every layer."""

    step: int
    jacobian: Measurement
    freeness: FreenessTest
    drift: Float[np.ndarray, " layers"]

    @property
    def spread(self) -> float:
        """Relative variance of the eigenvalues of JJᵀ, 0 for an isometry."""
        values = self.jacobian.eigenvalues
        return float(values.var() / values.mean() ** 2) if values.any() else float("nan")

    @property
    def tested(self) -> bool:
        """Whether any word could be tested."""
        return any(word.tested for word in self.freeness.words)

    @property
    def largest_score(self) -> float:
        """The strongest departure from freeness in standard errors; NaN where nothing is tested."""
        return max((abs(word.score) for word in self.freeness.words if word.tested), default=float("nan"))


@dataclass(eq=False)
class TrainingWatch:
    """Records :class:`TrainingState` of a model at one sample whenever it is called; made for ``FitOptions(watch=…)``.

    J is that of the whole stack, x⁰ to h^L (N×N), at the sample. The model is read and left as it was.

    Args:
        model: the network.
        sample: one input, (1, *shape).

    Example:
        >>> import torch
        >>> model = IdentityMLP(40, classes=2, depth=3, activation="tanh")
        >>> watch = TrainingWatch(model, torch.linspace(-2, 2, 40)[None])
        >>> state = watch(0)
        >>> state.freeness.free, state.drift.tolist(), state.spread > 0
        (False, [0.0, 0.0, 0.0], True)
    """

    model: IdentityMLP
    sample: Tensor
    states: list[TrainingState] = field(default_factory=list)

    def __call__(self, step: int) -> TrainingState:
        """Record the present state.

        Raises:
            InputError: the stack cannot be read at the sample, or its signals are not finite.
        """
        start = self.model.padded(self.sample)
        read = trace(self.model.stack, start)
        drift = np.array([layer.drift for layer in layer_roles(self.model)])
        state = TrainingState(step, measure_jacobian(read, start), freeness_test(read, start), drift)
        self.states.append(state)
        return state
