"""Mean-square stability on random batches against the recursion of second moments written out, and closed forms."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freeness import InputError
from freeness.training import SGD, optimizer_of, random_batch_bound


def second_moments_grow(gradients, batch, rate, descent):
    """Spectral radius of E[A ⊗ A] over all batches, A the step of (parameters, velocity) by torch's rules: above 1?"""
    n, size = gradients.shape
    beta = descent.momentum
    total, batches = 0.0, list(combinations(range(n), batch))
    for rows in batches:
        curvature = gradients[list(rows)].T @ gradients[list(rows)] / batch + descent.weight_decay * np.eye(size)
        eye = np.eye(size)
        ahead = curvature + beta * curvature if descent.nesterov else curvature
        kept = beta * beta * eye if descent.nesterov else beta * eye
        step = np.block([[eye - rate * ahead, -rate * kept], [curvature, beta * eye]])
        total = total + np.kron(step, step)
    return np.abs(np.linalg.eigvals(total / len(batches))).max() > 1


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(2, 5),
    batch=st.integers(1, 4),
    how=st.sampled_from([SGD(), SGD(0.9), SGD(0.5), SGD(0.9, nesterov=True), SGD(0.6, nesterov=True)]),
)
def test_second_moments_stop_growing_there(seed, n, batch, how):
    """Fewer parameters than samples would leave errors that no step reaches: gradients are independent here."""
    batch = min(batch, n)
    gradients = np.random.default_rng(seed).standard_normal((n, n))
    bound = random_batch_bound(gradients @ gradients.T, batch, 1.0, how)
    assert second_moments_grow(gradients, batch, 1.01 * bound, how)
    assert not second_moments_grow(gradients, batch, 0.99 * bound, how)


def test_weight_decay_takes_part():
    how = SGD(0.9, weight_decay=0.5)
    gradients = np.random.default_rng(0).standard_normal((3, 3))
    bound = random_batch_bound(gradients @ gradients.T, 1, 1.0, how)
    assert second_moments_grow(gradients, 1, 1.01 * bound, how)
    assert not second_moments_grow(gradients, 1, 0.99 * bound, how)


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "nesterov"])
def test_all_samples_or_samples_alike_leave_no_noise(optimizer):
    how = optimizer_of(optimizer)
    alike = np.ones((6, 6))
    for kernel, batch in ((alike, 2), (np.diag([3.0, 2.0, 1.0]), 3)):
        steady = how.bound(np.linalg.eigvalsh(kernel)[-1] / len(kernel))
        assert random_batch_bound(kernel, batch, 1.0, how) == pytest.approx(steady, rel=1e-6)


def test_orthogonal_samples_have_the_closed_form():
    """Each direction by itself: η < 2(1+β)/(σ²(1+β)/(a(1-β)) + a) with a the mean curvature and σ² its variance."""
    n, size = 8, 2.0
    a = size / n
    for batch in (1, 3):
        variance = (n - batch) / (batch * (n - 1)) * (size**2 / n - a**2)
        for beta in (0.0, 0.5, 0.9):
            expected = 2 * (1 + beta) / (variance * (1 + beta) / (a * (1 - beta)) + a)
            found = random_batch_bound(size * np.eye(n), batch, 1.0, SGD(beta))
            assert found == pytest.approx(expected, rel=2e-3)


def test_many_samples_are_represented_by_some():
    x = np.random.default_rng(0).standard_normal((700, 30))
    found = random_batch_bound(x @ x.T, 8, 1.0, SGD(0.9))
    assert found == pytest.approx(random_batch_bound(x[:500] @ x[:500].T, 8, 1.0, SGD(0.9)), rel=0.1)


@pytest.mark.parametrize("batch", [0, 4])
def test_bad_input(batch):
    with pytest.raises(InputError, match="batch from 1 to the 3 inputs"):
        random_batch_bound(np.eye(3), batch, 1.0, SGD())
