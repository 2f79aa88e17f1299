"""A network like ResNet-18 (11 million parameters) with 10 outputs: the dual Gram matrix beside jacrev, time and memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from freeness.torch import dual_gram, dual_plan, trace
from tests.torch.zoo import resnet

REPOSITORY = Path(__file__).resolve().parents[2]
# A process of its own for each way: what malloc keeps of the one would hide what the other needs.
SCRIPT = """
import json, sys, time, torch
from freeness.torch import dual_gram, dual_plan, trace
from tests.torch.models import parameter_jacobian
from tests.torch.zoo import resnet

torch.set_num_threads(1)
torch.manual_seed(0)
model, x = resnet((64, 128, 256, 512)).eval(), torch.randn(1, 3, 32, 32)
traced = trace(model, x)

def resident(field):
    with open("/proc/self/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))

with open("/proc/self/clear_refs", "w", encoding="ascii") as peak:
    peak.write("5")
before, start = resident("VmRSS"), time.perf_counter()
if sys.argv[1] == "jacrev":
    jacobian = parameter_jacobian(model, x)
    parts = (part.double() for part in jacobian.split(1 << 18, dim=1))  # float32 sums of 11 million terms are off by 1e-3
    gram = sum(part @ part.T for part in parts)
else:
    gram = dual_gram(traced, x)
seconds, extra = time.perf_counter() - start, resident("VmHWM") - before
planned = dual_plan(traced, x).bytes if sys.argv[1] != "jacrev" else 0
print(json.dumps({"seconds": seconds, "extra": extra, "planned": planned, "gram": gram.tolist()}))
"""


def measured(way: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, way], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from Linux' /proc")
def test_the_dual_gram_of_a_resnet_needs_a_quarter_of_the_memory_of_jacrev() -> None:
    dual, jacrev = measured("dual"), measured("jacrev")
    found, expected = torch.tensor(dual["gram"]), torch.tensor(jacrev["gram"])
    assert float((found - expected).abs().max()) <= 1e-4 * float(expected.abs().max())
    assert dual["extra"] <= jacrev["extra"] / 4
    assert dual["extra"] <= 4 * dual["planned"]  # an estimate, without what the libraries allocate once


def test_benchmark_dual_gram_of_a_resnet(benchmark: BenchmarkFixture) -> None:
    torch.manual_seed(0)
    model, x = resnet((64, 128, 256, 512)).eval(), torch.randn(1, 3, 32, 32)
    traced = trace(model, x)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        benchmark(dual_gram, traced, x)
    finally:
        torch.set_num_threads(threads)
    dual, jacrev = measured("dual"), measured("jacrev")
    benchmark.extra_info["estimate"] = str(dual_plan(traced, x))
    for key in ("seconds", "extra"):
        benchmark.extra_info[f"dual_{key}"], benchmark.extra_info[f"jacrev_{key}"] = dual[key], jacrev[key]
