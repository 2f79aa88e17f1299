"""docs/peers.md from docs/peers.json and benchmarks/peers.toml: the whole page is rendered, nothing in it is written by hand."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from benchmarks.verdict import ratio, verdict

ROOT = Path(__file__).resolve().parents[1]
KEPT, PAGE = ROOT / "docs" / "peers.json", ROOT / "docs" / "peers.md"
PEERS, ABSENT = ROOT / "benchmarks" / "peers.toml", ROOT / "benchmarks" / "absent.toml"
SECTIONS = {
    "A": (
        "Free-probability engines",
        "Laws with a closed form, built from nothing in every call. 1000 points are the midpoints of cells of the support.",
    ),
    "B": (
        "Spectra of networks",
        "A 10×256 tanh network with biases and 256 outputs (657,920 parameters), in float32; our Gram matrix is summed in "
        "float64. Tangent kernels of infinite width, and shaped activations.",
    ),
    "C": (
        "Learning rates before training",
        "A 20×128 tanh network on Fashion-MNIST, ½‖f - y‖², three initialisations. The error is the training loss after 200 "
        "steps of SGD at the rate that was chosen; the time is that of choosing.",
    ),
    "D": (
        "Curvature of networks that people train",
        "ResNet-18 (11 M parameters) and ViT-tiny (5 M), ten classes, cross-entropy, eval mode, float32. The batch is eight "
        "images of 32². PyHessian knows the Hessian alone, which is another matrix than the GGN. Of the GGN's millions of "
        "eigenvalues 72 are not 0. curvlinops tells a density that is broadened on a grid, so its mean is that of the width of "
        "the peak at 0. Rows from 2026-11-29 on were measured beside other work on the same cores.",
    ),
}
COLUMNS = ("job", "peer", "its time", "its error", "our time", "our error", "ratio", "result", "remark")
HEAD = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}\n"
INTRODUCTION = """# freeness beside its peers

Written by `make bench` ({count} rows, freeness {freeness}). Every peer has an environment of its own; in it, in one
process and on one thread, freeness and the peer answer the same question one after the other. A time is the median of
three calls behind a first one, the lesser of wall and processor time. Where the first call took more than half as
long again, it is told in brackets (imports are not in it; compiling, tracing and caches are). Ratio: the peer's time
over ours, so above 1 we are faster. Errors are against answers that use no freeness, exact ones where there are any.
A job that several peers do is measured anew beside each.

Machines: {machines}.

**{score}.** A row is a win if we are faster and both are right, or if we are right and the peer is wrong or silent.
It is a loss if we are slower and both are right, or slower and not closer. It is mixed if one is faster and the other
closer. Right is an error within the bar of the row; without a bar, within 2 % of the smaller one. Wrong is an error
above 0.1 where there is a bar.
"""


def number(value: float) -> str:
    """Two digits; a power of ten where it is small."""
    return f"{value:.1e}".replace("e-0", "e-").replace("e+0", "e") if value < 1e-2 or value >= 1e4 else f"{value:.3g}"


def seconds(half: dict[str, Any]) -> str:
    """The median, and the first call where it prepares something."""
    if "seconds" not in half:
        return "–"
    first = f" (first {number(half['first'])})" if half["first"] > 1.5 * half["seconds"] else ""
    once = " (1x)" if half["calls"] == 1 else ""
    return f"{number(half['seconds'])} s{first}{once}"


def error(half: dict[str, Any]) -> str:
    """The error, or why there is none."""
    return number(half["error"]) if "error" in half else half["failure"].replace("|", "/")


def peer_name(entry: dict[str, Any], versions: dict[str, str]) -> str:
    """With its version, as pinned or as found."""
    if "name" not in entry:
        return entry["needs"][0].replace("==", " ")
    return f"{' '.join(filter(None, (entry['name'], versions.get(entry['name']))))}, {entry['title']}"


def line(row: dict[str, Any], peers: dict[str, Any]) -> str:
    """One row of a table."""
    times = ratio(row)
    bar = f", bar {number(row['bar'])}" if row["bar"] is not None else ""
    remarks = [f"{row['measure']}{bar}", *([row["remark"]] if row["remark"] else [])]
    if times is not None and times > 1 and row["theirs"]["first"] < row["ours"]["first"]:
        remarks.append("at the first call the peer is faster")
    remark = ". ".join([remarks[0], *(part[:1].upper() + part[1:] for part in remarks[1:])])
    told = "–" if times is None else f"{times:.2g}" if times < 100 else f"{times:.0f}"
    cells = [row["job"], peer_name(peers[row["peer"]], row["versions"]), seconds(row["theirs"]), error(row["theirs"])]
    cells += [seconds(row["ours"]), error(row["ours"]), told, verdict(row), remark]
    return "| " + " | ".join(cells) + " |\n"


def machines(rows: list[dict[str, Any]]) -> str:
    """Processor, cores, threads, Python and dates, one phrase a machine."""
    found: dict[str, list[str]] = {}
    for row in rows:
        m = row["machine"]
        name = (
            f"{m['processor']}, {m['cores']} cores of which one thread is used, {m['system']}, Python {row['python']}"
        )
        found.setdefault(name, []).append(row["date"][:10])
    return ". ".join(
        f"{name}, {min(days)}" + (f" to {max(days)}" if max(days) != min(days) else "") for name, days in found.items()
    )


def libraries(rows: list[dict[str, Any]], peers: dict[str, Any]) -> str:
    """What each environment holds below both."""
    told = {}
    for row in rows:
        if row["versions"]:
            named = ", ".join(f"{name} {version}" for name, version in row["versions"].items())
            told[peer_name(peers[row["peer"]], row["versions"])] = named
    return "\n".join(f"* {name}: {named}" for name, named in told.items()) + "\n"


def rendered(found: dict[str, Any], peers: dict[str, Any], absent: dict[str, Any]) -> str:
    """The page."""
    place = {name: index for index, name in enumerate(peers)}
    rows = sorted(found["rows"].values(), key=lambda row: (row["section"], place[row["peer"]], row["place"]))
    counts = [
        f"{sum(verdict(row).startswith(word) for row in rows)} {words}"
        for word, words in (("win", "wins"), ("loss", "losses"), ("mixed", "mixed"), ("neither", "decided for nobody"))
    ]
    page = INTRODUCTION.format(
        count=len(rows), freeness=found["freeness"], machines=machines(rows), score=", ".join(counts)
    )
    for section, (title, text) in SECTIONS.items():
        page += f"\n## {section}. {title}\n\n{text}\n\n{HEAD}"
        page += "".join(line(row, peers) for row in rows if row["section"] == section)
    reasons = [(*name.partition(": ")[::2], why.replace("|", "/")) for name, why in found["reasons"].items()]
    page += "\n## Not measured\n\n| peer | job | why |\n|---|---|---|\n"
    page += "".join(
        f"| {peer_name(peers[n], {})} | {jobs or 'all of its jobs'} | {why} |\n" for n, jobs, why in reasons
    )
    page += "".join(f"| {entry['name']} | {entry['jobs']} | {entry['why']} |\n" for entry in absent.values())
    return page + f"\n## What the environments hold\n\n{libraries(rows, peers)}"


def load() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What the page is rendered from."""
    peers, absent = (tomllib.loads(path.read_text(encoding="utf-8")) for path in (PEERS, ABSENT))
    return json.loads(KEPT.read_text(encoding="utf-8")), peers, absent


def write() -> None:
    """Render anew."""
    draft = PAGE.with_suffix(".draft")
    draft.write_text(rendered(*load()), encoding="utf-8")
    draft.replace(PAGE)
