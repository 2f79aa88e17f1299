"""The plan of the house, held: who imports whom, what an import costs, how large things get, what is documented."""

import ast
import graphlib
import importlib
import inspect
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from freeness.cli.commands import COMMANDS, app
from freeness.folder import modules_in

SOURCE = Path(__file__).resolve().parents[1] / "src" / "freeness"
FILES = sorted(SOURCE.rglob("*.py"))

# --- who imports whom ---------------------------------------------------------------------------------------------

NUMERIC = {"numpy", "scipy"}
TYPED = NUMERIC | {"jaxtyping"}

# Above the wall: each room sees those before it, and no framework.
ABOVE_WALL = [
    *("numerics", "laws", "moves", "operators", "expressions"),
    *("gaussian", "network", "meanfield", "spectra", "training", "advice"),
]
ROOMS = {room: set(ABOVE_WALL[:place]) for place, room in enumerate(ABOVE_WALL)}
LIBRARIES = {room: TYPED for room in ABOVE_WALL}

WHOLE_THEORY = set(ABOVE_WALL)
ROOMS |= {
    "data": set(),
    "torch": WHOLE_THEORY | {"data", "bars"},
    "interpret": WHOLE_THEORY | {"data", "torch"},
    "experiments": WHOLE_THEORY | {"data", "torch", "interpret"},
    "show": WHOLE_THEORY | {"data", "torch", "interpret", "experiments"},  # takes laws and records
    "app": WHOLE_THEORY | {"data", "torch", "interpret", "experiments", "show"},
    "cli": WHOLE_THEORY | {"data", "torch", "interpret", "experiments", "show", "app", "bars"},
    "plots": {"show"},  # the old names of what is there
    "report": {"show"},
    # Modules beside the rooms.
    "bars": {"advice"},
    "errors": set(),
    "version": set(),
    "files": set(),
    "calculus": {"moves", "expressions"},  # old names
    "deprecation": set(),
    "folder": set(),
    "shown": {"show"},  # when a notebook asks; every room's records may derive from it
    "__init__": WHOLE_THEORY,  # the names that outsiders meet first
    "__main__": {"cli"},
}
LIBRARIES |= {
    "data": {"numpy", "jaxtyping", "pooch"},  # and by name, when such files are read, Pillow and pyarrow
    "torch": TYPED
    | {"torch", "pydantic", "safetensors", "lightning", "transformers"},  # the last two in callbacks alone
    "interpret": TYPED | {"torch"},
    "experiments": TYPED | {"torch", "dask", "distributed", "xarray", "pandas", "pydantic", "psutil"},
    "show": TYPED | {"matplotlib", "jinja2", "rich", "pandas"},  # pandas where a DataFrame is asked for
    "plots": {"matplotlib"},
    "report": set(),
    "app": TYPED | {"nicegui", "starlette", "uvicorn", "h11"},  # nicegui is built on these
    "cli": TYPED | {"typer", "rich"},
    "bars": {"rich"},
    "errors": set(),
    "version": set(),
    "calculus": set(),
    "files": {"numpy"},
    "shown": {"matplotlib"},
    "deprecation": set(),
    "folder": set(),
    "__init__": set(),
    "__main__": set(),
}


BESIDE = {"errors", "version", "files", "folder", "deprecation", "shown"}  # modules that every room may import

parsed = cache(ast.parse)  # several tests read every file


def room_of(path: Path) -> str:
    """The folder under src/freeness, or the module beside the rooms."""
    return path.relative_to(SOURCE).with_suffix("").parts[0]


@cache
def imported_modules(source: str, package: tuple[str, ...]) -> list[tuple[int, str]]:
    """Line and absolute name of every module that is imported, wherever the statement stands."""
    found = []
    for node in ast.walk(parsed(source)):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            # `from freeness import laws` imports the room, not only the package.
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "freeness" else [module]
            found += [(node.lineno, name) for name in names]
    return found


def trespasses(source: str, path: Path) -> list[str]:
    """Every import that the table does not allow to the file at ``path``."""
    room = room_of(path)
    package = ("freeness", *path.relative_to(SOURCE).parts[:-1])
    wrong = []
    for line, module in imported_modules(source, package):
        top, *rest = module.split(".")
        if top == "freeness":
            target = rest[0] if rest else "freeness itself"
            allowed = target in {room, *BESIDE} or target in ROOMS[room]
        else:
            allowed = top in sys.stdlib_module_names or top in LIBRARIES[room]
        if not allowed:
            wrong.append(f"{path.relative_to(SOURCE)}:{line} imports {module}")
    return wrong


def test_every_file_belongs_to_a_room():
    assert {room_of(path) for path in FILES} <= set(ROOMS)
    assert set(ROOMS) == set(LIBRARIES)


