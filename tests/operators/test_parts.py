"""Given maps between random matrices against the pencil's inverse written out, and laws of sweeps against closed ones."""

from itertools import pairwise

import numpy as np
import pytest

from freeness import InputError
from freeness.laws import FussCatalan
from freeness.operators import (
    HeadSignals,
    HeadsPart,
    Link,
    Port,
    PortMatrix,
    UnitsPart,
    WiredEquation,
    WiredLaw,
    WiredPart,
    heads_part,
)

ONE = np.eye(1)[None]


def field(size, rng):
    """A symmetric matrix in the lower half-plane, as at one point."""
    real, imaginary = rng.standard_normal((2, size, size))
    return (real + real.T - 1j * imaginary @ imaginary.T)[None] / 10


def of_channel(maps, channel):
    return maps[channel if len(maps) > 1 else 0]


def test_wired_nodes_answer_as_the_inverse_of_their_pencil():
    """Five links between four nodes of unequal sizes, of which some are different in every channel: 1e-12."""
    rng, sizes, channels = np.random.default_rng(0), [2, 3, 2, 3], 3
    links = [
        Link(i, j, rng.standard_normal((channels if i == 0 else 1, sizes[j], sizes[i])))
        for i, j in ((0, 1), (0, 2), (1, 2), (1, 3), (0, 3))
    ]
    ports = [
        Port(1, False, rng.standard_normal((channels, 2, 3))),
        Port(2, False, np.eye(2)[None]),
        Port(2, True, rng.standard_normal((channels, 3, 2))),
        Port(3, True, np.eye(3)[None]),
        Port(0, True, np.eye(2)[None]),
        Port(3, False, np.eye(3)[None]),
    ]
    noise = [np.eye(2)[None], *(np.zeros((1, n, n)) for n in sizes[1:])]
    part = WiredPart(channels, noise, links, ports)
    fields = [field(size, rng) for size in part.sizes]
    starts, count = np.cumsum([0, *sizes]), sum(sizes)
    expected = [0.0] * len(ports)
    for channel in range(channels):
        skew = np.eye(count)
        for link in links:
            skew[starts[link.target] : starts[link.target + 1], starts[link.source] : starts[link.source + 1]] -= (
                of_channel(link.map, channel)
            )
        beta, kappa = np.zeros((2, count, count), complex)
        kappa[:2, :2] = np.eye(2)
        for port, own in zip(ports, fields, strict=True):
            here, through = slice(starts[port.node], starts[port.node + 1]), of_channel(port.map, channel)
            (beta if port.reads else kappa)[here, here] += through.T @ own[0] @ through
        inverse = np.linalg.inv(np.block([[-beta, skew.T], [skew, -kappa]]))
        for index, port in enumerate(ports):
            first = (0 if port.reads else count) + starts[port.node]
            here, through = slice(first, first + sizes[port.node]), of_channel(port.map, channel)
            expected[index] = expected[index] + through @ inverse[here, here] @ through.T
    for answer, known in zip(part.answers(fields), expected, strict=True):
        np.testing.assert_allclose(answer[0], known, rtol=0, atol=1e-12)
    assert_potential(part, fields)


def assert_potential(part, fields):
    """Its derivative by every field, in a random direction, is minus what the part answers: 1e-6 of a central difference."""
    rng = np.random.default_rng(7)
    for port, (own, answer) in enumerate(zip(fields, part.answers(fields), strict=True)):
        step = 1e-5 * field(own.shape[-1], rng)
        ahead, behind = ([*fields[:port], own + sign * step, *fields[port + 1 :]] for sign in (1, -1))
        change = (part.potential(ahead) - part.potential(behind))[0] / 2
        assert change == pytest.approx(-(step * answer).sum(), rel=1e-6)


