"""Trains Transformers from the starts that `freeness transformer` compares, to see whether its order is that of training.

``python scripts/transformer_training.py`` trains causal Transformers (width 64, 32 tokens) on the source of Python's standard
library, 300 steps of Adam on batches of eight, of 12 and of 48 blocks, from six starts, at three rates, and writes
docs/transformer-training.json after every run; what is there already is not run again. ``--show`` prints the table and the rank
correlation between what theory says changes from end to end and the least loss over the rates.

What changes: |ln growth of squared gradients| + |ln (1 - cosine of two tokens) at the end over that at the input|.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn
from torch.nn import functional

from freeness.advice import TransformerStart, design_transformer
from freeness.network import TransformerPlan
from freeness.show.files import write_atomically

STORE = Path(__file__).resolve().parents[1] / "docs" / "transformer-training.json"
WIDTH, HEADS, TOKENS, HIDDEN, SYMBOLS = 64, 4, 32, 128, 128
BATCH, STEPS, LAST = 8, 300, 50  # steps whose mean loss is told
DEPTHS, RATES, COSINE = (12, 48), (1e-3, 3e-3, 3e-4), 0.25
DIVERGED = 10.0


class Block(nn.Module):
    """Attention and an MLP, each β·branch beside α·x, with a norm in front of the branch, behind the sum, or none."""

    def __init__(self, start: TransformerStart) -> None:
        super().__init__()
        self.start = start
        sizes = {"q": (WIDTH, WIDTH), "k": (WIDTH, WIDTH), "v": (WIDTH, WIDTH), "o": (WIDTH, WIDTH)}
        sizes |= {"up": (WIDTH, HIDDEN), "down": (HIDDEN, WIDTH)}
        self.weights = nn.ParameterDict({name: drawn(*size) for name, size in sizes.items()})
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2 if start.norm != "none" else 0))
        if start.branch == 0:  # zeros that are trained, as a scale of 0 is
            for name in ("o", "down"):
                nn.init.zeros_(self.weights[name])

    def forward(self, x: Tensor) -> Tensor:
        """Of (n, tokens, width)."""
        for number, branch in enumerate((self.attention, self.mlp)):
            inside = self.norms[number](x) if self.start.norm == "pre" else x
            x = self.start.skip * x + (self.start.branch or 1.0) * branch(inside)
            if self.start.norm == "post":
                x = self.norms[number](x)
        return x

    def attention(self, x: Tensor) -> Tensor:
        """Causal, of four heads."""
        parts = ((x @ self.weights[name]).unflatten(-1, (HEADS, -1)).transpose(1, 2) for name in "qkv")
        mixed = functional.scaled_dot_product_attention(*parts, is_causal=True)
        return mixed.transpose(1, 2).flatten(-2) @ self.weights["o"]

    def mlp(self, x: Tensor) -> Tensor:
        """W₂ gelu(W₁x)."""
        return functional.gelu(x @ self.weights["up"]) @ self.weights["down"]


class Model(nn.Module):
    """Symbols in, logits out."""

    def __init__(self, start: TransformerStart, depth: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(SYMBOLS, WIDTH) * 0.5**0.5)
        self.places = nn.Parameter(torch.randn(TOKENS, WIDTH) * 0.5**0.5)
        self.blocks = nn.Sequential(*(Block(start) for _ in range(depth)))
        self.norm = nn.Identity() if start.norm == "post" else nn.LayerNorm(WIDTH)
        self.out = drawn(WIDTH, SYMBOLS)

    def forward(self, tokens: Tensor) -> Tensor:
        """Of (n, tokens)."""
        return self.norm(self.blocks(self.table[tokens] + self.places)) @ self.out


def drawn(fan_in: int, fan_out: int) -> nn.Parameter:
    """Gaussian, of variance 1/fan-in."""
    return nn.Parameter(torch.randn(fan_in, fan_out) / fan_in**0.5)


def text() -> Tensor:
    """The first two megabytes of the standard library's source."""
    files = sorted(Path(os.__file__).parent.glob("*.py"))
    found = b"".join(path.read_bytes() for path in files)[: 2 * 10**6]
    return torch.from_numpy(np.minimum(np.frombuffer(found, dtype=np.uint8), SYMBOLS - 1).astype(np.int64))


