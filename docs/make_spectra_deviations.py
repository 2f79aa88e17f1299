"""Writes spectra-deviations.md beside this file: `OMP_NUM_THREADS=1 PYTHONPATH=. python docs/make_spectra_deviations.py`.

Every case is computed once, with fixed seeds, and kept in spectra-deviations.json: a run that was ended goes on where it stopped.
All of it takes about two hours on one core. The drawn networks are those of the tests.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from tests.spectra.agreement import decile_gaps, disagreements
from tests.spectra.graph_simulation import draw_graph
from tests.spectra.position_simulation import draw_positions
from tests.spectra.simulation import draw
from tests.spectra.test_against_simulation import critical
from tests.spectra.wired_fisher import drawn_fisher

from freeness import fisher_law, jacobian_law, predict_fisher, predict_jacobian
from freeness.laws import Law
from freeness.laws.distance import wasserstein
from freeness.network import (
    Activation,
    Branch,
    Convolution,
    Gaussian,
    Network,
    Residual,
    activation,
    cnn,
    mixer,
    mlp,
    resnet,
    transformer,
)
from freeness.spectra import NetworkGraph, graph_law, network_graph, outliers

HERE = Path(__file__).resolve().parent
KEPT = HERE / "spectra-deviations.json"
PARTS = np.array([0.05, 0.3, 0.6, 0.9])
KINDS = ("Jacobian", "Fisher")
Numbers = dict[str, float | str]


@dataclass(frozen=True)
class Case:
    """One row: two spectra of one architecture."""

    table: str
    name: str
    draws: int
    compute: Callable[[int], dict[str, Numbers]]


# --- chains -------------------------------------------------------------------------------------------------------


def chain(name: str, depth: int, weights: str, q: float, draws: int = 20) -> Case:
    """A fully connected network of width 1000 on the edge of chaos."""

    def compute(count: int) -> dict[str, Numbers]:
        network, qhat = critical(name, depth, 1000, weights, q)
        rng = np.random.default_rng(0)
        samples = [draw(network, qhat, rng) for _ in range(count)]
        found = {}
        for kind, law_of in (("Jacobian", jacobian_law), ("Fisher", fisher_law)):
            fisher = kind == "Fisher"
            laws = [law_of(network, realised=sample.signals) for sample in samples]
            spectra = [sample.fisher if fisher else sample.jacobian for sample in samples]
            graphs = [network_graph(network, realised=sample.signals.neurons, fisher=fisher) for sample in samples]
            found[kind] = chain_numbers(laws, spectra, [outliers(graph) for graph in graphs])
        return found

    return Case("chain", f"{name}, {weights}, L = {depth}, q* = {q:g}", draws, compute)


def chain_numbers(laws: Sequence[Law], spectra: Sequence[np.ndarray], single: Sequence[tuple[float, ...]]) -> Numbers:
    """Means over the draws; ``single`` eigenvalues as predicted."""
    pairs = list(zip(laws, spectra, strict=True))
    moments = {k: np.array([np.mean(s**k) / law.moment(k) - 1 for law, s in pairs]) for k in (1, 2, 3)}
    gaps = np.array([decile_gaps(law, s) for law, s in pairs])
    counted = ~np.isnan(gaps).all(axis=0)
    missed = disagreements(laws, spectra)
    return {
        **{f"moment {k}": float(m.mean()) for k, m in moments.items()},
        "error": float(moments[3].std(ddof=1) / len(pairs) ** 0.5),
        "edge": float(np.mean([s[-1 - len(o)] / law.hull[1] for (law, s), o in zip(pairs, single, strict=True)]) - 1),
        "outlier": told([s[-1] / o[0] - 1 for s, o in zip(spectra, single, strict=True) if o]),
        "W1": float(np.mean([wasserstein(law, s) / s.std() for law, s in pairs])),
        "deciles": float(np.nanmax(np.nanmean(gaps[:, counted], axis=0))) if counted.any() else 0.0,
        "verdict": "; ".join(missed) or "within",
    }


def told(ratios: Sequence[float]) -> str:
    """Mean deviation of single eigenvalues with its standard error, and in how many networks they are."""
    if not ratios:
        return "none"
    error = f" ± {100 * np.std(ratios, ddof=1) / len(ratios) ** 0.5:.1f}" if len(ratios) > 1 else ""
    return f"{100 * np.mean(ratios):+.1f}{error} % ({len(ratios)})"


# --- graphs -------------------------------------------------------------------------------------------------------


def graph_numbers(graphs: Sequence[NetworkGraph], spectra: Sequence[np.ndarray], ends: bool) -> Numbers:
    """Means over the draws of what realised laws give over what the matrices have."""
    transforms, seconds, edges, singles = [], [], [], []
    for graph, eigenvalues in zip(graphs, spectra, strict=True):
        law = graph_law(graph)
        single = outliers(graph, law)
        top = eigenvalues[-1 - len(single)]
        z = top * (PARTS + 0.05j)
        transforms.append(law.cauchy(z) / (1 / (z[:, None] - eigenvalues)).mean(axis=1))
        seconds.append((law.variance + law.mean**2) / (eigenvalues**2).mean() - 1)
        edges += [law.upper_end / top - 1] if ends else []
        singles += [single[0] / eigenvalues[-1] - 1] if single else []
    spread = np.std(transforms, axis=0, ddof=1) / len(spectra) ** 0.5
    mean = np.abs(np.mean(transforms, axis=0) - 1)
    worst = int(np.argmax(mean))
    return {
        "transform": float(mean[worst]),
        "error": float(spread[worst]),
        "moment 2": float(np.mean(seconds)),
        "edge": float(np.mean(edges)) if ends else "–",
        "outlier": (f"{np.mean(singles):+.1%}" if singles else "none") if ends and graphs[0].unseen is None else "–",
    }


def residual(name: str, depth: int, branch: Branch, draws: int = 3) -> Case:
    """A residual network of width 1000."""

    def compute(count: int) -> dict[str, Numbers]:
        network = resnet(depth, 1000, branch)
        rng = np.random.default_rng(0)
        samples = []
        for _ in range(count):
            x = rng.standard_normal(1000)
            samples.append(draw_graph(network, x * 1000**0.5 / np.linalg.norm(x), rng))
        return both(network, samples, ends=True)

    return Case("residual", f"{name}, β = {branch.scale:.3g}, L = {depth}", draws, compute)


def convolution(name: str, network: Network, shape: tuple[int, ...], draws: int = 4, *, ends: bool = False) -> Case:
    """A convolutional network on one sample of Gaussian entries."""

    def compute(count: int) -> dict[str, Numbers]:
        rng = np.random.default_rng(0)
        samples = [draw_positions(network, rng.standard_normal(shape), rng) for _ in range(count)]
        return both(network, samples, ends=ends)

    return Case("convolution", name, draws, compute)


def both(network: Network, samples: Sequence, *, ends: bool) -> dict[str, Numbers]:
    """JJᵀ and Θ."""
    found = {}
    for kind in KINDS:
        fisher = kind == "Fisher"
        graphs = [network_graph(network, realised=sample.signals, fisher=fisher) for sample in samples]
        found[kind] = graph_numbers(graphs, [s.fisher if fisher else s.jacobian for s in samples], ends)
    return found


def circle(name: str, channels: int, weights: str = "gaussian", sigma_w: float = 1.2) -> Case:
    """Three taps on eight positions of a circle, four layers."""
    network = cnn(mlp(4, channels, name, weights, sigma_w=sigma_w), kernel=(3,))
    return convolution(f"{name}, {weights}, 3 taps on a circle of 8, {channels} channels", network, (1, channels, 8))


def plane(name: str, channels: int, sigma_w: float = 1.2) -> Case:
    """3×3 taps on 4×4 positions, three layers, zeros around."""
    network = cnn(mlp(3, channels, name, "gaussian", sigma_w=sigma_w), kernel=(3, 3), padding="zeros")
    return convolution(f"{name}, 3×3 taps on 4×4, {channels} channels", network, (1, channels, 4, 4))


def wide_plane(name: str, weights: str, padding: Literal["circular", "zeros"], channels: int, draws: int = 3) -> Case:
    """3×3 taps on 7×7 positions, three layers."""
    sigma_w = HE if name == "relu" else 1.2
    network = cnn(mlp(3, channels, name, weights, sigma_w=sigma_w), kernel=(3, 3), padding=padding)
    title = f"{name}, {weights}, 3×3 taps on 7×7, {padding}, {channels} channels"
    return convolution(title, network, (1, channels, 7, 7), draws, ends=True)


# --- wires --------------------------------------------------------------------------------------------------------


def wired(name: str, network: Network, shape: tuple[int, ...], draws: int = 3) -> Case:
    """A network with attention, token weights or ReLU behind sums, on Gaussian inputs."""

    def compute(count: int) -> dict[str, Numbers]:
        found: dict[str, list[tuple[float, float, bool]]] = {kind: [] for kind in KINDS}
        for seed in range(count):
            rng = np.random.default_rng(seed)
            realised, *spectra = drawn_fisher(network, rng.standard_normal((1, *shape)), rng)
            for kind, predict, values in zip(KINDS, (predict_jacobian, predict_fisher), spectra, strict=True):
                told = predict(network, realised=realised)
                largest = told.largest
                held = largest.low <= values[-1] <= largest.high
                found[kind].append((largest_gap(told.law, values), float(values[-1] / largest.value), held))
        return {kind: wired_numbers(rows) for kind, rows in found.items()}

    return Case("wires", name, draws, compute)


def largest_gap(law: Law, eigenvalues: np.ndarray) -> float:
    """Of the distribution functions above 0."""
    positive = eigenvalues[eigenvalues > ZERO * eigenvalues[-1]]
    steps = np.arange(eigenvalues.size - positive.size, eigenvalues.size + 1) / eigenvalues.size
    below = law.cdf(positive)
    return float(max(np.abs(below - steps[1:]).max(), np.abs(below - steps[:-1]).max()))


def wired_numbers(rows: Sequence[tuple[float, float, bool]]) -> Numbers:
    """Of all draws: gaps, and the largest eigenvalue over where it is told to be."""
    gaps, ratios, held = zip(*rows, strict=True)
    spread = np.std(ratios, ddof=1) / len(ratios) ** 0.5
    return {
        "gap": float(np.mean(gaps)),
        "largest gap": max(gaps),
        "top": f"{np.mean(ratios):.3f} ± {spread:.3f}",
        "held": f"{sum(held)} of {len(held)}",
    }


def transformed(title: str, **choices: object) -> Case:
    """Two blocks, 64 channels, six tokens, queries and keys at a gain of 1.5."""
    network = transformer(2, 64, 4, 6, activation="relu", sigma_qk=1.5, hidden=128, **choices)  # pyright: ignore
    return wired(f"Transformer, {title}, 2 blocks, 6 tokens, 64 channels", network, (64, 6))


def mixed(blocks: int) -> Case:
    """GELU, six tokens, 64 channels."""
    network = mixer(blocks, 6, 64, Branch("gelu", "gaussian", normalisation="layer", scale=1.0))
    return wired(f"Mixer, {blocks} blocks, 6 tokens, 64 channels", network, (64, 6))


def relu_behind_sums(channels: int) -> Case:
    """Two residual blocks of two convolutions with ReLU behind the sum, on 3×3 positions."""
    relu, layer = Activation(activation("relu")), Convolution(channels, channels, (3, 3), Gaussian(1.2), "zeros")
    block = (Residual((layer, relu, replace(layer))), relu)
    name = f"ResNet v1, 2 blocks, 3×3 positions, {channels} channels"
    return wired(name, Network((*block, *block)), (channels, 3, 3))


HE, ZERO = 2**0.5, 1e-9  # of an eigenvalue over the largest that rounding makes
CASES = (
    residual("tanh", 10, Branch("tanh", scale=10**-0.5)),
    residual("tanh", 10, Branch("tanh", scale=1.0)),
    residual("tanh, Haar", 20, Branch("tanh", "haar", sigma_w=1.2, scale=20**-0.5)),
    residual("ReLU", 20, Branch("relu", scale=20**-0.5, sigma_w=HE)),
    residual("ReLU after the matrix", 20, Branch("relu", order="post", scale=20**-0.5, sigma_w=HE)),
    residual("GELU, LayerNorm", 20, Branch("gelu", scale=20**-0.5, normalisation="layer", sigma_w=HE)),
    residual("ReLU, LayerNorm", 10, Branch("relu", scale=1.0, normalisation="layer", sigma_w=HE)),
    circle("tanh", 16),
    circle("tanh", 64),
    circle("tanh", 128),
    circle("relu", 64, sigma_w=HE),
    circle("tanh", 64, "haar"),
    plane("tanh", 32),
    chain("tanh", 10, "haar", 0.2),
    chain("tanh", 10, "gaussian", 0.2),
    chain("hardtanh", 3, "haar", 0.5),
    chain("hardtanh", 30, "haar", 0.1),
    chain("erf", 10, "haar", 0.2),
    chain("gelu", 10, "haar", 0.5),
    chain("silu", 10, "haar", 0.5),
    chain("relu", 3, "haar", 0.5),
    chain("relu", 10, "haar", 0.5),
    plane("relu", 64, HE),
    residual("tanh", 50, Branch("tanh", scale=50**-0.5), 2),
    residual("ReLU, LayerNorm", 50, Branch("relu", scale=50**-0.5, normalisation="layer", sigma_w=HE), 2),
    residual("GELU", 50, Branch("gelu", scale=50**-0.5, sigma_w=HE), 2),
    wide_plane("tanh", "gaussian", "zeros", 16, 4),
    wide_plane("tanh", "haar", "zeros", 32, 2),
    wide_plane("relu", "gaussian", "zeros", 32),
    wide_plane("tanh", "gaussian", "circular", 64, 2),
    wide_plane("relu", "gaussian", "circular", 64, 2),
    wide_plane("tanh", "haar", "circular", 64, 2),
    wide_plane("tanh", "gaussian", "zeros", 128, 2),
    wide_plane("relu", "haar", "circular", 16, 2),
    transformed("pre-norm"),
    transformed("post-norm", norm="post"),
    transformed("pre-norm, causal", causal=True),
    mixed(1),
    mixed(2),
    relu_behind_sums(32),
    chain("hardtanh", 60, "haar", 0.05),
    chain("tanh", 60, "haar", 0.05),
)

# --- the page -----------------------------------------------------------------------------------------------------

PAGE = """# How far predicted spectra are from drawn networks

