"""Other models that people train, at full size with random weights: of texts from transformers, U-Net, LSTM, two inputs."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.written import Autoencoder, Burgers, GraphConvolution, Mamba, Siren, bound

Made = tuple[nn.Module, Any, dict[str, Any]]
"""A model, its data, and what else ``analyze`` is told."""


def _text(model: str, configuration: str, vocabulary: int, **sizes: Any) -> Made:
    """Tokens in, labels for every token: 4 texts of 128."""
    library = importlib.import_module("transformers")
    made = getattr(library, model)(getattr(library, configuration)(**sizes))
    tokens = torch.randint(vocabulary, (4, 128))
    return made, {"input_ids": tokens, "labels": tokens}, {}


class LSTM(nn.Module):
    """Embedding, two bidirectional layers of width 512, a class for every text."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(20_000, 300)
        self.layers = nn.LSTM(300, 512, 2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(1024, 20)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.layers(self.table(tokens))[0].mean(1))


def _graphs(count: int, nodes: int) -> tuple[Tensor, Tensor]:
    """Graphs of about three edges a node, and 32 features of each."""
    edges = (torch.rand(count, nodes, nodes) < 1.5 / nodes).float().triu(1)
    return edges + edges.transpose(1, 2), torch.randn(count, nodes, 32)


def _twice(inputs: int, outputs: int) -> nn.Sequential:
    sizes = ((inputs, outputs), (outputs, outputs))
    layers = [(nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU()) for a, b in sizes]
    return nn.Sequential(*(layer for three in layers for layer in three))


class UNet(nn.Module):
    """Four levels of 32 to 256 channels, a class for every pixel. Source: Ronneberger, Fischer, Brox, MICCAI 2015."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        widths = (32, 64, 128, 256)
        self.down = nn.ModuleList(_twice(a, b) for a, b in zip((3, *widths), widths, strict=False))
        self.up = nn.ModuleList(_twice(a + b, a) for a, b in pairwise(widths))
        self.head = nn.Conv2d(widths[0], classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for level, block in enumerate(self.down):
            x = block(x if level == 0 else nn.functional.max_pool2d(x, 2))
            kept.append(x)
        for level in reversed(range(len(self.up))):
            x = torch.cat([kept[level], nn.functional.interpolate(x, scale_factor=2.0)], 1)
            x = self.up[level](x)
        return self.head(x)


class DeepONet(nn.Module):
    """A function at 100 points and a place: the product of two perceptrons. Source: Lu et al., Nat. Mach. Intell. 2021."""

    def __init__(self, width: int = 256) -> None:
        super().__init__()
        branch = nn.Linear(100, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, width)
        trunk = nn.Linear(2, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, width)
        self.branch, self.trunk = nn.Sequential(*branch), nn.Sequential(*trunk)

    def forward(self, function: Tensor, place: Tensor) -> Tensor:
        return (self.branch(function) * self.trunk(place)).sum(1, keepdim=True)


OTHERS: Mapping[str, Callable[[], Made]] = {
    "GPT-2 small": lambda: _text("GPT2LMHeadModel", "GPT2Config", 50_257),
    "BERT-base": lambda: _text("BertForMaskedLM", "BertConfig", 30_522),
    "Llama-like": lambda: _text(
        *("LlamaForCausalLM", "LlamaConfig", 16_000),
        **{"vocab_size": 16_000, "hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 12},
        num_attention_heads=12,
    ),
    "T5-small": lambda: _text("T5ForConditionalGeneration", "T5Config", 32_000, decoder_start_token_id=0),
    "BiLSTM": lambda: (LSTM(), (torch.randint(20_000, (16, 128)), torch.randint(20, (16,))), {}),
    "U-Net": lambda: (UNet(), (torch.randn(4, 3, 128, 128), torch.randint(10, (4, 128, 128))), {}),
    "DeepONet": lambda: (
        DeepONet(),
        ((torch.randn(64, 100), torch.rand(64, 2)), torch.randn(64, 1)),
        {"loss": "mse"},
    ),
    "Mamba": lambda: (Mamba(), (torch.randint(16_000, (4, 128)), torch.randint(16_000, (4, 128))), {}),
    "Graph convolution": lambda: (GraphConvolution(), (_graphs(64, 30), torch.randint(10, (64,))), {}),
    "Siren": lambda: (Siren(), (2 * torch.rand(256, 2) - 1, torch.rand(256, 3)), {"loss": "mse", "batch": 256}),
    "PINN": lambda: (Burgers(), (torch.rand(256, 2), torch.zeros(256, 1)), {"loss": "mse", "batch": 256}),
    "VAE": lambda: (Autoencoder(), (images := torch.rand(64, 784), images), {"loss": bound}),
}
"""Name to a function that makes the model with its data."""
