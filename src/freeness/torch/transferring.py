"""The learning rate of a small network, carried to a big one: as a whole, and by groups of parameters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict, Unpack

import torch
from torch import nn

from freeness.errors import InputError, is_real, is_size
from freeness.torch.batch import Batch
from freeness.torch.first_step import Crossing, FirstStep, Movement, StepOptions, first_step, optimizer_factory
from freeness.torch.given import GivenLoss, GivenOptimizer
from freeness.torch.outputs import OutputKey
from freeness.torch.roles import GroupRole, grown_sides
from freeness.torch.state import trained_parameters
from freeness.torch.transferred import GroupRate, Transfer, Verdict
from freeness.torch.user_data import batch_of

_BATCH, _BATCHES = 64, 4  # samples of a step, and steps whose samples are looked at together
_LONG, _MOST = 30, 15  # forward passes of a search in the small network, and of all of the big one
_SHORT = 1e-3  # of the critical rate, for differences
_BELOW = 0.3  # of where the critical rate is expected, from where it is walked to
_ALIKE = 1.5  # of two ways to carry a rate, as a factor
_SAME = 1.25  # of two rates that count as one
_SPREAD = {"agree": (0.5, 2.0), "disagree": (0.35, 2.8)}  # of the best rate over the carried one


class TransferSettings(TypedDict, total=False):
    """What :func:`transfer` takes besides.

    ``loss``, ``optimizer``, ``output``, ``training``: as of :class:`~freeness.torch.AnalyzeOptions`; an optimiser of torch stands
    for its settings, whatever it holds. ``batch``: samples of a step, 64 when left out; four times as many are looked at, or as
    many as there are.
    """

    loss: GivenLoss | None
    optimizer: GivenOptimizer
    output: OutputKey
    training: bool | None
    batch: int


def transfer(
    small: nn.Module, big: nn.Module, rate: float, data: object, **settings: Unpack[TransferSettings]
) -> Transfer:
    """Carry a learning rate that is good for a small network to a big one of its family.

    The whole rate follows the critical rate η_c, the smallest at which the optimiser's first step raises the loss of its own
    samples: rate·η_c(big)/η_c(small). Beside it stands D, the root mean square change of the outputs per unit rate along that
    step, without what a softmax does not see. Where 1/D says something else by more than a factor of 1.5, the interval is wide.

    Groups of parameters (input, hidden, output, embeddings, norms and biases) get rates in function space: each moves what the
    last layer reads, relatively, as much in the big network as in the small one; the last layer so moves the outputs. Where
    weight decay is decoupled, rate times decay stays.

    Nothing is trained, and both networks are left as they were. The big one costs one gradient evaluation and at most 15 forward
    passes.

    Args:
        small: the network whose rate is known.
        big: the network that needs one.
        rate: the good rate of the small one, for all of its parameters.
        data: what both take, in any form that ``analyze`` takes.
        **settings: loss, optimizer, batch, output, training, see :class:`TransferSettings`.

    Raises:
        InputError: a rate that is not positive, data that do not fit, or a step that does not lower the loss.

    Sources: Kalra, Barkeshli, arXiv 2406.09405, for the critical rate; Milsom, Anson, Aitchison, arXiv 2502.17405, for rates in
    function space; Yang et al., arXiv 2203.03466, for groups by role; Dey et al., arXiv 2505.01618, for the decay.

    Example:
        >>> import torch
        >>> generator = torch.manual_seed(0)
        >>> make = lambda width: nn.Sequential(nn.Linear(8, width), nn.Tanh(), nn.Linear(width, 3))
        >>> data = torch.randn(64, 8), torch.arange(64) % 3
        >>> found = transfer(make(16), make(128), 0.01, data, loss="cross_entropy", optimizer="adamw")
        >>> found.rate < 0.01, [part.role for part in found.parts]
        (True, ['input', 'norms and biases', 'output'])
        >>> optimizer = torch.optim.AdamW(found.groups)
    """
    if not (is_real(rate) and rate > 0):
        raise InputError(f"expected a rate > 0 of the small network, got {rate!r}; pass the one that was good.")
    how = StepOptions(
        settings.get("loss"), settings.get("optimizer", "sgd"), settings.get("output"), settings.get("training")
    )
    batch = _batch(data, big, settings.get("batch"))
    with first_step(small, _moved(batch, small), how) as step:
        rough = step.crossing(step.whole, rate, _LONG).rate
        there = _measured(step, step.movements(_SHORT * rough), step.crossing(step.whole, _BELOW * rough, _LONG))
    with first_step(big, batch, how, grown_sides(small, big)) as step:
        moved = step.movements(_SHORT * there.crossing.rate)
        expected = there.crossing.rate * min(there.whole.outputs / moved[0].outputs, 1.0)
        here = _measured(step, moved, step.crossing(step.whole, _BELOW * expected, _MOST - len(moved[1])))
        parts = _parts(big, group_shares(there.each, here.each), (rate, how), here)
        spent = step.gradients, step.passes
    return _told(rate, (there, here), parts, spent, _matched(small, big, there, here), how)


def _batch(data: object, big: nn.Module, asked: int | None) -> Batch:
    """The first samples, as many as some steps have: the critical rate of one batch scatters too much."""
    if asked is not None and not is_size(asked):
        raise InputError(f"expected a batch, a whole number ≥ 1, got {asked!r}; correct it.")
    found = batch_of(data, big)
    return found.part(0, min(_BATCHES * (asked or found.size or _BATCH), found.count))


def _moved(batch: Batch, small: nn.Module) -> Batch:
    first = next(small.parameters(), None)
    if first is None:
        raise InputError("expected a small network with parameters, got none; there is nothing to compare with.")
    return batch.to(first.device, first.dtype if first.is_floating_point() else None)


@dataclass(frozen=True)
class AtStart:
    """Of one network: its critical rate, how its outputs move, all together and group by group, and its roles."""

    crossing: Crossing
    whole: Movement
    each: Mapping[GroupRole, Movement]
    roles: Mapping[str, GroupRole]


def _measured(step: FirstStep, moved: tuple[Movement, Mapping[GroupRole, Movement]], crossing: Crossing) -> AtStart:
    return AtStart(crossing, *moved, dict(step.roles))


def group_shares(small: Mapping[GroupRole, Movement], big: Mapping[GroupRole, Movement]) -> dict[GroupRole, float]:
    """By how much the rate of each group of the big network is to differ, so that it moves what it moves in the small one.

    Args:
        small: movements per unit rate of the small network's groups.
        big: those of the big one's.

    Example:
        >>> group_shares({"hidden": Movement(1.0, 2.0)}, {"hidden": Movement(8.0, 4.0), "output": Movement(1.0, 0.0)})
        {'hidden': 0.5, 'output': 0.5}
    """
    found: dict[GroupRole, float] = {}
    for role, here in big.items():
        there = small.get(role)
        if there is not None and there.features > 0 and here.features > 0:
            found[role] = there.features / here.features
        elif there is not None and there.outputs > 0 and here.outputs > 0:
            found[role] = there.outputs / here.outputs
    middle = math.exp(sum(map(math.log, found.values())) / len(found)) if found else 1.0
    return {role: found.get(role, middle) for role in big}


def _parts(
    big: nn.Module, shares: Mapping[GroupRole, float], given: tuple[float, StepOptions], here: AtStart
) -> tuple[GroupRate, ...]:
    """One group a role, in the order of the model."""
    named = trained_parameters(big)
    rate, how = given
    probe = optimizer_factory(how.optimizer)([nn.Parameter(torch.zeros(1))])
    decay = float(probe.param_groups[0].get("weight_decay", 0.0))
    decoupled = bool(probe.param_groups[0].get("decoupled_weight_decay", False))
    found = []
    for role in dict.fromkeys(here.roles.values()):
        names = tuple(name for name, one in here.roles.items() if one == role)
        kept = decay / shares[role] if decoupled else decay
        found.append(GroupRate(role, rate * shares[role], kept, names, tuple(named[name] for name in names)))
    return tuple(found)


def _matched(small: nn.Module, big: nn.Module, there: AtStart, here: AtStart) -> str:
    """How parameters found their like."""
    if list(there.roles.items()) == list(here.roles.items()):
        return "by name"
    alone = [role for role in dict.fromkeys(here.roles.values()) if role not in there.each]
    text = "by role, as names differ"
    return text if not alone else f"{text}; the small network has no {alone[0]}, which take the mean rate of the others"


def _told(
    rate: float,
    both: tuple[AtStart, AtStart],
    parts: tuple[GroupRate, ...],
    spent: tuple[int, int],
    matched: str,
    how: StepOptions,
) -> Transfer:
    """The record, with its verdict in words."""
    there, here = both
    factor = here.crossing.rate / there.crossing.rate
    other = there.whole.outputs / here.whole.outputs if here.whole.outputs > 0 else factor
    agree = max(factor / other, other / factor) <= _ALIKE
    low, high = _SPREAD["agree" if agree else "disagree"]
    ends = (rate * factor, rate * factor) if agree else (rate * min(factor, other), rate * max(factor, other))
    verdict: Verdict = "uncertain" if not agree else "as it is" if 1 / _SAME <= factor <= _SAME else "changed"
    optimizer = _optimizer_name(how.optimizer)
    beside = f"A unit rate moves the outputs {1 / other:.3g} times as far, which says {other:.3g}: " + (
        "the two ways agree." if agree else "the two ways disagree, so try some rates within the interval."
    )
    reason = (
        f"The first step of {optimizer} begins to raise the loss at {here.crossing.rate:.3g} in the big network and at "
        f"{there.crossing.rate:.3g} in the small one, so the rate is multiplied by {factor:.3g}. {beside} "
        f"Parameters were matched {matched}."
    )
    return Transfer(
        rate * factor,
        parts,
        (ends[0] * low, ends[1] * high),
        verdict,
        reason,
        rate,
        (there.crossing.rate, here.crossing.rate),
        (there.whole.outputs, here.whole.outputs),
        matched,
        *spent,
        optimizer=optimizer,
    )


def _optimizer_name(given: GivenOptimizer) -> str:
    return given if isinstance(given, str) else type(optimizer_factory(given)([nn.Parameter(torch.zeros(1))])).__name__
