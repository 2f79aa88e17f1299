import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from freeness.errors import ConvergenceError, InputError
from freeness.expressions.expression import free_variables
from freeness.expressions.form_matrix import sample_expression
from freeness.expressions.grammar import parse_law
from freeness.laws import Atoms, MarchenkoPastur, PointMass, Projection, Semicircle
from freeness.laws.arcsine import Arcsine
from freeness.laws.bernoulli import Bernoulli
from freeness.laws.distance import kolmogorov
from freeness.laws.fuss_catalan import FussCatalan
from freeness.laws.kesten_mckay import KestenMcKay
from freeness.laws.uniform import Uniform
from freeness.laws.wachter import Wachter
from freeness.moves import free_product, free_sum, scale, shift, symmetric_square

# --- the grammar --------------------------------------------------------------------------------------------------

INLINE = {
    "semicircle": Semicircle(1.0),
    "semicircle:0.25": Semicircle(0.25),
    "mp:.5": MarchenkoPastur(0.5),
    "mp:5e-1": MarchenkoPastur(0.5),
    "mp : 0.5": MarchenkoPastur(0.5),
    "projection:0.3": Projection(0.3),
    "bernoulli": Bernoulli(),
    "arcsine": Arcsine(),
    "arcsine:1": Arcsine(1.0),
    "uniform:-1,2": Uniform(-1.0, 2.0),
    "point:-3": PointMass(-3.0),
    "fuss_catalan:2": FussCatalan(2.0),
    "kesten_mckay:3": KestenMcKay(3.0),
    "wachter:1,2": Wachter(1.0, 2.0),
    "atoms:0@0.25,1@0.75": Projection(0.75),
    "2": PointMass(2.0),
    "((semicircle))": Semicircle(1.0),
    "--semicircle": Semicircle(1.0),
    "2**3**2 - 1": PointMass(511.0),
}


@pytest.mark.parametrize("text", INLINE)
def test_an_inline_law_is_the_law_it_names(text):
    assert parse_law(text).law == INLINE[text]


def test_atoms_have_their_positions_and_weights():
    assert parse_law("atoms: -1@0.25, 2@0.5, 7e0@0.25").law.atoms == Atoms([-1, 2, 7], [0.25, 0.5, 0.25]).atoms


@pytest.mark.parametrize("write", [np.save, np.savetxt])
@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_an_empirical_law_is_that_of_the_file(tmp_path, write, quote):
    values = np.array([1.0, 2.0, 2.0, 5.0])
    path = tmp_path / ("a-b.npy" if write is np.save else "a-b.txt")
    write(path, values)
    law = parse_law(f"2*(empirical:{quote}{path}{quote}) + 1").law
    assert law.atoms == Atoms(2 * values + 1).atoms


def test_every_inline_law_is_free_and_a_name_is_one_variable():
    x = {"x": MarchenkoPastur(1.0)}
    assert parse_law("mp:1 + mp:1").law.variance == pytest.approx(2.0)
    assert parse_law("x + x", x).law.variance == pytest.approx(4.0)
    assert parse_law("x - x", x).law == PointMass(0.0)
    assert parse_law("mp:1 - mp:1").law.variance == pytest.approx(2.0)
    assert parse_law("3*(x + semicircle) - 2*x", x).law.variance == pytest.approx(10.0)
    assert parse_law("x*y + x*y", x | {"y": Projection(0.5)}).law.mean == pytest.approx(1.0)


def test_powers_of_the_same_variable():
    x = {"x": Semicircle(2.0)}
    assert parse_law("x*x", x).law == parse_law("x**2", x).law == symmetric_square(Semicircle(2.0))
    assert parse_law("x**1", x).law == Semicircle(2.0)
    assert parse_law("x**0", x).law == PointMass(1.0)
    assert parse_law("-2*x*x + 1", x).law.mean == pytest.approx(-3.0)
    assert parse_law("atoms:-2@0.5,1@0.5 ** 3").law.atoms == Atoms([-8.0, 1.0]).atoms


def test_precedence_is_that_of_python():
    x = {"x": Atoms([1.0, 2.0, 4.0])}
    assert parse_law("-x**2 + 3*x**0 * 2", x).law.atoms == Atoms([5.0, 2.0, -10.0]).atoms
    assert parse_law("2 - (x - 1)*3", x).law.atoms == Atoms([2.0, -1.0, -7.0]).atoms
    assert parse_law("x**-1", x).law.atoms == Atoms([1.0, 0.5, 0.25]).atoms


