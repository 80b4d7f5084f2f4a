"""A lock by which one process at a time writes a file or folder. It is released when the process ends, however it ends.

The lock is the operating system's (``flock``, on Windows ``msvcrt.locking``) on a small file, which says who holds it. A killed process
leaves the file, not the lock: the next holder takes the file over and removes it at its end.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from trackersplat.errors import InputError

_TEXT_LIMIT = 4096  # bytes of a lock file that are read
_WAIT_SECONDS, _WAIT_STEP = 5.0, 0.01  # for another process that writes a line
_LOCKED_BYTE = 1 << 20  # the byte that Windows locks; others cannot read it, so it lies behind the text
_BUSY = {errno.EAGAIN, errno.EACCES, errno.EDEADLK}
_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lock:
    """A lock that this process holds."""

    path: Path
    _file: int  # descriptor

    def is_there(self) -> bool:
        """Whether its file is still on disk: False once it, or a folder above it, was removed or replaced."""
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._file))
        except OSError:
            return False


@contextmanager
def wait_and_hold(path: Path, what: str) -> Iterator[None]:
    """As `hold`, but waits a moment for another process, for what takes milliseconds to write."""
    until = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < until:
        with try_to_hold(path) as lock:
            if lock is not None:
                yield
                return
        time.sleep(_WAIT_STEP)
    with hold(path, what):
        yield


@contextmanager
def hold(path: Path, what: str) -> Iterator[Lock]:
    """Holds the lock on the file ``path``, which is created now and removed at the end.

    Raises InputError if another process holds it (the message begins with ``what`` and says who), or if the file cannot be written. Where
    the file system has no locks, a warning is logged and nothing is locked.
    """
    found = _take(path)
    if found is None:
        raise InputError(f"{what} is being written by {_holder(path)}: wait until it has finished, or stop it.")
    try:
        yield found
    finally:
        _give_back(found)


@contextmanager
def try_to_hold(path: Path) -> Iterator[Lock | None]:
    """As `hold`, but None if another process holds it."""
    found = _take(path)
    try:
        yield found
    finally:
        if found is not None:
            _give_back(found)


def _take(path: Path) -> Lock | None:
    while True:
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0), 0o644)
        except OSError as error:
            if sys.platform == "win32" and error.errno == errno.EACCES and path.exists():
                return None  # its holder is removing it
            raise InputError(
                f"{path} cannot be written ({error.strerror}): check the folder, its permissions and the free space."
            ) from error
        lock = Lock(path, file)
        try:
            _lock(file)
        except OSError as error:
            if error.errno in _BUSY:
                os.close(file)
                return None
            if error.errno not in _UNSUPPORTED:
                os.close(file)
                raise InputError(f"{path} cannot be locked ({error.strerror}): check the disk, or use another folder.") from error
            log.warning("%s cannot be locked, because this file system has no locks: make sure that no other process writes there.", path)
        if lock.is_there():  # else its last holder removed it before it was locked here
            _sign(file)
            return lock
        os.close(file)


def _give_back(lock: Lock) -> None:
    if sys.platform == "win32":  # which cannot remove an open file, so another process may take it first
        os.close(lock._file)
        with suppress(OSError):
            lock.path.unlink()
        return
    if lock.is_there():
        with suppress(OSError):  # a folder that can no longer be written: the empty lock file does no harm
            lock.path.unlink()
    os.close(lock._file)


def _sign(file: int) -> None:
    who = {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now().astimezone().isoformat(timespec="seconds")}
    with suppress(OSError):  # a full disk: the lock holds without the text
        os.ftruncate(file, 0)
        os.lseek(file, 0, os.SEEK_SET)
        os.write(file, json.dumps(who).encode())


def _holder(path: Path) -> str:
    try:
        with path.open("rb") as file:
            who = json.loads(file.read(_TEXT_LIMIT))
        return f"process {int(who['pid'])} on {str(who['host'])[:80]} since {str(who['since'])[:40]}"
    except (OSError, ValueError, TypeError, KeyError):  # it has just been taken or given back
        return "another process"


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        os.lseek(file, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
