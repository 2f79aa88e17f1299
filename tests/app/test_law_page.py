from urllib.parse import urlencode

import numpy as np
import pytest

from freeness.expressions.grammar import parse_law
from freeness.laws import MarchenkoPastur, Semicircle
from tests.app.pages import answered, fits, number_in, taken, unlabelled

pytestmark = [pytest.mark.slow, pytest.mark.always]


def test_typed_expression_gives_the_law_of_the_command(page):
    page.goto("/law")
    law = parse_law("x + y", {"x": Semicircle(), "y": MarchenkoPastur(1.0)}).law
    answered(page, f"Spectrum from {law.hull[0]:.4g} to {law.hull[1]:.4g}")
    page.get_by_label("Expression").fill("mp:0.5 + semicircle:0.1")
    law = parse_law("mp:0.5 + semicircle:0.1").law
    words = answered(page, f"to {law.hull[1]:.4g}")
    assert number_in(words, "mean") == 1.0
    assert page.get_by_role("cell", name="1.6", exact=True).count()  # the variance, 0.5 + 0.1 + 1² of the second moment
    assert "expression=mp%3A0.5" in page.url


def test_address_restores_the_view(page):
    page.goto("/law?" + urlencode({"expression": "p*q*p", "x": "", "y": "", "z": ""}))
    page.get_by_text("expected a law or a bound name").wait_for()
    page.goto("/law?" + urlencode({"expression": "z*z", "x": "", "y": "", "z": "semicircle:4", "sample": "200"}))
    words = answered(page, "Spectrum from 0 to 16")
    assert number_in(words, "mean") == 4.0
    assert page.get_by_label("Law of z").input_value() == "semicircle:4"


def test_parameters_that_mean_nothing_are_said(page):
    page.goto("/law?sample=7&colour=red")
    alert = page.get_by_role("alert")
    alert.get_by_text("expected sample among 0, 200, 500, 1000, got 7; choose one.").wait_for()
    answered(page, "Spectrum from")
    alert.get_by_text("got colour; it is left out.").wait_for()  # also once there is an answer


def test_downloads_are_the_density_and_its_pictures(page):
    page.goto("/law?" + urlencode({"expression": "x", "x": "semicircle:2", "y": ""}))
    answered(page, "Spectrum from -2.828")
    rows = taken(page, "CSV").decode().splitlines()
    assert rows[0] == "x,density,cdf"
    x, density, cdf = np.array([row.split(",") for row in rows[1:]], dtype=float).T
    assert np.allclose(density, np.sqrt(np.maximum(8 - x**2, 0)) / (4 * np.pi), atol=1e-6)
    assert np.all(np.diff(cdf) > 0)
    assert taken(page, "PNG").startswith(b"\x89PNG")
    assert b"<svg" in taken(page, "SVG")[:500]


def test_files_of_the_server_are_not_read(page):
    page.goto("/law?" + urlencode({"expression": "empirical:/etc/passwd"}))
    page.get_by_role("alert").get_by_text("without empirical").wait_for()


def test_page_fits_a_phone_and_everything_is_labelled(page):
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto("/law")
    answered(page, "Spectrum from")
    assert fits(page)
    assert not unlabelled(page)
