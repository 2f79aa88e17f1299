"""Real processes on the loopback interface: a scheduler, workers, the driver."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager

ENVIRONMENT = os.environ | {
    "OMP_NUM_THREADS": "1",
    "COLUMNS": "200",
    "PYTHONUNBUFFERED": "1",
    "DASK_DISTRIBUTED__WORKER__DAEMON": "False",
}
SPECIFICATION = """
name = "faults"
depths = {depths}
seeds = [0, 1]
steps = {steps}

[[designs]]
name = "small"
width = 24

[rates]
values = [0.125, 0.5, 8.0]
"""


def write_specification(folder, depths=(2, 3, 4, 5, 6, 7, 8, 9), steps=1500):
    path = folder / "sweep.toml"
    path.write_text(SPECIFICATION.format(depths=list(depths), steps=steps))
    return path


def start(*command, **options):
    return subprocess.Popen(
        [sys.executable, "-m", *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        **options,
    )


def driver(specification, store, *options, folder):
    return start("freeness", "sweep", specification, "--store", store, *options, cwd=folder)


def wait_for(condition, seconds=120.0):
    """Until the condition is true; what it returned."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {condition}")


@contextmanager
def ended(*processes):
    """The processes, killed and reaped at the end whatever happens."""
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.communicate()


@contextmanager
def scheduler():
    """A scheduler process and its address."""
    process = start(
        "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--no-show"
    )
    with ended(process):
        seen = []

        def address():
            seen.append(process.stderr.readline())
            found = re.search(r"Scheduler at:\s+(tcp://\S+)", seen[-1])
            return found and found.group(1)

        yield process, wait_for(address)


def worker(address):
    """A worker process without a nanny, so that killing it kills all of it."""
    return start(
        "distributed.cli.dask_worker", address, "--host", "127.0.0.1", "--nthreads", "1", "--no-nanny", "--no-dashboard"
    )
