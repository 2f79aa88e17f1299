"""How long the reading of an elementwise function takes that no entry of the table computes: less than a tenth of a second."""

import pytest
import torch

from freeness.torch.record.elementwise import PointwiseCall, PointwiseProgram, Slot, activation_function

ATEN = torch.ops.aten
PROGRAMS = {
    "snake": PointwiseProgram(
        (
            PointwiseCall(ATEN.sin.default, (Slot(0),)),
            PointwiseCall(ATEN.pow.Tensor_Scalar, (Slot(1), 2)),
            PointwiseCall(ATEN.add.Tensor, (Slot(0), Slot(2))),
        ),
        Slot(3),
    ),
    "sine of 30x": PointwiseProgram(
        (PointwiseCall(ATEN.mul.Tensor, (Slot(0), 30.0)), PointwiseCall(ATEN.sin.default, (Slot(1),))), Slot(2)
    ),
    "hardshrink": PointwiseProgram((PointwiseCall(ATEN.hardshrink.default, (Slot(0), 0.5)),), Slot(1)),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_function_outside_the_table_is_read_in_a_tenth_of_a_second(benchmark, name):
    function = benchmark(activation_function, PROGRAMS[name])
    benchmark.extra_info["kinks"] = list(function.kinks)
    assert function.kinks == ((-0.5, 0.5) if name == "hardshrink" else ())
    assert benchmark.stats["min"] < 0.1
