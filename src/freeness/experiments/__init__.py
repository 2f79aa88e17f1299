"""Sweeps over designs, depths, learning rates and seeds: specified, trained in stacks, stored, resumed and read as tables."""

try:
    import psutil as _psutil  # noqa: F401  (of the extra's packages the first, so that its absence is told in one sentence)
except ModuleNotFoundError as _error:
    raise ModuleNotFoundError(
        "expected the package psutil, which is not installed; run pip install 'freeness[sweep]'.", name="psutil"
    ) from _error

from freeness.experiments.cells import DataFacts, Placed, bounds, expand, network_of
from freeness.experiments.claims import ClaimedError
from freeness.experiments.column import CellResult, train_stack
from freeness.experiments.data import Images, batches, data_facts, load_images
from freeness.experiments.driver import IncompleteError, SweepRun, run_sweep
from freeness.experiments.engines import DaskEngine, LostError, inline
from freeness.experiments.engines import Engine as Engine
from freeness.experiments.example import EXAMPLE as EXAMPLE
from freeness.experiments.example import sweep_schema as sweep_schema
from freeness.experiments.presets import preset, preset_names
from freeness.experiments.specification import (
    Cell,
    DataSpecification,
    DesignSpecification,
    RateSpecification,
    SweepSpecification,
    read_specification,
    specification_of,
)
from freeness.experiments.store import Store, StoreError, open_store
from freeness.experiments.tasks import Task, faster_stack, perform, tasks_of
from freeness.experiments.thresholds import with_thresholds
from freeness.experiments.view import check_export, export, frame, open_sweep

__all__ = [
    "Cell",
    "CellResult",
    "ClaimedError",
    "DaskEngine",
    "DataFacts",
    "DataSpecification",
    "DesignSpecification",
    "Images",
    "IncompleteError",
    "LostError",
    "Placed",
    "RateSpecification",
    "Store",
    "StoreError",
    "SweepRun",
    "SweepSpecification",
    "Task",
    "batches",
    "bounds",
    "check_export",
    "data_facts",
    "expand",
    "export",
    "faster_stack",
    "frame",
    "inline",
    "load_images",
    "network_of",
    "open_store",
    "open_sweep",
    "perform",
    "preset",
    "preset_names",
    "read_specification",
    "run_sweep",
    "specification_of",
    "tasks_of",
    "train_stack",
    "with_thresholds",
]
