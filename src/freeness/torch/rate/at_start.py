"""What transferring a rate asks of a network at its start, or of several starts of it: the critical rate, and what moves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from torch import nn

from freeness.errors import InputError
from freeness.torch.rate.first_step import Crossing, Movement, StepOptions, first_step
from freeness.torch.request.batch import Batch
from freeness.torch.start.roles import GroupRole, neurons

SHORT = 1e-3  # of the critical rate, for differences
BELOW = 0.3  # of where the critical rate is expected, from where it is walked to
_LONG = 30  # forward passes of a search in the small network


@dataclass(frozen=True)
class AtStart:
    """Of one network, or the mean of ``starts``: critical rate, how outputs move, all together and by group, and roles.

    ``degree``: of the outputs in all weights, see :meth:`~freeness.torch.rate.first_step.FirstStep.degree`; ``sensitivity``: to
    relative changes of the weights, see there; 0 where it is unknown; ``neurons``: of each matrix in front of the output's.
    """

    crossing: Crossing
    whole: Movement
    each: Mapping[GroupRole, Movement]
    roles: Mapping[str, GroupRole]
    starts: int = 1
    degree: float = 1.0
    sensitivity: float = 0.0
    neurons: tuple[float, ...] = ()


def at_start(small: nn.Module, batch: Batch, how: StepOptions, rate: float) -> AtStart:
    """Of a small network, whose passes are not counted.

    Raises:
        InputError: a network without parameters, or a step that does not lower the loss.
    """
    with first_step(small, _moved(batch, small), how) as step:
        rough = step.crossing(step.whole, rate, _LONG).rate
        moved = step.movements(SHORT * rough)
        crossing = step.crossing(step.whole, BELOW * rough, _LONG)
        return AtStart(
            crossing,
            *moved,
            dict(step.roles),
            degree=step.degree(),
            sensitivity=step.sensitivity(),
            neurons=tuple(neurons(small, step.roles)),
        )


def averaged(starts: Sequence[AtStart]) -> AtStart:
    """The geometric mean over starts of one network; the ends of its critical rate are the first's.

    Example:
        >>> first, second = (
        ...     AtStart(Crossing(rate, rate, rate, 1), Movement(4 / rate, 0.0), {}, {}) for rate in (1.0, 4.0)
        ... )
        >>> found = averaged([first, second])
        >>> found.crossing.rate, found.whole.outputs, found.starts
        (2.0, 2.0, 2)
    """
    first = starts[0]
    if any(one.roles != first.roles for one in starts):
        raise InputError(
            "expected several starts of one small network, got networks whose parameters differ; pass one size only."
        )
    return AtStart(
        first.crossing._replace(rate=_middle([one.crossing.rate for one in starts])),
        _middle_movement([one.whole for one in starts]),
        {role: _middle_movement([one.each[role] for one in starts]) for role in first.each},
        first.roles,
        len(starts),
        _middle([one.degree for one in starts]),
        _middle([one.sensitivity for one in starts]),
        first.neurons,
    )


def _middle_movement(some: Sequence[Movement]) -> Movement:
    return Movement(*(_middle(values) for values in zip(*some, strict=True)))


def _middle(values: Sequence[float]) -> float:
    """The geometric mean; what is 0, or unknown, in one start says nothing of a mean."""
    return math.exp(fmean(map(math.log, values))) if all(value > 0 for value in values) else values[0]


def _moved(batch: Batch, small: nn.Module) -> Batch:
    first = next(small.parameters(), None)
    if first is None:
        raise InputError("expected a small network with parameters, got none; there is nothing to compare with.")
    return batch.to(first.device, first.dtype if first.is_floating_point() else None)
