"""The server of the explorer: its pages, its worker processes, its limits."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from html import escape

from nicegui import app, ui

from freeness.app.frame import PAGES, frame
from freeness.app.law_page import law_page
from freeness.app.phase_page import phase_page
from freeness.app.spectra_page import spectra_page
from freeness.app.worker import Worker
from freeness.errors import InputError

LOOPBACK = "127.0.0.1"
_LAW_SECONDS, _LAW_MEMORY = 4.0, 4 * 2**30


@dataclass(frozen=True)
class AppOptions:
    """Where the explorer listens, and what of this machine it may show.

    ``host`` is this machine alone unless another address is asked for.
    """

    host: str = LOOPBACK
    port: int = 8080
    show: bool = False


def serve(options: AppOptions) -> None:
    """Serve the explorer until the process is ended.

    Args:
        options: host, port, what it may show.

    Raises:
        InputError: the port cannot be listened at.
    """
    _require_free(options.host, options.port)
    _add_pages(options)
    ui.run(
        host=options.host,
        port=options.port,
        title="freeness",
        show=options.show,
        reload=False,
        dark=None,
        language="en-GB",
        show_welcome_message=False,
        tailwind=True,
        favicon=_ICON,
    )


def _add_pages(options: AppOptions) -> None:
    laws = Worker(_LAW_SECONDS, _LAW_MEMORY)
    heavy = Worker(None)
    for worker in (laws, heavy):
        app.on_shutdown(worker.end)

    @ui.page("/", title="freeness")
    def _overview() -> None:
        with frame("/", "Explorer", "What freeness computes, at the touch of a slider. Nothing leaves this machine."):
            for path, name in PAGES.items():
                ui.html(f'<p><a href="{path}">{escape(name)}</a>: {escape(_SENTENCES[path])}</p>', sanitize=False)

    @ui.page("/phase", title="Phase diagram · freeness")
    def _phase() -> None:
        phase_page()

    @ui.page("/spectra", title="Spectra · freeness")
    def _spectra() -> None:
        spectra_page(heavy)

    @ui.page("/law", title="Law calculator · freeness")
    def _law() -> None:
        law_page(laws)


def _require_free(host: str, port: int) -> None:
    """Say in a sentence what the server would only log."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise InputError(
            f"expected a free port, got {port} of {host} ({error.strerror or error}); choose another one by --port."
        ) from error


_SENTENCES = {
    "/phase": "order and chaos of an activation over (σ_w, σ_b), where a signal settles, and how deep it reaches.",
    "/spectra": "Jacobian and Fisher spectra of an architecture, with atoms and edges, beside a drawn network.",
    "/design": "targets in, an initialisation with its reasons and its code out.",
    "/sweeps": "accuracy over depth and learning rate with the lines of theory, also while a sweep runs.",
    "/law": "the spectrum of any expression in free random variables.",
    "/report": "a model's predicted and measured spectra, verdict and learning rate.",
}
_ICON = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path d="M3 27a13 13 0 0 1 26 0z" fill="#0072B2"/></svg>'
