"""The freeness test on the real weights of a traced model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn

from freeness.advice.progress import Progress
from freeness.errors import InputError
from freeness.spectra import Word, freeness_words
from freeness.torch.elementwise import derivative
from freeness.torch.signals import layer_values
from freeness.torch.steps import DenseStep, ElementwiseStep
from freeness.torch.trace import trace


@dataclass(frozen=True)
class FreenessTest:
    """The words of every matrix between activations, and of every product of such matrices where all pairs were asked for."""

    words: tuple[Word, ...]

    @property
    def free(self) -> bool:
        """Whether no word departs from freeness by 5 standard deviations."""
        return all(word.free for word in self.words)

    @property
    def rejected(self) -> tuple[Word, ...]:
        """The words that do."""
        return tuple(word for word in self.words if not word.free)


def freeness_test(
    model: nn.Module,
    x: Tensor,
    *,
    all_pairs: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> FreenessTest:
    """Test whether weights are free of the activation derivatives around them, at one sample.

    Words of {W_l, W_lᵀ} and {D_l} are computed exactly (:func:`freeness.spectra.freeness_words`) and compared with what random
    weights of this size give. Beyond the weights one N×N matrix is held. At initialisation by Haar or Gaussian weights they are
    free (Collins, Hayase 2023); identity initialisation is not; of trained weights nothing is promised.

    Args:
        model: what :func:`~freeness.torch.trace` reads; it is left as it was.
        x: one sample, (1, …) or (features,).
        all_pairs: also the derivatives of layers that are not adjacent, with the product of the matrices between them.
        progress: told how far it is.

    Raises:
        InputError: a model that cannot be traced, or one without an activation before a weight layer.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Linear(8, 90), nn.Tanh(), nn.Linear(90, 90), nn.Tanh(), nn.Linear(90, 2))
        >>> freeness_test(model, torch.ones(8)).free
        True
    """
    parameter = next(model.parameters(), None)
    sample = x if parameter is None else x.to(parameter)
    traced = trace(model, sample)
    tensors = layer_values(traced, sample)
    values = [value.cpu().numpy() for value in tensors]
    slopes = [
        derivative(step.function, value).cpu().numpy() if isinstance(step, ElementwiseStep) else None
        for step, value in zip(traced.steps, tensors, strict=False)
    ]
    places = [i for i, step in enumerate(traced.steps) if isinstance(step, DenseStep) and i > 0]
    tested = [i for i in places if slopes[i - 1] is not None]
    if not tested:
        raise InputError(
            "expected a model with an activation before a weight layer, got none; there is nothing to test."
        )
    words: list[Word] = []
    for count, index in enumerate(tested):
        step, before = traced.steps[index], slopes[index - 1]
        assert isinstance(step, DenseStep) and before is not None
        if progress is not None:
            progress(Progress(f"words of {step.name}", count, len(tested)))
        weight = step.weight.detach().double().cpu().numpy()
        behind = slopes[index + 1] if index + 1 < len(slopes) else None
        words += freeness_words(weight, before, behind, values[index], name=step.name)
        if all_pairs:
            words += _further(traced.steps, slopes, index, weight)
    return FreenessTest(tuple(words))


def _further(steps: tuple[object, ...], slopes: list[np.ndarray | None], index: int, product: np.ndarray) -> list[Word]:
    """``P D° Pᵀ E°`` for the products P of this matrix with later ones, E the derivatives behind the last."""
    before, first = slopes[index - 1], steps[index]
    assert before is not None and isinstance(first, DenseStep)
    found: list[Word] = []
    for later in range(index + 1, len(steps)):
        step = steps[later]
        if not isinstance(step, DenseStep):
            continue
        product = step.weight.detach().double().cpu().numpy() @ product
        behind = slopes[later + 1] if later + 1 < len(slopes) else None
        if behind is not None:
            zero = np.zeros(product.shape[1])  # the product does not map the signal to the signal: D's stand between
            name = f"{first.name} … {step.name}"
            found += [w for w in freeness_words(product, before, behind, zero, name=name) if w.word == "W D° Wᵀ E°"]
    return found
