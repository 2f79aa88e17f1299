"""The law calculator and uploads survive input that nobody means well: no crash, no code run, all ended in 20 seconds."""

import time

import numpy as np
import pytest

pytest.importorskip("nicegui")

from freeness.app.server import MEMORY, SECONDS
from freeness.app.worker import Worker
from freeness.errors import FreenessError
from tests.app.hostile import expressions, files
from tests.app.loop import in_thread

pytestmark = pytest.mark.slow

PATIENCE = 20.0
ENDS = {"inputs": 784, "outputs": 10}
BUNDLED = {"depth": 2, "width": 8, "activation": "tanh", "weights": "haar", "sigma_w": 1.0, "sigma_b": 0.0} | ENDS
GOOD = {
    "0.weight": np.linspace(-1, 1, 8 * 784).reshape(8, 784).astype(np.float32),
    "2.weight": np.linspace(-1, 1, 80).reshape(10, 8).astype(np.float32),
}


async def outcomes(job, requests):
    """For each request its answer or its refusal, and the seconds until then; the worker must serve a good one afterwards."""
    worker, found = Worker(SECONDS, MEMORY, job), []
    await worker.warm()
    for arguments in requests:
        start = time.monotonic()
        try:
            outcome = await worker.run(job, arguments)
        except FreenessError as error:
            outcome = str(error)
        found.append((outcome, time.monotonic() - start))
    await worker.closed()
    return found


def laws(count, seed, marker):
    bound = {"x": "semicircle", "y": "mp:1"}
    requests = [{"expression": text, "variables": bound, "sample": 0} for text in expressions(count, seed, marker)]
    sound = {"expression": "x + y", "variables": bound, "sample": 0}
    return in_thread(outcomes("law", [*requests, sound]))


def uploads(count, seed, folder, marker):
    requests = []
    for index, (ending, content) in enumerate([*files(count, seed, GOOD, marker), files(11, 0, GOOD, marker)[-1]]):
        path = folder / f"{index}{ending}"
        path.write_bytes(content)
        requests.append({"kind": "weights", "path": str(path), "model": BUNDLED})
    return in_thread(outcomes("upload", requests))


def check(found, marker):
    assert not marker.exists()
    for outcome, seconds in found:
        assert seconds < PATIENCE, (outcome, seconds)
        if isinstance(outcome, str):
            assert outcome.startswith(("expected", "x: ", "y: ")), outcome
            assert "Traceback" not in outcome and len(outcome) < 3000


@pytest.mark.always
def test_hundred_hostile_expressions_are_answered_or_refused(tmp_path):
    marker = tmp_path / "ran"
    found = laws(100, 0, marker)
    check(found, marker)
    assert sum(isinstance(outcome, str) for outcome, _ in found) > 50
    assert found[-1][0]["variance"] == pytest.approx(2.0), "a good expression is computed after all of these"


@pytest.mark.always
def test_hundred_hostile_files_are_read_or_refused(tmp_path):
    marker = tmp_path / "ran"
    found = uploads(100, 0, tmp_path, marker)
    check(found, marker)
    assert sum(isinstance(outcome, str) for outcome, _ in found) > 50


@pytest.mark.timeout(3000)
def test_thousand_hostile_expressions_are_answered_or_refused(tmp_path):
    marker = tmp_path / "ran"
    check(laws(1000, 1, marker), marker)


@pytest.mark.timeout(3000)
def test_thousand_hostile_files_are_read_or_refused(tmp_path):
    marker = tmp_path / "ran"
    check(uploads(1000, 1, tmp_path, marker), marker)
