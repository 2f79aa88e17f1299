"""Gradient descent of a wide network on given data, predicted from its tangent kernel.

Wide networks stay close to their linearisation, so the outputs on the n training inputs follow f ← f - (η/n)Θ g with g the
derivative of one sample's loss in its outputs; on other inputs the kernel between them and the training inputs takes Θ's place.
For squared errors g = h(f - y), and in the basis of Θ's eigenvectors every component shrinks by 1 - ηhλ/n a step.

How near it comes (docs/training-dynamics.md: width 2048, 256 images, 500 steps at 0.35 of 2/λ, from the networks' own outputs):
networks of two weight matrices keep within 5 % at every step; of three until 1/47 (tanh), 1/43 (erf) or 1/35 (ReLU) of the loss
is left, and the curve ends 8 to 13 % too low. A kernel that is off by ε leaves a loss that is off by ε times the logarithm of
what is left, so it is small losses that miss: longer training, larger rates and narrow networks (31 % at the end at width 512,
49 % at 128).

Sources: Jacot, Gabriel, Hongler (2018); Lee et al. (NeurIPS 2019).
"""

# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import scipy
from jaxtyping import Float, Num
from numpy.typing import ArrayLike

from freeness.errors import ConvergenceError, InputError
from freeness.numerics import HUGE
from freeness.training.loss import Loss
from freeness.training.losses import loss_of
from freeness.training.losses.squared_error import SquaredError

_TOLERANCE = 1e-9
_SYMMETRIC = 1e-5  # kernels measured in single precision are no better


class TrainingCurve(NamedTuple):
    """Along ``steps`` (or ``times`` of gradient flow): mean loss, share of right classes, and the outputs (len, m, C)."""

    steps: Num[np.ndarray, " visits"]
    loss: Float[np.ndarray, " visits"]
    accuracy: Float[np.ndarray, " visits"]
    outputs: Float[np.ndarray, "visits m outputs"]


class Directions(NamedTuple):
    """Eigenvectors of Θ, the quickest first: eigenvalue, share of the initial error ‖f - y‖², steps until 1/e of that is left.

    A direction with 1 - ηhλ/n < 0 overshoots; beyond -1 it grows, and its ``steps`` are infinite.
    """

    eigenvalues: Float[np.ndarray, " n"]
    share: Float[np.ndarray, " n"]
    steps: Float[np.ndarray, " n"]


class Unseen(NamedTuple):
    """Inputs that are not trained on: kernel to the training inputs (m, n), targets (m, C), initial outputs (m, C)."""

    kernel: Float[np.ndarray, "m n"]
    targets: Float[np.ndarray, "m outputs"]
    start: Float[np.ndarray, "m outputs"]


