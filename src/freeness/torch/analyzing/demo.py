"""The demo: a deep, critical, near-isometric hard-tanh network on real images, with 10 outputs and with as many as its width."""

from __future__ import annotations

import torch

from freeness.advice import Analysis, Progress, Report
from freeness.data import load_fashion_mnist
from freeness.meanfield import derivative_law, second_moment
from freeness.network import activation, mlp
from freeness.torch.analyzing.analysis import analyze
from freeness.torch.record.builder import build
from freeness.torch.request.analyze_options import AnalyzeOptions

DEPTH, WIDTH, CLASSES = 10, 400, 10
FIXED_POINT = 0.2  # q*: with n = 9 activations the relative variance of JJᵀ is nδ = 0.23
_BUDGET = 240.0  # seconds that nobody waits for on a machine of today: a busy one shows the same numbers


def critical_point(name: str, q: float) -> tuple[float, float, float]:
    """(σ_w, σ_b, q̂) of the edge of chaos at which q is a fixed point: σ_w² = 1/E φ'², σ_b² = q - σ_w² E φ².

    Example:
        >>> [round(value, 5) for value in critical_point("hardtanh", 0.2)]
        [1.01292, 0.0636, 0.19099]

    Source: Schoenholz et al. (2017), theory.md §2.
    """
    function = activation(name)
    weight_variance = 1 / derivative_law(function, q).mean
    qhat = second_moment(function, q).value
    return weight_variance**0.5, max(q - weight_variance * qhat, 0.0) ** 0.5, qhat


def demo_analyses(seed: int = 0, progress: Report | None = None) -> tuple[Analysis, Analysis]:
    """Analyse the demo network on bundled Fashion-MNIST images, with 10 outputs and with as many outputs as its width."""
    sigma_w, sigma_b, qhat = critical_point("hardtanh", FIXED_POINT)
    images = load_fashion_mnist("train")
    inputs = (
        torch.from_numpy(images.flattened()).float() * qhat**0.5
    )  # unit mean square → the fixed point of the signal
    labels = torch.from_numpy(images.labels).long()
    found = []
    for index, outputs in enumerate((CLASSES, WIDTH)):
        widths = [inputs.shape[1], *[WIDTH] * (DEPTH - 1), outputs]
        network = mlp(DEPTH, widths, "hardtanh", "haar", sigma_w=sigma_w, sigma_b=sigma_b)
        model = build(network, torch.Generator().manual_seed(seed))
        targets = torch.nn.functional.one_hot(labels, outputs).float()
        options = AnalyzeOptions(
            loss="half_squared_error",
            seed=seed,
            budget=_BUDGET,
            title=f"hard-tanh MLP, {DEPTH} Haar layers of width {WIDTH}, {outputs} outputs",
            data=images.source,
        )
        found.append(analyze(model, (inputs, targets), options, progress=_shifted(progress, index)))
    return found[0], found[1]


def _shifted(progress: Report | None, index: int) -> Report | None:
    """The stages of the first and the second analysis as one sequence."""
    if progress is None:
        return None
    return lambda at: progress(Progress(at.stage, at.done + index * at.total, 2 * at.total))
