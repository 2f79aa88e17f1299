"""Expressions in free variables, such as ``x*y + y*x`` or ``mp:0.5 + semicircle:0.1``: the grammar, read into a law.

    sum     :=  product (("+" | "-") product)*
    product :=  signed (("*" | "/") signed)*
    signed  :=  ("+" | "-")* power
    power   :=  operand ["**" signed]
    operand :=  NUMBER | NUMBER"i" | "i" | NAME [legs] | LAW [legs] | FUNCTION "(" sum ("," sum)* ")" | "(" sum ")"
    legs    :=  "[" leg ("," leg)* "]"    with a leg a whole number or a word

Nothing is evaluated as Python. The same text is read as a form of free parts (:mod:`freeness.expressions.free_parts`), or,
where it is none, as an expression (:mod:`freeness.expressions.expression`).
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, NoReturn, TypeVar

import numpy as np

from freeness.errors import InputError
from freeness.expressions.builders import Builder, ExpressionBuilder, FormBuilder
from freeness.expressions.elements import Circular, Element, HaarUnitary, SelfAdjoint
from freeness.expressions.expression import Expression, Letter, Method
from freeness.expressions.free_parts import FreeForm
from freeness.expressions.legs import Leg, Legs
from freeness.expressions.route import SCALAR_REASON, law_of
from freeness.files import mapped_array, ordinary_file
from freeness.laws import (
    Arcsine,
    AtomicLaw,
    Atoms,
    Bernoulli,
    Empirical,
    FussCatalan,
    KestenMcKay,
    Law,
    MarchenkoPastur,
    PointMass,
    Projection,
    Semicircle,
    Uniform,
    Wachter,
    simplify,
)

_NESTED = 60  # so many brackets, or powers of powers, may stand inside each other
_LONG = 10_000  # characters
_PARTS = 100  # laws, numbers and names: a product of so many laws takes seconds
_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_TOKEN = re.compile(
    rf"""\s*(?:
      (?P<empirical>empirical\s*:\s*(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)"|(?P<plain>[^\s()'"]+)))
    | (?P<law>[A-Za-z_]\w*)\s*:\s*(?P<parameters>[+-]?{_NUMBER}(?:\s*[,@]\s*[+-]?{_NUMBER})*)
    | (?P<name>[A-Za-z_]\w*)(?P<colon>\s*:)?
    | (?P<number>{_NUMBER})(?P<unit>[ij](?!\w))?
    | (?P<operator>\*\*|[-+*/(),\[\]])
    | (?P<other>\S)
    | (?P<end>$)
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class ParsedLaw:
    """What a text means: its law, sentences on how it was read, what was read (to sample matrices of), and the way taken.

    ``method`` is "scalar" or "operator"; ``reason`` says it in a sentence.
    """

    law: Law
    notes: tuple[str, ...]
    meaning: FreeForm | Expression
    method: Method
    reason: str


@dataclass(frozen=True)
class _Inline:
    """An inline law: how it is written, how many numbers it takes, what makes it of them."""

    usage: str
    least: int
    most: int
    make: Callable[..., Law | Element]


_INLINE = {
    "semicircle": _Inline("semicircle:VARIANCE", 0, 1, Semicircle),
    "mp": _Inline("mp:RATIO", 1, 1, MarchenkoPastur),
    "projection": _Inline("projection:TRACE", 1, 1, Projection),
    "bernoulli": _Inline("bernoulli:HEIGHT", 0, 1, Bernoulli),
    "arcsine": _Inline("arcsine:RADIUS", 0, 1, Arcsine),
    "uniform": _Inline("uniform:LOW,HIGH", 2, 2, Uniform),
    "point": _Inline("point:POSITION", 1, 1, PointMass),
    "fuss_catalan": _Inline("fuss_catalan:ORDER", 1, 1, FussCatalan),
    "kesten_mckay": _Inline("kesten_mckay:DEGREE", 1, 1, KestenMcKay),
    "wachter": _Inline("wachter:FIRST,SECOND", 2, 2, Wachter),
    "haar": _Inline("haar", 0, 0, HaarUnitary),
    "circular": _Inline("circular:VARIANCE", 0, 1, Circular),
}
_FUNCTIONS = {"adjoint": 1, "inverse": 1, "commutator": 2, "anticommutator": 2}
_IMAGINARY = "i"
_SPECIAL = {"atoms": "atoms:X@WEIGHT,X@WEIGHT,…", "empirical": "empirical:FILE"}
_RESERVED = {*_INLINE, *_SPECIAL, *_FUNCTIONS, _IMAGINARY}
_USAGES = {name: inline.usage for name, inline in _INLINE.items()} | _SPECIAL