def test_rooms_import_only_rooms_and_libraries_of_the_table():
    assert not [line for path in FILES for line in trespasses(path.read_text(encoding="utf-8"), path)]


@pytest.mark.parametrize(
    ("source", "room"),
    [
        ("import torch", "spectra"),
        ("def f():\n    import matplotlib.pyplot as plt", "laws"),
        ("from beartype import beartype", "numerics"),
        ("from freeness.laws import Law", "numerics"),
        ("from freeness import moves", "laws"),
        ("import freeness.torch.record.tracing", "advice"),
        ("import freeness", "laws"),
        ("from ..spectra import jacobian_law", "meanfield"),
        ("from .. import torch", "meanfield"),
        ("import torch", "show"),
        ("from freeness.data import load_fashion_mnist", "spectra"),
        ("import torch", "cli"),
        ("from freeness.cli import main", "show"),
    ],
)
def test_planted_trespass_is_seen(source, room):
    assert trespasses(source, SOURCE / room / "file.py")


@pytest.mark.parametrize(
    ("source", "room"),
    [
        ("from __future__ import annotations\nimport math, numpy as np\nfrom scipy import special", "numerics"),
        ("from freeness.errors import InputError\nfrom ..numerics import newton\nfrom . import law", "laws"),
        ("import torch\nfrom freeness.data import load_fashion_mnist", "torch"),
        ("from freeness.torch import analyze\nfrom ..errors import InputError", "cli"),
    ],
)
def test_allowed_imports_pass(source, room):
    assert not trespasses(source, SOURCE / room / "file.py")


# --- doors: a room is entered by its front -------------------------------------------------------------------------


def past_the_door(source: str, path: Path) -> list[str]:
    """Every import of another room's file instead of its front."""
    rooms = {init.parent.name for init in SOURCE.glob("*/__init__.py")}
    room = room_of(path)
    package = ("freeness", *path.relative_to(SOURCE).parts[:-1])
    found = []
    for line, module in imported_modules(source, package):
        top, *rest = module.split(".")
        if top == "freeness" and len(rest) > 1 and rest[0] in rooms and rest[0] != room:
            found.append(f"{path.relative_to(SOURCE)}:{line} imports {module}")
    return found


def test_rooms_are_entered_by_their_fronts():
    assert not [line for path in FILES for line in past_the_door(path.read_text(encoding="utf-8"), path)]


def test_a_planted_way_past_a_door_is_seen():
    assert past_the_door("from freeness.laws.curve import ClosedCurve", SOURCE / "moves" / "file.py")
    assert past_the_door("def f():\n    from ..laws.curve import ClosedCurve", SOURCE / "moves" / "file.py")
    assert not past_the_door(
        "from freeness.laws import Law\nfrom freeness.moves.walk import x", SOURCE / "moves" / "f.py"
    )


def public_classes() -> dict[str, list[str]]:
    """Where every public class is defined."""
    found: dict[str, list[str]] = {}
    for path in FILES:
        for node in parsed(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found.setdefault(node.name, []).append(str(path.relative_to(SOURCE)))
    return found


def test_no_two_public_classes_have_one_name():
    assert len(public_classes()) > 100
    assert not {name: places for name, places in public_classes().items() if len(places) > 1}


def hidden_modules(front: Path) -> list[str]:
    """Modules of a package that a name of its front hides."""
    imports = [node for node in ast.walk(parsed(front.read_text("utf-8"))) if isinstance(node, ast.ImportFrom)]
    package = ".".join(["freeness", *front.parent.relative_to(SOURCE).parts])
    names = {alias.asname or alias.name for node in imports for alias in node.names if node.module != package}
    return sorted(names & {path.stem for path in front.parent.glob("*.py")})


@pytest.mark.parametrize("front", sorted(SOURCE.rglob("__init__.py")), ids=lambda path: path.parent.name)
def test_no_module_hides_behind_a_name_of_its_front(front):
    assert not hidden_modules(front)


# --- files of a room ----------------------------------------------------------------------------------------------

# Methods of an expression call the way from it to its law, its moments and its linearisation, which read expressions.
ALLOWED = {"expressions": {"expression": {"linearization", "route", "word_moments"}}}


def read_files(room: Path) -> dict[str, set[str]]:
    """Of every file of a room, and of its folders, the other files that it imports when it runs, at its top or in a function."""
    home = ".".join(["freeness", *room.relative_to(SOURCE).parts]) + "."
    files = {
        ".".join(path.relative_to(room).with_suffix("").parts).removesuffix(".__init__"): path
        for path in room.rglob("*.py")
    }
    del files["__init__"]
    found: dict[str, set[str]] = {}
    for name, path in files.items():
        tree = parsed(path.read_text("utf-8"))
        typing = [n for n in ast.walk(tree) if isinstance(n, ast.If) and getattr(n.test, "id", "") == "TYPE_CHECKING"]
        unread = {id(node) for block in typing for node in ast.walk(block)}
        kept = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and id(node) not in unread]
        modules = {node.module or "" for node in kept}
        modules |= {f"{node.module}.{alias.name}" for node in kept for alias in node.names}
        found[name] = ({module.removeprefix(home) for module in modules if module.startswith(home)} & set(files)) - {
            name
        }
    return found


