"""Full-batch gradient descent of a real network, measured: what predictions of the tangent kernel are compared with."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, Num, Shaped
from torch import Tensor, nn

from freeness.errors import InputError
from freeness.network import Network
from freeness.torch.loss.given import GivenLoss, given_loss
from freeness.torch.loss.losses import check_targets, loss_function
from freeness.torch.measured.curvature import CurvatureOptions, batch_sharpness
from freeness.torch.record.builder import build
from freeness.training import CrossEntropy


@dataclass(frozen=True)
class FullBatch:
    """How to descend.

    Args:
        rate: η of plain gradient descent.
        steps: of descent, ≥ 0.
        records: the steps at which loss and outputs are kept; all when left out.
        sharpness: the steps at which λ_max of the GGN is measured.
    """

    rate: float
    steps: int
    records: Sequence[int] | None = None
    sharpness: Sequence[int] = ()

    def __post_init__(self) -> None:
        if not (np.isfinite(self.rate) and self.rate > 0 and self.steps >= 0):
            raise InputError(f"expected a rate > 0 and steps ≥ 0, got {self.rate} and {self.steps}; correct them.")


@dataclass(frozen=True, eq=False)
class Descended:
    """The records: ``steps``, mean ``loss``, ``outputs`` (len, n, C), and λ_max of the GGN where it was asked for.

    ``diverged``: the step whose loss was not finite any more, where it ended; else None.
    """

    steps: Int[np.ndarray, " records"]
    loss: Float[np.ndarray, " records"]
    outputs: Float[np.ndarray, "records samples *outputs"]
    sharpness: Float[np.ndarray, " values"]
    diverged: int | None


def drawn_descents(
    network: Network,
    inputs: Num[np.ndarray, "samples ..."],
    targets: Num[np.ndarray, "samples outputs"],
    loss: GivenLoss,
    how: FullBatch,
    seeds: int,
) -> list[Descended]:
    """Descents of networks that are drawn from their record, one a seed 0, 1, …, in float32.

    Args:
        network: the record, from a builder such as :func:`~freeness.network.mlp`, or of a trace.
        inputs: (n, N₀).
        targets: (n, C); for cross-entropy one-hot.
        loss: its name, or anything else that :func:`~freeness.torch.loss.given.given_loss` takes.
        how: rate and steps.
        seeds: networks, ≥ 1.

    Example:
        >>> from freeness.network import mlp
        >>> x = np.eye(4)
        >>> found = drawn_descents(mlp(2, [4, 30, 1], "tanh"), x, x[:, :1], "mse", FullBatch(0.1, 5), seeds=2)
        >>> len(found), found[0].outputs.shape
        (2, (6, 4, 1))
    """
    x, y = (torch.tensor(array, dtype=torch.float32) for array in (inputs, targets))
    aims = y.argmax(dim=1) if isinstance(given_loss(loss), CrossEntropy) else y
    models = (build(network, torch.Generator().manual_seed(seed)) for seed in range(seeds))
    return [full_batch_descent(model, x, aims, loss, how) for model in models]


def full_batch_descent(
    model: nn.Module,
    inputs: Shaped[Tensor, "samples ..."],
    targets: Shaped[Tensor, "samples ..."],
    loss: GivenLoss,
    how: FullBatch,
) -> Descended:
    """Train a copy of a model by gradient descent on all data at once, and record it.

    Args:
        model: taken in eval mode; it is left as it is.
        inputs: (n, …), all of one step.
        targets: as of :func:`~freeness.torch.loss.losses.check_targets`.
        loss: its name, or anything else that :func:`~freeness.torch.loss.given.given_loss` takes.
        how: rate and steps.

    Raises:
        InputError: targets that do not fit, or outputs that are not finite at the start.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> x, y = torch.randn(8, 3, generator=generator), torch.randn(8, 1, generator=generator)
        >>> model = nn.Linear(3, 1)
        >>> _ = nn.init.zeros_(model.weight), nn.init.zeros_(model.bias)
        >>> found = full_batch_descent(model, x, y, "mse", FullBatch(0.1, 50, records=(0, 25, 50)))
        >>> found.steps.tolist(), bool(found.loss[-1] < found.loss[0]), float(model.weight.detach().abs().max())
        ([0, 25, 50], True, 0.0)
    """
    trained = copy.deepcopy(model).eval().requires_grad_()
    criterion = loss_function(loss)
    wanted = range(how.steps + 1) if how.records is None else set(how.records)
    steps, losses, outputs, sharpness = [], [], [], []
    diverged = None
    with torch.enable_grad():
        parameters = [p for p in trained.parameters() if p.is_floating_point()]
        for step in range(how.steps + 1):
            found = trained(inputs)
            if step == 0:
                check_targets(found, targets, loss)
            value = criterion(found, targets)
            if not bool(torch.isfinite(value)):
                if step == 0:
                    raise InputError(
                        "expected finite outputs at the start, got NaN or infinity; scale the weights down."
                    )
                diverged = step
                break
            if step in wanted:
                steps.append(step)
                losses.append(float(value.detach()))
                outputs.append(found.detach().double().cpu().numpy())
            if step in how.sharpness:
                sharpness.append(
                    batch_sharpness(trained, inputs, targets, loss, CurvatureOptions(training=False)).value
                )
            if step < how.steps:
                gradients = torch.autograd.grad(value, parameters, allow_unused=True)
                with torch.no_grad():
                    for parameter, gradient in zip(parameters, gradients, strict=True):
                        if gradient is not None:
                            parameter -= how.rate * gradient
    return Descended(np.array(steps), np.array(losses), np.array(outputs), np.array(sharpness), diverged)
