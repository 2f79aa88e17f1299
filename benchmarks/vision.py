"""Image classifiers that people train, in their published form and at full size: 224², 1,000 classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


def convolved(
    inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1, act: nn.Module | None = None
) -> nn.Sequential:
    """Convolution, batch normalisation, and an activation where one is given."""
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([] if act is None else [act]))


class Bottleneck(nn.Module):
    """1×1, 3×3 in groups, 1×1 around a skip connection; with ``expansion`` 0 two 3×3 instead.

    Source: He, Zhang, Ren, Sun, CVPR 2016; groups and squeezing by Radosavovic et al., CVPR 2020.
    """

    def __init__(self, inputs: int, width: int, stride: int, expansion: int = 4, groups: int = 1) -> None:
        super().__init__()
        outputs, relu = width * max(expansion, 1), nn.ReLU(inplace=True)
        if expansion:
            self.branch = nn.Sequential(
                convolved(inputs, width, 1, act=relu),
                convolved(width, width, 3, stride, groups, relu),
                convolved(width, outputs, 1),
            )
        else:
            self.branch = nn.Sequential(convolved(inputs, width, 3, stride, act=relu), convolved(width, outputs, 3))
        self.skip = convolved(inputs, outputs, 1, stride) if stride > 1 or inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.branch(x) + self.skip(x))


def resnet(blocks: Sequence[int], expansion: int, classes: int = 1000) -> nn.Sequential:
    """ResNet of four stages: (2, 2, 2, 2) and 0 for ResNet-18, (3, 4, 6, 3) and 4 for ResNet-50."""
    layers: list[nn.Module] = [convolved(3, 64, 7, 2, act=nn.ReLU(inplace=True)), nn.MaxPool2d(3, 2, 1)]
    before = 64
    for stage, count in enumerate(blocks):
        width = 64 << stage
        for block in range(count):
            layers.append(Bottleneck(before, width, 2 if stage and not block else 1, expansion))
            before = width * max(expansion, 1)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes))


def regnet() -> nn.Sequential:
    """RegNetX-200MF: stages of depth 1, 1, 4, 7 and widths 24, 56, 152, 368, groups of 8 channels."""
    layers: list[nn.Module] = [convolved(3, 32, 3, 2, act=nn.ReLU(inplace=True))]
    before = 32
    for depth, width in zip((1, 1, 4, 7), (24, 56, 152, 368), strict=True):
        for block in range(depth):
            layers.append(Bottleneck(before, width, 1 if block else 2, 1, width // 8))
            before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, 1000))


class Attention(nn.Module):
    """Multi-head attention of x (B, T, N), with one packed projection and an additive bias where there is one."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor, bias: Tensor | None = None) -> Tensor:
        b, t, n = x.shape
        q, k, v = self.qkv(x).reshape(b, t, 3, self.heads, n // self.heads).permute(2, 0, 3, 1, 4)
        y = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.out(y.transpose(1, 2).reshape(b, t, n))


def perceptron(width: int, hidden: int) -> nn.Sequential:
    """Up, GELU, down."""
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))


