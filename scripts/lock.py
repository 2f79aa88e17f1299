"""Writes constraints.txt: the versions that `pip` chooses today for freeness with all that its tests and pages need.

Run by `make lock`, which keeps the pin of torch; the tests then have to pass before the file is committed.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PINNED = "torch==2.13.0"
HEAD = """\
# The versions that the tests run on, written by `make lock`. pyproject.toml says what freeness may work with; this is what it
# was tested with.
"""


def resolved() -> dict[str, str]:
    """Name to version of every package, without the package itself; a build of torch is not part of its version."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [
            "install",
            "--dry-run",
            "--ignore-installed",
            "-q",
            "--report",
            str(report),
            ".[all,dev,docs]",
            PINNED,
        ]
        subprocess.run([sys.executable, "-m", "pip", *command], cwd=ROOT, check=True)
        found = json.loads(report.read_text(encoding="utf-8"))["install"]
    versions = {
        re.sub(r"[-_.]+", "-", one["metadata"]["name"]).lower(): one["metadata"]["version"].split("+")[0]
        for one in found
    }
    del versions["freeness"]
    return versions


if __name__ == "__main__":
    lines = [f"{name}=={version}\n" for name, version in sorted(resolved().items())]
    (ROOT / "constraints.txt").write_text(HEAD + "".join(lines), encoding="utf-8")
