"""Initialise the Linear and convolutional layers of a model in place, from an ensemble or a design."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

import torch
from torch import Tensor, nn

from freeness.advice import Design
from freeness.errors import InputError
from freeness.torch.kernels import Convolution, ConvolutionKind, WeightKind, check_kernel, drawn_weight
from freeness.torch.swap import swap_activations_

_KINDS = ("haar", "gaussian", "identity")
_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)


@dataclass(frozen=True)
class InitializedLayer:
    """What one layer got.

    Module path, ensemble ("unchanged" where only a branch scale was written, "activation" for a swapped one), σ_w as used (gain
    included, branch scale not), gain, σ_b (0 without bias), kind of module, the factor of a residual branch, and a note.
    """

    name: str
    ensemble: str
    sigma_w: float
    gain: float
    sigma_b: float
    kind: str = "Linear"
    branch_scale: float = 1.0
    note: str = ""


@dataclass(frozen=True)
class InitializeOptions:
    """What else :func:`initialize_` may do.

    Args:
        convolution: "delta" (Q in the centre tap) or "fft" (orthogonal on the whole circle) for "haar".
        positions: of the input of the convolutions, for "fft".
        branch_ends: patterns of module paths (``*.conv2``) of the last layers of residual branches, whose output is scaled; a
            normalisation's γ and β are scaled as well where it comes last.
        branch_scale: 0 starts every branch at zero; "depth" is 1/√L with L the number of branch ends; "design" is the design's.
        swap: put the design's activation in the place of the model's modules of the kind it was made from. A design that
            made an activation asks for True, or False where the model has it already.
        replaces: the kind of activation to replace, where it is not the one that the design is named for.
    """

    convolution: ConvolutionKind = "delta"
    positions: tuple[int, ...] | None = None
    branch_ends: tuple[str, ...] = ()
    branch_scale: float | Literal["depth", "design"] = "depth"
    swap: bool | None = None
    replaces: str | None = None

    def __post_init__(self) -> None:
        if self.convolution not in ("delta", "fft"):
            raise InputError(f'expected the convolution "delta" or "fft", got {self.convolution!r}; choose one.')
        if isinstance(self.branch_ends, str):
            raise InputError(
                f"expected a tuple of patterns, got the text {self.branch_ends!r}; write ({self.branch_ends!r},)."
            )
        number = isinstance(self.branch_scale, (int, float)) and math.isfinite(self.branch_scale)
        if not number and self.branch_scale not in ("depth", "design"):
            raise InputError(f'expected a branch scale: a number, "depth" or "design", got {self.branch_scale!r}.')


def initialize_(
    model: nn.Module,
    weights: WeightKind | Design = "haar",
    sigma_w: float | None = None,
    sigma_b: float | None = None,
    generator: torch.Generator | None = None,
    options: InitializeOptions | None = None,
) -> tuple[InitializedLayer, ...]:
    """Overwrite weights and biases of every Linear and convolutional layer, first to last, the output layer included.

    "haar": W = σ_w·gain·Q, Q Haar-distributed on the (semi-)orthogonal matrices; "identity": ones on the diagonal
    instead of Q; gain = √(fan_out/fan_in) in layers that expand and 1 elsewhere, so that q = σ_w² q̂ + σ_b² holds in
    all of them (an expanding Q keeps ‖x‖ and would divide q by fan_out/fan_in). "gaussian": W_ij ~ N(0, σ_w²/fan_in),
    gain 1. Convolutions get these matrices in their centre tap (:func:`drawn_weight` tells the rest), "gaussian" in every
    tap. Biases: N(0, σ_b²). A design brings ensemble, σ_w, σ_b, the first layer's gain, and on request its activation; gains
    follow the model's real widths. Everything else is left as it is, and the state_dict keeps its keys. A single layer is a
    model, too; :func:`drawn_weight` and :func:`haar_matrix` give the tensors alone.

    Drawn in float64 for float64 layers and in float32 for others, where Q is orthogonal to 2e-6. The global random state is
    neither read nor moved: without ``generator`` a fresh one with seed 0 is used, so two calls write the same weights.
    Pass ``torch.Generator().manual_seed(seed)`` for other draws.

    Args:
        model: any module with at least one Linear or convolutional layer.
        weights: the ensemble, or a design.
        sigma_w: σ_w ≥ 0, 1 when left out; not with a design.
        sigma_b: σ_b ≥ 0, 0 when left out; not with a design.
        generator: source of randomness.
        options: convolutions, residual branches, activations.

    Returns:
        One record a layer that was changed, in the order of ``model.named_modules()``; branch ends and activations last.

    Raises:
        InputError: an unknown ensemble, a negative σ, no such layer, or a weight that is computed, lazy or not
            floating point; nothing is written then.

    Source: Saxe, McClelland, Ganguli 2014 (orthogonal); Pennington, Schoenholz, Ganguli 2017 (isometry); Xiao et al. 2018
    (delta-orthogonal).

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
        >>> [record.gain for record in initialize_(model, "haar")]
        [1.4142135623730951, 1.0]
    """
    how = options or InitializeOptions()
    design = weights if isinstance(weights, Design) else None
    kind, deviations = _ensemble(weights, sigma_w, sigma_b)
    layers = _weight_layers(model)
    ends = _branch_ends(model, how)
    _check_activation(design, how)
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    for _, layer in layers:
        check_kernel(layer, kind, how.convolution, how.positions)
    swapped = _swapped(model, design, how)  # refuses before it changes anything, and no weight is written yet
    first = 1.0 if design is None else design.layers[0].sigma_w / design.sigma_w / _expansion(design)
    records: list[InitializedLayer] = []
    owners: dict[int, str] = {}
    for index, (name, layer) in enumerate(layers):
        if id(layer.weight) in owners:
            records.append(_shared(name, layer, owners[id(layer.weight)]))
            continue
        owners[id(layer.weight)] = name
        found = drawn_weight(layer, kind, generator, how.convolution, how.positions)
        gain = found.gain * (first if index == 0 else 1.0)
        records.append(_write(name, layer, (kind, found.note), (*deviations, gain), found.weight, generator))
    return (*_scaled(records, ends, how, design), *swapped)


_Layer = nn.Linear | Convolution


def _ensemble(
    weights: WeightKind | Design, sigma_w: float | None, sigma_b: float | None
) -> tuple[WeightKind, tuple[float, float]]:
    if isinstance(weights, Design):
        if sigma_w is not None or sigma_b is not None:
            raise InputError("expected either a design or sigma_w and sigma_b, got both; leave out the numbers.")
        return weights.weights, (weights.sigma_w, weights.sigma_b)
    if not isinstance(weights, str) or weights not in _KINDS:
        raise InputError(
            f"expected weights among {', '.join(_KINDS)}, got {weights!r}; choose one of them, or pass a design."
        )
    deviations = (1.0 if sigma_w is None else sigma_w, 0.0 if sigma_b is None else sigma_b)
    for name, value in zip(("sigma_w", "sigma_b"), deviations, strict=True):
        if not (math.isfinite(value) and value >= 0):
            raise InputError(f"expected a finite {name} ≥ 0, got {value}; it is a standard deviation.")
    return weights, deviations


def _expansion(design: Design) -> float:
    """The part of the first gain that is for an expanding layer; the model's own widths bring theirs."""
    first = design.layers[0]
    expands = design.weights == "haar" and first.fan_out > first.fan_in
    return math.sqrt(first.fan_out / first.fan_in) if expands else 1.0


