"""The role of each trained tensor as networks grow: the input's, hidden, the output's, a table, a vector."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Literal

from torch import Tensor, nn

from freeness.torch.model.state import owner, trained_parameters
from freeness.torch.start.parts import parts_of

GroupRole = Literal["input", "hidden", "output", "embeddings", "norms and biases"]

_NORMED = (
    "weight_v",
    "parametrizations.weight.original1",
    "parametrizations.weight.original",
)  # by weight or spectral norm
_LENGTHS = ("weight_g", ".original0")  # of a weight norm, one for each row


class MatrixCalls:
    """Which modules with matrices or tables of their own a forward pass calls, in order; and the input of the last one."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.last_input: Tensor | None = None

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[None]:
        """A block whose forward pass is followed."""
        self.order = []

        def seen(name: str) -> object:
            def note(_: nn.Module, given: tuple[object, ...]) -> None:
                self.order.append(name)
                if given and isinstance(given[0], Tensor) and given[0].is_floating_point():
                    self.last_input = given[0].detach()

            return note

        with ExitStack() as hooks:
            for name, module in model.named_modules():
                if any(part.role in ("matrix", "table") for part in parts_of(module).values()):
                    hooks.enter_context(module.register_forward_pre_hook(seen(name)))  # pyright: ignore[reportArgumentType]
            yield


def roles_of(model: nn.Module, order: Sequence[str], grown: Mapping[str, int] | None = None) -> dict[str, GroupRole]:
    """The role of every trained parameter by name.

    The first matrix that a forward pass meets is the input's, unless a table of embeddings comes before it; the last one is the
    output's. Of a recurrent module that comes first only what its first layer reads inputs with is the input's. Tensors that only
    the model knows are matrices where two of their sides grow, as in the larger of two networks, or tables as embeddings of
    positions are.

    Args:
        model: any module.
        order: names of the modules that hold matrices and tables, as they were called.
        grown: of tensors that only the model knows, how many of their sides grow; without it what is square is a matrix.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 2, bias=False))
        >>> roles_of(model, ["0", "2", "4"])
        {'0.weight': 'input', '0.bias': 'norms and biases', '2.weight': 'hidden', '2.bias': 'norms and biases', \
'4.weight': 'output'}
    """
    kinds = {name: {part.role for part in parts_of(module).values()} for name, module in model.named_modules()}
    matrices = [name for name in order if "matrix" in kinds[name]]
    first = matrices[0] if matrices and "table" not in kinds[order[0]] else None
    last = matrices[-1] if matrices else None
    found: dict[str, GroupRole] = {}
    for name, value in trained_parameters(model).items():
        module, key = _place(name)
        part = parts_of(model.get_submodule(module)).get(key)
        role = "own" if part is None else part.role
        if role == "table":
            found[name] = "embeddings"
        elif role == "matrix":
            reads = module == first and _reads_inputs(model.get_submodule(module), key)
            found[name] = "output" if module == last else "input" if reads else "hidden"
        elif role == "own" and value.ndim > 1 and not key.endswith(_LENGTHS):
            found[name] = "hidden" if _is_matrix(name, value, grown) else "embeddings"
        else:
            found[name] = "norms and biases"
    return found


def neurons(model: nn.Module, roles: Mapping[str, GroupRole]) -> list[float]:
    """How many each matrix in front of the output's gives; none of a model that is linear.

    A square of the model's own, of which nobody knows which side is the output's, counts as its root.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 2, bias=False))
        >>> neurons(model, roles_of(model, ["0", "2", "4"]))
        [4.0, 5.0]
    """
    found: list[float] = []
    for name, value in trained_parameters(model).items():
        module, key = _place(name)
        if roles[name] in ("input", "hidden"):
            part = parts_of(model.get_submodule(module)).get(key)
            fan_in = part.fan_in if part is not None and part.role == "matrix" else math.sqrt(value.numel())
            found.append(value.numel() / fan_in)
    return found


def _place(name: str) -> tuple[str, str]:
    """The module that a tensor is of, and its name there: a weight that torch norms goes by the name of the weight.

    Example:
        >>> _place("0.weight"), _place("0.weight_v"), _place("0.parametrizations.weight.original1")
        (('0', 'weight'), ('0', 'weight'), ('0', 'weight'))
    """
    module = owner(name)
    key = name.removeprefix(f"{module}.")
    return module, "weight" if key in _NORMED else key


def _reads_inputs(first: nn.Module, key: str) -> bool:
    """Whether a matrix of the module that comes first multiplies inputs; those of torch's recurrent ones also multiply states."""
    return not isinstance(first, nn.RNNBase | nn.RNNCellBase) or key in (
        "weight_ih",
        "weight_ih_l0",
        "weight_ih_l0_reverse",
    )


def _is_matrix(name: str, value: Tensor, grown: Mapping[str, int] | None) -> bool:
    known = (grown or {}).get(name, 0)
    sides = sorted(value.shape)
    return known > 1 or (known == 0 and sides[-1] == sides[-2])


def grown_sides(small: nn.Module, big: nn.Module) -> dict[str, int]:
    """How many sides of a tensor are longer in the larger network, for tensors of one name and as many sides.

    Example:
        >>> grown_sides(nn.Linear(3, 4), nn.Linear(3, 8))
        {'weight': 1, 'bias': 1}
    """
    known = dict(small.named_parameters())
    return {
        name: sum(a != b for a, b in zip(known[name].shape, value.shape, strict=True))
        for name, value in big.named_parameters()
        if name in known and known[name].ndim == value.ndim
    }
