"""What gradients and weights alone tell of the layers, without running the model."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from freeness.advice import DrawnWeights, LayerTable, ModuleRow, TensorRow


def first_look(model: nn.Module) -> LayerTable:
    """Of every module with trained weights, how large these and their gradients are; signals are not known.

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


def drawn_weights(model: nn.Module) -> list[DrawnWeights]:
    """The trained weights as they are now, tensor by tensor; no biases, and of what is tied to an embedding the table alone.

    Example:
        >>> model = nn.Linear(4, 2)
        >>> _ = nn.init.constant_(model.weight, 0.5)
        >>> [(one.tensor, round(one.size, 6), one.inputs, one.outputs) for one in drawn_weights(model)]
        [('weight', 0.5, 4, 2)]
    """
    found: list[DrawnWeights] = []
    tables = [module for module in model.modules() if isinstance(module, nn.Embedding | nn.EmbeddingBag)]
    embedded = {id(table.weight) for table in tables}
    for name, module in model.named_modules():
        for tensor, weight in module.named_parameters(name, recurse=False):
            tensor, table = tensor.rpartition(".")[2], module in tables
            known = weight.requires_grad and weight.numel() > 0 and "weight" in tensor
            if known and (table or id(weight) not in embedded):
                rows = weight.shape[0] if weight.ndim > 1 else 1
                each = weight.numel() // rows
                turned = isinstance(module, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d)
                fans = (rows, each) if turned else (each, rows * weight.shape[2:].numel())  # as torch counts them
                found.append(DrawnWeights(name, tensor, _rms(weight), *fans, vector=weight.ndim < 2, table=table))
    return found


def _rms(tensor: Tensor | None) -> float:
    if tensor is None or tensor.is_sparse:
        return 0.0
    return float(torch.linalg.vector_norm(tensor.detach()).double()) / tensor.numel() ** 0.5
