import itertools
import math

import pytest

from freeness.errors import InputError
from freeness.training import Schedule, schedule_names


@pytest.mark.parametrize("shape", schedule_names())
def test_a_schedule_warms_up_linearly_to_its_rate_and_never_exceeds_it(shape):
    schedule = Schedule(50, shape, warmup=10)
    shares = [schedule.share(step) for step in range(50)]
    assert shares[:10] == pytest.approx([(k + 1) / 10 for k in range(10)])
    assert max(shares) == 1.0 and min(shares[10:]) >= 0
    assert all(a >= b for a, b in itertools.pairwise(shares[10:]))


def test_cosine_and_linear_fall_to_0():
    assert Schedule(100, "cosine").share(50) == pytest.approx(0.5)
    assert Schedule(100, "cosine").share(25) == pytest.approx((1 + math.sqrt(0.5)) / 2)
    assert [Schedule(100, shape).share(100) for shape in ("cosine", "linear", "constant")] == pytest.approx([0, 0, 1])


def test_a_warm_up_begins_where_it_is_told():
    assert Schedule(10, warmup=4, first=0.2).share(0) == pytest.approx(0.4)


@pytest.mark.parametrize(("shape", "warmup"), [("step", 0), ("cosine", 10), ("cosine", -1)])
def test_another_shape_and_a_warm_up_beyond_the_training_are_refused(shape, warmup):
    with pytest.raises(InputError, match="expected a"):
        Schedule(10, shape, warmup)
