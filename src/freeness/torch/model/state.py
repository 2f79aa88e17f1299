"""Measuring without a trace: the model and the random state are handed back as they were found."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.grad_mode import _unsafe_preserve_version_counter

from freeness.torch.model.checkpoints import plain_checkpoints

Restore = Callable[[], None]


@contextmanager
def untouched(
    model: nn.Module, *, training: bool | None = False, copies: bool | Collection[Tensor] = True
) -> Iterator[nn.Module]:
    """Run a block that leaves ``model`` and the global random state exactly as they were, even if it raises.

    Restored bit by bit: parameters, buffers and their ``requires_grad``, ``.grad`` (object and values), train/eval mode
    of every module, hooks, the random state of torch (CPU, and CUDA where it is in use), numpy and ``random``, and generators
    that modules hold. A copy of the weights is held meanwhile, and their version counters are put back with them, so that a loss
    computed before can still go backward. Autocast is off inside, and reentrant checkpoints run plainly. Python attributes that
    a forward pass sets on a module are not watched.

    Args:
        model: the module to protect; it is also what ``with … as`` binds.
        training: the mode in which the block runs; False (the default) switches dropout off and freezes batch
            statistics; None is the mode that training will use: that of ``model.train()``, a model's own one too, but modules
            that are in eval mode inside a model in training mode stay there, as frozen normalisations do.
        copies: whether values are kept and put back; False where nothing in the block can write to them, or those tensors
            to which something may be written.

    Example:
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
        >>> with untouched(model) as measured:
        ...     measured.training
        False
        >>> model.training
        True
    """
    own = [
        (one, one.training) for one in model.modules() if training is None and type(one).train is not nn.Module.train
    ]
    copies = copies or (bool(own) and not model.training)  # which may merge adapters
    kept = None if isinstance(copies, bool) else {id(tensor) for tensor in copies}
    with ExitStack() as stack:  # all of it is put back, whatever a part of it raises
        for tensor in (*model.parameters(), *model.buffers()):
            stack.callback(_tensor_state(tensor, bool(copies) if kept is None else id(tensor) in kept))
        for module in model.modules():
            stack.callback(_module_state(module))
        stack.callback(_random_state(model))
        if training is not None or not model.training:
            for module in model.modules():
                module.training = training is not False
        for module, trained in own:
            stack.enter_context(_own_mode(module, trained))
        with full_precision(model), plain_checkpoints():
            yield model


@contextmanager
def standing(module: nn.Module, but: nn.Module) -> Iterator[None]:
    """A block in which another module runs as it is, in its mode; its weights get no gradients, and its buffers are put back.

    What it shares with the model ``but`` is left to that.
    """
    shared = {id(tensor) for tensor in (*but.parameters(), *but.buffers())}
    with ExitStack() as stack:
        for tensor in module.buffers():
            if id(tensor) not in shared:
                stack.callback(_tensor_state(tensor, True))
        for weight in module.parameters():
            if id(weight) not in shared:
                stack.callback(_tensor_state(weight, False))
                weight.requires_grad_(False)
        yield


@contextmanager
def _own_mode(module: nn.Module, before: bool) -> Iterator[None]:
    """A block behind a module's own ``train``, which keeps parts of it in eval mode, say; those that are there stay there."""
    frozen = [one for one in module.modules() if not one.training]
    module.train()
    for one in frozen:
        one.training = False
    try:
        yield
    finally:
        module.train(before)


@contextmanager
def full_precision(model: nn.Module | None = None) -> Iterator[None]:
    """A block without autocast: what is measured is the model itself, in its own precision.

    Example:
        >>> with torch.autocast("cpu", dtype=torch.bfloat16), full_precision():
        ...     (torch.ones(1, 2) @ torch.ones(2, 1)).dtype
        torch.float32
    """
    devices = {"cpu", *(parameter.device.type for parameter in (() if model is None else model.parameters()))}
    with ExitStack() as stack:
        for device in sorted(devices - {"meta"}):
            stack.enter_context(torch.autocast(device, enabled=False))
        yield


@contextmanager
def random_kept(model: nn.Module | None = None) -> Iterator[None]:
    """A block that leaves the global random state (torch, numpy, ``random``) as it was.

    Example:
        >>> before = torch.get_rng_state()
        >>> with random_kept():
        ...     drawn = torch.rand(3)
        >>> torch.equal(before, torch.get_rng_state())
        True
    """
    restore = _random_state(model)
    try:
        yield
    finally:
        restore()


