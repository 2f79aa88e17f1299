"""A user's own object from ``FILE.py:NAME``; this executes the user's code."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from freeness.errors import InputError, brief

_SHOWN = 10  # names in a message
_LONGEST = 400  # of what another's error is quoted with


def split_factory(spec: str, what: str = "a model") -> tuple[Path, str]:
    """File and name in ``FILE.py:FACTORY``; nothing is run.

    Raises:
        InputError: one is missing, or there is no such file.
    """
    path, _, name = spec.rpartition(":")
    if not path or not name:
        raise InputError(
            f"expected {what} as FILE.py:FACTORY, got {spec!r}; name the function that returns {what.removeprefix('a ')}."
        )
    file = Path(path)
    if not file.is_file():
        raise InputError(f"expected a Python file at {path!r}, found none; check the path.")
    return file, name


def made_by(
    spec: str, what: str = "a model", ready: Callable[[object], bool] = lambda found: not callable(found)
) -> object:
    """Run ``FILE.py`` and call its ``FACTORY()`` without arguments.

    Args:
        spec: ``path/to/file.py:name``.
        what: the factory returns, for the sentence.
        ready: whether what has that name is the object itself and no factory; what cannot be called when left out.

    Raises:
        InputError: no such file or name, or the code raises or exits.
    """
    file, name = split_factory(spec, what)
    found = _attribute(_run(file), name, file)
    return found if ready(found) else _called(found, name, what)


def _run(file: Path) -> ModuleType:
    module_spec = importlib.util.spec_from_file_location(f"_freeness_user_{file.stem}", file)
    if module_spec is None or module_spec.loader is None:
        raise InputError(f"expected a Python file, got {str(file)!r}; its name must end in .py.")
    module = importlib.util.module_from_spec(module_spec)
    sys.modules[module_spec.name] = module  # dataclasses and pickling look a class's module up there
    folder = str(file.resolve().parent)
    sys.path.insert(0, folder)
    try:
        module_spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever the user's code raises, sys.exit too, is told in one sentence
        advice = "run it by itself and mend it"
        if isinstance(error, SystemExit):
            advice = 'put what ends the program under if __name__ == "__main__"'
        raise InputError(f"expected {str(file)!r} to run, got {_quoted(error)}; {advice}.") from error
    finally:
        if folder in sys.path:  # the user's code may have taken it out
            sys.path.remove(folder)
    return module


def _attribute(module: ModuleType, name: str, file: Path) -> object:
    found = getattr(module, name, None)
    if found is None:
        own = [key for key, value in vars(module).items() if not key.startswith("_") and _is_own(value, module)]
        names = ", ".join(own[:_SHOWN]) + (", …" if len(own) > _SHOWN else "")
        raise InputError(
            f"expected {name!r} in {str(file)!r}, which defines {names or 'no function'}; name a function of that file."
        )
    return found


def _is_own(value: object, module: ModuleType) -> bool:
    """Whether it can be called or was made, and was defined in that module, not imported there."""
    if not callable(value):
        return False
    made_there = not isinstance(value, type) and not inspect.isroutine(value)
    return made_there or getattr(value, "__module__", None) == module.__name__


def _called(factory: object, name: str, what: str) -> object:
    if not callable(factory):
        raise InputError(
            f"expected {name!r} to be a function or {what}, got {type(factory).__name__}; name another one."
        )
    try:
        return factory()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever the user's code raises, sys.exit too, is told in one sentence
        advice = (
            "it is called without arguments" if _lacks_arguments(factory, error) else "run it by itself and mend it"
        )
        raise InputError(f"expected {name}() to return {what}, got {_quoted(error)}; {advice}.") from error


def _lacks_arguments(factory: Callable[..., object], error: BaseException) -> bool:
    """Whether the call itself was refused: then no line of the function has run."""
    if not isinstance(error, TypeError):
        return False
    try:
        inspect.signature(factory).bind()
    except TypeError:
        return True
    except ValueError:  # of some functions in C there is no signature
        return False
    return False


def _quoted(error: BaseException) -> str:
    """:func:`~freeness.errors.brief`; a first line that only announces others (a state_dict's) with those behind it."""
    if type(error) is not RuntimeError:
        return brief(error)
    lines = [" ".join(line.split()) for line in str(error).strip().splitlines()]
    if len(lines) < 2 or not lines[0].endswith(":"):
        return brief(error)
    text = " ".join(line for line in lines if line)
    return brief(RuntimeError(text if len(text) <= _LONGEST else text[:_LONGEST] + "…"))
