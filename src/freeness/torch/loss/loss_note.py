"""What is to be said of a loss: which Gauss–Newton matrix is meant, and whether the loss is convex in the outputs."""

from __future__ import annotations

import numpy as np
import torch
from scipy.linalg import eigh_tridiagonal
from torch import Tensor, nn

from freeness.torch.loss.adapted import Whole
from freeness.torch.loss.class_losses import ClassLoss
from freeness.torch.loss.divergence_loss import DivergenceLoss
from freeness.torch.loss.loss_rules import criterion, curvature_root
from freeness.torch.loss.output_hessian import OutputHessian
from freeness.torch.model.outputs import run
from freeness.torch.model.state import untouched
from freeness.training import Loss, Objective

_STEPS = 24
_LOOKED = 8  # samples
_OF_ALL = (
    "The loss, and with it λ, is of all that the model returns. The spectra are those of one output: that called logits, or the "
    "first."
)
_BENT_DOWN = {torch.float64: 1e-9, torch.float32: 1e-4}  # of the largest curvature


def loss_note(model: nn.Module, data: tuple[Tensor, Tensor], loss: Objective) -> tuple[str, ...]:
    """Sentences for a report: nothing of losses that are convex in the outputs that the model returns.

    Example:
        >>> from freeness.torch import given_loss
        >>> x = torch.ones(3, 2)
        >>> loss_note(nn.Linear(2, 1), (x, x[:, :1]), given_loss("mse"))
        ()
        >>> (told,) = loss_note(nn.Linear(2, 1), (x, x[:, :1]), given_loss(lambda f, y: -f.square().mean()))
        >>> told[:40], told[-40:]
        ('The loss is concave in the outputs here:', 'end; pass its negative if it is to grow.')
    """
    inputs, targets = (part[:_LOOKED] for part in data)
    told = (f"Of the Gauss–Newton matrix: {loss.meant}.",) if loss.meant else ()
    if isinstance(loss, Loss | ClassLoss | DivergenceLoss):
        return told
    with untouched(model, copies=list(model.buffers())), torch.no_grad():
        outputs = run(model, inputs)
        if isinstance(model, Whole) and model.several:
            told = (*told, _OF_ALL)
        if curvature_root(loss, outputs, targets) is not None:
            return told
        low, high = curvature_range(loss, outputs, targets)
    nothing = _BENT_DOWN.get(outputs.dtype, 1e-2) * max(abs(low), abs(high))
    if low >= -nothing:
        return told
    if high <= nothing:
        return (
            *told,
            f"The loss is concave in the outputs here: its second derivatives at the first {len(inputs)} samples range from "
            f"{low:.3g} to {high:.3g}. Training makes it smaller, without end; pass its negative if it is to grow.",
        )
    return (
        *told,
        f"The loss is not convex in the outputs here: its second derivatives at the first {len(inputs)} samples range from "
        f"{low:.3g} to {high:.3g}. λ is the largest eigenvalue of JᵀHJ with that H; the rate goes by it.",
    )


def curvature_range(loss: Objective, outputs: Tensor, targets: Tensor) -> tuple[float, float]:
    """The least and the largest Ritz value of B·∂²L/∂f² after a few products, which lie between its eigenvalues' ends.

    Source: Parlett, The Symmetric Eigenvalue Problem, 1998, §13 (Lanczos with three vectors).

    Example:
        >>> from freeness.torch import given_loss
        >>> loss = given_loss(lambda f, y: (f[:, 0].square() - 3 * f[:, 1].square()).mean())
        >>> [round(end, 3) for end in curvature_range(loss, torch.ones(2, 2), torch.ones(2))]
        [-6.0, 2.0]
    """
    value = criterion(loss)
    product = OutputHessian(lambda point: value(point, targets) * len(point), outputs)
    drawn = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    vector, before, off = drawn.to(outputs), torch.zeros_like(outputs), 0.0
    vector = vector / vector.norm()
    diagonal, beside = [], []
    for _ in range(min(_STEPS, outputs.numel())):
        image = product(vector)
        diagonal.append(float((vector * image).sum()))
        left = image - diagonal[-1] * vector - off * before
        off = float(left.norm())
        beside.append(off)
        if off <= torch.finfo(outputs.dtype).eps * float(image.norm()):
            break
        before, vector = vector, left / off
    values = eigh_tridiagonal(np.array(diagonal), np.array(beside[:-1]), eigvals_only=True)
    return float(values[0]), float(values[-1])
