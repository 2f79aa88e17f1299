"""The freeness test on torch models: passes at random initialisation, fails for identity weights, leaves the model alone."""

import copy

import pytest
import torch
from torch import nn

from freeness import InputError
from freeness.torch import freeness_test


def model(width=150, depth=4, generator=None):
    torch.manual_seed(0)
    layers = [nn.Linear(20, width), nn.Tanh()]
    for _ in range(depth - 2):
        layers += [nn.Linear(width, width), nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(width, 5))


@pytest.mark.parametrize("initial", [nn.init.orthogonal_, nn.init.xavier_normal_, None])
def test_random_weights_pass(initial):
    network = model()
    if initial is not None:
        for layer in network:
            if isinstance(layer, nn.Linear):
                initial(layer.weight)
    found = freeness_test(network, torch.randn(1, 20), all_pairs=True)
    assert found.free and found.rejected == ()
    names = [(word.name, word.word) for word in found.words]
    assert ("2", "(W D° Wᵀ E°)²") in names and ("2 … 4", "W D° Wᵀ E°") in names and ("6", "W D° W D°") not in names


def test_identity_weights_are_rejected_where_they_stand():
    network = model()
    nn.init.eye_(network[2].weight)
    found = freeness_test(network, torch.randn(1, 20))
    assert not found.free and {word.name for word in found.rejected} == {"2"}


def test_weights_that_follow_the_derivatives_are_rejected():
    """Entries that grow where the neurons before and behind are both more, or both less, linear: that matrix fails."""
    network, x = model(), torch.randn(1, 20)
    with torch.no_grad():
        before = 1 - torch.tanh(network[:1](x)[0]) ** 2
        weight = network[2].weight
        for _ in range(30):  # E depends on W, so to a fixed point
            behind = 1 - torch.tanh(network[:3](x)[0]) ** 2
            pattern = torch.outer(behind - behind.mean(), before - before.mean())
            network[2].weight = nn.Parameter(weight * (1 + 0.5 * pattern / pattern.std()).clamp(min=0).sqrt())
    assert {word.name for word in freeness_test(network, x).rejected} == {"2"}


def test_the_model_is_left_as_it_was():
    network = model().train()
    network[0].weight.grad = torch.ones_like(network[0].weight)
    before, state = copy.deepcopy(network.state_dict()), torch.get_rng_state()
    freeness_test(network, torch.randn(20, generator=torch.Generator().manual_seed(1)))
    assert network.training and torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert torch.equal(network[0].weight.grad, torch.ones_like(network[0].weight))


def test_without_an_activation_there_is_nothing_to_test():
    with pytest.raises(InputError, match="activation"):
        freeness_test(nn.Linear(5, 5), torch.ones(5))
