"""The comparison with peers: no row is missing, the page is what the file renders to, and its arithmetic holds."""

from __future__ import annotations

import ast
import json
import math
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks import drive, exact, page
from benchmarks.measure import Row, clocked, judged, timed
from benchmarks.verdict import ratio, verdict

ROOT = Path(__file__).resolve().parents[1]
FOUND, PEERS, ABSENT = page.load()
ROWS = FOUND["rows"]

# Every comparison that has to be in the table: (section, words of the job, who does it). A list of peers: each of them.
WANTED = [
    ("A", "semicircle ⊞ semicircle", ["rmtool", "finitefree", "brute_force", "contour"]),
    ("A", "semicircle ⊞ ±1", ["rmtool", "finitefree", "freealg", "brute_force", "contour"]),
    ("A", "MP(1)^{⊠2}", ["rmtool", "finitefree", "freealg", "brute_force"]),
    ("A", "MP(1)^{⊠10}", ["rmtool", "finitefree", "freealg", "brute_force", "freenn"]),
    ("A", "projections ½ ⊠ ½", ["rmtool", "finitefree", "brute_force"]),
    ("A", "XY + YX", ["rmtool", "finitefree", "brute_force", "free-matrix-laws"]),
    ("A", "semicircle ⊞ 20 atoms", ["rmtool", "finitefree", "freealg", "brute_force"]),
    ("B", "all eigenvalues", ["neural_tangents", "torch_func", "backpack", "curvlinops"]),
    ("B", "all eigenvalues of J_θJ_θᵀ, by vmap", ["torch_func"]),
    ("B", "all eigenvalues of J_θJ_θᵀ, by jacrev", ["torch_func"]),
    ("B", "λ_max of the GGN", ["curvlinops"]),
    ("B", "spectral density of the GGN, boundaries=(0, None)", ["curvlinops"]),
    ("B", "spectral density of the GGN, default", ["curvlinops"]),
    ("B", "Hessian", ["pyhessian", "pyhessian-head"]),
    ("B", "analytic NTK, depth 1000", ["neural_tangents", "recursion"]),
    ("B", "shaping by DKS", ["dks"]),
    ("B", "shaping by TAT", ["dks"]),
    ("C", "learning rate, batch 1", ["optuna", "torch_lr_finder"]),
    ("C", "learning rate, batch 64", ["optuna", "torch_lr_finder"]),
    ("D", "λ_max of the GGN, ResNet-18 at 32²", ["curvlinops_networks"]),
    ("D", "λ_max of the GGN, ViT-tiny at 32²", ["curvlinops_networks", "hessian_eigenthings"]),
    ("D", "λ_max of the Hessian, ResNet-18 at 32²", ["pyhessian_networks"]),
]


@pytest.mark.parametrize(("section", "job", "peers"), WANTED, ids=[job for _, job, _ in WANTED])
def test_every_comparison_has_a_row_or_a_reason(section, job, peers):
    for peer in peers:
        measured = [row for row in ROWS.values() if row["peer"] == peer and job in row["job"]]
        reason = FOUND["reasons"].get(peer) or ABSENT.get(peer, {}).get("why")
        assert measured or reason, f"{peer} has neither a row nor a reason for {job}"
        assert all(row["section"] == section for row in measured)


def test_the_page_is_what_the_file_renders_to():
    assert page.PAGE.read_text(encoding="utf-8") == page.rendered(FOUND, PEERS, ABSENT)


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_consistent(name):
    row = ROWS[name]
    assert name == f"{row['peer']}: {row['job']}" and row["peer"] in PEERS and row["measure"]
    for half in (row["ours"], row["theirs"]):
        assert ("error" in half) != ("failure" in half)
        if "error" in half:
            assert half["seconds"] > 0 and half["first"] > 0 and math.isfinite(half["error"]) and half["error"] >= 0
    assert {"processor", "cores", "threads"} <= set(row["machine"]) and re.match(r"\d{4}-\d\d-\d\d", row["date"])
    found = ratio(row)
    assert (found is None) == ("failure" in row["ours"] or "failure" in row["theirs"])
    if found is not None:
        assert found == row["theirs"]["seconds"] / row["ours"]["seconds"]
        cells = [cell.strip() for cell in page.line(row, PEERS).split("|")]
        assert float(cells[7]) == pytest.approx(found, rel=0.06)  # two digits are shown
        if verdict(row) in ("win: faster", "win: faster and closer"):
            assert found >= 1
        if verdict(row).startswith("loss: slower"):
            assert found < 1


@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_is_pinned_and_has_a_script_with_the_rows_of_the_table(peer):
    script = ROOT / "benchmarks" / "peers" / f"{peer}.py"
    assert ast.get_docstring(ast.parse(script.read_text(encoding="utf-8")))
    assert PEERS[peer]["section"] in page.SECTIONS and PEERS[peer]["limit"] > 0
    needs = PEERS[peer]["needs"]
    assert "name" in PEERS[peer] or "==" in needs[0]
    assert any(row["peer"] == peer for row in ROWS.values()) or peer in FOUND["reasons"]


def test_benchmarks_is_of_the_house():
    for path in (ROOT / "benchmarks").rglob("*.py"):
        assert path.read_text(encoding="utf-8").count("\n") <= 600


# --- the rule ---------------------------------------------------------------------------------------------------------


def half(seconds, error):
    return (
        {"failure": "it fell"} if error is None else {"seconds": seconds, "first": seconds, "calls": 4, "error": error}
    )


