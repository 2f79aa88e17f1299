"""Starts of deep residual networks: which scale of the branches keeps signal and gradient, beside the usual recipes."""

# pyright: reportUnnecessaryIsInstance=false
# Users may pass what a signature does not allow.

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import scipy

from freeness.errors import InputError, is_real, is_size
from freeness.gaussian import activation, second_moment
from freeness.meanfield import gradients
from freeness.network import INPUT, Activation, Dense, Gaussian, Network, Normalisation, Residual
from freeness.shown import Shown

Norm = Literal["none", "batch", "layer"]
KEPT = 2.0  # by which signal and squared gradients may change from end to end
_CLOSE = 1e-4  # of the scale that is sought, in logarithms
_FAR = 1e3  # for a growth that overflows
LEAST = 1 / 64  # of the scale that is sought, over 1/√branches: below it they do nothing
_NOTHING = 1e-9  # stands for a gain of 0: what is behind it has a direction


@dataclass(frozen=True)
class ResidualShape:
    """``depth`` blocks x + β·W₂φ(norm(W₁φ(norm(x)))) of one ``width``, as of ResNet v2; weights may be convolutions as well.

    Where positions are alike (circular padding, stride 1) a convolution does to signals and gradients what a matrix does.
    """

    depth: int
    width: int = 256
    activation: str = "relu"

    def __post_init__(self) -> None:
        if not (is_size(self.depth) and is_size(self.width)):
            raise InputError(
                f"expected a depth and a width that are whole numbers ≥ 1, got {self.depth!r} and {self.width!r}; correct them."
            )

    @property
    def gain(self) -> float:
        """σ_w that keeps signals of mean square 1 behind φ, 1/√E φ²: √2 for ReLU (He et al. 2015)."""
        return 1 / math.sqrt(second_moment(activation(self.activation), 1.0).value)


@dataclass(frozen=True)
class ResidualStart:
    """One start and what theory says of it, from the first block's input to the last block's output.

    ``branch`` stands before each branch, ``first`` and ``last`` are the gains of its two matrices. ``signal``: growth of the
    stream's mean square; ``gradient``: growth of squared gradients on their way back. ``weights``: (∂ℓ/∂W)² over the width,
    in the mean over all matrices, for a gradient of 1 at the end; 0 where no matrix learns in the first step.
    """

    name: str
    norm: Norm
    branch: float
    first: float
    last: float
    signal: float
    gradient: float
    weights: float
    source: str = ""


@dataclass(frozen=True)
class ResidualDesign(Shown):
    """Starts of this ``plan``, beside the ``usual`` ones.

    ``chosen``: without and with batch normalisation, so that signal and gradient change at most by ``kept``.
    """

    plan: ResidualShape
    chosen: tuple[ResidualStart, ...]
    usual: tuple[ResidualStart, ...]
    kept: float


def design_resnet(plan: ResidualShape, kept: float = KEPT) -> ResidualDesign:
    """The largest scale of the branches, up to 1, at which signal and squared gradients change little.

    From end to end both may change by the factor ``kept``. A larger branch does more, a smaller one keeps more. The growth is
    monotone in the scale, which is bisected in its logarithm. Without normalisation the growth is (1 + β²)^depth.

    Args:
        plan: blocks, width and activation.
        kept: the factor, above 1.

    Raises:
        InputError: a factor that is none.

    Source: Yang, Schoenholz (2017) for second moments along skip connections; usual starts: He et al. (2015, 2016), Zhang et
    al. (2019, Fixup), De, Smith (2020, SkipInit), Bachlechner et al. (2021, ReZero), Goyal et al. (2017, last scale 0).

    Example:
        >>> found = design_resnet(ResidualShape(50))
        >>> round(found.chosen[0].branch, 3), round((2 ** (1 / 50) - 1) ** 0.5, 3)
        (0.118, 0.118)
    """
    if not (is_real(kept) and kept > 1):
        raise InputError(
            f"expected a factor above 1 by which signal and squared gradients may change, got {kept!r}; take 2."
        )
    gain, depth = plan.gain, plan.depth
    small = depth**-0.5
    usual = (
        _start("He", plan, "none", 1.0, (gain, gain), "He et al. 2015"),
        _start("He, batch norm", plan, "batch", 1.0, (gain, gain), "He et al. 2016"),
        _start("1/√depth", plan, "none", small, (gain, gain), "Hayou et al. 2021"),
        _start("Fixup", plan, "none", 1.0, (gain * small, 0.0), "Zhang et al. 2019"),
        _start("SkipInit, ReZero", plan, "none", 0.0, (gain, gain), "De, Smith 2020, Bachlechner et al. 2021"),
        _start("last scale 0", plan, "batch", 0.0, (gain, gain), "Goyal et al. 2017"),
    )
    chosen = tuple(_sought(plan, norm, kept) for norm in ("none", "batch"))
    return ResidualDesign(plan, chosen, usual, kept)


def residual_network(plan: ResidualShape, start: ResidualStart) -> Network:
    """The record of a start.

    Example:
        >>> plan = ResidualShape(2, 16)
        >>> residual_network(plan, design_resnet(plan).chosen[1]).depth
        4
    """
    bend = Activation(activation(plan.activation))
    norm = () if start.norm == "none" else (Normalisation(start.norm),)
    blocks: list[Residual] = []
    for block in range(1, plan.depth + 1):
        first, last = (
            Dense(plan.width, plan.width, Gaussian(gain or _NOTHING), name=f"block{block}.{number}")
            for number, gain in ((1, start.first), (2, start.last))
        )
        blocks.append(Residual((*norm, bend, first, *norm, bend, last), start.branch, name=f"block{block}"))
    return Network(blocks)


def _start(
    name: str, plan: ResidualShape, norm: Norm, branch: float, gains: tuple[float, float], source: str = ""
) -> ResidualStart:
    """With what theory says of it."""
    empty = ResidualStart(name, norm, branch, *gains, 1.0, 1.0, 0.0, source)
    network = residual_network(plan, empty)
    places = gradients(network)
    first, end = places[0], places[-1]
    assert first.name == INPUT
    learned = math.fsum(place.weights for place in places) / (network.depth * plan.width)
    return ResidualStart(
        name, norm, branch, *gains, end.signal / first.signal, first.gradient / end.gradient, learned, source
    )


def _sought(plan: ResidualShape, norm: Norm, kept: float) -> ResidualStart:
    name = "this design" if norm == "none" else f"this design, {norm} norm"

    def own(scale: float) -> ResidualStart:
        return _start(name, plan, norm, scale, (plan.gain, plan.gain))

    def excess(start: ResidualStart) -> float:
        """How far the growth is beyond ``kept``, in logarithms; infinite where it overflows."""
        return max(abs(math.log(growth)) for growth in (start.signal, start.gradient)) - math.log(kept)

    chosen, largest = own(least := LEAST / math.sqrt(plan.depth)), own(1.0)
    if excess(largest) <= 0:
        return largest
    if excess(chosen) >= 0:
        return chosen

    def of(logarithm: float) -> float:
        nonlocal chosen
        tried = own(math.exp(logarithm))
        if excess(tried) <= 0 and tried.branch > chosen.branch:
            chosen = tried
        return min(excess(tried), _FAR)

    # a little below 0, so that the scale found keeps the growth
    scipy.optimize.root_scalar(lambda logarithm: of(logarithm) + _CLOSE, bracket=(math.log(least), 0.0), xtol=_CLOSE)
    return chosen
