"""Writing files so that a reader never meets half of one, and reading small text files with a bound."""

from __future__ import annotations

import codecs
import glob
import json
import os
import re
import shutil
import tempfile
import uuid
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from trackersplat.errors import InputError
from trackersplat.locks import hold, try_to_hold

READ_STEP = 2**20  # bytes
JSON_LIMIT = 16 << 20  # bytes; a larger "settings" file is an accident or an attack
# What zipfile and NumPy raise on an .npz that is damaged or not ours. MemoryError: a header claims more than there can be.
NPZ_DAMAGE = (
    OSError, EOFError, KeyError, ValueError, TypeError, OverflowError, MemoryError, NotImplementedError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
_HEX = "[0-9a-f]" * 12
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{12}\.tmp", re.DOTALL)
_LOCK = re.compile(r"\..+\.lock", re.DOTALL)


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside ``path``; on success it is renamed over ``path``, on failure removed.

    Raises InputError if it cannot be written.
    """
    temporary = _beside(path)
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        reason = error.strerror or error  # NumPy's "3 requested and 1 written" has no strerror
        raise InputError(f"{path} cannot be written ({reason}): check the folder, its permissions and the free space.") from error
    finally:
        with suppress(OSError):  # what cannot be written cannot always be removed either; the first error is the one to tell
            temporary.unlink(missing_ok=True)


def write_durable(path: Path, content: bytes) -> None:
    """Writes a file, complete or not at all. It is on the disk at the end, so that what depends on it may be removed after.

    Raises InputError if it cannot be written.
    """
    with atomic_file(path) as temporary, temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    flush_names(path.parent)


@contextmanager
def atomic_folder(path: Path, *, durable: bool = False) -> Iterator[Path]:
    """Yields a new temporary folder beside ``path``; on success it takes the place of ``path``, on failure it is removed.

    A folder that is there is renamed to `aside` first and removed only when the new one is in its place: a reader finds one of the two at
    any moment, and `restore` brings the old one back after a kill between the renames. What a killed writer of the same path left is
    removed. ``durable``: all is on the disk before the rename, so that what depends on it may be removed after.

    Raises InputError if a file or link has the name, the parent folder cannot be written, or another process writes the same folder.
    """
    temporary = _beside(path)
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise InputError(f"{path} is a {'link' if path.is_symlink() else 'file'}, where a folder is to be written: remove or rename it.")
    make_folder(path.parent)
    with hold(path.with_name(f".{path.name}.lock"), str(path)):
        try:
            remove_leftovers_of(path)
            restore(path)
            temporary.mkdir()
            yield temporary
            if durable:
                _flush(temporary)
            _replace(temporary, path)
            if durable:
                flush_names(path.parent)
        except OSError as error:
            raise unwritable(path.parent, error) from error
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def aside(path: Path) -> Path:
    """Where the folder ``path`` is while another one takes its place."""
    return path.with_name(f".{path.name}.old")


def restore(path: Path) -> None:
    """Completes an exchange of folders that was killed: keeps the new one if it is in place, else brings the old one back."""
    old = aside(path)
    if old.is_dir() and not old.is_symlink():
        if path.exists():
            shutil.rmtree(old)
        else:
            os.replace(old, path)


def _replace(new: Path, path: Path) -> None:
    old = aside(path)
    if path.is_dir() and not path.is_symlink():
        os.replace(path, old)
    try:
        os.replace(new, path)
    except BaseException:
        if old.is_dir():
            os.replace(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _flush(folder: Path) -> None:
    """Waits until all files of a folder are on the disk."""
    for file in (*folder.rglob("*"), folder):
        if file.is_dir():
            flush_names(file)
        else:
            with file.open("r+b") as opened:
                os.fsync(opened.fileno())


def flush_names(folder: Path) -> None:
    """Waits until the names in a folder are on the disk, where folders can be opened (not on Windows)."""
    if os.name == "nt":
        return
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")


def remove_leftovers_of(path: Path) -> None:
    """Removes what killed writers of this file or folder have left beside it. Nobody else may be writing it."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.{_HEX}.tmp"):
        _remove(left)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Removes what killed writers of any file or folder in ``folder`` have left there. Nobody else may be writing there."""
    for child in folder.iterdir():
        if _TEMPORARY.fullmatch(child.name) or _LOCK.fullmatch(child.name):
            _remove(child)


def remove_dead(path: Path) -> None:
    """Removes what killed writers of a folder, and killed users of a `working_folder` named after it, have left beside it."""
    if not path.parent.is_dir():
        return
    with try_to_hold(path.with_name(f".{path.name}.lock")) as lock:
        if lock is not None:
            remove_leftovers_of(path)
    _remove_dead_work(path.parent, f".{glob.escape(path.name)}.*")


@contextmanager
def working_folder(name: str, parent: Path | None = None) -> Iterator[Path]:
    """A new folder for intermediate files, removed in the end, in ``parent`` or else the folder for temporary files.

    Those that killed processes left under the same name are removed first; those of living ones are locked. Raises InputError if it cannot
    be written.
    """
    remove_dead_work(name, parent)
    parent = _temporary(parent)
    folder = parent / f"{name}.{uuid.uuid4().hex[:12]}.work"
    with hold(_lock_of(folder), str(folder)):  # before the folder is there: one without a lock belongs to nobody
        try:
            folder.mkdir(mode=0o700)
        except OSError as error:
            raise unwritable(parent, error) from error
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def remove_dead_work(name: str, parent: Path | None = None) -> None:
    """Removes each `working_folder` of this name whose process is gone."""
    _remove_dead_work(_temporary(parent), glob.escape(name))


def _remove_dead_work(parent: Path, pattern: str) -> None:
    for left in parent.glob(f"{pattern}.{_HEX}.work*"):
        folder = left.with_name(left.name.removesuffix(".lock"))
        with suppress(OSError, InputError):  # of another user, or removed by another process at the same time
            if hasattr(os, "getuid") and (folder if folder.exists() else _lock_of(folder)).lstat().st_uid != os.getuid():
                continue
            with try_to_hold(_lock_of(folder)) as lock:
                if lock is not None:
                    remove_folder(folder)


def _temporary(parent: Path | None) -> Path:
    return Path(tempfile.gettempdir()) if parent is None else parent


def unwritable(folder: Path, error: OSError) -> InputError:
    """The one sentence for an output folder that refuses to be written."""
    return InputError(
        f"Cannot write to {folder} ({error.strerror or error}): check its permissions and the free space, or choose another folder."
    )


def make_folder(folder: Path) -> None:
    """With those above it, unless it is there. Raises InputError if it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder and below it."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)


