"""State-space models of anybody: decays and steps are found by the wiring, and start as Mamba's."""

from __future__ import annotations

import math

import pytest
import torch
import transformers
from benchmarks.written import Mamba
from torch import Tensor, nn
from torch.nn import functional

from freeness.torch import InitializeOptions, initialize_
from freeness.torch.start.architecture import recipe_of
from tests.torch.test_recipes import seeded, spread
from tests.torch.test_tensors import assert_listed_once


class Selective(nn.Module):
    """x + a selective scan in einsums, whose tensors have names of nobody; the state is the first axis of the decay."""

    def __init__(self, width: int = 8, state: int = 4) -> None:
        super().__init__()
        self.norm, self.enter = nn.LayerNorm(width), nn.Linear(width, 2 * width)
        self.choose, self.clock = nn.Linear(width, 1 + 2 * state), nn.Linear(1, width)
        self.rates, self.direct = nn.Parameter(torch.zeros(state, width)), nn.Parameter(torch.zeros(width))
        self.leave, self.state = nn.Linear(width, width), state

    def forward(self, x: Tensor) -> Tensor:
        signal, gate = self.enter(self.norm(x)).chunk(2, -1)
        low, given, read = self.choose(signal).split([1, self.state, self.state], -1)
        step = functional.softplus(self.clock(low))
        kept = torch.exp(torch.einsum("btd,nd->btdn", step, -torch.exp(self.rates)))
        added = torch.einsum("btd,btn,btd->btdn", step, given, signal)
        state, seen = torch.zeros_like(added[:, 0]), []
        for t in range(x.shape[1]):
            state = kept[:, t] * state + added[:, t]
            seen.append(torch.einsum("bdn,bn->bd", state, read[:, t]))
        return x + self.leave((torch.stack(seen, 1) + signal * self.direct) * torch.sigmoid(gate))


class Diagonal(nn.Module):
    """x + a diagonal state space whose kernel is made of parameters alone. Source: Gu et al., NeurIPS 2022 (S4D), listing 1."""

    def __init__(self, width: int = 6, state: int = 4) -> None:
        super().__init__()
        self.log_step, self.read = nn.Parameter(torch.full((width,), -4.0)), nn.Parameter(torch.randn(width, state, 2))
        self.log_real = nn.Parameter(torch.full((width, state), -0.7))
        self.turns, self.out = nn.Parameter(torch.arange(state).repeat(width, 1) * math.pi), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        length = x.shape[1]
        rate = (-self.log_real.exp() + 1j * self.turns) * self.log_step.exp()[:, None]
        weights = torch.view_as_complex(self.read) * (rate.exp() - 1) / rate
        kernel = torch.einsum("dn,dnt->dt", weights, torch.exp(rate[..., None] * torch.arange(length))).real
        spectra = (torch.fft.rfft(one, n=2 * length) for one in (x.transpose(1, 2), kernel))
        convolved = torch.fft.irfft(next(spectra) * next(spectra), n=2 * length)[..., :length]
        return x + self.out(functional.gelu(convolved.transpose(1, 2)))


def started(model: nn.Module, data: object):
    found = initialize_(model, "auto", options=InitializeOptions(data=data))
    assert found.start == "state-space model" and "Gu, Dao" in found.source
    assert_listed_once(model, found)
    return found


def assert_steps(bias: Tensor) -> None:
    """Between the ends, and uniform in logarithms: their mean within four standard errors."""
    steps = functional.softplus(bias.detach().double())
    assert float(steps.min()) > 0.0009 and float(steps.max()) < 0.11
    middle, spread_of = (math.log(0.001) + math.log(0.1)) / 2, math.log(100) / math.sqrt(12)
    assert abs(float(steps.log().mean()) - middle) < 4 * spread_of / math.sqrt(len(steps))


def mamba(layers: int = 2, width: int = 16) -> nn.Module:
    sizes = {"vocab_size": 50, "hidden_size": width, "state_size": 4, "num_hidden_layers": layers}
    return transformers.MambaForCausalLM(transformers.MambaConfig(**sizes))


