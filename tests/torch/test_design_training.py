"""A design holds when one trains: deep networks on the bundled images, at the rate that theory alone says."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import freeness as fr
from freeness.advice import Design, DesignOptions, Training
from freeness.data import load_fashion_mnist
from freeness.torch import InitializeOptions, initialize_

WIDTH, BATCH, CHANCE = 128, 32, 0.1
KINDS = {"tanh": nn.Tanh, "hardtanh": nn.Hardtanh, "gelu": nn.GELU}
Split = tuple[Tensor, Tensor]


@pytest.fixture(scope="module")
def images() -> tuple[Split, Split, float]:
    """Standardised training and test images, and the mean correlation of two of them."""
    train, test = load_fashion_mnist("train"), load_fashion_mnist("test")
    x, y = torch.from_numpy(train.flattened()).float(), torch.from_numpy(train.labels).long()
    mean, deviation = x.mean(), x.std()
    x = (x - mean) / deviation
    other = (torch.from_numpy(test.flattened()).float() - mean) / deviation
    unit = x[:200] / x[:200].norm(dim=1, keepdim=True)
    gram = unit @ unit.T
    correlation = float((gram.sum() - 200) / (200 * 199))
    return (x, y), (other, torch.from_numpy(test.labels).long()), correlation


def model(depth: int, name: str) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers: list[nn.Module] = [nn.Linear(784, WIDTH)]
        for _ in range(depth - 2):
            layers += [KINDS[name](), nn.Linear(WIDTH, WIDTH)]
        return nn.Sequential(*layers, KINDS[name](), nn.Linear(WIDTH, 10))


def designed(depth: int, name: str, form: str, correlation: float) -> tuple[nn.Sequential, Design]:
    how = Training("cross_entropy", "sgd", batch=BATCH, correlation=correlation)
    widths = [784] + [WIDTH] * (depth - 1) + [10]
    found = fr.design(depth, widths, name, 0.25, DesignOptions(form=form), how)  # pyright: ignore[reportArgumentType]
    network = model(depth, name)
    initialize_(network, found, options=InitializeOptions(swap=form != "plain"))
    return network, found


def accuracy(network: nn.Module, rate: float, images: tuple[Split, Split, float]) -> float:
    """On the test images after one pass over the 2,000 training images in batches of 32."""
    (x, y), (other, labels), _ = images
    optimizer = torch.optim.SGD(network.parameters(), lr=rate)
    for chosen in torch.randperm(len(x), generator=torch.Generator().manual_seed(0)).split(BATCH):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(x[chosen]), y[chosen]).backward()
        optimizer.step()
    with torch.no_grad():
        return float((network(other).argmax(1) == labels).float().mean())


@pytest.mark.parametrize("name", ["tanh", "hardtanh"])
def test_fifty_layers_train_by_design_and_not_by_default(name: str, images: tuple[Split, Split, float]) -> None:
    """.70 after one pass at theory's rate; the default stays at chance at every rate."""
    network, found = designed(50, name, "plain", images[2])
    assert accuracy(network, found.learning_rate.recommended, images) > 0.6
    for rate in (0.01, 0.1, 1.0):
        assert accuracy(model(50, name), rate, images) < CHANCE + 0.05


@pytest.mark.slow
@pytest.mark.parametrize("form", ["plain", "normalised"])
@pytest.mark.parametrize("name", ["tanh", "hardtanh"])
def test_a_hundred_layers_too(name: str, form: str, images: tuple[Split, Split, float]) -> None:
    network, found = designed(100, name, form, images[2])
    assert accuracy(network, found.learning_rate.recommended, images) > 0.6
    assert max(accuracy(model(100, name), rate, images) for rate in (0.01, 0.1, 1.0)) < CHANCE + 0.05


@pytest.mark.slow
@pytest.mark.parametrize(
    ("depth", "name", "form"), [(20, "tanh", "plain"), (50, "hardtanh", "normalised"), (50, "gelu", "normalised")]
)
def test_theory_s_rate_is_near_the_best_and_below_the_threshold(
    depth: int, name: str, form: str, images: tuple[Split, Split, float]
) -> None:
    """Batches of correlated inputs from theory alone; 24 times the rate, 8.4 times 2/λ, destroys the network."""
    scores = {}
    for factor in (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 24.0):
        network, found = designed(depth, name, form, images[2])
        scores[factor] = accuracy(network, factor * found.learning_rate.recommended, images)
    assert scores[1.0] > max(scores.values()) - 0.04
    assert scores[24.0] < 0.3
