"""The operations of a model that torch.export cannot read, from one run: calls of torch with the module that makes them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from freeness.torch.record.kinds import TracedOperation, kind_of

_SILENT = {"get", "set", "contiguous", "clone", "detach", "to", "float", "double", "type_as", "expand", "getitem"}
_REASON = "torch.export cannot read the model, so what follows what is not known"


class _Calls(TorchFunctionMode):
    """Notes every call that returns a floating tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[tuple[str, str]] = [("", "")]
        self.found: list[tuple[str, str, str]] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the call and note it."""
        returned = func(*args, **(kwargs or {}))
        first = returned[0] if isinstance(returned, tuple) and returned else returned
        given = [*args, *(kwargs or {}).values()]
        depends = any(isinstance(value, Tensor) for value in given)
        if depends and isinstance(first, Tensor) and first.is_floating_point():
            name = getattr(func, "__name__", "call").strip("_")
            if name not in _SILENT and not name.startswith("new_"):
                self.found.append((*self.stack[-1], name))
        return returned


def recorded_operations(model: nn.Module, run: Callable[[], Any]) -> tuple[TracedOperation, ...]:
    """The operations of one run, in their order; theory covers none of them, for want of the graph.

    Example:
        >>> import torch
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
        >>> [operation.path for operation in recorded_operations(model, lambda: model(torch.ones(1, 2)))]
        ['0', '1']
    """
    mode = _Calls()
    with ExitStack() as hooks:
        for name, module in model.named_modules():
            place = (name, type(module).__name__)
            hooks.enter_context(module.register_forward_pre_hook(lambda *_, place=place: mode.stack.append(place)))
            hooks.enter_context(module.register_forward_hook(lambda *_: mode.stack.pop() and None))
        with mode:
            run()
    return tuple(_operation(*call) for call in mode.found)


def _operation(path: str, module: str, name: str) -> TracedOperation:
    kind = kind_of(name)
    return TracedOperation(path, module, name, kind.name, "none", kind.limits if kind.theory == "none" else _REASON)
