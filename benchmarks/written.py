"""Published models in plain torch: selective scan, graph convolution, sines, residuals of an equation, noisy codes."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional


class SelectiveScan(nn.Module):
    """x + a state space whose step, input and output depend on x. Source: Gu, Dao, Mamba, 2023, algorithm 2 and figure 3."""

    def __init__(self, width: int, state: int = 16, window: int = 4) -> None:
        super().__init__()
        inner, rank = 2 * width, -(-width // 16)
        self.norm, self.into = nn.RMSNorm(width), nn.Linear(width, 2 * inner, bias=False)
        self.mixed = nn.Conv1d(inner, inner, window, groups=inner, padding=window - 1)
        self.selected, self.step = nn.Linear(inner, rank + 2 * state, bias=False), nn.Linear(rank, inner)
        self.decay = nn.Parameter(torch.arange(1.0, state + 1).repeat(inner, 1).log())
        self.skip, self.out = nn.Parameter(torch.ones(inner)), nn.Linear(inner, width, bias=False)
        self.sizes = (rank, state, state)
        with torch.no_grad():  # steps of .001 to .1, through the softplus
            steps = torch.exp(torch.rand(inner) * 4.605 - 6.908)
            self.step.bias.copy_(steps + torch.log(-torch.expm1(-steps)))

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, width)."""
        signal, gate = self.into(self.norm(x)).chunk(2, -1)
        signal = functional.silu(self.mixed(signal.transpose(1, 2))[..., : x.shape[1]]).transpose(1, 2)
        low, given, read = self.selected(signal).split(self.sizes, -1)
        step = functional.softplus(self.step(low))
        kept = torch.exp(-step[..., None] * torch.exp(self.decay))
        added = (step * signal)[..., None] * given[:, :, None]
        state, seen = torch.zeros_like(added[:, 0]), []
        for factor, new, along in zip(kept.unbind(1), added.unbind(1), read.unbind(1), strict=True):
            state = factor * state + new
            seen.append((state * along[:, None]).sum(-1))
        return x + self.out((torch.stack(seen, 1) + self.skip * signal) * functional.silu(gate))


class Mamba(nn.Module):
    """Tokens in, scores of the next token out; the table of tokens is used at both ends."""

    def __init__(self, tokens: int = 16_000, width: int = 384, depth: int = 8) -> None:
        super().__init__()
        self.table = nn.Embedding(tokens, width)
        nn.init.normal_(self.table.weight, std=0.02)
        self.blocks = nn.Sequential(*(SelectiveScan(width) for _ in range(depth)))
        self.norm = nn.RMSNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) to (B, T, tokens)."""
        return functional.linear(self.norm(self.blocks(self.table(tokens))), self.table.weight)


class GraphConvolution(nn.Module):
    """A class for every graph: X ← relu(D^{-1/2}(A + 1)D^{-1/2} X W), three times, then the mean. Source: Kipf, Welling, 2017."""

    def __init__(self, features: int = 32, width: int = 128, classes: int = 10) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, width) for a in (features, width, width))
        self.head = nn.Linear(width, classes)

    def forward(self, adjacency: Tensor, features: Tensor) -> Tensor:
        """(B, nodes, nodes) and (B, nodes, features)."""
        joined = adjacency + torch.eye(adjacency.shape[-1], device=adjacency.device, dtype=adjacency.dtype)
        root = joined.sum(-1).rsqrt()
        spread = root[..., None] * joined * root[:, None]
        x = features
        for layer in self.layers:
            x = torch.relu(spread @ layer(x))
        return self.head(x.mean(1))


class Siren(nn.Module):
    """A picture as a function of the place. Source: Sitzmann et al., NeurIPS 2020, with its start."""

    def __init__(self, width: int = 256, depth: int = 4, frequency: float = 30.0) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, width) for a in (2, *[width] * (depth - 1)))
        self.head, self.frequency = nn.Linear(width, 3), frequency
        with torch.no_grad():
            nn.init.uniform_(self.layers[0].weight, -0.5, 0.5)  # type: ignore[arg-type]
            for layer in (*self.layers[1:], self.head):
                end = (6 / width) ** 0.5 / frequency
                nn.init.uniform_(layer.weight, -end, end)  # type: ignore[arg-type]

    def forward(self, places: Tensor) -> Tensor:
        """(B, 2)."""
        x = places
        for layer in self.layers:
            x = torch.sin(self.frequency * layer(x))
        return self.head(x)


class Burgers(nn.Module):
    """u_t + u·u_x - ν·u_xx of a network u(x, t). Source: Raissi, Perdikaris, Karniadakis, J. Comput. Phys. 378 (2019)."""

    def __init__(self, width: int = 50, depth: int = 5, viscosity: float = 0.01) -> None:
        super().__init__()
        sizes = [2, *[width] * depth]
        layers = [each for a, b in pairwise(sizes) for each in (nn.Linear(a, b), nn.Tanh())]
        self.net, self.viscosity = nn.Sequential(*layers, nn.Linear(width, 1)), viscosity

    def forward(self, places: Tensor) -> Tensor:
        """(B, 2), which carry derivatives, to the residuals (B, 1)."""
        u = self.net(places)
        (first,) = torch.autograd.grad(u.sum(), places, create_graph=True)
        (second,) = torch.autograd.grad(first[:, 0].sum(), places, create_graph=True)
        return first[:, 1:] + u * first[:, :1] - self.viscosity * second[:, :1]


class Autoencoder(nn.Module):
    """Images of 784 pixels through noisy codes of 20 numbers. Source: Kingma, Welling, ICLR 2014."""

    def __init__(self, pixels: int = 784, width: int = 400, code: int = 20) -> None:
        super().__init__()
        self.encoder, self.mean, self.spread = nn.Linear(pixels, width), nn.Linear(width, code), nn.Linear(width, code)
        self.decoder = nn.Sequential(nn.Linear(code, width), nn.ReLU(), nn.Linear(width, pixels))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B, pixels) to logits, mean and logarithm of the variance of the code."""
        h = torch.relu(self.encoder(x))
        mean, spread = self.mean(h), self.spread(h)
        return self.decoder(mean + torch.randn_like(mean) * torch.exp(spread / 2)), mean, spread


def bound(returned: tuple[Tensor, Tensor, Tensor], pixels: Tensor) -> Tensor:
    """Minus the evidence's lower bound, per sample. Source: Kingma, Welling, ICLR 2014, appendix B."""
    logits, mean, spread = returned
    likelihood = functional.binary_cross_entropy_with_logits(logits, pixels, reduction="none").sum(1)
    divergence = 0.5 * (mean.square() + spread.exp() - 1 - spread).sum(1)
    return (likelihood + divergence).mean()
