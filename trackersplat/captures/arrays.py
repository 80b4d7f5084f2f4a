"""Arrays from an ``.npz`` file of a capture. Nothing is unpickled, and sizes are checked before anything is read."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from trackersplat.errors import InputError
from trackersplat.files import NPZ_DAMAGE, has_file

MAX_BYTES = 4 << 30  # of all arrays of one file together, unpacked

# Name -> kinds of dtype ("f" floating, "i" integer, "b" bool) and shape. Sizes named by the same letter must be equal.
ArrayLayout = Mapping[str, tuple[str, tuple[int | str, ...]]]


def read_arrays(path: Path, layout: ArrayLayout) -> dict[str, np.ndarray]:
    """The arrays that ``layout`` names, checked against it.

    Raises InputError if the file is missing, damaged or larger than ``MAX_BYTES``, or an array is missing or of another kind or shape.
    """
    if not has_file(path):
        raise InputError(f"{path} is missing: exact tracks and truth are read from the folder gt of the capture.")
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(info.file_size for info in archive.infolist())
        if size > MAX_BYTES:
            raise ValueError(f"it claims {size:,} bytes, more than {MAX_BYTES:,}")
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in layout}
    except NPZ_DAMAGE as error:
        raise InputError(f"{path} cannot be read ({error}): expected an .npz with {', '.join(layout)}.") from error
    sizes: dict[str, int] = {}
    for name, (kinds, shape) in layout.items():
        array = arrays[name]
        fits = array.ndim == len(shape) and array.dtype.kind in kinds
        if not fits or any(length != _expected(sizes, part, length) for length, part in zip(array.shape, shape, strict=True)):
            known = ", ".join(str(sizes.get(part, part)) if isinstance(part, str) else str(part) for part in shape)
            raise InputError(f"{path}: {name} is {array.dtype} {array.shape}, expected kind {'/'.join(kinds)} of shape ({known}).")
    return arrays


def _expected(sizes: dict[str, int], part: int | str, length: int) -> int:
    return sizes.setdefault(part, length) if isinstance(part, str) else part
