"""The freeness test of models that are no chains: products of the weights that lead from one activation to the next.

From an activation with weights in front the way goes back through norms, sums (along the latest branch), the values of attention
and weights to the activation before. The product P of these weights maps the activation's output x at one position to its part
of the signal, so that the words of P are those of one matrix (:func:`freeness.spectra.freeness_words`): products of
bi-invariant matrices are bi-invariant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from freeness.errors import InputError
from freeness.network import Activation, Attention, Dense, Network, Node, Normalisation, PositionWise, Product, Sum
from freeness.spectra import FreenessTest, Word, freeness_words
from freeness.torch.record.elementwise import derivative
from freeness.torch.record.steps import ElementwiseStep, Passed, Step, run_steps
from freeness.torch.record.tracing import Trace

_WEIGHTS = 4  # in a product at most
_WIDEST = 4096  # channels up to which products are formed


@dataclass(frozen=True, eq=False)
class _Bend:
    """Output x and derivative D of an activation, or of a gate, at the first position."""

    value: np.ndarray
    slope: np.ndarray


def graph_freeness_test(trace: Trace, x: Tensor) -> FreenessTest:
    """Test whether products of weights between activations are free of the derivatives around them, at one sample.

    Example:
        >>> from torch import nn
        >>> from freeness.torch import trace
        >>> layers = nn.Linear(80, 80), nn.Tanh(), nn.Linear(80, 80), nn.LayerNorm(80), nn.Linear(80, 80), nn.Tanh()
        >>> found = graph_freeness_test(trace(nn.Sequential(*layers), torch.ones(1, 80)), torch.ones(80))
        >>> found.words[0].name, found.free
        ('2 … 4', True)
    """
    network = trace.network
    steps = {step.name: step for step in trace.steps}
    bends = _bends(trace, network, x)
    words: list[Word] = []
    for node in network.nodes:
        bend = bends.get(node.name)
        if bend is not None and isinstance(node.operation, Activation):
            words += _between(network, steps, bends, node)
    if not words:
        raise InputError(
            f"expected two activations with weights of at most {_WIDEST} channels between them, got none; nothing can be tested."
        )
    return FreenessTest(tuple(words))


def _bends(trace: Trace, network: Network, x: Tensor) -> dict[str, _Bend]:
    """Of activations and gates."""
    nodes = {node.name: node for node in network.nodes}
    found: dict[str, _Bend] = {}
    with torch.no_grad():
        for passed in run_steps(trace.steps, trace.input(x).to(trace.weights[0].device), torch.float64):
            node, step = nodes[passed.step.name], passed.step
            if isinstance(node.operation, Activation) and isinstance(step.compute, ElementwiseStep):
                slope = derivative(step.compute.function, passed.given[0])
                found[node.name] = _Bend(_first(step, passed.value), _first(step, slope))
            elif isinstance(node.operation, Product):
                gate = _gate(passed, node, found)
                if gate is not None:
                    found[node.name] = _Bend(_first(step, passed.value), gate)
    return found


def _gate(passed: Passed, node: Node, bends: Mapping[str, _Bend]) -> np.ndarray | None:
    """The derivative of a product by its other factor: what the activation in it gives."""
    values = [bends[name].value for name in node.inputs if name in bends]
    whole = passed.step.typing.channels
    return values[0] if len(values) == 1 and len(node.inputs) == 2 and values[0].size == whole else None


def _first(step: Step, value: Tensor) -> np.ndarray:
    """All channels at the first position."""
    return step.canonical(value)[0].reshape(step.typing.channels or 1, -1)[:, 0].cpu().numpy()


def _between(network: Network, steps: Mapping[str, Step], bends: Mapping[str, _Bend], behind: Node) -> tuple[Word, ...]:
    """The words of the weights from the activation before to this one; none where the way ends elsewhere."""
    order = {node.name: number for number, node in enumerate(network.nodes)}
    product: np.ndarray | None = None
    names: list[str] = []
    name = behind.inputs[0]
    while name in order:
        node = network.nodes[order[name]]
        match node.operation:
            case Dense() | PositionWise():
                matrix = _matrix(steps[name], node.operation.sizes) if len(names) < _WEIGHTS else None
                if matrix is None:
                    return ()
                product = matrix if product is None else product @ matrix
                names.append(name)
                name = node.inputs[0]
            case Activation() | Product() if name in bends and product is not None:
                before = bends[name]
                if product.shape != (bends[behind.name].slope.size, before.value.size):
                    return ()
                label = names[0] if len(names) == 1 else f"{names[-1]} … {names[0]}"
                return freeness_words(product, before.slope, bends[behind.name].slope, before.value, name=label)
            case Normalisation():
                name = node.inputs[0]
            case Sum():
                name = max(node.inputs, key=lambda each: order.get(each, -1))
            case Attention(heads=heads, key_heads=shared) if shared in (None, heads):
                name = node.inputs[2]
            case _:
                return ()
    return ()


def _matrix(step: Step, sizes: tuple[int, int]) -> np.ndarray | None:
    """W (out, into) in float64; None of one that is stored in another way, or wide."""
    weight = step.weight
    if weight is None or max(sizes) > _WIDEST or sorted(weight.shape) != sorted(sizes):
        return None
    found = weight.detach().double().cpu().numpy()
    return found if found.shape == sizes[::-1] else found.T
