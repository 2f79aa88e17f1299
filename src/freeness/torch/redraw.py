"""Another draw of a network's weights: rotated at random on both sides, as weights that are bi-invariant in law may be.

Independent normal entries and Haar-orthogonal matrices are as likely before as after W ↦ U W V with independent Haar-orthogonal U
and V, and singular values stay. What is measured of several such draws tells what belongs to the kind of network, not to one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from freeness.torch.state import trained_parameters

_EMPTY = 0.5  # share of zeros from which a matrix has a structure that rotations would destroy


def can_be_redrawn(model: nn.Module) -> bool:
    """Whether all matrices are weights of linear layers or convolutions (of one group) without structure.

    Args:
        model: any module.

    Example:
        >>> identity = nn.Linear(4, 4)
        >>> nn.init.eye_(identity.weight).shape
        torch.Size([4, 4])
        >>> can_be_redrawn(nn.Linear(4, 4)), can_be_redrawn(identity), can_be_redrawn(nn.MultiheadAttention(4, 2))
        (True, False, False)
    """
    known = {id(weight): weight for weight in _weights(model)}
    matrices = [parameter for parameter in trained_parameters(model).values() if parameter.ndim > 1]
    return bool(known) and all(id(matrix) in known and not _structured(matrix) for matrix in matrices)


@torch.no_grad()
def redraw_(model: nn.Module, generator: torch.Generator) -> None:
    """Rotate all weights of linear layers and convolutions in place, over channels; shared ones once.

    Args:
        model: one that :func:`can_be_redrawn`; the caller keeps what is to be put back.
        generator: source of randomness, on the CPU.

    Source: bi-invariance of Gaussian and Haar matrices, theory.md §0.

    Example:
        >>> layer = nn.Linear(5, 3)
        >>> before = torch.linalg.svdvals(layer.weight)
        >>> redraw_(layer, torch.Generator().manual_seed(0))
        >>> torch.allclose(torch.linalg.svdvals(layer.weight), before, atol=1e-5)
        True
    """
    for weight in {id(weight): weight for weight in _weights(model)}.values():
        left, right = (_haar(size, weight, generator) for size in weight.shape[:2])
        weight.copy_(torch.einsum("oa,ai...,ij->oj...", left, weight, right))


def _weights(model: nn.Module) -> list[Tensor]:
    return [
        module.weight
        for module in model.modules()
        if isinstance(module, nn.Linear) or (isinstance(module, _ConvNd) and module.groups == 1)
    ]


def _structured(matrix: Tensor) -> bool:
    empty = float((matrix == 0).double().mean())
    return _EMPTY <= empty < 1.0  # zero as a whole stays so


def _haar(size: int, like: Tensor, generator: torch.Generator) -> Tensor:
    q, r = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64))
    return (q * torch.sign(torch.diagonal(r))).to(like)
