"""A watched run as a self-contained HTML page."""

from __future__ import annotations

from html import escape

from freeness.advice import WatchedRun
from freeness.show.answer import answer_of
from freeness.show.encoded import picture_uri
from freeness.show.html import parts_html
from freeness.show.page import page_environment
from freeness.show.pictures.watch import watched_layers_picture, watched_rate_picture


def render_watch(run: WatchedRun, refresh: int | None = None) -> str:
    """The page as text; strings in it are escaped.

    Args:
        run: as :func:`~freeness.advice.read_run` gives it.
        refresh: seconds after which a browser loads it again.
    """
    answer = answer_of(run)
    pictures = [watched_rate_picture(run), watched_layers_picture(run)]
    drawn = [f'<img src="{picture_uri(one)}" alt="{escape(one.sentence)}">' for one in pictures if one.drawings]
    return (
        page_environment()
        .get_template("watch.html")
        .render(
            answer=answer,
            sections=[(section.title, parts_html(section.parts)) for section in answer.sections],
            pictures=drawn,
            refresh=refresh,
        )
    )