def trained_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that require gradients, or all of them where none does (an inference copy).

    Example:
        >>> list(trained_parameters(nn.Linear(2, 1)))
        ['weight', 'bias']
    """
    named = dict(model.named_parameters())
    chosen = {name: parameter for name, parameter in named.items() if parameter.requires_grad}
    return chosen or named


def owner(name: str) -> str:
    """The module that a parameter is of; where torch computes a weight from others, the one that has the weight.

    Example:
        >>> owner("0.bias"), owner("0.parametrizations.weight.original0"), owner("parametrizations.weight.original")
        ('0', '0', '')
    """
    module = f".{name}".partition(".parametrizations.")
    return module[0].removeprefix(".") if module[1] else name.rpartition(".")[0]


def runs_foreign_code(model: nn.Module) -> bool:
    """Whether a forward pass runs code that is not torch's, which could write to the weights.

    Example:
        >>> runs_foreign_code(nn.Sequential(nn.Linear(2, 1), nn.Tanh()))
        False
    """
    return any(
        not type(module).__module__.startswith("torch.nn.modules.")
        or "forward" in vars(module)
        or any(value for key, value in vars(module).items() if "hooks" in key and isinstance(value, dict))
        for module in model.modules()
    )


def _module_state(module: nn.Module) -> Restore:
    """Mode, registered tensors and hooks of one module; torch names every dict of hooks with "hooks"."""
    training = module.training
    registries: list[tuple[dict[Any, Any], dict[Any, Any]]] = [
        (value, dict(value))
        for key, value in vars(module).items()
        if isinstance(value, dict) and ("hooks" in key or key in ("_parameters", "_buffers", "_modules"))
    ]

    def restore() -> None:
        module.training = training
        for registry, found in registries:
            if [(k, id(v)) for k, v in registry.items()] != [(k, id(v)) for k, v in found.items()]:
                registry.clear()
                registry.update(found)

    return restore


def _tensor_state(tensor: Tensor, copies: bool) -> Restore:
    """Values, ``requires_grad`` and gradient of one parameter or buffer. Written back only where something changed."""
    requires_grad, gradient = tensor.requires_grad, tensor.grad
    copies = copies and not (
        tensor.is_meta or isinstance(tensor, nn.UninitializedParameter | nn.UninitializedBuffer)
    )  # these have no values
    values, forget = _copied(tensor) if copies else (None, lambda: None)
    gradient_values = None if gradient is None or not copies else gradient.detach().clone()
    counted = [each for each in (tensor, gradient) if copies and each is not None and not each.is_inference()]
    versions = _unsafe_preserve_version_counter(tuple(counted))  # safe, as the values are put back

    def restore() -> None:
        forget()
        with torch.no_grad():
            if values is not None and not _same(tensor, values):
                tensor.copy_(values)
            tensor.requires_grad_(requires_grad)
            tensor.grad = gradient
            if gradient is not None and gradient_values is not None and not _same(gradient, gradient_values):
                gradient.copy_(gradient_values)
        versions.__exit__()

    return restore


_HELD: dict[int, Tensor] = {}  # by the id of a tensor, what a block around this one keeps of it: never written to


def _copied(tensor: Tensor) -> tuple[Tensor, Restore]:
    """A copy of a tensor, that of a block around this one where it is still right, and what forgets it: weights may be large."""
    held = _HELD.get(id(tensor))
    if held is not None and held.dtype == tensor.dtype and held.device == tensor.device and _same(tensor, held):
        return held, lambda: None
    values = tensor.detach().clone()
    if held is not None:
        return values, lambda: None
    _HELD[id(tensor)] = values

    def forget() -> None:
        _HELD.pop(id(tensor), None)

    return values, forget


def _same(found: Tensor, saved: Tensor) -> bool:
    """Equal, NaN counted as equal to NaN."""
    if found.layout != torch.strided:
        found, saved = found.to_dense(), saved.to_dense()
    return torch.equal(found, saved) or (
        torch.equal(found.nan_to_num(), saved.nan_to_num()) and torch.equal(found.isnan(), saved.isnan())
    )


def own_generators(model: nn.Module) -> Restore:
    """What puts the generators that modules hold as attributes back to where they are now.

    Example:
        >>> model = nn.Identity()
        >>> model.noise = torch.Generator().manual_seed(0)
        >>> back = own_generators(model)
        >>> first = torch.rand(2, generator=model.noise)
        >>> back()
        >>> torch.equal(first, torch.rand(2, generator=model.noise))
        True
    """
    held = [value for module in model.modules() for value in vars(module).values()]
    ours = [(each, each.get_state()) for each in held if isinstance(each, torch.Generator)]
    arrays = [(each.bit_generator, each.bit_generator.state) for each in held if isinstance(each, np.random.Generator)]
    plain = [(each, each.getstate()) for each in held if isinstance(each, random.Random)]

    def restore() -> None:
        for generator, state in ours:
            generator.set_state(state)
        for bits, state in arrays:
            bits.state = state
        for numbers, state in plain:
            numbers.setstate(state)

    return restore


def _random_state(model: nn.Module | None = None) -> Restore:
    """The global generators of torch, numpy and the standard library, and those that the model holds."""
    own = own_generators(nn.Module() if model is None else model)
    cpu, python, legacy = torch.get_rng_state(), random.getstate(), np.random.get_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else None

    def restore() -> None:
        own()
        torch.set_rng_state(cpu)
        random.setstate(python)
        np.random.set_state(legacy)
        if cuda is not None:
            torch.cuda.set_rng_state_all(cuda)

    return restore
