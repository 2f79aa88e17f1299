"""What ``progress`` may be."""

from freeness.advice import Progress
from freeness.bars import followed


def test_true_writes_one_line_a_stage_where_there_is_no_terminal(capsys):
    with followed(True) as report:
        for share in (0.0, 0.0, 0.5):
            report(Progress("curvature", 1, 3, share=share))
        report(Progress("spectra", 2, 3))
    assert capsys.readouterr().err.splitlines() == ["[2/3] curvature", "[3/3] spectra"]


def test_a_function_is_called_and_silence_stays():
    heard = []
    with followed(heard.append) as report:
        report(Progress("curvature", 1, 3))
    assert [one.stage for one in heard] == ["curvature"]
    for quiet in (None, False):
        with followed(quiet) as report:
            assert report is None
