"""Makes the picture of the page on the server, so that what is seen is what is measured."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from trackersplat.captures.camera import Camera
from trackersplat.captures.capture import Capture
from viewer.frame_cache import FrameCache
from viewer.scene.compare import BACKDROP, Placement, compose, draw_seam, heat, letterbox
from viewer.scene.tracks2d import Ways, draw_tracks
from viewer.state import Comparison, State, advance

if TYPE_CHECKING:
    from trackersplat.gaussians.gaussians import Gaussians
    from trackersplat.rendering.rasterizer import Rasterizer, Rendering
    from trackersplat.tracking.tracks import Tracks
    from trackersplat.training.photometric import ColourAffines

PREFETCHED = 4  # photographs decoded ahead while playing
DIM = 0.4  # brightness of a frame that stands in for one that is not reconstructed
TIMELINE_HEIGHT = 212  # pixels at the bottom of the page that the timeline covers
MIN_PAGE_HEIGHT = 480  # below it the picture takes the whole page


@dataclass(frozen=True)
class Picture:
    """What a page shows behind its 3D overlays."""

    image: np.ndarray  # (H, W, 3) uint8, of the page's aspect
    comparison: Comparison | None = None


class Painter:
    """Renders for any page; all methods are thread-safe (one rendering at a time)."""

    def __init__(self, capture: Capture, frame_cache: FrameCache) -> None:
        self._capture = capture
        self._frame_cache = frame_cache
        self.home = 0  # the camera whose photograph is shown until there is something better
        self._rasterizer: Rasterizer | None = None
        self._lock = threading.Lock()

    def use(self, rasterizer: Rasterizer) -> None:
        self._rasterizer = rasterizer

    def camera(self, index: int) -> Camera:
        return self._capture.cameras[index]

    # -- pictures -----------------------------------------------------------------------------------------------------

    def free(self, state: State, view: Camera) -> Picture:
        """The scene from any viewpoint, at the size of ``view``. Raises InputError if the frame cannot be read."""
        if self._rasterizer is None:
            return Picture(self._waiting(state, (view.width, view.height)))
        gaussians = self._frame_cache.shown(state)
        if gaussians is None:
            page = np.empty((view.height, view.width, 3), np.uint8)
            page[:] = BACKDROP
            return Picture(page)
        return Picture(self._dim(state, self._picture(state, gaussians, view)))

    def through(self, state: State, canvas: tuple[int, int], scale: float = 1.0) -> Picture:
        """The scene, the photograph or both through the capture's camera ``state.camera``, on a canvas (width, height).

        At ``scale`` 1 every pixel of the camera is rendered and scored; below it (while things move) fewer, unscored. A training
        camera whose colours differ from those of the scene is shown and scored in its own, as in the run's log.
        Raises InputError if the photograph or the frame cannot be read.
        """
        assert state.camera is not None
        camera = self._capture.cameras[state.camera]
        margin = TIMELINE_HEIGHT if canvas[1] >= MIN_PAGE_HEIGHT else 0
        placement = Placement.fit((camera.width, camera.height), canvas, margin)
        gaussians = self._frame_cache.shown(state) if self._rasterizer is not None and state.compare != "photo" else None
        if state.playing and (gaussians is None or state.compare != "render"):
            coming = (advance(state.frame, ticks, state.span(), state.loop)[0] for ticks in range(1, PREFETCHED + 1))
            self._capture.prefetch([state.camera], dict.fromkeys(coming))
        comparison = None
        if gaussians is None:
            image = self._capture.image(state.camera, state.frame)
        else:
            small = camera if scale >= 1 else camera.resized(max(round(camera.width * scale), 16), max(round(camera.height * scale), 16))
            image = self._dim(state, self._picture(state, gaussians, small, self._colours(state, camera)))
            scored = scale >= 1 and state.source_frame() == state.frame
            if state.mode == "colour" and (scored or state.compare != "render"):
                image, comparison = self._compare(state, camera, image)
            if not scored:
                comparison = None
        page = letterbox(image, canvas, placement)
        if gaussians is not None and state.compare == "wipe" and state.mode == "colour":
            draw_seam(page, placement, state.wipe)
        if state.show_tracks and (history := self._tracks(state, camera.name)):
            draw_tracks(page, Ways.of(history), placement)
        return Picture(page, comparison)

    def render(self, gaussians: Gaussians, view: Camera) -> Rendering:
        """One view, on the rasteriser's device, without gradients."""
        import torch

        assert self._rasterizer is not None
        with self._lock, torch.inference_mode():
            return self._rasterizer.render(gaussians.to(self._rasterizer.device), [view])

    # -- parts --------------------------------------------------------------------------------------------------------

    def _tracks(self, state: State, camera: str) -> list[Tracks]:
        """The camera's 2D tracks in this frame and in those before it, as far as trails go and the run has them; newest first."""
        if state.run is None or state.frame not in state.reconstructed:
            return []
        last = state.reconstructed.index(state.frame)
        frames = state.reconstructed[max(last - state.trail_length, 0) : last + 1]
        found: list[Tracks] = []
        for frame in reversed(frames):
            tracks = self._frame_cache.tracks(state.run, frame).get(camera)
            if tracks is None:
                break
            found.append(tracks)
        return found

    def _picture(self, state: State, gaussians: Gaussians, view: Camera, colours: ColourAffines | None = None) -> np.ndarray:
        """Colour, depth or opacity; ``colours`` are those of the camera ``view``."""
        rendering = self.render(gaussians, view)
        if state.mode == "opacity":
            return np.repeat(_bytes(rendering.alpha[0].cpu().numpy())[..., None], 3, axis=2)
        if state.mode == "depth":
            return _depth_colours(rendering.depth[0].cpu().numpy(), rendering.alpha[0].cpu().numpy())
        color = rendering.color[0] if colours is None else colours.apply(view.name, rendering.color[0])
        return _bytes(color.cpu().numpy())

    def _colours(self, state: State, camera: Camera) -> ColourAffines | None:
        """By what the camera's colours differ, for a training camera and a frame that is finished."""
        source = state.source_frame()
        draft = state.preview is not None and state.preview.frame == source
        if state.run is None or source is None or draft or state.mode != "colour" or camera.name in self._capture.held_out:
            return None
        return self._frame_cache.colours(state.run, source)

    def _compare(self, state: State, camera: Camera, image: np.ndarray) -> tuple[np.ndarray, Comparison | None]:
        assert state.camera is not None
        photo = self._capture.image(state.camera, state.frame)
        if image.shape != photo.shape:
            import cv2

            photo = cv2.resize(photo, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_AREA)
        compared = compose(state.compare, image, photo, state.wipe)
        if compared.columns is None:
            return compared.image, None
        from trackersplat.metrics.image import psnr

        part = (slice(None), compared.columns)
        score = psnr(image[part], photo[part])
        size = image[part].shape
        held_out = camera.name in self._capture.held_out
        return compared.image, Comparison(camera.name, held_out, state.frame, state.compare, score, size[1], size[0])

    def _waiting(self, state: State, canvas: tuple[int, int]) -> np.ndarray:
        """Before the rasteriser is there: a photograph, dimmed."""
        photo = self._capture.image(self.home, state.frame)
        placement = Placement.fit((photo.shape[1], photo.shape[0]), canvas)
        return (letterbox(photo, canvas, placement) * DIM).astype(np.uint8)

    def _dim(self, state: State, image: np.ndarray) -> np.ndarray:
        return image if state.source_frame() == state.frame else (image * DIM).astype(np.uint8)


