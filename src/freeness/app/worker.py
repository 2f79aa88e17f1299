"""A process beside the server for work that must be ended: by a time limit, or because nobody wants it any more.

Hostile expressions may compute for ever, and only a process can be ended from outside. Requests and answers are lines of JSON, so
nothing is unpickled on either side.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from freeness.errors import FreenessError, InputError

_LONGEST = 256 * 2**20  # bytes of a line
_LEAST = 1.0  # seconds that a job has, however long it waited for its turn or for the process to start
Stage = Callable[[str, float], None]


class JobError(FreenessError):
    """A job was ended, or its process died; the message says which."""


class Worker:
    """One process that is started when it is first needed, does one job at a time, and is replaced once it was ended.

    ``seconds``, from being asked for, and ``memory``, bytes of address space, bound a job where they are not None; ``ready`` is
    a job whose libraries are loaded before the first one is timed.
    """

    def __init__(self, seconds: float | None, memory: int | None = None, ready: str = "") -> None:
        self._seconds, self._memory, self._ready = seconds, memory, ready
        self._process: Process | None = None
        self._turn = asyncio.Lock()
        self._warming: asyncio.Task[None] | None = None

    async def run(self, job: str, arguments: Mapping[str, Any], stage: Stage | None = None) -> Any:
        """What the job answers; it is ended where the caller is cancelled.

        Raises:
            InputError: the job refused its arguments.
            JobError: it took too long, or its process died.
        """
        begun = time.monotonic()
        async with self._turn:
            try:
                process = await self._started()
                left = None if self._seconds is None else max(self._seconds - (time.monotonic() - begun), _LEAST)
                return await asyncio.wait_for(self._asked(process, job, arguments, stage), left)
            except TimeoutError:
                self.end()
                self._warming = asyncio.create_task(self.warm())  # so that the next job need not wait for it
                raise JobError(
                    f"expected an answer within {self._seconds:g} s, got none, and the computation was ended; take something "
                    "simpler, or the command line, which has no limit."
                ) from None
            except asyncio.CancelledError:
                self.end()
                raise
            except InputError:
                raise
            except (OSError, EOFError, ValueError) as error:
                self.end()
                raise JobError(
                    "expected an answer, got the end of the process that computed it (out of memory?); take something smaller."
                ) from error

    async def warm(self) -> None:
        """Start the process before there is a job."""
        async with self._turn:
            await self._started()

    def end(self) -> None:
        """End the process, whatever it does; the next job starts another one."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()

    async def closed(self) -> None:
        """End the process and wait until it is gone."""
        if self._warming is not None:
            self._warming.cancel()
        process = self._process
        self.end()
        if process is not None:
            await process.wait()

    async def _started(self) -> Process:
        """The process, ready: its start is not counted against the limit of a job."""
        if self._process is None or self._process.returncode is not None:
            command = (sys.executable, "-m", "freeness.app.worker_process", str(self._memory or 0), self._ready)
            threads = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
            process = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, limit=_LONGEST, env=os.environ | threads
            )
            self._process = process
            await _line(process)
        return self._process

    @staticmethod
    async def _asked(process: Process, job: str, arguments: Mapping[str, Any], stage: Stage | None) -> Any:
        assert process.stdin is not None
        process.stdin.write(json.dumps({"job": job, "arguments": dict(arguments)}).encode() + b"\n")
        await process.stdin.drain()
        while True:
            answer = await _line(process)
            if "stage" in answer:
                if stage is not None:
                    stage(answer["stage"], answer["share"])
            elif "refused" in answer:
                raise InputError(answer["refused"])
            else:
                return answer["answer"]


async def _line(process: Process) -> dict[str, Any]:
    assert process.stdout is not None
    return json.loads(await process.stdout.readuntil(b"\n"))
