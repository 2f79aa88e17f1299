"""Dashboards get the numbers of a watch by their own interfaces."""

import math
import sys

import pytest

from freeness.advice import StepCheck, WatchRecord, WatchWarning
from freeness.errors import InputError
from freeness.torch import MlflowLog, TensorBoardLog, WandbLog
from freeness.torch.watching.watch_log import logs_of

EVENTS = [
    StepCheck(1, 0.1, 2.5, 4.0),
    WatchRecord(1, 0.1, critical=0.5, noise=math.inf),
    WatchWarning(1, "rate", "Too fast."),
]


def told(log):
    for event in EVENTS:
        log.write(event)


def test_tensorboard_reads_back_what_was_written(tmp_path):
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    told(TensorBoardLog(tmp_path))
    found = event_accumulator.EventAccumulator(str(tmp_path)).Reload()
    assert {name: found.Scalars(name)[-1].value for name in found.Tags()["scalars"]} == pytest.approx(
        {"freeness/rate": 0.1, "freeness/loss": 2.5, "freeness/gradient": 4.0, "freeness/critical": 0.5}
    )
    assert found.Tags()["tensors"] == ["freeness/warnings/text_summary"]


class Recorded:
    """What wandb's runs and mlflow's module take, kept."""

    def __init__(self):
        self.calls = []

    def log(self, data):
        self.calls.append(data)

    def log_metrics(self, metrics, step):
        self.calls.append((metrics, step))

    def set_tag(self, key, value):
        self.calls.append((key, value))


def test_weights_and_biases_get_their_own_step():
    run = Recorded()
    told(WandbLog(run))
    assert run.calls[1] == {"freeness/rate": 0.1, "freeness/critical": 0.5, "freeness/step": 1}
    assert run.calls[2] == {"freeness/warning": "Too fast.", "freeness/step": 1}


def test_mlflow_gets_metrics_and_tags():
    client = Recorded()
    told(MlflowLog(client))
    assert client.calls[1] == ({"freeness/rate": 0.1, "freeness/critical": 0.5}, 1)
    assert client.calls[2] == ("freeness.warning at step 1", "Too fast.")


@pytest.mark.slow
def test_the_client_of_weights_and_biases_keeps_the_numbers_offline_in_a_folder(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb", reason="wandb is not installed")
    for name in ("WANDB_DIR", "WANDB_DATA_DIR", "WANDB_CACHE_DIR", "WANDB_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path))
    run = wandb.init(mode="offline", dir=str(tmp_path), project="watched")
    told(WandbLog())
    assert run.summary["freeness/critical"] == 0.5 and run.summary["freeness/warning"] == "Too fast."
    run.finish()
    assert [path.stat().st_size > 0 for path in tmp_path.rglob("*.wandb")] == [True]


@pytest.mark.slow
def test_the_client_of_mlflow_keeps_the_numbers_in_a_folder(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri(tmp_path.as_uri())
    mlflow.set_experiment("watched")
    with mlflow.start_run() as run:
        told(MlflowLog())
    kept = mlflow.get_run(run.info.run_id).data
    assert kept.metrics == {
        "freeness/rate": 0.1,
        "freeness/loss": 2.5,
        "freeness/gradient": 4.0,
        "freeness/critical": 0.5,
    }
    assert kept.tags["freeness.warning at step 1"] == "Too fast."


@pytest.mark.parametrize("kind", [WandbLog, MlflowLog])
def test_a_package_that_is_missing_is_named(kind, monkeypatch):
    package = {WandbLog: "wandb", MlflowLog: "mlflow"}[kind]
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=f"pip install {package}"):
        kind()


def test_several_logs_are_a_list(tmp_path):
    run = Recorded()
    made = logs_of([tmp_path / "run.jsonl", WandbLog(run)])
    for log in made:
        log.write(EVENTS[0])
    assert len(run.calls) == 1 and (tmp_path / "run.jsonl").read_text("utf-8").count("\n") == 2
