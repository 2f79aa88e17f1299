"""What gradients and weights alone tell of the layers, without running the model."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from freeness.advice import LayerTable, ModuleRow, TensorRow


def first_look(model: nn.Module) -> LayerTable:
    """Of every module with trained weights, how large these and their gradients are; signals are not known.

    Args:
        model: whose gradients are there; left as it is.

    Example:
        >>> model = nn.Linear(2, 1, bias=False)
        >>> _ = nn.init.constant_(model.weight, 0.5)
        >>> model(torch.ones(1, 2)).sum().backward()
        >>> first_look(model)[0].tensors[0].ratio
        2.0
    """
    rows: list[ModuleRow] = []
    for name, module in model.named_modules():
        own = [(key, one) for key, one in module.named_parameters(name, recurse=False) if one.requires_grad]
        if own:
            tensors = tuple(TensorRow(key, one.numel(), _rms(one), _rms(one.grad)) for key, one in own)
            gradient = sum(tensor.size * tensor.gradient**2 for tensor in tensors)
            rows.append(ModuleRow(name, type(module).__name__, None, None, gradient, None, 0, 0, True, tensors))
    return LayerTable(None, tuple(rows))


def weight_scales(model: nn.Module) -> dict[str, float]:
    """Of every module with one trained weight matrix, its root mean square times the root of what one output sums over.

    Embeddings, whose rows are not summed over, are left out, and so is what is tied to them.

    Args:
        model: left as it is.

    Example:
        >>> model = nn.Linear(4, 2)
        >>> _ = nn.init.constant_(model.weight, 0.5)
        >>> round(weight_scales(model)[""], 6)
        1.0
    """
    found: dict[str, float] = {}
    tables = [module.weight for module in model.modules() if isinstance(module, nn.Embedding | nn.EmbeddingBag)]
    embedded = set(map(id, tables))
    for name, module in model.named_modules():
        own = [one for one in module.parameters(recurse=False) if one.requires_grad and one.ndim > 1]
        if len(own) == 1 and id(own[0]) not in embedded:
            found[name] = _rms(own[0]) * (own[0].numel() / len(own[0])) ** 0.5
    return found


def _rms(tensor: Tensor | None) -> float:
    if tensor is None or tensor.is_sparse:
        return 0.0
    return float(torch.linalg.vector_norm(tensor.detach()).double()) / tensor.numel() ** 0.5
