"""The Jacobian and Θ of a drawn network, by derivatives taken back along the wires from the output."""

import numpy as np

from freeness.network import INPUT


def followed(network, x, layer, eye=np.eye):
    """Output, Jacobian, Θ; ``layer``: operation, *inputs ↦ output, Jacobians by inputs, Gram of own gradients or None."""
    values, known = {INPUT: x}, {}
    for node in network.nodes:
        values[node.name], *known[node.name] = layer(node.operation, *(values[name] for name in node.inputs))
    end = values[network.nodes[-1].name]
    back, theta = {network.nodes[-1].name: eye(end.numel() if hasattr(end, "numel") else end.size)}, 0.0
    for node in reversed(network.nodes):
        cotangent, (steps, own) = back.pop(node.name), known[node.name]
        if own is not None:
            theta = theta + cotangent @ own @ cotangent.T
        for step, name in zip(steps, node.inputs, strict=True):
            back[name] = back[name] + cotangent @ step if name in back else cotangent @ step
    return end, back[INPUT], theta
