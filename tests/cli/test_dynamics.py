import json

import numpy as np
import pytest
from typer.testing import CliRunner

from freeness.cli import app
from freeness.data import load_fashion_mnist
from freeness.meanfield import LinearTraining, kernels
from freeness.network import mlp

BASE = ("--activation", "erf", "--depth", "3", "--width", "64", "--count", "20", "--steps", "30")


def run(*arguments: str):
    return CliRunner().invoke(app, ["dynamics", *arguments], env={"COLUMNS": "80"})


def test_numbers_are_those_of_the_library():
    result = run(*BASE, "--json", "-")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    images = load_fashion_mnist("train")
    x = images.flattened()[:20].astype(float)
    x *= 28 / np.linalg.norm(x, axis=1)[:, None]
    network = mlp(3, [784, 64, 64, 10], "erf", "gaussian", sigma_w=1.4, sigma_b=0.1)
    kernel = kernels(network, x, parametrisation="standard")
    training = LinearTraining(kernel.ntk, np.eye(10)[images.labels[:20]])
    assert found["largest_stable_learning_rate"] == pytest.approx(training.stable_rate)
    expected = training.averaged(kernel.nngp, training.stable_rate / 2, np.array(found["steps"]))
    np.testing.assert_allclose(found["predicted_loss"], expected)
    assert found["steps"][0] == 0 and found["steps"][-1] == 30


@pytest.mark.parametrize("loss", ["half_squared_error", "cross_entropy"])
def test_real_networks_beside_it(tmp_path, loss):
    result = run(
        *BASE, "--loss", loss, "--measure", "2", "--out", str(tmp_path / "c.png"), "--json", str(tmp_path / "c.json")
    )
    assert result.exit_code == 0, result.stderr
    found = json.loads((tmp_path / "c.json").read_text())
    assert np.shape(found["measured_loss"]) == (2, len(found["steps"]))
    assert np.mean(found["measured_loss"], axis=0)[-1] < 0.8 * np.mean(found["measured_loss"], axis=0)[0]
    assert "Sharpness of the real networks" in result.stdout and (tmp_path / "c.png").stat().st_size > 5000


def test_files(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.standard_normal((6, 4)))
    np.save(tmp_path / "y.npy", rng.standard_normal((6, 2)))
    np.save(tmp_path / "k.npy", np.array([0, 1, 2, 0, 1, 2]))
    for name in ("y.npy", "k.npy"):
        result = run(
            "--data", str(tmp_path / "x.npy"), "--targets", str(tmp_path / name), "--steps", "5", "--json", "-"
        )
        assert result.exit_code == 0, result.stderr
        losses = json.loads(result.stdout)["predicted_loss"]
        assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--loss", "hinge"), "expected a loss among"),
        (("--learning-rate", "-1"), "learning rate > 0"),
        (("--targets", "y.npy"), "labels of its own"),
        (("--data", "missing.npy"), "expected"),
        (("--out", "curves.txt"), "picture"),
        (("--activation", "nothing"), "nothing"),
    ],
)
def test_bad_input_is_one_sentence(arguments, message):
    result = run(*BASE, *arguments)
    assert result.exit_code == 2 and message in result.stderr and "Traceback" not in result.stderr


def test_an_unstable_rate_says_so_and_goes_on():
    result = run(*BASE, "--learning-rate", "10", "--steps", "400", "--measure", "1")
    assert result.exit_code == 0 and "diverged" in result.stdout and "overflow" in result.stdout, result.stderr


def test_targets_that_do_not_fit(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((6, 4)) + np.eye(6, 4))
    np.save(tmp_path / "y.npy", np.array([-1, 0, 1, 0, 1, 0]))
    np.save(tmp_path / "few.npy", np.array([0, 1]))
    for name, message in (("y.npy", "classes"), ("few.npy", "a target for each"), ("no.npy", "none")):
        result = run("--data", str(tmp_path / "x.npy"), "--targets", str(tmp_path / name))
        assert result.exit_code == 2 and message in result.stderr
    assert "expected --targets" in run("--data", str(tmp_path / "x.npy")).stderr
