"""From a sweep to its cells, and from a cell to its network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from math import sqrt

import numpy as np

from freeness.advice import Training, theory_rate
from freeness.errors import InputError
from freeness.experiments.specification import Cell, DesignSpecification, SweepSpecification
from freeness.meanfield import isometric_point
from freeness.network import ActivationFunction, AffineImage, Dense, Network, activation, affine_image, mlp
from freeness.training import optimizer_of


@dataclass(frozen=True)
class DataFacts:
    """What a sweep needs to know of its data.

    ``inputs``: N₀; ``outputs``: C; ``qhat0``: mean ‖x⁰‖²/N₀; ``correlation``: mean cosine of two inputs; ``digest``: SHA-256.
    """

    inputs: int
    outputs: int
    qhat0: float
    correlation: float
    digest: str


@dataclass(frozen=True)
class Placed:
    """A cell at its place (design, depth, rate, seed: indices) in the table of a sweep."""

    cell: Cell
    place: tuple[int, int, int, int]


def expand(sweep: SweepSpecification, facts: DataFacts) -> tuple[Placed, ...]:
    """All cells of a sweep, design by design, then by depth, rate and seed.

    Args:
        sweep: checked, as :func:`read_specification` gives it.
        facts: N₀, C, mean ‖x⁰‖²/N₀ and mean cosine of its data.

    Raises:
        InputError: an isometry that a design cannot have.

    Example:
        >>> from freeness.experiments import preset
        >>> found = expand(preset("tiny"), DataFacts(784, 10, 1 / 784, 0.5, "…"))
        >>> len(found), found[0].place, found[0].cell.rate
        (12, (0, 0, 0, 0), 0.125)
    """
    found = []
    for (i, design), (j, depth) in product(enumerate(sweep.designs), enumerate(sweep.depths)):
        first = _cell(sweep, design, depth, facts)
        unit = rate_unit(sweep, first, facts)
        for (k, value), (m, seed) in product(enumerate(sweep.rates.values), enumerate(sweep.seeds)):
            cell = first.model_copy(update={"rate": value * unit, "seed": seed})
            found.append(Placed(cell, (i, j, k, m)))
    return tuple(found)


def rate_unit(sweep: SweepSpecification, cell: Cell, facts: DataFacts) -> float:
    """What a rate of the sweep is a multiple of, at the cell's depth."""
    if sweep.rates.unit == "absolute":
        return 1.0
    return 2 / cell.depth if sweep.rates.unit == "two_over_depth" else bounds(cell, facts)[0]


def bounds(cell: Cell, facts: DataFacts) -> tuple[float, float]:
    """The largest stable rate by theory: of one sample, and of the cell's batch (theory.md §7, ``theory_rate``).

    Args:
        cell: whose network, loss and optimiser the bounds are of.
        facts: N₀, C, mean ‖x⁰‖²/N₀ and mean cosine of the data.

    Example:
        >>> sizes = {"depth": 4, "width": 8, "inputs": 8, "outputs": 8}
        >>> cell = Cell(**sizes, activation="linear", rate=1, seed=0, steps=1, evaluate=(1,), data="…")
        >>> [round(bound, 9) for bound in bounds(cell, DataFacts(8, 8, 1 / 8, 0.5, "…"))]  # 2/L at ‖x‖ = 1
        [0.5, 0.5]
    """
    network = network_of(cell)
    optimizer = "sgd" if optimizer_of(cell.optimizer).preconditioned else cell.optimizer
    one = theory_rate(network, Training(cell.loss, optimizer), facts.qhat0).bound
    if cell.batch == 1:
        return one, one
    correlation = float(np.clip(facts.correlation, -1, 1))
    together = Training(cell.loss, optimizer, batch=cell.batch, correlation=correlation)
    return one, theory_rate(network, together, facts.qhat0).bound


def activation_of(cell: Cell) -> ActivationFunction:
    """c·φ(x/c), or φ itself at c = 1."""
    function = activation(cell.activation)
    if cell.activation_scale == 1:
        return function
    scale = cell.activation_scale
    if cell.activation == "hardtanh":  # whose image is one of its own kind
        return activation("hardtanh", min_val=-scale, max_val=scale)
    return affine_image(AffineImage(function, gain=1 / scale, scale=scale))


def network_of(cell: Cell) -> Network:
    """The record of the cell's network at initialisation.

    Example:
        >>> sizes = {"depth": 3, "width": 5, "inputs": 20, "outputs": 2}
        >>> cell = Cell(**sizes, activation="tanh", rate=1, seed=0, steps=1, evaluate=(1,), data="…")
        >>> network_of(cell).widths
        (20, 5, 5, 2)
    """
    widths = [cell.inputs, *[cell.width] * (cell.depth - 1), cell.outputs]
    plain = mlp(cell.depth, widths, activation_of(cell), cell.weights, sigma_w=cell.sigma_w, sigma_b=cell.sigma_b)
    first, *rest = plain.layers
    assert isinstance(first, Dense)
    gained = replace(first.weights, sigma_w=first.weights.sigma_w * cell.first_gain)
    return Network((replace(first, weights=gained), *rest))


def _cell(sweep: SweepSpecification, design: DesignSpecification, depth: int, facts: DataFacts) -> Cell:
    """The cell of a depth with rate and seed to be filled in."""
    ratio = facts.inputs / design.width
    first_gain, qhat = 1.0, facts.qhat0
    if design.weights != "identity" and depth > 1:
        qhat = facts.qhat0 * ratio  # ‖x‖² is kept
        first_gain = (
            sqrt(ratio) if ratio > 1 or design.weights == "gaussian" else 1.0
        )  # a Haar matrix that expands does so
    sigma_w, sigma_b, scale = design.sigma_w, design.sigma_b, 1.0
    if design.isometry is not None:
        if depth < 2:
            raise InputError(f"expected depths of at least 2 with an isometry, got {depth}; leave the depth out.")
        point = isometric_point(activation(design.activation), depth - 1, design.isometry)
        sigma_w, scale = point.sigma_w, sqrt(qhat / point.q)
    elif design.signal is not None:
        scale = sqrt(qhat / design.signal)
    return Cell(
        depth=depth,
        width=design.width,
        inputs=facts.inputs,
        outputs=facts.outputs,
        activation=design.activation,
        activation_scale=scale,
        weights=design.weights,
        sigma_w=sigma_w,
        sigma_b=sigma_b,
        first_gain=first_gain,
        rate=1.0,
        seed=0,
        steps=sweep.steps,
        batch=sweep.batch,
        evaluate=sweep.evaluate,
        loss=sweep.loss,
        optimizer=sweep.optimizer,
        momentum=sweep.momentum,
        metrics=sweep.metrics,
        diverged_above=sweep.diverged_above,
        data=facts.digest,
    )
