"""Initialise the Linear layers of a model in place."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from freeness.errors import InputError
from freeness.network.ensembles import Gaussian, Haar, ScaledIdentity
from freeness.torch.sampling import weight_matrix

WeightKind = Literal["haar", "gaussian", "identity"]
_ENSEMBLES = {"haar": Haar, "gaussian": Gaussian, "identity": ScaledIdentity}


@dataclass(frozen=True)
class InitializedLayer:
    """What one layer got: path, ensemble, σ_w as used (gain included), gain, and σ_b (0 without bias)."""

    name: str
    ensemble: WeightKind
    sigma_w: float
    gain: float
    sigma_b: float


def initialize_(
    model: nn.Module,
    weights: WeightKind = "haar",
    sigma_w: float = 1.0,
    sigma_b: float = 0.0,
    generator: torch.Generator | None = None,
) -> tuple[InitializedLayer, ...]:
    """Overwrite weights and biases of every Linear layer, first to last, the output layer included.

    "haar": W = σ_w·gain·Q, Q Haar-distributed on the (semi-)orthogonal matrices; "identity": ones on the diagonal
    instead of Q; gain = √(fan_out/fan_in) in layers that expand and 1 elsewhere, so that q = σ_w² q̂ + σ_b² holds in
    all of them (an expanding Q keeps ‖x‖ and would divide q by fan_out/fan_in). "gaussian": W_ij ~ N(0, σ_w²/fan_in),
    gain 1. Biases: N(0, σ_b²). Other layers are not changed. Drawn in float64 and rounded to the layer's dtype.

    The global random state is neither read nor moved: without ``generator`` a fresh one with seed 0 is used, so two
    calls write the same weights. Pass ``torch.Generator().manual_seed(seed)`` for other draws.

    Args:
        model: any module with at least one Linear layer.
        weights: the ensemble.
        sigma_w: σ_w ≥ 0.
        sigma_b: σ_b ≥ 0.
        generator: source of randomness.

    Returns:
        One record a layer, in the order of ``model.named_modules()``.

    Raises:
        InputError: an unknown ensemble, a negative σ, no Linear layer, or a weight that is computed, lazy or not
            floating point; nothing is written then.

    Source: Saxe, McClelland, Ganguli 2014 (orthogonal); Pennington, Schoenholz, Ganguli 2017 (isometry).

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
        >>> [record.gain for record in initialize_(model, "haar")]
        [1.4142135623730951, 1.0]
    """
    if weights not in _ENSEMBLES:
        raise InputError(f"expected weights among {', '.join(_ENSEMBLES)}, got {weights!r}; choose one of them.")
    for name, value in (("sigma_w", sigma_w), ("sigma_b", sigma_b)):
        if not (math.isfinite(value) and value >= 0):
            raise InputError(f"expected a finite {name} ≥ 0, got {value}; it is a standard deviation.")
    layers = _linear_layers(model)
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    return tuple(_initialize_layer(name, layer, weights, (sigma_w, sigma_b), generator) for name, layer in layers)


def _linear_layers(model: nn.Module) -> list[tuple[str, nn.Linear]]:
    layers = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    if not layers:
        raise InputError("expected a model with at least one Linear layer, got none; there is nothing to initialise.")
    for name, layer in layers:
        weight = layer._parameters.get("weight")
        if weight is None or isinstance(weight, nn.UninitializedParameter):
            raise InputError(
                f"expected a plain weight in {name!r}, got a computed or lazy one; remove the parametrization or run "
                f"the model once."
            )
        if not weight.is_floating_point():
            raise InputError(
                f"expected floating-point weights, got {weight.dtype} in {name!r}; convert the model by model.float()."
            )
    return layers


def _initialize_layer(
    name: str, layer: nn.Linear, weights: WeightKind, sigmas: tuple[float, float], generator: torch.Generator
) -> InitializedLayer:
    fan_out, fan_in = layer.weight.shape
    gain = math.sqrt(fan_out / fan_in) if weights != "gaussian" and fan_out > fan_in else 1.0
    sigma_w, sigma_b = sigmas[0] * gain, sigmas[1] if layer.bias is not None else 0.0
    with torch.no_grad():
        layer.weight.copy_(weight_matrix(_ENSEMBLES[weights](sigma_w), fan_out, fan_in, generator))
        if layer.bias is not None:
            layer.bias.copy_(
                sigma_b * torch.randn(fan_out, generator=generator, dtype=torch.float64, device=generator.device)
            )
    return InitializedLayer(name, weights, sigma_w, gain, sigma_b)
