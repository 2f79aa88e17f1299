"""A design written into models: gains by real widths, branches, activations, and nothing else."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

import freeness as fr
from freeness.advice import DesignOptions
from freeness.errors import InputError
from freeness.meanfield import normalised, shaped
from freeness.network import activation
from freeness.torch import InitializeOptions, build, initialize_, swap_activations_
from freeness.torch.record.builder import AffineActivation, activation_module
from freeness.torch.start.apply import chain_widths, design_target


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def chain(widths: list[int], act: type[nn.Module] = nn.Tanh) -> nn.Sequential:
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(widths):
        layers += [nn.Linear(fan_in, fan_out), act()]
    return nn.Sequential(*layers[:-1])


class Block(nn.Module):
    """x + norm(second(tanh(first(x))))."""

    def __init__(self, width: int, norm: bool = False) -> None:
        super().__init__()
        self.first, self.act, self.second = nn.Linear(width, width), nn.Tanh(), nn.Linear(width, width)
        self.norm = nn.LayerNorm(width) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.norm(self.second(self.act(self.first(x))))


def lengths(model: nn.Sequential, x: Tensor) -> list[float]:
    found = []
    with torch.no_grad():
        for module in model:
            x = module(x)
            if isinstance(module, nn.Linear):
                found.append(float(x.square().mean()))
    return found


@pytest.mark.parametrize("weights", ["haar", "gaussian"])
@pytest.mark.parametrize("qhat0", [1.0, 0.2])
def test_a_designed_model_has_the_design_s_variance_in_every_layer(weights: str, qhat0: float) -> None:
    """Widths that expand and contract; a model of its own, with the gains of its own widths."""
    widths = [784, 600, 900, 600, 600, 700]
    design = fr.design(
        5, 512, "tanh", 5.3 if weights == "gaussian" else 0.3, DesignOptions(weights=weights, qhat0=qhat0)
    )
    model = chain(widths).double()
    records = initialize_(model, design, generator=seeded(0))
    x = torch.randn(64, 784, generator=seeded(1), dtype=torch.float64) * math.sqrt(qhat0)
    assert lengths(model, x) == pytest.approx([design.q] * 5, rel=0.1)
    expected = design.sigma_w * (math.sqrt(900 / 600) if weights == "haar" else 1.0)
    assert records[1].sigma_w == pytest.approx(expected) and records[1].sigma_b == design.sigma_b
    assert records[0].gain == pytest.approx(design.input_scale)


@pytest.mark.slow
@pytest.mark.always
def test_the_designed_model_has_the_isometry_and_the_rate_of_the_design() -> None:
    """JJᵀ and Θ of one model of width 400 by autograd, against the design's own laws."""
    design = fr.design(9, 400, "hardtanh", 0.4, DesignOptions(qhat0=1.0))
    model = chain([400] * 10, nn.Hardtanh).double()
    initialize_(model, design, generator=seeded(2))
    x = torch.randn(400, generator=seeded(3), dtype=torch.float64)
    x *= math.sqrt(400 / float(x @ x))
    jacobian = torch.func.jacrev(model)(x).detach()
    squares = torch.linalg.svdvals(jacobian) ** 2
    law = design.jacobian_law
    assert float(squares.mean()) == pytest.approx(law.mean, rel=0.06)  # lengths wander, theory.md §2
    assert float(squares.var() / squares.mean() ** 2) == pytest.approx(0.4, rel=0.1)
    gram = torch.zeros(400, 400, dtype=torch.float64)
    h = x
    for layer, one in enumerate(model):
        if isinstance(one, nn.Linear):  # ∂f/∂W is ∂f/∂b beside the layer's input: all of it does not fit
            rows = torch.func.jacrev(lambda bias, name=f"{layer}.bias": functional_call(model, {name: bias}, (x,)))(
                one.bias
            )
            gram += rows.detach() @ rows.detach().T * (1 + float(h @ h))
        h = one(h).detach()
    values = torch.linalg.eigvalsh(gram)
    assert float(values.mean()) == pytest.approx(design.fisher_law.mean, rel=0.06)
    assert float(values[-1]) == pytest.approx(design.fisher_law.hull[1], rel=0.06)


def test_a_made_activation_is_swapped_in_place_and_the_state_dict_stays() -> None:
    design = fr.design(6, 300, "tanh", 0.3, DesignOptions(form="normalised"))
    model = chain([300] * 7)
    keys = list(model.state_dict())
    with pytest.raises(InputError, match="swap=True"):
        initialize_(model, design)
    records = initialize_(model, design, generator=seeded(4), options=InitializeOptions(swap=True))
    assert list(model.state_dict()) == keys
    assert isinstance(model[1], AffineActivation)
    assert [record.name for record in records if record.ensemble == "activation"] == ["1", "3", "5", "7", "9"]
    x = torch.randn(64, 300, generator=seeded(5))
    assert lengths(model, x) == pytest.approx([1.0] * 6, rel=0.1)
    other = chain([300] * 7)
    swap_activations_(other, design.activation)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(x), model(x))


