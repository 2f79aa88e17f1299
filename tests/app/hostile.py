"""Input that nobody means well: expressions and files, made from a seed."""

import io
import json
import pickle
import zipfile

import numpy as np
import torch

WORDS = [
    "mp:1",
    "semicircle",
    "projection:0.3",
    "x",
    "y",
    "haar",
    "i",
    "atoms:0@0.5,1@0.5",
    "uniform:0,1",
    "bernoulli",
    "point:2",
]
SIGNS = ["+", "-", "*", "/", "**", "(", ")", ",", "@", ":", "commutator(", "adjoint(", "inverse("]
NUMBERS = ["0", "1", "-1", "1e308", "1e-308", "0.5", "999999999999", "nan", "inf", "1e999", "2i", "0x10", "1_000"]


def attacks(marker) -> list[str]:
    """Expressions that would run code, read files, or compute for ever."""
    return [
        f"__import__('os').system('touch {marker}')",
        f"open('{marker}','w')",
        "().__class__.__bases__[0].__subclasses__()",
        "empirical:/etc/passwd",
        "empirical:'/dev/zero'",
        "x**999999999",
        "(x+y)**64",
        "(x*y+y*x+x)**9",
        "x" + "*x*y" * 200,
        "(" * 900 + "x" + ")" * 900,
        "mp:1" + "+mp:1" * 150,
        "fuss_catalan:1000000",
        "kesten_mckay:1e300",
        "atoms:" + ",".join(f"{k}@0.01" for k in range(90)),
        "1/(x-x)",
        "inverse(" * 50 + "x" + ")" * 50,
        "{{7*7}} ${7*7} <script>alert(1)</script>",
        "\x00\x1b[31m\u202e\ud7ff",
        "x;y\ny",
        "",
    ]


def sentence(rng, depth) -> str:
    """A well-formed expression, whatever it means."""
    if depth == 0 or rng.random() < 0.2:
        return str(rng.choice([*WORDS, "2", "0.5", "1e-9"]))
    left, right = sentence(rng, depth - 1), sentence(rng, depth - 1)
    forms = ("({} + {})", "({} * {})", "commutator({}, {})", "({} / {})", "({0} ** 3 - {1})", "inverse({0}*{0} + {1})")
    return forms[int(rng.integers(len(forms)))].format(left, right)


def expressions(count: int, seed: int, marker) -> list[str]:
    """The attacks, and random words of the grammar and of no grammar."""
    rng = np.random.default_rng(seed)
    found = attacks(marker)
    while len(found) < count:
        kind = rng.random()
        if kind < 0.1:
            found.append(sentence(rng, 2))
        elif kind < 0.3:
            found.append("".join(chr(int(code)) for code in rng.integers(1, 0xD7FF, rng.integers(1, 40))))
        else:
            pool = WORDS + SIGNS + NUMBERS
            found.append(" ".join(pool[k] for k in rng.integers(0, len(pool), rng.integers(1, 9))))
    return found[:count]


def safetensors(tensors: dict[str, np.ndarray]) -> bytes:
    """A well-formed file."""
    header, body = {}, b""
    for name, array in tensors.items():
        content = np.ascontiguousarray(array, dtype="<f4").tobytes()
        header[name] = {
            "dtype": "F32",
            "shape": list(array.shape),
            "data_offsets": [len(body), len(body) + len(content)],
        }
        body += content
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


class Runs:
    """An object whose unpickling would run code."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return open, (str(self.marker), "w")


def bomb() -> bytes:
    """An archive in torch's layout whose one record unpacks to a gigabyte."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}))
        with archive.open("archive/data/0", "w", force_zip64=True) as record:
            for _ in range(64):
                record.write(bytes(2**24))
    return stream.getvalue()


def files(count: int, seed: int, good: dict[str, np.ndarray], marker) -> list[tuple[str, bytes]]:
    """(ending, content): attacks, and good files with some bytes changed, cut or put in."""
    rng = np.random.default_rng(seed)
    stream = io.BytesIO()
    torch.save({name: torch.from_numpy(array) for name, array in good.items()}, stream)
    sound = {".safetensors": safetensors(good), ".pt": stream.getvalue()}
    huge = json.dumps({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    nested = b"[" * 100_000
    found = [
        (".pt", pickle.dumps(Runs(marker))),
        (".pt", pickle.dumps({"0.weight": Runs(marker)})),
        (".pt", bomb()),
        (".pt", b""),
        (".safetensors", b""),
        (".safetensors", (2**63).to_bytes(8, "little") + b"{}"),
        (".safetensors", len(huge).to_bytes(8, "little") + huge),
        (".safetensors", len(nested).to_bytes(8, "little") + nested),
        (".safetensors", (4).to_bytes(8, "little") + b"null"),
        (".exe", b"MZ"),
    ]
    while len(found) < count:
        ending = (".safetensors", ".pt")[int(rng.integers(2))]
        content = bytearray(sound[ending])
        for _ in range(int(rng.integers(1, 6))):
            at = int(rng.integers(0, min(len(content), 400))) if rng.random() < 0.7 else int(rng.integers(len(content)))
            kind = rng.random()
            if kind < 0.6:
                content[at] = int(rng.integers(256))
            elif kind < 0.8:
                del content[at : at + int(rng.integers(1, 60))]
            else:
                content[at:at] = rng.bytes(int(rng.integers(1, 60)))
            content = content or bytearray(b"\0")
        found.append((ending, bytes(content)))
    return found[:count]
