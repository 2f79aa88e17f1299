"""Writes training-dynamics.md and its picture beside this file.

Run in the root of the repository: `OMP_NUM_THREADS=1 PYTHONPATH=. python docs/make_training_dynamics.py`. Every network is
trained once, with fixed seeds, and kept in training-dynamics.json: a run that was ended goes on where it stopped. All of it takes
about two hours on one core.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from matplotlib.figure import Figure
from tests.spectra.batch_simulation import draw_batch
from torch import nn
from torch.nn.utils import parametrize

from freeness.advice import Training, batch_learning_rate
from freeness.data import load_fashion_mnist
from freeness.meanfield import Kernels, kernels
from freeness.network import Network, mlp
from freeness.show import plot_dynamics, static, style
from freeness.torch import FullBatch, batch_sharpness, build, full_batch_descent, ntk_gram, trace
from freeness.training import LinearTraining

HERE = Path(__file__).resolve().parent
KEPT = HERE / "training-dynamics.json"
COUNT, STEPS, LOSS = 256, 500, "half_squared_error"
RECORDS = [*range(20), *range(20, STEPS + 1, 5)]
SHARP = [0, 5, 20, 50, 100, 200, 350, 500]
STARTS = {"tanh": (1.4, 0.1), "erf": (1.4, 0.1), "relu": (2**0.5, 0.1)}
CURVES = ("measured", "own start", "own kernel")
Numbers = dict[str, list[float]]


@dataclass(frozen=True)
class Case:
    """One setting: ``share`` of the rate that `freeness dynamics` takes, networks, and how many of them are looked at closely."""

    activation: str
    depth: int
    width: int
    share: float = 1.0
    parametrisation: Literal["standard", "ntk"] = "standard"
    draws: int = 5
    closely: int = 0  # sharpness along training, and training of the linearisation at the start

    @property
    def name(self) -> str:
        """Unique."""
        return f"{self.activation}, depth {self.depth}, width {self.width}, {self.share:g}, {self.parametrisation}"

    @property
    def network(self) -> Network:
        """Gaussian weights."""
        sigma_w, sigma_b = STARTS[self.activation]
        widths = [784, *[self.width] * (self.depth - 1), 10]
        return mlp(self.depth, widths, self.activation, "gaussian", sigma_w=sigma_w, sigma_b=sigma_b)

    def model(self, seed: int) -> nn.Module:
        """Drawn; in NTK parametrisation its weights are σ_w/√fan_in times those that are trained, biases σ_b times."""
        model = build(self.network, torch.Generator().manual_seed(seed))
        if self.parametrisation == "ntk":
            sigma_w, sigma_b = STARTS[self.activation]
            for layer in [part for part in model.modules() if isinstance(part, nn.Linear)]:
                parametrize.register_parametrization(layer, "weight", Scaled(sigma_w / layer.in_features**0.5))
                parametrize.register_parametrization(layer, "bias", Scaled(sigma_b))
        return model


class Scaled(nn.Module):
    """A parameter times a number."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What the layer sees."""
        return self.factor * x

    def right_inverse(self, x: torch.Tensor) -> torch.Tensor:
        """What is trained."""
        return x / self.factor


CASES = (
    Case("tanh", 3, 128, closely=5),
    Case("tanh", 3, 512, closely=5),
    Case("tanh", 3, 2048, closely=1),
    Case("tanh", 2, 2048, closely=1),
    Case("erf", 2, 2048, closely=1),
    Case("relu", 2, 2048, closely=1),
    Case("tanh", 2, 2048, 0.3),
    Case("tanh", 2, 2048, 2.0),
    Case("tanh", 2, 2048, parametrisation="ntk"),
    Case("relu", 3, 2048, closely=1),
    Case("erf", 3, 2048, closely=1),
    Case("tanh", 3, 2048, parametrisation="ntk"),
)


@cache
def data() -> tuple[np.ndarray, np.ndarray]:
    """Images of norm √784, labels one-hot."""
    images = load_fashion_mnist("train")
    x = images.flattened()[:COUNT].astype(float)
    return x * 28 / np.linalg.norm(x, axis=1, keepdims=True), np.eye(10)[images.labels[:COUNT]]