class Encoder(nn.Module):
    """A Transformer block with normalisation in front of each branch."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention, self.mlp = Attention(width, heads), perceptron(width, 4 * width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class ViT(nn.Module):
    """Patches, a class token, positions. ViT-tiny: patches of 16, width 192, 12 blocks of 3 heads.

    Source: Dosovitskiy et al., ICLR 2021; sizes of Touvron et al., ICML 2021.
    """

    def __init__(self, side: int = 224, patch: int = 16, width: int = 192, heads: int = 3, classes: int = 1000) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, patch, patch)
        self.token = nn.Parameter(0.02 * torch.randn(1, 1, width))
        self.positions = nn.Parameter(0.02 * torch.randn(1, (side // patch) ** 2 + 1, width))
        self.blocks = nn.Sequential(*(Encoder(width, heads) for _ in range(12)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.positions
        return self.head(self.norm(self.blocks(x))[:, 0])


class LayerNorm2d(nn.LayerNorm):
    """Over the channels of (B, C, H, W)."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNeXtBlock(nn.Module):
    """Depthwise 7×7, normalisation, two pointwise layers, a trained scale.

    Source: Liu et al., CVPR 2022; timm's "atto" widths.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise, self.norm = nn.Conv2d(width, width, 7, padding=3, groups=width), nn.LayerNorm(width, eps=1e-6)
        self.mlp, self.gamma = perceptron(width, 4 * width), nn.Parameter(1e-6 * torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.mlp(self.norm(self.depthwise(x).permute(0, 2, 3, 1)))
        return x + (self.gamma * y).permute(0, 3, 1, 2)


def convnext() -> nn.Sequential:
    """ConvNeXt-atto: depths 2, 2, 6, 2, widths 40, 80, 160, 320."""
    layers: list[nn.Module] = [nn.Conv2d(3, 40, 4, 4), LayerNorm2d(40, eps=1e-6)]
    for stage, depth in enumerate((2, 2, 6, 2)):
        width = 40 << stage
        if stage:
            layers += [LayerNorm2d(width // 2, eps=1e-6), nn.Conv2d(width // 2, width, 2, 2)]
        layers += [ConvNeXtBlock(width) for _ in range(depth)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(320), nn.Linear(320, 1000))


class Squeeze(nn.Module):
    """A gate of every channel from the mean over positions."""

    def __init__(self, width: int, squeezed: int, act: nn.Module, gate: nn.Module) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(width, squeezed, 1), nn.Conv2d(squeezed, width, 1)
        self.act, self.gate = act, gate

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(self.up(self.act(self.down(x.mean((2, 3), keepdim=True)))))


class Inverted(nn.Module):
    """Pointwise up, depthwise, gate, pointwise down; a skip connection where the shape stays.

    Source: Sandler et al., CVPR 2018; Tan, Le, ICML 2019; Howard et al., ICCV 2019.
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        outputs: int,
        kernel: int,
        stride: int,
        act: nn.Module,
        squeeze: nn.Module | None,
    ) -> None:
        super().__init__()
        up = [] if hidden == inputs else [convolved(inputs, hidden, 1, act=act)]
        gate = [] if squeeze is None else [squeeze]
        self.branch = nn.Sequential(
            *up, convolved(hidden, hidden, kernel, stride, hidden, act), *gate, convolved(hidden, outputs, 1)
        )
        self.skips = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.branch(x)
        return x + y if self.skips else y


def efficientnet() -> nn.Sequential:
    """EfficientNet-b0."""
    act = nn.SiLU()
    layers: list[nn.Module] = [convolved(3, 32, 3, 2, act=act)]
    before = 32
    table = [(1, 16, 1, 3, 1), (6, 24, 2, 3, 2), (6, 40, 2, 5, 2), (6, 80, 3, 3, 2), (6, 112, 3, 5, 1)]
    for expand, width, count, kernel, stride in [*table, (6, 192, 4, 5, 2), (6, 320, 1, 3, 1)]:
        for block in range(count):
            hidden = before * expand
            gate = Squeeze(hidden, before // 4, act, nn.Sigmoid())
            layers.append(Inverted(before, hidden, width, kernel, 1 if block else stride, act, gate))
            before = width
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(1280, 1000)]
    return nn.Sequential(*layers, convolved(320, 1280, 1, act=act), *head)


def mobilenet() -> nn.Sequential:
    """MobileNetV3-large."""
    relu, swish = nn.ReLU(), nn.Hardswish()
    layers: list[nn.Module] = [convolved(3, 16, 3, 2, act=swish)]
    before = 16
    table = [(3, 16, 16, 0, 0, 1), (3, 64, 24, 0, 0, 2), (3, 72, 24, 0, 0, 1), (5, 72, 40, 24, 0, 2)]
    table += [(5, 120, 40, 32, 0, 1), (5, 120, 40, 32, 0, 1), (3, 240, 80, 0, 1, 2), (3, 200, 80, 0, 1, 1)]
    table += [(3, 184, 80, 0, 1, 1), (3, 184, 80, 0, 1, 1), (3, 480, 112, 120, 1, 1), (3, 672, 112, 168, 1, 1)]
    table += [(5, 672, 160, 168, 1, 2), (5, 960, 160, 240, 1, 1), (5, 960, 160, 240, 1, 1)]
    for kernel, hidden, width, squeezed, swishes, stride in table:
        act = swish if swishes else relu
        gate = Squeeze(hidden, squeezed, nn.ReLU(), nn.Hardsigmoid()) if squeezed else None
        layers.append(Inverted(before, hidden, width, kernel, stride, act, gate))
        before = width
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(960, 1280), swish, nn.Dropout(0.2), nn.Linear(1280, 1000)]
    return nn.Sequential(*layers, convolved(160, 960, 1, act=swish), *head)


