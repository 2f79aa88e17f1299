"""Initialise a model in place, from an ensemble, a design, or the recipe of its architecture."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Literal

import torch
from torch import nn

from freeness.advice import Design
from freeness.errors import InputError
from freeness.torch.recipes import StartRecipe, Subject
from freeness.torch.start.architecture import start_of
from freeness.torch.start.initialized import InitializedLayer, InitializedModel
from freeness.torch.start.kernels import Convolution, ConvolutionKind, Drawn, WeightKind, check_kernel, drawn_weight
from freeness.torch.start.parts import NORMS
from freeness.torch.start.piecewise import drawn_pieces
from freeness.torch.start.rows import Rows
from freeness.torch.start.swap import swap_activations_
from freeness.torch.start.tensors import ModelTensor, cut, tensors_of

_KINDS = ("haar", "gaussian", "identity")


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
        firsts: paths of the layers that read the inputs, which get the gain of a design's first layer; the first layer of the
            model alone when left out.
        data: what the model takes, in any form that ``analyze`` takes, for a recipe that must see how it is wired; random inputs
            of a shape that it takes where this is None.
    """

    convolution: ConvolutionKind = "delta"
    positions: tuple[int, ...] | None = None
    branch_ends: tuple[str, ...] = ()
    branch_scale: float | Literal["depth", "design"] = "depth"
    swap: bool | None = None
    replaces: str | None = None
    firsts: tuple[str, ...] = ()
    data: object = None

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
    weights: WeightKind | Design | StartRecipe | Literal["auto"] = "haar",
    sigma_w: float | None = None,
    sigma_b: float | None = None,
    generator: torch.Generator | None = None,
    options: InitializeOptions | None = None,
) -> InitializedModel:
    """Overwrite weights and biases of a model, first layer to last, the output layer included; every tensor is accounted for.

    "haar": W = σ_w·gain·Q, Q Haar-distributed on the (semi-)orthogonal matrices; "identity": ones on the diagonal
    instead of Q; gain = √(fan_out/fan_in) in layers that expand and 1 elsewhere, so that q = σ_w² q̂ + σ_b² holds in
    all of them (an expanding Q keeps ‖x‖ and would divide q by fan_out/fan_in). "gaussian": W_ij ~ N(0, σ_w²/fan_in),
    gain 1. Convolutions get these matrices in their centre tap (:func:`drawn_weight` tells the rest), "gaussian" in every
    tap. Gates of recurrent layers, and query, key and value of attention, are drawn one by one. Biases: N(0, σ_b²). A design
    brings ensemble, σ_w, σ_b, the first layer's gain, and on request its activation; gains follow the model's real widths.

    Ensembles and designs are written into Linear and convolutional layers of any groups, Conv1D of transformers, attention and
    recurrent layers; tables of embeddings, tied ones too, normalisations and all other tensors are left. "auto" takes the recipe
    of the model's architecture, which starts these as well: see ``freeness.torch.recipes``; or the design of a chain. Never
    written: buffers, and what is frozen beside trained weights. Shared weights are drawn once. The state_dict keeps its keys.

    Drawn in float64 for float64 layers and in float32 for others, where Q is orthogonal to 2e-6. The global random state is
    neither read nor moved: without ``generator`` a fresh one with seed 0 is used, so two calls write the same weights.
    Pass ``torch.Generator().manual_seed(seed)`` for other draws.

    Args:
        model: any module with at least one layer that can be drawn.
        weights: the ensemble, a design, a recipe, or "auto".
        sigma_w: σ_w ≥ 0, 1 when left out; of an ensemble only.
        sigma_b: σ_b ≥ 0, 0 when left out; of an ensemble only.
        generator: torch's, from which all numbers are drawn: the same seed, the same result.
        options: convolutions, residual branches, activations.

    Returns:
        A row a tensor, drawn or left, with the reason; itself the sequence of one record a layer that was changed, in the order
        of ``model.named_modules()``, branch ends and activations last.

    Raises:
        InputError: an unknown ensemble, a negative σ, no such layer, a model that no recipe is for, or a weight that is
            computed, lazy or not floating point; nothing is written then.

    Source: Saxe, McClelland, Ganguli 2014 (orthogonal); Pennington, Schoenholz, Ganguli 2017 (isometry); Xiao et al. 2018
    (delta-orthogonal).

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
        >>> [record.gain for record in initialize_(model, "haar")]
        [1.4142135623730951, 1.0]
        >>> [(row.name, row.how) for row in initialize_(nn.LSTM(4, 4)).drawn][:2]
        [('weight_ih_l0', '1·Q'), ('weight_hh_l0', '1·Q')]
    """
    how = options or InitializeOptions()
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    if isinstance(weights, StartRecipe) or weights == "auto":
        if sigma_w is not None or sigma_b is not None or how.branch_ends:
            raise InputError("expected a recipe alone, got σ or branch ends as well; the recipe sets them.")
        found = start_of(model, weights if isinstance(weights, StartRecipe) else None, how.data)
        if not isinstance(found, Design):
            return _by_recipe(*found, generator)
        weights = found
    design = weights if isinstance(weights, Design) else None
    kind, deviations = _ensemble(weights, sigma_w, sigma_b)
    rows = Rows(tensors_of(model))
    layers = _layers(model, rows.tensors)
    ends = _branch_ends(model, how)
    _check_activation(design, how)
    for _, layer in layers:
        if isinstance(layer, nn.Linear | Convolution):
            check_kernel(layer, kind, how.convolution, how.positions)
    swapped = _swapped(model, design, how)  # refuses before it changes anything, and no weight is written yet
    first = 1.0 if design is None else design.layers[0].sigma_w / design.sigma_w / _expansion(design)
    records = []
    for index, (name, layer) in enumerate(layers):
        reads = name in how.firsts if how.firsts else index == 0
        one = _Drawer(rows, kind, (*deviations, first if reads else 1.0), how, generator)
        records.append(one.layer(name, layer))
    done = _scaled(records, rows, ends, _scale(ends, how, design))
    return InitializedModel((*done, *swapped), rows.all(), "design" if design is not None else kind)


