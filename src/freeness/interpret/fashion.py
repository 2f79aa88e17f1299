"""Fashion-MNIST, a network and its reading in one call: what the command line runs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from freeness.advice import Report
from freeness.data import CLASSES, FashionMnist, Loaded, load
from freeness.errors import InputError, is_size
from freeness.interpret.along_training import TrainingWatch
from freeness.interpret.identity_mlp import IdentityMLP
from freeness.interpret.story import Interpretation, Labelled, StoryOptions, check_images, tell
from freeness.interpret.training import FitOptions, fit
from freeness.torch import initialize_, seeded_generator
from freeness.training import SGD

Start = Literal["identity", "haar", "gaussian"]
_STARTS = ("identity", "haar", "gaussian")


@dataclass(frozen=True)
class Recipe:
    """A network and how it is trained on Fashion-MNIST.

    Args:
        depth: L ≥ 2.
        activation: a name of the table.
        start: "identity", or "haar" or "gaussian" for a comparison, which is read by the logit lens.
        images: how many training images, the first ones; all when left out.
        epochs: passes over them.
        batch: images a step.
        optimizer: "sgd", "momentum" or "nesterov".
        rate: the learning rate; designed when left out.
        seed: of the order of images, and of random weights.
        directory: of the official files; the bundled 2,000 + 1,000 images when left out.
    """

    depth: int = 20
    activation: str = "hardtanh"
    start: Start = "identity"
    images: int | None = None
    epochs: int = 2
    batch: int = 32
    optimizer: SGD | str = "momentum"
    rate: float | None = None
    seed: int = 0
    directory: Path | None = None

    def __post_init__(self) -> None:
        if self.start not in _STARTS:
            raise InputError(f"expected the start {', '.join(_STARTS)}, got {self.start!r}; choose one.")
        if self.activation == "linear":
            raise InputError("expected an activation that bends, got 'linear'; layers without one are a single matrix.")
        if not is_size(self.depth) or self.depth < 2:
            raise InputError(f"expected a depth ≥ 2, got {self.depth!r}; one layer has no hidden neurons to read.")
        if not is_size(self.batch) or not (self.images is None or is_size(self.images)):
            raise InputError(f"expected whole numbers ≥ 1 of images and batch, got {self.images!r} and {self.batch!r}.")


def fashion_data(directory: Path | None = None, images: int | None = None) -> tuple[Labelled, Labelled, str]:
    """Training and test images, each of mean 0 and mean square 1, as (n, 28, 28) in float32, with labels.

    Example:
        >>> train, test, source = fashion_data(images=500)
        >>> train[0].shape, len(test[1])
        (torch.Size([500, 28, 28]), 1000)
    """
    source = FashionMnist("" if directory is None else str(directory))
    train, test = load(source, "train"), load(source, "test")
    if images is not None and images > len(train.inputs):
        raise InputError(
            f"expected at most {len(train.inputs)} training images, got {images}; name the folder of all 60,000 by --data."
        )
    inputs, labels = _tensors(train)
    return (inputs[:images], labels[:images]), _tensors(test), train.described


def _tensors(found: Loaded) -> Labelled:
    return torch.from_numpy(found.inputs).float().reshape(-1, 28, 28), torch.from_numpy(found.targets)


def prepare(recipe: Recipe, inputs: Tensor) -> IdentityMLP:
    """The untrained network of a recipe, centred at the mean of the inputs.

    Example:
        >>> prepare(Recipe(depth=3, start="haar"), torch.zeros(2, 28, 28)).width
        794
    """
    shape = tuple(inputs.shape[1:])
    model = IdentityMLP(shape, len(CLASSES), recipe.depth, recipe.activation, centre=inputs.mean(0))
    if recipe.start != "identity":
        initialize_(model.stack, recipe.start, generator=seeded_generator(recipe.seed))
    return model


def train_and_tell(
    recipe: Recipe, images: tuple[int, ...] = (), share: float = 0.05, progress: Report | None = None
) -> tuple[IdentityMLP, Interpretation]:
    """Train a network on Fashion-MNIST and read it.

    JJᵀ, freeness and drift are recorded at the first test image, before training and after every pass.
    """
    train, test, source = fashion_data(recipe.directory, recipe.images)
    described = f"{source}, {len(train[0]):,} images"
    how = _options(images, share, recipe.start, described)
    check_images(images, test)  # before anything is trained
    model = prepare(recipe, train[0])
    watch = TrainingWatch(model, test[0][:1])
    loader = DataLoader(TensorDataset(*train), recipe.batch, shuffle=True, generator=seeded_generator(recipe.seed))
    done = fit(model, loader, FitOptions(recipe.epochs, recipe.optimizer, recipe.rate, watch), progress)
    told = tell(model, train, test, how, progress)
    return model, replace(told, states=tuple(watch.states), fit=done)


def tell_of(
    model: IdentityMLP,
    start: str,
    directory: Path | None,
    images: tuple[int, ...] = (),
    share: float = 0.05,
    progress: Report | None = None,
) -> Interpretation:
    """Read a network that was trained before, on Fashion-MNIST."""
    if model.features != 784 or model.classes != len(CLASSES):
        raise InputError(
            f"expected a network for 784 pixels and {len(CLASSES)} classes, got one for {model.features} features and "
            f"{model.classes} classes; train one on Fashion-MNIST."
        )
    train, test, source = fashion_data(directory)
    return tell(model, train, test, _options(images, share, start, source), progress)


def _options(images: tuple[int, ...], share: float, start: str, source: str) -> StoryOptions:
    return StoryOptions(images, share, start, source, CLASSES)
