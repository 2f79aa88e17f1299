import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from rich.cells import cell_len
from typer.testing import CliRunner

import freeness.torch
from freeness.advice import FreenessOutcome
from freeness.advice.progress import Progress
from freeness.cli import app
from freeness.cli.output import stdout
from freeness.errors import InputError
from freeness.show import number, print_answer, report_page
from freeness.spectra import FreenessTest, Word

from ..show import cases

MODEL = """
import torch
from torch import nn

def build():
    return nn.Sequential(nn.Linear(6, 20), nn.Tanh(), nn.Linear(20, 4))

def broken():
    raise RuntimeError("no weights today")
"""

LOUD = """
import sys
from torch import nn

print("file")

class Loud(nn.Module):
    def __init__(self, leaves):
        super().__init__()
        self.body, self.leaves = nn.Sequential(nn.Linear(6, 20), nn.Tanh(), nn.Linear(20, 4)), leaves

    def forward(self, x):
        print("forward")
        if self.leaves:
            sys.exit(0)
        return self.body(x)

def build():
    print("factory")
    return Loud(False)

def leaving():
    return Loud(True)

def gone():
    sys.exit(5)
"""


@pytest.fixture(scope="module")
def analyses():
    return cases.hardtanh(60, 4), cases.relu(40, 4)


@pytest.fixture(scope="module")
def drawings():
    """What was drawn of a comparison for a report, by its identity; the comparison is kept so that no other takes its place."""
    return {}


@pytest.fixture
def drawn_once(monkeypatch, drawings):
    """The pictures of one comparison are drawn once: drawing takes most of the time of a report."""
    drawn = report_page._spectrum

    def known(name, symbol, meaning, comparison):
        place = id(comparison), symbol
        if place not in drawings:
            drawings[place] = comparison, drawn(name, symbol, meaning, comparison)
        return drawings[place][1]

    monkeypatch.setattr(report_page, "_spectrum", known)


@pytest.fixture
def demo(monkeypatch, analyses, drawn_once):
    """The demo with a stand-in for its computation, which the torch room tests."""

    def install(outcome=analyses):
        def stand_in(seed, progress):
            progress(Progress("stage one", 0, 1))
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

        monkeypatch.setattr(freeness.torch, "demo_analyses", stand_in)

    return install


def run(*arguments: str, **environment: str):
    return CliRunner().invoke(app, list(arguments), env=environment)


def program(*arguments: str, cwd, **environment: str) -> subprocess.CompletedProcess[str]:
    """``python -m freeness`` as a user runs it."""
    return subprocess.run(
        [sys.executable, "-m", "freeness", *arguments],
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment, cwd=cwd, capture_output=True, text=True, check=False,
    )  # fmt: skip


# --- demo ---------------------------------------------------------------------------------------------------------


def test_demo_prints_the_numbers_and_writes_the_report(demo, analyses, tmp_path):
    demo()
    result = run("demo", "--out", str(tmp_path / "out"))
    assert result.exit_code == 0
    for analysis in analyses:
        assert analysis.title in result.stdout
        assert number(analysis.learning_rate.recommended, 3) in result.stdout
        assert number(analysis.fisher.predicted.expected_largest) in result.stdout
        assert number(float(analysis.fisher.measured.eigenvalues[-1])) in result.stdout
        assert analysis.headline in " ".join(result.stdout.split())
    assert str(tmp_path / "out" / "report.html") in result.stdout
    assert (tmp_path / "out" / "report.html").is_file()
    assert "stage one" in result.stderr and "stage one" not in result.stdout


@pytest.mark.slow
@pytest.mark.always
def test_piped_output_has_no_escape_codes_and_fits_the_width(demo, tmp_path):
    demo()
    for columns in (80, 50):
        result = run("demo", "--force", "--out", str(tmp_path), COLUMNS=str(columns))
        assert "\x1b" not in result.output
        lines = [line for line in result.stdout.splitlines() if str(tmp_path) not in line]
        assert max(map(cell_len, lines)) <= columns


