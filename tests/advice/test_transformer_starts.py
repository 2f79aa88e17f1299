"""Starts and phases of Transformers, against drawn networks and what is known in closed form."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from freeness.advice import TransformerDesign, TransformerStart, design_transformer, transformer_phases
from freeness.advice.transformer_starts import predicted_start, stream_inputs
from freeness.errors import InputError
from freeness.network import INPUT, Sum, TransformerPlan, planned_transformer
from tests.conftest import REPOSITORY
from tests.meanfield.simulated import Simulated

PLAN = TransformerPlan(4, 128, 4, 6, activation="relu")


def drawn(plan, tokens, seed):
    """Growth of signal and squared gradient and the tokens' mean cosine of one network."""
    run, network = Simulated(seed), planned_transformer(plan)
    values = run.values(network, torch.tensor(tokens).requires_grad_())
    sums = [node.name for node in network.nodes if isinstance(node.operation, Sum)]
    end = values[network.nodes[-1].name if plan.norm == "post" else sums[-1]]
    cotangent = torch.randn(end.shape, generator=run.generator, dtype=end.dtype)
    (back,) = torch.autograd.grad((end * cotangent).sum(), values[INPUT])
    stream = end.detach()[0].T
    unit = stream / stream.norm(dim=1, keepdim=True)
    alike = unit @ unit.T
    cosine = float(alike[~torch.eye(len(alike), dtype=bool)].mean())
    growth = float(stream.square().mean()) / float(np.square(tokens).mean())
    return growth, float(back.square().sum() / cotangent.square().sum()), cosine


@pytest.mark.parametrize("norm", ["pre", "post", "none"])
@pytest.mark.parametrize("branch", [0.3, 0.8])
def test_a_start_is_as_networks_are_that_are_drawn(norm, branch):
    plan = replace(PLAN, norm=norm, residual_scale=branch, sigma_qk=0.8)
    tokens = stream_inputs(plan, 0.3)
    told = np.array(predicted_start(plan, tokens)[:3])
    seen = np.array([drawn(plan, tokens, seed) for seed in range(10)])
    error = seen.std(axis=0, ddof=1) / 10**0.5
    assert (np.abs(seen.mean(axis=0) - told) <= 4.5 * error + 0.06 * np.abs(told)).all(), (
        told,
        seen.mean(axis=0),
        error,
    )


@pytest.mark.parametrize("norm", ["pre", "none"])
def test_the_chosen_scale_is_the_largest_that_keeps_gradients_and_tokens(norm):
    plan = replace(PLAN, depth=10, norm=norm)
    found = design_transformer(plan, kept=1.8)
    chosen, tokens = found.chosen, stream_inputs(plan, 0.25)
    assert chosen.gradient <= 1.8 and 1 - chosen.cosine >= 0.75 / 1.8
    _, gradient, cosine, _ = predicted_start(replace(plan, residual_scale=1.08 * chosen.branch), tokens)
    assert gradient > 1.8 or 1 - cosine < 0.75 / 1.8
    assert found.network == planned_transformer(replace(plan, residual_scale=chosen.branch))


def test_usual_starts_are_what_their_papers_promise():
    found = {start.name: start for start in design_transformer(replace(PLAN, depth=12)).usual}
    assert found["Fixup, ReZero"].gradient == pytest.approx(1.0) and found["Fixup, ReZero"].cosine == pytest.approx(
        0.25
    )
    assert found["DeepNorm"].gradient == pytest.approx(1.0, abs=0.05)
    assert (
        found["post-norm"].cosine > 0.9 > found["GPT-2"].cosine
    )  # tokens collapse behind post-norm (Dong et al. 2021)
    assert found["branches as they are"].gradient > 2 * found["GPT-2"].gradient
    assert found["GPT-2"].depth_scale(12) == pytest.approx(12 / np.log(found["GPT-2"].gradient))


def test_phases_are_starts_on_a_grid():
    found = transformer_phases(PLAN, [0.5, 1.5], [0.2, 1.0])
    one = replace(PLAN, sigma_qk=1.5, residual_scale=0.2)
    signal, gradient, cosine, _ = predicted_start(one, stream_inputs(one, 0.25))
    assert (found.signal[0, 1], found.gradient[0, 1], found.token_cosine[0, 1]) == (signal, gradient, cosine)
    np.testing.assert_allclose(np.exp(4 / found.gradient_scale), np.maximum(found.gradient, 1 / found.gradient))
    np.testing.assert_allclose(0.75 * np.exp(-4 / found.token_scale), 1 - found.token_cosine, rtol=1e-9)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: design_transformer(PLAN, kept=1.0), "factor above 1"),
        (lambda: design_transformer(PLAN, cosine=1.0), "cosine"),
        (lambda: design_transformer(replace(PLAN, tokens=200)), "at most 128 tokens"),
        (lambda: design_transformer(replace(PLAN, vocabulary=9)), "without embedding"),
        (lambda: transformer_phases(PLAN, [], [1.0]), "gains of queries"),
        (lambda: transformer_phases(PLAN, [1.0], [-1.0]), "scales of branches"),
    ],
)
def test_bad_input_is_one_sentence(call, words):
    with pytest.raises(InputError, match=words):
        call()


def test_starts_are_ranked_by_their_distance_from_the_factor_that_may_change():
    def start(name, gradient, cosine):
        return TransformerStart(name, "pre", 1.0, 1.0, 1.0, gradient, cosine, 0.0)

    usual = (start("alike", 1.0, 0.9999), start("idle", 1.0, 0.2), start("lost", 0.2, 0.2), start("grown", 2.5, 0.3))
    design = TransformerDesign(PLAN, start("chosen", 2.0, 0.4), usual, 0.2, 2.0)
    assert [round(design.change(one), 3) for one in design.ranked] == [2.0, 2.5, 1.0, 5.0, 8000.0]
    assert [one.name for one in design.ranked] == ["chosen", "grown", "idle", "lost", "alike"]


STORE = json.loads((REPOSITORY / "docs" / "transformer-training.json").read_text())


@pytest.mark.parametrize("key", list(STORE["starts"]))
def test_the_order_that_is_expected_is_that_of_training(key):
    """Stored losses of 300 steps, each start at the best of the rates that were tried."""
    chosen, *usual = (TransformerStart(**one) for one in STORE["starts"][key])
    ranked = TransformerDesign(PLAN, chosen, tuple(usual), 0.25, 2.0).ranked
    task, depth = key.split(" · ") if " · " in key else ("", key)
    front = f"{task} · " if task else ""
    losses = [
        [loss for name, loss in STORE["losses"].items() if name.startswith(f"{front}{one.name} · {depth} · ")]
        for one in ranked
    ]
    if not all(losses):
        pytest.skip("not all starts were trained")
    assert spearmanr(np.arange(len(ranked)), [min(some) for some in losses]).statistic >= 0.8
