"""All that is read from one network, as one record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from freeness.advice import Progress, Report
from freeness.errors import InputError, is_real
from freeness.interpret.along_training import TrainingState
from freeness.interpret.identity_mlp import IdentityMLP
from freeness.interpret.maps import contribution_maps
from freeness.interpret.neurons import Ablation, ablate_class, neuron_contributions, pixel_contributions, top_neurons
from freeness.interpret.readings import LayerReadings, logit_lens, read_layers
from freeness.interpret.roles import LayerRole, layer_roles
from freeness.interpret.training import Fit


@dataclass(frozen=True, eq=False)
class ImageStory:
    """One input through the layers.

    ``likelihoods`` (layers, K); ``maps`` m^l - m^{l-1}, (L, *shape); ``support``: what speaks for the predicted class, of
    the input's shape; ``settled``: the layer, counted from 1, from which on the likeliest class is the predicted one.
    """

    pixels: Float[np.ndarray, "*shape"]
    label: int
    predicted: int
    settled: int
    likelihoods: Float[np.ndarray, "layers classes"]
    maps: Float[np.ndarray, " layers *shape"]
    support: Float[np.ndarray, "*shape"]


@dataclass(frozen=True, eq=False)
class Interpretation:
    """What was read from a network on test data.

    ``start`` is how its weights had been initialised; where that is not the identity, ``method`` is the logit lens and
    ``images`` and ``ablations`` are empty, for maps and class neurons mean something near the identity only. ``states``
    are those recorded while it trained, ``fit`` how it was trained; both empty for a checkpoint.
    """

    depth: int
    width: int
    activation: str
    start: str
    data: str
    classes: tuple[str, ...]
    method: str
    layers: tuple[str, ...]
    accuracy: Float[np.ndarray, " layers"]
    settled: Int[np.ndarray, " layers"]
    samples: int
    images: tuple[ImageStory, ...]
    roles: tuple[LayerRole, ...]
    ablations: tuple[Ablation, ...]
    share: float
    states: tuple[TrainingState, ...] = ()
    fit: Fit | None = None

    @property
    def accuracy_error(self) -> Float[np.ndarray, " layers"]:
        """Binomial standard error of the accuracy of every layer."""
        return np.sqrt(self.accuracy * (1 - self.accuracy) / self.samples)


@dataclass(frozen=True)
class StoryOptions:
    """What is told.

    Args:
        images: indices of the test inputs that are followed.
        share: of the hidden neurons that are deleted.
        start: how the network had been initialised.
        data: where the data is from, in words.
        classes: their names; numbers when left out.
    """

    images: Sequence[int] = ()
    share: float = 0.05
    start: str = "identity"
    data: str = ""
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (is_real(self.share) and 0 < self.share <= 1):
            raise InputError(f"expected a share of the neurons in (0, 1], got {self.share!r}; 0.05 is usual.")


Labelled = tuple[Tensor, Tensor]


def tell(
    model: IdentityMLP,
    train: Labelled,
    test: Labelled,
    options: StoryOptions | None = None,
    progress: Report | None = None,
) -> Interpretation:
    """Read a trained network layer by layer.

    Args:
        model: left as it was.
        train: inputs and class indices from which neurons are chosen.
        test: those on which all is read.
        options: which images, how many neurons.
        progress: told before every part.

    Raises:
        InputError: images that the test data does not have, or labels of more classes than the network has.

    Example:
        >>> data = torch.eye(4), torch.tensor([0, 1, 0, 1])
        >>> told = tell(IdentityMLP(4, classes=2, depth=3), data, data, StoryOptions(images=[0]))
        >>> told.accuracy, told.images[0].maps.shape
        (array([0.5, 0.5, 0.5]), (3, 4))
    """
    how = options or StoryOptions()
    inputs, labels = test
    _check(model, train, test, how)
    identity = how.start == "identity"
    report = progress or (lambda at: None)
    report(Progress("likelihoods at every layer", 0, 3))
    readings = read_layers(model, inputs) if identity else logit_lens(model, inputs)
    report(Progress("contribution maps", 1, 3))
    images = _images(model, readings, test, list(how.images)) if identity else ()
    report(Progress("deleting neurons", 2, 3))
    ablations = _ablations(model, train, test, how.share) if identity and model.depth > 1 else ()
    return Interpretation(
        depth=model.depth,
        width=model.width,
        activation=model.activation,
        start=how.start,
        data=how.data,
        classes=how.classes or tuple(map(str, range(model.classes))),
        method=readings.method,
        layers=readings.names,
        accuracy=readings.accuracy(labels.numpy()),
        settled=np.bincount(readings.settled, minlength=len(readings.names) + 1)[1:],
        samples=len(inputs),
        images=images,
        roles=layer_roles(model) if identity else (),
        ablations=ablations,
        share=how.share,
    )


def check_images(chosen: Sequence[int], test: Labelled) -> None:
    """Refuse images that the test data does not have."""
    for index in chosen:
        if not 0 <= index < len(test[0]):
            raise InputError(f"expected images from 0 to {len(test[0]) - 1}, got {index}; the test data has no more.")


def _check(model: IdentityMLP, train: Labelled, test: Labelled, how: StoryOptions) -> None:
    for inputs, labels in (train, test):
        if len(inputs) == 0 or len(inputs) != len(labels):
            raise InputError(
                f"expected inputs with one label each, got {len(inputs)} and {len(labels)}; correct the data."
            )
        if int(labels.min()) < 0 or int(labels.max()) >= model.classes:
            raise InputError(
                f"expected labels from 0 to {model.classes - 1}, got {int(labels.max())}: the data has more classes "
                "than the network; take a network that was built for this data."
            )
    if how.classes and len(how.classes) != model.classes:
        raise InputError(f"expected {model.classes} names of classes, got {len(how.classes)}; name each.")
    check_images(how.images, test)


def _images(model: IdentityMLP, readings: LayerReadings, test: Labelled, chosen: list[int]) -> tuple[ImageStory, ...]:
    if not chosen:
        return ()
    inputs, predicted = test[0][chosen], readings.predictions[-1][chosen]
    maps = contribution_maps(model, inputs)
    support = pixel_contributions(model, inputs, torch.from_numpy(predicted))
    likelihoods, settled = readings.likelihoods, readings.settled
    return tuple(
        ImageStory(
            pixels=inputs[place].reshape(model.shape).numpy(),
            label=int(test[1][index]),
            predicted=int(predicted[place]),
            settled=int(settled[index]),
            likelihoods=likelihoods[:, index],
            maps=maps[:, place],
            support=support[place].reshape(model.shape),
        )
        for place, index in enumerate(chosen)
    )


def _ablations(model: IdentityMLP, train: Labelled, test: Labelled, share: float) -> tuple[Ablation, ...]:
    found = []
    for target in range(model.classes):
        own = train[0][train[1] == target]
        if len(own) == 0 or not bool((test[1] == target).any()):
            continue
        chosen = top_neurons(neuron_contributions(model, own), target, share)
        found.append(ablate_class(model, chosen, test[0], test[1], target))
    return tuple(found)
