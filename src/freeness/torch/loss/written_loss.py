"""Losses that a user wrote: any function of outputs and targets, whose curvature is taken by differentiation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn

from freeness.errors import InputError, brief
from freeness.torch.loss.differentiated import RESIDUALS, is_of_graph
from freeness.torch.loss.loss_rules import check, criterion
from freeness.training import Objective


@final
@dataclass(frozen=True, eq=False)
class WrittenLoss(Objective):
    """A function of outputs and targets that is one number.

    H is its second derivative in the outputs of the whole batch, by products; it need be neither diagonal nor convex.

    Attributes:
        function: of (outputs, targets).
        called: what it is called; by its own name when left out.
    """

    function: Callable[[Any, Any], Tensor]
    called: str = ""

    @property
    def name(self) -> str:
        named = self.called or getattr(self.function, "__name__", type(self.function).__name__)
        return "the given function" if named == "<lambda>" else str(named)

    @property
    def formula(self) -> str:
        return f"what {self.name} computes"

    @property
    def expects(self) -> str:
        return f"targets that {self.name} takes"

    def alone(self, returned: Any) -> WrittenLoss | None:
        """The loss of outputs alone, as contrastive ones are: the function takes None for targets; None where it does not.

        Example:
            >>> WrittenLoss(lambda f, _: f.square().mean()).alone(torch.ones(2)).function(torch.ones(2), 5)
            tensor(1.)
            >>> WrittenLoss(lambda f, y: (f - y).square().mean()).alone(torch.ones(2)) is None
            True
        """
        try:
            value = self.function(returned, None)
        except Exception:  # whatever it raises tells that it looks at its targets
            return None
        return WrittenLoss(lambda f, _: self.function(f, None), self.name) if isinstance(value, Tensor) else None


class Written(nn.Module):
    """Calls the function and takes one number from it."""

    def __init__(self, loss: WrittenLoss) -> None:
        super().__init__()
        self.written = loss

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """A scalar."""
        value: Any = self.written.function(outputs, targets)
        if not isinstance(value, Tensor) or value.numel() != 1 or not value.is_floating_point():
            got = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise InputError(
                f"expected a loss that is one number, got {got} from {self.written}; average it over the batch."
            )
        return value.reshape(())


@criterion.register
def _(loss: WrittenLoss) -> nn.Module:
    return Written(loss)


@check.register
def _(loss: WrittenLoss, outputs: Tensor, targets: Tensor) -> None:
    try:
        with torch.no_grad():
            value = criterion(loss)(outputs, targets)
    except InputError:
        raise
    except Exception as error:  # whatever the user's function raises is told in one sentence
        if is_of_graph(error):
            raise InputError(
                f"expected a loss that is a function of outputs and targets, got {loss}, which differentiates the model; "
                f"{RESIDUALS}."
            ) from None
        raise InputError(
            f"expected a loss of outputs {tuple(outputs.shape)} and targets {tuple(targets.shape)}, got {brief(error)} from "
            f"{loss}; correct it, or pass other targets."
        ) from error
    if not bool(value.isfinite()):
        raise InputError(f"expected a finite loss, got {float(value)} from {loss}; correct it, or the targets.")
