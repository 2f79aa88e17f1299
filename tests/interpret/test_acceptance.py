"""Full-size images and twenty layers: as good as Haar weights, and neurons that matter."""

from functools import cache

import numpy as np
import pytest
from torch.utils.data import DataLoader, TensorDataset

from freeness.interpret import FitOptions, ablate_class, fit, neuron_contributions, read_layers, top_neurons
from freeness.interpret.fashion import Recipe, fashion_data, prepare
from freeness.torch.model.sampling import seeded_generator

pytestmark = pytest.mark.slow


@cache
def trained(start: str, optimizer: str, seed: int):
    train, _, _ = fashion_data()
    model = prepare(Recipe(20, start=start, seed=seed), train[0])
    loader = DataLoader(TensorDataset(*train), 32, shuffle=True, generator=seeded_generator(seed))
    fit(model, loader, FitOptions(epochs=2, optimizer=optimizer))
    return model


def accuracy(start: str, optimizer: str, seed: int) -> float:
    _, (images, labels), _ = fashion_data()
    return float(read_layers(trained(start, optimizer, seed), images).accuracy(labels.numpy())[-1])


def test_accuracy_is_not_below_that_of_haar_weights():
    """Each at its designed rate, Haar weights with the optimizer that suits them better."""
    identity = np.array([accuracy("identity", "momentum", seed) for seed in range(3)])
    haar = np.array([accuracy("haar", "sgd", seed) for seed in range(3)])
    difference = identity - haar
    assert difference.mean() > -2 * difference.std(ddof=1) / 3**0.5, (identity, haar)


def test_every_class_is_lost_with_its_neurons():
    train, test, _ = fashion_data()
    model = trained("identity", "momentum", 0)
    for target in range(10):
        chosen = top_neurons(neuron_contributions(model, train[0][train[1] == target]), target)
        found = ablate_class(model, chosen, *test, target)
        assert found.drop >= 0.05 and found.significant, (target, found)
