"""What the tests of all pages do with them."""

import re


def answered(page, text: str) -> str:
    """The words of the figure, once they contain the text and nothing is greyed."""
    found = page.locator(f'[role="img"][aria-label*="{text}"]').first
    found.wait_for()
    page.wait_for_function("!document.querySelector('.stale')")
    return found.get_attribute("aria-label")


def number_in(words: str, before: str) -> float:
    """The number that follows these words."""
    match = re.search(re.escape(before) + r" (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)", words)
    assert match, words
    return float(match[1])


def taken(page, kind: str) -> bytes:
    """The file that the button gives."""
    with page.expect_download() as waiting:
        page.get_by_role("button", name=f"Download {kind}").click()
    return waiting.value.path().read_bytes()


def fits(page) -> bool:
    """Whether nothing has to be scrolled sideways."""
    return page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def settled(page) -> None:
    """Wait until nothing has to be scrolled sideways: pictures follow a window of another size a little later."""
    page.wait_for_function("document.documentElement.scrollWidth <= window.innerWidth")


def unlabelled(page) -> list[str]:
    """Inputs, buttons and sliders without a name that a screen reader could say."""
    return page.evaluate(
        """() => [...document.querySelectorAll('input, button, select, textarea, [role=slider], [role=combobox], iframe')]
        .filter(e => e.type !== 'hidden' && (e.offsetParent !== null || e.type === 'file'))
        .filter(e => !(e.getAttribute('aria-label') || e.title || e.innerText?.trim() || e.labels?.length ||
                       e.closest('label')?.innerText.trim() || document.getElementById(e.getAttribute('aria-labelledby'))))
        .map(e => e.outerHTML.slice(0, 200))"""
    )
