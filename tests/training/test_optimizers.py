"""Stability bounds against the dynamics they bound; names, numbers and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeness import InputError
from freeness.training import SGD, Adam, Optimizer, optimizer_names, optimizer_of, register_optimizer


def final_size(optimizer: str, rate: float, curvature: float) -> float:
    """|x| after many steps of the optimiser (torch's update rules) on ½·curvature·x², from x = 1."""
    x, velocity, beta = 1.0, 0.0, 0.9
    for _ in range(4000):
        gradient = curvature * x
        if optimizer == "adam":  # frozen preconditioner: heavy ball with an averaged gradient
            velocity = beta * velocity + (1 - beta) * gradient
            x -= rate * velocity
        else:
            velocity = (0.0 if optimizer == "sgd" else beta) * velocity + gradient
            x -= rate * (gradient + beta * velocity if optimizer == "nesterov" else velocity)
        if abs(x) > 1e6:
            break
    return abs(x)


@given(st.floats(1e-3, 1e3), st.sampled_from(["sgd", "momentum", "nesterov", "adam"]))
def test_the_stable_rate_is_where_the_optimiser_stops_contracting(curvature, optimizer):
    bound = optimizer_of(optimizer).bound(curvature)
    assert final_size(optimizer, 0.98 * bound, curvature) < 1e-3
    assert final_size(optimizer, 1.02 * bound, curvature) > 1e3


@given(
    curvature=st.floats(1e-2, 1e2), decay=st.floats(0.0, 10.0), momentum=st.floats(0.0, 0.95),
    optimizer=st.sampled_from(["sgd", "momentum", "nesterov"]),
)  # fmt: skip
def test_weight_decay_and_momentum_move_the_bound(curvature, decay, momentum, optimizer):
    """torch's update rules on ½λx², the decay in the gradient."""
    bound = optimizer_of(optimizer, momentum, decay).bound(curvature)
    assert abs(descended(optimizer, 0.97 * bound, curvature, decay, momentum)) < 1
    assert abs(descended(optimizer, 1.03 * bound, curvature, decay, momentum)) > 1


def descended(optimizer, rate, curvature, decay, momentum):
    """Growth from step 500 to 3000."""
    x, velocity, before = 1.0, 0.0, 1.0
    for step in range(3000):
        gradient = (curvature + decay) * x
        if optimizer == "sgd":
            x -= rate * gradient
        else:
            velocity = momentum * velocity + gradient
            x -= rate * (velocity if optimizer == "momentum" else gradient + momentum * velocity)
        if step == 500:
            before = abs(x) + 1e-290
        if abs(x) > 1e200 or abs(x) < 1e-250:
            return x
    return abs(x) / before


@given(st.floats(1e-2, 1e2), st.floats(0.0, 5.0), st.floats(0.0, 0.95))
def test_adamw_with_a_frozen_preconditioner(curvature, decay, beta):
    bound = optimizer_of("adamw", beta, decay).bound(curvature)
    for factor, grows in ((0.97, False), (1.03, True)):
        x, average = 1.0, 0.0
        for _ in range(3000):
            average = beta * average + (1 - beta) * curvature * x
            x = x * (1 - factor * bound * decay) - factor * bound * average
            if not 1e-200 < abs(x) < 1e200:
                break
        assert (abs(x) > 1) == grows
    assert final_size("adam", 0.9 * optimizer_of("adam").bound(3.0), 3.0) < 1


def test_a_name_is_an_optimizer_with_the_usual_numbers_and_others_if_asked():
    assert [optimizer_of(name).name for name in optimizer_names()] == list(optimizer_names())
    assert optimizer_of("sgd", 0.5, 0.1) == SGD(weight_decay=0.1)  # plain descent has no momentum
    assert optimizer_of("nesterov", 0.5) == SGD(0.5, nesterov=True)
    assert optimizer_of("adamw", 0.8, 0.1) == Adam(0.8, weight_decay=0.1, decoupled=True)
    assert optimizer_of(SGD(0.3)) == SGD(0.3) and optimizer_of("momentum", 0.0) == SGD()
    register_optimizer(Adam())  # as it is known already


class Halving(Optimizer):
    """An optimiser of somebody's own."""

    name, formula = "sgd", "1/λ"

    def contracts_below(self, sharpness):
        return 1 / sharpness


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: optimizer_of("lion"), "optimizer among.*not covered"),
        (lambda: optimizer_of("adam", weight_decay=0.1), "adamw"),
        (lambda: SGD(momentum=1.0), "momentum in"),
        (lambda: SGD(weight_decay=-1.0), "decay ≥ 0"),
        (lambda: Adam(beta1=float("nan")), "β₁ in"),
        (lambda: Adam(epsilon=0.0), "ε > 0"),
        (lambda: SGD().bound(0.0), "sharpness > 0"),
        (lambda: SGD().bound(float("nan")), "sharpness > 0"),
        (lambda: register_optimizer(Halving()), "no other optimizer has"),
        (lambda: optimizer_of(Halving(), momentum=0.5), "its own numbers"),
    ],
)
def test_bad_input_is_one_sentence(call, message):
    with pytest.raises(InputError, match=message):
        call()
