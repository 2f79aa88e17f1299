"""What a model tells about its learning rate before it is trained: curvature, loudness, how far its first step should go."""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import replace

import torch
from jaxtyping import Shaped
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from freeness.torch.loss.given import GivenLoss, GivenOptimizer, given_loss, given_optimizer
from freeness.torch.loss.losses import loss_function
from freeness.torch.measured.curvature import AdamOptions, CurvatureOptions, adam_preconditioner, batch_sharpness
from freeness.torch.measured.sums import adds_signals
from freeness.torch.model.modes import fixed_masks, trained_mode
from freeness.torch.model.outputs import run
from freeness.torch.model.pace import beat
from freeness.torch.model.state import trained_parameters, untouched
from freeness.torch.rate.untried import at_places, untried
from freeness.torch.start.parts import NORMS
from freeness.torch.start.swap import function_of
from freeness.training import USUAL_BATCH, Adam, CrossEntropy, Objective, Optimizer, SquaredError, StartFacts, as_many

MANY = 256  # samples that stand for all
_CLASSES = 10  # of the cross-entropies that the rule was fitted to
_NEAR = 0.003  # residual of λ over it: the rule takes its root
_PROBED = 128  # samples on which the loss along the first step is looked at
_BATCHES, _SINGLE = 8, 64  # mini-batches behind Adam's preconditioner at least, and samples
_FIRST, _GROWTH, _STEPS = 0.02, 1.5, 36  # of the step lengths tried, over loss/‖g‖²


def start_facts(
    model: nn.Module,
    data: tuple[Shaped[Tensor, "samples ..."], Shaped[Tensor, "samples ..."]],
    loss: GivenLoss,
    optimizer: GivenOptimizer = "sgd",
    *,
    batch: int = USUAL_BATCH,
    training: bool | None = None,
) -> StartFacts:
    """Measure what a model shows of its learning rate, for :func:`~freeness.training.start_rate` and for where training breaks.

    Nothing is trained and the model stays as it is.

    λ is λ_max of the GGN over up to 256 samples (preconditioned for Adam). The loss over 128 samples is looked at along their
    gradient g, at lengths from 0.02·loss/‖g‖² on, each 1.5 times the one before; its lowest point is read off a parabola.

    Args:
        model: any module.
        data: (inputs, targets) with the samples first; targets fit the loss.
        loss: as in :func:`~freeness.torch.batch_sharpness`.
        optimizer: a name, an :class:`~freeness.training.Optimizer`, or one of torch's.
        batch: samples a step of the training to come.
        training: the mode, as in :class:`~freeness.torch.CurvatureOptions`.

    Raises:
        InputError: as :func:`~freeness.torch.batch_sharpness`.

    Example:
        >>> model = nn.Linear(2, 1, bias=False).double()
        >>> x = torch.tensor([[3.0, 4.0], [-3.0, -4.0]]).double()
        >>> facts = start_facts(model, (x, x[:, :1]), "half_squared_error", batch=1)
        >>> round(facts.sharpness, 6), round(facts.reach, 6), facts.batch  # a parabola: lowest at 1/λ
        (25.0, 0.04, 1)
    """
    inputs, targets = data
    found = rate_facts(model, data, loss, optimizer, (batch, training))
    mode = trained_mode(model, inputs, training)
    with untouched(model, training=mode), fixed_masks(model):
        known = slice(min(MANY, len(inputs)))
        outputs, aims = _variance(run(model, inputs[known])), _variance(_aims(targets[known]))
        reach, left = _reach(model, (inputs[:_PROBED], targets[:_PROBED]), loss)
    return replace(found, loudness=outputs / aims if aims > 0 else 1.0, reach=reach, left=left)


def rate_facts(
    model: nn.Module,
    data: tuple[Tensor, Tensor],
    loss: GivenLoss,
    optimizer: GivenOptimizer,
    how: tuple[int, bool | None],
    sharpness: float | None = None,
) -> StartFacts:
    """What :func:`~freeness.training.start_rate` asks for and no more: λ over up to 256 samples, size, scale and kind."""
    inputs, targets = data
    descent, criterion = given_optimizer(optimizer), given_loss(loss)
    batch, training = how
    size, mode = min(batch, len(inputs)), trained_mode(model, inputs, training)
    with untouched(model, training=mode), fixed_masks(model):
        if sharpness is None:
            sharpness = _sharpness(model, data, (criterion, descent), size, mode)
        places = _places(model, criterion, (inputs[:2], targets))
        scale = _scale(model, (inputs[:size], targets[:size]), criterion, places)
        residual = adds_signals(model, inputs)
        parameters = sum(parameter.numel() for parameter in trained_parameters(model).values())
    modules = list(model.modules())
    normalised = any(isinstance(module, NORMS) for module in modules)
    saturating = any((function := function_of(module)) is not None and function.saturating for module in modules)
    convolutional = any(isinstance(module, _ConvNd) and _overlaps(module) for module in modules)
    return StartFacts(
        sharpness=sharpness,
        loudness=math.nan,
        reach=math.nan,
        left=math.nan,
        parameters=parameters,
        batch=size,
        saturating=saturating and not normalised,
        normalised=normalised,
        convolutional=convolutional,
        residual=residual,
        narrow=not residual and _is_narrow(model, inputs[:2]),
        scale=scale,
        places=places,
        untried=untried(model, criterion, (inputs, targets, places), mode),
    )


