"""Recipes write the variances of their sources, and residual networks keep their signal by them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
import transformers
from torch import Tensor, nn

from freeness.errors import InputError
from freeness.torch import InitializeOptions, apply_recipe, initialize_
from freeness.torch.recipes import (
    NormalisedResidualNetwork,
    PreNormTransformer,
    Start,
    StartRecipe,
    Subject,
    fitting_recipe,
    recipes,
    register_recipe,
)
from freeness.torch.recipes import recipe as registry
from freeness.torch.recipes.draws import constant
from freeness.torch.start.branches import wiring_of
from tests.torch.test_tensors import assert_listed_once, assert_orthogonal
from tests.torch.zoo import Skip, zoo_model


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gpt2(layers: int = 3, width: int = 96, vocabulary: int = 200) -> nn.Module:
    return transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            n_layer=layers,
            n_embd=width,
            n_head=2,
            vocab_size=vocabulary,
            n_positions=32,
            bos_token_id=0,
            eos_token_id=0,
        )
    )


def spread(value: Tensor) -> float:
    return float(value.detach().double().square().mean().sqrt())


def assert_deviation(value: Tensor, deviation: float) -> None:
    """Within four standard errors, which are σ/√(2n)."""
    assert abs(spread(value) - deviation) < 4 * deviation / math.sqrt(2 * value.numel())


def test_residual_projections_of_gpt2_are_smaller_by_the_root_of_their_number() -> None:
    model = gpt2()
    random = torch.get_rng_state()
    found = initialize_(model, "auto")
    assert torch.equal(random, torch.get_rng_state()) and model.training
    assert found.start == "pre-LN Transformer" and "Radford" in found.source
    assert_listed_once(model, found)
    for name, value in model.named_parameters():
        if name.endswith("c_proj.weight"):
            assert_deviation(value, 0.02 / math.sqrt(2 * 3))
        elif name.endswith("bias"):
            assert not bool(value.any())
        elif ".ln_" in name:
            assert bool((value == 1).all())
        else:
            assert_deviation(value, 0.02)
    assert found.tensor("lm_head.weight").name == "transformer.wte.weight" and not found.left


def test_a_tied_table_is_drawn_once() -> None:
    """Its entries are those of a model without the tie from the same generator: nothing else was drawn before or in between."""
    tied, free = gpt2(1), gpt2(1)
    free.lm_head.weight = nn.Parameter(free.lm_head.weight.detach().clone())  # pyright: ignore[reportAttributeAccessIssue]
    initialize_(tied, "auto", generator=seeded(5))
    initialize_(free, "auto", generator=seeded(5))
    ours, theirs = dict(tied.named_parameters()), dict(free.named_parameters())
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def residual_growth(layers: int, scaled: bool) -> float:
    """What the blocks add to the mean square of the residual sum, over that of the embedding."""
    model = gpt2(layers, width=64)
    initialize_(model, PreNormTransformer(deviation=0.1), generator=seeded(1))
    with torch.no_grad():
        for name, value in model.named_parameters():
            value.mul_(math.sqrt(2 * layers) if name.endswith("c_proj.weight") and not scaled else 1)
        tokens = torch.randint(200, (8, 32), generator=seeded(2))
        states = model.eval()(tokens, output_hidden_states=True).hidden_states
    grown = (spread(states[-2]) / spread(states[0])) ** 2 - 1  # behind all blocks but one: the last state is normalised
    return grown * layers / (layers - 1)


def test_the_residual_sum_grows_alike_at_any_depth() -> None:
    """Measured before and after the factor 1/√(2L): without it the blocks add in proportion to their number."""
    assert residual_growth(9, True) == pytest.approx(residual_growth(3, True), rel=0.1)
    assert residual_growth(9, False) == pytest.approx(3 * residual_growth(3, False), rel=0.15)


@pytest.mark.parametrize(
    ("make", "sums"),
    [
        (lambda: transformers.LlamaForCausalLM(transformers.LlamaConfig(
            num_hidden_layers=3, hidden_size=32, num_attention_heads=2, vocab_size=50, intermediate_size=64)), 6),
        (lambda: transformers.GPTNeoXForCausalLM(transformers.GPTNeoXConfig(
            num_hidden_layers=2, hidden_size=32, num_attention_heads=2, vocab_size=50, intermediate_size=64)), 4),
        (lambda: transformers.ViTForImageClassification(transformers.ViTConfig(
            num_hidden_layers=2, hidden_size=32, num_attention_heads=2, intermediate_size=64, image_size=32, patch_size=8)), 4),
        (lambda: nn.Sequential(nn.Linear(5, 8), *(nn.TransformerEncoderLayer(
            8, 2, 16, norm_first=True, batch_first=True) for _ in range(2))), 4),
    ],
)  # fmt: skip
def test_pre_norm_transformers_of_others_are_known_by_their_wiring(make, sums: int) -> None:
    model = make()
    found = initialize_(model, "auto")
    assert found.start == "pre-LN Transformer"
    assert_listed_once(model, found)
    smaller = [row.name for row in found.drawn if "residual sum" in row.reason]
    assert len(smaller) == sums
    for name in smaller:
        assert_deviation(model.get_parameter(name), 0.02 / math.sqrt(sums))


def test_a_model_that_normalises_its_sums_has_no_factor_of_depth() -> None:
    config = transformers.BertConfig(
        num_hidden_layers=2, hidden_size=32, num_attention_heads=2, vocab_size=50, intermediate_size=64
    )
    model = transformers.BertForSequenceClassification(config)
    found = initialize_(model, "auto")
    assert found.start == "post-LN Transformer"
    for row in found.drawn:
        if len(row.shape) == 2 and row.shape[0] > 2:
            assert_deviation(model.get_parameter(row.name), 0.02)


def test_inputs_of_several_names_are_given_and_positions_of_attention_are_no_branch() -> None:
    config = transformers.T5Config(num_layers=2, d_model=32, d_kv=16, num_heads=2, vocab_size=50, d_ff=64)
    model = transformers.T5ForConditionalGeneration(config)
    tokens = torch.randint(50, (2, 6), generator=seeded(0))
    found = initialize_(
        model, "auto", options=InitializeOptions(data={"input_ids": tokens, "decoder_input_ids": tokens})
    )
    ends = {row.name.split(".")[-2] for row in found.drawn if "residual sum" in row.reason}
    assert found.start == "pre-LN Transformer" and ends == {"o", "wo"}
    with pytest.raises(InputError, match=r"InitializeOptions\(data="):
        initialize_(model, "auto")


def growth(model: nn.Module, x: Tensor) -> float:
    """Mean square of what goes into the last module over that of what goes into the second."""
    seen: list[float] = []
    hooks = [module.register_forward_pre_hook(lambda _, given: seen.append(spread(given[0]) ** 2)) for module in model]  # pyright: ignore
    with torch.no_grad():
        model(x)
    for hook in hooks:
        hook.remove()
    return seen[-1] / seen[1]


def test_a_normalised_resnet_starts_as_its_shortcuts() -> None:
    model, x = zoo_model("ResNet-18")
    found = initialize_(model, "auto", options=InitializeOptions(data=x))
    assert found.start == "ResNet with normalisation"
    assert_listed_once(model, found)
    for name, value in model.named_parameters():
        if name.endswith("bn2.weight"):
            assert not bool(value.any()) and "last scale" in found.tensor(name).reason
        elif value.ndim == 4:
            assert_deviation(value, math.sqrt(2 / (value.shape[1] * value.shape[2] * value.shape[3])))
        elif value.ndim == 2:
            assert_deviation(value, 0.01)
        else:
            assert bool((value == (1.0 if name.endswith("weight") else 0.0)).all())
    assert {row.reason for row in found.left} == {"a buffer, which is not trained"}


def blocks(count: int, width: int = 64) -> nn.Sequential:
    branch = lambda: nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))  # noqa: E731, E501  # fmt: skip
    return nn.Sequential(nn.Linear(width, width), *(Skip(branch()) for _ in range(count)), nn.Linear(width, 5))


def test_what_a_recipe_does_is_measured_before_and_after() -> None:
    model, x = zoo_model("ResNet-18")
    found = apply_recipe(model, data=torch.randn(8, *x.shape[1:], generator=seeded(4)))
    assert found.before is not None and found.after is not None
    assert min(row.branch_over_skip for row in found.before.sums) > 0.1
    assert all(row.branch_over_skip == 0 for row in found.after.sums)
    ends = [row for row in found.after.modules if row.name.endswith("bn2")]
    assert len(ends) == 8 and all(row.gradient > 0 for row in ends)  # a branch of 0 learns in the first step


def test_fixup_of_branches_of_three_layers() -> None:
    """The two inner ones have He's deviation times L^(-1/4); the last one and the outputs are 0."""
    model = blocks(16)
    found = initialize_(model, "auto")
    assert found.start == "residual network without normalisation"
    he = math.sqrt(2 / 64)
    for name, value in model.named_parameters():
        if value.ndim == 1 or name.endswith("branch.4.weight") or name == "17.weight":
            assert not bool(value.any())
        else:
            assert_deviation(value, he if name == "0.weight" else he * 16 ** (-1 / 4))
    x = torch.randn(20, 64, generator=seeded(1))
    assert growth(model, x) == pytest.approx(1, rel=1e-6)


