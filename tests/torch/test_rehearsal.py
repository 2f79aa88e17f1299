"""A rate that is told from the start alone is tried before it is told."""

import html
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from freeness.errors import InputError
from freeness.show import render_html, to_json
from freeness.torch import AnalyzeOptions, analyze
from freeness.torch.loss.written_loss import WrittenLoss
from freeness.torch.model.counting import Counts
from freeness.torch.model.threads import fit_threads
from freeness.torch.rate.rehearsal import Room, _Drawn, rehearsed
from freeness.torch.rate.starts import rate_facts
from freeness.torch.rate.trial_runs import TrialOptions, TrialRuns
from freeness.torch.request.batch import Batch
from freeness.torch.request.stepping import stepping
from freeness.training import SGD, Adam, Rate, Schedule, loss_of

MSE = loss_of("mse")


@pytest.fixture(autouse=True)
def as_users_have_it(monkeypatch):
    monkeypatch.setattr("freeness.torch.analyzing.analysis_rate.rehearsed", rehearsed)


class Flow(nn.Module):
    """Twelve explicit steps of one field, as a neural ODE has them; its curvature grows as it learns to move far."""

    def __init__(self):
        super().__init__()
        self.field = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))

    def forward(self, x):
        for _ in range(12):
            x = x + 0.3 * self.field(x)
        return x


class Operator(nn.Module):
    """One number at each of 16 places, by layers that all places share."""

    def __init__(self):
        super().__init__()
        self.inside, self.outside = nn.Linear(1, 8), nn.Linear(8, 1)

    def forward(self, x):
        return self.outside(torch.tanh(self.inside(x[..., None])))[..., 0]


@pytest.fixture
def flow():
    torch.manual_seed(0)
    x = 2 * torch.randn(64, 2)
    return Flow(), x, torch.stack([x[:, 1] ** 3, -(x[:, 0] ** 3)], 1) / 3


class Clock:
    """Goes on by so many seconds a reading, whatever is computed."""

    def __init__(self, tick):
        self.now, self.tick = 0.0, tick

    def __call__(self):
        self.now += self.tick
        return self.now


@pytest.fixture
def clocked(monkeypatch):
    """Analyses by a clock of so many seconds a reading, which leaps once so many trials are run."""

    def analysed(tick, leap=math.inf, only="rate"):
        torch.manual_seed(0)
        model, x = nn.Sequential(nn.Linear(6, 20), nn.Tanh(), nn.Linear(20, 3)), torch.randn(80, 6)
        clock, run, legs = Clock(tick), TrialRuns.run, []

        def counted(self, leg, watch):
            legs.append(leg.rate)
            clock.now += 1e3 * (len(legs) > leap)
            return run(self, leg, watch)

        with monkeypatch.context() as patch:
            for name in ("monotonic", "perf_counter"):
                patch.setattr(f"time.{name}", clock)
            patch.setattr(TrialRuns, "run", counted)
            options = AnalyzeOptions(only=only, loss="half_squared_error")
            return analyze(model, (x, x[:, :3]), options), legs, clock.now

    return analysed


def last_losses(model, x, y, rate, steps=200):
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    losses = []
    for _ in range(steps):
        loss = nn.functional.mse_loss(model(x), y)
        losses.append(float(loss.detach()))
        if not math.isfinite(losses[-1]):
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses[-1], losses[0]


@pytest.mark.slow
def test_a_rate_that_breaks_training_is_not_told(flow):
    model, x, y = flow
    before = [parameter.clone() for parameter in model.parameters()]
    rate = analyze(model, (x, y), AnalyzeOptions(only="rate"), loss="mse").learning_rate
    assert "training breaks within" in rate.reason
    assert rate.low is not None and rate.high is not None
    assert rate.low < rate.recommended < rate.high < rate.bound * 1.1
    assert any("leaves the least loss" in line for line in rate.details)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    end, start = last_losses(model, x, y, rate.recommended)
    assert end < start / 2


def test_a_rate_that_trains_is_told_as_it_is(flow):
    (_, x, y), model = flow, nn.Linear(2, 2)
    told = Rate(0.01, 1.0, 2.0, "", "mse", "sgd", batch=16, low=0.001, high=0.02)
    assert rehearsed(model, (x, y), (MSE, SGD()), told) is told


def test_a_clock_that_goes_five_times_as_fast_changes_no_number(clocked):
    """As on a busy machine; the plan follows from counts."""
    (found, legs, seconds), (busy, more, longer) = (clocked(tick, only=("rate", "spectra")) for tick in (0.002, 0.01))
    assert longer == pytest.approx(5 * seconds) and longer < 60
    assert legs == more and len(legs) > 2 and "a lower one is told" in found.learning_rate.reason
    assert found.learning_rate == busy.learning_rate
    for name in ("jacobian", "fisher"):
        one, other = (getattr(each, name) for each in (found, busy))
        assert np.array_equal(one.measured.eigenvalues, other.measured.eigenvalues)
        assert one.predicted.law.mean == other.predicted.law.mean


