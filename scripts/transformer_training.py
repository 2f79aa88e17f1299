"""Trains Transformers from the starts that `freeness transformer` compares, to see whether its order is that of training.

``python scripts/transformer_training.py`` trains causal Transformers (width 64, 32 tokens) on the source of Python's standard
library, 300 steps of Adam on batches of eight, from six starts, at three rates, and writes docs/transformer-training.json after
every run; what is there already is not run again. ``--task images`` trains the same blocks without mask on 25 patches of
Fashion-MNIST. ``--show`` prints the table and the rank correlation between the distance of each start from the design
(``TransformerDesign.ranked``) and the least loss over the rates.
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

from freeness.advice import TransformerDesign, TransformerStart, design_transformer
from freeness.data import load_fashion_mnist
from freeness.network import TransformerPlan
from freeness.show.files import write_atomically

STORE = Path(__file__).resolve().parents[1] / "docs" / "transformer-training.json"
WIDTH, HEADS, TOKENS, HIDDEN, SYMBOLS = 64, 4, 32, 128, 128
BATCH, IMAGES, STEPS, LAST = 8, 16, 300, 50  # sequences, images; steps whose mean loss is told
DEPTHS, RATES, COSINE, KEPT = (12, 24, 48), (1e-3, 3e-3, 3e-4), 0.25, 2.0
SIDE, PATCHES, CLASSES = 5, 25, 10  # of pictures of 28²: patches of 5², their number, and classes
DIVERGED = 10.0


class Block(nn.Module):
    """Attention and an MLP, each β·branch beside α·x, with a norm in front of the branch, behind the sum, or none."""

    def __init__(self, start: TransformerStart, causal: bool) -> None:
        super().__init__()
        self.start, self.causal = start, causal
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
        """Of four heads."""
        parts = ((x @ self.weights[name]).unflatten(-1, (HEADS, -1)).transpose(1, 2) for name in "qkv")
        mixed = functional.scaled_dot_product_attention(*parts, is_causal=self.causal)
        return mixed.transpose(1, 2).flatten(-2) @ self.weights["o"]

    def mlp(self, x: Tensor) -> Tensor:
        """W₂ gelu(W₁x)."""
        return functional.gelu(x @ self.weights["up"]) @ self.weights["down"]


class Model(nn.Module):
    """Symbols or patches in, logits out; of patches one answer for all."""

    def __init__(self, start: TransformerStart, depth: int, images: bool) -> None:
        super().__init__()
        self.images, tokens = images, PATCHES if images else TOKENS
        self.table = drawn(SIDE**2, WIDTH, 0.5) if images else nn.Parameter(torch.randn(SYMBOLS, WIDTH) * 0.5**0.5)
        self.places = nn.Parameter(torch.randn(tokens, WIDTH) * 0.5**0.5)
        self.blocks = nn.Sequential(*(Block(start, causal=not images) for _ in range(depth)))
        self.norm = nn.Identity() if start.norm == "post" else nn.LayerNorm(WIDTH)
        self.out = drawn(WIDTH, CLASSES if images else SYMBOLS)

    def forward(self, tokens: Tensor) -> Tensor:
        """Of symbols (n, tokens), or patches (n, tokens, pixels)."""
        first = tokens @ self.table if self.images else self.table[tokens]
        last = self.norm(self.blocks(first + self.places))
        return (last.mean(1) if self.images else last) @ self.out


def drawn(fan_in: int, fan_out: int, variance: float = 1.0) -> nn.Parameter:
    """Gaussian, of that variance over the fan-in."""
    return nn.Parameter(torch.randn(fan_in, fan_out) * (variance / fan_in) ** 0.5)


def text() -> Tensor:
    """The first two megabytes of the standard library's source."""
    files = sorted(Path(os.__file__).parent.glob("*.py"))
    found = b"".join(path.read_bytes() for path in files)[: 2 * 10**6]
    return torch.from_numpy(np.minimum(np.frombuffer(found, dtype=np.uint8), SYMBOLS - 1).astype(np.int64))


def patches() -> tuple[Tensor, Tensor]:
    """The bundled images, standardised, cut into patches (n, patches, pixels), and their labels."""
    found = load_fashion_mnist()
    inner = torch.from_numpy(found.images.astype(np.float32)).reshape(-1, 28, 28)[:, 1:-2, 1:-2]
    cut = ((inner - inner.mean()) / inner.std()).unfold(1, SIDE, SIDE).unfold(2, SIDE, SIDE)
    return cut.flatten(3).flatten(1, 2), torch.from_numpy(found.labels.astype(np.int64))


