"""Designs against published points, simulated networks and independent mean-field maps; what cannot be reached says why."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

import freeness as fr
from freeness import InputError, design, jacobian_law, signals
from freeness.advice import DesignOptions, Training, UnreachableIsometry, reach, usual_candidates
from freeness.meanfield import trajectory
from freeness.network import activation, activation_names
from freeness.spectra import jacobian_moments
from tests.orthogonal import haar


@pytest.mark.parametrize(
    ("spread", "q", "sigma_w"), [(1 / 4, 0.10935, 1.00125), (1 / 16, 0.08546, 1.00031), (1 / 64, 0.06995, 1.00008)]
)
def test_hard_tanh_at_depth_100(spread, q, sigma_w):
    """theory.md §8, whose L counts activations."""
    found = design(101, 512, "hardtanh", spread)
    assert (found.q, found.sigma_w) == pytest.approx((q, sigma_w), abs=5e-6)
    assert found.isometry == pytest.approx(spread)


@given(
    depth=st.integers(2, 60),
    name=st.sampled_from(["tanh", "hardtanh", "erf", "gelu", "silu", "elu", "softsign", "sin", "shifted_relu"]),
    isometry=st.floats(0.01, 1.0),
    qhat0=st.floats(0.01, 10.0),
    form=st.sampled_from(["plain", "normalised"]),
    scale_inputs=st.booleans(),
)
def test_designed_networks_keep_q_and_have_the_isometry(depth, name, isometry, qhat0, form, scale_inputs):
    """Mean-field signals and moments of the record, layer by layer, are those of the design."""
    found = design(depth, 100, name, isometry, DesignOptions(form=form, qhat0=qhat0, scale_inputs=scale_inputs))
    start = qhat0 * (found.input_scale**2 if scale_inputs else 1.0)
    layers = signals(found.network, start).layers
    assert [layer.q for layer in layers] == pytest.approx(
        [found.q] * len(layers[::2]) + [found.q] * len(layers[1::2]), rel=1e-6
    )
    moments = jacobian_moments(found.network, start)
    assert moments.relative_variance == pytest.approx(isometry, rel=1e-5)
    assert found.itself.growth == pytest.approx(1.0, rel=1e-6) and found.itself.spread == pytest.approx(isometry)
    assert jacobian_moments(found.network, realised=found.signals) == pytest.approx(moments, rel=1e-6)


@given(
    widths=st.lists(st.integers(20, 200), min_size=3, max_size=8), name=st.sampled_from(["tanh", "hardtanh", "relu"]),
    weights=st.sampled_from(["haar", "gaussian"]),
)  # fmt: skip
def test_gains_of_real_widths_keep_q_in_all_layers(widths, name, weights):
    found = design(len(widths) - 1, widths, name, None, DesignOptions(weights=weights, qhat0=0.5))
    layers = signals(found.network, 0.5).layers
    assert [layer.q for layer in layers] == pytest.approx([found.q] * len(layers), rel=1e-6)
    for layer, (fan_in, fan_out) in zip(found.layers[1:], pairwise(widths[1:]), strict=True):
        expected = max(1.0, fan_out / fan_in) ** 0.5 if weights == "haar" else 1.0
        assert layer.gain == pytest.approx(expected)


def test_a_simulated_network_is_what_the_design_says():
    """Width 600, 30 layers, numpy only: lengths, gradients, spread of J, a second input's correlation."""
    found = design(30, 600, "tanh", 0.3)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((600, 2)) @ np.array([[1.0, 0.5], [0.0, np.sqrt(0.75)]])
    x /= np.sqrt((x**2).mean(axis=0))
    jacobian = np.eye(600)
    for index, layer in enumerate(found.layers):
        matrix = layer.sigma_w * haar(600, 600, rng)
        h = matrix @ x + layer.sigma_b * rng.standard_normal((600, 1))
        assert (h[:, 0] ** 2).mean() == pytest.approx(found.q, rel=0.2)
        jacobian = matrix @ jacobian
        if index < 29:
            x = np.tanh(h)
            jacobian = (1 - x[:, 0] ** 2)[:, None] * jacobian
    squares = np.linalg.svd(jacobian, compute_uv=False) ** 2
    assert squares.mean() == pytest.approx(found.jacobian_law.mean, rel=0.05)
    assert squares.var() / squares.mean() ** 2 == pytest.approx(found.isometry, rel=0.1)
    assert squares.max() == pytest.approx(found.itself.jacobian_top, rel=0.1)
    correlation = (h[:, 0] * h[:, 1]).mean() / np.sqrt((h**2).mean(axis=0).prod())
    assert correlation == pytest.approx(trajectory(found.network, 1.0, 0.5).c[-1], abs=0.1)


