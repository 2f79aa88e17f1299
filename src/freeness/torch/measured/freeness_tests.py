"""The freeness test on the real weights of a traced model, once or along training."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from freeness.advice import Progress
from freeness.errors import InputError
from freeness.spectra import FreenessTest, Word, freeness_words, mixed_word
from freeness.torch.measured.freeness_graphs import graph_freeness_test
from freeness.torch.record.elementwise import derivative
from freeness.torch.record.signals import layer_values
from freeness.torch.record.steps import DenseStep, ElementwiseStep
from freeness.torch.record.tracing import Chain, Trace, read_chain, trace


def freeness_test(
    model: nn.Module | Chain | Trace,
    x: Tensor,
    *,
    all_pairs: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> FreenessTest:
    """Test whether weights are free of the activation derivatives around them, at one sample.

    Words of {W_l, W_lᵀ} and {D_l} are computed exactly (:func:`freeness.spectra.freeness_words`) and compared with what random
    weights of this size give. Beyond the weights one N×N matrix in float64 is held; where the forward pass of a class of one's
    own could write to the weights, a copy of them too while it is read. At initialisation by Haar or Gaussian weights they are
    free (Collins, Hayase 2023); identity initialisation is not; of trained weights nothing is promised. Of a model that is no
    chain the products of weights between activations are tested, along one way and at one position.

    Args:
        model: what :func:`~freeness.torch.trace` reads, or what it returned; it is left as it was.
        x: one sample, (1, …) or (features,).
        all_pairs: also the derivatives of layers that are not adjacent, with the product of the matrices between them (two more
            N×N matrices).
        progress: told how far it is.

    Raises:
        InputError: a model that cannot be traced, or one in which nothing can be tested: no weight layer stands between two
            activations, and none is square behind one.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Linear(8, 90), nn.Tanh(), nn.Linear(90, 90), nn.Tanh(), nn.Linear(90, 2))
        >>> freeness_test(model, torch.ones(8)).free
        True
    """
    if isinstance(model, Trace):
        model = model.chain if model.is_chain else model
    if isinstance(model, Trace):
        return graph_freeness_test(model, x)
    try:
        chain = model if isinstance(model, Chain) else _read(model, x)
    except InputError as refusal:
        return _of_graph(model, x, refusal)
    tensors = layer_values(chain, x)
    slopes = [
        derivative(step.function, value).cpu().numpy() if isinstance(step, ElementwiseStep) else None
        for step, value in zip(chain.steps, tensors, strict=False)
    ] + [None]
    places = [i for i, step in enumerate(chain.steps) if i > 0 and isinstance(step, DenseStep)]
    tested = [i for i in places if slopes[i - 1] is not None and _told(chain.steps[i], slopes[i + 1])]
    if not tested:
        raise InputError(
            "expected a weight layer between two activations, or a square one behind an activation, got none; there is "
            "nothing to test."
        )
    words: list[Word] = []
    matrices = _Matrices(chain)
    for count, index in enumerate(tested):
        step, before = chain.steps[index], slopes[index - 1]
        assert isinstance(step, DenseStep) and before is not None
        if progress is not None:
            progress(Progress(f"weights of {step.name}", count, len(tested)))
        weight = matrices[step]
        words += freeness_words(weight, before, slopes[index + 1], tensors[index].cpu().numpy(), name=step.name)
        if all_pairs:
            words += _further(chain, slopes, index, matrices)
    return FreenessTest(tuple(words))


def _of_graph(model: object, x: Tensor, refusal: InputError) -> FreenessTest:
    """Of a model that is no chain, by its record; without one the refusal stands."""
    if not isinstance(model, nn.Module) or not isinstance(x, Tensor):
        raise refusal
    try:
        return graph_freeness_test(trace(model, x), x)
    except InputError:
        raise refusal from None


def check_given(model: nn.Module, x: Tensor) -> None:
    """Refuse what is no model with a tensor."""
    if not isinstance(model, nn.Module) or not isinstance(x, Tensor):
        raise InputError(
            f"expected an nn.Module and a tensor, got {type(model).__name__} and {type(x).__name__}; convert them."
        )


def _read(model: nn.Module, x: Tensor) -> Chain:
    check_given(model, x)
    if any(isinstance(module, nn.Embedding | nn.EmbeddingBag) for module in model.modules()):
        raise InputError(
            "expected a model of floating inputs, got one with an embedding of tokens; test the part behind it."
        )
    parameter = next(model.parameters(), None)
    return read_chain(model, x if parameter is None else x.to(parameter))


def _told(step: object, behind: np.ndarray | None) -> bool:
    """Whether a weight layer behind an activation has a word."""
    return isinstance(step, DenseStep) and (behind is not None or step.weight.shape[0] == step.weight.shape[1])


class _Matrices:
    """Weights in float64: the model's own where they are, else in one buffer, which the next replaces."""

    def __init__(self, chain: Chain) -> None:
        sizes = [weight.numel() for weight in chain.weights if not self._fits(weight)]
        self.buffer = torch.empty(max(sizes, default=0), dtype=torch.float64)

    def __getitem__(self, step: DenseStep) -> np.ndarray:
        weight = step.weight.detach()
        if self._fits(weight):
            return weight.numpy()
        return self.buffer[: weight.numel()].view(weight.shape).copy_(weight).numpy()

    @staticmethod
    def _fits(weight: Tensor) -> bool:
        return weight.dtype == torch.float64 and weight.device.type == "cpu"


def _further(chain: Chain, slopes: list[np.ndarray | None], index: int, matrices: _Matrices) -> list[Word]:
    """``P D° Pᵀ E°`` for the products P of this matrix with later ones, E the derivatives behind the last."""
    before, first = slopes[index - 1], chain.steps[index]
    assert before is not None and isinstance(first, DenseStep)
    found: list[Word] = []
    product = matrices[first].copy()
    for later in range(index + 1, len(chain.steps)):
        step = chain.steps[later]
        if not isinstance(step, DenseStep):
            continue
        product = matrices[step] @ product
        behind = slopes[later + 1]
        if behind is not None:
            found.append(mixed_word(product, before, behind, f"{first.name} … {step.name}"))
    return found