def test_an_update_of_fixup_moves_the_outputs_alike_at_any_depth() -> None:
    """The claim that the factor is for: one step of SGD changes f by an amount that does not grow with L.

    The outer layers, which are 0 at the start, are put to N(0, 1/fan_in) first, for else only the head learns in a first step.
    """

    def moved(count: int, scaled: bool) -> float:
        model, x = blocks(count).double(), torch.randn(8, 64, generator=seeded(2), dtype=torch.float64)
        initialize_(model, "auto", generator=seeded(3))
        with torch.no_grad():
            for name, value in model.named_parameters():
                inside = name.endswith(("branch.0.weight", "branch.2.weight"))
                value.mul_(count**0.25 if inside and not scaled else 1)
            model[-1].weight.normal_(0, 1 / 8, generator=seeded(4))
        before = model(x)
        (before.mean(0).sum()).backward()
        with torch.no_grad():
            for value in model.parameters():
                if value.grad is not None:
                    value -= 1e-3 * value.grad
            return float((model(x) - before)[:, 0].abs().mean())

    deep, shallow = moved(32, True), moved(2, True)
    assert moved(32, False) / moved(2, False) > 2 * deep / shallow


def test_skipinit_where_branches_end_with_a_scale_of_their_own() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.outer, self.alpha = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1), nn.Parameter(torch.ones(()))  # noqa: E501  # fmt: skip

        def forward(self, x: Tensor) -> Tensor:
            return x + self.alpha * self.outer(torch.relu(self.inner(x)))

    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), Scaled(), Scaled(), nn.Flatten(), nn.Linear(4 * 64, 2))
    found = initialize_(model, "auto", options=InitializeOptions(data=torch.randn(2, 3, 8, 8, generator=seeded(0))))
    assert not bool(model[1].alpha) and found.tensor("2.alpha").how == "0"
    for name in ("1.inner.weight", "2.outer.weight"):
        assert_deviation(model.get_parameter(name), math.sqrt(2 / 36))