def theory(case: Case) -> tuple[Kernels, float, float]:
    """Kernels, the rate, and the stable one."""
    x, _ = data()
    found = kernels(case.network, x, parametrisation=case.parametrisation)
    how = Training(LOSS, batch=COUNT, parametrisation=case.parametrisation)
    advised = batch_learning_rate(case.network, x, how, found=found)
    return found, case.share * advised.recommended, advised.bound


def trained(case: Case, seed: int) -> Numbers:
    """Losses of one network, predicted from its own outputs at the start; and its sharpness, if looked at closely."""
    x, y = data()
    found, rate, _ = theory(case)
    model = case.model(seed)
    inputs, targets = (torch.tensor(array, dtype=torch.float32) for array in (x, y))
    plan = FullBatch(rate, STEPS, RECORDS, SHARP if seed < case.closely else ())
    real = full_batch_descent(model, inputs, targets, LOSS, plan)
    start = real.outputs[0]
    curves = {
        "measured": real.loss,
        "own start": LinearTraining(found.ntk, y, start).descent(rate, real.steps).loss,
        "sharpness": real.sharpness,
    }
    if seed == 0 and case.closely:  # the linearised network itself: all outputs as one vector
        own = ntk_gram(trace(model, inputs[:1]), inputs).numpy()
        whole = LinearTraining(own, y.reshape(-1, 1), start.reshape(-1, 1))
        curves["own kernel"] = 10 * whole.descent(10 * rate, real.steps).loss
    return {name: [float(f"{value:.6g}") for value in values] for name, values in curves.items() if len(values)}


def averaged(case: Case) -> np.ndarray:
    """The prediction without any network, averaged over the outputs at the start."""
    found, rate, _ = theory(case)
    return LinearTraining(found.ntk, data()[1]).averaged(found.nngp, rate, RECORDS)


# --- rates --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RateCase:
    """λ of batches of images or of noise, three layers of width 512, over networks that are drawn."""

    activation: str
    data: Literal["images", "noise"]
    loss: str
    batch: int
    samples: int = 64
    draws: int = 16

    @property
    def name(self) -> str:
        """Unique."""
        return f"rates: {self.activation}, {self.data}, {self.loss}, {self.batch} of {self.samples}"

    def compute(self) -> Numbers:
        """λ predicted and measured, each with its standard error; for ½ Σ where descent on a linearised network diverges."""
        network = Case(self.activation, 3, 512).network
        noise = np.random.default_rng(1).standard_normal((self.samples, 784))
        x = data()[0][: self.samples] if self.data == "images" else noise
        found = batch_learning_rate(network, x, Training(self.loss, batch=self.batch))
        labels = load_fashion_mnist("train").labels[: self.samples].astype(int)
        measured = []
        for seed in range(self.draws):
            rows = np.random.default_rng(seed).choice(self.samples, self.batch, replace=False)
            model = build(network, torch.Generator().manual_seed(seed))
            aims = labels[rows] if self.loss == "cross_entropy" else np.eye(10, dtype=np.float32)[labels[rows]]
            inputs = torch.tensor(x[rows], dtype=torch.float32)
            measured.append(batch_sharpness(model, inputs, torch.tensor(aims), self.loss).value)
        error = float(np.std(measured, ddof=1) / self.draws**0.5)
        numbers = {"predicted": [found.sharpness, found.error], "measured": [float(np.mean(measured)), error]}
        if self.loss == LOSS:
            gram = draw_batch(network, x, np.random.default_rng(0))[1] / self.samples
            heavy = batch_learning_rate(network, x, Training(self.loss, "momentum", batch=self.batch))
            numbers["bounds"] = [found.bound, heavy.bound]
            numbers["diverges"] = [
                float(next(p for p in PARTS if grows(gram, p * bound, self.batch, beta)))
                for bound, beta in ((found.bound, 0.0), (heavy.bound, 0.9))
            ]
        return numbers


