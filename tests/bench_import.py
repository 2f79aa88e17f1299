"""What imports cost a fresh process: `freeness` and its theory .5 s, `freeness.torch` 1 s beyond torch, at most."""

import pytest

from tests.test_house import run_python


@pytest.mark.parametrize(
    ("before", "imported", "bar"),
    [("", "import freeness", 0.5), ("", "import freeness.advice", 0.5), ("import torch", "import freeness.torch", 1.0)],
    ids=["freeness", "theory", "torch"],
)
def test_an_import_costs_little(benchmark, before, imported, bar):
    clock = f"import time; {before}\nstart = time.process_time(); {imported}\nprint(time.process_time() - start)"
    seconds = []
    benchmark.pedantic(lambda: seconds.append(float(run_python(clock))), rounds=7)
    benchmark.extra_info["cpu_seconds_of_the_import"] = min(seconds)
    assert min(seconds) < bar
