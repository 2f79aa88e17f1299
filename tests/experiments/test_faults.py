"""kill -9 of worker, scheduler and driver: what is committed stays and is not computed again, the table is the same."""

import signal
import sqlite3

import pytest

from freeness.experiments import DaskEngine, open_sweep, read_specification, run_sweep
from tests.experiments.processes import driver, ended, scheduler, start, wait_for, worker, write_specification

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def committed(store):
    """Keys and times of the committed cells."""
    if not store.exists():
        return {}
    connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    try:
        return dict(connection.execute("SELECT key, committed FROM cells"))
    except sqlite3.OperationalError:  # the tables are being made
        return {}
    finally:
        connection.close()


def numbers(store):
    return open_sweep(store).drop_vars("seconds").drop_attrs()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    run = run_sweep(read_specification(write_specification(folder)), folder / "store.sqlite")
    assert run.computed == 48
    return numbers(folder / "store.sqlite")


def test_two_workers_joined_by_address_give_the_inline_table(tmp_path, undisturbed):
    specification = write_specification(tmp_path)
    with scheduler() as (_, address):
        workers = [worker(address) for _ in range(2)]
        with ended(*workers):
            run = run_sweep(
                read_specification(specification), tmp_path / "store.sqlite", DaskEngine(address, timeout=60)
            )
    assert run.computed == 48
    assert numbers(tmp_path / "store.sqlite").identical(undisturbed)


def test_a_killed_worker_loses_only_what_was_in_flight(tmp_path, undisturbed):
    specification, store = write_specification(tmp_path), tmp_path / "store.sqlite"
    with scheduler() as (_, address):
        workers = [worker(address) for _ in range(2)]
        process = driver(specification, store, "--scheduler", address, folder=tmp_path)
        with ended(process, *workers):
            before = wait_for(lambda: committed(store))
            workers[0].send_signal(signal.SIGKILL)
            _, error = process.communicate(timeout=300)
            assert process.returncode == 0, error
    after = committed(store)
    assert len(after) == 48 and before.items() <= after.items()  # nothing was written twice
    assert numbers(store).identical(undisturbed)


def test_a_killed_scheduler_ends_the_driver_with_3_and_the_command_that_resumes(tmp_path, undisturbed):
    specification, store = write_specification(tmp_path), tmp_path / "store.sqlite"
    with scheduler() as (process, address):
        workers = [worker(address)]
        running = driver(specification, store, "--scheduler", address, folder=tmp_path)
        with ended(running, *workers):
            before = wait_for(lambda: committed(store))
            process.send_signal(signal.SIGKILL)
            _, error = running.communicate(timeout=120)
            assert running.returncode == 3, error
    assert "Traceback" not in error
    assert f"To go on: freeness sweep {specification} --store {store} --scheduler {address}" in error
    assert 0 < len(committed(store)) < 48
    resumed = driver(specification, store, "--engine", "inline", folder=tmp_path)
    with ended(resumed):
        _, error = resumed.communicate(timeout=300)
        assert resumed.returncode == 0, error
    after = committed(store)
    assert before.items() <= after.items() and len(after) == 48
    assert numbers(store).identical(undisturbed)


@pytest.mark.parametrize("options", [("--engine", "inline"), ("--workers", "2")])
def test_a_killed_driver_is_resumed_and_repeats_nothing(tmp_path, undisturbed, options):
    specification, store = write_specification(tmp_path), tmp_path / "store.sqlite"
    process = driver(specification, store, *options, folder=tmp_path)
    with ended(process):
        wait_for(lambda: committed(store))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    before = committed(store)
    assert 0 < len(before) < 48
    run = run_sweep(read_specification(specification), store)
    assert (run.reused, run.computed) == (len(before), 48 - len(before))
    assert before.items() <= committed(store).items()
    assert numbers(store).identical(undisturbed)


def test_an_interrupted_driver_says_how_to_go_on(tmp_path):
    specification, store = write_specification(tmp_path), tmp_path / "store.sqlite"
    process = driver(specification, store, "--engine", "inline", folder=tmp_path)
    with ended(process):
        wait_for(lambda: committed(store))
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "To go on: freeness sweep" in error and "Traceback" not in error


def test_two_sweeps_share_a_store_and_its_cells(tmp_path):
    store = tmp_path / "store.sqlite"
    few, more = (read_specification(write_specification(tmp_path, depths, steps=20)) for depths in ((2, 3), (2, 3, 4)))
    assert run_sweep(few, store).computed == 12
    run = run_sweep(more, store)
    assert (run.reused, run.computed) == (12, 6)


def test_an_adaptive_cluster_computes(tmp_path):
    specification = read_specification(write_specification(tmp_path, (2, 3), steps=20))
    assert run_sweep(specification, tmp_path / "store.sqlite", DaskEngine(workers=1, adaptive=True)).computed == 12


def test_the_module_runs_as_a_command(tmp_path):
    process = start("freeness", "sweep", "--preset", "tiny", "--engine", "inline", cwd=tmp_path)
    with ended(process):
        output, error = process.communicate(timeout=120)
    assert process.returncode == 0 and "12 trained" in output
    assert "[1/12]" in error  # a log that CI can read