def parse_law(text: str, variables: Mapping[str, Law | Element] | None = None, method: Method = "auto") -> ParsedLaw:
    """Read an expression in free variables.

    ``x[0]`` is x on leg 0 of a tensor, ``x[0,1]`` on two: those that share a leg are free, others commute, so
    ``mp:1[0] + mp:1[1]`` is a classical sum. A name on other legs is an independent copy.

    Every inline law is a fresh free variable, so ``mp:1 + mp:1`` is a free sum; a name of ``variables`` is one variable,
    so ``x + x`` is 2x. Numbers are scalars, ``i`` is the imaginary unit. A product of non-negative laws is read as
    X^{1/2} Y X^{1/2}, and a note says so; what is not self-adjoint otherwise is refused.

    Args:
        text: the expression: ``+``, ``-``, ``*``, ``/``, ``**`` with a number, brackets, numbers, names, adjoint(p),
            inverse(p), commutator(p, q), anticommutator(p, q), the laws semicircle:VARIANCE, mp:RATIO, projection:TRACE,
            bernoulli, arcsine, uniform:LOW,HIGH, point:X, atoms:X@WEIGHT,…, empirical:FILE (eigenvalues as .npy or text),
            fuss_catalan:ORDER, kesten_mckay:DEGREE, wachter:FIRST,SECOND, and the elements haar, circular:VARIANCE.
        variables: laws or elements by name.
        method: "scalar", "operator" or "auto", as for :func:`~freeness.expressions.route.law_of`.

    Raises:
        InputError: the text is no such expression; the message says at which column.

    Example:
        >>> parse_law("2*mp:0.5 + semicircle:0.1 - 1").law.mean
        1.0
        >>> parse_law("x + x", {"x": Semicircle(1.0)}).law.variance, parse_law("semicircle + semicircle").law.variance
        (4.0, 2.0)
        >>> parse_law("mp:1 * projection:0.3").notes
        ('X*Y with a non-negative X is read as X^{1/2} Y X^{1/2}, which has the same spectrum.',)
        >>> parse_law("x*y + y*x", {"x": Semicircle(), "y": MarchenkoPastur(1.0)}).reason
        'Computed by matrix-valued subordination on a 3×3 linearisation.'
        >>> round(parse_law("x[0] + x[1]", {"x": Semicircle()}).law.moment(4), 9)  # A⊗1 + 1⊗B; 8 if they were free
        10.0
    """
    bound = dict(variables or {})
    for name in bound:
        if not name.isidentifier() or name in _RESERVED:
            what = (
                "the imaginary unit" if name == _IMAGINARY else "a law or function" if name in _RESERVED else "no name"
            )
            raise InputError(
                f"expected names of variables such as x or p, got {name!r}, which is {what}; choose another one."
            )
    refusal = None
    if method != "operator":
        try:
            return _scalar(text, bound)
        except InputError as error:
            if method == "scalar":
                raise
            refusal = error
    parser = _Parser(text, bound, ExpressionBuilder())
    expression = parser.whole()
    if not expression.is_self_adjoint:
        if refusal is not None and "not self-adjoint" in str(refusal):
            raise refusal
        raise InputError(
            f"expected a self-adjoint expression, got {expression!r}; write p + adjoint(p), or adjoint(p)*p for the squared "
            "singular values."
        )
    routed = law_of(expression, method)
    return ParsedLaw(routed.law, tuple(parser.notes()), expression, routed.method, routed.reason)