@pytest.mark.parametrize(
    ("ours", "theirs", "bar", "said"),
    [
        ((1, 1e-12), (2, 1e-12), 1e-10, "win: faster"),
        ((2, 1e-12), (1, 1e-12), 1e-10, "loss: slower"),
        ((2, 1e-12), (1, 3.0), 1e-10, "win: the peer is wrong"),
        ((2, 1e-12), (1, 1e-3), 1e-10, "mixed: closer, slower"),
        ((1, 1e-12), (2, 1e-3), 1e-10, "win: faster and closer"),
        ((1, 1e-2), (2, 1e-12), 1e-10, "mixed: faster, the peer is closer"),
        ((2, 1e-2), (1, 1e-12), 1e-10, "loss: slower, and the peer is closer"),
        ((2, 4e-2), (1, 2e-3), 1e-6, "loss: slower, and the peer is closer"),
        ((1, 1e-3), (2, 1e-2), 1e-6, "neither: ours is closer, not within the bar"),
        ((1, 1e-12), (2, None), 1e-10, "win: no answer from the peer"),
        ((1, None), (2, 1e-12), 1e-10, "loss: no answer from us"),
        ((1, None), (2, None), None, "neither: no answer"),
        ((2, 0.454), (1, 0.450), None, "loss: slower"),
        ((1, 0.50), (2, 0.45), None, "mixed: faster, the peer is closer"),
    ],
)
def test_who_wins(ours, theirs, bar, said):
    assert verdict({"ours": half(*ours), "theirs": half(*theirs), "bar": bar}) == said


def test_an_answer_that_is_not_a_number_is_a_failure():
    row = Row(lambda: 1.0, lambda: 2.0, lambda value: value - 1, "difference", 1e-10)
    found, value = timed(row.ours)
    assert found["calls"] == 4 and judged(found, row.error, value)["error"] == 0.0
    assert "failure" in judged(found, lambda _: math.nan, value)
    assert clocked(lambda: 3)[1] == 3


# --- the driver ---------------------------------------------------------------------------------------------------------


def test_a_script_lists_its_rows_and_a_fall_has_a_reason():
    listed, why = drive.asked(Path(sys.executable), "brute_force", "--list", 100.0)
    assert set(listed["rows"]) == set(exact.LAWS) and not why
    said, why = drive.asked(Path(sys.executable), "brute_force", "no such row", 100.0)
    assert not said and "no such row" in why
    row = drive.assembled(said, why, "brute_force", PEERS["brute_force"], "no such row")
    assert row["ours"] == row["theirs"] == {"failure": why} and verdict(row) == "neither: no answer"
    answered = row | {"ours": half(1, 0.0)}
    assert drive.is_fresh(answered) and not drive.is_fresh(row) and not drive.is_fresh(None)
    assert not drive.is_fresh(answered | {"date": "2020-01-01T00:00+00:00"})


def test_rows_are_merged_one_by_one(tmp_path, monkeypatch):
    monkeypatch.setattr(drive, "KEPT", tmp_path / "peers.json")
    monkeypatch.setattr(drive, "write", lambda: None)
    drive.keep({"a: 1": {"job": "1"}, "a: 2": {"job": "2"}}, {"b": "there is no such package"})
    drive.keep({"a: 2": {"job": "again"}}, {})
    drive.keep({"a: 1": None}, {"b": None})
    found = json.loads((tmp_path / "peers.json").read_text(encoding="utf-8"))
    assert found["rows"] == {"a: 2": {"job": "again"}} and found["reasons"] == {}


def test_an_answer_of_ours_is_not_lost_to_a_fall(tmp_path, monkeypatch):
    said = {"--list": {"rows": ["1"]}, "1": {"ours": half(1, 0.0), "theirs": half(2, 0.0)}}
    monkeypatch.setattr(drive, "KEPT", tmp_path / "peers.json")
    monkeypatch.setattr(drive, "write", lambda: None)
    monkeypatch.setattr(drive, "environment", lambda *_: Path("python"))
    monkeypatch.setattr(drive, "asked", lambda python, peer, argument, limit: (said[argument], ""))
    assert drive.measure("a", {"section": "A", "limit": 1.0}, tmp_path, False) == []
    said["1"] = {"ours": half(1, None)}
    assert drive.measure("a", {"section": "A", "limit": 1.0}, tmp_path, True) == ["a: 1: it fell"]
    assert drive.read()["rows"]["a: 1"]["ours"] == half(1, 0.0)


# --- the truth that errors are taken against ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", exact.LAWS)
def test_exact_distribution_functions_are_integrals_of_exact_densities(name):
    """Away from the ends, by Simpson's rule on a fine grid of an inner interval."""
    law = exact.LAWS[name]
    low, high = law.ends
    x = np.linspace(low + 0.3 * (high - low), low + 0.8 * (high - low), 20_001)
    weights = np.ones(len(x))
    weights[1:-1:2], weights[2:-1:2] = 4, 2
    mass = float(weights @ law.density(x)) * (x[1] - x[0]) / 3
    found = law.distribution(x[[0, -1]])
    assert found[1] - found[0] == pytest.approx(mass, abs=1e-5 if "atoms" in name or "cusp" in name else 1e-10)
    total = law.distribution(np.array([high]))[0] - law.atom[1]
    assert total == pytest.approx(1 - law.atom[1], abs=1e-12)
