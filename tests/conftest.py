"""Hypothesis profiles and the folders that tests share."""

import functools
import gc
import importlib.util
import math
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.testing
from hypothesis import settings

from tests.last_bits import perturb

gc.disable()  # importing everything makes objects that stay: looking for garbage among them took a sixth of collection

if os.environ.get("FREENESS_PERTURB"):  # before anything of ours is imported
    perturb(int(os.environ["FREENESS_PERTURB"]))

REPOSITORY = Path(__file__).resolve().parents[1]
SLOW_CASES = frozenset(Path(__file__).with_name("slow_cases.txt").read_text(encoding="utf-8").splitlines())

# typer's tester builds every command anew for each call, which took a thirtieth of all tests.
typer.testing._get_command = functools.cache(typer.testing._get_command)

# "ci" runs the same 10 examples every time, "full" the same 100 (`make slow`); "random" looks for new ones and says how to see
# them again.
settings.register_profile("ci", derandomize=True, deadline=None, max_examples=10)
settings.register_profile("full", derandomize=True, deadline=None, max_examples=100)
settings.register_profile("random", deadline=None, max_examples=500)
PROFILE = os.environ.get("FREENESS_HYPOTHESIS", "ci")
settings.load_profile(PROFILE)


@pytest.fixture(autouse=True, scope="session")
def _unhurried() -> Iterator[None]:
    """No test hangs on a clock."""
    from freeness.numerics import time_limit

    with time_limit(math.inf):
        yield


@pytest.hookimpl(tryfirst=True)  # before hypothesis reads its option; xdist hands the option on to its workers
def pytest_configure(config: pytest.Config) -> None:
    if PROFILE == "random" and config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = str(secrets.randbelow(2**32))


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what is marked
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Cases that scripts/slow_cases.py found to take long; the quickest case of every test is not among them."""
    for item in items:
        if item.nodeid in SLOW_CASES:
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish() -> None:
    """What was imported stays to the end; the garbage collector need not look at it again and again."""
    gc.freeze()
    gc.enable()


def pytest_report_header(config: pytest.Config) -> str | None:
    if PROFILE != "random":
        return None
    seed = config.option.hypothesis_seed
    return f"hypothesis: to see these examples again, FREENESS_HYPOTHESIS=random pytest --hypothesis-seed={seed}"


@pytest.fixture(autouse=True, scope="session")
def quick_analyses() -> Iterator[None]:
    """What took a fifth of all tests, and is left to those that ask for it.

    Four networks are drawn for a spectrum, not 32, and no steps are trained at the rate that the start tells.
    """
    with pytest.MonkeyPatch.context() as patch:
        if importlib.util.find_spec("torch"):
            patch.setattr("freeness.torch.measured.redrawn._ENOUGH", 0)
            patch.setattr(
                "freeness.torch.analyzing.analysis_rate.rehearsed", lambda model, data, how, rate, **mode: rate
            )
        yield


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of which the words are read: drawing the pictures would take most of the time."""
    monkeypatch.setattr("freeness.show.report_page.picture_uri", lambda picture: "data:image/png;base64,")


@pytest.fixture(scope="session")
def shared_fashion_mnist() -> Path:
    """The folder with all 70,000 images, which lies beside the repository on some machines."""
    folder = REPOSITORY.parent / "shared" / "data" / "fashion-mnist"
    if not folder.is_dir():
        pytest.skip(f"the full Fashion-MNIST files are not at {folder}")
    return folder