def parse_variable(text: str) -> ParsedLaw | Element:
    """What a variable is bound to: the law of an expression, or an element that is not self-adjoint.

    Args:
        text: an expression, ``haar`` or ``circular:VARIANCE``.

    Example:
        >>> parse_variable("haar")
        HaarUnitary()
    """
    read = _Parser(text, {}, ExpressionBuilder()).whole()
    if isinstance(read, Letter) and not isinstance(read.symbol.element, SelfAdjoint):
        return read.symbol.element
    return parse_law(text)


def _scalar(text: str, bound: Mapping[str, Law | Element]) -> ParsedLaw:
    """The text read as a form of free parts."""
    parser = _Parser(text, bound, FormBuilder())
    form = parser.whole()
    notes = tuple(dict.fromkeys([*form.notes(), *parser.notes()]))
    return ParsedLaw(form.whole_law(), notes, form, "scalar", SCALAR_REASON)


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    column: int
    match: re.Match[str]


def _tokens(text: str) -> list[_Token]:
    if len(text) > _LONG:
        raise InputError(f"expected an expression of at most {_LONG} characters, got {len(text)}; bind parts by name.")
    found: list[_Token] = []
    at = 0
    while not found or found[-1].kind != "end":
        match = _TOKEN.match(text, at)
        assert match is not None and match.lastgroup is not None  # "other" and "end" take what is left
        kind = next(kind for kind in _KINDS if match[kind] is not None)
        found.append(_Token(kind, match[0].strip(), match.start(kind) + 1, match))
        at = match.end()
    return found


_KINDS = ("empirical", "law", "name", "number", "operator", "other", "end")


T = TypeVar("T")


