"""An edited scene together with what looks at it: cameras, a rasteriser, photographs. Ways of selecting work on it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from trackersplat.document.edited_scene import EditedScene
from trackersplat.document.last_used import LastUsed
from trackersplat.document.selection import Selection
from trackersplat.errors import InputError
from trackersplat.gaussians.gaussians import Gaussians
from trackersplat.rendering.lift import lift
from trackersplat.rendering.rasterizer import Rasterizer

KEPT_VALUES = 16  # arrays with a number per Gaussian, such as weights in a camera


@dataclass(frozen=True, eq=False)
class SeenScene:
    """What ways of selecting ask."""

    edited: EditedScene
    cameras: Sequence[Camera]
    choose_rasterizer: Callable[[], Rasterizer]  # called when it is needed
    open_capture: Callable[[], Capture]  # the same; raises InputError if it is not known where it is
    values: LastUsed[np.ndarray]  # of Gaussians, that took time to find

    def gaussians(self, frame: int) -> Gaussians:
        """What is shown of a frame, on the CPU. Raises InputError if it is not there or broken."""
        return self.edited.gaussians(frame)

    def ids(self, frame: int) -> np.ndarray:
        """(N,) int64 lineage ids of `gaussians`."""
        return self.edited.ids(frame)

    def chosen(self, frame: int, mask: np.ndarray) -> Selection:
        """The Gaussians of a frame where ``mask`` (N,) is true."""
        return Selection.of(self.ids(frame)[mask])

    def camera(self, name: str) -> Camera:
        """Raises InputError if there is none of this name."""
        found = next((camera for camera in self.cameras if camera.name == name), None)
        if found is None:
            known = ", ".join(camera.name for camera in self.cameras) or "none are known"
            raise InputError(f"There is no camera named {name[:40]!r}; cameras: {known}.")
        return found

    def weights(self, frame: int, camera: Camera) -> np.ndarray:
        """(N,) blending weight of each Gaussian, summed over the pixels of a camera; kept."""
        everywhere = np.ones((camera.height, camera.width, 1), np.float32)
        return self.kept(_seen_from(camera), frame, lambda: self.lifted(frame, camera, everywhere)[:, 0])

    def weights_in(self, frame: int, camera: Camera, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(N,) `weights` in the ``pixels`` (H, W) bool alone, and in the whole image; the first time in a view both by one pass."""
        key = (_seen_from(camera), self.edited.token, frame)
        whole = self.values.get(key)
        if whole is not None:
            return self.lifted(frame, camera, pixels[..., None])[:, 0], whole
        inside, whole = self.lifted(frame, camera, np.stack((pixels, np.ones_like(pixels)), axis=-1)).T.copy()
        whole.setflags(write=False)
        return inside, self.values.keep(key, whole)

    def weights_in_cameras(self, frame: int) -> np.ndarray:
        """(N, C) `weights` in every camera. Raises InputError if no camera is known."""
        if not self.cameras:
            raise InputError("This is judged by what cameras show, and none is known: open the document with the capture of the run.")
        return np.stack([self.weights(frame, camera) for camera in self.cameras], axis=1)

    def kept(self, name: Hashable, frame: int, find: Callable[[], np.ndarray]) -> np.ndarray:
        """Values of the Gaussians of a frame, found at the first call; not writable."""

        def found() -> np.ndarray:
            values = find()
            values.setflags(write=False)
            return values

        return self.values.find((name, self.edited.token, frame), found)

    def lifted(self, frame: int, camera: Camera, features: np.ndarray) -> np.ndarray:
        """(N, F) blending-weighted sums of the pixel features (H, W, F) of a camera (`rendering.lift`)."""
        rasterizer = self.choose_rasterizer()
        gaussians = self.gaussians(frame).to(rasterizer.device)
        pixels = torch.from_numpy(np.ascontiguousarray(features, dtype=np.float32))[None].to(rasterizer.device)
        return lift(rasterizer, gaussians, [camera], pixels)[0].cpu().numpy()


def _seen_from(camera: Camera) -> Hashable:
    return ("weights", camera.width, camera.height, camera.near, camera.K.tobytes(), camera.world_to_camera.tobytes())