def remove_folder(path: Path) -> None:
    """Removes a folder and all in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)


def write_text(path: Path, text: str) -> None:
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, data: Any) -> None:
    write_text(path, json.dumps(data, indent=1) + "\n")


def has_file(path: Path) -> bool:
    """Whether an optional file is there. Raises InputError if its name is that of a broken link, a folder or a device."""
    if path.is_file():
        return True
    if path.is_symlink() and not path.exists():
        raise InputError(f"{path} is a link to {os.readlink(path)}, which does not exist: copy the file itself, or remove the link.")
    if not path.exists():
        return False
    kind = "a folder" if path.is_dir() else "a device or a pipe"
    raise InputError(f"{path} is {kind}, expected a file: copy the file again, or remove what has its name.")


def read_file(path: Path, limit: int) -> bytes:
    """What a regular file holds, at most ``limit`` bytes. A device or a pipe, which may never end, is not read.

    Raises InputError if it is missing, no file, too large, or cannot be read.
    """
    try:
        if not has_file(path):
            raise InputError(f"{path} is missing: copy it again.")
        data = bytearray()
        with path.open("rb") as file:  # in steps: files that the system makes up have no size, and the limit may be gigabytes
            while len(data) <= limit and (part := file.read(min(READ_STEP, limit + 1 - len(data)))):
                data += part
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check the file and its permissions.") from error
    if len(data) > limit:
        raise InputError(f"{path} has more than {limit:,} bytes, expected at most that many: check that it is the right file.")
    return bytes(data)


def read_text(path: Path, limit: int) -> str:
    """The text of a file in UTF-8 or, with a byte order mark, UTF-16, as editors write it. Raises InputError as `read_file` does."""
    data = read_file(path, limit)
    try:
        return data.decode("utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not text in UTF-8 ({error.reason} at byte {error.start}): save it again as UTF-8.") from error


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises InputError if the file is missing, too large, or not one."""
    text = read_text(path, JSON_LIMIT)
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON ({error}): write it again, or remove it if it is not needed.") from error
    if not isinstance(data, dict):
        raise InputError(f"{path} must hold a JSON object, found a {type(data).__name__}.")
    return data
