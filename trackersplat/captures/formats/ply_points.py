"""Coloured points from a PLY file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from trackersplat.captures.capture import PointCloud
from trackersplat.errors import InputError
from trackersplat.files import has_file

MAX_PLY_BYTES = 2**30
MAX_HEADER_BYTES = 64 * 1024
GREY = 128  # of points without colours


def read_points(path: Path) -> PointCloud:
    """The vertices of any point or mesh PLY, grey where it has no colours.

    Raises InputError if the file is no PLY, is cut off, too large, or has coordinates that are not finite.
    """
    import trimesh  # here, because it takes half a second and most captures bring no PLY

    if not has_file(path):
        raise InputError(f"{path} is missing: copy it again.")
    try:
        size = path.stat().st_size
        if size > MAX_PLY_BYTES:
            raise InputError(f"{path} has more than {MAX_PLY_BYTES >> 20} MB, which is too large for first points: thin them out.")
        with path.open("rb") as file:
            if b"end_header" not in file.read(MAX_HEADER_BYTES):
                raise InputError(f"{path} is not a PLY file: it has no PLY header.")
            file.seek(0)
            loaded = trimesh.load(file, file_type="ply", process=False)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check the file and its permissions.") from error
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, MemoryError) as error:
        raise InputError(f"{path} is a damaged or cut off PLY file ({str(error)[:120]}): write it again.") from error
    vertices = getattr(loaded, "vertices", None)
    if vertices is None or len(vertices) == 0:
        raise InputError(f"{path} holds no points: remove it or write it again.")
    with np.errstate(over="ignore"):
        xyz = np.asarray(vertices, dtype=np.float32)  # too large a number becomes infinite
    if xyz.ndim != 2 or xyz.shape[1] != 3:
        raise InputError(f"{path} has vertices of shape {xyz.shape}, expected x, y and z of each: write it again.")
    if not np.isfinite(xyz).all():
        raise InputError(f"{path} has points whose coordinates are not finite numbers: write it again without them.")
    colours = getattr(loaded.visual, "vertex_colors", None) if hasattr(loaded, "visual") else getattr(loaded, "colors", None)
    rgb = (
        np.full(xyz.shape, GREY, dtype=np.uint8)
        if colours is None or len(colours) != len(xyz)
        else np.asarray(colours)[:, :3].astype(np.uint8)
    )
    return PointCloud(xyz, np.ascontiguousarray(rgb))
