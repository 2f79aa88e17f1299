from freeness.advice.progress import Progress


def test_printed_progress_is_one_line_that_counts_from_one_and_ends_at_the_total(capsys):
    report = print  # a callable as computations take it
    for at in (Progress("reading", 0, 2), Progress("measuring", 1, 2), Progress("done", 2, 2)):
        report(at)
    assert capsys.readouterr().out.splitlines() == ["[1/2] reading", "[2/2] measuring", "[2/2] done"]
