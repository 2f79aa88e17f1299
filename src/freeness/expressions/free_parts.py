"""What expressions in free variables mean: linear forms in free parts, each a variable, a power or a product."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import reduce

import numpy as np

from freeness.errors import InputError
from freeness.laws import AtomicLaw, Atoms, CurveLaw, Law, PointMass, PolynomialLaw, Square, inverse, simplify
from freeness.moves import AffineLaw, free_product, free_sum, mirror, scale, shift, symmetric_square

_TWO = "X*Y with a non-negative X is read as X^{1/2} Y X^{1/2}, which has the same spectrum."
_MANY = (
    "A product of {} laws is read as its self-adjoint form, X^{{1/2}} Y X^{{1/2}} step by step. It has the same moments, "
    "while the plain matrix product of more than two factors may have complex eigenvalues."
)


class Part(ABC):
    """Something that a linear form is made of; parts of one form are free from each other."""

    @property
    @abstractmethod
    def law(self) -> Law:
        """Its law."""

    @property
    @abstractmethod
    def names(self) -> frozenset[str]:
        """The variables in it."""


@dataclass(frozen=True)
class Variable(Part):
    """A free variable, known by its name."""

    name: str
    own: Law = field(compare=False)

    @property
    def law(self) -> Law:
        return self.own

    @property
    def names(self) -> frozenset[str]:
        return frozenset([self.name])


@dataclass(frozen=True)
class FreeForm:
    """constant + Σ coefficient·part, with free parts."""

    parts: tuple[tuple[float, Part], ...]
    constant: float = 0.0

    @property
    def names(self) -> frozenset[str]:
        """The variables in it."""
        return frozenset[str]().union(*(part.names for _, part in self.parts))

    def scaled(self, factor: float) -> FreeForm:
        """The form times a number."""
        with np.errstate(over="ignore"):
            numbers = factor * np.array([self.constant, *(coefficient for coefficient, _ in self.parts)])
        if not np.isfinite(numbers).all():
            raise InputError("expected finite coefficients, got one beyond 1e308; write smaller numbers")
        parts = tuple(
            (float(number), part) for number, (_, part) in zip(numbers[1:], self.parts, strict=True) if number
        )
        return FreeForm(parts, float(numbers[0]))

    def law(self) -> Law:
        """Its law: the free sum of the scaled parts, shifted."""
        if not self.parts:
            return PointMass(self.constant)
        laws = [scale(part.law, coefficient) for coefficient, part in self.parts]
        return shift(free_sum(*laws), self.constant)

    def whole_law(self) -> Law:
        """Its law where nothing follows; a symmetric one is shifted from outside, as its curve knows only one quadrant."""
        centred = replace(self, constant=0.0).law()
        apart = self.constant and centred.symmetric and isinstance(centred, CurveLaw)
        return AffineLaw(centred, 1.0, self.constant) if apart else self.law()

    def notes(self) -> list[str]:
        """Sentences on products that are read as self-adjoint ones."""
        found: list[str] = []
        for _, part in self.parts:
            if isinstance(part, PartProduct):
                found += [_TWO if len(part.factors) == 2 else _MANY.format(len(part.factors))]
                found += [note for factor in part.factors for note in factor.notes()]
            elif isinstance(part, Power):
                found += part.base.notes()
        return found


@dataclass(frozen=True)
class Power(Part):
    """A power of one self-adjoint form: any of finitely many atoms, 2ᵏ of any law, -1 of a law without 0 in its support."""

    base: FreeForm
    exponent: float

    @property
    def law(self) -> Law:
        law = self.base.law()
        if isinstance(law, AtomicLaw):
            return simplify(Atoms(_real_power(law.positions, self.exponent), law.masses))
        exponent = abs(self.exponent)
        if exponent < 1 or np.log2(exponent) != int(np.log2(exponent)):
            raise InputError(
                f"expected an exponent ±1, ±2, ±4, … of a law that is not atomic, got {law!r} to the {self.exponent:g}; "
                "use the operator method."
            )
        base = law if self.exponent > 0 else inverse(law)
        return reduce(lambda inner, _: _square(inner), range(int(np.log2(exponent))), base)

    @property
    def names(self) -> frozenset[str]:
        return self.base.names


@dataclass(frozen=True)
class PolynomialOf(Part):
    """A polynomial of degree ≥ 2 in one variable, with last coefficient 1."""

    variable: Variable
    coefficients: tuple[float, ...]

    @property
    def law(self) -> Law:
        own = self.variable.law
        if isinstance(own, AtomicLaw):
            return simplify(Atoms(np.polynomial.Polynomial(self.coefficients)(own.positions), own.masses))
        return PolynomialLaw(own, self.coefficients)

    @property
    def names(self) -> frozenset[str]:
        return self.variable.names


@dataclass(frozen=True)
class Sandwich(Part):
    """A·M·A with M free from A, which has the law of A² ⊠ M."""

    outer: FreeForm
    inner: FreeForm

    @property
    def law(self) -> Law:
        laws = [_square(self.outer.law()), self.inner.law()]
        if not (is_nonnegative(laws[1]) or laws[1].symmetric):
            raise InputError(
                f"expected a non-negative or symmetric law between the factors of a product, got {laws[1]!r}; use the operator "
                "method."
            )
        return free_product(*laws)

    @property
    def names(self) -> frozenset[str]:
        return self.outer.names | self.inner.names


@dataclass(frozen=True)
class PartProduct(Part):
    """The product of free forms: all non-negative, or one of them symmetric about 0."""

    factors: tuple[FreeForm, ...]

    @property
    def law(self) -> Law:
        laws = [factor.law() for factor in self.factors]
        two_sided = [law for law in laws if not is_nonnegative(law)]
        if len(two_sided) > 1 or not all(law.symmetric for law in two_sided):
            raise InputError(
                f"expected a product of non-negative laws, of which one may be symmetric about 0, got {two_sided[-1]!r} "
                f"on [{two_sided[-1].hull[0]:.4g}, {two_sided[-1].hull[1]:.4g}]; a product of laws with both signs is "
                "not self-adjoint"
            )
        return free_product(*laws)

    @property
    def names(self) -> frozenset[str]:
        return frozenset[str]().union(*(factor.names for factor in self.factors))


def _square(law: Law) -> Law:
    """The law of X²."""
    if isinstance(law, AtomicLaw):
        return simplify(Atoms(law.positions**2, law.masses))
    return symmetric_square(law) if law.symmetric else Square(law)


def is_nonnegative(law: Law) -> bool:
    """Whether the law lies on [0, ∞)."""
    return law.lower_bound >= 0 or law.hull[0] >= 0


def constant(value: float) -> FreeForm:
    """A number times the identity."""
    if not np.isfinite(value):
        raise InputError(f"expected a finite number, got {value}; write a smaller one.")
    return FreeForm((), float(value))


def variable(name: str, law: Law) -> FreeForm:
    """A free variable; a point mass is the number that it is."""
    return FreeForm((), law.position) if isinstance(law, PointMass) else FreeForm(((1.0, Variable(name, law)),))


def polynomial(name: str, law: Law, coefficients: Sequence[float]) -> FreeForm:
    """Σ coefficients[k]·Xᵏ of one variable; squares of symmetric ones stay moves of their curve."""
    start, *rest = coefficients
    base = variable(name, law)
    if not base.parts:
        return constant(float(np.polynomial.Polynomial(coefficients)(base.constant)))
    last = rest[-1]
    scaled = tuple(value / last for value in rest)
    if len(rest) == 1:
        part: Part = Variable(name, law)
    elif len(rest) == 2 and rest[0] == 0 and law.symmetric:
        part = Power(base, 2.0)
    else:
        part = PolynomialOf(Variable(name, law), (0.0, *scaled))
    return FreeForm(((float(last), part),), float(start))


def plus(left: FreeForm, right: FreeForm) -> FreeForm:
    """left + right."""
    merged: dict[Part, float] = {}
    for coefficient, part in (*left.parts, *right.parts):
        merged[part] = merged.get(part, 0.0) + coefficient
    form = FreeForm(
        tuple((coefficient, part) for part, coefficient in merged.items() if coefficient),
        constant(left.constant + right.constant).constant,
    )
    if len(form.parts) > 1 and any(isinstance(part, PartProduct) for _, part in form.parts):
        raise InputError(
            "expected self-adjoint terms in a sum, got a product, and X*Y is not self-adjoint; "
            "bind the product to a name to add its self-adjoint form X^{1/2} Y X^{1/2}"
        )
    counts = Counter(name for _, part in form.parts for name in part.names)
    for name, count in sorted(counts.items()):
        if count > 1:
            raise _joint(name)
    return form


def times(left: FreeForm, right: FreeForm) -> FreeForm:
    """left · right.

    Raises:
        InputError: the factors are neither free nor multiples of each other, or their product is not self-adjoint.
    """
    for number, form in ((left, right), (right, left)):
        if not number.parts:
            return form.scaled(number.constant)
    a, left = _pulled(left)
    b, right = _pulled(right)
    if left == right:
        return power(left, constant(2.0)).scaled(a * b)
    shared = sorted(left.names & right.names)
    if shared:
        raise _joint(shared[0])
    product = PartProduct((*_factors(left), *_factors(right)))
    _ = product.law  # refuses here, where the position is known
    return FreeForm(((a * b, product),))


def sandwich(outer: FreeForm, inner: FreeForm) -> FreeForm:
    """outer · inner · outer.

    Raises:
        InputError: the two are not free, or the inner law has both signs.
    """
    if not outer.parts:
        return inner.scaled(outer.constant**2)
    if not inner.parts:
        return power(outer, constant(2.0)).scaled(inner.constant)
    shared = sorted(outer.names & inner.names)
    if shared:
        raise _joint(shared[0])
    part = Sandwich(outer, inner)
    _ = part.law  # refuses here, where the position is known
    return FreeForm(((1.0, part),))


def power(base: FreeForm, exponent: FreeForm) -> FreeForm:
    """base to a number."""
    if exponent.parts:
        raise InputError("expected a number as exponent, got a law; write x**2 or x*x")
    if not base.parts:
        return constant(float(_real_power(np.array([base.constant]), exponent.constant)[0]))
    if exponent.constant in (0.0, 1.0):
        return base if exponent.constant else constant(1.0)
    if any(isinstance(part, PartProduct) for _, part in base.parts):
        raise InputError(
            "expected the power of a self-adjoint expression, got that of a product; bind the product to a name"
        )
    part = Power(base, exponent.constant)
    _ = part.law
    return FreeForm(((1.0, part),))


def _pulled(form: FreeForm) -> tuple[float, FreeForm]:
    """A number and a form whose product is the form: a single part has coefficient 1, a law below 0 is turned up."""
    factor = 1.0
    if len(form.parts) == 1 and form.constant == 0:
        factor, part = form.parts[0]
        form = FreeForm(((1.0, part),))
    law = form.law()
    return (-factor, form.scaled(-1.0)) if not is_nonnegative(law) and is_nonnegative(mirror(law)) else (factor, form)


def _factors(form: FreeForm) -> tuple[FreeForm, ...]:
    """The factors of a form in a product; a product of its own is taken apart."""
    part = form.parts[0][1]
    if not isinstance(part, PartProduct):
        return (form,)
    if form != FreeForm(((1.0, part),)):
        raise InputError(
            "expected self-adjoint factors, got a shifted product, and X*Y + 1 is not self-adjoint; bind it to a name"
        )
    return part.factors


def _real_power(base: np.ndarray, exponent: float) -> np.ndarray:
    with np.errstate(all="ignore"):
        values = base**exponent
    if not np.isfinite(values).all():
        raise InputError(f"expected a power with finite real values, got {base.tolist()[:4]} to the {exponent:g}")
    return values


def _joint(name: str) -> InputError:
    return InputError(
        f"expected a polynomial of degree 1 in {name}, got {name} in several places; joint polynomials of free variables "
        "are not supported yet"
    )
