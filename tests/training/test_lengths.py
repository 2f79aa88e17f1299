"""Exponents of the best rate in steps and batch are those of the store, and are used as powers."""

import json
import math
from pathlib import Path

import pytest

from freeness.errors import InputError
from freeness.training import run_length
from freeness.training.lengths import BATCHES, BY_BATCH, BY_STEPS, STEPS

STORE = Path(__file__).resolve().parents[2] / "docs" / "transfer" / "lengths.jsonl"
HALF_STEP = 0.25 * math.log(2)  # of the rates that were tried, √2 apart
NAMES = {"sgd": "sgd", "momentum": "momentum", "adamw": "adam"}


def measured(optimizer, kind):
    """The exponent of each family."""
    lines = [json.loads(line) for line in STORE.read_text("utf-8").splitlines()]
    ends = STEPS if kind == "steps" else BATCHES
    other = ("batch", 64) if kind == "steps" else ("steps", 150)
    rates = {(line["member"], line[kind]): line["rate"] for line in lines if line[other[0]] == other[1]}
    members = sorted({member for member, _ in rates if f" {optimizer} " in member})
    growth = math.log(ends[1] / ends[0])
    return [math.log(rates[member, ends[1]] / rates[member, ends[0]]) / growth for member in members], growth


@pytest.mark.parametrize("kind", ["steps", "batch"])
@pytest.mark.parametrize("optimizer", NAMES)
def test_exponents_are_means_of_the_store_with_its_ends(optimizer, kind):
    found, growth = measured(optimizer, kind)
    table = (BY_STEPS if kind == "steps" else BY_BATCH)[NAMES[optimizer]]
    assert len(found) == 2
    assert table.value == pytest.approx(sum(found) / 2, abs=6e-3)
    assert table.low == pytest.approx(min(found) - 2 * HALF_STEP / growth, abs=6e-3)
    assert table.high == pytest.approx(max(found) + 2 * HALF_STEP / growth, abs=6e-3)


def test_factors_are_powers_and_multiply():
    steps, batch = run_length("adam", steps=(100, 400)), run_length("adam", batch=(32, 64))
    both = run_length("adam", steps=(100, 400), batch=(32, 64))
    assert steps.factor == pytest.approx(4 ** BY_STEPS["adam"].value) and not both.beyond
    assert both.factor == pytest.approx(steps.factor * batch.factor)
    assert both.low <= both.factor <= both.high
    back = run_length("adam", steps=(400, 100))
    assert back.factor == pytest.approx(1 / steps.factor) and back.low <= back.factor <= back.high


def test_what_is_extrapolated_is_said():
    assert run_length("sgd", steps=(200, 10_000), batch=(8, 512)).beyond == (
        "10000 steps",
        "8 samples a step",
        "512 samples a step",
    )
    with pytest.raises(InputError, match="two numbers of steps"):
        run_length("sgd", steps=(0, 10))
