import json

import pytest

import freeness as fr
from tests.app.pages import answered, fits, number_in, taken, unlabelled

pytestmark = [pytest.mark.slow, pytest.mark.always]


def test_targets_give_the_numbers_of_the_library(page):
    page.goto("/design?depth=20&width=64&activation=hardtanh")
    plan = fr.design(20, (784, 64, 10), "hardtanh", isometry=0.25)
    words = answered(page, "Trade-off of hardtanh")
    assert number_in(words, "σ_w") == pytest.approx(plan.sigma_w, rel=1e-5)
    page.get_by_label("Depth").fill("40")
    deeper = fr.design(40, (784, 64, 10), "hardtanh", isometry=0.25)
    words = answered(page, f"σ_w {deeper.sigma_w:.6g}")
    assert "depth=40" in page.url
    document = json.loads(taken(page, "JSON"))
    assert document["targets"]["depth"] == 40
    assert float(document["numbers"]["learning rate to start from"]) == pytest.approx(
        deeper.learning_rate.recommended, rel=1e-3
    )


def test_code_of_the_page_gives_the_same_design(page):
    page.goto("/design?depth=12&width=32&activation=tanh&isometry=0.5&optimizer=momentum")
    answered(page, "Trade-off of tanh")
    code = page.get_by_label("Code").inner_text()
    lines = [line for line in code.splitlines() if not line.startswith(("initialize_", "optimizer", "import torch"))]
    names = {}
    exec("\n".join(lines), names)
    expected = fr.design(12, (784, 32, 10), "tanh", isometry=0.5)
    assert names["plan"].sigma_w == expected.sigma_w
    assert names["plan"].training.optimizer == "momentum"
    assert f"lr={names['plan'].learning_rate.recommended:.4g}, momentum=0.9" in code


def test_unreachable_isometry_is_explained(page):
    page.goto("/design?activation=relu&depth=30&isometry=0.25")
    page.get_by_role("alert").get_by_text("relu").wait_for()
    page.get_by_label("Spread").fill("0")
    page.get_by_text("σ_JJ² reached").wait_for()


def test_linear_network_has_numbers_and_no_trade_off(page):
    page.goto("/design?activation=linear&isometry=0&depth=5&width=16")
    page.get_by_text("σ_JJ² reached").wait_for()
    page.wait_for_function("!document.querySelector('.stale')")
    page.get_by_role("button", name="Download PNG").click()
    page.get_by_role("alert").get_by_text("expected a nonlinear network").wait_for()


def test_downloads_are_the_gains_and_the_picture(page):
    page.goto("/design?depth=3&width=16")
    answered(page, "Trade-off of tanh")
    rows = taken(page, "CSV").decode().splitlines()
    assert rows[0] == "fan_in,fan_out,sigma_w,sigma_b,gain" and len(rows) == 4
    assert taken(page, "PNG").startswith(b"\x89PNG")
    assert b"<svg" in taken(page, "SVG")[:500]


def test_page_fits_a_phone_and_everything_is_labelled(page):
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto("/design")
    answered(page, "Trade-off")
    assert fits(page)
    assert not unlabelled(page)


def test_a_value_out_of_range_is_refused_and_stays_as_it_was_typed(page):
    page.goto("/design?depth=20&width=64")
    before = answered(page, "Trade-off of tanh")
    page.get_by_label("Depth").fill("999")
    page.keyboard.press("Tab")
    page.get_by_text("expected a whole number from 1 to 200 for Depth, weight matrices, got 999.").wait_for()
    page.get_by_text("The page still shows 20.").wait_for()
    assert page.get_by_label("Depth").input_value() == "999" and "depth=20" in page.url
    assert answered(page, "Trade-off of tanh") == before


def test_work_shows_at_once_while_the_last_numbers_stand(page):
    page.goto("/design?depth=3&width=16")
    answered(page, "Trade-off of tanh")
    page.get_by_label("Depth").fill("120")
    page.wait_for_function("document.querySelector('.stale[aria-busy]')", timeout=2000)
    page.wait_for_function("!document.querySelector('.stale')")
    page.get_by_text("over 119 activations").wait_for()


def test_tables_scroll_in_themselves_on_a_phone(page):
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto("/design")
    answered(page, "Trade-off")
    wide = "[...document.querySelectorAll('.wide')].filter(e => e.scrollWidth > e.clientWidth)"
    assert page.evaluate(f"{wide}.length") >= 1 and fits(page)
    shades = page.evaluate(f"{wide}.map(e => getComputedStyle(e).backgroundAttachment)")
    assert all("local" in shade and "scroll" in shade for shade in shades)
