import asyncio
import http.client
import logging
import socket
import time
from urllib.parse import urlparse

import pytest

pytest.importorskip("nicegui")

from freeness.app import guard
from freeness.app.upload import MOST_BYTES
from tests.app.loop import in_thread


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
    for own in ("localhost:80", "localhost", "127.0.0.1", "[::1]", "[::1]:80"):  # browsers leave port 80 out
        assert status(server, "GET", "/law", {"Host": own}) == 200
    for strange in ("", "localhost.example", "[::1", "localhost@example"):
        assert status(server, "GET", "/law", {"Host": strange}) in (400, 403)


UPGRADE = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
KEY = {"Sec-WebSocket-Key": "x3JJHMbDL1EzLkh9GBhXDw=="}
POLLING = "/_nicegui_ws/socket.io/?EIO=4&transport=polling"
SOCKET = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"


def test_websocket_and_polling_answer_pages_of_this_server_only(server):
    own = urlparse(server).netloc
    for path, extra, welcome in ((POLLING, {}, 200), (SOCKET, UPGRADE | KEY, 101)):
        assert status(server, "GET", path, extra | {"Host": own, "Origin": server}) == welcome
        assert status(server, "GET", path, extra | {"Host": own, "Origin": "http://evil.example"}) == 403
        assert status(server, "GET", path, extra | {"Host": own, "Origin": "null"}) == 403
        assert status(server, "GET", path, extra | {"Host": "rebound.example"}) == 403


async def _slow(sent, patience):
    """Bytes to an impatient server, and whether it hung up within a second more than its patience."""
    import uvicorn

    async def answer(scope, receive, send):
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    config = uvicorn.Config(
        answer, port=0, http=guard.ImpatientProtocol, log_level="error", lifespan="off", timeout_keep_alive=2
    )
    server = uvicorn.Server(config)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        task = asyncio.create_task(server.serve([listening]))
        while not server.started:
            await asyncio.sleep(0.01)
        reader, writer = await asyncio.open_connection(*listening.getsockname())
        writer.write(sent)
        start = time.monotonic()
        try:
            read = await asyncio.wait_for(reader.read(), patience + 20)
        except ConnectionResetError:
            read = b""
        except TimeoutError:
            read = None
        seconds = time.monotonic() - start
        writer.close()
        server.should_exit = True
        await task
    return read, seconds


WHOLE = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"])
def test_a_client_that_never_finishes_is_dropped(monkeypatch, sent):
    monkeypatch.setattr(guard, "_PATIENCE", 0.5)
    read, seconds = in_thread(_slow(sent, 0.5))
    assert read is not None and seconds >= 0.4


def test_a_request_that_is_whole_is_answered_and_its_connection_kept(monkeypatch):
    monkeypatch.setattr(guard, "_PATIENCE", 0.5)
    read, seconds = in_thread(_slow(WHOLE, 0.5))
    assert read.endswith(b"ok") and seconds > 1.5  # uvicorn's own keep-alive ends it, not the patience


def test_an_error_of_one_kind_is_logged_once_and_in_one_line(caplog):
    log = logging.getLogger("freeness.test_guard")
    log.addFilter(guard.OncePerKind())
    for _ in range(50):
        try:
            raise ValueError("broken message")
        except ValueError:
            log.exception("an event failed\nmore")
    log.warning("a warning")
    log.warning("a warning")
    assert [record.getMessage() for record in caplog.records] == [
        "an event failed (ValueError: broken message)",
        "a warning",
        "a warning",
    ]
    assert "Traceback" not in caplog.text


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


@pytest.mark.slow
@pytest.mark.always
def test_an_address_without_a_page_leads_home(server, browser):
    context = browser.new_context(base_url=server)
    tab = context.new_page()
    assert tab.goto("/nowhere?depth=3").status == 404
    tab.get_by_role("heading", name="There is no such page").wait_for()
    tab.get_by_role("link", name="Home").click()
    tab.get_by_role("heading", name="Explorer").wait_for()
    context.close()
    assert status(server, "GET", "/_nicegui/none/file.js", {}) == 404
