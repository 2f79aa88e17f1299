"""The bundled images in 7×7 pixels, so that a network of 59 neurons reads them in no time."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from freeness.interpret import FitOptions, IdentityMLP, fit
from freeness.interpret.fashion import fashion_data
from freeness.torch.model.sampling import seeded_generator


def small(images: Tensor) -> Tensor:
    pooled = torch.nn.functional.avg_pool2d(images[:, None], 4)[:, 0]
    centred = pooled - pooled.mean((1, 2), keepdim=True)
    return centred / centred.square().mean((1, 2), keepdim=True).sqrt()


@cache
def small_data() -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Training and test images (n, 7, 7), each of mean 0 and mean square 1, with labels."""
    train, test, _ = fashion_data()
    return (small(train[0]), train[1]), (small(test[0]), test[1])


def small_loader(batch: int = 32, seed: int = 0) -> DataLoader:
    return DataLoader(TensorDataset(*small_data()[0]), batch, shuffle=True, generator=seeded_generator(seed))


def small_network(depth: int = 8, activation: str = "hardtanh", scale: float = 1.0) -> IdentityMLP:
    return IdentityMLP((7, 7), 10, depth, activation, scale, centre=small_data()[0][0].mean(0))


@cache
def trained_network() -> IdentityMLP:
    """Eight layers after two passes at the designed rate; not to be changed."""
    model = small_network()
    fit(model, small_loader(), FitOptions(epochs=2))
    return model
