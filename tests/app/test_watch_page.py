import pytest

from freeness.advice import StepCheck, WatchRecord, WatchWarning, head_line, line_of
from tests.app.conftest import explorer, tab_of
from tests.app.pages import answered, number_in, settled, taken, unlabelled

pytestmark = [pytest.mark.slow, pytest.mark.always]


def written(path, steps, *events):
    checks = [StepCheck(k, 0.1, 1.0, 1.0, {"first": 1.0, "last": 10.0**-k}) for k in range(1, steps + 1)]
    path.write_text("\n".join([head_line(), *map(line_of, [*checks, *events])]) + "\n", "utf-8")


def test_a_training_is_shown_while_it_goes_on_also_before_it_begins(tmp_path, browser):
    log = tmp_path / "run.jsonl"
    with explorer(tmp_path, "--run", str(log)) as address, tab_of(browser, address) as page:
        page.goto("/watch")
        page.get_by_text("expected the log of a watch").wait_for()
        written(log, 3, WatchRecord(3, 0.1, critical=0.25))
        words = answered(page, "critical rate 0.25 at the end")
        assert number_in(words, "at step") == 3
        answered(page, "Gradients of 2 layers over 3 steps")
        last = WatchRecord(5, 0.1, loss=1.5, critical=0.05, sharpness=123.4, bound=0.0162, noise=17.25, drift=0.0123)
        written(log, 5, last, WatchWarning(5, "rate", "Lower <b>it</b>."))
        answered(page, "critical rate 0.05 at the end")
        page.get_by_text("step 5: Lower <b>it</b>.").wait_for()
        page.get_by_role("columnheader", name="drift").wait_for()
        assert page.evaluate(
            "(e => e.scrollWidth <= e.clientWidth)(document.querySelector('.wide'))"
        )  # no column is hidden
        assert taken(page, "PNG").startswith(b"\x89PNG")
        page.set_viewport_size({"width": 390, "height": 800})
        settled(page)
        assert not unlabelled(page)