@pytest.mark.parametrize("form", ["normalised", "dks", "tat"])
@pytest.mark.parametrize("name", ["tanh", "gelu", "softplus"])
def test_the_torch_module_of_a_made_activation_is_that_activation(form: str, name: str) -> None:
    if (form, name) == ("normalised", "softplus"):
        function = normalised(activation(name), 0.3, 1.2)
    elif form == "normalised":
        function = fr.design(20, 50, name, 0.3, DesignOptions(form=form)).activation  # pyright: ignore[reportArgumentType]
    else:
        function = shaped(activation(name), 20, form).function  # pyright: ignore[reportArgumentType]
    x = np.linspace(-4, 4, 101)
    module = activation_module(function)
    np.testing.assert_allclose(module(torch.from_numpy(x)).numpy(), function.function(x), rtol=1e-9, atol=1e-12)
    assert not list(module.state_dict()) and "gain=" in repr(module)


@pytest.mark.parametrize(("scale", "expected"), [(0, 0.0), ("depth", 0.5), ("design", None), (0.3, 0.3)])
def test_branch_ends_are_scaled(scale: float | str, expected: float | None) -> None:
    design = fr.design(9, 64, "tanh", 0.5)
    model = nn.Sequential(nn.Linear(64, 64), *(Block(64) for _ in range(4)))
    plain = nn.Sequential(nn.Linear(64, 64), *(Block(64) for _ in range(4)))
    initialize_(plain, design, generator=seeded(6))
    options = InitializeOptions(branch_ends=("*.second",), branch_scale=scale)  # pyright: ignore[reportArgumentType]
    records = {record.name: record for record in initialize_(model, design, generator=seeded(6), options=options)}
    wanted = design.residual(4).scale if expected is None else expected
    assert records["1.second"].branch_scale == pytest.approx(wanted) and records["1.first"].branch_scale == 1
    assert torch.allclose(model[1].second.weight, wanted * plain[1].second.weight)
    assert torch.allclose(model[1].second.bias, wanted * plain[1].second.bias)
    assert torch.equal(model[1].first.weight, plain[1].first.weight)
    if wanted == 0:
        x = torch.randn(3, 64)
        assert torch.equal(model(x), model[0](x))


def test_a_normalisation_at_the_end_of_a_branch_is_scaled_too() -> None:
    model = nn.Sequential(Block(8, norm=True), Block(8, norm=True))
    records = initialize_(model, options=InitializeOptions(branch_ends=("*.norm",), branch_scale=0))
    assert float(model[0].norm.weight.detach().abs().sum()) == 0
    (record,) = [record for record in records if record.name == "0.norm"]
    assert (record.ensemble, record.kind, record.branch_scale) == ("unchanged", "LayerNorm", 0.0)


def test_residual_branches_have_the_spread_that_the_design_says() -> None:
    """JJᵀ of x + β W tanh(x), 60 blocks of width 300, with the design's β; the limit's variance is 2c."""
    design = fr.design(61, 300, "tanh", 0.5)
    plan = design.residual(60)
    generator = seeded(8)
    h = math.sqrt(design.q) * torch.randn(300, generator=generator, dtype=torch.float64)
    jacobian = torch.eye(300, dtype=torch.float64)
    for _ in range(60):
        layer = nn.Linear(300, 300, dtype=torch.float64)
        initialize_(layer, "haar", design.sigma_w, design.sigma_b, generator)
        with torch.no_grad():
            jacobian = jacobian + plan.scale * layer.weight @ ((1 - torch.tanh(h) ** 2)[:, None] * jacobian)
            h = h + plan.scale * layer(torch.tanh(h))
    squares = torch.linalg.svdvals(jacobian) ** 2
    assert float(squares.mean()) == pytest.approx(plan.growth, rel=0.05)
    assert float(squares.var() / squares.mean() ** 2) == pytest.approx(plan.spread, rel=0.15)


