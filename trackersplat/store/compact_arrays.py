"""Small arrays in one compressed ``.npz``, read with bounds: nothing is unpickled, and no claim of the file is taken on trust."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.lib import format as npy

from trackersplat.errors import InputError
from trackersplat.files import NPZ_DAMAGE, atomic_file

_FACTS = "facts"  # the member that holds a JSON object
_LEVEL = 1  # of deflate: a fifth of the time of the usual 6, for a few per cent more bytes
_DAMAGE = (*NPZ_DAMAGE, struct.error, RuntimeError)  # RuntimeError: a flag says that it is encrypted; or JSON nested too deeply

Content = TypeVar("Content")


def write_compact(path: Path, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Writes a JSON object and arrays; the file appears complete or not at all. Raises InputError if it cannot be written."""
    text = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    with atomic_file(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        for name, array in {_FACTS: text, **arrays}.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                npy.write_array(member, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)


def read_compact(
    path: Path, names: tuple[str, ...], limit: int, parse: Callable[[dict[str, Any], dict[str, np.ndarray]], Content]
) -> Content:
    """What ``parse`` makes of the JSON object and the arrays of these names, at most ``limit`` bytes unpacked.

    Raises InputError, which names the file, if it is missing, damaged, too large, or ``parse`` raises a ValueError, TypeError or KeyError.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {info.filename: info.file_size for info in archive.infolist()}
            if sum(members.values()) > limit:
                raise ValueError(f"it claims {sum(members.values()):,} bytes, more than {limit:,}")
            # Reading a member to its end checks its sum.
            facts, *arrays = (_array(archive.read(f"{name}.npy")) for name in (_FACTS, *names))
        data = json.loads(facts.tobytes())
        if not isinstance(data, dict):
            raise ValueError("its facts are not a JSON object")
        return parse(data, dict(zip(names, arrays, strict=True)))
    except FileNotFoundError as error:
        raise InputError(f"{path} is missing: reconstruct its frame again.") from error
    except _DAMAGE as error:
        raise InputError(f"{path} is damaged or not a file of ours ({str(error)[:120]}): reconstruct its frame again.") from error


def _array(data: bytes) -> np.ndarray:
    """The array of an ``.npy``, none of which is allocated before its size is known to fit the data."""
    file = io.BytesIO(data)
    if npy.read_magic(file) != (1, 0):
        raise ValueError("an array of an unknown version")
    shape, fortran, dtype = npy.read_array_header_1_0(file)
    if fortran or dtype != np.uint8 or int(np.prod(shape, dtype=object)) != len(data) - file.tell():
        raise ValueError(f"an array of type {dtype} and shape {shape} in {len(data)} bytes")
    return np.frombuffer(data, np.uint8, offset=file.tell()).reshape(shape)


def to_planes(values: np.ndarray) -> np.ndarray:
    """(..., P) numbers to (..., bytes, P) uint8: bytes of one weight lie together, which deflates far better."""
    little = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    planes = little.view(np.uint8).reshape(*values.shape, values.dtype.itemsize)
    return np.ascontiguousarray(planes.swapaxes(-1, -2))


def from_planes(planes: np.ndarray, kind: str, *shape: int) -> np.ndarray:
    """The numbers of type ``kind`` and ``shape`` (..., P) that `to_planes` was given. Raises ValueError if the planes are others."""
    dtype = np.dtype(kind).newbyteorder("<")
    if planes.shape != (*shape[:-1], dtype.itemsize, shape[-1]):
        raise ValueError(f"an array of shape {planes.shape} instead of {shape}")
    return np.ascontiguousarray(planes.swapaxes(-1, -2)).view(dtype)[..., 0].astype(np.dtype(kind))


def whole(value: Any, low: int, high: int) -> int:
    """A whole number from ``low`` to ``high`` out of JSON. Raises ValueError if it is none."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{value!r} is not a whole number from {low} to {high}")
    return value


def camera_names(value: Any, limit: int) -> tuple[str, ...]:
    """At most ``limit`` different names out of JSON. Raises ValueError if they are not."""
    if not isinstance(value, list) or len(value) > limit or not all(isinstance(name, str) for name in value):
        raise ValueError("its cameras are not a list of names")
    if len(set(value)) != len(value):
        raise ValueError("a camera is named twice")
    return tuple(value)
