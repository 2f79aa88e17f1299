"""Everything that is said of the phases of one activation: the diagram, its edge, and where one network settles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from freeness.errors import InputError
from freeness.gaussian import ActivationFunction, covariance
from freeness.meanfield.fixed_points import FixedPoint, fixed_point
from freeness.meanfield.length_map import LengthMap
from freeness.meanfield.phase import EdgeOfChaos, PhaseDiagram, edge_of_chaos, phase_diagram

SHOWN = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # q* of the rows that are read
_LENGTHS, _CORRELATIONS = 61, 21  # points of the maps
_Q = np.unique([*np.geomspace(0.01, 100.0, 81), *SHOWN])


@dataclass(frozen=True)
class Settled:
    """The fixed point of a network at (sigma_w, sigma_b), or None and the reason why there is none."""

    sigma_w: float
    sigma_b: float
    found: FixedPoint | None
    reason: str = ""


@dataclass(frozen=True, eq=False)
class PhasePortrait:
    """The diagram over (σ_w, σ_b) with its critical curve, or None and the reason why there is none."""

    function: ActivationFunction
    diagram: PhaseDiagram
    edge: EdgeOfChaos | None
    no_edge_because: str = ""
    settled: Settled | None = None


def settled(function: ActivationFunction, sigma_w: float, sigma_b: float) -> Settled:
    """Where the signal of a deep network settles.

    Args:
        function: φ, as :func:`~freeness.activation` gives it.
        sigma_w: weights have variance σ_w²/fan_in.
        sigma_b: biases have variance σ_b².

    Raises:
        InputError: numbers that are none of a network.

    Example:
        >>> from freeness.gaussian import activation
        >>> settled(activation("tanh"), 1.0, 0.5).found.phase, settled(activation("relu"), 3.0, 0.5).found
        ('ordered', None)
    """
    LengthMap(function, sigma_w, sigma_b)  # refuses numbers that are none of a network
    try:
        return Settled(sigma_w, sigma_b, fixed_point(function, sigma_w, sigma_b))
    except InputError as error:
        return Settled(sigma_w, sigma_b, None, str(error))


def phase_portrait(
    function: ActivationFunction,
    sigma_w: Float[np.ndarray, " columns"],
    sigma_b: Float[np.ndarray, " rows"],
    at: tuple[float, float] | None = None,
) -> PhasePortrait:
    """The phase diagram on a grid, the edge of chaos for q* from 0.01 to 100, and where one network settles.

    Args:
        function: φ, as :func:`~freeness.activation` gives it.
        sigma_w: σ_w > 0 of the columns.
        sigma_b: σ_b ≥ 0 of the rows.
        at: σ_w and σ_b of the network.

    Example:
        >>> from freeness.gaussian import activation
        >>> found = phase_portrait(activation("tanh"), np.array([0.9, 1.8]), np.array([0.0]), at=(1.5, 0.2))
        >>> bool(found.edge.stable.all()), found.settled.found.phase
        (True, 'chaotic')
    """
    where = None if at is None else settled(function, *at)
    diagram = phase_diagram(function, sigma_w, sigma_b)
    try:
        return PhasePortrait(function, diagram, edge_of_chaos(function, _Q), settled=where)
    except InputError as error:
        return PhasePortrait(function, diagram, None, str(error), where)


@dataclass(frozen=True, eq=False)
class LayerMaps:
    """What one layer does to q and to the correlation c of two inputs of variance q*: values and those a layer later.

    ``correlations`` is None where no q settles, or at 0.
    """

    settled: Settled
    lengths: tuple[Float[np.ndarray, " lengths"], Float[np.ndarray, " lengths"]]
    correlations: tuple[Float[np.ndarray, " correlations"], Float[np.ndarray, " correlations"]] | None


def layer_maps(function: ActivationFunction, sigma_w: float, sigma_b: float) -> LayerMaps:
    """The two maps of a layer, q from 0 to beyond where it settles and c from 0 to 1.

    Args:
        function: φ, as :func:`~freeness.activation` gives it.
        sigma_w: weights have variance σ_w²/fan_in.
        sigma_b: biases have variance σ_b².

    Raises:
        InputError: numbers that are none of a network.

    Source: Poole et al. (2016).

    Example:
        >>> from freeness.gaussian import activation
        >>> found = layer_maps(activation("relu"), 2**0.5, 0.0)  # keeps every length and brings inputs together
        >>> bool(np.allclose(*found.lengths)), bool((found.correlations[1] >= found.correlations[0] - 1e-12).all())
        (True, True)
    """
    where = settled(function, sigma_w, sigma_b)
    found, length_map = where.found, LengthMap(function, sigma_w, sigma_b)
    q = np.linspace(0.0, max(2.0 * found.q, 1.0) if found is not None else 4.0, _LENGTHS)
    lengths = q, np.array([length_map(value) for value in q])
    if found is None or found.q == 0:
        return LayerMaps(where, lengths, None)
    c = np.linspace(0.0, 1.0, _CORRELATIONS)
    following = (sigma_w**2 * covariance(function, found.q, found.q, c).value + sigma_b**2) / found.q
    return LayerMaps(where, lengths, (c, following))