def test_notes_say_how_it_was_read():
    assert parse_law("mp:0.5 + semicircle:0.1").notes == ()
    (two,) = parse_law("mp:1 * projection:0.3").notes
    assert "X^{1/2} Y X^{1/2}" in two and "same spectrum" in two
    many = parse_law("mp:1 * mp:1 * mp:2").notes
    assert "same moments" in many[0] and "mp:1 is a free variable of its own" in many[1]
    assert parse_law("x", {"x": Semicircle(), "y": Semicircle()}).notes == ("y is bound but not used.",)


def test_factors_may_be_sums_negative_or_one_of_them_symmetric():
    x = np.linspace(0.7, 6.0, 7)
    inner = free_sum(MarchenkoPastur(1 / 3), shift(Semicircle(1.0), 3.0))
    expected = free_product(MarchenkoPastur(0.5), inner).density(x)
    read = parse_law("mp:0.5 * (mp:0.3333333333333333 + (semicircle + 3))").law.density(x)
    np.testing.assert_allclose(read, expected, rtol=1e-9, atol=1e-12)
    assert parse_law("(-mp:1)*projection:0.2 + 1").law.hull[1] == pytest.approx(1.0)
    symmetric = free_product(Semicircle(1.0), MarchenkoPastur(1.0))
    np.testing.assert_allclose(
        parse_law("3 + semicircle*mp:1").law.density(x + 0.01), symmetric.density(x - 2.99), atol=1e-12
    )


# --- random expressions against direct calls ----------------------------------------------------------------------

POSITIVE = {
    "mp:0.5": MarchenkoPastur(0.5),
    "projection:0.7": Projection(0.7),
    "uniform:1,2": Uniform(1.0, 2.0),
    "atoms:0.5@0.5,2@0.5": Atoms([0.5, 2.0]),
}
numbers = st.integers(1, 40).map(lambda n: n / 8)


def grown(children):
    """Scaled, shifted, summed pairs of (text, law)."""
    return st.one_of(
        st.tuples(numbers, children).map(lambda p: (f"{p[0]}*({p[1][0]})", scale(p[1][1], p[0]))),
        st.tuples(numbers, children).map(lambda p: (f"({p[1][0]}) + {p[0]}", shift(p[1][1], p[0]))),
        st.tuples(children, children).map(lambda p: (f"({p[0][0]}) + {p[1][0]}", free_sum(p[0][1], p[1][1]))),
    )


linear = st.recursive(st.sampled_from(sorted(POSITIVE)).map(lambda t: (t, POSITIVE[t])), grown, max_leaves=2)
products = st.tuples(linear, linear).map(lambda p: (f"({p[0][0]}) * ({p[1][0]})", free_product(p[0][1], p[1][1])))


@settings(max_examples=4)
@given(st.one_of(linear, products))
def test_expressions_agree_with_direct_calls(pair):
    text, law = pair
    read = parse_law(text).law
    assert read.mean == pytest.approx(law.mean, rel=1e-12)
    assert read.variance == pytest.approx(law.variance, rel=1e-10, abs=1e-13)
    try:
        low, high = law.hull
    except ConvergenceError:  # what the direct call cannot do is no theorem about the parser
        reject()
    assert np.allclose(read.hull, (low, high), rtol=1e-8, atol=1e-8 * high)
    if high > low:
        z = (low + high) / 2 + 1j * (high - low) * np.array([0.1, 1.0])
        np.testing.assert_allclose(read.cauchy(z), law.cauchy(z), rtol=1e-9)


@settings(max_examples=200)
@given(st.text("xmp:0.5+-*() @,^/bernouli", max_size=25))
def test_any_text_is_a_law_or_one_sentence(text):
    try:
        parse_law(text, {"x": Semicircle()})
    except InputError as error:
        assert_one_sentence(error)


# --- refusals -----------------------------------------------------------------------------------------------------


def assert_one_sentence(error):
    message = str(error)
    assert message.endswith(".") and "\n" not in message and ". " not in message.replace(" …", "")


