"""What is written to parts of tensors is in the record, whichever view it goes through."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from freeness.torch import trace


def shifted(m: Written, x: Tensor) -> Tensor:
    """As decoders make their inputs of labels: a fresh tensor, of which a part comes from the input."""
    found = x.new_zeros(x.shape)
    found[:, 1:] = x[:, :-1].clone()
    found[:, 0] = 0.5
    return m.last(m.first(found))


def masked(m: Written, x: Tensor) -> Tensor:
    mask = torch.zeros(4)
    mask[1:3] = 2.0
    return m.last(m.first(x) * mask)


def seen_before(m: Written, x: Tensor) -> Tensor:
    """A view that was taken before what it shows is written to."""
    h = m.first(x)
    row = h[:, 2:]
    h[:, 1:3] = h[:, 1:3] + 1.0
    return m.last(torch.cat([row, h[:, :2]], 1))


def added(m: Written, x: Tensor) -> Tensor:
    h = m.first(x) * 1.0
    h[:, 0] += x[:, 1]
    return m.last(h)


def reshaped(m: Written, x: Tensor) -> Tensor:
    h = m.first(x) * 2.0
    h.view(-1, 2, 2)[:, 1].mul_(3.0)
    return m.last(h)


def copied(m: Written, x: Tensor) -> Tensor:
    """A cast is a copy: what is written to it is not written to the tensor."""
    h = m.first(x)
    double = h.to(torch.float64)
    double[:, 0] = 7.0
    return m.last(h + double.to(x.dtype))


class Written(nn.Module):
    """Two layers, and a forward of its own between."""

    def __init__(self, way: Callable[[Written, Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last, self.way = nn.Linear(4, 4), nn.Linear(4, 3), way

    def forward(self, x: Tensor) -> Tensor:
        return self.way(self, x)


@pytest.mark.parametrize("way", [shifted, masked, seen_before, added, reshaped, copied])
@pytest.mark.parametrize("samples", [1, 3])
def test_the_record_has_what_is_written_to_a_part(way: Callable[[Written, Tensor], Tensor], samples: int) -> None:
    model = Written(way)
    x = torch.randn(samples, 4, generator=torch.Generator().manual_seed(1))
    found = trace(model, x)
    assert found.steps and not any("gives something else" in one.reason for one in found.operations)
    assert torch.allclose(found.replay(x), model(x), atol=1e-6)


def test_no_theory_is_claimed_of_such_a_model_and_the_write_is_named() -> None:
    found = trace(Written(added), torch.ones(2, 4))
    assert not found.covered and "add in the forward of the model: it writes to a part" in str(found.uncovered[2])
