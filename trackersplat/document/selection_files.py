"""Selections as files beside the log: written once, before the line that names them, and never changed."""

from __future__ import annotations

import io
import os
import re
import zipfile
from pathlib import Path

import numpy as np

from trackersplat.document.selection import MOST_GAUSSIANS, Selection
from trackersplat.errors import InputError
from trackersplat.files import NPZ_DAMAGE, atomic_file, flush_names, read_file, unwritable

_KEY = re.compile(r"[0-9a-f]{32}")
_FILE_LIMIT = 64 << 20  # bytes of a file
_MOST_BIRTHS = 1 << 16  # frames of birth in a selection
_UNPACKED_LIMIT = MOST_GAUSSIANS  # bytes of the bits in a file: eight Gaussians each


def write_selection(folder: Path, selection: Selection) -> None:
    """Raises InputError if it cannot be written."""
    path = folder / f"{selection.key}.npz"
    if path.is_file():
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **selection.packed())  # type: ignore[arg-type]
        with atomic_file(path) as temporary, temporary.open("wb") as file:
            file.write(buffer.getvalue())
            file.flush()
            os.fsync(file.fileno())
        flush_names(folder)
    except OSError as error:
        raise unwritable(folder, error) from error


def read_selection(folder: Path, key: str) -> Selection:
    """Raises InputError if there is none of this key, or its file is damaged."""
    if not _KEY.fullmatch(key):
        raise InputError(f"{key[:40]!r} names no stored selection: expected 32 hexadecimal digits.")
    path = folder / f"{key}.npz"
    data = read_file(path, _FILE_LIMIT)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            sizes = [info.file_size for info in archive.infolist()]
        if len(sizes) > _MOST_BIRTHS or sum(sizes) > _UNPACKED_LIMIT:
            raise ValueError("it claims to hold too much")
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            found = Selection.unpacked({name: file[name] for name in file.files})
        if found.key != key:
            raise ValueError("its ids are not those that its name stands for")
    except NPZ_DAMAGE as error:
        how = f"restore the file, or remove the folder {folder.parent} to undo all edits"
        raise InputError(f"{path} is damaged ({error}): {how}.") from error
    return found
