"""Numbers and reasons: initialisation, activation, learning rate, capacity and verdict, and the record of an analysis."""

from typing import TYPE_CHECKING

from freeness.advice.activation import ChosenActivation, choose_activation
from freeness.advice.analysis import CODE as CODE
from freeness.advice.analysis import Analysis, Comparison, FreenessOutcome, LayerRow, Verdict
from freeness.advice.batch_rate import batch_learning_rate
from freeness.advice.candidates import Candidate, usual_candidates
from freeness.advice.capacity import equal_power_capacity, water_filling_capacity
from freeness.advice.chain_rows import layer_rows as layer_rows
from freeness.advice.designs import Design, DesignOptions, LayerGain, ResidualPlan, UnreachableIsometry, design
from freeness.advice.designs import Form as Form
from freeness.advice.edges import upper_end
from freeness.advice.family_exponents import Exponents, exponents, transfer_table
from freeness.advice.family_transfer import WAYS_AGREE as WAYS_AGREE
from freeness.advice.family_transfer import FamilyTransfer, group_movements, transfer
from freeness.advice.fault import Fault, fault_of
from freeness.advice.forecast import (
    ForecastOptions,
    MeasuredTraining,
    RatePair,
    TrainingForecast,
    forecast_training,
)
from freeness.advice.gain import gain_of_design
from freeness.advice.gain import way_to_design as way_to_design
from freeness.advice.largest import LargestEigenvalue, largest_eigenvalue
from freeness.advice.layer_peers import DrawnWeights as DrawnWeights
from freeness.advice.layer_peers import odd_branch as odd_branch
from freeness.advice.layer_peers import odd_layer
from freeness.advice.layer_table import ActivationRow, AttentionRow, LayerTable, ModuleRow, SumRow, TensorRow
from freeness.advice.lookout import Lookout
from freeness.advice.progress import Progress
from freeness.advice.progress import Report as Report
from freeness.advice.reached import Reach, reach
from freeness.advice.residual_starts import (
    ResidualDesign,
    ResidualShape,
    ResidualStart,
    design_resnet,
    residual_network,
)
from freeness.advice.sharpening import REHEARSED as REHEARSED
from freeness.advice.sharpening import Sharpening, sharpening_of
from freeness.advice.stages import INTERRUPTED as INTERRUPTED
from freeness.advice.stages import NOT_ASKED as NOT_ASKED
from freeness.advice.stages import Stage
from freeness.advice.theory_rates import Parametrisation as Parametrisation
from freeness.advice.theory_rates import RateCurve, Training, layer_means, rate_curve, theory_rate
from freeness.advice.trade_offs import KernelShares, TradeOff, dial, kernel_shares, trade_off
from freeness.advice.transformer_phase import TransformerPhases, transformer_phases
from freeness.advice.transformer_starts import TransformerDesign, TransformerStart, design_transformer
from freeness.advice.verdicts import grave_phase as grave_phase
from freeness.advice.verdicts import jacobian_spread as jacobian_spread
from freeness.advice.verdicts import phase_of
from freeness.advice.verdicts import verdict as verdict
from freeness.advice.watched_run import WatchedRun, WatchEvent, read_run, run_of
from freeness.advice.watched_run import head_line as head_line
from freeness.advice.watched_run import line_of as line_of
from freeness.advice.watching import StepCheck, WatchedLayer, WatchRecord, WatchWarning
from freeness.deprecation import moved

__all__ = [
    "ActivationRow",
    "Analysis",
    "AttentionRow",
    "Candidate",
    "ChosenActivation",
    "Comparison",
    "Design",
    "DesignOptions",
    "Exponents",
    "FamilyTransfer",
    "Fault",
    "ForecastOptions",
    "FreenessOutcome",
    "KernelShares",
    "LargestEigenvalue",
    "LayerGain",
    "LayerRow",
    "LayerTable",
    "Lookout",
    "MeasuredTraining",
    "ModuleRow",
    "Progress",
    "RateCurve",
    "RatePair",
    "Reach",
    "ResidualDesign",
    "ResidualPlan",
    "ResidualShape",
    "ResidualStart",
    "Sharpening",
    "Stage",
    "StepCheck",
    "SumRow",
    "TensorRow",
    "TradeOff",
    "Training",
    "TrainingForecast",
    "TransformerDesign",
    "TransformerPhases",
    "TransformerStart",
    "UnreachableIsometry",
    "Verdict",
    "WatchEvent",
    "WatchRecord",
    "WatchWarning",
    "WatchedLayer",
    "WatchedRun",
    "batch_learning_rate",
    "choose_activation",
    "design",
    "design_resnet",
    "design_transformer",
    "dial",
    "equal_power_capacity",
    "exponents",
    "fault_of",
    "forecast_training",
    "gain_of_design",
    "group_movements",
    "kernel_shares",
    "largest_eigenvalue",
    "layer_means",
    "odd_layer",
    "phase_of",
    "rate_curve",
    "reach",
    "read_run",
    "residual_network",
    "run_of",
    "sharpening_of",
    "theory_rate",
    "trade_off",
    "transfer",
    "transfer_table",
    "transformer_phases",
    "upper_end",
    "usual_candidates",
    "water_filling_capacity",
]

if not TYPE_CHECKING:  # what moved is known at run time only, so that a typing error in a name is still seen
    _SAME = ("Curvature", "LayerRate", "StartFacts", "breaking_rate", "random_batch_bound", "start_rate")
    __getattr__ = moved(
        __name__,
        {
            **{name: f"freeness.training.{name}" for name in _SAME},
            **dict.fromkeys(("BatchRate", "LearningRate", "StartRate", "TheoryRate"), "freeness.training.Rate"),
            "Descent": "freeness.training.optimizer_of",
            "hessian_scale": "freeness.advice.former.hessian_scale freeness.training.loss_of(loss).curvature(outputs)",
            "stable_rate": "freeness.advice.former.stable_rate freeness.training.optimizer_of(optimizer).bound(sharpness)",
        },
    )
