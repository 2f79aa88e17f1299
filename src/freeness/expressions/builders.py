"""Two ways to read the same text: as a form of free parts, for scalar moves, and as an expression, for operators."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

import numpy as np

from freeness.errors import InputError
from freeness.expressions.elements import Element
from freeness.expressions.expression import ConstantTerm, Expression, Letter, Symbol
from freeness.expressions.free_parts import FreeForm, PartProduct, constant, plus, power, times, variable
from freeness.expressions.legs import ONE_LEG, Legs, ordered

T = TypeVar("T")


class Builder(ABC, Generic[T]):
    """What the operations of the grammar build."""

    @abstractmethod
    def number(self, value: complex) -> T:
        """A number times the identity."""

    @abstractmethod
    def letter(self, name: str, element: Element, legs: Legs) -> T:
        """The variable of that name on these legs, the same one each time; without any all are free."""

    @abstractmethod
    def plus(self, left: T, right: T) -> T:
        """left + right."""

    @abstractmethod
    def times(self, left: T, right: T) -> T:
        """left · right."""

    @abstractmethod
    def power(self, base: T, exponent: T) -> T:
        """base to a number."""

    @abstractmethod
    def adjoint(self, value: T) -> T:
        """value*."""

    def negative(self, value: T) -> T:
        """-value."""
        return self.times(self.number(-1.0), value)

    def inverse(self, value: T) -> T:
        """1/value."""
        return self.power(value, self.number(-1.0))


def _shown(legs: Legs) -> str:
    return f"[{','.join(map(str, ordered(legs)))}]" if legs else ""


class FormBuilder(Builder[FreeForm]):
    """Linear forms in free parts; refuses what is none."""

    def number(self, value: complex) -> FreeForm:
        if complex(value).imag:
            raise InputError("expected real numbers for scalar moves, got an imaginary one; use the operator method.")
        return constant(complex(value).real)

    def letter(self, name: str, element: Element, legs: Legs) -> FreeForm:
        if legs:
            raise InputError(f"expected no legs for scalar moves, got {name}{_shown(legs)}; use the operator method.")
        if not element.self_adjoint:
            raise InputError(
                f"expected self-adjoint variables for scalar moves, got {element!r}; use the operator method."
            )
        return variable(name, element.law)

    def plus(self, left: FreeForm, right: FreeForm) -> FreeForm:
        return plus(left, right)

    def times(self, left: FreeForm, right: FreeForm) -> FreeForm:
        return times(left, right)

    def power(self, base: FreeForm, exponent: FreeForm) -> FreeForm:
        return power(base, exponent)

    def adjoint(self, value: FreeForm) -> FreeForm:
        if any(isinstance(part, PartProduct) for _, part in value.parts):
            raise InputError("expected no adjoint of a product for scalar moves; use the operator method.")
        return value


class ExpressionBuilder(Builder[Expression]):
    """Expressions in variables of one family."""

    def __init__(self) -> None:
        self._letters: dict[tuple[str, Legs], Letter] = {}

    def number(self, value: complex) -> Expression:
        if not np.isfinite(value):
            raise InputError(f"expected a finite number, got {value}; write a smaller one.")
        return ConstantTerm(value if complex(value).imag else complex(value).real)

    def letter(self, name: str, element: Element, legs: Legs) -> Expression:
        symbol = Symbol(name.split(" at ")[0] + _shown(legs), element, legs or ONE_LEG)
        return self._letters.setdefault((name, legs), Letter(symbol, False, frozenset()))

    def plus(self, left: Expression, right: Expression) -> Expression:
        if isinstance(left, ConstantTerm) and isinstance(right, ConstantTerm):
            return self.number(left.value + right.value)
        return left + right

    def times(self, left: Expression, right: Expression) -> Expression:
        if isinstance(left, ConstantTerm) and isinstance(right, ConstantTerm):
            return self.number(left.value * right.value)
        return left * right

    def power(self, base: Expression, exponent: Expression) -> Expression:
        if not isinstance(exponent, ConstantTerm) or complex(exponent.value).imag:
            raise InputError("expected a number as exponent, got something else; write x**2 or x*x")
        value = complex(exponent.value).real
        if isinstance(base, ConstantTerm):
            with np.errstate(all="ignore"):
                return self.number(
                    np.power(complex(base.value), value) if complex(base.value) or value >= 0 else np.inf
                )
        return base ** (int(value) if value == int(value) else value)

    def adjoint(self, value: Expression) -> Expression:
        return value.H
