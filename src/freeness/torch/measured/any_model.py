"""Dual Gram matrix and Jacobian of any module, layer by layer: J_θ is never in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge

from freeness.errors import InputError
from freeness.torch.model.batched import jacobian_rows
from freeness.torch.model.counting import watched
from freeness.torch.model.function import Function
from freeness.torch.model.memory import MemoryPlan
from freeness.torch.model.state import trained_parameters
from freeness.torch.model.taps import EmbeddingUse, ParameterUse, Tap, Taps, Use
from freeness.torch.model.walks import made_of, reached

_BLOCK = 1 << 20  # numbers of gradients that are formed at a time


@dataclass(frozen=True, eq=False)
class Survey:
    """What one forward pass tells about a measurement.

    Numbers of inputs (of tokens: of their embedding) and of outputs, uses of every parameter, numbers saved for going backward.
    """

    inputs: int
    outputs: int
    uses: dict[str, list[Use]]
    saved: int
    itemsize: int
    sizes: dict[str, int]

    @property
    def largest(self) -> int:
        """Numbers of the largest output of a layer."""
        return max((use.shape.numel() for uses in self.uses.values() for use in uses), default=0)

    def weight(self, name: str) -> int:
        """Numbers held of one parameter: inputs, and cotangents of all outputs."""
        return sum(use.held + self.outputs * use.shape.numel() for use in self.uses[name])

    def groups(self, passes: int) -> list[list[str]]:
        """The parameters in as many groups, in their order, of about equal memory."""
        target = sum(map(self.weight, self.uses)) / passes
        groups: list[list[str]] = []
        filled = float("inf")
        for name in self.uses:
            if filled + self.weight(name) > target and (not groups or len(groups) < passes) and filled > 0:
                groups.append([])
                filled = 0.0
            groups[-1].append(name)
            filled += self.weight(name)
        return groups

    def heaviest(self, passes: int) -> int:
        """Numbers held of the largest group."""
        return max((sum(map(self.weight, group)) for group in self.groups(passes)), default=0)

    def usual_passes(self) -> int:
        """The fewest passes that hold no more than one layer's gradients, the largest layer's cotangents, or one block."""
        bound = max([_BLOCK, *(self.outputs * size for size in self.sizes.values()), *map(self.weight, self.uses)])
        return next((p for p in range(1, len(self.uses)) if self.heaviest(p) <= bound), max(len(self.uses), 1))


def survey(function: Function, x: Tensor) -> Survey:
    """One forward pass that keeps nothing.

    Example:
        >>> with Function(nn.Linear(3, 2)).ready(torch.ones(1, 3)) as (function, x):
        ...     found = survey(function, x)
        >>> found.outputs, list(found.uses)
        (2, ['weight', 'bias'])
    """
    parameters = trained_parameters(function.model)
    numbers = {parameter.data_ptr() for parameter in function.model.parameters()}
    saved = 0

    def pack(tensor: Tensor) -> Tensor:
        nonlocal saved
        saved += 0 if tensor.data_ptr() in numbers else tensor.numel()
        return tensor.new_empty(0) if light else tensor

    kept: list[Tensor] = []

    def once() -> None:
        kept[:] = [function(x)]

    try:
        light = True
        with Taps(_names({**parameters, **_tables(function.model)})) as taps:
            watched(once, pack, _unpack)
    except InputError as error:
        if not isinstance(error.__cause__, _Backward):
            raise
        light, saved = False, 0
        with Taps({}) as taps:
            watched(once, pack, _kept)
    (outputs,) = kept
    uses: dict[str, list[Use]] = {}
    for tap in taps.taps:
        if tap.name in parameters:
            uses.setdefault(tap.name, []).append(tap.use)
    for name in remaining(outputs, parameters):
        uses.setdefault(name, []).append(ParameterUse(parameters[name].shape))
    sizes = {name: parameters[name].numel() for name in uses}
    inputs = sum(tap.use.shape.numel() for tap in _embeddings(taps, x)) or x.numel()
    return Survey(inputs, outputs.numel(), uses, saved, outputs.element_size(), sizes)


class _Backward(RuntimeError):
    """A forward pass goes backward, as that of a network does whose loss holds derivatives."""


def _unpack(_: object) -> Tensor:
    raise _Backward("a survey does not go backward")


def _kept(tensor: Tensor) -> Tensor:
    return tensor


def _tables(model: nn.Module) -> dict[str, Tensor]:
    """Tables of embeddings, frozen ones too: what they give goes in."""
    modules = {name: one for name, one in model.named_modules() if isinstance(one, nn.Embedding)}
    return {f"{name}.weight" if name else "weight": one.weight for name, one in modules.items()}


def _names(parameters: Mapping[str, Tensor]) -> dict[int, str]:
    return {id(parameter): name for name, parameter in parameters.items()}


def remaining(outputs: Tensor, parameters: dict[str, nn.Parameter]) -> list[str]:
    """Parameters on which the graph of ``outputs`` still depends, in their order."""
    nodes = reached([outputs.grad_fn], made_of)
    found = {id(getattr(node, "variable", None)) for node in nodes}  # of AccumulateGrad, the ends of the graph
    return [name for name, parameter in parameters.items() if id(parameter) in found]


def planned(found: Survey, samples: int, passes: int) -> MemoryPlan:
    """What a dual Gram matrix holds, from the survey of one sample."""
    rows = samples * found.outputs
    unfolded = max((use.unfolded for uses in found.uses.values() for use in uses), default=0)
    block = max((min(_BLOCK, rows * size) for size in found.sizes.values()), default=0)
    size = found.itemsize
    parts = (
        ("forward pass", found.saved * size),
        ("cotangents and inputs of layers", samples * found.heaviest(passes) * size),
        ("backward pass", 3 * -(-found.outputs // passes) * found.largest * size),
        ("gradients of one layer, in blocks", (2 * block + unfolded) * max(size, 4)),
        ("Gram matrix", 16 * rows**2),
    )
    return MemoryPlan(parts, passes)


def jacobian_plan(found: Survey, passes: int) -> MemoryPlan:
    """What the input–output Jacobian and its singular values hold."""
    rows = -(-min(found.outputs, found.inputs) // passes)
    parts = (
        ("forward pass", found.saved * found.itemsize),
        ("rows at a time", 3 * rows * found.largest * found.itemsize),
        ("Jacobian and its factors", 32 * found.outputs * found.inputs),
    )
    return MemoryPlan(parts, passes)


def jacobian_passes(found: Survey) -> int:
    """The fewest parts in which carrying J holds no more than J itself, or one block."""
    side = min(found.outputs, found.inputs)
    bound = max(_BLOCK, found.outputs * found.inputs)
    return min(max(1, -(-side * found.largest // bound)), side)


Entries = list[list[tuple[Use, Tensor]]]
"""Of one parameter: for each sample its uses with their cotangents (C, …)."""


def gram_work(found: Survey, name: str, samples: int = 1) -> float:
    """Operations of a parameter's part of a Gram matrix: gradients and their products, or Gram matrices over positions."""
    uses, rows = found.uses[name], samples * found.outputs
    if len(uses) == 1 and uses[0].by_positions(found.outputs, samples):
        return 2.0 * samples**2 * uses[0].paired(found.outputs)
    return 2.0 * (samples * sum(use.formed(found.outputs) for use in uses) + rows**2 * found.sizes[name])


