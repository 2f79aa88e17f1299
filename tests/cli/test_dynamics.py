import json

import numpy as np
import pytest

import freeness as fr
from freeness.advice import Training
from freeness.data import load_fashion_mnist
from freeness.meanfield import kernels
from freeness.network import mlp
from freeness.training import LinearTraining
from tests.cli.called import Called

BASE = ("--activation", "erf", "--depth", "3", "--width", "64", "--count", "20", "--steps", "30")


run = Called("dynamics")


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
    assert found["stable_learning_rate_at_infinite_width"] == pytest.approx(training.stable_rate)
    advised = fr.batch_learning_rate(network, x, Training("half_squared_error", batch=20))
    assert found["learning_rate"] == pytest.approx(advised.recommended) == found["rates"][0]["recommended"]
    assert found["rates"][0]["sharpness"] == pytest.approx(advised.sharpness)
    assert found["rates"][0]["stable_with_momentum"] == pytest.approx(1.9 * advised.bound)
    expected = training.averaged(kernel.nngp, advised.recommended, np.array(found["steps"]))
    np.testing.assert_allclose(found["predicted_loss"], expected)
    assert found["steps"][0] == 0 and found["steps"][-1] == 30


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_the_predicted_sharpness_is_that_of_real_networks(loss):
    """Of all inputs, for the loss itself; and batches have their own."""
    result = run(*BASE, "--width", "512", "--loss", loss, "--batch", "5", "--measure", "3", "--json", "-")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    whole, batch = found["rates"]
    assert (whole["batch"], batch["batch"]) == (20, 5) and batch["sharpness"] > whole["sharpness"]
    measured = np.mean([row[0] for row in found["sharpness_first_and_last"]])
    assert measured == pytest.approx(whole["sharpness"], rel=0.25)
    assert whole["stable"] == pytest.approx(2 / whole["sharpness"]) and len(whole["assumptions"]) >= 3
    shown = run(*BASE, "--loss", loss, "--batch", "5").stdout
    assert "stable below" in shown and "momentum" in shown
    assert batch["stable_with_momentum"] < 1.8 * batch["stable"]  # it keeps the noise of random batches
    assert batch["recommended_with_momentum"] <= 0.5 * batch["stable_with_momentum"]


@pytest.mark.parametrize("loss", ["half_squared_error", "cross_entropy"])
def test_real_networks_beside_it(tmp_path, loss):
    result = run(
        *BASE, "--loss", loss, "--measure", "2", "--out", str(tmp_path / "c.png"), "--json", str(tmp_path / "c.json")
    )
    assert result.exit_code == 0, result.stderr
    found = json.loads((tmp_path / "c.json").read_text())
    assert np.shape(found["measured_loss"]) == (2, len(found["steps"]))
    own, measured = np.array(found["predicted_loss_from_own_outputs"]), np.mean(found["measured_loss"], axis=0)
    assert own[0] == pytest.approx(measured[0], rel=1e-5) and abs(own[1] / measured[1] - 1) < 0.1
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
        (("--batch", "21"), "at most the 20 inputs"),
        (("--out", "same.png", "--json", "same.png"), "different files"),
        (("--out", f"{__file__}/c.png"), "is closed"),
        (("--json", "/"), "folder"),
    ],
)
def test_bad_input_is_one_sentence(arguments, message):
    assert message in run.refused(*BASE, *arguments)


@pytest.mark.parametrize("rate", ["10", "1e300"])
def test_an_unstable_rate_says_so_and_goes_on(tmp_path, rate):
    picture = str(tmp_path / "c.png")
    result = run(*BASE, "--learning-rate", rate, "--steps", "400", "--measure", "1", "--out", picture)
    assert result.exit_code == 0 and "diverged" in result.stdout and "overflow" in result.stdout, result.stderr


