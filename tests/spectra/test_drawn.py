import numpy as np
import pytest

from freeness.errors import InputError
from freeness.network import Branch, Haar, Network, PositionWise, TokenMixing, cnn, mlp, resnet
from freeness.spectra import predict_fisher
from freeness.spectra.drawn import drawn_spectrum
from tests.spectra.graph_simulation import draw_graph

NETWORKS = {
    "haar chain": mlp(5, 30, "tanh", "haar", sigma_w=1.1, sigma_b=0.2),
    "gaussian chain": mlp(5, [30, 40, 20, 30, 25, 10], "relu", "gaussian", sigma_w=2**0.5, sigma_b=0.1),
    "normalised": resnet(3, 30, Branch("gelu", "gaussian", normalisation="layer"), outputs=10),
    "residual": resnet(4, 30, Branch("tanh", "gaussian", sigma_w=1.2, dense=2), inputs=30, outputs=10),
}
CONVOLUTIONS = {
    "gaussian": cnn(mlp(3, 48, "tanh", "gaussian", sigma_w=1.2, sigma_b=0.1), (3,)),
    "delta-orthogonal": cnn(mlp(3, 48, "tanh", "haar", sigma_w=1.2), (3,)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_spectra_are_those_of_the_same_draw_taken_by_definition(name):
    network, x = NETWORKS[name], np.random.default_rng(0).standard_normal(30)
    sample = draw_graph(network, x, np.random.default_rng(1))
    for fisher, expected in ((False, sample.jacobian), (True, sample.fisher)):
        found = drawn_spectrum(network, x, np.random.default_rng(1), fisher=fisher)
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12 * expected.max())


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_have_the_predicted_mean(name):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((48, 4))
    x /= np.sqrt(np.mean(x**2, axis=0))
    network = CONVOLUTIONS[name]
    law = predict_fisher(network, samples=x[None]).law
    means = [drawn_spectrum(network, x, rng, fisher=True).mean() for _ in range(8)]
    assert np.mean(means) == pytest.approx(law.mean, rel=0.03)


def test_jacobian_of_a_linear_convolution_is_its_square_on_the_circle():
    """Gaussian taps: the mean of JJᵀ is σ_w². Equal inputs at every position make Θ one block of rank 1 a channel."""
    network = cnn(mlp(1, 40, "linear", "gaussian", sigma_w=1.5), (3,))
    values = drawn_spectrum(network, np.ones((40, 5)), np.random.default_rng(2), fisher=False)
    assert values.shape == (200,)
    assert values.mean() == pytest.approx(1.5**2, rel=0.1)
    theta = drawn_spectrum(network, np.ones((40, 5)), np.random.default_rng(2), fisher=True)
    np.testing.assert_allclose(
        theta[-40:], 3 * 40 * 5, rtol=1e-9
    )  # equal inputs everywhere: ‖x‖²·taps·positions, once a channel
    np.testing.assert_allclose(theta[:-40], 0, atol=1e-9)


def test_layers_that_cannot_be_drawn_are_named():
    network = Network((PositionWise(4, 4, Haar(1.0)), TokenMixing(3, 3, Haar(1.0))))
    with pytest.raises(InputError, match="got token mixing"):
        drawn_spectrum(network, np.ones((4, 3)), np.random.default_rng(0), fisher=False)
