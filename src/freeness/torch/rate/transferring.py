"""The learning rate of a small network, carried to a big one: as a whole, and by groups of parameters."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypedDict, Unpack

import torch
from torch import nn

from freeness.errors import InputError, is_real, is_size
from freeness.torch.loss.given import GivenLoss, GivenOptimizer
from freeness.torch.model.outputs import OutputKey
from freeness.torch.model.state import trained_parameters
from freeness.torch.rate.at_start import BELOW, SHORT, AtStart, at_start, averaged
from freeness.torch.rate.first_step import (
    Movement,
    StepOptions,
    first_step,
    is_adaptive,
    optimizer_factory,
)
from freeness.torch.rate.transferred import GroupRate, Transfer
from freeness.torch.rate.ways import Ways, at_edge, ratio
from freeness.torch.request.batch import Batch
from freeness.torch.request.user_data import batch_of
from freeness.torch.start.parts import is_normalisation
from freeness.torch.start.roles import GroupRole, grown_sides, neurons
from freeness.training import RunLength, Stepper, run_length

_BATCH, _BATCHES = 64, 4  # samples of a step, and steps whose samples are looked at together
_MOST = 15  # forward passes of the big network
_SPREAD = (0.36, 2.75)  # times the rate: there the best one lay for 70 of 76 starts of docs/transfer.md
_PLAIN = 1.5  # times as far where nothing is normalised: for 50 of 54, and without it for 40


class TransferSettings(TypedDict, total=False):
    """What :func:`transfer` takes besides.

    ``steps``: lengths of training, of the run whose rate is known and of the other; ``batch`` likewise, where both differ. Rates
    are multiplied as measured exponents say, see :func:`freeness.training.run_length`.

    ``loss``, ``optimizer``, ``output``, ``training``: as of :class:`~freeness.torch.AnalyzeOptions`; an optimiser of torch stands
    for its settings, whatever it holds. ``batch``: samples of a step, 64 when left out; four times as many are looked at, or as
    many as there are.
    """

    loss: GivenLoss | None
    optimizer: GivenOptimizer
    output: OutputKey
    training: bool | None
    batch: int | tuple[int, int]
    steps: tuple[int, int]


def transfer(
    small: nn.Module | Sequence[nn.Module],
    big: nn.Module,
    rate: float,
    data: object,
    **settings: Unpack[TransferSettings],
) -> Transfer:
    """Carry a learning rate that is good for a small network to a big one of its family.

    Where something is normalised the rate goes as 1/(C nᵃ). C is how far outputs move, beside themselves, if all tensors change
    by the same share of their size in random directions. Layers may agree or be independent; between both that is L^¾ of L layers
    in a chain, and about L^¼ where they add to a residual stream. n: neurons a matrix; a is ½, and ¾ where steps do not grow with
    the gradient, as Adam's.

    Elsewhere it is the geometric mean of this and of what starts say. These know two ways: the critical rate η_c, the smallest at
    which the optimiser's first step raises the loss of its samples, asks for rate·η_c(big)/η_c(small); and D, the root mean
    square change of the outputs per unit rate along that step, without what a softmax does not see, for rate·D(small)/D(big). η_c
    knows more of the loss and scatters, D scatters little. Where parameters have the same names, so that only widths differ, D
    alone counts, elsewhere the geometric mean of both.

    No way asks for more than the small network's rate where the big one has more parameters. Where both of starts differ by more
    than a factor of 1.5, or starts and layers where layers alone count, the verdict is "uncertain".

    A rate near the critical rate of the small network's start, 1/(1 - momentum) times, steps past the minimum of its first
    step. What is learned in is then flatter than the start. The verdict is "uncertain", the interval wide, and for the start
    stands the inverse degree of the outputs in all weights: 1/layers in a plain chain. All groups get that one rate.

    Groups of parameters (input, hidden, output, embeddings, norms and biases) get rates in function space: each moves what the
    last layer reads, relatively, as much in the big network as in the small one; the last layer so moves the outputs. Over
    depth none is above the small network's rate where nothing is normalised: signals that start small grow. Where weight decay is
    decoupled, rate times decay over the batch stays, so that weights are means over as many samples as before: the decay of the
    group which holds the small network's weights of a role, or of the optimiser's first group where it holds other weights.

    Nothing is trained, and both networks are left as they were. The big one costs three gradient evaluations and at most 15
    forward passes.

    Args:
        small: the network whose rate is known; or several starts of it, over which all is averaged. η_c of one start of a narrow
            network scatters by a factor of 2 and more.
        big: the network that needs one.
        rate: the good rate of the small one, for all of its parameters.
        data: what both take, in any form that ``analyze`` takes.
        **settings: loss, optimizer, batch, steps, output, training, see :class:`TransferSettings`.

    Raises:
        InputError: a rate that is not positive, data that do not fit, an unknown setting, or a step that does not lower the loss.

    Sources: Kalra, Barkeshli, arXiv 2406.09405, for the critical rate; Milsom, Anson, Aitchison, arXiv 2502.17405, for rates in
    function space; Everett et al., arXiv 2407.05872, for the powers of n; Yang et al., arXiv 2203.03466, for groups by role;
    Wang, Aitchison, arXiv 2405.13698, for the decay; Lewkowycz et al., arXiv 2003.02218, for rates beyond the critical one.

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
    check_settings(settings)
    if not (is_real(rate) and rate > 0):
        shown = repr(rate) if isinstance(rate, int | float | str) else f"a {type(rate).__name__}"
        raise InputError(f"expected a rate > 0 of the small network, got {shown}; pass the one that was good.")
    return carried(small, big, rate, data, settings)


