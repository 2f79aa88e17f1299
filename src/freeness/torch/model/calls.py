"""Tensors inside a forward pass, by the call that made them: caught, or replaced by others in a second pass."""

from __future__ import annotations

import weakref
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.autograd.graph import Node
from torch.overrides import TorchFunctionMode

from freeness.torch.model.walks import made_of, reached


class Origin(NamedTuple):
    """A call of torch: its function, and how many calls of that went before."""

    function: str
    number: int


class CallWatch(TorchFunctionMode):
    """A block in which calls of torch are counted; of some the result is caught, or another one put in its place.

    ``caught`` are the places whose results are kept in ``found``; ``replaced`` is what calls return instead.

    Example:
        >>> import torch
        >>> with CallWatch() as calls:
        ...     y = torch.ones(2).exp()
        >>> place = calls.place_of(y)
        >>> with CallWatch(replaced={place: torch.zeros(2)}):
        ...     print(torch.ones(2).exp() + 1)
        tensor([1., 1.])
    """

    def __init__(self, caught: tuple[Origin, ...] = (), replaced: Mapping[Origin, Tensor] | None = None) -> None:
        super().__init__()
        self.caught, self.replaced = caught, dict(replaced or {})
        self.found: dict[Origin, Tensor] = {}
        self.last: Origin | None = None  # that used a parameter, and is no single number
        self.layers: dict[Node, Origin] = {}  # by their nodes in the graph, all that used a parameter
        self.rows: list[tuple[Origin, int]] = []  # with the length of what they returned, all calls
        self._counts: dict[str, int] = {}
        self._made: dict[Origin, weakref.ref[Tensor]] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(getattr(func, "__name__", func))
        place = Origin(name, self._counts.get(name, 0))
        self._counts[name] = place.number + 1
        returned = func(*args, **(kwargs or {}))
        if place in self.replaced:
            return self._exchanged(place, returned)
        if isinstance(returned, Tensor) and returned.is_floating_point():
            self._made[place] = weakref.ref(returned)
            if place in self.caught:
                self.found[place] = returned
            if returned.ndim > 0 and not self.replaced:
                self.rows.append((place, len(returned)))
                self._note(place, returned, args)
        return returned

    def _note(self, place: Origin, returned: Tensor, args: Any) -> None:
        """What used a parameter."""
        if not any(isinstance(each, nn.Parameter) for each in args):
            return
        self.last = place if returned.ndim > 1 else self.last
        if returned.grad_fn is not None:
            self.layers[returned.grad_fn] = place

    def before(self, loss: Tensor, among: Collection[Origin]) -> list[Origin]:
        """The calls with parameters, of those in ``among``, that a tensor was made of without any other such call between."""
        layers = {node: place for node, place in self.layers.items() if place in among}
        nodes = reached([loss.grad_fn], lambda node: () if node in layers else made_of(node))
        return sorted(layers[node] for node in nodes if node in layers)

    def place_of(self, tensor: Tensor) -> Origin | None:
        """The first call that returned this tensor; None where it came from elsewhere."""
        return next((place for place, made in self._made.items() if made() is tensor), None)

    def _exchanged(self, place: Origin, returned: Any) -> Tensor:
        other = self.replaced[place]
        if not isinstance(returned, Tensor) or returned.shape != other.shape:
            raise RuntimeError(f"{place.function} does not return what it did before")
        return other