def attention(rng, heads=2, tokens=4, width=6, angles=None):
    query, key, value = rng.standard_normal((3, heads, tokens, width))
    weights = np.exp(query @ key.swapaxes(1, 2) / width**0.5)
    return HeadSignals(weights / weights.sum(axis=-1, keepdims=True), query, key, value, width**-0.5, angles)


def rotation(angles, width):
    """Of pairs of channels f and f + F, as a matrix."""
    found, count = np.eye(width), len(angles)
    for f, angle in enumerate(angles):
        found[np.ix_([f, f + count], [f, f + count])] = [
            [np.cos(angle), -np.sin(angle)],
            [np.sin(angle), np.cos(angle)],
        ]
    return found


def written_out(signals, fields):
    """Answers of queries, keys, values and outputs from the derivative of every head as a matrix."""
    heads, rows, width = signals.query.shape
    columns, found = signals.key.shape[1], [0.0] * 4
    sizes = np.array([rows, columns, columns]) * width
    starts = np.cumsum([0, *sizes])
    for head in range(heads):
        maps = [np.zeros((rows, width, count, width)) for count in (rows, columns, columns)]
        spans = signals.spans[head]
        by_query, by_key = signals.angles or ((), ())
        for i in range(rows):
            for j in range(columns):
                here, there = (
                    rotation(by[at], width) if len(by) else np.eye(width) for by, at in ((by_query, i), (by_key, j))
                )
                maps[0][i, :, i] += signals.scale * np.outer(spans[i, j], signals.key[head, j] @ here)
                maps[1][i, :, j] += signals.scale * np.outer(spans[i, j], signals.query[head, i] @ there)
                maps[2][i, :, j] += signals.weights[head, i, j] * np.eye(width)
        map_ = np.hstack([one.reshape(rows * width, -1) for one in maps])
        noise = np.zeros((starts[-1], starts[-1]), complex)
        for (first, last), own in zip(pairwise(starts), fields[:3], strict=True):
            noise[first:last, first:last] = np.kron(own[0], np.eye(width))
        asked = np.kron(fields[3][0], np.eye(width))
        passed = map_ @ noise @ map_.T
        inverse = np.linalg.inv(np.eye(rows * width) - passed @ asked)
        back = map_.T @ asked @ inverse @ map_
        blocks = [back[first:last, first:last] for first, last in pairwise(starts)]
        for port, block in enumerate([*blocks, inverse @ passed]):
            count = len(block) // width
            found[port] = found[port] + np.einsum("iaja->ij", block.reshape(count, width, count, width))
    return found


def test_heads_answer_as_the_derivative_of_attention_written_out():
    """Queries, keys, values and outputs, all directions: 1e-12. The derivative itself is that of finite differences: 1e-7."""
    rng = np.random.default_rng(1)
    signals = attention(rng)
    fields = [field(4, rng) for _ in range(4)]
    part = HeadsPart(signals, [np.eye(4)] * 4)
    assert part.exact and part.lost == pytest.approx(0, abs=1e-12)
    for answer, known in zip(part.answers(fields), written_out(signals, fields), strict=True):
        np.testing.assert_allclose(answer[0], known, rtol=0, atol=1e-12 * np.abs(known).max())
    assert_potential(part, fields)
    assert_potential(HeadsPart(signals, [np.eye(4)] * 4, 2), fields)


@pytest.mark.parametrize("directions", [None, 1])
def test_heads_with_rotary_positions_answer_as_their_derivative_written_out(directions):
    """Two of three pairs of channels are turned by angles of their own at every position: 1e-12; back alone, and about."""
    rng = np.random.default_rng(3)
    signals = attention(rng, angles=tuple(rng.uniform(0, 6, (2, 4, 2))))
    fields = [field(4, rng) for _ in range(4)]
    part = HeadsPart(signals, [np.eye(4)] * 4, directions)
    answers, known = part.answers(fields), written_out(signals, fields)
    assert_potential(part, fields)
    if directions is None:
        for answer, expected in zip(answers, known, strict=True):
            np.testing.assert_allclose(answer[0], expected, rtol=0, atol=1e-12)
        small = [1e-9 * one for one in fields[:3]]
        far = written_out(signals, [*small, fields[3]])
        for returned, expected in zip(part.returned(fields[3][0]), far, strict=False):
            np.testing.assert_allclose(returned, expected, rtol=0, atol=1e-7)
    else:  # what is spread keeps its partial trace, which the first order knows
        small = [1e-4 * one for one in fields]
        for answer, expected in zip(part.answers(small), written_out(signals, small), strict=True):
            np.testing.assert_allclose(answer[0], expected, rtol=1e-5)


