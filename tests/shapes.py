"""Shapes that are written in types hold while tests run: beartype looks at what functions took and gave.

An import hook wraps the functions, dataclasses and named tuples of freeness whose annotations have a shape, and nothing else.
What else a signature says is not checked, and neither is a call that was refused: users may pass anything, and are told what is
wrong in a sentence, which tests ask for. Of a function that is called thousands of times in a process the first calls are looked
at, and one in a hundred from there on, so that tests take no longer.
"""

import ast
import functools
import importlib.machinery
import inspect
import os
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from beartype.door import die_if_unbearable
from jaxtyping import jaxtyped

SHAPED = {"Bool", "Complex", "Float", "Inexact", "Int", "Num", "Shaped"}  # names of jaxtyping that the house uses
DECORATOR = "__hold_shapes__"
FIRST, EVERY = (
    30,
    int(os.environ.get("FREENESS_SHAPES", "100")),
)  # calls that are looked at; FREENESS_SHAPES=1: all of them
CALLS: Counter[str] = Counter()  # so far, by the name of the function


def has_shape(annotation: ast.expr | None) -> bool:
    """Whether an annotation names a shape: ``Float[np.ndarray, "n n"] | None`` does."""
    nodes = [] if annotation is None else ast.walk(annotation)
    return any(isinstance(node, ast.Subscript) and getattr(node.value, "id", "") in SHAPED for node in nodes)


def statements(tree: ast.AST) -> Iterator[ast.stmt]:
    """All of them, at any depth, without a look into expressions, which are most of a tree."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.stmt):
            yield node
            yield from statements(node)


def is_shaped(node: ast.AST) -> bool:
    """Whether a function has a shape in its signature, or a class in one of its fields."""
    if isinstance(node, ast.FunctionDef):
        given = (node.args.posonlyargs, node.args.args, node.args.kwonlyargs)
        return has_shape(node.returns) or any(has_shape(one.annotation) for part in given for one in part)
    return isinstance(node, ast.ClassDef) and any(
        isinstance(field, ast.AnnAssign) and has_shape(field.annotation) for field in node.body
    )


def hold_shapes(thing: Any) -> Any:
    """A function, or the making of a record, that fails where an array is not what its type says.

    Args:
        thing: a function, a dataclass or a named tuple, before other decorators of a function and after those of a class.
    """
    if not inspect.isclass(thing):
        return _held(thing, thing, lambda given, returned: given | {"return": returned})
    if issubclass(thing, tuple):
        made = _held(thing.__new__, thing, lambda given, returned: returned._asdict())
        thing.__new__ = made  # type: ignore[method-assign]
    else:
        thing.__init__ = _held(thing.__init__, thing, lambda given, returned: vars(given["self"]))
    return thing


def _held(
    function: Callable[..., Any], thing: Any, values: Callable[[dict[str, Any], Any], dict[str, Any]]
) -> Callable[..., Any]:
    signature, name = inspect.signature(function), f"{thing.__module__}.{thing.__qualname__}"

    @functools.cache
    def hints() -> dict[str, Any]:
        given = thing.__annotations__.items()  # text, that of a named tuple in a ForwardRef
        written = {name: getattr(hint, "__forward_arg__", hint) for name, hint in given}
        shaped = {name: hint for name, hint in written.items() if has_shape(ast.parse(hint, mode="eval").body)}
        return {name: eval(hint, vars(sys.modules[thing.__module__])) for name, hint in shaped.items()}

    @functools.wraps(function)
    def held(*args: Any, **kwargs: Any) -> Any:
        returned = function(*args, **kwargs)
        CALLS[name] += 1
        if CALLS[name] > FIRST and CALLS[name] % EVERY:
            return returned
        found = values(signature.bind(*args, **kwargs).arguments, returned)
        drawn = random.getstate()  # beartype draws which part of a list it looks at
        try:
            with jaxtyped("context"):  # an axis has one length throughout
                for given, hint in hints().items():
                    if given in found:
                        die_if_unbearable(_as_array(found[given]), hint)
        finally:
            random.setstate(drawn)
        return returned

    return held


def _as_array(value: Any) -> Any:
    """Numpy gives numbers in the place of arrays without axes."""
    if type(value) is tuple:
        return tuple(map(_as_array, value))
    return np.asarray(value) if isinstance(value, np.generic) else value


class ShapedLoader(importlib.machinery.SourceFileLoader):
    """Loads a file with the decorator at whatever has a shape; its bytecode is not kept."""

    def get_code(self, fullname: str) -> Any:
        path = self.get_filename(fullname)
        source = self.get_data(path)
        if b"from jaxtyping import" not in source:
            return super().get_code(fullname)
        tree = ast.parse(source, path)
        for node in filter(is_shaped, statements(tree)):
            decorator = ast.copy_location(ast.Name(DECORATOR, ast.Load()), node)
            node.decorator_list.insert(0 if isinstance(node, ast.ClassDef) else len(node.decorator_list), decorator)
        return compile(tree, path, "exec", dont_inherit=True)

    def exec_module(self, module: Any) -> None:
        setattr(module, DECORATOR, hold_shapes)
        super().exec_module(module)


class ShapedFinder:
    """Finds the files of freeness where Python finds them, for :class:`ShapedLoader`."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        if not name.startswith("freeness."):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and type(spec.loader) is importlib.machinery.SourceFileLoader:
            spec.loader = ShapedLoader(spec.loader.name, spec.loader.path)
        return spec


def install() -> None:
    """Hold the shapes of every file that is imported from now on."""
    sys.meta_path.insert(0, ShapedFinder)
