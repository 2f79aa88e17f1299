import asyncio
import subprocess
import sys
import time

import pytest

pytest.importorskip("nicegui")

from freeness.app.worker import JobError, Worker
from freeness.errors import InputError
from tests.app.loop import in_thread

QUICK = {"expression": "x", "variables": {"x": "semicircle"}, "sample": 0}
ENDLESS = {
    "expression": "x*y*x*y*x + y*x*y*x*y",
    "variables": {"x": "semicircle + bernoulli", "y": "mp:1*mp:1"},
    "sample": 0,
}


def test_job_that_takes_too_long_is_ended_and_the_next_one_is_done():
    async def story():
        worker = Worker(1.5, None, "law")
        await worker.warm()
        begun = time.monotonic()
        with pytest.raises(JobError, match=r"expected an answer within 1\.5 s"):
            await worker.run("law", ENDLESS)
        seconds = time.monotonic() - begun
        await worker.warm()
        answer = await worker.run("law", QUICK)
        await worker.closed()
        return seconds, answer

    seconds, answer = in_thread(story())
    assert seconds > 1.4
    assert answer["hull"] == [-2.0, 2.0]


def test_cancelled_job_ends_its_process_and_stages_are_told():
    async def story():
        worker, stages = Worker(None), []
        begun = asyncio.Event()

        def stage(words, share):
            stages.append((words, share))
            begun.set()

        task = asyncio.create_task(worker.run("law", ENDLESS, stage))
        await begun.wait()
        process = worker._process
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        code = await process.wait()
        answer = await worker.run("law", QUICK)
        await worker.closed()
        return code, stages, answer

    code, stages, answer = in_thread(story())
    assert code != 0 and stages[0] == ("reading", 0.0) and answer["mean"] == 0.0


def test_refusal_is_the_sentence_of_the_library_and_the_process_lives_on():
    async def story():
        worker = Worker(20.0)
        with pytest.raises(InputError, match="at column 3"):
            await worker.run("law", QUICK | {"expression": "x+?"})
        process = worker._process
        await worker.run("law", QUICK)
        same = worker._process is process
        await worker.closed()
        return same

    assert in_thread(story())


def test_memory_beyond_the_limit_is_refused_or_ends_the_process_alone():
    async def story():
        worker = Worker(20.0, 2**30)
        big = {"expression": "x", "variables": {"x": "semicircle"}, "sample": 30_000}
        with pytest.raises((InputError, JobError)):
            await worker.run("law", big)
        answer = await worker.run("law", QUICK)
        await worker.closed()
        return answer

    assert in_thread(story())["variance"] == 1.0


def test_worker_process_loads_no_web_framework_and_the_laws_need_no_torch():
    code = "import sys, freeness.app.worker_process, freeness.app.law_job; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {"nicegui", "fastapi", "torch", "matplotlib", "plotly"}
