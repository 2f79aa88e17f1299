"""What freeness says of a model, drawn and not solved for: the same derivatives between weights of random singular vectors.

Values are those of the model's own pass. Behind them every weight over channels stands between two random rotations, as if its
singular vectors knew nothing of the derivatives: where weights are random, spectra stay as they are. Weights over positions, and
those of single channels, are given maps.

Source: theory.md §12 (this project's derivation); tested by drawn networks.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import stdtrit
from torch import Tensor, nn
from torch.nn import functional

from freeness.errors import InputError
from freeness.laws import Empirical
from freeness.network import (
    INPUT,
    Constant,
    Convolution,
    Dense,
    Embedding,
    Node,
    PositionWise,
    ScaledIdentity,
    Weights,
    described,
)
from freeness.spectra import Measurement, Prediction, TopEigenvalue, TopRange
from freeness.torch.measured.rotations import turned, turned_kernel
from freeness.torch.record.steps import Calls, DenseStep, Step
from freeness.torch.record.tracing import Trace

_LEAST, MOST = 4, 32  # draws
_ENOUGH = 1000  # eigenvalues of all draws
_POWERS = 4  # products that find the largest directions of a signal
_SHARE, _COLUMNS = 8, 32  # one in so many directions is kept, and no more of one use
_NOTHING = 1e-4  # relative to the largest
_SURE = 0.95  # of largest eigenvalues lie in their range
_TINY = 1e-300
METHOD = "singular vectors drawn at random around the derivatives of one forward pass"


class Redrawn(nn.Module):
    """A traced model with the values of its own weights and the derivatives of others, see :meth:`draw`.

    Raises:
        InputError: weights that are multiples of the identity, or a model without a record.
    """

    def __init__(self, traced: Trace, sample: Tensor) -> None:
        super().__init__()
        nodes = {node.name: node for node in traced.network.nodes}
        _check(nodes.values())
        self.model, self.training = traced.model, traced.model.training
        self._traced, self._nodes = traced, nodes
        self.weights, self.biases = nn.ParameterDict(), nn.ParameterDict()
        self._turning: dict[str, Step] = {}
        for step in traced.steps:
            node = nodes[step.name]
            if isinstance(node.operation, Constant) and node.operation.trained:
                self.biases[_key(step.name)] = nn.Parameter(step.compute().detach().clone())
            if step.weight is None or not isinstance(node.operation, Weights):
                continue
            if not node.shares:
                self.weights[_key(step.name)] = nn.Parameter(step.weight.detach().clone())
            if _turns(node):
                self._turning.setdefault(node.shares or step.name, step)
            if step.bias is not None:
                trains = step.bias.requires_grad or not traced.any_trained
                self.biases[_key(step.name)] = nn.Parameter(step.bias.detach().clone(), requires_grad=trains)
        self._met: dict[str, list[Tensor]] = {name: [] for name in self._turning}
        self._learning = True
        with torch.no_grad():
            self(traced.input(sample))
        self._learning = False
        self._kept = {name: _together(*found) for name, found in self._met.items() if found}

    @property
    def traced(self) -> Trace:
        """The traced model with this one in its place, to be measured."""
        return replace(self._traced, model=self, output="", _chain=None)

    def draw(self, generator: torch.Generator) -> None:
        """Other singular vectors for every weight over channels."""
        with torch.no_grad():
            for name, step in self._turning.items():
                assert step.weight is not None
                weight = step.weight.detach()
                kept, groups = self._kept.get(name), getattr(self._nodes[step.name].operation, "groups", 1)
                kept = weight.new_zeros(weight[0].numel(), 0) if kept is None else kept
                two = weight.ndim == 2
                fresh = turned(weight, kept, generator) if two else turned_kernel(weight, kept, groups, generator)
                into = self.weights[_key(name)]
                into.copy_(fresh if fresh.shape == into.shape else fresh.T)

    def forward(self, x: Tensor) -> Tensor:
        """The model's own output; its derivatives are those of the weights that were drawn."""
        together = self._traced.together
        values = {INPUT: x.expand(together, *x.shape[1:]) if together else x}
        for step in self._traced.steps:
            values[step.name] = self._passed(step, tuple(read(values) for read in step.reads))
        found = values[self._traced.steps[-1].name]
        for move in self._traced.moves:
            found = move(found)
        return found[: len(x)] if together else found

    def _passed(self, step: Step, given: tuple[Tensor, ...]) -> Tensor:
        node = self._nodes[step.name]
        if isinstance(node.operation, Constant) and node.operation.trained:
            return self.biases[_key(step.name)]
        if step.weight is None or not isinstance(node.operation, Weights):
            return step.compute.with_own({}, *given) if isinstance(step.compute, Calls) else step.compute(*given)
        weight = self.weights[_key(node.shares or step.name)]
        if weight.shape != step.weight.shape:  # of a matrix and its transpose
            weight = weight.T
        bias = None if step.bias is None else self.biases[_key(step.name)]
        if self._learning and _turns(node) and getattr(node.operation, "groups", 1) == 1:
            self._met[node.shares or step.name].append(_directions(step, given, step.weight.detach()))
        if isinstance(node.operation, Embedding):
            found = functional.embedding(given[0], weight)
        else:
            found = _product(step, given, weight, bias)
        with torch.no_grad():
            own = step.compute(*(one.detach() for one in given))
        return found + (own - found.detach())


