"""Predicted training against gradient descent that is written out, and its limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from freeness import InputError
from freeness.training import LinearTraining, Unseen

LOSSES = ("half_squared_error", "half_mean_squared_error", "mse", "cross_entropy")


def problem(seed, n, c, loss, rank=None):
    """A linear model f = f₀ + XW whose tangent kernel is XXᵀ, with its data."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, rank or n + 3))
    y = np.eye(c)[rng.integers(c, size=n)] if loss == "cross_entropy" else rng.standard_normal((n, c))
    return x, y, rng.standard_normal((n, c)), rng


def gradient(loss, f, y):
    """Of one sample's loss in its outputs, by the definitions."""
    c = y.shape[1]
    if loss == "cross_entropy":
        return softmax(f, axis=1) - y
    return {"half_squared_error": 1.0, "half_mean_squared_error": 1 / c, "mse": 2 / c}[loss] * (f - y)


def value(loss, f, y):
    if loss == "cross_entropy":
        p = softmax(f, axis=1)
        return -np.log((p * y).sum(axis=1)).mean()
    square = (f - y) ** 2
    return {
        "half_squared_error": square.sum(axis=1).mean() / 2,
        "half_mean_squared_error": square.mean() / 2,
        "mse": square.mean(),
    }[loss]


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 7),
    c=st.integers(1, 4),
    loss=st.sampled_from(LOSSES),
    rank=st.sampled_from([None, 2]),
    share=st.floats(0.1, 1.3),
)
def test_descent_is_that_of_the_linear_model(seed, n, c, loss, rank, share):
    """On the weights of the model itself, unseen inputs too; above the stable rate as well."""
    x, y, start, rng = problem(seed, n, c, loss, rank)
    training = LinearTraining(x @ x.T, y, start, loss)
    rate = share * training.stable_rate
    other, wanted, begin = rng.standard_normal((3, x.shape[1])), y[[0, 0, 0]], rng.standard_normal((3, c))
    steps = np.array([0, 1, 2, 7])
    found = training.descent(rate, steps)
    seen = training.descent(rate, steps, Unseen(other @ x.T, wanted, begin))
    w = np.zeros((x.shape[1], c))
    for step in range(8):
        f = start + x @ w
        if step in steps:
            k = int(np.searchsorted(steps, step))
            scale = 1 + np.abs(f).max()
            np.testing.assert_allclose(found.outputs[k], f, atol=1e-9 * scale)
            np.testing.assert_allclose(seen.outputs[k], begin + other @ w, atol=1e-9 * scale * (1 + np.abs(w).max()))
            assert found.loss[k] == pytest.approx(value(loss, f, y), rel=1e-8, abs=1e-12)
        w = w - rate / n * x.T @ gradient(loss, f, y)


@pytest.mark.parametrize("loss", LOSSES)
def test_flow_is_the_limit_of_small_steps(loss):
    x, y, start, _ = problem(3, 6, 3, loss)
    training = LinearTraining(x @ x.T, y, start, loss)
    times = np.array([0.0, 0.3, 1.5])
    flow = training.flow(times)
    errors = []
    for count in (1000, 2000):
        small = training.descent(1.5 / count, (times / 1.5 * count).round().astype(int))
        errors.append(np.abs(small.outputs - flow.outputs).max())
    assert errors[1] < 2e-3 * np.abs(flow.outputs).max()
    assert errors[0] / errors[1] == pytest.approx(2.0, rel=0.05)  # first order in the step


def test_average_over_initial_outputs():
    """Against drawn ones; without any, the mean alone."""
    x, y, _, rng = problem(4, 5, 2, "mse")
    training = LinearTraining(x @ x.T, y, loss="mse")
    covariance = x @ x.T / 4
    rate, steps = 0.7 * training.stable_rate, np.array([0, 3, 20])
    root = np.linalg.cholesky(covariance + 1e-12 * np.eye(5))
    drawn = [
        LinearTraining(x @ x.T, y, root @ rng.standard_normal((5, 2)), "mse").descent(rate, steps).loss
        for _ in range(2000)
    ]
    error = np.std(drawn, axis=0, ddof=1) / 2000**0.5
    assert (np.abs(training.averaged(covariance, rate, steps) - np.mean(drawn, axis=0)) <= 4 * error + 1e-12).all()
    np.testing.assert_allclose(training.averaged(0 * covariance, rate, steps), training.descent(rate, steps).loss)


