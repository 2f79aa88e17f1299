"""The explorer in the browser: each page is the same library call as a command."""

from freeness.app.serve import LOOPBACK, AppOptions, serve

__all__ = ["LOOPBACK", "AppOptions", "serve"]