def _weight_layers(model: nn.Module) -> list[tuple[str, _Layer]]:
    layers = [(name, module) for name, module in model.named_modules() if isinstance(module, (nn.Linear, Convolution))]
    if not layers:
        raise InputError(
            "expected a model with at least one Linear or convolutional layer, got none; there is nothing to initialise."
        )
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
        if weight.is_meta:
            raise InputError(
                f"expected weights with memory, got a meta tensor in {name!r}; materialise the model first."
            )
    return layers


def _branch_ends(model: nn.Module, how: InitializeOptions) -> list[tuple[str, nn.Module]]:
    """The modules that a pattern names, each with a weight that can be scaled."""
    ends = []
    for pattern in how.branch_ends:
        matched = [(name, module) for name, module in model.named_modules() if fnmatchcase(name, pattern)]
        kept = [(name, module) for name, module in matched if isinstance(module, (nn.Linear, Convolution, *_NORMS))]
        if not kept:
            has = "none" if not matched else f"{type(matched[0][1]).__name__} {matched[0][0]!r}"
            raise InputError(
                f"expected a Linear, convolutional or normalisation layer at {pattern!r}, got {has}; print "
                "model.named_modules() for the paths."
            )
        for name, module in kept:
            if module._parameters.get("weight") is None:
                raise InputError(f"expected a weight in the branch end {name!r}, got none; name a layer before it.")
        ends += [entry for entry in kept if entry[0] not in [name for name, _ in ends]]
    return ends


