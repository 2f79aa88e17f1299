"""The learning rate that a network's curvature on its first batch asks for."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from freeness.errors import InputError
from freeness.interpret.identity_mlp import IdentityMLP
from freeness.torch import batch_sharpness, untouched
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
        >>> model = IdentityMLP(4, classes=2, depth=3)
        >>> rate = designed_rate(model, torch.eye(4), torch.tensor([0, 1, 0, 1]), "sgd")
        >>> round(rate.sharpness, 6)  # (1/K)·λ_max of Σ_l (x_a·x_b + 1)/B = (1/2)·3·(1 + 4)/4
        1.875
    """
    descent = descent_of(optimizer)
    x, y = inputs[:_SAMPLES], labels[:_SAMPLES]
    if isinstance(model, IdentityMLP):
        value, error = dual_sharpness(model, x), 0.0
    else:
        value, error = batch_sharpness(model, x, y, "cross_entropy")
    return measured_rate(Curvature(value, error, len(x)), "cross_entropy", descent)


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


def dual_sharpness(model: IdentityMLP, inputs: Tensor) -> float:
    """λ_max of the batch GGN of cross-entropy, from its dual (1/B) H^{1/2} Θ H^{1/2}.

    Θ_{(a,k),(b,j)} = Σ_l (x_a^{l-1}·x_b^{l-1} + 1) δ_{a,k}^l·δ_{b,j}^l, H = diag p - ppᵀ of each sample. At identity
    initialisation δ is s^{L-l} times a unit vector and nothing but x depends on the sample.

    Example:
        >>> round(dual_sharpness(IdentityMLP(1, classes=2, depth=1), torch.ones(1, 1)), 6)  # (1 + 1)/2
        1.0
    """
    with untouched(model, copies=False), torch.enable_grad():
        for linear in model.linears:
            linear.requires_grad_(True)
        before, after = model.states(inputs)
        outputs = before[-1][:, model.features :]
        rows = [torch.autograd.grad(outputs[:, k].sum(), before, retain_graph=True) for k in range(model.classes)]
        likelihood = outputs.detach().double().softmax(1)
        count, classes = likelihood.shape
        theta = torch.zeros(count, classes, count, classes, dtype=torch.float64)
        for layer, state in enumerate(after):
            back = torch.stack([row[layer] for row in rows], 1).double()
            x = state.detach().double()
            theta += torch.einsum("akn,bjn->akbj", back, back) * (x @ x.T + 1)[:, None, :, None]
    hessian = torch.diag_embed(likelihood) - likelihood[:, :, None] * likelihood[:, None]
    values, vectors = torch.linalg.eigh(hessian)
    root = (vectors * values.clamp(min=0).sqrt()[:, None]) @ vectors.mT
    dual = torch.einsum("aik,akbj,bjl->aibl", root, theta, root).reshape(count * classes, -1) / count
    return float(torch.linalg.eigvalsh(dual)[-1])