Written by `docs/make_spectra_deviations.py`, fixed seeds. Every network is drawn, its forward pass is given to the theory
("realised signals"), and all eigenvalues of JJᵀ and of the one-sample Fisher dual Θ are computed beside it. A minus sign: the
drawn network has less than the theory says (first table), the theory has less than the drawn network (others).

## Chains, width 1000

All are means over the draws. Moments: relative deviation of moments 1–3 (± standard error of the third). End: deviation of the
largest eigenvalue from the end of the law, of the second where the theory finds an outlier. Outlier: deviation of the largest
from that outlier (in how many of the networks; a dash: not looked for when the row was computed). Then W₁ distance over the
standard deviation, and the largest gap of the distribution function at the deciles. "Within": all criteria of
`tests/spectra/agreement.py`, which know of no outliers. They are moments 1 % or 3 standard errors, end 3 % at an atom and 6 %
at an edge, W₁/std .05, deciles .02.

{chain}

GELU and SiLU miss the criteria because one eigenvalue lies at twice the end of their law and moves the moments of a thousand.
Their signal has a mean, and what it says of the weights is known (`freeness.spectra.outliers`): the column "outlier" shows it.
The gap of .031 (GELU, Jacobian) is at the lowest decile, whose eigenvalues are 10⁻¹⁵ of the largest.