def check_settings(settings: Mapping[str, object]) -> None:
    """Whether all names are those of settings."""
    strange = [name for name in settings if name not in TransferSettings.__annotations__]
    if strange:
        raise InputError(
            f"expected settings {', '.join(TransferSettings.__annotations__)}, got {strange[0]!r}; correct it."
        )


def carried(
    small: nn.Module | Sequence[nn.Module],
    big: nn.Module,
    rate: float,
    data: object,
    settings: TransferSettings,
    tuned: bool = True,
) -> Transfer:
    """See :func:`transfer`; where the rate is not ``tuned``, only shares of it are asked for."""
    how = StepOptions(
        settings.get("loss"), settings.get("optimizer", "sgd"), settings.get("output"), settings.get("training")
    )
    sizes = settings.get("batch")
    batch = _batch(data, big, sizes[0] if isinstance(sizes, tuple) else sizes)
    pair = sizes if isinstance(sizes, tuple) else None
    length = run_length(_stepper(how), steps=settings.get("steps"), batch=pair)
    starts = [small] if isinstance(small, nn.Module) else list(small)
    if not starts:
        raise InputError("expected the small network, or several starts of it, got an empty list; pass one at least.")
    small, there = starts[0], averaged([at_start(one, batch, how, rate) for one in starts])
    known, lasting = rate if tuned else None, _lasting(how)
    with first_step(big, batch, how, grown_sides(small, big)) as step:
        moved = step.movements(SHORT * there.crossing.rate)
        degree = step.degree() if at_edge(there, known, lasting) else 1.0
        sensitivity = step.sensitivity()
        expected = there.crossing.rate * min(ratio(there.whole.outputs, moved[0].outputs), 1.0)
        crossing = step.crossing(step.whole, BELOW * expected, _MOST - step.passes)
        counted, roles = tuple(neurons(big, step.roles)), dict(step.roles)
        here = AtStart(crossing, *moved, roles, degree=degree, sensitivity=sensitivity, neurons=counted)
        spent = step.gradients, step.passes
    normalised = any(map(is_normalisation, big.modules()))
    adaptive = is_adaptive(optimizer_factory(how.optimizer))
    ways = Ways(there, here, _size(big) > _size(small), known, lasting, plain=not normalised, adaptive=adaptive)
    shares = ways.shares(group_shares(there.each, here.each))
    parts = _parts(big, shares, (rate, how, group_decays(how.optimizer, small, there.roles)), here)
    found = _told(ways, rate, parts, spent, _matched(small, big, there, here), how)
    if ways.at_edge or not normalised:
        found = replace(found, interval=(found.interval[0] / _PLAIN, found.interval[1] * _PLAIN))
    if not (ways.at_edge or normalised):
        found = replace(found, advised="groups")
    same, grown = length == RunLength(1.0, 1.0, 1.0), pair[1] / pair[0] if pair else 1.0
    decay = grown / length.factor if _decouples(how) and not same else 1.0
    found = replace(found, called=_called(how, decay))
    return found if same else _lengthened(found, length, decay)


