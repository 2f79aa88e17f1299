"""The largest eigenvalue of a chain's spectra for advice: the end of the law, or a single eigenvalue that stands outside it.

Odd activations and those that are linear on either side of 0 pull nothing out of the law unless lengths are stretched on the way,
so nothing is looked for with them; with GELU, SiLU or softplus the largest eigenvalue may be many times the end of the law.

Source: :func:`freeness.spectra.outliers`, this project's derivation; the screening is tested against it.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np

from freeness.advice.edges import upper_end
from freeness.advice.reached import is_homogeneous
from freeness.errors import FreenessError
from freeness.meanfield import DenseSignal, Signals, second_moment_slope
from freeness.network import Activation, ActivationFunction, Dense, Network
from freeness.spectra import Bending, Mixing, NetworkGraph, maps_of, network_graph, outliers

_ROUNDED = 1e-6  # growth of a length, above 1, that is rounding of the expectations
_PROBES, _EVEN = np.linspace(0.05, 4.0, 80), 1e-12


class LargestEigenvalue(NamedTuple):
    """``end``: of the law; ``single``: the largest eigenvalue outside, None without; ``missed``: why none is known."""

    end: float
    single: float | None
    missed: str | None = None

    @property
    def value(self) -> float:
        """The larger of both."""
        return self.end if self.single is None else max(self.end, self.single)


def largest_eigenvalue(
    network: Network,
    found: Signals,
    of: Literal["jacobian", "fisher"] = "fisher",
    *,
    weighted: Signals | None = None,
) -> LargestEigenvalue:
    """λ_max of JJᵀ or of the one-sample Fisher dual Θ of a chain, with what leaves the law.

    Args:
        network: a chain.
        found: its signals, one a layer, as of :func:`~freeness.meanfield.signals`.
        of: "jacobian" (JJᵀ) or "fisher" (Θ).
        weighted: of a sum Σ s_l Θ_l, the same signals with their squared norms weighted by s_l.

    Example:
        >>> from freeness.meanfield import signals
        >>> from freeness.network import mlp
        >>> net = mlp(10, 500, "gelu", sigma_w=1.567, sigma_b=0.186)
        >>> top = largest_eigenvalue(net, signals(net, 0.19), "jacobian")
        >>> round(top.value / top.end, 1)  # the law alone says half of it
        2.1
        >>> net = mlp(10, 500, "tanh", sigma_w=1.1, sigma_b=0.1)
        >>> largest_eigenvalue(net, signals(net, 0.2)).single is None
        True
    """
    end = upper_end(network, weighted or found, of)
    if found.source == "realised" and found.neurons is None:
        return LargestEigenvalue(end, None, "these signals hold no neurons")
    functions = {id(layer.function): layer.function for layer in network.chain() if isinstance(layer, Activation)}
    plain = all(map(_keeps, functions.values()))
    if plain and not stretches_lengths(network, found):
        return LargestEigenvalue(end, None)
    try:
        singles = outliers(_graph(network, found, None if of == "jacobian" else weighted or found))
    except FreenessError as error:  # an end that is known is not lost for it
        return LargestEigenvalue(end, None, str(error))
    return LargestEigenvalue(end, singles[0] if singles else None)


def stretches_lengths(network: Network, found: Signals) -> bool:
    """Whether a layer makes a relative error of a signal's length grow: d ln q_{l+1}/d ln q_l > 1.

    Example:
        >>> from freeness.meanfield import signals
        >>> from freeness.network import mlp
        >>> [stretches_lengths(net, signals(net)) for net in (mlp(4, 50, "relu"), mlp(4, 50, "gelu"))]
        [False, True]
    """
    asked: dict[
        tuple[object, ...], tuple[Bending, Mixing | Bending]
    ] = {}  # where lengths have settled all layers are alike
    for step, behind in pairwise(maps_of(network, found)):
        if isinstance(step, Bending):
            asked.setdefault((id(step.function), step.q, behind), (step, behind))
    return any(_stretches(step, behind) for step, behind in asked.values())


def _stretches(step: Bending, behind: Mixing | Bending) -> bool:
    if isinstance(behind, Bending):
        return True  # two in a row: not asked further
    if step.q == 0:
        return False
    passed = step.q * second_moment_slope(step.function, step.q)
    return behind.gain * passed > (1 + _ROUNDED) * (behind.gain * behind.qhat + behind.added)


def _keeps(function: ActivationFunction) -> bool:
    """Odd, or linear on either side of 0."""
    if is_homogeneous(function):
        return True
    values, mirrored = function.function(_PROBES), function.function(-_PROBES)
    return bool(np.allclose(values, -mirrored, rtol=0, atol=_EVEN * np.abs(values).max()))


def _graph(network: Network, found: Signals, accumulated: Signals | None) -> NetworkGraph:
    """Of JJᵀ, or of Θ with the squared norms that it accumulates; neurons of the signals, or some that are drawn."""
    first = next(signal for signal in found.layers if isinstance(signal, DenseSignal))
    qhat0 = first.squared_norm / first.fan_in
    if accumulated is None:
        return network_graph(network, qhat0, realised=found.neurons)
    graph = network_graph(network, qhat0, realised=found.neurons, fisher=True)
    norms = [
        signal.squared_norm + layer.bias
        for layer, signal in zip(network.chain(), accumulated.layers, strict=True)
        if isinstance(layer, Dense) and isinstance(signal, DenseSignal)
    ]
    segments = tuple(
        replace(segment, accumulated=(np.full_like(segment.accumulated[0], norm), *segment.accumulated[1:]))
        for segment, norm in zip(graph.segments, norms, strict=True)
    )
    return replace(graph, segments=segments)