@dataclass(frozen=True)
class Run:
    """What is trained."""

    start: TransformerStart
    depth: int
    rate: float
    images: bool = False

    @property
    def key(self) -> str:
        task = "images · " if self.images else ""
        return f"{task}{self.start.name} · {self.depth} · {self.rate:g}"

    def loss(self, source: Tensor | tuple[Tensor, Tensor]) -> float:
        """Mean over the last steps, infinite where training diverged."""
        torch.manual_seed(0)
        model = Model(self.start, self.depth, self.images)
        optimizer = torch.optim.Adam(model.parameters(), lr=self.rate)
        losses: list[float] = []
        for _ in range(STEPS):
            inputs, targets = batch(source)
            loss = functional.cross_entropy(model(inputs).flatten(0, -2), targets)
            losses.append(loss.item())
            if not losses[-1] < DIVERGED * math.log(SYMBOLS):
                return math.inf
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return float(np.mean(losses[-LAST:]))


def batch(source: Tensor | tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Inputs and targets of a step, drawn from torch's random state."""
    if isinstance(source, tuple):
        picked = torch.randint(len(source[1]), (IMAGES,))
        return source[0][picked], source[1][picked]
    both = source[torch.randint(len(source) - TOKENS - 1, (BATCH, 1)) + torch.arange(TOKENS + 1)]
    return both[:, :-1], both[:, 1:].flatten()


class Store:
    """Losses by the keys of runs, and the starts of every depth with what theory says of them."""

    def __init__(self) -> None:
        known = json.loads(STORE.read_text()) if STORE.exists() else {"starts": {}, "losses": {}}
        self.losses: dict[str, float] = known["losses"]
        self._starts: dict[str, list[dict[str, Any]]] = known["starts"]

    def design(self, depth: int, images: bool = False) -> TransformerDesign:
        """The design and the usual starts."""
        plan = TransformerPlan(depth, WIDTH, HEADS, PATCHES if images else TOKENS, causal=not images, hidden=HIDDEN)
        key = f"images · {depth}" if images else str(depth)
        if key not in self._starts:
            found = design_transformer(plan, COSINE, KEPT)
            self._starts[key] = [vars(start) for start in (found.chosen, *found.usual)]
            self.save()
        chosen, *usual = (TransformerStart(**start) for start in self._starts[key])
        return TransformerDesign(plan, chosen, tuple(usual), COSINE, KEPT)

    def save(self) -> None:
        """As it is now."""
        write_atomically(STORE, json.dumps({"starts": self._starts, "losses": self.losses}, indent=1))


def show(store: Store) -> None:
    """The tables of what is known."""
    known = store.losses
    for images in (False, True):
        for depth in DEPTHS:
            design = store.design(depth, images)
            runs = [[Run(start, depth, rate, images).key for rate in RATES] for start in design.ranked]
            found = [[known.get(key, math.nan) for key in row] for row in runs]
            best = np.array([np.nanmin(row) if np.isfinite(row).any() else math.nan for row in found])
            for start, row in zip(design.ranked, found, strict=True):
                numbers = " | ".join("" if math.isnan(loss) else f"{loss:.3f}" for loss in row)
                print(f"| {depth} | {start.name} | {design.change(start):.3g} | {numbers} |")
            if np.isfinite(best).all():
                print(f"{depth} blocks: rank correlation {spearmanr(np.arange(best.size), best).statistic:.2f}")


def main() -> int:
    """Train what is missing, or show what is known."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--show", action="store_true", help="Print the table alone.")
    options.add_argument("--rates", type=int, default=len(RATES), help="How many of the rates.")
    options.add_argument("--depths", type=int, nargs="*", default=DEPTHS, help="Of which depths.")
    options.add_argument("--task", choices=("text", "images"), default="text", help="What is learnt.")
    asked = options.parse_args()
    store, images = Store(), asked.task == "images"
    if asked.show:
        show(store)
        return 0
    torch.set_num_threads(1)
    source = patches() if images else text()
    for rate in RATES[: asked.rates]:
        for depth in asked.depths:
            for start in store.design(depth, images).ranked:
                run = Run(start, depth, rate, images)
                if run.key not in store.losses:
                    store.losses[run.key] = run.loss(source)
                    store.save()
    show(store)
    return 0


if __name__ == "__main__":
    sys.exit(main())
