"""Writing files so that a reader never meets half of one, and reading small text files with a bound."""

from __future__ import annotations

import codecs
import glob
import json
import os
import shutil
import uuid
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from trackersplat.errors import InputError

READ_STEP = 2**20  # bytes
JSON_LIMIT = 16 << 20  # bytes; a larger "settings" file is an accident or an attack
# What zipfile and NumPy raise on an .npz that is damaged or not ours. MemoryError: a header claims more than there can be.
NPZ_DAMAGE = (
    OSError, EOFError, KeyError, ValueError, TypeError, OverflowError, MemoryError, NotImplementedError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip


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


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yields a new temporary folder beside ``path``; on success it takes the place of ``path``, on failure it is removed.

    A folder that is there is renamed out of the way and removed only when the new one is in its place.

    Raises InputError if the parent folder cannot be written.
    """
    temporary, replaced = _beside(path), _beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        yield temporary
        if path.is_dir() and not path.is_symlink():
            os.replace(path, replaced)
        try:
            os.replace(temporary, path)
        except BaseException:
            if replaced.is_dir():
                os.replace(replaced, path)
            raise
        shutil.rmtree(replaced, ignore_errors=True)
    except OSError as error:
        raise unwritable(path.parent, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.tmp")


def remove_leftovers(path: Path) -> None:
    """Removes what a killed `atomic_folder` of this path has left beside it."""
    for folder in path.parent.glob(f".{glob.escape(path.name)}.{'[0-9a-f]' * 12}.tmp"):
        remove_folder(folder)


def unwritable(folder: Path, error: OSError) -> InputError:
    """The one sentence for an output folder that refuses to be written."""
    return InputError(
        f"Cannot write to {folder} ({error.strerror or error}): check its permissions and the free space, or choose another folder."
    )


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
        raise InputError(f"{path} has more than {limit:,} bytes, expected at most that many: it is too large for what it should be.")
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
