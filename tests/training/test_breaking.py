"""Where training breaks: the formula as it is documented, and what must hold whatever its constants are."""

from dataclasses import replace

import pytest

from freeness.training import StartFacts, breaking_rate, optimizer_of

FACTS = StartFacts(200.0, 0.5, 0.02, 0.6, 40_000, batch=1)


def limit(kind="squared", optimizer="sgd", share=0.0, **changes):
    return breaking_rate(replace(FACTS, **changes), kind, optimizer_of(optimizer), share).limit


@pytest.mark.parametrize(
    ("kind", "optimizer", "share", "expected"),
    [
        ("squared", "sgd", 0.0, 2.81 * 0.02 * 4**0.26 * 0.5**0.36),
        ("squared", "momentum", 1.0, 6.26 * 0.02 * 4**-0.43 * 0.5**0.21 * 0.1**-0.21),
        ("cross_entropy", "sgd", 0.0, 0.24 * 0.02 * 4**0.97 * 0.5**0.85),
        ("cross_entropy", "nesterov", 1.0, 3.95 * 0.02 * 4**0.29 * 0.5**0.87 * 0.1**0.50),
        ("squared", "adam", 0.0, 0.036),
        ("cross_entropy", "adamw", 1.0, 0.421),
    ],
)
def test_the_documented_formula(kind, optimizer, share, expected):
    assert limit(kind, optimizer, share) == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["squared", "cross_entropy"])
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_normalisation_bears_more_and_bare_sums_less(kind, share):
    for optimizer in ("sgd", "momentum"):
        usual = limit(kind, optimizer, share)
        assert limit(kind, optimizer, share, residual=True) < usual < limit(kind, optimizer, share, normalised=True)
    assert limit(kind, "adam", share, normalised=True) > limit(kind, "adam", share)


def test_a_loss_times_a_constant_breaks_at_the_rate_over_it():
    assert limit(sharpness=20.0, reach=0.2) == pytest.approx(10 * limit())
    assert limit("cross_entropy", "momentum", 0.5, sharpness=2.0, reach=2.0) == pytest.approx(
        100 * limit("cross_entropy", "momentum", 0.5)
    )


def test_quiet_outputs_break_earlier_down_to_a_floor_and_loud_ones_as_those_of_the_targets_size():
    assert limit(loudness=1e-9) == limit(loudness=1e-3) < limit() < limit(loudness=1.0) == limit(loudness=40.0)
