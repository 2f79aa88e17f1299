"""A course of λ is told where two looks agree, and refused with a reason where they do not."""

import numpy as np
import pytest

from freeness.advice import WatchRecord, sharpening_of


def records(*seen, batch=1):
    return [WatchRecord(step, 0.1, first_sharpness=value, first_batch=batch) for step, value in seen]


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        ([(1, 2.0), (11, 3.0)], "three looks"),
        ([(1, 2.0), (6, 3.0), (10, 4.0)], "three looks"),
        ([(1, 2.0), (11, 3.0), (21, 2.9)], "both ways"),
        ([(1, 2.0), (11, 2.1), (21, 2.2)], "less than 20%"),
        ([(1, 2.0), (11, 1.0), (21, -0.1)], "no positive curvature"),
    ],
)
def test_where_looks_do_not_agree_no_course_is_told_and_why(seen, words):
    found = sharpening_of(records(*seen))
    assert found.course is None and words in found.why and words in found.sentences[-1]


@pytest.mark.parametrize(("last", "way"), [(4.0, "above"), (1.0, "below")])
def test_a_course_and_what_happened_are_told_whatever_lies_between_the_looks(last, way):
    middle = (2.0 + last) / 2
    found = sharpening_of(records((1, 2.0), (6, 9.0), (13, middle), (20, 9.0), (31, last), (51, 2.0)))
    assert found.looked == (13, 31) and way in found.sentences[-1]
    assert found.happened == pytest.approx(((middle - 2) / 12, (last - 2) / 30))
    assert (found.course > 0) == (last > 2)


def test_the_batch_of_a_run_that_goes_on_is_another_one_and_does_not_count():
    began, went_on = records((1, 2.0), (11, 3.0)), records((21, 9.0), (31, 9.0), batch=21)
    assert sharpening_of(began + went_on) == sharpening_of(began)


def test_visits_without_it_tell_nothing():
    assert sharpening_of([WatchRecord(1, 0.1, sharpness=2.0)]) is None


@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        ((3.0, 5.0, 2.5), "likely to end above"),
        ((1.9, 1.0, 1.5), "likely to end below"),
        ((1.9, 2.8, 2.5), "likely to end above"),
        ((3.0, 2.9, 1.9), "than it is in the mean"),
        ((2.1, 2.0, 2.4), "within 10% of its start"),
        ((3.0, -1.0, 2.5), "no positive curvature"),
    ],
)
def test_a_rehearsal_tells_a_course_where_its_end_and_its_mean_lie_on_one_side_of_the_start(ahead, words):
    """Whatever the looks say."""
    seen = [*records((1, 2.0), (11, 3.0)), WatchRecord(21, 0.1, first_sharpness=1.8, first_batch=1, rehearsed=ahead)]
    found = sharpening_of(seen)
    assert found.rehearsed == ahead and words in found.sentences[-1]
    assert found.course is None or found.course == pytest.approx(np.log(ahead[-1] / 2) / 50)