def _batch(data: object, big: nn.Module, asked: int | None) -> Batch:
    """The first samples, as many as some steps have: the critical rate of one batch scatters too much."""
    if asked is not None and not is_size(asked):
        raise InputError(f"expected a batch, a whole number ≥ 1, got {asked!r}; correct it.")
    found = batch_of(data, big)
    return found.part(0, min(_BATCHES * (asked or found.size or _BATCH), found.count))


def group_shares(small: Mapping[GroupRole, Movement], big: Mapping[GroupRole, Movement]) -> dict[GroupRole, float]:
    """By how much the rate of each group of the big network is to differ, so that it moves what it moves in the small one.

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
    big: nn.Module,
    shares: Mapping[GroupRole, float],
    given: tuple[float, StepOptions, Mapping[GroupRole, float]],
    here: AtStart,
) -> tuple[GroupRate, ...]:
    """One group a role, in the order of the model."""
    named = trained_parameters(big)
    rate, how, decays = given
    named_only = isinstance(how.optimizer, str)
    decay = float(_probe(how).param_groups[0].get("weight_decay", 0.0))
    decoupled = _decouples(how)
    found = []
    for role in dict.fromkeys(here.roles.values()):
        names = tuple(name for name, one in here.roles.items() if one == role)
        own = decays.get(role, decay)
        kept = None if named_only else own / shares[role] if decoupled else own
        found.append(GroupRate(role, rate * shares[role], kept, names, tuple(named[name] for name in names)))
    return tuple(found)


def group_decays(optimizer: object, small: nn.Module, roles: Mapping[str, GroupRole]) -> dict[GroupRole, float]:
    """By role the weight decay with which an optimiser steps most of the weights of the small network that play it.

    Only an instance that holds parameters of the small network tells anything.

    Example:
        >>> model = nn.Linear(2, 1)
        >>> groups = [{"params": [model.weight]}, {"params": [model.bias], "weight_decay": 0.0}]
        >>> optimizer = torch.optim.AdamW(groups, weight_decay=0.1)
        >>> group_decays(optimizer, model, {"weight": "output", "bias": "norms and biases"})
        {'output': 0.1, 'norms and biases': 0.0}
    """
    if not isinstance(optimizer, torch.optim.Optimizer):
        return {}
    given = {
        id(one): float(group.get("weight_decay", 0.0)) for group in optimizer.param_groups for one in group["params"]
    }
    entries: dict[GroupRole, dict[float, int]] = {}
    for name, parameter in trained_parameters(small).items():
        if name in roles and id(parameter) in given:
            counted = entries.setdefault(roles[name], {})
            counted[given[id(parameter)]] = counted.get(given[id(parameter)], 0) + parameter.numel()
    return {role: max(counted, key=lambda decay: counted[decay]) for role, counted in entries.items()}


def _matched(small: nn.Module, big: nn.Module, there: AtStart, here: AtStart) -> str:
    """How parameters found their like."""
    if list(there.roles.items()) == list(here.roles.items()):
        return "by name"
    alone = [role for role in dict.fromkeys(here.roles.values()) if role not in there.each]
    text = "by role, as names differ"
    return text if not alone else f"{text}; the small network has no {alone[0]}, which take the mean rate of the others"


def _size(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in trained_parameters(model).values())


def _stepper(how: StepOptions) -> Stepper:
    """Which measured exponents are those of an optimiser: by whether its first step grows with the gradient, and by momentum."""
    if is_adaptive(optimizer_factory(how.optimizer)):
        return "adam"
    return "momentum" if _probe(how).param_groups[0].get("momentum", 0.0) else "sgd"


def _lasting(how: StepOptions) -> float:
    """How far a gradient moves weights in the end beside its first step: Σ βᵗ, t ≥ 0, of momentum β."""
    own = _probe(how).param_groups[0]
    return (1 - own.get("dampening", 0.0)) / (1 - own["momentum"]) if own.get("momentum") else 1.0


def _decouples(how: StepOptions) -> bool:
    """Whether the optimiser shrinks weights apart from their gradients."""
    return bool(_probe(how).param_groups[0].get("decoupled_weight_decay", False))


def _probe(how: StepOptions) -> torch.optim.Optimizer:
    """The optimiser with its settings, of a parameter that nobody trains."""
    return optimizer_factory(how.optimizer)([nn.Parameter(torch.zeros(1))])


def _called(how: StepOptions, decay: float) -> tuple[str, str]:
    """As code calls the optimiser: its class, and the numbers that are not the class's own; the weight decay times ``decay``.

    Of a name alone the decay is left to torch, as nobody said one; of several decays it is that of most weights.
    """
    kind, own, left_out = type(_probe(how)), dict(_probe(how).param_groups[0]), {"params", "lr"}
    if isinstance(how.optimizer, torch.optim.Optimizer):
        own = max(how.optimizer.param_groups, key=lambda group: sum(one.numel() for one in group["params"])).copy()
    if isinstance(how.optimizer, str):
        left_out.add("weight_decay")
    elif "weight_decay" in own:
        own["weight_decay"] *= decay
    usual = {name: one.default for name, one in inspect.signature(kind).parameters.items() if name not in left_out}
    numbers = (f", {name}={own[name]!r}" for name, value in usual.items() if name in own and own[name] != value)
    name = f"torch.optim.{kind.__name__}" if kind.__module__.startswith("torch.optim.") else kind.__qualname__
    return name, "".join(numbers)


def _lengthened(found: Transfer, length: RunLength, decay: float) -> Transfer:
    """For a run of another length or batch, in which decays are multiplied."""

    def longer(part: GroupRate) -> GroupRate:
        kept = None if part.decay is None else part.decay * decay
        return replace(part, rate=part.rate * length.factor, decay=kept)

    beyond = f", extrapolated to {' and '.join(length.beyond)}" if length.beyond else ""
    reason = f"{found.reason} For another length or batch, measured exponents take all rates times {length.factor:.3g}{beyond}."
    return replace(
        found,
        rate=found.rate * length.factor,
        parts=tuple(map(longer, found.parts)),
        interval=(found.interval[0] * length.low, found.interval[1] * length.high),
        reason=reason,
    )


def _told(
    ways: Ways, rate: float, parts: tuple[GroupRate, ...], spent: tuple[int, int], matched: str, how: StepOptions
) -> Transfer:
    """The record."""
    optimizer = how.optimizer if isinstance(how.optimizer, str) else type(_probe(how)).__name__
    return Transfer(
        rate * ways.factor,
        parts,
        (rate * ways.factor * _SPREAD[0], rate * ways.factor * _SPREAD[1]),
        ways.verdict,
        ways.reason(optimizer),
        rate,
        (ways.there.crossing.rate, ways.here.crossing.rate),
        (ways.there.whole.outputs, ways.here.whole.outputs),
        matched,
        *spent,
        optimizer=optimizer,
        asked=(ways.by_start, ways.by_layers),
    )
