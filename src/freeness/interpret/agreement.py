"""Agreement of what the layers say with gradient attributions of other libraries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.stats import rankdata
from torch import Tensor

from freeness.errors import InputError
from freeness.interpret.identity_mlp import IdentityMLP
from freeness.interpret.neurons import pixel_contributions
from freeness.torch import untouched

Attribute = Callable[..., Tensor]


@dataclass(frozen=True, eq=False)
class Agreement:
    """Spearman's rank correlation over the features of each sample, (n,), between contributions and attributions."""

    correlations: Float[np.ndarray, " samples"]

    @property
    def mean(self) -> float:
        """Average over the samples; those whose attributions are all equal have no correlation and are left out."""
        return float(np.nanmean(self.correlations))

    @property
    def error(self) -> float:
        """Standard error of :attr:`mean`."""
        found = self.correlations[~np.isnan(self.correlations)]
        return float(found.std(ddof=1) / np.sqrt(found.size)) if found.size > 1 else float("nan")


def attribution_agreement(model: IdentityMLP, inputs: Tensor, attribute: Attribute) -> Agreement:
    """How far an attribution method ranks the features of an input as the layers' own contributions do.

    Args:
        model: left as it was.
        inputs: (n, *shape).
        attribute: called with the inputs and ``target=`` the predicted classes, returns attributions of the inputs'
            shape: ``captum.attr.IntegratedGradients(model).attribute``, for instance.

    Raises:
        InputError: attributions of another shape.

    Example:
        >>> model = IdentityMLP(3, classes=2, depth=2)
        >>> with torch.no_grad():
        ...     _ = model.linears[1].weight[3, :3].copy_(torch.tensor([0.1, 0.2, 0.3]))
        >>> attribution_agreement(model, torch.full((1, 3), 0.5), lambda x, target: x * torch.arange(3.0)).mean
        1.0
    """
    with untouched(model, copies=False):
        with torch.no_grad():
            targets = model(inputs).argmax(1)
        found = attribute(inputs, target=targets).detach()
    if found.shape != inputs.shape:
        raise InputError(
            f"expected attributions of shape {tuple(inputs.shape)}, got {tuple(found.shape)}; one a feature."
        )
    own = pixel_contributions(model, inputs, targets)
    given = found.reshape(len(inputs), -1).cpu().numpy()
    constant = np.ptp(own, axis=1) * np.ptp(given, axis=1) == 0
    ranked = zip(rankdata(own, axis=1), rankdata(given, axis=1), constant, strict=True)
    return Agreement(np.array([np.nan if flat else np.corrcoef(a, b)[0, 1] for a, b, flat in ranked]))
