"""Notebooks of the documentation: what is to download is what the sources say, with outputs and without errors."""

import importlib.util
import json
import sys

import pytest

from tests.conftest import REPOSITORY

FOLDER = REPOSITORY / "docs" / "notebooks"
NAMES = sorted(file.stem for file in FOLDER.glob("*.py"))


@pytest.fixture(scope="module")
def maker():
    spec = importlib.util.spec_from_file_location("make_notebooks", REPOSITORY / "docs" / "make_notebooks.py")
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, spec.name, module)  # where dataclasses look
        spec.loader.exec_module(module)
        yield module


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_has_the_cells_of_its_source_and_what_they_gave(maker, name):
    cells = maker.cells_of((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
    document = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))
    assert [(cell["cell_type"], "".join(cell["source"])) for cell in document["cells"]] == [
        (cell.kind, cell.source) for cell in cells
    ]
    outputs = [output for cell in document["cells"] for output in cell.get("outputs", ())]
    assert {output["output_type"] for output in outputs} <= {"stream", "execute_result"}
    assert sum("image/png" in output.get("data", {}) for output in outputs) == len(list(FOLDER.glob(f"{name}-*.png")))
    page = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    assert all(cell.source in page for cell in cells) and f"({name}.ipynb)" in page


def test_a_cell_gives_what_it_prints_and_its_last_line(maker):
    cells = maker.cells_of("# %% [markdown]\n# Words\n# more\n\n# %%\nx = 2\nprint(x)\nx + 1\n\n# %%\ny = x\n")
    maker.run(cells)
    assert [cell.source for cell in cells[:1]] == ["Words\nmore"]
    assert (cells[1].printed, cells[1].shown) == ("2\n", {"text/plain": "3"})
    assert cells[2].shown == {}
    assert [entry["execution_count"] for entry in maker.notebook(cells)["cells"][1:]] == [1, 2]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs(maker, name):
    cells = maker.cells_of((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
    maker.run(cells)
    assert all(cell.shown or cell.printed for cell in cells if cell.kind == "code")
