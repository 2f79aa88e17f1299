"""Run a sweep on a SLURM cluster: `python docs/sweep_on_slurm.py SPEC.toml STORE.sqlite`, on a login node, resumable.

Needs `pip install 'freeness[sweep]' dask-jobqueue` in the environment that the nodes see too. The driver stays on the login node
and alone writes the store, which must lie on a disk of that machine: SQLite's log does not work over network file systems. The
data must be readable at the same path on every node.
"""

from __future__ import annotations

import subprocess
import sys

from dask_jobqueue import SLURMCluster

JOBS = 8  # at most; each brings as many workers as it has cores
CORES = 16


def main() -> int:
    """Ask for jobs as they are needed, sweep, and return freeness' exit code (3: call again to go on)."""
    specification, store = sys.argv[1:]
    with SLURMCluster(
        cores=CORES,
        processes=CORES,  # one thread a worker
        memory="32GB",
        walltime="04:00:00",
        job_script_prologue=["export OMP_NUM_THREADS=1"],
    ) as cluster:
        cluster.adapt(minimum_jobs=0, maximum_jobs=JOBS)
        command = ["freeness", "sweep", specification, "--store", store, "--scheduler", cluster.scheduler_address]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
