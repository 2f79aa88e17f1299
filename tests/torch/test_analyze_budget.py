"""analyze within a budget: what is known stands, what is missing is named."""

import importlib
import json
from functools import cache

import jsonschema
import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from freeness.advice import Stage
from freeness.cli import app
from freeness.show import render_html, schema, to_json
from freeness.torch import AnalyzeOptions, CurvatureOptions, Trace, analyze, batch_sharpness, trace
from freeness.torch.analyzing.analysis_rate import batch_curvature
from freeness.torch.analyzing.forecasts import Request, forecast
from freeness.torch.measured.plan import BEGINNING, NOTHING, Budget
from freeness.torch.model.pace import Pace, TimeUp, paced
from freeness.torch.request.stages import Stages
from freeness.training import Curvature

pytestmark = pytest.mark.usefixtures("undrawn")


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(12, 20), nn.Tanh(), nn.Linear(20, 20), nn.Tanh(), nn.Linear(20, 4)).double()


def data():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(20, 12, dtype=torch.float64, generator=generator), torch.arange(20) % 4


@cache
def analysed(only):
    """The report of a part, or of everything, with what was told on the way."""
    told = []
    return analyze(network(), data(), AnalyzeOptions(only=only), progress=told.append), told


def failing(monkeypatch, stage, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(importlib.import_module("freeness.torch.analyzing.analysis"), stage, fail)


@pytest.mark.parametrize(
    ("only", "modules", "jacobian", "rate"),
    [("layers", True, False, False), ("spectra", False, True, False), ("rate", False, False, True)],
)
def test_a_part_is_analysed_alone_and_written(only, modules, jacobian, rate):
    found, _ = analysed(only)
    assert (bool(found.layers), found.jacobian.measured is not None) == (modules, jacobian)
    assert found.learning_rate.known == rate and not found.missing
    jsonschema.validate(to_json(found), schema())
    assert "it was not asked for" in render_html([found])


def test_the_whole_is_the_sum_of_its_parts():
    whole, spectra, rate = (analysed(only)[0] for only in ((), "spectra", "rate"))
    assert np.array_equal(whole.fisher.measured.eigenvalues, spectra.fisher.measured.eigenvalues)
    assert whole.learning_rate.sharpness == rate.learning_rate.sharpness
    assert [stage.name for stage in whole.stages] == [
        *("read the model", "watch the layers", "forward signals", "predict spectra"),
        *("measure Jacobian", "measure Fisher", "test freeness", "curvature"),
    ]
    assert all(stage.seconds is not None and stage.way == "exact" for stage in whole.stages)


@pytest.mark.parametrize("error", [RuntimeError("no kernel"), MemoryError(), KeyboardInterrupt()])
def test_what_was_computed_before_a_failure_is_not_lost(monkeypatch, error):
    failing(monkeypatch, "measured_fisher", error)
    found = analyze(network(), data())
    assert found.jacobian.measured is not None and found.fisher.measured is None
    assert found.fisher.predicted is not None and found.missing[0].startswith("measure Fisher: ")
    assert found.learning_rate.known == (not isinstance(error, KeyboardInterrupt)) == (not found.interrupted)
    jsonschema.validate(to_json(found), schema())
    page = render_html([found])
    assert "Not measured" in page and "Missing" in page


def test_a_budget_that_runs_out_is_named_in_place_of_spectra_and_the_rate_is_told_of_few_products(monkeypatch):
    def slow(*_):
        import time

        time.sleep(0.3)
        raise RuntimeError

    monkeypatch.setattr(importlib.import_module("freeness.torch.analyzing.analysis"), "_watched", slow)
    found = analyze(network(), data(), AnalyzeOptions(budget=0.2))
    assert "the budget of 0.2 s ran out" in found.jacobian.missing and found.jacobian.measured is None
    assert found.learning_rate.known and found.learning_rate.sharpness_error >= 0.0


class _Over(Pace):
    """Time that is up at once."""

    def beat(self, units: float, *, ahead: bool = False) -> None:
        raise TimeUp("over")


@pytest.mark.parametrize("normalised", [False, True])
@pytest.mark.parametrize("planned", ["exact", "estimated"])
def test_where_the_time_is_up_lambda_is_told_of_few_samples_with_its_error(normalised, planned):
    torch.manual_seed(0)
    middle = nn.BatchNorm1d(20) if normalised else nn.Identity()
    model = nn.Sequential(nn.Linear(6, 20), middle, nn.Tanh(), nn.Linear(20, 3)).double()
    x, y = torch.randn(16, 6).double(), torch.arange(16) % 3
    traced, plan = trace(model, x[:1]), Stage("curvature", planned, 0.0, 0.0, 0.0, effort=5)
    options = AnalyzeOptions(loss="cross_entropy", training=None)
    stages = Stages(("curvature",), 60.0, None)
    stages.follow({"curvature": plan, BEGINNING: Stage(BEGINNING, "left out", 0.0, 0.0, 0.0)}, 1.0)
    with paced(_Over(1.0, 0.0)):
        found = batch_curvature(traced, (x, y), options, stages)
    few = planned == "estimated"
    assert isinstance(found, Curvature) and found.batch == ((4 if normalised else 2) if few else 16)
    used = (slice(4) if normalised else slice(0, 16, 8)) if few else slice(None)
    exact = batch_sharpness(model, x[used], y[used], "cross_entropy", CurvatureOptions(training=None)).value
    assert abs(found.value - exact) <= 3 * found.error + 1e-9 and found.error < 0.1 * exact


def test_a_distance_that_takes_too_long_leaves_both_spectra(monkeypatch):
    def endless(*_):
        while True:
            pass

    where = importlib.import_module("freeness.torch.analyzing.analysis_spectra")
    monkeypatch.setattr(where, "wasserstein", endless)
    monkeypatch.setattr(where, "_LEAST", 0.01)
    monkeypatch.setattr(where, "_COMPARED", 0.0)
    found = analyze(network(), data(), AnalyzeOptions(only="spectra"))
    for one in (found.jacobian, found.fisher):
        assert None not in (one.predicted, one.measured) and one.distance is None and "ran out" in one.reason


def test_theory_that_takes_too_long_is_cut_and_the_measurement_stands(monkeypatch):
    def endless(*_, **__):
        while True:
            pass

    monkeypatch.setattr(
        importlib.import_module("freeness.torch.analyzing.analysis_spectra"), "predict_jacobian", endless
    )
    found = analyze(network(), data(), AnalyzeOptions(budget=3.0))
    assert found.fisher.predicted is None and "ran out" in found.fisher.reason
    assert found.stages[3].name == "predict spectra" and found.stages[3].missing


def test_what_runs_in_training_mode_is_forecast_by_a_pass_of_it(monkeypatch):
    """Statistics of the batch take one more walk over all signals, which a pass in eval mode does not show."""
    model = nn.Sequential(nn.Linear(20, 30), nn.BatchNorm1d(30), nn.ReLU(), nn.Linear(30, 4))
    wanted = ("measure Fisher", "curvature")
    asked = Request(16, Budget(60.0, 4e9), wanted, batch=torch.ones(4, 20), training=True)
    times = iter((1e-9, 1e-3, 1e-9))
    monkeypatch.setattr("freeness.torch.analyzing.forecasts._timed", lambda *_: next(times))
    traced = trace(model, torch.ones(1, 20))
    slow, usual = (forecast(traced, torch.ones(20), one) for one in (asked, asked._replace(batch=None)))
    assert slow.plan["measure Fisher"] == usual.plan["measure Fisher"]
    assert slow.plan["curvature"].forecast > 10 * usual.plan["curvature"].forecast


class _Looped(nn.Module):
    """A loop over time, and a norm, whose backward pass has no rule for several rows at once."""

    def __init__(self):
        super().__init__()
        self.into, self.norm, self.out = nn.Linear(3, 6), nn.LayerNorm(6), nn.Linear(6, 8)

    def forward(self, x):
        state = torch.zeros_like(x[:, 0] @ self.into.weight.T)
        for t in range(x.shape[1]):
            state = torch.maximum(torch.tanh(self.norm(state)), self.into(x[:, t]))
        return self.out(state)


def test_a_loop_is_planned_by_the_calls_of_each_row(monkeypatch):
    monkeypatch.setattr("freeness.torch.analyzing.forecasts._timed", lambda *_: 1e9)
    monkeypatch.setattr("freeness.torch.analyzing.forecasts._LOOPED", 10)
    x, asked = torch.randn(1, 9, 3), Request(4, Budget(60.0, 4e9), ("measure Jacobian",))
    traced = trace(_Looped(), x)
    counted = forecast(traced, x[0], asked).plan["measure Jacobian"].forecast
    monkeypatch.setattr("freeness.torch.analyzing.forecasts._rows", lambda *_: (0, NOTHING))
    assert counted > forecast(traced, x[0], asked).plan["measure Jacobian"].forecast


def test_the_forecast_is_told_after_one_pass():
    _, told = analysed(())
    notes = [at.note for at in told if at.note]
    assert len(notes) == 1 and notes[0].startswith("forecast: about ") and told[1].note == notes[0]


@pytest.mark.parametrize("options", [{"budget": 0.0}, {"memory": float("nan")}, {"only": "curves"}])
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(ValueError, match=r"^expected "):
        AnalyzeOptions(**options)


def test_the_command_line_takes_budget_and_parts(tmp_path):
    file = tmp_path / "model.py"
    file.write_text("from tests.torch.test_analyze_budget import network\ndef make():\n    return network()\n")
    arguments = ["analyze", f"{file}:make", "--data", "gaussian", "--json", "--only", "rate", "--budget", "30"]
    found = CliRunner().invoke(app, arguments)
    document = json.loads(found.stdout)
    assert found.exit_code == 0 and document["jacobian"]["measured"] is None
    assert document["learning_rate"]["recommended"] > 0 and "forecast: about" in found.stderr
    wrong = CliRunner().invoke(app, [*arguments, "--only", "curves"])
    assert wrong.exit_code == 2


def test_what_no_stage_asks_for_is_not_computed_behind_them(monkeypatch):
    """The record of a large model takes singular values of all its weights."""

    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.into, self.out = nn.Linear(6, 12), nn.Linear(4, 3)

        def forward(self, x):
            q, k, v = self.into(x).chunk(3, -1)
            return self.out(nn.functional.scaled_dot_product_attention(q, k, v)).mean(1)

    torch.manual_seed(0)
    monkeypatch.setattr(Trace, "network", property(lambda _: pytest.fail("its record is made")))
    found = analyze(Mixed(), (torch.randn(4, 5, 6), torch.arange(4) % 3), AnalyzeOptions(only=("rate",)))
    assert found.learning_rate.known