@pytest.mark.slow
@pytest.mark.always
def test_freeness_is_printed_as_measured_and_fits_the_width(demo, analyses, tmp_path):
    words = (Word("layer2", "W D° W D°", 1e-3, 0.0, 1e-3), Word("layer3", "(W D° Wᵀ E°)²", 8e-3, 0.0, 1e-3))
    failed, left_out = FreenessOutcome(FreenessTest(words)), FreenessOutcome(None, "it has no activation")
    demo((replace(analyses[0], freeness=failed), replace(analyses[1], freeness=left_out)))
    for columns in (80, 50):
        printed = run("demo", "--details", "--force", "--out", str(tmp_path), COLUMNS=str(columns)).stdout
        lines = [line for line in printed.splitlines() if str(tmp_path) not in line]
        assert max(map(cell_len, lines)) <= columns
        flat = " ".join(printed.split())
        assert printed.count("Freeness of the weights: measured") == 2
        assert f"! {failed.sentence}" in flat and f"• {left_out.sentence}" in flat
    assert "3 layer3 D2, D3 (W D° Wᵀ E°)² 8.0 not free" in " ".join(
        run("demo", "--details", "--force", "--out", str(tmp_path), COLUMNS="80").stdout.split()
    )


@pytest.mark.slow
@pytest.mark.always
def test_no_color_is_honoured_on_a_terminal(demo, tmp_path):
    demo()
    coloured = run("demo", "--out", str(tmp_path), FORCE_COLOR="1", TERM="xterm")
    plain = run("demo", "--force", "--out", str(tmp_path), FORCE_COLOR="1", TERM="xterm", NO_COLOR="1")
    assert "\x1b[" in coloured.stdout
    assert not any(f"\x1b[{code}m" in plain.output for code in range(30, 50))


def test_markup_in_the_user_s_strings_is_only_text(demo, analyses, tmp_path):
    title = "[bold]not markup[/wrong] :smile:"
    demo((replace(analyses[0], title=title), analyses[1]))
    result = run("demo", "--out", str(tmp_path))
    assert result.exit_code == 0
    assert title in result.stdout


# --- errors -------------------------------------------------------------------------------------------------------


def test_refused_input_is_one_sentence_and_exit_code_2(demo, tmp_path):
    demo(InputError("expected this, got that; do so."))
    result = run("demo", "--out", str(tmp_path / "out"))
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == "Error: expected this, got that; do so."
    assert "Traceback" not in result.output and not (tmp_path / "out").exists()


def test_own_fault_is_one_sentence_and_exit_code_1(demo, tmp_path):
    demo(RuntimeError("boom"))
    result = run("demo", "--out", str(tmp_path))
    assert result.exit_code == 1
    assert "RuntimeError: boom" in result.stderr and "FREENESS_DEBUG=1" in result.stderr
    assert "Traceback" not in result.output
    assert "Traceback" in run("demo", "--out", str(tmp_path), FREENESS_DEBUG="1").stderr


def test_interrupt_is_exit_code_130(demo, tmp_path):
    demo(KeyboardInterrupt())
    result = run("demo", "--out", str(tmp_path / "out"))
    assert result.exit_code == 130
    assert not (tmp_path / "out").exists()


def test_unwritable_folder_is_refused_before_the_work(demo, tmp_path):
    demo(AssertionError("must not be reached"))
    (tmp_path / "file").write_text("", encoding="utf-8")
    result = run("demo", "--out", str(tmp_path / "file"))
    assert result.exit_code == 2
    assert "expected a directory to write into" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("demo", "--seed", "x"),
        ("demo", "--seed", "-1"),
        ("analyze",),
        ("analyze", "m.py:f", "--loss", "hinge"),
        ("analyze", "m.py:f", "--optimizer", "lion"),
        ("analyze", "m.py:f", "--seed", str(2**63)),
        ("analyze", "m.py:f", "--device", "meta"),
    ],
)
def test_wrong_usage_is_exit_code_2(arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


@pytest.mark.parametrize("package", ["torch", "matplotlib", "jinja2"])
def test_missing_extra_is_one_sentence_that_names_it(package, tmp_path):
    code = f"import sys; sys.modules[{package!r}] = None; from freeness.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "demo"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.strip().splitlines() == [
        f"Error: expected the package {package}, which is not installed; run pip install 'freeness[torch]'."
    ]


