"""Writes freeness-test.md and freeness-test.png beside this file: `OMP_NUM_THREADS=1 python docs/make_freeness_test.py`.

Every number of the page is computed here, with fixed seeds, in about a minute on one core. Times and memory are those of
the machine that runs it. Memory is read from /proc, so this needs Linux.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from freeness.data import load_fashion_mnist
from freeness.network import mlp
from freeness.show import static, style
from freeness.spectra import REJECTED, Word, freeness_words
from freeness.torch import build, freeness_test, freeness_trace

HERE = Path(__file__).resolve().parent
WIDTHS = (200, 400, 800, 1600)
DRAWS = {200: 100, 400: 100, 800: 80, 1600: 40}
WORDS = ("W D° W D°", "W D° Wᵀ E°", "(W D° Wᵀ E°)²")
KINDS = ("Haar", "Gaussian")
SIGMA_W, SIGMA_B = 1.3, 0.1
PLANTED = np.linspace(0.0, 0.25, 21)
STEPS = (0, 10, 30, 100, 300, 1000)
TRANSFORMERS, TRANSFORMER_DRAWS = (64, 128, 256), 10
POWER_DRAWS = {200: 24, 400: 24, 800: 16, 1600: 6}

Layer = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def draw(kind: str, n: int, rng: np.random.Generator) -> Layer:
    """W, D, E, x of one layer of a tanh network."""
    h = rng.standard_normal(n)
    weight = rng.standard_normal((n, n))
    if kind == "Haar":
        q, r = np.linalg.qr(weight)
        weight = q * np.sign(np.diag(r)) * n**0.5
    weight *= SIGMA_W / n**0.5
    x = np.tanh(h)
    behind = 1 - np.tanh(weight @ x + SIGMA_B * rng.standard_normal(n)) ** 2
    return weight, 1 - x**2, behind, x


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown."""
    lines = ["| " + " | ".join(cells) + " |" for cells in (header, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(header), *lines[1:]])


def sizes() -> tuple[str, dict[str, np.ndarray]]:
    """Root mean squares of τ by width, with a fitted power."""
    rows, found = [], {}
    for kind in KINDS:
        rng = np.random.default_rng(0)
        rms = np.empty((len(WIDTHS), len(WORDS)))
        for place, n in enumerate(WIDTHS):
            values = [[w.value for w in freeness_words(*draw(kind, n, rng))] for _ in range(DRAWS[n])]
            rms[place] = np.sqrt(np.mean(np.square(values), axis=0))
        found[kind] = rms
        errors = np.array([(2 * DRAWS[n]) ** -0.5 for n in WIDTHS])  # of the logarithm of a root mean square
        for column, word in enumerate(WORDS):
            slope, error = fitted(np.log(WIDTHS), np.log(rms[:, column]), errors)
            rows.append((kind, f"`{word}`", *(f"{v:.2e}" for v in rms[:, column]), f"{slope:.2f} ± {error:.2f}"))
    return table(("weights", "word", *(f"N = {n}" for n in WIDTHS), "power of N"), rows), found


def fitted(x: np.ndarray, y: np.ndarray, errors: np.ndarray) -> tuple[float, float]:
    """Slope of the weighted least-squares line, and its standard error from those of the points."""
    weights = errors**-2
    centred = x - np.average(x, weights=weights)
    scale = float(weights @ centred**2)
    return float(weights @ (centred * y)) / scale, scale**-0.5


def planted(layer: Layer, t: float) -> np.ndarray:
    """(1 - t)·W + t·σ_w·P with the permutation P that sends the k-th smallest D to the k-th smallest E."""
    weight, before, behind, _ = layer
    aligned = np.zeros_like(weight)
    aligned[np.argsort(behind), np.argsort(before)] = SIGMA_W
    return (1 - t) * weight + t * aligned


