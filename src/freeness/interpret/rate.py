"""The learning rate that a network's curvature on its first batch asks for."""

from __future__ import annotations

from torch import Tensor, nn

from freeness.errors import InputError
from freeness.torch import batch_sharpness
from freeness.training import SGD, Curvature, Rate, measured_rate, optimizer_of

_SAMPLES = 64


def designed_rate(model: nn.Module, inputs: Tensor, labels: Tensor, optimizer: SGD | str = "sgd") -> Rate:
    """Bound and start of the learning rate by cross-entropy's curvature on (at most 64 samples of) a batch.

    Args:
        model: maps inputs to logits; left as it was.
        inputs: the batch, (n, …), as the model takes it.
        labels: its class indices, (n,).
        optimizer: who descends: sgd, momentum or nesterov.

    Raises:
        InputError: as :func:`freeness.torch.batch_sharpness`, or another optimizer.

    Source: theory.md §7; the fraction of 2/λ is that of :func:`freeness.training.measured_rate`.

    Example:
        >>> import torch
        >>> from freeness.interpret import IdentityMLP
        >>> model = IdentityMLP(4, classes=2, depth=3)
        >>> rate = designed_rate(model, torch.eye(4), torch.tensor([0, 1, 0, 1]), "sgd")
        >>> round(rate.sharpness, 5)  # (1/K)·λ_max of Σ_l (x_a·x_b + 1)/B = (1/2)·3·(1 + 4)/4
        1.875
    """
    descent = descent_of(optimizer)
    x, y = inputs[:_SAMPLES], labels[:_SAMPLES]
    found = batch_sharpness(model, x, y, "cross_entropy")
    return measured_rate(Curvature(*found, len(x)), "cross_entropy", descent)


def descent_of(optimizer: SGD | str) -> SGD:
    """Gradient descent from its name.

    Example:
        >>> descent_of("momentum").momentum
        0.9
    """
    found = optimizer_of(optimizer)
    if not isinstance(found, SGD):
        raise InputError(f"expected the optimizer sgd, momentum, nesterov, got {found.name!r}; choose one.")
    return found
