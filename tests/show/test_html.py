import base64
import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from freeness.advice import FreenessOutcome
from freeness.errors import InputError
from freeness.show import freeness_table, number, render_html, spectrum_table, write_report
from freeness.spectra import FreenessTest, Word

from . import cases


@pytest.fixture(scope="module")
def analysis():
    return cases.hardtanh(80, 5)


@pytest.fixture(scope="module")
def page(analysis):
    return render_html([analysis, cases.relu(60, 6)])


class Reader(HTMLParser):
    """Everything a browser would fetch, the visible text, and whether all elements are closed in order."""

    VOID = ("meta", "link", "img", "br")

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loads, self.links, self.images, self.tags, self.text, self.open = [], [], [], [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.append(tag)
        self.loads += [values[key] for key in ("src", "srcset", "data", "poster", "action") if key in values]
        if "href" in values:
            (self.links if tag == "a" else self.loads).append(values["href"])
        if tag == "img":
            self.images.append(values)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_page_is_well_formed(page):
    assert Reader(page).open == []


def test_page_requests_nothing_from_elsewhere(page):
    reader = Reader(page)
    assert all(url.startswith("data:") for url in reader.loads)
    assert not {"script", "iframe", "object", "embed", "base", "form"} & set(reader.tags)
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL).group(1)
    assert "url(" not in style and "@import" not in style
    assert {link for link in reader.links if not link.startswith("#")} == {
        "https://arxiv.org/abs/1711.04735",
        "https://arxiv.org/abs/2006.07814",
        "https://arxiv.org/abs/2103.13466",
    }


def test_links_within_the_page_have_a_target(page):
    anchors = {link[1:] for link in Reader(page).links if link.startswith("#")}
    assert anchors == {"network-1", "network-2", "glossary", "cite"}
    assert all(f'id="{anchor}"' in page for anchor in anchors)


def test_pictures_are_embedded_and_described(page):
    images = Reader(page).images
    assert len(images) == 2 * 5
    for image in images:
        assert base64.b64decode(image["src"].removeprefix("data:image/png;base64,"))[:8] == b"\x89PNG\r\n\x1a\n"
        assert image["alt"]


def test_numbers_of_the_analysis_appear(page, analysis):
    text = " ".join(" ".join(Reader(page).text).split())
    rate = analysis.learning_rate
    for value in (rate.recommended, rate.bound):
        assert number(value, 3) in text
    for comparison in (analysis.jacobian, analysis.fisher):
        for row in spectrum_table(comparison).rows:
            assert " ".join(row) in text
    assert f"{analysis.parameters:,} parameters" in text
    for sentence in (*analysis.verdict.sentences, *analysis.verdict.advice, rate.reason):
        assert sentence in text


def test_verdict_comes_before_pictures_and_layers(page):
    places = [
        page.index(mark) for mark in (">Verdict<", ">Learning rate<", "data:image/png", "Layer by layer", "Glossary")
    ]
    assert places == sorted(places)


@pytest.mark.usefixtures("undrawn")
def test_strings_of_the_user_are_escaped(analysis):
    evil = "<script>alert('&')</script>"
    layers = tuple(replace(row, name=evil, activation=evil) for row in analysis.chain)
    verdict = replace(analysis.verdict, sentences=(evil,), advice=(evil,), warnings=(evil,))
    hostile = replace(
        analysis, title=evil, data=evil, chain=layers, verdict=verdict, uncovered=(evil,),
        jacobian=replace(analysis.jacobian, predicted=None, distance=None, reason=evil),
    )  # fmt: skip
    page = render_html([hostile, hostile])
    assert "script" not in Reader(page).tags
    assert "&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;" in page


@pytest.mark.usefixtures("undrawn")
def test_what_theory_does_not_cover_is_said(analysis):
    uncovered = replace(analysis.fisher, predicted=None, distance=None, reason="identity weights are not free")
    page = render_html([replace(analysis, fisher=uncovered, uncovered=("identity weights are not free",))])
    assert "No prediction:" in page
    assert "identity weights are not free" in page.split("What is not covered")[1]


def outcome_of(*words):
    return FreenessOutcome(FreenessTest(words), "", 0.02)


FREE = Word("layer2", "W D° Wᵀ E°", 1e-3, 0.0, 1e-3)
FAILED = Word("layer3", "(W D° Wᵀ E°)²", 8e-3, 0.0, 1e-3)
UNTESTED = Word("layer4", "W D° W D°", 0.0, 0.0, 0.0, False)


def freeness_section(page):
    text = " ".join(" ".join(Reader(page).text).split())
    return text.split("Freeness of the weights: measured")[1].split("What is theory and what is measured")[0]


@pytest.mark.usefixtures("undrawn")
def test_freeness_is_shown_pair_by_pair_as_measured(analysis):
    outcome = outcome_of(FREE, FAILED, UNTESTED)
    section = freeness_section(render_html([replace(analysis, freeness=outcome)]))
    assert section.startswith(" not free Warning. ") and outcome.sentence in section
    assert "not covered for this network" in section and "largest score 8" in section
    rows = freeness_table(replace(analysis, freeness=outcome)).rows
    assert rows == (
        ("2 layer2", "D1, D2", "W D° Wᵀ E°", "1.0", "free"),
        ("3 layer3", "D2, D3", "(W D° Wᵀ E°)²", "8.0", "not free"),
        ("4 layer4", "D3, D4", "–", "–", "too few neurons differ"),
    )
    assert all(" ".join(row) in section for row in rows)


