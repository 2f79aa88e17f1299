"""A sweep to start from, as a commented file, and what a sweep may say, as a JSON Schema."""

from __future__ import annotations

import json

from freeness.experiments.specification import SweepSpecification

EXAMPLE = """\
# A sweep trains every design at every depth, learning rate and seed: here 2 × 3 × 4 × 2 = 48 networks, a minute or two.
# Run it with: freeness sweep THIS_FILE --out picture.png
name = "mine"
depths = [4, 8, 16]
seeds = [0, 1]
steps = 200
batch = 32
evaluate = [50, 200]            # steps after which networks are looked at
loss = "cross_entropy"          # or half_squared_error, mse, …
optimizer = "momentum"          # or sgd, nesterov, adam, …

[rates]
values = [0.125, 0.25, 0.5, 1.0]
unit = "bound"                  # multiples of theory's largest stable rate; or "two_over_depth" (2/L), or "absolute"

[data]
source = "fashion-mnist"        # the images that come with freeness; or a file .npz, a folder, FILE.py:FACTORY
scaling = "standardised"        # mean 0 and variance 1, the scale of freeness design; or "unit_norm", or "unit"
limit = 1000

[[designs]]
name = "near isometry"
activation = "hardtanh"
width = 64
isometry = 0.25                 # σ_JJ², the relative variance of JJᵀ; σ_w and q follow for every depth, and the
                                # activation is scaled (freeness design turns the first layer's gain instead)

[[designs]]
name = "as it is"
activation = "tanh"
width = 64
sigma_w = 1.0
sigma_b = 0.0
"""


def sweep_schema() -> str:
    """What a sweep's file may say, as JSON Schema.

    Example:
        >>> json.loads(sweep_schema())["required"]
        ['name', 'depths', 'rates', 'steps']
    """
    return json.dumps(SweepSpecification.model_json_schema(), indent=1, ensure_ascii=False) + "\n"
