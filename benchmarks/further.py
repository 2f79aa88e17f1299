"""Twenty-five kinds of small models that nobody named: whatever a user may put into a forward pass or a loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

from benchmarks.case import Case


class Made(nn.Module):
    """Modules by name, and a function of them and the inputs."""

    def __init__(self, run: Callable[..., object], **parts: nn.Module | nn.Parameter) -> None:
        super().__init__()
        self.run = run
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *inputs: Tensor) -> object:
        """As the function says."""
        return self.run(self, *inputs)


def _wide(*sizes: int, act: Callable[[], nn.Module] = nn.Tanh) -> nn.Sequential:
    layers = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), act())]
    return nn.Sequential(*layers[:-1])


def _classes(model: nn.Module, *inputs: Tensor, classes: int = 5) -> Case:
    given = inputs or (torch.randn(16, 8),)
    return Case(model, given if len(given) > 1 else given[0], torch.randint(classes, (len(given[0]),)))


def _numbers(model: nn.Module, x: Tensor, outputs: int = 3) -> Case:
    return Case(model, x, torch.randn(len(x), outputs), "mse")


def _tied() -> Case:
    def run(self: Made, x: Tensor) -> Tensor:
        return functional.linear(torch.tanh(self.inner(x)), self.inner.weight.T)

    x = torch.randn(16, 8)
    return Case(Made(run, inner=nn.Linear(8, 6)), x, x, "mse")


def _two_losses() -> Case:
    def run(self: Made, x: Tensor) -> tuple[Tensor, Tensor]:
        trunk = torch.relu(self.trunk(x))
        return self.kind(trunk), self.size(trunk)

    def loss(outputs: tuple[Tensor, Tensor], targets: Tensor) -> Tensor:
        return functional.cross_entropy(outputs[0], targets) + 0.3 * outputs[1].square().mean()

    model = Made(run, trunk=nn.Linear(8, 16), kind=nn.Linear(16, 5), size=nn.Linear(16, 2))
    return Case(model, torch.randn(16, 8), torch.randint(5, (16,)), loss)


def _adapters() -> Case:
    def run(self: Made, x: Tensor) -> Tensor:
        return self.head(torch.tanh(self.base(x) + 2.0 * self.up(self.down(x))))

    model = Made(run, base=nn.Linear(8, 16), down=nn.Linear(8, 2), up=nn.Linear(2, 16), head=nn.Linear(16, 5))
    model.get_submodule("base").requires_grad_(False)
    return _classes(model)


def _buffers() -> Case:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = _wide(8, 16, 5)
            self.register_buffer("shift", torch.randn(8))
            self.register_buffer("seen", torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            self.seen = self.seen + 1
            return self.layers(x - self.shift)

    return _classes(Scaled())


def _loop() -> Case:
    def run(self: Made, x: Tensor) -> Tensor:
        state = torch.zeros(len(x), 8, dtype=x.dtype)
        for _ in range(5):
            state = torch.tanh(self.inner(state) + self.enter(x))
            if float(state.detach().abs().mean()) > 2:
                break
        return self.head(state)

    return _classes(Made(run, inner=nn.Linear(8, 8), enter=nn.Linear(8, 8), head=nn.Linear(8, 5)))


def _unused() -> Case:
    model = Made(lambda self, x, _: self.layers(x), layers=_wide(8, 16, 5), idle=nn.Linear(3, 3))
    return _classes(model, torch.randn(16, 8), torch.randn(16, 3))


def _experts() -> Case:
    def run(self: Made, x: Tensor) -> Tensor:
        share, which = self.gate(x).softmax(1).topk(1)
        all_of_them = torch.stack([one(x) for one in self.experts], 1)
        return self.head(share * all_of_them[torch.arange(len(x)), which[:, 0]])

    experts = nn.ModuleList(_wide(8, 8, 8) for _ in range(4))
    return _classes(Made(run, gate=nn.Linear(8, 4), experts=experts, head=nn.Linear(8, 5)))


def _normed(norm: Callable[[nn.Module], nn.Module]) -> Case:
    return _classes(
        nn.Sequential(norm(nn.Linear(8, 16)), nn.ReLU(), norm(nn.Linear(16, 16)), nn.ReLU(), nn.Linear(16, 5))
    )


def _bag() -> Case:
    model = nn.Sequential(nn.EmbeddingBag(20, 8), nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 5))
    return _classes(model, torch.randint(20, (16, 6)))


def _gated() -> Case:
    model = Made(
        lambda self, x: self.head(self.layer(x)[0][:, -1]), layer=nn.GRU(4, 8, batch_first=True), head=nn.Linear(8, 5)
    )
    return _classes(model, torch.randn(16, 7, 4))


def _encoder() -> Case:
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True)
    model = Made(
        lambda self, x: self.head(self.layers(x).mean(1)),
        layers=nn.TransformerEncoder(layer, 2, enable_nested_tensor=False),
        head=nn.Linear(8, 5),
    )
    return _classes(model, torch.randn(12, 5, 8))


def _crossed() -> Case:
    def run(self: Made, x: Tensor, y: Tensor) -> Tensor:
        return self.head((x + self.mixed(x, y, y, need_weights=False)[0]).mean(1))

    model = Made(run, mixed=nn.MultiheadAttention(8, 2, batch_first=True), head=nn.Linear(8, 5))
    return _classes(model, torch.randn(16, 4, 8), torch.randn(16, 6, 8))


def _highway() -> Case:
    def run(self: Made, x: Tensor) -> Tensor:
        for gate, inner in zip(self.gates, self.inner, strict=True):
            open_ = torch.sigmoid(gate(x))
            x = open_ * torch.relu(inner(x)) + (1 - open_) * x
        return self.head(x)

    lists = {name: nn.ModuleList(nn.Linear(8, 8) for _ in range(4)) for name in ("gates", "inner")}
    return _classes(Made(run, head=nn.Linear(8, 5), **lists))


def _squeezed() -> Case:
    def run(self: Made, x: Tensor) -> Tensor:
        x = functional.silu(self.group(self.point(self.depth(x))))
        return self.head((x * torch.sigmoid(self.squeeze(x.mean((2, 3))))[..., None, None]).mean((2, 3)))

    parts = {"depth": nn.Conv2d(3, 6, 3, padding=1, groups=3), "point": nn.Conv2d(6, 8, 1), "group": nn.GroupNorm(2, 8)}
    return _classes(Made(run, squeeze=nn.Linear(8, 8), head=nn.Linear(8, 5), **parts), torch.randn(12, 3, 6, 6))


def _dilated() -> Case:
    def run(self: Made, x: Tensor) -> Tensor:
        for index, layer in enumerate(self.layers):
            gate, signal = layer(functional.pad(x, (2**index, 0))).chunk(2, 1)
            x = x + torch.sigmoid(gate) * torch.tanh(signal)
        return self.head(x.mean(2))

    layers = nn.ModuleList(nn.Conv1d(6, 12, 2, dilation=2**index) for index in range(3))
    return _classes(Made(run, layers=layers, head=nn.Linear(6, 5)), torch.randn(12, 6, 10))


def _flow_in_time() -> Case:
    def run(self: Made, x: Tensor) -> Tensor:
        for _ in range(6):  # Euler's steps of an equation whose right side is one perceptron
            x = x + 0.3 * self.slope(x)
        return self.head(x)

    return _numbers(Made(run, slope=_wide(6, 12, 6), head=nn.Linear(6, 3)), torch.randn(24, 6))


def _coupled() -> Case:
    """An affine coupling with its logarithm of the volume. Source: Dinh et al., ICLR 2017."""

    def run(self: Made, x: Tensor) -> tuple[Tensor, Tensor]:
        one, other = x.chunk(2, 1)
        scale, shift = self.net(one).chunk(2, 1)
        return torch.cat([one, other * torch.exp(torch.tanh(scale)) + shift], 1), torch.tanh(scale).sum(1, keepdim=True)

    def loss(outputs: tuple[Tensor, Tensor], _: Tensor) -> Tensor:
        return outputs[0].square().sum(1).mean() / 2 - outputs[1].mean()

    x = torch.randn(20, 6)
    return Case(Made(run, net=_wide(3, 12, 6)), x, x, loss)


def _many_labels() -> Case:
    def loss(outputs: Tensor | tuple[Tensor], targets: Tensor) -> Tensor:
        found = outputs if isinstance(outputs, Tensor) else outputs[0]
        return functional.binary_cross_entropy_with_logits(found, targets)

    return Case(_wide(8, 16, 6), torch.randn(16, 8), (torch.rand(16, 6) < 0.3).to(torch.get_default_dtype()), loss)


def _features() -> Case:
    def run(self: Made, x: Tensor) -> Tensor:
        turns = x @ self.waves
        return self.layers(torch.cat([turns.sin(), turns.cos()], 1))

    waves = nn.Parameter(3 * torch.randn(2, 8), requires_grad=False)
    return _numbers(Made(run, waves=waves, layers=_wide(16, 16, 3, act=nn.ReLU)), torch.rand(40, 2))


def _made_weights() -> Case:
    def run(self: Made, x: Tensor) -> Tensor:
        weight = self.maker(self.code).reshape(10, 6)
        return self.head(torch.tanh(x @ weight.T))

    model = Made(run, code=nn.Parameter(torch.randn(4)), maker=nn.Linear(4, 60), head=nn.Linear(10, 3))
    return _numbers(model, torch.randn(20, 6))


def _sets() -> Case:
    model = Made(
        lambda self, x: self.after(self.each(x).sum(1)), each=_wide(4, 12, 8, act=nn.ReLU), after=_wide(8, 12, 5)
    )
    return _classes(model, torch.randn(16, 7, 4))


def _messages() -> Case:
    edges = torch.randint(6, (2, 14))

    def run(self: Made, x: Tensor) -> Tensor:
        for layer in self.layers:
            sent = layer(torch.cat([x[:, edges[0]], x[:, edges[1]]], 2))
            x = torch.relu(x + torch.zeros_like(x).index_add(1, edges[1], sent))
        return self.head(x.mean(1))

    return _classes(
        Made(run, layers=nn.ModuleList(nn.Linear(12, 6) for _ in range(2)), head=nn.Linear(6, 5)), torch.randn(12, 6, 6)
    )


def _largest_of_pieces() -> Case:
    model = Made(
        lambda self, x: self.head(self.inner(x).unflatten(1, (8, 3)).amax(2)),
        inner=nn.Linear(8, 24),
        head=nn.Linear(8, 5),
    )
    return _classes(model)


def _frequencies() -> Case:
    """Products in Fourier space by trained numbers. Source: Li et al., ICLR 2021 (Fourier neural operator)."""

    def run(self: Made, x: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(x, dim=1) * torch.view_as_complex(self.kept)
        return self.head(functional.gelu(torch.fft.irfft(spectrum, n=x.shape[1], dim=1) + self.beside(x)))[..., 0]

    model = Made(run, kept=nn.Parameter(0.3 * torch.randn(7, 4, 2)), beside=nn.Linear(4, 4), head=nn.Linear(4, 1))
    return Case(model, torch.randn(16, 12, 4), torch.randn(16, 12), "mse")


FURTHER: Mapping[str, Callable[[], Case]] = {
    "tied autoencoder": _tied,
    "two losses": _two_losses,
    "adapters beside frozen layers": _adapters,
    "buffers that count": _buffers,
    "loop with an exit": _loop,
    "input that is not used": _unused,
    "sparse experts": _experts,
    "weight norm": lambda: _normed(parametrizations.weight_norm),
    "orthogonal parametrization": lambda: _normed(parametrizations.orthogonal),
    "embedding bag": _bag,
    "GRU": _gated,
    "post-norm encoder": _encoder,
    "attention of two inputs": _crossed,
    "highway": _highway,
    "squeeze and excite": _squeezed,
    "gated dilated convolutions": _dilated,
    "neural ODE": _flow_in_time,
    "normalising flow": _coupled,
    "many labels": _many_labels,
    "Fourier features": _features,
    "weights made by a network": _made_weights,
    "sets": _sets,
    "messages along edges": _messages,
    "maxout": _largest_of_pieces,
    "Fourier neural operator": _frequencies,
}
"""Name to what makes the case; everything is drawn in the default dtype."""
