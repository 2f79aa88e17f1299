"""Thirty-odd small models as people write them, each with one input; what of them the theory covers is said beside each."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

Made = tuple[nn.Module, Tensor]


class Skip(nn.Module):
    """x + scale·branch(x), through ``shortcut`` where the widths differ."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module | None = None, scale: float = 1.0) -> None:
        super().__init__()
        self.branch, self.shortcut, self.scale = branch, shortcut or nn.Identity(), scale

    def forward(self, x: Tensor) -> Tensor:
        return self.shortcut(x) + self.scale * self.branch(x)


class BasicBlock(nn.Module):
    """ResNet v1: two convolutions with batch normalisation, in-place ReLU behind the sum."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += identity
        return self.relu(out)


def resnet(widths: tuple[int, ...], blocks: int = 2, classes: int = 10, channels: int = 3) -> nn.Module:
    """Like torchvision's resnet18 without its max pooling: (64, 128, 256, 512) and two blocks each are the original sizes."""
    layers: list[nn.Module] = [
        nn.Conv2d(channels, widths[0], 3, 1, 1, bias=False),
        nn.BatchNorm2d(widths[0]),
        nn.ReLU(inplace=True),
    ]
    before = widths[0]
    for stage, width in enumerate(widths):
        for block in range(blocks):
            layers.append(BasicBlock(before, width, 2 if stage and not block else 1))
            before = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes))


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution, normalisation over channels, two pointwise layers, a trained scale of each channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.gamma = nn.Parameter(0.3 * torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.gamma * self.down(functional.gelu(self.up(y)))
        return x + y.permute(0, 3, 1, 2)


class MixerBlock(nn.Module):
    """Mixes tokens, then channels."""

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.tokens = nn.Sequential(nn.Linear(tokens, 8), nn.GELU(), nn.Linear(8, tokens))
        self.channels = nn.Sequential(nn.Linear(width, 16), nn.GELU(), nn.Linear(16, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(self.norm2(x))


class ViT(nn.Module):
    """Patches by a strided convolution, a class token, positions, encoder layers of torch."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.token, self.positions = nn.Parameter(torch.randn(1, 1, width)), nn.Parameter(torch.randn(1, 5, width))
        layer = nn.TransformerEncoderLayer(
            width, 2, 16, dropout=0.1, batch_first=True, norm_first=True, activation="gelu"
        )
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(width, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.positions
        return self.head(self.encoder(x)[:, 0])


class CausalBlock(nn.Module):
    """GPT-2's: one layer makes queries, keys and values."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in self.qkv(self.ln1(x)).chunk(3, dim=-1)
        )
        attended = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(attended.transpose(1, 2).flatten(2))
        return x + self.mlp(self.ln2(x))


class GPT(nn.Module):
    """Tokens in, logits out; the table of tokens is the last layer, too."""

    def __init__(self, vocabulary: int = 11, width: int = 8, length: int = 5) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList(CausalBlock(width, 2) for _ in range(2))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.tokens(tokens) + self.positions(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))[:, -1]


class DenseNet(nn.Module):
    """Every layer sees all before it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(4 + 3 * i), nn.ReLU(), nn.Conv2d(4 + 3 * i, 3, 3, padding=1)) for i in range(3)
        )
        self.head = nn.Linear(13, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for layer in self.layers:
            x = torch.cat([x, layer(x)], dim=1)
        return self.head(functional.adaptive_avg_pool2d(x, 1).flatten(1))


class Recurrent(nn.Module):
    """The last output of a recurrent layer, read out."""

    def __init__(self, layer: nn.Module, width: int, outputs: int = 3) -> None:
        super().__init__()
        self.layer, self.head = layer, nn.Linear(width, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x)[0][:, -1])


class CellLoop(nn.Module):
    """A cell that is called step by step."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.head = nn.GRUCell(4, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        state = x.new_zeros(len(x), 5)
        for step in range(x.shape[1]):
            state = self.cell(x[:, step], state)
        return self.head(state)


class Functional(nn.Module):
    """Parameters of its own and calls of functions."""

    def __init__(self) -> None:
        super().__init__()
        self.w1, self.b1 = nn.Parameter(torch.randn(6, 9) / 2), nn.Parameter(torch.randn(9))
        self.w2 = nn.Parameter(torch.randn(4, 9) / 3)
        self.mix = nn.Parameter(torch.randn(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(x @ self.w1 + self.b1)
        return torch.einsum("bi,ij->bj", functional.linear(h, self.w2), self.mix)


class Shared(nn.Module):
    """One layer several times, and its transpose."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(3):
            x = torch.tanh(self.layer(x))
        return self.head(functional.linear(x, self.layer.weight.T))


class SharedConvolution(nn.Module):
    """One convolution twice."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.Conv2d(2, 2, 3, padding="same", padding_mode="circular"), nn.Linear(32, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(functional.elu(self.layer(functional.elu(self.layer(x)))).flatten(1))


class DictOutput(nn.Module):
    """Several outputs by name, a mask of integers first."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head, self.value = nn.Linear(5, 6), nn.Linear(6, 3), nn.Linear(6, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        h = torch.tanh(self.body(x))
        return {"mask": (h > 0).long(), "logits": self.head(h), "value": self.value(h)}


class BagOfWords(nn.Module):
    """Means of embeddings."""

    def __init__(self) -> None:
        super().__init__()
        self.bag, self.head = nn.EmbeddingBag(9, 5, mode="mean"), nn.Linear(5, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(functional.silu(self.bag(tokens)))


class Gated(nn.Module):
    """Two branches multiplied, as in GLU; a buffer, a root-mean-square norm and a product of the input with itself."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.up, self.down = nn.Linear(5, 7, bias=False), nn.Linear(5, 7, bias=False), nn.Linear(7, 3)
        self.norm = nn.RMSNorm(5)
        self.register_buffer("shift", torch.linspace(-1, 1, 5))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(x + self.shift)
        return self.down(functional.silu(self.gate(x)) * self.up(x))


class UNet(nn.Module):
    """Down and up with a connection across."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.down = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 4, 3, 2, 1)
        self.up, self.last = nn.ConvTranspose2d(4, 3, 3, 2, 1, output_padding=1), nn.Conv2d(6, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.elu(self.first(x))
        y = self.up(functional.elu(self.down(x)))
        return self.last(torch.cat([x, y], 1))


class ValueDependent(nn.Module):
    """Control flow on values, with a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv1d(2, 3, 3), nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        if float(x.detach().abs().sum()) > 0:
            x = torch.sin(x)
        return self.head(x.flatten(1))


def _perceptron() -> Made:
    return nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 7), nn.GELU(), nn.Linear(7, 4)), torch.randn(1, 6)


def _lenet() -> Made:
    layers = (nn.Conv2d(1, 3, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(3, 4, 3), nn.Tanh(), nn.AvgPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 4)), torch.randn(1, 1, 12, 12)


def _vgg() -> Made:
    layers: list[nn.Module] = []
    for inputs, outputs in ((3, 4), (4, 6)):
        layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU(True), nn.MaxPool2d(2)]
    return nn.Sequential(
        *layers, nn.Flatten(), nn.Dropout(), nn.Linear(24, 5), nn.ReLU(True), nn.Linear(5, 4)
    ), torch.randn(1, 3, 8, 8)


