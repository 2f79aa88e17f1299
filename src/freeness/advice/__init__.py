"""Numbers and reasons: learning rate and verdict, and the record of an analysis."""

from freeness.advice.analysis import Analysis, Comparison, FreenessOutcome, LayerRow, LearningRate, Verdict
from freeness.advice.learning_rate import Curvature, hessian_scale, stable_rate
from freeness.advice.progress import Progress
from freeness.advice.verdict import phase_of

__all__ = [
    "Analysis",
    "Comparison",
    "Curvature",
    "FreenessOutcome",
    "LayerRow",
    "LearningRate",
    "Progress",
    "Verdict",
    "hessian_scale",
    "phase_of",
    "stable_rate",
]
