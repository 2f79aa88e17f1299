"""What each layer changes in the space of the input."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from freeness.interpret.identity_mlp import IdentityMLP
from freeness.torch import untouched


def input_parts(model: IdentityMLP, inputs: Tensor) -> Tensor:
    """m^0, …, m^L of every sample, (L + 1, n, features); m^0 is the centred input and m^L is taken before the activation.

    Example:
        >>> input_parts(IdentityMLP(2, classes=2, depth=3), torch.tensor([[0.5, 2.0]]))[:, 0]
        tensor([[0.5000, 2.0000],
                [0.5000, 1.0000],
                [0.5000, 1.0000],
                [0.5000, 1.0000]])
    """
    with untouched(model, copies=False), torch.no_grad():
        before, after = model.states(inputs)
    return torch.stack([*after, before[-1]])[:, :, : model.features]


def contribution_maps(model: IdentityMLP, inputs: Tensor) -> Float[np.ndarray, "layers samples *shape"]:
    """m^l - m^{l-1} for l = 1..L: what layer l adds to what it was given, (L, n, *shape).

    The maps of all layers add up to m^L - m^0. The upper rows of the last matrix do not reach the output and are never
    trained, so the last map is that of the identity: 0 at s = 1.

    Args:
        model: left as it was.
        inputs: (n, *shape).

    Source: theory.md §10.

    Example:
        >>> maps = contribution_maps(IdentityMLP((1, 2), classes=2, depth=3), torch.tensor([[[0.5, 2.0]]]))
        >>> maps.shape, maps[:, 0, 0, 1].tolist()  # hard-tanh cuts 2 to 1 in the first layer
        ((3, 1, 1, 2), [-1.0, 0.0, 0.0])
    """
    maps = input_parts(model, inputs).diff(dim=0)
    return maps.reshape(*maps.shape[:2], *model.shape).cpu().numpy()
