"""Running a sweep: what is missing in the store is performed by an engine and committed as it comes."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

from freeness.advice import Progress, Report
from freeness.errors import FreenessError
from freeness.experiments.cells import DataFacts, Placed, bounds, expand
from freeness.experiments.data import data_facts, load_images
from freeness.experiments.engines import Engine, LostError, inline
from freeness.experiments.specification import SweepSpecification
from freeness.experiments.store import Store, StoreError, open_store
from freeness.experiments.tasks import Task, tasks_of


class IncompleteError(FreenessError):
    """A sweep ended before all its cells were finished; the same call goes on where it stopped."""


@dataclass(frozen=True)
class SweepRun:
    """What a call did: ``cells`` of the sweep, ``reused`` from the store, ``computed`` now, in ``seconds``."""

    cells: int
    reused: int
    computed: int
    seconds: float


def run_sweep(
    sweep: SweepSpecification,
    path: Path | str,
    engine: Engine = inline,
    *,
    device: str = "cpu",
    progress: Report | None = None,
) -> SweepRun:
    """Finish a sweep: cells that the store has are not computed again.

    Args:
        sweep: its specification.
        path: of the store, made if it is missing.
        engine: who computes; this process when left out.
        device: "cpu", or a CUDA device of the workers.
        progress: told after every task.

    Raises:
        InputError: data, store or scheduler are not there.
        StoreError: the store cannot be opened.
        ClaimedError: another process trains this sweep into the same store.
        IncompleteError: the scheduler was lost or the store could not be written; what was finished is committed.

    Example:
        >>> import tempfile
        >>> from freeness.experiments import preset
        >>> small = preset("tiny").model_copy(update={"depths": (2,), "steps": 2, "evaluate": (2,)})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     runs = [run_sweep(small, Path(folder) / "store.sqlite") for _ in range(2)]
        >>> [(run.computed, run.reused) for run in runs]
        [(6, 0), (0, 6)]
    """
    start = perf_counter()
    facts = data_facts(sweep.data, load_images(sweep.data)[0])
    placed = expand(sweep, facts)
    unique = {item.cell.key: item.cell for item in placed}
    with open_store(path) as store, store.claimed(sweep.key):
        store.drop_damaged()
        store.register(sweep, placed, theory_of(sweep, placed, facts))
        there = store.finished(list(unique))
        missing = [cell for key, cell in unique.items() if key not in there]
        tasks = tasks_of(missing, sweep.data, device)
        try:
            if tasks:
                _perform(store, engine, tasks, progress or (lambda at: None))
        except (LostError, StoreError) as error:
            raise IncompleteError(f"{error} What was finished is committed and will not be computed again.") from error
    return SweepRun(len(unique), len(there), len(missing), perf_counter() - start)


def _perform(store: Store, engine: Engine, tasks: tuple[Task, ...], progress: Report) -> None:
    """Commit what the engine finishes, a transaction a cell."""
    total, work = sum(len(task.cells) for task in tasks), sum(task.work for task in tasks)
    start, committed, done = perf_counter(), 0, 0
    progress(Progress("starting", 0, total))
    for task, results, made in engine(tasks):
        for cell, result in zip(task.cells, results, strict=True):
            store.add(cell, result, made)
        committed += len(task.cells)
        done += task.work
        spent = perf_counter() - start
        left = spent * (work - done) / done
        stage = f"{committed} of {total} cells, {60 * committed / spent:.0f} a minute, about {_duration(left)} left"
        progress(Progress(stage if committed < total else "done", committed, total))


def theory_of(sweep: SweepSpecification, placed: tuple[Placed, ...], facts: DataFacts) -> dict:
    """Bounds of theory by design and depth, with the facts they rest on."""
    first = {item.place[:2]: item.cell for item in placed}
    found = {place: bounds(cell, facts) for place, cell in first.items()}
    rows = range(len(sweep.designs))
    columns = range(len(sweep.depths))
    return {
        "facts": asdict(facts),
        "one_sample_bound": [[found[i, j][0] for j in columns] for i in rows],
        "batch_bound": [[found[i, j][1] for j in columns] for i in rows],
    }


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
