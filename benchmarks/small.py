"""Fourteen kinds of models that people train, so small that their Gauss–Newton matrix can be written down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.case import Case
from benchmarks.further import FURTHER
from benchmarks.language import DeepONet
from benchmarks.written import Autoencoder, Burgers, GraphConvolution, Mamba, Siren, bound
from freeness.torch import batch_of
from freeness.torch.request.packing import packed


class Residual(nn.Module):
    """x + f(x), then relu where that is asked for."""

    def __init__(self, branch: nn.Module, last: nn.Module | None = None) -> None:
        super().__init__()
        self.branch, self.last = branch, last or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Of any shape."""
        return self.last(x + self.branch(x))


class Attention(nn.Module):
    """Self-attention of two heads; of texts each place sees those before it."""

    def __init__(self, width: int, causal: bool) -> None:
        super().__init__()
        self.into, self.out, self.causal = nn.Linear(width, 3 * width), nn.Linear(width, width), causal

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, width)."""
        heads = (part.unflatten(2, (2, -1)).transpose(1, 2) for part in self.into(x).chunk(3, 2))
        return self.out(
            functional.scaled_dot_product_attention(*heads, is_causal=self.causal).transpose(1, 2).flatten(2)
        )


def _block(width: int, causal: bool) -> nn.Sequential:
    wide = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
    return nn.Sequential(Residual(nn.Sequential(nn.LayerNorm(width), Attention(width, causal))), Residual(wide))


class Text(nn.Module):
    """Tokens with their places to scores of the next ones."""

    def __init__(self, tokens: int = 13, places: int = 7, width: int = 10) -> None:
        super().__init__()
        self.table, self.places = nn.Embedding(tokens, width), nn.Parameter(torch.randn(places, width))
        self.blocks, self.head = nn.Sequential(*(_block(width, True) for _ in range(2))), nn.Linear(width, tokens)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T) to (B, T, tokens)."""
        return self.head(self.blocks(self.table(x) + self.places))


class Patches(nn.Module):
    """Pictures of 8² in patches of 2², blocks over them, their mean."""

    def __init__(self, *blocks: nn.Module, width: int = 10) -> None:
        super().__init__()
        self.cut, self.blocks = nn.Conv2d(3, width, 2, 2), nn.Sequential(*blocks)
        self.head = nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, 8, 8)."""
        return self.head(self.blocks(self.cut(x).flatten(2).transpose(1, 2)).mean(1))


class Turned(nn.Module):
    """A module over the other of two axes."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, width)."""
        return self.inner(x.transpose(1, 2)).transpose(1, 2)


class Sequences(nn.Module):
    """A bidirectional LSTM and a class from its mean."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.LSTM(4, 8, batch_first=True, bidirectional=True), nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, 4)."""
        return self.head(self.layer(x)[0].mean(1))


class Down(nn.Module):
    """A U-Net of two levels, a class for every pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 8, 3, padding=1)
        self.up, self.head = nn.Conv2d(14, 6, 3, padding=1), nn.Conv2d(6, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, 6, 6)."""
        fine = torch.relu(self.first(x))
        coarse = torch.relu(self.second(functional.max_pool2d(fine, 2)))
        return self.head(torch.relu(self.up(torch.cat([fine, functional.interpolate(coarse, scale_factor=2.0)], 1))))


def _mixer() -> Patches:
    over = nn.Sequential(nn.LayerNorm(10), Turned(nn.Sequential(nn.Linear(16, 20), nn.GELU(), nn.Linear(20, 16))))
    along = nn.Sequential(nn.LayerNorm(10), nn.Linear(10, 20), nn.GELU(), nn.Linear(20, 10))
    return Patches(Residual(over), Residual(along))


def _convolutions(residual: bool) -> nn.Sequential:
    def one(a: int, b: int) -> list[nn.Module]:
        return [nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b) if residual else nn.Identity(), nn.ReLU()]

    if residual:
        middle = [Residual(nn.Sequential(*one(6, 6), *one(6, 6)[:2]), nn.ReLU()) for _ in range(2)]
    else:
        middle = [*one(6, 8), nn.MaxPool2d(2)]
    pooled = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6 if residual else 8, 5)
    return nn.Sequential(*one(3, 6), *middle, *pooled)


def _pictures(model: nn.Module) -> Case:
    return Case(model, torch.randn(16, 3, 8, 8), torch.randint(5, (16,)))


