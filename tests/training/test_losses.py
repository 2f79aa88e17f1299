"""Losses: value, slope, Hessian and their bounds agree with one another, by differences; names and what they refuse."""

import numpy as np
import pytest
from scipy.special import softmax

from freeness import InputError
from freeness.training import (
    BinaryCrossEntropy,
    CrossEntropy,
    Loss,
    QuadraticLoss,
    SquaredError,
    loss_names,
    loss_of,
    register_loss,
)

OUTPUTS = 4
RNG = np.random.default_rng(3)
ROOT = RNG.standard_normal((OUTPUTS, 2))
LOSSES = [
    SquaredError(),
    SquaredError(averaged=True),
    SquaredError(averaged=True, halved=False),
    SquaredError(halved=False),
    CrossEntropy(),
    CrossEntropy(0.2),
    BinaryCrossEntropy(),
    QuadraticLoss(ROOT @ ROOT.T),
]
VALUES = {
    "half_squared_error": lambda f, y: np.sum((f - y) ** 2) / 2,
    "half_mean_squared_error": lambda f, y: np.mean((f - y) ** 2) / 2,
    "mse": lambda f, y: np.mean((f - y) ** 2),
    "cross_entropy": lambda f, y: np.log(np.sum(np.exp(f))) - f @ y,
    "binary_cross_entropy": lambda f, y: np.mean(
        -y * np.log(1 / (1 + np.exp(-f))) - (1 - y) * np.log(1 / (1 + np.exp(f)))
    ),
}
STEP = 1e-4


def targets(loss):
    drawn = np.random.default_rng(5).standard_normal((3, OUTPUTS))
    if isinstance(loss, CrossEntropy):
        return softmax(drawn, axis=1)
    return 1 / (1 + np.exp(-drawn)) if isinstance(loss, BinaryCrossEntropy) else drawn


def differences(function, at):
    """The central differences of a function of the outputs (n, C), along each of them: (n, …, C)."""
    units = STEP * np.eye(OUTPUTS)
    return np.stack([(function(at + unit) - function(at - unit)) / (2 * STEP) for unit in units], axis=-1)


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_slope_and_hessian_are_the_derivatives_of_the_value(loss):
    f, y = 2 * np.random.default_rng(8).standard_normal((3, OUTPUTS)), targets(loss)
    np.testing.assert_allclose(loss.slope(f, y), differences(lambda f: loss.value(f, y), f), atol=1e-7)
    np.testing.assert_allclose(loss.hessian(f), differences(lambda f: loss.slope(f, y), f), atol=1e-7)


@pytest.mark.parametrize("name", VALUES)
def test_values_are_those_of_the_definitions(name):
    loss = loss_of(name)
    f, y = np.random.default_rng(8).standard_normal((3, OUTPUTS)), targets(loss_of(name))
    expected = [VALUES[name](*pair) for pair in zip(f, y, strict=True)]
    np.testing.assert_allclose(loss.value(f, y), expected, rtol=1e-12)
    assert loss.at_zero(y) == pytest.approx(np.mean([VALUES[name](np.zeros(OUTPUTS), row) for row in y]))


@pytest.mark.parametrize("loss", LOSSES, ids=str)
@pytest.mark.parametrize("outputs", [2, OUTPUTS, 37])
def test_the_curvature_is_the_largest_eigenvalue_of_the_hessian_at_outputs_of_zero(loss, outputs):
    if isinstance(loss, QuadraticLoss) and outputs != OUTPUTS:
        with pytest.raises(InputError, match=f"{outputs}×{outputs} Hessian"):
            loss.curvature(outputs)
        return
    assert loss.curvature(outputs) == pytest.approx(np.linalg.eigvalsh(loss.hessian(np.zeros(outputs)))[-1])


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_no_outputs_are_steeper_than_the_steepest(loss):
    anywhere = 5 * np.random.default_rng(9).standard_normal((500, OUTPUTS))
    tops = np.linalg.eigvalsh(loss.hessian(anywhere))[:, -1]
    assert tops.max() <= loss.steepest(OUTPUTS) * (1 + 1e-12)
    pair = np.where(np.arange(OUTPUTS) < 2, 0.0, -50.0)  # two classes share all; logits of the others are far away
    if not isinstance(loss, BinaryCrossEntropy):
        assert np.linalg.eigvalsh(loss.hessian(pair))[-1] == pytest.approx(loss.steepest(OUTPUTS))


def test_a_name_is_a_loss_and_a_hessian_is_one():
    assert [loss_of(name).name for name in loss_names()] == list(loss_names())
    assert loss_of(LOSSES[0]) is LOSSES[0] and f"{loss_of('mse')}" == "mse"
    assert loss_of(np.diag([1.0, 3.0])).curvature(2) == 3.0
    register_loss(CrossEntropy())  # as it is known already
    with pytest.raises(InputError, match="no other loss has"):
        register_loss(Named())


class Named(Loss):
    """A loss of somebody's own, under a name that is taken."""

    name, formula, expects = "mse", "0", "numbers"

    def value(self, outputs, targets):
        return 0 * outputs.sum(-1)

    def slope(self, outputs, targets):
        return 0 * outputs

    def hessian(self, outputs):
        return np.zeros((*outputs.shape, outputs.shape[-1]))

    def steepest(self, outputs):
        return 0.0

    def check(self, targets):
        pass


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: loss_of("hinge"), "loss among"),
        (lambda: loss_of(np.diag([1.0, -1.0])), "positive semi-definite"),
        (lambda: loss_of(np.tri(3)), "symmetric"),
        (lambda: loss_of(np.zeros((3, 3))), "other than 0"),
        (lambda: loss_of(np.ones(3)), "C×C Hessian"),
        (lambda: loss_of(None), "C×C Hessian"),
        (lambda: CrossEntropy(1.0), "label smoothing in"),
        (lambda: CrossEntropy().check(np.array([[0.5, 0.4]])), "distributions"),
        (lambda: BinaryCrossEntropy().check(np.array([[1.5]])), "from 0 to 1"),
    ],
)
def test_bad_input_is_one_sentence(call, message):
    with pytest.raises(InputError, match=message):
        call()