def _bytes(values: np.ndarray) -> np.ndarray:
    """[0, 1] to uint8, rounded."""
    return (np.clip(values, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def _depth_colours(depth: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Near is warm, far is cold, empty is black; the scale runs over the 2nd to 98th percentile of what is seen."""
    seen = alpha > 0.5
    if not seen.any():
        return np.zeros((*depth.shape, 3), np.uint8)
    expected = depth / np.maximum(alpha, 1e-6)
    near, far = np.percentile(expected[seen], (2, 98))
    colours = heat(0.95 - 0.9 * np.clip((expected - near) / max(far - near, 1e-9), 0, 1))
    return np.where(seen[..., None], colours, np.uint8(0))


def page_camera(position: np.ndarray, rotation: np.ndarray, fov_y: float, width: int, height: int) -> Camera:
    """The pinhole view of a page: ``rotation`` (3, 3) camera to world in OpenCV axes, centred principal point."""
    world_to_camera = np.eye(4)
    world_to_camera[:3, :3] = rotation.T
    world_to_camera[:3, 3] = -rotation.T @ position
    focal = 0.5 * height / np.tan(0.5 * fov_y)
    K = np.array([[focal, 0.0, width / 2], [0.0, focal, height / 2], [0.0, 0.0, 1.0]])
    return Camera("page", width, height, K, world_to_camera)


def smaller(view: Camera, scale: float) -> Camera:
    """The same view with fewer pixels."""
    if scale >= 1:
        return view
    return replace(view.resized(max(round(view.width * scale), 16), max(round(view.height * scale), 16)))
