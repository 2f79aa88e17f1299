"""What a model shows of its learning rate before it is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class StartFacts:
    """What is measured at the start, see ``freeness.torch.start_facts``.

    Args:
        sharpness: λ, largest eigenvalue of the GGN over many samples; for adam and adamw of P^{-1/2} G P^{-1/2}.
        loudness: l, variance of the outputs over that of the targets, over the samples.
        reach: ℓ, the rate at which one step along the gradient over many samples would leave the least loss.
        left: the share of the loss that it would leave.
        parameters: their number.
        batch: samples a step of the training to come.
        saturating: whether activations are bounded and nothing is normalised.
        normalised: whether a layer normalises what passes.
        convolutional: whether there are convolutions.
        residual: whether signals are summed that both depend on the input.
        narrow: whether nothing is added and there are as many hidden layers as units in one, see :func:`as_many`.
        scale: h, the loss' curvature in an output: 1 of ½Σ and of cross-entropy, 2/C of a mean over C squares, times the places
            of a squared loss; of other losses what they are at the start over ln 10, the cross-entropy of ten classes.
        places: of a sample that have a class or numbers of their own, 1 of others; their mean evens out noise as that of samples
            does.
        untried: what the networks of the bank had not, in words; "" where there is nothing.

    ``loudness``, ``reach`` and ``left`` are NaN where nobody looked; :func:`~freeness.training.start_rate` does not ask for them.
    """

    sharpness: float
    loudness: float
    reach: float
    left: float
    parameters: int
    batch: int
    saturating: bool = False
    normalised: bool = False
    convolutional: bool = False
    residual: bool = False
    narrow: bool = False
    scale: float = 1.0
    places: int = 1
    untried: str = ""


def as_many(widths: Sequence[int]) -> bool:
    """Whether hidden layers of these widths are as many as units in one of them, in the mean.

    Example:
        >>> as_many([8] * 8), as_many([64, 1, 64])
        (True, False)
    """
    return len(widths) ** 2 >= sum(widths) > 0
