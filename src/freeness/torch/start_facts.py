"""What a model tells about its learning rate before it is trained: curvature, that of its last layer, how loud it is."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from freeness.advice.start_rate import StartFacts
from freeness.torch.curvature import AdamOptions, CurvatureOptions, adam_preconditioner, batch_sharpness
from freeness.torch.kernels import Convolution
from freeness.torch.losses import Loss, loss_function
from freeness.torch.outputs import run
from freeness.torch.state import trained_parameters, untouched

_MANY = 256  # samples that stand for all
_PROBED = 128  # samples on which the loss along the first step is looked at
_BATCHES, _SINGLE = 8, 64  # mini-batches behind Adam's preconditioner at least, and samples
_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
_FIRST, _GROWTH, _STEPS = 0.02, 1.6, 28  # of the step lengths tried, over 2/λ


def start_facts(
    model: nn.Module, data: tuple[Tensor, Tensor], loss: Loss, optimizer: str = "sgd", *, batch: int = 64
) -> StartFacts:
    """Measure what :func:`~freeness.advice.start_rate.start_rate` asks for; nothing is trained and the model stays as it is.

    Curvatures are λ_max of the GGN over up to 256 samples (preconditioned for Adam); the loss is looked at along the first
    step, at lengths up to some ten thousand times 2/λ.

    Args:
        model: any module, measured in eval mode.
        data: (inputs, targets) with the samples first; targets fit the loss.
        loss: as in :func:`~freeness.torch.batch_sharpness`.
        optimizer: "sgd", "momentum", "nesterov" or "adam".
        batch: samples a step of the training to come.

    Raises:
        InputError: as :func:`~freeness.torch.batch_sharpness`.

    Example:
        >>> model = nn.Linear(2, 1, bias=False).double()
        >>> x = torch.tensor([[3.0, 4.0], [-3.0, -4.0]]).double()
        >>> facts = start_facts(model, (x, x[:, :1]), "half_squared_error", batch=1)
        >>> round(facts.sharpness, 6), round(facts.head, 6), facts.batch
        (25.0, 25.0, 1)
    """
    inputs, targets = data
    size = min(batch, len(inputs))
    first = inputs[:size], targets[:size]
    with untouched(model):
        scale, known = None, _MANY
        if optimizer == "adam":
            count = min(max(_SINGLE // size, _BATCHES), len(inputs) // size)
            known = min(known, size * count)  # elsewhere gradients may differ from 0 where P is 0
            scale = adam_preconditioner(
                model, inputs[: size * count], targets[: size * count], loss, AdamOptions(count)
            )
        many = inputs[:known], targets[:known]
        sharpness = batch_sharpness(model, *many, loss, CurvatureOptions(preconditioner=scale)).value
        outputs, aims = _variance(run(model, many[0])), _variance(_aims(many[1], loss))
        left = _left(model, first, many, loss, sharpness)
        parameters = sum(parameter.numel() for parameter in trained_parameters(model).values())
        excess = _excess(run(model, many[0]).detach(), many[1], loss)
        head = _head(model, many, loss) if scale is None else sharpness
    loud = outputs / aims if aims > 0 else 1.0
    normalised = any(isinstance(module, _NORMS) for module in model.modules())
    return StartFacts(sharpness, min(head, sharpness), loud, excess, left, parameters, size, normalised)


def _aims(targets: Tensor, loss: Loss) -> Tensor:
    return nn.functional.one_hot(targets) if loss == "cross_entropy" else targets


def _excess(outputs: Tensor, targets: Tensor, loss: Loss) -> float:
    """The loss over that of the constant that fits the targets best: their mean, or the shares of the classes."""
    best = _aims(targets, loss).to(outputs.dtype).mean(0)
    constant = best.clamp(min=torch.finfo(best.dtype).tiny).log() if loss == "cross_entropy" else best
    criterion = loss_function(loss)
    lowest = float(criterion(constant.expand(len(targets), *constant.shape), targets))
    return float(criterion(outputs, targets)) / lowest if lowest > 0 else 1.0


def _variance(values: Tensor) -> float:
    """Mean squared distance from the mean over the samples, summed over the rest."""
    flat = values.detach().double().flatten(1)
    return float((flat - flat.mean(0)).square().sum(1).mean())


def _head(model: nn.Module, data: tuple[Tensor, Tensor], loss: Loss) -> float:
    """λ_max over the last layer alone, at outputs of its bias; infinite where no layer is found. The caller restores."""
    last: list[nn.Module] = []
    layers = [module for module in model.modules() if isinstance(module, (nn.Linear, Convolution))]
    hooks = [layer.register_forward_hook(lambda module, *_: last.append(module)) for layer in layers]
    run(model, data[0][:1])
    for hook in hooks:
        hook.remove()
    own = list(last[-1].parameters()) if last else []
    if not any(parameter.requires_grad for parameter in own):
        return math.inf
    mine = {id(parameter) for parameter in own}
    for parameter in model.parameters():
        parameter.requires_grad_(parameter.requires_grad and id(parameter) in mine)
    with torch.no_grad():
        for parameter in own[:1]:
            parameter.zero_()
    return batch_sharpness(model, *data, loss).value


def _left(
    model: nn.Module, first: tuple[Tensor, Tensor], data: tuple[Tensor, Tensor], loss: Loss, sharpness: float
) -> float:
    """Share of the loss that the best length of the first step of gradient descent leaves."""
    criterion, parameters = loss_function(loss), list(trained_parameters(model).values())
    seen, aims = data[0][:_PROBED], data[1][:_PROBED]
    for parameter in parameters:
        parameter.requires_grad_()
    with torch.enable_grad():
        gradients = torch.autograd.grad(criterion(run(model, first[0]), first[1]), parameters, materialize_grads=True)
    before = [parameter.detach().clone() for parameter in parameters]
    losses = []
    with torch.no_grad():
        for length in (
            0.0,
            *(_FIRST * 2 / sharpness * _GROWTH**step for step in range(_STEPS if sharpness > 0 else 0)),
        ):
            for parameter, old, gradient in zip(parameters, before, gradients, strict=True):
                parameter.copy_(old - length * gradient)
            losses.append(float(criterion(run(model, seen), aims)))
        for parameter, old in zip(parameters, before, strict=True):
            parameter.copy_(old)
    return min(value for value in losses if math.isfinite(value)) / losses[0] if losses[0] > 0 else 1.0
