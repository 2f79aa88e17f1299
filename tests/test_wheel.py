"""The wheel, built and installed apart from the source tree, has everything that the demo needs."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from freeness.data import fashion_mnist

pytestmark = [pytest.mark.slow, pytest.mark.always]

REPOSITORY = Path(__file__).resolve().parents[1]


def run(*command: str, cwd: Path, site: Path | None = None) -> str:
    """Run a command that must succeed; with ``site``, that folder comes before all installed packages."""
    environment = os.environ | ({"PYTHONPATH": str(site)} if site else {})
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), cwd=REPOSITORY)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory) -> Path:
    """The wheel installed alone; its dependencies come from the environment that runs the tests."""
    folder = tmp_path_factory.mktemp("site")
    install = ("pip", "install", "--no-deps", "--no-index", "--target", str(folder), str(wheel))
    run(sys.executable, "-m", *install, cwd=folder)
    return folder


def test_wheel_contains_data_licences_checksums_and_type_marker(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    bundled = {f"freeness/data/bundled/{name}" for name in ("LICENSE", "SHA256SUMS", *fashion_mnist._OFFICIAL_SHA256)}
    assert bundled | {"freeness/py.typed"} <= names
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)
    assert {str(path.relative_to(REPOSITORY / "src")) for path in REPOSITORY.glob("src/freeness/**/*.py")} <= names
    assert not [name for name in names if not name.startswith(("freeness/", "freeness-"))]


def test_the_description_on_an_index_has_no_link_that_leads_nowhere(wheel):
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
    text = archive.read(name).decode("utf-8")
    assert "# freeness" in text and not re.findall(r"\]\((?!https?://)[^)]*\)", text)


def test_installed_wheel_loads_its_own_bundled_images(site, tmp_path):
    code = (
        "import freeness.data as d; print(d.__file__);"
        "print(len(d.load_fashion_mnist('train')), len(d.load_fashion_mnist('test')))"
    )
    where, sizes = run(sys.executable, "-W", "error", "-c", code, cwd=tmp_path, site=site).splitlines()
    assert Path(where).is_relative_to(site)
    assert sizes == "2000 1000"


def test_installed_wheel_brings_its_pages_and_reads_them(site, tmp_path):
    listed = run(sys.executable, "-m", "freeness", "docs", cwd=tmp_path, site=site)
    assert "limits" in listed and str(site / "freeness" / "docs") in "".join(listed.split("\n"))
    assert "Limits" in run(sys.executable, "-m", "freeness", "docs", "docs/limits.md", cwd=tmp_path, site=site)


def test_installed_wheel_shows_the_help_of_the_demo(site, tmp_path):
    assert "--out" in run(sys.executable, "-m", "freeness", "demo", "--help", cwd=tmp_path, site=site)


def test_installed_wheel_runs_the_demo_and_writes_its_report(site, tmp_path):
    out = tmp_path / "report"
    run(sys.executable, "-m", "freeness", "demo", "--out", str(out), cwd=tmp_path, site=site)
    pages = list(out.glob("**/*.html"))
    assert pages
    assert all(page.stat().st_size > 10_000 for page in pages)