@pytest.mark.parametrize("name", ["tanh", "hardtanh", "gelu"])
def test_delta_and_the_critical_point_by_direct_quadrature(name):
    found = design(21, 100, name, 0.4)
    function = found.activation

    def mean(f):
        def integrand(z):
            return f(np.array([np.sqrt(found.q) * z]))[0] * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)

        points = [k / np.sqrt(found.q) for k in function.kinks if abs(k) < 12 * np.sqrt(found.q)]
        return quad(integrand, -12, 12, points=points or None, limit=300, epsabs=1e-13)[0]

    slopes = [mean(lambda h, p=p: function.derivative(h) ** p) for p in (2, 4)]
    assert found.sigma_w**2 * slopes[0] == pytest.approx(1.0, rel=1e-9)
    assert 20 * (slopes[1] / slopes[0] ** 2 - 1) == pytest.approx(0.4, rel=1e-7)
    assert found.sigma_w**2 * mean(lambda h: function.function(h) ** 2) + found.sigma_b**2 == pytest.approx(
        found.q, rel=1e-9
    )


# --- the table ----------------------------------------------------------------------------------------------------


def test_the_usual_starts_are_what_people_get():
    """Uniform entries and biases of nn.Linear, Xavier and He, simulated: q and squared gradients, layer by layer."""
    rng = np.random.default_rng(1)
    widths = (300, 400, 500, 400, 200)
    rows = usual_candidates(widths, activation("tanh"), Training(), 1.0)
    for row in rows:
        lengths, growths = [], []
        for _ in range(6):
            x = rng.standard_normal(300)
            x /= np.sqrt((x**2).mean())
            hs, matrices = [], []
            for n, m in pairwise(widths):
                if row.name == "PyTorch default":
                    matrix, bias = rng.uniform(-1, 1, (m, n)) / n**0.5, rng.uniform(-1, 1, m) / n**0.5
                else:
                    variance = 2 / (n + m) if row.name == "Xavier" else 2 / n
                    matrix, bias = rng.standard_normal((m, n)) * variance**0.5, 0.0
                hs.append(matrix @ x + bias)
                matrices.append(matrix)
                x = np.tanh(hs[-1])
            lengths.append([(h**2).mean() for h in hs])
            gradient = rng.standard_normal(200)
            start = gradient @ gradient
            for matrix, h in zip(matrices[:0:-1], hs[-2::-1], strict=True):
                gradient = (matrix.T @ gradient) / np.cosh(h) ** 2
            growths.append(gradient @ gradient / start)
        found = [signal.q for signal in row.signals.layers[::2]]
        assert np.mean(lengths, axis=0) == pytest.approx(found, rel=0.1)
        assert np.mean(growths) == pytest.approx(row.growth, rel=0.15)


def test_the_table_tells_the_default_from_the_design():
    found = design(50, 200, "tanh", 0.25)
    default, xavier, he, mine = found.table
    assert default.growth < 1e-20 and he.growth > 10 and mine.growth == pytest.approx(1.0, rel=1e-9)
    assert min(default.spread, xavier.spread, he.spread) > 49 and mine.spread == pytest.approx(0.25)
    assert default.xi < 1 and mine.xi == np.inf
    assert default.common == pytest.approx(1.0) and mine.common < 0.1
    assert mine.jacobian_top == pytest.approx(jacobian_law(found.network, 1.0).hull[1], rel=1e-6)
    assert found.jacobian_law.hull[1] == pytest.approx(mine.jacobian_top, rel=1e-6)
    assert found.fisher_law.hull[1] == pytest.approx(mine.fisher_top, rel=1e-6)


# --- what cannot be reached ---------------------------------------------------------------------------------------


def test_relu_is_never_isometric_and_the_nearest_is_he_with_haar_weights():
    with pytest.raises(
        UnreachableIsometry, match=r"δ = 1 at every variance.*leaky_relu of slope 0\.9\d+ .*shifted_relu"
    ) as error:
        design(50, 100, "relu", 0.25)
    nearest = error.value.nearest
    assert nearest.isometry == 49 and nearest.sigma_w == pytest.approx(2**0.5) and nearest.sigma_b == 0
    assert design(50, 100, "relu").isometry == 49
    assert design(50, 100, "relu", 49.0).isometry == 49
    slope = float(str(error.value).split("slope ")[1].split()[0])
    leaky = design(50, 100, activation("leaky_relu", negative_slope=slope))
    assert leaky.isometry == pytest.approx(0.25, rel=2e-3)


