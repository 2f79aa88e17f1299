"""One forward and one backward pass, watched: what every layer of any model does to signal and gradient.

Modules are seen by hooks, everything else (activations, sums, attention) where torch dispatches it, so that nothing needs to be
known of how the model is written.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import GradientEdge, get_gradient_edge
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from freeness.advice import ActivationRow, AttentionRow, LayerTable, ModuleRow, SumRow, TensorRow
from freeness.errors import InputError
from freeness.torch.model.indexing import read_at_once
from freeness.torch.model.skips import Lineage
from freeness.torch.model.state import trained_parameters, untouched
from freeness.torch.record.elementwise import operation_name

_ACTIVATIONS = {
    *("relu", "leaky_relu", "hardtanh", "gelu", "silu", "tanh", "sigmoid", "elu", "softplus", "mish", "hardswish"),
    *("hardsigmoid", "erf", "sin", "log_sigmoid_forward", "prelu", "_prelu_kernel", "rrelu_with_noise"),
}
_NORMALISATIONS = ("Norm",)
_CONSTANTS = {
    "zeros",
    "ones",
    "full",
    "new_zeros",
    "new_ones",
    "new_full",
    "zeros_like",
    "ones_like",
    "full_like",
    "arange",
}
_STEP = 1e-3  # of the difference that gives an activation's slope
_FLAT, _ZERO = 0.1, 1e-5  # slopes that count as saturated and as none
_BLOCK = 1 << 15  # numbers of which a copy in float64 is made at a time
_QUERIES, _HEADS = 128, 8  # of an attention matrix at most whose rank and entropy are taken


@dataclass(eq=False)
class _Call:
    """One run of a module: mean square and mean of its output, and the place in the graph to take its gradient at."""

    name: str
    square: float
    mean: float
    size: int
    edge: GradientEdge | None
    begins: bool = False  # no weights stand behind what it read


@dataclass(eq=False)
class _Watch(TorchDispatchMode):
    """What is dispatched in a forward pass, by the module in which it happens."""

    inside: list[str] = field(default_factory=lambda: [""])
    begin: list[bool] = field(
        default_factory=list[bool]
    )  # of the same modules, whether no weights stand behind what they read
    lineage: Lineage = field(default_factory=Lineage)
    activations: list[ActivationRow] = field(default_factory=list)
    sums: list[SumRow] = field(default_factory=list)
    attention: list[AttentionRow] = field(default_factory=list)
    sequences: bool = False  # signals (B, channels, length) of one-dimensional convolutions
    by_channel: set[int] = field(default_factory=set)  # tensors (B, channels, …)
    given: set[int] = field(default_factory=set)  # made of parameters, buffers and constants alone, as a learned query
    ran: bool = False  # the whole model; what comes behind it is the loss

    def __post_init__(self) -> None:
        super().__init__()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = operation_name(func)
        place = self.inside[-1]
        if self.ran and len(self.inside) == 1:
            return func(*args, **(kwargs or {}))
        tensors = [one for one in args if isinstance(one, Tensor) and one.is_floating_point()]
        if name in _ACTIVATIONS and tensors and tensors[0].numel() > 1 and tensors[0].data_ptr() not in self.given:
            self.activations.append(self._activation(place, name, func, args, kwargs or {}))
        older = self._skip_first(name, args)
        pair = None if older is None else [_rms(one) for one in older]
        returned = func(*args, **(kwargs or {}))
        if name.startswith("_scaled_dot_product"):
            self.attention.append(_attended(place, _weights(args, kwargs or {}, func)))
        elif name == "_softmax" and _square(returned):
            self.attention.append(_attended(place, returned))
        if pair is not None:
            skip, branch = pair
            if skip > 0:  # nothing is no signal that is passed on, as the state that a recurrence starts from
                self.sums.append(SumRow(place, branch / skip, self._cosine(returned), branch))
        self._note(name, args, returned)
        return returned

    def _note(self, name: str, args: Any, returned: Any) -> None:
        """What a tensor was made of, and whether its channels come second."""
        self.lineage.note(name, args, returned)
        of = [one for one in tree_leaves(args) if isinstance(one, Tensor)]
        given = name in _CONSTANTS or (bool(of) and all(one.data_ptr() in self.given for one in of))
        channels = "convolution" in name or any(isinstance(a, Tensor) and a.data_ptr() in self.by_channel for a in args)
        self.sequences |= "convolution" in name and isinstance(args[0], Tensor) and args[0].ndim == 3
        for one in tree_leaves(returned):
            if isinstance(one, Tensor):
                (self.by_channel.add if channels else self.by_channel.discard)(one.data_ptr())
                (self.given.add if given else self.given.discard)(one.data_ptr())
                if not given:  # written to a part of it, as behind the place of a class token
                    self.given.discard(one.untyped_storage().data_ptr())

    def _activation(self, place: str, name: str, func: Any, args: Any, kwargs: Any) -> ActivationRow:
        h, *rest = args
        functional: Any = getattr(torch.ops.aten, name).default if func._schema.is_mutable else func
        above, below = (_first(functional(h.detach() + step, *rest, **kwargs)) for step in (_STEP, -_STEP))
        slope = (above - below).abs() / (2 * _STEP)
        axis = 1 if h.ndim > 3 or h.data_ptr() in self.by_channel else h.ndim - 1
        dead = (slope < _ZERO).movedim(axis, 0).reshape(h.shape[axis], -1).all(dim=1)
        flat = float((slope < _FLAT).float().mean())
        return ActivationRow(place, name, flat, float(dead.float().mean()), dead.numel())

    def _skip_first(self, name: str, args: Any) -> tuple[Tensor, Tensor] | None:
        """Skip connection and branch that are added; a sum with a parameter or over a broadcast axis is none."""
        if name != "add" or len(args) < 2:
            return None
        a, b = args[:2]
        if not (isinstance(a, Tensor) and isinstance(b, Tensor)) or a.shape != b.shape or a.ndim < 2:
            return None
        known = a.is_floating_point() and a.numel() > 1 and self.lineage.knows(a, b)
        found = self.lineage.skip_first(a, b) if known else None
        return None if found is None or found[0].data_ptr() in self.given else found

    def _cosine(self, signal: Tensor) -> float | None:
        if signal.ndim != 3 or signal.shape[1] < 2 or self.sequences:
            return None
        unit = torch.nn.functional.normalize(signal.detach().float(), dim=-1)
        tokens = unit.shape[1]
        together = unit.sum(dim=1).square().sum(dim=-1)
        return float(((together - tokens) / (tokens * (tokens - 1))).mean())


def _first(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else value[0]


def _rms(tensor: Tensor) -> float:
    return float(tensor.detach().float().square().mean().sqrt())


def _square(weights: Any) -> bool:
    """Whether what a softmax returns looks like attention: (…, queries, keys)."""
    return isinstance(weights, Tensor) and (
        weights.ndim == 4 or (weights.ndim == 3 and weights.shape[-1] == weights.shape[-2])
    )


def _weights(args: Any, kwargs: dict[str, Any], func: Any) -> Tensor:
    """A of the first sample, for some queries and heads, from queries and keys."""
    names = [argument.name for argument in func._schema.arguments]
    given = dict(zip(names, args, strict=False)) | kwargs
    q, k = (given[key][0, :_HEADS].detach().float() for key in ("query", "key"))
    scale = given.get("scale") or 1 / math.sqrt(q.shape[-1])
    k = k.repeat_interleave(-(-len(q) // len(k)), dim=0)[: len(q)]  # grouped queries
    scores = q[:, :_QUERIES] @ k.transpose(-1, -2) * scale
    mask = given.get("attn_mask", given.get("attn_bias"))
    if given.get("is_causal"):
        rows, columns = scores.shape[-2:]
        scores = scores.masked_fill(torch.ones(rows, columns, device=scores.device).triu(1).bool(), -math.inf)
    if isinstance(mask, Tensor):
        mask = mask.detach()[(0,) * (mask.ndim - 2)][: scores.shape[-2]]
        scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask
    return scores.softmax(dim=-1)


def _attended(name: str, weights: Tensor) -> AttentionRow:
    """Entropy over its largest, by the tokens that a row may see, and the effective rank, the exponential of an entropy."""
    a = weights.detach().float().flatten(0, -3)[:_HEADS, :_QUERIES]
    seen = (a > 0).sum(dim=-1)
    entropy = -(a * a.clamp_min(1e-30).log()).sum(dim=-1)
    several = seen > 1
    share = float((entropy[several] / seen[several].float().log()).mean()) if bool(several.any()) else 1.0
    values = torch.linalg.svdvals(a)
    p = values / values.sum(dim=-1, keepdim=True)
    rank = (-(p * p.clamp_min(1e-30).log()).sum(dim=-1)).exp().mean()
    return AttentionRow(name, share, float(rank))


def observe(model: nn.Module, loss: Callable[[], Tensor], *, training: bool | None = None) -> LayerTable:
    """The table of layers of a model at its present weights, from one forward and one backward pass.

    Args:
        model: any module; left as it was.
        loss: runs the model on a batch and returns the scalar loss.
        training: the mode; None leaves every module in its own.

    Raises:
        InputError: the loss is no scalar, or depends on no weight.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
        >>> x, y = torch.ones(3, 4), torch.tensor([0, 1, 1])
        >>> table = observe(model, lambda: nn.functional.cross_entropy(model(x), y))
        >>> [row.name for row in table.modules], table.activations[0].dead
        (['0', '2'], 0.0)
    """
    modes = {module: module.training for module in model.modules()}
    with untouched(model), torch.enable_grad():
        for module, mode in modes.items():
            module.training = mode if training is None else training
        parameters = trained_parameters(model)
        for parameter in parameters.values():
            parameter.requires_grad_()
        watch, calls = _Watch(given={one.data_ptr() for one in (*model.parameters(), *model.buffers())}), []
        with _hooked(model, watch, calls), read_at_once(model), watch:
            value = loss()
        _check(value)
        edges = [call.edge for call in calls if call.edge is not None]
        found = torch.autograd.grad(value, [*parameters.values(), *edges], allow_unused=True)
    gradients: dict[str, Tensor | None] = dict(zip(parameters, found, strict=False))
    behind: dict[int, Tensor | None] = dict(zip(map(id, edges), found[len(parameters) :], strict=True))
    rows = _rows(model, parameters, gradients, calls, behind)
    bad = next((call.name for call in calls if not math.isfinite(call.square)), None)
    return LayerTable(
        float(value.detach()), rows, tuple(watch.activations), tuple(watch.sums), tuple(watch.attention), bad
    )


def _check(value: Any) -> None:
    if not isinstance(value, Tensor) or value.numel() != 1:
        shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise InputError(f"expected a loss that is one number, got {shape}; average it over the batch.")
    if not value.requires_grad:
        raise InputError("expected a loss that depends on the trained weights, got one that does not; check the model.")


@contextmanager
def _hooked(model: nn.Module, watch: _Watch, calls: list[_Call]) -> Iterator[None]:
    with ExitStack() as hooks:
        for name, module in model.named_modules():
            owns = any(parameter is not None for parameter in module._parameters.values())

            def before(_: nn.Module, args: Any, kwargs: Any, name: str = name) -> None:
                watch.inside.append(name)
                watch.ran |= not name
                watch.begin.append(
                    watch.lineage.begins(*(one for one in tree_leaves((args, kwargs)) if torch.is_tensor(one)))
                )

            def after(_: nn.Module, __: Any, returned: Any, name: str = name, owns: bool = owns) -> None:
                watch.inside.pop()
                begins = watch.begin.pop()
                if owns:
                    calls.extend(_called(name, returned, begins))

            hooks.enter_context(module.register_forward_pre_hook(before, with_kwargs=True))
            hooks.enter_context(module.register_forward_hook(after))
        yield


def _called(name: str, returned: Any, begins: bool) -> list[_Call]:
    for one in tree_leaves(returned):
        if isinstance(one, Tensor) and one.is_floating_point() and one.numel() > 0:
            flat = one.detach().double()
            edge = get_gradient_edge(one) if one.requires_grad else None
            return [_Call(name, float(flat.square().mean()), float(flat.mean()), one.numel(), edge, begins)]
    return []


def _rows(
    model: nn.Module,
    parameters: dict[str, nn.Parameter],
    gradients: dict[str, Tensor | None],
    calls: list[_Call],
    behind: dict[int, Tensor | None],
) -> tuple[ModuleRow, ...]:
    """A row for every module with weights of its own, in the order in which they first ran; the others last."""
    names = {id(parameter): name for name, parameter in parameters.items()}
    modules = {
        name: module
        for name, module in model.named_modules()
        if any(parameter is not None for parameter in module._parameters.values())
    }
    order = list(dict.fromkeys([call.name for call in calls if call.name in modules] + list(modules)))
    rows = []
    for name in order:
        module = modules[name]
        trained = [names[id(p)] for p in module._parameters.values() if p is not None and id(p) in names]
        squares = {key: _square_sum(gradients[key]) for key in trained}
        tensors = tuple(_tensor_row(key, parameters[key], squares[key]) for key in trained)
        own = [call for call in calls if call.name == name]
        size = sum(call.size for call in own)
        rows.append(
            ModuleRow(
                name=name,
                kind=type(module).__name__,
                signal=sum(call.square * call.size for call in own) / size if own else None,
                mean=sum(call.mean * call.size for call in own) / size if own else None,
                gradient=sum(squares.values()),
                output_gradient=_output_gradient(own, behind),
                outputs=size,
                uses=len(own),
                trained=bool(trained),
                tensors=tensors,
                scale=_scale(module),
                begins=bool(own) and all(call.begins for call in own),
            )
        )
    return tuple(rows)


def _output_gradient(calls: list[_Call], behind: dict[int, Tensor | None]) -> float | None:
    """Its mean square; None where no gradient can come, as in front of all that is trained."""
    known = [call for call in calls if call.edge is not None]
    if not known:
        return None
    return sum(_square_sum(behind.get(id(call.edge))) for call in known) / sum(call.size for call in calls)


def _square_sum(tensor: Tensor | None) -> float:
    """In float64, block by block: a whole copy of a large tensor takes ten times as long."""
    if tensor is None:
        return 0.0
    numbers = tensor.detach().coalesce().values() if tensor.is_sparse else tensor.detach()
    blocks = (block.double() for block in numbers.reshape(-1).split(_BLOCK))
    return float(torch.stack([torch.dot(block, block) for block in blocks]).sum())


def _tensor_row(name: str, parameter: Tensor, square: float) -> TensorRow:
    """``square``: of its gradient, summed."""
    size = parameter.numel()
    return TensorRow(name, size, math.sqrt(_square_sum(parameter) / max(size, 1)), math.sqrt(square / max(size, 1)))


def _scale(module: nn.Module) -> float | None:
    weight = module._parameters.get("weight")
    if weight is None or not any(part in type(module).__name__ for part in _NORMALISATIONS):
        return None
    return float(weight.detach().double().abs().mean())
