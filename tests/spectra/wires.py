"""Responses of every signal of a drawn network to its input and to the outputs of its weights, carried along the wires."""

import numpy as np

from freeness.network import INPUT


def followed(network, x, layer, eye=np.eye):
    """Output, Jacobian, Θ; ``layer``: operation, *inputs ↦ output, Jacobians by inputs, Gram of own gradients or None."""
    values, responses, grams = {INPUT: x}, {INPUT: {INPUT: eye(_size(x))}}, {}
    for node in network.nodes:
        value, steps, own = layer(node.operation, *(values[name] for name in node.inputs))
        total = {}
        for step, name in zip(steps, node.inputs, strict=True):
            for source, response in responses[name].items():
                passed = step @ response
                total[source] = total[source] + passed if source in total else passed
        if own is not None:
            total[node.name], grams[node.name] = eye(_size(value)), own
        values[node.name], responses[node.name] = value, total
    end = network.nodes[-1].name
    theta = sum(responses[end][name] @ gram @ responses[end][name].T for name, gram in grams.items())
    return values[end], responses[end][INPUT], theta


def _size(x):
    return x.numel() if hasattr(x, "numel") else x.size
