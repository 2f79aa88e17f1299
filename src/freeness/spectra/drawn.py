"""The spectra of one drawn network, operation by operation, without a framework: what predictions are laid beside.

Forward every operation says its output, the Jacobian of that by each of its inputs, and the Gram matrix G of the gradients of its
own parameters. Backward C = ∂f/∂x is added up over the readers of x; JJᵀ is CCᵀ at the input, and Θ = J_θJ_θᵀ the sum of C·G·Cᵀ.
"""

# pyright: reportUnknownArgumentType=false
# The types of what numpy returns here are not known to it.

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.linalg import block_diag

from freeness.errors import InputError
from freeness.laws import haar_orthogonal
from freeness.network import (
    INPUT,
    Gaussian,
    Haar,
    Network,
    Operation,
    Pass,
    TokenMixing,
    Weights,
    check_plain,
    described,
    given,
    pattern,
)


class _Drawn(NamedTuple):
    """Output (C, 1, *positions), Jacobians by inputs (a diagonal as a vector), G where there are parameters, whether flat."""

    value: np.ndarray
    jacobians: tuple[np.ndarray, ...]
    gram: np.ndarray | None
    flat: bool


def drawn_spectrum(
    network: Network, x: Float[np.ndarray, "*shape"], rng: np.random.Generator, *, fisher: bool
) -> Float[np.ndarray, " eigenvalues"]:
    """Eigenvalues of JJᵀ, or of Θ, of one network that is drawn from its ensembles, at one input; ascending.

    Args:
        network: of Gaussian or Haar weights over channels. Normalisations over channels at several positions are taken without
            what their mean and size add to the Jacobian, 1/channels of it.
        x: the input, (N_0,) or (channels, *positions).
        rng: numpy's, from which all numbers are drawn: the same seed, the same result.
        fisher: Θ in place of JJᵀ.

    Raises:
        InputError: a layer of another kind.

    Example:
        >>> from freeness.network import mlp
        >>> rng = np.random.default_rng(0)
        >>> drawn_spectrum(mlp(3, 4, "linear"), np.ones(4), rng, fisher=True).round(9).tolist()
        [12.0, 12.0, 12.0, 12.0]
    """
    start = np.asarray(x, dtype=float)
    known = {INPUT: _Drawn(start[:, None], (), None, False)}
    for node in network.nodes:
        check_plain(node)
        inputs = [known[name] for name in node.inputs]
        at = Pass(inputs[0].flat, rng)
        known[node.name] = _drawn(node.operation, tuple(one.value for one in inputs), at)
    last = network.nodes[-1].name
    size = known[last].value.size
    backward, dual = {last: np.eye(size)}, np.zeros((size, size))
    for node in reversed(network.nodes):
        cotangent, drawn = backward.pop(node.name), known[node.name]
        if drawn.gram is not None:
            dual += cotangent @ drawn.gram @ cotangent.T
        for name, jacobian in zip(node.inputs, drawn.jacobians, strict=True):
            passed = cotangent * jacobian if jacobian.ndim == 1 else cotangent @ jacobian
            backward[name] = backward[name] + passed if name in backward else passed
    return np.linalg.eigvalsh(dual if fisher else backward[INPUT] @ backward[INPUT].T)


def _drawn(operation: Operation, inputs: tuple[np.ndarray, ...], at: Pass) -> _Drawn:
    if isinstance(operation, Weights):
        return _weights(operation, inputs[0], at)
    found = given(operation, inputs, at)
    jacobians = [_matrix_of(map_, x) for x, map_ in zip(inputs, found.maps, strict=True)]
    if found.lost is not None:
        jacobians[0] = jacobians[0][:, None] * (np.eye(len(found.lost)) - found.lost @ found.lost.T)
    return _Drawn(found.value, tuple(jacobians), None, at.flat or found.flat)


def _matrix_of(map_: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Of a map of positions, between all entries of (C, 1, *positions)."""
    if map_.ndim == 2:
        return np.broadcast_to(map_, (len(x), x[0].size)).ravel()
    return np.asarray(block_diag(*np.broadcast_to(map_, (len(x), *map_.shape[1:]))))


def _weights(layer: Weights, x: np.ndarray, at: Pass) -> _Drawn:
    """Channels are the slow index of the flattened signal, positions the quick one."""
    positions, channels, out = x.shape[2:], len(x), layer.sizes[1]
    taps, shape = pattern(layer, positions, at.flat)
    share = len(taps) ** -0.5
    jacobian = np.sum([np.kron(share * drawn_matrix(layer, out, channels, at.rng), tap) for tap in taps], axis=0)
    flat = x.reshape(channels, -1)
    seen = [flat @ tap.T for tap in pattern(layer, positions, at.flat, True).taps]
    gram = np.sum([one.T @ one for one in seen], axis=0) + layer.bias
    biases = layer.sigma_b * at.rng.standard_normal(out)
    value = (jacobian @ x.ravel()).reshape(out, 1, *shape) + biases.reshape(out, *[1] * (len(shape) + 1))
    return _Drawn(value, (jacobian,), np.kron(np.eye(out), gram), False)


def drawn_matrix(layer: Weights | TokenMixing, rows: int, columns: int, rng: np.random.Generator) -> np.ndarray:
    """Fresh weights of a layer: Gaussian of variance σ_w²/columns, or σ_w times a part of a Haar matrix."""
    weights = layer.weights
    if isinstance(weights, Gaussian):
        return weights.sigma_w / np.sqrt(columns) * rng.standard_normal((rows, columns))
    if isinstance(weights, Haar):
        return weights.sigma_w * haar_orthogonal(max(rows, columns), rng)[:rows, :columns]
    raise InputError(
        f"expected Gaussian or Haar weights in {described(layer)}, got {type(weights).__name__}; give realised signals."
    )