@pytest.mark.parametrize(("leap", "words"), [(0, "It was not tried"), (2, "Trials of it ended early")])
def test_a_budget_that_runs_out_is_said_wherever_the_rate_is_shown(clocked, undrawn, leap, words):
    found, legs, _ = clocked(0.002, leap)
    said = f"{words}: the budget of 60 s ran out; allow more, as by --budget 120 (budget=120 in Python)."
    assert found.learning_rate.reason.endswith(said) and len(legs) == leap + 1
    shown = render_html([found]), found._repr_html_(), str(to_json(found)), " ".join(str(found).split())
    assert all(said in html.unescape(text) for text in shown)


def test_light_calls_have_one_thread_which_leaves_others_theirs(monkeypatch):
    model, (x, y), seen = nn.Linear(2, 2), torch.randn(2, 8, 2), []
    monkeypatch.setattr(
        "freeness.torch.analyzing.analysis_rate.rehearsed",
        lambda model, data, how, rate, **_: seen.append(torch.get_num_threads()) or rate,
    )
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        analyze(model, (x, y), AnalyzeOptions(only="rate"), loss="mse")
        assert seen == [1] and torch.get_num_threads() == 2
        fit_threads(Counts(3.6e9, 0.0, 3.5e7, 90, 4e7), 16)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_what_the_plan_leaves_no_room_for_is_said(flow):
    (_, x, y), model = flow, nn.Linear(2, 2)
    told = Rate(0.01, 1.0, 2.0, "By λ.", "mse", "sgd", batch=16, low=0.001, high=0.02)
    none = rehearsed(model, (x, y), (MSE, SGD()), told, room=Room(0, "it would take long"))
    assert none.reason == "By λ. It was not tried: it would take long."
    few = rehearsed(
        nn.Linear(1, 1), (x[:, :1], y[:, :1]), (MSE, SGD()), replace(told, recommended=1e-6), room=Room(1, "no")
    )
    assert few.reason == "By λ. Trials of it ended early: no." and few.recommended == 1e-6


def test_where_time_is_up_what_broke_is_not_told(flow, monkeypatch):
    from freeness.torch.rate import rehearsal

    def beat():
        if len(done) == 1:
            raise rehearsal.TimeUp

    done, run = [], rehearsal.TrialRuns.run

    def counted(self, leg, watch):
        found = run(self, leg, watch)
        done.append(leg)
        return found

    monkeypatch.setattr(rehearsal, "beat", beat)
    monkeypatch.setattr(rehearsal.TrialRuns, "run", counted)
    (_, x, y), model = flow, nn.Linear(2, 2)
    told = Rate(100.0, 1.0, 2.0, "", "mse", "sgd", batch=16, low=10.0, high=1000.0)
    found = rehearsed(model, (x, y), (MSE, SGD()), told)
    assert found.recommended == pytest.approx(100 / 3) and found.high == 100
    assert "not tried" in found.details[-1]
    assert found.reason.endswith("Trials of it ended early: the time was over.")


def test_a_rate_at_which_nothing_is_learnt_gives_way_to_a_lower_one():
    """Just below 2/λ gradient descent jumps to and fro."""
    model, inputs = nn.Linear(1, 1, bias=False), torch.ones(8, 1)  # λ = 2
    told = Rate(0.9999, 1.0, 2.0, "", "mse", "sgd", batch=8, low=0.3, high=5.0)
    found = rehearsed(model, (inputs, inputs), (MSE, SGD()), told)
    assert found.reason.endswith("The best one is expected between 0.1 and 1.")
    assert found.recommended == pytest.approx(0.3333) and "training soon stands still" in found.reason
    assert found.high == pytest.approx(0.9999) and rehearsed(model, (inputs, inputs), (MSE, SGD()), found) is found


@pytest.mark.parametrize(("high", "found", "ends"), [(0.002, 0.003, 0.009), (0.01, 0.027, 0.081), (None, 0.001, None)])
def test_a_rate_too_low_gives_way_to_higher_ones_up_to_the_first_beyond_the_interval(high, found, ends):
    """On a parabola of curvature 2 the loss after n steps is (1 - 2η)²ⁿ."""
    model, inputs = nn.Linear(1, 1, bias=False), torch.ones(8, 1)
    told = Rate(0.001, 1.0, 2.0, "", "mse", "sgd", batch=8, low=0.0005, high=high)
    rate = rehearsed(model, (inputs, inputs), (MSE, SGD()), told)
    assert rate.recommended == pytest.approx(found) and rate.high == pytest.approx(ends)
    if rate is not told:
        assert rate.low == pytest.approx(found / 3)
        assert f"{found / 0.001:.0f} times lower" in rate.reason and f"{found:g}" in rate.details[-1]


