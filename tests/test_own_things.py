"""A law, an operation and a command, made as CONTRIBUTING says: in one file, without a change of another one in freeness."""

import importlib.util
import json
import sys
from dataclasses import dataclass

import numpy as np
import pytest
from typer.testing import CliRunner

import freeness.cli
from freeness import Arcsine, MarchenkoPastur, Semicircle, free_sum, predict_fisher
from freeness.laws.cauchy_law import TransformLaw, outer_root
from freeness.laws.law import CentredLaw
from freeness.meanfield import gradients, kernels, loss_moments
from freeness.network import INPUT, Dense, Gaussian, GivenMap, Network, Node, Operation, Pairs, backward, forward, given
from freeness.network.derivatives import diagonal
from freeness.numerics import upper_log


@dataclass(frozen=True)
class OwnArcsine(CentredLaw, TransformLaw):
    """1/(π√(4 - x²)) on (-2, 2), by its transforms."""

    @property
    def variance(self):
        return 2.0

    @property
    def hull(self):
        return -2.0, 2.0

    def transforms(self, z):
        root = outer_root(z, *self.hull)
        return (1 / root, -z / root**3), (4 / (root * (z + root)), -4 / root**3)

    def potential(self, z):
        return upper_log((z + outer_root(z, *self.hull)) / 2)


@dataclass(frozen=True)
class Tripled(Operation):
    """3x."""

    name: str = ""


@forward.register
def _(layer: Tripled, stream, whole):
    def step(pairs):
        return Pairs(9 * pairs.value, 9 * pairs.theta, pairs.rows)

    return stream._replace(second=9 * stream.second, growth=9 * stream.growth, points=None, latent=None), step


@backward.register
def _(layer: Tripled, streams, behind, gradient):
    return (9 * gradient,)


@given.register
def _(layer: Tripled, values, at):
    (x,) = values
    return GivenMap(3 * x, (diagonal(np.full(x.shape, 3.0)),))


OWN_COMMAND = '''"""``freeness bulk``: where the eigenvalues of a sample covariance lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

from freeness import MarchenkoPastur
from freeness.cli.command import Command
from freeness.cli.errors import reports_errors
from freeness.cli.files import FORCE_OPTION, check_files
from freeness.cli.json_option import JSON_OPTION
from freeness.cli.output import Outputs
from freeness.show import Answer, Row, Section, answer_of, document_of


@dataclass(frozen=True)
class Bulk:
    """The ends of the support."""

    low: float
    high: float


@answer_of.register
def _(record: Bulk) -> Answer:
    return Answer("Bulk", (Section("", (Row("smallest", record.low), Row("largest", record.high))),))


@reports_errors
def bulk_command(
    ratio: Annotated[float, typer.Option(help="Variables by samples.")],
    json: Annotated[str | None, JSON_OPTION] = None,
    force: Annotated[bool, FORCE_OPTION] = False,
) -> None:
    """Where the eigenvalues of a sample covariance lie.

    Example:
      freeness bulk --ratio 0.25
    """
    check_files(json, force=force)
    record = Bulk(*MarchenkoPastur(ratio).hull)
    Outputs(json).give({"schema_version": 1} | document_of(record), record)


COMMAND = Command("bulk", bulk_command, "Theory and experiments", "Where sample covariances lie.", 99)
'''


@pytest.fixture
def own_app(tmp_path, monkeypatch):
    """The command line, put together anew with one file more in the folder of commands."""
    (tmp_path / "bulk.py").write_text(OWN_COMMAND, encoding="utf-8")
    monkeypatch.setattr(freeness.cli, "__path__", [*freeness.cli.__path__, str(tmp_path)])
    monkeypatch.setattr(freeness.cli, "bulk", None, raising=False)
    spec = importlib.util.find_spec("freeness.cli.commands")
    assert spec is not None and spec.loader is not None
    again = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(again)
    yield again.app
    del sys.modules["freeness.cli.bulk"]


def test_an_own_command_is_found_and_behaves_as_all_do(own_app, tmp_path):
    def run(*words):
        return CliRunner().invoke(own_app, words, env={"COLUMNS": "80"})

    low, high = MarchenkoPastur(0.25).hull
    assert "Where sample covariances lie." in run("--help").stdout
    assert f"{high:g}" in run("bulk", "--ratio", "0.25").stdout
    assert json.loads(run("bulk", "--ratio", "0.25", "--json").stdout) == {
        "schema_version": 1,
        "low": low,
        "high": high,
    }
    written = run("bulk", "--ratio", "0.25", "--json", str(tmp_path / "bulk.json"))
    assert written.exit_code == 0 and json.loads((tmp_path / "bulk.json").read_text("utf-8"))["high"] == high
    there = ("--ratio", "0.25", "--json", str(tmp_path / "bulk.json"))
    for words, said in ((("--ratio", "-1"), "expected"), (there, "--force"), (("--ratio", "x"), "number")):
        refused = run("bulk", *words)
        assert refused.exit_code == 2 and refused.stdout == "" and said in refused.stderr


def test_an_own_law_is_combined_with_others():
    own, ours = (free_sum(law, Semicircle(1.0)) for law in (OwnArcsine(), Arcsine()))
    x = np.linspace(*ours.hull, 9)[1:-1]
    assert own.hull == pytest.approx(ours.hull, rel=1e-12)
    np.testing.assert_allclose(own.density(x), ours.density(x), rtol=1e-12)


def test_an_own_operation_is_covered_by_theory():
    first, last = Dense(30, 30, Gaussian(1.0)), Dense(30, 5, Gaussian(1.0))
    own = Network((Node("a", first, (INPUT,)), Node("own", Tripled(), ("a",)), Node("b", last, ("own",))))
    assert [place.gradient for place in gradients(own)] == pytest.approx([9, 9, 1, 1])
    x = np.random.default_rng(0).standard_normal((3, 30))
    gram = x @ x.T
    # Θ = 9·XXᵀ/30·30 of the last weights, and of the first ones 9·XXᵀ; in NTK parametrisation both are 9·XXᵀ/30.
    np.testing.assert_allclose(kernels(own, x).ntk, 2 * 9 * gram / 30, rtol=1e-12)
    error, plain = np.ones((3, 5)), Network((first, Dense(30, 5, Gaussian(3.0))))  # the same function
    weights = [loss_moments(one, x, error, np.ones(3))[0].weights for one in (own, plain)]
    assert weights[0] == pytest.approx(weights[1], rel=1e-12)
    found = predict_fisher(own, samples=x[:1]).law.mean
    assert found == pytest.approx(2 * 9 * gram[0, 0], rel=0.3)  # of 30 neurons that are drawn
