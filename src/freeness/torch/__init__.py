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
from freeness.torch.analyzing.analysis import analyze
from freeness.torch.analyzing.demo import demo_analyses as demo_analyses
from freeness.torch.loss.given import given_loss, given_optimizer
from freeness.torch.loss.loss_rules import criterion, curvature_root, hessian_root
from freeness.torch.loss.losses import check_targets, loss_function
from freeness.torch.measured.curvature import (
    AdamOptions,
    CurvatureOptions,
    Sharpness,
    adam_preconditioner,
    batch_sharpness,
    curvature_spectrum,
)
from freeness.torch.measured.curvature_estimate import Effort, SharpnessEstimate, estimated_sharpness
from freeness.torch.measured.curvature_trace import CurvatureTrace, curvature_trace
from freeness.torch.measured.estimate import estimate_fisher, estimate_jacobian
from freeness.torch.measured.freeness_tests import freeness_test
from freeness.torch.measured.freeness_traces import FreenessTrace, freeness_trace
from freeness.torch.measured.full_batch import Descended, FullBatch, drawn_descents, full_batch_descent
from freeness.torch.measured.lanczos import LanczosOptions, SpectralEstimate
from freeness.torch.measured.measure import (
    dual_gram,
    dual_plan,
    jacobian_singular_values,
    measure_fisher,
    measure_jacobian,
    ntk_gram,
)
from freeness.torch.measured.measured_training import measure_training
from freeness.torch.measured.observing import observe
from freeness.torch.model.datafile import load_plain
from freeness.torch.model.memory import MemoryPlan
from freeness.torch.model.outputs import run as run
from freeness.torch.model.sampling import haar_matrix, haar_spectrum
from freeness.torch.model.sampling import seeded_generator as seeded_generator
from freeness.torch.model.state import untouched
from freeness.torch.model.weights import load_weights_ as load_weights_
from freeness.torch.model.weights import read_weights as read_weights
from freeness.torch.operations.kind import Kind as Kind
from freeness.torch.rate.critical import CriticalRate, critical_rate
from freeness.torch.rate.finding import FindOptions, find_rate
from freeness.torch.rate.parametrize import Parametrized, parametrize_, restore_multipliers_
from freeness.torch.rate.starts import start_facts
from freeness.torch.rate.transferred import GroupRate, Transfer
from freeness.torch.rate.transferring import TransferSettings, transfer
from freeness.torch.record.builder import activation_module as activation_module
from freeness.torch.record.builder import build
from freeness.torch.record.elementwise import program_function as program_function
from freeness.torch.record.kinds import KINDS as KINDS
from freeness.torch.record.kinds import TracedOperation
from freeness.torch.record.recognition import recognise
from freeness.torch.record.signals import realised_neurons, realised_signals
from freeness.torch.record.tracing import Trace, trace
from freeness.torch.request.analyze_options import AnalyzeOptions
from freeness.torch.request.batch import Batch
from freeness.torch.request.labelled import Labelled, LabelledBatch, load_batch, load_data, load_labelled
from freeness.torch.request.load import device_of as device_of
from freeness.torch.request.load import load_loss, load_model, load_optimizer, load_weights, split_model
from freeness.torch.request.model_loss import Owned, own_loss
from freeness.torch.request.packing import packed
from freeness.torch.request.user_data import batch_of, batches_of
from freeness.torch.start.applied import AppliedDesign, DesignRequest, apply_design
from freeness.torch.start.applied_recipe import AppliedRecipe, apply_recipe, apply_start
from freeness.torch.start.apply import state_bytes
from freeness.torch.start.initialize import InitializeOptions, initialize_
from freeness.torch.start.initialized import InitializedLayer, InitializedModel, InitializedTensor
from freeness.torch.start.kernels import drawn_weight
from freeness.torch.start.swap import SwappedActivation, swap_activations_
from freeness.torch.watching.watch import Watch
from freeness.torch.watching.watch_dashboards import MlflowLog, TensorBoardLog, WandbLog
from freeness.torch.watching.watch_log import JsonLines, WatchLog

if TYPE_CHECKING:
    from freeness.torch.watching.watch_lightning import WatchCallback as WatchCallback
    from freeness.torch.watching.watch_transformers import WatchTrainerCallback as WatchTrainerCallback

# Each needs a package that no extra brings, so that it is no part of __all__ and loaded when it is asked for.
_LATER = {
    "WatchCallback": ("lightning", "watching.watch_lightning"),
    "WatchTrainerCallback": ("transformers", "watching.watch_transformers"),
}

__all__ = [
    "AdamOptions",
    "AnalyzeOptions",
    "AppliedDesign",
    "AppliedRecipe",
    "Batch",
    "CriticalRate",
    "CurvatureOptions",
    "CurvatureTrace",
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
    "curvature_trace",
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
        if str(error.name).startswith(__name__):  # a file of ours
            raise
        raise InputError(
            f"expected the package {package}, which is not installed; run pip install {package}."
        ) from error
