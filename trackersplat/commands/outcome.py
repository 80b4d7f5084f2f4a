"""How a command ends: exit codes and the one sentence that goes with them."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from trackersplat.errors import InputError


def exit_code(work: Callable[[], None]) -> int:
    """Runs ``work`` and says what went wrong, if anything, in the way a person can use. A defect's traceback goes into `default_log`."""
    try:
        with traceback_in(default_log()):
            work()
    except InputError as error:
        print(f"error: {_one_line(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Stopped. Finished frames are kept; the same command goes on from there.", file=sys.stderr)
        return 130
    except DefectError as error:
        print(f"internal error: {_one_line(str(error))}", file=sys.stderr)
        return 1
    return 0


def default_log() -> Path:
    """Where the traceback of a defect goes if there is no run to keep it: in the user's folder for the state of programs."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "trackersplat" / "trackersplat.log"


def _one_line(sentence: str) -> str:
    """Names of files may hold line breaks, escape sequences and bytes that are no text: written out, as no terminal must obey them."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in sentence)


class DefectError(Exception):
    """One of our own errors, whose traceback has been written to a log."""


@contextmanager
def traceback_in(log: Path) -> Iterator[None]:
    """Keeps the traceback of a defect in a file and replaces it by one sentence."""
    try:
        yield
    except (InputError, DefectError):
        raise
    except Exception as error:
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("a", encoding="utf-8") as file:
                traceback.print_exc(file=file)
            where = f"its traceback is in {log}"
        except OSError as unwritten:
            where = f"{log} cannot be written ({unwritten.strerror}), so there is no traceback"
        raise DefectError(f"{type(error).__name__}: {error}. This is a defect of trackersplat; {where}.") from error
