"""Batches by the tangent kernel against drawn networks; order parameters; cross-entropy; centred outputs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from freeness import Empirical, InputError
from freeness.data import load_fashion_mnist
from freeness.laws.distance import wasserstein
from freeness.network import cnn, mlp
from freeness.spectra import BatchFisher, batch_fisher, fisher_law
from tests.spectra.batch_simulation import draw_batch


def images(count):
    x = load_fashion_mnist("train").flattened()[:count].astype(float)
    return x * np.sqrt(x.shape[1]) / np.linalg.norm(x, axis=1, keepdims=True)


def network_of(name, depth, width):
    sigma_w, sigma_b = {"relu": (2**0.5, 0.0), "tanh": (1.3, 0.2), "erf": (1.2, 0.2)}[name]
    return mlp(depth, [784, *[width] * (depth - 1), 10], name, "gaussian", sigma_w=sigma_w, sigma_b=sigma_b)


def mean_gram(network, x, seeds):
    grams = [draw_batch(network, x, np.random.default_rng(seed))[1] for seed in range(seeds)]
    return np.mean(grams, axis=0)


def compare(name, depth, width, count, seeds):
    """λ_max within 10 % and the bulk's W₁/std ≤ 0.1, the Gram matrix averaged over the seeds."""
    network, x = network_of(name, depth, width), images(count)
    found = batch_fisher(network, x)
    gram = mean_gram(network, x, seeds).reshape(count, 10, count, 10)
    measured = np.linalg.eigvalsh(np.einsum("icjc->ij", gram) / 10) / count
    assert found.top == pytest.approx(measured[-1], rel=0.1)
    bulk = np.unique(found.eigenvalues)[:-1]  # each is there for every output
    assert wasserstein(Empirical(bulk), measured[:-1]) <= 0.1 * measured[:-1].std()
    assert found.order.top == pytest.approx(found.top, rel=0.1)
    centred = batch_fisher(network, x, centred=True)
    projected = np.einsum("icjc->ij", gram) / 10
    projected = projected - projected.mean(0) - projected.mean(1)[:, None] + projected.mean()
    assert centred.top == pytest.approx(np.linalg.eigvalsh(projected)[-1] / count, rel=0.1)
    assert found.largest[1] <= centred.top * (1 + 1e-9) and centred.top < 0.6 * found.top  # interlacing, and the effect


@pytest.mark.parametrize("name", ["tanh", "relu", "erf"])
def test_batches_of_images(name):
    compare(name, 3, 512, 48, 4)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["tanh", "relu", "erf"])
@pytest.mark.parametrize(("depth", "count"), [(3, 64), (3, 512), (8, 64), (8, 512)])
def test_batches_of_images_at_width_1024(name, depth, count):
    compare(name, depth, 1024, count, 5)


@settings(max_examples=12)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 6),
    c=st.integers(1, 4),
    alike=st.booleans(),
    centred=st.booleans(),
    between=st.booleans(),
)
def test_any_loss_is_the_matrix_written_out(seed, n, c, alike, centred, between):
    """H^{1/2}(PΘP ⊗ F)H^{1/2}/n by Kronecker products."""
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((n, n + 2))
    kernel = root @ root.T
    p = softmax(2 * rng.standard_normal(c if alike else (n, c)), axis=-1)
    wide = rng.standard_normal((c, c + 1))
    gram_of_outputs = wide @ wide.T if between else np.eye(c)
    given_gram = gram_of_outputs if between else None
    found = BatchFisher(kernel, c, probabilities=p, centred=centred, between=given_gram)
    each = np.broadcast_to(p, (n, c))
    hessian = np.zeros((n * c, n * c))
    for i in range(n):
        hessian[i * c : i * c + c, i * c : i * c + c] = np.diag(each[i]) - np.outer(each[i], each[i])
    project = np.eye(n) - centred / n
    gram = np.kron(project @ kernel @ project, gram_of_outputs)
    expected = np.sort(np.linalg.eigvals(hessian @ gram / n).real)
    scale = np.abs(kernel).max() * max(1.0, np.abs(gram_of_outputs).max())
    np.testing.assert_allclose(found.eigenvalues, expected, atol=1e-7 * scale)
    assert found.top == pytest.approx(expected[-1], abs=1e-7 * scale)
    plain = BatchFisher(kernel, c, hessian=0.3, centred=centred, between=given_gram)
    expected = np.linalg.eigvalsh(gram) * 0.3 / n
    np.testing.assert_allclose(plain.eigenvalues, expected, atol=1e-9 * scale)
    assert plain.top == pytest.approx(expected[-1], abs=1e-9 * scale)


