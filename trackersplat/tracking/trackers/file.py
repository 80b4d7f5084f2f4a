"""Tracks that another program made, read from a file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError, ShapeError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.geometry.projection import inside_image
from trackersplat.rendering.rasterizer import Rasterizer
from trackersplat.tracking.files.registry import read_tracks_of
from trackersplat.tracking.files.track_file import FileCamera, TrackFile
from trackersplat.tracking.registry import TRACKERS
from trackersplat.tracking.sources import TrackSource
from trackersplat.tracking.space_field import SpaceFieldSettings
from trackersplat.tracking.space_tracks import SpaceSource, dense_from_images
from trackersplat.tracking.tracks import DenseTracks, Provenance, Tracks
from trackersplat.tracking.tracks3d import Tracks3D

SUFFIXES = (".npz", ".pt", ".pth")  # of the files of single cameras in a folder
LEAST_SEEN = 0.1  # share of the positions that must fall into some image: fewer are of another world
_STEP = 1 << 20  # bytes that are hashed at a time


@dataclass(frozen=True)
class FileTrackSettings:
    """``path``: a file of 3D tracks, or a folder with 2D tracks as CAMERA.npz or CAMERA.pt; ``sha256`` of what it held."""

    path: str = ""
    sha256: str = ""
    camera: str = ""  # the camera in whose frame the tracks of the file are, where it does not place that itself
    space: SpaceFieldSettings = field(default_factory=SpaceFieldSettings)

    @staticmethod
    def of(path: Path, camera: str = "") -> FileTrackSettings:
        """Raises InputError if there is no such file or folder."""
        return FileTrackSettings(str(path.resolve()), content_hash(path), camera)


def content_hash(path: Path) -> str:
    """SHA-256 of a file, or of the names and content of the track files in a folder. Raises InputError if there is nothing to read."""
    total = hashlib.sha256()
    for part in _parts(path):
        if path.is_dir():
            total.update(f"{part.name}\n".encode())
        try:
            with part.open("rb") as file:
                while data := file.read(_STEP):
                    total.update(data)
        except OSError as error:
            raise InputError(f"{part} cannot be read ({error.strerror}): check the file and its permissions.") from error
    return total.hexdigest()


def _parts(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"There is no file {path}: give a file with 3D tracks, or a folder with one file of 2D tracks per camera.")
    found = sorted(part for part in path.iterdir() if part.suffix.lower() in SUFFIXES and part.is_file())
    if not found:
        raise InputError(f"{path} has no files of tracks: expected CAMERA.npz or CAMERA.pt for the cameras of the capture.")
    return found


def _has_positions(file: TrackFile) -> bool:
    if file.tracks3d is not None:
        return bool(np.isfinite(file.tracks3d.positions).all(-1).any())
    return file.tracks2d is not None and bool(torch.isfinite(file.tracks2d.positions).all(-1).any())


class FileTracks:
    """A `StoredSource` and a `SceneSource`: 3D tracks move the rendered surface, 2D tracks the pixels of their camera."""

    facts = TRACKERS.facts("file")

    def __init__(self, capture: Capture, device: torch.device, settings: FileTrackSettings) -> None:
        """Raises InputError if the file is missing, damaged, not that of the settings, or not of this capture."""
        if not settings.path:
            raise InputError("The tracker 'file' reads tracks from a file: name it with --tracks.")
        self.capture = capture
        self.device = device
        self.settings = settings
        self.path = Path(settings.path)
        sha256 = content_hash(self.path)
        if settings.sha256 and sha256 != settings.sha256:
            raise InputError(f"{self.path} has changed since the run was made with it: give the same tracks, or make a new run with --out.")
        self.files: dict[str, TrackFile] = self._read()
        self._provenance = sha256

    def _read(self) -> dict[str, TrackFile]:
        """By name of the camera; "" for tracks in space."""
        parts = _parts(self.path)
        names = {camera.name for camera in self.capture.cameras}
        files = {}
        for part in parts:
            own = part.stem in names and self.path.is_dir()
            camera = self.capture.cameras[self.capture.camera_index(part.stem)] if own else None
            file = read_tracks_of(part, size=None if camera is None else (camera.width, camera.height))
            if file.tracks3d is not None and len(parts) > 1:
                raise InputError(f"{part} has tracks in space: give this file alone.")
            if file.tracks3d is None and camera is None:
                raise InputError(
                    f"{part} has tracks in images, of a camera it does not name: give a folder with such files, named as the cameras "
                    f"({', '.join(sorted(names)[:3])}, ...)."
                )
            if camera is not None and file.size not in (None, (camera.width, camera.height)):
                raise InputError(f"{part} is of images of {file.size}, {camera.name} has {camera.width}x{camera.height}.")
            files["" if file.tracks3d is not None else part.stem] = file
        if not any(_has_positions(file) for file in files.values()):
            raise InputError(f"{self.path} holds no position of any track: check the program that wrote it.")
        return files

    @cached_property
    def space(self) -> Tracks3D | None:
        """The tracks in the world of the capture; None for 2D tracks. Raises InputError if they are of another world."""
        file = self.files.get("")
        if file is None or file.tracks3d is None:
            return None
        tracks = file.tracks3d
        positions, query = tracks.positions, tracks.query
        if file.local:
            positions, query = self._placed(file, positions, query)
        count = min(len(tracks.frames), self.capture.frame_count)
        shown = self._seen_share(positions[:count])
        if shown < LEAST_SEEN:
            raise InputError(
                f"{self.path}: {shown:.0%} of the positions fall into an image of {self.capture.name}: the tracks must be in the world "
                "of its cameras (docs/tracks.md)."
            )
        return replace(
            tracks,
            query=query,
            frames=tracks.frames[:count],
            positions=positions[:count],
            visibility=tracks.visibility[:count],
            confidence=tracks.confidence[:count],
            view_visibility=None if tracks.view_visibility is None else tracks.view_visibility[:, :count],
            provenance=self.provenance(file),
        )

    def _placed(self, file: TrackFile, positions: np.ndarray, query: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """From the frame of a camera of the capture to its world."""
        if not self.settings.camera:
            raise InputError(f"{file.path} has tracks in the frame of a camera, without its pose: name the camera with --tracks-camera.")
        camera = self.capture.cameras[self.capture.camera_index(self.settings.camera)]
        pose = FileCamera(np.eye(3)[None], camera.world_to_camera[None])
        return pose.in_world(positions), np.concatenate((query[:, :1], pose.in_world(query[None, :, 1:])[0]), axis=1)

    def _seen_share(self, positions: np.ndarray) -> float:
        known = positions[np.isfinite(positions).all(-1)]
        if not len(known):  # none within the frames of the capture
            return 0.0
        known = known[:: max(1, len(known) // 10_000)]
        seen = np.zeros(len(known), bool)
        for camera in self.capture.cameras:
            pixels, depth = camera.project(known)
            seen |= inside_image(pixels, camera.width, camera.height) & (depth > camera.near)
        return float(seen.mean())

    def provenance(self, file: TrackFile) -> Provenance:
        return Provenance(
            f"{self.facts.name}:{file.format}", version=self.path.name, weights=self._provenance, licence=self.facts.licence, size=file.size
        )

    @property
    def remarks(self) -> tuple[str, ...]:
        """What was assumed about the files, in sentences."""
        return tuple(text for file in self.files.values() for text in file.remarks)

    def targets(self, cameras: Sequence[int], base: int) -> tuple[int, ...]:
        """The later frames that the tracks reach. Raises InputError if there are none, or the base is not among their frames."""
        frames = self._frames()
        found = tuple(frame for frame in frames if frame > base)
        if base not in frames or not found:
            raise InputError(f"{self.path} has tracks in the frames {frames[0] + 1} to {frames[-1] + 1}, none from frame {base + 1} on.")
        return found

    def _frames(self) -> tuple[int, ...]:
        if self.space is not None:
            return self.space.frames
        common = min(len(file.tracks2d.frames) for file in self.files.values() if file.tracks2d is not None)
        return tuple(range(min(common, self.capture.frame_count)))

    def on(self, gaussians: Gaussians, rasterizer: Rasterizer) -> TrackSource:
        """The tracks on the surface of these Gaussians, those of the base frame."""
        return _OnSurface(self, gaussians, rasterizer)

    def require(self, frames: Sequence[int]) -> None:
        """Raises InputError if the tracks do not reach one of these frames."""
        there = self._frames()
        missing = [frame for frame in frames if frame not in there]
        if missing:
            raise InputError(f"{self.path} has no tracks in frame {missing[0] + 1}, only up to {there[-1] + 1}: choose other frames.")

    def images(self) -> dict[int, Tracks]:
        """The 2D tracks by index of the camera."""
        found = {}
        for name, file in self.files.items():
            if file.tracks2d is not None:
                found[self.capture.camera_index(name)] = replace(file.tracks2d, camera=name, provenance=self.provenance(file))
        return found

    def __call__(self, cameras: Sequence[int], base: int, targets: Sequence[int]) -> Iterator[tuple[int, DenseTracks]]:
        """Raises ShapeError: the tracks need the Gaussians of the base frame (`on`)."""
        raise ShapeError("Tracks from a file are dense on a rendered surface only.")
        yield from ()


@dataclass(frozen=True, eq=False)
class _OnSurface:
    """The tracks of a file on the surface of Gaussians."""

    file: FileTracks
    gaussians: Gaussians
    rasterizer: Rasterizer

    @cached_property
    def _space(self) -> SpaceSource | None:
        tracks, file = self.file.space, self.file
        if tracks is None:
            return None
        return SpaceSource(tracks, file.capture, self.gaussians, self.rasterizer, file.settings.space, file.facts.hidden_weight)

    def __call__(self, cameras: Sequence[int], base: int, targets: Sequence[int]) -> Iterator[tuple[int, DenseTracks]]:
        self.file.require((base, *targets))
        if self._space is not None:
            yield from self._space(cameras, base, targets)
            return
        file = self.file
        yield from dense_from_images(
            file.images(), self.gaussians, self.rasterizer, file.capture, cameras, base, targets, file.settings.space
        )
