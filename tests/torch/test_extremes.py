"""Larger and smaller of two tensors, with many rows of derivatives at once."""

import pytest
import torch

from freeness.torch.model.counting import counts_of
from freeness.torch.model.extremes import RowsOfExtremes


def value(a, b):
    return torch.maximum(a, b) ** 2 * torch.minimum(a, b) + torch.max(a, b)


def points():
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in ((3, 4), (4,)))
    a[0, 0] = b[0]  # a tie
    return a.requires_grad_(), b.requires_grad_()


def jacobians(outputs, given):
    rows = torch.eye(outputs.numel(), dtype=outputs.dtype)
    return torch.autograd.grad(outputs.reshape(-1), given, rows, is_grads_batched=True, retain_graph=True)


@pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")
def test_values_and_derivatives_are_those_of_torch():
    a, b = points()
    plain = value(a, b)
    with RowsOfExtremes():
        found = value(a, b)
    assert torch.equal(found, plain)
    for one, other in zip(jacobians(found, (a, b)), jacobians(plain, (a, b)), strict=True):
        assert torch.equal(one, other)
    tangents = torch.func.jvp(value, (a, b), (torch.ones_like(a), torch.ones_like(b)))[1]
    with RowsOfExtremes():
        forward = torch.func.jvp(value, (a, b), (torch.ones_like(a), torch.ones_like(b)))[1]
    assert torch.allclose(forward, tangents, rtol=1e-14, atol=0)


@pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning")
def test_many_rows_are_carried_in_as_many_calls_as_few():
    a, b = points()
    with RowsOfExtremes():
        outputs = torch.maximum(a, b).reshape(-1)

    def calls(rows):
        along = torch.eye(12, dtype=torch.float64)[:rows]
        along_all = lambda: torch.autograd.grad(outputs, a, along, is_grads_batched=True, retain_graph=True)  # noqa: E731
        return counts_of(along_all).calls

    assert calls(2) == calls(12)