def power() -> tuple[str, dict[int, np.ndarray]]:
    """Mean score of W D° Wᵀ E° over the size t of a planted dependence, and the t at which it is 5."""
    rows, curves = [], {}
    for n in WIDTHS:
        rng = np.random.default_rng(1)
        scores, shares, ideal = [], [], []
        for _ in range(POWER_DRAWS[n]):
            layer = draw("Gaussian", n, rng)
            _, before, behind, x = layer
            words = [freeness_words(planted(layer, t), before, behind, x) for t in PLANTED]
            scores.append([found[1].score for found in words])
            shares.append([not all(word.free for word in found) for found in words])
            correlation = np.corrcoef(np.sort(before), np.sort(behind))[0, 1]
            share_of_square = REJECTED * 2**0.5 / (n * correlation)  # t²/((1 - t)² + t²)
            ratio = (share_of_square / (1 - share_of_square)) ** 0.5
            ideal.append(ratio / (1 + ratio))
        mean, share = np.mean(scores, axis=0), np.mean(shares, axis=0)
        curves[n] = mean
        threshold = float(np.interp(REJECTED, mean, PLANTED))
        sure = next((f"{t:.3f}" for i, t in enumerate(PLANTED) if share[i:].min() == 1.0), "beyond 0.25")
        rows.append((str(n), f"{threshold:.3f}", f"{np.mean(ideal):.3f}", sure, f"{share[0]:.0%}"))
    header = ("N", "t where the mean score is 5", "theory", "all draws rejected from t =", "rejected at t = 0")
    return table(header, rows), curves


MEASURED = """
import time, torch
from torch import nn
from freeness.torch import freeness_test
torch.set_num_threads(1)
def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
def model(depth, width):
    layers = [layer for _ in range(depth) for layer in (nn.Linear(width, width), nn.Tanh())]
    return nn.Sequential(*layers[:-1])
torch.manual_seed(0)
freeness_test(model(3, 50), torch.randn(50))  # loads what torch.export needs
network, x = model(20, 1000), torch.randn(1000)
with open("/proc/self/clear_refs", "w") as file:
    file.write("5")  # the peak counts from here
before, start = peak(), time.perf_counter()
found = freeness_test(network, x)
print(time.perf_counter() - start, (peak() - before) * 1024, len(found.words), found.largest)
"""


def cost() -> str:
    """Time and peak memory of a test of 20 layers of width 1000, in a process of its own."""
    runs = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", MEASURED], capture_output=True, text=True, check=True)
        runs.append([float(value) for value in done.stdout.split()])
    seconds, memory, words, largest = (float(np.median(column)) for column in zip(*runs, strict=True))
    return (
        f"20 layers of width 1000, torch's default initialisation in float32, one thread, reading the model included: "
        f"**{seconds:.2f} s** (bar: 10 s) for {words:.0f} words, largest score {largest:.1f}. Peak memory of the process "
        f"beyond the model: **{memory / 2**20:.1f} MiB**, where one N×N matrix in float64 is {8e6 / 2**20:.1f} MiB (bar: one), "
        f"that of W. The rest are strips of 64 rows ({2 * 64 * 8e3 / 2**20:.1f} MiB), the graph of the model and the work "
        "space of BLAS. Median of three processes."
    )


def controls() -> tuple[str, str]:
    """Identity weights, and the word τ(D₁°D₂°D₁°D₂°) of commuting derivatives."""
    rows, told = [], []
    for n in WIDTHS:
        rng = np.random.default_rng(2)
        _, before, behind, x = draw("Haar", n, rng)
        identity = freeness_words(np.eye(n), before, 1 - np.tanh(x) ** 2, x)
        commuting = freeness_words(np.eye(n), before, behind, np.zeros(n))[2]
        product = before.var() * behind.var()
        told.append(not identity[1].free and not identity[2].free and not commuting.free)
        rows.append((str(n), *map(_score, identity[1:]), f"{commuting.value:.2e}", f"{product:.2e}", _score(commuting)))
    header = ("N", "identity: `W D° Wᵀ E°`", "identity: `(W D° Wᵀ E°)²`", "τ(D₁°D₂°D₁°D₂°)", "Var·Var", "its score")
    return f"{sum(told)} of {len(told)} widths", table(header, rows)


class Block(torch.nn.Module):
    """Causal attention and an MLP with GELU, layer norms in front."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = torch.nn.LayerNorm(width), torch.nn.LayerNorm(width)
        self.query, self.key, self.value, self.out = (torch.nn.Linear(width, width) for _ in range(4))
        self.mlp = torch.nn.Sequential(
            torch.nn.Linear(width, 2 * width), torch.nn.GELU(), torch.nn.Linear(2 * width, width)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(samples, tokens, channels)."""
        y = self.norm1(x)
        q, k, v = (
            part(y).unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))


