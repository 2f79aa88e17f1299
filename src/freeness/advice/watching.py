"""What a watch over training sees and says: numbers of a step, of a visit, and a warning; no framework is in them."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class StepCheck:
    """What one step leaves behind for nearly nothing: the rate, the loss where it was told, the norm of the gradient.

    ``layers``: the gradient's norm in every module with trained weights, by its name. ``inputs``: of every entry of the batch
    with floating numbers, the root mean square of its largest sample. ``sound``: whether all weights are finite; None where that
    was not looked at, for loss and gradient are.
    """

    step: int
    rate: float
    loss: float | None = None
    gradient: float | None = None
    layers: dict[str, float] = field(default_factory=dict[str, float])
    inputs: dict[str, float] = field(default_factory=dict[str, float])
    sound: bool | None = None

    @property
    def scalars(self) -> dict[str, float]:
        """The numbers of all weights together, by name, for a dashboard.

        Example:
            >>> StepCheck(7, 0.1, gradient=2.0).scalars
            {'rate': 0.1, 'gradient': 2.0}
        """
        named = {"rate": self.rate, "loss": self.loss, "gradient": self.gradient}
        return {name: value for name, value in named.items() if value is not None}


@dataclass(frozen=True)
class WatchedLayer:
    """A module with weights, seen during training.

    ``signal``: mean square of its output; ``gradient``: sum of squares of the loss gradient of its weights;
    ``drift``: distance of its weights from those at the start, over their norm there.
    """

    name: str
    signal: float | None = None
    gradient: float | None = None
    drift: float | None = None


@dataclass(frozen=True)
class WatchRecord:
    """One visit to a model in training, at the weights behind step ``step``; None is what this visit did not measure.

    Attributes:
        step: steps taken before, counted from 1.
        rate: of the optimiser's first group.
        seconds: that the visit took.
        overhead: time that the watch took so far, this visit included, over that of the training.
        loss: of the step's batch, at the weights behind the step.
        critical: the rate from which on the optimiser's next step, on the same batch, raises the loss of that batch.
        critical_gradient: the same of a plain step along the gradient.
        sharpness: λ, the largest eigenvalue of the loss's second derivative; for Adam that of the preconditioned one.
        first_sharpness: λ of the batch that was visited first, at the weights of now; never preconditioned.
        first_batch: the step of that batch.
        sharpening: how much the optimiser's next step on that batch was predicted to change it, told at the first visit.
        rehearsed: what it was rehearsed to be ten, twenty and thirty steps later, from the batches met before, told once.
        bound: the rate at which this optimiser stops contracting on a parabola of curvature λ: 2/λ for SGD.
        noise: the batch size at which a gradient is as much noise as signal, tr Σ/‖g‖².
        isometry: relative variance of the eigenvalues of JJᵀ, J the derivative of outputs by inputs; 0 is isometry.
        drift: distance of all weights from those at the start, over the norm of these.
        dead: the largest share of neurons of an activation whose slope is 0 on every sample.
        saturated: the largest share of entries of an activation whose slope is below a tenth.
        cosine: mean cosine between tokens behind the last sum.
        layers: the modules with weights.
        fault: what the table of layers shows, in one sentence; "" for nothing.
        place: the module that it is about.
        missing: what could not be measured, and why.
    """

    step: int
    rate: float
    seconds: float = 0.0
    loss: float | None = None
    critical: float | None = None
    critical_gradient: float | None = None
    sharpness: float | None = None
    bound: float | None = None
    noise: float | None = None
    isometry: float | None = None
    drift: float | None = None
    dead: float | None = None
    saturated: float | None = None
    cosine: float | None = None
    layers: tuple[WatchedLayer, ...] = ()
    fault: str = ""
    place: str | None = None
    missing: tuple[str, ...] = ()
    overhead: float | None = None
    first_sharpness: float | None = None
    first_batch: int | None = None
    sharpening: float | None = None
    rehearsed: tuple[float, ...] = ()

    @property
    def scalars(self) -> dict[str, float]:
        """The numbers that were measured, by name, for a dashboard.

        Example:
            >>> WatchRecord(7, 0.1, critical=0.4).scalars
            {'rate': 0.1, 'critical': 0.4}
        """
        named = {name: getattr(self, name) for name in _SCALARS}
        return {name: value for name, value in named.items() if value is not None}


_SCALARS = (
    *("rate", "loss", "critical", "critical_gradient", "sharpness", "bound", "noise", "isometry", "drift"),
    *("dead", "saturated", "cosine", "first_sharpness", "sharpening"),
)


@dataclass(frozen=True)
class WatchWarning:
    """Something is about to happen, or has just happened: at which step, to which module (None: to all), and what to do.

    ``kind``: "rate", "warm-up", "layer", "clipping", "batch", "growth" or "diverged"; "log" and "watch" for trouble of the watch
    itself.
    """

    step: int
    kind: str
    sentence: str
    place: str | None = None

    def __str__(self) -> str:
        return f"step {self.step}: {self.sentence}"
