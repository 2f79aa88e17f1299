"""Expressions in free variables, such as ``mp:0.5 + semicircle:0.1``: the grammar, read into a law.

    sum     :=  product (("+" | "-") product)*
    product :=  signed ("*" signed)*
    signed  :=  ("+" | "-")* power
    power   :=  operand ["**" signed]
    operand :=  NUMBER | NAME | LAW | "(" sum ")"

Nothing is evaluated as Python. What the operations mean is in :mod:`freeness.calculus.polynomial`.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import numpy as np

from freeness.calculus.affine import AffineLaw
from freeness.calculus.polynomial import Form, constant, plus, power, times, variable
from freeness.errors import InputError
from freeness.laws.arcsine import Arcsine
from freeness.laws.atomic import AtomicLaw
from freeness.laws.atoms import Atoms, Empirical, simplify
from freeness.laws.bernoulli import Bernoulli
from freeness.laws.curve_law import CurveLaw
from freeness.laws.fuss_catalan import FussCatalan
from freeness.laws.kesten_mckay import KestenMcKay
from freeness.laws.law import Law
from freeness.laws.marchenko_pastur import MarchenkoPastur
from freeness.laws.point_mass import PointMass, Projection
from freeness.laws.semicircle import Semicircle
from freeness.laws.uniform import Uniform
from freeness.laws.wachter import Wachter

_NESTED = 60  # so many brackets, or powers of powers, may stand inside each other
_LONG = 10_000  # characters
_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_TOKEN = re.compile(
    rf"""\s*(?:
      (?P<empirical>empirical\s*:\s*(?:'(?P<single>[^']*)'|"(?P<double>[^"]*)"|(?P<plain>[^\s()'"]+)))
    | (?P<law>[A-Za-z_]\w*)\s*:\s*(?P<parameters>[+-]?{_NUMBER}(?:\s*[,@]\s*[+-]?{_NUMBER})*)
    | (?P<name>[A-Za-z_]\w*)(?P<colon>\s*:)?
    | (?P<number>{_NUMBER})
    | (?P<operator>\*\*|[-+*()])
    | (?P<other>\S)
    | (?P<end>$)
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class ParsedLaw:
    """What an expression means: its law, sentences on how it was read, and its form (to sample matrices of)."""

    law: Law
    notes: tuple[str, ...]
    form: Form


@dataclass(frozen=True)
class _Inline:
    """An inline law: how it is written, how many numbers it takes, what makes it of them."""

    usage: str
    least: int
    most: int
    make: Callable[..., Law]


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
}
_SPECIAL = {"atoms": "atoms:X@WEIGHT,X@WEIGHT,…", "empirical": "empirical:FILE"}
_USAGES = {name: inline.usage for name, inline in _INLINE.items()} | _SPECIAL


def parse_law(text: str, variables: Mapping[str, Law] | None = None) -> ParsedLaw:
    """Read an expression in free variables.

    Every inline law is a fresh free variable, so ``mp:1 + mp:1`` is a free sum; a name of ``variables`` is one variable,
    so ``x + x`` is 2x. Numbers are scalars. A product of non-negative laws is read as X^{1/2} Y X^{1/2}, and a note says
    so; what is not self-adjoint otherwise is refused, and so are polynomials of degree > 1 in which a variable comes
    twice.

    Args:
        text: the expression: ``+``, ``-``, ``*``, ``**`` with a number, brackets, numbers, names, and the laws
            semicircle:VARIANCE, mp:RATIO, projection:TRACE, bernoulli, arcsine, uniform:LOW,HIGH, point:X,
            atoms:X@WEIGHT,…, empirical:FILE (eigenvalues as .npy or text), fuss_catalan:ORDER, kesten_mckay:DEGREE,
            wachter:FIRST,SECOND.
        variables: laws by name.

    Raises:
        InputError: the text is no such expression; the message says at which column.

    Example:
        >>> parse_law("2*mp:0.5 + semicircle:0.1 - 1").law.mean
        1.0
        >>> parse_law("x + x", {"x": Semicircle(1.0)}).law.variance, parse_law("semicircle + semicircle").law.variance
        (4.0, 2.0)
        >>> parse_law("mp:1 * projection:0.3").notes
        ('X*Y with a non-negative X is read as X^{1/2} Y X^{1/2}, which has the same spectrum.',)
    """
    bound = dict(variables or {})
    for name in bound:
        if not name.isidentifier() or name in _USAGES:
            raise InputError(f"expected names of variables that are no names of laws, got {name!r}; use x, y or z.")
    parser = _Parser(text, bound)
    form = parser.whole()
    notes = [*form.notes(), *parser.notes()]
    return ParsedLaw(_law_of(form), tuple(dict.fromkeys(notes)), form)


