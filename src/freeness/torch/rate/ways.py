"""What is made of the ways to carry a rate: by loss, outputs and neurons, and by the degree where the start tells nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from freeness.advice import WAYS_AGREE
from freeness.torch.rate.at_start import AtStart
from freeness.torch.rate.transferred import Verdict
from freeness.torch.start.roles import GroupRole

_SAME = 1.25  # of two rates that count as one
_EDGE = 2.0  # critical rate over rate: of a parabola the minimum along a step lies there
_LINEAR = 1.1  # degree of outputs up to which they are linear in the weights


@dataclass(frozen=True)
class Ways:
    """From the starts of the small network and the big one; ``larger``: the big one has more parameters.

    ``rate``: the small network's; ``lasting``: how much a rate moves in the long run beside its first step, 1/(1 - momentum).
    None of ``rate``: nobody says that it was good, only shares are asked for.

    Example:
        >>> from dataclasses import replace
        >>> from freeness.torch.rate.first_step import Crossing, Movement
        >>> small, wide = (
        ...     AtStart(Crossing(c, c, c, 1), Movement(1 / c, 0.0), {}, {"w": "output"}, degree=2.0) for c in (1.0, 0.25)
        ... )
        >>> Ways(small, wide, True, 0.1).factor, Ways(small, wide, True, 0.1).verdict
        (0.25, 'changed')
        >>> Ways(small, wide, True, 0.9).factor, Ways(small, wide, True, 0.9).verdict  # beyond the edge: by the degree
        (1.0, 'uncertain')
        >>> Ways(replace(small, neurons=8), replace(wide, neurons=32), True, 0.1).factor  # √(1/4 · √(8/32))
        0.3535533905932738
    """

    there: AtStart
    here: AtStart
    larger: bool
    rate: float | None
    lasting: float = 1.0

    @property
    def by_loss(self) -> float:
        """The ratio of critical rates."""
        return self.here.crossing.rate / self.there.crossing.rate

    @property
    def by_outputs(self) -> float:
        """The inverse ratio of the outputs' movements."""
        return ratio(self.there.whole.outputs, self.here.whole.outputs)

    @property
    def by_neurons(self) -> float | None:
        """The inverse root of how many times as many neurons there are; None where there are as many, or none.

        What n neurons move grows as n where all pull the same way, and as √n where their signs are independent. The first step,
        looked at on its own batch, is of the first kind. Along a training alignment lies between the two and varies (Everett et
        al., arXiv 2407.05872, who derive rates for both ends).
        """
        there, here = self.there.neurons, self.here.neurons
        return math.sqrt(there / here) if there > 0 and here > 0 and there != here else None

    @property
    def at_edge(self) -> bool:
        """See :func:`at_edge`."""
        return at_edge(self.there, self.rate, self.lasting)

    @property
    def agree(self) -> bool:
        """Whether loss and outputs ask for about the same."""
        return max(self.by_loss, self.by_outputs) <= WAYS_AGREE * min(self.by_loss, self.by_outputs)

    @property
    def factor(self) -> float:
        """By which the small network's rate is multiplied.

        What starts say scatters by a factor of 2.5 about the best rate, what neurons say by 2, and so does their geometric mean,
        which brings more pairs within 10 % (docs/transfer.md); the weights are equal, and not fitted.
        """
        return self.by_start if self.by_neurons is None else math.sqrt(self.by_start * self._held(self.by_neurons))

    @property
    def by_start(self) -> float:
        """What the starts of both networks say."""
        if self.at_edge:
            return self._held(self.there.degree / max(self.here.degree, 1.0))
        held = [self._held(way) for way in (self.by_loss, self.by_outputs)]
        return held[1] if self._wider else math.sqrt(held[0] * held[1])

    @property
    def verdict(self) -> Verdict:
        """Whether the rate changes, and whether that is known."""
        if not self.agree or self.at_edge:
            return "uncertain"
        return "as it is" if 1 / _SAME <= self.factor <= _SAME else "changed"

    def shares(self, given: Mapping[GroupRole, float], plain: bool) -> dict[GroupRole, float]:
        """Shares of groups; ``plain``: nothing is normalised, so that what starts small grows: no reason for a higher rate."""
        if self.at_edge:
            return dict.fromkeys(given, self.factor)
        return {role: share if self._wider or not plain else self._held(share) for role, share in given.items()}

    def reason(self, optimizer: str) -> str:
        """The verdict in words."""
        critical = self.there.crossing.rate
        if self.at_edge and self.rate is not None:
            long = "" if self.lasting == 1 else f" ({self.lasting:.3g} times that with momentum)"
            return (
                f"The first step of {optimizer} begins to raise the small network's loss at {critical:.3g}, below twice its rate "
                f"{self.rate:.3g}{long}, so its start is no measure. Its outputs grow as the power {self.there.degree:.2g} of "
                f"all weights, the big network's as {self.here.degree:.2g}, which asks for {self.by_start:.3g} times the rate. "
                f"{self._counted('try rates around the geometric mean of both, far apart', 'Try rates around it, far apart.')}"
            )
        mean = f" (mean of {self.there.starts} starts)" if self.there.starts > 1 else ""
        return (
            f"The first step of {optimizer} begins to raise the loss at {self.here.crossing.rate:.3g}, in the small network at "
            f"{critical:.3g}{mean}, which asks for {self.by_loss:.3g} times its rate. How far outputs move asks for "
            f"{self.by_outputs:.3g}; {self._between()}. "
            f"{self._counted('the rate is the geometric mean of this and that', '')}"
        ).rstrip()

    def _counted(self, then: str, otherwise: str) -> str:
        """What neurons ask for, and what is done with it."""
        if self.by_neurons is None:
            return otherwise
        grown = self.here.neurons / self.there.neurons
        return f"The root of {grown:.3g} times as many neurons asks for {self._held(self.by_neurons):.3g}; {then}."

    def _between(self) -> str:
        """What is made of the two ways."""
        kept = (
            ", neither above the small network's rate" if self.larger and max(self.by_loss, self.by_outputs) > 1 else ""
        )
        if self._wider:
            told = "the two agree" if self.agree else "the two disagree, so try some rates around it"
            return f"as only widths differ, the second is taken{kept}, and {told}"
        if self.agree:
            return f"the two agree, and their geometric mean is taken{kept}"
        return f"the two disagree, so try some rates around their geometric mean{kept}"

    @property
    def _wider(self) -> bool:
        """Whether parameters have the same names."""
        return list(self.there.roles) == list(self.here.roles)

    def _held(self, way: float) -> float:
        return min(way, 1.0) if self.larger else way