def transformers() -> str:
    """Scores of drawn Transformers."""
    rows = []
    for width in TRANSFORMERS:
        scores = []
        for seed in range(TRANSFORMER_DRAWS):
            torch.manual_seed(seed)
            model = torch.nn.Sequential(*(Block(width) for _ in range(3))).eval()
            scores.append([word.score for word in freeness_test(model, torch.randn(1, 6, width)).words])
        flat = np.abs(np.array(scores))
        rejected = f"{(flat > REJECTED).any(axis=1).sum()} of {len(flat)}"
        rows.append((str(width), f"{(flat**2).mean() ** 0.5:.2f}", f"{flat.max():.1f}", rejected))
    return table(("width", "root mean square of scores", "largest", "networks rejected"), rows)


def training() -> tuple[str, str]:
    """Scores along the training of a network on bundled images, and how it was trained."""
    images, tests = load_fashion_mnist("train"), load_fashion_mnist("test")
    inputs, held = (torch.from_numpy(found.flattened()).float() for found in (images, tests))
    labels, truth = (torch.from_numpy(found.labels).long() for found in (images, tests))
    generator = torch.Generator().manual_seed(3)
    network = mlp(6, [784, *[400] * 5, 10], "tanh", "haar", sigma_w=1.2, sigma_b=0.1)
    model = build(network, generator)
    trace, optimizer, rows = freeness_trace(model, inputs[0]), torch.optim.SGD(model.parameters(), lr=0.05), []
    for step in range(STEPS[-1] + 1):
        if step in STEPS:
            found = trace.record(step)
            with torch.no_grad():
                accuracy = float((model(held).argmax(1) == truth).float().mean())
            cells = (f"{abs(word.score):.1f}" for word in found.strongest)
            rows.append((str(step), f"{accuracy:.3f}", *cells, "yes" if found.free else "no"))
        chosen = torch.randint(len(inputs), (64,), generator=generator)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(inputs[chosen]), labels[chosen]).backward()
        optimizer.step()
    header = ("step", "accuracy", *(f"W{place + 2}" for place in range(len(trace.tests[0].strongest))), "free")
    text = (
        f"A tanh network of 6 layers of width 400 (Haar, σ_w = 1.2, σ_b = 0.1) on {len(inputs)} bundled Fashion-MNIST images, "
        "batches of 64,\nSGD at rate 0.05. Accuracy on test images, largest |score| of each matrix at image 0:"
    )
    return text, table(header, rows)


def _score(word: Word) -> str:
    return f"{word.score:.0f}"


def picture(found: dict[str, np.ndarray], curves: dict[int, np.ndarray]) -> None:
    """Left: sizes over N. Right: scores over the planted size."""
    figure = Figure(figsize=(11.2, 4.4), layout="constrained", facecolor="white")
    left, right = figure.subplots(1, 2)
    colours = (style.THEORY, style.MEASURED, style.GREEN, style.RED)
    for kind, line in zip(KINDS, ("-", "--"), strict=True):
        for column, word in enumerate(WORDS):
            left.loglog(
                WIDTHS, found[kind][:, column], line, color=colours[column], marker="o", label=f"{kind}, {word}"
            )
    left.set_xticks(WIDTHS, [str(n) for n in WIDTHS], minor=False)
    left.set_xticks([], minor=True)
    static.finish(left, xlabel="width N", ylabel="root mean square of τ", title="Free weights: words fall as 1/N")
    static.legend_below(left, left.get_legend_handles_labels()[0])
    for n, colour in zip(WIDTHS, colours, strict=True):
        right.plot(PLANTED, curves[n], color=colour, marker="o", markersize=4, label=f"N = {n}")
    right.axhline(REJECTED, color=style.GREY, linestyle="--", linewidth=1)
    right.set_ylim(-1, 25)
    static.finish(
        right,
        xlabel="planted dependence t",
        ylabel="mean score of W D° Wᵀ E°",
        title="Which dependence is found: a score of 5 rejects",
    )
    static.legend_below(right, right.get_legend_handles_labels()[0])
    figure.savefig(HERE / "freeness-test.png", dpi=110, metadata={"Software": None})


