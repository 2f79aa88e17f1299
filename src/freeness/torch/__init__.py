"""PyTorch models: read them, measure their spectra and curvature, initialise and build them, watch them train."""

from importlib import import_module
from typing import TYPE_CHECKING

try:
    import torch as _torch  # noqa: F401  (before what needs it, so that its absence is told in one sentence)
except ModuleNotFoundError as _error:
    if _error.name != "torch":  # PyTorch is there, but not whole
        raise
    raise ModuleNotFoundError(
        "expected PyTorch, which is not installed; run pip install 'freeness[torch]'.", name="torch"
    ) from _error

from freeness.errors import InputError
from freeness.spectra import FreenessTest
from freeness.torch.analysis import analyze
from freeness.torch.analyze_options import AnalyzeOptions
from freeness.torch.applied import AppliedDesign, DesignRequest, apply_design
from freeness.torch.applied_recipe import AppliedRecipe, apply_recipe, apply_start
from freeness.torch.apply import state_bytes
from freeness.torch.batch import Batch
from freeness.torch.builder import activation_module as activation_module
from freeness.torch.builder import build
from freeness.torch.critical import CriticalRate, critical_rate
from freeness.torch.curvature import (
    AdamOptions,
    CurvatureOptions,
    Sharpness,
    adam_preconditioner,
    batch_sharpness,
    curvature_spectrum,
)
from freeness.torch.curvature_estimate import Effort, SharpnessEstimate, estimated_sharpness
from freeness.torch.datafile import load_plain
from freeness.torch.demo import demo_analyses as demo_analyses
from freeness.torch.elementwise import program_function as program_function
from freeness.torch.estimate import estimate_fisher, estimate_jacobian
from freeness.torch.finding import FindOptions, find_rate
from freeness.torch.freeness_tests import freeness_test
from freeness.torch.freeness_traces import FreenessTrace, freeness_trace
from freeness.torch.full_batch import Descended, FullBatch, drawn_descents, full_batch_descent
from freeness.torch.given import given_loss, given_optimizer
from freeness.torch.initialize import InitializeOptions, initialize_
from freeness.torch.initialized import InitializedLayer, InitializedModel, InitializedTensor
from freeness.torch.kernels import drawn_weight
from freeness.torch.kinds import KINDS as KINDS
from freeness.torch.kinds import TracedOperation
from freeness.torch.labelled import Labelled, LabelledBatch, load_batch, load_data, load_labelled
from freeness.torch.lanczos import LanczosOptions, SpectralEstimate
from freeness.torch.load import device_of as device_of
from freeness.torch.load import load_loss, load_model, load_optimizer, load_weights, split_model
from freeness.torch.loss_rules import criterion, curvature_root, hessian_root
from freeness.torch.losses import check_targets, loss_function
from freeness.torch.measure import (
    dual_gram,
    dual_plan,
    jacobian_singular_values,
    measure_fisher,
    measure_jacobian,
    ntk_gram,
)
from freeness.torch.measured_training import measure_training
from freeness.torch.memory import MemoryPlan
from freeness.torch.model_loss import Owned, own_loss
from freeness.torch.observing import observe
from freeness.torch.operations.kind import Kind as Kind
from freeness.torch.outputs import run as run
from freeness.torch.packing import packed
from freeness.torch.parametrize import Parametrized, parametrize_, restore_multipliers_
from freeness.torch.recognition import recognise
from freeness.torch.sampling import haar_matrix, haar_spectrum
from freeness.torch.sampling import seeded_generator as seeded_generator
from freeness.torch.signals import realised_neurons, realised_signals
from freeness.torch.starts import start_facts
from freeness.torch.state import untouched
from freeness.torch.swap import SwappedActivation, swap_activations_
from freeness.torch.tracing import Trace, trace
from freeness.torch.transferred import GroupRate, Transfer
from freeness.torch.transferring import TransferSettings, transfer
from freeness.torch.user_data import batch_of, batches_of
from freeness.torch.watch import Watch
from freeness.torch.watch_dashboards import MlflowLog, TensorBoardLog, WandbLog
from freeness.torch.watch_log import JsonLines, WatchLog
from freeness.torch.weights import load_weights_ as load_weights_
from freeness.torch.weights import read_weights as read_weights

if TYPE_CHECKING:
    from freeness.torch.watch_lightning import WatchCallback as WatchCallback
    from freeness.torch.watch_transformers import WatchTrainerCallback as WatchTrainerCallback

# Each needs a package that no extra brings, so that it is no part of __all__ and loaded when it is asked for.
_LATER = {
    "WatchCallback": ("lightning", "watch_lightning"),
    "WatchTrainerCallback": ("transformers", "watch_transformers"),
}

__all__ = [
    "AdamOptions",
    "AnalyzeOptions",
    "AppliedDesign",
    "AppliedRecipe",
    "Batch",
    "CriticalRate",
    "CurvatureOptions",
    "Descended",
    "DesignRequest",
    "Effort",
    "FindOptions",
    "FreenessTest",
    "FreenessTrace",
    "FullBatch",
    "GroupRate",
    "InitializeOptions",
    "InitializedLayer",
    "InitializedModel",
    "InitializedTensor",
    "JsonLines",
    "Labelled",
    "LabelledBatch",
    "LanczosOptions",
    "MemoryPlan",
    "MlflowLog",
    "Owned",
    "Parametrized",
    "Sharpness",
    "SharpnessEstimate",
    "SpectralEstimate",
    "SwappedActivation",
    "TensorBoardLog",
    "Trace",
    "TracedOperation",
    "Transfer",
    "TransferSettings",
    "WandbLog",
    "Watch",
    "WatchLog",
    "adam_preconditioner",
    "analyze",
    "apply_design",
    "apply_recipe",
    "apply_start",
    "batch_of",
    "batch_sharpness",
    "batches_of",
    "build",
    "check_targets",
    "criterion",
    "critical_rate",
    "curvature_root",
    "curvature_spectrum",
    "drawn_descents",
    "drawn_weight",
    "dual_gram",
    "dual_plan",
    "estimate_fisher",
    "estimate_jacobian",
    "estimated_sharpness",
    "find_rate",
    "freeness_test",
    "freeness_trace",
    "full_batch_descent",
    "given_loss",
    "given_optimizer",
    "haar_matrix",
    "haar_spectrum",
    "hessian_root",
    "initialize_",
    "jacobian_singular_values",
    "load_batch",
    "load_data",
    "load_labelled",
    "load_loss",
    "load_model",
    "load_optimizer",
    "load_plain",
    "load_weights",
    "loss_function",
    "measure_fisher",
    "measure_jacobian",
    "measure_training",
    "ntk_gram",
    "observe",
    "own_loss",
    "packed",
    "parametrize_",
    "realised_neurons",
    "realised_signals",
    "recognise",
    "restore_multipliers_",
    "split_model",
    "start_facts",
    "state_bytes",
    "swap_activations_",
    "trace",
    "transfer",
    "untouched",
]


def __getattr__(name: str) -> object:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    package, module = _LATER[name]
    try:
        return getattr(import_module(f"{__name__}.{module}"), name)
    except ModuleNotFoundError as error:
        raise InputError(
            f"expected the package {package}, which is not installed; run pip install {package}."
        ) from error