BAD = {
    "": (1, "the end"),
    "mp:1 +": (7, "the end"),
    "mp": (1, "mp:RATIO"),
    "mp:": (1, "mp:RATIO"),
    "mp:1,2": (1, "mp:RATIO"),
    "mp:1/2": (5, "mp:0.5"),
    "mp:-1": (1, "ratio"),
    "1 + projection:1.5": (5, "trace"),
    "uniform:1": (1, "uniform:LOW,HIGH"),
    "atoms:1,2": (1, "atoms:X@WEIGHT"),
    "atoms:1@0.5": (1, "sum"),
    "atoms:1@-0.5,2@1.5": (1, "non-negative"),
    "empirical": (1, "empirical:FILE"),
    "empirical:/no/such/file.npy": (1, "check the path"),
    "(mp:1": (6, '")"'),
    "mp:1)": (5, '")"'),
    "mp:1 mp:1": (6, "operator"),
    "2x": (2, "operator"),
    "x^2": (2, "**"),
    "x $ 2": (3, "$"),
    "y + 1": (1, "--y"),
    "lambda": (1, "semicircle"),
    "__import__('os')": (1, "bound name"),
    "1e999": (1, "finite"),
    "1e308*1e308": (6, "finite"),
    "0**-1": (2, "finite"),
    "mp:1**mp:1": (5, "number as exponent"),
    "mp:1**0.5": (5, "whole number"),
    "x/0": (2, "finite"),
    "commutator(x)": (13, '","'),
    "commutator x": (12, '"("'),
    "adjoint(x, x)": (10, '")"'),
    "2j x": (4, "operator"),
    "haar:1": (1, "haar"),
    "circular:-1": (1, "variance"),
    "semicircle*semicircle": (11, "not self-adjoint"),
    "(semicircle + 1)*mp:1": (17, "not self-adjoint"),
    "mp:1*mp:1 + semicircle": (11, "not self-adjoint"),
    "(mp:1*mp:1 + 1)*mp:1": (16, "not self-adjoint"),
    "(" * 100: (62, "60 brackets"),
}


@pytest.mark.parametrize("text", BAD)
def test_bad_input_is_one_sentence_that_says_where(text):
    column, part = BAD[text]
    with pytest.raises(InputError) as caught:
        parse_law(text, {"x": Semicircle()})
    assert_one_sentence(caught.value)
    assert f"column {column}" in str(caught.value) and part in str(caught.value)


@pytest.mark.parametrize("content", ["one\ntwo\n", "", "1 2\n3 4\n", "nan\n"])
def test_files_that_are_no_eigenvalues_are_refused(tmp_path, content):
    (tmp_path / "e.txt").write_text(content, encoding="utf-8")
    np.save(tmp_path / "e.npy", np.array([1.0, 1j]))
    for name in ("e.txt", "e.npy"):
        with pytest.raises(InputError) as caught:
            parse_law(f"empirical:{tmp_path / name}")
        assert_one_sentence(caught.value)


def test_names_of_laws_cannot_be_bound():
    with pytest.raises(InputError, match="names of variables"):
        parse_law("mp", {"mp": Semicircle()})
    with pytest.raises(InputError, match="at most"):
        parse_law("1+" * 6000 + "1")


# --- matrices of the same expression ------------------------------------------------------------------------------

SAMPLED = [
    "mp:0.5 + semicircle:0.1",
    "mp:1 * projection:0.3",
    "projection:0.6 * projection:0.7",
    "bernoulli + semicircle",
    "2*mp:1*mp:1*mp:2 - 1",
    "semicircle*mp:1 + 1",
    "(mp:0.5 + semicircle + 3) * mp:1 * bernoulli",
    "-mp:0.5 * uniform:1,2",
    "(arcsine + semicircle)**2",
    "x + x - semicircle",
]


@pytest.mark.parametrize("text", SAMPLED)
def test_sampled_matrices_have_the_law(text):
    parsed = parse_law(text, {"x": MarchenkoPastur(0.5)} if "x +" in text else {})
    values = sample_expression(parsed.meaning, 400, np.random.default_rng(0))
    assert kolmogorov(parsed.law, values) < 8 / 400
    again = sample_expression(parsed.meaning, 400, np.random.default_rng(0))
    np.testing.assert_array_equal(values, again)


def test_the_matrix_of_a_name_is_one_matrix():
    rng = np.random.default_rng(0)
    values = sample_expression(
        parse_law("x*x - 4*x*x + y - y", {"x": Semicircle(), "y": Semicircle()}).meaning, 50, rng
    )
    quantiles = Semicircle().quantile((np.arange(50) + 0.5) / 50)
    np.testing.assert_allclose(values, np.sort(-3 * quantiles**2), atol=1e-13)
    np.testing.assert_array_equal(sample_expression(parse_law("2 + 1").meaning, 3, rng), [3.0, 3.0, 3.0])


def test_the_inverse_of_what_is_singular_for_all_matrices_is_refused():
    x, y = free_variables(Semicircle(), MarchenkoPastur(1.0))
    for expression in (1 / (x - x), x * (1 / (x * y - x * y)) * x):
        with pytest.raises(InputError, match="singular for matrices"):
            expression.law()
