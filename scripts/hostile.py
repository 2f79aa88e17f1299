"""Hundreds of inputs that nobody means well, to command line and files: prints what is neither answered nor refused, and counts.

Run `PYTHONPATH=. python scripts/hostile.py --store hostile.jsonl`. Each input has a process of its own, forked from one that has
loaded everything. Counted are raw errors (exit code 1, a traceback, a signal), a growth of more than a gigabyte, and what takes
more than 20 s. The page has its own: scripts/hostile_page.py.
"""

# ruff: noqa: SIM905, E501, SIM117
# Lists of words are easier to read as one text, and lies as one line.

from __future__ import annotations

import argparse
import io
import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tests.app.hostile import expressions, files

EXTREMES = [
    *"0 -1 1 1e308 -1e308 1e-320 1e-300 1e300 nan inf -inf 1e999 99999999999999999999999 2147483648 0.5 -0.0 x 1_000 0x10".split(),
    *"1,2 ,, 1e400,1 nan,nan ١٢ ½ 𝟙 --help {} [] null True 1e5 3 1e-9".split(),
    "",
    " ",
    "\u202e",
    "a" * 5000,
]
LIMIT, PATIENCE, GROWTH = 20, 60.0, 2**20  # seconds of CPU, seconds of a clock, KiB
_NET = "import torch\ndef build(): return torch.nn.Sequential(torch.nn.Linear(6, {0}), torch.nn.Tanh(), torch.nn.Linear({0}, 3))\n"
_LINEAR = "import torch\ndef build():\n    m = torch.nn.Linear(6, 3)\n    m.weight.data.fill_({})\n    return m\n"
_MODULE = """import torch
class M(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.l = torch.nn.Linear(6, 3)
    def forward(self, x): {}
build = M
"""
_MODELS = {
    "good.py": _NET.format(8),
    "big.py": _NET.format(16),
    "syntax.py": "def build(:\n",
    "none.py": "def build(): return None\n",
    "raises.py": "def build(): raise ValueError('no')\n",
    "exits.py": "import sys\ndef build(): sys.exit(3)\n",
    "exits_first.py": "import sys\nsys.exit(3)\n",
    "recursion.py": "def build(): return build()\n",
    "number.py": "build = 5\n",
    "argument.py": "def build(n): return n\n",
    "nan.py": _LINEAR.format("float('nan')"),
    "huge.py": _LINEAR.format("1e38"),
    "empty_model.py": "import torch\ndef build(): return torch.nn.Sequential()\n",
    "frozen.py": "import torch\ndef build(): return torch.nn.Linear(6, 3).requires_grad_(False)\n",
    "text.py": _MODULE.format("return 'text'"),
    "inside.py": _MODULE.format("raise RuntimeError('inside')"),
    "integers.py": _MODULE.format("return self.l(x).argmax(1)"),
    "latin.py": b"# \xe9\ndef build(): return None\n",
    "nothing.py": "",
    "zero.py": b"\0" * 100,
}
_SWEEP = """name = "mine"
depths = [2]
seeds = [0]
steps = 3
batch = 4
loss = "cross_entropy"
optimizer = "sgd"
[rates]
values = [0.5]
unit = "bound"
[data]
source = "fashion-mnist"
limit = 20
[[designs]]
name = "one"
activation = "tanh"
width = 8
sigma_w = 1.0
sigma_b = 0.0
"""
_NUMBERS: dict[str, tuple[list[str], list[str]]] = {
    "law": (["law", "mp:1", "--points", "20"], ["--points", "--sample", "--seed", "--method"]),
    "kernel": (
        "kernel --activation erf --depth 3 --sigma-w 1.2 --count 4 --data gaussian".split(),
        ["--depth", "--sigma-w", "--sigma-b", "--count", "--residual", "--parameter", "--activation", "--data"],
    ),
    "phase": (
        "phase --activation tanh --points 3".split(),
        ["--at", "--sigma-w", "--sigma-b", "--points", "--activation", "--parameter"],
    ),
    "design": (
        "design --depth 4 --activation tanh".split(),
        "--depth --width --inputs --outputs --isometry --qhat0 --momentum --weight-decay --batch --correlation --form --loss "
        "--weights --optimizer --parametrisation".split(),
    ),
    "dynamics": (
        "dynamics --depth 2 --count 4 --steps 5 --data gaussian".split(),
        "--depth --width --sigma-w --sigma-b --residual --count --learning-rate --batch --steps --measure --loss".split(),
    ),
    "transformer": (
        "transformer --depth 1 --width 16 --heads 2 --tokens 3".split(),
        "--depth --width --heads --tokens --norm --activation --sigma-qk --cosine --kept --phases".split(),
    ),
    "transfer": (
        "transfer good.py:build big.py:build --rate 0.01 --data gaussian --loss mse".split(),
        "--rate --data --loss --optimizer --batch --big-batch --seed".split(),
    ),
    "rate": (
        "rate good.py:build --data gaussian --loss mse --steps 4 --json".split(),
        "--data --loss --optimizer --steps --cost --batch --schedule --warmup --interval --accumulate --clip --precision "
        "--output --device --seed".split(),
    ),
    "analyze": (
        "analyze good.py:build --data gaussian --loss mse --json --budget 3".split(),
        "--data --sample --loss --optimizer --batch --seed --device --output --passes --budget --memory --only".split(),
    ),
    "check": ("check good.py:build --data gaussian".split(), ["--data", "--sample", "--seed"]),
    "interpret": (
        "interpret --depth 2 --images 8 --epochs 1".split(),
        "--depth --activation --start --data --images --epochs --batch --optimizer --rate --show --share --seed".split(),
    ),
    "watch": (["watch", "run.jsonl"], ["--follow", "--html", "--json"]),
    "sweep": (
        ["sweep", "good.toml", "--engine", "inline"],
        ["--workers", "--preset", "--device", "--picture", "--scheduler"],
    ),
}
_COSTLY = ("transfer", "rate", "analyze", "check", "interpret", "dynamics")  # by torch: some a command


