"""freeness: free probability that designs deep networks.

The random-matrix engine and the theory of networks, without any framework; ``freeness.torch`` reads, measures and
initialises PyTorch models. A name is loaded with its room when it is first asked for: ``import freeness`` costs nothing.
"""

from importlib import import_module

# The names that outsiders meet first stand in `__init__.pyi`, where type checkers read them: from HOME import NAME as NAME.
_LINES = __loader__.get_data(f"{__path__[0]}/__init__.pyi").decode().splitlines()  # pyright: ignore
_HOMES: dict[str, str] = {words[3]: words[1] for words in map(str.split, _LINES) if words[:1] == ["from"]}

__all__ = sorted(name for name, home in _HOMES.items() if home not in {__name__, f"{__name__}.version"})  # pyright: ignore


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES[name]
    if home == __name__:  # a room
        return import_module(f"{home}.{name}")
    return globals().setdefault(name, getattr(import_module(home), name))


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