def grows(gram: np.ndarray, rate: float, batch: int, beta: float, steps: int = 1000) -> bool:
    """Whether the errors of the linear model grow with random batches and momentum β; gram (n·10, n·10)/n."""
    rng, count = np.random.default_rng(2), len(gram) // 10
    e, velocity, total = rng.standard_normal(len(gram)), np.zeros(len(gram)), 0.0
    for step in range(steps):
        rows = (rng.choice(count, batch, replace=False)[:, None] * 10 + np.arange(10)).ravel()
        velocity = beta * velocity + count / batch * gram[:, rows] @ e[rows]
        e = e - rate * velocity
        norm = np.linalg.norm(e)
        e, velocity, total = e / norm, velocity / norm, total + np.log(norm) * (step > steps // 2)
    return total > 0


def trained_by_batches(activation: str, optimizer: Literal["sgd", "momentum"]) -> Numbers:
    """Losses of one real network on all 64 images after 400 steps on batches of 8, at parts of the bound; -1: it diverged."""
    network = Case(activation, 3, 512).network
    images, targets = (torch.tensor(array[:64], dtype=torch.float32) for array in data())
    bound = batch_learning_rate(network, data()[0][:64], Training(LOSS, optimizer, batch=8)).bound
    losses = []
    for part in TRIED:
        model, rng = build(network, torch.Generator().manual_seed(0)), np.random.default_rng(0)
        how = torch.optim.SGD(model.parameters(), lr=part * bound, momentum=0.9 * (optimizer == "momentum"))
        for _ in range(400):
            rows = rng.choice(64, 8, replace=False)
            how.zero_grad()
            ((model(images[rows]) - targets[rows]) ** 2).sum(1).mean().div(2).backward()
            how.step()
        left = float(((model(images) - targets) ** 2).sum(1).mean().detach()) / 2
        losses.append(float(f"{left:.3g}") if np.isfinite(left) else -1.0)
    return {"losses": losses}


def real_rows(found: dict[str, Numbers]) -> str:
    """Markdown."""
    lines = ["| | " + " | ".join(f"{part:g}" for part in TRIED) + " |", "|" + "---|" * (1 + len(TRIED))]
    for activation, optimizer in REAL:
        losses = found.get(f"real: {activation}, {optimizer}", {"losses": []})["losses"]
        cells = ["diverged" if loss < 0 else f"{loss:.1e}" for loss in losses]
        lines.append("| " + " | ".join([f"{activation}, {optimizer}", *cells]) + " |")
    return "\n".join(lines)


TRIED = (0.25, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0)
REAL: tuple[tuple[str, Literal["sgd", "momentum"]], ...] = (
    ("tanh", "sgd"),
    ("tanh", "momentum"),
    ("relu", "sgd"),
    ("relu", "momentum"),
)
PARTS = np.arange(0.8, 3.05, 0.1)
RATES = tuple(
    RateCase(activation, kind, loss, batch)
    for activation in ("tanh", "relu")
    for kind in ("images", "noise")
    for loss in (LOSS, "cross_entropy")
    for batch in (8, 64)
)


def rate_rows(found: dict[str, Numbers]) -> str:
    """Markdown."""
    header = (
        "activation, data", "loss", "batch", "λ predicted", "λ measured", "measured / predicted", "bound, SGD", "diverges at",
        "bound, momentum", "diverges at",
    )  # fmt: skip
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    for case in RATES:
        if case.name in found:
            one = found[case.name]
            (theory, spread), (real, error) = one["predicted"], one["measured"]
            cells = [
                f"{case.activation}, {case.data}",
                "½ Σ" if case.loss == LOSS else "cross-entropy",
                f"{case.batch} of {case.samples}",
                f"{theory:.4g}" + (f" ± {spread:.2g}" if spread else ""),
                f"{real:.4g} ± {error:.2g}",
                f"{real / theory:.2f}",
            ]
            for place in range(2):
                cells += (
                    [f"{one['bounds'][place]:.3g}", f"{one['diverges'][place]:.1f}"] if "bounds" in one else ["–", "–"]
                )
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


# --- the page -----------------------------------------------------------------------------------------------------


PAGE = """# Predicted training and learning rates

Written by `docs/make_training_dynamics.py`, fixed seeds. A wide network trains as its linearisation does. Before any
network is drawn, the tangent kernel of the inputs at hand predicts the loss at every step of full-batch gradient
descent, and the largest stable learning rate. Here both are held against networks that are trained.

## Curves

The first 256 bundled Fashion-MNIST images, scaled to ‖x‖² = 784, one-hot targets, loss ½ Σ. 500 steps of gradient
descent at the rate that `freeness dynamics` takes (0.35 of 2/λ, λ predicted), at 0.3 and twice that. Gaussian weights
of σ_w = 1.4 (ReLU: √2), σ_b = 0.1, standard parametrisation unless NTK is said; five networks. Deviations are those
of the predicted from the measured mean loss, relative, the largest over all 500 steps. "Own outputs": each network's
curve is predicted from its own outputs at the start, and the curves are averaged. So the scatter of these outputs is
no part of the deviation. "Kernel alone": nothing of the networks is known. The last three columns look at one
network, at all five below width 2048. They say its deviation by the limit's kernel, by its own kernel at the start,
and how its sharpness grows.

{rows}

![{caption}](training-dynamics.png)

{curves}

## Learning rates

Three layers of width 512, ten outputs, 64 inputs: images as above, or independent Gaussian noise. λ is the largest
eigenvalue of the GGN of a batch. It is predicted by `fr.batch_learning_rate` without a network, and measured by
Lanczos' method on 16 drawn networks and batches (± standard errors). "Bound": where training on random batches stops
contracting in mean square. "Diverges at": the least tenth of the bound, from 0.8, at which the errors of the
linearisation of one drawn network grow over 1,000 steps.

{rates}

{words}

Real networks of this kind, one each, trained for 400 steps on random batches of 8 of the 64 images. The loss ½ Σ that is left,
by the rate over the bound:

{real}

The losses are lowest at 1 to 2 times the bound. tanh networks diverge at 3 times it, with momentum at 5; ReLU networks at 5, with
momentum not up to 8.
"""
CAPTION = (
    "Left: predicted and measured training loss of tanh networks of width 2048. Right: the largest eigenvalue of the GGN along "
    "training over its start, for three widths"
)
CURVE_WORDS = """**Where 5 % holds.** At width 2048, from the networks' own outputs, over all 500 steps with two weight
matrices (tanh, erf, ReLU), at this rate or a lower one. With three the curve is within 5 % until 1/47 (tanh), 1/43 (erf) or
1/35 (ReLU) of the loss is left. At the end
it is 8, 13 and 11 % too low. With two at twice the rate it is within 5 % until 1/58 is left, and 10 % too low at the
end. In NTK parametrisation it ends 6 % (two) and 13 % (three) too low. What is left of a direction after t steps is
the t-th power of a factor. So a kernel that is off by ε makes the loss off by ε times the logarithm of what is left,
and small losses are met least well. The deviation falls with the width, from 49 % at 128 and 31 % at 512 to 8 % at
2048.

**Why the rest misses.** At width 2048 a network's own kernel at its start predicts no better than that of the limit. Kernels
move in training, so that slow directions are learnt more slowly than predicted. At width 512 about half of the deviation is
the kernel at the start, at width 128 most of it.

**Without knowing the outputs** the loss of five networks at the start scatters by 2 to 24 % about its mean over all networks.
That is because the outputs of all inputs move together. When a tenth of the loss is left, little of that is.

**Sharpness.** Of tanh and erf networks of width 2048 it moves by less than 1 %, of ReLU networks it falls by 3 % (two
matrices) and 8 % (three). Of tanh networks it falls by 10 % at width 512 and by 43 % at 128. At these rates, a third of the
bound, full-batch descent on one-hot targets flattens narrow networks."""
RATE_WORDS = """**λ** of tanh networks is predicted within 7 %, within 3 % on noise. Of ReLU networks it is up to 14 % too
high for ½ Σ. The outputs' Gram matrix is taken from one input, while the derivatives of neurons differ between inputs.
Without that matrix (the kernel alone, its outputs orthogonal) λ would be 11 to 25 % too low for ten outputs behind 512
neurons.

**Momentum.** On one batch that is taken again and again momentum 0.9 bears 1.9 times the rate of plain descent. On
random batches it keeps their noise. The rate at which errors grow falls to about a third of that of SGD on images and
to a tenth or a fifth on noise. The bound in mean square knows that."""


def rows(found: dict[str, Numbers]) -> str:
    """Markdown, one row a case that is done."""
    header = (
        "activation, depth, width", "rate, of 2/λ", "loss left", "kernel alone", "own outputs",
        "while 1/10 is left", "one network", "by its own kernel", "λ at the end over the start",
    )  # fmt: skip
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    for case in CASES:
        kept = drawn(case, found)
        if len(kept) < case.draws:
            continue
        measured, own = (np.mean([one[name] for one in kept], axis=0) for name in CURVES[:2])
        left = measured / measured[0]
        _, rate, bound = theory(case)
        single = kept[0]
        close = "own kernel" in single
        cells = [
            f"{case.activation}, {case.depth}, {case.width}{', NTK' if case.parametrisation == 'ntk' else ''}",
            f"{rate / bound:.2f}",
            f"{left[-1]:.1e}",
            worst(averaged(case), measured),
            worst(own, measured),
            worst(own[left > 0.1], measured[left > 0.1]),
            worst(np.array(single["own start"]), np.array(single["measured"])) if close else "–",
            worst(np.array(single["own kernel"]), np.array(single["measured"])) if close else "–",
            f"{np.mean([one['sharpness'][-1] / one['sharpness'][0] for one in kept if 'sharpness' in one]):.3f}"
            if close
            else "–",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def worst(predicted: np.ndarray, measured: np.ndarray) -> str:
    """The largest deviation, with its sign."""
    deviation = predicted / measured - 1
    return f"{100 * deviation[np.argmax(np.abs(deviation))]:+.1f} %"


def drawn(case: Case, found: dict[str, Numbers]) -> list[Numbers]:
    """What is there of one case."""
    keys = [f"{case.name}, seed {seed}" for seed in range(case.draws)]
    return [found[key] for key in keys if key in found]


def picture(found: dict[str, Numbers]) -> None:
    """Left: losses of tanh networks of depth 3 by width; right: how their sharpness grows."""
    figure = Figure(figsize=(11.2, 4.8), layout="constrained", facecolor="white")
    left, right = figure.subplots(1, 2)
    narrow, middle, wide = CASES[:3]
    real = [(np.array(RECORDS), np.array(one["measured"])) for one in drawn(wide, found)]
    plot_dynamics(
        np.array(RECORDS), averaged(wide), real, left, title="Training of tanh networks of width 2048, 256 images"
    )
    for case, colour in ((narrow, style.RED), (middle, style.GREEN), (wide, style.THEORY)):
        ratios = [np.array(one["sharpness"]) / one["sharpness"][0] for one in drawn(case, found) if "sharpness" in one]
        for place, ratio in enumerate(ratios):
            right.plot(
                SHARP, ratio, color=colour, marker="o", markersize=3, linewidth=1, label=f"width {case.width}"
            ) if place == 0 else right.plot(SHARP, ratio, color=colour, linewidth=1, alpha=0.5)
    right.axhline(1.0, color=style.GREY, linestyle="--", linewidth=1)
    static.finish(
        right,
        xlabel="step of full-batch gradient descent",
        ylabel="λ_max of the GGN over its start",
        title="Sharpness along training (infinite width: dashed)",
    )
    static.legend_below(right, right.get_legend_handles_labels()[0], columns=3)
    figure.savefig(HERE / "training-dynamics.png", dpi=110, metadata={"Software": None})


def main() -> None:
    """Train what is missing."""
    found: dict[str, Numbers] = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    for case in CASES:
        for seed in range(case.draws):
            key = f"{case.name}, seed {seed}"
            if key not in found:
                sys.stderr.write(f"{key}\n")
                found[key] = trained(case, seed)
                KEPT.write_text(json.dumps(found, ensure_ascii=False) + "\n")
    for case in RATES:
        if case.name not in found:
            sys.stderr.write(f"{case.name}\n")
            found[case.name] = case.compute()
            KEPT.write_text(json.dumps(found, ensure_ascii=False) + "\n")
    for activation, optimizer in REAL:
        key = f"real: {activation}, {optimizer}"
        if key not in found:
            found[key] = trained_by_batches(activation, optimizer)
            KEPT.write_text(json.dumps(found, ensure_ascii=False) + "\n")
    picture(found)
    (HERE / "training-dynamics.md").write_text(
        PAGE.format(
            rows=rows(found),
            rates=rate_rows(found),
            real=real_rows(found),
            caption=CAPTION,
            curves=CURVE_WORDS,
            words=RATE_WORDS,
        )
    )


if __name__ == "__main__":
    main()
