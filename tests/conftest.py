"""Hypothesis profiles and the folders that tests share."""

import os
import secrets
from pathlib import Path

import pytest
from hypothesis import settings

REPOSITORY = Path(__file__).resolve().parents[1]

# "ci" runs the same 25 examples every time, "full" the same 100 (`make slow`); "random" looks for new ones and says how to see
# them again.
settings.register_profile("ci", derandomize=True, deadline=None, max_examples=25)
settings.register_profile("full", derandomize=True, deadline=None, max_examples=100)
settings.register_profile("random", deadline=None, max_examples=500)
PROFILE = os.environ.get("FREENESS_HYPOTHESIS", "ci")
settings.load_profile(PROFILE)


@pytest.hookimpl(tryfirst=True)  # before hypothesis reads its option; xdist hands the option on to its workers
def pytest_configure(config: pytest.Config) -> None:
    if PROFILE == "random" and config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = str(secrets.randbelow(2**32))


def pytest_report_header(config: pytest.Config) -> str | None:
    if PROFILE != "random":
        return None
    seed = config.option.hypothesis_seed
    return f"hypothesis: to see these examples again, FREENESS_HYPOTHESIS=random pytest --hypothesis-seed={seed}"


@pytest.fixture(scope="session")
def shared_fashion_mnist() -> Path:
    """The folder with all 70,000 images, which lies beside the repository on some machines."""
    folder = REPOSITORY.parent / "shared" / "data" / "fashion-mnist"
    if not folder.is_dir():
        pytest.skip(f"the full Fashion-MNIST files are not at {folder}")
    return folder
