"""Class likelihoods read at every layer: by class neurons, or by the output layer where a network has none."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from freeness.errors import InputError
from freeness.interpret.neurons import CHUNK
from freeness.torch import run, untouched

CLASS_NEURONS = "class neurons"
LOGIT_LENS = "logit lens: the output layer applied to earlier layers, which were not trained for it"


@dataclass(frozen=True, eq=False)
class LayerReadings:
    """What every layer says about every sample.

    Attributes:
        logits: (layers, n, K), float32 or float64 as the model computes.
        names: of the layers, first to last; the last one is the output.
        method: how they were read.
    """

    logits: Float[np.ndarray, "layers samples classes"]
    names: tuple[str, ...]
    method: str

    @property
    def likelihoods(self) -> Float[np.ndarray, "layers samples classes"]:
        """softmax of the logits, (layers, n, K)."""
        return torch.from_numpy(self.logits).softmax(-1).numpy()

    @property
    def predictions(self) -> Int[np.ndarray, "layers samples"]:
        """The likeliest class, (layers, n)."""
        return self.logits.argmax(-1)

    @property
    def settled(self) -> Int[np.ndarray, " samples"]:
        """Of each sample the first layer, counted from 1, from which on the likeliest class is the final one.

        Example:
            >>> said = np.eye(3)[[[1], [0], [0]]]  # of one sample: class 1, then 0, 0
            >>> LayerReadings(said, ("1", "2", "3"), CLASS_NEURONS).settled
            array([2])
        """
        agrees = self.predictions == self.predictions[-1]
        return len(agrees) - np.flip(agrees, 0).cumprod(0).sum(0) + 1

    def accuracy(self, labels: Int[np.ndarray, " samples"]) -> Float[np.ndarray, " layers"]:
        """Share of right answers, one number a layer.

        Raises:
            InputError: as many labels as samples are needed.
        """
        given = np.asarray(labels)
        if given.shape != self.predictions.shape[1:]:
            raise InputError(
                f"expected {self.predictions.shape[1]} labels, got shape {given.shape}; give one a sample."
            )
        return (self.predictions == given).mean(1)


def read_layers(model: nn.Module, inputs: Tensor) -> LayerReadings:
    """Class likelihoods at every layer by class neurons: the last K of each layer with weights, before its activation.

    One forward pass, no backward pass. The last reading is the model's output itself. Of a convolution the mean over
    positions is read. In an :class:`IdentityMLP`, or a model after :func:`identity_initialize_`, these neurons carry the
    class likelihoods; in other networks they mean nothing: use :func:`logit_lens` there.

    Args:
        model: maps inputs (n, …) to logits (n, K); left as it was, and run in eval mode.
        inputs: (n, …).

    Raises:
        InputError: no logits (n, K) come out, or a layer has fewer than K neurons.

    Source: Kubota, Hayashi, Hayase, Uchida, ICASSP 2021 (arXiv 2102.13333); theory.md §10.

    Example:
        >>> from freeness.interpret import IdentityMLP
        >>> model = IdentityMLP(4, classes=2, depth=3)
        >>> read_layers(model, torch.eye(4)).logits.shape
        (3, 4, 2)
    """
    return _read(model, inputs, _class_neurons, CLASS_NEURONS)


def logit_lens(model: nn.Module, inputs: Tensor) -> LayerReadings:
    """What the output layer would say if it stood behind every earlier layer.

    The closest honest thing for networks without class neurons. The readings of all layers but the last are
    extrapolations, for the output layer was trained on the last hidden layer only. The last reading is the model's output
    itself.

    Args:
        model: ends with a Linear layer and has earlier layers with weights whose outputs, after the activation, are as
            many as that layer takes (means over the positions of a convolution, or all of them); left as it was, and run
            in eval mode.
        inputs: (n, …).

    Raises:
        InputError: it does not end with a Linear layer, or no earlier layer has the width that this layer takes.

    Source: the "logit lens" of nostalgebraist (2020); Belrose et al., arXiv 2303.08112, on what it misses.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 2))
        >>> logit_lens(model, torch.ones(1, 3)).names
        ('0', '2')
    """
    return _read(model, inputs, _lens, LOGIT_LENS)


class _Use(NamedTuple):
    """One layer with weights as it was run: its name, input and output."""

    name: str
    layer: nn.Module
    input: Tensor
    output: Tensor


_Reading = tuple[str, Tensor]


def _read(
    model: nn.Module, inputs: Tensor, reader: Callable[[list[_Use], Tensor], list[_Reading]], method: str
) -> LayerReadings:
    if len(inputs) == 0:
        raise InputError("expected at least one input, got none; there is nothing to read.")
    chunks: list[list[_Reading]] = []
    with untouched(model, copies=False), torch.no_grad():
        for chunk in inputs.split(CHUNK):
            uses, output = _observed(model, chunk)
            chunks.append(reader(uses, output))
    logits = [torch.cat([chunk[layer][1] for chunk in chunks]) for layer in range(len(chunks[0]))]
    return LayerReadings(torch.stack(logits).cpu().numpy(), tuple(name for name, _ in chunks[0]), method)


def _observed(model: nn.Module, inputs: Tensor) -> tuple[list[_Use], Tensor]:
    """All layers with weights in the order in which they run, and the logits."""
    uses: list[_Use] = []

    def hook(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        return lambda layer, given, output: uses.append(_Use(name, layer, given[0], output))

    with ExitStack() as hooks:
        for name, module in model.named_modules():
            if isinstance(module, (nn.Linear, nn.modules.conv._ConvNd)):
                hooks.enter_context(module.register_forward_hook(hook(name)))
        output = run(model, inputs)
    if not isinstance(output, Tensor) or output.ndim != 2:
        got = f"shape {tuple(output.shape)}" if isinstance(output, Tensor) else type(output).__name__
        raise InputError(f"expected logits (n, classes) from the model, got {got}; wrap it so that it returns them.")
    if not uses:
        raise InputError("expected a model with Linear or convolutional layers, got none; there is nothing to read.")
    return uses, output


def _class_neurons(uses: list[_Use], output: Tensor) -> list[_Reading]:
    classes = output.shape[1]
    found = []
    for use in uses[:-1]:
        neurons = use.output.shape[1]
        if neurons < classes:
            raise InputError(
                f"expected at least {classes} neurons, one a class, in every layer, got {neurons} in {use.name!r}; "
                "widen it, or read the model by logit_lens."
            )
        found.append((use.name, use.output.flatten(2).mean(2) if use.output.ndim > 2 else use.output))
    return [(name, value[:, value.shape[1] - classes :]) for name, value in found] + [(uses[-1].name, output)]


def _lens(uses: list[_Use], output: Tensor) -> list[_Reading]:
    last = uses[-1]
    head = last.layer
    if not isinstance(head, nn.Linear):
        raise InputError(
            f"expected a Linear output layer, got {type(head).__name__} {last.name!r}; the lens is that layer."
        )
    found = []
    for source, use in pairwise(uses[:-1]):
        state = _as_wide(use.input, head.in_features)
        if state is not None:
            found.append((source.name, head(state)[:, head.out_features - output.shape[1] :]))
    if not found:
        raise InputError(
            f"expected an earlier hidden layer of the {head.in_features} neurons that the output layer takes, got "
            "none; it can be applied to no other."
        )
    return [*found, (uses[-2].name, output)]


def _as_wide(state: Tensor, width: int) -> Tensor | None:
    """One row of that width a sample: all entries, or the means over positions; None if neither fits."""
    flat = state.flatten(1)
    if flat.shape[1] == width:
        return flat
    return state.flatten(2).mean(2) if state.ndim > 2 and state.shape[1] == width else None
