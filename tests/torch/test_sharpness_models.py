"""λ_max from as few products as a plan takes, beside the Gauss–Newton matrices of 39 kinds of models, written down."""

from __future__ import annotations

import pytest
from benchmarks.further import FURTHER
from benchmarks.small import SMALL, drawn, exact_sharpness, one_input

from freeness.torch.loss.differentiated import differentiated
from freeness.torch.measured.curvature_estimate import Effort, estimated_sharpness
from freeness.torch.measured.plan import coarse_products, coarse_samples
from freeness.torch.model.modes import is_coupled


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SMALL, *FURTHER])
def test_the_estimate_is_near_the_written_down_matrix_and_knows_how_near(name: str) -> None:
    case = drawn(name)
    exact, (model, x) = exact_sharpness(case), one_input(case)
    coupled = is_coupled(model, None)
    products = 10 if coupled else 7
    work = Effort(products, 0 if coupled else coarse_products(products), coarse_samples(len(x)))
    with differentiated(model):
        found = estimated_sharpness(model, x, case.targets, case.loss, None, work)
    assert found.products <= products and found.samples == len(x)
    assert abs(found.value / exact - 1) < 0.05
    assert abs(found.value - exact) <= 3 * found.error + 1e-6 * exact
