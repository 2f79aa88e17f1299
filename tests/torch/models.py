"""Models in the styles that people write, and the ground truth by torch.func."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional


class FunctionalCalls(nn.Module):
    """A subclass whose activations are function calls, with a flatten in front."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(12, 9), nn.Linear(9, 7, bias=False), nn.Linear(7, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.first(x.view(x.shape[0], -1)))
        x = functional.dropout(functional.gelu(self.second(x)), 0.4, training=self.training)
        return self.head(functional.leaky_relu(x, 0.2))


class Nested(nn.Module):
    """Blocks in blocks, one activation module shared by two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.act = nn.Tanh()
        self.body = nn.Sequential(
            nn.Sequential(nn.Linear(6, 8), self.act), nn.Sequential(nn.Linear(8, 8), self.act), nn.Identity()
        )
        self.head = nn.ModuleDict({"out": nn.Linear(8, 3)})

    def forward(self, x: Tensor) -> Tensor:
        return self.head["out"](self.body(x))


class ValueDependent(nn.Module):
    """Control flow on values: torch.export refuses it, hooks do not mind."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.act, self.head = nn.Linear(6, 5), nn.ReLU(inplace=True), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        if float(x.detach().abs().sum()) > 0:
            x = self.act(x)
        return self.head(x)


class SelfGated(nn.Module):
    """A hand-written activation of several calls."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.5 * x) - 0.1


class Residual(nn.Module):
    """A skip connection, which is not covered."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(5, 5), nn.Linear(5, 5)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        return h + self.second(torch.tanh(h))


def covered_models() -> dict[str, tuple[nn.Module, Tensor]]:
    """Name to (model, example): everything that trace must read."""
    torch.manual_seed(11)
    mixed = nn.Sequential(
        nn.Linear(6, 8), nn.Hardtanh(), nn.Linear(8, 9), nn.ELU(0.7), nn.Linear(9, 7), nn.Softplus(),
        nn.Linear(7, 8), nn.SiLU(), nn.Linear(8, 8), nn.Softsign(), nn.Linear(8, 3),
    )  # fmt: skip
    return {
        "sequential": (nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 4)), torch.randn(3, 6)),
        "no biases": (
            nn.Sequential(nn.Linear(6, 5, bias=False), nn.Tanh(), nn.Linear(5, 8, bias=False)),
            torch.randn(1, 6),
        ),
        "functional": (FunctionalCalls(), torch.randn(2, 3, 4)),
        "nested, shared activation": (Nested(), torch.randn(2, 6)),
        "mixed": (mixed, torch.randn(4, 6)),
        "dropout": (
            nn.Sequential(nn.Dropout(0.5), nn.Linear(6, 5), nn.Dropout(0.5), nn.GELU(), nn.Linear(5, 4)),
            torch.randn(2, 6),
        ),
        "flatten": (
            nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.Sigmoid(), nn.Linear(6, 2)),
            torch.randn(2, 1, 3, 4),
        ),
        "hooks": (ValueDependent(), torch.randn(2, 6)),
        "composite": (
            nn.Sequential(nn.Linear(6, 5), SelfGated(), nn.ReLU(inplace=True), nn.Linear(5, 4)),
            torch.randn(2, 6),
        ),
        "linear layers in a row": (nn.Sequential(nn.Linear(6, 5), nn.Linear(5, 4)), torch.randn(2, 6)),
        "activation at both ends": (nn.Sequential(nn.Tanh(), nn.Linear(6, 5), nn.Tanh()), torch.randn(2, 6)),
        "one vector": (nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 1)), torch.randn(6)),
    }


def parameter_jacobian(model: nn.Module, x: Tensor, names: list[str] | None = None) -> Tensor:
    """J_θ (outputs, parameters) at the batch x, flattened over samples and outputs, by torch.func.jacrev."""
    chosen = {n: p.detach() for n, p in model.named_parameters() if names is None or n in names}

    def outputs(values: dict[str, Tensor]) -> Tensor:
        return torch.func.functional_call(model, values, (x,)).reshape(-1)

    blocks = torch.func.jacrev(outputs)(chosen)
    return torch.cat([block.flatten(1) for block in blocks.values()], dim=1)


