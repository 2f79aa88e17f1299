"""One model, loss, optimiser and batch have one rate, whoever tells it: record, terminal, report, notebook, JSON, page, code."""

from __future__ import annotations

import json
import re
from functools import cache
from html import escape

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

import freeness as fr
from freeness.advice import Analysis, Training
from freeness.cli import app
from freeness.show import Sentence, Table, answer_of, brief_of, dump_json, number, render_html, side_by_side
from freeness.torch import AnalyzeOptions, analyze, build
from tests.told import words_and_sentences

pytestmark = pytest.mark.usefixtures("undrawn")
ENDS = [24, 30, 30, 4]


def _normed() -> nn.Module:
    return nn.Sequential(nn.Linear(24, 30), nn.BatchNorm1d(30), nn.ReLU(), nn.Linear(30, 4))


def _convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 4, 6)), nn.Conv2d(1, 3, 3, padding=1), nn.GELU(), nn.Flatten(), nn.Linear(72, 4)
    )


MODELS = {
    "chain": lambda: build(fr.mlp(3, ENDS, "tanh"), torch.Generator().manual_seed(0)),
    "batch normalisation": _normed,
    "convolution": _convolutional,
}
CASES = [("chain", "sgd"), ("chain", "adam"), ("batch normalisation", "momentum"), ("convolution", "adamw")]


@cache
def analysed(model: str, optimizer: str) -> Analysis:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = MODELS[model]()
        x, y = torch.randn(32, 24), torch.arange(32) % 4
    options = AnalyzeOptions(loss="cross_entropy", optimizer=optimizer, batch=16, only=("rate",))
    return analyze(made, (x, y), options)


@pytest.mark.parametrize(("model", "optimizer"), CASES)
def test_an_analysis_tells_one_rate_everywhere(model, optimizer):
    analysis = analysed(model, optimizer)
    rate = analysis.learning_rate
    told = number(rate.recommended, 3)
    assert json.loads(dump_json(analysis))["learning_rate"]["recommended"] == rate.recommended
    assert f'<p class="big">{told}</p>' in render_html([analysis])
    assert f">{told}</td>" in render_html([analysis, analysis]).split("<article")[0]  # the overview
    for answer in (answer_of(analysis), brief_of(analysis)):
        lines = [part.text for part in answer.section("").parts if isinstance(part, Sentence)]
        wide = model in ("batch normalisation", "convolution")
        between = f", between {number(rate.low, 3)} and {number(rate.high, 3)}" if wide else ""
        place = lines.index(
            f"Learning rate to start from: {told}{between}."
        )  # no bare point where the interval is wide
        assert lines[place + 1] == rate.reason and not any(
            "tart at" in line for line in lines[:place] + lines[place + 2 :]
        )
    table = side_by_side([analysis, analysis]).section("").parts[0]
    assert isinstance(table, Table) and ("learning rate to start from", told, told) in table.rows


@pytest.mark.parametrize(("model", "optimizer"), CASES)
def test_the_bound_and_theory_are_details_that_unfold(model, optimizer):
    analysis = analysed(model, optimizer)
    rate, page = analysis.learning_rate, render_html([analysis])
    bound = f"contracts below {rate.bound:.3g}"
    assert bound not in rate.reason and any(bound in line for line in rate.details)
    card = page[page.index('aria-label="Learning rate"') :]
    assert card.index("<summary>How it was found</summary>") < card.index(bound)
    assert all(told in "".join(rate.details) for told in (rate.formula, rate.evidence))


@pytest.mark.parametrize(("model", "optimizer"), CASES)
def test_the_reason_is_three_short_sentences_in_plain_words(model, optimizer):
    reason = analysed(model, optimizer).learning_rate.reason
    words_and_sentences(reason)
    assert not re.search(r"\b(reach|loudness|left|GGN|linearised)\b", reason)