## Residual networks, width 1000

L blocks x + β·W φ(x), Gaussian weights unless Haar is said. Cauchy transform: largest deviation at Im z = λ_max/20 and Re z =
.05, .3, .6, .9 λ_max (± standard error). End: that of the law over the largest eigenvalue. Where the theory finds an outlier,
it is over the second one; the outlier then is the deviation of the second moment, too.

{residual}

The largest of finitely many eigenvalues lies below the end on average, the more so the longer the tail
(`freeness.expected_top`). Jacobians of tanh networks with β = 1 and L = 10 were looked at, each beside its own law. It was 8.1
± 1.5 % lower at width 400 (16 networks) and 6.0 ± 0.6 % at width 1000 (14). Of these the theory of square-root ends knows 6.6
and 3.6 %, which leaves 1.6 ± 1.6 and 2.5 ± 0.6 %.

## Convolutional networks

One sample of independent Gaussian pixels, signals of all positions given. Ends are computed on planes of 7×7 positions only,
outliers are not looked for. The largest eigenvalue of few channels lies low. On circles the end of a law over it was 1.09, 1.02
and 1.03 with 64, 128 and 256 channels (six layers, three taps). It scatters, too: of one plane of 32 channels (ReLU, zeros, Θ)
the end was 30 % above it. Of four other draws of the weights behind the same signals it was 3 to 15 % above. Of the same
channels twice and four times it was 0 to 3 %.

