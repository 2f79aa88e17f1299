"""Which start a model's architecture asks for: a recipe, or the design of a chain."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from freeness.advice import Design, design
from freeness.errors import FreenessError, InputError
from freeness.torch.model.outputs import run
from freeness.torch.recipes import StartRecipe, Subject, fitting_recipe, recipes, subject_of
from freeness.torch.request.batch import Batch
from freeness.torch.request.labelled import load_labelled
from freeness.torch.request.user_data import batch_of
from freeness.torch.start.apply import chain_widths, design_target
from freeness.torch.start.branches import Wiring, wiring_of

FEW = 2  # samples, of which a forward pass tells the wiring


def start_of(
    model: nn.Module, recipe: StartRecipe | None = None, data: object = None
) -> tuple[StartRecipe, Subject] | Design:
    """The recipe that fits a model and what it needs to know; the design of its chain where none does.

    Example:
        >>> start_of(nn.Sequential(nn.Embedding(5, 4), nn.LSTM(4, 4)))[0].name
        'recurrent network'
        >>> start_of(nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))).depth
        2
    """
    found = subject_of(model, _wiring(model, data))
    chosen = recipe or fitting_recipe(found)
    if chosen is not None:
        return chosen, found
    target = design_target(model)
    if target.is_chain:
        widths = chain_widths(model)
        return design(len(widths) - 1, list(widths), target.activation())
    names = ", ".join(one.name for one in recipes())
    if found.wiring is None:
        raise InputError(
            f"expected inputs on which {type(model).__name__} shows how it is wired, got none that it takes; pass "
            "InitializeOptions(data=…), or name an ensemble."
        )
    raise InputError(
        f"expected a model that a recipe is for ({names}) or a chain, got {type(model).__name__}; name an ensemble, or write "
        "a recipe and register it."
    )


def recipe_of(model: nn.Module, data: object = None) -> StartRecipe | None:
    """The recipe that fits a model, if there is one.

    Example:
        >>> recipe_of(nn.GRU(4, 4)).source
        'Saxe et al. 2014 (orthogonal); Glorot, Bengio 2010; Jozefowicz et al. 2015 (forgetting)'
    """
    return fitting_recipe(subject_of(model, _wiring(model, data)))


def has_recipe(model: nn.Module, inputs: Tensor) -> bool:
    """Whether a recipe is for a model of one tensor, as its wiring on a few inputs tells; False where it cannot be read.

    Example:
        >>> import torch
        >>> has_recipe(nn.GRU(4, 4), torch.ones(2, 3, 4)), has_recipe(nn.Softmax(1), torch.ones(2, 3))
        (True, False)
    """
    try:
        return (
            fitting_recipe(subject_of(model, wiring_of(model, lambda: run(model, _signal(inputs[:FEW]))))) is not None
        )
    except (FreenessError, ArithmeticError, MemoryError, RuntimeError):
        return False


def inputs_of(model: nn.Module, data: object, count: int) -> Batch | None:
    """A few samples of what a model takes; random ones where nothing is given, and None where none of these fit."""
    if data is not None:
        return batch_of(data, model).part(0, count)
    try:
        inputs = load_labelled("gaussian", model).inputs[:count]
    except InputError:  # of several inputs, or of a form that is not tried
        return None
    first = next(model.parameters())
    return Batch((inputs,), count=len(inputs)).to(first.device, first.dtype)


def _wiring(model: nn.Module, data: object) -> Wiring | None:
    batch = inputs_of(model, data, FEW)
    return None if batch is None else wiring_of(model, lambda: batch.mapped(_signal).call(model))


def _signal(value: Any) -> Any:
    """An input that is a signal itself, so that a sum with it is seen."""
    if not isinstance(value, Tensor) or not value.is_floating_point():
        return value
    return value.detach().clone().requires_grad_() * 1  # a leaf may not be written to, its product may
