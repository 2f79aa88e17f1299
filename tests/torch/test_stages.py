"""Stages: each may fail, be cut, be left out or be stopped, and the rest stands."""

import time
from types import SimpleNamespace

import pytest

from freeness.advice import Comparison, Progress, Stage, layer_rows, verdict
from freeness.meanfield import signals
from freeness.network import mlp
from freeness.torch.analyzing.design_gain import with_design
from freeness.torch.model.pace import Pace, TimeUp, beat, cut_off, is_over, paced
from freeness.torch.request.stages import Lost, Stages, stages_of


def refuse(error):
    raise error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError("no kernel"), "no kernel"),
        (MemoryError(), "MemoryError"),
        (TimeUp(), "its share of the budget of 60 s ran out"),
    ],
)
def test_a_stage_that_fails_gives_its_reason_and_the_next_one_runs(error, words):
    stages = Stages(stages_of(()), 60.0, None)
    lost = stages.run("measure Jacobian", lambda: refuse(error))
    assert isinstance(lost, Lost) and words in lost.reason
    assert stages.run("curvature", lambda: 7) == 7
    assert [(stage.name, words in stage.missing) for stage in stages.finished] == [
        ("measure Jacobian", True),
        ("curvature", False),
    ]


def test_what_was_stopped_at_its_share_may_have_what_the_others_leave():
    stages = Stages(stages_of(()), 60.0, None)
    assert isinstance(stages.run("measure Jacobian", lambda: refuse(TimeUp())), Lost)
    assert isinstance(stages.run("measure Fisher", lambda: refuse(MemoryError())), Lost)
    assert stages.run("curvature", lambda: 7) == 7
    assert [stages.again(name) for name in ("measure Jacobian", "measure Fisher", "curvature")] == [True, False, False]
    assert stages.run("measure Jacobian", lambda: 3) == 3 and not stages.again("measure Jacobian")
    assert [(stage.name, stage.missing == "") for stage in stages.finished] == [
        ("measure Jacobian", True),
        ("measure Fisher", False),
        ("curvature", True),
    ]


def test_a_design_that_is_sought_for_too_long_is_said_to_be_unknown(monkeypatch):
    def search(*_):
        while True:
            pass

    monkeypatch.setattr("freeness.torch.analyzing.design_gain.gain_of_design", search)
    network, stages = mlp(20, 100, "tanh", sigma_w=0.8), Stages(stages_of(()), 0.2, None)
    rows = layer_rows(network, signals(network, 1.0))
    judged = with_design(
        verdict(rows, Comparison(None, None, None), Comparison(None, None, None)), network, rows, None, (stages, "")
    )
    assert "design of this shape is not known: the budget of 0.2 s ran out" in judged.warnings[-1]


def test_after_an_interruption_no_stage_runs():
    stages = Stages(stages_of(()), 60.0, None)
    assert isinstance(stages.run("measure Fisher", lambda: refuse(KeyboardInterrupt())), Lost)
    assert stages.run("curvature", lambda: pytest.fail("it ran")) == Lost("the analysis was interrupted")


def test_when_the_time_is_over_no_stage_begins_and_its_reason_names_the_budget():
    stages = Stages(stages_of(()), 0.0, None)
    lost = stages.run("curvature", lambda: pytest.fail("it ran"))
    assert isinstance(lost, Lost) and "budget of 0 s ran out" in lost.reason


def test_what_was_not_asked_for_is_not_missing():
    told: list[Progress] = []
    stages = Stages(stages_of(("rate",)), 60.0, told.append)
    assert stages.needed("read the model", lambda: 2) == 2
    assert stages.run("measure Jacobian", lambda: pytest.fail("it ran"), note="3 s") == Lost("it was not asked for")
    assert stages.run("curvature", lambda: 1) == 1
    assert [stage.name for stage in stages.finished] == ["read the model", "curvature"]
    assert [(each.stage, each.done, each.total, each.note) for each in told] == [
        ("read the model", 0, 2, ""),
        ("curvature", 1, 2, "3 s"),
    ]


def test_a_stage_that_takes_too_long_leaves_time_for_those_behind_it():
    stages = Stages(stages_of(()), 1.0, None)
    plan = {name: Stage(name, "exact", 0.0, 1.0, 0.0, effort=10) for name in ("measure Jacobian", "curvature")}
    stages.follow(plan, 1.0)

    def endless() -> None:
        while True:
            time.sleep(0.01)
            beat()

    assert isinstance(stages.run("measure Jacobian", endless), Lost)
    assert stages.run("curvature", lambda: 3) == 3


def test_what_the_plan_needs_is_forecast_up_to_the_budget_which_cuts_it():
    for seconds, told in ((3.0, 6.0), (50.0, 55.8)):
        stages = Stages(stages_of(()), 60.0, None)
        plan = {name: Stage(name, "estimated", 0.0, seconds, 7.0) for name in ("measure Jacobian", "curvature")}
        stages.follow(plan, 1.0)
        assert stages.forecast[0] == pytest.approx(told, abs=0.1) and stages.forecast[1] == 7.0


def test_a_stage_without_a_forecast_runs_before_long_ones():
    stages = Stages(stages_of(()), 10.0, None)
    stages.follow({"curvature": Stage("curvature", "exact", 0.0, 9.5, 0.0)}, 1.0)
    assert stages.run("predict spectra", beat) is None
    assert not stages.finished[-1].missing


def test_a_part_of_a_stage_has_a_share_of_what_is_left():
    stages = Stages(stages_of(()), 100.0, None)
    assert 9.0 < stages.within(0.1) - time.monotonic() <= 10.0
    stages.deadline = time.monotonic() + 3.0
    assert stages.within(0.1) == stages.deadline


def test_how_far_a_stage_has_come_is_told(monkeypatch):
    monkeypatch.setattr("freeness.torch.model.pace._OFTEN", 0.01)
    told = []
    stages = Stages(stages_of(()), 60.0, told.append)
    stages.follow({"curvature": Stage("curvature", "exact", 0.0, 1.0, 0.0, effort=4)}, 1.0)

    def work() -> None:
        for _ in range(4):
            time.sleep(0.03)
            beat()

    stages.run("curvature", work, note="forecast")
    assert told[0] == Progress("curvature", 0, 8, note="forecast")
    shares = [at.share for at in told[1:]]
    assert shares == sorted(shares) and 0 < shares[0] <= shares[-1] <= 1 and len(shares) >= 1


def test_a_loop_that_never_beats_is_cut_off_and_what_follows_is_not():
    with pytest.raises(TimeUp), cut_off(time.monotonic() + 0.1):
        while True:
            pass
    with cut_off(time.monotonic() + 0.05):
        pass
    time.sleep(0.1)  # nothing comes late
    for _ in range(20):  # over before it begins
        with pytest.raises(TimeUp), cut_off(time.monotonic() - 1.0):
            while True:
                pass


def test_a_loop_ends_before_a_step_that_would_be_late(monkeypatch):
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    monkeypatch.setattr("freeness.torch.model.pace.time", clock)
    with paced(Pace(10.0, deadline=1.0, told=0.0)):
        found = []
        for clock.now in (0.0, 0.4, 0.8):
            found.append(is_over())
    assert found == [False, False, True]


def test_beats_after_the_deadline_end_a_loop():
    with paced(Pace(10.0, time.monotonic() - 1)):
        assert is_over()
        with pytest.raises(TimeUp):
            beat()
    assert not is_over()
