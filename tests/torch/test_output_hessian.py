"""Products with the Hessian of a loss in the outputs, where torch differentiates it once only as well."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from freeness.torch import batch_sharpness
from freeness.torch.loss.output_hessian import OutputHessian

LOGITS = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
LABELS = torch.tensor([[1, 2], [2, 2]])


def temporal(outputs: Tensor, labels: Tensor) -> Tensor:
    """By torch, which has no second derivative of it."""
    steps, places = (torch.full((len(outputs),), size) for size in (outputs.shape[1], labels.shape[1]))
    return functional.ctc_loss(outputs.log_softmax(2).transpose(0, 1), labels, steps, places)


def written(outputs: Tensor, labels: Tensor) -> Tensor:
    """The same by its recursion. Source: Graves et al., ICML 2006, eqs. 6–8."""
    losses = []
    for logs, wanted in zip(outputs.log_softmax(2), labels, strict=True):
        path = [0, *(label for one in wanted.tolist() for label in (one, 0))]
        none = logs.new_full((), -torch.inf)
        alpha = [logs[0, path[0]], logs[0, path[1]], *[none] * (len(path) - 2)]
        for at in logs[1:]:
            before = alpha
            alpha = []
            for place, label in enumerate(path):
                ways = [before[place], before[place - 1] if place else none]
                ways += [before[place - 2]] if place > 1 and label and label != path[place - 2] else []
                found = [way for way in ways if bool(way.isfinite())]
                alpha.append(torch.logsumexp(torch.stack(found), 0) + at[label] if found else none)
        losses.append(-torch.logsumexp(torch.stack(alpha[-2:]), 0) / len(wanted))
    return torch.stack(losses).mean()


def test_differences_stand_for_a_second_derivative_that_torch_has_not():
    assert float(temporal(LOGITS, LABELS)) == pytest.approx(float(written(LOGITS, LABELS)), rel=1e-10)
    vector = torch.randn(LOGITS.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = OutputHessian(lambda f: temporal(f, LABELS), LOGITS)(vector)
    wanted = OutputHessian(lambda f: written(f, LABELS), LOGITS)(vector)
    torch.testing.assert_close(found, wanted, rtol=1e-7, atol=1e-9)


def test_a_loss_without_a_second_derivative_has_a_sharpness():
    torch.manual_seed(0)
    model, x = nn.Linear(4, 3).double(), torch.randn(2, 4, 4, dtype=torch.float64)
    found = batch_sharpness(model, x, LABELS, temporal).value
    assert found == pytest.approx(batch_sharpness(model, x, LABELS, written).value, rel=1e-6)
