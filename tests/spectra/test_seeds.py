"""Forward passes drawn without weights, and averages over them, against networks with weights."""

import numpy as np
import pytest

from freeness import InputError, fisher_law, mlp
from freeness.network import Branch, Dense, Measured, Network, resnet
from freeness.spectra import average_over_seeds, drawn_pass
from tests.spectra.graph_simulation import draw_graph
from tests.spectra.simulation import draw

DRAWS = 80


@pytest.mark.parametrize("weights", ["gaussian", "haar"])
def test_norms_wander_as_in_networks_with_weights(weights):
    """Mean and standard deviation of ‖h‖²/N behind 6 layers, of widths that grow and shrink: 4 standard errors."""
    network = mlp(6, [40, 60, 60, 30, 60, 60, 40], "relu", weights, sigma_w=1.4, sigma_b=0.2)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 40))
    real = [np.mean(draw_graph(network, x[0], rng).signals.preactivations[-1] ** 2) for _ in range(DRAWS)]
    fast = [np.mean(drawn_pass(network, samples=x, rng=rng).preactivations[-1] ** 2) for _ in range(DRAWS)]
    error = np.hypot(np.std(real), np.std(fast)) / DRAWS**0.5
    assert abs(np.mean(real) - np.mean(fast)) < 4 * error
    assert abs(np.log(np.std(real) / np.std(fast))) < 4 * (1 / DRAWS) ** 0.5


def test_measured_singular_values_wander_like_the_matrix():
    """‖Wx‖² of a bi-invariant matrix with spread singular values, against the definition."""
    values = np.linspace(0.0, 2.0, 30)
    layer = Dense(50, 30, Measured(float(np.sqrt((values**2).mean())), values))
    rng = np.random.default_rng(1)
    x = rng.standard_normal((1, 50))
    fast = [float((drawn_pass(Network((layer,)), samples=x, rng=rng).preactivations[0] ** 2).sum()) for _ in range(400)]
    directions = rng.standard_normal((400, 50))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    real = (directions[:, :30] ** 2 @ values**2) * (x**2).sum()
    error = np.hypot(np.std(real), np.std(fast)) / 20
    assert abs(np.mean(real) - np.mean(fast)) < 4 * error
    assert np.std(fast) == pytest.approx(np.std(real), rel=0.2)


def test_samples_keep_their_correlation():
    """Haar weights keep angles exactly; two samples through one square layer."""
    x = np.random.default_rng(2).standard_normal((2, 40))
    found = drawn_pass(mlp(1, 40, "tanh", "haar"), samples=x, rng=np.random.default_rng(3)).preactivations[0]
    np.testing.assert_allclose(found @ found.T, x @ x.T, rtol=1e-10)


@pytest.mark.parametrize("fisher", [True, False], ids=["fisher", "jacobian"])
def test_averages_and_their_spread_are_those_of_drawn_networks(fisher):
    """A ReLU chain at width 60: the mean of the spectrum over networks, and how much it differs between them."""
    network = mlp(6, 60, "relu", "gaussian", sigma_w=2**0.5)
    rng = np.random.default_rng(4)
    samples = [draw(network, 1.0, rng) for _ in range(DRAWS)]
    measured = np.array([(s.fisher if fisher else s.jacobian).mean() for s in samples])
    found = average_over_seeds(network, fisher=fisher, seeds=40)
    error = np.hypot(found.mean.error, measured.std() / DRAWS**0.5)
    assert abs(found.mean.value - measured.mean()) < 4 * error
    own = np.mean([p.finite_width_error for p in found.predictions])  # what fresh last weights add to a given pass
    assert np.hypot(found.spread, own) == pytest.approx(measured.std() / measured.mean(), rel=0.6)


def test_a_residual_network_is_averaged_too():
    network = resnet(3, 60, Branch("tanh", sigma_w=1.2))
    found = average_over_seeds(network, seeds=4)
    wide = fisher_law(network).mean
    assert abs(found.mean.value - wide) < 4 * found.mean.error + 0.05 * wide
    x = np.array([0.3, 0.6]) * found.edge.value
    density, distribution = found.density(x), found.cdf(x)
    assert (density.error < 0.3 * density.value).all() and np.diff(distribution.value)[0] > 0


def test_one_seed_has_no_error():
    with pytest.raises(InputError, match="2 seeds"):
        average_over_seeds(mlp(2, 10), seeds=1)
