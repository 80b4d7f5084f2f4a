"""Trying one mutant in a process of its own, with limits of time and memory."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from dataclasses import dataclass
from pathlib import Path
from random import Random

from mutant_readers import NonsenseError, Reader
from mutants import link_tree, mutate

from trackersplat.errors import InputError

SECONDS = 10
MEMORY = 2 << 30  # bytes, beyond what the process has before
_CODES = {0: "opened", 2: "refused", 3: "nonsense", 4: "memory", 5: "traceback"}
FAILURES = ("nonsense", "memory", "traceback", "hang", "killed")


@dataclass(frozen=True)
class Outcome:
    kind: str  # "opened", "refused" or one of FAILURES
    what: str  # was done to which file
    said: str


def try_mutant(reader: Reader, whole: Path, seed: int) -> Outcome:
    """Damages a copy of the folder ``whole`` as ``seed`` says and opens it."""
    # Beside the whole one: links of files do not reach into another file system.
    place = Path(tempfile.mkdtemp(prefix="mutant-", dir=whole.parent.parent))
    try:
        root = link_tree(whole.parent, place / "copy")
        folder = root / whole.name
        what = mutate(folder, Random(f"{reader.name} {seed}"), reader.wanted)
        said = place / "said"
        process = os.fork()
        if process == 0:
            _child(reader, folder, said)
        _, status = os.waitpid(process, 0)
        text = said.read_text(errors="replace") if said.exists() else ""
        if os.WIFSIGNALED(status):
            kind = "hang" if os.WTERMSIG(status) in (signal.SIGALRM, signal.SIGXCPU) else "killed"
            return Outcome(kind, what, f"signal {os.WTERMSIG(status)} {text}")
        return Outcome(_CODES.get(os.WEXITSTATUS(status), "killed"), what, text)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _child(reader: Reader, folder: Path, said: Path) -> None:
    code = 5
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + MEMORY
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS)
        silence = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silence, stream)
        try:
            reader.open(folder)
            code, text = 0, ""
        except InputError as error:
            code, text = 2, str(error)
        except NonsenseError as error:
            code, text = 3, str(error)
        except MemoryError:
            code, text = 4, traceback.format_exc()
        except BaseException:
            text = traceback.format_exc()
        said.write_text(text, encoding="utf-8", errors="replace")
    finally:
        sys.stdout.flush()
        os._exit(code)
