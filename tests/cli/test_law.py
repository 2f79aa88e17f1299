import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from rich.cells import cell_len

from freeness import classical_sum
from freeness.expressions.grammar import parse_law
from freeness.laws import Empirical, MarchenkoPastur, PointMass, Semicircle
from freeness.show import sketch
from tests.cli.called import Called

EXPRESSIONS = [
    "mp:0.5 + semicircle:0.1",
    "mp:1 * projection:0.3",
    "projection:0.6 * projection:0.7",
    "bernoulli + semicircle",
]


run = Called("law")
document = run.document


def test_it_prints_edges_atoms_moments_and_a_sketch():
    result = run("mp:1 * projection:0.3")
    assert result.exit_code == 0 and result.stderr == ""
    for part in ("0.20455488", "2.3954451", "soft (exponent 0.5)", "0.7", "0.597", "X^{1/2} Y X^{1/2}", "█", "▲"):
        assert part in result.stdout
    assert "cusp (exponent 0.33)" in run("bernoulli + semicircle").stdout
    assert "hard (exponent -0.5)" in run("mp:1").stdout


@pytest.mark.parametrize("expression", [*EXPRESSIONS, "point:2", "bernoulli", "0*mp:1"])
def test_output_fits_the_width_and_has_no_escape_codes(expression):
    for columns in (80, 40):
        result = run(expression, "--sample", "20", COLUMNS=str(columns))
        assert result.exit_code == 0, result.stderr
        assert "\x1b" not in result.output
        assert max(map(cell_len, result.stdout.splitlines())) <= columns


def test_a_terminal_without_block_characters_gets_ascii():
    done = subprocess.run(
        [sys.executable, "-m", "freeness", "law", "mp:1 * projection:0.3"],
        env={"PYTHONIOENCODING": "ascii", "OMP_NUM_THREADS": "1"}, capture_output=True, check=True,
    )  # fmt: skip
    text = done.stdout.decode("ascii")
    assert "#" in text and "^" in text and "?" not in text


