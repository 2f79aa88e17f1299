"""Draws transformer-gradients.png: how the gradient comes back through twelve blocks of a Transformer, predicted and drawn.

Run in the root of the repository: `OMP_NUM_THREADS=1 PYTHONPATH=. python docs/make_transformer_gradients.py`, a minute.
Networks are drawn by the simulator of the tests, which shares no line with the theory.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from tests.meanfield.simulated import Simulated

from freeness.meanfield import gradients
from freeness.network import INPUT, Network, Sum, transformer
from freeness.show import style

PICTURE = Path(__file__).resolve().parent / "transformer-gradients.png"
BLOCKS, WIDTH, HEADS, TOKENS, DRAWS = 12, 256, 4, 16, 10
CALM = (
    1 / (2 * BLOCKS) ** 0.5
)  # of branches without a norm: louder ones saturate attention, and few draws are like their mean
NORMS = (
    ("pre", 1.0, "norm in front of each branch", style.THEORY),
    ("post", 1.0, "norm behind each sum", style.MEASURED),
    ("none", CALM, f"no norm, branches times {CALM:.1f}", style.GREEN),
)


def inputs() -> np.ndarray:
    """Tokens with a mean cosine of a quarter, (1, d, T): half of the variance is common to neighbours at random."""
    drawn = np.random.default_rng(0)
    return drawn.standard_normal((1, WIDTH, TOKENS)) * 0.75**0.5 + drawn.standard_normal((1, WIDTH, 1)) * 0.5


def stream(network: Network) -> list[str]:
    """The residual stream: the input and the sums."""
    return [INPUT, *(node.name for node in network.nodes if isinstance(node.operation, Sum))]


def drawn_gradients(network: Network, x: np.ndarray, seed: int) -> list[float]:
    """Σ (∂ℓ/∂x)² along the stream of one network, for a random unit gradient at the output."""
    run = Simulated(seed)
    values = run.values(network, torch.tensor(x).requires_grad_())
    last = values[network.nodes[-1].name]
    end = torch.randn(last.shape, generator=run.generator, dtype=last.dtype)
    found = torch.autograd.grad((last * end / end.norm()).sum(), [values[name] for name in stream(network)])
    return [float(gradient.square().sum()) for gradient in found]


def main() -> int:
    """Predict, draw ten networks of each kind, and plot."""
    torch.set_num_threads(1)
    x = inputs()
    figure = Figure(figsize=(7.5, 3.8), layout="constrained")
    axes = figure.subplots()
    for norm, scale, words, colour in NORMS:
        network = transformer(BLOCKS, WIDTH, HEADS, TOKENS, norm=norm, residual_scale=scale, activation="relu")
        places = {place.name: place.gradient for place in gradients(network, inputs=x)}
        theory = np.array([places[name] for name in stream(network)])
        seen = np.array([drawn_gradients(network, x, seed) for seed in range(DRAWS)])
        block = np.arange(len(theory)) / 2
        axes.plot(block, theory, color=colour, lw=2.0, label=f"{words}: theory")
        axes.plot(np.tile(block, DRAWS), seen.ravel(), ".", color=colour, ms=3.5, alpha=0.6)
        print(f"{norm}: drawn over theory {np.exp(np.log(seen.mean(axis=0) / theory)).round(2)}")
    axes.set_yscale("log")
    axes.set_xlabel("block (0: input of the first, 12: output of the last)")
    axes.set_ylabel("squared gradient")
    axes.set_title(f"Ten drawn Transformers each (dots), {WIDTH} wide, {TOKENS} tokens", loc="left", fontsize=10)
    axes.legend(frameon=False, fontsize=9)
    axes.grid(alpha=0.25)
    figure.savefig(PICTURE, dpi=130)
    return 0


if __name__ == "__main__":
    sys.exit(main())
