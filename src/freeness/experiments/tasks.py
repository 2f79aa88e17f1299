"""What a worker does: some cells of one column, as one stack or one by one, whichever a short probe finds faster."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from itertools import groupby
from time import perf_counter, thread_time

import torch

from freeness.errors import InputError
from freeness.experiments.column import CellResult, stack_of, train_stack
from freeness.experiments.data import Images, batches, data_facts, load_images
from freeness.experiments.specification import Cell, DataSpecification

TOGETHER = 12  # cells a task: what is lost when a worker dies
_PROBE_STEPS, _PROBE_ROUNDS = 3, 3
_PACKAGES = ("freeness", "torch", "numpy")


@dataclass(frozen=True)
class Task:
    """Cells of one column with where their data is and on which device they are trained."""

    cells: tuple[Cell, ...]
    data: DataSpecification
    device: str = "cpu"

    @property
    def work(self) -> int:
        """A measure of how long it takes: multiplications of a step, times steps and members."""
        cell = self.cells[0]
        size = cell.width * (cell.inputs + cell.outputs) + max(cell.depth - 2, 0) * cell.width**2
        return size * cell.steps * cell.batch * len(self.cells)


def tasks_of(
    cells: Sequence[Cell], data: DataSpecification, device: str = "cpu", together: int = TOGETHER
) -> tuple[Task, ...]:
    """Cells as tasks, the longest first, so that workers finish together.

    Args:
        cells: of any columns, in any order.
        data: where every task reads it from.
        device: "cpu" or a CUDA device of the workers.
        together: most cells of a task, ≥ 1.
    """
    tasks = []
    for _, column in groupby(sorted(cells, key=lambda cell: (cell.column, cell.seed, cell.rate)), lambda c: c.column):
        members = list(column)
        parts = [members[start : start + together] for start in range(0, len(members), together)]
        tasks += [Task(tuple(part), data, device) for part in parts]
    return tuple(sorted(tasks, key=lambda task: task.work, reverse=True))


def perform(task: Task) -> tuple[tuple[CellResult, ...], dict]:
    """Train the cells of a task; results in their order, and where they were made.

    Raises:
        InputError: no such device, or the data cannot be read here or is other data than the sweep was made for.
    """
    torch.set_num_threads(1)
    _check_device(task.device)
    images = _images(task.data.model_dump_json(), task.cells[0].data)
    size = faster_stack(task.cells, images, task.device)
    results: list[CellResult] = []
    for start in range(0, len(task.cells), size):
        results += train_stack(task.cells[start : start + size], images, task.device)
    return tuple(results), provenance()


def faster_stack(cells: Sequence[Cell], images: tuple[Images, Images], device: str = "cpu") -> int:
    """How many of the cells to train at once: 1, a few or all, whichever takes the least time a member.

    A member's numbers do not depend on it, so the clock decides about time only.
    """
    sizes = sorted({1, min(4, len(cells)), len(cells)})
    if len(sizes) == 1 or cells[0].steps <= 10 * _PROBE_STEPS * _PROBE_ROUNDS:
        return len(cells)
    return min(sizes, key=lambda size: seconds_a_step(cells[:size], images, device))


def seconds_a_step(cells: Sequence[Cell], images: tuple[Images, Images], device: str = "cpu") -> float:
    """Seconds of a step a member of the stack of these cells: the least of three short runs.

    On the CPU time of this thread, which other processes of the machine do not lengthen; the clock on the wall elsewhere.
    """
    stack = stack_of(cells, device)
    x, y = next(batches(images[0], cells[0].batch, cells[0].seed))
    x, y = x.expand(len(cells), *x.shape).to(device).contiguous(), y.expand(len(cells), *y.shape).to(device)
    stack.step(x, y)
    clock = thread_time if device == "cpu" else perf_counter
    clocked = []
    for _ in range(_PROBE_ROUNDS):
        start = clock()
        for _ in range(_PROBE_STEPS):
            stack.step(x, y)
        clocked.append(clock() - start)
    return min(clocked) / _PROBE_STEPS / len(cells)


def provenance() -> dict:
    """Versions and kind of machine, without its name.

    Example:
        >>> provenance()["python"].startswith("3.")
        True
    """
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "(not installed)"
    system = f"{platform.system()} {platform.machine()}"
    return {**versions, "python": platform.python_version(), "system": system}


def _check_device(device: str) -> None:
    try:
        kind = torch.device(device).type
    except RuntimeError:
        kind = "none"
    if kind != "cpu" and not (kind == "cuda" and torch.cuda.is_available()):
        raise InputError(f"expected a device that this machine has, cpu or cuda, got {device!r}; take cpu.")


@lru_cache(maxsize=2)
def _images(text: str, digest: str) -> tuple[Images, Images]:
    data = DataSpecification.model_validate_json(text)
    images = load_images(data)
    if data_facts(data, images[0]).digest != digest:
        raise InputError(
            f"expected the data that this sweep was made for, got other data at {data.source!r}; give all workers the same files."
        )
    return images