def _by_recipe(recipe: StartRecipe, subject: Subject, generator: torch.Generator) -> InitializedModel:
    """Everything that a recipe says, tensor by tensor."""
    rows, starts = Rows(subject.tensors), recipe.starts(subject)
    layers: dict[str, InitializedLayer] = {}
    modules = dict(subject.model.named_modules())
    for tensor in subject.tensors:
        start = starts.get(tensor.name)
        if start is None or isinstance(start, str):
            rows.leave(tensor, start or "")
        elif (
            rows.write(tensor, start.values(tensor, generator), start.how, start.reason)
            and tensor.part.role == "matrix"
        ):
            scale = 1.0 if start.deviation is None else start.deviation * math.sqrt(tensor.part.fan_in)
            sigma_w = scale if start.ensemble != "constant" else 0.0
            kind = type(modules[tensor.module]).__name__
            layers.setdefault(
                tensor.module,
                InitializedLayer(tensor.module, start.ensemble, sigma_w, 1.0, 0.0, kind, note=start.reason),
            )
    return InitializedModel(tuple(layers.values()), rows.all(), recipe.name, recipe.source)


def _ensemble(
    weights: WeightKind | Design, sigma_w: float | None, sigma_b: float | None
) -> tuple[WeightKind, tuple[float, float]]:
    if isinstance(weights, Design):
        if sigma_w is not None or sigma_b is not None:
            raise InputError("expected either a design or sigma_w and sigma_b, got both; leave out the numbers.")
        return weights.weights, (weights.sigma_w, weights.sigma_b)
    if not isinstance(weights, str) or weights not in _KINDS:
        raise InputError(
            f"expected weights among {', '.join(_KINDS)}, got {weights!r}; take one, or pass a design, a recipe or auto."
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


def _layers(model: nn.Module, tensors: Iterable[ModelTensor]) -> list[tuple[str, nn.Module]]:
    """The modules that hold matrices, shared ones too."""
    names = (name for one in tensors if one.part.role == "matrix" or one.tied for name in (one.name, *one.also))
    owners = {name.rpartition(".")[0] for name in names}
    tables = (nn.Embedding, nn.EmbeddingBag)
    found = [(n, module) for n, module in model.named_modules() if n in owners and not isinstance(module, tables)]
    if not found:
        raise InputError(
            "expected a model with at least one Linear or convolutional layer, got none; there is nothing to initialise."
        )
    return found


def _branch_ends(model: nn.Module, how: InitializeOptions) -> list[tuple[str, nn.Module]]:
    """The modules that a pattern names, each with a weight that can be scaled."""
    ends = []
    for pattern in how.branch_ends:
        matched = [(name, module) for name, module in model.named_modules() if fnmatchcase(name, pattern)]
        kept = [(name, module) for name, module in matched if isinstance(module, (nn.Linear, Convolution, *NORMS))]
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


@dataclass(frozen=True)
class _Drawer:
    """Layers from an ensemble: kind, (σ_w, σ_b, extra gain), and where their rows go."""

    rows: Rows
    kind: WeightKind
    numbers: tuple[float, float, float]
    how: InitializeOptions
    generator: torch.Generator

    def layer(self, name: str, layer: nn.Module) -> InitializedLayer:
        """All matrices and biases of a layer, of which another one may have drawn some."""
        sigma_w, sigma_b, extra = self.numbers
        own = [tensor for tensor in self.rows.tensors if tensor.module == name]
        found = [(one, self._matrix(one, layer)) for one in own if one.part.role == "matrix" and not one.kept]
        for tensor, drawn in found:
            scale = sigma_w * drawn.gain * extra
            reason = drawn.note or "a matrix"
            self.rows.write(tensor, drawn.weight.mul_(scale), f"{scale:.4g}·{_SYMBOLS[self.kind]}", reason)
        biases = [tensor for tensor in own if tensor.part.role == "bias"] if found or self._shares(name) else []
        for tensor in biases:
            self._bias(tensor, sigma_b)
        kind, deviation = type(layer).__name__, sigma_b if biases else 0.0
        if not found:
            return InitializedLayer(name, "unchanged", 1.0, 1.0, deviation, kind, note=self._why(name))
        (_, first), *_ = found
        gain = first.gain * extra
        return InitializedLayer(name, self.kind, sigma_w * gain, gain, deviation, kind, note=first.note)

    def _matrix(self, tensor: ModelTensor, layer: nn.Module) -> Drawn:
        plain = isinstance(layer, nn.Linear | Convolution) and len(tensor.part.pieces) == 1
        if plain and isinstance(layer, nn.Linear | Convolution):
            return drawn_weight(layer, self.kind, self.generator, self.how.convolution, self.how.positions)
        return drawn_pieces(tensor, self.kind, self.generator)

    def _bias(self, tensor: ModelTensor, sigma_b: float) -> None:
        values = sigma_b * torch.randn(
            tensor.shape, generator=self.generator, dtype=torch.float64, device=self.generator.device
        )
        part = tensor.part
        for (_, piece), start in zip(cut(values, part), part.constant, strict=True):
            if start is not None:
                piece.fill_(start)
        fixed = dict.fromkeys(
            f"{name} {start:g}" for name, start in zip(part.pieces, part.constant, strict=True) if start
        )
        other = all(start == 0 for start in part.constant)
        reason = "added to another bias, which is drawn" if other else ", ".join(["bias", *fixed])
        self.rows.write(tensor, values, "0" if other or sigma_b == 0 else f"N(0, {sigma_b:.4g}²)", reason)

    def _shared(self, name: str) -> ModelTensor | None:
        names = [(one, other) for one in self.rows.tensors for other in (one.name, *one.also)]
        return next((one for one, other in names if other.rpartition(".")[0] == name != one.module), None)

    def _shares(self, name: str) -> bool:
        return self._shared(name) is not None

    def _why(self, name: str) -> str:
        tensor = self._shared(name)
        if tensor is None:
            return next(one.kept for one in self.rows.tensors if one.module == name and one.part.role == "matrix")
        if tensor.part.role == "table":
            return f"shares the weight of {tensor.module!r}, a table of embeddings, which is left"
        return f"shares the weight of {tensor.module!r}, which is initialised there"


_SYMBOLS = {"haar": "Q", "identity": "1", "gaussian": "N(0, 1/fan_in)"}


def _scale(ends: list[tuple[str, nn.Module]], how: InitializeOptions, design: Design | None) -> float:
    """The factor of the branch ends."""
    if how.branch_scale == "depth":
        return len(ends) ** -0.5 if ends else 1.0
    if how.branch_scale == "design":
        assert design is not None
        return design.residual(len(ends)).scale if ends else 1.0
    return float(how.branch_scale)


def _scaled(
    records: list[InitializedLayer], rows: Rows, ends: list[tuple[str, nn.Module]], scale: float
) -> list[InitializedLayer]:
    """The records with branch scales, which are written into weights and biases of the branch ends."""
    found = {record.name: record for record in records}
    for name, module in ends:
        rows.scale([module._parameters["weight"], module._parameters.get("bias")], scale)
        known = found.get(name, InitializedLayer(name, "unchanged", 1.0, 1.0, 0.0, type(module).__name__))
        found[name] = replace(known, branch_scale=scale)
    return list(found.values())


def _swapped(model: nn.Module, design: Design | None, how: InitializeOptions) -> list[InitializedLayer]:
    if design is None or not how.swap:
        return []
    found = swap_activations_(model, design.activation, how.replaces or design.named.name)
    return [
        InitializedLayer(record.name, "activation", 1.0, 1.0, 0.0, record.after, note=f"in place of {record.before}")
        for record in found
    ]
