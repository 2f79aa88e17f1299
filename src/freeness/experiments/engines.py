"""Who performs the tasks of a sweep: this process, or Dask workers on this machine or any cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from freeness.errors import FreenessError, InputError, brief
from freeness.experiments.column import CellResult
from freeness.experiments.tasks import Task, perform

Finished = tuple[Task, tuple[CellResult, ...], dict]
Engine = Callable[[Sequence[Task]], Iterator[Finished]]

_FAILURES = 10  # workers that may die under one task before it is given up
_GLANCE = 2.0  # seconds between looks at whether the scheduler is there


class LostError(FreenessError):
    """The scheduler, or every chance of finishing a task, is gone; what is committed stays."""


def inline(tasks: Sequence[Task]) -> Iterator[Finished]:
    """Perform tasks one after the other in this process, on one thread.

    Example:
        >>> list(inline([]))
        []
    """
    for task in tasks:
        yield (task, *perform(task))


@dataclass(frozen=True)
class DaskEngine:
    """Perform tasks on Dask workers; a task whose worker dies is performed again elsewhere.

    Args:
        address: of a scheduler ("tcp://host:port"); a cluster of this machine's cores is started when left out.
        workers: processes of that cluster, one thread each; as many as cores when left out.
        adaptive: start them as they are needed, up to ``workers``.
        timeout: seconds to wait for a scheduler.
    """

    address: str | None = None
    workers: int | None = None
    adaptive: bool = False
    timeout: float = 10.0

    def __call__(self, tasks: Sequence[Task]) -> Iterator[Finished]:
        """Results in the order in which they are finished.

        Raises:
            InputError: the scheduler cannot be reached, or a worker refuses its task.
            LostError: the scheduler is lost.
        """
        from distributed import CancelledError, wait

        with self._client() as client:
            pending = {client.submit(perform, task, pure=False): task for task in tasks}
            while pending:
                try:
                    with client.as_current():
                        done, _ = wait(list(pending), timeout=_GLANCE, return_when="FIRST_COMPLETED")  # pyright: ignore
                except TimeoutError:
                    done = set()
                except CancelledError as error:  # futures are, as the connection goes
                    raise _lost(error) from error
                if not done and client.status != "running":
                    raise _lost(None)
                for future in done:
                    task = pending.pop(future)
                    yield (task, *_result(future))
                    future.release()

    @contextmanager
    def _client(self) -> Iterator:
        from dask.config import set as configured
        from distributed import Client, LocalCluster

        settings = {
            "distributed.nanny.pre-spawn-environ.DASK_LOGGING__DISTRIBUTED": "critical",  # of the workers that are started here
            "distributed.scheduler.allowed-failures": _FAILURES,
            "distributed.comm.timeouts.connect": self.timeout,
            "distributed.client.scheduler-info-interval": "2s",
        }
        with configured(settings):
            if self.address is not None:
                try:
                    client = Client(self.address, timeout=self.timeout, set_as_default=False)
                except (OSError, ValueError, TimeoutError) as error:
                    raise InputError(
                        f"expected a Dask scheduler at {self.address!r}, got none ({brief(error)}); start one by dask "
                        "scheduler, or leave the address out."
                    ) from error
                with client:
                    yield client
                return
            options = {
                "threads_per_worker": 1,
                "host": "127.0.0.1",
                "dashboard_address": "127.0.0.1:0",
                "processes": True,
            }
            cluster = LocalCluster(n_workers=0 if self.adaptive else self.workers or _cores(), **options)
            with cluster, Client(cluster, set_as_default=False) as client:
                if self.adaptive:
                    cluster.adapt(minimum=0, maximum=self.workers or _cores())
                yield client


def _cores() -> int:
    from dask.system import CPU_COUNT

    return int(CPU_COUNT)


def _result(future) -> tuple[tuple[CellResult, ...], dict]:
    from distributed import CancelledError, KilledWorker
    from distributed.comm.core import CommClosedError

    try:
        return future.result()
    except (CancelledError, CommClosedError, KilledWorker) as error:
        raise _lost(error) from error


def _lost(error: Exception | None) -> LostError:
    said = f" ({brief(error)})" if error is not None else ""
    return LostError(f"expected a running Dask scheduler and workers, got none any more{said}; start them again.")
