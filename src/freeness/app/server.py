"""The server of the explorer: its pages, its worker processes, its limits."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from nicegui import Client, app, background_tasks, ui
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from freeness.app.design_page import design_page
from freeness.app.frame import PAGES, frame
from freeness.app.guard import Guard, ImpatientProtocol, OncePerKind
from freeness.app.law_page import law_page
from freeness.app.phase_page import phase_page
from freeness.app.report_page import report_page
from freeness.app.spectra_page import spectra_page
from freeness.app.sweep_page import sweep_page
from freeness.app.upload import MOST_BYTES
from freeness.app.watch_page import watch_page
from freeness.app.worker import Worker
from freeness.errors import InputError

LOOPBACK = "127.0.0.1"
_LOGS = ("nicegui", "uvicorn.error", "asyncio", "engineio.server", "socketio.server")
_FORM = 2**16  # bytes of a form around a file
_PATIENCE = 30.0  # seconds: a busy machine is no lost connection
SECONDS, MEMORY = 4.0, 8 * 2**30  # of what strangers may hand in


@dataclass(frozen=True)
class AppOptions:
    """Where the explorer listens, and what of this machine it may show.

    ``host`` is this machine alone unless another address is asked for. ``stores``: results of sweeps.
    ``models``: FILE.py:FACTORY, whose code is run when a report of it is asked for. ``run_uploads``: also that of uploaded files.
    ``runs``: logs of trainings, which need not have begun.
    """

    host: str = LOOPBACK
    port: int = 8080
    show: bool = False
    stores: tuple[Path, ...] = ()
    models: tuple[str, ...] = ()
    run_uploads: bool = False
    runs: tuple[Path, ...] = ()


def serve(options: AppOptions, started: Callable[[], None]) -> None:
    """Serve the explorer until the process is ended."""
    if options.run_uploads and options.host != LOOPBACK:
        raise InputError(
            f"expected {LOOPBACK} as the host where uploaded models are run, got {options.host}; leave out one of the two."
        )
    for store in options.stores:
        if not store.is_file():
            raise InputError(
                f"expected a store of results, got {str(store)!r}, which is no file; run freeness sweep first."
            )
    if options.models:
        from freeness.torch import split_model

        for model in options.models:
            split_model(model)
    _require_free(options.host, options.port)
    _add_pages(options)
    app.on_startup(started)
    for name in _LOGS:
        logging.getLogger(name).addFilter(OncePerKind())
    ui.run(
        host=options.host,
        port=options.port,
        title="freeness",
        show=options.show,
        reload=False,
        dark=None,
        language="en-GB",
        show_welcome_message=False,
        reconnect_timeout=_PATIENCE,
        tailwind=True,
        favicon=_ICON,
        http=ImpatientProtocol,
    )


def _add_pages(options: AppOptions) -> None:
    laws = Worker(SECONDS, MEMORY, "law")
    uploads = Worker(SECONDS, MEMORY, "upload")
    heavy = Worker(None)
    stores, logs = _named(options.stores), _named(options.runs)
    app.on_startup(laws.warm)
    for worker in (laws, uploads, heavy):
        app.on_shutdown(worker.closed)

    app.add_middleware(Guard, alone=options.host == LOOPBACK, most=MOST_BYTES + _FORM)

    @ui.page("/", title="freeness")
    def _overview() -> None:
        with frame("/", "Explorer", "What freeness computes, at the touch of a slider. Nothing leaves this machine."):
            _links()

    @ui.page("/phase", title="Phase diagram · freeness")
    def _phase() -> None:
        phase_page()

    @ui.page("/spectra", title="Spectra · freeness")
    def _spectra() -> None:
        spectra_page(heavy)

    @ui.page("/design", title="Design · freeness")
    def _design() -> None:
        design_page()

    @ui.page("/sweeps", title="Sweeps · freeness")
    def _sweeps() -> None:
        sweep_page(heavy, stores)

    @ui.page("/report", title="Report · freeness")
    async def _report() -> None:
        background_tasks.create(uploads.warm())
        report_page(heavy, uploads, options.models, options.run_uploads)

    @ui.page("/watch", title="Training · freeness")
    def _watch() -> None:
        watch_page(logs)

    @ui.page("/law", title="Law calculator · freeness")
    def _law() -> None:
        law_page(laws)

    @app.exception_handler(404)
    async def _nowhere(request: Request, error: Exception) -> Response:
        return _lost(request, error)


def _lost(request: Request, error: Exception) -> Response:
    """A page that is not there, with the way to those that are; what is no page is answered in a line."""
    if "endpoint" in request.scope and request.scope["endpoint"] is not app:
        return PlainTextResponse(error.detail if isinstance(error, HTTPException) else "Not Found", 404)
    client = Client(ui.page("", title="Not found · freeness"), request=request)
    with client, frame("/", "There is no such page", "The address may be mistyped. These pages are here:"):
        ui.html('<p><a href="/">Home</a></p>', sanitize=False)
        _links()
    return client.build_response(request, 404)


def _links() -> None:
    """Every page, and what it is for."""
    with ui.element("ul").classes("pages"):
        for path, name in PAGES.items():
            ui.html(f'<a href="{path}">{escape(name)}</a><br>{escape(_SENTENCES[path])}', sanitize=False, tag="li")


def _named(paths: Sequence[Path]) -> dict[str, Path]:
    """By the names of the files; those that share one are numbered."""
    named: dict[str, Path] = {}
    for path in paths:
        same = sum(other.name == path.name for other in named.values())
        named[f"{path.name} ({same + 1})" if same else path.name] = path
    return named


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
    "/phase": "Do signals and gradients survive many layers? Move the scales of weights and biases, and see.",
    "/spectra": "The singular values that an input's change and a gradient meet, by theory and in a drawn network.",
    "/design": "Say depth, widths and activation; take an initialisation, a learning rate and the code.",
    "/sweeps": "Trained networks over depth and learning rate beside the lines of theory, also while they train.",
    "/watch": "A training while it goes on: its rate beside the critical one, what was said, what the layers do.",
    "/law": "Type a formula in large random matrices; see the density of its eigenvalues.",
    "/report": "Your model: does it train, how should it start, how fast may it learn?",
}
_ICON = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path d="M3 27a13 13 0 0 1 26 0z" fill="#0072B2"/></svg>'