def tokens(length: int = 6) -> dict[str, Tensor]:
    return {"input_ids": torch.randint(50, (2, length), generator=seeded(0))}


def test_a_scan_of_nobodys_names_starts_as_mamba() -> None:
    model = nn.Sequential(nn.Linear(3, 8), Selective(), Selective(), nn.Linear(8, 2))
    found = started(model, torch.randn(2, 5, 3, generator=seeded(0)))
    for block in model[1:3]:
        assert torch.allclose(block.rates.exp(), torch.arange(1.0, 5)[:, None].expand(4, 8))
        assert bool((block.direct == 1).all())
        assert_steps(block.clock.bias)
    smaller = [row.name for row in found.drawn if "residual sum" in row.reason]
    assert smaller == ["1.leave.weight", "2.leave.weight"]
    assert float(model[1].leave.weight.detach().abs().max()) <= 1 / math.sqrt(8 * 2)
    assert not found.left


def test_a_tied_table_beside_scans_is_drawn_once() -> None:
    ours = Mamba(13, 10, 2)
    found = started(ours, tokens()["input_ids"] % 13)
    for block in ours.blocks:
        assert torch.allclose(block.decay.exp(), torch.arange(1.0, 17).expand(20, 16))
        assert_steps(block.step.bias)
    assert found.tensor("table.weight").how.startswith("N(0, σ²), σ = 0.02")


@pytest.mark.slow
def test_mamba_of_transformers() -> None:
    theirs = mamba()
    found = started(theirs, tokens())
    assert found.tensor("lm_head.weight").name == "backbone.embeddings.weight"
    assert {row.reason.split(",")[0] for row in found.left} == {"of a normalisation that is not torch's"}
    for layer in theirs.backbone.layers:
        assert_steps(layer.mixer.dt_proj.bias)
        assert bool((layer.mixer.D == 1).all())


@pytest.mark.slow
def test_mamba_2_has_one_decay_a_head() -> None:
    sizes = {"vocab_size": 50, "hidden_size": 16, "state_size": 4, "num_hidden_layers": 1, "head_dim": 8}
    model = transformers.Mamba2ForCausalLM(transformers.Mamba2Config(num_heads=4, n_groups=1, chunk_size=8, **sizes))
    found = started(model, tokens())
    mixer = model.backbone.layers[0].mixer
    assert found.tensor("backbone.layers.0.mixer.A_log").how.startswith("log u")
    assert float(mixer.A_log.detach().exp().min()) >= 1 and float(mixer.A_log.detach().exp().max()) <= 16.001
    assert_steps(mixer.dt_bias)


def test_a_kernel_of_parameters_alone_is_left_with_the_reason() -> None:
    model = nn.Sequential(nn.Linear(3, 6), Diagonal(), nn.Linear(6, 2))
    found = started(model, torch.randn(2, 5, 3, generator=seeded(0)))
    left = {row.name for row in found.left}
    assert left == {"1.log_step", "1.read", "1.log_real", "1.turns"}
    assert all("structure of its own" in row.reason for row in found.left)