class _Parser(Generic[T]):
    """Recursive descent over the tokens of one expression; what it builds is up to the reading."""

    def __init__(self, text: str, variables: Mapping[str, Law | Element], reading: Builder[T]) -> None:
        self._tokens, self._variables, self._reading = _tokens(text), variables, reading
        self._place = self._depth = self._parts = 0
        self._seen: list[str] = []
        self._on: dict[str, list[Legs]] = {}  # the legs with which each name and law comes
        self._used: set[str] = set()

    def whole(self) -> T:
        """The whole text as one sum."""
        form = self._sum()
        if self._now.kind != "end":
            self._fail("an operator (+, -, *, /, **) or the end")
        with_legs = [(name, bool(own)) for name, places in self._on.items() for own in places]
        if len({given for _, given in with_legs}) > 1:
            bare = next(name for name, given in with_legs if not given)
            raise InputError(
                f"expected legs for all variables or for none, got {bare} without; write for instance {bare}[0], or "
                f"{bare}[0,1] for one that is free from those on both."
            )
        return form

    def notes(self) -> list[str]:
        """On fresh and unused variables."""
        twice = [text for text in dict.fromkeys(self._seen) if self._seen.count(text) > 1]
        unused = [name for name in self._variables if name not in self._used]
        return [
            *(f"Each {text} is a free variable of its own; bind a name to use one twice." for text in twice),
            *(f"{name} is bound but not used." for name in unused),
            *(
                f"{name} comes on different legs: as independent copies with its law."
                for name, places in self._on.items()
                if name in self._variables and len(set(places)) > 1
            ),
        ]

    @property
    def _now(self) -> _Token:
        return self._tokens[self._place]

    def _take(self, *operators: str) -> _Token | None:
        """The current token if it is one of the operators; then the next becomes current."""
        token = self._now
        if token.kind != "operator" or token.text not in operators:
            return None
        self._place += 1
        return token

    def _sum(self) -> T:
        form = self._product()
        while token := self._take("+", "-"):
            other = self._product()
            with _at(token):
                form = self._reading.plus(form, other if token.text == "+" else self._reading.negative(other))
        return form

    def _product(self) -> T:
        form = self._signed()
        while token := self._take("*", "/"):
            self._refuse_fraction(token)
            other = self._signed()
            with _at(token):
                form = self._reading.times(form, other if token.text == "*" else self._reading.inverse(other))
        return form

    def _refuse_fraction(self, token: _Token) -> None:
        """``mp:1/2`` would be half of mp:1, and is meant as mp:0.5."""
        before = self._tokens[self._place - 2]
        if token.text == "/" and before.kind == "law" and token.column == before.column + len(before.text):
            self._place -= 1
            self._fail("a number as parameter", "write mp:0.5 for mp:1/2, and (mp:1)/2 for half of mp:1")

    def _signed(self) -> T:
        negative = False
        while token := self._take("+", "-"):
            negative ^= token.text == "-"
        form = self._power()
        return self._reading.negative(form) if negative else form

    def _power(self) -> T:
        base = self._operand()
        if token := self._take("**"):
            exponent = self._deeper(self._signed)
            with _at(token):
                return self._reading.power(base, exponent)
        return base

    def _operand(self) -> T:
        token = self._now
        self._parts += token.kind != "operator"
        if self._parts > _PARTS:
            self._fail(f"at most {_PARTS} laws, numbers and names", "bind parts of the expression to names")
        if self._take("("):
            return self._closed(token, 1)[0]
        if token.kind == "number":
            self._place += 1
            with _at(token):
                value = float(token.match["number"])
                return self._reading.number(complex(0, value) if token.match["unit"] else value)
        if token.kind == "name" and token.text in self._variables:
            self._place += 1
            self._used.add(token.text)
            with _at(token):
                return self._letter(token.text, self._variables[token.text], self._legs(token.text))
        if token.kind == "name" and token.text == _IMAGINARY:
            self._place += 1
            with _at(token):
                return self._reading.number(1j)
        if token.kind == "name" and token.text in _FUNCTIONS:
            return self._call(token)
        if token.kind not in ("name", "law", "empirical"):
            self._fail('a law, a number or "("')
        with _at(token):
            law = self._law(token)
            self._place += 1
            self._seen += [] if isinstance(law, PointMass) else [token.text]
            return self._letter(f"{token.text} at column {token.column}", law, self._legs(token.text))

    def _letter(self, name: str, value: Law | Element, legs: Legs) -> T:
        return self._reading.letter(name, SelfAdjoint(value) if isinstance(value, Law) else value, legs)

    def _legs(self, name: str) -> Legs:
        """The legs that stand in brackets behind a name or law, none without them."""
        found: list[Leg] = []
        opening = self._now
        while self._take(*("," if found else "[")):
            token = self._now
            if token.kind not in ("name", "number") or not token.text.isalnum():
                self._fail("a leg, a whole number or a word,")
            self._place += 1
            found.append(int(token.text) if token.text.isdecimal() else token.text)
        if found and not self._take("]"):
            self._fail(f'a "]" for the "[" of column {opening.column}')
        self._on.setdefault(name, []).append(frozenset(found))
        return frozenset(found)

    def _call(self, token: _Token) -> T:
        self._place += 1
        opening = self._now
        if not self._take("("):
            self._fail(f'"(" after {token.text}')
        arguments = self._closed(opening, _FUNCTIONS[token.text])
        read = self._reading
        with _at(token):
            if token.text == "inverse":
                return read.inverse(arguments[0])
            if token.text == "adjoint":
                return read.adjoint(arguments[0])
            first, second = arguments
            other = read.times(second, first)
            return read.plus(read.times(first, second), read.negative(other) if token.text == "commutator" else other)

    def _closed(self, opening: _Token, count: int) -> list[T]:
        """``count`` sums, separated by commas, up to the closing bracket."""
        found = [self._deeper(self._sum)]
        for _ in range(count - 1):
            if not self._take(","):
                self._fail('a "," and a second expression')
            found.append(self._deeper(self._sum))
        if not self._take(")"):
            self._fail(f'a ")" for the "(" of column {opening.column}')
        return found

    def _law(self, token: _Token) -> Law | Element:
        if token.kind == "empirical":
            path = next(token.match[kind] for kind in ("single", "double", "plain") if token.match[kind] is not None)
            return _read_eigenvalues(Path(path))
        name = token.match["law"] or token.match["name"]
        if name not in _USAGES:
            names = f"bound are {', '.join(self._variables)}" if self._variables else "no name is bound"
            known = f"laws are {', '.join(_INLINE)}, atoms and empirical"
            bind = f"bind it by --{name} LAW, " if name in ("x", "y", "z") else ""
            self._fail("a law or a bound name", f"{bind}{names}, {known}")
        parameters = (token.match["parameters"] or "").replace(" ", "")
        pairs = re.findall(rf"([+-]?{_NUMBER})@([+-]?{_NUMBER})(?:,|$)", parameters)
        if name == "atoms" and pairs and ",".join("@".join(pair) for pair in pairs) == parameters:
            return simplify(Atoms(*np.array(pairs, dtype=float).T))
        numbers = [float(part) for part in parameters.split(",")] if parameters and "@" not in parameters else []
        inline = _INLINE.get(name)
        missing = token.match["colon"] or ("@" in parameters)
        if inline is None or missing or not inline.least <= len(numbers) <= inline.most:
            self._fail(_USAGES[name], "write its parameters as numbers, without spaces")
        return inline.make(*numbers)

    def _deeper(self, rule: Callable[[], T]) -> T:
        self._depth += 1
        if self._depth > _NESTED:
            self._fail(f"at most {_NESTED} brackets inside each other", "bind an inner part to a name")
        form = rule()
        self._depth -= 1
        return form

    def _fail(self, expected: str, remedy: str = "") -> NoReturn:
        token = self._now
        got = "the end" if token.kind == "end" else f'"{token.text}"'
        hint = remedy or _HINTS.get(token.text, "correct it there")
        raise InputError(f"expected {expected} at column {token.column}, got {got}; {hint}.")


