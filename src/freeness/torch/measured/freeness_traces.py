"""The freeness test along training."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from torch import Tensor, nn

from freeness.errors import InputError
from freeness.spectra import FreenessTest
from freeness.torch.measured.freeness_tests import check_given, freeness_test
from freeness.torch.record.steps import DenseStep
from freeness.torch.record.tracing import Chain, read_chain


@dataclass(eq=False)
class FreenessTrace:
    """The words of a model's weights at one sample, recorded while it trains; made by :func:`freeness_trace`.

    ``steps`` are those recorded and ``tests`` their outcomes.
    """

    model: nn.Module
    sample: Tensor
    steps: list[int] = field(default_factory=list)
    tests: list[FreenessTest] = field(default_factory=list)
    _chain: Chain | None = None

    def record(self, step: int) -> FreenessTest:
        """Test the weights as they are now; the model is read and not run.

        Args:
            step: its number, larger than those recorded before.

        Raises:
            InputError: steps that do not grow, signals that are not finite any more, or as :func:`freeness_test`.
        """
        if self.steps and step <= self.steps[-1]:
            raise InputError(f"expected a step after {self.steps[-1]}, got {step}; record steps in their order.")
        found = freeness_test(self._current(), self.sample)
        self.steps.append(step)
        self.tests.append(found)
        return found

    @property
    def words(self) -> tuple[tuple[str, str], ...]:
        """(weights, word) of every column of the arrays."""
        return tuple((word.name, word.word) for word in self.tests[0].words) if self.tests else ()

    @property
    def scores(self) -> Float[np.ndarray, "steps words"]:
        """Scores, one row a step and one column a word; NaN where nothing is tested."""
        rows = [[word.score if word.tested else np.nan for word in test.words] for test in self.tests]
        return np.array(rows, float).reshape(len(self.tests), len(self.words))

    @property
    def values(self) -> Float[np.ndarray, "steps words"]:
        """The traces τ of the words, one row a step and one column a word."""
        rows = [[word.value for word in test.words] for test in self.tests]
        return np.array(rows, float).reshape(len(self.tests), len(self.words))

    def table(self) -> str:
        """Lines of text: of every pair (weights beside derivatives) the largest |score| at each step; a star rejects."""
        names = list(dict.fromkeys(name for name, _ in self.words))
        lines = ["".join(f"{cell:>10}" for cell in ("step", *names))]
        for step, test in zip(self.steps, self.tests, strict=True):
            cells = (f"{abs(w.score):.1f}{' ' if w.free else '*'}" if w.tested else "– " for w in test.strongest)
            lines.append("".join(f"{cell:>10}" for cell in (step, *cells)))
        return "\n".join(line.rstrip() for line in lines)

    def _current(self) -> Chain:
        """The model's own tensors, read again where they were replaced."""
        own = {id(parameter) for parameter in self.model.parameters()}
        steps = () if self._chain is None else self._chain.steps
        if self._chain is None or not all(id(s.weight) in own for s in steps if isinstance(s, DenseStep)):
            parameter = next(self.model.parameters(), None)
            self._chain = read_chain(self.model, self.sample if parameter is None else self.sample.to(parameter))
        return self._chain


def freeness_trace(model: nn.Module, x: Tensor) -> FreenessTrace:
    """Follow the freeness test along training: call ``record(step)`` whenever it is to be repeated.

    Args:
        model: what :func:`~freeness.torch.trace` reads; it is left as it is.
        x: the sample at which the derivatives are taken, (1, …) or (features,).

    Raises:
        InputError: the model or the sample cannot be read.

    Example:
        >>> import torch
        >>> generator = torch.Generator().manual_seed(0)
        >>> images, targets = torch.randn(64, 30, generator=generator), torch.randn(64, 5, generator=generator)
        >>> model = nn.Sequential(nn.Linear(30, 80), nn.Tanh(), nn.Linear(80, 80), nn.Tanh(), nn.Linear(80, 5))
        >>> for layer in model[::2]:
        ...     _ = nn.init.orthogonal_(layer.weight, generator=generator)
        >>> optimizer, trace = torch.optim.SGD(model.parameters(), lr=0.05), freeness_trace(model, images[0])
        >>> for step in range(11):
        ...     if step % 5 == 0:
        ...         _ = trace.record(step)
        ...     optimizer.zero_grad()
        ...     (model(images) - targets).square().mean().backward()
        ...     optimizer.step()
        >>> trace.steps, trace.scores.shape, trace.words[1]
        ([0, 5, 10], (3, 3), ('2', 'W D° Wᵀ E°'))
        >>> len(trace.table().splitlines()), trace.tests[0].free
        (4, True)
    """
    check_given(model, x)
    trace = FreenessTrace(model, x.detach().clone())
    trace._current()
    return trace
