"""What trackers of others answered, kept on disk: they are slow, and the same images ask the same.

An answer is found by what it depends on: the pixels of the frames, the queries, the tracker with its version, weights and settings. The
folder is bounded: what was used longest ago is removed.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trackersplat.errors import InputError
from trackersplat.files import NPZ_DAMAGE, atomic_file, make_folder
from trackersplat.tracking.parts import Answer
from trackersplat.tracking.settings import GridSettings
from trackersplat.tracking.tracker import PointMotion, Tracker

DEFAULT_LIMIT = 20 << 30  # bytes of all answers together
_FORMAT = 1  # of the files


class TrackCache:
    """Answers of trackers below a folder, at most ``limit`` bytes."""

    def __init__(self, folder: Path, limit: int = DEFAULT_LIMIT) -> None:
        """Raises InputError if the folder cannot be made."""
        self.folder = folder
        self.limit = limit
        make_folder(folder)

    def key(self, tracker: Tracker, images: Tensor, queries: Tensor | None, grid: GridSettings) -> str:
        """A name for the answer of the tracker about images (1, T, H, W, 3) and queries (P, 2), or all pixels."""
        settings = getattr(tracker, "settings", None)
        about: dict[str, Any] = {
            "format": _FORMAT,
            "provenance": asdict(tracker.provenance),
            "settings": asdict(settings) if is_dataclass(settings) and not isinstance(settings, type) else None,
            "grid": asdict(grid),
            "device": tracker.device.type,
            "images": list(images.shape),
            "queries": None if queries is None else len(queries),
        }
        digest = hashlib.blake2b(json.dumps(about, sort_keys=True).encode(), digest_size=20)
        for values in (images, queries):
            if values is not None:
                digest.update(np.ascontiguousarray(values.cpu().numpy()).data)
        return f"{tracker.facts.name}-{digest.hexdigest()}"

    def read(self, key: str) -> Answer | None:
        """The answer, None if it is not there or damaged."""
        path = self._path(key)
        try:
            with np.load(path, allow_pickle=False) as file:
                values = [torch.from_numpy(file[name]) for name in ("positions", "visibility", "confidence")]
                remarks = tuple(str(text) for text in file["remarks"])
            os.utime(path)  # it was used now
            return Answer(PointMotion(*values), remarks)
        except NPZ_DAMAGE:
            return None

    def write(self, key: str, answer: Answer) -> None:
        """Keeps the answer, and removes others where all become too large. A folder that cannot be written raises InputError."""
        motion = answer.motion
        arrays = {name: getattr(motion, name).cpu().numpy() for name in ("positions", "visibility", "confidence")}
        with atomic_file(self._path(key)) as temporary, temporary.open("wb") as file:
            np.savez(file, remarks=np.array(answer.remarks, dtype=np.str_), **arrays)
        self._shrink()

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.npz"

    def _shrink(self) -> None:
        found = []
        for path in self.folder.glob("*.npz"):
            with suppress(OSError):  # another process removed it meanwhile
                status = path.stat()
                found.append((status.st_mtime_ns, status.st_size, path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found)[:-1]:  # the newest stays, whatever its size
            if total <= self.limit:
                return
            with suppress(OSError):
                path.unlink()
            total -= size


def open_cache(folder: Path | None) -> TrackCache | None:
    """The cache in a folder; None if none is wanted. Raises InputError if it cannot be made, or a file has its name."""
    if folder is None:
        return None
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file, expected a folder for the answers of trackers: name another one.")
    return TrackCache(folder)