def test_heads_of_too_many_pairs_of_a_query_and_a_key_are_refused(monkeypatch):
    monkeypatch.setattr(heads_part, "_LARGEST", 100)
    rng = np.random.default_rng(3)
    with pytest.raises(InputError, match="some dozens of tokens"):
        HeadsPart(attention(rng), [np.eye(4)] * 4, 1).answers([field(4, rng) for _ in range(4)])


def test_heads_of_queries_that_share_keys_answer_as_one_matrix():
    """Two query heads with one of keys and values, each with weights of its own: as the derivative of both together, 1e-12."""
    rng = np.random.default_rng(6)
    query, key, value = rng.standard_normal((1, 6, 5)), *rng.standard_normal((2, 1, 3, 5))
    weights = np.exp(query @ key.swapaxes(1, 2) / 5**0.5)
    signals = HeadSignals(weights / weights.sum(axis=-1, keepdims=True), query, key, value, 5**-0.5)
    fields = [field(3, rng) for _ in range(4)]
    both = [np.kron(np.eye(2), fields[0][0])[None], *fields[1:3], np.kron(np.eye(2), fields[3][0])[None]]
    answers, known = HeadsPart(signals, [np.eye(3)] * 4).answers(fields), written_out(signals, both)
    for port, (answer, one) in enumerate(zip(answers, known, strict=True)):
        if port in (0, 3):
            one = one[:3, :3] + one[3:, 3:]
        np.testing.assert_allclose(answer[0], one, rtol=0, atol=1e-12 * np.abs(one).max())


def test_the_derivative_of_a_head_is_that_of_finite_differences():
    rng = np.random.default_rng(2)
    signals = attention(rng, heads=1)
    moved = rng.standard_normal((3, 1, 4, 6))

    def output(step):
        query, key, value = (
            one + step * by for one, by in zip((signals.query, signals.key, signals.value), moved, strict=True)
        )
        raised = np.exp(signals.scale * query @ key.swapaxes(1, 2))
        return raised / raised.sum(axis=-1, keepdims=True) @ value

    numeric = (output(1e-5) - output(-1e-5)) / 2e-5
    scores = signals.scale * (moved[0] @ signals.key.swapaxes(1, 2) + signals.query @ moved[1].swapaxes(1, 2))
    exact = signals.weights @ moved[2] + np.einsum("hijd,hij->hid", signals.spans, scores)
    np.testing.assert_allclose(exact, numeric, rtol=0, atol=1e-7)


def test_few_directions_come_closer_the_more_there_are():
    """Of five tokens: relative error of the answers falls with directions and with what is spread, and ends at 0."""
    rng = np.random.default_rng(3)
    signals = attention(rng, tokens=5, width=8)
    fields = [field(5, rng) for _ in range(4)]
    known = written_out(signals, fields)
    errors, lost = [], []
    for count in (1, 2, 3, 4):
        part = HeadsPart(signals, [np.eye(5)] * 4, count)
        pairs = zip(part.answers(fields), known, strict=True)
        errors.append(max(np.abs(answer[0] - one).max() / np.abs(one).max() for answer, one in pairs))
        lost.append(part.lost)
    assert errors[0] > errors[1] > errors[2] > errors[3] < 1e-12
    assert lost[0] > lost[1] > lost[2] > lost[3]