def _tokens(model: nn.Module) -> Case:
    tokens = torch.randint(13, (16, 7))
    return Case(model, tokens, tokens.roll(-1, 1))


def _graphs(model: nn.Module) -> Case:
    edges = (torch.rand(16, 6, 6) < 0.3).double().triu(1)
    return Case(model, (edges + edges.transpose(1, 2), torch.randn(16, 6, 4)), torch.randint(5, (16,)))


def _perceptron() -> Case:
    layers = nn.Linear(12, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 6)
    return Case(nn.Sequential(*layers), torch.randn(32, 12), torch.randint(6, (32,)))


SMALL: Mapping[str, Callable[[], Case]] = {
    "MLP": _perceptron,
    "CNN": lambda: _pictures(_convolutions(False)),
    "ResNet with batch normalisation": lambda: _pictures(_convolutions(True)),
    "GPT": lambda: _tokens(Text()),
    "ViT": lambda: _pictures(Patches(_block(10, False), _block(10, False))),
    "Mixer": lambda: _pictures(_mixer()),
    "BiLSTM": lambda: Case(Sequences(), torch.randn(16, 9, 4), torch.randint(5, (16,))),
    "U-Net": lambda: Case(Down(), torch.randn(8, 3, 6, 6), torch.randint(4, (8, 6, 6))),
    "DeepONet": lambda: Case(DeepONet(12), (torch.randn(32, 100), torch.rand(32, 2)), torch.randn(32, 1), "mse"),
    "VAE": lambda: Case(Autoencoder(20, 16, 3), images := torch.rand(16, 20), images, bound),
    "PINN": lambda: Case(Burgers(12, 3), torch.rand(40, 2), torch.zeros(40, 1), "mse"),
    "graph convolution": lambda: _graphs(GraphConvolution(4, 10, 5)),
    "Mamba-like": lambda: _tokens(Mamba(13, 10, 2)),
    "Siren": lambda: Case(Siren(24, 3), 2 * torch.rand(64, 2) - 1, torch.rand(64, 3), "mse"),
}
"""Name to what makes the case; everything is drawn in the default dtype."""

CASES = {**SMALL, **FURTHER}


def drawn(name: str, seed: int = 0) -> Case:
    """A case in float64."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            return CASES[name]()
        finally:
            torch.set_default_dtype(before)


def one_input(case: Case) -> tuple[nn.Module, Tensor]:
    """The model of one tensor, and that tensor."""
    if isinstance(case.inputs, Tensor):
        return case.model, case.inputs
    return packed(case.model, batch_of((case.inputs, case.targets), case.model))


def exact_sharpness(case: Case) -> float:
    """λ_max of JᵀHJ/B written down: J row by row, H by differentiating the mean loss twice, no code of freeness."""
    model = case.model.train()
    inputs = case.inputs if isinstance(case.inputs, tuple) else (case.inputs,)
    if isinstance(model, Burgers):
        inputs = tuple(one.clone().requires_grad_() for one in inputs)
    torch.manual_seed(0)  # noise is that of a first forward pass, as in every product
    kept = {name: buffer.clone() for name, buffer in model.named_buffers()}
    returned = torch.func.functional_call(model, kept, inputs)  # what is written is written to copies
    parts = returned if isinstance(returned, tuple) else (returned,)
    outputs = torch.cat([part.flatten() for part in parts])
    parameters = [one for one in model.parameters() if one.requires_grad]
    rows = []
    for one in outputs:
        found = torch.autograd.grad(one, parameters, retain_graph=True, materialize_grads=True)
        rows.append(torch.cat([part.flatten() for part in found]))
    jacobian = torch.stack(rows)

    def value(numbers: Tensor) -> Tensor:
        split = numbers.split([part.numel() for part in parts])
        given = [one.reshape(part.shape) for one, part in zip(split, parts, strict=True)]
        loss = case.loss
        if not isinstance(loss, str):
            return loss(tuple(given), case.targets)
        if loss == "mse":
            return (given[0] - case.targets).square().mean()
        axis = 1 if given[0].ndim == 4 else -1
        logits = given[0].movedim(axis, -1).flatten(0, -2)
        return functional.cross_entropy(logits, case.targets.flatten())

    hessian: Any = torch.autograd.functional.hessian(value, outputs.detach())
    values, vectors = torch.linalg.eigh(hessian)
    half = (vectors * values.clamp(min=0).sqrt()).T @ jacobian
    return float(torch.linalg.eigvalsh(half @ half.T)[-1])
