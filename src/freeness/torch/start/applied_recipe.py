"""A model started by the recipe of its architecture, and what that did to signals and gradients."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from freeness.advice import LayerTable
from freeness.errors import InputError
from freeness.torch.measured.observing import observe
from freeness.torch.model.sampling import seeded_generator
from freeness.torch.recipes import StartRecipe
from freeness.torch.request.batch import Batch
from freeness.torch.start.applied import AppliedDesign, DesignRequest, apply_design
from freeness.torch.start.architecture import inputs_of, recipe_of
from freeness.torch.start.initialize import InitializeOptions, initialize_
from freeness.torch.start.initialized import InitializedModel

_SAMPLES = 8


@dataclass(frozen=True, eq=False)
class AppliedRecipe:
    """What every tensor got, and the table of layers before and after on the same inputs.

    The loss is a random linear function of the outputs, so that its gradient there is the same before and after. None where no
    inputs were found that the model takes.
    """

    start: InitializedModel
    before: LayerTable | None
    after: LayerTable | None


def apply_recipe(
    model: nn.Module, recipe: StartRecipe | None = None, *, data: object = None, seed: int = 0
) -> AppliedRecipe:
    """Start a model in place by a recipe, and measure it before and after.

    Args:
        model: any module.
        recipe: the one that fits where this is None.
        data: what the model takes, in any form that ``analyze`` takes; random inputs where this is None.
        seed: of the weights that are drawn, from 0 to 2⁶³ - 1.

    Raises:
        InputError: no recipe fits.

    Example:
        >>> found = apply_recipe(nn.LSTM(4, 8))
        >>> found.start.start, found.after.gradient_growth is not None or len(found.after.modules)
        ('recurrent network', 1)
    """
    chosen = recipe or recipe_of(model, data)
    if chosen is None:
        raise InputError(f"expected a model that a recipe is for, got {type(model).__name__}; pass one of your own.")
    batch = inputs_of(model, data, _SAMPLES)
    before = None if batch is None else _measured(model, batch)
    start = initialize_(model, chosen, generator=seeded_generator(seed), options=InitializeOptions(data=data))
    return AppliedRecipe(start, before, None if batch is None else _measured(model, batch))


def apply_start(
    model: nn.Module, request: DesignRequest | None = None, *, data: object = None, seed: int = 0
) -> AppliedDesign | AppliedRecipe:
    """Start a model in place by the recipe of its architecture; by a design where none fits, or one is asked for.

    Args:
        model: any module.
        request: of a design; what it is to be trained with asks for none.
        data: what the model takes, in any form that ``analyze`` takes; random inputs where this is None.
        seed: of the weights that are drawn, from 0 to 2⁶³ - 1.

    Raises:
        InputError: as :func:`apply_design`.

    Example:
        >>> type(apply_start(nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4)))).__name__
        'AppliedDesign'
    """
    if request is None or request.plain:
        recipe = recipe_of(model, data)
        if recipe is not None:
            return apply_recipe(model, recipe, data=data, seed=seed)
    return apply_design(model, request, data=data, seed=seed)


def _measured(model: nn.Module, batch: Batch) -> LayerTable:
    def loss() -> Tensor:
        outputs = batch.outputs(model)
        direction = torch.randn(outputs.shape, generator=seeded_generator(0)).to(outputs)
        return (outputs * direction).sum() / batch.count

    return observe(model, loss)