@pytest.mark.parametrize("name", ["pre-activation ResNet", "ConvNeXt", "MLP-Mixer"])
def test_every_branch_of_a_normalised_network_starts_at_0(name: str) -> None:
    model, x = zoo_model(name)
    initialize_(model, NormalisedResidualNetwork(), options=InitializeOptions(data=x))
    subject_ends = wiring_of(model, lambda: model(x)).branches
    assert subject_ends
    for branch in subject_ends:
        assert any(not bool(model.get_parameter(one).any()) for one in (*branch.scales, *branch.matrices))


def test_a_recurrent_model_has_orthogonal_steps_and_a_table_of_mean_square_1() -> None:
    class Language(nn.Module):
        def __init__(self, tied: bool) -> None:
            super().__init__()
            self.table, self.lstm, self.head = nn.Embedding(300, 40, padding_idx=0), nn.LSTM(40, 40, batch_first=True), nn.Linear(40, 300)  # noqa: E501  # fmt: skip
            if tied:
                self.head.weight = self.table.weight

        def forward(self, tokens: Tensor) -> Tensor:
            return self.head(self.lstm(self.table(tokens))[0])

    for tied in (False, True):
        model = Language(tied)
        found = initialize_(model, "auto")
        assert found.start == "recurrent network"
        for gate in model.lstm.weight_hh_l0.chunk(4):
            assert_orthogonal(gate)
        for gate in model.lstm.weight_ih_l0.chunk(4):
            assert_deviation(gate, math.sqrt(2 / 80))
        assert_deviation(model.table.weight[1:], 1 / math.sqrt(40) if tied else 1.0)
        assert not bool(model.table.weight[0].any())
        assert bool((model.lstm.bias_ih_l0[40:80] == 1).all()) and not bool(model.lstm.bias_hh_l0.any())


