"""What the package says of itself is said once: version, tested versions, hooks and the hosted workflow."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

import freeness
import freeness.show

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINS = dict(
    line.split("==") for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if line[:1] != "#"
)


def requirements(extra: str) -> list[Requirement]:
    listed = PROJECT["dependencies"] if not extra else PROJECT["optional-dependencies"][extra]
    return [Requirement(line) for line in listed if not line.startswith("freeness[")]


def test_the_version_stands_in_one_place():
    assert "version" in PROJECT["dynamic"] and "version" not in PROJECT
    assert f"\nversion: {freeness.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"## {freeness.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    written = [path for path in (ROOT / "src").rglob("*.py") if f'"{freeness.__version__}"' in path.read_text("utf-8")]
    assert [path.name for path in written] == ["version.py"]


@pytest.mark.parametrize("extra", ["", "plot", "torch", "data", "sweep", "app", "dev", "docs"])
def test_every_dependency_has_a_tested_version_within_its_bounds(extra):
    for requirement in requirements(extra):
        pinned = PINS[re.sub(r"[-_.]+", "-", requirement.name).lower()]
        assert requirement.specifier.contains(pinned), f"{requirement} was tested with {pinned}"


def test_no_package_that_hides_another_is_installed_with_freeness():
    assert not PINS.keys() & {"torchvision", "curvlinops-for-pytorch"}


def test_the_hosted_workflow_calls_the_same_script_and_names_the_tested_python():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    check = workflow["jobs"]["check"]
    assert [step["run"] for step in check["steps"] if "run" in step] == [".ci/run"]
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o100
    tested = [row["python"] for row in check["strategy"]["matrix"]["include"] if not row["untested"]]
    declared = re.findall(r"Python :: (3\.\d+)$", "\n".join(PROJECT["classifiers"]), re.MULTILINE)
    assert tested == declared


def test_hooks_call_the_tools_of_make_lint():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    entries = {hook["entry"].split()[0] for hook in hooks}
    lint = re.findall(r"\$\(VENV\)(/bin/\S+)", (ROOT / "Makefile").read_text(encoding="utf-8").split("\nlint:")[1])
    assert {f".venv{tool}" for tool in lint[:3]} <= entries


@pytest.mark.parametrize(
    ("room", "absent", "extra"),
    [("torch", "torch", "torch"), ("interpret", "torch", "torch"), ("experiments", "psutil", "sweep")],
)
def test_a_room_without_its_extra_says_what_to_install(room, absent, extra):
    code = f"import sys; sys.modules[{absent!r}] = None\nimport freeness.{room}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert f"which is not installed; run pip install 'freeness[{extra}]'." in done.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "absent", "told"),
    [
        ("draw", "matplotlib", "which is not installed; run pip install 'freeness\\[plot\\]'"),
        ("render_html", "jinja2", "which is not installed; run pip install 'freeness\\[torch\\]'"),
        ("draw", "matplotlib.artist", "No module named"),  # matplotlib is there, but not whole
    ],
)
def test_a_picture_or_a_report_without_its_extra_says_what_to_install(name, absent, told, monkeypatch):
    def lost(module):
        raise ModuleNotFoundError(f"No module named {absent!r}", name=absent)

    monkeypatch.setattr(freeness.show, "import_module", lost)
    with pytest.raises(ModuleNotFoundError, match=told):
        getattr(freeness.show, name)


def test_callbacks_of_other_packages_have_a_file():
    """They are loaded when they are asked for; loading them takes seconds."""
    import freeness.torch

    assert all(find_spec(f"freeness.torch.{module}") for _, module in freeness.torch._LATER.values())


def test_a_pytorch_that_is_not_whole_is_not_called_absent(tmp_path):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("import no_such_part", encoding="utf-8")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nimport freeness.torch"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'no_such_part'"
