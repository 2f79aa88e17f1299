"""Starts of deep Transformers: which scale of the branches keeps signal and gradient, beside the usual recipes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from freeness.advice.residual_starts import KEPT, LEAST
from freeness.errors import InputError, is_real
from freeness.meanfield import Gradient, gradients
from freeness.network import INPUT, Network, Sum, TransformerPlan, planned_transformer
from freeness.shown import Shown

_HALVINGS = 7  # of the scale that is sought, in logarithms
_SAME = 1e-12  # 1 - cosine of tokens that are the same to rounding


@dataclass(frozen=True)
class TransformerStart:
    """One start and what theory says of it, from the first block's input to the last block's output.

    ``branch`` and ``skip`` stand before a branch and beside it, in ``norm``'s place. ``signal``: growth of the stream's mean
    square; ``gradient``: growth of squared gradients on their way back; ``cosine``: mean cosine of two tokens at the end.
    ``error``: largest relative standard error of the signals, as attention is averaged over draws.
    """

    name: str
    norm: str
    branch: float
    skip: float
    signal: float
    gradient: float
    cosine: float
    error: float
    source: str = ""

    def depth_scale(self, blocks: int) -> float:
        """Blocks over which squared gradients change by e; infinite where they keep their size."""
        change = abs(math.log(self.gradient)) if self.gradient > 0 else math.inf
        return blocks / change if change > 0 else math.inf


@dataclass(frozen=True)
class TransformerDesign(Shown):
    """A start of this ``plan``, ``chosen`` so that gradients and tokens change at most by ``kept``, beside the ``usual`` ones.

    ``cosine`` is that of two tokens at the input.
    """

    plan: TransformerPlan
    chosen: TransformerStart
    usual: tuple[TransformerStart, ...]
    cosine: float
    kept: float

    @property
    def network(self) -> Network:
        """The record of the chosen start."""
        return planned_transformer(replace(self.plan, residual_scale=self.chosen.branch))

    def change(self, start: TransformerStart) -> float:
        """The factor ≥ 1 by which squared gradients change, or what tells tokens apart falls: the larger of the two."""
        apart = (1 - self.cosine) / max(1 - start.cosine, _SAME)
        return max(start.gradient, 1 / start.gradient if start.gradient > 0 else math.inf, apart)

    @property
    def ranked(self) -> tuple[TransformerStart, ...]:
        """All starts, in the order in which they are expected to train, each at a rate that suits it.

        First is what changes by ``kept``, as the design does. More loses gradients or makes tokens alike; with less the blocks
        do little at first. Both count by their distance in logarithms. Beside trained networks: docs/transformer-training.md.
        """
        distance = {start.name: abs(math.log(self.change(start) / self.kept)) for start in (self.chosen, *self.usual)}
        return tuple(sorted((self.chosen, *self.usual), key=lambda start: distance[start.name]))


def design_transformer(plan: TransformerPlan, cosine: float = 0.25, kept: float = KEPT) -> TransformerDesign:
    """The largest scale of the branches, up to 1, at which squared gradients, and what tells tokens apart, change little.

    From end to end both may change by the factor ``kept``; 1 - cosine is the share of the signal that tells tokens apart. A
    larger branch does more, a smaller one keeps gradients. In practice the growth is monotone in the scale, and it is bisected
    in its logarithm. Nothing is sought below 1/64 of 1/√(2·blocks), where the branches do nothing.

    Args:
        plan: the Transformer; its own ``residual_scale`` is not used.
        cosine: mean cosine of two tokens at the input, from 0 up to below 1.
        kept: the factor, above 1.

    Raises:
        InputError: a cosine or a factor that is none.

    Source: Gram recursions of theory.md §11; usual starts: Radford et al. (2019), Wang et al. (2022, DeepNorm), Zhang et al.
    (2019, Fixup), Bachlechner et al. (2021, ReZero).

    Example:
        >>> found = design_transformer(TransformerPlan(4, 32, 2, 4, activation="relu"))
        >>> 0.5 < found.chosen.gradient <= 2.0, [start.name for start in found.usual][:2]
        (True, ['branches as they are', 'GPT-2'])
    """
    if not (is_real(kept) and kept > 1):
        raise InputError(f"expected a factor above 1 by which squared gradients may change, got {kept!r}; take 2.")
    tokens = stream_inputs(plan, cosine)
    apart = (1 - cosine) / kept

    def own(scale: float) -> TransformerStart:
        return _start("this design", plan, scale, 1.0, tokens)

    def inside(start: TransformerStart) -> bool:
        return 1 / kept <= start.gradient <= kept and 1 - start.cosine >= apart

    low, high = math.log(LEAST / math.sqrt(2 * plan.depth)), 0.0
    chosen = own(1.0)
    if not inside(chosen):
        chosen = own(math.exp(low))
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            tried = own(math.exp(middle))
            if inside(tried):
                low, chosen = middle, tried
            else:
                high = middle
    return TransformerDesign(plan, chosen, tuple(_usual(plan, tokens)), cosine, kept)


def stream_inputs(plan: TransformerPlan, cosine: float) -> np.ndarray:
    """Tokens (1, d, T) of mean square 1 whose cosines are all the same.

    Example:
        >>> x = stream_inputs(TransformerPlan(2, 32, 2, 4), 0.25)[0]
        >>> (x.T @ x / 32).round(12)[0].tolist()
        [1.0, 0.25, 0.25, 0.25]
    """
    if not (is_real(cosine) and 0 <= cosine < 1):
        raise InputError(f"expected a cosine of tokens from 0 up to below 1, got {cosine!r}; correct it.")
    if plan.tokens > plan.width:
        raise InputError(f"expected at most {plan.width} tokens, the width, got {plan.tokens}; take fewer.")
    if plan.vocabulary is not None or plan.inputs is not None:
        raise InputError("expected a Transformer without embedding, got one; leave vocabulary and inputs out.")
    gram = (1 - cosine) * np.eye(plan.tokens) + cosine
    frame = np.linalg.qr(np.random.default_rng(0).standard_normal((plan.width, plan.tokens)))[0]
    return math.sqrt(plan.width) * (frame @ np.linalg.cholesky(gram).T)[None]


def predicted_start(plan: TransformerPlan, tokens: np.ndarray) -> tuple[float, float, float, float]:
    """Growth of the signal and of the squared gradient, cosine at the end, and the relative standard error of the draws."""
    network = planned_transformer(plan)
    places: dict[str, Gradient] = {place.name: place for place in gradients(network, inputs=tokens)}
    sums = [node.name for node in network.nodes if isinstance(node.operation, Sum)]
    first, end = places[INPUT], places[network.nodes[-1].name if plan.norm == "post" else sums[-1]]
    return end.signal / first.signal, first.gradient / end.gradient, end.likeness, end.scatter


def _start(
    name: str, plan: TransformerPlan, branch: float, skip: float, tokens: np.ndarray, source: str = ""
) -> TransformerStart:
    found = predicted_start(replace(plan, residual_scale=branch, skip_scale=skip), tokens)
    return TransformerStart(name, plan.norm, branch, skip, *found, source)


def _usual(plan: TransformerPlan, tokens: np.ndarray) -> list[TransformerStart]:
    """The same blocks by what people do: scales of branches and skips, and places of the norm, that the papers give."""
    halves = 2 * plan.depth
    post, none = replace(plan, norm="post"), replace(plan, norm="none")
    recipes: Sequence[tuple[str, TransformerPlan, float, float, str]] = (
        ("branches as they are", plan, 1.0, 1.0, ""),
        ("GPT-2", replace(plan, norm="pre"), halves**-0.5, 1.0, "Radford et al. 2019"),
        ("post-norm", post, 1.0, 1.0, "Vaswani et al. 2017"),
        ("DeepNorm", post, (8 * plan.depth) ** -0.5, halves**0.25, "Wang et al. 2022"),
        ("Fixup, ReZero", none, 0.0, 1.0, "Zhang et al. 2019, Bachlechner et al. 2021"),
    )
    return [_start(name, made, branch, skip, tokens, source) for name, made, branch, skip, source in recipes]