@dataclass(frozen=True)
class Run:
    """What is trained."""

    start: TransformerStart
    depth: int
    rate: float

    @property
    def key(self) -> str:
        return f"{self.start.name} · {self.depth} · {self.rate:g}"

    def loss(self, source: Tensor) -> float:
        """Mean over the last steps, infinite where training diverged."""
        torch.manual_seed(0)
        model = Model(self.start, self.depth)
        optimizer = torch.optim.Adam(model.parameters(), lr=self.rate)
        losses: list[float] = []
        for _ in range(STEPS):
            first = torch.randint(len(source) - TOKENS - 1, (BATCH, 1)) + torch.arange(TOKENS + 1)
            both = source[first]
            loss = functional.cross_entropy(model(both[:, :-1]).flatten(0, 1), both[:, 1:].flatten())
            losses.append(loss.item())
            if not losses[-1] < DIVERGED * math.log(SYMBOLS):
                return math.inf
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return float(np.mean(losses[-LAST:]))


class Store:
    """Losses by the keys of runs, and the starts of every depth with what theory says of them."""

    def __init__(self) -> None:
        known = json.loads(STORE.read_text()) if STORE.exists() else {"starts": {}, "losses": {}}
        self.losses: dict[str, float] = known["losses"]
        self._starts: dict[str, list[dict[str, Any]]] = known["starts"]

    def starts(self, depth: int) -> tuple[TransformerStart, ...]:
        """The design and the usual ones."""
        if str(depth) not in self._starts:
            found = design_transformer(TransformerPlan(depth, WIDTH, HEADS, TOKENS, causal=True, hidden=HIDDEN), COSINE)
            self._starts[str(depth)] = [vars(start) for start in (found.chosen, *found.usual)]
            self.save()
        return tuple(TransformerStart(**start) for start in self._starts[str(depth)])

    def save(self) -> None:
        """As it is now."""
        write_atomically(STORE, json.dumps({"starts": self._starts, "losses": self.losses}, indent=1))


def change(start: TransformerStart) -> float:
    """From end to end, of gradients and of what tells tokens apart."""
    apart = max(1 - start.cosine, 1e-12) / (1 - COSINE)
    return abs(math.log(max(start.gradient, 1e-300))) + abs(math.log(apart))


def show(store: Store) -> None:
    """The table of what is known."""
    known = store.losses
    for depth in DEPTHS:
        rows = []
        for start in store.starts(depth):
            losses = [known[key] for rate in RATES if (key := Run(start, depth, rate).key) in known]
            if losses:
                rows.append((start, change(start), losses))
        for start, told, losses in sorted(rows, key=lambda row: row[1]):
            numbers = " | ".join(f"{loss:.3f}" for loss in losses)
            print(f"| {depth} | {start.name} | {start.gradient:.3g} | {start.cosine:.3f} | {told:.2f} | {numbers} |")
        if len(rows) > 2:
            for column in range(min(len(losses) for *_, losses in rows)):
                found = spearmanr([row[1] for row in rows], [row[2][column] for row in rows]).statistic
                print(f"rank correlation at rate {RATES[column]:g}: {found:.2f}")
            found = spearmanr([row[1] for row in rows], [min(row[2]) for row in rows]).statistic
            print(f"rank correlation of the best rates: {found:.2f}")


def main() -> int:
    """Train what is missing, or show what is known."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--show", action="store_true", help="Print the table alone.")
    options.add_argument("--rates", type=int, default=len(RATES), help="How many of the rates.")
    asked = options.parse_args()
    store = Store()
    if asked.show:
        show(store)
        return 0
    torch.set_num_threads(1)
    source = text()
    for rate in RATES[: asked.rates]:
        for depth in DEPTHS:
            for start in store.starts(depth):
                run = Run(start, depth, rate)
                if run.key not in store.losses:
                    store.losses[run.key] = run.loss(source)
                    store.save()
    show(store)
    return 0


if __name__ == "__main__":
    sys.exit(main())