@pytest.mark.usefixtures("undrawn")
def test_weights_that_pass_bring_no_warning(analysis):
    section = freeness_section(render_html([replace(analysis, freeness=outcome_of(FREE, UNTESTED))]))
    assert section.startswith(" free No word departs") and "Warning" not in section


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("outcome", [FreenessOutcome(None, "<b>it has convolutions</b>"), outcome_of(UNTESTED)])
def test_a_freeness_test_that_was_left_out_says_why(analysis, outcome):
    page = render_html([replace(analysis, freeness=outcome)])
    assert freeness_section(page).startswith(f" not tested {outcome.sentence}")
    assert "it has convolutions" in outcome.sentence or "a few neurons" in outcome.sentence
    assert "<b>" not in page


@pytest.mark.usefixtures("undrawn")
def test_report_is_the_same_every_time(analysis):
    """Its pictures are, too: tests/show/test_back_ends.py."""
    first, second = (render_html([analysis, cases.relu(60, 6)]) for _ in range(2))
    assert first == second


def test_no_analysis_is_refused():
    with pytest.raises(InputError, match="at least one analysis"):
        render_html([])


@pytest.mark.usefixtures("undrawn")
def test_report_is_written_whole_and_replaces_an_older_one(analysis, tmp_path):
    path = write_report([analysis], tmp_path / "a" / "b")
    first = path.read_text(encoding="utf-8")
    assert first.endswith("</html>") or first.endswith("</html>\n")
    path.write_text("old", encoding="utf-8")
    assert write_report([analysis], tmp_path / "a" / "b") == path
    assert path.read_text(encoding="utf-8") == first
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]


@pytest.mark.usefixtures("undrawn")
def test_the_overview_shows_the_rate_with_its_interval_and_not_the_linearised_bound(analysis):
    rate = replace(analysis.learning_rate, bound=0.001234, recommended=0.0199, low=0.0066, high=0.0796)
    other = replace(analysis, learning_rate=rate)
    overview = render_html([other, other]).split("<article")[0]
    assert "0.0199" in overview and "0.0066 and 0.0796" in overview and "0.00123" not in overview
    assert overview.count(f"<td>{analysis.outcome}</td>") == 2
    assert "0.0199" in render_html([analysis, other]).split("<article")[0]  # beside one without an interval


@pytest.mark.usefixtures("undrawn")
def test_isometry_is_not_judged_where_no_layers_are_followed(analysis):
    blind = replace(analysis, chain=(), verdict=replace(analysis.verdict, phase=None, isometric=False, isometry=None))
    page = render_html([blind, blind])
    assert ">not isometric<" not in page and page.count("not determined") == 2
    assert "not isometric" not in blind._repr_html_()


@pytest.mark.usefixtures("undrawn")
def test_one_word_stands_for_isometry(analysis):
    near = replace(analysis, verdict=replace(analysis.verdict, isometric=False, isometry="nearly isometric"))
    page = render_html([near, near])
    assert ">nearly isometric</span>" in page and "not isometric" not in page


@pytest.mark.usefixtures("undrawn")
def test_a_report_without_a_rate_says_why_and_keeps_the_rest(analysis):
    none = replace(
        analysis.learning_rate, bound=float("nan"), recommended=float("nan"), reason="No learning rate: flat."
    )
    page = render_html([replace(analysis, learning_rate=none)])
    assert (
        '<p class="big">none</p>' in page and "No learning rate: flat." in page and "<p>to start from</p>" not in page
    )
    assert number(float(analysis.fisher.measured.eigenvalues[-1])) in page
    assert "No learning rate: flat." in replace(analysis, learning_rate=none)._repr_html_()
    blind = replace(none, sharpness=math.nan, sharpness_error=math.nan)
    assert f"<td>{analysis.learning_rate.optimizer}</td>" in page and "sharpness λ (measured)" in page
    adam = render_html([replace(analysis, learning_rate=replace(analysis.learning_rate, optimizer="adam"))])
    assert "sharpness λ, preconditioned (measured)" in adam and "(measured)" not in render_html(
        [replace(analysis, learning_rate=blind)]
    )


@pytest.mark.usefixtures("undrawn")
def test_labels_weights_and_code_are_told(analysis):
    coded = replace(analysis.verdict, advice=("Take the design.", "Run: design(3, [2] * 4, 'tanh')"))
    page = render_html([replace(analysis, targets="random classes", weights="start.pt", verdict=coded)])
    assert "no labels were given; random classes stand in for them" in page and "· weights: start.pt" in page
    assert '<code class="run">design(3, [2] * 4, &#39;tanh&#39;)</code>' in page
    plain = render_html([analysis])
    assert "no labels were given" not in plain and "· weights: " not in plain


@pytest.mark.usefixtures("undrawn")
def test_what_is_covered_in_part_is_not_called_uncovered(analysis):
    part = replace(analysis, uncovered=("layer_norm in 1: its scale is not counted",))
    assert "<h4>What is covered in part</h4>" in render_html([part])
    without = replace(part, fisher=replace(analysis.fisher, predicted=None, distance=None, reason="a gate"))
    assert "<h4>What is not covered</h4>" in render_html([without])


def test_sentences_of_a_report_are_short(page):
    """Ends of elements end sentences, too; formulas and names count as words."""
    inline = re.compile(r"</?(?:em|code|a|strong|sub|sup|span|b|i)\b[^>]*>")
    text = inline.sub("", re.sub(r"<(style|script|svg|code)\b.*?</\1>", "", page, flags=re.S))
    parts = re.split(r"(?<=[.!?])\s+|<[^>]+>", text)
    assert len(parts) > 100
    assert not [part for part in parts if len(part.split()) > 30]