def test_units_answer_as_wired_nodes_and_some_stand_for_all():
    """Two matrices that write: 1e-12 if all are taken; of 800 ReLU patterns 400 come within 2 %, and closer than these alone."""
    rng = np.random.default_rng(4)
    patterns = [(rng.standard_normal((800, 4)) + rng.standard_normal((800, 1)) > 0).astype(float) for _ in range(2)]
    roots = rng.standard_normal((3, 1, 4, 6))
    fields = list(-1j * roots @ roots.swapaxes(2, 3) / 6)
    ports = [Port(0, False, d[:, :, None] * np.eye(4)) for d in patterns] + [Port(0, True, np.eye(4)[None])]
    known = WiredPart(800, [np.zeros((1, 4, 4))], [], ports).answers(fields)
    whole, some = UnitsPart(800, patterns, 800).answers(fields), UnitsPart(800, patterns, 400).answers(fields)
    alone = UnitsPart(800, [d[:400] for d in patterns]).answers(fields)
    for exact, about, without, expected in zip(whole, some, alone, known, strict=True):
        size = np.abs(expected).max()
        np.testing.assert_allclose(exact, expected, rtol=0, atol=1e-12 * size)
        error = np.abs(about - expected).max()
        assert error < 0.02 * size and error < 0.5 * np.abs(without - expected).max()
    assert_potential(UnitsPart(800, patterns, 400), [0.1 * one for one in fields])


def chain(layers):
    """JJᵀ of Gaussian matrices one behind another."""
    parts = [WiredPart(10, [ONE], [], [Port(0, True, ONE)])]
    parts += [WiredPart(10, [0 * ONE], [], [Port(0, False, ONE), Port(0, True, ONE)]) for _ in range(layers)]
    matrices = [PortMatrix((layer, min(layer, 1)), (layer + 1, 0), ONE, 1.0, (10, 10)) for layer in range(layers)]
    return WiredEquation(parts, matrices, (layers, 1), 10)


def test_a_chain_of_gaussian_matrices_has_the_law_of_fuss_and_catalan():
    """Two matrices: distribution function within 1e-5, density 3e-3, moments 1e-6, upper end 1e-3, far quantile 1e-3."""
    law, known = WiredLaw(chain(2)), FussCatalan(2)
    levels = np.linspace(0.02, 0.98, 25)
    x = known.quantile(levels)
    np.testing.assert_allclose(law.cdf(x), levels, rtol=0, atol=1e-5)
    np.testing.assert_allclose(law.density(x), known.density(x), rtol=3e-3)
    np.testing.assert_allclose([law.mean, law.variance], [1.0, 2.0], rtol=1e-6)
    assert law.hull[1] == pytest.approx(27 / 4, rel=1e-3) and law.atoms == ()
    np.testing.assert_allclose(law.quantile([0.5, 0.999]), known.quantile([0.5, 0.999]), rtol=1e-3)
    z = np.array([1.0 + 0.3j, -2.0 - 1.0j])
    np.testing.assert_allclose(law.cauchy(z), known.cauchy(z), rtol=1e-7)


def test_the_mass_that_a_chain_has_below_the_end_that_is_told_is_its_error():
    """The law of Fuss and Catalan mounts like x^{-2/3} towards 0, so any end above leaves some mass; known to 5 %."""
    law, known = WiredLaw(chain(2)), FussCatalan(2)
    ((low, high),) = law.bands
    beyond = 1 - float(known.cdf(high) - known.cdf(low))
    assert 1e-4 < beyond < 5e-3
    assert law.bands_error == pytest.approx(beyond, rel=0.05)


