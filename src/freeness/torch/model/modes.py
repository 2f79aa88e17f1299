"""The mode that training will use: statistics of the batch, and masks that stay the same in every evaluation."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd
from torch.utils._pytree import tree_leaves

from freeness.errors import InputError
from freeness.torch.model.batched import plain_attention
from freeness.torch.model.buffers import same_buffers
from freeness.torch.model.outputs import run
from freeness.torch.model.state import own_generators, random_kept, untouched

DRAWS = "let it draw from the generators of torch, numpy or random, or from one that it holds, which are fixed here"
_SEED = 0
_TRIED = 8  # samples at most that are run in both modes


def trained_mode(model: nn.Module, inputs: Tensor, training: bool | None) -> bool | None:
    """The mode in which something is measured: False where that of training computes the same.

    ``training``: None for the mode that training will use, see :func:`~freeness.torch.untouched`.

    Example:
        >>> trained_mode(nn.Linear(2, 1), torch.ones(3, 2), None)
        False
        >>> trained_mode(nn.Sequential(nn.Linear(2, 1), nn.Dropout(0.1)), torch.ones(3, 2), None) is None
        True
    """
    if training is False:
        return False
    with untouched(model, training=training, copies=list(model.buffers())):
        if any(_differs(module) for module in model.modules()):
            return training
    with untouched(model, training=training), fixed_masks(model), plain_attention(), torch.no_grad():
        trained = run(model, inputs[:_TRIED])
    with untouched(model), fixed_masks(model), plain_attention(), torch.no_grad():  # which eval mode rounds otherwise
        plain = run(model, inputs[:_TRIED])
    return False if _same(trained, plain) else training


def _differs(module: nn.Module) -> bool:
    """Whether it is known to compute otherwise in training."""
    drops = isinstance(module, _DropoutNd) and module.p > 0
    return module.training and (drops or isinstance(module, _BatchNorm))


def draws(model: nn.Module, inputs: Tensor, training: bool | None) -> bool:
    """Whether a forward pass draws random numbers: two of them give something else from the same weights and buffers.

    Example:
        >>> draws(nn.Dropout(0.5), torch.ones(3, 20), True), draws(nn.Dropout(0.5), torch.ones(3, 20), False)
        (True, False)
    """
    frozen = [one for one in model.parameters() if not one.requires_grad]  # a pass may average others in them
    kept = untouched(model, training=training, copies=list(model.buffers()))
    with kept, same_buffers(model), torch.no_grad():
        try:
            before = [one._version for one in frozen]
            first = run(model, inputs[:_TRIED])
            written = [one for one, version in zip(frozen, before, strict=True) if one._version != version]
            if written:  # another pass would begin from other ones
                values = [one.clone() for one in written]
                first = run(model, inputs[:_TRIED])
                for one, value in zip(written, values, strict=True):
                    one.copy_(value)
            second = run(model, inputs[:_TRIED])
        except InputError:  # batch statistics of one sample: who measures says that there are none
            return False
    return not _same(first, second)


def _same(one: object, other: object) -> bool:
    """Whether two passes gave the same tensors."""
    pairs = zip(tree_leaves(one), tree_leaves(other), strict=False)
    return all(torch.equal(a, b) for a, b in pairs if isinstance(a, Tensor) and isinstance(b, Tensor))


def is_coupled(model: nn.Module, training: bool | None) -> bool:
    """Whether samples see each other: normalisation takes the statistics of the batch.

    Example:
        >>> is_coupled(nn.BatchNorm1d(2), None), is_coupled(nn.BatchNorm1d(2), False), is_coupled(nn.Dropout(), None)
        (True, False, False)
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    return training is not False and any(training or norm.training for norm in norms)


@contextmanager
def fixed_masks(model: nn.Module) -> Iterator[None]:
    """A block in which every forward pass draws the same random numbers: dropout keeps its masks, a sampled code its noise.

    Buffers are the same in every pass as well. The global random state, and generators that the model holds, are as before
    afterwards.

    Example:
        >>> model = nn.Dropout(0.5)
        >>> with fixed_masks(model):
        ...     torch.equal(model(torch.ones(50)), model(torch.ones(50)))
        True
    """
    again = own_generators(model)
    on_cpu = all(tensor.device.type == "cpu" for tensor in (*model.parameters(), *model.buffers()))
    # Beside the CPU's generator torch.manual_seed keeps the whole stack of calls for devices that are not in use.
    seeded = torch.default_generator.manual_seed if on_cpu and not torch.cuda.is_initialized() else torch.manual_seed

    def begin(_: nn.Module, __: object) -> None:
        again()
        seeded(_SEED)
        np.random.seed(_SEED)
        random.seed(_SEED)

    with model.register_forward_pre_hook(begin), random_kept(model), same_buffers(model):
        yield


def hold_statistics(model: nn.Module, inputs: Tensor) -> list[str]:
    """Give batch normalisation the mean and variance of a batch as its running ones; eval mode then computes with these.

    One sample by itself has no statistics: at one sample of a batch those of the batch are held fixed. Only modules that are in
    training mode are changed; a caller that keeps the model untouched gets it back.

    Returns:
        The names of the modules.

    Raises:
        InputError: the model fails on the batch, for instance where it is one sample.

    Example:
        >>> model, x = nn.BatchNorm1d(2), torch.tensor([[1.0, 0.0], [3.0, 4.0]])
        >>> with untouched(model, training=None):
        ...     names = hold_statistics(model, x)
        ...     model.running_mean, model.running_var
        (tensor([2., 2.]), tensor([1., 4.]))
    """
    found: dict[str, tuple[Tensor, Tensor]] = {}
    norms = {
        name: module for name, module in model.named_modules() if isinstance(module, _BatchNorm) and module.training
    }

    def seen(name: str) -> object:
        def note(_: nn.Module, given: tuple[Tensor, ...]) -> None:
            by_channel = given[0].detach().transpose(0, 1).flatten(1)
            found[name] = by_channel.mean(1), by_channel.var(1, unbiased=False)

        return note

    with ExitStack() as hooks, fixed_masks(model), torch.no_grad():
        for name, module in norms.items():
            hooks.enter_context(module.register_forward_pre_hook(seen(name)))  # type: ignore[arg-type]
        run(model, inputs)
    for name, (mean, variance) in found.items():
        norms[name]._buffers.update(running_mean=mean, running_var=variance)
    return list(found)
