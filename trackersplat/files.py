"""Writing files so that a reader never meets half of one, and reading small text files with a bound."""

from __future__ import annotations

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


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises InputError if the file is missing, too large, or not one."""
    try:
        if path.stat().st_size > JSON_LIMIT:
            raise InputError(
                f"{path} has {path.stat().st_size:,} bytes, expected at most {JSON_LIMIT:,} of JSON; it is not a file of ours."
            )
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not valid JSON ({error}); restore it or remove it.") from error
    if not isinstance(data, dict):
        raise InputError(f"{path} must hold a JSON object, found a {type(data).__name__}.")
    return data