def of_vector(model: nn.Module, outputs: Callable[..., Tensor]) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """All parameters as one vector, and as a function of that what ``outputs`` makes of calls of the model."""
    named = {name: parameter.detach() for name, parameter in model.named_parameters()}

    def of(vector: Tensor) -> Tensor:
        parts = vector.split([p.numel() for p in named.values()])
        weights = {key: part.reshape(p.shape) for (key, p), part in zip(named.items(), parts, strict=True)}
        return outputs(lambda *args, **kwargs: torch.func.functional_call(model, weights, args, kwargs))

    return torch.cat([p.reshape(-1) for p in named.values()]), of


def gauss_newton(model: nn.Module, outputs: Callable[..., Tensor], loss: Callable[[Tensor], Tensor]) -> Tensor:
    """JᵀHJ of a loss of what ``outputs`` makes of calls of the model."""
    flat, of = of_vector(model, outputs)
    point = of(flat)
    jacobian = torch.func.jacrev(of)(flat).reshape(point.numel(), -1)
    curved = torch.func.hessian(loss)(point).reshape(point.numel(), -1)
    return jacobian.T @ curved @ jacobian


def input_jacobian(model: nn.Module, x: Tensor) -> Tensor:
    """J (outputs, inputs) at one sample given as a batch of one or a vector."""
    jacobian = torch.func.jacrev(lambda value: model(value).reshape(-1))(x).detach()
    return jacobian.reshape(jacobian.shape[0], -1)


def rows(outputs: Tensor, inputs: list[Tensor]) -> Tensor:
    """∂outputs/∂inputs, one output after the other, (outputs, numbers of all inputs)."""
    found = []
    for value in outputs:
        gradients = torch.autograd.grad(value, inputs, retain_graph=True, allow_unused=True, materialize_grads=True)
        found.append(torch.cat([gradient.reshape(-1) for gradient in gradients]))
    return torch.stack(found)


class ResNet18(nn.Module):
    """ResNet v1 with batch normalisation and max pooling; torchvision's at the widths (64, 128, 256, 512)."""

    def __init__(self, widths: tuple[int, ...] = (4, 6, 8, 10), classes: int = 5) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0], 7, 2, 3, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU(True)
        )
        self.pool = nn.MaxPool2d(3, 2, 1)
        pairs = [(widths[max(stage - (not block), 0)], widths[stage]) for stage in range(4) for block in range(2)]
        self.blocks = nn.Sequential(*(ResNetBlock(*pair, 1 if pair[0] == pair[1] else 2) for pair in pairs))
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.pool(self.stem(x))).mean((2, 3)))