def test_targets_that_do_not_fit(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((6, 4)) + np.eye(6, 4))
    np.save(tmp_path / "y.npy", np.array([-1, 0, 1, 0, 1, 0]))
    np.save(tmp_path / "few.npy", np.array([0, 1]))
    np.save(tmp_path / "many.npy", np.arange(7) % 2)
    np.save(tmp_path / "huge.npy", np.array([0, 1, 2, 3, 4, 10**9]))
    np.save(tmp_path / "number.npy", np.array(3))
    np.save(tmp_path / "cube.npy", np.ones((6, 2, 2)))
    np.save(tmp_path / "large.npy", np.full((6, 2), 1e200))
    np.savez(tmp_path / "several.npz", x=np.ones(6))
    (tmp_path / "text.npy").write_text("words")
    for name, message in (
        ("y.npy", "classes"), ("few.npy", "a target for each"), ("no.npy", "does not exist"), ("many.npy", "a target for each"),
        ("huge.npy", "below 10000"), ("number.npy", "shape ()"), ("cube.npy", "shape (6, 2, 2)"), ("large.npy", "finite"),
        ("several.npz", "named inputs and targets"), ("text.npy", "readable .npy file"),
    ):  # fmt: skip
        result = run("--data", str(tmp_path / "x.npy"), "--targets", str(tmp_path / name))
        assert result.exit_code == 2 and message in result.stderr, name
        assert result.stderr.count("\n") == 1
    assert "expected --targets" in run("--data", str(tmp_path / "x.npy")).stderr
    np.save(tmp_path / "one.npy", np.zeros(6, dtype=int))
    alone = run("--data", str(tmp_path / "x.npy"), "--targets", str(tmp_path / "one.npy"), "--loss", "cross_entropy")
    assert alone.exit_code == 2 and "two classes" in alone.stderr


def test_inputs_that_are_not_finite(tmp_path):
    for value in (np.nan, np.inf, 1e300):
        np.save(tmp_path / "x.npy", np.full((6, 4), value))
        result = run("--data", str(tmp_path / "x.npy"), "--targets", str(tmp_path / "x.npy"))
        assert result.exit_code == 2 and "expected finite inputs below 1e+100" in result.stderr


def test_a_prediction_of_rounding_is_not_compared():
    """One input is learnt in one step at half the stable rate: what is left is rounding."""
    stable = json.loads(run(*BASE, "--count", "1", "--json", "-").stdout)["stable_learning_rate_at_infinite_width"]
    result = run(*BASE, "--count", "1", "--learning-rate", str(stable / 2), "--measure", "1")
    assert result.exit_code == 0 and "e+" not in result.stdout and "00000" not in result.stdout


def test_a_large_deviation_is_told_with_the_loss_that_is_left():
    """The sentence's numbers against the JSON's curves; a curve that agrees gets none."""
    long = (*BASE, "--steps", "300", "--measure", "1")
    shown = " ".join(run(*long).stdout.split())
    found = json.loads(run(*long, "--json", "-").stdout)
    own, measured = np.array(found["predicted_loss_from_own_outputs"]), np.array(found["measured_loss"][0])
    assert abs(measured[-1] / own[-1] - 1) > 0.05
    first = int(np.argmax(np.abs(measured / own - 1) > 0.05))
    assert f"At step 300 the deviation is {measured[-1] / own[-1] - 1:+.1%}, with " in shown
    left = float(shown.split("%, with 1/")[1].split(" ")[0])
    assert left == pytest.approx(measured[0] / measured[-1], rel=0.01)
    assert f"it passes 5% at step {found['steps'][first]}," in shown and "Small losses miss" in shown
    assert "Small losses miss" not in run(*BASE, "--steps", "2", "--width", "1024", "--measure", "1").stdout


def test_targets_of_the_data_themselves_are_those_of_a_file_beside_them(tmp_path):
    x, y = np.random.default_rng(0).standard_normal((6, 4)), np.arange(6) % 3
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    np.savez(tmp_path / "xy.npz", inputs=x, targets=y)
    beside = run("--data", str(tmp_path / "x.npy"), "--targets", str(tmp_path / "y.npy"), "--steps", "5", "--json", "-")
    within = run("--data", str(tmp_path / "xy.npz"), "--steps", "5", "--json", "-")
    assert json.loads(beside.stdout) | {"data": ""} == json.loads(within.stdout) | {"data": ""}
    both = run("--data", str(tmp_path / "xy.npz"), "--targets", str(tmp_path / "y.npy"))
    assert both.exit_code == 2 and "labels of its own" in both.stderr
