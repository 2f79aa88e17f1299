"""What engines say when nobody is there, and that an error of a task is told as it is."""

import pytest

from freeness.errors import InputError
from freeness.experiments import DaskEngine, IncompleteError, LostError, inline, preset, run_sweep
from freeness.experiments.store import open_store
from freeness.experiments.tasks import Task

SWEEP = preset("tiny").model_copy(update={"depths": (2,), "steps": 3, "evaluate": (3,)})


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense://127.0.0.1:1", "nowhere"])
def test_an_unreachable_scheduler_is_one_sentence(tmp_path, address):
    with pytest.raises(InputError, match=f"expected a Dask scheduler at '{address}', got none") as error:
        run_sweep(SWEEP, tmp_path / "store.sqlite", DaskEngine(address, timeout=0.3))
    assert "\n" not in str(error.value)


def test_a_lost_engine_leaves_what_was_finished(tmp_path):
    def lost_after_the_first(tasks):
        yield from inline(tasks[:1])
        raise LostError("expected workers, got none; start them again.")

    sweep = SWEEP.model_copy(update={"depths": (2, 3)})
    with pytest.raises(IncompleteError, match=r"expected workers, got none.*will not be computed again"):
        run_sweep(sweep, tmp_path / "store.sqlite", lost_after_the_first)
    run = run_sweep(sweep, tmp_path / "store.sqlite")
    assert (run.reused, run.computed) == (6, 6)


def test_bad_input_found_by_a_task_is_not_taken_for_a_loss(tmp_path):
    def refusing(tasks):
        yield from inline([Task(tasks[0].cells, tasks[0].data, "toaster")])

    with pytest.raises(InputError, match="expected a device that this machine has"):
        run_sweep(SWEEP, tmp_path / "store.sqlite", refusing)
    with open_store(tmp_path / "store.sqlite") as store:
        assert not store.cells(SWEEP.key)


def test_a_failed_connection_leaves_dask_as_it_was(tmp_path):
    import dask.config

    before = dask.config.get("scheduler", None)
    with pytest.raises(InputError):
        list(DaskEngine("tcp://127.0.0.1:1", timeout=0.3)([]))
    assert dask.config.get("scheduler", None) == before
