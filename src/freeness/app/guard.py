"""What stands before the pages: whose requests are answered, how large they may be, how long they may take, what is logged."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

Scope = MutableMapping[str, Any]
Channel = Callable[..., Awaitable[Any]]
Application = Callable[[Scope, Channel, Channel], Awaitable[None]]

_OWN_NAMES = ("127.0.0.1", "localhost", "::1")  # a name that somebody else resolves to this machine is none of these
_PATIENCE = 20.0  # seconds in which a request must have come in whole
_OFTEN = 60.0  # seconds in which an error of one kind is logged once
LOG = logging.getLogger("freeness.app")


@dataclass(frozen=True)
class Guard:
    """Answers requests of pages of this server only, over HTTP and websockets alike.

    ``alone``: only under the names of this machine. ``most``: bytes of an upload. A request that names another site as its origin
    is refused: a page of a stranger must not speak for who looks at it.
    """

    application: Application
    alone: bool
    most: int

    async def __call__(self, scope: Scope, receive: Channel, send: Channel) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.application(scope, receive, send)
            return
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
        refused = self._refused(scope, headers)
        if refused is None:
            await _logged(self.application, scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": refused[1]})
        else:
            text = [(b"content-type", b"text/plain; charset=utf-8")]
            await send({"type": "http.response.start", "status": refused[0], "headers": text})
            await send({"type": "http.response.body", "body": refused[1].encode()})

    def _refused(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if self.alone and _name(host) not in _OWN_NAMES:
            return 403, "expected a page of this machine, got another host's name"
        if origin is not None and origin.partition("://")[2] != host:
            return 403, "expected a request of this server's own pages, got one of another site's"
        length = headers.get("content-length", "")
        if scope.get("method") == "POST" and not (length.isdigit() and int(length) <= self.most):
            return 413, f"expected an upload of at most {self.most} bytes"
        return None


def _name(host: str) -> str | None:
    """The name of a host without its port, which browsers leave out where it is 80; None of what is none."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


async def _logged(application: Application, scope: Scope, receive: Channel, send: Channel) -> None:
    """Answer, and log the visit of a page in a line."""
    start, status = time.perf_counter(), 0

    async def noted(message: MutableMapping[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)
        await send(message)

    await application(scope, receive, noted)
    if scope["type"] == "http" and not scope["path"].startswith("/_nicegui"):
        LOG.info("%s %r %d in %.0f ms", scope["method"], scope["path"], status, 1e3 * (time.perf_counter() - start))


class ImpatientProtocol(H11Protocol):
    """Drops a client whose request does not come in whole in time."""

    _alarm: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch(True)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        state, (rest, _) = self.conn.their_state, self.conn.trailing_data
        self._watch(state is h11.SEND_BODY or (state is h11.IDLE and bool(rest)))

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        super().handle_websocket_upgrade(event)
        self._watch(False)

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch(False)
        super().connection_lost(exc)

    def _watch(self, unfinished: bool) -> None:
        """Set the alarm where a request has begun, and stop it where it is complete."""
        if not unfinished and self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        elif unfinished and self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(_PATIENCE, self._drop)

    def _drop(self) -> None:
        if self.transport.is_closing():
            return
        if self.conn.their_state is not h11.IDLE or self.conn.trailing_data[0]:  # browsers open spare connections
            LOG.info("dropped a client whose request did not come in within %.0f s", _PATIENCE)
        self.transport.abort()


class OncePerKind(logging.Filter):
    """Logs an error of one kind once a minute and in one line: a stranger's broken messages must not fill the disk."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[str, int, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        kind = (record.pathname, record.lineno, type(error).__name__)
        now = time.monotonic()
        if record.levelno < logging.ERROR:
            return True
        if now - self._last.get(kind, -_OFTEN) < _OFTEN:
            return False
        self._last[kind] = now
        if error is not None:
            record.msg, record.args = f"{record.getMessage().splitlines()[0]} ({type(error).__name__}: {error})", ()
            record.exc_info = record.exc_text = None
        return True