def _law_of(form: Form) -> Law:
    """The law of a whole expression; a symmetric one is shifted from outside, as its curve knows only one quadrant."""
    centred = replace(form, constant=0.0).law()
    return (
        AffineLaw(centred, 1.0, form.constant)
        if form.constant and centred.symmetric and isinstance(centred, CurveLaw)
        else form.law()
    )


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


class _Parser:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, text: str, variables: Mapping[str, Law]) -> None:
        self._tokens, self._variables = _tokens(text), variables
        self._place = self._depth = 0
        self._seen: list[str] = []
        self._used: set[str] = set()

    def whole(self) -> Form:
        """The whole text as one sum."""
        form = self._sum()
        if self._now.kind != "end":
            self._fail("an operator (+, -, *, **) or the end")
        return form

    def notes(self) -> list[str]:
        """On fresh and unused variables."""
        twice = [text for text in dict.fromkeys(self._seen) if self._seen.count(text) > 1]
        unused = [name for name in self._variables if name not in self._used]
        return [
            *(f"Each {text} is a free variable of its own; bind a name to use one twice." for text in twice),
            *(f"{name} is bound but not used." for name in unused),
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

    def _sum(self) -> Form:
        form = self._product()
        while token := self._take("+", "-"):
            other = self._product()
            with _at(token):
                form = plus(form, other if token.text == "+" else other.scaled(-1.0))
        return form

    def _product(self) -> Form:
        form = self._signed()
        while token := self._take("*"):
            other = self._signed()
            with _at(token):
                form = times(form, other)
        return form

    def _signed(self) -> Form:
        sign = 1.0
        while token := self._take("+", "-"):
            sign = sign if token.text == "+" else -sign
        return self._power().scaled(sign)

    def _power(self) -> Form:
        base = self._operand()
        if token := self._take("**"):
            exponent = self._deeper(self._signed)
            with _at(token):
                return power(base, exponent)
        return base

    def _operand(self) -> Form:
        token = self._now
        if self._take("("):
            inside = self._deeper(self._sum)
            if not self._take(")"):
                self._fail(f'a ")" for the "(" of column {token.column}')
            return inside
        if token.kind == "number":
            self._place += 1
            with _at(token):
                return constant(float(token.text))
        if token.kind == "name" and token.text in self._variables:
            self._place += 1
            self._used.add(token.text)
            return variable(token.text, self._variables[token.text])
        if token.kind not in ("name", "law", "empirical"):
            self._fail('a law, a number or "("')
        return self._inline(token)

    def _inline(self, token: _Token) -> Form:
        with _at(token):
            law = self._law(token)
        self._place += 1
        self._seen += [] if isinstance(law, PointMass) else [token.text]
        return variable(f"{token.text} at column {token.column}", law)

    def _law(self, token: _Token) -> Law:
        if token.kind == "empirical":
            path = next(token.match[kind] for kind in ("single", "double", "plain") if token.match[kind] is not None)
            return _read_eigenvalues(Path(path))
        name = token.match["law"] or token.match["name"]
        if name not in _USAGES:
            known = f"use {', '.join(_INLINE)}, atoms or empirical"
            self._fail("a law or a bound name", f"bind it by --{name} LAW" if name in ("x", "y", "z") else known)
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

    def _deeper(self, rule: Callable[[], Form]) -> Form:
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
    "/": "write 0.5*x for x/2, and mp:0.5 for mp:1/2",
    "@": "write atoms as atoms:0@0.5,1@0.5",
    "": "complete the expression",
}


@contextmanager
def _at(token: _Token) -> Iterator[None]:
    """Say in errors of the block where in the text they come from."""
    try:
        yield
    except InputError as error:
        message = str(error).removesuffix(".")
        raise InputError(message + ("" if " at column " in message else f" (at column {token.column})") + ".") from None


def _read_eigenvalues(path: Path) -> AtomicLaw:
    """The empirical law of a file of eigenvalues, .npy or text."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of numpy, on empty files
            values = np.load(path, allow_pickle=False) if path.suffix == ".npy" else np.loadtxt(path, ndmin=1)
    except OSError as error:
        reason = error.strerror or "not readable"
        raise InputError(f"expected a file of eigenvalues, got {str(path)!r} ({reason}); check the path") from error
    except (ValueError, EOFError) as error:
        raise InputError(
            f"expected numbers in {str(path)!r}, got something else; write one eigenvalue a line, or a .npy array"
        ) from error
    if (
        not isinstance(values, np.ndarray)
        or values.dtype.kind not in "fiu"
        or values.size != max(values.shape, default=0)
    ):
        raise InputError(
            f"expected a list of real eigenvalues in {str(path)!r}, got shape {np.shape(values)}; "
            "store the eigenvalues of a matrix, not the matrix"
        )
    return Empirical(values)
