"""ResNet-18 and ViT-tiny on images of 32², how freeness tells their curvature, and the truth by torch alone.

Eight images of noise, ten classes, cross-entropy, weights as torch draws them, in eval mode, which PyHessian switches to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy.linalg import eigh_tridiagonal
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.measure import Row
from benchmarks.vision import ViT, convolved, resnet
from freeness.torch import CurvatureOptions, LanczosOptions, batch_sharpness, curvature_spectrum, curvature_trace

torch.set_num_threads(1)
torch.backends.cuda.enable_flash_sdp(False)  # on processors as well: fused attention has no second derivative
SAMPLES, CLASSES = 8, 10
PROBES, STEPS = 4, 10  # of a density
PRODUCTS = 30  # of a trace
TRACED = 2  # probes of the trace of a Hessian, module by module
_MOST = 100  # products of a peer with a whole Hessian
TOP = 1e-3  # relative error of λ_max up to which an answer counts as right
NEAR = 0.01  # residual over λ of a Hessian: λ is off by about its square, as PyHessian's is by the 1e-4 that is asked of it
_ROWS = 20  # of J at a time
_SURE, _DRAWN = 40, 10  # products for the truth of a Hessian's λ_max, and for its norm
_BLOCKS = 24  # probes of its blocks, for its trace


def _residual() -> nn.Module:
    layers = list(resnet((2, 2, 2, 2), 0, CLASSES))
    return nn.Sequential(convolved(3, 64, act=nn.ReLU()), *layers[2:])  # a stem of stride 1, and no pooling behind it


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "ResNet-18 at 32²": _residual,
    "ViT-tiny at 32²": lambda: ViT(32, 4, classes=CLASSES),
}


@dataclass(frozen=True)
class Truth:
    """λ_max, trace and Frobenius norm of a curvature matrix of so many rows, and the norm of its blocks of single modules."""

    top: float
    trace: float
    norm: float
    size: int
    blocks: float = math.nan

    def top_error(self, value: float) -> float:
        """The relative error of λ_max."""
        return abs(value / self.top - 1)

    def trace_error(self, value: float) -> float:
        """The relative error of the trace."""
        return abs(value / self.trace - 1)

    def bar(self, probes: int) -> float:
        """Three standard deviations of a trace by so many normal vectors, relative. Source: Avron, Toledo, J. ACM 58 (2011)."""
        return 3 * self.deviation(probes, self.norm)

    def deviation(self, probes: int, norm: float) -> float:
        """That of a trace by so many probes of a matrix of this norm."""
        return (2 / probes) ** 0.5 * norm / self.trace


@dataclass(frozen=True)
class Curved:
    """A network with its batch, and which of its curvature matrices is asked for."""

    name: str
    matrix: Any = "ggn"
    products: int = PRODUCTS  # of a peer's trace

    def model(self) -> nn.Module:
        """Fresh, the same every time."""
        torch.manual_seed(0)
        return NETWORKS[self.name]().eval()

    def batch(self) -> tuple[Tensor, Tensor]:
        """Images and labels."""
        generator = torch.Generator().manual_seed(1)
        images = torch.randn(SAMPLES, 3, 32, 32, generator=generator)
        return images, torch.randint(CLASSES, (SAMPLES,), generator=generator)

    def ours_top(self) -> float:
        """λ_max."""
        tolerance = NEAR if self.matrix == "hessian" else None
        how = CurvatureOptions(matrix=self.matrix, training=False, tolerance=tolerance)
        return batch_sharpness(self.model(), *self.batch(), "cross_entropy", how).value

    def ours_mean(self, lanczos: LanczosOptions) -> float:
        """The mean of the spectral density times its rows."""
        how = CurvatureOptions(matrix=self.matrix, training=False)
        model = self.model()
        size = sum(parameter.numel() for parameter in model.parameters())
        return size * curvature_spectrum(model, *self.batch(), "cross_entropy", how, lanczos).mean

    def ours_trace(self) -> float:
        """The trace of the Hessian."""
        how = CurvatureOptions(matrix=self.matrix, training=False)
        return curvature_trace(self.model(), *self.batch(), "cross_entropy", how, probes=TRACED).value

    def truth(self, *, top: bool) -> Truth:
        """Of the matrix, by derivatives that torch takes: of a Hessian its λ_max, or all but that."""
        model, (x, y) = self.model(), self.batch()
        size = sum(parameter.numel() for parameter in model.parameters())
        gram = _gram(model, x)
        found = Truth(float(torch.linalg.eigvalsh(gram)[-1]), float(gram.trace()), float(gram.norm()), size)
        if self.matrix == "ggn":
            return found
        hessian = _Hessian(model, (x, y))
        return replace(found, top=_top(hessian.product, hessian.normal())) if top else _of_hessian(hessian, found)


def rows(matrix: str, theirs: Mapping[str, Callable[[Curved], float]]) -> dict[str, Callable[[], Row]]:
    """λ_max, density and trace of both networks, ours beside a peer's.

    Args:
        matrix: "ggn" or "hessian".
        theirs: what a peer gives for "top", "density" (its mean times the rows) and "trace".
    """
    named = "GGN" if matrix == "ggn" else "Hessian"
    found: dict[str, Callable[[], Row]] = {}
    for name in NETWORKS:
        case = Curved(name, matrix)
        found[f"λ_max of the {named}, {name}"] = partial(_top_row, case, theirs["top"])
        asked = LanczosOptions(PROBES, STEPS), "relative error of the mean"
        found[f"spectral density of the {named}, {name}"] = partial(_mean_row, case, theirs["density"], *asked)
        asked = LanczosOptions(PRODUCTS, 1), "relative error"
        found[f"trace of the {named}, {name}"] = (
            partial(_mean_row, case, theirs["trace"], *asked)
            if matrix == "ggn"
            else partial(_trace_row, case, theirs["trace"])
        )
    return found


def _top_row(case: Curved, theirs: Callable[[Curved], float]) -> Row:
    told = f"a residual of {NEAR:g} λ was asked of ours" if case.matrix == "hessian" else ""
    return Row(case.ours_top, lambda: theirs(case), case.truth(top=True).top_error, "relative error", TOP, remark=told)


def _mean_row(case: Curved, theirs: Callable[[Curved], float], lanczos: LanczosOptions, measure: str) -> Row:
    true = case.truth(top=False)
    asked = f"{lanczos.probes} probes of {lanczos.steps} steps" if lanczos.steps > 1 else f"{lanczos.probes} products"
    told = f"{asked} asked of both, ours exact where that costs less; the bar is three standard deviations"
    bar = true.bar(lanczos.probes)
    return Row(lambda: case.ours_mean(lanczos), lambda: theirs(case), true.trace_error, measure, bar, remark=told)


def _trace_row(case: Curved, theirs: Callable[[Curved], float]) -> Row:
    """Both at equal error, or the peer with as many products as a row has time for."""
    true = case.truth(top=False)
    equal = round(TRACED * (true.norm / true.blocks) ** 2)
    asked = replace(case, products=min(equal, _MOST))
    ours, peer = true.deviation(TRACED, true.blocks), true.deviation(asked.products, true.norm)
    told = (
        f"{TRACED} probes module by module beside {asked.products} products, of standard deviations {ours:.2g} and {peer:.2g}; "
        f"the same takes {equal} products; the bar is three of ours"
    )
    return Row(case.ours_trace, lambda: theirs(asked), true.trace_error, "relative error", 3 * ours, remark=told)


def _gram(model: nn.Module, x: Tensor) -> Tensor:
    """(1/B) SᵀJJᵀS in float64, S the root of the Hessian of the cross-entropy, rows by single backward passes."""
    parameters = list(model.parameters())

    def some(start: int) -> list[tuple[Tensor, ...]]:
        found = []
        for place in range(start, min(start + _ROWS, SAMPLES * CLASSES)):
            sample, column = divmod(place, CLASSES)
            outputs = model(x[sample : sample + 1])[0]
            shares = outputs.detach().softmax(0)
            root = shares.sqrt().diag() - shares[:, None] * shares.sqrt()
            found.append(torch.autograd.grad(outputs @ root[:, column], parameters))
        return found

    starts = range(0, SAMPLES * CLASSES, _ROWS)
    gram = torch.zeros(SAMPLES * CLASSES, SAMPLES * CLASSES, dtype=torch.float64)
    for first in starts:
        left = some(first)
        for second in starts[: starts.index(first) + 1]:
            right = left if second == first else some(second)
            block = sum(_stacked(left, k) @ _stacked(right, k).T for k in range(len(parameters)))
            gram[first : first + len(left), second : second + len(right)] = block
            gram[second : second + len(right), first : first + len(left)] = block.T
    return gram / SAMPLES


def _stacked(some: Sequence[tuple[Tensor, ...]], place: int) -> Tensor:
    return torch.stack([one[place].reshape(-1) for one in some]).double()


class _Hessian:
    """Products with the Hessian of the mean loss, and with its blocks of single modules, from one graph."""

    def __init__(self, model: nn.Module, data: tuple[Tensor, Tensor]) -> None:
        self.smooth = any(isinstance(module, nn.LayerNorm) for module in model.modules())
        names, self.parameters = zip(*model.named_parameters(), strict=True)
        owners = [name.rpartition(".")[0] for name in names]
        self.modules = [[k for k, one in enumerate(owners) if one == owner] for owner in dict.fromkeys(owners)]
        value = functional.cross_entropy(model(data[0]), data[1])
        self.slopes = torch.autograd.grad(value, self.parameters, create_graph=True)
        self.sizes = [parameter.numel() for parameter in self.parameters]
        self.generator = torch.Generator().manual_seed(2)

    def product(self, vector: Tensor) -> Tensor:
        return self.within(range(len(self.sizes)), vector.split(self.sizes))

    def within(self, places: Sequence[int], parts: Sequence[Tensor]) -> Tensor:
        """With the block of some parameters, of which the parts of the vector are given."""
        some = [self.parameters[k] for k in places]
        along = [part.reshape(p.shape) for part, p in zip(parts, some, strict=True)]
        found = torch.autograd.grad([self.slopes[k] for k in places], some, along, retain_graph=True)
        return torch.cat([part.reshape(-1) for part in found])

    def signs(self) -> Tensor:
        return torch.randint(0, 2, (sum(self.sizes),), generator=self.generator) * 2.0 - 1

    def normal(self) -> Tensor:
        return torch.randn(sum(self.sizes), generator=self.generator)


def _of_hessian(hessian: _Hessian, ggn: Truth) -> Truth:
    """Norms by random signs, and the trace of a smooth network by those of its blocks.

    A network of rectifiers without batch statistics is linear in every module by itself, so that the Gauss–Newton matrix has the
    same blocks.
    """
    squares = [float(hessian.product(hessian.signs()).double().square().sum()) for _ in range(_DRAWN)]
    traces, blocks = [], []
    for _ in range(_BLOCKS if hessian.smooth else TRACED):
        parts = hessian.signs().split(hessian.sizes)
        images = [hessian.within(places, [parts[k] for k in places]) for places in hessian.modules]
        along = [torch.cat([parts[k] for k in places]) for places in hessian.modules]
        traces.append(sum(float(one.double() @ image.double()) for one, image in zip(along, images, strict=True)))
        blocks.append(sum(float(image.double().square().sum()) for image in images))
    trace = float(np.mean(traces)) if hessian.smooth else ggn.trace
    return replace(
        ggn, top=math.nan, trace=trace, norm=float(np.mean(squares)) ** 0.5, blocks=float(np.mean(blocks)) ** 0.5
    )


def _top(product: Callable[[Tensor], Tensor], vector: Tensor) -> float:
    """The largest eigenvalue by Lanczos with three vectors. Source: Paige, J. Inst. Maths Applics 18 (1976)."""
    vector, before = vector / vector.norm(), torch.zeros_like(vector)
    diagonal: list[float] = []
    off: list[float] = []
    for _ in range(_SURE):
        image = product(vector)
        diagonal.append(float(vector @ image))
        image = image - diagonal[-1] * vector - (off[-1] * before if off else 0.0)
        off.append(float(image.norm()))
        before, vector = vector, image / off[-1]
    values, vectors = eigh_tridiagonal(np.array(diagonal), np.array(off[:-1]))
    if off[-1] * abs(vectors[-1, -1]) > TOP * values[-1]:
        raise RuntimeError(f"{_SURE} products do not tell the truth of λ_max")
    return float(values[-1])
