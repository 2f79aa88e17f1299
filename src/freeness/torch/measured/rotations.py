"""Weights between random rotations of their channels: the same singular values, other singular vectors.

What a forward pass showed of a weight is kept. The rest of it is random given that, as it is for bi-invariant matrices.

Sources: signs, a permutation and a Hartley transform make matrices asymptotically free: Anderson, Farrell, Adv. Math. 255 (2014);
what is kept of a Gaussian matrix: Bolthausen, Commun. Math. Phys. 325 (2014).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_TURNS = 2  # rotations one after the other


class Rotation:
    """A random orthogonal matrix that costs no product of matrices: signs, a permutation and a Hartley transform, twice.

    Example:
        >>> turn = Rotation(5, torch.Generator().manual_seed(0))
        >>> matrix = turn(torch.eye(5, dtype=torch.float64))
        >>> torch.allclose(matrix @ matrix.T, torch.eye(5, dtype=torch.float64))
        True
    """

    def __init__(self, size: int, generator: torch.Generator) -> None:
        self.signs = [torch.randint(0, 2, (size,), generator=generator) * 2 - 1 for _ in range(_TURNS + 1)]
        self.orders = [torch.randperm(size, generator=generator) for _ in range(_TURNS)]

    def about(self, kept: Tensor, x: Tensor) -> Tensor:
        """x with its last axis rotated but for the span of the columns ``kept`` (size, k), so many more than the rotation has."""
        mirrors, scales = torch.geqrf(kept)

        def mirrored(y: Tensor, back: bool) -> Tensor:
            flat = y.reshape(-1, y.shape[-1]).T
            return torch.ormqr(mirrors, scales, flat, transpose=not back).T.reshape(y.shape)

        found, few = mirrored(x, False), kept.shape[1]
        return mirrored(torch.cat([found[..., :few], self(found[..., few:])], dim=-1), True)

    def __call__(self, x: Tensor) -> Tensor:
        """x with its last axis rotated."""
        if not x.shape[-1]:
            return x
        for signs, order in zip(self.signs, self.orders, strict=False):
            passed = torch.fft.fft(x[..., order.to(x.device)] * signs.to(x))
            x = (passed.real - passed.imag) / math.sqrt(x.shape[-1])
        return x * self.signs[-1].to(x)


def turned(weight: Tensor, kept: Tensor, generator: torch.Generator) -> Tensor:
    """A weight (out, into) between rotations of its channels that leave what it makes of the columns ``kept`` (into, k).

    Rows are turned in blocks no longer than the columns are many. Packed queries, keys and values stay apart so.

    Example:
        >>> weight, x = torch.eye(6, 3, dtype=torch.float64), torch.tensor([[1.0], [2.0], [2.0]], dtype=torch.float64)
        >>> found = turned(weight, x, torch.Generator().manual_seed(0))
        >>> torch.allclose(found.T @ found, torch.eye(3, dtype=torch.float64)), torch.allclose(found @ x, weight @ x)
        (True, True)
    """
    into, few = kept.shape
    found, parts = Rotation(into - few, generator).about(kept, weight), list[Tensor]()
    for rows, fixed in zip(found.split(into), (weight @ kept).split(into), strict=True):
        fixed = fixed[:, : len(fixed)]
        parts.append(Rotation(len(rows) - fixed.shape[1], generator).about(fixed, rows.T).T)
    return torch.cat(parts)


def turned_kernel(weight: Tensor, kept: Tensor, groups: int, generator: torch.Generator) -> Tensor:
    """A kernel (out, into, *taps) between rotations, those of every group by themselves; as it was on patches ``kept``.

    Of independent entries that is their law, given what they make of these orthonormal columns (into · taps, k).
    """
    turn = [(Rotation(weight.shape[1], generator), Rotation(len(weight) // groups, generator)) for _ in range(groups)]
    parts = (
        rows(into(one.movedim(1, -1)).movedim(-1, 1).movedim(0, -1)).movedim(-1, 0)
        for one, (into, rows) in zip(weight.chunk(groups), turn, strict=True)
    )
    found = torch.cat(list(parts))
    lost = (weight - found).flatten(1) @ kept
    return found + (lost @ kept.T).reshape(weight.shape)
