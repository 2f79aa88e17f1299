import socket
import subprocess
import sys

import pytest

from tests.cli.called import Called

pytest.importorskip("nicegui")


run = Called("app")


def sentence(result):
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


def test_port_out_of_range_is_refused():
    assert "65535" in sentence(run("--port", "70000"))


def test_port_that_is_taken_is_refused():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"expected a free port, got {port} of 127.0.0.1" in sentence(run("--port", str(port)))


def test_host_that_is_none_of_this_machine_is_refused():
    assert "expected a free port" in sentence(run("--host", "192.0.2.1"))


def test_store_that_does_not_exist_is_refused(tmp_path):
    assert "expected a store of results" in sentence(run("--store", str(tmp_path / "none.sqlite")))


@pytest.mark.parametrize("spec", ["none.py:build", "build"])
def test_model_that_is_none_is_refused_without_running_anything(spec):
    assert "expected a" in sentence(run("--model", spec))


def test_uploaded_models_are_run_for_this_machine_alone():
    assert "expected 127.0.0.1 as the host" in sentence(run("--run-uploads", "--host", "0.0.0.0"))


def test_missing_extra_is_named(tmp_path):
    code = "import sys; sys.modules['nicegui'] = None; from freeness.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "app"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.strip().splitlines() == [
        "Error: expected the package nicegui, which is not installed; run pip install 'freeness[app]'."
    ]


def test_help_says_what_it_opens():
    result = run("--help")
    assert result.exit_code == 0 and "Example:\n    freeness app --port 8080" in result.output
