"""Whether a learning rate transfers over width and over depth, by parametrisation: exponents of the recursions, none put in."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from freeness.advice.family_transfer import LayerGroup, group_movements
from freeness.errors import InputError
from freeness.network import Branch, Network, mlp, resnet
from freeness.training import SGD, Optimizer, optimizer_of

_WIDTHS, _DEPTHS = (2**18, 2**22), (16, 128)  # theory's cost does not grow with the width
_WIDTH, _DEPTH = 2**20, 4  # what stays while the other grows
_INPUTS, _OUTPUTS = 8, 1
_NONE = 0.1  # exponents that count as 0, of networks that are not yet as deep as one likes
Family = Callable[[int, int], Network]
Share = Callable[[LayerGroup, int], float]


@dataclass(frozen=True)
class Exponents:
    """How the good rate of a parametrisation scales: rate ∝ width^width · depth^depth; ``depth`` is None where it has no depth.

    ``over_width``, ``over_depth``: whether the rate transfers as it is. ``mover``: the layers whose step moves the outputs most
    at large sizes, which set the exponents.
    """

    parametrisation: str
    optimizer: str
    width: float
    depth: float | None
    mover: LayerGroup
    source: str

    @property
    def over_width(self) -> bool:
        """Whether one rate serves all widths."""
        return abs(self.width) < _NONE

    @property
    def over_depth(self) -> bool | None:
        """Whether one rate serves all depths; None where there is one depth only."""
        return None if self.depth is None else abs(self.depth) < _NONE

    @property
    def reason(self) -> str:
        """Why, in a sentence."""
        named = {"input": "first layer", "hidden": "hidden layers", "output": "last layer", "biases": "biases"}[
            self.mover
        ]
        depth = "" if self.depth is None else f" · depth^{-self.depth + 0.0:.2g}"
        return f"A unit rate moves the outputs as width^{-self.width + 0.0:.2g}{depth}, most of it by the {named}."


@dataclass(frozen=True)
class _Rule:
    """A parametrisation: networks of any width and depth, and the share of the rate that each group has at a width."""

    network: Family
    sgd: Share
    adam: Share
    source: str
    depths: bool = True


def _chain(width: int, depth: int) -> Network:
    """Critical ReLU layers in torch's own parametrisation."""
    return mlp(depth, [_INPUTS, *[width] * (depth - 1), _OUTPUTS], "relu", "gaussian", sigma_w=math.sqrt(2))


def _small_output(width: int, depth: int) -> Network:
    """The same with the last layer's variance 1/fan_in²."""
    network = _chain(width, depth)
    *before, last = network.dense
    smaller = replace(last, weights=replace(last.weights, sigma_w=last.weights.sigma_w / math.sqrt(width)))
    return network.mapped(lambda operation: smaller if operation is last else operation) if before else network


def _residual(power: float) -> Family:
    """Branches x + L^-power·W φ(x)."""

    def built(width: int, depth: int) -> Network:
        branch = Branch("relu", sigma_w=math.sqrt(2), scale=depth**-power)
        return resnet(depth, width, branch, inputs=_INPUTS, outputs=_OUTPUTS)

    return built


def _same(_: LayerGroup, __: int) -> float:
    return 1.0


def _ntk(group: LayerGroup, width: int) -> float:
    return 1 / (_INPUTS if group == "input" else width)


def _mup_sgd(group: LayerGroup, width: int) -> float:
    return {"input": float(width), "hidden": 1.0, "output": 1 / width, "biases": float(width)}[group]


_RULES: dict[str, _Rule] = {
    "standard": _Rule(_chain, _same, _same, "torch's own: variance 1/fan_in, one rate"),
    "NTK": _Rule(
        _chain,
        _ntk,
        lambda group, width: math.sqrt(_ntk(group, width)),
        "Jacot et al. 2018: W = ω/√fan_in, one rate for ω",
    ),
    "μP": _Rule(
        _small_output,
        _mup_sgd,
        lambda group, width: 1 / width if group in ("hidden", "output") else 1.0,
        "Yang, Hu 2020; Yang et al. 2022, table 3",
    ),
    "mean field": _Rule(
        lambda width, _: _small_output(width, 2),
        _mup_sgd,
        lambda group, width: 1 / width if group == "output" else 1.0,
        "Mei, Montanari, Nguyen 2018: one hidden layer, f = Σ aφ(wx)/N",
        depths=False,
    ),
    "residual, branches/√L": _Rule(_residual(0.5), _same, _same, "Bordelon et al. 2023; Yang et al. 2023"),
    "residual, branches/L": _Rule(_residual(1.0), _same, _same, "Dey et al. 2025 (CompleteP)"),
}


def transfer_table(optimizer: str | Optimizer = "sgd") -> tuple[Exponents, ...]:
    """The exponents of the good rate in width and depth for every parametrisation, of ReLU networks at the edge of chaos.

    Args:
        optimizer: gradient descent or Adam.

    Raises:
        InputError: another optimiser.

    Example:
        >>> [(row.parametrisation, row.over_width, row.over_depth) for row in transfer_table("sgd")][:3]
        [('standard', False, False), ('NTK', True, False), ('μP', True, False)]
    """
    descent = optimizer_of(optimizer)
    return tuple(_row(name, rule, descent) for name, rule in _RULES.items())


def exponents(parametrisation: str, optimizer: str | Optimizer = "sgd") -> Exponents:
    """One row of :func:`transfer_table`.

    Args:
        parametrisation: "standard", "NTK", "μP" or another of :func:`transfer_table`.
        optimizer: gradient descent or Adam.

    Raises:
        InputError: no such name.

    Example:
        >>> exponents("μP", "adam").over_width
        True
    """
    if parametrisation not in _RULES:
        raise InputError(f"expected a parametrisation among {', '.join(_RULES)}, got {parametrisation!r}; choose one.")
    return _row(parametrisation, _RULES[parametrisation], optimizer_of(optimizer))


def _row(name: str, rule: _Rule, descent: Optimizer) -> Exponents:
    def moved(width: int, depth: int) -> dict[LayerGroup, float]:
        share = rule.sgd if isinstance(descent, SGD) else rule.adam
        found = group_movements(rule.network(width, depth), descent)
        return {group: share(group, width) * value for group, value in found.items()}

    wide = [moved(width, _DEPTH) for width in _WIDTHS]
    width = _exponent([sum(each.values()) for each in wide], _WIDTHS)
    depth = None
    if rule.depths:
        depth = _exponent([sum(moved(_WIDTH, size).values()) for size in _DEPTHS], _DEPTHS)
    mover = max(wide[-1], key=lambda group: wide[-1][group])
    return Exponents(name, str(descent), width, depth, mover, rule.source)


def _exponent(moved: list[float], sizes: tuple[int, int]) -> float:
    """Of the rate that keeps the movement."""
    return -math.log(moved[1] / moved[0]) / math.log(sizes[1] / sizes[0])
