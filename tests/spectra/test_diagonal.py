"""Identity-initialised chains: exact against matrices, and against the atoms that perfectly correlated D's keep."""

import numpy as np
import pytest

from freeness import InputError, fisher_law, jacobian_law, mlp
from freeness.spectra import NeuronSignals, predict_fisher, predict_jacobian


def test_against_matrices_of_one_forward_pass():
    """Biases, tanh, L = 5, width 60: J and Θ assembled as matrices, to 1e-12."""
    rng = np.random.default_rng(0)
    network = mlp(5, 60, "tanh", "identity", sigma_w=1.1, sigma_b=0.3)
    x = rng.standard_normal(60)
    first, h, seen, jacobian, theta = x, x, [], np.eye(60), np.zeros((60, 60))
    for layer in range(5):
        if layer:
            d = np.diag(1 - np.tanh(h) ** 2)
            jacobian, theta, x = d @ jacobian, d @ theta @ d, np.tanh(h)
        h = 1.1 * x + 0.3 * rng.standard_normal(60)
        jacobian, theta = 1.1 * jacobian, 1.21 * theta + (x @ x + 1) * np.eye(60)
        seen.append(h)
    signals = NeuronSignals(first, tuple(seen))
    for law, matrix in (
        (jacobian_law(network, realised=signals), jacobian @ jacobian.T),
        (fisher_law(network, realised=signals), theta),
    ):
        values = np.linalg.eigvalsh(matrix)
        assert [atom.position for atom in law.atoms] == pytest.approx(values, rel=1e-12)
        assert sum(atom.mass for atom in law.atoms) == pytest.approx(1.0)


@pytest.mark.parametrize("depth", [2, 10, 40])
def test_the_mass_at_1_stays_at_every_depth(depth):
    """theory.md §4: hard-tanh with P(|h| < 1) = .8965 keeps that mass at 1, where free D's would have its power."""
    q = 1 / 1.6285**2  # erf(1/√(2q)) = .8965
    found = predict_jacobian(mlp(depth, 2000, "hardtanh", "identity"), q)
    assert found.edge.value == 1.0 and found.edge.mass == pytest.approx(0.8965, abs=1e-3)
    assert "diagonal" in found.method
    assert predict_fisher(mlp(depth, 2000, "hardtanh", "identity"), q).edge.mass == pytest.approx(0.8965, abs=1e-3)


def test_bad_signals_are_refused():
    network = mlp(2, 10, "tanh", "identity")
    with pytest.raises(InputError, match="very network"):
        jacobian_law(network, realised=NeuronSignals(np.ones(10), (np.ones(10),)))
    with pytest.raises(InputError, match="qhat0"):
        fisher_law(network, -1.0)
