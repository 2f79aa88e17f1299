"""What few models have: sparse gradients are those of dense ones, and complex parameters are refused in a sentence."""

import pytest
import torch
from torch import nn

from freeness.errors import InputError
from freeness.torch import batch_sharpness, trace
from freeness.torch.curvature_estimate import Effort, estimated_sharpness


def texts(*, sparse: bool) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(12, 4, sparse=sparse), nn.Flatten(), nn.Linear(20, 3)).double()


def test_a_sparse_table_has_the_sharpness_of_a_dense_one() -> None:
    torch.manual_seed(1)
    x, y = torch.randint(12, (9, 5)), torch.randint(3, (9,))
    exact = batch_sharpness(texts(sparse=False), x, y, "cross_entropy").value
    assert batch_sharpness(texts(sparse=True), x, y, "cross_entropy").value == pytest.approx(exact, rel=1e-8)
    for part in (None, 4):
        found = estimated_sharpness(texts(sparse=True), x, y, "cross_entropy", None, Effort(27, 6, 2, part))
        assert found.value == pytest.approx(exact, rel=2e-3)


def test_complex_parameters_are_refused_with_what_to_do() -> None:
    model = nn.Linear(2, 1)
    model.weight = nn.Parameter(torch.ones(1, 2, dtype=torch.complex64))
    with pytest.raises(InputError, match="complex ones in 'weight'; keep real and imaginary parts"):
        trace(model, torch.ones(1, 2))
