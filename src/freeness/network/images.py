"""Networks of images by a few numbers: ResNets and ConvNeXt blocks."""

# pyright: reportUnnecessaryIsInstance=false
# Users may pass what a signature does not allow.

from __future__ import annotations

from typing import Literal

from freeness.errors import InputError, is_real, is_size
from freeness.gaussian import activation
from freeness.network.ensembles import Gaussian
from freeness.network.graph import Network, NodeList
from freeness.network.operation import INPUT
from freeness.network.operations import (
    Activation,
    Constant,
    Convolution,
    Dense,
    MaxPooling,
    Normalisation,
    Pooling,
    PositionWise,
    Product,
    Sum,
)

_GAIN = 2**0.5  # He et al. (2015)


def image_resnet(
    blocks: tuple[int, ...] = (2, 2, 2, 2),
    width: int = 64,
    *,
    version: Literal["v1", "v2"] = "v1",
    stem: Literal["large", "small"] = "large",
    bottleneck: bool = False,
    ends: tuple[int, int] = (3, 1000),
) -> Network:
    """A residual network of images, with batch normalisation in training mode and Gaussian weights of variance 2/fan-in.

    Args:
        blocks: of each stage; behind the first one, stages halve the image and double the channels. (2, 2, 2, 2) is ResNet-18,
            (3, 4, 6, 3) is ResNet-34 and, of bottlenecks, ResNet-50.
        width: channels of the first stage.
        version: ``"v1"`` has ReLU behind the sum, ``"v2"`` normalisation and ReLU in front of weights.
        stem: ``"large"`` 7×7 taps at stride 2 and max pooling, ``"small"`` 3×3 taps.
        bottleneck: branches of 1×1, 3×3, 1×1 taps to four times the channels, in place of two of 3×3.
        ends: channels of the input and outputs.

    Raises:
        InputError: sizes that are not whole numbers ≥ 1, or an unknown name.

    Source: He et al. (2016a, 2016b).

    Example:
        >>> image_resnet(ends=(3, 10)).depth, image_resnet((3, 4, 6, 3), bottleneck=True).depth
        (21, 54)
    """
    if not (isinstance(blocks, tuple) and blocks and all(map(is_size, (*blocks, width, *ends)))):
        raise InputError(
            f"expected blocks, width and ends that are whole numbers ≥ 1, got {blocks!r}, {width!r} and {ends!r}; correct them."
        )
    if version not in ("v1", "v2") or stem not in ("large", "small"):
        raise InputError(
            f'expected "v1" or "v2" and the stem "large" or "small", got {version!r} and {stem!r}; choose.'
        )
    made = _Images(bottleneck)
    stream = made.add("stem", _conv(ends[0], width, 7 if stem == "large" else 3, 2 if stem == "large" else 1), INPUT)
    if version == "v1":
        stream = made.bent("stem", stream)
    if stem == "large":
        stream = made.add("pool", MaxPooling((3, 3), 2, 1), stream)
    channels = width
    for stage, count in enumerate(blocks, start=1):
        inner = width * 2 ** (stage - 1)
        for block in range(1, count + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            unit = made.first if version == "v1" else made.second
            stream = unit(f"stage{stage}.{block}", stream, channels, inner, stride)
            channels = made.out(inner)
    if version == "v2":
        stream = made.bent("last", stream)
    mean = made.add("mean", Pooling(None), stream)
    made.add("readout", Dense(channels, ends[1], Gaussian(1.0)), mean)
    return Network(made.nodes)


def convnext(
    depth: int, width: int, *, taps: int = 7, scale: float = 1.0, patch: int = 2, ends: tuple[int, int] = (3, 1000)
) -> Network:
    """ConvNeXt blocks of one width: depthwise taps, layer norm, a position-wise MLP with GELU, LayerScale, and the sum.

    Args:
        depth: blocks, ≥ 1.
        width: channels of every block.
        taps: of the depthwise convolution, in both dimensions.
        scale: of LayerScale's entries; 1e-6 in the paper.
        patch: size and stride of the first convolution.
        ends: channels of the input and outputs.

    Raises:
        InputError: sizes that are not whole numbers ≥ 1, or a scale that is no number.

    Source: Liu et al. (2022).

    Example:
        >>> convnext(4, 64).depth
        14
    """
    if not (all(map(is_size, (depth, width, taps, patch, *ends))) and is_real(scale)):
        raise InputError(
            f"expected sizes that are whole numbers ≥ 1 and a finite scale, got {(depth, width, taps, patch, *ends)!r} and "
            f"{scale!r}; correct them."
        )
    made = NodeList()
    first = Convolution(ends[0], width, (patch, patch), Gaussian(1.0), "valid", patch)
    stream = made.add("norm", Normalisation("layer"), made.add("stem", first, INPUT))
    for block in range(1, depth + 1):
        name = f"block{block}"
        depthwise = Convolution(width, width, (taps, taps), Gaussian(1.0), "zeros", groups=width)
        branch = made.add(f"{name}.norm", Normalisation("layer"), made.add(f"{name}.depthwise", depthwise, stream))
        branch = made.add(f"{name}.in", PositionWise(width, 4 * width, Gaussian(1.0)), branch)
        branch = made.add(f"{name}.activation", Activation(activation("gelu")), branch)
        branch = made.add(f"{name}.out", PositionWise(4 * width, width, Gaussian(1.0)), branch)
        gamma = made.add(f"{name}.scale", Constant(width, (), abs(float(scale))))
        branch = made.add(f"{name}.scaled", Product(), branch, gamma)
        stream = made.add(name, Sum((1.0, 1.0)), stream, branch)
    mean = made.add("last", Normalisation("layer"), made.add("mean", Pooling(None), stream))
    made.add("readout", Dense(width, ends[1], Gaussian(1.0)), mean)
    return Network(made.nodes)


def _conv(channels_in: int, channels_out: int, taps: int, stride: int = 1) -> Convolution:
    return Convolution(channels_in, channels_out, (taps, taps), Gaussian(_GAIN), "zeros", stride)


class _Images(NodeList):
    """With the two kinds of blocks."""

    def __init__(self, bottleneck: bool) -> None:
        super().__init__()
        self.bottleneck = bottleneck

    def out(self, inner: int) -> int:
        """Channels behind a block."""
        return 4 * inner if self.bottleneck else inner

    def norm(self, name: str, stream: str) -> str:
        """Batch normalisation."""
        return self.add(f"{name}.norm", Normalisation("batch"), stream)

    def bent(self, name: str, stream: str) -> str:
        """Batch normalisation and ReLU."""
        return self.add(f"{name}.relu", Activation(activation("relu")), self.norm(name, stream))

    def layers(self, channels: int, inner: int, stride: int) -> list[Convolution]:
        """The convolutions of a branch."""
        if not self.bottleneck:
            return [_conv(channels, inner, 3, stride), _conv(inner, inner, 3)]
        return [_conv(channels, inner, 1), _conv(inner, inner, 3, stride), _conv(inner, 4 * inner, 1)]

    def first(self, name: str, stream: str, channels: int, inner: int, stride: int) -> str:
        """relu(x + norm(conv … relu(norm(conv(x)))))."""
        branch, layers = stream, self.layers(channels, inner, stride)
        for index, layer in enumerate(layers, start=1):
            branch = self.add(f"{name}.conv{index}", layer, branch)
            branch = (self.bent if index < len(layers) else self.norm)(f"{name}.conv{index}", branch)
        skip = stream
        if stride > 1 or channels != self.out(inner):
            skip = self.add(f"{name}.shortcut", _conv(channels, self.out(inner), 1, stride), stream)
            skip = self.norm(f"{name}.shortcut", skip)
        return self.add(f"{name}.relu", Activation(activation("relu")), self.add(name, Sum((1.0, 1.0)), skip, branch))

    def second(self, name: str, stream: str, channels: int, inner: int, stride: int) -> str:
        """x + conv(relu(norm(… conv(relu(norm(x)))))); a shortcut's weights read the first ReLU."""
        branch, skip = stream, stream
        for index, layer in enumerate(self.layers(channels, inner, stride), start=1):
            branch = self.bent(f"{name}.conv{index}", branch)
            if index == 1 and (stride > 1 or channels != self.out(inner)):
                skip = self.add(f"{name}.shortcut", _conv(channels, self.out(inner), 1, stride), branch)
            branch = self.add(f"{name}.conv{index}", layer, branch)
        return self.add(name, Sum((1.0, 1.0)), skip, branch)
