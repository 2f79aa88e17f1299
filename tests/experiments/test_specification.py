"""What a sweep may be, and how it comes down to cells."""

import json
import re

import numpy as np
import pytest

from freeness.advice import DesignOptions, Training, design, theory_rate
from freeness.errors import InputError
from freeness.experiments import Cell, bounds, expand, network_of, preset, preset_names, read_specification
from freeness.experiments.cells import DataFacts
from freeness.experiments.specification import SweepSpecification, specification_of
from freeness.meanfield import DenseSignal, isometric_point, signals
from freeness.network import activation

FACTS = DataFacts(784, 10, 1 / 784, 0.5, "data")
ENTRIES = {"name": "x", "depths": [2, 4], "rates": {"values": [0.5, 1.0]}, "seeds": [0, 3], "steps": 10}


def sweep(**changes):
    return specification_of(ENTRIES | changes)


def test_a_toml_file_is_the_same_as_its_dictionary(tmp_path):
    path = tmp_path / "sweep.toml"
    path.write_text('name = "x"\ndepths = [2, 4]\nseeds = [0, 3]\nsteps = 10\n[rates]\nvalues = [0.5, 1.0]\n')
    assert read_specification(path) == sweep()
    assert read_specification(path).key == sweep().key != sweep(steps=11).key


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depths": [2, 2]}, "different depths"),
        ({"depths": []}, "got depths without an entry; add some."),
        ({"steps": 1e30}, "steps = 1e+30"),
        ({"steps": 10**10}, "steps = 10000000000: input should be less than or equal to 1000000000"),
        ({"depths": [0]}, "number 1 of depths = 0: input should be greater than or equal to 1"),
        ({"rates": {"values": [-1.0]}}, "number 1 of rates.values = -1.0: input should be greater than 0"),
        ({"rates": {"values": [float("nan")]}}, "number 1 of rates.values"),
        ({"rates": {"values": [1.0], "unit": "bound"}, "optimizer": "adam"}, "theory has none"),
        ({"rate": 1}, "an entry rate that it does not know; did you mean rates?"),
        ({"zzz": 1}, "freeness sweep --schema lists"),
        ({"designs": [{"width": 3}]}, "got no name in number 1 of designs; add it"),
        ({"evaluate": [20]}, "ascend up to 10 steps"),
        ({"loss": "hinge"}, "in loss: expected a loss among"),
        ({"designs": [{"name": "a", "activation": "tahn"}]}, "got 'tahn'; perhaps tanh is meant."),
        (
            {"designs": [{"name": "a", "signal": 1, "isometry": 1}]},
            "in number 1 of designs: expected signal or isometry, got both",
        ),
        ({"designs": [{"name": "a"}, {"name": "a"}]}, "different designs"),
        ({"steps": "many"}, "steps = 'many'"),
    ],
)
def test_a_fault_is_one_sentence_that_names_the_entry(changes, message):
    with pytest.raises(InputError, match=re.escape(message)) as error:
        sweep(**changes)
    assert "\n" not in str(error.value) and re.match(r"(in [\w. ]+: )?expected ", str(error.value))


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe"])
def test_what_is_no_toml_is_refused(tmp_path, content):
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"expected (a )?TOML"):
        read_specification(path)
    with pytest.raises(InputError, match="does not exist"):
        read_specification(tmp_path / "none.toml")


def test_cells_are_the_product_at_absolute_rates():
    placed = expand(sweep(), FACTS)
    assert [item.place for item in placed] == [(0, j, k, m) for j in (0, 1) for k in (0, 1) for m in (0, 1)]
    assert [item.cell.rate for item in placed[::2]] == [0.5, 1.0, 0.25, 0.5]
    assert [item.cell.seed for item in placed[:2]] == [0, 3]
    absolute = expand(sweep(rates={"values": [0.5], "unit": "absolute"}), FACTS)
    assert {item.cell.rate for item in absolute} == {0.5}


def test_rates_in_units_of_the_bound_follow_theory_rate():
    placed = expand(sweep(rates={"values": [0.5], "unit": "bound"}, batch=8), FACTS)
    for item in placed:
        wanted = theory_rate(network_of(item.cell), Training("half_squared_error"), FACTS.qhat0).bound
        assert item.cell.rate == pytest.approx(wanted / 2)
    one, batch = bounds(placed[0].cell, FACTS)
    assert batch > one  # gradients of different images point apart


@pytest.mark.parametrize(
    ("activation_name", "depth", "qhat0"), [("tanh", 2, 1.0), ("relu", 6, 1 / 64), ("hardtanh", 5, 0.3)]
)
def test_one_network_has_one_bound_in_a_design_and_in_a_sweep(activation_name, depth, qhat0):
    start = {
        "activation": activation_name,
        "width": 64,
        "weights": "gaussian",
        "sigma_w": 3**-0.5,
        "sigma_b": 192**-0.5,
    }
    facts = DataFacts(64, 10, qhat0, 0.4, "data")
    swept = sweep(depths=[depth], batch=16, loss="cross_entropy", designs=[{"name": "nn.Linear", **start}])
    for correlation, bound in zip((None, 0.4), bounds(expand(swept, facts)[0].cell, facts), strict=True):
        training = Training("cross_entropy", "sgd", 16, correlation)
        plan = design(depth, (64, 64, 10), activation_name, options=DesignOptions(qhat0=qhat0), training=training)
        assert plan.alternatives[0].learning_rate.bound == pytest.approx(bound, rel=1e-12)


def test_the_key_is_that_of_the_written_specification():
    cell = expand(sweep(), FACTS)[0].cell
    assert Cell.model_validate_json(cell.model_dump_json()).key == cell.key
    assert json.loads(cell.model_dump_json())["data"] == "data"
    assert len({item.cell.key for item in expand(sweep(), FACTS)}) == 8


def test_a_design_of_unit_norm_inputs_keeps_the_norm_and_has_the_bound_two_over_depth():
    for depth in (2, 8, 32):
        cell = expand(sweep(depths=[depth]), FACTS)[0].cell
        found = signals(network_of(cell), FACTS.qhat0)
        norms = [layer.squared_norm for layer in found.layers if isinstance(layer, DenseSignal)]
        np.testing.assert_allclose(norms, 1.0, rtol=1e-6)
        assert bounds(cell, FACTS)[0] == pytest.approx(2 / depth, rel=1e-3)


def test_an_isometry_scales_the_activation_to_its_point():
    cell = expand(sweep(designs=[{"name": "a", "activation": "tanh", "isometry": 0.25}], depths=[9]), FACTS)[0].cell
    point = isometric_point(activation("tanh"), 8, 0.25)
    assert cell.sigma_w == point.sigma_w
    assert cell.activation_scale**2 == pytest.approx(1 / 128 / point.q)


def test_every_preset_expands():
    for name in preset_names():
        found = preset(name)
        assert isinstance(found, SweepSpecification) and found.name == name
        assert len(expand(found, FACTS)) == len(found.designs) * len(found.depths) * len(found.rates.values) * len(
            found.seeds
        )
    with pytest.raises(InputError, match="expected a preset among headline"):
        preset("best")
