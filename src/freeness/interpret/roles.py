"""What each layer has become: how far its weights have left the identity, and in which part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch

from freeness.interpret.identity_mlp import IdentityMLP


@dataclass(frozen=True)
class LayerRole:
    """ΔW = W_l - s·1 of one layer by its four parts, as Frobenius norms.

    ``extraction``: from the input part to itself, which makes features; ``classification``: from the input part to the
    class neurons; ``revision``: among the class neurons; ``feedback``: from the class neurons to the input part.
    ``drift`` is ‖ΔW‖/‖s·1‖.
    """

    index: int
    extraction: float
    classification: float
    revision: float
    feedback: float
    drift: float

    @property
    def role(self) -> Literal["extraction", "classification", "unchanged"]:
        """Where the larger part of the change lies: what remains in the input's space, or what reaches the class neurons.

        Example:
            >>> LayerRole(1, 3.0, 1.0, 0.0, 0.0, 0.1).role
            'extraction'
        """
        if self.drift == 0:
            return "unchanged"
        return "extraction" if self.share > 0.5 else "classification"

    @property
    def share(self) -> float:
        """The part of ‖ΔW‖² that stays in the input's space, extraction and feedback; NaN where nothing has changed."""
        squares = [value**2 for value in (self.extraction, self.feedback, self.classification, self.revision)]
        return sum(squares[:2]) / sum(squares) if any(squares) else float("nan")


def layer_roles(model: IdentityMLP) -> tuple[LayerRole, ...]:
    """The role of every layer from the change of its weights relative to the identity.

    Norms of whole parts, so a role says where training has put its changes and not how much a single weight matters: the
    input part has features² weights and the way to the class neurons K·features. The last layer's input part reaches no
    output and is never trained.

    Args:
        model: left as it was.

    Source: Kubota, Hayashi, Hayase, Uchida, ICASSP 2021 (arXiv 2102.13333); theory.md §10.

    Example:
        >>> [layer.role for layer in layer_roles(IdentityMLP(3, classes=2, depth=2))]
        ['unchanged', 'unchanged']
    """
    cut = model.features
    start = model.scale * torch.eye(model.width, dtype=torch.float64)
    found = []
    for index, linear in enumerate(model.linears, start=1):
        change = linear.weight.detach().double().cpu() - start
        parts = (change[:cut, :cut], change[cut:, :cut], change[cut:, cut:], change[:cut, cut:])
        norms = [float(part.norm()) for part in parts]
        found.append(LayerRole(index, *norms, drift=float(change.norm() / start.norm())))
    return tuple(found)
