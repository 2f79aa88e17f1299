"""The explorer in the browser: each page is the same library call as a command.

The server is imported when it is asked for: worker processes, which are started anew whenever one had to be ended, need no
web framework.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from freeness.app.server import LOOPBACK, AppOptions, serve

__all__ = ["LOOPBACK", "AppOptions", "serve"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from freeness.app import server

    return getattr(server, name)