@dataclass(frozen=True, eq=False)
class LinearTraining:
    """The linearised training of one network, or of the ensemble's mean.

    Args:
        kernel: Θ (n, n) of the training inputs, in the parametrisation that is trained.
        targets: (n, C) as the loss takes them; for cross-entropy each row a distribution over classes.
        start: outputs at the start, (n, C); 0 when left out, the mean over initialisations.
        loss: a name or a :class:`Loss`, averaged over the n samples.

    Example:
        >>> training = LinearTraining(np.array([[2.0]]), np.array([[1.0]]))
        >>> training.descent(0.25, [0, 1, 2]).outputs[:, 0, 0].tolist(), training.stable_rate
        ([0.0, 0.5, 0.75], 1.0)
    """

    kernel: Float[np.ndarray, "n n"]
    targets: Float[np.ndarray, "n outputs"]
    start: Float[np.ndarray, "n outputs"] | None = None
    loss: str | Loss = "half_squared_error"

    def __post_init__(self) -> None:
        n = len(self.targets) if np.ndim(self.targets) == 2 and np.size(self.targets) else -1
        if np.shape(self.kernel) != (n, n):
            raise InputError(
                f"expected targets (n, C) and a kernel (n, n), got {np.shape(self.targets)} and {np.shape(self.kernel)}; make "
                "them of the same inputs."
            )
        if self.start is not None and np.shape(self.start) != np.shape(self.targets):
            raise InputError(f"expected initial outputs {np.shape(self.targets)}, got {np.shape(self.start)}.")
        criterion = self.criterion
        for name, values in (("kernel", self.kernel), ("targets", self.targets), ("start", self.start)):
            if values is not None and not (np.abs(values) < HUGE).all():
                raise InputError(
                    f"expected finite numbers in {name} below {HUGE:g}, got NaN, infinity or larger; clean them."
                )
        kernel = np.asarray(self.kernel)
        if np.abs(kernel - kernel.T).max() > _SYMMETRIC * np.abs(kernel).max():
            raise InputError("expected a symmetric kernel, got another; take kernels(…).ntk.")
        criterion.check(np.asarray(self.targets))

    # --- what the kernel says ----------------------------------------------------------------------------------------

    @property
    def outputs(self) -> int:
        """C."""
        return self.targets.shape[1]

    @cached_property
    def criterion(self) -> Loss:
        """The loss itself."""
        return loss_of(self.loss)

    @property
    def curvature(self) -> float:
        """h: largest eigenvalue of the loss' Hessian at any outputs; for cross-entropy ½."""
        return self.criterion.steepest(self.outputs)

    @property
    def _separable(self) -> bool:
        """Whether H = h·1 everywhere, so that the eigenvectors of Θ are learnt each by itself."""
        return isinstance(self.criterion, SquaredError)

    @cached_property
    def _eigen(self) -> tuple[np.ndarray, np.ndarray]:
        values, vectors = np.linalg.eigh(self.kernel)
        return np.maximum(values, 0.0), vectors

    @property
    def stable_rate(self) -> float:
        """2n/(hλ_max), below which gradient descent contracts; for cross-entropy at any outputs."""
        top = self.curvature * float(self._eigen[0][-1])
        return 2 * len(self.kernel) / top if top > 0 else float("inf")

    @property
    def _first(self) -> np.ndarray:
        return np.zeros(self.targets.shape) if self.start is None else np.asarray(self.start, dtype=float)

    def directions(self, rate: float) -> Directions:
        """Which eigen-directions are learnt when, for squared errors."""
        self._squared("directions")
        values, vectors = self._eigen
        error = ((vectors.T @ (self.targets - self._first)) ** 2).sum(axis=1)
        with np.errstate(divide="ignore"):
            factor = np.log(np.abs(1 - self._checked(rate) * self.curvature * values / len(values)))
            steps = np.where(factor < 0, -1 / factor, np.inf)
        return Directions(values[::-1], (error / max(error.sum(), np.finfo(float).tiny))[::-1], steps[::-1])

    # --- along training ----------------------------------------------------------------------------------------------

    def descent(self, rate: float, steps: ArrayLike, unseen: Unseen | None = None) -> TrainingCurve:
        """Full-batch gradient descent, on the training inputs or seen from others.

        Args:
            rate: η > 0.
            steps: whole numbers ≥ 0, ascending.
            unseen: inputs that are not trained on.
        """
        rate = self._checked(rate)
        at = np.asarray(steps)
        if at.ndim != 1 or at.dtype.kind not in "iu" or at.size == 0 or at[0] < 0 or (np.diff(at) < 0).any():
            raise InputError("expected an ascending list of steps, whole numbers ≥ 0; got another.")
        with np.errstate(over="ignore", invalid="ignore"):
            if not self._separable:
                sums = self._iterated(rate, at)
            else:
                values = self._eigen[0]
                decay = rate * self.curvature * values / len(values)
                series = np.array([_geometric(decay, int(t)) for t in at])
                sums = self._series(series * rate * self.curvature / len(values))
        return self._curve(at, sums, unseen)

    def flow(self, times: ArrayLike, unseen: Unseen | None = None) -> TrainingCurve:
        """Gradient flow df/dt = -Θg/n, the limit of small steps with t = η·steps.

        Args:
            times: η·steps ≥ 0, ascending.
            unseen: inputs that are not trained on.

        Raises:
            ConvergenceError: the differential equation of a loss that is no squared error could not be solved.
        """
        at = np.asarray(times, dtype=float)
        if at.ndim != 1 or at.size == 0 or not (np.isfinite(at).all() and at[0] >= 0 and (np.diff(at) >= 0).all()):
            raise InputError("expected an ascending list of times ≥ 0; got another.")
        if not self._separable:
            return self._curve(at, self._integrated(at), unseen)
        values = self._eigen[0]
        speed = self.curvature * values / len(values)
        series = np.array([np.where(speed > 0, -np.expm1(-speed * t) / np.where(speed > 0, speed, 1), t) for t in at])
        return self._curve(at, self._series(series * self.curvature / len(values)), unseen)

    def steps_to(self, loss: float, rate: float, most: int = 1_000_000) -> int | None:
        """The first step at which the training loss is at most ``loss``, or None within ``most``.

        Args:
            loss: the mean over the training inputs that is asked for.
            rate: η; below ``stable_rate``, where the loss falls with every step.
            most: steps that are tried.
        """
        if not self._checked(rate) < self.stable_rate:
            raise InputError(f"expected a rate below the stable {self.stable_rate:.4g}, got {rate:g}; lower it.")
        if not self._separable:
            return next(
                (t for t, u in self._walk(rate, most) if self._loss(self._first + self.kernel @ u) <= loss), None
            )

        def reached(step: int) -> bool:
            return bool(self.descent(rate, np.array([step])).loss[0] <= loss)

        first = bisect_left(range(most + 1), True, key=reached)
        return first if first <= most else None

    def averaged(
        self, covariance: Float[np.ndarray, "n n"], rate: float, steps: ArrayLike
    ) -> Float[np.ndarray, " visits"]:
        """The training loss averaged over initial outputs of this ``covariance`` (n, n), independent and equal for all outputs.

        E‖f - y‖² has, beside the loss of the mean, the trace of what is left of the covariance. For squared errors.

        Args:
            covariance: of the outputs at the start, ``kernels(…).nngp``.
            rate: η > 0.
            steps: as of :meth:`descent`.
        """
        self._squared("averaged")
        mean = replace(self, start=None).descent(rate, steps).loss
        values, vectors = self._eigen
        spread = np.einsum("ik,ij,jk->k", vectors, covariance, vectors, optimize=True)
        factor = 1 - self._checked(rate) * self.curvature * values / len(values)
        with np.errstate(over="ignore", invalid="ignore"):
            left = np.array([(factor ** (2 * int(t))) @ spread for t in np.asarray(steps)])
            return mean + self.curvature / 2 * self.outputs * left / len(values)

    # --- parts -------------------------------------------------------------------------------------------------------

    def _squared(self, name: str) -> None:
        if not self._separable:
            raise InputError(
                f"expected a squared-error loss for {name}, got {self.criterion}; its directions do not stay apart."
            )

    @staticmethod
    def _checked(rate: float) -> float:
        if not (np.isfinite(rate) and rate > 0):
            raise InputError(f"expected a learning rate > 0, got {rate}; start from stable_rate.")
        return float(rate)

    def _series(self, weights: np.ndarray) -> np.ndarray:
        """u with f = f₀ + Θu for squared errors: V·weights·Vᵀ(y - f₀), (times, n, C)."""
        _, vectors = self._eigen
        components = vectors.T @ (self.targets - self._first)
        return np.array([vectors @ (w[:, None] * components) for w in weights])

    def _walk(self, rate: float, most: int) -> Iterator[tuple[int, np.ndarray]]:
        u = np.zeros(self.targets.shape)
        yield 0, u
        for step in range(1, most + 1):
            u = u - rate / len(u) * self.criterion.slope(self._first + self.kernel @ u, self.targets)
            yield step, u

    def _iterated(self, rate: float, at: np.ndarray) -> np.ndarray:
        wanted = set(at.tolist())
        found = {step: u for step, u in self._walk(rate, int(at[-1])) if step in wanted}
        return np.array([found[int(step)] for step in at])

    def _integrated(self, at: np.ndarray) -> np.ndarray:
        shape = self.targets.shape

        def speed(_: float, u: np.ndarray) -> np.ndarray:
            f = self._first + self.kernel @ u.reshape(shape)
            return (-self.criterion.slope(f, self.targets) / len(f)).ravel()

        end = float(at[-1])
        solved = scipy.integrate.solve_ivp(
            speed,
            (0.0, max(end, np.finfo(float).tiny)),
            np.zeros(shape).ravel(),
            "LSODA",
            at,
            rtol=_TOLERANCE,
            atol=_TOLERANCE,
        )
        if not solved.success:
            raise ConvergenceError(
                f"gradient flow stopped at t = {solved.t[-1] if solved.t.size else 0:g}: {solved.message}"
            )
        return solved.y.T.reshape(-1, *shape)

    def _curve(self, at: np.ndarray, sums: np.ndarray, unseen: Unseen | None) -> TrainingCurve:
        where = Unseen(self.kernel, self.targets, self._first) if unseen is None else unseen
        if where.kernel.shape != (len(where.targets), len(self.kernel)) or where.start.shape != where.targets.shape:
            raise InputError(
                f"expected a kernel ({len(where.targets)}, {len(self.kernel)}) from unseen to training inputs, got "
                f"{where.kernel.shape}; take it from kernels() of both together."
            )
        with np.errstate(over="ignore", invalid="ignore"):
            outputs = where.start + where.kernel @ sums
            losses = np.array([self._loss(f, where.targets) for f in outputs])
        right = (outputs.argmax(axis=2) == where.targets.argmax(axis=1)).mean(axis=1)
        return TrainingCurve(at, losses, right if self.outputs > 1 else np.full(len(at), np.nan), outputs)

    def _loss(self, f: np.ndarray, targets: np.ndarray | None = None) -> float:
        y = self.targets if targets is None else targets
        return float(self.criterion.value(f, y).mean())


def _geometric(decay: np.ndarray, count: int) -> np.ndarray:
    """Σ_{s<t} (1-d)^s = (1 - (1-d)^t)/d, with all digits for small d."""
    small = np.where((decay > 0) & (decay < 0.5), decay, 0.25)
    large = np.where(decay >= 0.5, decay, 1.0)
    found = np.where(decay < 0.5, -np.expm1(count * np.log1p(-small)) / small, (1 - (1 - decay) ** count) / large)
    return np.where(decay > 0, found, count)
