import numpy as np
import pytest

from freeness.spectra import SettledNetwork, drawn_spectrum
from tests.app.pages import answered, fits, number_in, taken, unlabelled

pytestmark = [pytest.mark.slow, pytest.mark.always]


def test_slider_changes_the_spectrum_of_a_chain_at_once(page):
    page.goto("/spectra?activation=hardtanh&depth=20")
    law = SettledNetwork("mlp", "hardtanh", "haar", 20, 256, 0.2, 1.0).law(fisher=False)
    words = answered(page, f"Spectrum from 0 to {law.hull[1]:.4g}")
    assert number_in(words, "mean") == pytest.approx(1.0 if law.mean == 1 else law.mean, rel=1e-3)
    page.get_by_role("slider", name="Depth").focus()
    page.keyboard.press("ArrowRight")
    deeper = SettledNetwork("mlp", "hardtanh", "haar", 21, 256, 0.2, 1.0).law(fisher=False)
    words = answered(page, f"Spectrum from 0 to {deeper.hull[1]:.4g}")
    atom = next(mass for position, mass in deeper.atoms if position > 0)
    assert f"{100 * atom:.3g} % at {deeper.hull[1]:.4g}" in words
    assert "depth=21" in page.url


def test_other_architectures_run_beside_the_page_and_can_be_ended(page):
    page.goto("/spectra?kind=cnn&weights=gaussian&activation=tanh&depth=4&width=64")
    page.get_by_role("status").get_by_text("signals").or_(page.get_by_role("status").get_by_text("density")).wait_for()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("alert").get_by_text("Cancelled; the last answer is shown.").wait_for()
    page.goto("/spectra?kind=resnet&activation=tanh&weights=gaussian&depth=2&width=32&q=0.5")
    words = answered(page, "Spectrum from")
    law = SettledNetwork("resnet", "tanh", "gaussian", 2, 32, 0.5, 1.0).law(fisher=False)
    assert number_in(words, "to") == pytest.approx(law.hull[1], rel=1e-3)
    page.get_by_label("Width").fill("24")
    page.locator(".stale").wait_for()  # the last answer is greyed until the next one is there
    page.get_by_role("button", name="Compute").click()
    page.wait_for_function("!document.querySelector('.stale')")


def test_drawn_network_is_laid_over_theory(page):
    page.goto("/spectra?activation=relu&q=1.0&depth=4&width=300&inputs=400&outputs=200&spectrum=fisher")
    answered(page, "Spectrum from")
    page.get_by_role("button", name="Lay a drawn network over it").click()
    answered(page, "A drawn network with 200 eigenvalues lies over it.")


@pytest.mark.parametrize("ends", [(120, 48), (480, 48), (240, 360)])
@pytest.mark.parametrize("fisher", [False, True])
def test_inputs_and_outputs_have_their_own_widths(fisher, ends):
    """Moments of one drawn network, whose scatter is some 1/N."""
    asked = SettledNetwork("mlp", "hardtanh", "haar", 4, 240, 0.2, 1.0, ends)
    law = asked.law(fisher=fisher)
    rng = np.random.default_rng(3)
    drawn = drawn_spectrum(asked.network, asked.sample(rng), rng, fisher=fisher)
    assert drawn.size == ends[1]
    assert drawn.mean() == pytest.approx(law.mean, rel=0.05)
    assert np.mean(drawn**2) == pytest.approx(law.mean**2 + law.variance, rel=0.1)


def test_growth_that_no_bias_allows_is_said(page):
    page.goto("/spectra?activation=gelu&q=0.5&chi=2.0")
    page.get_by_role("alert").get_by_text("expected a growth χ₁ up to").wait_for()


def test_downloads_are_the_density_and_its_pictures(page):
    page.goto("/spectra?activation=linear&weights=gaussian&depth=2&q=1.0")
    answered(page, "Spectrum from 0 to")
    rows = taken(page, "CSV").decode().splitlines()
    x, density = np.array([row.split(",") for row in rows[1:]], dtype=float).T
    law = SettledNetwork("mlp", "linear", "gaussian", 2, 256, 1.0, 1.0).law(fisher=False)
    np.testing.assert_allclose(density, law.density(x), rtol=1e-6)
    assert taken(page, "PNG").startswith(b"\x89PNG")
    assert b"<svg" in taken(page, "SVG")[:500]


def test_page_fits_a_phone_and_everything_is_labelled(page):
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto("/spectra")
    answered(page, "Spectrum from")
    assert fits(page)
    assert not unlabelled(page)
