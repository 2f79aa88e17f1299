"""What a recipe is: it says which models it is for, and how each of their tensors starts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor, nn

from freeness.torch.start.branches import WiredBranch, Wiring
from freeness.torch.start.kernels import Convolution
from freeness.torch.start.parts import is_normalisation
from freeness.torch.start.tensors import ModelTensor, tensors_of

Values = Callable[[ModelTensor, torch.Generator], Tensor]


@dataclass(frozen=True, eq=False)
class Start:
    """How one tensor starts: in a formula, why, and the function that draws its values in its shape.

    ``ensemble`` and ``deviation``: of a matrix, so that σ_w = deviation·√fan_in; None for orthogonal ones, whose σ_w is 1.
    """

    how: str
    reason: str
    values: Values
    ensemble: str = "constant"
    deviation: float | None = None


@dataclass(frozen=True, eq=False)
class Subject:
    """A model as recipes see it: its tensors, each once, and how they are wired (None where no input was found to run it)."""

    model: nn.Module
    tensors: tuple[ModelTensor, ...]
    wiring: Wiring | None

    @cached_property
    def branches(self) -> tuple[WiredBranch, ...]:
        """Residual branches in the order of the forward pass."""
        return self.wiring.branches if self.wiring else ()

    @cached_property
    def heads(self) -> frozenset[str]:
        """The weights that the outputs come through."""
        return frozenset(self.wiring.heads if self.wiring else ())

    def has(self, *kinds: type[nn.Module]) -> bool:
        """Whether a module of one of these kinds is in the model."""
        return any(isinstance(module, kinds) for module in self.model.modules())

    @cached_property
    def convolutional(self) -> bool:
        """Whether convolutions with several taps mix positions."""
        modules = self.model.modules()
        return any(isinstance(one, Convolution) and max(one.kernel_size) > 1 and not _patches(one) for one in modules)

    @property
    def normalised(self) -> bool:
        """Whether a normalisation is in the model, with a scale or without."""
        return any(map(is_normalisation, self.model.modules()))

    @cached_property
    def explained(self) -> bool:
        """Whether every tensor of the model's own ends a residual branch as its scale, or is one number."""
        ends = {name for branch in self.branches for name in branch.scales}
        own = (one for one in self.tensors if one.part.role == "own" and not one.kept)
        return all(one.name in ends or one.value.numel() == 1 for one in own)

    def read(self, tensor: ModelTensor) -> float:
        """The mean square of what a weight reads, where it is 1 in front of the activation there; 1 where that is not known."""
        known = self.wiring.reads if self.wiring else {}
        return next((known[name] for name in (tensor.name, *tensor.also) if name in known), 1.0)

    @property
    def attends(self) -> bool:
        """Whether a residual branch takes a softmax, as attention does."""
        return any(branch.attends for branch in self.branches)


def _patches(layer: Convolution) -> bool:
    return tuple(layer.stride) == tuple(layer.kernel_size)


def subject_of(model: nn.Module, wiring: Wiring | None) -> Subject:
    """A model's tensors and its wiring as one record."""
    return Subject(model, tensors_of(model), wiring)


class StartRecipe(ABC):
    """A published start of a kind of architecture.

    A recipe of your own is one file: a subclass, and :func:`register_recipe`.
    """

    name: ClassVar[str]
    source: ClassVar[str]

    @abstractmethod
    def fits(self, subject: Subject) -> bool:
        """Whether the recipe is for this model."""

    @abstractmethod
    def starts(self, subject: Subject) -> Mapping[str, Start | str]:
        """How each tensor starts, by name, or why it is left; a tensor that is missing is left as no recipe's."""


_RECIPES: list[StartRecipe] = []


def register_recipe(recipe: StartRecipe) -> StartRecipe:
    """Let a recipe be found by :func:`recipe_of`, before those that were registered earlier."""
    _RECIPES.insert(0, recipe)
    return recipe


def recipes() -> tuple[StartRecipe, ...]:
    """All recipes in the order in which they are tried."""
    return tuple(_RECIPES)


def fitting_recipe(subject: Subject) -> StartRecipe | None:
    """The first recipe that is for this model."""
    return next((recipe for recipe in _RECIPES if recipe.fits(subject)), None)
