"""Numbers and reasons: initialisation, activation, learning rate, capacity and verdict, and the record of an analysis."""

from freeness.advice.activation import ChosenActivation, choose_activation
from freeness.advice.analysis import Analysis, Comparison, FreenessOutcome, LayerRow, LearningRate, Verdict
from freeness.advice.batch_rate import BatchRate, batch_learning_rate
from freeness.advice.breaking import breaking_rate
from freeness.advice.candidates import Candidate, usual_candidates
from freeness.advice.capacity import equal_power_capacity, water_filling_capacity
from freeness.advice.design import Design, DesignOptions, LayerGain, ResidualPlan, UnreachableIsometry, design
from freeness.advice.edges import upper_end
from freeness.advice.forecast import (
    ForecastOptions,
    MeasuredTraining,
    RatePair,
    TrainingForecast,
    forecast_training,
)
from freeness.advice.gain import gain_of_design
from freeness.advice.largest import LargestEigenvalue, largest_eigenvalue
from freeness.advice.learning_rate import Curvature, Descent, StartRate, hessian_scale, stable_rate
from freeness.advice.progress import Progress
from freeness.advice.random_batches import random_batch_bound
from freeness.advice.reach import Reach, reach
from freeness.advice.start_rate import StartFacts, start_rate
from freeness.advice.theory_rate import LayerRate, RateCurve, TheoryRate, Training, layer_means, rate_curve, theory_rate
from freeness.advice.trade_off import KernelShares, TradeOff, dial, kernel_shares, trade_off
from freeness.advice.verdict import phase_of

__all__ = [
    "Analysis",
    "BatchRate",
    "Candidate",
    "ChosenActivation",
    "Comparison",
    "Curvature",
    "Descent",
    "Design",
    "DesignOptions",
    "ForecastOptions",
    "FreenessOutcome",
    "KernelShares",
    "LargestEigenvalue",
    "LayerGain",
    "LayerRate",
    "LayerRow",
    "LearningRate",
    "MeasuredTraining",
    "Progress",
    "RateCurve",
    "RatePair",
    "Reach",
    "ResidualPlan",
    "StartFacts",
    "StartRate",
    "TheoryRate",
    "TradeOff",
    "Training",
    "TrainingForecast",
    "UnreachableIsometry",
    "Verdict",
    "batch_learning_rate",
    "breaking_rate",
    "choose_activation",
    "design",
    "dial",
    "equal_power_capacity",
    "forecast_training",
    "gain_of_design",
    "hessian_scale",
    "kernel_shares",
    "largest_eigenvalue",
    "layer_means",
    "phase_of",
    "random_batch_bound",
    "rate_curve",
    "reach",
    "stable_rate",
    "start_rate",
    "theory_rate",
    "trade_off",
    "upper_end",
    "usual_candidates",
    "water_filling_capacity",
]
