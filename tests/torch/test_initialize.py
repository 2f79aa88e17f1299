"""Initialisation writes what it says, from the Haar measure, without the global random state."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.parametrizations import orthogonal

from freeness.errors import InputError
from freeness.gaussian import ActivationFunction
from freeness.network import (
    Activation,
    Dense,
    Gaussian,
    Haar,
    Measured,
    Network,
    ScaledIdentity,
    activation,
    activation_names,
    mlp,
)
from freeness.torch import build, initialize_, realised_signals, trace
from freeness.torch.model.sampling import haar_matrix, weight_matrix
from freeness.torch.record.builder import activation_module
from freeness.torch.record.elementwise import derivative
from tests.torch.models import covered_models


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@settings(max_examples=40)
@given(rows=st.integers(1, 20), columns=st.integers(1, 20), seed=st.integers(0, 2**31))
def test_haar_matrices_are_semi_orthogonal(rows: int, columns: int, seed: int) -> None:
    q = haar_matrix(rows, columns, seeded(seed))
    assert q.shape == (rows, columns) and q.dtype == torch.float64
    gram = q @ q.T if rows <= columns else q.T @ q
    assert torch.allclose(gram, torch.eye(min(rows, columns), dtype=torch.float64), atol=1e-13)


def test_haar_entries_have_the_moments_of_the_measure() -> None:
    """E Q² = 1/N, E Q⁴ = 3/(N(N+2)), E Q_11²Q_22² = (N+1)/((N-1)N(N+2)), odd moments 0; all corners alike."""
    n, count = 4, 6000
    generator = seeded(1)
    draws = torch.stack([haar_matrix(n, n, generator) for _ in range(count)])
    for row, column in ((0, 0), (0, 3), (3, 0), (3, 3), (1, 2)):
        entry = draws[:, row, column]
        assert abs(float(entry.mean())) < 4 / math.sqrt(n * count)
        for power, wanted in ((2, 1 / n), (4, 3 / (n * (n + 2)))):
            values = entry**power
            assert abs(float(values.mean()) - wanted) < 4 * float(values.std()) / math.sqrt(count)
    products = (draws[:, 0, 0] * draws[:, 1, 1]) ** 2
    assert abs(float(products.mean()) - (n + 1) / ((n - 1) * n * (n + 2))) < 4 * float(products.std()) / math.sqrt(
        count
    )


def test_haar_traces_have_unit_variance_and_determinants_both_signs() -> None:
    """E tr Q = 0, E (tr Q)² = 1, E tr Q² = 1 (Diaconis, Shahshahani 1994), and det Q = ±1 equally often."""
    n, count = 5, 6000
    generator = seeded(2)
    draws = torch.stack([haar_matrix(n, n, generator) for _ in range(count)])
    traces = draws.diagonal(dim1=1, dim2=2).sum(1)
    squares = (draws @ draws).diagonal(dim1=1, dim2=2).sum(1)
    for values, wanted in ((traces, 0.0), (traces**2, 1.0), (squares, 1.0), (torch.linalg.det(draws), 0.0)):
        assert abs(float(values.mean()) - wanted) < 4 * float(values.std()) / math.sqrt(count)


def unevenness_of_eigenangles(draw: Callable[[torch.Generator], Tensor]) -> float:
    generator = seeded(3)
    angles = torch.cat([torch.linalg.eigvals(draw(generator)).angle() for _ in range(20)])
    levels = np.sort(angles.numpy() / (2 * np.pi) + 0.5)
    return float(np.max(np.abs(levels - (np.arange(levels.size) + 0.5) / levels.size)))


def test_haar_eigenangles_are_evenly_spread() -> None:
    """The density of eigenangles of a rotation is uniform up to O(1/N); that of QR without the signs is not."""
    assert unevenness_of_eigenangles(lambda generator: haar_matrix(60, 60, generator)) < 0.02
    normal = weight_matrix.dispatch(Gaussian)
    assert unevenness_of_eigenangles(lambda g: torch.linalg.qr(normal(Gaussian(1.0), 60, 60, g))[0]) > 0.03


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_haar_eigenangles_have_the_pair_correlation_of_the_orthogonal_group(dtype: torch.dtype) -> None:
    """E tr Qᵏ = 1 for even k and 0 for odd, Cov(tr Qʲ, tr Qᵏ) = k δ_jk up to j + k = N/2 (Diaconis, Shahshahani 1994).

    The variances are the form factor, the Fourier transform of the pair correlation; independent angles would give N.
    """
    n, count, powers = 16, 6000, 4
    generator = seeded(7)
    draws = torch.stack([haar_matrix(n, n, generator, dtype).double() for _ in range(count)])
    traces, power = [], torch.eye(n, dtype=torch.float64).expand(count, n, n)
    for _ in range(powers):
        power = power @ draws
        traces.append(power.diagonal(dim1=1, dim2=2).sum(1))
    centred = torch.stack(traces) - torch.tensor([0.0, 1.0, 0.0, 1.0]).double()[:, None]
    for j in range(powers):
        assert abs(float(centred[j].mean())) < 4 * math.sqrt((j + 1) / count)
        for k in range(j, powers):
            products = centred[j] * centred[k]
            wanted = j + 1 if j == k else 0
            assert abs(float(products.mean()) - wanted) < 4 * float(products.std()) / math.sqrt(count)


def test_float32_layers_are_drawn_in_float32_and_orthogonal_to_2e_6() -> None:
    single, double = nn.Linear(400, 400), nn.Linear(400, 400, dtype=torch.float64)
    for layer, error in ((single, 3e-6), (double, 1e-13)):
        initialize_(layer)
        weight = layer.weight.detach().double()
        assert float((weight @ weight.T - torch.eye(400, dtype=torch.float64)).abs().max()) < error


@pytest.mark.parametrize("weights", ["haar", "gaussian", "identity"])
def test_initialize_keeps_q_in_layers_that_expand(weights: str) -> None:
    model = nn.Sequential(nn.Linear(200, 500), nn.Identity(), nn.Linear(500, 300), nn.Linear(300, 300)).double()
    records = initialize_(model, weights, sigma_w=1.1, sigma_b=0.2, generator=seeded(4))
    assert [record.name for record in records] == ["0", "2", "3"]
    gains = [1.0, 1.0, 1.0] if weights == "gaussian" else [math.sqrt(2.5), 1.0, 1.0]
    assert [record.gain for record in records] == pytest.approx(gains)
    assert [record.sigma_w for record in records] == pytest.approx([1.1 * gain for gain in gains])
    x = torch.randn(200, generator=seeded(5), dtype=torch.float64)
    signals = realised_signals(trace(model, x), x).layers
    assert signals[0].q == pytest.approx(1.21 * signals[0].qhat + 0.04, rel=0.15)
    assert float(model[3].bias.detach().square().mean().sqrt()) == pytest.approx(0.2, rel=0.2)


def test_initialized_weights_are_recognised() -> None:
    model = nn.Sequential(nn.Linear(40, 60), nn.Tanh(), nn.Linear(60, 60, bias=False), nn.Tanh(), nn.Linear(60, 30))
    for weights, kind in (("haar", Haar), ("gaussian", Gaussian), ("identity", ScaledIdentity)):
        records = initialize_(model, weights, 0.9)
        for layer, record in zip(trace(model, torch.ones(40)).network.dense, records, strict=True):
            assert isinstance(layer.weights, kind)
            assert layer.weights.sigma_w == pytest.approx(record.sigma_w, rel=0.1 if weights == "gaussian" else 1e-5)


def test_initialize_is_reproducible_and_leaves_the_global_state() -> None:
    before = torch.get_rng_state()
    one, two, three = (nn.utils.skip_init(nn.Linear, 6, 6) for _ in range(3))
    initialize_(one)
    initialize_(two)
    initialize_(three, generator=seeded(1))
    assert torch.equal(one.weight, two.weight) and not torch.equal(one.weight, three.weight)
    assert torch.equal(before, torch.get_rng_state())


def test_initialize_refuses_before_it_writes() -> None:
    model = nn.Sequential(nn.Linear(4, 4), orthogonal(nn.Linear(4, 4)))
    found = model[0].weight.detach().clone()
    with pytest.raises(InputError, match="plain weight in '1'"):
        initialize_(model)
    assert torch.equal(found, model[0].weight)
    with pytest.raises(InputError, match="haar, gaussian, identity, got 'xavier'"):
        initialize_(nn.Linear(2, 2), "xavier")  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="sigma_b ≥ 0, got -1"):
        initialize_(nn.Linear(2, 2), sigma_b=-1)
    with pytest.raises(InputError, match="at least one Linear"):
        initialize_(nn.Tanh())
    with pytest.raises(InputError, match="lazy"):
        initialize_(nn.LazyLinear(3))


@pytest.mark.parametrize("name", activation_names())
def test_built_activations_equal_the_table_and_are_read_back(name: str) -> None:
    function = activation(name)
    module = activation_module(function)
    grid = torch.linspace(-4, 4, 81, dtype=torch.float64) + 0.0123
    np.testing.assert_allclose(module(grid), function.function(grid.numpy()), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(derivative(module, grid), function.derivative(grid.numpy()), rtol=1e-6, atol=1e-8)  # type: ignore[arg-type]
    network = mlp(2, 5, function, "gaussian")
    model = build(network, seeded(0), torch.float64)
    layers = trace(model, torch.ones(5).double()).network.layers
    read = [layer.function.name for layer in layers if isinstance(layer, Activation)]
    assert read == ([] if name == "linear" else [name])


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("leaky_relu", {"negative_slope": 0.3}), ("hardtanh", {"min_val": -2.0, "max_val": 0.5}), ("elu", {"alpha": 0.4}),
     ("softplus", {"beta": 2.5}), ("shifted_relu", {"shift": 0.7})],
)  # fmt: skip
def test_parameters_of_activations_survive_build_and_trace(name: str, parameters: dict[str, float]) -> None:
    function = activation(name, **parameters)
    model = build(mlp(2, 4, function, "gaussian"), seeded(0), torch.float64)
    layer = trace(model, torch.ones(4).double()).network.layers[1]
    assert isinstance(layer, Activation)
    grid = np.linspace(-4, 4, 77) + 0.0123
    np.testing.assert_allclose(layer.function.function(grid), function.function(grid), rtol=1e-8, atol=1e-12)
    assert layer.function.kinks == pytest.approx(function.kinks)


def test_build_draws_every_ensemble() -> None:
    values = np.linspace(0.5, 1.5, 20)
    layers = (
        Dense(30, 20, Measured(1.0, values)), Dense(20, 20, Haar(0.7)),
        Dense(20, 40, Gaussian(2.0), 0.5, True), Dense(40, 20, ScaledIdentity(0.3), 0.1),
    )  # fmt: skip
    model = build(Network(layers), seeded(0), torch.float64)
    np.testing.assert_allclose(torch.linalg.svdvals(model[0].weight.detach()), values[::-1])
    np.testing.assert_allclose(torch.linalg.svdvals(model[1].weight.detach()), 0.7)
    assert model[0].bias is None and model[2].bias.requires_grad and not model[3].bias.requires_grad
    assert torch.equal(model[3].weight, 0.3 * torch.eye(20, 40).double())


def test_a_traced_model_is_built_again_from_its_record() -> None:
    model, example = covered_models()["composite"]
    network = trace(model.double(), example.double()).network
    twin = build(network, seeded(0), torch.float64)
    with torch.no_grad():
        for target, source in zip(twin.parameters(), model.parameters(), strict=True):
            target.copy_(source)
    assert torch.allclose(twin(example.double()), model(example.double()))


def test_what_torch_does_not_know_is_refused() -> None:
    with pytest.raises(InputError, match="got 'mine'"):
        activation_module(ActivationFunction("mine", np.tanh, np.cos))
    with pytest.raises(InputError, match="got str"):
        weight_matrix("haar", 2, 2, seeded(0))
    with pytest.raises(InputError, match="2 singular values"):
        weight_matrix(Measured(1.0, np.ones(3)), 2, 4, seeded(0))


def test_what_was_drawn_is_printed_as_a_table():
    text = str(initialize_(nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))))
    assert "Tensors: 4 drawn, 0 left" in text and "0.weight  8×4    1.414·Q" in text
