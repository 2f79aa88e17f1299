"""Make the bundled subset of Fashion-MNIST: python scripts/bundle_fashion_mnist.py FOLDER-WITH-THE-FOUR-IDX-FILES.

Takes the first images of each class, in file order, so that the same files always give the same subset.
"""

from __future__ import annotations

import gzip
import hashlib
import sys
from pathlib import Path

import numpy as np

from freeness.data import CLASSES, encode_idx, load_fashion_mnist
from freeness.data.fashion_mnist import Split

BUNDLE = Path(__file__).resolve().parents[1] / "src" / "freeness" / "data" / "bundled"
PER_CLASS: dict[Split, int] = {"train": 200, "test": 100}
STEM: dict[Split, str] = {"train": "train", "test": "t10k"}  # as the official files are named
LICENSE = """\
The MIT License (MIT) Copyright © 2017 Zalando SE, https://tech.zalando.com

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the “Software”), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED “AS IS”, WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def balanced_indices(labels: np.ndarray, per_class: int) -> np.ndarray:
    """The indices of the first ``per_class`` images of every class, in file order."""
    chosen = [np.flatnonzero(labels == label)[:per_class] for label in range(len(CLASSES))]
    return np.sort(np.concatenate(chosen))


def bundle_files(source: Path) -> dict[str, bytes]:
    """Name and content of every data file of the bundle."""
    files = {}
    for split, stem in STEM.items():
        full = load_fashion_mnist(split, directory=source)
        chosen = balanced_indices(full.labels, PER_CLASS[split])
        for kind, array in (("images-idx3", full.images[chosen]), ("labels-idx1", full.labels[chosen])):
            # mtime=0: the time of day must not change the bytes.
            files[f"{stem}-{kind}-ubyte.gz"] = gzip.compress(encode_idx(array), compresslevel=9, mtime=0)
    return files


def main() -> None:
    """Write the four data files, their checksums and the licence."""
    files = bundle_files(Path(sys.argv[1]))
    BUNDLE.mkdir(exist_ok=True)
    for name, content in files.items():
        (BUNDLE / name).write_bytes(content)
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items())
    (BUNDLE / "SHA256SUMS").write_text(sums, encoding="ascii")
    (BUNDLE / "LICENSE").write_text(LICENSE, encoding="utf-8")


if __name__ == "__main__":
    main()