def _residual_perceptron() -> Made:
    blocks = [
        Skip(nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8)), scale=0.5) for _ in range(3)
    ]
    return nn.Sequential(nn.Linear(6, 8), *blocks, nn.Tanh(), nn.Linear(8, 4)), torch.randn(1, 6)


def _preactivation() -> Made:
    def block() -> nn.Module:
        layers = (nn.GroupNorm(1, 4), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1, bias=False))
        return Skip(nn.Sequential(*layers, nn.GroupNorm(1, 4), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1, bias=False)))

    stem = nn.Conv2d(3, 4, 3, padding=1)
    return nn.Sequential(
        stem, block(), block(), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4)
    ), torch.randn(1, 3, 6, 6)


def _autoencoder() -> Made:
    encoder = nn.Sequential(nn.Linear(12, 7), nn.Softplus(), nn.Linear(7, 3))
    decoder = nn.Sequential(nn.Linear(3, 7), nn.ELU(), nn.Linear(7, 12), nn.Sigmoid())
    return nn.Sequential(encoder, decoder), torch.randn(1, 12)


def _convolutional_autoencoder() -> Made:
    encoder = nn.Sequential(nn.Conv2d(1, 3, 3, 2, 1), nn.LeakyReLU(0.1), nn.Conv2d(3, 4, 3, 2, 1))
    decoder = nn.Sequential(nn.ConvTranspose2d(4, 3, 2, 2), nn.LeakyReLU(0.1), nn.ConvTranspose2d(3, 1, 2, 2, groups=1))
    return nn.Sequential(encoder, decoder), torch.randn(1, 1, 8, 8)


def _grouped() -> Made:
    layers = (
        nn.Conv2d(4, 6, 3, groups=2, padding=1), nn.SiLU(), nn.Conv2d(6, 6, 3, dilation=2, padding=2), nn.Mish(),
        nn.Conv2d(6, 12, 3, groups=6, stride=2), nn.InstanceNorm2d(12, affine=True), nn.Hardswish(), nn.Conv2d(12, 5, 1),
    )  # fmt: skip
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()), torch.randn(1, 4, 7, 7)


def _one_dimensional() -> Made:
    layers = (
        nn.Conv1d(2, 4, 3, padding=1, padding_mode="circular"),
        nn.Tanh(),
        nn.Conv1d(4, 4, 5, 2),
        nn.Tanh(),
        nn.AvgPool1d(2),
    )
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(8, 3)), torch.randn(1, 2, 11)


