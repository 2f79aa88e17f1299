"""What is made of the ways to carry a rate: by loss, outputs and layers, and by the degree where the start tells nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean

from freeness.advice import WAYS_AGREE
from freeness.torch.rate.at_start import AtStart
from freeness.torch.rate.transferred import Verdict
from freeness.torch.start.roles import GroupRole

_SAME = 1.25  # of two rates that count as one
_EDGE = 2.0  # critical rate over rate: of a parabola the minimum along a step lies there
_LINEAR = 1.1  # degree of outputs up to which they are linear in the weights
_BY_GRADIENT, _BY_SIGN = 0.5, 0.75  # power of the width with which a step moves what a layer gives, see Ways.by_layers


@dataclass(frozen=True)
class Ways:
    """From the starts of the small network and the big one; ``larger``: the big one has more parameters.

    ``rate``: the small network's; ``lasting``: how much a rate moves in the long run beside its first step, 1/(1 - momentum).
    None of ``rate``: nobody says that it was good, only shares are asked for. ``plain``: nothing is normalised; ``adaptive``: the
    first step does not grow with the gradient.

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
        >>> small, wide = (replace(one, sensitivity=2.0, neurons=(n,)) for one, n in ((small, 8), (wide, 128)))
        >>> [Ways(small, wide, True, 0.1, plain=plain).factor for plain in (False, True)]  # 1/4, and again 1/√16
        [0.25, 0.25]
        >>> Ways(small, wide, True, 0.1, plain=False, adaptive=True).factor
        0.125
    """

    there: AtStart
    here: AtStart
    larger: bool
    rate: float | None
    lasting: float = 1.0
    plain: bool = True
    adaptive: bool = False

    @property
    def by_loss(self) -> float:
        """The ratio of critical rates."""
        return self.here.crossing.rate / self.there.crossing.rate

    @property
    def by_outputs(self) -> float:
        """The inverse ratio of the outputs' movements."""
        return ratio(self.there.whole.outputs, self.here.whole.outputs)

    @property
    def by_layers(self) -> float | None:
        """(C nᵃ)(small)/(C nᵃ)(big): C the sensitivity to relative changes, n neurons a matrix; None of linear models.

        A step moves what a layer gives, relatively, as a power of n between two ends: that of gradient and signal which are
        independent, and of those that are aligned (Everett et al., arXiv 2407.05872, whose Adam and SGD these are). Of steps
        whose size does not know the gradient's that is ½ and 1, mean ¾. Of gradient steps it is 0 and ½ in hidden layers, ½ and 1
        in the last one, mean ½. C says what outputs make of it, between layers that are independent and layers that agree. Where
        the outputs at the start do not tell samples apart, layers count by their root.
        """
        if not (self.there.neurons and self.here.neurons):
            return None
        widths = [fmean(one.neurons) for one in (self.there, self.here)]
        layers = [one.sensitivity for one in (self.there, self.here)]
        if not all(layers):
            layers = [math.sqrt(len(one.neurons)) for one in (self.there, self.here)]
        return layers[0] / layers[1] * (widths[0] / widths[1]) ** (_BY_SIGN if self.adaptive else _BY_GRADIENT)

    @property
    def at_edge(self) -> bool:
        """See :func:`at_edge`."""
        return at_edge(self.there, self.rate, self.lasting)

    @property
    def agree(self) -> bool:
        """Whether loss and outputs ask for about the same; where layers alone are taken, whether starts do as they."""
        ways = (self.by_start, self.factor) if self._by_layers_alone else (self.by_loss, self.by_outputs)
        return max(ways) <= WAYS_AGREE * min(ways)

    @property
    def factor(self) -> float:
        """By which the small network's rate is multiplied.

        Where something is normalised, by what layers say: starts beside them scatter more. Where nothing is, signals that start
        small grow, C overstates, and the geometric mean of both comes nearer. Chosen in docs/transfer.md.
        """
        if self.by_layers is None:
            return self.by_start
        layers = self._held(self.by_layers)
        return math.sqrt(self.by_start * layers) if self.plain else layers

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

    def shares(self, given: Mapping[GroupRole, float]) -> dict[GroupRole, float]:
        """Shares of groups; where nothing is normalised what starts small grows: no reason for a higher rate."""
        if self.at_edge:
            return dict.fromkeys(given, self.factor)
        return {role: share if self._wider or not self.plain else self._held(share) for role, share in given.items()}

    def reason(self, optimizer: str) -> str:
        """The verdict in words."""
        critical = self.there.crossing.rate
        if self.at_edge and self.rate is not None:
            long = "" if self.lasting == 1 else f" ({self.lasting:.3g} times that with momentum)"
            return (
                f"The first step of {optimizer} begins to raise the small network's loss at {critical:.3g}, below twice its rate "
                f"{self.rate:.3g}{long}, so its start is no measure. Its outputs grow as the power {self.there.degree:.2g} of "
                f"all weights, the big network's as {self.here.degree:.2g}, which asks for {self.by_start:.3g} times the rate. "
                f"{self._layers_ask('try rates around the geometric mean of both, far apart', 'try rates around it, far apart')}"
            )
        mean = f" (mean of {self.there.starts} starts)" if self.there.starts > 1 else ""
        both = "the rate is the geometric mean of this and that"
        alone = "starts and layers agree" if self.agree else "starts and layers disagree, so try some rates around it"
        return (
            f"The first step of {optimizer} begins to raise the loss at {self.here.crossing.rate:.3g}, in the small network at "
            f"{critical:.3g}{mean}, which asks for {self.by_loss:.3g} times its rate. How far outputs move asks for "
            f"{self.by_outputs:.3g}{self._between()}. {self._layers_ask(both, alone)}"
        ).rstrip()

    def _layers_ask(self, of_both: str, alone: str) -> str:
        """What layers ask for, and what is done with it: with what starts say, or alone."""
        last = f"{alone[0].upper()}{alone[1:]}."
        if self.by_layers is None:
            return last if self.at_edge else ""
        asked = f"Layers and their width ask for {self._held(self.by_layers):.3g}"
        return f"{asked}; {of_both}." if self.plain else f"{asked}, which is taken as signals are normalised; {alone}."

    def _between(self) -> str:
        """What is made of the two ways."""
        kept = (
            ", neither above the small network's rate" if self.larger and max(self.by_loss, self.by_outputs) > 1 else ""
        )
        if self._by_layers_alone:
            return (
                f", and as only widths differ this is what starts say{kept}"
                if self._wider
                else f", both for {self.by_start:.3g}{kept}"
            )
        if self._wider:
            told = "the two agree" if self.agree else "the two disagree, so try some rates around it"
            return f"; as only widths differ, the second is taken{kept}, and {told}"
        if self.agree:
            return f"; the two agree, and their geometric mean is taken{kept}"
        return f"; the two disagree, so try some rates around their geometric mean{kept}"

    @property
    def _by_layers_alone(self) -> bool:
        """Whether starts are left out of the rate."""
        return self.by_layers is not None and not self.plain

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
