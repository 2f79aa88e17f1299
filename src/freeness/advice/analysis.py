"""The record that an analysis of a network hands to report, plots and command line: predicted beside measured."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from freeness.advice.fault import Fault, fault_of, waiting
from freeness.advice.layer_table import LayerTable
from freeness.advice.stages import INTERRUPTED, NOT_ASKED, Stage
from freeness.errors import InputError
from freeness.laws import Atom
from freeness.shown import Plotted, Printed, Shown
from freeness.spectra import FreenessTest, Measurement, Prediction
from freeness.training import Rate

Phase = Literal["ordered", "critical", "chaotic"]
CODE = "Run: "  # begins an advice that is code, as it stands
Isometry = Literal["isometric", "nearly isometric", "not isometric"]
Outcome = Literal["trains", "may train slowly", "trains, but for a part", "trains badly", "not judged"]


@dataclass(frozen=True)
class LayerRow:
    """One weight layer l with the activation that follows it (fields of the activation are None after the last).

    ``q`` is the variance of h^l, ``qhat`` that of the layer's input x^{l-1}, ``chi`` = σ_w²·μ₁ with σ_w of the weights behind
    the activation (what squared gradients are multiplied by from h^{l+1} to h^l), ``delta`` the relative variance of D²,
    ``atoms`` the atoms of the law of D² that hold at least 1 % of the neurons; ``weight_spread`` is the relative variance of W's
    squared singular values (0 for Haar, min/max of the two widths for independent entries).
    """

    index: int
    name: str
    fan_in: int
    fan_out: int
    weights: str
    sigma_w: float
    sigma_b: float
    qhat: float
    q: float
    activation: str | None
    chi: float | None
    delta: float | None
    atoms: tuple[Atom, ...]
    weight_spread: float = 0.0


@dataclass(frozen=True)
class Comparison(Shown, Plotted):
    """One spectrum, predicted and measured.

    ``predicted`` is None where theory does not cover the network, for ``reason``; ``measured`` where it was not asked for, did
    not fit the budget or failed, for ``missing``. ``distance`` is W₁ between the two, in the spectrum's own units.
    """

    predicted: Prediction | None
    measured: Measurement | None
    distance: float | None
    reason: str = ""
    missing: str = ""

    @property
    def eigenvalues(self) -> Float[np.ndarray, " count"]:
        """The measured ones.

        Raises:
            InputError: there are none.
        """
        if self.measured is None:
            raise InputError(
                f"expected a measured spectrum, got none ({self.missing}); raise the budget, or ask for it."
            )
        return self.measured.eigenvalues

    @property
    def numbers(self) -> tuple[tuple[str, float | None, float | None], ...]:
        """Name, theory and measured value of mean, standard deviation and largest eigenvalue, None where there is none."""
        values, theory = None if self.measured is None else self.measured.eigenvalues, self.predicted
        return (
            ("mean", theory and theory.law.mean, None if values is None else float(values.mean())),
            (
                "standard deviation",
                theory and math.sqrt(theory.expected_variance),
                None if values is None else float(values.std()),
            ),
            ("largest eigenvalue", theory and theory.expected_largest, None if values is None else float(values[-1])),
        )


@dataclass(frozen=True)
class FreenessOutcome:
    """The freeness test of the weights, measured at the sample; ``test`` is None where it was left out, for ``reason``."""

    test: FreenessTest | None
    reason: str = ""
    seconds: float = 0.0

    @property
    def status(self) -> Literal["free", "not free", "not tested"]:
        """In two words; "not tested" also where no word of the test could tell anything."""
        if self.test is None or not any(word.tested for word in self.test.words):
            return "not tested"
        return "free" if self.test.free else "not free"

    @property
    def sentence(self) -> str:
        """What the outcome means for the predictions.

        Example:
            >>> FreenessOutcome(None, "no activation").sentence
            'Not tested (no activation): whether the predictions that assume freeness are covered is open.'
        """
        if self.test is None or self.status == "not tested":
            reason = self.reason.rstrip(".") or "the activation derivatives are constant but for a few neurons"
            return f"Not tested ({reason}): whether the predictions that assume freeness are covered is open."
        if self.test.free:
            return (
                f"No word departs from freeness by 5 standard errors (largest score {self.test.largest:.1f}): nothing speaks "
                "against the predictions that assume it."
            )
        return (
            f"The weights are not free of the activation derivatives (largest score {self.test.largest:.3g}; 5 reject): the "
            "predictions that assume freeness are not covered for this network; go by the measured spectra."
        )


@dataclass(frozen=True)
class Verdict(Shown, Printed):
    """In words: phase, isometry, and what to change; ``warnings`` are what speaks against trusting the numbers.

    ``isometry`` is the one word for the relative variance of JJᵀ over the width: "isometric" up to 0.25 (``isometric`` then),
    "nearly isometric" up to 1; None where it is not judged.
    """

    phase: Phase | None
    isometric: bool
    sentences: tuple[str, ...]
    advice: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    isometry: Isometry | None = None


@dataclass(frozen=True)
class Analysis(Shown, Printed, Plotted):
    """Everything that ``analyze`` found out about one model and one data set.

    ``targets`` says what stands in for labels that were not given, ``weights`` which file the weights are from; both are "" where
    that is not so. ``layers``: a row for every module with weights, what it does to signal and gradient of the batch, and what
    theory says of that where it covers the model; without rows where the model could not be watched. ``chain``: the weight layers
    at the sample, as theory follows them; () where it does not. ``stages``: what was planned for each, and what became of it.
    """

    title: str
    layers: LayerTable
    jacobian: Comparison
    fisher: Comparison
    learning_rate: Rate
    verdict: Verdict
    uncovered: tuple[str, ...]
    parameters: int
    data: str
    sample: int
    seed: int
    dtype: str
    freeness: FreenessOutcome = FreenessOutcome(None, NOT_ASKED)
    targets: str = ""
    weights: str = ""
    chain: tuple[LayerRow, ...] = ()
    stages: tuple[Stage, ...] = ()

    @property
    def interrupted(self) -> bool:
        """Whether somebody stopped it before it was whole."""
        return any(stage.missing == INTERRUPTED for stage in self.stages)

    @property
    def missing(self) -> tuple[str, ...]:
        """What is not in the record and why, a sentence each."""
        return tuple(f"{stage.name}: {stage.missing}" for stage in self.stages if stage.missing)

    @property
    def fault(self) -> Fault | None:
        """Where the model is at fault, by the table of its layers; None where that was not measured."""
        return fault_of(self.layers) if self.layers else None

    @property
    def headline(self) -> str:
        """In one sentence whether it trains: ``outcome`` with its reason."""
        match self.outcome:
            case "trains badly":
                return f"It trains badly as it is. {self.fault.sentence if self.fault else ''}"
            case "trains, but for a part":
                return f"It trains, but for a part. {self.fault.sentence if self.fault else ''}"
            case "may train slowly":
                fate = "shrink" if self.verdict.phase == "ordered" else "grow"
                return f"It may train slowly: squared gradients {fate} more than tenfold on their way back to the first layer."
            case "not judged":
                return "Whether it trains was not judged: its layers were not watched."
            case "trains":
                later = ", some of them from the second step on" if waiting(self.layers) else ""
                return f"It trains: signals and gradients reach every layer{later}."

    @property
    def outcome(self) -> Outcome:
        """In a word or two whether it trains, by what was measured and by the phase that theory gives.

        Signals and gradients that change by less than a hundred in amplitude from end to end are no fault; squared gradients that
        change tenfold and more are worth a word.
        """
        fault = self.fault
        if fault is not None and fault.found:
            return "trains badly" if fault.grave else "trains, but for a part"
        if self.verdict.phase in ("ordered", "chaotic"):
            return "may train slowly"
        return "trains" if self.judged else "not judged"

    @property
    def judged(self) -> bool:
        """Whether anything tells if it trains: layers that were watched, or the phase of theory."""
        return self.fault is not None or self.verdict.phase is not None

    @property
    def modules(self) -> LayerTable | None:
        """The old name of ``layers``, whose rows were those of ``chain``."""
        warnings.warn("Analysis.modules is deprecated; use Analysis.layers.", DeprecationWarning, stacklevel=2)
        return self.layers or None
