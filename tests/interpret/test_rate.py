import pytest
import torch
from torch import nn

from freeness.errors import InputError
from freeness.interpret import IdentityMLP, designed_rate

from .small_images import small_data, small_network


def test_sharpness_at_the_start_is_the_gram_matrix_of_the_layers():
    """Class neurons are 0 and pass on derivatives s^{L-l}; softmax is uniform: (1/K)·λ_max(Σ_l s^{2(L-l)}(XXᵀ + 1))/B."""
    model = IdentityMLP(6, classes=3, depth=4, activation="tanh", scale=0.9)
    x = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))
    value, gram = x.double(), torch.zeros(5, 5, dtype=torch.float64)
    for power in (3, 2, 1, 0):
        gram += 0.9 ** (2 * power) * (value @ value.T + 1)
        value = (0.9 * value).tanh()
    exact = float(torch.linalg.eigvalsh(gram)[-1]) / 5 / 3
    assert designed_rate(model, x, torch.arange(5) % 3).sharpness == pytest.approx(exact, rel=1e-5)


def test_other_networks_have_a_rate_too():
    model = nn.Sequential(nn.Linear(4, 2, bias=False))
    nn.init.zeros_(model[0].weight)
    rate = designed_rate(model, torch.eye(4), torch.tensor([0, 1, 1, 0]), "sgd")
    assert rate.sharpness == pytest.approx(0.5 / 4, rel=1e-4)  # (1/K)·λ_max(XXᵀ)/B


def test_network_and_random_state_are_left_as_they_were():
    model, x = small_network(3), small_data()[0][0][:8]
    model.linears[0].requires_grad_(False)
    state = torch.get_rng_state()
    designed_rate(model, x, small_data()[0][1][:8])
    assert torch.equal(state, torch.get_rng_state())
    assert model.training and not model.linears[0].weight.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())


def test_preconditioned_optimizers_are_refused():
    with pytest.raises(InputError, match="expected the optimizer sgd, momentum, nesterov, got 'adam'"):
        designed_rate(small_network(2), torch.ones(1, 7, 7), torch.tensor([0]), "adam")
