"""The contribution of each hidden neuron to each class, and what is lost with the neurons that contribute most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from freeness.errors import InputError, is_real
from freeness.interpret.identity_mlp import IdentityMLP
from freeness.interpret.maps import input_parts
from freeness.torch import untouched

Contribution = Literal["value", "change"]
CHUNK = 512  # samples held at a time


def neuron_contributions(
    model: IdentityMLP, inputs: Tensor, of: Contribution = "value"
) -> Float[np.ndarray, "hidden features classes"]:
    """How much each input-shaped hidden neuron adds to each class on average over the inputs, (L - 1, features, K).

    c_{l,i,k} = E v_i^l · s^{L-1-l} Σ_{j>l} (W_j[k,i] - mean over classes of W_j[·,i]): what the neuron hands on, times
    the weights with which all later layers read it into class k, beyond the average class, which softmax does not see. v
    is the neuron's value m_i^l, or its change m_i^l - m_i^{l-1}, which is what this layer has done. To first order: near
    the identity a neuron's value stays on its way through later layers (exact for a linear φ and input parts that are not
    trained). No backward pass.

    Args:
        model: left as it was.
        inputs: (n, *shape), usually those of one class.
        of: "value" or "change".

    Raises:
        InputError: no inputs, or another ``of``.

    Source: theory.md §10 (change times weight into p); the sum over later layers is derived for this project.

    Example:
        >>> model = IdentityMLP(1, classes=2, depth=2)
        >>> with torch.no_grad():
        ...     _ = model.linears[1].weight[1].copy_(torch.tensor([3.0, 1.0, 0.0]))  # class 0 reads the input's neuron
        >>> neuron_contributions(model, torch.tensor([[0.5]]))
        array([[[ 0.75, -0.75]]])
    """
    if of not in ("value", "change"):
        raise InputError(f'expected contributions of "value" or "change", got {of!r}; choose one.')
    if len(inputs) == 0:
        raise InputError("expected at least one input, got none; contributions are means over inputs.")
    total = torch.zeros(model.depth + 1, model.features, dtype=torch.float64)
    for chunk in inputs.split(CHUNK):
        total += input_parts(model, chunk).double().sum(1)
    mean = total / len(inputs)
    handed = mean[1:-1] if of == "value" else mean[1:-1] - mean[:-2]
    return (handed[:, :, None] * _read_weights(model)).numpy()


def _contrast(model: IdentityMLP) -> Tensor:
    """The weights of every layer from the input part to the classes, less their mean over classes, (L, features, K)."""
    rows = torch.stack(
        [layer.weight.detach()[model.features :, : model.features].T for layer in model.linears]
    ).double()
    return rows - rows.mean(2, keepdim=True)


def _read_weights(model: IdentityMLP) -> Tensor:
    """s^{L-1-l} Σ_{j>l} of these, (L - 1, features, K)."""
    later = _contrast(model).flip(0).cumsum(0).flip(0)[1:]
    return later * model.scale ** torch.arange(model.depth - 2, -1, -1, dtype=torch.float64)[:, None, None]


def pixel_contributions(model: IdentityMLP, inputs: Tensor, targets: Tensor) -> Float[np.ndarray, "samples features"]:
    """How much each feature of each input speaks for a class, summed over the layers that read it, (n, features).

    Σ_l s^{L-l} m_i^{l-1} (W_l[k,i] - mean over classes of W_l[·,i]). Where the class neurons stay in the linear part of φ
    and do not mix, the sum over features and the biases is the logit, less the mean over classes, exactly.

    Args:
        model: left as it was.
        inputs: (n, *shape).
        targets: the class of each, (n,).

    Source: derived for this project from theory.md §10.

    Example:
        >>> model = IdentityMLP(2, classes=2, depth=3)
        >>> pixel_contributions(model, torch.ones(1, 2), torch.tensor([0]))
        array([[0., 0.]])
    """
    read = model.scale ** torch.arange(model.depth - 1, -1, -1, dtype=torch.float64)[:, None, None] * _contrast(model)
    found = []
    for chunk, classes in zip(inputs.split(CHUNK), targets.split(CHUNK), strict=True):
        parts = input_parts(model, chunk)[:-1].double()
        found.append((parts * read[:, :, classes].mT).sum(0))
    return torch.cat(found).numpy()


def top_neurons(
    contributions: Float[np.ndarray, "hidden features classes"], target: int, share: float = 0.05
) -> Bool[np.ndarray, "hidden features"]:
    """Which hidden neurons belong to the given share with the largest contribution to a class, (L - 1, features) of bool.

    Args:
        contributions: of :func:`neuron_contributions`.
        target: the class that is looked at, from 0.
        share: of the sum of contributions that the neurons make, in (0, 1].

    Raises:
        InputError: no such class, or a share outside (0, 1].

    Example:
        >>> top_neurons(np.array([[[1.0, 0.0], [2.0, 0.0]]]), target=0, share=0.5)
        array([[False,  True]])
    """
    if not 0 <= target < contributions.shape[2]:
        raise InputError(f"expected a class from 0 to {contributions.shape[2] - 1}, got {target}; correct it.")
    if not (is_real(share) and 0 < share <= 1):
        raise InputError(f"expected a share of the neurons in (0, 1], got {share!r}; 0.05 is usual.")
    values = contributions[:, :, target]
    chosen = np.zeros(values.size, bool)
    chosen[np.argsort(-values.ravel(), kind="stable")[: max(1, round(share * values.size))]] = True
    return chosen.reshape(values.shape)


def without_neurons(
    model: IdentityMLP, inputs: Tensor, deleted: Bool[np.ndarray, "hidden features"]
) -> Float[np.ndarray, "samples classes"]:
    """The logits (n, K) of the network with some hidden neurons deleted: their outputs are 0.

    Args:
        model: left as it was.
        inputs: (n, *shape).
        deleted: (L - 1, features) of bool, of the input-shaped neurons of the layers 1 to L - 1.

    Raises:
        InputError: a mask of another shape.

    Example:
        >>> model = IdentityMLP(2, classes=2, depth=3)
        >>> without_neurons(model, torch.ones(1, 2), np.zeros((2, 2), bool))
        array([[0., 0.]], dtype=float32)
    """
    if deleted.shape != (model.depth - 1, model.features):
        raise InputError(
            f"expected a mask of shape {(model.depth - 1, model.features)}, got {deleted.shape}; take it from "
            "top_neurons of this model."
        )
    kept = torch.ones(model.depth - 1, model.width, dtype=torch.get_default_dtype())
    kept[:, : model.features] = torch.from_numpy(~deleted).to(kept)
    with untouched(model, copies=False), torch.no_grad():
        return torch.cat([_masked(model, chunk, kept) for chunk in inputs.split(CHUNK)]).cpu().numpy()


def _masked(model: IdentityMLP, inputs: Tensor, kept: Tensor) -> Tensor:
    value = model.padded(inputs)
    masks = iter(kept.to(value))
    for module in model.stack:
        value = module(value)
        if not isinstance(module, torch.nn.Linear):
            value = value * next(masks)
    return value[:, model.features :]


@dataclass(frozen=True)
class Ablation:
    """What deleting neurons does to the accuracy of one class: before, after, and with as many random ones by seed."""

    target: int
    deleted: int
    before: float
    after: float
    random: tuple[float, ...]

    @property
    def drop(self) -> float:
        """How much accuracy is lost with the chosen neurons."""
        return self.before - self.after

    @property
    def random_drop(self) -> float:
        """How much is lost with random ones, on average over seeds."""
        return self.before - float(np.mean(self.random))

    @property
    def random_error(self) -> float:
        """Standard error of :attr:`random_drop` over seeds."""
        return float(np.std(self.random, ddof=1) / np.sqrt(len(self.random)))

    @property
    def ratio(self) -> float:
        """Drop over random drop; infinite where random ones cost nothing."""
        return self.drop / self.random_drop if self.random_drop > 0 else float("inf")

    @property
    def significant(self) -> bool:
        """Whether the drop exceeds that of random neurons by 3 standard errors.

        Example:
            >>> Ablation(0, 10, 0.9, 0.5, (0.88, 0.9, 0.89)).significant
            True
        """
        return self.drop > self.random_drop + 3 * self.random_error


def ablate_class(
    model: IdentityMLP,
    deleted: Bool[np.ndarray, "hidden features"],
    inputs: Tensor,
    labels: Tensor,
    target: int,
    seeds: Sequence[int] = range(5),
) -> Ablation:
    """Delete neurons and see how a class fares, beside random neurons: as many in each layer.

    Args:
        model: left as it was.
        deleted: of :func:`top_neurons`, chosen on other inputs than these.
        inputs: (n, *shape), of which those of the class are used.
        labels: class indices, (n,).
        target: the class that is looked at, from 0.
        seeds: of the random choices, at least two.

    Raises:
        InputError: no input of that class, or fewer than two seeds.

    Example:
        >>> model = IdentityMLP(4, classes=2, depth=3)
        >>> chosen = np.array([[True, False, False, False], [False] * 4])
        >>> ablate_class(model, chosen, torch.ones(3, 4), torch.zeros(3).long(), 0).drop  # an untrained one always says 0
        0.0
    """
    own = inputs[labels == target]
    if len(own) == 0:
        raise InputError(f"expected inputs of class {target}, got none; give some.")
    if len(seeds) < 2:
        raise InputError(f"expected at least two seeds for a standard error, got {len(seeds)}; 5 are usual.")

    def accuracy(mask: np.ndarray) -> float:
        return float((without_neurons(model, own, mask).argmax(1) == target).mean())

    shuffled = (np.random.default_rng(seed).permuted(deleted, axis=1) for seed in seeds)  # as many in every layer
    found = tuple(map(accuracy, shuffled))
    return Ablation(target, int(deleted.sum()), accuracy(np.zeros_like(deleted)), accuracy(deleted), found)
