"""What a model tells about its learning rate before it is trained: curvature, loudness, how far its first step should go."""

from __future__ import annotations

import contextlib
import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from freeness.advice.start_rate import StartFacts
from freeness.errors import FreenessError
from freeness.torch.curvature import AdamOptions, CurvatureOptions, adam_preconditioner, batch_sharpness
from freeness.torch.losses import Loss, loss_function
from freeness.torch.outputs import run
from freeness.torch.redraw import can_be_redrawn, redraw_
from freeness.torch.state import trained_parameters, untouched
from freeness.torch.sums import adds_signals

_MANY = 256  # samples that stand for all
_PROBED = 128  # samples on which the loss along the first step is looked at
_BATCHES, _SINGLE = 8, 64  # mini-batches behind Adam's preconditioner at least, and samples
_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_SATURATING = (nn.Tanh, nn.Hardtanh, nn.Sigmoid, nn.Hardsigmoid, nn.Softsign)
_TRAINED = 0.5  # of the loss of every other draw, below which the weights are no random ones
_FIRST, _GROWTH, _STEPS = 0.02, 1.5, 36  # of the step lengths tried, over loss/‖g‖²


def start_facts(
    model: nn.Module,
    data: tuple[Tensor, Tensor],
    loss: Loss,
    optimizer: str = "sgd",
    *,
    batch: int = 64,
    redraws: int = 3,
) -> StartFacts:
    """Measure what :func:`~freeness.advice.start_rate.start_rate` asks for; nothing is trained and the model stays as it is.

    λ is λ_max of the GGN over up to 256 samples (preconditioned for Adam). The loss over 128 samples is looked at along their
    gradient g, at lengths from 0.02·loss/‖g‖² on, each 1.5 times the one before; its lowest point is read off a parabola. These
    numbers scatter from draw to draw of the weights more than good rates do, so they are averaged, in logarithms, over the
    network and others that differ by rotations of its weights only; over the network alone where its weights have a structure or
    were trained, which shows by a loss below half of that of all others.

    Args:
        model: any module, measured in eval mode.
        data: (inputs, targets) with the samples first; targets fit the loss.
        loss: as in :func:`~freeness.torch.batch_sharpness`.
        optimizer: "sgd", "momentum", "nesterov" or "adam".
        batch: samples a step of the training to come.
        redraws: other draws of the weights.

    Raises:
        InputError: as :func:`~freeness.torch.batch_sharpness`.

    Example:
        >>> model = nn.Linear(2, 1, bias=False).double()
        >>> x = torch.tensor([[3.0, 4.0], [-3.0, -4.0]]).double()
        >>> facts = start_facts(model, (x, x[:, :1]), "half_squared_error", batch=1, redraws=0)
        >>> round(facts.sharpness, 6), round(facts.reach, 6), facts.batch  # a parabola: lowest at 1/λ
        (25.0, 0.04, 1)
    """
    size = min(batch, len(data[0]))
    generator = torch.Generator().manual_seed(0)
    with untouched(model):
        parameters = sum(parameter.numel() for parameter in trained_parameters(model).values())
        residual, exchangeable = adds_signals(model, data[0]), can_be_redrawn(model)
        own, others = _measured(model, data, loss, (optimizer, size)), []
        for _ in range(redraws if exchangeable and own.usable else 0):
            redraw_(model, generator)
            with contextlib.suppress(FreenessError):  # one that explodes is none of its kind
                others.append(_measured(model, data, loss, (optimizer, size)))
    sharpness, loudness, reach, left = _averaged(own, [draw for draw in others if draw.usable])
    modules = list(model.modules())
    normalised, saturating = (any(isinstance(module, kind) for module in modules) for kind in (_NORMS, _SATURATING))
    convolutional = any(isinstance(module, _ConvNd) and _overlaps(module) for module in modules)
    saturating = saturating and not normalised
    return StartFacts(
        sharpness, loudness, reach, left, parameters, size, saturating, normalised, convolutional, residual
    )


class _Draw(NamedTuple):
    """What is measured of one draw of the weights."""

    sharpness: float
    loudness: float
    reach: float
    left: float
    loss: float

    @property
    def numbers(self) -> tuple[float, float, float, float]:
        return self.sharpness, self.loudness, self.reach, self.left

    @property
    def usable(self) -> bool:
        return all(0 < number < math.inf for number in self.numbers)


