"""The first step of an optimiser, taken at any rate and by any of its parts: what it does to loss, outputs and features.

One gradient evaluation, then a forward pass for every question. The parts of the step are those of groups of parameters.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from freeness.errors import InputError
from freeness.torch.loss.class_losses import ClassLoss
from freeness.torch.loss.given import GivenLoss, GivenOptimizer, given_loss
from freeness.torch.model.modes import fixed_masks
from freeness.torch.model.outputs import OutputKey
from freeness.torch.model.state import trained_parameters, untouched
from freeness.torch.rate.critical import OptimizerFactory, as_factory, first_direction
from freeness.torch.request.analyze_options import OWN
from freeness.torch.request.batch import Batch
from freeness.torch.request.batch_loss import trial_loss
from freeness.torch.request.stepping import torch_optimizer
from freeness.torch.start.roles import GroupRole, MatrixCalls, roles_of
from freeness.training import CrossEntropy, optimizer_of

_UP, _DOWN = 2.0, 4.0  # from one rate to the next
_NEAR = 1.1  # of the two sides between which the loss is raised, as a factor
_LARGER = 1.01  # times the weights, where their degree is measured
_DRAWS = 2  # of random directions of the outputs, from which the tensors' sensitivities are read
Shares = Mapping[GroupRole, float]


class _Found(NamedTuple):
    """Loss, outputs, and what the last layer reads."""

    loss: Tensor
    outputs: Tensor
    features: Tensor | None


class Movement(NamedTuple):
    """Root mean squares, per unit rate: of the change of the outputs, relative change of what the last layer reads."""

    outputs: float
    features: float


class Crossing(NamedTuple):
    """``rate`` is where a step begins to raise the loss; it lies between ``low`` and ``high``; ``passes``: forward passes."""

    rate: float
    low: float
    high: float
    passes: int


@dataclass(frozen=True)
class StepOptions:
    """What is trained with: loss, optimiser, which output counts, and the mode, as in :class:`~freeness.torch.AnalyzeOptions`."""

    loss: GivenLoss | None = None
    optimizer: GivenOptimizer = "sgd"
    output: OutputKey = None
    training: bool | None = None


def optimizer_factory(given: GivenOptimizer) -> OptimizerFactory:
    """What makes torch's optimiser of parameters, by a name, a record, an instance, or what makes one.

    Example:
        >>> made = optimizer_factory("momentum")([nn.Parameter(torch.zeros(1))])
        >>> type(made).__name__, made.param_groups[0]["momentum"]
        ('SGD', 0.9)
    """
    if isinstance(given, torch.optim.Optimizer):
        return as_factory(given)
    if callable(given):
        return given
    return partial(torch_optimizer, optimizer_of(given))


def is_adaptive(factory: OptimizerFactory) -> bool:
    """Whether an optimiser's first step does not grow with the gradient.

    Example:
        >>> is_adaptive(torch.optim.Adam), is_adaptive(torch.optim.SGD)
        (True, False)
    """
    weight = nn.Parameter(torch.zeros(2))
    weight.grad = torch.tensor([1.0, 10.0])
    try:
        optimizer = factory([weight])
        optimizer.step()
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"expected an optimiser that takes a step on vectors by their gradients alone, got one that says {str(error)!r}; "
            "take sgd, momentum, adam or adamw for the comparison."
        ) from error
    first, second = weight.detach().tolist()
    return abs(second) < 2 * abs(first)


@contextmanager
def first_step(
    model: nn.Module, batch: Batch, how: StepOptions, grown: Mapping[str, int] | None = None
) -> Iterator[FirstStep]:
    """A block in which the first step on a batch can be asked about; the model is left as it was.

    Example:
        >>> model = nn.Linear(1, 1, bias=False)
        >>> batch = Batch((torch.ones(1, 1),), targets=torch.zeros(1, 1), count=1)
        >>> with first_step(model, batch, StepOptions("half_squared_error")) as step:
        ...     found = step.crossing({"output": 1.0}, start=0.3)
        >>> round(found.rate, 1)  # λ = 1, so 2/λ
        2.0
    """
    kinds = {parameter.dtype for parameter in trained_parameters(model).values()}
    if kinds - {torch.float32, torch.float64}:
        raise InputError("expected weights in float32 or float64, got others; pass the model as model.float() has it.")
    with untouched(model, training=how.training), fixed_masks(model), torch.enable_grad():
        yield FirstStep(model, batch, how, grown)


class FirstStep:
    """See :func:`first_step`.

    ``loss``: before the step; ``roles``: of the parameters, by name; ``gradients``, ``passes``: evaluations that were run.
    """

    def __init__(self, model: nn.Module, batch: Batch, how: StepOptions, grown: Mapping[str, int] | None) -> None:
        self._model, self._batch, self._how, self._calls = model, batch, how, MatrixCalls()
        self._trained_on = trial_loss(model, batch, how.loss, how.output)
        self._named = trained_parameters(model)
        for parameter in self._named.values():
            parameter.requires_grad_()
        self._buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
        self.gradients, self.passes = 1, 0
        value, outputs, self._features = self._evaluated()
        parameters = list(self._named.values())
        gradients, directions = first_direction(value, parameters, optimizer_factory(how.optimizer))
        self.loss = float(value.detach())
        self.roles = roles_of(model, self._calls.order, grown)
        self._start = {name: parameter.detach().clone() for name, parameter in self._named.items()}
        self._direction = dict(zip(self._named, directions, strict=True))
        self._slopes: dict[GroupRole, float] = {}
        for (name, role), slope in zip(self.roles.items(), gradients, strict=True):
            along = float((slope.double() * self._direction[name].double()).sum())
            self._slopes[role] = self._slopes.get(role, 0.0) + along
        self._outputs = outputs.detach()

    @property
    def whole(self) -> dict[GroupRole, float]:
        """All groups with the share 1."""
        return dict.fromkeys(self._slopes, 1.0)

    def slope(self, shares: Shares) -> float:
        """Of the loss by the rate, at the start, where each group has that share of the rate."""
        return sum(share * self._slopes[role] for role, share in shares.items())

    def movements(self, short: float) -> tuple[Movement, dict[GroupRole, Movement]]:
        """Of all groups together and of each by itself, by differences over a short step; one forward pass a group.

        ``short``: a rate far below the critical one, so that outputs move linearly, and far above rounding.
        """
        outputs, features = torch.zeros_like(self._outputs), None
        each: dict[GroupRole, Movement] = {}
        for role in self._slopes:
            found = self._after({role: 1.0}, short)
            read, change = found.features, centred(found.outputs - self._outputs, self._how.loss) / short
            outputs = outputs + change
            moved = None if read is None or self._features is None else (read - self._features) / short
            if moved is not None:
                features = moved if features is None else features + moved
            each[role] = Movement(_rms(change), self._relative(moved))
        return Movement(_rms(outputs), self._relative(features)), each

    def degree(self) -> float:
        """k where what tells the outputs of samples apart grows as the k-th power of all weights; one forward pass.

        By Euler's theorem θ·∂f/∂θ = k f. A chain of k layers without biases whose activations are homogeneous has the degree k
        whatever its weights are, one behind a normalisation 1, and 1 more for its own scales. 1 as well where outputs do not
        differ between samples.

        Example:
            >>> _ = torch.manual_seed(0)
            >>> chain = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 8, bias=False), nn.ReLU(), nn.Linear(8, 2))
            >>> _ = nn.init.zeros_(chain[0].bias)
            >>> batch = Batch((torch.randn(5, 3),), targets=torch.arange(5) % 2, count=5)
            >>> with first_step(chain, batch, StepOptions("cross_entropy")) as step:
            ...     round(step.degree(), 3)
            3.0
        """
        grown = {name: (_LARGER - 1) * value for name, value in self._start.items()}
        before, after = (_rms(one - one.mean(0)) for one in (self._outputs, self._at(grown).outputs))
        return math.log(after / before) / math.log(_LARGER) if before > 0 and after > 0 else 1.0

    def sensitivity(self) -> float:
        """How far outputs move, beside themselves, if every tensor changes by a unit of its size in a random direction.

        One tensor moves them by c_l = ‖J_l‖_F·‖W_l‖_F/√(entries of W_l)/‖f‖; f is what tells the outputs of samples apart, J_l
        its Jacobian in the entries of tensor l, ‖J_l‖_F² = E ‖J_lᵀv‖² over random signs v (Hutchinson 1990). All move them by Σc
        where they agree, by √Σc² where they are independent; the geometric mean is told. Each of L layers of a chain has c = 1:
        what it gives changes as its weights do. That makes L^¾. Of L blocks on a residual stream, which share its size, each has
        about 1/√L, which makes L^¼. 0 where outputs do not differ between samples. A forward pass, and a backward one a draw.

        Example:
            >>> _ = torch.manual_seed(0)
            >>> chain = nn.Sequential(*[nn.Linear(64, 64, bias=False) for _ in range(16)])
            >>> batch = Batch((torch.randn(32, 64),), targets=torch.arange(32) % 8, count=32)
            >>> with first_step(chain, batch, StepOptions("cross_entropy")) as step:
            ...     round(step.sensitivity())  # 16^¾
            8
        """
        self.passes, self.gradients = self.passes + 1, self.gradients + _DRAWS
        outputs = self._evaluated().outputs
        size = _norm(self._apart(outputs.detach()))
        if size == 0:
            return 0.0
        generator, parameters = torch.Generator().manual_seed(0), list(self._named.values())
        squares = [0.0] * len(parameters)
        for draw in range(1, _DRAWS + 1):
            signs = (torch.randint(2, outputs.shape, generator=generator) * 2 - 1).to(outputs)
            slopes = torch.autograd.grad(
                outputs, parameters, self._apart(signs), retain_graph=draw < _DRAWS, allow_unused=True
            )
            squares = [
                old if new is None else old + _norm(new) ** 2 / _DRAWS for old, new in zip(squares, slopes, strict=True)
            ]
        alone = [math.sqrt(square) * _rms(own) for square, own in zip(squares, self._start.values(), strict=True)]
        return math.sqrt(sum(alone) * math.hypot(*alone)) / size

    def _apart(self, outputs: Tensor) -> Tensor:
        """What tells samples apart, without what a softmax does not see."""
        found = centred(outputs, self._how.loss)
        return found - found.mean(0)

    def _relative(self, moved: Tensor | None) -> float:
        size = 0.0 if self._features is None else _rms(self._features)
        return math.nan if moved is None or size == 0 else _rms(moved) / size

    def crossing(self, shares: Shares, start: float, most: int = 12) -> Crossing:
        """The smallest rate found at which the step raises the loss, with each group at its share of the rate.

        Walked to from below, for a loss that is raised may fall again farther on, as behind batch normalisation; then sought by
        secants in log η.

        ``start``: where the walk begins, below what is sought; ``most``: forward passes.

        Source: Kalra, Barkeshli, arXiv 2406.09405 (the critical rate of the first step, by forward passes); walk and secants are
        ours.
        """
        if not self.slope(shares) < 0:
            raise InputError(
                "expected a first step that lowers the loss, got one that raises it at once; check the optimiser."
            )
        low, high = (0.0, 0.0), (math.inf, math.inf)  # rates, and how far the loss is above the start's
        rate, passes = start, 0
        while passes < most and not high[0] <= _NEAR * low[0]:
            lifted = float(self._after(shares, rate).loss) - self.loss
            passes += 1
            if lifted <= 0:
                low = (rate, lifted)
            else:
                high = (rate, lifted if math.isfinite(lifted) else math.inf)
            rate = _next(low, high)
        return Crossing(rate, low[0], high[0], passes)

    def _evaluated(self) -> _Found:
        """Of the weights as they are now."""
        with self._calls.watching(self._model):
            returned = self._trained_on.returned(self._model, self._batch)
        value, outputs = self._trained_on.of(returned, self._batch), self._trained_on.outputs(returned)
        return _Found(value, outputs, self._calls.last_input)

    def _after(self, shares: Shares, rate: float) -> _Found:
        """There, as :meth:`_at`."""
        return self._at(
            {name: rate * shares.get(role, 0.0) * self._direction[name] for name, role in self.roles.items()}
        )

    def _at(self, moved: Mapping[str, Tensor]) -> _Found:
        """Behind any move of the weights, which are put back."""
        self.passes += 1
        with torch.no_grad():
            for name, step in moved.items():
                self._named[name].data.copy_(self._start[name] + step)  # .data: version counters stay as they are
            found = self._evaluated()
            for name, first in self._start.items():
                self._named[name].data.copy_(first)
            for buffer, kept in self._buffers:
                buffer.data.copy_(kept)
        return found


def _next(low: tuple[float, float], high: tuple[float, float]) -> float:
    """Where to look next, by the rates on both sides and how far the loss is above the start's there."""
    if not math.isfinite(high[0]):
        return low[0] * _UP
    if low[0] == 0:
        return high[0] / _DOWN
    above = min(high[1], 2 * -low[1])  # far above, the loss grows faster than a secant knows
    share = -low[1] / (above - low[1]) if low[1] < 0 else 0.5
    return low[0] * math.exp(math.log(high[0] / low[0]) * min(max(share, 0.1), 0.9))


def centred(change: Tensor, loss: GivenLoss | None) -> Tensor:
    """The change of outputs without what a softmax does not see: its mean over the classes, the last axis, or of maps the second.

    Of (B, C), (B, tokens, C) or (B, C, height, width).

    Example:
        >>> centred(torch.tensor([[1.0, 3.0]]), "cross_entropy")
        tensor([[-1.,  1.]])
    """
    softmax = loss in (None, OWN) or isinstance(given_loss(loss), CrossEntropy | ClassLoss)
    return change - change.mean(1 if change.ndim == 4 else -1, keepdim=True) if softmax and change.ndim > 1 else change


def _norm(value: Tensor) -> float:
    return float(value.double().square().sum().sqrt())


def _rms(value: Tensor) -> float:
    return float(value.double().square().mean().sqrt())
