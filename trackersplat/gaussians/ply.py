"""The PLY of 3D Gaussian splatting (Kerbl et al. 2023), which every splat tool opens.

One float32 vertex per Gaussian: x, y, z, nx, ny, nz (zeros), f_dc_0..2, f_rest_* (channel-major: all of red, then green, then
blue; 0, 9, 24 or 45 for degree 0 to 3), opacity (logit), scale_0..2 (log), rot_0..3 (wxyz). 62 numbers at degree 3.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch
from plyfile import PlyData, PlyElement, PlyParseError

from trackersplat.errors import InputError
from trackersplat.files import atomic_file
from trackersplat.gaussians.gaussians import Gaussians

MAX_HEADER_BYTES = 64 * 1024
MAX_BYTES = 16 * 2**30
REST_COUNTS = (0, 9, 24, 45)  # of f_rest_*, by degree

POSITION = ("x", "y", "z")
NORMAL = ("nx", "ny", "nz")
DC = ("f_dc_0", "f_dc_1", "f_dc_2")
SCALE = ("scale_0", "scale_1", "scale_2")
ROTATION = ("rot_0", "rot_1", "rot_2", "rot_3")
REQUIRED = (*POSITION, *DC, "opacity", *SCALE, *ROTATION)

_TYPE_SIZES = {
    **dict.fromkeys(("char", "uchar", "int8", "uint8"), 1),
    **dict.fromkeys(("short", "ushort", "int16", "uint16"), 2),
    **dict.fromkeys(("int", "uint", "float", "int32", "uint32", "float32"), 4),
    **dict.fromkeys(("double", "float64"), 8),
}


def read_ply(path: Path) -> Gaussians:
    """The Gaussians of a PLY, on the CPU. Binary of either byte order and text are read; other properties are ignored.

    Raises InputError if the file is missing, cut off, no PLY, lacks a property, or holds a number that is not finite.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise InputError(f"{path} has more than {MAX_BYTES >> 30} GB, which is too large for Gaussians.")
        with path.open("rb") as file:
            needed = _check_header(path, file.read(MAX_HEADER_BYTES))
            if size < needed:
                raise InputError(f"{path} is cut off: it has {size} bytes and needs at least {needed}: copy or write it again.")
            file.seek(0)
            vertex = PlyData.read(file, mmap="r")["vertex"].data
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check the file and its permissions.") from error
    except (PlyParseError, ValueError, KeyError, TypeError, IndexError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is a damaged PLY file ({str(error)[:120]}): write it again.") from error
    return _gaussians(path, vertex)


def write_ply(path: Path, gaussians: Gaussians) -> None:
    """Writes binary little-endian; ``read_ply`` gives back the same bits. The file appears complete or not at all.

    Raises InputError if it cannot be written.
    """
    path = Path(path)
    tensors = {name: tensor.detach().cpu().numpy() for name, tensor in gaussians.tensors().items()}
    count, coefficients, _ = tensors["sh"].shape
    names = property_names(coefficients)
    rest = tensors["sh"][:, 1:].transpose(0, 2, 1).reshape(count, 3 * (coefficients - 1))
    parts = [
        tensors["means"],
        np.zeros((count, 3), np.float32),
        tensors["sh"][:, 0],
        rest,
        tensors["opacity_logits"][:, None],
        tensors["log_scales"],
        tensors["quats"],
    ]
    table = np.ascontiguousarray(np.concatenate(parts, axis=1), dtype="<f4")
    vertex = table.reshape(-1).view([(name, "<f4") for name in names])
    with atomic_file(path) as temporary:
        PlyData([PlyElement.describe(vertex, "vertex")], byte_order="<").write(str(temporary))


def property_names(coefficients: int) -> list[str]:
    """Names of the PLY's columns in order, for 1, 4, 9 or 16 SH coefficients."""
    rest = [f"f_rest_{i}" for i in range(3 * (coefficients - 1))]
    return [*POSITION, *NORMAL, *DC, *rest, "opacity", *SCALE, *ROTATION]


def _gaussians(path: Path, vertex: np.ndarray) -> Gaussians:
    names = vertex.dtype.names or ()
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise InputError(f"{path} is not a PLY of Gaussians: it lacks the property {missing[0]!r} (points and meshes are not Gaussians).")
    rest = sum(bool(re.fullmatch(r"f_rest_\d+", name)) for name in names)
    if rest not in REST_COUNTS or any(f"f_rest_{i}" not in names for i in range(rest)):
        raise InputError(f"{path} has {rest} f_rest properties, expected 0, 9, 24 or 45 (degree 0 to 3), numbered from 0.")
    if any(vertex.dtype[name].kind not in "fiu" for name in REQUIRED):
        raise InputError(f"{path} has a list where a Gaussian needs a number: write it again.")

    def columns(wanted: tuple[str, ...]) -> np.ndarray:
        table = np.empty((len(vertex), len(wanted)), np.float32)
        for column, name in enumerate(wanted):
            table[:, column] = vertex[name]
        if not np.isfinite(table).all():
            row, column = np.argwhere(~np.isfinite(table))[0]
            raise InputError(f"{path}: {wanted[column]!r} of Gaussian {row + 1} is not a finite number: train or export it again.")
        return table

    dc = columns(DC)[:, None, :]
    higher = columns(tuple(f"f_rest_{i}" for i in range(rest))).reshape(len(vertex), 3, rest // 3).transpose(0, 2, 1)
    return Gaussians(
        means=torch.from_numpy(columns(POSITION)),
        quats=torch.from_numpy(columns(ROTATION)),
        log_scales=torch.from_numpy(columns(SCALE)),
        opacity_logits=torch.from_numpy(columns(("opacity",))[:, 0]),
        sh=torch.from_numpy(np.concatenate([dc, higher], axis=1)),
    )


def _check_header(path: Path, start: bytes) -> int:
    """The least number of bytes a file with this header has, so that a hostile count is refused before memory is taken for it."""
    end = start.find(b"end_header")
    if not start.startswith(b"ply") or end < 0:
        raise InputError(f"{path} is not a PLY file: it has no PLY header.")
    needed = start.find(b"\n", end) + 1
    is_text = b"format ascii" in start[:end]
    count = 0
    for line in start[:end].decode("ascii", errors="replace").splitlines():
        words = line.split()
        try:
            if words[:1] == ["element"]:
                count = int(words[2])
            elif words[:2] == ["property", "list"]:
                needed += count * (2 if is_text else _TYPE_SIZES[words[2]])
            elif words[:1] == ["property"]:
                needed += count * (2 if is_text else _TYPE_SIZES[words[1]])
        except (IndexError, ValueError, KeyError) as error:
            raise InputError(f"{path} has a damaged PLY header at {line[:60]!r}: write the file again.") from error
        if count < 0:
            raise InputError(f"{path} has a damaged PLY header at {line[:60]!r}: write the file again.")
    return needed - is_text  # text may end without a line break
