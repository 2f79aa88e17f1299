"""The other side of :mod:`freeness.app.worker`: reads jobs from stdin, one line of JSON each, and answers on stdout."""

from __future__ import annotations

import importlib
import json
import os
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO

from freeness.errors import FreenessError, brief

# A job is a function of the keyword arguments that were sent and of ``stage``; what it returns is sent back as JSON.
_JOBS = {
    "law": "freeness.app.law_job",
    "spectrum": "freeness.app.spectrum_job",
    "sweep": "freeness.app.sweep_job",
    "report": "freeness.app.report_job",
    "upload": "freeness.app.upload_job",
}


def serve_jobs(requests: TextIO, answers: TextIO) -> None:
    """Answer every line of requests until there is none.

    Requests are lines of JSON with ``job`` and ``arguments``; answers have ``stage`` and ``share``, and at last ``answer`` or
    ``refused``.

    Example:
        >>> import io
        >>> serve_jobs(io.StringIO('{"job": "none such", "arguments": {}}'), sys.stdout)
        {"refused": "expected a job among law, spectrum, sweep, report, upload, got 'none such'."}
    """

    def send(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    for line in requests:
        request = json.loads(line)
        send(_answer(request["job"], request["arguments"], lambda words, share: send({"stage": words, "share": share})))


def _answer(job: str, arguments: dict[str, Any], stage: Callable[[str, float], None]) -> dict[str, Any]:
    if job not in _JOBS:
        return {"refused": f"expected a job among {', '.join(_JOBS)}, got {job!r}."}
    try:
        return {"answer": importlib.import_module(_JOBS[job]).perform(**arguments, stage=stage)}
    except FreenessError as error:
        return {"refused": str(error)}
    except MemoryError:
        return {"refused": "expected something that fits the memory allowed, got more; take something smaller."}
    except Exception as error:  # a page shows a sentence, whatever happens
        return {"refused": f"expected an answer, got {brief(error)}; correct the input."}


def main() -> None:
    """Serve the process that started this one; arguments: the bytes of address space that may be taken, a job to be ready for."""
    memory, ready = int(sys.argv[1]), sys.argv[2]
    if memory:
        with suppress(ImportError, ValueError, OSError):  # not on every system, nor above a limit that is set already
            import resource

            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    warnings.simplefilter("ignore")  # numpy's, of expressions that overflow: what comes of them is said in the answer
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer
    if ready:
        importlib.import_module(_JOBS[ready])
    answers.write("{}\n")
    answers.flush()
    serve_jobs(sys.stdin, answers)


if __name__ == "__main__":
    main()
