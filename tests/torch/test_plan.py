"""Plans follow from counts alone."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeness.advice import Stage
from freeness.torch.measured.plan import BEGINNING, REHEARSAL, Budget, Facts, forward_seconds, hurried, planned
from freeness.torch.model.counting import Counts
from freeness.torch.request.stages import Stages

CHOICES = ("measure Jacobian", "measure Fisher", "curvature")
SMALL = Facts(Counts(1e6, 0.0, 1e5, 20, 1e5), 64, 784, 10, 100_000, 1e7, (1e6, 1e6))
RESNET = Facts(Counts(3.6e9, 0.0, 3.5e7, 90, 4e7), 16, 150_528, 1000, 11_700_000, 2e13, (4.8e9, 2e9))


def test_small_models_are_computed_exactly():
    found = planned(SMALL, Budget(60.0, 4e9), CHOICES, 0.0)
    assert {stage.way for stage in found.values()} == {"exact"} and set(found) == {*CHOICES, REHEARSAL}
    assert sum(stage.forecast for stage in found.values()) < 5


def test_as_many_rates_are_tried_as_fit():
    whole = planned(SMALL, Budget(60.0, 4e9), CHOICES, 0.0)[REHEARSAL]
    few, none = (planned(SMALL, Budget(seconds, 4e9), CHOICES, 0.0)[REHEARSAL] for seconds in (4.0, 0.8))
    assert whole.effort == 6 and whole.reason == "" and 0 < few.effort < 6
    assert few.reason.startswith("6 trials of rates would take about") and few.forecast <= 0.8 * 4
    assert none.way == "left out" and none.reason.startswith("100 steps at it would take about") and none.effort == 0


def test_why_no_rate_is_tried_names_what_keeps_the_curvature_from_being_exact():
    heavy = Facts(Counts(2e6, 0.0, 1e5, 20, 4e6), 512, 10, 100, 100_000, 0.0)
    bounds = {
        "would hold 6.1 GB, which the memory does not allow": Budget(1000.0, 2e9),
        ", which the budget of 4 s does not allow": Budget(4.0, 1e11),
    }
    for end, budget in bounds.items():
        stages = Stages(("curvature",), budget.seconds, None)
        stages.follow(planned(heavy, budget, ("curvature",), 0.1), 1.0)
        told = stages.refusal(stages.planned(REHEARSAL))
        assert told.startswith("trials follow an exact λ only, and all of it would ") and told.endswith(end)


def test_what_does_not_fit_is_estimated_and_says_why():
    found = planned(RESNET, Budget(60.0, 4e9), CHOICES, 3.0)
    assert {found[name].way for name in CHOICES} == {"estimated"} and found[REHEARSAL].way == "left out"
    assert found["measure Jacobian"].reason == "all of it would hold 4.8 GB"
    assert found["measure Fisher"].reason.startswith("all of it would take about ")
    assert found["curvature"].effort >= 3 and found["curvature"].samples == 0
    assert sum(found[name].forecast for name in CHOICES) <= 60


def test_batch_statistics_take_more_products_or_fewer_samples():
    together = replace(RESNET, single=False, parted=False)
    long, short = (planned(together, Budget(s, 4e9), ["curvature"], 0.0)["curvature"] for s in (120.0, 10.0))
    assert long.samples == 0 and long.effort >= 10
    assert 2 <= short.samples < 16 and short.effort >= 10 and "all samples" in short.reason


def test_a_language_model_keeps_the_time_that_its_rate_takes_at_least():
    small = Facts(Counts(3.2e10, 0.0, 4e8, 500, 1.6e8), 4, 98_304, 6_432_896, 124_439_808, 1e20, (3e13, 3e15))
    alone = planned(small, Budget(60.0, 4e9), CHOICES, 8.0)["curvature"]
    assert (alone.samples, alone.length) == (2, 0) and alone.effort >= 5
    found = planned(replace(small, length=128), Budget(60.0, 4e9), CHOICES, 8.0)
    assert found["measure Jacobian"].way == "estimated" and found["measure Fisher"].way == "left out"
    assert (found["curvature"].samples, found["curvature"].length) == (2, 64) and found["curvature"].effort >= 5
    done = [stage.forecast for stage in found.values() if stage.way == "estimated"]
    assert sum(done) <= 48 and "products would take about" in found["measure Fisher"].reason


def test_sequences_are_shortened_until_there_is_time_or_room():
    one = Counts(2.6e11, 0.0, 3e9, 500, 1.3e9)  # 1,024 tokens of a model of 124 million parameters
    long = Facts(one, 8, 786_432, 51_463_168, 124_439_808, 1e20, (3e13, 3e15), length=1024)
    found, poor = (planned(long, Budget(60.0, held), ["curvature"], 8.0)["curvature"] for held in (4e9, 2e8))
    assert found.samples == 2 and 16 <= found.length < 1024 and found.forecast <= 48
    assert poor.length * poor.part * one.saved / 1024 <= 1e8 and "all samples" in poor.reason


def test_a_slow_machine_takes_less_of_the_sequences_only_where_half_of_the_plan_would_not_be_done():
    stage = Stage("curvature", "estimated", 0.0, 40.0, 0.0, effort=3, samples=4)
    assert hurried(stage, 21.0, 8, 128) == stage
    assert hurried(stage, 10.0, 8, 128).samples == 2 and hurried(stage, 10.0, 8, 128).length == 0
    assert (hurried(stage, 1.0, 8, 128).samples, hurried(stage, 1.0, 8, 128).length) == (2, 16)
    assert hurried(replace(stage, way="exact"), 1.0, 8, 128).length == 0


def test_batch_statistics_take_fewer_samples_where_six_products_are_too_many():
    stage = Stage("curvature", "estimated", 0.0, 30.0, 0.0, effort=13)
    assert hurried(stage, 17.0, 16, 0, coupled=True) == stage  # six of them, and the graph
    assert hurried(stage, 14.0, 16, 0, coupled=True).samples == 8


def test_calls_that_are_made_for_each_row_are_paid_for_each():
    each = Counts(0.0, 0.0, 0.0, 5000, 0.0)
    usual, apart = (planned(one, Budget(60.0, 4e9), CHOICES, 0.0) for one in (SMALL, replace(SMALL, rows=(0, each))))
    more = {name: apart[name].forecast - usual[name].forecast for name in CHOICES}
    assert more["measure Fisher"] == pytest.approx(2 * more["measure Jacobian"]) and more["measure Jacobian"] > 0.1
    assert more["curvature"] == 0


def test_a_fused_layer_reads_its_weights_again_for_every_output_in_every_pass():
    fused = replace(SMALL, one=replace(SMALL.one, read=2e9))
    usual, once, often = (
        planned(facts, Budget(600.0, 4e9), CHOICES, 0.0) for facts in (SMALL, fused, replace(fused, passes=5))
    )
    again = SMALL.outputs * 2e9 / 2e10  # counted bytes over bytes a second
    assert once["measure Jacobian"].forecast - usual["measure Jacobian"].forecast > again
    assert often["measure Fisher"].forecast - usual["measure Fisher"].forecast > 5 * again


def test_a_graph_that_does_not_fit_is_held_in_parts():
    found = planned(RESNET, Budget(60.0, 4e8), ["curvature"], 0.0)["curvature"]
    assert found.part == 5 and found.bytes <= 4e8


@given(
    st.floats(1e5, 1e11),
    st.integers(1, 64),
    st.integers(1, 5000),
    st.floats(1.0, 600.0),
    st.booleans(),
    st.integers(0, 256),
)
def test_more_time_never_makes_a_plan_worse(work, samples, outputs, seconds, single, begun):
    one = Counts(work, 0.0, work / 100, 50, work / 90)
    facts = Facts(one, samples, 3 * 32 * 32, outputs, 1_000_000, 1e3 * work, (1e6, 1e6), single, single, 4, begun)
    less, more = (planned(facts, Budget(s, 4e9), CHOICES, 0.0) for s in (seconds, 2 * seconds))
    for name in CHOICES:
        rank = {"left out": 0, "estimated": 1, "exact": 2}
        assert rank[less[name].way] <= rank[more[name].way]
        if less[name].way == more[name].way == "estimated" and less[name].samples == more[name].samples:
            assert less[name].effort <= more[name].effort
    assert (BEGINNING in less) == (begun > 0)


def test_a_plan_is_a_function_of_counts():
    assert planned(RESNET, Budget(60.0, 4e9), CHOICES, 3.0) == planned(RESNET, Budget(60.0, 4e9), CHOICES, 3.0)


def test_seconds_grow_with_samples_but_calls_do_not():
    one = Counts(1e9, 0.0, 0.0, 1000, 0.0)
    assert forward_seconds(one, 3) - forward_seconds(one, 2) == pytest.approx(
        forward_seconds(one, 2) - forward_seconds(one, 1)
    )
    assert forward_seconds(one, 2) < 2 * forward_seconds(one, 1)
