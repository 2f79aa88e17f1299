import http.client
from urllib.parse import urlparse

from freeness.app.report_page import MOST_BYTES


def status(server, method, path, headers, body=None):
    connection = http.client.HTTPConnection(urlparse(server).netloc, timeout=20)
    connection.request(method, path, body, headers, encode_chunked="Transfer-Encoding" in headers)
    found = connection.getresponse().status
    connection.close()
    return found


def test_upload_that_is_too_large_is_refused_before_it_is_read(server):
    for headers in (
        {"Content-Length": str(MOST_BYTES + 2**20)},
        {"Content-Length": "-1"},
        {"Content-Length": "9" * 30},
    ):
        assert status(server, "POST", "/_nicegui/client/none/upload/1", headers) in (400, 413)
    chunked = {"Transfer-Encoding": "chunked"}
    assert status(server, "POST", "/_nicegui/client/none/upload/1", chunked, iter([b"x"])) == 413


def test_page_asked_for_under_another_name_is_refused(server):
    assert status(server, "GET", "/law", {"Host": "rebound.example:80"}) == 403
    assert status(server, "GET", "/law", {"Host": "localhost:80"}) == 200


def test_every_page_is_listed_first(page):
    page.goto("/")
    for name in ("Phase diagram", "Spectra", "Design", "Sweeps", "Law calculator", "Report"):
        page.locator("#main").get_by_role("link", name=name).wait_for()
    page.locator("#main").get_by_role("link", name="Design").click()
    page.wait_for_url("**/design")


def test_keyboard_reaches_the_page_past_its_navigation(page):
    page.goto("/law")
    page.get_by_label("Expression").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.innerText") == "Skip to the page"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Expression"
