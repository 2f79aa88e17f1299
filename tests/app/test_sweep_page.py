import numpy as np
import pytest

from freeness.experiments import open_sweep, run_sweep
from tests.app.conftest import small_sweep
from tests.app.pages import answered, fits, number_in, taken, unlabelled

pytestmark = [pytest.mark.slow, pytest.mark.always]


def test_store_is_shown_with_its_lines_and_curves(page, store):
    page.goto("/sweeps")
    words = answered(page, "cells are finished")
    table = open_sweep(store)
    accuracy = table["accuracy"].isel(step=-1).mean("seed")
    assert number_in(words, "best accuracy") == pytest.approx(float(accuracy.max()), abs=1e-3)
    answered(page, "Along training at depth")
    page.get_by_text("2/L", exact=True).first.wait_for()


def test_pointer_over_a_cell_shows_its_curves_and_the_address_keeps_them(page, store):
    page.goto("/sweeps")
    answered(page, "cells are finished")
    box = page.locator(".js-plotly-plot .nsewdrag").first.bounding_box()
    for part in (0.95, 0.93):  # the largest rate is at the top: the end of the axis is its cell's
        page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + (1 - part) * box["height"])
    rates = open_sweep(store)["rate"].sel(depth=2).values.ravel()
    answered(page, f"Along training at depth 2, learning rate {rates.max():.3g}")
    page.wait_for_url("**rate=2*")
    page.reload()
    answered(page, f"Along training at depth 2, learning rate {rates.max():.3g}")


def test_cells_appear_while_the_sweep_runs(page, store):
    page.goto("/sweeps")
    answered(page, "6 of 6 cells")
    run_sweep(small_sweep((2, 3)), store)
    answered(page, "12 of 12 cells")
    rows = taken(page, "CSV").decode().splitlines()
    assert rows[0] == "depth,rate,accuracy,step" and len(rows) == 7
    values = np.array([row.split(",") for row in rows[1:]], dtype=float)
    assert set(values[:, 0]) == {2.0, 3.0}
    assert taken(page, "PNG").startswith(b"\x89PNG")
    assert b"<svg" in taken(page, "SVG")[:500]


def test_page_fits_a_phone_and_everything_is_labelled(page):
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto("/sweeps")
    answered(page, "cells are finished")
    assert fits(page)
    assert not unlabelled(page)
