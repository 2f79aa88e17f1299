"""A start and multipliers by which the rate of a small network serves a big one: μP without base shapes, and with depth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Unpack

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from freeness.errors import InputError
from freeness.torch.model.state import trained_parameters
from freeness.torch.rate.first_step import is_adaptive, optimizer_factory
from freeness.torch.rate.transferring import TransferSettings, carried, check_settings
from freeness.torch.request.user_data import batch_of
from freeness.torch.start.architecture import FEW
from freeness.torch.start.branches import Wiring, wiring_of

_KEY = ".parametrizations."  # of torch's names of parameters that are computed
_SCALE = ".0.scale"  # of a multiplier among these


class Multiplier(nn.Module):
    """scale·w in the place of a weight w, as a parametrization of torch; the scale is saved with the weights."""

    scale: Tensor

    def __init__(self, scale: float | Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", torch.as_tensor(scale))

    def forward(self, weight: Tensor) -> Tensor:
        """The weight that the module uses."""
        return self.scale.to(weight) * weight

    def right_inverse(self, weight: Tensor) -> Tensor:
        """What is trained for it."""
        return weight / self.scale.to(weight)


@dataclass(frozen=True)
class Parametrized:
    """What :func:`parametrize_` did: ``started``, the factors of initial weights, and ``multipliers``, by names of parameters.

    ``rates``: by name, the share of the small network's rate that each parameter asks for; all 1 where there are multipliers.
    """

    started: Mapping[str, float]
    multipliers: Mapping[str, float]
    rates: Mapping[str, float]

    def groups(self, model: nn.Module, rate: float) -> list[dict[str, Any]]:
        """Parameter groups for torch's optimisers, one for each share.

        Args:
            model: the one that was parametrized.
            rate: of the small network.
        """
        held: dict[float, list[nn.Parameter]] = {}
        for name, parameter in trained_parameters(model).items():
            held.setdefault(self.rates.get(_plain(name), 1.0), []).append(parameter)
        return [{"params": parameters, "lr": rate * share} for share, parameters in held.items()]


def parametrize_(
    model: nn.Module, like: nn.Module, data: object, *, multipliers: bool = False, **settings: Unpack[TransferSettings]
) -> Parametrized:
    """Rescale the start of a big model so that it learns like a small one; on request its weights, so that one rate serves both.

    Initial weights: those of the output layer get the factor √(fan_in of the small/fan_in of the big), and those that end
    residual branches (blocks of the small/blocks of the big)^½ under gradient descent, ^1 under Adam. Then each group of
    parameters is to move what it moves in the small network, as in :func:`~freeness.torch.transfer`, which asks for a share s of
    the rate: ``groups`` has them. With ``multipliers`` weights become m·w with w trained, where m = s under Adam, whose step does
    not know m, and √s under gradient descent, whose step has it twice. That changes nothing that the model computes.

    Args:
        model: the big one; changed in place. Its ``state_dict`` has the scales, and :func:`restore_multipliers_` prepares a
            fresh model for it.
        like: the small one, left as it was.
        data: what both take, in any form that ``analyze`` takes.
        multipliers: write the shares into the weights.
        **settings: as of :func:`~freeness.torch.transfer`.

    Raises:
        InputError: as :func:`~freeness.torch.transfer`, or a model that has multipliers already.

    Sources: Yang, Hu, arXiv 2011.14522 (that multiplier, start and rate are exchangeable); Yang et al., arXiv 2203.03466 (the
    output layer); Bordelon et al., arXiv 2309.16620, and Dey et al., arXiv 2505.01618 (branches).

    Example:
        >>> _ = torch.manual_seed(0)
        >>> make = lambda width: nn.Sequential(nn.Linear(4, width), nn.Tanh(), nn.Linear(width, 3))
        >>> small, big, data = make(8), make(128), (torch.randn(32, 4), torch.arange(32) % 3)
        >>> done = parametrize_(big, small, data, multipliers=True, loss="cross_entropy", optimizer="adamw")
        >>> done.started, set(done.rates.values())
        ({'2.weight': 0.25}, {1.0})
        >>> optimizer = torch.optim.AdamW(big.parameters(), lr=1e-2)  # the small network's
    """
    check_settings(settings)
    if any(parametrize.is_parametrized(module) for module in model.modules()):
        raise InputError("expected a model with plain weights, got computed ones; start from a fresh model.")
    adaptive = is_adaptive(optimizer_factory(settings.get("optimizer", "sgd")))
    started = _start(model, like, data, adaptive)
    named = trained_parameters(model)
    with torch.no_grad():
        for name, factor in started.items():
            named[name].mul_(factor)
    found = carried(like, model, 1.0, data, settings, tuned=False)
    shares = {name: part.rate for part in found.parts for name in part.names}
    if not multipliers:
        return Parametrized(started, {}, shares)
    scales = {name: share if adaptive else math.sqrt(share) for name, share in shares.items()}
    _multiply(model, scales)
    return Parametrized(started, scales, dict.fromkeys(shares, 1.0))


def restore_multipliers_(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Give a fresh model the multipliers of a saved one, so that it can load its ``state_dict``.

    Args:
        model: changed in place.
        state: a ``state_dict`` of a model that :func:`parametrize_` gave multipliers.

    Raises:
        InputError: the model has no parameter of such a name.

    Example:
        >>> model, fresh = nn.Linear(2, 1), nn.Linear(2, 1)
        >>> _multiply(model, {"weight": 0.5})
        >>> restore_multipliers_(fresh, model.state_dict())
        >>> _ = fresh.load_state_dict(model.state_dict())
        >>> bool((fresh.weight == model.weight).all())
        True
    """
    scales = {_plain(key.removesuffix(_SCALE)): value for key, value in state.items() if key.endswith(_SCALE)}
    known = dict(model.named_parameters())
    strange = [name for name in scales if name not in known]
    if strange:
        raise InputError(
            f"expected multipliers of this model's parameters, got one of {strange[0]!r}; take its own state."
        )
    _multiply(model, scales)


def _multiply(model: nn.Module, scales: Mapping[str, float | Tensor]) -> None:
    for name, scale in scales.items():
        module, _, key = name.rpartition(".")
        parametrize.register_parametrization(model.get_submodule(module), key, Multiplier(scale))


def _plain(name: str) -> str:
    """A parameter's name without what torch writes into it where it is computed.

    Example:
        >>> _plain("0.parametrizations.weight.original"), _plain("parametrizations.weight"), _plain("0.bias")
        ('0.weight', 'weight', '0.bias')
    """
    return f".{name}".replace(_KEY, ".").removesuffix(".original").removeprefix(".")


def _start(model: nn.Module, like: nn.Module, data: object, adaptive: bool) -> dict[str, float]:
    """Factors of the output layer, and of what ends residual branches."""
    there, here = _wired(like, data), _wired(model, data)
    small, big, found = dict(like.named_parameters()), dict(model.named_parameters()), dict[str, float]()
    for name, old in zip(here.heads, there.heads, strict=False):
        fans = [math.prod(value.shape[1:]) for value in (small[old], big[name])]
        found[name] = math.sqrt(fans[0] / fans[1])
    if here.branches and there.branches:
        ratio = len(there.branches) / len(here.branches)
        factor = ratio if adaptive else math.sqrt(ratio)
        found |= {name: factor for branch in here.branches for name in (*branch.matrices, *branch.shifts)}
    return {name: factor for name, factor in found.items() if factor != 1}


def _wired(model: nn.Module, data: object) -> Wiring:
    few = batch_of(data, model).part(0, FEW)
    return wiring_of(model, lambda: few.call(model))
