"""Models of torchvision and timm, where they can be imported: read or named, and measured as autograd says."""

from __future__ import annotations

import importlib
from types import ModuleType

import pytest
import torch
from torch import nn

from freeness.torch import dual_gram, dual_plan, trace
from tests.torch.models import rows

TORCHVISION = (
    "resnet18",
    "mobilenet_v3_small",
    "efficientnet_b0",
    "squeezenet1_1",
    "convnext_tiny",
    "densenet121",
    "vit_b_16",
)
TIMM = ("resnet10t", "vit_tiny_patch16_224", "mixer_s32_224", "convnext_atto", "resmlp_12_224")


def library(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:  # torchvision raises RuntimeError beside a CPU build of torch
        pytest.skip(f"{name} cannot be imported: {type(error).__name__}: {error}")


def check(model: nn.Module, side: int) -> None:
    """Three outputs, so that the Jacobian of the parameters fits."""
    model = nn.Sequential(model, nn.Linear(1000, 3)).double().eval()
    x = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0)).double()
    traced = trace(model, x)
    assert traced.covered or traced.uncovered
    jacobian = rows(model(x)[0], list(model.parameters()))
    expected = jacobian @ jacobian.T
    assert float((dual_gram(traced, x) - expected).abs().max()) <= 1e-8 * float(expected.abs().max())
    assert dual_plan(traced, x).bytes > 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # what the libraries warn of is theirs
@pytest.mark.parametrize("name", TORCHVISION)
def test_torchvision(name: str) -> None:
    models = library("torchvision.models")
    torch.manual_seed(0)
    check(getattr(models, name)(), 224 if name.startswith("vit") else 64)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TIMM)
def test_timm(name: str) -> None:
    timm = library("timm")
    torch.manual_seed(0)
    check(timm.create_model(name), 64 if name == "resnet10t" else 224)