def test_no_more_rates_are_tried_where_lower_ones_only_lower_the_loss_less(monkeypatch):
    """As of a loss with a large floor, which falls in proportion to the rate."""
    tried, run = [], TrialRuns.run
    monkeypatch.setattr(TrialRuns, "run", lambda self, leg, watch: tried.append(leg.rate) or run(self, leg, watch))
    model, inputs = nn.Linear(1, 1, bias=False), torch.ones(8, 1)
    told = Rate(0.001, 1.0, 2.0, "", "floor", "sgd", batch=8, low=0.0005, high=0.002)
    floor = WrittenLoss(lambda outputs, targets: 100 + (outputs - targets).square().mean())
    found = rehearsed(model, (inputs, inputs), (floor, SGD()), told)
    assert found.recommended == told.recommended and "stood still" in found.reason  # to a percent
    assert tried == pytest.approx([0.001, 0.001 / 3, 0.003])


class Waves(nn.Module):
    """A Siren: at rates too high it finds the mean and stays there."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(before, 32) for before in (1, 32))
        self.last = nn.Linear(32, 1)
        for layer, bound in zip((*self.layers, self.last), (30, 6**0.5 / 32**0.5, 6**0.5 / 32**0.5 / 30), strict=True):
            nn.init.uniform_(layer.weight, -bound, bound)

    def forward(self, x):
        for layer in self.layers:
            x = torch.sin(layer(x))
        return self.last(x)


def test_a_rate_at_which_training_stands_still_on_a_plateau_gives_way_to_one_that_leaves_it():
    torch.manual_seed(0)
    model, x = Waves(), torch.linspace(-1, 1, 64)[:, None]
    told = Rate(0.3, 1.0, 2.0, "", "mse", "adam", batch=16, low=0.1, high=1.0)
    found = rehearsed(model, (x, torch.sin(9 * x).sign()), (MSE, Adam()), told)
    assert found.recommended == pytest.approx(1 / 30) and "stands still" in found.reason


def test_where_no_rate_that_is_tried_lowers_the_loss_that_is_said():
    x, noise = torch.ones(64, 1), torch.randn(64, 1, generator=torch.Generator().manual_seed(0))
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    told = Rate(1e-3, 1.0, 2.0, "By λ.", "mse", "sgd", batch=64, low=1e-3, high=1e-3)
    found = rehearsed(model, (x, noise - noise.mean()), (MSE, SGD()), told, room=Room())
    assert found.recommended == 1e-3 and "stood still" in found.reason
    assert (
        "stood still" not in rehearsed(model, (x, x), (MSE, SGD()), replace(told, recommended=0.3), room=Room()).reason
    )


def test_batches_of_a_trial_are_drawn_anew_in_each_pass():
    drawn = _Drawn(Batch((torch.arange(10),), targets=torch.arange(10), count=10), 4)
    rows = [batch.args[0].tolist() for batch in drawn[:4]]
    assert len(drawn) == 100 and all(len(set(one + other)) == 8 for one, other in (rows[:2], rows[2:]))
    assert rows[0] != rows[2] and drawn[2].args[0].tolist() == rows[2]


def test_inputs_that_the_model_differentiates_by_are_told_without_a_warning():
    model = nn.Linear(2, 1)
    batch = Batch((torch.ones(3, 2, requires_grad=True),), targets=torch.zeros(3, 1), count=3)
    runs = TrialRuns(model, [batch], lambda *_: torch.zeros(()), stepping(model, SGD()), TrialOptions(Schedule(10)))
    assert runs.data_squares == "6 0 6 0"


def test_a_last_batch_of_one_sample_is_not_trained_on():
    """Batch normalisation takes no batch of one."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    data = torch.randn(65, 6), torch.arange(65) % 3
    rate = analyze(model, data, AnalyzeOptions(only="rate"), loss="cross_entropy").learning_rate
    assert rate.known and rate.batch == 64


@pytest.mark.parametrize("error", [RuntimeError("no backward"), ValueError("one value"), InputError("not this one")])
def test_a_trial_that_cannot_be_run_leaves_the_rate(flow, monkeypatch, error):
    def failing(*_, **__):
        raise error

    (_, x, y), model = flow, nn.Linear(2, 2)
    monkeypatch.setattr("freeness.torch.analyzing.analysis_rate.rehearsed", lambda model, data, how, rate, **mode: rate)
    told = analyze(model, (x, y), AnalyzeOptions(only="rate"), loss="mse").learning_rate
    monkeypatch.setattr("freeness.torch.analyzing.analysis_rate.rehearsed", failing)
    rate = analyze(model, (x, y), AnalyzeOptions(only="rate"), loss="mse").learning_rate
    assert rate.known and rate.recommended == told.recommended


def test_numbers_of_layers_that_places_share_are_at_several_places():
    x = torch.randn(8, 16)
    facts = rate_facts(Operator(), (x, x), MSE, SGD(), (8, None), 1.0)
    assert facts.places == 16 and facts.scale == pytest.approx(2.0) and "several places" in facts.untried
    dense = rate_facts(nn.Linear(16, 16), (x, x), MSE, SGD(), (8, None), 1.0)
    assert dense.places == 1 and dense.untried == ""