def test_a_wide_interval_comes_with_the_call_that_narrows_it_down():
    analysis = analysed("batch normalisation", "momentum")
    call = analysis.learning_rate.trials
    first, _, second = call.partition("; ")
    assert first == "from freeness.torch import FindOptions, find_rate"
    scope = {"print": lambda found: found, "model": "model", "data": "data"}
    exec(first, scope)
    scope["find_rate"] = lambda *given, **named: scope.update(asked=(given, named))
    exec(second, scope)
    given, named = scope["asked"]
    assert given[:2] == ("model", "data") and given[2].batch == 16
    assert named == {"loss": "cross_entropy", "optimizer": "momentum"}
    for answer in (answer_of(analysis), brief_of(analysis)):
        assert Sentence(call, "code") in answer.section("").parts
    assert f'Run: <code class="run">{escape(call)}</code>'.replace("&#x27;", "&#39;") in render_html([analysis])
    assert analysed("chain", "sgd").learning_rate.trials == ""


def test_the_gradient_changes_by_one_factor_whoever_tells_it():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = nn.Sequential(*[part for _ in range(8) for part in (nn.Linear(12, 12), nn.Tanh())], nn.Linear(12, 4))
        x, y = torch.randn(32, 12), torch.arange(32) % 4
    analysis = analyze(made, (x, y), AnalyzeOptions(batch=16, only=("layers",)))
    factor = f"{analysis.layers.gradient_growth:.3g}"
    sentences = (analysis.verdict.sentences[0], analysis.verdict.advice[0], analysis.headline)
    assert all(f"by a factor of {factor}" in sentence for sentence in sentences), sentences
    table = side_by_side([analysis, analysis]).section("").parts[0]
    assert ("growth of the gradient, last layer to first", factor, factor) in table.rows


def test_a_design_tells_one_rate_in_terminal_json_and_python_and_why_an_analysis_tells_another():
    arguments = ["design", "--depth", "3", "--width", "30", "--inputs", "24", "--outputs", "4", "--activation", "tanh"]
    plan = fr.design(3, (24, 30, 4), "tanh", training=Training(batch=64))
    rate = plan.learning_rate
    document = json.loads(CliRunner().invoke(app, [*arguments, "--json", "-"]).stdout)
    assert document["widths"] == ENDS and document["learning_rate"]["recommended"] == rate.recommended
    printed = CliRunner().invoke(app, arguments, env={"COLUMNS": "300"}).stdout
    assert re.search(rf"learning rate to start from\s+{re.escape(number(rate.recommended))}\s", printed)
    assert rate.reason in printed and "stable learning rate" not in printed
    assert "24 inputs and 4 outputs" in rate.reason and "freeness analyze" in rate.reason
    words_and_sentences(rate.reason)


def test_without_a_shape_the_command_designs_for_the_images_that_analyze_takes():
    document = json.loads(CliRunner().invoke(app, ["design", "--depth", "4", "--width", "40", "--json", "-"]).stdout)
    assert document["widths"] == [784, 40, 40, 40, 10]
    assert (
        document["learning_rate"]["recommended"]
        == fr.design(4, (784, 40, 10), training=Training(batch=64)).learning_rate.recommended
    )
    assert "784 inputs and 10 outputs" in document["learning_rate"]["reason"]


def test_inputs_hidden_and_outputs_are_a_shape():
    assert fr.design(3, (24, 30, 4)).learning_rate == fr.design(3, ENDS).learning_rate
    assert fr.design(2, (24, 30, 4)).widths == (24, 30, 4)
    with pytest.raises(fr.InputError):
        fr.design(1, (24, 30, 4))


def test_rates_of_kernels_say_why_an_analysis_tells_another():
    x = np.random.default_rng(0).standard_normal((12, 24))
    for optimizer, batch in (("sgd", 12), ("momentum", 4)):
        reason = fr.batch_learning_rate(fr.mlp(3, ENDS, "tanh"), x, Training("mse", optimizer, batch)).reason
        words_and_sentences(reason)
        assert "freeness analyze" in reason
