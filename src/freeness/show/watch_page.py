"""A watched run as a self-contained HTML page."""

from __future__ import annotations

from html import escape

from freeness.advice import WatchedRun
from freeness.show.answer import answer_of
from freeness.show.encoded import picture_uri
from freeness.show.html import parts_html
from freeness.show.page import page_environment
from freeness.show.picture import Picture
from freeness.show.pictures.watch import watched_layers_picture, watched_rate_picture

_FIRST = ("", "Warnings")  # sections above the pictures


def render_watch(run: WatchedRun, refresh: int | None = None) -> str:
    """The page as text; strings in it are escaped.

    Args:
        run: as :func:`~freeness.advice.read_run` gives it.
        refresh: seconds after which a browser loads it again; none when left out.
    """
    answer = answer_of(run)
    pictures = [watched_rate_picture(run), watched_layers_picture(run)]
    drawn = [_drawn(one) for one in pictures if one.drawings]
    return (
        page_environment()
        .get_template("watch.html")
        .render(
            answer=answer,
            sections=[(section.title, parts_html(section.parts)) for section in answer.sections],
            first=_FIRST,
            pictures=drawn,
            refresh=refresh,
        )
    )


def _drawn(picture: Picture) -> str:
    """A dark page turns it over, a heat map with its bar of colours."""
    return f'<img src="{picture_uri(picture)}" alt="{escape(picture.sentence)}">'