def test_a_chain_gets_its_design() -> None:
    model = nn.Sequential(nn.Linear(30, 30), nn.Tanh(), nn.Linear(30, 30), nn.Tanh(), nn.Linear(30, 30))
    found = initialize_(model, "auto")
    assert found.start == "design"
    for layer, record in zip(model[::2], found, strict=True):
        assert_orthogonal(layer.weight, record.sigma_w)


@pytest.fixture
def kept_registry() -> Iterator[None]:
    before = list(registry._RECIPES)
    yield
    registry._RECIPES[:] = before


@pytest.mark.usefixtures("kept_registry")
def test_a_recipe_of_your_own_is_one_class() -> None:
    class Ones(StartRecipe):
        name = "all ones"
        source = "nobody"

        def fits(self, subject: Subject) -> bool:
            return isinstance(subject.model, Model)

        def starts(self, subject: Subject) -> dict[str, Start | str]:
            return {"table": constant(1, "as I like it"), "offset": "I do not care"}

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.offset = nn.Parameter(torch.zeros(2, 2)), nn.Parameter(torch.zeros(2))

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.table + self.offset

    model, x = Model(), torch.randn(2, 2, generator=seeded(0))
    options = InitializeOptions(data=x)
    with pytest.raises(InputError, match=r"a model that a recipe is for .* got Model"):
        initialize_(model, "auto", options=options)
    register_recipe(Ones())
    assert recipes()[0].name == "all ones"
    found = initialize_(model, "auto", options=options)
    assert found.start == "all ones" and bool((model.table == 1).all())
    assert found.tensor("offset").reason == "I do not care" and fitting_recipe is not None


def test_a_recipe_sets_everything_itself() -> None:
    with pytest.raises(InputError, match="a recipe alone"):
        initialize_(gpt2(1), PreNormTransformer(), sigma_w=1.0)


def test_frozen_parts_of_a_transformer_are_left() -> None:
    model = gpt2(2)
    for name, value in model.named_parameters():
        value.requires_grad_("h.1.mlp" in name)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = initialize_(model, PreNormTransformer(deviation=0.1))
    assert sorted({row.name.split(".mlp")[0] for row in found.drawn}) == ["transformer.h.1"]
    for name, value in model.named_parameters():
        assert value.requires_grad == ("h.1.mlp" in name)
        assert ("h.1.mlp" in name) or torch.equal(value, before[name])
    assert_deviation(model.get_parameter("transformer.h.1.mlp.c_proj.weight"), 0.1 / 2)


