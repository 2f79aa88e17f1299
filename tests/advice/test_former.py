"""Names that moved go on working, and say what to call."""

import importlib

import numpy as np
import pytest

import freeness.advice
import freeness.meanfield
from freeness.deprecation import moved


@pytest.mark.parametrize("module", ["freeness.advice", "freeness.meanfield"])
def test_what_is_no_name_is_missed_as_usual(module):
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = importlib.import_module(module).nothing


@pytest.mark.parametrize(
    ("get", "says"),
    [
        (lambda: freeness.advice.Descent("momentum", 0.5).bound(3.0) == 1.0, "optimizer_of"),
        (lambda: freeness.advice.stable_rate(4.0) == 0.5, r"optimizer_of\(optimizer\).bound\(sharpness\)"),
        (lambda: freeness.advice.hessian_scale("mse", 4) == 0.5, r"loss_of\(loss\).curvature\(outputs\)"),
        (
            lambda: freeness.meanfield.LinearTraining(np.eye(1), np.eye(1)).outputs == 1,
            "freeness.training.LinearTraining",
        ),
        (lambda: freeness.meanfield.Curve.__name__ == "TrainingCurve", "freeness.training.TrainingCurve"),
    ],
)
def test_a_former_name_works_and_says_what_to_call(get, says):
    with pytest.warns(DeprecationWarning, match=says):
        assert get()


def test_every_former_name_leads_somewhere():
    with pytest.warns(DeprecationWarning, match="use freeness.errors.brief"):
        assert moved("freeness.old", {"short": "freeness.errors.brief"})("short") is freeness.errors.brief
