"""Seconds of `import freeness` beyond the parts of numpy and scipy that it uses; bar: 0.5 s. Run by `make bench`."""

from tests.test_house import run_python


def test_import_costs_under_half_a_second_beyond_numpy_and_scipy(benchmark):
    listing = "print(*[m for m in sys.modules if m.split('.')[0] in ('numpy', 'scipy')])"
    beyond = run_python(f"import freeness, sys; {listing}").split()
    clock = f"""
import importlib, time
for name in {beyond!r}:
    importlib.import_module(name)
start = time.perf_counter()
import freeness
print(time.perf_counter() - start)
"""
    seconds = []
    benchmark.pedantic(lambda: seconds.append(float(run_python(clock))), rounds=5)
    benchmark.extra_info["seconds_of_the_import"] = min(seconds)
    assert min(seconds) < 0.5
