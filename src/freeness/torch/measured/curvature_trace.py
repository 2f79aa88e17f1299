"""The trace of a curvature matrix: of the Hessian module by module, for what lies between modules only adds noise."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from freeness.errors import InputError
from freeness.torch.loss.adapted import adapted
from freeness.torch.loss.given import GivenLoss
from freeness.torch.measured.curvature import CurvatureOptions, checked_diagonal, curvature_spectrum, measured
from freeness.torch.measured.curvature_matrices import hessian_products
from freeness.torch.measured.lanczos import LanczosOptions
from freeness.torch.model.state import owner, trained_parameters


class CurvatureTrace(NamedTuple):
    """tr A with its standard error, which is 0 where the trace is exact."""

    value: float
    error: float


def curvature_trace(
    model: nn.Module,
    inputs: Shaped[Tensor, "samples ..."],
    targets: Shaped[Tensor, "samples ..."],
    loss: GivenLoss,
    options: CurvatureOptions | None = None,
    *,
    probes: int = 4,
) -> CurvatureTrace:
    """The trace of a curvature matrix of a batch: the sum of its eigenvalues.

    Of the Hessian each probe is a vector of random signs, whose parts are multiplied with the blocks of single modules:
    Σ_m v_mᵀH_mm v_m has the mean tr H. Its variance is at most 2 Σ_m ‖H_mm‖², where a product with the whole of H has ‖H‖² in
    place of the sum. Of rectifiers the outputs are linear in each module, so that H_mm is that of the Gauss–Newton matrix, which
    is far smaller. A block costs less than a product with H: only what lies behind its module is gone through.

    Of the other matrices it is that of :func:`curvature_spectrum`, which is exact where outputs are few.

    Source: Hutchinson, Comm. Stat. Sim. 19 (1990), for each block; the variance: Avron, Toledo, J. ACM 58 (2011).

    Args:
        model: as in :func:`batch_sharpness`.
        inputs: the batch, (B, …).
        targets: as in :func:`batch_sharpness`.
        loss: as in :func:`batch_sharpness`.
        options: which matrix, preconditioner and mode.
        probes: random vectors; the standard error falls as 1/√probes.

    Raises:
        InputError: as :func:`batch_sharpness`.

    Example:
        >>> model = nn.Linear(2, 1, bias=False).double()
        >>> x = torch.tensor([[3.0, 4.0]]).double()
        >>> curvature_trace(model, x, torch.zeros(1, 1).double(), "half_squared_error")
        CurvatureTrace(value=25.0, error=0.0)
    """
    how = options or CurvatureOptions()
    if probes < 2:
        raise InputError(f"expected at least 2 probes, got {probes}; raise them.")
    if how.matrix != "hessian":
        found = curvature_spectrum(model, inputs, targets, loss, how, LanczosOptions(probes, 1))
        return CurvatureTrace(found.size * found.mean, found.size * found.mean_error)
    model, loss = adapted(model, (inputs, targets), loss)
    with measured(model, (inputs, targets), loss, how.training) as (ready, x, y):
        return _by_modules(ready, (x, y), loss, how, probes)


def _by_modules(
    model: nn.Module, data: tuple[Tensor, Tensor], loss: GivenLoss, how: CurvatureOptions, probes: int
) -> CurvatureTrace:
    hessian = hessian_products(model, data, loss)
    like, generator = hessian.parameters[0], torch.Generator().manual_seed(0)
    root = torch.ones((), device=like.device, dtype=like.dtype)
    if how.preconditioner is not None:
        root = torch.from_numpy(checked_diagonal(how.preconditioner, hessian.size)).to(like.device, like.dtype).sqrt()
    groups: dict[str, list[int]] = {}
    for place, name in enumerate(trained_parameters(model)):
        groups.setdefault(owner(name), []).append(place)
    values, squares = [], []
    for _ in range(probes):
        signs = torch.randint(0, 2, (hessian.size,), generator=generator).to(like.device, like.dtype) * 2 - 1
        image = hessian.within(list(groups.values()), signs / root) / root
        values.append(float((signs * image).double().sum()))
        squares.append(float(image.double().square().sum()))  # ‖Bv‖², of the mean ‖B‖²
    mean, bound = sum(values) / probes, 2 * sum(squares) / probes
    return CurvatureTrace(mean, (bound / probes) ** 0.5)
