"""Weights of Linear and convolutional layers from the ensembles, as tensors of the layer's shape.

Sources: Xiao et al. (2018) for delta-orthogonal kernels; Trockman, Kolter (2021) for orthogonality in Fourier space.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from freeness.errors import InputError
from freeness.torch.model.sampling import haar_matrix, haar_spectrum

WeightKind = Literal["haar", "gaussian", "identity"]
ConvolutionKind = Literal["delta", "fft"]
Convolution = nn.modules.conv._ConvNd


class Drawn(NamedTuple):
    """A weight of the layer's shape at σ_w = 1, the gain that is in it, and what the layer got instead of a plain matrix."""

    weight: Tensor
    gain: float
    note: str


def drawn_weight(
    layer: nn.Linear | Convolution,
    kind: WeightKind,
    generator: torch.Generator,
    convolution: ConvolutionKind = "delta",
    positions: tuple[int, ...] | None = None,
) -> Drawn:
    """A weight of the ensemble in the shape of a layer.

    Linear: Q, N(0, 1/fan_in) entries, or ones on the diagonal; Q and the diagonal get the gain √(fan_out/fan_in) where
    they expand. Convolutions with "haar": Q in the centre tap ("delta"), or a kernel that is orthogonal on the whole circle
    ("fft"); with kernel = stride and no overlap a (semi-)orthogonal matrix from patches to channels. "identity": ones in the
    centre tap. "gaussian": N(0, 1/fan_in) in every tap. Groups are drawn one by one.

    Args:
        layer: Linear, Conv1d to Conv3d or their transposes.
        kind: the ensemble by its name: "haar", "gaussian" or "identity".
        generator: torch's, from which all numbers are drawn: the same seed, the same result.
        convolution: how "haar" is meant for convolutions.
        positions: of the input, for "fft".

    Raises:
        InputError: "fft" of a kernel that is not the whole circle.

    Example:
        >>> found = drawn_weight(nn.Conv2d(3, 6, 3, padding=1), "haar", torch.Generator().manual_seed(0))
        >>> found.weight.shape, round(found.gain, 6), int((found.weight != 0).any(0).any(0).sum())
        (torch.Size([6, 3, 3, 3]), 1.414214, 1)
    """
    dtype = torch.float64 if layer.weight.dtype == torch.float64 else torch.float32
    if isinstance(layer, nn.Linear):
        rows, columns = layer.out_features, layer.in_features
        return Drawn(drawn_matrix(kind, rows, columns, generator, dtype), gain_of(kind, rows, columns), "")
    check_kernel(layer, kind, convolution, positions)
    rows, columns = layer.out_channels // layer.groups, layer.in_channels // layer.groups
    taps = tuple(layer.kernel_size)
    if kind == "haar" and _patches(layer):
        return _patch_weight(layer, generator, dtype)
    strides = math.prod(layer.stride)
    if kind == "haar" and layer.transposed and strides > 1:
        found = _blocks(layer, [_gaussian(rows, columns, layer, generator, dtype) for _ in range(layer.groups)])
        note = f"Gaussian: a transposed convolution of stride {layer.stride} with one tap would leave positions empty"
        return Drawn(found, 1.0, note)
    if kind == "gaussian":
        found = [_gaussian(rows, columns, layer, generator, dtype) for _ in range(layer.groups)]
        return Drawn(_blocks(layer, found), 1.0, "")
    if kind == "haar" and convolution == "fft":
        found = [haar_spectrum(rows, columns, taps, generator) for _ in range(layer.groups)]
        return Drawn(_blocks(layer, found), gain_of(kind, rows, columns), "orthogonal at every frequency of the circle")
    centre = tuple((size - 1) // 2 for size in taps)
    blocks = []
    for _ in range(layer.groups):
        block = torch.zeros(rows, columns, *taps, dtype=dtype, device=generator.device)
        block[(slice(None), slice(None), *centre)] = drawn_matrix(kind, rows, columns, generator, dtype)
        blocks.append(block)
    name = "delta-orthogonal" if kind == "haar" else "identity in the centre tap"
    skipped = f"; reads one position in {strides}" if strides > 1 else ""
    return Drawn(_blocks(layer, blocks), gain_of(kind, rows, columns), (name if math.prod(taps) > 1 else "") + skipped)


def gain_of(kind: WeightKind, rows: int, columns: int) -> float:
    """√(rows/columns) where an orthogonal matrix expands, which would make q smaller by that square; 1 elsewhere.

    Example:
        >>> gain_of("haar", 8, 2), gain_of("gaussian", 8, 2)
        (2.0, 1.0)
    """
    return math.sqrt(rows / columns) if kind != "gaussian" and rows > columns else 1.0


def drawn_matrix(kind: WeightKind, rows: int, columns: int, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Q, ones on the diagonal, or N(0, 1/columns) in every entry."""
    if kind == "haar":
        return haar_matrix(rows, columns, generator, dtype)
    if kind == "identity":
        return torch.eye(rows, columns, dtype=dtype, device=generator.device)
    return torch.randn(rows, columns, generator=generator, dtype=dtype, device=generator.device) / columns**0.5


def _gaussian(rows: int, columns: int, layer: Convolution, generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Entries N(0, 1/fan_in); of a transposed convolution an output position sees taps/stride of the taps."""
    taps = tuple(layer.kernel_size)
    fan_in = columns * math.prod(taps) / (math.prod(layer.stride) if layer.transposed else 1)
    draw = torch.randn(rows, columns, *taps, generator=generator, dtype=dtype, device=generator.device)
    return draw / max(fan_in, 1.0) ** 0.5


def _blocks(layer: Convolution, blocks: list[Tensor]) -> Tensor:
    """The groups' kernels (rows, columns, *taps) in the layout of the layer's weight."""
    return torch.cat([block.transpose(0, 1) if layer.transposed else block for block in blocks])


def _patches(layer: Convolution) -> bool:
    """Whether the layer maps patches that do not overlap, each by one matrix."""
    taps = tuple(layer.kernel_size)
    tiled = tuple(layer.stride) == taps and all(step == 1 for step in layer.dilation)
    return tiled and math.prod(taps) > 1 and not any(_padding(layer))


def _padding(layer: Convolution) -> tuple[int, ...]:
    """Both sides together, by dimension."""
    if isinstance(layer.padding, str):
        spans = [step * (size - 1) for step, size in zip(layer.dilation, layer.kernel_size, strict=True)]
        return tuple(spans if layer.padding == "same" else [0] * len(spans))
    return tuple(2 * pad for pad in layer.padding)


def _patch_weight(layer: Convolution, generator: torch.Generator, dtype: torch.dtype) -> Drawn:
    rows, columns = layer.out_channels // layer.groups, layer.in_channels // layer.groups
    taps = tuple(layer.kernel_size)
    count = math.prod(taps)
    blocks = []
    for _ in range(layer.groups):
        if layer.transposed:  # one input position makes a patch
            matrix = haar_matrix(rows * count, columns, generator, dtype).reshape(rows, count, columns).transpose(1, 2)
        else:
            matrix = haar_matrix(rows, columns * count, generator, dtype)
        blocks.append(matrix.reshape(rows, columns, *taps))
    sides = (rows * count, columns) if layer.transposed else (rows, columns * count)
    return Drawn(_blocks(layer, blocks), gain_of("haar", *sides), "semi-orthogonal on patches that do not overlap")


def check_kernel(
    layer: nn.Linear | Convolution,
    kind: WeightKind,
    convolution: ConvolutionKind = "delta",
    positions: tuple[int, ...] | None = None,
) -> None:
    """Refuse what cannot be drawn, before anything is.

    Example:
        >>> check_kernel(nn.Linear(2, 2), "haar")
    """
    if isinstance(layer, nn.Linear) or kind != "haar" or convolution != "fft":
        return
    taps = tuple(layer.kernel_size)
    if positions is None:
        raise InputError(
            f"expected the input's positions for FFT-orthogonal kernels, got none; pass positions={taps} if the input has "
            "that shape, for a kernel is orthogonal on one circle only."
        )
    plain = all(step == 1 for step in (*layer.stride, *layer.dilation)) and not layer.transposed
    if not plain or layer.padding_mode != "circular" or _padding(layer) != tuple(size - 1 for size in taps):
        raise InputError(
            'expected a convolution with padding="same", padding_mode="circular" and no stride or dilation for FFT-orthogonal '
            f"kernels, got {layer}; use delta-orthogonal kernels there."
        )
    if taps != tuple(positions):
        raise InputError(
            f"expected kernels of full spatial support {tuple(positions)} for FFT-orthogonality, got {taps}: fewer taps "
            "cannot follow a Haar draw at every frequency; use delta-orthogonal kernels there."
        )
