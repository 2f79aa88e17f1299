"""The stages of an analysis that concern spectra: predicted, measured as planned, and put beside each other."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from torch import Tensor

from freeness.advice import Comparison, Stage
from freeness.errors import ConvergenceError, InputError, brief
from freeness.laws import wasserstein
from freeness.meanfield import Signals
from freeness.network import Normalisation
from freeness.spectra import (
    Measurement,
    NeuronSignals,
    Prediction,
    follows_wires,
    predict_fisher,
    predict_jacobian,
)
from freeness.torch.measured.estimate import estimate_fisher, estimate_jacobian
from freeness.torch.measured.lanczos import LanczosOptions, SpectralEstimate
from freeness.torch.measured.measure import dual_plan, measure_fisher, measure_jacobian
from freeness.torch.measured.redrawn import MOST, Redrawn, redrawn
from freeness.torch.model.memory import readable
from freeness.torch.model.pace import TimeUp, cut_off
from freeness.torch.record.signals import realised_neurons
from freeness.torch.record.tracing import Trace, TracedOperation
from freeness.torch.request.stages import Lost, Stages

_LOG = logging.getLogger(__name__)
POSITIONS = 16  # of a convolution at most for which spectra are predicted
_NORMS = {"layer normalisation", "RMS normalisation", "batch normalisation"}
_GIVEN = _NORMS | {
    "embedding",
    "attention",
    "matrix product",
    "softmax",
    "trained scale or shift",
}  # kinds whose records are given maps
_UNCOUNTED = "its trained scale and shift are not counted in the theory of Θ"
_VECTORS = "JJᵀ is by the vectors that it gives, for tokens have no derivative"
_FEWEST = 3  # draws for which there must be time
_SHARED = 0.5  # of the time, for the first of two spectra
_GRANTED = 0.15  # of the budget, for the draws of one spectrum
_SVD = 5e-10  # seconds for a number times the shorter side of its matrix
_DRAWN = "predicted spectra are drawn, with random singular vectors of the weights, not solved for: {}."
_KEPT = 0.5  # of the time for predicted spectra, kept for drawing them at most
_COMPARED, _LEAST = 0.2, 1.0  # of the time that is left, and seconds, that a distance may take
_STEPS, _PROBES = 16, 8  # of an estimate: as many probes as have so many steps


def jacobian_or_lost(traced: Trace, sample: Tensor, stage: Stage, passes: int | None) -> Measurement | Lost:
    """That of tokens may not be defined, which costs nothing else."""
    try:
        return measured_jacobian(traced, sample, stage, passes)
    except InputError as error:
        if sample.is_floating_point():
            raise
        return Lost(str(error))


def measured_jacobian(traced: Trace, sample: Tensor, stage: Stage, passes: int | None) -> Measurement:
    """All eigenvalues of JJᵀ, or an estimate of their law, as planned."""
    if stage.way == "exact":
        return measure_jacobian(traced, sample, passes=passes)
    return _estimated(lambda: estimate_jacobian(traced, sample, options_of(stage.effort)), "of JJᵀ")


def measured_fisher(traced: Trace, sample: Tensor, stage: Stage, passes: int | None) -> Measurement:
    """All eigenvalues of Θ, or an estimate of their law, as planned."""
    if stage.way == "exact":
        return measure_fisher(traced, sample, passes=passes)
    return _estimated(lambda: estimate_fisher(traced, sample, options_of(stage.effort)), "of Θ")


def options_of(products: int) -> LanczosOptions:
    """Probes and steps of so many products.

    Example:
        >>> [(o.probes, o.steps) for o in map(options_of, (12, 100, 512))]
        [(2, 6), (6, 16), (8, 64)]
    """
    probes = min(max(products // _STEPS, 2), _PROBES)
    return LanczosOptions(probes, max(products // probes, 1))


def _estimated(estimate: Callable[[], SpectralEstimate], what: str) -> Measurement:
    start = time.perf_counter()
    found = estimate()
    method = f"stochastic Lanczos quadrature {what}, mean {found.mean:.4g} ± {found.mean_error:.1g}"
    return found.measurement(method, time.perf_counter() - start)


def detail_of(traced: Trace, sample: Tensor, stage: Stage, passes: int | None) -> str:
    """What the measurement of Θ will hold, or why it is estimated, to be said before it begins."""
    if stage.way != "exact":
        return f" ({stage.way}: {stage.reason})"
    return f" (memory: about {readable(dual_plan(traced, sample, passes=passes).bytes)})"


class Predicted(NamedTuple):
    """Both predictions; where one is missing or ``drawn``, why; whether theory refused the network or could not solve for it."""

    jacobian: Prediction | None
    fisher: Prediction | None
    reason: str = ""
    refused: bool = False
    drawn: bool = False


def predicted_spectra(
    traced: Trace,
    signals: Signals | NeuronSignals | None,
    sample: Tensor,
    deadline: float = math.inf,
    late: Callable[[], str] = str,
) -> Predicted:
    """Both predictions, or none with the reason why.

    ``deadline``: of ``time.monotonic``, when theory is cut off, for nothing in it looks at the time; ``late``: what to say of Θ
    where the time is over once JJᵀ is known.

    Raises:
        TimeUp: the time is over before JJᵀ is known.
    """
    try:
        with cut_off(deadline):
            if takes_given_maps(traced):
                signals = realised_neurons(traced, sample)
            elif not traced.covered:
                raise InputError(traced.refusal)
            network = traced.network
            if long := _too_many_positions(signals):
                return Predicted(None, None, long)
            jacobian = predict_jacobian(network, realised=signals)
    except (InputError, ConvergenceError) as error:
        return Predicted(None, None, str(error), isinstance(error, InputError))
    try:
        with cut_off(deadline):
            return Predicted(jacobian, predict_fisher(network, realised=signals))
    except (InputError, ConvergenceError) as error:  # the other stands
        return Predicted(jacobian, None, str(error), isinstance(error, InputError))
    except TimeUp:
        return Predicted(jacobian, None, late())


class Drawing(NamedTuple):
    """How spectra are measured, which is how they are drawn; ``deadline`` of ``time.monotonic``.

    ``granted``: counted seconds for the draws of one spectrum; ``pace``: how many of this machine one of them is.
    """

    jacobian: Stage
    fisher: Stage
    passes: int | None
    deadline: float
    granted: float = math.inf
    pace: float = 1.0

    def draws(self, stage: Stage, turned: float) -> int:
        """How many there are, whatever the clock says; ``turned``: counted seconds until all weights are drawn."""
        each = stage.forecast / self.pace + turned
        return int(min(self.granted / each, MOST)) if each > 0 else MOST

    @property
    def reserve(self) -> float:
        """Seconds that the fewest draws of both take."""
        return _FEWEST * sum(self._each)

    @property
    def least(self) -> float:
        """Those of one of them."""
        return _FEWEST * min(self._each, default=math.inf)

    @property
    def _each(self) -> list[float]:
        return [stage.forecast for stage in (self.jacobian, self.fisher) if stage.way != "left out"]


def solved_or_drawn(
    traced: Trace, signals: Signals | NeuronSignals | Lost | None, sample: Tensor, stages: Stages, passes: int | None
) -> Predicted:
    """Both predictions by equations, in time that leaves some for drawing them.

    Raises:
        TimeUp: the time is over, and JJᵀ is neither known nor drawn.
    """
    if isinstance(signals, Lost):
        return Predicted(None, None, signals.reason, refused=True)
    plans = stages.planned("measure Jacobian"), stages.planned("measure Fisher")
    drawing = Drawing(*plans, passes, stages.deadline, _GRANTED * stages.seconds, stages.pace)
    left = max(drawing.deadline - time.monotonic(), 0.0)
    ends = drawing.deadline - min(drawing.reserve, _KEPT * left)
    try:
        found = predicted_spectra(traced, signals, sample, ends, stages.cut)
    except TimeUp:
        found = with_drawn(Predicted(None, None, stages.cut()), traced, sample, drawing)
        if found.jacobian is None:
            raise
        return found
    return with_drawn(found, traced, sample, drawing)


def with_drawn(found: Predicted, traced: Trace, sample: Tensor, drawing: Drawing) -> Predicted:
    """What equations do not give, of models whose operations all have a record, drawn where time allows it.

    Of a chain the reason stands why there is no law.
    """
    if traced.is_chain or traced.by_sample or not traced.complete or None not in (found.jacobian, found.fisher):
        return found
    left = drawing.deadline - time.monotonic()
    if drawing.least > left or not _soon_recorded(traced, _SHARED * left):
        return found
    try:
        model = Redrawn(traced, sample)
    except (InputError, RuntimeError) as error:
        _LOG.info("spectra are not drawn (%s)", brief(error))
        return found
    jacobian = found.jacobian or _drawn(model, sample, drawing.jacobian, drawing, _SHARED)
    fisher = found.fisher or _drawn(model, sample, drawing.fisher, drawing, 1.0)
    if fisher is None or fisher is found.fisher:  # the reason is that of Θ, or of nothing
        return found._replace(jacobian=jacobian)
    listed = found.reason == traced.refusal  # with its reasons, operation by operation
    why = "no equations cover all of its operations" if listed else found.reason.split(";")[0].rstrip(".")
    return Predicted(jacobian, fisher, _DRAWN.format(why), found.refused, drawn=True)


def _soon_recorded(traced: Trace, seconds: float) -> bool:
    """Whether its record is there, or takes no longer, for which singular values of all weights are computed."""
    return "network" in vars(traced) or _factored(traced) < seconds


def _factored(traced: Trace) -> float:
    """Counted seconds of one factorisation of each weight."""
    sides = [(len(weight), weight.numel() // len(weight)) for weight in traced.weights]
    return _SVD * sum(one * other * min(one, other) for one, other in sides)


def _drawn(model: Redrawn, sample: Tensor, stage: Stage, drawing: Drawing, share: float) -> Prediction | None:
    """One spectrum, measured as planned at other weights; None where there is no time for the fewest draws."""
    left = share * (drawing.deadline - time.monotonic())
    draws = drawing.draws(stage, _factored(model.traced))
    if stage.way == "left out" or draws < _FEWEST or _FEWEST * stage.forecast > left:
        return None
    measure = measured_jacobian if stage.name == "measure Jacobian" else measured_fisher
    try:
        return redrawn(model, lambda traced: measure(traced, sample, stage, drawing.passes), draws=draws, seconds=left)
    except (InputError, RuntimeError, TimeUp) as error:
        _LOG.info("%s: no spectrum is drawn (%s)", stage.name, brief(error))
        return None


def gaps(traced: Trace, *, predicted: bool) -> tuple[TracedOperation, ...]:
    """Operations that theory does not cover, or covers in part, each with its reason."""
    wired = predicted and takes_given_maps(traced)
    left: list[TracedOperation] = []
    for one in traced.uncovered:
        if one.kind == "batch normalisation":  # a given scale and shift of each channel
            left.append(replace(one, reason=_UNCOUNTED))
        elif wired and one.kind == "embedding":
            left.insert(0, replace(one, reason=_VECTORS))
        elif not wired or one.kind in _NORMS or one.kind not in _GIVEN | {"selection"}:
            left.append(one)
    return tuple(left)


def takes_given_maps(traced: Trace) -> bool:
    """Whether spectra are known by the way that takes tokens, attention, scales and shifts as given maps."""
    if not may_take_given_maps(traced) or not follows_wires(traced.network):
        return False
    return not any(isinstance(one, Normalisation) and one.groups > 1 for one in traced.network.operations)


def may_take_given_maps(traced: Trace) -> bool:
    """Whether its operations may go that way, which costs nothing to ask: its record takes singular values of all weights."""
    missing = {operation.kind for operation in traced.operations if operation.theory == "none"}
    return traced.complete and not traced.by_sample and missing <= _GIVEN


def silence_note(jacobian: Measurement | None, fisher: Measurement | None) -> tuple[str, ...]:
    """A sentence where no derivative leads from the outputs at the sample to the input, or to no weight either.

    Example:
        >>> silence_note(None, None)
        ()
    """
    silent = [
        each is not None and each.eigenvalues.size > 0 and not each.eigenvalues.any() for each in (jacobian, fisher)
    ]
    if not silent[0]:
        return ()
    told = "by the input or a weight: JJᵀ and Θ are 0" if silent[1] else "by the input: JJᵀ is 0"
    return (
        f"The outputs at this sample have no derivative {told}. Take another one (--sample), or see what stops the signal, or is "
        "detached.",
    )


def _too_many_positions(signals: Signals | NeuronSignals | None) -> str:
    """Theory multiplies matrices over positions for every channel: from some dozens on that takes hours; "" below that."""
    most = max(math.prod(h.shape[2:]) for h in signals.preactivations) if isinstance(signals, NeuronSignals) else 0
    return (
        f"expected convolutions at up to {POSITIONS} positions for a prediction, got {most}, for which theory takes too "
        "long; predict a smaller image, or go by the measured spectra."
        if most > POSITIONS
        else ""
    )


def compared(predicted: Prediction | None, measured: Measurement | Lost, reason: str, stages: Stages) -> Comparison:
    """Both beside each other, with their distance where it does not take too long.

    ``measured``: the spectrum, or why there is none.
    """
    if isinstance(measured, Lost):
        return Comparison(predicted, None, None, reason, measured.reason)
    if predicted is None:
        return Comparison(None, measured, None, reason)
    predicted = replace(predicted, law=predicted.law.remembering())  # for the distance, the pictures and the table
    try:
        with cut_off(time.monotonic() + max(_COMPARED * stages.left, _LEAST)):
            _ = predicted.largest  # which is kept: a quantile of some laws takes seconds
            return Comparison(predicted, measured, wasserstein(predicted.law, measured.eigenvalues), reason)
    except ConvergenceError as error:  # the rest of the prediction stands
        return Comparison(predicted, measured, None, str(error))
    except TimeUp:
        known = "largest" in vars(predicted)
        return Comparison(predicted if known else replace(predicted, outputs=0), measured, None, stages.cut())
