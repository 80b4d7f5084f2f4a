"""Tensors of CoTracker (facebookresearch/co-tracker), as its predictors return them, saved with ``numpy.savez`` or ``torch.save``.

``pred_tracks`` or ``tracks`` (B, T, N, 2) px with centres at integers; ``pred_visibility`` or ``visibility`` (B, T, N); optionally
``queries`` (B, N, 3) t, x, y and ``confidence``. A ``.pt`` file holds a dictionary of these, or the pair (tracks, visibility).
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from trackersplat.errors import InputError
from trackersplat.files import has_file
from trackersplat.tracking.files.formats.tapip3d import CENTRE
from trackersplat.tracking.files.npz import MAX_BYTES, NpzFile
from trackersplat.tracking.files.track_file import TrackFile, check_query, check_tracks, check_visible, image_tracks, without_batch

_NAMES = {
    "tracks": ("pred_tracks", "tracks"),
    "visibility": ("pred_visibility", "visibility", "vis"),
    "confidence": ("pred_confidence", "confidence"),
    "queries": ("queries", "query_points"),
}


def read(file: NpzFile | Path, *, truth: bool, size: tuple[int, int] | None) -> TrackFile:
    """Raises InputError if the arrays contradict each other."""
    path = file if isinstance(file, Path) else file.path
    if isinstance(file, Path):
        arrays = _tensors(file)
    else:
        arrays = {key: file.read(name) for key, names in _NAMES.items() for name in reversed(names) if name in file}
    if "tracks" not in arrays:
        raise InputError(f"{path} has no tracks: expected pred_tracks (1, frames, tracks, 2).")
    positions = check_tracks(path, "pred_tracks", without_batch(path, arrays["tracks"], 3, "pred_tracks"), 2).astype(np.float64)
    shape = positions.shape[:2]
    remarks: tuple[str, ...] = ()
    if "visibility" in arrays:
        visible = _shares(path, "pred_visibility", arrays["visibility"], shape)
    else:
        visible, remarks = np.ones(shape, np.float32), (f"{path.name} has no visibility: its tracks count as visible everywhere.",)
    confidence = _shares(path, "confidence", arrays["confidence"], shape) if "confidence" in arrays else None
    query = None
    if "queries" in arrays:
        query = np.add(check_query(path, without_batch(path, arrays["queries"], 2, "queries"), shape, 3), (0.0, CENTRE, CENTRE))
        before = np.arange(shape[0])[:, None] < np.rint(query[:, 0])
        positions[before] = np.nan  # of a tracker that does not go back in time there is nothing
    tracks = image_tracks(path, "cotracker", positions + CENTRE, visible, query, size, confidence)
    return TrackFile(path, "cotracker", tracks2d=tracks, size=size, remarks=remarks)


def _shares(path: Path, name: str, array: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    if array.ndim == 4 and array.shape[0] == 1 and array.shape[3] == 1:
        array = array[..., 0]
    return check_visible(path, name, without_batch(path, array, 2, name) if array.ndim > 2 and array.shape[0] == 1 else array, shape)


def _tensors(path: Path) -> dict[str, np.ndarray]:
    """Of a file of ``torch.save``, read without running anything it holds."""
    if not has_file(path):
        raise InputError(f"There is no file {path}: give a file with tracks.")
    try:
        if not zipfile.is_zipfile(path):
            raise ValueError("not an archive, as torch.save writes it since version 1.6")
        with zipfile.ZipFile(path) as archive:
            size = sum(info.file_size for info in archive.infolist())
        if size > MAX_BYTES:
            raise ValueError(f"it claims {size:,} bytes")
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, ValueError, KeyError, TypeError, RuntimeError, AttributeError, IndexError, AssertionError,
            zipfile.BadZipFile, pickle.UnpicklingError, NotImplementedError, OverflowError, MemoryError) as error:  # fmt: skip
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{path} cannot be read as plain tensors ({reason[:200]}): save tracks and visibility alone.") from error
    if isinstance(loaded, (tuple, list)) and 1 <= len(loaded) <= 3:
        loaded = dict(zip(("tracks", "visibility", "confidence"), loaded, strict=False))
    if not isinstance(loaded, Mapping):
        raise InputError(f"{path} holds a {type(loaded).__name__}: expected a dictionary of tensors, or the pair of tracks and visibility.")
    found = {}
    for key, names in _NAMES.items():
        for name in names:
            value = loaded.get(name)
            if isinstance(value, torch.Tensor) and key not in found:
                if value.layout != torch.strided or value.is_complex() or value.is_quantized:
                    raise InputError(f"{path}: {name} is no plain tensor.")
                found[key] = (value.float() if value.is_floating_point() else value).detach().numpy()
    return found