def test_order_parameters_of_alike_samples_are_the_spectrum():
    kernel = 2.0 * np.ones((8, 8)) + 3.0 * np.eye(8)
    for centred in (False, True):
        found = BatchFisher(kernel, centred=centred)
        values = found.eigenvalues
        assert values.sum() == pytest.approx(found.order.diagonal)
        assert (values**2).sum() == pytest.approx(found.order.second_moment)
        assert found.order.bulk == pytest.approx(3 / 8)
        assert found.order.top == pytest.approx(0.0 if centred else values[-1])
    assert BatchFisher(kernel).outlier == pytest.approx(19 / 8)
    assert BatchFisher(kernel, centred=True).outlier is None


def test_one_sample_is_the_mean_of_its_fisher_law():
    """The standard-parametrisation kernel is the mean of Θ that moves of the curve give, with biases and unequal widths."""
    network = mlp(4, [30, 700, 500, 600, 10], "tanh", "gaussian", sigma_w=1.4, sigma_b=0.3)
    x = np.random.default_rng(0).standard_normal((1, 30))
    found = batch_fisher(network, x)
    assert found.top == pytest.approx(fisher_law(network, float((x**2).mean())).mean, rel=1e-9)


def test_convolutions_in_the_standard_parametrisation():
    """Mean over draws by automatic differentiation, delta-orthogonal kernels included, whose zeros have gradients."""
    torch = pytest.importorskip("torch")
    from torch.nn import functional

    from freeness.meanfield import kernels
    from freeness.network import Dense, Flatten, Gaussian, Network

    x = np.random.default_rng(0).standard_normal((2, 3, 5))
    for kind in ("gaussian", "haar"):
        layers = cnn(mlp(2, [3, 60, 60], "tanh", kind, sigma_w=1.2), (3,), "zeros").layers
        network = Network((*layers, Flatten(), Dense(300, 1, Gaussian(1.0), bias=True)))
        theta = kernels(network, x, parametrisation="standard").ntk
        grams = []
        for seed in range(24):
            rng = np.random.default_rng(seed)
            first, second = (drawn_kernel(kind, out, into, rng) for out, into in ((60, 3), (60, 60)))
            last = rng.standard_normal((1, 300)) / 300**0.5
            weights = [torch.tensor(w, requires_grad=True) for w in (first, second, last)]
            h = torch.tanh(functional.conv1d(torch.tensor(x), weights[0], padding=1))
            outputs = functional.conv1d(h, weights[1], padding=1).flatten(1) @ weights[2].T
            rows = [
                torch.cat([g.flatten() for g in torch.autograd.grad(o, weights, retain_graph=True)])
                for o in outputs[:, 0]
            ]
            grams.append((torch.stack(rows) @ torch.stack(rows).T + 1).numpy())
        error = np.std(grams, axis=0, ddof=1) / 24**0.5
        assert (np.abs(np.mean(grams, axis=0) - theta) <= 0.03 * theta[0, 0] + 3 * error).all()
        assert error.max() < 0.05 * theta[0, 0]


def drawn_kernel(kind, out, into, rng):
    if kind == "gaussian":
        return 1.2 * rng.standard_normal((out, into, 3)) / (3 * into) ** 0.5
    q = np.linalg.qr(rng.standard_normal((out, into)))[0]
    kernel = np.zeros((out, into, 3))
    kernel[:, :, 1] = 1.2 * q
    return kernel


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BatchFisher(np.ones((2, 3))), "kernel \\(n, n\\)"),
        (lambda: BatchFisher(np.array([[1.0, 0.0], [1.0, 1.0]])), "symmetric"),
        (lambda: BatchFisher(np.full((2, 2), np.nan)), "finite"),
        (lambda: BatchFisher(np.eye(2), outputs=0), "at least one output"),
        (lambda: BatchFisher(np.eye(2), outputs=2, probabilities=np.array([0.7, 0.7])), "add to 1"),
        (lambda: BatchFisher(-np.eye(2)).eigenvalues, "positive semi-definite"),
        (lambda: BatchFisher(np.eye(2), 2, between=np.ones((2, 3))), "between outputs"),
        (lambda: BatchFisher(np.eye(2), 2, between=-np.eye(2)), "positive semi-definite"),
        (lambda: BatchFisher(np.eye(3000), 2, probabilities=np.full((3000, 2), 0.5)).eigenvalues, "fewer samples"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(InputError, match=message):
        make()
