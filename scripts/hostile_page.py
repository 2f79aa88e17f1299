"""Garbage by HTTP and websocket to one explorer: prints what brings it down, what it logs as a traceback, and counts.

Run `PYTHONPATH=. python scripts/hostile_page.py`; needs nicegui.
"""

# ruff: noqa: SIM905, E501
# Lists of words are easier to read as one text, and attacks as one line.

from __future__ import annotations

import argparse
import base64
import os
import socket
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from urllib.parse import quote, urlparse

import numpy as np
from tests.app.conftest import answers, explorer
from tests.app.hostile import expressions

_PATHS = "/ /law /spectra /design /phase /report /sweep /docs /_nicegui /_nicegui/auto/static /_nicegui_ws/socket.io/ /.. //".split()
_METHODS = "GET POST PUT DELETE PATCH HEAD OPTIONS TRACE CONNECT BREW".split()
_QUERIES = "expression x y depth width sigma_w points activation fisher q realised store cell".split()
_VALUES = [
    "0",
    "-1",
    "1e308",
    "nan",
    "inf",
    "9" * 400,
    "",
    "\u202e",
    "<script>",
    "../../etc/passwd",
    "1,2",
    "true",
    "mp:1",
    "[" * 900,
]
_HEADERS = ["Content-Length: -1", "Content-Length: 99999999999", "Transfer-Encoding: chunked", "Host: evil.example", "Cookie: " + "a" * 9000,
            "Upgrade: websocket", "Expect: 100-continue", "Range: bytes=0-999999999999", "X: " + "b" * 70_000, "\x00: \x01", "Connection: upgrade"]  # fmt: skip
_PATIENCE = 5.0
_GROWTH = 2**30


def request(rng: np.random.Generator, host: str, texts: list[str]) -> bytes:
    """HTTP that is nearly right, or none."""
    kind = rng.random()
    if kind < 0.15:
        return rng.bytes(int(rng.integers(1, 3000)))
    path = str(rng.choice(_PATHS))
    if rng.random() < 0.6:
        names = rng.choice(_QUERIES, 3)
        values = [
            str(rng.choice(_VALUES)) if rng.random() < 0.6 else texts[int(rng.integers(len(texts)))] for _ in names
        ]
        path += "?" + "&".join(
            f"{name}={quote(value, errors='replace')}" for name, value in zip(names, values, strict=True)
        )
    lines = [f"{rng.choice(_METHODS)} {path} HTTP/1.1", f"Host: {host}"]
    lines += (
        [str(header) for header in rng.choice(_HEADERS, int(rng.integers(0, 3)), replace=False)] if kind < 0.7 else []
    )
    body = rng.bytes(int(rng.integers(0, 400))) if kind < 0.4 else b""
    return "\r\n".join(lines).encode(errors="replace") + b"\r\n\r\n" + body


def frames(rng: np.random.Generator, host: str) -> bytes:
    """A websocket's beginning, and frames that are no messages of the page."""
    key = base64.b64encode(rng.bytes(16)).decode()
    path = "/_nicegui_ws/socket.io/?EIO=4&transport=websocket" + str(
        rng.choice(["", "&sid=none", "&client_id=" + "a" * 900, "&client_id=%00"])
    )
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        f"Origin: http://{host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
    ]
    sent = "\r\n".join([*lines, "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}"]).encode() + b"\r\n\r\n"
    messages = [b"40", b'42["event",{}]', b'42["event",{"id":1e999,"listener_id":"x","args":[]}]', b"42[", b'42["handshake",null]', b"4" * 5000,
                b'451-["event",{"_placeholder":true,"num":99}]', b'42["javascript_response",{"request_id":{},"client_id":1}]', b"2probe", b"\xff\xfe",
                b'42' + b"[" * 20_000, b'42["handshake",{"client_id":"none","tab_id":[],"old_tab_id":{}}]', b"41", b"1", b"9"]  # fmt: skip
    for _ in range(int(rng.integers(1, 6))):
        text = messages[int(rng.integers(len(messages)))]
        mask, opcode = rng.bytes(4), int(rng.choice([1, 1, 1, 2, 9, 15]))
        size = bytes([128 | len(text)]) if len(text) < 126 else bytes([128 | 126]) + len(text).to_bytes(2, "big")
        if rng.random() < 0.1:
            size = bytes([128 | 127]) + (2**62).to_bytes(8, "big")
        sent += bytes([128 | opcode]) + size + mask + bytes(b ^ mask[k % 4] for k, b in enumerate(text))
    return sent


def given(address: tuple[str, int], sent: bytes) -> str:
    """How the server took it: by its status, by silence, or by hanging up."""
    with socket.create_connection(address, timeout=_PATIENCE) as connection:
        try:
            connection.sendall(sent)
            first = connection.recv(4096)
        except TimeoutError:
            return "waits for more"
        except OSError:
            return "hung up"
        return first.split(b"\r\n")[0].decode(errors="replace")[9:12] if first else "hung up"


def memory(log: Path) -> int:
    """Bytes that the server and its worker hold: of the processes whose folder is the log's."""
    held = 0
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if os.readlink(process / "cwd") == str(log.parent.resolve()):
                    held += int((process / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            except OSError:
                continue
    return held


def main() -> int:
    """Returns 1 where the page was brought down, logged a traceback, grew, or answered with an error of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    faults = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        texts = expressions(100, options.seed, folder / "marker")
        with explorer(folder) as url:
            host = urlparse(url).netloc
            address = (urlparse(url).hostname or "127.0.0.1", urlparse(url).port or 80)
            before, seen = memory(folder / "log"), 0
            for k in range(options.cases):
                rng = np.random.default_rng((options.seed, k))
                sent = request(rng, host, texts) if k % 3 else frames(rng, host)
                outcome = given(address, sent)
                counts[outcome] += 1
                log = (folder / "log").read_text(errors="replace")
                if "Traceback" in log[seen:] or outcome.startswith("5"):
                    faults += 1
                    print(f"case {k} ({outcome}): {sent[:200]!r}\n{log[seen:][-900:]}", flush=True)
                seen = len(log)
            start = time.monotonic()
            alive, took, grown = answers(f"{url}/law"), time.monotonic() - start, memory(folder / "log") - before
            (folder / "log").write_text("")  # what it held was told
    print(f"{options.cases} inputs: {dict(counts)}; tracebacks or errors {faults}; grown by {grown / 2**20:.0f} MiB")
    print(f"afterwards it {'answers' if alive else 'does not answer'}, in {took:.2f} s")
    return int(not alive or faults > 0 or grown > _GROWTH)


if __name__ == "__main__":
    sys.exit(main())