PAGE = """# The freeness test

Predicted spectra assume that each weight matrix W is free of the activation derivatives D before it and E behind it.
`freeness check`, `freeness.torch.freeness_test` and the report of `freeness analyze` test this on the real weights. Traces τ
of alternating centred words (D° = D - τ(D)) go to 0 as 1/N for free matrices (Collins, Hayase, CMP 2023). A score is the
departure of a word from what random weights of this size give, in standard errors; {rejected:.0f} reject. All numbers here
are written by `docs/make_freeness_test.py`.

![Left: sizes of the words over the width. Right: score over the planted dependence](freeness-test.png)

## Free weights: words fall as 1/N

Root mean square of τ over {draws} draws at N = {widths}.
One layer of a tanh network: h ~ N(0, 1), x = tanh h, σ_w = {sigma_w}, σ_b = {sigma_b}. The power is
fitted with the standard errors of the points; freeness says -1.

{sizes}

## Power: what size of dependence is told

The planted dependence is W ← (1 - t)·W + t·σ_w·P. The permutation P sends the neuron with the k-th smallest
derivative before W to the one with the k-th smallest behind it. The bias is changed so that the pre-activations, and
so D and E, stay as they were. Gaussian weights, {power_draws} draws at N = {widths}. The trace of `W D° Wᵀ E°` moves
by t²σ_w²·cov(sorted D, sorted E). That is 5 standard errors where t²/((1 - t)² + t²) = 5√2/(N·corr(sorted D, sorted
E)): the column "theory". A matrix is rejected where any of its three words is.

{power}

## Cost

{cost}

## Negative controls

Scores of identity weights, and of τ(D₁°D₂°D₁°D₂°) for the derivatives of two layers of one network, which commute: that trace
is Var·Var and not 0. In {failures} all three are rejected at 5 standard errors.

{controls}

## Drawn Transformers

Three causal blocks of the width at hand, hidden layers twice as wide, six tokens, four heads, torch's default initialisation, 10
draws. A word is of the product of weights from the GELU of one MLP to that of the next, at the first token.

{transformers}

## Along training

{training_text}

{training_table}

Made by the same few lines as here:

```python
import torch
from torch import nn
from freeness.torch import freeness_trace

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(30, 80), nn.Tanh(), nn.Linear(80, 80), nn.Tanh(), nn.Linear(80, 5))
images, targets = torch.randn(64, 30), torch.randn(64, 5)
optimizer, trace = torch.optim.SGD(model.parameters(), lr=0.05), freeness_trace(model, images[0])
for step in range(11):
    if step % 5 == 0:
        trace.record(step)
    optimizer.zero_grad()
    (model(images) - targets).square().mean().backward()
    optimizer.step()
print(trace.table())  # or trace.steps, trace.words, trace.scores, trace.values
```

## What it does not tell

* It looks at one sample, and at words of one matrix with its neighbours (`--all-pairs`: products of matrices too). Other
  departures from freeness pass unseen.
* A dependence below the threshold of its width passes: the test of a narrow network is weak.
* Where fewer than 8 (for the longest word 20) neurons carry the spread of D or E, as (Σd²)²/Σd⁴ counts them, nothing is
  tested, and the report says so. A few terms have heavy tails. Hard-tanh networks near isometry are of this kind.
* Beyond width 4096 the longest word is estimated with 64 random probes, whose error is part of its deviation.
"""


def main() -> None:
    """Compute everything, then write page and picture."""
    size_table, found = sizes()
    print(size_table)
    power_table, curves = power()
    print(power_table)
    cost_text, (failures, control_table) = cost(), controls()
    print(cost_text, control_table, sep="\n")
    transformer_table = transformers()
    print(transformer_table)
    training_text, training_table = training()
    print(training_table)
    picture(found, curves)
    page = PAGE.format(
        rejected=REJECTED,
        draws=", ".join(str(DRAWS[n]) for n in WIDTHS),
        widths=", ".join(map(str, WIDTHS)),
        sigma_w=SIGMA_W,
        sigma_b=SIGMA_B,
        sizes=size_table,
        power_draws=", ".join(str(POWER_DRAWS[n]) for n in WIDTHS),
        power=power_table,
        cost=cost_text,
        failures=failures,
        training_text=training_text,
        training_table=training_table,
        controls=control_table,
        transformers=transformer_table,
    )
    (HERE / "freeness-test.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