def _directions(step: Step, given: tuple[Tensor, ...], weight: Tensor) -> Tensor:
    """Orthonormal columns, of entries of a weight's rows: the patches along which its input is largest, over all positions."""
    size = weight[0].numel()
    count = min(max(size // _SHARE, 1), _COLUMNS)
    found = torch.linalg.qr(torch.randn(size, count, generator=torch.Generator().manual_seed(0)).to(weight))[0]
    scales = found[0]
    with torch.enable_grad():
        for _ in range(_POWERS):
            rows = found.T.reshape(count, *weight.shape[1:]).detach().requires_grad_()
            seen = _product(step, given, rows, None if step.bias is None else step.bias.new_zeros(count))
            (grown,) = torch.autograd.grad(seen.square().sum() / 2, rows)
            found, triangle = torch.linalg.qr(grown.reshape(count, -1).T)
            scales = triangle.diagonal().abs()
    return found[:, scales > _NOTHING * scales.max()].detach()


def _together(*found: Tensor) -> Tensor:
    """Orthonormal columns that span what several uses of a weight showed, or most of it."""
    left, scales, _ = torch.linalg.svd(torch.cat(found, dim=1), full_matrices=False)
    most = max(len(left) // _SHARE, 1)
    return left[:, : min(most, int((scales > _NOTHING).sum()))]


def _key(name: str) -> str:
    return name.replace(".", "/")


def _product(step: Step, given: tuple[Tensor, ...], weight: Tensor, bias: Tensor | None) -> Tensor:
    """What a step computes with another weight."""
    if isinstance(step.compute, DenseStep):
        return functional.linear(given[0], weight, bias)
    assert isinstance(step.compute, Calls)
    own = {id(step.weight): weight, **({} if bias is None else {id(step.bias): bias})}
    return step.compute.with_own(own, *given)


def _turns(node: Node) -> bool:
    """Whether weights mix channels."""
    operation = node.operation
    if isinstance(operation, Convolution):
        return operation.groups < operation.channels_in
    return isinstance(operation, (Dense, PositionWise))


def _check(nodes: Iterable[Node]) -> None:
    for node in nodes:
        if isinstance(node.operation, Weights) and isinstance(node.operation.weights, ScaledIdentity):
            raise InputError(
                f"expected weights whose singular vectors may be random, got a multiple of the identity in "
                f"{described(node.operation)}; measure the spectrum instead."
            )


def redrawn(
    model: Redrawn, measure: Callable[[Trace], Measurement], *, draws: int = MOST, seconds: float = math.inf
) -> Prediction:
    """A spectrum at other singular vectors of a model's weights, 4 to 32 times.

    Args:
        model: at the sample at which it is measured.
        measure: the spectrum of a traced model, as by :func:`~freeness.torch.measure_jacobian`.
        draws: at most, ≥ 2: one draw does not tell how far another is from it.
        seconds: of which the draws do not take much more; there are two at least. What this cuts off is told.

    Example:
        >>> from freeness.torch import measure_jacobian, trace
        >>> layers = nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(72, 4)
        >>> x = torch.ones(3, 8, 8)
        >>> model = Redrawn(trace(nn.Sequential(*layers), x[None]), x)
        >>> found = redrawn(model, lambda traced: measure_jacobian(traced, x))
        >>> found.largest.low < found.largest.value < found.largest.high
        True
    """
    if draws < 2:
        raise InputError(f"expected at least 2 draws, got {draws}; one does not tell how far another is from it.")
    generator, stand_in = torch.Generator().manual_seed(0), model.traced
    begun, seen, cut = time.monotonic(), list[Measurement](), False
    while len(seen) < draws and (len(seen) < _LEAST or sum(one.eigenvalues.size for one in seen) < _ENOUGH):
        passed = time.monotonic() - begun
        cut = len(seen) > 1 and passed * (1 + 1 / len(seen)) > seconds
        if cut:
            break
        model.draw(generator)
        seen.append(measure(stand_in))
    return _prediction(seen, ", for which the time ran out" if cut else "")


def _prediction(seen: Sequence[Measurement], why: str) -> Prediction:
    law, means = Empirical(np.concatenate([one.eigenvalues for one in seen])), np.array([one.law.mean for one in seen])
    tops = np.array([one.eigenvalues[-1] for one in seen])
    scatter = float(means.std(ddof=1) / law.mean) if law.mean > 0 else 0.0
    return Prediction(
        law,
        TopEigenvalue(float(np.median(tops)), "edge"),
        (
            "weights over channels keep their singular values, with random singular vectors",
            "these know nothing of what lies between (derivatives, attention, norms, weights over positions), as one forward "
            "pass of this network gives it",
            f"drawn {len(seen)} times{why}, no equation was solved",
        ),
        METHOD,
        scatter,
        float(np.mean([one.eigenvalues.var() for one in seen])),
        outputs=seen[0].eigenvalues.size,
        seen=top_of_drawn(tops),
    )


def top_of_drawn(tops: Float[np.ndarray, " draws"]) -> TopRange:
    """Where one more largest eigenvalue lies, from some that were drawn: Student's interval of a further value, in logarithms.

    Source: Student (1908); two standard deviations hold 86 % of what comes behind four draws.

    Example:
        >>> found = top_of_drawn(np.array([1.0, 1.1, 1.2, 1.3]))
        >>> round(found.low, 2), round(found.value, 2), round(found.high, 2)
        (0.77, 1.15, 1.72)
    """
    deviation, draws = float(np.log(np.maximum(tops, _TINY)).std(ddof=1)), len(tops)
    spread = math.exp(float(stdtrit(draws - 1, (1 + _SURE) / 2)) * deviation * math.sqrt(1 + 1 / draws))
    top = float(np.median(tops))
    return TopRange(top / spread, top, top * spread)
