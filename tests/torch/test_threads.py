"""The number of torch's threads, which blocks in several threads of Python share."""

from threading import Event, Thread

import pytest
import torch

from freeness.torch.model.counting import Counts
from freeness.torch.model.threads import fit_threads, threads_kept

LIGHT = Counts(10.0, 0.0, 1.0, 20, 1.0)


@pytest.fixture
def several():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield 3
    torch.set_num_threads(before)


def test_blocks_that_overlap_leave_as_many_threads_as_before_the_first(several):
    first_in, second_in, first_out = Event(), Event(), Event()
    left: dict[str, int] = {}

    def first():
        with threads_kept():
            fit_threads(LIGHT, 1)
            first_in.set()
            second_in.wait(10)
        left["first"] = torch.get_num_threads()
        first_out.set()

    def second():
        first_in.wait(10)
        with threads_kept():
            fit_threads(LIGHT, 1)
            second_in.set()
            first_out.wait(10)
        left["second"] = torch.get_num_threads()

    def behind():
        left["behind"] = torch.get_num_threads()

    both = [Thread(target=first), Thread(target=second)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    last = Thread(target=behind)
    last.start()
    last.join()
    assert left == {"first": several, "second": several, "behind": several}
