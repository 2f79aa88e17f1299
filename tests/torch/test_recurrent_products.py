"""Recurrent layers are measured by derivatives carried forward, which hold one graph."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from freeness.torch.measured.products import ForwardProducts, InputProducts, input_products, light_products


class Last(nn.Module):
    """The last state of a recurrent layer."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0][:, -1]


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_products_of_recurrent_layers_go_forward_and_are_right(kind: Any) -> None:
    torch.manual_seed(0)
    model, x = Last(kind(3, 4, batch_first=True, bidirectional=True)), torch.randn(2, 5, 3)
    products = light_products(model, x)
    assert isinstance(products, ForwardProducts) and isinstance(input_products(model, x), InputProducts)
    rows = [
        torch.cat([g.reshape(-1) for g in torch.autograd.grad(one, list(model.parameters()), retain_graph=True)])
        for one in model(x).reshape(-1)
    ]
    v = torch.randn(products.size)
    torch.testing.assert_close(products.push(v).reshape(-1), torch.stack(rows) @ v, rtol=1e-4, atol=1e-5)
    assert torch._C._get_mkldnn_enabled()