def test_everything_else_is_left_alone() -> None:
    model = nn.ModuleDict(
        {
            "embedding": nn.Embedding(5, 8), "lstm": nn.LSTM(8, 8), "norm": nn.BatchNorm1d(8), "head": nn.Linear(8, 3),
        }
    ).eval()  # fmt: skip
    model["norm"].weight.requires_grad_(False)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    random = torch.get_rng_state()
    hooks = model["head"].register_forward_hook(lambda *_: None)
    found = initialize_(model)
    assert [record.name for record in found] == ["lstm", "head"]
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key]) == (not key.startswith(("lstm", "head")))
        assert found.tensor(key).drawn == key.startswith(("lstm", "head")) and found.tensor(key).reason
    assert torch.equal(random, torch.get_rng_state())
    assert not model.training and not model["norm"].weight.requires_grad and model["head"].weight.requires_grad
    assert len(model["head"]._forward_hooks) == 1 and model["head"].weight.grad is None
    hooks.remove()


def test_tied_weights_are_drawn_once_and_the_record_says_so() -> None:
    one, two = nn.Linear(6, 6), nn.Linear(6, 6)
    two.weight = one.weight
    first, second = initialize_(nn.Sequential(one, two))
    assert first.ensemble == "haar" and second.ensemble == "unchanged" and "'0'" in second.note


def test_swapping_keeps_shared_modules_shared_and_other_kinds() -> None:
    act = nn.ReLU()
    model = nn.Sequential(nn.Linear(3, 3), act, nn.Linear(3, 3), act, nn.Linear(3, 3), nn.Sigmoid()).eval()
    with pytest.raises(InputError, match="relu, sigmoid"):
        swap_activations_(model, activation("hardtanh"))
    found = swap_activations_(model, activation("hardtanh"), "relu")
    assert [record.name for record in found] == ["1", "3"] and found[0].before == "ReLU()"
    assert model[1] is model[3] and isinstance(model[5], nn.Sigmoid) and not model[1].training


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, d: initialize_(m, d, sigma_w=1.0), "either a design or sigma_w"),
        (lambda m, d: initialize_(m, options=InitializeOptions(swap=True)), "expected a design"),
        (lambda m, d: initialize_(m, options=InitializeOptions(branch_ends=("*.last",))), r"at '\*.last', got none"),
        (lambda m, d: initialize_(m, options=InitializeOptions(branch_ends=("1",))), "got Tanh '1'"),
        (lambda m, d: InitializeOptions(branch_ends="x"), "write \\('x',\\)"),
        (lambda m, d: InitializeOptions(branch_scale="much"), "branch scale"),
        (lambda m, d: InitializeOptions(convolution="dct"), '"delta" or "fft"'),
        (lambda m, d: swap_activations_(m, activation("relu"), "gelu"), "'gelu' to replace"),
        (lambda m, d: swap_activations_(nn.Linear(2, 2), activation("relu")), "no activation modules"),
        (lambda m, d: initialize_(nn.Linear(2, 2, device="meta")), "meta tensor"),
        (lambda m, d: initialize_(m, 3), "or pass a design"),
    ],
)
def test_bad_input_is_one_sentence(call, message: str) -> None:
    model, design = chain([4, 4, 4]), fr.design(2, 4, "tanh", 0.1)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    with pytest.raises(InputError, match=message):
        call(model, design)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_a_built_design_is_the_design(tmp_path) -> None:
    """build(design.network) and an initialised model agree in distribution: recorded gains of the same layers."""
    design = fr.design(4, [30, 60, 20, 40, 10], "gelu", 0.2)
    built = build(design.network, seeded(0), torch.float64)
    model = chain([30, 60, 20, 40, 10], nn.GELU).double()
    records = initialize_(model, design)
    for layer, record, plan in zip(built[::2], records, design.layers, strict=True):
        assert record.sigma_w == pytest.approx(plan.sigma_w)
        assert float(torch.linalg.svdvals(layer.weight.detach())[0]) == pytest.approx(record.sigma_w)


class Pair(nn.Module):
    """Of two inputs, so that no run of it can be tried."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.act, self.last = nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.last(torch.tanh(self.first(x)) + self.act(y))


def test_of_a_model_that_cannot_be_run_only_the_modules_are_known() -> None:
    found = design_target(Pair())
    assert not found.run and not found.is_chain and [one.name for one in found.functions] == ["relu"]
    assert "taken on trust" in found.check(activation("tanh")) and found.check(activation("relu")) == ""
    with pytest.raises(InputError, match="got relu, and functions of its own; say --activation"):
        found.activation()


def test_widths_behind_a_flattening_are_channels_and_reading_leaves_the_model() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.GELU("tanh"), nn.Dropout(0.5), nn.Flatten(), nn.Linear(4 * 676, 10))
    before = [parameter.detach().clone() for parameter in model.parameters()]
    found = design_target(model)
    assert (
        chain_widths(model) == (1, 4, 10)
        and found.activation().name == "gelu_tanh"
        and found.beside == ("convolution",)
    )
    assert model.training and all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
