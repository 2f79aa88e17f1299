"""The network at its start: what it computes, and its spectra, which are known exactly."""

import numpy as np
import pytest
import torch

from freeness.errors import InputError
from freeness.interpret import IdentityMLP, read_layers
from freeness.spectra import NeuronSignals, diagonal_law, is_diagonal
from freeness.torch import freeness_test, measure_fisher, measure_jacobian, trace

from .small_images import small_data, small_network, trained_network


def test_input_is_centred_and_gets_a_zero_for_every_class():
    centre = torch.tensor([[1.0, 2.0]])
    model = IdentityMLP((1, 2), classes=3, depth=2, centre=centre)
    assert model.padded(torch.tensor([[[1.5, 2.25]]])).tolist() == [[0.5, 0.25, 0, 0, 0]]


@pytest.mark.parametrize("activation", ["hardtanh", "tanh", "shifted_relu"])
def test_untrained_network_applies_the_activation_again_and_again(activation):
    model = IdentityMLP(4, classes=2, depth=5, activation=activation, scale=1.1)
    x = torch.linspace(-2, 2, 4)[None]
    value = torch.cat([x, torch.zeros(1, 2)], 1)
    for _ in range(4):
        value = model.stack[1](1.1 * value)
    before, _ = model.states(x)
    torch.testing.assert_close(before[-1], 1.1 * value)
    assert model(x).tolist() == [[0, 0]]


def test_output_is_the_class_part_of_the_stack():
    model, x = trained_network(), small_data()[1][0][:5]
    assert torch.equal(model(x), model.stack(model.padded(x))[:, 49:])


def start_of(depth, activation, scale):
    """A network in float64, the padded image, the trace of its stack and its own signals there."""
    model = small_network(depth, activation, scale).double()
    for linear in model.linears:
        linear.weight.data.copy_(scale * torch.eye(model.width).double())  # s itself and not s rounded to float32
    start = model.padded(small_data()[1][0][:1])
    with torch.no_grad():
        before = [h[0].numpy() for h in model.states(small_data()[1][0][:1])[0]]
    return model, start, trace(model.stack, start), NeuronSignals(start[0].numpy(), tuple(before))


@pytest.mark.parametrize("depth", [20, 50])
@pytest.mark.parametrize(("activation", "scale"), [("hardtanh", 0.99), ("tanh", 1.02), ("shifted_relu", 0.99)])
def test_spectra_at_the_start_are_the_exact_diagonal_formula(depth, activation, scale):
    model, start, read, signals = start_of(depth, activation, scale)
    assert is_diagonal(model.network)
    for measured, fisher in ((measure_jacobian(read, start), False), (measure_fisher(read, start), True)):
        exact = eigenvalues(diagonal_law(model.network, realised=signals, fisher=fisher), model.width)
        assert np.abs(np.sort(measured.eigenvalues) - exact).max() < 1e-6 * exact.max()


@pytest.mark.parametrize("depth", [20, 50])
def test_hard_tanh_cuts_once_and_holds_its_neurons_at_the_kink(depth):
    """At s = 1 a neuron that is cut stays at ±1, where torch takes φ' = 0: Θ_i = Σ_l (‖x^{l-1}‖² + 1) or the last term alone."""
    model, start, read, signals = start_of(depth, "hardtanh", 1.0)
    exact = eigenvalues(diagonal_law(model.network, realised=signals), model.width)
    assert np.abs(np.sort(measure_jacobian(read, start).eigenvalues) - exact).max() < 1e-12
    inside = np.abs(signals.inputs) < 1
    first, later = start.square().sum().item() + 1, start.clamp(-1, 1).square().sum().item() + 1
    theta = np.where(inside, first + (depth - 1) * later, later)
    assert 5 < inside.sum() < model.width - 5
    assert np.abs(measure_fisher(read, start).eigenvalues - np.sort(theta)).max() < 1e-6 * theta.max()


def eigenvalues(law, width):
    return np.sort(np.repeat([a.position for a in law.atoms], [round(a.mass * width) for a in law.atoms]))


def test_freeness_test_fails_at_the_start():
    model, image = small_network(8), small_data()[1][0][:1]
    found = freeness_test(trace(model.stack, model.padded(image)), model.padded(image))
    assert any(word.tested for word in found.words)
    assert not found.free


def test_last_reading_is_the_output_bit_by_bit():
    model, x = trained_network(), small_data()[1][0]
    with torch.no_grad():
        outputs = torch.cat([model(chunk) for chunk in x.split(512)])
    found = read_layers(model, x)
    assert np.array_equal(found.logits[-1], outputs.numpy())
    assert np.array_equal(found.likelihoods[-1], outputs.softmax(1).numpy())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shape": (0, 3)}, "sizes ≥ 1"),
        ({"shape": ()}, "sizes ≥ 1"),
        ({"classes": 1}, "at least 2 classes"),
        ({"depth": 0}, "depth"),
        ({"scale": 0.0}, "scale"),
        ({"activation": "nonsense"}, "nonsense"),
        ({"centre": torch.zeros(3)}, "centre"),
    ],
)
def test_bad_sizes_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        IdentityMLP(**({"shape": (2, 2), "classes": 3, "depth": 2} | arguments))


def test_inputs_of_another_size_are_refused():
    with pytest.raises(InputError, match=r"expected inputs \(n, 2, 2\), got \(5, 3\)"):
        IdentityMLP((2, 2), classes=3, depth=2)(torch.ones(5, 3))