def test_gaussian_weights_are_never_isometric():
    options = DesignOptions(weights="gaussian")
    with pytest.raises(UnreachableIsometry, match=r"more than 20, got 0\.25.*Haar") as error:
        design(20, 100, "tanh", 0.25, options)
    assert error.value.nearest.weights == "haar" and error.value.nearest.isometry == pytest.approx(0.25)
    found = design(20, 100, "tanh", 20.5, options)
    law = jacobian_law(found.network, 1.0)
    assert law.variance / law.mean**2 == pytest.approx(20.5, rel=1e-6)
    assert design(20, 100, "tanh", None, options).isometry == pytest.approx(20.25)


@pytest.mark.parametrize("name", activation_names())
def test_every_activation_gets_a_design_or_a_reason(name):
    found = design(20, 50, name)
    assert found.reasons and found.itself.growth == pytest.approx(1.0, rel=1e-6)
    assert found.learning_rate.bound > 0
    low, high, reason = found.reach
    assert reason and (np.isnan(low) or low <= high)
    try:
        design(20, 50, name, 0.25)
    except UnreachableIsometry as error:
        assert error.nearest is not None and error.nearest.isometry > 0
        assert str(error).startswith("expected")


def test_the_nearest_design_is_the_nearest():
    with pytest.raises(UnreachableIsometry, match="at least") as error:
        design(11, 50, "selu", 0.01)
    low, _, _ = reach(activation("selu"), 11)
    assert error.value.nearest.isometry == pytest.approx(low, rel=0.02)
    with pytest.raises(UnreachableIsometry, match="tat") as error:
        design(11, 50, "softplus", 0.3)
    assert error.value.nearest.isometry == pytest.approx(0.3) and error.value.nearest.options.form == "tat"


def test_shaped_forms_have_the_isometry_asked_for_or_their_authors():
    assert design(51, 50, "tanh", None, DesignOptions(form="tat")).isometry == pytest.approx(
        1.18, abs=5e-3
    )  # theory.md §8
    assert design(51, 50, "tanh", None, DesignOptions(form="dks")).isometry == pytest.approx(3.13, abs=5e-3)
    for form in ("dks", "tat"):
        found = design(31, 50, "gelu", 0.2, DesignOptions(form=form))
        assert jacobian_moments(found.network, 1.0).relative_variance == pytest.approx(0.2, rel=1e-6)
        assert dict(found.numbers).keys() == {"gain", "shift", "offset", "scale"}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: design(0), "whole number ≥ 1, got 0"),
        (lambda: design(2.5), "whole number"),
        (lambda: design(3, [2, 3]), "4 widths"),
        (lambda: design(3, 10, "tanhh"), "activation among"),
        (lambda: design(3, 10, "tanh", 0.0), "isometry σ_JJ² > 0"),
        (lambda: design(3, 10, "tanh", float("nan")), "isometry σ_JJ² > 0"),
        (lambda: design(3, 10, "tanh", 1e9), "at most"),
        (lambda: DesignOptions(weights="identity"), "haar or gaussian"),
        (lambda: DesignOptions(form="round"), "form among"),
        (lambda: DesignOptions(qhat0=0.0), "qhat0"),
        (lambda: design(3, 10, training=Training("hinge")), "loss among"),
        (lambda: design(3, 10).residual(0), "blocks ≥ 1"),
        (lambda: design(1, 10).trade_off(), "depth ≥ 2"),
        (lambda: reach(activation("tanh"), 0), "whole number"),
    ],
)
def test_bad_input_is_one_sentence(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_one_layer_is_linear_and_isometric():
    found = design(1, [30, 10], "tanh")
    assert found.isometry == 0 and found.sigma_w == 1 and found.learning_rate.bound > 0
    assert found.itself.xi == np.inf and found.reach.low == 0 and found.itself.nonlinearity == 0


def test_a_design_prints_itself():
    assert repr(fr.design(4, 20, "tanh", 0.2)).startswith("Design(depth=4, activation='tanh', weights='haar', q=")
