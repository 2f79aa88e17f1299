"""The dual of a curvature matrix, written down where that is cheaper than products."""

import numpy as np
import pytest
import torch
from torch import nn

from freeness.torch import CurvatureOptions, LanczosOptions, curvature_spectrum
from freeness.torch.measured.curvature import measured
from freeness.torch.measured.curvature_gram import dual_matrix


def convolutional():
    torch.manual_seed(0)
    layers = (
        nn.Conv2d(2, 6, 3, padding=1, groups=2),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(96, 5),
        nn.Tanh(),
        nn.Linear(5, 4),
    )
    return nn.Sequential(*layers).double(), torch.randn(5, 2, 4, 4).double(), torch.arange(5) % 4


def by_autograd(model, x, y, loss, matrix):
    """JᵀMJ over the batch, M the Hessian of the loss in the outputs or the outer product of its slopes."""
    named = {name: parameter.detach() for name, parameter in model.named_parameters()}
    total = torch.zeros((), dtype=x.dtype)
    for one, aim in zip(x.split(1), y.split(1), strict=True):
        outputs = model(one).detach()
        of_parameters = torch.func.jacrev(lambda p, x=one: torch.func.functional_call(model, p, (x,))[0])(named)
        rows = torch.cat([part.flatten(1) for part in of_parameters.values()], 1)
        if matrix == "ggn":
            middle = torch.func.hessian(lambda f, y=aim: loss(f, y))(outputs)[0, :, 0]
        else:
            slope = torch.func.grad(lambda f, y=aim: loss(f, y))(outputs)[0]
            middle = slope[:, None] * slope
        total = total + rows.T @ middle @ rows
    return total / len(x)


@pytest.mark.parametrize("matrix", ["ggn", "empirical_fisher"])
def test_where_outputs_are_few_the_spectrum_is_exact(matrix):
    model, x, y = convolutional()
    whole = by_autograd(model, x, y, nn.functional.cross_entropy, matrix)
    how = CurvatureOptions(matrix=matrix, training=False)
    found = curvature_spectrum(model, x, y, "cross_entropy", how, LanczosOptions(30, 1))
    assert found.mean == pytest.approx(float(whole.trace()) / len(whole), rel=1e-12) and found.mean_error == 0
    values = np.linalg.eigvalsh(whole.numpy())
    assert found.top == pytest.approx(values[-1], rel=1e-12) and found.top_residual == 0
    assert found.moment(3)[0] == pytest.approx((values**3).mean(), rel=1e-10)


def test_the_matrix_is_written_down_only_where_it_is_cheaper():
    model, x, y = convolutional()
    with measured(model, (x, y), "cross_entropy", False) as (ready, *data):
        assert dual_matrix(ready, (data[0], data[1]), "cross_entropy", "ggn", 30) is not None
        assert dual_matrix(ready, (data[0], data[1]), "cross_entropy", "ggn", 0.1) is None


class Centred(nn.Module):
    """Samples see each other in eval mode as well."""

    def __init__(self):
        super().__init__()
        self.inside, self.out = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x):
        h = torch.tanh(self.inside(x))
        return self.out(h - 0.5 * h.mean(0))


def test_samples_that_see_each_other_are_noticed():
    torch.manual_seed(0)
    model, x = Centred().double(), torch.randn(4, 6).double()
    with measured(model, (x, x[:, :3]), "mse", False) as (ready, *data):
        assert dual_matrix(ready, (data[0], data[1]), "mse", "ggn", 1e9) is None