@pytest.mark.parametrize("room", sorted({path.parent for path in SOURCE.glob("*/__init__.py")}), ids=lambda p: p.name)
def test_files_of_a_room_do_not_read_one_another_in_circles(room):
    read = read_files(room)
    for name, ways in ALLOWED.get(room.name, {}).items():
        read[name] -= ways
    assert not circle_of(read)


# The torch room is a house of its own: each storey reads those before it.
STOREYS = ["model", "loss", "request", "record", "measured", "start", "rate", "watching", "analyzing"]
OPEN = {"operations": "record", "recipes": "start"}  # folders to which one adds files


def upward(read: dict[str, set[str]]) -> list[str]:
    """What a storey of the torch room reads of a later one."""

    def storey(name: str) -> int:
        folder = name.partition(".")[0]
        return STOREYS.index(OPEN.get(folder, folder))

    return [f"{name} reads {other}" for name in read for other in read[name] if storey(other) > storey(name)]


def test_storeys_of_the_torch_room_read_only_those_before_them():
    read = read_files(SOURCE / "torch")
    assert {name.partition(".")[0] for name in read} == {*STOREYS, *OPEN}
    assert not upward(read)
    assert upward({"model.state": {"rate.finding"}, "operations.dense": {"start.parts"}}) != []


def circle_of(read: dict[str, set[str]]) -> list[str]:
    """One circle of files; empty where there is none."""
    try:
        graphlib.TopologicalSorter(read).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


def test_a_planted_circle_is_seen():
    assert set(circle_of({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})) == {"a", "b", "c"}
    assert not circle_of({"a": {"b", "c"}, "b": {"c"}, "c": set()})


# --- what an import costs -----------------------------------------------------------------------------------------


def run_python(code: str) -> str:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


FRAMEWORKS = {"torch", "matplotlib", "plotly", "pandas", "jinja2", "pydantic", "typer", "rich", "pooch"}


def test_import_loads_no_library_at_all():
    # What it costs in seconds is measured by tests/bench_import.py: a clock in a test fails on a busy machine.
    loaded = run_python("import freeness, sys; print(*sys.modules)").split()
    assert "freeness" in loaded and not {module.split(".")[0] for module in loaded} & {*TYPED, *FRAMEWORKS}


def test_the_theory_loads_no_framework_and_no_part_of_scipy_that_it_does_not_need_yet():
    loaded = run_python("import freeness; freeness.design; import sys; print(*sys.modules)").split()
    assert {"freeness.laws", "freeness.advice", "numpy", "scipy"} <= {*loaded}
    assert not {module.split(".")[0] for module in loaded} & FRAMEWORKS
    parts = {module.split(".")[1] for module in loaded if module.startswith("scipy.")}
    assert not parts & {"optimize", "interpolate", "integrate", "fft"}
    assert not parts & {"stats", "signal", "ndimage", "cluster", "io", "datasets"}


