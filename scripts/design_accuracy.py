"""Deep networks by design and by PyTorch's default: accuracy after one pass over the bundled images, as a table.

The design trains at the rate that theory alone says; the default at the best of three rates, chosen by the accuracy itself.
``python scripts/design_accuracy.py``, five minutes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

import freeness as fr
from freeness.advice import DesignOptions, Training
from freeness.data import load_fashion_mnist
from freeness.torch import InitializeOptions, initialize_

WIDTH, BATCH, SEEDS = 128, 32, (0, 1)
RATES = (0.01, 0.1, 1.0)
KINDS = {"tanh": nn.Tanh, "hardtanh": nn.Hardtanh, "gelu": nn.GELU, "relu": nn.ReLU}
FORMS = {"tanh": "plain", "hardtanh": "plain", "gelu": "normalised", "relu": "tat"}
Split = tuple[Tensor, Tensor]


def images() -> tuple[Split, Split, float]:
    """Standardised training and test images, and the mean correlation of two of them."""
    train, test = load_fashion_mnist("train"), load_fashion_mnist("test")
    x, other = (torch.from_numpy(part.flattened()).float() for part in (train, test))
    mean, deviation = x.mean(), x.std()
    x, other = (x - mean) / deviation, (other - mean) / deviation
    unit = x[:200] / x[:200].norm(dim=1, keepdim=True)
    correlation = float(((unit @ unit.T).sum() - 200) / (200 * 199))
    return (x, torch.from_numpy(train.labels).long()), (other, torch.from_numpy(test.labels).long()), correlation


def default(depth: int, name: str, seed: int) -> nn.Sequential:
    """As nn.Linear starts."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers: list[nn.Module] = [nn.Linear(784, WIDTH)]
        for _ in range(depth - 2):
            layers += [KINDS[name](), nn.Linear(WIDTH, WIDTH)]
        return nn.Sequential(*layers, KINDS[name](), nn.Linear(WIDTH, 10))


def designed(depth: int, name: str, seed: int, correlation: float) -> tuple[nn.Sequential, float]:
    """By ``fr.design``, with its rate."""
    how = Training("cross_entropy", "sgd", batch=BATCH, correlation=correlation)
    options = DesignOptions(form=FORMS[name])  # pyright: ignore[reportArgumentType]
    isometry = None if FORMS[name] == "tat" else 0.25
    found = fr.design(depth, [784] + [WIDTH] * (depth - 1) + [10], name, isometry, options, how)
    network = default(depth, name, seed)
    generator = torch.Generator().manual_seed(seed)
    initialize_(network, found, generator=generator, options=InitializeOptions(swap=FORMS[name] != "plain"))
    return network, found.learning_rate.recommended


def accuracy(network: nn.Module, rate: float, seed: int, data: tuple[Split, Split, float]) -> float:
    """On the 1,000 test images after one pass over the 2,000 training images."""
    (x, y), (other, labels), _ = data
    optimizer = torch.optim.SGD(network.parameters(), lr=rate)
    for chosen in torch.randperm(len(x), generator=torch.Generator().manual_seed(seed)).split(BATCH):
        optimizer.zero_grad()
        nn.functional.cross_entropy(network(x[chosen]), y[chosen]).backward()
        optimizer.step()
    with torch.no_grad():
        return float((network(other).argmax(1) == labels).float().mean())


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    data = images()
    print(
        "| depth | activation | design, its rate | accuracy | default at its best rate: accuracy |\n|---|---|---|---|---|"
    )
    for depth in (50, 100):
        for name, form in FORMS.items():
            made = [designed(depth, name, seed, data[2]) for seed in SEEDS]
            scores = [accuracy(network, rate, seed, data) for seed, (network, rate) in zip(SEEDS, made, strict=True)]
            others = [[accuracy(default(depth, name, seed), rate, seed, data) for seed in SEEDS] for rate in RATES]
            best = max(others, key=sum)
            label = name if form == "plain" else f"{name}, {form}"
            print(
                f"| {depth} | {label} | {made[0][1]:.2g} | {sum(scores) / len(SEEDS):.2f} | {sum(best) / len(SEEDS):.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
