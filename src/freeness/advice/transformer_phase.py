"""The phases of a Transformer over the gain of queries and keys and the scale of its branches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from freeness.advice.progress import Progress, Report
from freeness.advice.transformer_starts import predicted_start, stream_inputs
from freeness.errors import InputError
from freeness.network import TransformerPlan
from freeness.shown import Plotted


@dataclass(frozen=True)
class TransformerPhases(Plotted):
    """Predicted from end to end of ``plan``, (len(branch), len(sigma_qk)) each.

    ``gradient``: growth of squared gradients on their way back; ``signal``: of the stream's mean square; ``token_cosine``: mean
    cosine of two tokens at the end, ``cosine`` of them at the input.
    """

    plan: TransformerPlan
    sigma_qk: Float[np.ndarray, " columns"]
    branch: Float[np.ndarray, " rows"]
    gradient: Float[np.ndarray, "rows columns"]
    signal: Float[np.ndarray, "rows columns"]
    token_cosine: Float[np.ndarray, "rows columns"]
    cosine: float

    @property
    def gradient_scale(self) -> Float[np.ndarray, "rows columns"]:
        """Blocks over which squared gradients change by e."""
        with np.errstate(divide="ignore"):
            return self.plan.depth / np.abs(np.log(self.gradient))

    @property
    def token_scale(self) -> Float[np.ndarray, "rows columns"]:
        """Blocks over which 1 - cosine, the share of the signal that tells tokens apart, falls by e."""
        with np.errstate(divide="ignore"):
            return self.plan.depth / np.abs(np.log((1 - self.token_cosine) / (1 - self.cosine)))


def transformer_phases(
    plan: TransformerPlan,
    sigma_qk: Sequence[float] | Float[np.ndarray, " columns"],
    branch: Sequence[float] | Float[np.ndarray, " rows"],
    cosine: float = 0.25,
    progress: Report | None = None,
) -> TransformerPhases:
    """Gradient, signal and likeness of tokens behind all blocks, for every gain of queries and keys and every branch scale.

    Args:
        plan: the Transformer; its own gain and scale are not used.
        sigma_qk: gains of query and of key weights, ≥ 0.
        branch: scales of the branches, ≥ 0.
        cosine: of two tokens at the input.
        progress: called before every row.

    Raises:
        InputError: an empty or negative axis, or inputs that are none.

    Source: theory.md §11; compare Dong et al. (2021), Noci et al. (2022) for the collapse of tokens.

    Example:
        >>> found = transformer_phases(TransformerPlan(4, 32, 2, 4, activation="relu"), [0.5, 1.0], [0.1, 1.0])
        >>> bool((found.token_cosine[1] > found.token_cosine[0]).all()), found.gradient.shape
        (True, (2, 2))
    """
    gains, scales = np.asarray(sigma_qk, float), np.asarray(branch, float)
    for name, axis in (("gains of queries and keys", gains), ("scales of branches", scales)):
        if axis.ndim != 1 or axis.size == 0 or not (np.isfinite(axis).all() and (axis >= 0).all()):
            raise InputError(f"expected {name} ≥ 0, got {axis!r}; give at least one.")
    tokens = stream_inputs(plan, cosine)
    found = np.empty((3, scales.size, gains.size))
    for row, scale in enumerate(scales):
        if progress is not None:
            progress(Progress("branch scales", row, scales.size))
        for column, gain in enumerate(gains):
            one = replace(plan, sigma_qk=float(gain), residual_scale=float(scale))
            signal, gradient, alike, _ = predicted_start(one, tokens)
            found[:, row, column] = signal, gradient, alike
    return TransformerPhases(plan, gains, scales, found[1], found[0], found[2], cosine)