def test_type_checkers_see_the_names_that_the_front_loads():
    import freeness

    stub = parsed((SOURCE / "__init__.pyi").read_text(encoding="utf-8"))
    seen = {(node.module, alias.name) for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    rooms = {name for module, name in seen if module == "freeness"}
    named = {(module, name) for module, name in seen if module not in {"freeness", "freeness.version"}}
    assert rooms == {room for room in ABOVE_WALL}
    assert {name for _, name in named} == {*freeness.__all__} < {*dir(freeness)}
    for module, name in named:
        assert getattr(freeness, name) is getattr(importlib.import_module(module), name)
    assert all(getattr(freeness, room).__name__ == f"freeness.{room}" for room in rooms)
    with pytest.raises(AttributeError, match="nothing"):
        freeness.nothing  # noqa: B018


# --- a file more is a thing more ----------------------------------------------------------------------------------


def test_a_file_of_a_folder_is_found_without_a_list(tmp_path, monkeypatch):
    """As a new command, answer, loss or reader is; in the order of the names."""
    package = tmp_path / "folder_of_two"
    package.mkdir()
    for name in ("__init__", "second", "first"):
        (package / f"{name}.py").write_text(f"HERE = {name!r}\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert [module.HERE for module in modules_in("folder_of_two")] == ["first", "second"]


def test_every_command_of_its_folder_is_on_the_command_line():
    written = [path for path in FILES if room_of(path) == "cli" and "COMMAND = Command(" in path.read_text("utf-8")]
    assert len(written) == len(COMMANDS) == len({(command.topic, command.place) for command in COMMANDS}) > 10
    assert [info.name for info in app.registered_commands] == [command.name for command in COMMANDS]


# --- how large things get -----------------------------------------------------------------------------------------

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST) -> list[FunctionNode]:
    return [node for node in ast.walk(tree) if isinstance(node, FunctionNode)]


def function_lines(function: FunctionNode) -> int:
    """Lines with the signature; a docstring is documentation and does not count."""
    described = function.body[:1] if ast.get_docstring(function, clean=False) is not None else []
    docstring = sum((node.end_lineno or 0) - node.lineno + 1 for node in described)
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def parameter_count(function: FunctionNode) -> int:
    """Parameters a caller may pass: self and cls are not among them."""
    spec = function.args
    named = [argument.arg for argument in (*spec.posonlyargs, *spec.args, *spec.kwonlyargs)]
    return len(named) - (named[:1] in (["self"], ["cls"])) + (spec.vararg is not None) + (spec.kwarg is not None)


def faults(source: str, path: Path) -> list[str]:
    """Everything in the file that is too large, prints outside cli, or catches without saying what."""
    tree = parsed(source)
    in_cli = room_of(path) == "cli"
    found = []
    if source.count("\n") > 600:
        found.append(f"{path}: more than 600 lines")
    for function in functions(tree):
        if function_lines(function) > 80:
            found.append(f"{path}:{function.lineno} {function.name}: {function_lines(function)} lines")
        if parameter_count(function) > 6 and not in_cli:
            found.append(f"{path}:{function.lineno} {function.name}: {parameter_count(function)} parameters")
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            found.append(f"{path}:{node.lineno}: bare except")
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print" and not in_cli:
            found.append(f"{path}:{node.lineno}: print outside cli")
    return found


def test_files_and_functions_are_small_and_only_cli_prints():
    assert not [line for path in FILES for line in faults(path.read_text(encoding="utf-8"), path)]


@pytest.mark.parametrize(
    "source",
    [
        "\n" * 601,
        "def f(\n    a,\n    b,\n):\n" + "    x = 1\n" * 77,
        "class A:\n    def f(self, a, b, c, d, e, f, g): pass",
        "def f(a, b, c, *, d, e, f, **g): pass",
        "print(1)",
        "try:\n    pass\nexcept:\n    pass",
    ],
)
def test_planted_fault_is_seen(source):
    assert faults(source, SOURCE / "laws" / "file.py")


def test_largest_allowed_things_pass():
    source = "class A:\n    def f(self, a, b, c, d, e, f):\n        '''Say\n        it.'''\n" + "        x = 1\n" * 79
    assert not faults(source + "\n" * (600 - source.count("\n")), SOURCE / "laws" / "file.py")
    assert not faults("def f(a, b, c, d, e, f, g): print(a)", SOURCE / "cli" / "file.py")


def test_cases_that_are_left_to_make_slow_are_of_tests_that_are_there():
    tests = SOURCE.parents[1] / "tests"
    listed = {line.split("[")[0] for line in (tests / "slow_cases.txt").read_text("utf-8").splitlines()}
    there = {}
    for file, function in (name.split("::") for name in sorted(listed)):
        path = tests.parent / file
        there[file] = there.get(file) or (path.read_text("utf-8") if path.is_file() else "")
        assert f"def {function}(" in there[file], f"{file}::{function} is listed, and not there"


# --- what is documented -------------------------------------------------------------------------------------------


def undocumented(name: str, value: object) -> list[str]:
    """The name, and its own public methods and properties, that have no docstring (an override inherits its own)."""
    if not (inspect.isclass(value) or inspect.isroutine(value)):
        return []  # a constant: its documentation is the line that defines it
    missing = [] if value.__doc__ else [name]
    if inspect.isclass(value):
        for member, own in vars(value).items():
            seen = getattr(value, member)
            public = not member.startswith("_") and (callable(seen) or isinstance(own, property))
            if public and not inspect.getdoc(seen):
                missing.append(f"{name}.{member}")
    return missing


def test_public_names_exist_and_are_documented():
    import freeness

    assert len(set(freeness.__all__)) == len(freeness.__all__)
    assert not [missing for name in freeness.__all__ for missing in undocumented(name, getattr(freeness, name))]


def test_no_public_function_has_the_name_of_a_room():
    import freeness

    assert not set(freeness.__all__) & set(ROOMS)


def test_planted_missing_docstring_is_seen():
    class Bare:
        def method(self):
            pass

    assert undocumented("Bare", Bare) == ["Bare", "Bare.method"]
