"""Small models drawn at random, with anything that theory covers in front of the first weights.

Scales and shifts of normalisations, which the theory of Θ does not count, are left out.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

ACTIVATIONS = (nn.Tanh, nn.ReLU, nn.GELU, nn.Hardtanh)


class Skip(nn.Module):
    """x + scale·branch(x)."""

    def __init__(self, branch: nn.Module, scale: float) -> None:
        super().__init__()
        self.branch, self.scale = branch, scale

    def forward(self, x: Tensor) -> Tensor:
        return x + self.scale * self.branch(x)


class Arrangement:
    """Model and input number ``seed``: a prefix, a body that is a chain or residual, a head; weights are drawn apart."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.convolutional = self._one(3) == 0
        self.width = 48 if self.convolutional else 60 + 20 * self._one(3)
        shape = (self.width, 4) if self.convolutional else (self.width,)
        self.x = (0.7 + 0.3 * self._one(3)) * torch.randn(shape, generator=self.generator, dtype=torch.float64)
        self.described: list[str] = []
        self.model = nn.Sequential(*self._layers()).double().eval()

    def drawn(self, seed: int) -> nn.Module:
        """The model with new weights."""
        generator = torch.Generator().manual_seed(seed)
        for module in self.model.modules():
            if isinstance(module, nn.Linear | nn.Conv1d):
                size = 1.3 * module.weight[0].numel() ** -0.5
                with torch.no_grad():
                    module.weight.copy_(
                        size * torch.randn(module.weight.shape, generator=generator, dtype=torch.float64)
                    )
        return self.model

    def _one(self, of: int) -> int:
        return int(torch.randint(of, (1,), generator=self.generator))

    def _say(self, what: str, *modules: nn.Module) -> list[nn.Module]:
        self.described.append(what)
        return list(modules)

    def _bend(self) -> nn.Module:
        return ACTIVATIONS[self._one(len(ACTIVATIONS))]()

    def _weights(self) -> nn.Module:
        if self.convolutional:
            return nn.Conv1d(self.width, self.width, 3, padding=1, padding_mode="circular", bias=False)
        return nn.Linear(self.width, self.width, bias=False)

    def _block(self, kind: int) -> list[nn.Module]:
        """A skip connection over activation and weights, in one order or the other."""
        bend, weights = self._bend(), self._weights()
        inner = nn.Sequential(bend, weights) if kind else nn.Sequential(weights, bend, self._weights())
        return self._say("skip", Skip(inner, 0.5))

    def _prefix(self) -> list[nn.Module]:
        kinds = ["skip", "bend", "norm"] + (["pool"] if self.convolutional else [])
        kind = kinds[self._one(len(kinds))]
        if kind == "skip":
            return self._block(self._one(2))
        if kind == "bend":
            return self._say("activation", self._bend())
        if kind == "pool":
            return self._say("pooling", nn.AvgPool1d(2))
        if self.convolutional:
            return self._say("group norm", nn.GroupNorm(1, self.width, affine=False))
        return self._say("layer norm", nn.LayerNorm(self.width, elementwise_affine=False))

    def _layers(self) -> list[nn.Module]:
        layers = [module for _ in range(1 + self._one(2)) for module in self._prefix()]
        for _ in range(1 + self._one(2)):
            if self._one(2):
                layers += self._block(self._one(2))
            else:
                layers += self._say("weights", self._weights(), self._bend())
        if self.convolutional:
            layers += [self._weights(), self._bend(), nn.AdaptiveAvgPool1d(1), nn.Flatten()]
        return [*layers, nn.Linear(self.width, self.width // 2, bias=False)]
