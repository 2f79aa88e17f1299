"""Identity initialisation of a user's own network of fixed width, fully connected or convolutional, in place."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from freeness.errors import InputError, is_real
from freeness.torch import InitializedLayer

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_Weighted = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d


def identity_initialize_(model: nn.Module, scale: float = 1.0) -> tuple[InitializedLayer, ...]:
    """Start a classifier of fixed width at the identity; the last K neurons (channels) of every layer are class neurons.

    The first layer puts the input into the first neurons of N and leaves 0 in the others, hidden layers are s·1, and the
    output layer reads the last K neurons. Convolutions get these matrices in their centre tap and 0 elsewhere; an output
    layer behind the flattened positions of a convolution reads the mean of a class channel. Biases become 0. Then
    :func:`read_layers` reads class likelihoods at every layer. Nothing random is drawn.

    Args:
        model: layers with weights in the order in which they run: n_0 → N, N → N, …, N → K (the last one Linear), with
            N ≥ n_0 + K.
        scale: s > 0 of the hidden and of the output layers.

    Returns:
        One record a layer.

    Raises:
        InputError: widths that vary or do not have room for the classes, no Linear output layer, grouped or transposed
            convolutions, or weights that are computed; nothing is written then.

    Source: Kubota, Hayashi, Hayase, Uchida, ICASSP 2021; the centre tap is that of Xiao et al. (2018).

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 5), nn.Hardtanh(), nn.Linear(5, 5), nn.Hardtanh(), nn.Linear(5, 2))
        >>> len(identity_initialize_(model)), model(torch.ones(1, 3))
        (3, tensor([[0., 0.]], grad_fn=<AddmmBackward0>))
    """
    if not (is_real(scale) and scale > 0):
        raise InputError(f"expected a scale s > 0 of the identity, got {scale!r}; 1 is usual.")
    layers = _layers(model)
    width, classes = _sizes(layers)
    records = []
    for index, (name, layer) in enumerate(layers):
        gain = 1.0 if index == 0 else float(scale)
        with torch.no_grad():
            if index < len(layers) - 1:
                _write_centre(layer, gain)
            else:
                positions = layer.weight.shape[1] // width
                _write_head(layer.weight, (width, classes, positions), gain)
            if layer.bias is not None:
                layer.bias.zero_()
        note = "identity in the centre tap" if isinstance(layer, _CONVOLUTIONS) else ""
        records.append(InitializedLayer(name, "identity", gain, 1.0, 0.0, type(layer).__name__, note=note))
    return tuple(records)


def _layers(model: nn.Module) -> list[tuple[str, _Weighted]]:
    found: list[tuple[str, _Weighted]] = []
    for name, module in model.named_modules():
        if not isinstance(module, (nn.Linear, nn.modules.conv._ConvNd)):
            continue
        plain = isinstance(module, _CONVOLUTIONS) and module.groups == 1 and not module.transposed
        if not (plain or isinstance(module, nn.Linear)):
            raise InputError(
                f"expected Linear layers and plain convolutions, got a transposed or grouped one in {name!r}; the "
                "identity cannot be written into it."
            )
        weight = module._parameters.get("weight")
        if weight is None or isinstance(weight, nn.UninitializedParameter):
            raise InputError(
                f"expected a plain weight in {name!r}, got a computed or lazy one; remove the parametrization "
                "or run the model once."
            )
        assert isinstance(module, (nn.Linear, *_CONVOLUTIONS))
        found.append((name, module))
    if len(found) < 2 or not isinstance(found[-1][1], nn.Linear):
        got = "none" if not found else f"{len(found)}, the last one {type(found[-1][1]).__name__}"
        raise InputError(
            f"expected at least two layers with weights, the last one Linear, got {got}; end with Linear(width, classes)."
        )
    return found


def _sizes(layers: list[tuple[str, _Weighted]]) -> tuple[int, int]:
    """N and K, if all widths agree."""
    (_, first), (last_name, last) = layers[0], layers[-1]
    width, given, classes = first.weight.shape[0], first.weight.shape[1], last.weight.shape[0]
    for (_, before), (name, layer) in pairwise(layers):
        if layer is not last and tuple(layer.weight.shape[:2]) != (width, width):
            raise InputError(
                f"expected one width {width} in all hidden layers, got {layer.weight.shape[1]} → "
                f"{layer.weight.shape[0]} in {name!r}; give every layer the width of the first."
            )
        rows = isinstance(before, nn.Linear)
        if layer is last and (layer.weight.shape[1] != width if rows else layer.weight.shape[1] % width):
            raise InputError(
                f"expected an output layer that takes the {width} hidden neurons, got {layer.weight.shape[1]} in "
                f"{last_name!r}; give it that width."
            )
    if width < given + classes:
        raise InputError(
            f"expected a width of at least {given} inputs + {classes} classes = {given + classes}, got {width}; widen "
            "all layers, for every class needs a neuron of its own."
        )
    return width, classes


def _write_centre(layer: _Weighted, gain: float) -> None:
    weight = layer.weight
    centre = tuple((size - 1) // 2 for size in weight.shape[2:])
    weight.zero_()
    weight[(slice(None), slice(None), *centre)] = gain * torch.eye(
        *weight.shape[:2], dtype=weight.dtype, device=weight.device
    )


def _write_head(weight: Tensor, sizes: tuple[int, int, int], gain: float) -> None:
    """Of the last K channels the mean over positions."""
    width, classes, positions = sizes
    weight.zero_()
    view = weight.view(classes, width, positions)
    view[:, width - classes :] = (
        gain / positions * torch.eye(classes, dtype=weight.dtype, device=weight.device)[:, :, None]
    )
