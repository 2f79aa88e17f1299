"""NNGP and tangent kernels against high-precision recursions, pairwise integrals and simulated networks."""

import mpmath
import numpy as np
import pytest

from freeness import InputError
from freeness.meanfield import covariance, kernels
from freeness.network import activation, mlp

RNG = np.random.default_rng(11)


def of_mlp(inputs, function, depth, sigma_w, sigma_b=0.0):
    width = np.asarray(inputs).shape[-1]
    return kernels(mlp(depth, width, function, "gaussian", sigma_w=sigma_w, sigma_b=sigma_b), inputs)


def sphere(n, width):
    points = RNG.standard_normal((n, width))
    return points * np.sqrt(width) / np.linalg.norm(points, axis=1)[:, None]


def test_erf_in_the_chaotic_phase_at_depth_1000_against_50_digits():
    """σ_w = 1.2, σ_b = 0.1, two inputs: Θ grows like χ₁ˡ to 1e32, and Θ₀₁ settles."""
    mpmath.mp.dps = 50
    inputs = RNG.standard_normal((2, 20))
    found = of_mlp(inputs, activation("erf"), 1000, 1.2, 0.1)
    w, b = mpmath.mpf(1.2) ** 2, mpmath.mpf(0.1) ** 2
    gram = [
        [mpmath.fsum(mpmath.mpf(float(p)) * float(q) for p, q in zip(x, y, strict=True)) / 20 for y in inputs]
        for x in inputs
    ]
    sigma = [[w * gram[i][j] + b for j in range(2)] for i in range(2)]
    theta = [row[:] for row in sigma]
    for _ in range(999):
        new = [[0, 0], [0, 0]]
        for i in range(2):
            for j in range(2):
                norm = (1 + 2 * sigma[i][i]) * (1 + 2 * sigma[j][j])
                new[i][j] = w * 2 / mpmath.pi * mpmath.asin(2 * sigma[i][j] / mpmath.sqrt(norm)) + b
                slope = 4 / mpmath.pi / mpmath.sqrt(norm - 4 * sigma[i][j] ** 2)
                theta[i][j] = new[i][j] + w * slope * theta[i][j]
        sigma = new
    assert found.ntk[0, 0] > 1e31
    for i in range(2):
        for j in range(2):
            assert found.ntk[i, j] == pytest.approx(float(theta[i][j]), rel=1e-10)
            assert found.nngp[i, j] == pytest.approx(float(sigma[i][j]), rel=1e-12)


@pytest.mark.parametrize("name", ["tanh", "gelu", "hardtanh", "elu", "softsign", "sigmoid"])
def test_functions_of_the_angle_are_the_pairwise_integrals(name):
    """The table in the angle at equal norms, against each pair integrated by itself, through three layers, to 1e-8."""
    inputs = sphere(4, 30)
    inputs[1] = 0.999 * inputs[0] + np.sqrt(1 - 0.999**2) * inputs[2]
    inputs[1] *= np.sqrt(30) / np.linalg.norm(inputs[1])
    function, w, b = activation(name), 1.4**2, 0.2**2
    found = of_mlp(inputs, function, 4, 1.4, 0.2)
    sigma = w * inputs @ inputs.T / 30 + b
    theta = sigma.copy()
    for _ in range(3):
        value, slope = np.empty_like(sigma), np.empty_like(sigma)
        for i in range(4):
            for j in range(i + 1):
                c = np.clip(sigma[i, j] / np.sqrt(sigma[i, i] * sigma[j, j]), -1, 1)
                at = covariance(function, sigma[i, i], sigma[j, j], 1.0 if i == j else c)
                value[i, j], slope[i, j] = value[j, i], slope[j, i] = at.value, at.slope
        sigma = w * value + b
        theta = sigma + w * slope * theta
    np.testing.assert_allclose(found.nngp, sigma, rtol=1e-8)
    np.testing.assert_allclose(found.ntk, theta, rtol=1e-8)


def test_inputs_of_unequal_norm():
    """Closed forms and smooth activations take any; with kinks pairs are integrated, and refused where that takes hours."""
    inputs = RNG.standard_normal((3, 9))
    relu = of_mlp(inputs, activation("relu"), 3, 1.2, 0.1)
    leaky = of_mlp(inputs, activation("leaky_relu", negative_slope=1e-12), 3, 1.2, 0.1)
    np.testing.assert_allclose(relu.ntk, leaky.ntk, rtol=1e-9)
    small = of_mlp(inputs, activation("tanh"), 2, 1.2, 0.1)
    q = 1.44 * (inputs[:2] ** 2).mean(axis=1) + 0.01
    c = (1.44 * inputs[0] @ inputs[1] / 9 + 0.01) / np.sqrt(q.prod())
    at = covariance(activation("tanh"), q[0], q[1], c)
    assert small.nngp[0, 1] == pytest.approx(1.44 * float(at.value) + 0.01, rel=1e-12)
    with pytest.raises(InputError, match="equal, moderate norm"):
        of_mlp(RNG.standard_normal((300, 9)), activation("hardtanh"), 20, 1.2, 0.1)


