"""What a notebook shows of a law."""

from html.parser import HTMLParser

import numpy as np
import pytest

import freeness as fr
from freeness.errors import ConvergenceError, InputError
from freeness.show import html_table, number
from freeness.show.answers.law import law_rows

from ..laws.test_laws_agree import LAWS


class Cells(HTMLParser):
    """Rows of cells of a table, and all tags; closes what it opens."""

    def __init__(self, page):
        super().__init__()
        self.rows, self.tags, self.open = [], set(), []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1] in ("th", "td"):
            self.rows[-1][-1] += data


PLAIN = {"table", "caption", "thead", "tbody", "tr", "th", "td"}


def shown(record):
    cells = Cells(record._repr_html_())
    assert cells.tags <= PLAIN
    return dict(cells.rows)


@pytest.mark.parametrize("name", LAWS)
def test_every_law_shows_its_mean_variance_hull_and_atoms(name):
    law, rows = LAWS[name], shown(LAWS[name])
    assert float(rows["mean"]) == pytest.approx(law.mean, rel=1e-5)
    assert float(rows["variance"]) == pytest.approx(law.variance, rel=1e-5, abs=1e-12)
    assert [float(end) for end in rows["hull"].split(" to ")] == pytest.approx(law.hull, rel=1e-5)
    assert (rows["atoms"] == "none") == (law.atoms == ())
    assert len(rows["law"]) < 130


def atoms_of(law):
    return {row.label: row.text for row in law_rows(law)}["atoms"]


def test_the_heaviest_atoms_are_listed_in_order_and_the_others_counted():
    assert atoms_of(fr.Atoms([3.0, 0.0, 1.0], [0.2, 0.3, 0.5])) == "30% at 0, 50% at 1, 20% at 3"
    many = fr.Empirical(np.arange(50.0))
    assert atoms_of(many).endswith("(50 in all)")
    assert atoms_of(many).count(" at ") == 4


class Stuck(type(fr.Semicircle())):
    """A law whose support is not found."""

    @property
    def hull(self):
        raise ConvergenceError("the walk ended nowhere.")

    @property
    def atoms(self):
        raise InputError("no atoms here.")

    def __repr__(self):
        return "<b>stuck</b> & lost"


def test_a_law_that_does_not_converge_is_still_shown_and_escaped():
    rows = shown(Stuck(4.0))
    assert rows["hull"] == rows["atoms"] == "not converged"
    assert (rows["mean"], rows["variance"]) == ("0", "4")
    assert rows["law"] == "<b>stuck</b> & lost" and "<b>" not in Stuck(4.0)._repr_html_()


def test_expressions_and_chains_show_as_well():
    x, y = fr.free_variables(fr.Semicircle(), fr.MarchenkoPastur(1.0))
    law = (x * y + y * x).law()
    rows = shown(law)
    assert [float(end) for end in rows["hull"].split(" to ")] == pytest.approx(law.hull, rel=1e-5)


def test_text_of_tables_is_escaped_everywhere():
    evil = "<script>&"
    page = html_table(evil, [(evil, evil)], (evil, evil))
    assert page.count("&lt;script&gt;&amp;") == 5 and "<script" not in page


def test_what_is_not_finite_has_a_word():
    assert [number(value) for value in (0.0, np.inf, -np.inf, np.nan, None)] == ["0", "infinite", "-infinite", "–", "–"]


def test_a_mean_that_only_rounding_keeps_from_zero_is_shown_as_zero():
    x, y = fr.free_variables(fr.Semicircle(), fr.MarchenkoPastur(1.0))
    law = (x * y + y * x).law()
    assert shown(law)["mean"] == "0" and shown(fr.Semicircle(1e-30))["mean"] == "0"
    assert shown(fr.MarchenkoPastur(1.0))["mean"] == "1"