def test_the_sketch_has_the_mass_of_the_continuous_part():
    for law in (Semicircle(1.0), parse_law("projection:0.6 * projection:0.7").law):
        lines = sketch(law, 210, "ascii")[:9]
        columns = len(lines[-1]) - 9
        top = float(lines[0].split("|")[0])
        filled = sum(line[9:].count("#") + line[9:].count(":") * 2 / 3 + line[9:].count(".") / 3 for line in lines)
        low, high = law.hull
        mass = top * filled / 9 * (high - low) * 1.2 / 200
        assert columns <= 200
        assert mass == pytest.approx(1 - sum(weight for _, weight in law.atoms), rel=0.1)
    assert len(sketch(PointMass(0.0), 80, "utf-8")) == 2
    assert sketch(Empirical(np.arange(50.0)), 80, "utf-8")


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_json_holds_the_numbers_of_the_law(expression):
    found, law = document(expression, "--points", "120"), parse_law(expression).law
    assert found["schema_version"] == 1 and found["expression"] == expression
    assert found["notes"] == list(parse_law(expression).notes)
    grid = found["grid"]
    x = np.array(grid["x"])
    assert x.size == 120 and np.all(np.diff(x) > 0) and set(grid["status"]) == {"converged"}
    np.testing.assert_allclose(grid["density"], law.density(x), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(grid["cdf"], law.cdf(x), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(grid["error"], law.boundary(x).error / np.pi)
    np.testing.assert_allclose(found["moments"], law.moments(6), rtol=1e-12, atol=1e-13)
    assert found["support"] == [list(interval) for interval in law.support]
    assert [edge["kind"] for edge in found["edges"]] == [edge.kind for edge in law.edges]
    assert [(atom["position"], atom["mass"]) for atom in found["atoms"]] == [tuple(atom) for atom in law.atoms]
    assert found["sampled"] is None


def test_csv_and_json_files_hold_the_same(tmp_path):
    table, numbers = tmp_path / "new" / "law.csv", tmp_path / "law.json"
    result = run("mp:1 * projection:0.3", "--points", "50", "--csv", str(table), "--json", str(numbers))
    assert result.exit_code == 0 and str(table) in result.stdout and str(numbers) in result.stdout
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    grid = json.loads(numbers.read_text(encoding="utf-8"))["grid"]
    assert len(rows) == 50
    for name in ("x", "density", "cdf", "error"):
        assert [float(row[name]) for row in rows] == grid[name]
    assert [row["status"] for row in rows] == grid["status"]
    assert {path.name for path in tmp_path.iterdir()} == {"new", "law.json"}


def test_the_sampled_matrix_agrees_and_is_that_of_the_seed():
    arguments = ("x + bernoulli", "--x", "mp:0.5", "--sample", "200")
    first, again, other = document(*arguments), document(*arguments), document(*arguments, "--seed", "1")
    assert first == again and first["sampled"]["eigenvalues"] != other["sampled"]["eigenvalues"]
    assert first["sampled"]["size"] == len(first["sampled"]["eigenvalues"]) == 200
    assert first["sampled"]["kolmogorov"] < 0.03
    assert first["variables"] == {"x": "mp:0.5"}


def test_a_variable_may_be_an_expression_and_comes_twice_as_itself():
    found = document("x + x", "--x", "mp:1 * projection:0.3")
    assert found["variance"] == pytest.approx(1.2)
    assert found["notes"][0].startswith("In x: X*Y")
    assert found["grid"]["x"][-1] < 2 * 2.3954451151


@pytest.mark.parametrize(("ending", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_pictures_are_written(tmp_path, ending, magic):
    path = tmp_path / f"law.{ending}"
    result = run("projection:0.6 * projection:0.7", "--sample", "100", "--out", str(path))
    assert result.exit_code == 0, result.stderr
    assert path.read_bytes().startswith(magic)


BAD = [
    (("mp:1 +",), "at column 7"),
    (("mp:1e-320",), "expected a ratio p/n between 1e-12 and 1e+12"),
    ((" + ".join(["mp:1*mp:2"] * 300),), "expected at most 100 laws, numbers and names"),
    (("*".join(["mp:1"] * 600),), "expected at most 100 laws, numbers and names"),
    (("x",), "--x LAW"),
    (("x", "--x", "mp:0"), "--x: expected a ratio"),
    (("semicircle*semicircle",), "not self-adjoint"),
    (("mp:1", "--out", "law.pdf"), ".png or .svg"),
    (("mp:1", "--csv", "/proc/no/law.csv"), "expected a file to write"),
    (("mp:1", "--json", "/"), "expected a file to write, got the folder"),
    (("empirical:/no/file",), "check the path"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_input_is_one_sentence_and_exit_code_2(arguments, message):
    result = run(*arguments)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("Error: ") and line.endswith(".") and message in line


@pytest.mark.parametrize(
    "arguments", [(), ("mp:1", "--points", "0"), ("mp:1", "--sample", "0"), ("mp:1", "--seed", "-1")]
)
def test_wrong_usage_is_exit_code_2(arguments):
    result = run(*arguments)
    assert result.exit_code == 2 and "Traceback" not in result.output


def test_only_pictures_need_an_extra(tmp_path):
    missing = "import sys; sys.modules.update(dict.fromkeys(['matplotlib', 'jinja2', 'plotly'])); "
    code = (
        missing
        + "import atexit; atexit.register(lambda: 'torch' in sys.modules and print('loaded torch', file=sys.stderr)); "
    )
    code += "from freeness.cli import main; main()"
    command = [sys.executable, "-c", code, "law", "mp:1", "--csv", "law.csv", "--json", "law.json", "--sample", "10"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stderr == ""
    assert (tmp_path / "law.csv").is_file() and (tmp_path / "law.json").is_file()
    done = subprocess.run([*command, "--out", "law.png"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "Error: expected the package matplotlib, which is not installed; run pip install 'freeness[plot]'."
    ]


def test_an_unconverged_point_is_marked_and_null(monkeypatch):
    good = MarchenkoPastur.boundary

    def boundary(self, x):
        found = good(self, x)
        found.converged[0] = False
        return found

    monkeypatch.setattr(MarchenkoPastur, "boundary", boundary)
    grid = document("mp:0.5", "--points", "10")["grid"]
    assert grid["status"][0] == "unconverged" and grid["density"][0] is grid["error"][0] is grid["cdf"][0] is None
    assert grid["status"][1:] == ["converged"] * 9


def test_columns_that_did_not_converge_are_explained(monkeypatch):
    assert "did not converge" not in run("semicircle").stdout
    monkeypatch.setattr("freeness.show.characters.sketch", lambda *_: ["|#?#"])
    assert "?: columns where the law did not converge" in run("semicircle").stdout


def test_variables_have_legs():
    result = run("x[0] + y[1]", "--x", "semicircle", "--y", "mp:0.5", "--sample", "400")
    assert result.exit_code == 0
    assert "Computed leg by leg" in result.stdout
    law = classical_sum(Semicircle(), MarchenkoPastur(0.5))
    read = parse_law("x[0] + y[1]", {"x": Semicircle(), "y": MarchenkoPastur(0.5)})
    grid = np.linspace(-1.5, 4.5, 13)
    assert np.allclose(read.law.density(grid), law.density(grid), atol=1e-12)
    assert read.law.hull == law.hull
    free = parse_law("x[a] * y[a] * x[a]", {"x": Semicircle(), "y": MarchenkoPastur(0.5)}).law
    assert free.mean == pytest.approx(parse_law("x*y*x", {"x": Semicircle(), "y": MarchenkoPastur(0.5)}).law.mean)
    assert parse_law("mp:1[0] * mp:1[1]").law.moment(2) == pytest.approx(4.0)
    assert parse_law("projection:0.5[0,1] + mp:1[1] + mp:1[0]").law.variance == pytest.approx(2.25)


def test_a_name_on_two_legs_is_two_copies_and_says_so():
    result = run("x[0] + x[1]", "--x", "bernoulli")
    assert result.exit_code == 0
    assert "independent copies" in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x[0] + x", "expected legs for all variables or for none"),
        ("x[0", 'expected a "]" for the "[" of column 2'),
        ("x[0.5]", "expected a leg"),
        ("x[]", "expected a leg"),
        ("(x)[0]", "legs come right behind a name or a law"),
        ("x[0]*x[1] + x[0]*x[0]*x[1]*x[1]", "splits over legs"),
    ],
)
def test_legs_that_cannot_be_read_are_refused(text, said):
    result = run(text, "--x", "semicircle")
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())


def test_a_path_that_the_system_refuses_is_one_sentence():
    result = run("mp:1", "--points", "20", "--json", "a" * 5000)
    assert result.exit_code == 2
    assert "expected files that can be read and written, got OSError" in result.stderr


def test_time_may_be_limited_and_what_takes_longer_is_refused_in_a_sentence():
    text = "uniform:1,2 + semicircle"
    assert run(text, "--seconds", "60").exit_code == 0
    assert "within 0 s of CPU time" in run.refused(text, "--seconds", "0")