def test_directions_are_learnt_in_the_order_of_their_eigenvalues():
    x, y, start, _ = problem(5, 6, 3, "half_squared_error")
    training = LinearTraining(x @ x.T, y, start)
    found = training.directions(0.2 * training.stable_rate)
    assert (np.diff(found.eigenvalues) <= 0).all() and (np.diff(found.steps) >= 0).all()
    assert found.share.sum() == pytest.approx(1.0)
    _, vectors = np.linalg.eigh(x @ x.T)
    slow = int(np.ceil(found.steps[-1]))
    left = vectors[:, 0] @ (training.descent(0.2 * training.stable_rate, [slow]).outputs[0] - y)
    assert np.linalg.norm(left) <= np.exp(-1) * np.linalg.norm(vectors[:, 0] @ (start - y)) * (1 + 1e-9)
    assert np.isinf(training.directions(1.1 * training.stable_rate).steps[0])


def test_directions_that_hardly_move_keep_their_digits():
    """λ = 1e-15 beside 1, seen from an input whose kernel is as large as that of the quick one."""
    kernel, targets = np.diag([1.0, 1e-15]), np.ones((2, 1))
    unseen = Unseen(np.array([[0.0, 1.0]]), np.zeros((1, 1)), np.zeros((1, 1)))
    found = LinearTraining(kernel, targets).descent(1.0, [0, 7, 1000], unseen).outputs[:, 0, 0]
    np.testing.assert_allclose(found, [0.0, 3.5, 500.0], rtol=1e-11)


def test_a_kernel_that_is_zero_learns_nothing_at_any_rate():
    training = LinearTraining(np.zeros((2, 2)), np.ones((2, 1)))
    assert training.stable_rate == np.inf
    np.testing.assert_array_equal(training.descent(1.0, [0, 5]).loss, [0.5, 0.5])


@pytest.mark.parametrize("loss", ["mse", "cross_entropy"])
def test_steps_to_a_loss(loss):
    x, y, start, _ = problem(6, 6, 3, loss)
    training = LinearTraining(x @ x.T, y, start, loss)
    rate = 0.4 * training.stable_rate
    curve = training.descent(rate, np.arange(200))
    wanted = float(curve.loss[37])
    assert training.steps_to(wanted, rate) == 37
    assert training.steps_to(float(curve.loss[0]), rate) == 0
    assert training.steps_to(-1.0, rate, most=50) is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda k, y: LinearTraining(k[:2], y), "kernel"),
        (lambda k, y: LinearTraining(k, y[:, 0]), "targets"),
        (lambda k, y: LinearTraining(k, y, y[:2]), "initial outputs"),
        (lambda k, y: LinearTraining(k, y, loss="hinge"), "loss among"),  # pyright: ignore[reportArgumentType]
        (lambda k, y: LinearTraining(k * np.nan, y), "finite numbers in kernel"),
        (lambda k, y: LinearTraining(k, y * 1e200), "finite numbers in targets"),
        (lambda k, y: LinearTraining(k + np.eye(3, k=1), y), "symmetric"),
        (lambda k, y: LinearTraining(k[:0, :0], y[:0]), "targets"),
        (lambda k, y: LinearTraining(k, y, loss="cross_entropy"), "distributions"),
        (lambda k, y: LinearTraining(k, y).descent(0.0, [1]), "learning rate > 0"),
        (lambda k, y: LinearTraining(k, y).descent(0.1, [2, 1]), "ascending"),
        (lambda k, y: LinearTraining(k, y).flow([-1.0]), "times"),
        (lambda k, y: LinearTraining(k, y).steps_to(0.1, 1e9), "below the stable"),
        (lambda k, y: LinearTraining(k, y).descent(0.1, [1], Unseen(k[:1, :2], y[:1], y[:1])), "unseen"),
        (lambda k, y: LinearTraining(k, np.eye(3), loss="cross_entropy").directions(0.1), "squared-error"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(InputError, match=message):
        make(np.eye(3), np.array([[1.0, 2.0], [0.5, 0.1], [-1.0, 0.3]]))
