"""What few models have: sparse gradients are those of dense ones, and complex parameters are refused in a sentence."""

import pytest
import torch
from benchmarks.case import Case
from benchmarks.small import exact_sharpness
from torch import nn

from freeness.errors import InputError
from freeness.torch import AnalyzeOptions, analyze, batch_sharpness, trace
from freeness.torch.measured.curvature_estimate import Effort, estimated_sharpness


def texts(*, sparse: bool) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Embedding(12, 4, sparse=sparse), nn.Flatten(), nn.Linear(20, 3)).double()


def test_a_sparse_table_has_the_sharpness_of_a_dense_one() -> None:
    torch.manual_seed(1)
    x, y = torch.randint(12, (9, 5)), torch.randint(3, (9,))
    exact = batch_sharpness(texts(sparse=False), x, y, "cross_entropy").value
    assert batch_sharpness(texts(sparse=True), x, y, "cross_entropy").value == pytest.approx(exact, rel=1e-8)
    for part in (None, 4):
        found = estimated_sharpness(texts(sparse=True), x, y, "cross_entropy", None, Effort(27, 6, 2, part))
        assert found.value == pytest.approx(exact, rel=2e-3)


def test_complex_parameters_are_refused_with_what_to_do() -> None:
    model = nn.Linear(2, 1)
    model.weight = nn.Parameter(torch.ones(1, 2, dtype=torch.complex64))
    with pytest.raises(InputError, match="complex ones in 'weight'; keep real and imaginary parts"):
        trace(model, torch.ones(1, 2))


def test_a_sparse_table_has_the_whole_analysis_of_a_dense_one() -> None:
    torch.manual_seed(1)
    x, y = torch.randint(12, (9, 5)), torch.randint(3, (9,))
    ours, theirs = (analyze(texts(sparse=sparse), (x, y), AnalyzeOptions(sample=2)) for sparse in (True, False))
    assert ours.learning_rate.sharpness == pytest.approx(theirs.learning_rate.sharpness, rel=1e-8)
    for part in ("jacobian", "fisher"):
        one, other = getattr(ours, part).measured, getattr(theirs, part).measured
        assert one is not None and other is not None
        assert one.law.moment(1) == pytest.approx(other.law.moment(1), rel=1e-9)


class Halved(nn.Module):
    """Computes in bfloat16 whatever is around it."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.inner(x)


def test_outputs_in_bfloat16_have_the_sharpness_of_those_in_float32_but_for_rounding() -> None:
    """Within four roundings of bfloat16, 2⁻⁸ each."""
    torch.manual_seed(2)
    model, x, y = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4)), torch.randn(8, 6), torch.randint(4, (8,))
    exact = batch_sharpness(model, x, y, "cross_entropy").value
    found = analyze(Halved(model), (x, y)).learning_rate
    assert found.known and found.sharpness == pytest.approx(exact, rel=4 * 2**-8)


class Repeated(nn.Module):
    """One layer in a loop, as its data ask for."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.act, self.head = nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        steps = 0
        while steps < 3 and bool(x.norm() > 1e-3):
            x, steps = self.act(self.layer(x)), steps + 1
        return self.head(x)


def test_a_chain_that_runs_one_layer_in_a_loop_has_a_whole_analysis() -> None:
    torch.manual_seed(0)
    model, x, y = Repeated().double(), torch.randn(8, 6, dtype=torch.float64), torch.randint(4, (8,))
    found = analyze(model, (x, y))
    assert found.learning_rate.sharpness == pytest.approx(exact_sharpness(Case(model, x, y)), rel=1e-9)
    jacobian = torch.autograd.functional.jacobian(model, x[0])
    measured = found.jacobian.measured
    assert measured is not None
    assert measured.law.moment(1) == pytest.approx(jacobian.square().sum().item() / 4, rel=1e-9)
    assert found.jacobian.predicted is None and found.layers.modules