class Window(nn.Module):
    """A Swin block: attention in windows of 7×7, shifted by 3 in every other block, with a bias by relative position.

    Source: Liu et al., ICCV 2021.
    """

    def __init__(self, width: int, heads: int, side: int, shifted: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention, self.mlp = Attention(width, heads), perceptron(width, 4 * width)
        self.side, self.shift = side, 3 if shifted and side > 7 else 0
        self.table = nn.Parameter(0.02 * torch.randn(13 * 13, heads))
        places = torch.cartesian_prod(torch.arange(7), torch.arange(7))
        apart = places[:, None] - places[None] + 6
        self.index: Tensor
        self.register_buffer("index", apart[..., 0] * 13 + apart[..., 1])
        self.mask: Tensor
        self.register_buffer("mask", self._mask())

    def _mask(self) -> Tensor:
        """-100 between places of a window that the shift brought together, (windows, 1, 49, 49)."""
        parts = torch.zeros(self.side)
        if self.shift:
            parts[-7 : -self.shift], parts[-self.shift :] = 1, 2
        label = self.windows((parts[:, None] * 3 + parts[None])[None, ..., None])[..., 0]
        return torch.where(label[:, None, :, None] == label[:, None, None, :], 0.0, -100.0)

    def windows(self, x: Tensor) -> Tensor:
        """(B, H, W, N) as (B·windows, 49, N)."""
        b, n, count = len(x), x.shape[-1], self.side // 7
        return x.reshape(b, count, 7, count, 7, n).transpose(2, 3).reshape(-1, 49, n)

    def forward(self, x: Tensor) -> Tensor:
        b, n, count = len(x), x.shape[-1], self.side // 7
        y = torch.roll(self.norm1(x), (-self.shift, -self.shift), (1, 2))
        bias = self.table[self.index].permute(2, 0, 1)[None]
        y = self.attention(self.windows(y), bias + self.mask.repeat(b, 1, 1, 1))
        y = y.reshape(b, count, count, 7, 7, n).transpose(2, 3).reshape(b, self.side, self.side, n)
        x = x + torch.roll(y, (self.shift, self.shift), (1, 2))
        return x + self.mlp(self.norm2(x))


class Merging(nn.Module):
    """Four neighbours become one token of twice the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(4 * width), nn.Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.norm(torch.cat([x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)], -1)))


class Swin(nn.Module):
    """Swin-tiny: depths 2, 2, 6, 2, heads 3, 6, 12, 24, width 96."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.norm = nn.Conv2d(3, 96, 4, 4), nn.LayerNorm(96)
        layers: list[nn.Module] = []
        for stage, depth in enumerate((2, 2, 6, 2)):
            width, heads, side = 96 << stage, 3 << stage, 56 >> stage
            layers += [Merging(width // 2)] if stage else []
            layers += [Window(width, heads, side, bool(block % 2)) for block in range(depth)]
        self.blocks, self.last, self.head = nn.Sequential(*layers), nn.LayerNorm(768), nn.Linear(768, 1000)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.patches(x).permute(0, 2, 3, 1))
        return self.head(self.last(self.blocks(x)).mean((1, 2)))


class MixerBlock(nn.Module):
    """Mixes tokens, then channels. Source: Tolstikhin et al., NeurIPS 2021."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.tokens, self.channels = perceptron(tokens, 256), perceptron(width, 2048)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(self.norm2(x))


class Mixer(nn.Module):
    """Mixer-S/32: width 512, 8 blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 512, 32, 32)
        self.blocks = nn.Sequential(*(MixerBlock(49, 512) for _ in range(8)))
        self.norm, self.head = nn.LayerNorm(512), nn.Linear(512, 1000)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.blocks(self.patches(x).flatten(2).transpose(1, 2))).mean(1))


CLASSIFIERS: dict[str, Callable[[], nn.Module]] = {
    "ResNet-18": lambda: resnet((2, 2, 2, 2), 0),
    "ResNet-50": lambda: resnet((3, 4, 6, 3), 4),
    "ViT-tiny": ViT,
    "ConvNeXt-atto": convnext,
    "EfficientNet-b0": efficientnet,
    "MobileNetV3": mobilenet,
    "Swin-tiny": Swin,
    "Mixer-S/32": Mixer,
    "RegNet-200M": regnet,
}
"""Name to a function that makes the model; weights are torch's default draw."""