class ShiftedRMSNorm(nn.Module):
    """RMS normalisation as another library has it, with a scale that is added to 1."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * (1 + self.weight)


class EndsNormalised(nn.Module):
    """x + RMS(W₂ relu(W₁ x)), twice, between an input and an output layer."""

    def __init__(self, norm: type[nn.Module]) -> None:
        super().__init__()
        self.into, self.out = nn.Linear(6, 32), nn.Linear(32, 3)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 32), norm(32)) for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.into(x)
        for block in self.blocks:
            x = x + block(x)
        return self.out(x)


@pytest.mark.parametrize(("norm", "end"), [(nn.RMSNorm, "3.weight"), (ShiftedRMSNorm, "2.weight")])
def test_a_branch_that_ends_in_an_rms_norm_starts_at_0_and_learns_in_the_first_step(
    norm: type[nn.Module], end: str
) -> None:
    """The scale is 0 where it multiplies, and the matrix in front of it where the scale is added to 1."""
    torch.manual_seed(0)
    model, x = EndsNormalised(norm), torch.randn(7, 6)
    found = initialize_(model, "auto")
    assert found.start == "ResNet with normalisation"
    assert_listed_once(model, found)
    torch.testing.assert_close(model(x), model.out(model.into(x)))
    weights = dict(model.named_parameters())
    for block in ("blocks.0.", "blocks.1."):
        assert not bool(weights[block + end].any())
        assert_deviation(weights[block + "0.weight"], math.sqrt(2 / 32))
        if norm is nn.RMSNorm:
            assert_deviation(weights[block + "2.weight"], math.sqrt(2 / 64))
    model(x).square().sum().backward()
    assert all(bool(one.grad is not None and one.grad.any()) for name, one in weights.items() if name.endswith(end))


def test_a_scale_that_is_added_to_1_in_a_layer_of_the_model_s_own_is_not_put_to_0_as_if_it_multiplied() -> None:
    """Nobody knows what it is for: the branch had its full size, and was said to start at 0."""
    torch.manual_seed(0)
    unknown = type("Stretch", (ShiftedRMSNorm,), {})
    with pytest.raises(InputError, match="expected a model that a recipe is for"):
        initialize_(EndsNormalised(unknown), "auto")


class Spread(nn.Module):
    """A mean plus noise of a spread of its own, as a VAE draws its codes."""

    def __init__(self, mean: nn.Module, spread: nn.Module):
        super().__init__()
        self.mean, self.spread = mean, spread

    def forward(self, x: Tensor) -> Tensor:
        mean = self.mean(x)
        return mean + torch.exp(self.spread(x) / 2) * torch.ones_like(mean)


def test_neither_head_of_a_drawn_code_ends_a_residual_branch() -> None:
    deep = lambda: nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))  # noqa: E731
    for heads in ((nn.Linear(4, 4), deep()), (deep(), nn.Linear(4, 4))):
        model = nn.Sequential(nn.Linear(4, 4), Spread(*heads), nn.Linear(4, 2), nn.Softmax(1))
        wiring = wiring_of(model, lambda model=model: model(torch.ones(2, 4)))
        assert wiring.branches == () and wiring.heads == ("2.weight",)


def test_weights_of_a_gate_do_not_end_a_branch() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.value, self.gate = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.value(x) * self.gate(x).sigmoid()

    model = nn.Sequential(nn.Linear(4, 4), Gated())
    (branch,) = wiring_of(model, lambda: model(torch.ones(2, 4))).branches
    assert branch.matrices == ("1.value.weight",) and set(branch.inside) == {"1.value.weight", "1.gate.weight"}