@pytest.mark.parametrize("outputs", [15, 40])
def test_a_matrix_of_more_rows_than_columns_has_the_atom_of_its_rank(outputs):
    """Of 13 inputs: all other eigenvalues of JJᵀ are 0, few or most, and bands and the atom hold all the mass."""
    parts = [
        WiredPart(13, [ONE], [], [Port(0, True, ONE)]),
        WiredPart(outputs, [0 * ONE], [], [Port(0, False, ONE), Port(0, True, ONE)]),
    ]
    law = WiredLaw(WiredEquation(parts, [PortMatrix((0, 0), (1, 0), ONE, 1.0, (13, outputs))], (1, 1), outputs))
    (atom,) = law.atoms
    assert atom == (0.0, pytest.approx(1 - 13 / outputs, abs=1e-14))
    assert law.cdf(0.0) == atom.mass and law.bands_error < 1e-4


@pytest.mark.parametrize("kind", ["gaussian", "haar"])
def test_the_potential_has_the_transform_as_its_derivative(kind):
    """Two matrices with unequal channels and a given diagonal between them: 1e-7 of a central difference."""
    slopes = np.linspace(0.2, 1.0, 12)[:, None, None]
    parts = [
        WiredPart(8, [ONE], [], [Port(0, True, ONE)]),
        WiredPart(12, [0 * ONE], [], [Port(0, False, ONE), Port(0, True, slopes)]),
        WiredPart(6, [0 * ONE], [], [Port(0, False, ONE), Port(0, True, ONE)]),
    ]
    matrices = [
        PortMatrix((0, 0), (1, 0), ONE, 1.3, (8, 12), kind),
        PortMatrix((1, 1), (2, 0), ONE, 0.7, (12, 6), kind),
    ]
    equation, step = WiredEquation(parts, matrices, (2, 1), 6), 1e-4
    z = np.array([0.3 + 0.2j, 1.5 + 0.4j])
    middle, ahead, behind = (equation.solved(z + by, tolerance=1e-12, most=300) for by in (0, step, -step))
    change = equation.potential(z + step, ahead.fields) - equation.potential(z - step, behind.fields)
    np.testing.assert_allclose(change / (2 * step), middle.cauchy, rtol=1e-7)


def test_one_eigenvalue_far_above_the_others_is_not_missed():
    """A Wishart matrix of 100 columns, one of them 40 times larger: one in 100 lies about θ(1 + 1/(θ - 1)), θ = 40.

    Its place is that of its median. Source: Baik, Silverstein (2006).
    """
    noise = np.ones((100, 1, 1))
    noise[0] = 40.0
    parts = [
        WiredPart(100, [noise], [], [Port(0, True, ONE)]),
        WiredPart(100, [0 * ONE], [], [Port(0, False, ONE), Port(0, True, ONE)]),
    ]
    law = WiredLaw(WiredEquation(parts, [PortMatrix((0, 0), (1, 0), ONE, 1.0, (100, 100))], (1, 1), 100))
    np.testing.assert_allclose(law.cdf([4.5, 6.0, 20.0]), 0.99, rtol=0, atol=1e-3)
    assert law.quantile(0.995) == pytest.approx(40 * (1 + 1 / 39), rel=0.03)
    assert 41 < law.upper_end < 60


def test_the_potential_of_channels_of_very_different_noise_is_continuous_from_no_noise():
    """Phases of six positions run to nearly 6π where noise is large and stay at 0 where there is none."""
    rng, sizes = np.random.default_rng(4), np.array([0.0, 0.01, 1.0, 300.0])
    read = field(6, rng) * 10
    part = WiredPart(4, [sizes[:, None, None] * np.eye(6)], [], [Port(0, True, np.eye(6)[None])])
    grown = np.geomspace(1e-6, 1.0, 4000)
    signs = np.array([np.linalg.slogdet(np.eye(6) - size * grown[:, None, None] * read)[0] for size in sizes])
    phases = np.unwrap(np.angle(signs), axis=1)[:, -1]
    assert np.ptp(phases) > 2 * np.pi
    assert np.imag(part.potential([read])) == pytest.approx(phases.sum(), rel=1e-9)
