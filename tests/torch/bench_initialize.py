"""Cost of initialising (issue 7: a 100-layer width-512 MLP in 3 s), with the error of orthogonality. Run by `make bench`."""

import pytest
import torch
from torch import nn

from freeness.torch import initialize_


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_hundred_layers_of_width_512(benchmark, dtype):
    model = nn.Sequential(*(nn.utils.skip_init(nn.Linear, 512, 512, dtype=dtype) for _ in range(100)))
    benchmark.pedantic(initialize_, (model,), rounds=2)
    weight = model[50].weight.detach().double()
    error = float((weight @ weight.T - torch.eye(512, dtype=torch.float64)).abs().max())
    benchmark.extra_info |= {"bar_seconds": 3.0, "orthogonality_error": error}
    assert error < 3e-6