{convolution}

## Transformers, Mixers and sums with an activation behind

Channel weights random, all else given from the pass of the drawn network. Distribution function: the largest gap, mean and
worst of the draws. Largest eigenvalue: over the place where n(1 - F) = ½, mean ± standard error. The last column says how often
it lay in the interval that is told.

{wires}
"""


def percent(value: float | str) -> str:
    """With a sign."""
    return value if isinstance(value, str) else f"{100 * value:+.2f} %"


def table(which: str, found: dict[str, dict[str, Numbers]]) -> str:
    """Markdown of all computed rows of one table."""
    if which == "chain":
        header = ["network", "draws", "spectrum", "moments 1, 2, 3", "end", "outlier", "W₁/std", "deciles", "criteria"]
    elif which == "wires":
        header = [
            "network",
            "draws",
            "spectrum",
            "distribution function, mean and worst",
            "largest eigenvalue",
            "in the interval",
        ]
    else:
        header = ["network", "draws", "spectrum", "Cauchy transform", "second moment", "end", "outlier"]
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    for case in CASES:
        for kind, n in found.get(f"{case.table}: {case.name}", {}).items() if case.table == which else ():
            if which == "chain":
                moments = ", ".join(percent(n[f"moment {k}"]) for k in (1, 2, 3)) + f" ± {100 * float(n['error']):.2f}"
                distances = [f"{n['W1']:.3f}", f"{n['deciles']:.4f}"]
                verdict = str(n["verdict"]).replace("; ", ". ")
                cells = [moments, percent(n["edge"]), str(n.get("outlier", "–")), *distances, verdict]
            elif which == "wires":
                cells = [f"{n['gap']:.4f}, {n['largest gap']:.4f}", str(n["top"]), str(n["held"])]
            else:
                transform = f"{100 * float(n['transform']):.2f} ± {100 * float(n['error']):.2f} %"
                cells = [transform, percent(n["moment 2"]), percent(n["edge"]), str(n["outlier"])]
            lines.append("| " + " | ".join([case.name, str(case.draws), kind, *cells]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Compute what is missing, write the page after every case."""
    found = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    for case in CASES:
        key = f"{case.table}: {case.name}"
        if key not in found:
            sys.stderr.write(f"{key}\n")
            found[key] = case.compute(case.draws)
            KEPT.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
        pages = {which: table(which, found) for which in ("chain", "residual", "convolution", "wires")}
        (HERE / "spectra-deviations.md").write_text(PAGE.format(**pages))


if __name__ == "__main__":
    main()
