import json

import numpy as np
import pytest
import torch

from freeness.data import load_fashion_mnist
from freeness.meanfield import kernels
from freeness.network import mlp
from tests.cli.called import Called

BASE = ("--activation", "erf", "--depth", "5", "--sigma-w", "1.2", "--sigma-b", "0.1", "--count", "20")


run = Called("kernel")


def test_files_and_numbers_are_those_of_the_library(tmp_path):
    result = run(*BASE, "--out", str(tmp_path / "k.npz"), "--json", "-")
    assert result.exit_code == 0, result.stderr
    inputs = load_fashion_mnist("train").flattened()[:20].astype(float)
    inputs *= np.sqrt(784) / np.linalg.norm(inputs, axis=1)[:, None]
    exact = kernels(mlp(5, inputs.shape[1], "erf", "gaussian", sigma_w=1.2, sigma_b=0.1), inputs)
    with np.load(tmp_path / "k.npz") as stored:
        np.testing.assert_allclose(stored["ntk"], exact.ntk, rtol=1e-12)
        np.testing.assert_allclose(stored["nngp"], exact.nngp, rtol=1e-12)
    found = json.loads(result.stdout)
    values = np.linalg.eigvalsh(exact.ntk)
    np.testing.assert_allclose(found["ntk_eigenvalues"], values, rtol=1e-9)
    assert found["largest_stable_learning_rate"] == pytest.approx(20 / values[-1])


def test_gradient_descent_on_the_linearised_network_is_stable_below_the_printed_rate():
    """f ↦ f - (2η/n)Θ(f - y) for the mean of squared errors: 1 % below the rate it falls, 1 % above it grows."""
    found = json.loads(run(*BASE, "--json", "-").stdout)
    values = np.array(found["ntk_eigenvalues"])
    for factor, stable in ((0.99, True), (1.01, False)):
        step = 1 - 2 * factor * found["largest_stable_learning_rate"] / 20 * values
        assert (np.abs(step).max() < 1) == stable


def test_a_file_of_inputs_of_any_shape(tmp_path):
    inputs = np.random.default_rng(0).standard_normal((4, 2, 3))
    np.save(tmp_path / "x.npy", inputs)
    result = run("--activation", "relu", "--depth", "3", "--sigma-w", "1.4", "--data", str(tmp_path / "x.npy"), "--raw")
    assert result.exit_code == 0 and result.stderr == ""
    exact = kernels(mlp(3, 6, "relu", "gaussian", sigma_w=1.4), inputs.reshape(4, 6))
    assert f"{np.linalg.eigvalsh(exact.ntk)[-1]:.6g}" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_residual_networks():
    """By hand: for ReLU q grows by β²σ_w²/2 a block, Σ between inputs by the arc-cosine kernel; 3 blocks and the last layer."""
    result = run(
        "--activation", "relu", "--depth", "5", "--sigma-w", "1.5", "--residual", "0.5", "--count", "2", "--json", "-"
    )
    found = json.loads(result.stdout)
    inputs = load_fashion_mnist("train").flattened()[:2].astype(float)
    inputs /= np.linalg.norm(inputs, axis=1)[:, None]
    q, p = 2.25, 2.25 * float(inputs[0] @ inputs[1])
    theta = np.array([q, p])
    for scale in (0.25, 0.25, 0.25, None):
        c = p / q
        kernel = q * (np.sqrt(1 - c**2) + (np.pi - np.arccos(c)) * c) / (2 * np.pi)
        slope = np.array([0.5, (np.pi - np.arccos(c)) / (2 * np.pi)])
        branch = 2.25 * np.array([q / 2, kernel])
        tangent = branch + 2.25 * slope * theta
        (q, p), theta = (np.array([q, p]) + scale * branch, theta + scale * tangent) if scale else (branch, tangent)
    assert found["ntk_eigenvalues"] == pytest.approx([theta[0] - theta[1], theta[0] + theta[1]], rel=1e-10)
    assert found["residual"] == 0.5 and found["depth"] == 5


def test_the_printed_rate_is_that_of_the_json():
    shown = run(*BASE).stdout
    assert f"{json.loads(run(*BASE, '--json', '-').stdout)['largest_stable_learning_rate']:.4g}" in shown


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*BASE, "--out", "k.txt"), ".npz"),
        ((*BASE[:3], "2", *BASE[4:], "--residual", "1"), "depth ≥ 3"),
        ((*BASE, "--data", "/no/such.npy"), "check the path"),
        ((*BASE[:2], "--depth", "5", "--sigma-w", "0"), "sigma_w > 0"),
        (("--activation", "xx", *BASE[2:]), "activation"),
        ((*BASE, "--parameter", "a"), "NAME=VALUE"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(arguments, message):
    result = run(*arguments)
    assert result.exit_code == 2 and result.stdout == ""
    assert message in result.stderr and result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros(3), "inputs of shape (samples, …)"),
        (np.zeros((0, 5)), "inputs with elements"),
        (np.array([["a"]]), "numbers as inputs"),
    ],
)
def test_files_that_hold_no_inputs_are_refused(tmp_path, array, words):
    np.save(tmp_path / "x.npy", array)
    result = run(*BASE, "--data", str(tmp_path / "x.npy"))
    assert result.exit_code == 2 and words in result.stderr


def test_every_kind_of_data_gives_the_same_kernel(tmp_path):
    """A file of arrays, one of tensors, and the user's own function."""
    x = np.random.default_rng(0).standard_normal((5, 6))
    np.save(tmp_path / "x.npy", x)
    np.savez(tmp_path / "x.npz", inputs=x)
    torch.save(torch.from_numpy(x), tmp_path / "x.pt")
    (tmp_path / "mine.py").write_text(
        f"import numpy\ndef make():\n    print('hi')\n    return numpy.load({str(tmp_path / 'x.npy')!r})\n"
    )
    kinds = ("x.npy", "x.npz", "x.pt", "mine.py:make")
    found = [run(*BASE, "--data", str(tmp_path / kind), "--json", "-") for kind in kinds]
    spectra = [json.loads(result.stdout)["ntk_eigenvalues"] for result in found]
    assert spectra[0] == spectra[1] == spectra[2] == spectra[3]
    assert "this runs the code in" in found[3].stderr and "this runs" not in found[0].stderr
    assert json.loads(run(*BASE, "--data", "gaussian:6", "--count", "5", "--json", "-").stdout)["inputs"] == 5
