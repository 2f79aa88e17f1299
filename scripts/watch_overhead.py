"""What a watch costs at its default: pairs of one training, watched and not, by the time of the processor.

    python scripts/watch_overhead.py [PAIRS STEPS [NAME …]]

ResNet-18 on images of 32² and a GPT of 4 blocks, on drawn data, whose two trainings are stepped in turn. A line a pair: seconds
without and with the watch, their ratio, what the watch itself tells, and which visits were in the run; then the median.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn import functional

from freeness.torch import Watch

Batch = tuple[Tensor, Tensor]


class Basic(nn.Module):
    """The block of ResNet-18."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.one, self.two = _convolved(before, after, stride), _convolved(after, after, 1)
        same = stride == 1 and before == after
        self.skip = (
            nn.Identity()
            if same
            else nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.skip(x) + self.two(torch.relu(self.one(x))))


def _convolved(before: int, after: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after))


def resnet() -> nn.Module:
    """ResNet-18 as it is used on images of 32²."""
    widths = ((64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2))
    blocks = [Basic(*sizes) for sizes in (*widths, (512, 512, 1))]
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))
    return nn.Sequential(_convolved(3, 64, 1), nn.ReLU(), *blocks, *head)


class Gpt(nn.Module):
    """Four blocks over tokens."""

    def __init__(self, words: int = 64, width: int = 64, length: int = 32) -> None:
        super().__init__()
        self.embed, self.place = nn.Embedding(words, width), nn.Parameter(0.02 * torch.randn(length, width))
        block = [
            nn.TransformerEncoderLayer(width, 4, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True)
            for _ in range(4)
        ]
        self.blocks, self.norm, self.head = nn.ModuleList(block), nn.LayerNorm(width), nn.Linear(width, words)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(length))

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x) + self.place
        for block in self.blocks:
            h = block(h, src_mask=self.mask, is_causal=True)
        return self.head(self.norm(h)).transpose(1, 2)


def images(draw: torch.Generator) -> Batch:
    """Two of them: time is what counts here."""
    return torch.randn(2, 3, 32, 32, generator=draw), torch.randint(10, (2,), generator=draw)


def text(draw: torch.Generator) -> Batch:
    """Tokens and those that follow."""
    tokens = torch.randint(64, (8, 33), generator=draw)
    return tokens[:, :-1], tokens[:, 1:]


TRAININGS: dict[str, tuple[Callable[[], nn.Module], Callable[[torch.Generator], Batch], str]] = {
    "GPT of 4 blocks": (Gpt, text, "adamw"),
    "ResNet-18": (resnet, images, "momentum"),
}


def made(name: str, seed: int) -> tuple[nn.Module, torch.optim.Optimizer]:
    """One of two trainings alike."""
    torch.manual_seed(seed)
    make, _, optimizer = TRAININGS[name]
    model = make()
    if optimizer == "adamw":
        return model, torch.optim.AdamW(model.parameters(), lr=1e-3)
    return model, torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)


def trained(model: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch, watch: Watch | None) -> float:
    """A step; seconds of the processor."""
    begun = time.process_time()
    x, y = batch
    optimizer.zero_grad()
    loss = functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    if watch is not None:
        watch.step(batch, loss)
    return time.process_time() - begun


def run(name: str, seed: int, steps: int) -> tuple[float, float, Watch]:
    """Seconds without and with the watch, whose steps take turns, so that both meet the same noise."""
    drawn, draw = TRAININGS[name][1], torch.Generator().manual_seed(seed)
    alone, (model, optimizer) = made(name, seed), made(name, seed)
    watch = Watch(model, optimizer)
    watch.expect(steps)
    plain = watched = 0.0
    for step in range(steps):
        batch = drawn(draw)
        for turn in (step % 2, 1 - step % 2):
            begun = time.perf_counter()
            if turn:
                watched += trained(model, optimizer, batch, watch)
            else:
                plain += trained(*alone, batch, None)
                if watch._last is not None:  # the other training's step is none of its time
                    watch._last += time.perf_counter() - begun
    return plain, watched, watch


def main(pairs: int, steps: int, *names: str) -> None:
    """All pairs."""
    for name in names or TRAININGS:
        ratios: list[float] = []
        for seed in range(pairs):
            plain, watched, watch = run(name, seed, steps)
            ratios.append(watched / plain - 1)
            visits = [record.step for record in watch.records]
            told = f"{name}: {plain:.2f} s, {watched:.2f} s, {ratios[-1]:+.2%}, told {watch.overhead:.2%}"
            print(f"{told}, visits {visits}", flush=True)
        print(f"{name}: median {median(ratios):+.2%}", flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    pairs, steps, *names = sys.argv[1:] or ("3", "250")
    main(int(pairs), int(steps), *names)