def _averaged(own: _Draw, others: list[_Draw]) -> tuple[float, ...]:
    """In logarithms, with the others unless the weights were trained."""
    if not others or own.loss < _TRAINED * min(draw.loss for draw in others):
        return own.numbers
    return tuple(np.exp(np.mean([np.log(draw.numbers) for draw in (own, *others)], axis=0)).tolist())


def _measured(model: nn.Module, data: tuple[Tensor, Tensor], loss: Loss, how: tuple[str, int]) -> _Draw:
    (inputs, targets), (optimizer, size) = data, how
    scale, known = None, _MANY
    if optimizer == "adam":
        count = min(max(_SINGLE // size, _BATCHES), len(inputs) // size)
        known = min(known, size * count)  # elsewhere gradients may differ from 0 where P is 0
        scale = adam_preconditioner(model, inputs[: size * count], targets[: size * count], loss, AdamOptions(count))
    many = inputs[:known], targets[:known]
    sharpness = batch_sharpness(model, *many, loss, CurvatureOptions(preconditioner=scale)).value
    outputs, aims = _variance(run(model, many[0])), _variance(_aims(many[1], loss))
    return _Draw(
        sharpness, outputs / aims if aims > 0 else 1.0, *_reach(model, (inputs[:_PROBED], targets[:_PROBED]), loss)
    )


def _overlaps(layer: _ConvNd) -> bool:
    """Patches that overlap: a convolution, not a linear map of tiles."""
    return any(taps > step for taps, step in zip(layer.kernel_size, layer.stride, strict=True))


def _aims(targets: Tensor, loss: Loss) -> Tensor:
    return nn.functional.one_hot(targets) if loss == "cross_entropy" else targets


def _variance(values: Tensor) -> float:
    """Mean squared distance from the mean over the samples, summed over the rest."""
    flat = values.detach().double().flatten(1)
    return float((flat - flat.mean(0)).square().sum(1).mean())


def _reach(model: nn.Module, data: tuple[Tensor, Tensor], loss: Loss) -> tuple[float, float, float]:
    """The length of a step along the gradient that leaves the least loss, the share left, and the loss before.

    0 and 1 without a gradient.
    """
    criterion, parameters = loss_function(loss), list(trained_parameters(model).values())
    for parameter in parameters:
        parameter.requires_grad_()
    with torch.enable_grad():
        initial = criterion(run(model, data[0]), data[1])
        gradients = torch.autograd.grad(initial, parameters, materialize_grads=True)
    start = float(initial.detach())
    square = sum(float(gradient.double().square().sum()) for gradient in gradients)
    first = _FIRST * start / square if square > 0 else math.inf
    if not 0 < first < math.inf:
        return 0.0, 1.0, start
    before = [parameter.detach().clone() for parameter in parameters]

    @torch.no_grad()
    def at(length: float) -> float:
        for parameter, old, gradient in zip(parameters, before, gradients, strict=True):
            parameter.copy_(old - length * gradient)
        value = float(criterion(run(model, data[0]), data[1]))
        return value if math.isfinite(value) else math.inf

    lengths = [first * _GROWTH**step for step in range(_STEPS)]
    losses = [at(length) for length in lengths]
    at(0.0)  # back to the start
    return _lowest(lengths, losses), min(*losses, start) / start, start


def _lowest(lengths: list[float], losses: list[float]) -> float:
    """Of the parabola through the lowest point and its neighbours, over the length."""
    lowest = min(range(len(losses)), key=losses.__getitem__)
    around = slice(max(lowest - 1, 0), lowest + 2)
    x, y = lengths[around], losses[around]
    if len(x) < 3 or not all(map(math.isfinite, y)):
        return lengths[lowest]
    left, right = (y[1] - y[0]) / (x[1] - x[0]), (y[2] - y[1]) / (x[2] - x[1])
    bend = (right - left) / (x[2] - x[0])
    return min(max((x[0] + x[1]) / 2 - left / (2 * bend), x[0]), x[2]) if bend > 0 else lengths[lowest]