@pytest.mark.parametrize("name", ["tanh", "gelu", "softplus", "mish"])
def test_the_hermite_series_is_the_pairwise_integral(name):
    """Two layers at unequal norms, with opposite, equal and nearly equal inputs among them, to 1e-8."""
    inputs = RNG.standard_normal((12, 9)) * np.linspace(0.3, 2.5, 12)[:, None]
    inputs[1], inputs[2], inputs[3] = -2 * inputs[0], inputs[0], inputs[0] * (1 + 1e-9)
    function = activation(name)
    found = of_mlp(inputs, function, 2, 1.4, 0.2)
    sigma = 1.96 * inputs @ inputs.T / 9 + 0.04
    for i, j in [(0, 0), (0, 1), (0, 2), (0, 3), (4, 5), (11, 11), (0, 11), (7, 9)]:
        c = 1.0 if i == j or (i, j) == (0, 2) else float(sigma[i, j] / np.sqrt(sigma[i, i] * sigma[j, j]))
        at = covariance(function, sigma[i, i], sigma[j, j], min(c, 1.0))
        value = 1.96 * float(at.value) + 0.04
        assert found.nngp[i, j] == pytest.approx(value, rel=1e-8)
        assert found.ntk[i, j] == pytest.approx(value + 1.96 * float(at.slope) * sigma[i, j], rel=1e-8)


def test_wide_networks_have_these_kernels():
    """Width 3000, three weight matrices, averaged over 4 draws: Σ of the outputs and Θ from explicit gradients."""
    n, inputs = 3000, sphere(3, 10)
    function = activation("tanh")
    exact = of_mlp(inputs, function, 3, 1.5, 0.2)
    nngp, ntk = np.zeros((3, 3)), np.zeros((3, 3))
    for _ in range(4):
        first, second = RNG.standard_normal((n, 10)), RNG.standard_normal((n, n))
        biases = 0.2 * RNG.standard_normal((2, n, 1))
        h1 = 1.5 / np.sqrt(10) * first @ inputs.T + biases[0]
        h2 = 1.5 / np.sqrt(n) * second @ np.tanh(h1) + biases[1]
        x1, x2 = np.tanh(h1), np.tanh(h2)
        last = RNG.standard_normal(n)
        back2 = 1.5 / np.sqrt(n) * last[:, None] * (1 - x2**2)
        back1 = 1.5 / np.sqrt(n) * (second.T @ back2) * (1 - x1**2)
        grams = [1.5**2 * inputs @ inputs.T / 10, 1.5**2 * x1.T @ x1 / n, 1.5**2 * x2.T @ x2 / n]
        nngp += (grams[2] + 0.04) / 4
        ntk += (grams[2] + 0.04 + back2.T @ back2 * (grams[1] + 0.04) + back1.T @ back1 * (grams[0] + 0.04)) / 4
    np.testing.assert_allclose(nngp, exact.nngp, atol=0.03)
    np.testing.assert_allclose(ntk, exact.ntk, rtol=0.06, atol=0.05)


def test_kernels_are_symmetric_and_positive_semi_definite():
    inputs = sphere(12, 20)
    inputs[1] = inputs[0]
    for name in ("relu", "gelu", "erf"):
        found = of_mlp(inputs, activation(name), 6, 1.3, 0.1)
        for kernel in (found.nngp, found.ntk):
            np.testing.assert_array_equal(kernel, kernel.T)
            values = np.linalg.eigvalsh(kernel)
            assert values[0] > -1e-10 * values[-1]


def test_depth_one_is_linear():
    inputs = RNG.standard_normal((3, 5))
    found = of_mlp(inputs, activation("tanh"), 1, 1.5, 0.3)
    np.testing.assert_allclose(found.nngp, 2.25 * inputs @ inputs.T / 5 + 0.09, rtol=1e-14)
    np.testing.assert_array_equal(found.nngp, found.ntk)


def test_overflow_names_its_layer():
    """χ₁ of erf at σ_w = 3 is 2.3, whose powers leave the floats behind layer 900 or so, while q stays."""
    with pytest.raises(InputError, match=r"overflow behind dense layer 'layer[89]\d\d"):
        of_mlp(sphere(2, 6), activation("erf"), 2000, 3.0)


@pytest.mark.parametrize(
    ("inputs", "depth", "sigma_w", "message"),
    [
        (np.ones(3), 2, 1.0, "shape"),
        (np.full((2, 2), np.nan), 2, 1.0, "finite"),
        (np.zeros((2, 2)), 2, 1.0, "not 0"),
        (np.ones((2, 2)), 0, 1.0, "depth"),
        (np.ones((2, 2)), 2, 0.0, "sigma_w"),
        (np.ones((2, 2)), 3000, 3.0, "stays finite"),
    ],
)
def test_bad_input_is_refused(inputs, depth, sigma_w, message):
    with pytest.raises(InputError, match=message), np.errstate(all="ignore"):
        of_mlp(inputs, activation("relu"), depth, sigma_w)


def test_drawn_outputs_have_the_covariance_of_the_process_even_of_equal_inputs():
    x = sphere(4, 6)
    found = of_mlp(np.vstack([x, x[:1]]), activation("tanh"), 3, 1.3, 0.2)
    f = found.drawn_outputs(20_000, np.random.default_rng(0))
    np.testing.assert_allclose(f @ f.T / 20_000, found.nngp, atol=5 * found.nngp.max() / 20_000**0.5)
    np.testing.assert_allclose(f[0], f[4], atol=1e-3)
