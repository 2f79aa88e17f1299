"""Measured is the mode that training will use: the statistics of the batch, the same masks in every evaluation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from freeness.torch import (
    AnalyzeOptions,
    CurvatureOptions,
    adam_preconditioner,
    analyze,
    batch_sharpness,
    start_facts,
    untouched,
)
from freeness.torch.model.modes import draws, trained_mode
from freeness.training import start_rate


def seeded(*layers: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    for layer in layers:
        for module in layer.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                module.reset_parameters()
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):  # not those of any batch
                module.running_mean.normal_()  # pyright: ignore[reportCallIssue, reportOptionalMemberAccess]
                module.running_var.uniform_(0.2, 5)  # pyright: ignore[reportCallIssue, reportOptionalMemberAccess]
    return nn.Sequential(*layers).double()


def classes(*shape: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(*shape, generator=generator, dtype=torch.float64), torch.arange(shape[0]) % 3


def small_cnn() -> nn.Sequential:
    body = (nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.Tanh())
    return seeded(*body, nn.Flatten(), nn.Linear(8, 3))


def cnn_by_hand(w: dict[str, Tensor], x: Tensor) -> Tensor:
    def normalised(h: Tensor, name: str) -> Tensor:
        mean, var = h.mean((0, 2, 3), keepdim=True), h.var((0, 2, 3), unbiased=False, keepdim=True)
        scale, shift = (w[f"{name}.{kind}"][:, None, None] for kind in ("weight", "bias"))
        return (h - mean) / (var + 1e-5).sqrt() * scale + shift

    h = torch.relu(normalised(functional.conv2d(x, w["0.weight"], w["0.bias"]), "1"))
    h = torch.tanh(normalised(functional.conv2d(h, w["3.weight"], w["3.bias"]), "4"))
    return functional.linear(h.flatten(1), w["7.weight"], w["7.bias"])


def top_of(outputs: Tensor, jacobian: dict[str, Tensor]) -> float:
    """λ_max of the GGN of cross-entropy, dense."""
    rows = torch.cat([part.reshape(outputs.numel(), -1) for part in jacobian.values()], 1).reshape(*outputs.shape, -1)
    p = outputs.softmax(1)
    hessians = torch.diag_embed(p) - p[:, :, None] * p[:, None, :]
    ggn = torch.einsum("bcp,bcd,bdq->pq", rows, hessians, rows) / len(outputs)
    return float(torch.linalg.eigvalsh(ggn)[-1])


@pytest.mark.slow
@pytest.mark.always
def test_a_batch_normalised_cnn_has_the_sharpness_of_its_training() -> None:
    model, (x, y) = small_cnn(), classes(9, 1, 6, 6)
    weights = {name: p.detach() for name, p in model.named_parameters()}
    wanted = top_of(cnn_by_hand(weights, x), torch.func.jacrev(cnn_by_hand)(weights, x))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for mode in (model.train(), model.eval()):  # a model that is loaded is in eval mode, and is trained all the same
        assert batch_sharpness(mode, x, y, "cross_entropy").value == pytest.approx(wanted, rel=1e-8)
    report = analyze(model, (x, y))
    assert report.learning_rate.sharpness == pytest.approx(wanted, rel=1e-8)
    assert any(
        "Batch normalisation (1, 4) takes the statistics of the batch of 9" in w for w in report.verdict.warnings
    )
    rate = report.learning_rate
    facts = start_facts(model, (x, y), "cross_entropy", training=True)
    assert (
        facts.sharpness == pytest.approx(wanted, rel=1e-5) and facts.untried == "batch normalisation in training mode"
    )
    assert rate.wide and "freeness rate" in rate.reason
    assert rate.recommended == pytest.approx(start_rate(facts, "cross_entropy").recommended)
    assert "None of them had batch normalisation" in rate.evidence
    plain = batch_sharpness(model, x, y, "cross_entropy", CurvatureOptions(training=False)).value
    assert abs(plain / wanted - 1) > 0.1
    asked = analyze(model, (x, y), AnalyzeOptions(training=False))
    assert asked.learning_rate.sharpness == pytest.approx(plain, rel=1e-8)
    assert any("running statistics, as training=False asks" in w for w in asked.verdict.warnings)
    assert not model.training and all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.slow
@pytest.mark.always
def test_spectra_at_one_sample_hold_the_statistics_of_the_batch() -> None:
    model, (x, y) = seeded(nn.Linear(5, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 3)), classes(8, 5)
    h = model[0](x).detach()
    mean, std = h.mean(0), (h.var(0, unbiased=False) + 1e-5).sqrt()

    def by_hand(w: dict[str, Tensor], one: Tensor) -> Tensor:
        normal = (functional.linear(one, w["0.weight"], w["0.bias"]) - mean) / std
        return functional.linear(torch.tanh(normal * w["1.weight"] + w["1.bias"]), w["3.weight"], w["3.bias"])

    weights = {name: p.detach() for name, p in model.named_parameters()}
    report = analyze(model, (x, y), AnalyzeOptions(sample=2))
    assert report.jacobian.measured is not None and report.fisher.measured is not None
    squares = torch.linalg.svdvals(torch.func.jacrev(by_hand, 1)(weights, x[2])).square().flip(0)
    np.testing.assert_allclose(report.jacobian.measured.eigenvalues, squares.numpy(), rtol=1e-9)
    parts = torch.func.jacrev(by_hand)(weights, x[2])
    rows = torch.cat([part.reshape(3, -1) for part in parts.values()], 1)
    fisher = torch.linalg.eigvalsh(rows @ rows.T).numpy()
    np.testing.assert_allclose(report.fisher.measured.eigenvalues, fisher, rtol=1e-9)


class Masked(nn.Module):
    """Dropout that says which mask it took."""

    def forward(self, x: Tensor) -> Tensor:
        self.mask = functional.dropout(torch.ones_like(x), 0.4, self.training)
        return x * self.mask


def test_dropout_has_the_same_masks_in_every_evaluation() -> None:
    masked = Masked()
    model, (x, y) = seeded(nn.Linear(5, 7), nn.Tanh(), masked, nn.Linear(7, 3)), classes(8, 5)
    state = torch.get_rng_state()
    found = batch_sharpness(model, x, y, "cross_entropy").value
    assert 0 < int((masked.mask == 0).sum()) < masked.mask.numel()

    def by_hand(w: dict[str, Tensor]) -> Tensor:
        h = torch.tanh(functional.linear(x, w["0.weight"], w["0.bias"])) * masked.mask
        return functional.linear(h, w["3.weight"], w["3.bias"])

    weights = {name: p.detach() for name, p in model.named_parameters()}
    assert found == pytest.approx(top_of(by_hand(weights), torch.func.jacrev(by_hand)(weights)), rel=1e-8)
    assert analyze(model, (x, y)).learning_rate.sharpness == pytest.approx(found, rel=1e-8)
    assert torch.equal(
        adam_preconditioner(model, x, y, "cross_entropy"), adam_preconditioner(model, x, y, "cross_entropy")
    )
    assert torch.equal(state, torch.get_rng_state())
    off = batch_sharpness(model, x, y, "cross_entropy", CurvatureOptions(training=False)).value
    assert abs(off / found - 1) > 1e-3


def test_adam_divides_by_no_less_than_the_gradient_of_the_batch_whose_masks_differ_from_those_of_its_parts() -> None:
    """A neuron that is dropped in all mini-batches has no gradient there, and λ of the batch was divided by ε."""
    masked = Masked()
    model, (x, y) = seeded(nn.Linear(5, 40), nn.Tanh(), masked, nn.Linear(40, 3)), classes(16, 5)
    batch_sharpness(model, x, y, "cross_entropy")
    loss = functional.cross_entropy(model[3](torch.tanh(model[0](x)) * masked.mask), y)
    gradient = torch.cat([part.reshape(-1) for part in torch.autograd.grad(loss, list(model.parameters()))])
    found = adam_preconditioner(model, x, y, "cross_entropy")
    assert bool((found >= gradient.abs()).all())
    assert batch_sharpness(model, x, y, "cross_entropy", CurvatureOptions(preconditioner=found)).value < 1e3


def test_normalisation_that_is_left_in_eval_mode_stays_there() -> None:
    """As when one fine-tunes with frozen statistics."""
    model, (x, y) = small_cnn(), classes(9, 1, 6, 6)
    model[1].eval()
    model[4].eval()
    frozen = batch_sharpness(model, x, y, "cross_entropy", CurvatureOptions(training=False)).value
    assert trained_mode(model, x, None) is False and trained_mode(model, x, True) is True
    assert batch_sharpness(model, x, y, "cross_entropy").value == pytest.approx(frozen, rel=1e-9)
    report = analyze(model, (x, y))
    assert report.learning_rate.sharpness == pytest.approx(frozen, rel=1e-9)
    assert any("since it is in eval mode in a model that trains" in w for w in report.verdict.warnings)
    model[4].train()
    report = analyze(model, (x, y))
    warned = " ".join(report.verdict.warnings)
    assert "normalisation (4) takes the statistics" in warned and "normalisation (1) takes its running" in warned


def test_a_block_in_the_mode_of_training_leaves_parts_in_eval_mode_alone() -> None:
    model = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2))
    model[1].eval()
    with untouched(model, training=None):
        assert [m.training for m in model.modules()] == [True, True, False]
    with untouched(model.eval(), training=None):
        assert all(m.training for m in model.modules())
    assert not any(m.training for m in model.modules())


class Averaged(nn.Module):
    """Keys of an average of the weights, which every pass in training moves on, and noise on request."""

    def __init__(self, noise: float) -> None:
        super().__init__()
        self.own, self.mean, self.noise = nn.Linear(3, 2), nn.Linear(3, 2).requires_grad_(False), noise

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            for mean, own in zip(self.mean.parameters(), self.own.parameters(), strict=True):
                mean.mul_(0.5).add_(own, alpha=0.5)
        return self.own(x) * self.mean(x) + self.noise * torch.rand(2)


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_weights_that_a_pass_averages_are_no_random_numbers(noise: float) -> None:
    assert draws(Averaged(noise), torch.ones(4, 3), True) == (noise > 0)


def test_the_fast_path_of_attention_in_eval_mode_is_no_other_computation():
    """torch rounds it otherwise, so that such models were said to compute otherwise in training."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True)
    x = torch.randn(5, 3, 8)
    assert trained_mode(layer, x, None) is False
    layer.dropout.p = 0.1
    assert trained_mode(layer, x, None) is None


class Halted(nn.Sequential):
    """A model whose backbone stays in eval mode, by a ``train`` of its own."""

    def train(self, mode=True):
        super().train(mode)
        self[0].eval()
        return self


@pytest.mark.parametrize("trains", [True, False])
def test_a_model_s_own_train_says_what_trains(trains):
    model = Halted(nn.BatchNorm1d(3), nn.Linear(3, 2), nn.Dropout(0.5))
    for module in model.modules():
        module.training = trains
    with untouched(model, training=None):
        assert [module.training for module in model] == [False, True, True]
    assert all(module.training is trains for module in model.modules())
    with untouched(model, training=True):
        assert all(module.training for module in model.modules())


def test_adapters_that_train_takes_apart_are_put_together_again():
    class Merged(nn.Linear):
        merged = False

        def train(self, mode=True):
            with torch.no_grad():
                if self.merged == mode:
                    self.weight += -1 if mode else 1
                    self.merged = not mode
            return super().train(mode)

    model = Merged(2, 2).eval()
    before = model.weight.detach().clone()
    with untouched(model, training=None, copies=False):
        assert not model.merged and torch.allclose(model.weight, before - 1)
    assert model.merged and not model.training and torch.equal(model.weight, before)
