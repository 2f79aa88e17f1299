from urllib.parse import parse_qs, urlparse

import numpy as np
import pytest

from freeness.meanfield import fixed_point
from freeness.network import activation
from tests.app.pages import answered, fits, number_in, taken, unlabelled

pytestmark = [pytest.mark.slow, pytest.mark.always]


def plot_area(page):
    """Pixels of the diagram's frame, whose corners are (0.05, 2) and (4, 0)."""
    return page.locator(".js-plotly-plot .nsewdrag").first.bounding_box()


def test_dragged_point_shows_where_that_network_settles(page):
    page.goto("/phase?activation=tanh&sigma_w=1.0&sigma_b=1.0")
    answered(page, "ordered")
    box = plot_area(page)

    def place(w, b):
        return box["x"] + box["width"] * (w - 0.05) / 3.95, box["y"] + box["height"] * (2 - b) / 2

    page.mouse.move(*place(1.0, 1.0))
    page.mouse.down()
    page.mouse.move(*place(2.0, 0.5), steps=8)
    page.mouse.move(*place(3.0, 0.2), steps=8)
    page.mouse.up()
    query = {}
    for _ in range(100):  # the last movement comes a moment later
        given = parse_qs(urlparse(page.url).query)  # without what is as at first
        query = {"sigma_b": 0.2} | {name: float(given[name][0]) for name in ("sigma_w", "sigma_b") if name in given}
        if abs(query["sigma_w"] - 3.0) < 0.02 and abs(query["sigma_b"] - 0.2) < 0.02:
            break
        page.wait_for_timeout(100)
    assert query["sigma_w"] == pytest.approx(3.0, abs=0.02) and query["sigma_b"] == pytest.approx(0.2, abs=0.02)
    words = answered(page, f"σ_w {query['sigma_w']:.4g}")
    found = fixed_point(activation("tanh"), query["sigma_w"], query["sigma_b"])
    for name, value in (("q*", found.q), ("χ₁", found.chi1), ("c*", found.c), ("ξ_c", found.xi_c)):
        assert number_in(words, name) == pytest.approx(value, rel=2e-3)


def test_sliders_move_by_keys(page):
    page.goto("/phase?sigma_w=1.5")
    answered(page, "σ_w 1.5,")
    page.get_by_role("slider", name="σ_w").focus()
    page.keyboard.press("ArrowRight")
    answered(page, "σ_w 1.51,")
    assert "sigma_w=1.51" in page.url


def test_address_restores_the_view_and_refuses_what_is_out_of_range(page):
    page.goto("/phase?activation=relu&sigma_w=1.2&sigma_b=0.5")
    words = answered(page, "Phase diagram of relu. At σ_w 1.2, σ_b 0.5: ordered")
    assert number_in(words, "χ₁") == pytest.approx(0.72)
    page.goto("/phase?sigma_w=nan")
    page.get_by_role("alert").get_by_text("expected a number from 0.05 to 4 for sigma_w, got nan.").wait_for()


def test_diverging_signal_is_said(page):
    page.goto("/phase?activation=relu&sigma_w=2")
    answered(page, "to settle, got")
    page.get_by_text("no fixed point").wait_for()


def test_downloads_are_the_grid_and_its_pictures(page):
    page.goto("/phase?activation=erf")
    answered(page, "Phase diagram of erf")
    rows = taken(page, "CSV").decode().splitlines()
    assert rows[0] == "sigma_w,sigma_b,q,chi1"
    w, b, q, chi1 = map(float, rows[1 + 41 * 40].split(","))
    found = fixed_point(activation("erf"), w, b)
    np.testing.assert_allclose([q, chi1], [found.q, found.chi1], rtol=1e-4, atol=1e-8)
    assert taken(page, "PNG").startswith(b"\x89PNG")
    assert b"<svg" in taken(page, "SVG")[:500]


def test_page_fits_a_phone_in_the_dark_and_everything_is_labelled(page):
    page.set_viewport_size({"width": 390, "height": 800})
    page.emulate_media(color_scheme="dark")
    page.goto("/phase")
    answered(page, "chaotic")
    assert page.evaluate("document.body.classList.contains('body--dark')")
    assert fits(page)
    assert not unlabelled(page)
    page.get_by_role("button", name="Light or dark").click()
    page.wait_for_function("document.body.classList.contains('body--light') && document.cookie.includes('light')")
    page.goto("/law")
    answered(page, "Spectrum from")
    assert page.evaluate("document.body.classList.contains('body--light')"), "the choice goes along to other pages"