# --- help ---------------------------------------------------------------------------------------------------------


def test_help_names_the_commands_and_an_example():
    assert run("--version").stdout.startswith("freeness ")
    assert "freeness demo" in run("--help").stdout
    assert "Examples:\n    freeness analyze model.py:build" in run("analyze", "--help").stdout
    assert "Example:\n    freeness demo" in run("demo", "--help").stdout


@pytest.mark.parametrize("name", sorted(command.name for command in app.registered_commands))
def test_help_of_every_command_is_short_and_has_an_example_to_copy(name):
    told = CliRunner().invoke(app, [name, "--help"], terminal_width=80).stdout
    about, options = re.split(r"\n\n(?:Arguments|Options):\n", told, maxsplit=1)
    assert len(about.splitlines()) <= 36
    assert re.search(rf"\n  Examples?:\n    freeness {name} ?", about)
    assert all(len(line) <= 80 for line in told.splitlines())
    assert not re.search(r"<int|<float|<path|x[<>]=", told)
    assert "--help" in options


def test_help_loads_no_framework():
    code = (
        "import sys; from freeness.cli import app; from typer.testing import CliRunner; "
        "CliRunner().invoke(app, ['analyze', '--help']); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "matplotlib", "jinja2"} & set(done.stdout.split())


def test_a_report_that_is_there_is_replaced_only_by_force(demo, tmp_path, monkeypatch):
    demo()
    monkeypatch.chdir(tmp_path)
    for name in ("freeness-report", "freeness-report-2"):  # without --out the next free folder is taken
        assert str(Path(name) / "report.html") in run("demo").stdout and (tmp_path / name / "report.html").is_file()
    (tmp_path / "freeness-report" / "report.html").write_text("mine")
    refused = run("demo", "--out", "freeness-report")
    assert refused.exit_code == 2
    assert "expected a new file, got 'freeness-report/report.html', which is there; add --force" in refused.stderr
    assert (tmp_path / "freeness-report" / "report.html").read_text() == "mine"
    assert run("demo", "--out", "freeness-report", "--force").exit_code == 0
    assert "<!doctype html>" in (tmp_path / "freeness-report" / "report.html").read_text()


def test_the_demo_opens_with_the_answer_and_keeps_tables_for_details(demo, analyses, tmp_path):
    demo()
    short = run("demo", "--out", str(tmp_path / "a")).stdout
    lines = short.splitlines()
    assert lines[0] == analyses[0].title and lines[2].startswith("• It trains")
    assert len(lines) <= 60
    long = run("demo", "--details", "--out", str(tmp_path / "b")).stdout
    assert "Weight layers at the sample" in long and "Weight layers at the sample" not in short


# --- analyze, for real and small ----------------------------------------------------------------------------------


@pytest.fixture
def model(tmp_path):
    (tmp_path / "model.py").write_text(MODEL, encoding="utf-8")
    return tmp_path


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The folder, and `freeness analyze --json` there, of a model whose code prints, in a terminal without Greek letters."""
    folder = tmp_path_factory.mktemp("told")
    (folder / "loud.py").write_text(LOUD, encoding="utf-8")
    arguments = ("analyze", "loud.py:build", "--data", "gaussian", "--json")
    return folder, program(*arguments, cwd=folder, PYTHONIOENCODING="ascii")


@pytest.mark.slow
@pytest.mark.always
def test_json_is_all_that_is_on_stdout(told):
    folder, done = told
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["title"] == "loud.py:build"
    assert len(document["fisher"]["measured"]["eigenvalues"]) == 4
    assert document["freeness"]["status"] == "not tested" and "nothing to test" in document["freeness"]["reason"]
    assert "runs the code in loud.py" in done.stderr
    assert {file.name for file in folder.iterdir()} <= {"loud.py", "__pycache__"}


@pytest.mark.slow
@pytest.mark.always
def test_files_hold_the_same_numbers_as_stdout(model):
    arguments = ["analyze", f"{model / 'model.py'}:build", "--data", "gaussian", "--out", str(model / "out")]
    printed = run(*arguments, "--json")
    assert printed.exit_code == 0, printed.stderr
    written = json.loads((model / "out" / "analysis.json").read_text(encoding="utf-8"))
    shown = json.loads(printed.stdout)
    for document in (written, shown):
        for spectrum in ("jacobian", "fisher"):
            document[spectrum]["measured"].pop("seconds")
    assert shown == written
    assert "report.html" in printed.stderr
    assert "add --force" in run(*arguments).stderr
    plain = run(*arguments, "--force")
    assert plain.exit_code == 0
    assert number(shown["learning_rate"]["recommended"], 3) in plain.stdout
    assert "analysis.json" in plain.stdout


def test_the_schema_is_printed_without_a_model_and_holds_for_what_is_printed(model):
    asked = run("analyze", "--schema")
    assert asked.exit_code == 0 and asked.stderr == ""
    document = run("analyze", f"{model / 'model.py'}:build", "--data", "gaussian", "--json")
    jsonschema.validate(json.loads(document.stdout), json.loads(asked.stdout))


@pytest.mark.slow
@pytest.mark.always
def test_weights_of_a_file_and_missing_labels_are_told(model):
    torch = pytest.importorskip("torch")
    from freeness.torch import load_data, load_model

    source = f"{model / 'model.py'}:build"
    trained = load_model(source, seed=7)
    torch.save(trained.state_dict(), model / "trained.pt")
    loaded = run("analyze", source, "--data", "gaussian", "--weights", str(model / "trained.pt"), "--json")
    assert loaded.exit_code == 0, loaded.stderr
    document = json.loads(loaded.stdout)
    assert document["weights"].endswith("trained.pt") and document["targets"].startswith("random classes")
    jacobian = torch.func.jacrev(trained)(load_data("gaussian", trained)[0][0].float())
    top = float(torch.linalg.svdvals(jacobian.detach())[0]) ** 2
    assert document["jacobian"]["measured"]["eigenvalues"][-1] == pytest.approx(top, rel=1e-4)
    shown = run(
        "analyze", source, "--data", "gaussian", "--weights", str(model / "trained.pt"), "--out", str(model / "out")
    )
    words = " ".join(shown.stdout.split())
    assert "weights: " in words and "No labels were given: random classes" in words
    page = (model / "out" / "report.html").read_text(encoding="utf-8")
    assert "no labels were given; random classes" in page and "trained.pt" in page


def test_code_is_printed_unbroken_and_a_missing_rate_with_its_reason(analyses, capsys):
    coded = replace(analyses[0].verdict, advice=("Take it.", "Run: " + "x" * 200))
    none = replace(
        analyses[0].learning_rate, bound=float("nan"), recommended=float("nan"), reason="No learning rate: flat."
    )
    shown = replace(analyses[0], verdict=coded, learning_rate=none, uncovered=("layer_norm in 1: its scale",))
    print_answer(stdout(), shown)
    shown = capsys.readouterr().out
    assert (
        "  " + "x" * 200 in shown.splitlines() and "No learning rate: flat." in shown and "to start from" not in shown
    )
    assert "Covered in part: layer_norm in 1" in shown and "Not covered by theory" not in shown


def test_factory_that_raises_is_one_sentence(model):
    done = run("analyze", f"{model / 'model.py'}:broken", "--data", "gaussian")
    assert done.exit_code == 2
    assert "no weights today" in done.stderr and "Traceback" not in done.stderr
    assert done.stdout == ""


def test_terminal_without_greek_letters_is_survived(tmp_path):
    arguments = ("design", "--depth", "3", "--width", "20", "--activation", "tanh")
    done = program(*arguments, cwd=tmp_path, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "earning rate" in done.stdout


def test_what_the_user_s_code_prints_stays_out_of_stdout(model):
    (model / "loud.py").write_text(LOUD, encoding="utf-8")
    result = run("analyze", f"{model / 'loud.py'}:build", "--data", "gaussian", "--only", "rate", "--json")
    assert result.exit_code == 0 and json.loads(result.stdout)["learning_rate"]["recommended"] > 0
    assert {"file", "factory", "forward"} <= set(result.stderr.splitlines())


@pytest.mark.parametrize(("factory", "words"), [("gone", "SystemExit (5)"), ("leaving", "SystemExit (0)")])
def test_sys_exit_in_the_user_s_code_is_one_sentence_and_exit_code_2(model, factory, words):
    (model / "loud.py").write_text(LOUD, encoding="utf-8")
    result = run("analyze", f"{model / 'loud.py'}:{factory}", "--data", "gaussian", "--json")
    assert result.exit_code == 2 and result.stdout == ""
    last = result.stderr.splitlines()[-1]
    assert last.startswith("Error: expected ") and words in last


def test_a_missing_file_is_refused_before_it_is_said_to_run(tmp_path):
    result = run("analyze", f"{tmp_path / 'none.py'}:build", "--json")
    assert result.exit_code == 2
    assert "runs the code" not in result.stderr and "found none" in result.stderr


@pytest.mark.parametrize("name", ["report.html", "analysis.json"])
def test_a_directory_in_the_place_of_an_output_is_refused_before_the_work(model, name):
    (model / "out" / name).mkdir(parents=True)
    result = run("analyze", f"{model / 'model.py'}:build", "--data", "gaussian", "--out", str(model / "out"))
    assert result.exit_code == 2 and result.stdout == ""
    assert "got the directory" in result.stderr and "runs the code" not in result.stderr
    assert [path.name for path in (model / "out").iterdir()] == [name]


def test_options_come_from_a_file_and_what_is_typed_wins(model):
    (model / "mine.toml").write_text('loss = "mse"\nonly = ["rate", "layers"]\nbatch = 3\n', encoding="utf-8")
    how = (
        "analyze",
        f"{model / 'model.py'}:build",
        "--data",
        "gaussian",
        "--config",
        str(model / "mine.toml"),
        "--json",
    )
    for typed, batch in (((), 3), (("--batch", "2"), 2)):
        told = json.loads(run(*how, *typed).stdout)
        assert told["learning_rate"]["loss"] == "mse" and told["learning_rate"]["batch"] == batch
        assert told["jacobian"]["measured"] is None
    (model / "mine.toml").write_text('only = "layers"\n', encoding="utf-8")  # one of several, without brackets
    assert json.loads(run(*how).stdout)["learning_rate"]["recommended"] is None
    for text, word in (
        ("bath = 3", "got 'bath'"),
        ("batch = ", "in TOML"),
        ("batch = 'many'", "expected a whole number, got 'many'"),
    ):
        (model / "mine.toml").write_text(text, encoding="utf-8")
        refused = run(*how)
        assert refused.exit_code == 2 and word in refused.stderr and "Traceback" not in refused.stderr
    assert "check the path" in run(*how[:-2], str(model / "none.toml")).stderr


def test_two_models_stand_side_by_side(model):
    spec = f"{model / 'model.py'}:build"
    how = ("--data", "gaussian", "--only", "layers", "--out", str(model / "both"))
    result = run("analyze", spec, spec, *how, COLUMNS="300")
    assert result.exit_code == 0, result.stderr
    table = result.stdout[result.stdout.index("Side by side") :]
    row = next(line for line in table.splitlines() if line.startswith("parameters")).split()
    assert "verdict" in table and "sharpness" not in table  # which none of them was asked for
    assert row[1] == row[2] and "(1)" in table and "(2)" in table
    names = ("report.html", "analysis-1.json", "analysis-2.json")
    assert sorted(file.name for file in (model / "both").iterdir()) == sorted(names)
    assert len(json.loads(run("analyze", spec, spec, *how[:4], "--json").stdout)) == 2
    refused = run("analyze", spec, spec, *how, "--weights", "w.pt", "--force")
    assert refused.exit_code == 2 and "expected one model with --weights" in refused.stderr


def test_a_config_of_lists_too_deep_is_refused_in_one_sentence(tmp_path):
    deep = tmp_path / "deep.toml"
    deep.write_text("a = " + "[" * 3000 + "]" * 3000)
    result = run("analyze", "model.py:build", "--config", str(deep))
    assert result.exit_code == 2
    assert "lists or tables too deep in one another" in result.stderr
