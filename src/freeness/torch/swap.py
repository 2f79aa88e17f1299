"""Exchange a model's activation modules in place, for instance by normalised ones."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from freeness.errors import InputError
from freeness.gaussian import ActivationFunction
from freeness.network import activation
from freeness.torch.build import AffineActivation, activation_module

_KINDS: dict[type[nn.Module], str] = {
    nn.ReLU: "relu",
    nn.ReLU6: "relu6",
    nn.Tanh: "tanh",
    nn.Sigmoid: "sigmoid",
    nn.SiLU: "silu",
    nn.Softsign: "softsign",
    nn.GELU: "gelu",
    nn.LeakyReLU: "leaky_relu",
    nn.Hardtanh: "hardtanh",
    nn.Threshold: "shifted_relu",
    nn.ELU: "elu",
    nn.SELU: "selu",
    nn.CELU: "celu",
    nn.Mish: "mish",
    nn.Hardsigmoid: "hardsigmoid",
    nn.Hardswish: "hardswish",
    nn.LogSigmoid: "logsigmoid",
    nn.Tanhshrink: "tanhshrink",
    nn.Softshrink: "softshrink",
    nn.Softplus: "softplus",
}

_PARAMETERS: dict[str, tuple[str, ...]] = {  # names that the table and torch share
    "leaky_relu": ("negative_slope",),
    "hardtanh": ("min_val", "max_val"),
    "elu": ("alpha",),
    "celu": ("alpha",),
    "softshrink": ("lambd",),
    "softplus": ("beta",),
}


class SwappedActivation(NamedTuple):
    """Module path, and the modules as text before and after."""

    name: str
    before: str
    after: str


def swap_activations_(
    model: nn.Module, function: ActivationFunction, only: str | None = None
) -> tuple[SwappedActivation, ...]:
    """Put an activation in the place of the activation modules of one kind, first to last.

    Activations have no parameters, so the state_dict keeps its keys; a model that is built anew has to be swapped again
    before it loads one. Calls of functions (torch.tanh(x)) are no modules and cannot be reached.

    Args:
        model: any module.
        function: the new one, for instance the ``activation`` of a design.
        only: the kind to replace, as the table of activations names it; needed where the model has several.

    Raises:
        InputError: no such module, or several kinds and none is named; nothing is changed then.

    Example:
        >>> from freeness.network import activation
        >>> model = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 2))
        >>> swap_activations_(model, activation("hardtanh", min_val=-3.0, max_val=3.0))
        (SwappedActivation(name='1', before='Tanh()', after='Hardtanh(min_val=-3.0, max_val=3.0)'),)
    """
    places = [
        (f"{path}.{key}" if path else key, parent, key, child)
        for path, parent in model.named_modules()
        for key, child in parent._modules.items()  # named_children leaves out the second place of a shared module
        if child is not None and kind_of(child) is not None and not isinstance(parent, AffineActivation)
    ]
    kinds = sorted({kind for *_, child in places if (kind := kind_of(child)) is not None})
    wanted = only if only is not None else (kinds[0] if len(kinds) == 1 else None)
    if wanted is None or wanted not in kinds:
        has = f"modules of the kinds {', '.join(kinds)}" if kinds else "no activation modules"
        asked = f"{only!r} to replace" if only is not None else "activation modules of one kind to replace"
        raise InputError(
            f"expected {asked}, got a model with {has}; name one of them, and write functional activations as modules."
        )
    made: dict[int, nn.Module] = {}  # a module that is used in several places stays one
    found = []
    for name, parent, key, child in places:
        if kind_of(child) != wanted:
            continue
        if id(child) not in made:
            made[id(child)] = activation_module(function).train(child.training)
        setattr(parent, key, made[id(child)])
        found.append(SwappedActivation(name, repr(child), repr(made[id(child)])))
    return tuple(found)


def kind_of(module: nn.Module) -> str | None:
    """The name in the table of activations, None for other modules.

    Example:
        >>> kind_of(nn.Hardtanh()), kind_of(nn.Linear(2, 2))
        ('hardtanh', None)
    """
    if isinstance(module, nn.GELU) and module.approximate == "tanh":
        return "gelu_tanh"
    if isinstance(module, AffineActivation):
        return module.name
    return _KINDS.get(type(module))


def function_of(module: nn.Module) -> ActivationFunction | None:
    """The table's record of an activation module, with the module's own parameters; None for other modules.

    Args:
        module: one module, not a container; a shaped activation has no record in the table.

    Example:
        >>> function_of(nn.LeakyReLU(0.2)).slopes, function_of(nn.Linear(2, 2))
        ((0.2, 1.0), None)
    """
    name = kind_of(module)
    if name is None or isinstance(module, AffineActivation):
        return None
    if isinstance(module, nn.Threshold):
        return activation(name, shift=-module.threshold) if module.threshold == module.value < 0 else None
    try:
        return activation(name, **{key: float(getattr(module, key)) for key in _PARAMETERS.get(name, ())})
    except InputError:  # numbers that torch takes and the table does not
        return None
