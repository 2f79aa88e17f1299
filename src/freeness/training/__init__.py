"""What is trained with: losses, optimisers, rates; and the training of wide networks, which is linear."""

from freeness.training.breaking import breaking_rate
from freeness.training.found import FoundRate, RateSetting, WarmUp, found_rate, minimum_of, warm_up
from freeness.training.from_curvature import Curvature, measured_rate
from freeness.training.from_trials import start_rate
from freeness.training.lengths import RunLength, run_length
from freeness.training.lengths import Stepper as Stepper
from freeness.training.linear_training import Directions, LinearTraining, TrainingCurve, Unseen
from freeness.training.loss import Loss
from freeness.training.losses import loss_names, loss_of, register_loss
from freeness.training.losses.binary_cross_entropy import BinaryCrossEntropy
from freeness.training.losses.cross_entropy import CrossEntropy
from freeness.training.losses.squared_error import SquaredError
from freeness.training.objective import Objective
from freeness.training.optimizer import Optimizer
from freeness.training.optimizers import optimizer_names, optimizer_of, register_optimizer
from freeness.training.optimizers.adam import Adam
from freeness.training.optimizers.sgd import SGD
from freeness.training.quadratic_loss import QuadraticLoss
from freeness.training.random_batches import random_batch_bound
from freeness.training.rate import USUAL_BATCH as USUAL_BATCH
from freeness.training.rate import LayerRate, Rate
from freeness.training.rate_trials import SPACING as SPACING
from freeness.training.rate_trials import Leg, RateTrial, diverges, halved, rates_between, run_all
from freeness.training.rate_trials import check_budget as check_budget
from freeness.training.rate_trials import tail_of as tail_of
from freeness.training.schedule import Schedule, schedule_names
from freeness.training.start_facts import StartFacts, as_many
from freeness.training.usual_rate import rate_of_sharpness

__all__ = [
    "SGD",
    "Adam",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "Curvature",
    "Directions",
    "FoundRate",
    "LayerRate",
    "Leg",
    "LinearTraining",
    "Loss",
    "Objective",
    "Optimizer",
    "QuadraticLoss",
    "Rate",
    "RateSetting",
    "RateTrial",
    "RunLength",
    "Schedule",
    "SquaredError",
    "StartFacts",
    "TrainingCurve",
    "Unseen",
    "WarmUp",
    "as_many",
    "breaking_rate",
    "diverges",
    "found_rate",
    "halved",
    "loss_names",
    "loss_of",
    "measured_rate",
    "minimum_of",
    "optimizer_names",
    "optimizer_of",
    "random_batch_bound",
    "rate_of_sharpness",
    "rates_between",
    "register_loss",
    "register_optimizer",
    "run_all",
    "run_length",
    "schedule_names",
    "start_rate",
    "warm_up",
]