_HINTS = {
    "^": "write ** for a power",
    "@": "write atoms as atoms:0@0.5,1@0.5",
    "[": "legs come right behind a name or a law, as in x[0]",
    "": "complete the expression",
}


@contextmanager
def _at(token: _Token) -> Generator[None, None, None]:
    """Say in errors of the block where in the text they come from."""
    try:
        yield
    except InputError as error:
        message = str(error).removesuffix(".")
        raise InputError(message + ("" if " at column " in message else f" (at column {token.column})") + ".") from None


def _read_eigenvalues(path: Path) -> AtomicLaw:
    """The empirical law of a file of eigenvalues, .npy or text."""
    file = ordinary_file(path, "a file of eigenvalues")
    try:
        with warnings.catch_warnings(action="ignore"):  # of numpy, on empty lines
            values = np.array(mapped_array(file)) if path.suffix == ".npy" else np.loadtxt(file, ndmin=1)
    except InputError:
        raise
    except OSError as error:
        reason = error.strerror or "not readable"
        raise InputError(f"expected a file of eigenvalues, got {str(path)!r} ({reason}); check the path") from error
    except (ValueError, EOFError) as error:
        raise InputError(
            f"expected numbers in {str(path)!r}, got something else; write one eigenvalue a line, or a .npy array"
        ) from error
    if values.dtype.kind not in "fiu" or values.size != max(values.shape, default=0):
        raise InputError(
            f"expected a list of real eigenvalues in {str(path)!r}, got shape {np.shape(values)}; "
            "store the eigenvalues of a matrix, not the matrix"
        )
    return Empirical(values)
