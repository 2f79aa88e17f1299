"""How commands fail: one sentence on stderr and an exit code, never a traceback unless it is asked for."""

from __future__ import annotations

import functools
import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec

import typer

from freeness.cli.output import stderr
from freeness.errors import FreenessError, InputError, brief

BAD_INPUT, INCOMPLETE, INTERRUPTED = 2, 3, 130  # how a command ends that is not done
_DEBUG = "FREENESS_DEBUG"
_ARGUMENTS = ParamSpec("_ARGUMENTS")


def reports_errors(command: Callable[_ARGUMENTS, None]) -> Callable[_ARGUMENTS, None]:
    """A command that ends with exit code 2 on what freeness refuses, 130 on Ctrl-C, 1 on a fault of its own."""

    @functools.wraps(command)
    def guarded(*args: _ARGUMENTS.args, **kwargs: _ARGUMENTS.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except typer.Exit:
            raise
        except BrokenPipeError:  # the reader of the pipe has gone, e.g. `| head`
            raise
        except KeyboardInterrupt:
            _say("Interrupted; nothing was left half-written.")
            raise typer.Exit(INTERRUPTED) from None
        except FreenessError as error:
            _say(f"Error: {error}")
            raise typer.Exit(BAD_INPUT) from None
        except OSError as error:  # a name too long, a full disk, no access
            _say(f"Error: expected files that can be read and written, got {brief(error)}; check paths and space.")
            raise typer.Exit(BAD_INPUT) from None
        except (
            SystemExit
        ) as error:  # commands never exit that way: rich does for a closed pipe, or the user's model did
            if isinstance(error.__context__, BrokenPipeError):
                raise
            _say(f"Error: expected a model that computes, got {brief(error)} from its code; take sys.exit out of it.")
            raise typer.Exit(BAD_INPUT) from None
        except BaseException as error:  # the last guard: whatever it is, the user gets a sentence
            _say(f"Error: {type(error).__name__}: {error} (set {_DEBUG}=1 to see where).")
            raise typer.Exit(1) from None

    return guarded


@contextmanager
def needs_extra(extra: str) -> Iterator[None]:
    """Turn a package that is missing inside the block into one sentence that names the extra to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "freeness").partition(".")[0]
        if package == "freeness":
            raise
        raise InputError(
            f"expected the package {package}, which is not installed; run pip install 'freeness[{extra}]'."
        ) from error


def _say(message: str) -> None:
    console = stderr()
    if os.environ.get(_DEBUG):
        console.print(traceback.format_exc(), soft_wrap=True)
    console.print(message, style="red", soft_wrap=True)