@dataclass(frozen=True)
class Input:
    """A command line; ``area``: of the table of counts."""

    area: str
    argv: list[str]


@dataclass(frozen=True)
class Outcome:
    """What became of it: "answered", "refused", or a fault; the end of what it said."""

    outcome: str
    seconds: float
    growth: int
    said: str


def laws(count: int, seed: int, folder: Path) -> list[Input]:
    """Expressions that may mean anything, with variables that may, too."""
    rng = np.random.default_rng(seed)
    found: list[Input] = []
    for text in expressions(count, seed, folder / "marker"):
        if "\0" in text:
            continue
        argv = ["law", "--points", "20", "--x", "semicircle", "--y", "mp:1"]
        if rng.random() < 0.3:
            kind = str(
                rng.choice(
                    ["mp", "semicircle", "projection", "uniform", "atoms", "fuss_catalan", "kesten_mckay", "arcsine"]
                )
            )
            argv[4] = f"{kind}:{rng.choice(EXTREMES)}"
        found.append(Input("laws", [*argv, "--", text]))
    return found


def numbers(count: int, seed: int) -> list[Input]:
    """Commands with one or two of their options at extremes."""
    rng = np.random.default_rng((seed, 1))
    found: list[Input] = []
    names = [*_NUMBERS]
    weights = np.array([0.25 if name in _COSTLY else 1.0 for name in names])
    for name in rng.choice(names, count, p=weights / weights.sum()):
        base, options = _NUMBERS[str(name)]
        argv = list(base)
        for option in rng.choice(options, int(rng.integers(1, 3)), replace=False):
            value = str(rng.choice(EXTREMES))
            if option in argv:
                argv[argv.index(str(option)) + 1] = value
            else:
                argv += [str(option), value]
        found.append(Input("numbers", argv))
    return found


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes changed, cut or put in, most of them near the beginning."""
    changed = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        at = int(rng.integers(max(1, min(len(changed), 200) if rng.random() < 0.8 else len(changed))))
        kind = rng.random()
        if kind < 0.6 and at < len(changed):
            changed[at] = int(rng.integers(256))
        elif kind < 0.8:
            del changed[at : at + int(rng.integers(1, 40))]
        else:
            changed[at:at] = rng.bytes(int(rng.integers(1, 40)))
    return bytes(changed)


def hostile_files(count: int, seed: int, folder: Path) -> list[Input]:
    """Files by every door: weights, data, laws, checkpoints, sweeps, configurations, runs and models; written into the folder."""
    rng = np.random.default_rng((seed, 2))
    doors = {
        ".npy": ["law empirical:{}", "analyze good.py:build --json --budget 3 --data {}", "kernel --activation erf --depth 2 --sigma-w 1 --data {}"],
        ".npz": ["law empirical:{}", "analyze good.py:build --json --budget 3 --data {}", "dynamics --depth 2 --steps 3 --data {}"],
        ".txt": ["law empirical:{}"],
        ".csv": ["law empirical:{}"],
        ".pt": ["check good.py:build --data gaussian --weights {}", "interpret --checkpoint {}"],
        ".safetensors": ["check good.py:build --data gaussian --weights {}"],
        ".toml": ["sweep {} --engine inline", "analyze good.py:build --config {}", "rate good.py:build --config {}"],
        ".jsonl": ["watch {}"],
    }  # fmt: skip
    sound = {
        ".npy": _saved(np.save, np.random.default_rng(0).standard_normal((8, 6))),
        ".npz": _saved(np.savez, inputs=np.ones((8, 6)), targets=np.arange(8) % 3),
        ".txt": b"0.1 0.5\n1.0 2.0\n",
        ".csv": b"0.1,0.5\n1.0,2.0\n",
        ".toml": _SWEEP.encode(),
        ".jsonl": b'{"schema_version": 1, "step": 1, "loss": 1.0}\n',
    }
    written: list[tuple[str, bytes]] = [
        *_lies(),
        *files(count // 6, seed, {"0.weight": np.ones((8, 6))}, folder / "marker"),
    ]
    endings = [*sound]
    while len(written) < count:
        ending = endings[int(rng.integers(len(endings)))]
        written.append((ending, damaged(sound[ending], rng)))
    found: list[Input] = []
    for k, (ending, content) in enumerate(written):
        path = folder / f"hostile{k}{ending}"
        path.write_bytes(content)
        door = doors.get(ending, ["law empirical:{}"])
        found.append(Input("files", door[int(rng.integers(len(door)))].format(path.name).split()))
    os.mkfifo(folder / "fifo")
    places = [
        "/dev/zero",
        "/dev/stdin",
        "/dev/full",
        "fifo",
        ".",
        "/",
        "/proc/nowhere/x",
        "a" * 5000,
        "é\u202e.npy",
        "/proc/self/mem",
    ]
    for place in places:
        found += [Input("files", f"{door} {place}".split(" ")) for door in ("sweep", "watch", "interpret --checkpoint")]
        found += [Input("files", ["law", f"empirical:{place}"])]
        found += [Input("files", ["law", "mp:1", "--points", "20", "--json", place])]
        found += [Input("files", ["law", "mp:1", "--points", "20", "--out", place])]
        found += [Input("files", ["check", "good.py:build", "--data", place])]
    for name, content in _MODELS.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    for name in [*_MODELS, "absent.py", "fifo", "."]:
        for command in (
            "analyze {} --json --budget 3",
            "rate {} --steps 3 --json",
            "check {}",
            "transfer {} big.py:build --rate 0.1",
            "design --apply {}",
        ):
            if rng.random() < 0.45:
                argv = command.format(f"{name}:build").split()
                found.append(Input("files", argv if argv[0] == "design" else [*argv, "--data", "gaussian"]))
    return found


def _saved(save, *arrays, **named) -> bytes:  # type: ignore[no-untyped-def]
    stream = io.BytesIO()
    save(stream, *arrays, **named)
    return stream.getvalue()


def _lies() -> list[tuple[str, bytes]]:
    """Headers that promise what is not there, and archives that unpack to gigabytes."""
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (%s), }"
    found: list[tuple[str, bytes]] = []
    for shape in (
        "1000000000000,",
        "-1,",
        "0,",
        "2**70,",
        "1e9,",
        "'x',",
        "99999999999999999999999999,",
        "1, " * 40,
        "",
    ):
        text = (header % shape).encode().ljust(117) + b"\n"
        found.append((".npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(64)))
    for descr in ("'|O'", "'<U9'", "'<c16'", "'|b1'", "[('a', '<f8')]", "'<M8[s]'", "'<f2'", "__import__('os')"):
        text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': (4,), }}".encode().ljust(117) + b"\n"
        found.append((".npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(200)))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("inputs.npy", "w", force_zip64=True) as record:
            text = (header % "268435456,").encode().ljust(117) + b"\n"
            record.write(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text)
            for _ in range(128):
                record.write(bytes(2**24))
    found.append((".npz", stream.getvalue()))
    numbers = (
        np.array([np.nan, 1.0]),
        np.array([np.inf]),
        np.full(9, 1e308),
        np.array([5e-324]),
        np.zeros((0, 6)),
        np.array(3.0),
    )
    found += [(".npy", _saved(np.save, array)) for array in numbers]
    tomls = ["depth = " * 500, "a = " + "[" * 3000 + "]" * 3000, "[network]\nwidth = 1e400", "[training]\nsteps = 1e30", "\ufeff", "x = nan",
             "[network]\ndepth = [" + "1," * 100_000 + "]", "[training]\nrates = [nan, inf, -1]", "a.b.c." * 400 + "d = 1", "[[network]]\n[[network]]"]  # fmt: skip
    found += [(".toml", text.encode()) for text in tomls]
    found += [
        (".jsonl", line)
        for line in (b"", b"null\n", b"[]\n" * 5, b'{"step": NaN}\n', b"{" * 9999, b'{"step": 1e999, "loss": "x"}\n')
    ]
    found += [(".txt", text) for text in (b"nan nan", b"1e999", b"x y z", b"\xff\xfe1\x00", b"1 2\n3\n", b"9" * 9999)]
    return found


def run(one: Input, folder: Path) -> Outcome:
    """The command line in a forked child; its output in a file."""
    log = folder / "log"
    start = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    child = os.fork()
    if child == 0:
        _child(one.argv, folder, log)
    late = False
    while True:
        done, status, usage = os.wait4(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() - start > PATIENCE and not late:
            late = True
            os.kill(child, signal.SIGKILL)
        time.sleep(0.01)
    seconds = usage.ru_utime + usage.ru_stime
    growth = max(0, usage.ru_maxrss - before)
    said = log.read_text(errors="replace")
    code = os.waitstatus_to_exitcode(status)
    if late or seconds > LIMIT or code == -signal.SIGXCPU:
        outcome = "over 20 s"
    elif growth > GROWTH:
        outcome = "over 1 GB"
    elif code not in (0, 2, 3, 130) or "Traceback (most recent call last)" in said:
        outcome = "raw error"
    else:
        outcome = "answered" if code == 0 else "refused"
    return Outcome(outcome, round(seconds, 2), growth, said[-400:])


def _child(argv: list[str], folder: Path, log: Path) -> None:
    """Never returns."""
    code = 1
    try:
        os.chdir(folder)
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(out, stream)
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
        resource.setrlimit(resource.RLIMIT_CPU, (LIMIT + 1, LIMIT + 2))
        resource.setrlimit(resource.RLIMIT_DATA, (5 * 2**30, 5 * 2**30))
        sys.argv = ["freeness", *argv]
        from freeness.cli import main

        main()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def told(rows: Sequence[dict[str, object]]) -> str:
    """The counts by area."""
    lines = []
    for area in dict.fromkeys(str(row["area"]) for row in rows):
        own = [row["outcome"] for row in rows if row["area"] == area]
        parts = ("answered", "refused", "raw error", "over 1 GB", "over 20 s")
        lines.append(f"{area}: {len(own)} inputs: {', '.join(f'{part} {own.count(part)}' for part in parts)}")
    return "\n".join(lines)


def main() -> int:
    """Returns 1 where an input was no answer and no refusal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--store", type=Path, default=Path("hostile.jsonl"))
    parser.add_argument("--laws", type=int, default=330)
    parser.add_argument("--numbers", type=int, default=280)
    parser.add_argument("--files", type=int, default=150)
    parser.add_argument("--again", action="store_true", help="only what was a fault before")
    options = parser.parse_args()
    import torch

    import freeness.cli
    import freeness.experiments
    import freeness.interpret
    import freeness.torch  # noqa: F401

    torch.set_num_threads(1)
    rows = [json.loads(line) for line in options.store.read_text().splitlines()] if options.store.exists() else []
    known = {json.dumps(row["argv"]): row for row in rows}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "good.toml").write_text(_SWEEP)
        (folder / "run.jsonl").write_text("")
        inputs = hostile_files(options.files, options.seed, folder)
        inputs += laws(options.laws, options.seed, folder) + numbers(options.numbers, options.seed)
        for one in inputs:
            row = known.get(json.dumps(one.argv))
            if row is not None and (not options.again or row["outcome"] in ("answered", "refused")):
                continue
            found = run(one, folder)
            known[json.dumps(one.argv)] = {**asdict(one), **asdict(found)}
            if found.outcome not in ("answered", "refused"):
                print(
                    f"{found.outcome} ({found.seconds} s, {found.growth} KiB): {one.argv}\n    {found.said[-300:]}",
                    flush=True,
                )
            options.store.write_text("\n".join(json.dumps(row) for row in known.values()) + "\n")
        if (folder / "marker").exists():
            print("an input ran code")
            return 1
    print(told([*known.values()]))
    return int(any(row["outcome"] not in ("answered", "refused") for row in known.values()))


if __name__ == "__main__":
    sys.exit(main())