def _three_dimensional() -> Made:
    layers = (
        nn.Conv3d(1, 2, 3, padding=(0, 1, 0)),
        nn.ReLU(),
        nn.Conv3d(2, 2, (1, 2, 2), stride=(1, 2, 1)),
        nn.PReLU(2),
    )
    return nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(3)), torch.randn(1, 1, 3, 4, 4)


def _parametrised() -> Made:
    layers = (
        parametrizations.orthogonal(nn.Linear(6, 6)),
        nn.Tanh(),
        parametrizations.weight_norm(nn.Linear(6, 5)),
        nn.Tanh(),
    )
    return nn.Sequential(*layers, parametrizations.spectral_norm(nn.Linear(5, 3))), torch.randn(1, 6)


def _attention() -> Made:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention, self.head = nn.MultiheadAttention(6, 2, batch_first=True), nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(x + self.attention(x, x, x, need_weights=False)[0]).mean(1)

    return Attention(), torch.randn(1, 4, 6)


def _frozen() -> Made:
    model, example = _perceptron()
    model.get_parameter("0.weight").requires_grad_(False)
    model.get_parameter("2.bias").requires_grad_(False)
    return model, example


def _convnext() -> Made:
    return nn.Sequential(
        nn.Conv2d(3, 4, 2, 2), ConvNeXtBlock(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 4)
    ), torch.randn(1, 3, 8, 8)


def _mixer() -> Made:
    class Mixer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches, self.block, self.head = nn.Conv2d(3, 6, 4, 4), MixerBlock(4, 6), nn.Linear(6, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.block(self.patches(x).flatten(2).transpose(1, 2)).mean(1))

    return Mixer(), torch.randn(1, 3, 8, 8)


def _bilinear() -> Made:
    class Bilinear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.form, self.head = nn.Bilinear(4, 4, 5), nn.Linear(5, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.tanh(self.form(x, x.flip(1))))

    return Bilinear(), torch.randn(1, 4)


ZOO: dict[str, Callable[[], Made]] = {
    "perceptron": _perceptron,
    "deep linear": lambda: (nn.Sequential(*(nn.Linear(5, 5) for _ in range(4))), torch.randn(1, 5)),
    "residual perceptron": _residual_perceptron,
    "LeNet": _lenet,
    "VGG": _vgg,
    "ResNet-18": lambda: (resnet((4, 5, 6, 7)), torch.randn(1, 3, 8, 8)),
    "pre-activation ResNet": _preactivation,
    "ConvNeXt": _convnext,
    "MLP-Mixer": _mixer,
    "ViT": lambda: (ViT(), torch.randn(1, 3, 8, 8)),
    "GPT": lambda: (GPT(), torch.tensor([[3, 1, 4, 1, 5]])),
    "autoencoder": _autoencoder,
    "convolutional autoencoder": _convolutional_autoencoder,
    "U-Net": lambda: (UNet(), torch.randn(1, 1, 4, 4)),
    "LSTM": lambda: (Recurrent(nn.LSTM(4, 5, 2, batch_first=True), 5), torch.randn(1, 4, 4)),
    "GRU": lambda: (Recurrent(nn.GRU(4, 5, batch_first=True, bidirectional=True), 10), torch.randn(1, 4, 4)),
    "RNN": lambda: (Recurrent(nn.RNN(4, 5, batch_first=True), 5), torch.randn(1, 4, 4)),
    "GRU cell": lambda: (CellLoop(), torch.randn(1, 3, 4)),
    "DenseNet": lambda: (DenseNet(), torch.randn(1, 3, 5, 5)),
    "functional": lambda: (Functional(), torch.randn(1, 6)),
    "shared weights": lambda: (Shared(), torch.randn(1, 6)),
    "shared convolution": lambda: (SharedConvolution(), torch.randn(1, 2, 4, 4)),
    "parametrised": _parametrised,
    "dict output": lambda: (DictOutput(), torch.randn(1, 5)),
    "embedding bag": lambda: (BagOfWords(), torch.tensor([[2, 7, 1]])),
    "gated": lambda: (Gated(), torch.randn(1, 5)),
    "grouped and dilated": _grouped,
    "Conv1d": _one_dimensional,
    "Conv3d": _three_dimensional,
    "attention": _attention,
    "partly frozen": _frozen,
    "bilinear": _bilinear,
    "control flow": lambda: (ValueDependent(), torch.randn(1, 2, 6)),
}


def zoo_model(name: str) -> Made:
    """A model of the zoo in float64 and in training mode, with running statistics of its own, and its input."""
    torch.manual_seed(sum(map(ord, name)))
    model, example = ZOO[name]()
    if example.is_floating_point():
        example = example.double()
    model = model.double()
    with torch.no_grad():
        model.eval()(example)  # lazy layers
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None and module.running_var is not None
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 2.0)
    return model.train(), example
