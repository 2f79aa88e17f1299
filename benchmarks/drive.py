"""Measures every row beside every peer: `python -m benchmarks.drive [PEER …] [--again]`, called by `make bench`.

Each peer has an environment of its own in ``.bench/``, with freeness from this tree. Each row is a process of its own with a time
limit. Rows are merged into docs/peers.json as they come and the page is written anew, so a run that was ended goes on where it
stopped: rows that this machine measured within a day are kept, others are measured again and replaced one by one. A row that
freeness answered before and now does not is not replaced, and the run fails.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from benchmarks.measure import MARK
from benchmarks.page import KEPT, PEERS, ROOT, write

FRESH = datetime.timedelta(days=1)
INSTALL = 1800.0  # seconds
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def table() -> dict[str, dict[str, Any]]:
    """The peers, by the name of their script."""
    return tomllib.loads(PEERS.read_text(encoding="utf-8"))


def machine() -> dict[str, Any]:
    """What the times depend on."""
    name = platform.processor() or platform.machine()
    told = Path("/proc/cpuinfo")
    if told.exists():
        lines = [line for line in told.read_text(encoding="utf-8").splitlines() if line.startswith("model name")]
        name = lines[0].partition(":")[2].strip() if lines else name
    return {"processor": name, "cores": os.cpu_count(), "threads": 1, "system": platform.system()}


def environment(peer: str, entry: dict[str, Any], home: Path) -> Path:
    """The interpreter of the peer's environment, made if its requirements changed.

    Raises:
        RuntimeError: pip does not install it; the message is its last line.
    """
    folder, python = home / peer, home / peer / "bin" / "python"
    extra = "[torch]" if entry.get("torch") else ""
    wanted = [f"{ROOT}{extra}", *entry["needs"]]
    stamp, mark = folder / ".made", hashlib.sha256(repr(wanted).encode()).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="utf-8") == mark:
        return python
    sys.stdout.write(f"{peer}: environment\n")
    _called([sys.executable, "-m", "venv", str(folder)])
    torch = [os.environ.get("TORCH_SPEC") or _torch_pin()] if entry.get("torch") else []
    _called([str(python), "-m", "pip", "install", "-q", *torch, "-e", *wanted])
    stamp.write_text(mark, encoding="utf-8")
    return python


def _torch_pin() -> str:
    """Of constraints.txt that of torch alone: a peer may want older versions of the rest."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return next(line for line in lines if line.startswith("torch=="))


def _called(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL, check=False)
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")] or ["ERROR: no reason given"]
        raise RuntimeError(said[-1].removeprefix("ERROR: ").replace(str(ROOT), "."))


def asked(python: Path, peer: str, argument: str, limit: float) -> tuple[dict[str, Any], str]:
    """(what the script said, why it said no more): a row in a process of its own."""
    command = [str(python), "-m", f"benchmarks.peers.{peer}", argument]
    surroundings = os.environ | dict.fromkeys(THREADS, "1") | {"PYTHONWARNINGS": "ignore", "MPLBACKEND": "agg"}
    with subprocess.Popen(
        command, cwd=ROOT, env=surroundings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            out, err = process.communicate(timeout=limit)
            why = "" if process.returncode == 0 else (err.strip().splitlines() or ["it was ended"])[-1][:160]
        except subprocess.TimeoutExpired:
            process.kill()
            out, _ = process.communicate()
            why = f"no answer within {limit:.0f} s"
    lines = [json.loads(line.removeprefix(MARK)) for line in out.splitlines() if line.startswith(MARK)]
    return {half: content for line in lines for half, content in line.items()}, why


def assembled(said: dict[str, Any], why: str, peer: str, entry: dict[str, Any], job: str) -> dict[str, Any]:
    """One row of the table; a half that is missing is a failure with its reason."""
    about = said.get("about", {})
    return {
        "section": entry["section"],
        "job": job,
        "peer": peer,
        "bar": about.get("bar"),
        "measure": about.get("measure", ""),
        "ours": said.get("ours", {"failure": why or "no answer"}),
        "theirs": said.get("theirs", {"failure": why or "no answer"}),
        "remark": said.get("remark", ""),
        "python": about.get("python", platform.python_version()),
        "versions": about.get("versions", {}),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="minutes"),
        "machine": machine(),
    }


def is_fresh(row: dict[str, Any] | None) -> bool:
    """Answered by us on a machine like this one, within a day."""
    if row is None or row["machine"] != machine() or "failure" in row["ours"]:
        return False
    return datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(row["date"]) < FRESH


def measure(peer: str, entry: dict[str, Any], home: Path, again: bool) -> list[str]:
    """All rows of one peer; which of them were not replaced, for our half fell where it had answered before."""
    try:
        python = environment(peer, entry, home)
        listed, why = asked(python, peer, "--list", entry["limit"])
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        listed, why = {}, str(error)
    if "rows" not in listed:
        keep({}, {peer: why})
        sys.stdout.write(f"{peer}: {why}\n")
        return []
    kept = read()["rows"]
    gone = {name: None for name, row in kept.items() if row["peer"] == peer and row["job"] not in listed["rows"]}
    keep(gone, {peer: None})
    fallen = []
    for place, job in enumerate(listed["rows"]):
        name = f"{peer}: {job}"
        if is_fresh(kept.get(name)) and not again:
            continue
        row = assembled(*asked(python, peer, job, entry["limit"]), peer, entry, job) | {"place": place}
        if "failure" in row["ours"] and "error" in kept.get(name, row)["ours"]:
            fallen.append(f"{name}: {row['ours']['failure']}")
        else:
            keep({name: row}, {})
        sys.stdout.write(f"{name}: ours {row['ours']}, theirs {row['theirs']}\n")
        sys.stdout.flush()
    return fallen


def read() -> dict[str, Any]:
    """What was measured so far."""
    empty = {"schema_version": 1, "rows": {}, "reasons": {}}
    return json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else empty


def keep(rows: dict[str, Any], reasons: dict[str, str | None]) -> None:
    """Merge into the file, by row, and write the page; None takes an entry out. A reason is of a peer, or of "PEER: JOBS"."""
    found = read()
    found["freeness"] = importlib.metadata.version("freeness")
    found["rows"] = {name: row for name, row in (found["rows"] | rows).items() if row is not None}
    known = {name: why for name, why in found["reasons"].items() if name.partition(": ")[0] not in reasons}
    found["reasons"] = known | {name: why for name, why in reasons.items() if why is not None}
    draft = KEPT.with_suffix(".draft")
    draft.write_text(json.dumps(found, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    draft.replace(KEPT)
    write()


def main() -> None:
    """Parse and go."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", nargs="*", metavar="PEER", help="only these; all when left out")
    parser.add_argument(
        "--again", action="store_true", help="measure rows again that this machine measured within a day"
    )
    parser.add_argument("--folder", type=Path, default=ROOT / ".bench", help="of the environments")
    chosen = parser.parse_args()
    peers = table()
    unknown = set(chosen.peers) - set(peers)
    if unknown:
        parser.error(f"expected peers among {', '.join(peers)}, got {', '.join(sorted(unknown))}")
    fallen = []
    for peer, entry in peers.items():
        if not chosen.peers or peer in chosen.peers:
            fallen += measure(peer, entry, chosen.folder, chosen.again)
    if fallen:
        sys.exit("\n".join(["freeness fell where it had answered before; these rows were not replaced:", *fallen]))


if __name__ == "__main__":
    main()