def test_a_temperature_makes_no_state_space() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.log_scale = nn.Conv1d(3, 3, 3, padding=1), nn.Parameter(torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            return self.log_scale.exp() * self.inner(x).mean(2)

    found = initialize_(Scaled(), "auto", options=InitializeOptions(data=torch.randn(2, 3, 5, generator=seeded(0))))
    assert found.start == "convolutional network"


def reach(model: nn.Module, length: int = 40) -> float:
    """How much of the last place's change is due to the first half of the inputs."""
    x = torch.randn(4, length, 8, generator=seeded(1)).requires_grad_()
    (given,) = torch.autograd.grad(model(x)[:, -1].square().sum(), x)
    return float(given[:, : length // 2].square().sum() / given[:, :-1].square().sum())


class Weighted(nn.Module):
    """x + a mean of values with weights exp(k) that decay at a rate a channel, as RWKV has. Source: Peng et al. 2023, eq. 16."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.mix, self.decay, self.norm = (
            nn.Parameter(torch.rand(width)),
            nn.Parameter(torch.zeros(width)),
            nn.LayerNorm(width),
        )
        self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        y = y * self.mix + functional.pad(y, (0, 0, 1, -1)) * (1 - self.mix)
        k, v, total, weight, seen = self.key(y), self.value(y), torch.zeros_like(y[:, 0]), torch.zeros_like(y[:, 0]), []
        for t in range(x.shape[1]):
            largest = torch.maximum(k[:, t], -torch.exp(self.decay) + 0 * k[:, t])
            old, new = torch.exp(-torch.exp(self.decay) - largest), torch.exp(k[:, t] - largest)
            total, weight = old * total + new * v[:, t], old * weight + new
            seen.append(total / weight)
        return x + self.out(torch.stack(seen, 1))


def test_a_rate_that_is_added_is_no_decay_of_a_step() -> None:
    """Mamba's start would put the mixture of a token with the one before it to 1, and so the one before it out of the model."""
    found = recipe_of(nn.Sequential(Weighted(), Weighted(), nn.Linear(6, 3)), torch.randn(2, 5, 6))
    assert found is not None and found.name == "RWKV"


@pytest.mark.slow
def test_the_wiring_of_an_rwkv_tells_what_its_published_code_tells_by_names() -> None:
    """Which matrices are 0, orthogonal or left: ``generate_init_weight`` of the published code, by parts of names."""
    sizes = {"hidden_size": 16, "attention_hidden_size": 16, "intermediate_size": 48, "num_hidden_layers": 2}
    model = transformers.RwkvForCausalLM(
        transformers.RwkvConfig(vocab_size=64, context_length=16, use_cache=False, **sizes)
    ).train()
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    tokens = torch.randint(64, (2, 5), generator=seeded(0))
    found = initialize_(model, "auto", options=InitializeOptions(data={"input_ids": tokens}))
    assert found.start == "RWKV"
    assert_listed_once(model, found)
    zeros = ("attention.key", "receptance.weight", "attention.output", "feed_forward.value")
    for name, value in model.named_parameters():
        if "time_" in name:
            assert torch.equal(value, before[name])
        elif any(part in name for part in zeros):
            assert not value.any()
        elif value.ndim == 2 and "embeddings" not in name:
            gain = max(1.0, value.shape[0] / value.shape[1]) * (0.25 if name == "head.weight" else 1.0)
            torch.testing.assert_close(value.T @ value, gain * torch.eye(16), rtol=0, atol=1e-5)
    assert 0.9e-4 < float(model.rwkv.embeddings.weight.detach().abs().max()) <= 1e-4


def test_the_state_remembers_further_than_before() -> None:
    """Measured before and after: steps of softplus(0) = .7 forget within a few places."""
    model = nn.Sequential(Selective(state=8))
    with torch.no_grad():
        for value in (model[0].clock.weight, model[0].clock.bias):
            value.zero_()
        model[0].rates.copy_(torch.arange(1.0, 9).log()[:, None].expand(8, 8))
    before = reach(model)
    started(model, torch.randn(2, 5, 8, generator=seeded(0)))
    assert before < 1e-4 and reach(model) > 0.02


def test_the_residual_sum_keeps_its_size_at_any_depth() -> None:
    def grown(layers: int, scaled: bool) -> float:
        model = nn.Sequential(*(Selective() for _ in range(layers)))
        started(model, torch.randn(2, 3, 8, generator=seeded(0)))
        with torch.no_grad():
            for block in model:
                block.leave.weight.mul_(1 if scaled else math.sqrt(layers))
            x = torch.randn(16, 8, 8, generator=seeded(3))
            return (spread(model(x) - x) / spread(x)) ** 2

    assert grown(6, True) == pytest.approx(grown(2, True), rel=0.5)
    assert grown(6, False) > 2 * grown(2, False)
