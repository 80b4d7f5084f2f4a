"""Files of TAPVid-3D (tapnet/tapvid3d), truth or prediction, and of its layout with our own tracks.

``tracks_XYZ`` (T, N, 3) in the frame of the camera, metres; ``visibility`` (T, N); ``queries_xyt`` (N, 3) x, y, t in raster pixels (centres
at +0.5, as ours); ``fx_fy_cx_cy`` (4,), ``extrinsics_w2c`` (T, 4, 4) where the camera moves; ``images_jpeg_bytes`` (T,). A prediction has
the first two alone. The README of the benchmark spells some keys differently; both are read.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.errors import InputError, ShapeError
from trackersplat.files import atomic_file
from trackersplat.tracking.files.npz import NpzFile
from trackersplat.tracking.files.track_file import (
    FileCamera,
    TrackFile,
    check_query,
    check_tracks,
    check_visible,
    intrinsics,
    poses,
    space_tracks,
)
from trackersplat.tracking.tracks3d import Tracks3D


def read(file: NpzFile, *, truth: bool, size: tuple[int, int] | None) -> TrackFile:
    """Tracks in the world that the extrinsics tell, or else in the frame of the camera. Raises InputError if the arrays do not fit."""
    path = file.path
    name = "tracks_XYZ" if "tracks_XYZ" in file else "tracks_xyz"
    local = check_tracks(path, name, file.read(name), 3).astype(np.float64)
    frames = len(local)
    name = "visibility" if "visibility" in file else "visible"
    visible = check_visible(path, name, file.read(name), local.shape[:2])
    remarks: list[str] = []
    camera = None
    name = "fx_fy_cx_cy" if "fx_fy_cx_cy" in file else "intrinsics"
    if name in file:
        motion = poses(path, file.read("extrinsics_w2c"), frames) if "extrinsics_w2c" in file else None
        camera = FileCamera(intrinsics(path, file.read(name), frames), motion)
    positions = local if camera is None else camera.in_world(local)
    start = None
    if "queries_xyt" in file:
        queries = check_query(path, file.read("queries_xyt"), local.shape[:2], 3, names="x, y, t")
        frame = np.rint(queries[:, 2]).astype(int)
        at = positions[frame, np.arange(local.shape[1])]
        if np.isfinite(at).all():
            start = np.concatenate((frame[:, None].astype(float), at), axis=1)
    if start is None:
        remarks.append(f"{path.name} has no queries with positions: each track begins where it is first visible.")
    if camera is None or camera.world_to_camera is None:
        remarks.append(f"{path.name} has no extrinsics: its tracks are in the frame of the camera.")
    tracks = space_tracks(path, "tapvid3d", positions, visible, start)
    return TrackFile(
        path,
        "tapvid3d",
        tracks,
        camera=camera,
        local=camera is None or camera.world_to_camera is None,
        size=_image_size(file) or size,
        remarks=tuple(remarks),
    )


def _image_size(file: NpzFile) -> tuple[int, int] | None:
    facts = file.facts.get("images_jpeg_bytes")
    if facts is None or facts.dtype.kind != "S" or len(facts.shape) != 1 or not facts.shape[0]:
        return None
    data = np.frombuffer(bytes(file.read("images_jpeg_bytes")[0]), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    return None if image is None else (image.shape[1], image.shape[0])


def write(path: Path, tracks: Tracks3D, camera: Camera, images: Sequence[np.ndarray] | None = None, quality: int = 95) -> None:
    """Writes tracks as the camera sees them: positions in its frame, visibility in its view where that is known, its pose in every frame.

    ``images`` (H, W, 3) uint8 RGB, one per frame of the tracks; with them the file is complete, as truth. Frames of the file count from
    the first of the tracks. Raises ShapeError if a query is outside the frames; InputError if the file cannot be written.
    """
    count = len(tracks.frames)
    frame = np.searchsorted(tracks.frames, tracks.query_frames)
    if (frame >= count).any() or (np.array(tracks.frames)[frame] != tracks.query_frames).any():
        raise ShapeError("The queries of tracks must be in frames that the tracks have.")
    motion = np.broadcast_to(camera.world_to_camera, (count, 4, 4))
    seen = tracks.visibility
    if tracks.view_visibility is not None and camera.name in tracks.cameras:
        seen = tracks.view_visibility[tracks.cameras.index(camera.name)]
    pixels, _ = camera.project(tracks.query[:, 1:])
    arrays = {
        "tracks_XYZ": FileCamera(np.zeros((count, 3, 3)), motion).in_camera(tracks.positions).astype(np.float32),
        "visibility": seen >= 0.5,
        "queries_xyt": np.concatenate((pixels, frame[:, None]), axis=1).astype(np.float32),
        "fx_fy_cx_cy": np.array([camera.fx, camera.fy, camera.cx, camera.cy]),
        "extrinsics_w2c": np.array(motion),
    }
    if images is not None:
        coded = [cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]) for image in images]
        arrays["images_jpeg_bytes"] = np.array([data.tobytes() for _, data in coded])
    save_arrays(path, arrays)


def save_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """An ``.npz`` that appears complete or not at all. Raises InputError if it cannot be written."""
    try:
        with atomic_file(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    except (OSError, zipfile.LargeZipFile) as error:
        raise InputError(f"{path} cannot be written ({error}): choose a file in a folder that is there.") from error
