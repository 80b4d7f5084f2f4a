"""Exact tracks stored with a capture, for measuring what is lost after tracking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from trackersplat.captures.arrays import read_arrays
from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.errors import InputError, ShapeError
from trackersplat.tracking.registry import TRACKERS
from trackersplat.tracking.settings import NoSettings
from trackersplat.tracking.tracks import DenseTracks, Provenance

STORED_BASE = 0  # the frame that stored tracks start from


class StoredTracks:
    """The tracks in ``gt/flow_<camera>.npz`` below a capture.

    Each file has ``frames`` (K,) indices from 0; ``flow`` (K, H, W, 2) px, where every pixel of frame 0 goes, relative to itself;
    ``visible`` (K, H, W) whether it is seen there; ``valid`` (H, W) whether the pixel shows a surface at all.
    """

    facts = TRACKERS.facts("exact")

    def __init__(self, capture: Capture, device: torch.device, settings: NoSettings | None = None) -> None:
        self.capture = capture
        self.device = device

    def targets(self, cameras: Sequence[int], base: int) -> tuple[int, ...]:
        """The frames (indices from 0, ascending) that the tracks of all these cameras reach from frame ``base``.

        Raises InputError if they do not start there, a camera has no readable file, or no frame is common to all.
        """
        self._require_base(base)
        common: set[int] | None = None
        for camera in cameras:
            frames = read_arrays(self._path(camera), {"frames": ("iu", ("K",))})["frames"].tolist()
            common = set(frames) if common is None else common & set(frames)
        found = sorted(frame for frame in common or () if 0 <= frame < self.capture.frame_count and frame != STORED_BASE)
        if not found:
            raise InputError(f"The exact tracks in {self.capture.root / 'gt'} have no frame in common to all cameras.")
        return tuple(found)

    def __call__(self, cameras: Sequence[int], base: int, targets: Sequence[int]) -> Iterator[tuple[int, DenseTracks]]:
        """Yields ``(camera, tracks from frame base to every target)`` in the order of ``cameras``.

        Visibility is ``visible``; confidence is 1 on all of ``valid``, because the position of a hidden point is as exact as that
        of a seen one, and counts as much.

        Raises ShapeError if there is nothing to track; InputError if a file or a frame is missing, or a file does not fit its camera.
        """
        if not cameras or not targets:
            raise ShapeError(f"Tracking needs at least one camera and one target frame, got {len(cameras)} and {len(targets)}.")
        self._require_base(base)
        for camera in cameras:
            yield camera, self._read(self._path(camera), self.capture.cameras[camera], tuple(targets))

    def _require_base(self, base: int) -> None:
        if base != STORED_BASE:
            name = self.capture.name
            raise InputError(f"The exact tracks of {name} start from frame {STORED_BASE + 1}, not {base + 1}: choose another base.")

    def _path(self, camera: int) -> Path:
        return self.capture.root / "gt" / f"flow_{self.capture.cameras[camera].name}.npz"

    def _read(self, path: Path, camera: Camera, targets: tuple[int, ...]) -> DenseTracks:
        height, width = camera.height, camera.width
        layout = {
            "frames": ("iu", ("K",)),
            "flow": ("f", ("K", height, width, 2)),
            "visible": ("b", ("K", height, width)),
            "valid": ("b", (height, width)),
        }
        arrays = read_arrays(path, layout)
        stored = arrays["frames"].tolist()
        missing = [str(target + 1) for target in targets if target not in stored]
        if missing:
            there = ", ".join(str(frame + 1) for frame in stored)
            raise InputError(f"{path} holds exact tracks to frames {there}, not to {', '.join(missing)}: choose among those.")
        chosen = [stored.index(target) for target in targets]
        flow = arrays["flow"][chosen].astype(np.float32)
        valid = arrays["valid"] & np.isfinite(flow).all(axis=-1)  # (F, H, W)
        columns, rows = np.meshgrid(np.arange(width, dtype=np.float32) + 0.5, np.arange(height, dtype=np.float32) + 0.5)
        positions = np.where(valid[..., None], flow, np.float32(0)) + np.stack((columns, rows), axis=-1)
        visibility = (arrays["visible"][chosen] & valid).astype(np.float32)
        return DenseTracks(
            base=STORED_BASE,
            targets=targets,
            positions=torch.from_numpy(positions).to(self.device),
            visibility=torch.from_numpy(visibility).to(self.device),
            confidence=torch.from_numpy(valid.astype(np.float32)).to(self.device),
            hidden_weight=self.facts.hidden_weight,
            provenance=Provenance(self.facts.name, licence=self.facts.licence, size=(width, height)),
        )