def _check_activation(design: Design | None, how: InitializeOptions) -> None:
    if design is None and (how.swap or how.branch_scale == "design"):
        raise InputError(
            "expected a design that says which activation or branch scale, got an ensemble; pass the design."
        )
    if design is not None and how.swap is None and design.activation is not design.named:
        raise InputError(
            f"expected InitializeOptions(swap=True), which puts {design.activation.name} in place of {design.named.name}, or "
            "swap=False if the model has it, got neither; the gains of this design hold for its own activation only."
        )


def _write(
    name: str,
    layer: _Layer,
    drawn: tuple[str, str],
    numbers: tuple[float, float, float],
    weight: Tensor,
    generator: torch.Generator,
) -> InitializedLayer:
    """Weight times σ_w and gain, and biases, into the layer."""
    sigma_w, sigma_b, gain = numbers
    with torch.no_grad():
        layer.weight.copy_(weight.mul_(sigma_w * gain))
        if layer.bias is not None:
            normal = torch.randn(layer.bias.shape, generator=generator, dtype=torch.float64, device=generator.device)
            layer.bias.copy_(sigma_b * normal)
    deviation = sigma_b if layer.bias is not None else 0.0
    return InitializedLayer(name, drawn[0], sigma_w * gain, gain, deviation, type(layer).__name__, note=drawn[1])


def _shared(name: str, layer: _Layer, owner: str) -> InitializedLayer:
    note = f"shares the weight of {owner!r}, which is initialised there"
    return InitializedLayer(name, "unchanged", 1.0, 1.0, 0.0, type(layer).__name__, note=note)


def _scaled(
    records: list[InitializedLayer],
    ends: list[tuple[str, nn.Module]],
    how: InitializeOptions,
    design: Design | None,
) -> list[InitializedLayer]:
    """The records with branch scales, which are written into weights and biases of the branch ends."""
    if not ends:
        return records
    if how.branch_scale == "depth":
        scale = len(ends) ** -0.5
    elif how.branch_scale == "design":
        assert design is not None
        scale = design.residual(len(ends)).scale
    else:
        scale = float(how.branch_scale)
    found = {record.name: record for record in records}
    for name, module in ends:
        with torch.no_grad():
            for parameter in (module._parameters["weight"], module._parameters.get("bias")):
                if parameter is not None:
                    parameter.mul_(scale)
        known = found.get(name, InitializedLayer(name, "unchanged", 1.0, 1.0, 0.0, type(module).__name__))
        found[name] = InitializedLayer(
            name, known.ensemble, known.sigma_w, known.gain, known.sigma_b, known.kind, scale, known.note
        )
    return list(found.values())


def _swapped(model: nn.Module, design: Design | None, how: InitializeOptions) -> list[InitializedLayer]:
    if design is None or not how.swap:
        return []
    found = swap_activations_(model, design.activation, how.replaces or design.named.name)
    return [
        InitializedLayer(record.name, "activation", 1.0, 1.0, 0.0, record.after, note=f"in place of {record.before}")
        for record in found
    ]