def gram(functions: Sequence[Function], samples: Sequence[Tensor], passes: int, traced: bool = False) -> Tensor:
    """Σ over parameters of gradient·gradientᵀ, (n·C, n·C) in float64; (n, n), averaged over the outputs, if ``traced``.

    ``functions``: of one model, one a sample. ``passes``: groups of layers, each by backward passes of its own.
    """
    function = functions[0]
    found = survey(function, samples[0])
    count = len(samples) * (1 if traced else found.outputs)
    device = samples[0].device
    total = torch.zeros(count, count, dtype=torch.float32 if device.type == "mps" else torch.float64, device=device)
    rows = -(-found.outputs // passes)
    for group in found.groups(passes):
        collected: dict[str, Entries] = {name: [] for name in group}
        for one, x in zip(functions, samples, strict=True):
            for name, uses in _cotangents(one, x, group, rows).items():
                collected[name].append(uses)
        while collected:
            name, entries = collected.popitem()
            _accumulate(total, entries, function.model.get_parameter(name), traced)
    return total


def _cotangents(function: Function, x: Tensor, group: list[str], rows: int) -> dict[str, list[tuple[Use, Tensor]]]:
    parameters = trained_parameters(function.model)
    with Taps(_names(parameters)) as mode:
        outputs = function(x)
    if mode.backward:
        with Taps({}) as mode:
            outputs = function(x)
    if mode.overwritten:
        raise InputError(
            "expected layers whose inputs stay as they are, got an in-place write to one behind it; write x = x + … instead."
        )
    taps = [tap for tap in mode.taps if tap.name in group]
    others = [name for name in remaining(outputs, parameters) if name in group]
    edges: dict[int, tuple[GradientEdge, torch.Size]] = {id(tap.edge): (tap.edge, tap.use.shape) for tap in taps}
    inputs = [edge for edge, _ in edges.values()] + [parameters[name] for name in others]
    shapes = [shape for _, shape in edges.values()] + [parameters[name].shape for name in others]
    blocks = jacobian_rows(outputs, inputs, shapes, rows)
    by_edge = dict(zip(edges, blocks, strict=False))
    found: dict[str, list[tuple[Use, Tensor]]] = {name: [] for name in group}
    for tap in taps:
        found[tap.name].append((tap.use, by_edge[id(tap.edge)]))
    for name, block in zip(others, blocks[len(edges) :], strict=True):
        found[name].append((ParameterUse(block.shape[1:]), block))
    return found


def _accumulate(total: Tensor, entries: Entries, parameter: Tensor, traced: bool) -> None:
    used = [uses for uses in entries if uses]
    if not used:
        return
    outputs = len(used[0][0][1])
    first, cotangent = used[0][0]
    if all(len(uses) == 1 for uses in entries) and first.by_positions(outputs, len(entries)):
        _by_positions(total, entries, traced)
        return
    height = parameter.shape[0] if parameter.ndim else 1
    width = parameter.numel() // max(height, 1)
    step = max(1, _BLOCK // max(len(entries) * outputs * width, 1))
    for start in range(0, height, step):
        rows = slice(start, min(start + step, height))
        zero = cotangent.new_zeros(outputs, (rows.stop - rows.start) * width)
        parts = [_summed(uses, rows, zero) for uses in entries]
        stacked = parts[0] if len(parts) == 1 else torch.cat(parts)
        if traced:
            stacked = stacked.reshape(len(parts), -1) / outputs**0.5
        total += stacked @ stacked.T


def _summed(uses: list[tuple[Use, Tensor]], rows: slice, zero: Tensor) -> Tensor:
    """The gradient of a parameter, all places where it is used together."""
    parts = [use.gradient(_wide(cotangent), rows).flatten(1) for use, cotangent in uses]
    return sum(parts[1:], parts[0]) if parts else _wide(zero)


def _wide(tensor: Tensor) -> Tensor:
    """At least float32, in which products are summed."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def _by_positions(total: Tensor, entries: Entries, traced: bool) -> None:
    for i, [(use, cotangent)] in enumerate(entries):
        for j, [(other, second)] in enumerate(entries[: i + 1]):
            block = use.product(_wide(cotangent), other, _wide(second))
            if traced:
                block = block.trace().reshape(1, 1) / len(block)
            size = len(block)
            total[i * size : (i + 1) * size, j * size : (j + 1) * size] += block
            if i != j:
                total[j * size : (j + 1) * size, i * size : (i + 1) * size] += block.T


def input_jacobian(function: Function, x: Tensor, rows: int | None = None) -> Tensor:
    """J = ∂f/∂x, (C, N_0), carried from the narrower side; of tokens with respect to their embedding.

    ``rows``: outputs (or inputs) at a time; all when left out.

    Raises:
        InputError: tokens, which have no derivative, that are not looked up in a trained table.
    """
    if not x.is_floating_point():
        return _embedded_jacobian(function, x, rows)
    x = x.detach().clone().requires_grad_()
    outputs = function(x)
    count = outputs.numel()
    if x.numel() < count:
        found = _forward_jacobian(function, x.detach(), rows)
        if found is not None:
            return found
    return jacobian_rows(outputs, [x], [x.shape], rows or count)[0].reshape(count, -1)


def _embeddings(taps: Taps, tokens: Tensor) -> list[Tap]:
    """Where the input's own numbers are looked up in a table first; of several inputs packed into one, each of them."""
    found: dict[int, Tap] = {}
    for tap in taps.taps:
        if not isinstance(tap.use, EmbeddingUse):
            continue
        if torch.equal(tap.use.tokens, tokens):
            return [tap]
        if tap.use.tokens.untyped_storage().data_ptr() == tokens.untyped_storage().data_ptr():  # a part is a view
            found.setdefault(int(tap.use.tokens.storage_offset()), tap)
    return list(found.values())


def embedded(function: Function, tokens: Tensor) -> tuple[Tensor, list[Tap]]:
    """The outputs, and where the tokens were looked up on the way."""
    with Taps(_names({**trained_parameters(function.model), **_tables(function.model)})) as taps:
        outputs = function(tokens)
    found = _embeddings(taps, tokens)
    if not found:
        raise InputError(
            "expected a floating input, or tokens for an nn.Embedding without max_norm, got "
            f"{tokens.dtype}: outputs have no derivative by tokens; pass the part of the model behind its embedding."
        )
    return outputs, found


def _embedded_jacobian(function: Function, tokens: Tensor, rows: int | None) -> Tensor:
    outputs, found = embedded(function, tokens)
    count = outputs.numel()
    parts = jacobian_rows(outputs, [tap.edge for tap in found], [tap.use.shape for tap in found], rows or count)
    return torch.cat([part.reshape(count, -1) for part in parts], 1)


def _forward_jacobian(function: Function, x: Tensor, rows: int | None) -> Tensor | None:
    """Column by column, or None where an operation has no forward derivative."""
    try:
        columns = torch.func.vmap(lambda direction: torch.func.jvp(function, (x,), (direction,))[1], chunk_size=rows)
        return columns(torch.eye(x.numel(), dtype=x.dtype, device=x.device).reshape(-1, *x.shape)).detach().T
    except (RuntimeError, NotImplementedError, InputError):
        return None