def at_edge(small: AtStart, rate: float | None, lasting: float = 1.0) -> bool:
    """Whether a good rate steps beyond the minimum along the first step: the start is sharper than what is learned in.

    The loss then rises at first, until the curvature has fallen to what the rate allows (Lewkowycz et al., arXiv 2003.02218).
    What the start is like no longer matters. Of homogeneous layers all squared norms grow alike (Du, Hu, Lee, arXiv 1806.00900),
    so that from ⟨W_l, ∂f/∂W_l⟩ = f each of k layers adds f²/‖W‖² to the curvature: the rate goes as 1/k. Where outputs are
    linear in the weights the curvature does not fall.

    Example:
        >>> from freeness.torch.rate.first_step import Crossing, Movement
        >>> start = AtStart(Crossing(1.0, 1.0, 1.0, 1), Movement(1.0, 0.0), {}, {}, degree=2.0)
        >>> at_edge(start, 0.1), at_edge(start, 0.1, 10.0), at_edge(start, None)
        (False, True, False)
    """
    return rate is not None and small.degree > _LINEAR and small.crossing.rate < _EDGE * rate * lasting


def ratio(there: float, here: float) -> float:
    """1 where either does not move.

    Example:
        >>> ratio(3.0, 2.0), ratio(3.0, 0.0)
        (1.5, 1.0)
    """
    return there / here if there > 0 and here > 0 else 1.0
