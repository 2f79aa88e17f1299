"""Starts of residual networks, against closed forms and drawn networks."""

import numpy as np
import pytest
import torch

from freeness.advice import ResidualShape, design_resnet, residual_network
from freeness.errors import InputError
from freeness.network import INPUT
from freeness.show import answer_of, document_of
from tests.meanfield.simulated import Simulated


@pytest.mark.parametrize(("depth", "kept"), [(1, 1.5), (6, 2.0), (20, 4.0)])
def test_without_a_norm_the_growth_is_one_plus_the_squared_scale_to_the_depth(depth, kept):
    found = design_resnet(ResidualShape(depth, 32), kept)
    plain, normal = found.chosen
    assert plain.branch == pytest.approx(min(1.0, (kept ** (1 / depth) - 1) ** 0.5), rel=1e-3)
    assert max(plain.signal, plain.gradient, normal.signal, normal.gradient) <= kept
    assert max(normal.gradient, normal.signal) > 0.99 * kept or normal.branch == 1


def test_usual_starts_are_as_published():
    starts = {start.name: start for start in design_resnet(ResidualShape(10)).usual}
    assert starts["He"].signal == pytest.approx(2**10) == starts["He"].gradient
    assert starts["1/√depth"].gradient == pytest.approx(1.1**10)
    assert starts["He, batch norm"].signal == pytest.approx(11, rel=1e-4)
    for name in ("Fixup", "SkipInit, ReZero", "last scale 0"):
        assert (starts[name].signal, starts[name].gradient) == pytest.approx((1, 1), abs=1e-9)
    assert starts["SkipInit, ReZero"].weights == 0 < starts["Fixup"].weights < starts["He"].weights


@pytest.mark.parametrize("which", [0, 1, 3])
def test_growths_are_those_of_drawn_networks(which):
    """The design without and with batch normalisation over 60 samples, and He's start with it."""
    shape = ResidualShape(4, 150)
    found = design_resnet(shape)
    start = (*found.chosen, *found.usual)[which]
    network, drawn = residual_network(shape, start), []
    for seed in range(4):
        run = Simulated(seed)
        x = torch.randn(60, 150, generator=run.generator, dtype=torch.float64).requires_grad_()
        values = run.values(network, x)
        end = values[network.nodes[-1].name]
        cotangent = torch.randn(end.shape, generator=run.generator, dtype=end.dtype)
        (back,) = torch.autograd.grad((end * cotangent).sum(), values[INPUT])
        drawn.append(
            [(end.square().mean() / x.square().mean()).item(), float(back.square().sum() / cotangent.square().sum())]
        )
    assert np.mean(drawn, axis=0) == pytest.approx([start.signal, start.gradient], rel=0.15)


def test_the_record_is_shown_and_told():
    found = design_resnet(ResidualShape(3, 16, "tanh"))
    assert (
        f"{found.chosen[0].branch:.3g}" in str(answer_of(found))
        and document_of(found)["starts"][0]["name"] == "this design"
    )
    with pytest.raises(InputError, match="factor above 1"):
        design_resnet(ResidualShape(3), 1.0)
