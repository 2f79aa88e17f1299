"""One server and one browser for all tests of the pages; every page must stay silent and on this machine."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PATIENCE = 60.0  # seconds for the server to start, on a machine that is busy


def _need(found: bool, what: str) -> None:
    """CI has everything; elsewhere the tests are left out with a reason."""
    if not found:
        assert not os.environ.get("CI"), f"CI must have {what}"
        pytest.skip(f"{what} is not installed")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as reply:
            return reply.status == 200
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """Results of a small sweep."""
    from freeness.experiments import run_sweep

    path = tmp_path_factory.mktemp("sweep") / "small.sqlite"
    run_sweep(small_sweep((2,)), path)
    return path


def small_sweep(depths):
    from freeness.experiments import preset

    return preset("tiny").model_copy(update={"depths": depths, "steps": 4, "evaluate": (2, 4), "name": "small"})


@pytest.fixture(scope="session")
def server(tmp_path_factory, store):
    """The address of a running explorer."""
    with explorer(tmp_path_factory.mktemp("explorer"), "--store", str(store)) as address:
        yield address


@contextmanager
def explorer(folder, *options):
    """The address of an explorer that runs in the block; its log stays free of tracebacks."""
    try:
        import nicegui  # noqa: F401
    except ImportError:
        _need(False, "nicegui")
    port = free_port()
    log = folder / "log"
    command = [sys.executable, "-m", "freeness", "app", "--port", str(port), *options]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "NICEGUI"))}
    with log.open("w") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=file, env=environment | {"OMP_NUM_THREADS": "1"}, cwd=log.parent
        )
        try:
            end = time.monotonic() + PATIENCE
            while not answers(f"http://127.0.0.1:{port}/"):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.1)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    assert "Traceback" not in log.read_text(), log.read_text()


@pytest.fixture(scope="session")
def browser():
    """Debian's chromium."""
    _need(Path(CHROMIUM).exists(), "chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _need(False, "playwright")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()


@pytest.fixture
def page(server, browser):
    """An empty tab; its test fails if the page logs an error, or asks another machine for anything."""
    with tab_of(browser, server) as tab:
        yield tab


@contextmanager
def tab_of(browser, server):
    """An empty tab on an explorer, as of the fixture ``page``."""
    context = browser.new_context(base_url=server, viewport={"width": 1200, "height": 850}, accept_downloads=True)
    tab = context.new_page()
    tab.set_default_timeout(1000 * PATIENCE)
    faults = []
    tab.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: faults.append(str(error)))
    context.on("request", lambda request: None if _local(request.url, server) else faults.append(request.url))
    tab.on("websocket", lambda socket: None if _local(socket.url, server) else faults.append(socket.url))
    yield tab
    context.close()
    assert not faults


def _local(url: str, server: str) -> bool:
    return url.startswith((server, server.replace("http", "ws"), "data:", "blob:", "about:"))