class ResNetBlock(nn.Module):
    """Two convolutions, ReLU behind the sum."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(inputs, outputs, 3, stride, 1), nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.norm1, self.norm2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        self.skip = nn.Identity() if stride == 1 else nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.b(functional.relu(self.norm1(self.a(x)))))
        return functional.relu(y + self.skip(x))


class Block(nn.Module):
    """A Transformer block with separate projections; attention by torch's call, or written out with its mask."""

    def __init__(self, width: int, heads: int, causal: bool, written: bool) -> None:
        super().__init__()
        self.heads, self.causal, self.written = heads, causal, written
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.drop = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        b, t, c = x.shape
        q, k, v = self.qkv(self.norm1(x)).split(c, dim=2)
        q, k, v = (part.view(b, t, self.heads, c // self.heads).transpose(1, 2) for part in (q, k, v))
        if self.written:
            scores = q @ k.transpose(-2, -1) / (c // self.heads) ** 0.5
            if self.causal:
                scores = scores.masked_fill(torch.tril(torch.ones(t, t)) == 0, float("-inf"))
            y = self.drop(scores.softmax(-1)) @ v
        else:
            y = functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        x = x + self.drop(self.out(y.transpose(1, 2).reshape(b, t, c)))
        return x + self.mlp(self.norm2(x))


class SmallViT(nn.Module):
    """Patches, a class token, positions, two blocks."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 2, 2)
        self.token, self.positions = nn.Parameter(torch.randn(1, 1, width)), nn.Parameter(torch.randn(1, 10, width))
        self.blocks = nn.Sequential(Block(width, 2, False, False), Block(width, 2, False, True))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.positions
        return self.head(self.norm(self.blocks(x))[:, 0])


class SmallGPT(nn.Module):
    """Tokens and positions, causal blocks, the table of tokens as the last layer."""

    def __init__(self, vocabulary: int = 11, width: int = 8, length: int = 6) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.blocks = nn.Sequential(Block(width, 2, True, False), Block(width, 4, True, True))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.tokens(tokens) + self.positions(torch.arange(tokens.shape[1]))
        return self.head(self.norm(self.blocks(x)))


class SmallUNet(nn.Module):
    """Down, up and across."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.low = nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular")
        self.up, self.last = nn.Upsample(scale_factor=2), nn.Conv2d(7, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.first(x))
        return self.last(torch.cat([x, self.up(torch.tanh(self.low(functional.avg_pool2d(x, 2))))], 1))


class SwiGLU(nn.Module):
    """A gated MLP behind an RMS norm, with a scaled skip connection."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width)
        self.gate, self.up, self.down = (
            nn.Linear(*sizes, bias=False) for sizes in ((width, 9), (width, 9), (9, width))
        )

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(x)
        return x + 0.5 * self.down(functional.silu(self.gate(h)) * self.up(h))


class SmallMixer(nn.Module):
    """Patches, mixing over tokens and over channels, the mean over tokens."""

    def __init__(self, tokens: int = 9, width: int = 6) -> None:
        super().__init__()
        self.patches, self.norm1, self.norm2 = nn.Conv2d(3, width, 2, 2), nn.LayerNorm(width), nn.LayerNorm(width)
        self.tokens = nn.Sequential(nn.Linear(tokens, 8), nn.GELU(), nn.Linear(8, tokens))
        self.channels = nn.Sequential(nn.Linear(width, 16), nn.GELU(), nn.Linear(16, width))
        self.head = nn.Linear(width, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = x + self.tokens(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return self.head((x + self.channels(self.norm2(x))).mean(1))


class Squeezed(nn.Module):
    """Depthwise and dilated convolutions, a gate of each channel, group normalisation, a trained scale of each channel."""

    def __init__(self) -> None:
        super().__init__()
        self.deep, self.wide = nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.Conv2d(4, 6, 3, padding=2, dilation=2)
        self.norm, self.down, self.up = nn.GroupNorm(2, 6), nn.Linear(6, 2), nn.Linear(2, 6)
        self.gamma, self.head = nn.Parameter(torch.randn(6, 1, 1)), nn.Linear(24, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.gamma * self.norm(self.wide(functional.silu(self.deep(x))))
        gate = torch.sigmoid(self.up(torch.relu(self.down(x.mean((2, 3))))))
        return self.head(functional.adaptive_max_pool2d(x * gate[:, :, None, None], 2).flatten(1))


def read_models() -> dict[str, tuple[nn.Module, Tensor]]:
    """Name to (model, input): networks that people train, every operation of which has a record."""
    torch.manual_seed(12)
    return {
        "ResNet-18": (ResNet18(), torch.randn(1, 3, 32, 32)),
        "ViT": (SmallViT(), torch.randn(1, 3, 6, 6)),
        "GPT": (SmallGPT(), torch.tensor([[3, 1, 4, 1, 5, 9]])),
        "U-Net": (SmallUNet(), torch.randn(1, 2, 4, 6)),
        "SwiGLU": (SwiGLU(), torch.randn(1, 5, 6)),
        "MLP-Mixer": (SmallMixer(), torch.randn(1, 3, 6, 6)),
        "squeezed": (Squeezed(), torch.randn(1, 4, 6, 6)),
    }