def _sharpness(
    model: nn.Module, data: tuple[Tensor, Tensor], how: tuple[Objective, Optimizer], size: int, mode: bool | None
) -> float:
    """λ over many samples; for Adam preconditioned by the gradients of some mini-batches of them."""
    (inputs, targets), (loss, descent) = data, how
    scale, known = None, MANY
    if isinstance(descent, Adam):
        count = min(max(_SINGLE // size, _BATCHES), len(inputs) // size)
        known = min(known, size * count)  # elsewhere gradients may differ from 0 where P is 0
        averaged = AdamOptions(count, descent.epsilon, mode)
        scale = adam_preconditioner(model, inputs[: size * count], targets[: size * count], loss, averaged)
    options = CurvatureOptions(preconditioner=scale, training=mode, tolerance=_NEAR)
    return batch_sharpness(model, inputs[:known], targets[:known], loss, options).value


def _scale(model: nn.Module, data: tuple[Tensor, Tensor], loss: Objective, places: int) -> float:
    """h of the loss: 1 of a cross-entropy, that of one place of a squared one; of other losses by what they are at the start."""
    if isinstance(loss, CrossEntropy):
        return 1.0
    with torch.no_grad():
        outputs = run(model, data[0])
        if isinstance(loss, SquaredError):
            return loss.curvature(outputs[0].numel()) * places
        value = abs(float(loss_function(loss)(outputs, data[1])))
    return value / math.log(_CLASSES) if 0 < value < math.inf else 1.0


def _places(model: nn.Module, loss: Objective, data: tuple[Tensor, Tensor]) -> int:
    """Of a sample, with a class or numbers each, as a mean over them is one over samples; a convolution's channels come first.

    The numbers of a place are the outputs of the last layer that ran, where it gives what the model does.
    """
    inputs, targets = data
    if at_places(loss, targets):
        return targets[0].numel()
    if not isinstance(loss, SquaredError) or targets.ndim < 2:
        return 1
    spatial, numbers, own = False, 0, 1  # of the layer with weights that ran last

    def see(layer: nn.Module, given: object, found: Tensor) -> None:
        nonlocal spatial, numbers, own
        spatial, numbers = isinstance(layer, _ConvNd), found.numel()
        own = layer.out_channels if isinstance(layer, _ConvNd) else found.shape[-1]

    with ExitStack() as hooks, torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, _ConvNd | nn.Linear):
                hooks.enter_context(layer.register_forward_hook(see))
        outputs = run(model, inputs)
    if targets.ndim == 2 and numbers != outputs.numel():
        return 1
    channels = targets.shape[1 if spatial else -1] if targets.ndim > 2 else own
    return max(targets[0].numel() // channels, 1)


def _is_narrow(model: nn.Module, inputs: Tensor) -> bool:
    """Whether there are as many hidden layers as units in one of them, in the mean; those of a convolution are its channels."""
    widths: list[int] = []  # as layers run; the last one gives the outputs

    def see(layer: nn.Module, given: object, found: Tensor) -> None:
        widths.append(layer.out_channels if isinstance(layer, _ConvNd) else found.shape[-1])

    with ExitStack() as hooks, torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, _ConvNd | nn.Linear):
                hooks.enter_context(layer.register_forward_hook(see))
        run(model, inputs)
    return as_many(widths[:-1])


def _overlaps(layer: _ConvNd) -> bool:
    """Patches that overlap: a convolution, not a linear map of tiles."""
    return any(taps > step for taps, step in zip(layer.kernel_size, layer.stride, strict=True))


def _aims(targets: Tensor) -> Tensor:
    """As numbers: classes are one-hot."""
    return targets if targets.is_floating_point() else nn.functional.one_hot(targets)


def _variance(values: Tensor) -> float:
    """Mean squared distance from the mean over the samples, summed over the rest."""
    flat = values.detach().double().flatten(1)
    return float((flat - flat.mean(0)).square().sum(1).mean())


def _reach(model: nn.Module, data: tuple[Tensor, Tensor], loss: GivenLoss) -> tuple[float, float]:
    """The length of a step along the gradient that leaves the least loss, and the share left; 0 and 1 without a gradient.

    The caller restores the parameters.
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
        return 0.0, 1.0
    before = [parameter.detach().clone() for parameter in parameters]

    @torch.no_grad()
    def at(length: float) -> float:
        for parameter, old, gradient in zip(parameters, before, gradients, strict=True):
            parameter.copy_(old - length * gradient)
        value = float(criterion(run(model, data[0]), data[1]))
        beat()
        return value if math.isfinite(value) else math.inf

    lengths = [first * _GROWTH**step for step in range(_STEPS)]
    losses = [at(length) for length in lengths]
    return _lowest(lengths, losses), min(*losses, start) / start


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
