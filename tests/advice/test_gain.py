"""What a design gains over a given network, from numbers of the network itself."""

import pytest

from freeness import design, mlp
from freeness.advice import gain_of_design
from freeness.advice.gain import way_to_design
from freeness.network import Activation, Dense, Haar, Network, activation


def test_a_network_that_is_the_design_gains_nothing():
    found = design(12, 50, "tanh")
    assert gain_of_design(found.network, 0.0, found.isometry) is None


@pytest.mark.parametrize("name", ["tanh", "hardtanh", "relu", "gelu"])
def test_a_default_start_is_told_both_numbers(name):
    network = mlp(12, 50, name, "gaussian", sigma_w=3**-0.5)
    text = gain_of_design(network, -12.3, 30.0)
    found = design(12, network.widths, name)
    assert f"σ_w = {found.sigma_w:.4g}" in text and "4.55e-06" in text and "here by 30." in text


def test_a_mixture_of_activations_and_shapes_without_a_start_get_none():
    mixed = [
        Dense(5, 5, Haar(1.0)),
        Activation(activation("tanh")),
        Dense(5, 5, Haar(1.0)),
        Activation(activation("relu")),
    ]
    assert gain_of_design(Network((*mixed, Dense(5, 5, Haar(1.0)))), 9.0, 9.0) is None
    assert gain_of_design(mlp(1, 5), 9.0, 9.0) is None


@pytest.mark.parametrize(("name", "parameters"), [("tanh", {}), ("leaky_relu", {"negative_slope": 0.2})])
def test_the_code_to_the_design_runs_as_it_stands(name, parameters):
    torch = pytest.importorskip("torch")
    from freeness.torch import build

    network = mlp(4, [20, 60, 60, 60, 10], activation(name, **parameters), "gaussian", sigma_w=0.6)
    model = build(network, torch.Generator().manual_seed(0), torch.float64)
    exec(way_to_design(network), {"model": model})
    found = design(4, network.widths, activation(name, **parameters))
    layers = [layer for layer in model.modules() if isinstance(layer, torch.nn.Linear)]
    square = float(layers[1].weight.detach().square().sum()) / 60  # of a square Haar matrix: σ_w²
    assert square == pytest.approx(found.sigma_w**2, rel=1e-9)


def test_a_function_of_the_model_alone_is_taken_from_its_trace():
    torch = pytest.importorskip("torch")
    from freeness.torch import trace

    class Wave(torch.nn.Module):
        def forward(self, x):
            return torch.tanh(x) + 0.1 * torch.sin(x)

    model = torch.nn.Sequential(
        torch.nn.Linear(20, 50), Wave(), torch.nn.Linear(50, 50), Wave(), torch.nn.Linear(50, 5)
    ).double()
    inputs = torch.ones(2, 20).double()
    network = trace(model, inputs[:1]).network
    before = model[2].weight.clone()
    exec(way_to_design(network), {"model": model, "inputs": inputs})
    assert not torch.equal(before, model[2].weight)
